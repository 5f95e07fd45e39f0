// Keeps what is typed into a form[data-entry] until the service has accepted it.
//
// Kept in IndexedDB, sealed with AES-GCM. The key comes with each page of the signed-in account
// and is nowhere in the browser, so what is kept cannot be read after signing out. Each entry has
// the number that its form drew: the service counts it once, however often it is sent. Without
// this script the form is a plain one.

const DRAFT_MS = 3 * 86_400_000;
const ENTRY_MS = 14 * 86_400_000; // as long as the service can make the key again
const RETRY_MS = 15_000;
const SEND_MS = 20_000;
const LOOK_MS = 5_000;
// These belong to the page that is open, not to what somebody typed.
const OF_THE_PAGE = new Set(["form_token", "form", "seen", "also"]);

const place = document.querySelector("#entries");
const words = place?.dataset ?? {};
const sheet = document.querySelector("form[data-entry]");
const text = new TextEncoder();
let key = null;
let sending = null;
let timer = 0;

// --- the store ---------------------------------------------------------------------------
let opened = null;

function store() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("bluezone-entries", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("entries", { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

async function act(mode, deed) {
  const database = await store();
  return new Promise((resolve, reject) => {
    // Strict: on the disk before we say that it is kept.
    const transaction = database.transaction("entries", mode, { durability: "strict" });
    const request = deed(transaction.objectStore("entries"));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}

const all = () => act("readonly", (entries) => entries.getAll());
const remove = (id) => act("readwrite", (entries) => entries.delete(id));

async function keep(id, state, task, content) {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const named = { id, state, task, account: words.account, name: words.name };
  const bound = text.encode(JSON.stringify([id, task, words.account]));
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv, additionalData: bound },
    key,
    text.encode(JSON.stringify(content)),
  );
  await act("readwrite", (entries) => entries.put({ ...named, at: Date.now(), iv, sealed }));
}

/** What was kept; null when this page's key is not the one it was sealed with. */
async function open(entry) {
  const bound = text.encode(JSON.stringify([entry.id, entry.task, entry.account]));
  try {
    const plain = await crypto.subtle.decrypt(
      { name: "AES-GCM", iv: entry.iv, additionalData: bound },
      key,
      entry.sealed,
    );
    return JSON.parse(new TextDecoder().decode(plain));
  } catch {
    return null;
  }
}

async function mine(...states) {
  const found = (await all()).filter((one) => one.account === words.account);
  return found.filter((one) => states.includes(one.state)).sort((a, b) => a.at - b.at);
}

async function forgetOld() {
  for (const one of await all()) {
    const age = Date.now() - one.at;
    const unreadable = one.account === words.account && (await open(one)) === null;
    if (unreadable || age > (one.state === "draft" ? DRAFT_MS : ENTRY_MS)) await remove(one.id);
  }
}

// --- sending -----------------------------------------------------------------------------
async function send(content) {
  const body = new URLSearchParams(content.fields);
  body.set("form_token", words.token);
  let answer;
  try {
    answer = await fetch(content.action, {
      method: "POST",
      body,
      headers: { Accept: "application/json" },
      signal: AbortSignal.timeout(SEND_MS),
    });
  } catch {
    return { became: "waiting" };
  }
  if (answer.status === 401 || answer.status === 403 || answer.redirected) {
    return { became: "signed-out" };
  }
  if (answer.status === 429 || answer.status >= 500) return { became: "waiting" };
  let said = {};
  try {
    said = await answer.json();
  } catch {
    // A proxy's page, or the line broke in the middle: sending it again does no harm.
    return { became: answer.ok ? "waiting" : "refused", why: "" };
  }
  if (answer.ok) return { became: "sent", next: said.next };
  return { became: "refused", why: said.message?.[words.language] ?? "" };
}

/** Send what waits, the oldest first; one page at a time does it. */
function flush() {
  const once = async () => {
    let standing = "waiting";
    for (const entry of await mine("waiting")) {
      const content = await open(entry);
      if (content === null) continue;
      const { became, why } = await send(content);
      if (became === "sent") {
        await remove(entry.id);
        arrived(entry, content);
      } else if (became === "refused") {
        await keep(entry.id, "refused", entry.task, { ...content, why });
      } else {
        standing = became;
        break;
      }
    }
    await show(standing);
  };
  sending ??= (navigator.locks ? navigator.locks.request("bluezone-entries", once) : once())
    .catch(() => show("waiting"))
    .finally(() => (sending = null));
  return sending;
}

function arrived(entry, content) {
  if (sheet?.dataset.entry !== entry.task) return;
  if (sheet.dataset.waits === entry.id) say(sheet, words.sent, toList());
  else location.reload(); // the page is older than what it has just sent
}

// --- what a person sees ------------------------------------------------------------------
function element(tag, content, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = content;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function button(content, deed) {
  const made = element("button", content, { type: "button", class: "plain" });
  made.addEventListener("click", deed);
  return made;
}

const toList = () => element("a", words.toList, { href: "/staff/tasks" });

function say(form, content, ...more) {
  let line = form.querySelector(".kept");
  if (!line) {
    line = element("p", "", { class: "good kept", role: "status" });
    form.prepend(line);
  }
  line.replaceChildren(content, " ", ...more);
}

async function show(standing) {
  const waiting = await mine("waiting");
  const lines = [];
  if (waiting.length) {
    const sentence = standing === "signed-out" ? words.signedOut : words.waiting;
    lines.push(element("p", sentence.replace("{count}", waiting.length)));
    timer ||= setInterval(flush, RETRY_MS);
  } else {
    clearInterval(timer);
    timer = 0;
  }
  for (const one of await mine("refused")) {
    if (sheet?.dataset.entry === one.task) continue; // it is in the form
    const line = element("p", `${words.refused} `);
    line.append(element("a", words.open, { href: `/staff/tasks/${one.task}` }));
    lines.push(line);
  }
  const others = (await all()).filter(
    (one) => one.account !== words.account && one.state === "waiting",
  );
  for (const name of new Set(others.map((one) => one.name))) {
    lines.push(element("p", words.others.replaceAll("{name}", name)));
  }
  place.replaceChildren(...lines);
  place.hidden = lines.length === 0;
}

// --- the form ----------------------------------------------------------------------------
function fields(form, pressed) {
  const found = [...new FormData(form)].filter(([name]) => name !== "form_token");
  if (pressed?.name) found.push([pressed.name, pressed.value]);
  return found;
}

function fill(form, kept) {
  for (const control of form.elements) {
    if (!control.name || OF_THE_PAGE.has(control.name) || control.type === "submit") continue;
    const values = kept.filter(([name]) => name === control.name).map(([, value]) => value);
    if (control.type === "checkbox" || control.type === "radio") {
      control.checked = values.includes(control.value);
    } else if (values.length) {
      [control.value] = values;
    }
  }
}

/** As without this script: the answer is a page. */
function sendPlainly(form, pressed) {
  if (pressed?.name) {
    form.append(element("input", "", { type: "hidden", name: pressed.name, value: pressed.value }));
  }
  form.submit();
}

async function prepare(form) {
  const task = form.dataset.entry;
  const number = form.elements.form.value;
  const draft = `draft:${words.account}:${task}`;
  const before = await mine("draft", "refused");
  const older = before.filter((one) => one.task === task);
  let restored = null;
  if (older.length && !("filled" in form.dataset)) {
    restored = older.at(-1);
    const content = await open(restored);
    if (content) {
      fill(form, content.fields);
      const drop = button(words.drop, async () => {
        for (const one of older) await remove(one.id);
        location.reload();
      });
      say(form, content.why ? `${content.why} ${words.restored}` : words.restored, drop);
    }
  }
  let typing = 0;
  let last = Promise.resolve();
  const write = () => {
    clearTimeout(typing);
    last = last.then(() =>
      keep(draft, "draft", task, { action: form.action, fields: fields(form) }).catch(() => {}),
    );
    return last;
  };
  form.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(write, 300);
  });
  // A telephone that changes to the call itself may never come back to this page.
  addEventListener("pagehide", () => typing && write());

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.dataset.waits) return;
    form.dataset.waits = number;
    const pressed = event.submitter;
    const content = { action: form.action, fields: fields(form, pressed) };
    clearTimeout(typing);
    try {
      await last;
      await keep(number, "waiting", task, content);
      await remove(draft);
    } catch {
      sendPlainly(form, pressed); // no room, or a private window: then as without a script
      return;
    }
    const { became, next } = await send(content);
    if (became === "sent") {
      await remove(number);
      for (const one of older) await remove(one.id);
      location.assign(next);
    } else if (became === "refused") {
      await keep(draft, "draft", task, content);
      await remove(number);
      sendPlainly(form, pressed);
    } else {
      for (const one of older) if (one.id !== draft) await remove(one.id);
      for (const one of form.querySelectorAll("button, input, textarea, select")) {
        one.disabled = true;
      }
      say(form, became === "signed-out" ? words.signedOut.replace("{count}", 1) : words.saved, toList());
      form.querySelector(".kept").scrollIntoView({ block: "center" });
      await show(became);
    }
  });
  form.dataset.ready = "";
}

