// Questions to the phone's core (docs/phone-interface.md).
const BASE = "api/v1/";
const TOKEN = "bluezone-token";
const PATIENCE = 90_000; // a check over a slow line takes its time

/** The core said no; `fault.message` tells people why, in every language. */
export class Refusal extends Error {
  constructor(status, fault) {
    super(fault?.error ?? `status ${status}`);
    this.status = status;
    this.fault = fault;
  }
}

/** Nobody answers: the phone's process is not running. */
export class Silence extends Error {}

/** What hears of every answer and every silence: the frame's banner. */
export const listeners = new Set();

// The link's second secret. The cookie goes to every port of this address, what a browser keeps
// for an origin does not.
let token = "";
const opened = /^#open=([\w-]+)$/.exec(location.hash);
if (opened) {
  history.replaceState(null, "", location.pathname + location.search);
  token = opened[1];
  try {
    localStorage.setItem(TOKEN, token);
  } catch {
    // Then only this page is let in.
  }
}

function theToken() {
  try {
    return localStorage.getItem(TOKEN) ?? token; // a later link, in another tab, may have renewed it
  } catch {
    return token;
  }
}

function tell(news) {
  for (const listener of listeners) listener(news);
}

export async function ask(path, { method = "GET", body } = {}) {
  const headers = { "x-bluezone-token": theToken() };
  const wish = { method, headers, cache: "no-store", signal: AbortSignal.timeout?.(PATIENCE) };
  if (method !== "GET") {
    headers["content-type"] = "application/json";
    wish.body = JSON.stringify(body ?? {});
  }
  let answer, found;
  try {
    answer = await fetch(BASE + path, wish);
    found = await answer.json().catch(() => null);
  } catch {
    tell("silence");
    throw new Silence();
  }
  tell(answer.status === 401 ? "locked" : "answer");
  if (!answer.ok) throw new Refusal(answer.status, found);
  return found;
}

export const post = (path, body) => ask(path, { method: "POST", body });
export const remove = (path) => ask(path, { method: "DELETE" });
