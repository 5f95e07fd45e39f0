// More: the menu of everything that has no tab.
import { screen, state } from "./app.js";
import { put } from "./dom.js";
import { entry } from "./rows.js";
import { t } from "./words.js";

screen({ load: async () => state, draw });

function draw(now) {
  put("#menu", [
    entry("test", "report.html", t("I tested positive"), t("Warn the people who were near you")),
    entry("alert", "exposure.html", t("Warning"), t("Was I near a case, and what to do")),
    entry("news", "news.html", t("News"), t("From the health authority"), now?.unread_news),
    entry(
      "bell",
      "notices.html",
      t("Messages of this phone"),
      t("Warnings and reminders"),
      now?.unread_notices,
    ),
    entry(
      "invite",
      "invite.html",
      t("Invite people"),
      t("The more take part, the more are warned"),
    ),
    entry("question", "faq.html", t("Questions and answers"), t("What Bluezone can and cannot do")),
    entry("settings", "settings.html", t("Settings"), t("Language, text size, my data, stop")),
    entry("info", "about.html", t("About Bluezone"), t("What leaves this phone, version, source")),
  ]);
}
