// The big state: was this person near a case, or have they reported one?
import { h } from "./dom.js";
import { ago, dateTime, number } from "./format.js";
import { hero } from "./parts.js";
import { t } from "./words.js";

/** The state's cards for the home page; `resume` starts a phone again that was stopped. */
export function standing(state, resume) {
  if (state.stopped) {
    return hero(
      "warn",
      "off",
      "h1",
      t("Bluezone is stopped"),
      t("Nothing is broadcast, nobody is noticed, and your data are deleted."),
      h(
        "button",
        { class: "button main wide", id: "resume", type: "button", onclick: resume },
        t("Begin again"),
      ),
    );
  }
  const { exposure, report } = state;
  const reported = report.sending || report.reported_at !== null;
  if (!reported) return exposureCard(exposure, state.check);
  return [
    report.sending
      ? hero(
          "calm",
          "send",
          "h1",
          t("Your report is being sent"),
          t("Keep this device switched on. If the line breaks, Bluezone goes on later."),
          lead("report.html", t("See how far it is"), true, "see-report"),
        )
      : hero(
          "calm",
          "check",
          "h1",
          t("You have reported your infection"),
          `${t("Thank you. People who were near you are being warned, without your name.")} ${t("Sent {when}.", { when: dateTime(report.reported_at) })}`,
          lead("report.html", t("See the receipt"), false, "see-report"),
        ),
    exposureCard(exposure, state.check, "h2"),
  ];
}

function exposureCard(exposure, check, level = "h1") {
  const see = lead(
    "exposure.html",
    t("See what happened and what to do"),
    exposure.state !== "cleared",
  );
  if (exposure.state === "possible") {
    return hero(
      "warn",
      "alert",
      level,
      t("You may have been near a case"),
      t("Health staff have not said more yet. It does not mean that you are ill."),
      see,
    );
  }
  if (exposure.state === "confirmed") {
    return hero(
      "bad",
      "alert",
      level,
      t("Health staff confirm: you were in close contact"),
      t("Please stay at home and follow what the health station tells you."),
      see,
    );
  }
  if (exposure.state === "cleared") {
    return hero(
      "good",
      "safe",
      level,
      t("Health staff say: all clear"),
      t("You are not counted as a close contact. You can live as usual."),
      see,
    );
  }
  if (check.checked_at === null) {
    return hero(
      "calm",
      "shield",
      level,
      t("Not checked yet"),
      t("Bluezone soon compares the keys of confirmed cases with what this phone noticed."),
    );
  }
  if (check.overdue) {
    return hero(
      "warn",
      "clock",
      level,
      t("No check for more than a day"),
      t("Checked {ago}. Connect this device to the Internet; Bluezone then checks by itself.", {
        ago: ago(check.checked_at),
      }),
    );
  }
  return hero(
    "good",
    "safe",
    level,
    t("No contact with a case found"),
    t("Checked {ago}: {keys} keys of confirmed cases compared, nothing found.", {
      ago: ago(check.checked_at),
      keys: number(check.keys),
    }),
  );
}

function lead(href, words, main = true, id = "see") {
  return h("a", { class: main ? "button main" : "button", id, href }, words);
}
