// Our own icons: 24 by 24, drawn with the text's colour.
import { s } from "./dom.js";

const PATHS = {
  home: "M4 11 12 4l8 7M6 10v9h4v-5h4v5h4v-9",
  around:
    "M12 12m-1.5 0a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0-3 0M7.8 16.2a6 6 0 0 1 0-8.4M16.2 7.8a6 6 0 0 1 0 8.4M5 19a10 10 0 0 1 0-14M19 5a10 10 0 0 1 0 14",
  history: "M5 5h14v15H5zM5 10h14M9 3v4M15 3v4M9 14h2M13 14h2M9 17h2",
  more: "M4 7h16M4 12h16M4 17h16",
  bluetooth: "M7 8l10 8-5 4V4l5 4L7 16",
  shield: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6z",
  safe: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM8.5 12l2.5 2.5 4.5-5",
  alert: "M12 4 2.8 20h18.4zM12 10v4.5M12 17.4v.1",
  check: "M5 13l4.5 4.5L19 7",
  clock: "M12 12m-9 0a9 9 0 1 0 18 0a9 9 0 1 0-18 0M12 7v5l3.5 2",
  people:
    "M9 8m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0M2.5 20c0-4 3-6.5 6.5-6.5s6.5 2.5 6.5 6.5M16 4.8a3.5 3.5 0 0 1 0 6.4M18 14c2.2.8 3.5 3 3.5 6",
  phone:
    "M5 4h4l1.5 5-2.5 1.5a12 12 0 0 0 5.5 5.5L15 13.5l5 1.5v4a1 1 0 0 1-1 1C11 20 4 13 4 5a1 1 0 0 1 1-1z",
  news: "M4 10v4h3l8 4V6L7 10zM18.5 9.5a4 4 0 0 1 0 5M7 14l1.5 6H11l-1-4.8",
  invite:
    "M10 8m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0M3.5 20c0-4 3-6.5 6.5-6.5 1.8 0 3.4.6 4.6 1.7M18 14v7M14.5 17.5h7",
  question:
    "M12 12m-9 0a9 9 0 1 0 18 0a9 9 0 1 0-18 0M9.5 9.5a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.8M12 16.6v.1",
  info: "M12 12m-9 0a9 9 0 1 0 18 0a9 9 0 1 0-18 0M12 11v5.5M12 7.6v.1",
  settings:
    "M4 7h9M17 7h3M4 17h3M11 17h9M15 7m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0M9 17m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0",
  bell: "M6 17V11a6 6 0 0 1 12 0v6l1.5 1.5h-15zM10 21h4",
  test: "M9 3h6M10 3v14a2 2 0 0 0 4 0V3M10 11h4",
  form: "M6 5h12v16H6zM9 3h6v4H9zM9 11h6M9 15h6",
  stay: "M4 11 12 4l8 7M6 10v9h12v-9M9 14l2.2 2.2L15 12.5",
  gate: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2.5v2.5H14zM17.5 17.5H20V20h-2.5z",
  go: "M9 5l7 7-7 7",
  back: "M15 5l-7 7 7 7",
  trash: "M5 7h14M10 4h4M7 7l1 13h8l1-13M10 11v5M14 11v5",
  send: "M4 12 20 4l-5 16-3.5-6.5zM11.5 13.5 20 4",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  share:
    "M18 5m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0M6 12m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0M18 19m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0M8.3 10.8l7.4-4.5M8.3 13.2l7.4 4.5",
  again: "M19 8a8 8 0 1 0 1 6M19.5 4v4.5H15",
  globe:
    "M12 12m-9 0a9 9 0 1 0 18 0a9 9 0 1 0-18 0M3 12h18M12 3c3 2.5 4 5.5 4 9s-1 6.5-4 9c-3-2.5-4-5.5-4-9s1-6.5 4-9",
  cross: "M6 6l12 12M18 6 6 18",
  off: "M12 4v8M7 6.5a8 8 0 1 0 10 0",
};

/** A picture for the eye; the words beside it carry the meaning. */
export function icon(name) {
  return s(
    "svg",
    {
      class: "icon",
      viewBox: "0 0 24 24",
      fill: "none",
      stroke: "currentColor",
      "stroke-width": 2,
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
      "aria-hidden": "true",
    },
    s("path", { d: PATHS[name] }),
  );
}

/** The mark of Bluezone: rings around a person. */
export function brand() {
  const ring = (r, opacity) =>
    s("circle", {
      cx: 16,
      cy: 16,
      r,
      fill: "none",
      stroke: "#1d6fd1",
      "stroke-width": 2.5,
      opacity,
    });
  return s(
    "svg",
    { viewBox: "0 0 32 32", "aria-hidden": "true" },
    ring(14, 0.35),
    ring(9, 0.7),
    s("circle", { cx: 16, cy: 16, r: 4.5, fill: "#1d6fd1" }),
  );
}

/** Fill the elements of a page that ask for one: <span data-icon="home"></span>. */
export function drawIcons(root = document) {
  for (const place of root.querySelectorAll("[data-icon]"))
    place.replaceWith(icon(place.dataset.icon));
}
