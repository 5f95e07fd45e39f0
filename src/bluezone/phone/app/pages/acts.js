// What the owner does: asking the core for it, telling a refusal, asking twice before a deletion.
import { Refusal, Silence } from "./ask.js";
import { h } from "./dom.js";
import { say, t } from "./words.js";

/** What to tell people about a refusal or a silence. */
export function sentence(fault) {
  if (fault instanceof Silence) return t("Bluezone is not running on this device.");
  if (fault instanceof Refusal)
    return (
      say(fault.fault?.message) ||
      t("Something went wrong in Bluezone (code {code}). Try again.", { code: fault.status })
    );
  throw fault;
}

/** Do something that the owner asked for: the button rests meanwhile, a refusal is told beside it. */
export async function act(button, work) {
  const place = button.closest(".act") ?? button.parentElement;
  for (const old of [place, ...document.querySelectorAll("[data-fault]")])
    old.querySelector(":scope > .wrong")?.remove();
  button.disabled = true;
  try {
    return { value: await work() };
  } catch (fault) {
    const told = h("p", { class: "wrong", role: "alert" }, sentence(fault));
    // Beside its field where that is a group of its own, else beside the button.
    (groupOf(fault) ?? place).append(told);
    mark(fault);
    return null;
  } finally {
    button.disabled = false;
  }
}

function groupOf(fault) {
  const field = fault instanceof Refusal && fault.fault?.field;
  return field ? document.querySelector(`[data-fault="${CSS.escape(field)}"]`) : null;
}

function mark(fault) {
  for (const input of document.querySelectorAll("[aria-invalid]"))
    input.removeAttribute("aria-invalid");
  const field =
    fault instanceof Refusal &&
    fault.fault?.field &&
    // Of a group the field that was typed into, not its first choice.
    (groupOf(fault)?.querySelector("input[type=date]") ??
      document.getElementsByName(fault.fault.field)[0]);
  if (!field) return;
  field.setAttribute("aria-invalid", "true");
  field.focus();
}

/** Ask in a dialog before something that cannot be undone; true if the owner means it. */
export function confirmed({ title, text, yes, no = t("Cancel"), danger = true }) {
  return new Promise((resolve) => {
    const close = (answer) => () => dialog.close(answer);
    const dialog = h(
      "dialog",
      { "aria-labelledby": "dialog-title" },
      h("h2", { id: "dialog-title" }, title),
      [text].flat().map((line) => h("p", null, line)),
      h(
        "div",
        { class: "buttons" },
        h("button", { class: "button", type: "button", autofocus: true, onclick: close("no") }, no),
        h(
          "button",
          {
            class: danger ? "button danger" : "button main",
            type: "button",
            onclick: close("yes"),
          },
          yes,
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
