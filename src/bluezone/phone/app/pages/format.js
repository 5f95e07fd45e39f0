// Dates, times and amounts in words, always in Vietnamese time.
import { language, t } from "./words.js";

const ZONE = "Asia/Ho_Chi_Minh";
const made = new Map(); // formatters are dear to make
let ahead = 0; // seconds by which the core's clock is ahead of this browser's

/** Live by the core's clock: in a simulated town it runs fast. */
export function setNow(now) {
  ahead = now - Date.now() / 1000;
}

export const now = () => Date.now() / 1000 + ahead;

function formatter(kind, options) {
  const locale = language === "vi" ? "vi-VN" : "en-GB";
  const key = locale + kind.name + JSON.stringify(options);
  if (!made.has(key)) made.set(key, new kind(locale, options));
  return made.get(key);
}

const date = (options) => formatter(Intl.DateTimeFormat, { timeZone: ZONE, ...options });

export const number = (value) => formatter(Intl.NumberFormat, {}).format(value);

/** 14:05 */
export const clock = (time) =>
  date({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(time * 1000);

/** 3/8, 14:05 */
export const dateTime = (time) =>
  `${date({ day: "numeric", month: "numeric", year: "numeric" }).format(time * 1000)}, ${clock(time)}`;

const noon = (day) => new Date(`${day}T12:00:00+07:00`);

/** Monday 3 August, of an ISO day. */
export const longDay = (day) =>
  date({ weekday: "long", day: "numeric", month: "long" }).format(noon(day));
export const weekday = (day) => date({ weekday: "short" }).format(noon(day));
export const dayNumber = (day) => Number(day.slice(8));

/** The ISO day of a moment in Vietnam. */
export function isoDay(time) {
  return new Date((time + 7 * 3600) * 1000).toISOString().slice(0, 10);
}

/** "2 hours ago", "in 5 minutes", "just now". */
export function ago(time) {
  const seconds = time - now();
  const size = Math.abs(seconds);
  if (size < 50) return t("just now");
  const [unit, length] =
    size < 3300 ? ["minute", 60] : size < 82_800 ? ["hour", 3600] : ["day", 86_400];
  return formatter(Intl.RelativeTimeFormat, {}).format(Math.round(seconds / length), unit);
}

// A number and its unit stay on one line.
const together = (text) => text.replace(/(\d) /g, "$1\u00a0");

/** "45 min", "2 h 5 min" */
export function minutes(amount) {
  const whole = Math.round(amount);
  if (whole < 60) return together(t("{m} min", { m: whole }));
  if (whole % 60 === 0) return together(t("{h} h", { h: whole / 60 }));
  return together(t("{h} h {m} min", { h: Math.floor(whole / 60), m: whole % 60 }));
}

export function people(amount) {
  return together(amount === 1 ? t("1 person") : t("{n} people", { n: number(amount) }));
}

/** "812 bytes", "1.2 KB" */
export function bytes(amount) {
  if (amount < 1000) return t("{n} bytes", { n: number(amount) });
  const unit = amount < 1_000_000 ? ["KB", 1000] : ["MB", 1_000_000];
  return `${formatter(Intl.NumberFormat, { maximumFractionDigits: 1 }).format(amount / unit[1])} ${unit[0]}`;
}

/** 84912… as people write it: 0912 345 678 */
export function telephone(written) {
  const digits = written.replace(/^\+84/, "0");
  return digits.replace(/^(\d{4})(\d{3})(\d{3})$/, "$1 $2 $3");
}
