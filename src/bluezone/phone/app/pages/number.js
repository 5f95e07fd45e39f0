// The telephone number: entered, confirmed by the code that arrives, taken away again.
import { act, confirmed } from "./acts.js";
import { post, remove } from "./ask.js";
import { h, put, values } from "./dom.js";
import { clock, now, telephone } from "./format.js";
import { t } from "./words.js";

let sent = null; // the NumberSent of a code under way

/** Draw the form into `place`; `changed(settings)` hears of a number confirmed or taken away. */
export function numberForm(place, settings, changed) {
  const again = () => numberForm(place, settings, changed);
  if (settings.phone_number) put(place, confirmedNumber(settings, changed));
  else if (sent && sent.expires_at > now()) put(place, codeForm(again, changed));
  else put(place, entryForm(again));
}

function confirmedNumber({ phone_number }, changed) {
  const take = async (event) => {
    const button = event.currentTarget;
    const sure = await confirmed({
      title: t("Remove your telephone number?"),
      text: t("It is deleted from this phone. The service has not kept it."),
      yes: t("Remove the number"),
    });
    const done = sure && (await act(button, () => remove("number")));
    if (done) changed(done.value);
  };
  return h(
    "div",
    { class: "act" },
    h(
      "p",
      null,
      h("strong", null, telephone(phone_number)),
      " ",
      h("span", { class: "tag", "data-tone": "good" }, t("confirmed")),
    ),
    h(
      "button",
      { class: "button danger", id: "number-remove", type: "button", onclick: take },
      t("Remove the number"),
    ),
  );
}

function entryForm(again) {
  const send = async (event) => {
    event.preventDefault();
    const { phone_number } = values(event.target);
    const done = await act(event.submitter ?? event.target.querySelector("button"), () =>
      post("number", { phone_number }),
    );
    if (!done) return;
    sent = done.value;
    again();
    document.querySelector("#number-code").focus();
  };
  return h(
    "form",
    { onsubmit: send, novalidate: true },
    h(
      "div",
      { class: "field" },
      h("label", { for: "number-entry" }, t("Telephone number")),
      h("input", {
        id: "number-entry",
        name: "phone_number",
        type: "tel",
        autocomplete: "tel",
        inputmode: "tel",
        required: true,
        placeholder: "0912 345 678",
      }),
    ),
    h(
      "div",
      { class: "act" },
      h(
        "button",
        { class: "button main wide", id: "number-send", type: "submit" },
        t("Send me a code"),
      ),
    ),
  );
}

function codeForm(again, changed) {
  const check = async (event) => {
    event.preventDefault();
    const code = values(event.target).code.replace(/\D/g, "");
    const done = await act(event.submitter ?? event.target.querySelector("button"), () =>
      post("number/confirm", { code }),
    );
    if (!done) return;
    sent = null;
    changed(done.value);
  };
  const other = () => {
    sent = null;
    again();
  };
  return h(
    "form",
    { onsubmit: check, novalidate: true },
    h(
      "p",
      null,
      t("A code was sent to {number}. It is valid until {time}.", {
        number: telephone(sent.phone_number),
        time: clock(sent.expires_at),
      }),
    ),
    h(
      "div",
      { class: "field" },
      h("label", { for: "number-code" }, t("The code you received")),
      h("input", {
        id: "number-code",
        class: "code",
        name: "code",
        inputmode: "numeric",
        autocomplete: "one-time-code",
        maxlength: 9,
        required: true,
      }),
    ),
    h(
      "div",
      { class: "act" },
      h(
        "button",
        { class: "button main wide", id: "number-check", type: "submit" },
        t("Confirm the number"),
      ),
      h(
        "button",
        { class: "button text", type: "button", id: "number-other", onclick: other },
        t("Another number"),
      ),
    ),
  );
}
