// Messages of this phone: warnings and reminders, newest first.
import { screen } from "./app.js";
import { ask, post } from "./ask.js";
import { h, put } from "./dom.js";
import { ago } from "./format.js";
import { icon } from "./icons.js";
import { say, t } from "./words.js";

const PICTURES = {
  exposure: "alert",
  bluetooth: "bluetooth",
  check: "clock",
  news: "news",
  "health-staff": "people",
};
const LEADS = { exposure: "exposure.html", "health-staff": "exposure.html", news: "news.html" };

screen({ load, draw });

async function load() {
  const notices = await ask("notices");
  if (notices.items.some((item) => !item.read)) await post("notices/read").catch(() => {});
  return notices;
}

function draw({ items }) {
  put(
    "#notices",
    items.length === 0
      ? h("p", { class: "empty" }, t("This phone has told you nothing yet."))
      : h(
          "ul",
          { class: "rows" },
          items.map((item) => h("li", null, row(item))),
        ),
  );
}

function row(item) {
  const content = [
    icon(PICTURES[item.kind] ?? "bell"),
    h(
      "div",
      null,
      h(item.read ? "span" : "strong", null, say(item.text)),
      h("span", { class: "quiet" }, ago(item.time)),
    ),
    item.read ? null : h("span", { class: "tag" }, t("new")),
  ];
  return LEADS[item.kind]
    ? h("a", { href: LEADS[item.kind] }, content)
    : h("div", { class: "row" }, content);
}
