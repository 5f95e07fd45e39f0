// My data: take a copy, delete, stop for good; each says first what happens.
import { act, confirmed } from "./acts.js";
import { state } from "./app.js";
import { ask, post } from "./ask.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./words.js";

export function dataCard() {
  const line = (text, ...buttons) => h("div", { class: "act line" }, h("p", null, text), buttons);
  return [
    line(
      t("A copy of everything that Bluezone keeps, as a file."),
      button("export", "copy", t("Take a copy"), takeCopy),
    ),
    line(
      t("Delete only the warnings. The contact history stays."),
      button(
        "delete-warnings",
        "trash",
        t("Delete the warnings"),
        () => forget("warnings"),
        "danger",
      ),
    ),
    line(
      t("Delete everything: history, keys, warnings, settings. Bluezone begins anew."),
      button(
        "delete-everything",
        "trash",
        t("Delete everything"),
        () => forget("everything"),
        "danger",
      ),
    ),
    state?.stopped
      ? line(t("Bluezone is stopped."), button("resume", "again", t("Begin again"), resume))
      : line(
          t(
            "Stop using Bluezone. Nothing is broadcast, heard or checked any more, and all data are deleted.",
          ),
          button("stop", "off", t("Stop using Bluezone"), stop, "danger"),
        ),
  ];
}

function button(id, picture, words, work, tone = "") {
  return h(
    "button",
    {
      class: `button ${tone}`.trim(),
      id,
      type: "button",
      onclick: (event) => work(event.currentTarget),
    },
    icon(picture),
    words,
  );
}

async function takeCopy(button) {
  const done = await act(button, () => ask("export"));
  if (!done) return;
  const file = new Blob([JSON.stringify(done.value, null, 2)], { type: "application/json" });
  const address = URL.createObjectURL(file);
  h("a", { href: address, download: "bluezone.json" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

const FORGET = {
  warnings: () => ({
    title: t("Delete the warnings?"),
    text: [
      t(
        "The warnings and what you know from them are gone. The health authority keeps what you sent; withdraw that first if you want.",
      ),
    ],
    yes: t("Delete the warnings"),
  }),
  everything: () => ({
    title: t("Delete everything?"),
    text: [
      t("History, keys, warnings and settings on this phone are gone for good."),
      t(
        "People whom you were near cannot be warned by you any more, nor you by them, about the past days.",
      ),
      t(
        "What you sent to the health authority stays there for up to 30 days. If you want it back, withdraw it first: afterwards nobody can.",
      ),
    ],
    yes: t("Delete everything"),
  }),
};

async function forget(what) {
  const button = document.querySelector(`#delete-${what}`);
  const done =
    (await confirmed(FORGET[what]())) &&
    (await act(button, () => post("delete", { what, confirm: true })));
  if (!done) return;
  if (what === "everything") location.assign("start.html");
  else button.after(h("span", { class: "saved", role: "status" }, t("Deleted.")));
}

async function stop(button) {
  const sure = await confirmed({
    title: t("Stop using Bluezone?"),
    text: [
      t("From now on nobody notices this phone, and it warns you of nothing."),
      t("All data on this phone are deleted at once."),
      t(
        "What you sent to the health authority stays there for up to 30 days. If you want it back, withdraw it first: afterwards nobody can.",
      ),
      t("You can begin again at any time, with an empty history."),
    ],
    yes: t("Stop using Bluezone"),
  });
  const done = sure && (await act(button, () => post("stop")));
  if (done) location.assign("index.html");
}

async function resume(button) {
  if (await act(button, () => post("resume"))) location.assign("start.html");
}
