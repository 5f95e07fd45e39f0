// What is about to be sent, before it is sent: in words, as bytes, with the owner's consent.
import { $, h } from "./dom.js";
import { bytes } from "./format.js";
import { icon } from "./icons.js";
import { choice } from "./parts.js";
import { say, t } from "./words.js";

/** The preview's lines and, where the core gives them, the bytes themselves. */
export function previewCard(preview) {
  return h(
    "section",
    { class: "card", "aria-labelledby": "preview-title" },
    h("h2", { id: "preview-title" }, t("Exactly this is sent")),
    h("p", { class: "quiet" }, t("To: {recipient}", { recipient: say(preview.recipient) })),
    h(
      "dl",
      { class: "facts" },
      preview.lines.map((line) =>
        h("div", null, h("dt", null, say(line.label)), h("dd", null, say(line.value))),
      ),
    ),
    preview.raw
      ? h(
          "details",
          { id: "raw" },
          h("summary", null, t("The message itself ({size})", { size: bytes(preview.bytes) })),
          h("pre", { tabindex: 0, "aria-label": t("The message itself") }, preview.raw),
        )
      : null,
  );
}

/**
 * The box that must be ticked, and the buttons; `send(button)` only runs with consent. A sentence
 * of several lines stands as paragraphs above the box. Drawn again on the same step, as when the
 * language changes, the box stays as it was.
 */
export function consentForm(sentence, { send, back, label }) {
  const wrong = h("p", { class: "wrong", role: "alert" });
  const box = h("input", {
    type: "checkbox",
    id: "consent",
    name: "consent",
    checked: $("#consent")?.checked,
    onchange: () => (wrong.textContent = ""),
  });
  const submit = (event) => {
    event.preventDefault();
    if (box.checked) return send(event.submitter ?? button);
    wrong.textContent = t("Please tick the box first: nothing is sent without your consent.");
    box.focus();
  };
  const lines = sentence.split("\n");
  const button = h(
    "button",
    { class: "button main wide", id: "send", type: "submit" },
    icon("send"),
    label,
  );
  return h(
    "form",
    { onsubmit: submit, novalidate: true },
    lines.length > 1
      ? h(
          "section",
          { class: "card", id: "terms" },
          lines.map((line) => h("p", null, line)),
        )
      : null,
    h(
      "label",
      { class: "choice" },
      box,
      h("span", null, lines.length > 1 ? t("I have read this and agree.") : sentence),
    ),
    wrong,
    h(
      "div",
      { class: "act" },
      button,
      h(
        "button",
        { class: "button wide", id: "change", type: "button", onclick: back },
        t("Change something"),
      ),
    ),
  );
}

/** Whose phone or whose contact it is about. */
export function aboutWhom(chosen) {
  const option = (value, words) =>
    choice({ type: "radio", name: "about", value, checked: value === chosen }, words);
  return h(
    "fieldset",
    null,
    h("legend", null, t("Whom is it about?")),
    option("self", t("Me")),
    option("child", t("My child")),
    option("relative", t("A parent or another relative")),
  );
}
