// Draws the town on a canvas: spaces, people, who hears whom, two metres, warnings.
import { arrange } from "./layout.js";

const CLOSE_METRES = 2;
const GLIDE_MILLISECONDS = 110; // people glide to where the next frame puts them
const PULSE_MILLISECONDS = 1600;
const TOUCH_PIXELS = 22;

export class TownMap {
  constructor(canvas, stage, onChoose) {
    this.canvas = canvas;
    this.stage = stage;
    this.context = canvas.getContext("2d");
    this.shown = []; // where each person is drawn, in metres of the map
    this.pulses = [];
    this.seenEvents = 0;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    canvas.addEventListener("click", (event) => onChoose(this.personAt(event.offsetX, event.offsetY)));
    new ResizeObserver(() => this.fit()).observe(stage);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.fit());
  }

  build(world, names) {
    this.spaces = world.spaces;
    this.names = names;
    this.fit();
    requestAnimationFrame((time) => this.animate(time));
  }

  rename(names) {
    this.names = names;
    this.fit();
  }

  /** Take over a frame; `hour` is the local hour, `chosen` a person or null. */
  update(frame, hour, chosen) {
    this.frame = frame;
    this.hour = hour;
    this.chosen = chosen;
    for (const event of frame.events.slice(this.seenEvents))
      this.pulses.push({ ...event, began: performance.now() });
    this.seenEvents = frame.events.length;
  }

  // --- size and background ---------------------------------------------------------------

  fit() {
    if (!this.spaces) return;
    const width = this.stage.clientWidth;
    const narrow = width < 620;
    const height = narrow ? width * 1.45 : Math.max(420, window.innerHeight - 240);
    this.map = arrange(this.spaces, width, height);
    const tall = this.map.scale * this.map.height;
    const ratio = window.devicePixelRatio || 1;
    this.width = width;
    this.height = narrow ? tall : Math.max(tall, height);
    this.left = (width - this.map.scale * this.map.width) / 2;
    this.top = (this.height - tall) / 2;
    this.canvas.width = width * ratio;
    this.canvas.height = this.height * ratio;
    this.canvas.style.height = `${this.height}px`;
    const style = getComputedStyle(document.documentElement);
    const colours = {}; // asking the style for each person in each picture is slow
    this.colour = (name) => colours[name] ??= style.getPropertyValue(`--${name}`).trim();
    this.ground = document.createElement("canvas");
    this.ground.width = this.canvas.width;
    this.ground.height = this.canvas.height;
    const pen = this.ground.getContext("2d");
    pen.scale(ratio, ratio);
    this.drawGround(pen);
  }

  pixel([x, y]) {
    return [this.left + x * this.map.scale, this.top + y * this.map.scale];
  }

  drawGround(pen) {
    const { scale, origins } = this.map;
    pen.fillStyle = this.colour("ground");
    pen.fillRect(0, 0, this.width, this.height);
    this.spaces.forEach((space, index) => {
      const [x, y] = this.pixel(origins[index]);
      const [w, h] = [space.width * scale, space.depth * scale];
      pen.beginPath();
      pen.roundRect(x, y, w, h, space.kind === "bus" || space.kind === "park" ? scale * 0.8 : scale * 0.15);
      pen.fillStyle = this.colour(space.kind);
      pen.fill();
      pen.strokeStyle = this.colour("wall");
      pen.lineWidth = space.kind === "park" ? 0 : Math.max(1, scale * 0.14);
      if (space.kind !== "park") pen.stroke();
      pen.fillStyle = this.colour("wood");
      for (const [fx, fy] of space.furniture) this.drawFurniture(pen, x, y, fx, fy, scale);
      this.drawName(pen, this.names[index], x, y, w, h);
    });
  }

  drawFurniture(pen, x, y, fx, fy, scale) {
    pen.beginPath();
    pen.roundRect(x + (fx - 0.55) * scale, y + (fy - 0.32) * scale, 1.1 * scale, 0.64 * scale, 0.12 * scale);
    pen.fill();
  }

  drawName(pen, name, x, y, w, h) {
    const size = Math.min(12, Math.max(7, this.map.scale * 0.85));
    pen.font = `${size}px system-ui, sans-serif`;
    if (pen.measureText(name).width > w - 4) return; // too small to be read: the card says it
    pen.fillStyle = this.colour("soft");
    pen.textAlign = "left";
    pen.textBaseline = "bottom";
    pen.fillText(name, x + 4, y + h - 2);
  }

  // --- people ------------------------------------------------------------------------------

  animate(time) {
    const passed = Math.min(200, time - (this.lastTime ?? time));
    this.lastTime = time;
    if (this.frame && this.map) this.draw(this.still.matches ? Infinity : passed, time);
    requestAnimationFrame((next) => this.animate(next));
  }

  glide(passed) {
    const share = 1 - Math.exp(-passed / GLIDE_MILLISECONDS);
    this.frame.people.forEach(([space, x, y], person) => {
      const origin = this.map.origins[space];
      if (!origin) return;
      const target = [origin[0] + x, origin[1] + y];
      const now = this.shown[person] ?? target;
      this.shown[person] = now.map((value, axis) => value + (target[axis] - value) * share);
    });
  }

  draw(passed, time) {
    const pen = this.context;
    const ratio = window.devicePixelRatio || 1;
    this.glide(passed);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.drawImage(this.ground, 0, 0);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const dark = 0.3 * Math.min(1, Math.max(0, Math.abs(this.hour - 12.2) - 5.2)); // night falls within an hour
    pen.fillStyle = `rgba(${this.colour("night")}, ${dark})`;
    pen.fillRect(0, 0, this.width, this.height);
    this.drawHeard(pen);
    this.drawCircles(pen);
    this.drawPeople(pen);
    this.drawPulses(pen, time);
  }

  drawHeard(pen) {
    const cases = new Set(this.frame.cases);
    for (const loud of [false, true]) {
      pen.beginPath();
      for (const [a, b] of this.frame.hears) {
        if ((cases.has(a) || cases.has(b)) !== loud || !this.shown[a] || !this.shown[b]) continue;
        pen.moveTo(...this.pixel(this.shown[a]));
        pen.lineTo(...this.pixel(this.shown[b]));
      }
      pen.strokeStyle = this.colour(loud ? "case" : "heard");
      pen.globalAlpha = loud ? 0.55 : 0.22;
      pen.lineWidth = loud ? 1.4 : 1;
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  drawCircles(pen) {
    const around = new Set(this.frame.cases);
    if (this.chosen !== null) around.add(this.chosen);
    for (const person of around) {
      if (!this.shown[person]) continue;
      const colour = this.colour(this.frame.cases.includes(person) ? "case" : "accent");
      pen.beginPath();
      pen.arc(...this.pixel(this.shown[person]), CLOSE_METRES * this.map.scale, 0, 7);
      pen.globalAlpha = 0.12;
      pen.fillStyle = colour;
      pen.fill();
      pen.globalAlpha = 0.9;
      pen.setLineDash([4, 3]);
      pen.lineWidth = 1.2;
      pen.strokeStyle = colour;
      pen.stroke();
      pen.setLineDash([]);
    }
    pen.globalAlpha = 1;
  }

  drawPeople(pen) {
    const { cases, warned, contacts } = this.frame;
    const kinds = this.shown.map(() => "person");
    for (const person of warned) kinds[person] = "warned";
    for (const person of cases) kinds[person] = "case";
    const radius = Math.max(2.6, this.map.scale * 0.3);
    this.shown.forEach((place, person) => {
      const [x, y] = this.pixel(place);
      const large = kinds[person] === "person" ? radius : radius * 1.35;
      pen.beginPath();
      pen.arc(x, y, large, 0, 7);
      pen.fillStyle = this.colour(kinds[person]);
      pen.fill();
      pen.lineWidth = 1.2;
      pen.strokeStyle = this.colour("card");
      pen.stroke();
    });
    const ring = (person, distance, colour) => {
      if (!this.shown[person]) return;
      pen.beginPath();
      pen.arc(...this.pixel(this.shown[person]), radius * 1.35 + distance, 0, 7);
      pen.lineWidth = 1.8;
      pen.strokeStyle = this.colour(colour);
      pen.stroke();
    };
    for (const person of contacts) ring(person, 2, "contact");
    if (this.chosen !== null) ring(this.chosen, 4.5, "accent");
  }

  drawPulses(pen, time) {
    this.pulses = this.pulses.filter((pulse) => time - pulse.began < PULSE_MILLISECONDS);
    if (this.still.matches) return;
    for (const pulse of this.pulses) {
      if (!this.shown[pulse.person]) continue;
      const age = Math.max(0, (time - pulse.began) / PULSE_MILLISECONDS);
      const reach = pulse.kind === "released" ? Math.hypot(this.width, this.height) : 46;
      pen.beginPath();
      pen.arc(...this.pixel(this.shown[pulse.person]), reach * age, 0, 7);
      pen.globalAlpha = 1 - age;
      pen.lineWidth = 3;
      pen.strokeStyle = this.colour(pulse.kind === "released" ? "accent" : pulse.kind === "warned" ? "warned" : "case");
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  /** Pixels of the canvas at which a person is drawn. */
  whereIs(person) {
    return this.pixel(this.shown[person]);
  }

  personAt(x, y) {
    let best = null, nearest = TOUCH_PIXELS;
    this.shown.forEach((place, person) => {
      const [px, py] = this.pixel(place);
      const distance = Math.hypot(px - x, py - y);
      if (distance < nearest) [best, nearest] = [person, distance];
    });
    return best;
  }
}
