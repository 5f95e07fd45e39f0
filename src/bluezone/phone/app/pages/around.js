// Around: phones heard within the last 30 seconds, near and farther away.
import { screen } from "./app.js";
import { ask } from "./ask.js";
import { $, h, putIfNew } from "./dom.js";
import { number, people } from "./format.js";
import { note } from "./parts.js";
import { drawRadar } from "./radar.js";
import { language, t } from "./words.js";

const FADES = 30; // seconds

screen({ load: () => ask("around"), draw, every: 2, live: true });

function draw(around) {
  const seen = around.people.filter((one) => one.age < FADES);
  const near = seen.filter((one) => one.near);
  const far = seen.filter((one) => !one.near);
  putIfNew("#radio", [language, around.radio, around.listening].join(), () => radioNote(around));
  drawRadar($("#radar"), around, seen);
  // Without a radio nobody knows who is here: the note above says so, and nothing else is said.
  const blind = around.radio !== "on";
  for (const part of document.querySelectorAll("#count, #own, main > section")) part.hidden = blind;
  const count =
    seen.length === 0
      ? t("Nobody heard at the moment")
      : t("{people} around: {near} near, {far} farther away", {
          people: people(seen.length),
          near: number(near.length),
          far: number(far.length),
        });
  write($("#count"), count); // said aloud, so only when it changes
  list($("#near"), near, t("Nobody is near you."));
  list($("#far"), far, t("Nobody farther away."));
  write($("#own"), t("Others see this phone as {mask} at the moment.", { mask: around.own }));
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Who reads it with a screen reader would lose their place: a row stays the same one as long as its
// phone is heard, and only what is different of it changes.
function list(place, people, nobody) {
  if (people.length === 0) {
    if (!$(".empty", place)) place.replaceChildren(h("p", { class: "empty" }));
    write($(".empty", place), nobody);
    return;
  }
  if (!$("ul", place)) place.replaceChildren(h("ul", { class: "rows heard" }));
  const rows = $("ul", place);
  const old = [...rows.children];
  const take = (one) => {
    const at = old.findIndex((row) => row.dataset.mask === one.mask); // two may share a mask
    return at < 0 ? emptyRow(one) : old.splice(at, 1)[0];
  };
  const sorted = [...people].sort((one, other) => other.level - one.level);
  const wanted = sorted.map((one) => fit(take(one), one));
  for (const row of old) row.remove();
  for (const [at, row] of wanted.entries())
    if (rows.children[at] !== row) rows.insertBefore(row, rows.children[at] ?? null);
}

function emptyRow(one) {
  return h(
    "li",
    { class: "row", "data-mask": one.mask },
    h("span", { class: one.near ? "dot near" : "dot", "aria-hidden": "true" }),
    h("div", null, h("strong"), h("span", { class: "quiet" })),
    h("span", { class: "bars", role: "img" }, [1, 2, 3, 4].map(() => h("i"))),
  );
}

function fit(row, one) {
  const heard =
    one.age < 3 ? t("heard just now") : t("heard {n} s ago", { n: Math.round(one.age) });
  write($("strong", row), t("Phone {mask}", { mask: one.mask }));
  write($(".quiet", row), heard);
  mark(row, "data-age", one.age > 20 ? "old" : one.age > 10 ? "some" : "new");
  // How strong the signal is, as everyone knows it from a telephone.
  const strength = Math.max(1, Math.min(4, Math.ceil((one.level + 100) / 12)));
  mark($(".bars", row), "aria-label", t("signal {n} of 4", { n: strength }));
  mark($(".bars", row), "data-strength", String(strength));
  return row;
}

function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function radioNote({ radio, listening }) {
  if (radio === "on" && listening) return null;
  const text = {
    off: t("Bluetooth is off. Switch it on: without it nobody can be seen here."),
    "no-permission": t("Bluezone may not use Bluetooth. Allow it in the settings of this device."),
    unavailable: t(
      "The Bluetooth radio does not answer. Check that it is plugged in; Bluezone keeps trying.",
    ),
    on: t("Bluezone begins to listen …"),
  }[radio];
  return radio === "on" ? note(null, "around", text) : note("bad", "bluetooth", text);
}
