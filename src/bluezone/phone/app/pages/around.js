// Around: phones heard within the last 30 seconds, near and farther away.
import { screen } from "./app.js";
import { ask } from "./ask.js";
import { h, put } from "./dom.js";
import { number, people } from "./format.js";
import { note } from "./parts.js";
import { drawRadar } from "./radar.js";
import { t } from "./words.js";

const FADES = 30; // seconds

screen({ load: () => ask("around"), draw, every: 2, live: true });

function draw(around) {
  const seen = around.people.filter((one) => one.age < FADES);
  const near = seen.filter((one) => one.near);
  const far = seen.filter((one) => !one.near);
  put("#radio", radioNote(around));
  drawRadar(document.querySelector("#radar"), around, seen);
  // Said aloud only when it changes: the text is then another one.
  const count =
    seen.length === 0
      ? t("Nobody heard at the moment")
      : t("{people} around: {near} near, {far} farther away", {
          people: people(seen.length),
          near: number(near.length),
          far: number(far.length),
        });
  const place = document.querySelector("#count");
  if (place.textContent !== count) place.textContent = count;
  list("#near", near, t("Nobody is near you."));
  list("#far", far, t("Nobody farther away."));
  put("#own", t("Others see this phone as {mask} at the moment.", { mask: around.own }));
}

function list(place, people, nobody) {
  put(
    place,
    people.length === 0
      ? h("p", { class: "empty" }, nobody)
      : h(
          "ul",
          { class: "rows heard" },
          [...people].sort((one, other) => other.level - one.level).map(person),
        ),
  );
}

function person(one) {
  const heard =
    one.age < 3 ? t("heard just now") : t("heard {n} s ago", { n: Math.round(one.age) });
  return h(
    "li",
    { class: "row", "data-age": one.age > 20 ? "old" : one.age > 10 ? "some" : "new" },
    h("span", { class: one.near ? "dot near" : "dot", "aria-hidden": "true" }),
    h(
      "div",
      null,
      h("strong", null, t("Phone {mask}", { mask: one.mask })),
      h("span", { class: "quiet" }, heard),
    ),
    bars(one.level),
  );
}

// How strong the signal is, as everyone knows it from a telephone.
function bars(level) {
  const strength = Math.max(1, Math.min(4, Math.ceil((level + 100) / 12)));
  return h(
    "span",
    {
      class: "bars",
      role: "img",
      "aria-label": t("signal {n} of 4", { n: strength }),
      "data-strength": strength,
    },
    [1, 2, 3, 4].map(() => h("i")),
  );
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
