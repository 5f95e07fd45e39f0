// What stands around every page: the head with the language, the tabs, the banner, the live region.
import { $, h, put } from "./dom.js";
import { brand, icon } from "./icons.js";
import { language, otherLanguage, t } from "./words.js";

const TABS = [
  ["home", "index.html", () => t("Home")],
  ["around", "around.html", () => t("Around")],
  ["history", "history.html", () => t("History")],
  ["more", "more.html", () => t("More")],
];
const NAMES = { vi: "Tiếng Việt", en: "English" };

/** Draw the frame anew, in the language of now. `page` is the body's data. */
export function drawFrame(page, { onLanguage, unread }) {
  if (!$(".top")) {
    document.body.prepend(
      h("a", { class: "skip", href: "#content" }),
      h("header", { class: "top" }),
      h("div", { class: "banner", role: "alert", hidden: true }),
    );
    document.body.append(h("div", { id: "said", class: "sr", "aria-live": "polite" }));
    if (page.tab !== "none") document.body.append(h("nav", { class: "tabs" }));
  }
  $(".skip").textContent = t("Skip to the content");
  const other = otherLanguage();
  put(
    ".top",
    page.back
      ? h("a", { class: "back", href: page.back, id: "back" }, icon("back"), t("Back"))
      : page.tab === "none"
        ? h("span", { class: "brand" }, brand(), "Bluezone")
        : h("a", { class: "brand", href: "index.html" }, brand(), "Bluezone"),
    h(
      "button",
      {
        class: "tongue",
        id: "tongue",
        type: "button",
        lang: other,
        onclick: () => onLanguage(other),
      },
      icon("globe"),
      NAMES[other],
    ),
  );
  if (page.tab === "none") return;
  $(".tabs").setAttribute("aria-label", t("Main pages"));
  put(
    ".tabs",
    TABS.map(([name, href, label]) =>
      h(
        "a",
        {
          href,
          id: `tab-${name}`,
          "aria-current": name === page.tab ? (isAt(href) ? "page" : "true") : null,
        },
        icon(name),
        label(),
        name === "more" && unread > 0
          ? h(
              "span",
              { class: "badge" },
              String(unread),
              h("span", { class: "sr" }, ` ${t("unread")}`),
            )
          : null,
      ),
    ),
  );
}

function isAt(href) {
  return (
    location.pathname.endsWith(`/${href}`) ||
    (href === "index.html" && location.pathname.endsWith("/"))
  );
}

/** Tell a screen reader; nothing is seen. */
export function announce(text) {
  const place = $("#said");
  if (place && place.textContent !== text) place.textContent = text;
}

let trouble = "";

/** The banner over every page while nobody answers, or while the page is not let in. */
export function showTrouble(news, again) {
  const banner = $(".banner");
  if (!banner || (news === trouble && news !== "redraw")) return;
  if (news !== "redraw") trouble = news === "answer" ? "" : news;
  banner.hidden = trouble === "";
  if (trouble === "silence") {
    put(
      banner,
      h(
        "p",
        null,
        h("strong", null, t("Bluezone is not running on this device.")),
        " ",
        t("Nobody nearby is noticed. Start it again; this page goes on by itself."),
      ),
      h(
        "button",
        { class: "button", id: "again", type: "button", onclick: again },
        icon("again"),
        t("Try again"),
      ),
    );
  } else if (trouble === "locked") {
    put(
      banner,
      h(
        "p",
        null,
        h("strong", null, t("This page is locked.")),
        " ",
        t("Open it from the device itself, with the command"),
        " ",
        h("code", null, "bluezone phone open"),
      ),
    );
  }
  document.documentElement.lang = language;
}
