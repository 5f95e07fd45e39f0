// Invite: a picture to scan, a text to share, and how many came.
import { screen } from "./app.js";
import { ask } from "./ask.js";
import { h, put } from "./dom.js";
import { number } from "./format.js";
import { icon } from "./icons.js";
import { say, t } from "./words.js";

screen({ load: () => ask("invitation"), draw });

function draw({ code, link, qr, text, installed }) {
  const message = [say(text), say(text).includes(link) ? "" : link].filter(Boolean).join(" ");
  const said = h("p", { id: "shared", role: "status" });
  const copy = async () => {
    const copied = await navigator.clipboard?.writeText(message).then(
      () => true,
      () => false,
    );
    said.textContent = copied
      ? t("Copied. Paste it into a message.")
      : t("Copying is not allowed here. Mark the text and copy it by hand.");
  };
  const share = () => navigator.share({ text: message }).catch(() => {}); // closing the sheet is no fault
  put(
    "#invite",
    qr ? h("img", { class: "qr", src: qr, alt: t("QR code of your invitation link") }) : null,
    h(
      "div",
      { class: "card" },
      h("h2", null, t("Or send this text")),
      h("p", null, message),
      h(
        "div",
        { class: "buttons" },
        navigator.share
          ? h(
              "button",
              { class: "button main", id: "share", type: "button", onclick: share },
              icon("share"),
              t("Share"),
            )
          : null,
        h(
          "button",
          {
            class: navigator.share ? "button" : "button main",
            id: "copy",
            type: "button",
            onclick: copy,
          },
          icon("copy"),
          t("Copy the text"),
        ),
      ),
      said,
    ),
    h(
      "dl",
      { class: "facts card" },
      h(
        "div",
        null,
        h("dt", null, t("Your invitation code")),
        h("dd", null, h("code", null, code)),
      ),
      h(
        "div",
        null,
        h("dt", null, t("Installed through you")),
        h("dd", null, installed === null ? t("not known now") : number(installed)),
      ),
    ),
    h(
      "p",
      { class: "quiet small" },
      t("Only the number is counted. Nobody learns who followed your invitation."),
    ),
  );
}
