// I tested positive: the code, what to share, a preview, consent, the way it goes, a receipt.
import { act } from "./acts.js";
import { screen, state } from "./app.js";
import { ask, post } from "./ask.js";
import { $, h, put } from "./dom.js";
import { dateTime } from "./format.js";
import { announce } from "./frame.js";
import { note } from "./parts.js";
import { consentForm, previewCard } from "./preview.js";
import { progressCard } from "./progress.js";
import { shared, sharingForm } from "./sharing.js";
import { say, t } from "./words.js";

const DIGITS = 12;
let step = null;
let wish = { code: "", about: "self", diary: false, onset: "recorded" };
let preview = null;
let progress = null;

takeFragment();
screen({ load, draw });

async function load() {
  progress = await ask("report");
  step ??= progress.state === "none" || wish.code ? "code" : "progress";
  return progress;
}

// A link may carry the code behind #, which no server ever sees.
function takeFragment() {
  const found = new URLSearchParams(location.hash.slice(1)).get("code");
  if (!found) return;
  wish.code = onlyDigits(found);
  history.replaceState(null, "", location.pathname); // not left in the browser's history
}

// The page may be open already when such a link is.
addEventListener("hashchange", () => {
  takeFragment();
  if (wish.code) go("code");
});

function onlyDigits(text) {
  return text.replace(/\D/g, "").slice(0, DIGITS);
}

function grouped(digits) {
  return digits.replace(/(\d{4})(?=\d)/g, "$1 ");
}

function draw() {
  if (step === "share" && $("#share-form")) keep();
  put("#flow", { code: codeForm, share: shareForm, check, progress: theProgress }[step]());
}

function go(next) {
  step = next;
  put("#flow"); // a new step begins with an empty page, nothing of it is kept
  draw();
  scrollTo(0, 0);
  const title = $("#flow h2");
  if (!title) return;
  title.tabIndex = -1;
  title.focus({ preventScroll: true });
}

function codeForm() {
  const wrong = h("p", { class: "wrong", id: "code-wrong", role: "alert" });
  const input = h("input", {
    id: "code",
    class: "code",
    name: "code",
    value: grouped(wish.code),
    inputmode: "numeric",
    autocomplete: "one-time-code",
    "aria-describedby": "code-wrong",
    placeholder: "0000 0000 0000",
    oninput: () => {
      const atEnd = input.selectionEnd === input.value.length;
      wish.code = onlyDigits(input.value);
      if (atEnd) input.value = grouped(wish.code); // never under a cursor in the middle
      wrong.textContent = "";
    },
  });
  const next = (event) => {
    event.preventDefault();
    if (wish.code.length === DIGITS) return go("share");
    wrong.textContent = t("The code has 12 digits; {n} are here.", { n: wish.code.length });
    input.focus();
  };
  return h(
    "form",
    { onsubmit: next, novalidate: true },
    state?.report.reported_at
      ? note(
          "good",
          "check",
          t("This phone already sent a report on {when}.", {
            when: dateTime(state.report.reported_at),
          }),
        )
      : null,
    h("h2", null, t("Enter your code")),
    h(
      "p",
      null,
      t("Health staff give you the code together with the result of your test. It works once."),
    ),
    h(
      "div",
      { class: "field" },
      h("label", { for: "code" }, t("Code of 12 digits")),
      input,
      wrong,
    ),
    h("button", { class: "button main wide", id: "next", type: "submit" }, t("Continue")),
    progress?.state === "done"
      ? h(
          "p",
          null,
          h(
            "button",
            { class: "button text", type: "button", id: "receipt", onclick: () => go("progress") },
            t("See the receipt"),
          ),
        )
      : null,
  );
}

function keep() {
  wish = { ...wish, ...shared() };
}

function shareForm() {
  const look = async (button) => {
    keep();
    const done = await act(button, () => post("report/preview", wish));
    if (!done) return;
    preview = done.value;
    go("check");
  };
  const back = () => {
    keep();
    go("code");
  };
  return sharingForm(wish, { look, back });
}

function check() {
  const send = async (button) => {
    const done = await act(button, () => post("report", { ...wish, consent: true }));
    if (!done) return;
    progress = done.value;
    go("progress");
  };
  return [
    previewCard(preview),
    consentForm(say(preview.consent), {
      send,
      back: () => go("share"),
      label: t("Send and warn others"),
    }),
  ];
}

let waiting = 0;

function theProgress() {
  clearTimeout(waiting);
  if (progress.state === "sending") waiting = setTimeout(ahead, 1000);
  return progressCard(progress, () => {
    wish.code = progress.state === "failed" ? wish.code : "";
    go("code");
  });
}

async function ahead() {
  const before = JSON.stringify(progress);
  progress = await ask("report").catch(() => progress);
  if (step !== "progress") return;
  if (JSON.stringify(progress) === before) {
    waiting = setTimeout(ahead, 1000);
    return;
  }
  draw();
  if (progress.state === "done") announce(t("Your report was sent."));
  else if (progress.state === "failed") announce(say(progress.fault?.message));
  else announce($("#going [aria-current]")?.textContent ?? "");
}
