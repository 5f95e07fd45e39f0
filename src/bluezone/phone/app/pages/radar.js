// The radar: this phone in the middle, others by the strength of their signal.
import { s } from "./dom.js";
import { t } from "./words.js";

const SIZE = 320;
const MIDDLE = SIZE / 2;
const NEAR = 62; // the ring within which a phone is probably nearer than 2 m
const EDGE = 148;
const STRONG = -45; // dBm at the centre and at the edge of the picture
const WEAK = -100;

/** Draw `seen` into `place`. Dots are kept by their mask, so that they glide rather than jump. */
export function drawRadar(place, around, seen) {
  const picture = place.querySelector("svg") ?? place.appendChild(empty());
  picture.setAttribute(
    "aria-label",
    t("Picture of the phones around; the lists below say the same."),
  );
  picture.classList.toggle("listening", around.listening && around.radio === "on");
  picture.querySelector(".ring-name").textContent = t("about 2 m");
  const dots = picture.querySelector(".dots");
  const old = new Map([...dots.children].map((dot) => [dot.dataset.mask, dot]));
  for (const one of seen) {
    const dot = old.get(one.mask) ?? dots.appendChild(newDot(one.mask));
    old.delete(one.mask);
    const [x, y] = whereIs(one);
    dot.style.transform = `translate(${x}px, ${y}px)`; // through the CSSOM: the policy allows it
    dot.setAttribute("opacity", Math.max(0.15, 1 - one.age / 30).toFixed(2));
    dot.setAttribute("class", one.near ? "near" : "far");
  }
  for (const gone of old.values()) gone.remove();
}

function empty() {
  const ring = (r, name) => s("circle", { cx: MIDDLE, cy: MIDDLE, r, class: name });
  return s(
    "svg",
    { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", class: "radar" },
    ring(EDGE, "disc"),
    ring(104, "ring"),
    ring(NEAR, "inner"),
    s("path", {
      class: "beam",
      d: `M${MIDDLE} ${MIDDLE}V${MIDDLE - EDGE}A${EDGE} ${EDGE} 0 0 1 ${MIDDLE + EDGE * 0.7} ${MIDDLE - EDGE * 0.7}Z`,
    }),
    s("text", { class: "ring-name", x: MIDDLE, y: MIDDLE + NEAR + 15, "text-anchor": "middle" }),
    s("g", { class: "dots" }),
    ring(11, "self"),
    ring(4, "heart"),
  );
}

function newDot(mask) {
  const dot = s("g", {}, s("circle", { r: 9 }), s("circle", { r: 3.5, class: "heart" }));
  dot.dataset.mask = mask;
  return dot;
}

// The direction is unknown: each mask has one of its own, so that dots stay apart.
function whereIs({ mask, near, level }) {
  let turn = 7;
  for (const letter of mask) turn = Math.imul(turn ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  const angle = (turn % 3600) * (Math.PI / 1800);
  const part = Math.max(0, Math.min(1, (STRONG - level) / (STRONG - WEAK)));
  const distance = near ? 24 + part * (NEAR - 36) : Math.max(NEAR + 14, 20 + part * (EDGE - 32));
  return [MIDDLE + distance * Math.cos(angle), MIDDLE + distance * Math.sin(angle)].map(Math.round);
}
