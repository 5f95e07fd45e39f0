// Words in the owner's language. A message is its English sentence; the catalogue has the rest.
const LANGUAGES = ["vi", "en"];
const WORDS = "bluezone-words";
const ATTRIBUTES = ["aria-label", "placeholder", "alt"];
const english = new WeakMap(); // element → the sentence that it came with

export let language = "vi";
let words = {};

/** The sentence in the chosen language, its {named} places filled in. */
export function t(sentence, values = {}) {
  const text = words[sentence] ?? sentence;
  return text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
}

/** A sentence that the core gave in every language. */
export function say(text) {
  return text?.[language] || text?.vi || text?.en || "";
}

/** The language that is not chosen. */
export function otherLanguage() {
  return LANGUAGES.find((code) => code !== language);
}

/** Speak `code` from now on. `fetchWords(code)` is asked once a session. */
export async function speak(code, fetchWords) {
  if (code === "en") words = {};
  else words = remembered(code) ?? (await fetchWords(code).then((found) => remember(code, found)));
  language = code;
  document.documentElement.lang = code;
}

function remembered(code) {
  try {
    return JSON.parse(sessionStorage.getItem(`${WORDS}-${code}`));
  } catch {
    return null;
  }
}

function remember(code, found) {
  try {
    sessionStorage.setItem(`${WORDS}-${code}`, JSON.stringify(found));
  } catch {
    // A browser that keeps nothing asks again on the next page.
  }
  return found;
}

/** Translate every element with `data-t`, and attributes named `data-t-…`. */
export function translatePage(root = document) {
  for (const element of root.querySelectorAll("[data-t]")) {
    if (!english.has(element))
      english.set(element, element.textContent.replace(/\s+/g, " ").trim());
    const text = t(english.get(element));
    element.textContent = element.tagName === "TITLE" ? `${text} · Bluezone` : text;
  }
  for (const name of ATTRIBUTES) {
    for (const element of root.querySelectorAll(`[data-t-${name}]`)) {
      element.setAttribute(name, t(element.getAttribute(`data-t-${name}`)));
    }
  }
}
