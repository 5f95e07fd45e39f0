// Exposure: what happened, how sure it is and why, what to do, and what was sent by choice.
import { act } from "./acts.js";
import { screen, show } from "./app.js";
import { ask, post } from "./ask.js";
import { h, put } from "./dom.js";
import { ago, longDay, minutes } from "./format.js";
import { handoverCards } from "./handovers.js";
import { icon } from "./icons.js";
import { fact, hero } from "./parts.js";
import { say, t } from "./words.js";

screen({ load, draw });

async function load() {
  const found = await ask("exposures");
  if (found.state === "none") return found;
  return (await post("exposures/read").catch(() => null)) ?? found;
}

const STANDING = {
  none: () => [
    "good",
    "safe",
    t("No contact with a case found"),
    t("If this phone finds one, you see here which day it was and what to do."),
  ],
  possible: () => [
    "warn",
    "alert",
    t("You may have been near a case"),
    t(
      "It is possible, not certain. It does not mean that you are ill. Read what happened and what to do now.",
    ),
  ],
  confirmed: () => [
    "bad",
    "alert",
    t("Health staff confirm: you were in close contact"),
    t("Please stay at home and follow what the health station tells you."),
  ],
  cleared: () => [
    "good",
    "safe",
    t("Health staff say: all clear"),
    t("You are not counted as a close contact. You can live as usual."),
  ],
};

function draw(found) {
  const [tone, picture, title, text] = STANDING[found.state]();
  put("#standing", hero(tone, picture, "h1", title, text));
  put("#steps", found.state === "none" ? null : course(found.state));
  put("#warnings", found.warnings.map(warning));
  const exposed = found.state === "possible" || found.state === "confirmed";
  document.querySelector("#advice").hidden = !exposed;
  put("#todo", h("p", null, say(found.advice)), calls(found));
  put("#send", exposed ? sendCard(found) : null);
  put("#handovers", handoverCards(found.handovers, { refresh, changed: show }));
}

// The way a warning goes: what is behind stands out, what is to come is dashed.
function course(state) {
  const after = {
    confirmed: t("Confirmed by health staff"),
    cleared: t("Cleared by health staff"),
  }[state];
  const step = (done, name, words) =>
    h(
      "li",
      { class: done ? "done" : null, "aria-current": done && !words ? "step" : null },
      h("b", null, name),
      words,
    );
  return h(
    "ol",
    { class: "course", "aria-label": t("Where the warning stands") },
    step(true, t("1. Possible"), t("found by this phone")),
    step(
      Boolean(after),
      after ? `2. ${after}` : t("2. Health staff decide"),
      after ? "" : t("if you send your details or call"),
    ),
  );
}

function warning(found, index) {
  return h(
    "article",
    { class: "card" },
    h("h2", null, longDay(found.day)),
    h("p", null, say(found.text)),
    h(
      "dl",
      { class: "facts" },
      fact(t("Part of the day"), found.parts.map(say).join(", ")),
      fact(t("How long in all"), minutes(found.minutes)),
      fact(t("How near and how sure"), say(found.certainty)),
      fact(t("Noticed by this phone"), ago(found.noticed_at)),
    ),
    h(
      "details",
      { id: `why-${index}` },
      h("summary", null, t("Why does this phone say so?")),
      h(
        "ol",
        { class: "plain" },
        found.why.map((line) => h("li", null, say(line))),
      ),
      h(
        "p",
        { class: "quiet small" },
        t("The exact time is not shown: it could tell who the other person was."),
      ),
    ),
  );
}

const unbroken = (number) => number.replaceAll(" ", "\u00a0");
const tel = (number) => `tel:${number.replace(/[^\d+]/g, "")}`;

function calls({ station, hotline }) {
  return [
    station
      ? h(
          "div",
          { class: "place" },
          h("h3", null, station.name),
          station.address ? h("p", { class: "quiet" }, station.address) : null,
          station.phone
            ? h(
                "a",
                { class: "button main wide", id: "call-station", href: tel(station.phone) },
                icon("phone"),
                t("Call the health station: {number}", { number: unbroken(station.phone) }),
              )
            : null,
        )
      : h(
          "p",
          { class: "quiet" },
          t(
            "Say in the settings where you live, and the number of your health station appears here.",
          ),
          " ",
          h("a", { href: "settings.html" }, t("Settings")),
        ),
    hotline
      ? h(
          "a",
          {
            class: station?.phone ? "button wide" : "button main wide",
            id: "call-hotline",
            href: tel(hotline),
          },
          icon("phone"),
          t("Call the Ministry of Health: {number}", { number: unbroken(hotline) }),
        )
      : null,
  ];
}

function sendCard({ handovers }) {
  const again = handovers.some((one) => one.state !== "withdrawn");
  return h(
    "div",
    { class: "card" },
    h("h2", null, t("Let health staff call you")),
    h(
      "p",
      null,
      t(
        "If you like, send your details: then the health station can call you. You see exactly what is sent before it is sent, and you can withdraw it later.",
      ),
    ),
    h(
      "a",
      { class: "button", id: "send-details", href: "details.html" },
      icon("send"),
      again ? t("Send my details once more") : t("Send my details"),
    ),
  );
}

async function refresh(event) {
  const done = await act(event.currentTarget, () => post("handovers/refresh"));
  if (done) show(done.value);
}
