// Moves the secret of an invitation out of the address (the part that no browser sends) into the
// form, and out of the history.
const field = document.getElementById("invitation");
if (location.hash.length > 1) {
  field.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
}
