// Send my details: a form, a preview of exactly what is sent, consent, a receipt.
import { act } from "./acts.js";
import { screen } from "./app.js";
import { ask, post } from "./ask.js";
import { $, h, put, values } from "./dom.js";
import { telephone } from "./format.js";
import { announce } from "./frame.js";
import { receiptFacts } from "./handovers.js";
import { choice, hero } from "./parts.js";
import { placeForm } from "./place.js";
import { aboutWhom, consentForm, previewCard } from "./preview.js";
import { t } from "./words.js";

let step = "form";
let wish = null; // what the form said last
let place = null;
let preview = null;
let receipt = null;

let known = {};

screen({ load: () => ask("settings"), draw });

function draw(settings) {
  known = settings;
  wish ??= {
    name: "",
    phone_number: settings.phone_number ? telephone(settings.phone_number).replaceAll(" ", "") : "",
    commune: settings.commune ?? "",
    province: settings.province,
    about: "self",
    days: true,
    proof: false,
    note: "",
  };
  if (step === "form" && $("#details-form")) keep(); // typed already when the language changes
  put("#flow", { form, check, done }[step]());
  if (step === "form") place = placeForm("#place", { ...wish, phone_carrier: false });
}

function go(next) {
  step = next;
  put("#flow");
  draw(known);
  scrollTo(0, 0);
  const title = $("#flow h2");
  title.tabIndex = -1;
  title.focus({ preventScroll: true });
}

function keep() {
  const { commune, province } = place.values();
  const form = values($("#details-form"));
  wish = {
    name: form.name,
    phone_number: form.phone_number,
    about: form.about,
    days: form.days,
    proof: form.proof,
    note: form.note,
    commune: commune ?? "",
    province,
  };
}

function question() {
  const { name, phone_number, commune, about, days, proof, note } = wish;
  return { name, phone_number, commune, about, days, proof, note };
}

function field(name, label, options = {}) {
  const { hint, tag = "input", ...attributes } = options;
  const input = h(
    tag,
    {
      id: name,
      name,
      value: tag === "input" ? wish[name] : null,
      "aria-describedby": hint ? `${name}-hint` : null,
      ...attributes,
    },
    tag === "textarea" ? wish[name] : null,
  );
  return h(
    "div",
    { class: "field" },
    h("label", { for: name }, label),
    input,
    hint ? h("p", { class: "quiet", id: `${name}-hint` }, hint) : null,
  );
}

function form() {
  const look = async (event) => {
    event.preventDefault();
    keep();
    const done = await act(event.submitter ?? $("#look"), () =>
      post("details/preview", question()),
    );
    if (!done) return;
    preview = done.value;
    go("check");
  };
  return h(
    "form",
    { id: "details-form", onsubmit: look, novalidate: true },
    h("h2", { class: "sr" }, t("Your details")),
    h("p", null, t("Nothing is sent yet. Fill in only what you want to tell.")),
    aboutWhom(wish.about),
    field("name", t("Your name"), { autocomplete: "name", maxlength: 100 }),
    field("phone_number", t("Telephone number"), {
      type: "tel",
      inputmode: "tel",
      autocomplete: "tel",
      hint: t("So that health staff can call."),
    }),
    h("div", { id: "place" }),
    choice(
      { type: "checkbox", name: "days", checked: wish.days },
      t("Also send the days of the warning"),
      t("Day, part of the day and minutes. No place, and nobody else."),
    ),
    choice(
      { type: "checkbox", name: "proof", checked: wish.proof },
      t("Also send proof of these encounters"),
      t(
        "I agree to open what my phone recorded of the phone of the confirmed case on these days, and the random keys of my phone of these days. With them the service can look whether the other phone recorded mine, and then it deletes them. Nobody else you met is in it.",
      ),
    ),
    field("note", t("Something else to tell"), {
      tag: "textarea",
      maxlength: 500,
      hint: t("For example an illness, or when you can be reached."),
    }),
    h(
      "div",
      { class: "act" },
      h(
        "button",
        { class: "button main wide", id: "look", type: "submit" },
        t("See what would be sent"),
      ),
    ),
  );
}

function check() {
  const send = async (button) => {
    const done = await act(button, () => post("details", { ...question(), consent: true }));
    if (!done) return;
    receipt = done.value;
    go("done");
    announce(t("Your details were sent."));
  };
  return [
    previewCard(preview),
    consentForm(
      t("I agree that this is sent to the health authority, only for tracing this disease."),
      { send, back: () => go("form"), label: t("Send") },
    ),
  ];
}

function done() {
  return [
    hero(
      "good",
      "check",
      "h2",
      t("Your details were sent."),
      t(
        "The health station reads them and calls you. " +
          "You can withdraw them at any time on the page of the warning.",
      ),
    ),
    h("section", { class: "card" }, receiptFacts(receipt)),
    h("a", { class: "button main wide", href: "exposure.html" }, t("To the warning")),
  ];
}
