// Home: is it running, was I near a case, what can I do?
import { act } from "./acts.js";
import { screen, show, state, takeState } from "./app.js";
import { post } from "./ask.js";
import { h, put, putIfNew } from "./dom.js";
import { ago, clock, minutes, number, people } from "./format.js";
import { announce } from "./frame.js";
import { icon } from "./icons.js";
import { fact, note } from "./parts.js";
import { entry } from "./rows.js";
import { standing } from "./standing.js";
import { language, say, t } from "./words.js";

const RADIO = {
  on: () => t("switched on"),
  off: () => t("switched off"),
  "no-permission": () => t("not allowed"),
  unavailable: () => t("does not answer"),
};

screen({ load: async () => state, draw, every: 10 });

function draw(now) {
  putIfNew("#problems", language + JSON.stringify(now.problems), () => now.problems.map(problem));
  put("#standing", standing(now, resume));
  const scan = document.querySelector("#scan");
  scan.hidden = now.stopped;
  for (const told of ["#today", "#running"])
    document.querySelector(told).closest("section").hidden = now.stopped;
  // One main action: after a warning it is to read it.
  scan.classList.toggle("main", now.exposure.state === "none" || now.exposure.state === "cleared");
  put(
    "#today",
    number_(people(now.today.people), t("nearby, estimated")),
    number_(minutes(now.today.minutes), t("with others nearby")),
  );
  put("#running", runningFacts(now));
  putIfNew("#check", `${language} ${now.stopped}`, () => (now.stopped ? null : checkButton()));
  put("#entries", entries(now));
  put("#later", later());
}

function checkButton() {
  return h(
    "button",
    { class: "button text", id: "check-now", type: "button", onclick: check },
    icon("again"),
    t("Check for cases now"),
  );
}

function problem({ text, urgent }) {
  const told = note(urgent ? "bad" : "warn", "alert", say(text));
  if (urgent) told.setAttribute("role", "alert");
  return told;
}

function number_(value, meaning) {
  return h("div", null, h("b", null, value), h("span", { class: "quiet" }, meaning));
}

function runningFacts(now) {
  const { check } = now;
  return [
    fact(
      "Bluezone",
      h(
        "span",
        { class: "tag", "data-tone": now.running ? "good" : "bad" },
        now.running ? t("is running") : t("is not noticing anyone"),
      ),
    ),
    fact(
      "Bluetooth",
      h(
        "span",
        { class: "tag", "data-tone": now.radio === "on" ? "good" : "bad" },
        RADIO[now.radio]?.() ?? now.radio,
      ),
    ),
    fact(t("Last look around"), now.last_scan_at ? ago(now.last_scan_at) : t("not yet")),
    fact(t("Last check for cases"), check.checked_at ? ago(check.checked_at) : t("not yet")),
    check.checked_at ? fact(t("Keys of cases compared"), number(check.keys)) : null,
    check.next_at ? fact(t("Next check"), clock(check.next_at)) : null,
    check.error ? fact(t("The last try failed"), say(check.error)) : null,
  ];
}

async function check(event) {
  const done = await act(event.currentTarget, () => post("check"));
  if (!done) return;
  takeState(done.value);
  show(done.value);
  announce(done.value.check.error ? say(done.value.check.error) : t("The check is done."));
}

async function resume(event) {
  if (await act(event.currentTarget, () => post("resume"))) location.assign("start.html");
}

function entries(now) {
  return [
    entry("test", "report.html", t("I tested positive"), t("Warn the people who were near you")),
    entry(
      "history",
      "history.html",
      t("Contact history"),
      t("The last 14 days, only on this phone"),
    ),
    entry("news", "news.html", t("News"), t("From the health authority"), now.unread_news),
    entry(
      "bell",
      "notices.html",
      t("Messages of this phone"),
      t("Warnings and reminders"),
      now.unread_notices,
    ),
    entry(
      "invite",
      "invite.html",
      t("Invite people"),
      t("The more take part, the more are warned"),
    ),
  ];
}

function later() {
  const card = (picture, name, meaning) =>
    h(
      "li",
      { class: "row" },
      icon(picture),
      h("div", null, h("strong", null, name), h("span", { class: "quiet" }, meaning)),
    );
  return [
    card("form", t("Health declaration"), t("Tell the health station how you are")),
    card("stay", t("Quarantine check-in"), t("Report from home during quarantine")),
    card("gate", t("Gate pass"), t("Enter buildings and offices with a code")),
  ];
}