function watchSignOut() {
  const form = document.querySelector('form[action="/staff/sign-out"]');
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const leave = async () => {
      for (const one of await mine("draft", "waiting", "refused")) await remove(one.id);
      form.submit();
    };
    await flush();
    const left = await mine("waiting", "refused");
    if (!left.length) {
      await leave();
      return;
    }
    const line = element("p", words.leave.replace("{count}", left.length));
    place.replaceChildren(
      line,
      button(words.stay, () => show("waiting")),
      button(words.go, leave),
    );
    place.hidden = false;
    place.scrollIntoView();
  });
}

async function begin() {
  if (!place || !globalThis.crypto?.subtle || !globalThis.indexedDB) return;
  if (words.key) {
    const raw = Uint8Array.from(words.key.match(/../g), (pair) => parseInt(pair, 16));
    key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
    delete place.dataset.key;
    await forgetOld();
    watchSignOut();
    if (sheet) await prepare(sheet);
    // Later than the page: it only matters once there is no line.
    navigator.serviceWorker?.register("/staff/taskser.js", { scope: "/staff" }).catch(() => {});
    addEventListener("online", flush);
    document.addEventListener("visibilitychange", () => document.hidden || flush());
    await flush();
  } else {
    // The page for when there is no line: it has no key, and only tells how much waits.
    const waiting = (await all()).filter((one) => one.state === "waiting");
    place.textContent = words.waiting.replace("{count}", waiting.length);
    place.hidden = waiting.length === 0;
    // "online" says that there is a network, not that we are reached through it.
    const look = () => fetch("/health/live").then(() => location.reload(), () => {});
    addEventListener("online", look);
    setInterval(look, LOOK_MS);
  }
  place.dataset.ready = "";
}

begin();
