// About: the ledger of what left this phone, the Bluetooth controller, the version.
import { screen } from "./app.js";
import { ask } from "./ask.js";
import { h, put } from "./dom.js";
import { bytes, dateTime, number } from "./format.js";
import { icon } from "./icons.js";
import { fact } from "./parts.js";
import { say, t } from "./words.js";

const AT_ONCE = 50; // entries shown before the owner asks for all
let all = false;
let shownAbout = null;

screen({ load, draw });

async function load() {
  const [about, ledger] = await Promise.all([ask("about"), ask("ledger")]);
  return { about, ledger };
}

function draw(found) {
  shownAbout = found;
  const { about, ledger } = found;
  put(
    "#ledger",
    ledger.entries.length === 0
      ? h("p", null, t("Nothing has left this phone yet."))
      : [sums(ledger), entries(ledger)],
  );
  put(
    "#controller",
    h("p", null, h("strong", null, about.controller)),
    h(
      "ul",
      { class: "can" },
      about.capabilities.map((one) =>
        h(
          "li",
          { class: one.can ? "yes" : "no" },
          icon(one.can ? "check" : "cross"),
          h(
            "span",
            null,
            say(one.text),
            h("span", { class: "sr" }, one.can ? t("(possible)") : t("(not possible)")),
          ),
        ),
      ),
    ),
  );
  put(
    "#version",
    h(
      "dl",
      { class: "facts" },
      fact(t("Version"), about.version),
      fact(t("Licence"), about.licence),
      fact(t("Source text"), h("code", null, about.source)),
      fact(t("Service"), h("code", null, about.service)),
      fact(t("Key of the diary"), say(about.key_place)),
      fact(t("Folder of the data"), h("code", null, about.home)),
    ),
    h("h3", { class: "after" }, t("Root keys that this phone believes")),
    h(
      "p",
      { class: "quiet small" },
      t("Compare these fingerprints with those that the Ministry of Health publishes."),
    ),
    about.pins.map((pin) => h("pre", null, pin)),
  );
}

function sums({ sums }) {
  const total = (name) => sums.reduce((sum, one) => sum + one[name], 0);
  return [
    h(
      "p",
      null,
      t("{times} exchanges: {sent} sent, {received} received.", {
        times: number(total("times")),
        sent: bytes(total("sent")),
        received: bytes(total("received")),
      }),
    ),
    h(
      "ul",
      { class: "sums" },
      sums.map((one) =>
        h(
          "li",
          null,
          h("strong", null, say(one.what)),
          h(
            "span",
            { class: "quiet" },
            t("{times} times · {sent} sent · {received} received", {
              times: number(one.times),
              sent: bytes(one.sent),
              received: bytes(one.received),
            }),
          ),
        ),
      ),
    ),
  ];
}

function entries({ entries }) {
  const shown = all ? entries : entries.slice(0, AT_ONCE);
  return h(
    "details",
    { id: "every-exchange" },
    h("summary", null, t("Every exchange")),
    h("ul", { class: "sums" }, shown.map(entry)),
    shown.length < entries.length
      ? h(
          "button",
          { class: "button", id: "show-all", type: "button", onclick: showAll },
          t("Show all {n}", { n: number(entries.length) }),
        )
      : null,
  );
}

function showAll() {
  all = true;
  draw(shownAbout);
}

function entry(one) {
  return h(
    "li",
    null,
    h("strong", null, say(one.what)),
    h(
      "span",
      { class: "quiet" },
      dateTime(one.time),
      " · ",
      t("{sent} sent, {received} received", {
        sent: bytes(one.sent),
        received: bytes(one.received),
      }),
      one.ok ? "" : ` · ${t("failed")}`,
    ),
    h("code", { class: "small" }, one.address),
  );
}
