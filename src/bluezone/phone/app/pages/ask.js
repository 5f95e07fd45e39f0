// Questions to the phone's core (docs/phone-interface.md).
const BASE = "api/v1/";
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

function tell(news) {
  for (const listener of listeners) listener(news);
}

export async function ask(path, { method = "GET", body } = {}) {
  const wish = { method, cache: "no-store", signal: AbortSignal.timeout?.(PATIENCE) };
  if (method !== "GET") {
    wish.headers = { "content-type": "application/json" };
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
