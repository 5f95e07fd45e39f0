// How far a report is, its receipt, or why it failed.
import { h } from "./dom.js";
import { dateTime } from "./format.js";
import { receiptFacts } from "./handovers.js";
import { fact, hero } from "./parts.js";
import { say, t } from "./words.js";

const STEPS = [
  ["permission", () => t("The code is checked")],
  ["pause", () => t("A short pause, so that nobody can connect the code with the keys")],
  ["keys", () => t("The keys are sent")],
  ["diary", () => t("The contact diary is sent, if you chose so")],
];

/** A ReportProgress; `again` begins with the code anew. */
export function progressCard(progress, again) {
  return { sending, done, failed }[progress.state]?.(progress, again) ?? null;
}

function sending({ step }) {
  const at = STEPS.findIndex(([name]) => name === step);
  return h(
    "section",
    { class: "card" },
    h(
      "div",
      { class: "working" },
      h("div", { class: "spin", "aria-hidden": "true" }),
      h("h2", null, t("Your report is being sent …")),
    ),
    h(
      "p",
      null,
      t("This takes up to half a minute. You may leave this page: Bluezone goes on by itself."),
    ),
    h(
      "ol",
      { class: "plain going", id: "going" },
      STEPS.map(([name, words], index) =>
        h(
          "li",
          {
            class: index < at ? "past" : index > at ? "quiet" : null,
            "aria-current": name === step ? "step" : null,
          },
          words(),
          index < at ? h("span", { class: "tag", "data-tone": "good" }, t("done")) : null,
        ),
      ),
    ),
  );
}

function done({ keys, sent_at, handover, fault }) {
  return [
    hero(
      "good",
      "check",
      "h2",
      t("Your report was sent."),
      t("Thank you. People who were near you are being warned, without your name."),
    ),
    h(
      "section",
      { class: "card" },
      h("h2", null, t("Receipt")),
      h(
        "dl",
        { class: "facts" },
        fact(t("Sent"), sent_at ? dateTime(sent_at) : "–"),
        fact(t("Keys published"), String(keys)),
      ),
    ),
    fault ? h("p", { class: "bad", role: "alert" }, t("My contact diary"), ": ", say(fault.message)) : null,
    handover
      ? h(
          "section",
          { class: "card" },
          h("h2", null, t("My contact diary")),
          receiptFacts(handover),
          h(
            "p",
            { class: "quiet small" },
            t("You can withdraw it on the page of the warning."),
            " ",
            h("a", { href: "exposure.html" }, t("To the warning")),
          ),
        )
      : null,
    h("a", { class: "button main wide", href: "index.html" }, t("Go to the home page")),
  ];
}

function failed({ fault }, again) {
  return [
    hero(
      "bad",
      "alert",
      "h2",
      t("The report was not sent."),
      say(fault?.message),
      t("If it fails again, ask the person who gave you the code."),
    ),
    h(
      "button",
      { class: "button main wide", id: "again-report", type: "button", onclick: again },
      t("Try again"),
    ),
  ];
}
