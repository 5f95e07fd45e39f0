// Small pieces that many pages are made of.
import { h } from "./dom.js";
import { icon } from "./icons.js";

/** What, and its value: a line of <dl class="facts">. */
export function fact(name, ...value) {
  return h("div", null, h("dt", null, name), h("dd", null, ...value));
}

/** A sentence that stands out; `tone` is good, warn, bad or null. */
export function note(tone, picture, ...content) {
  const lines = content.map((part) => (typeof part === "string" ? h("p", null, part) : part));
  return h("div", { class: "note", "data-tone": tone }, icon(picture), h("div", null, lines));
}

/** A box or circle to tick, with its words, and more of them in small. */
export function choice(attributes, words, more) {
  const text = h("span", null, words, more ? h("small", null, more) : null);
  return h("label", { class: "choice" }, h("input", attributes), text);
}

/** The one big sentence of a page. `level` is its heading's. */
export function hero(tone, picture, level, title, ...content) {
  const lines = content.map((part) => (typeof part === "string" ? h("p", null, part) : part));
  const mark = h("div", { class: "mark" }, icon(picture), h(level, null, title));
  return h("section", { class: "hero", "data-tone": tone }, mark, lines);
}
