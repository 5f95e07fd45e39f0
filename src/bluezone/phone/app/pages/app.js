// Every page begins here: the look, the words, the frame, and the page's own data drawn into it.
import { sentence } from "./acts.js";
import { Refusal, Silence, ask, listeners, post } from "./ask.js";
import { $, h, put } from "./dom.js";
import { setNow } from "./format.js";
import { announce, drawFrame, showTrouble } from "./frame.js";
import { drawIcons, icon } from "./icons.js";
import { note } from "./parts.js";
import { language, speak, t, translatePage } from "./words.js";

const LOOK = "bluezone-look"; // kept by the browser, so that a page appears as it was left
const OPEN_TO_ALL = "none"; // pages that need no first start
const dark = matchMedia("(prefers-color-scheme: dark)");

/** The phone's state as last asked; pages draw from it. */
export let state = null;
let look = { language: "vi", text_size: "normal", theme: "system" };
let redraw = () => {};

function wear(change = {}) {
  for (const name of Object.keys(look)) look[name] = change[name] ?? look[name];
  try {
    localStorage.setItem(LOOK, JSON.stringify(look));
  } catch {
    // Then only this page knows.
  }
  const root = document.documentElement;
  root.dataset.text = look.text_size;
  root.dataset.theme = look.theme === "system" ? (dark.matches ? "dark" : "light") : look.theme;
}
dark.addEventListener("change", () => wear());

/** Take over a look that the settings page chose, at once. */
export async function changeLook(change) {
  wear(change);
  await speak(look.language, (code) => ask(`words/${code}`)).catch(() => {});
  drawAll();
}

async function chooseLanguage(code) {
  await changeLook({ language: code });
  if (language !== code) return announce(t("The language cannot be changed now."));
  await post("settings", { language: code }).catch(() => {}); // remembered here all the same
}

function drawAll() {
  translatePage();
  const unread = (state?.unread_news ?? 0) + (state?.unread_notices ?? 0);
  drawFrame(document.body.dataset, { onLanguage: chooseLanguage, unread });
  showTrouble("redraw", () => redraw.again?.());
  redraw();
}

/** Ask for the state again and redraw the frame's numbers. */
export async function freshState() {
  takeState(await ask("state"));
  return state;
}

export function takeState(fresh) {
  state = fresh;
  setNow(fresh.now);
}

/**
 * A page: `load()` asks the core, `draw(data)` shows it, again on every change of language,
 * `every` seconds it asks anew while the page is seen; `live` if the answer is soon untrue.
 */
export async function screen({
  load = async () => null,
  draw = () => {},
  every = 0,
  live = false,
} = {}) {
  const page = document.body.dataset;
  const main = $("main");
  const status = h("div", { id: "status", "aria-live": "polite" });
  main.dataset.loading = "";
  const title = $("h1", main);
  if (title && title.parentElement === main) title.after(status);
  else main.prepend(status);
  try {
    look = { ...look, ...JSON.parse(localStorage.getItem(LOOK)) };
  } catch {
    // Vietnamese, as on the first day.
  }
  wear();
  drawIcons();
  const asked = freshState().catch((fault) => fault);
  await speak(look.language, (code) => ask(`words/${code}`)).catch(() => {});

  let data = null;
  let fault = null;
  let loading = true;
  redraw = () => {
    const shown = data !== null && fault === null;
    if (shown) delete main.dataset.loading;
    else if (!data) main.dataset.loading = "";
    // The banner above tells of silence, on every page.
    put(
      status,
      fault instanceof Silence
        ? null
        : fault
          ? faultCard(fault, refresh)
          : loading && !shown
            ? h("p", { class: "quiet" }, t("One moment …"))
            : null,
    );
    if (shown) draw(data.value);
  };
  let waiting = 0;
  async function refresh() {
    clearTimeout(waiting);
    try {
      if (!state || every) await freshState();
      const value = await load();
      data = { value };
      fault = null;
    } catch (found) {
      if (!(found instanceof Refusal || found instanceof Silence)) throw found;
      // What is on the page stays there while the phone is silent; the banner tells. What is
      // only true for a moment does not stay.
      if (live) data = null;
      if (!data || found instanceof Refusal) fault = found;
    } finally {
      loading = false;
    }
    const pause = fault || !state ? 5 : every;
    if (pause && !document.hidden) waiting = setTimeout(refresh, pause * 1000);
    drawAll();
  }
  redraw.again = refresh;
  redraw.take = (value) => {
    data = { value };
    fault = null;
    drawAll();
  };
  listeners.add((news) => showTrouble(news, refresh));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && (every || fault)) refresh();
  });

  drawAll();
  document.documentElement.dataset.ready = "";
  await asked;
  if (state && !state.started && !state.stopped && page.open !== OPEN_TO_ALL) {
    location.replace("start.html");
    return;
  }
  if (state && (state.started || state.stopped)) {
    wear(state);
    if (look.language !== language)
      await speak(look.language, (code) => ask(`words/${code}`)).catch(() => {});
  }
  await refresh();
  if (navigator.serviceWorker) navigator.serviceWorker.register("worker.js").catch(() => {});
}

/** Draw what is on the page again with `value`, the answer to something that its owner did. */
export function show(value) {
  redraw.take?.(value);
}

function faultCard(fault, again) {
  const attributes = { class: "button", id: "retry", type: "button", onclick: again };
  return note(
    "bad",
    "alert",
    sentence(fault),
    h("button", attributes, icon("again"), t("Try again")),
  );
}
