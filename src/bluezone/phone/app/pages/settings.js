// Settings: how it looks and works, where I live, my number, my data, and stopping.
import { act } from "./acts.js";
import { changeLook, screen, show } from "./app.js";
import { ask, post } from "./ask.js";
import { h, put } from "./dom.js";
import { announce } from "./frame.js";
import { dataCard } from "./mydata.js";
import { numberForm } from "./number.js";
import { choice } from "./parts.js";
import { placeForm } from "./place.js";
import { t } from "./words.js";

let place = null;

screen({ load: () => ask("settings"), draw });

function draw(settings) {
  put(
    "#look",
    group("language", t("Language"), settings, [
      ["vi", "Tiếng Việt"],
      ["en", "English"],
    ]),
    group("text_size", t("Text size"), settings, [
      ["normal", t("Normal")],
      ["large", t("Large")],
      ["largest", t("Largest")],
    ]),
    group("theme", t("Colours"), settings, [
      ["system", t("As the device")],
      ["light", t("Light")],
      ["dark", t("Dark")],
    ]),
  );
  put(
    "#works",
    group("battery", t("Battery"), settings, [
      ["usual", t("Usual"), t("Listens about every four minutes in company, every five alone, every ten at night.")],
      ["saving", t("Saving"), t("Listens less often: short meetings may be missed.")],
    ]),
    choice(
      {
        type: "checkbox",
        id: "desktop_notices",
        checked: settings.desktop_notices,
        onchange: (event) => change(event.target, { desktop_notices: event.target.checked }),
      },
      t("Show notices on this device"),
      t("A warning, Bluetooth off for an hour, no check for a day."),
    ),
  );
  place = placeForm("#place", place?.values() ?? settings);
  put(
    "#place-save",
    h(
      "button",
      { class: "button", id: "save-place", type: "button", onclick: savePlace },
      t("Save"),
    ),
  );
  numberForm("#number", settings, (fresh) => show(fresh));
  put(
    "#proof",
    choice(
      {
        type: "checkbox",
        id: "commitments",
        checked: settings.commitments,
        onchange: (event) => change(event.target, { commitments: event.target.checked }),
      },
      t("Send a nightly proof"),
      t("I agree that my phone sends these 32 bytes every day."),
    ),
  );
  put("#data", dataCard());
}

function group(name, label, settings, options) {
  return h(
    "fieldset",
    { class: "card choices" },
    h("legend", null, label),
    h(
      "div",
      { class: options.length === 2 && !options[0][2] ? "options pair" : "options" },
      options.map(([value, words, more]) =>
        choice(
          {
            type: "radio",
            name,
            id: `${name}-${value}`,
            value,
            checked: settings[name] === value,
            onchange: (event) => change(event.target, { [name]: value }),
          },
          name === "language" ? h("span", { lang: value }, words) : words,
          more,
        ),
      ),
    ),
  );
}

async function change(input, wish) {
  const done = await act(input, () => post("settings", wish));
  if (!done) return; // the refusal is told beside it
  await changeLook(wish);
  show(done.value);
  document.getElementById(input.id)?.focus();
  announce(t("Saved."));
}

async function savePlace(event) {
  const button = event.currentTarget;
  button.parentElement.querySelector(".saved")?.remove(); // said of what was saved before
  if (!place.whole()) return;
  const { commune, carrier } = place.values();
  const done = await act(button, () => post("settings", { commune, carrier }));
  if (!done) return;
  button.after(h("span", { class: "saved", role: "status" }, t("Saved.")));
}
