// What was sent to the health authority by choice, its state, and taking it back.
import { act, confirmed } from "./acts.js";
import { post } from "./ask.js";
import { h } from "./dom.js";
import { ago, dateTime } from "./format.js";
import { icon } from "./icons.js";
import { fact, note } from "./parts.js";
import { say, t } from "./words.js";

const STATES = {
  waiting: () => ["warn", t("waiting to be sent")],
  received: () => ["calm", t("received, not decided yet")],
  confirmed: () => ["bad", t("close contact confirmed")],
  cleared: () => ["good", t("all clear")],
  withdrawn: () => ["warn", t("withdrawn")],
};
// A diary is of a case: whether tracers use it says nothing of its owner's health.
const DIARY_STATES = {
  confirmed: () => ["calm", t("used for tracing")],
  cleared: () => ["calm", t("not needed")],
};
const KINDS = { details: () => t("My details"), diary: () => t("My contact diary") };

/** Cards of all hand-overs; `refresh` asks for news, `changed(exposures)` hears of a withdrawal. */
export function handoverCards(handovers, { refresh, changed }) {
  if (handovers.length === 0) return null;
  return [
    h("h2", null, t("What you sent")),
    handovers.map((one) => handoverCard(one, changed)),
    h(
      "div",
      { class: "act" },
      h(
        "button",
        { class: "button text", id: "refresh", type: "button", onclick: refresh },
        icon("again"),
        t("Ask whether there is news"),
      ),
    ),
  ];
}

function handoverCard(one, changed) {
  const states = one.kind === "diary" ? { ...STATES, ...DIARY_STATES } : STATES;
  const [tone, words] = states[one.state]();
  const withdraw = async (event) => {
    const button = event.currentTarget;
    const sure = await confirmed({
      title: t("Withdraw what you sent?"),
      text: [
        t(
          "The health authority deletes it. Notes that staff have already made on paper, or a call that was made, cannot be undone.",
        ),
      ],
      yes: t("Withdraw"),
    });
    const done =
      sure && (await act(button, () => post("handovers/withdraw", { reference: one.reference })));
    if (done) changed?.(done.value);
  };
  return h(
    "article",
    { class: "card" },
    h("h3", null, KINDS[one.kind](), " ", h("span", { class: "tag", "data-tone": tone }, words)),
    say(one.message) ? note(null, "info", say(one.message)) : null,
    receiptFacts(one),
    one.state === "withdrawn" || !changed
      ? null
      : h(
          "div",
          { class: "act buttons" },
          h(
            "button",
            {
              class: "button danger",
              id: `withdraw-${one.reference}`,
              type: "button",
              onclick: withdraw,
            },
            t("Withdraw"),
          ),
        ),
  );
}

/** Reference and times of a hand-over. */
export function receiptFacts(one) {
  return h(
    "dl",
    { class: "facts" },
    fact(t("Reference"), h("code", null, one.reference)),
    one.state === "waiting" ? null : fact(t("Sent"), dateTime(one.sent_at)),
    one.updated_at > one.sent_at ? fact(t("Last news"), ago(one.updated_at)) : null,
  );
}
