// What to share with a report: about whom, the first symptoms, the keys, the diary or not.
import { $, h, values } from "./dom.js";
import { isoDay, now } from "./format.js";
import { choice } from "./parts.js";
import { aboutWhom } from "./preview.js";
import { t } from "./words.js";

const LOOKS_BACK = 14 * 86_400; // older days the core refuses: as long as keys are kept
const NO_DAY = "day"; // "another day" is chosen, and no day yet

/** The form with what `wish` says; `look(button)` and `back()` go on and return. */
export function sharingForm(wish, { look, back }) {
  const ownDay = !["recorded", "none"].includes(wish.onset);
  const day = h("input", {
    type: "date",
    id: "day",
    name: "day",
    max: isoDay(now()),
    min: isoDay(now() - LOOKS_BACK),
    value: ownDay && wish.onset !== NO_DAY ? wish.onset : null,
    "aria-label": t("Day of the first symptoms"),
    onfocus: () => ($("#onset-day").checked = true),
  });
  const onset = (value, words) => {
    const checked = ownDay ? value === "day" : value === wish.onset;
    return choice({ type: "radio", name: "onset", id: `onset-${value}`, value, checked }, words);
  };
  const submit = (event) => {
    event.preventDefault();
    if (shared().onset === NO_DAY) return day.focus();
    look(event.submitter ?? $("#look"));
  };
  return h(
    "form",
    { id: "share-form", onsubmit: submit, novalidate: true },
    h("h2", null, t("What do you want to share?")),
    aboutWhom(wish.about),
    h(
      "p",
      { class: "quiet small" },
      t("For a child or a parent only if they are the one who carries this device: it sends its keys."),
    ),
    h(
      "fieldset",
      { "data-fault": "onset" },
      h("legend", null, t("First symptoms")),
      onset("recorded", t("As the health staff wrote down")),
      onset("none", t("No symptoms")),
      onset("day", t("Another day:")),
      day,
    ),
    h("fieldset", null, h("legend", null, t("Share")), keys(), diary(wish)),
    h(
      "div",
      { class: "act" },
      h(
        "button",
        { class: "button main wide", id: "look", type: "submit" },
        t("See what would be sent"),
      ),
      h("button", { class: "button wide", type: "button", onclick: back }, t("Back to the code")),
    ),
  );
}

function keys() {
  return choice(
    { type: "checkbox", checked: true, disabled: true },
    t("The keys of this phone"),
    t(
      "They warn the people who were near you, without your name. " +
        "Without them a report has no purpose.",
    ),
  );
}

function diary(wish) {
  return choice(
    { type: "checkbox", name: "diary", id: "diary", checked: wish.diary },
    t("Also my contact diary"),
    t("It helps health staff to find people faster. Only they read it. Not required."),
  );
}

/** What the form on the page says now. */
export function shared() {
  const { about, diary, onset, day } = values($("#share-form"));
  return { about, diary, onset: onset === "day" ? day || NO_DAY : onset };
}
