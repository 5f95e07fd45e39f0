// A row of a menu, with a picture, its meaning, and how much is unread behind it.
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./words.js";

export function entry(picture, href, name, meaning, unread = 0) {
  const arrow = icon("go");
  arrow.setAttribute("class", "icon go");
  return h(
    "li",
    null,
    h(
      "a",
      { href, id: `to-${href.split(".")[0]}` },
      icon(picture),
      h("div", null, h("strong", null, name), h("span", { class: "quiet" }, meaning)),
      unread
        ? h(
            "span",
            { class: "badge" },
            String(unread),
            h("span", { class: "sr" }, ` ${t("unread")}`),
          )
        : null,
      arrow,
    ),
  );
}
