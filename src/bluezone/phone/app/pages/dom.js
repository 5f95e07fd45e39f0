// Building the page: elements, pictures, and the change of a part of it.
const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** An element: h("p", { class: "quiet" }, "text", child). `onclick` and the like listen. */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of a picture. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export const $ = (selector, root = document) => root.querySelector(selector);

/** New content of an element; the keyboard's place (by id) and open details survive. */
export function put(place, ...children) {
  const element = typeof place === "string" ? $(place) : place;
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  const open = new Set([...element.querySelectorAll("details[open][id]")].map((part) => part.id));
  element.replaceChildren();
  fill(element, null, children);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  return element;
}

const drawn = new WeakMap();

/** `put`, if `key` is another than last time: what is read aloud or pressed stays otherwise. */
export function putIfNew(place, key, build) {
  const element = $(place);
  if (drawn.get(element) === key) return;
  drawn.set(element, key);
  put(element, build());
}

/** What a form holds: texts trimmed, checkboxes as true or false. */
export function values(form) {
  const found = {};
  for (const input of form.elements) {
    if (!input.name) continue;
    if (input.type === "checkbox") found[input.name] = input.checked;
    else if (input.type !== "radio" || input.checked) found[input.name] = input.value.trim();
  }
  return found;
}
