// A day as a picture: time from left to right, a bar for each person, its look by closeness.
import { s } from "./dom.js";
import { number } from "./format.js";
import { t } from "./words.js";

const WIDTH = 320;
const LEFT = 6;
const HOUR = (WIDTH - 2 * LEFT) / 24;
const MOST_LANES = 26; // a crowd: more than this are drawn over one another
const DEPTH = { near: 3, middle: 2, far: 1 };

/** The SVG of a HistoryDay. */
export function timeline(day) {
  const midnight = Date.parse(`${day.day}T00:00:00+07:00`) / 1000;
  const lanes = intoLanes(day.contacts);
  const count = Math.max(...lanes.map(({ lane }) => lane)) + 1;
  const step = count > 12 ? 6 : count > 5 ? 10 : 16;
  const height = 8 + Math.max(4, count) * step;
  const x = (time) => LEFT + Math.max(0, Math.min(24, (time - midnight) / 3600)) * HOUR;
  return s(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${height + 18}`,
      class: "timeline",
      role: "img",
      "aria-label": t(
        "Picture of the day from 0 to 24 h with {n} contacts; the list below says the same.",
        { n: number(day.contacts.length) },
      ),
    },
    [0, 3, 6, 9, 12, 15, 18, 21, 24].map((hour) =>
      s("path", { class: hour % 6 ? "fine" : "hour", d: `M${LEFT + hour * HOUR} 0V${height}` }),
    ),
    [0, 6, 12, 18, 24].map((hour) =>
      s(
        "text",
        {
          x: LEFT + hour * HOUR,
          y: height + 14,
          "text-anchor": hour === 0 ? "start" : hour === 24 ? "end" : "middle",
        },
        String(hour),
      ),
    ),
    lanes.map(({ contact, lane }) => {
      const left = x(contact.start);
      const depth = (DEPTH[contact.closeness] * (step - 1)) / 3;
      return s("rect", {
        class: contact.closeness,
        x: left,
        y: 4 + lane * step + (step - 1 - depth) / 2,
        width: Math.max(2.5, x(contact.end) - left),
        height: depth,
        rx: Math.min(1, depth / 2),
      });
    }),
  );
}

// Contacts at the same time stand below one another, the earliest on top.
function intoLanes(contacts) {
  const ends = [];
  return [...contacts]
    .sort((one, other) => one.start - other.start)
    .map((contact) => {
      let lane = ends.findIndex((end) => end + 300 < contact.start);
      if (lane < 0) lane = Math.min(ends.length, MOST_LANES - 1);
      ends[lane] = Math.max(ends[lane] ?? 0, contact.end);
      return { contact, lane };
    });
}
