// News: signed announcements of the health authority; opening the page marks them read.
import { screen } from "./app.js";
import { ask, post } from "./ask.js";
import { h, put } from "./dom.js";
import { ago, dateTime } from "./format.js";
import { note } from "./parts.js";
import { say, t } from "./words.js";

screen({ load, draw });

async function load() {
  const news = await ask("news");
  const unread = news.items.filter((item) => !item.read).map((item) => item.id);
  // The page keeps showing them as new until it is left.
  if (unread.length > 0) await post("news/read", { ids: unread }).catch(() => {});
  return news;
}

function draw({ items, checked_at, error }) {
  put(
    "#news",
    error ? note("warn", "alert", say(error)) : null,
    items.length === 0
      ? h("p", { class: "empty" }, t("There is no news at the moment."))
      : items.map(article),
  );
  put(
    "#checked",
    checked_at
      ? t(
          "Last asked {ago}. Every piece of news carries the signature of the authority, which this phone has checked.",
          { ago: ago(checked_at) },
        )
      : t("Not asked for yet."),
  );
}

function article(item) {
  return h(
    "article",
    { class: "card" },
    h(
      "p",
      { class: "tags" },
      item.important ? h("span", { class: "tag", "data-tone": "bad" }, t("important")) : null,
      item.read ? null : h("span", { class: "tag" }, t("new")),
    ),
    h("h2", null, say(item.title)),
    h("p", { class: "quiet small" }, dateTime(item.published_at)),
    say(item.body)
      .split(/\n\s*\n/)
      .map((part) => h("p", null, part)),
  );
}
