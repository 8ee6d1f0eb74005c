// Language of the reader: kept in a cookie (the server's error texts follow it) and in localStorage (other tabs hear of it).
import { useSyncExternalStore } from "react";
import { catalogue } from "$/utils/gm_catalogue";

const NAME = "gm_lang";
const listeners = new Set();
const known = (value) => (value === "ko" || value === "en" ? value : null);

function stored() {
  const cookie = document.cookie.match(/(?:^|;\s*)gm_lang=(ko|en)/);
  return known(cookie?.[1]) ?? known(localStorage.getItem(NAME)) ?? (navigator.language?.startsWith("ko") ? "ko" : "en");
}

let current = typeof document === "undefined" ? "ko" : stored();

function apply() {
  document.documentElement.lang = current;
  for (const listener of listeners) listener();
}

export function setLanguage(value) {
  if (!known(value) || value === current) return;
  current = value;
  localStorage.setItem(NAME, value);
  document.cookie = `${NAME}=${value}; path=/; max-age=31536000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
  apply();
}

if (typeof window !== "undefined") {
  document.documentElement.lang = current;
  window.addEventListener("storage", (event) => {
    if (event.key === NAME && known(event.newValue)) {
      current = event.newValue;
      apply();
    }
  });
}

const subscribe = (listener) => (listeners.add(listener), () => listeners.delete(listener));

// Pages are prerendered in Korean; React swaps the language in right after it takes them over.
export const useLanguage = () => useSyncExternalStore(subscribe, () => current, () => "ko");
export const getLanguage = () => current;

export function text(language, key, params) {
  let found = catalogue[language]?.[key] ?? catalogue.en[key] ?? key;
  if (params) found = found.replace(/\{(\w+)\}/g, (whole, name) => (params[name] === undefined || params[name] === null ? whole : String(params[name])));
  return found;
}

export const has = (key) => catalogue.en[key] !== undefined;

const formats = new Map();
function format(language, kind, options) {
  const id = language + kind + JSON.stringify(options);
  if (!formats.has(id)) formats.set(id, new Intl[kind](language === "ko" ? "ko-KR" : "en-GB", options));
  return formats.get(id);
}

export function number(language, value, digits = 0) {
  return value === null || value === undefined || value === "" ? "–" : format(language, "NumberFormat", { maximumFractionDigits: digits }).format(value);
}

export function when(language, epoch) {
  if (epoch === null || epoch === undefined || epoch === "") return "–";
  const d = new Date(epoch * 1000);
  const two = (n) => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}`;
}

export function iso(language, epoch) {
  return epoch === null || epoch === undefined || epoch === "" ? "" : new Date(epoch * 1000).toISOString().replace(".000Z", "Z");
}

const STEPS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];

// "3분", "3m": how old something is, in its largest unit.
export function age(language, epoch, now = Date.now() / 1000) {
  if (epoch === null || epoch === undefined || epoch === "") return "–";
  const seconds = Math.max(0, Math.floor(now - epoch));
  const [size, unit] = STEPS.find(([step]) => seconds >= step) ?? STEPS[3];
  return text(language, `age.${unit}`, { count: number(language, Math.floor(seconds / size)) });
}

// "3분 전", "3m ago"
export const ago = (language, epoch, now) => (epoch === null || epoch === undefined || epoch === "" ? "–" : text(language, "age.ago", { age: age(language, epoch, now) }));

let tick = Math.floor(typeof performance === "undefined" ? 0 : Date.now() / 1000);
const tickers = new Set();
let timer = null;
const subscribeTick = (listener) => {
  tickers.add(listener);
  timer ??= setInterval(() => {
    tick = Math.floor(Date.now() / 1000);
    for (const each of tickers) each();
  }, 1000);
  return () => {
    tickers.delete(listener);
    if (!tickers.size) {
      clearInterval(timer);
      timer = null;
    }
  };
};

// The present second; one timer for the whole page.
export const useNow = () => useSyncExternalStore(subscribeTick, () => tick, () => 0);
