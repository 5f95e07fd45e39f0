// First start: what Bluezone does, consent, permissions, and what is not required.
import { act } from "./acts.js";
import { freshState, screen, state } from "./app.js";
import { ask, post } from "./ask.js";
import { $, h, put } from "./dom.js";
import { icon } from "./icons.js";
import { numberForm } from "./number.js";
import { note } from "./parts.js";
import { placeForm } from "./place.js";
import { language, t } from "./words.js";

const STEPS = [...document.querySelectorAll(".step")].map((section) => section.dataset.step);
let at = "notice";
let agreed = false;
let place = null; // the form of the last step, once it is drawn
let settings = null;

screen({ load, draw });

async function load() {
  if (state.started && at !== "done") location.replace("index.html");
  settings = await ask("settings");
  return settings;
}

function draw() {
  for (const section of document.querySelectorAll(".step"))
    section.hidden = section.dataset.step !== at;
  drawProgress();
  if (at === "permissions") drawRadio();
  if (at === "number") drawNumber();
  if (at === "place") place = placeForm("#place", place?.values() ?? settings);
}

function drawProgress() {
  const number = STEPS.indexOf(at) + 1;
  const pictures = number <= 3;
  put(
    "#progress",
    h(
      "div",
      { class: "steps", "aria-hidden": "true" },
      STEPS.map((_, index) => h("i", { class: index < number ? "done" : null })),
    ),
    h(
      "div",
      { class: "between" },
      number > 1 && at !== "done"
        ? h(
            "button",
            {
              class: "button text",
              id: "previous",
              type: "button",
              onclick: () => go(STEPS[number - 2]),
            },
            icon("back"),
            t("Back"),
          )
        : h("span"),
      h("span", { class: "quiet" }, t("Step {n} of {all}", { n: number, all: STEPS.length })),
      pictures
        ? h(
            "button",
            { class: "button text", id: "skip", type: "button", onclick: () => go("consent") },
            t("Skip"),
          )
        : at === "place"
          ? h(
              "button",
              { class: "button text", id: "skip", type: "button", onclick: () => begin({}) },
              t("Skip"),
            )
          : h("span"),
    ),
  );
}

function go(step) {
  at = step;
  draw();
  scrollTo(0, 0);
  const title = $(`[data-step="${step}"] h1`);
  title.tabIndex = -1;
  title.focus({ preventScroll: true });
}

for (const button of document.querySelectorAll(".next")) {
  button.addEventListener("click", () => go(STEPS[STEPS.indexOf(at) + 1]));
}

$("#agree").addEventListener("change", (event) => {
  agreed = event.target.checked;
  $("#consent-wrong").textContent = "";
});

$("#consent").addEventListener("click", () => {
  if (agreed) return go("permissions");
  $("#consent-wrong").textContent = t("Bluezone begins only once you have agreed.");
  $("#agree").focus();
});

async function drawRadio() {
  const radio = (await freshState().catch(() => state))?.radio;
  const [tone, text] = {
    on: ["good", t("Bluetooth is on. All is well.")],
    off: ["warn", t("Bluetooth is off now. Switch it on when you are ready.")],
    "no-permission": [
      "warn",
      t("Bluezone may not use Bluetooth yet. Allow it in the settings of this device."),
    ],
    unavailable: [
      "warn",
      t("No Bluetooth answers on this device. You can go on; Bluezone keeps trying."),
    ],
  }[radio] ?? ["warn", ""];
  put("#radio", note(tone, tone === "good" ? "check" : "bluetooth", text));
}

function drawNumber() {
  $("#skip-number").textContent = settings.phone_number
    ? t("Continue")
    : t("Skip, I do not want this");
  $("#skip-number").classList.toggle("main", Boolean(settings.phone_number));
  numberForm("#number", settings, (fresh) => {
    settings = fresh;
    drawNumber();
  });
}

$("#begin").addEventListener("click", () => begin(place.values()));

async function begin({ commune, carrier }) {
  const wish = { consent: agreed, language, commune: commune ?? null, carrier: carrier ?? null };
  const invitation = $("#invitation").value.trim();
  if (invitation) wish.invitation = invitation;
  if (!(await act($("#begin"), () => post("start", wish)))) return;
  go("done");
}
