// The town's page: asks for the latest frame ten times a second and draws it.
import { TownMap } from "./map.js";

const SPEEDS = [60, 300, 1000, 3000, 6000, 12000, 30000, null]; // virtual seconds per second
const PLACES = { home: "Home {n}", office: "Office {n}", school: "Classroom {n}", market: "Market",
  canteen: "Canteen {n}", cafe: "Café {n}", bus: "Bus {n}", park: "Park", hospital: "Hospital" };
const EVENTS = { confirmed: "{name} tested positive; a health worker's code was used",
  released: "The keys of {name} were published", warned: "The phone of {name} warned" };
const STAGES = { starting: "The town is starting: the service, the people, their phones …",
  finished: "The town has stopped. The terminal shows the verdict; run the command again for more.",
  failed: "The town has failed; the terminal says why." };
const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const FRAME_MILLISECONDS = 100;

const byId = (id) => document.getElementById(id);
const state = { world: null, frame: null, language: "vi", vietnamese: {}, chosen: null, shownEvents: 0 };

// --- words ---------------------------------------------------------------------------

function say(english, values = {}) {
  const text = state.language === "vi" ? state.vietnamese[english] ?? english : english;
  return text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
}

/** Only what is new is written: a screen reader says a status again whenever it is. */
function put(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

const nameOf = (person) => state.world.people[person][0];
const placeName = (space) => say(PLACES[space.kind], { n: space.number });

function localTime(unix) {
  const local = new Date((unix + 7 * 3600) * 1000); // Vietnam, UTC+7 all year
  const clock = local.toISOString().slice(11, 16);
  return { clock, weekday: say(WEEKDAYS[local.getUTCDay()]), hour: local.getUTCHours() + local.getUTCMinutes() / 60 };
}

function speak(language) {
  state.language = language;
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", say(element.dataset.label));
  for (const button of document.querySelectorAll("[data-language]"))
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  document.title = `${say("Who was near the case, and whose phone warns?")} – Bluezone`;
  byId("map").setAttribute("aria-label", say("Map of the town"));
  state.shownEvents = 0;
  byId("events").replaceChildren();
  if (state.world) {
    listPeople();
    map.rename(state.world.spaces.map(placeName));
  }
  if (state.frame) show(state.frame);
}

// --- the side panel --------------------------------------------------------------------

function listPeople() {
  const options = state.world.people.map(([name, age], number) => new Option(`${name}, ${age}`, number));
  byId("person").replaceChildren(new Option("–", ""), ...options);
  byId("person").value = state.chosen ?? "";
}

function choose(person) {
  state.chosen = person;
  byId("person").value = person ?? "";
  byId("refusal").textContent = "";
  if (state.frame?.people) showCard(state.frame);
}

function showCard(frame) {
  const lines = [];
  const person = state.chosen;
  const isCase = frame.cases.includes(person);
  if (person === null) {
    lines.push(say("Choose a person on the map or in the list."));
  } else {
    const [name, age] = state.world.people[person];
    lines.push(say("{name}, {age} years old", { name, age }));
    const space = state.world.spaces[frame.people[person][0]];
    if (space) lines.push(say("At: {place}", { place: placeName(space) }));
    if (isCase) lines.push(say("Positive: the keys of this phone will be published."));
    else if (frame.warned.includes(person)) lines.push(say("This phone has warned its owner."));
    else lines.push(say("Nothing has happened to this person."));
    if (frame.cases.length && !isCase)
      lines.push(say(`In truth within 2 m for 15 minutes or more: ${frame.contacts.includes(person) ? "yes" : "no"}`));
  }
  byId("positive").disabled = person === null || isCase || frame.stage !== "running";
  const card = byId("card");
  if (card.dataset.said === lines.join("\n")) return; // what is selected stays selected
  card.dataset.said = lines.join("\n");
  card.replaceChildren(...lines.map((line) => Object.assign(document.createElement("p"), { textContent: line })));
}

function showEvents(frame) {
  const list = byId("events");
  if (frame.events.length === 0 && !list.children.length) {
    list.append(Object.assign(document.createElement("li"),
      { textContent: say("Nothing yet. A person will be confirmed near the end; or choose one now."), className: "none" }));
  }
  for (const event of frame.events.slice(state.shownEvents)) {
    list.querySelector(".none")?.remove();
    const item = document.createElement("li");
    item.className = event.kind;
    const { clock, weekday } = localTime(event.time);
    item.append(Object.assign(document.createElement("time"), { textContent: `${weekday} ${clock}` }),
      say(EVENTS[event.kind], { name: nameOf(event.person) }));
    list.prepend(item);
  }
  state.shownEvents = frame.events.length;
}

// --- counters, clock, pace ---------------------------------------------------------------

function showCounts(frame) {
  const contacts = new Set(frame.contacts);
  const right = frame.warned.filter((person) => contacts.has(person)).length;
  const known = frame.warned.length > 0 || frame.stage === "finished";
  byId("count-people").textContent = frame.people.length;
  byId("count-contacts").textContent = frame.cases.length ? contacts.size : "–";
  byId("count-right").textContent = known ? right : "–";
  // Until the end a phone that is silent may still have its next check before it.
  byId("count-missed").textContent = frame.stage === "finished" ? contacts.size - right : "–";
  byId("count-wrong").textContent = known ? frame.warned.length - right : "–";
}

function showClock(frame) {
  const { clock, weekday } = localTime(frame.now);
  byId("time").textContent = `${weekday} ${clock}`;
  const days = Math.round((state.world.ends - state.world.begins) / 86400);
  const n = Math.floor((frame.now - state.world.begins) / 86400) + 1;
  byId("day").textContent = say("Day {n} of {days}", { n: Math.min(n, days), days });
}

function showPace(frame) {
  put("pause", say(frame.paused ? "Go on" : "Pause"));
  const index = frame.speed === null ? SPEEDS.length - 1
    : SPEEDS.findLastIndex((speed) => speed !== null && speed <= frame.speed);
  if (document.activeElement !== byId("speed")) byId("speed").value = Math.max(0, index);
  const words = frame.speed === null ? say("as fast as possible")
    : say("{n} min per second", { n: Math.round(frame.speed / 60) });
  put("speed-text", words);
  byId("speed").setAttribute("aria-valuetext", words);
}

async function post(path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await ask(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (answer) put("refusal", answer.ok ? "" : (await answer.json()).error);
}

// --- frames --------------------------------------------------------------------------------

/** What the town answers, or null if it is gone. */
async function ask(path, options) {
  try {
    return await fetch(path, options);
  } catch { // no connection: whatever the town says, even a refusal, is an answer
    put("notice", say("The town no longer answers: its command has ended."));
    stopControls();
    return null;
  }
}

function stopControls() {
  for (const id of ["pause", "speed", "positive"]) byId(id).disabled = true;
}

function show(frame) {
  state.frame = frame;
  put("notice", STAGES[frame.stage] ? say(STAGES[frame.stage]) : "");
  byId("pause").disabled = byId("speed").disabled = frame.stage !== "running";
  if (!frame.people || !state.world?.people) return;
  showClock(frame);
  showPace(frame);
  showCounts(frame);
  map.update(frame, localTime(frame.now).hour, state.chosen);
  showEvents(frame);
  showCard(frame);
}

async function follow() {
  const answer = await ask("frame.json");
  if (!answer) return;
  const { frame, ...pace } = await answer.json();
  Object.assign(frame, pace);
  if (frame.people && !state.world) {
    state.world = await (await fetch("world.json")).json();
    map.build(state.world, state.world.spaces.map(placeName));
    listPeople();
  }
  show(frame);
  if (frame.stage !== "finished" && frame.stage !== "failed") setTimeout(follow, FRAME_MILLISECONDS);
}

const map = new TownMap(byId("map"), byId("stage"), choose);
window.townMap = map; // for the browser test and for the curious
byId("person").addEventListener("change", (event) => choose(event.target.value === "" ? null : Number(event.target.value)));
byId("positive").addEventListener("click", () => post("positive", { person: state.chosen }));
byId("pause").addEventListener("click", () => post("pace", { paused: !state.frame.paused }));
byId("speed").addEventListener("change", (event) => post("pace", { speed: SPEEDS[event.target.value] }));
for (const button of document.querySelectorAll("[data-language]"))
  button.addEventListener("click", () => speak(button.dataset.language));

state.vietnamese = await (await fetch("words.json")).json();
speak(new URLSearchParams(location.search).get("lang") === "en" ? "en" : "vi");
follow();
