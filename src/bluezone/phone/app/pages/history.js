// History: fourteen days as a calendar, one day as a timeline, words beside both.
import { act, confirmed } from "./acts.js";
import { screen, show } from "./app.js";
import { ask, remove } from "./ask.js";
import { h, put } from "./dom.js";
import { clock, dayNumber, longDay, minutes, number, people, weekday } from "./format.js";
import { icon } from "./icons.js";
import { timeline } from "./timeline.js";
import { t } from "./words.js";

let chosen = null; // an ISO day
let shown = null;

screen({ load: () => ask("history"), draw });

function draw(history) {
  shown = history;
  const { days } = history;
  const oldestFirst = [...days].reverse();
  if (!days.some((one) => one.day === chosen))
    chosen = (days.find((one) => one.people > 0) ?? days[0])?.day;
  put("#calendar", calendar(oldestFirst));
  const day = days.find((one) => one.day === chosen);
  put("#day", day ? theDay(day) : h("p", null, t("Nothing is kept yet.")));
  put(
    "#all",
    days.some((one) => one.people > 0)
      ? h(
          "button",
          { class: "button danger", id: "delete-all", type: "button", onclick: forgetAll },
          icon("trash"),
          t("Delete the whole history"),
        )
      : null,
  );
}

function calendar(days) {
  const most = Math.max(1, ...days.map((one) => one.people));
  return h(
    "ol",
    { class: "calendar" },
    days.map((one) => h("li", null, cell(one, most))),
  );
}

function cell(day, most) {
  const size = day.people === 0 ? 0 : 1 + Math.ceil((3 * day.people) / most); // 2, 3 or 4
  return h(
    "button",
    {
      id: `day-${day.day}`,
      type: "button",
      "aria-pressed": String(day.day === chosen),
      "aria-label": `${longDay(day.day)}: ${inWords(day)}`,
      onclick: () => {
        chosen = day.day;
        draw(shown);
      },
    },
    h("span", { class: "weekday" }, weekday(day.day)),
    h("span", { class: "date" }, String(dayNumber(day.day))),
    h("span", { class: "amount", "data-size": size }, day.people === 0 ? "–" : number(day.people)),
  );
}

function theDay(day) {
  return [
    h("h2", null, longDay(day.day)),
    h("p", { class: "big" }, inWords(day)),
    day.people === 0
      ? h("p", { class: "quiet" }, t("No phone with Bluezone was heard on this day."))
      : [
          h(
            "p",
            null,
            t("At least {least}, at most {most}. Together {time}, of which {near} near.", {
              least: people(day.people_least),
              most: people(day.people_most),
              time: minutes(day.minutes),
              near: minutes(day.near_minutes),
            }),
          ),
          timeline(day),
          legend(),
          asList(day),
          h(
            "div",
            { class: "act" },
            h(
              "button",
              {
                class: "button danger",
                id: "delete-day",
                type: "button",
                onclick: (event) => forgetDay(event, day),
              },
              icon("trash"),
              t("Delete this day"),
            ),
          ),
        ],
  ];
}

function inWords(day) {
  return day.people === 0 ? t("nobody") : t("about {people}", { people: people(day.people) });
}

const CLOSENESS = {
  near: () => t("near, probably within 2 m"),
  middle: () => t("a few metres"),
  far: () => t("farther away"),
};

function legend() {
  return h(
    "ul",
    { class: "legend" },
    Object.entries(CLOSENESS).map(([name, words]) =>
      h("li", null, h("i", { class: name, "aria-hidden": "true" }), words()),
    ),
  );
}

function asList(day) {
  return h(
    "details",
    { id: "as-list" },
    h("summary", null, t("The same as a list")),
    h(
      "ul",
      { class: "sums" },
      day.contacts.map((one) =>
        h(
          "li",
          null,
          h("strong", null, `${clock(one.start)} – ${clock(one.end)}`),
          h("span", { class: "quiet" }, `${minutes(one.minutes)}, ${CLOSENESS[one.closeness]()}`),
        ),
      ),
    ),
  );
}

async function forgetDay(event, day) {
  const button = event.currentTarget;
  const sure = await confirmed({
    title: t("Delete {day}?", { day: longDay(day.day) }),
    text: [
      t("What this phone heard on that day is gone for good."),
      t("If somebody from that day is found ill later, you are not warned of it."),
    ],
    yes: t("Delete this day"),
  });
  const done = sure && (await act(button, () => remove(`history/${day.day}`)));
  if (done) show(done.value);
}

async function forgetAll(event) {
  const button = event.currentTarget;
  const sure = await confirmed({
    title: t("Delete the whole history?"),
    text: [
      t("What this phone heard in 14 days is gone for good."),
      t("If somebody whom you were near is found ill later, you are not warned of it."),
    ],
    yes: t("Delete everything heard"),
  });
  const done = sure && (await act(button, () => remove("history")));
  if (done) show(done.value);
}
