// What the list, the detail and the lamp share: words, ages that tick by themselves, names, states, copying.
import { useCallback, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { EventLoopContext } from "$/utils/context-registry";
import { age, ago, has, iso, number, text, useLanguage, when } from "$/public/external/gmtool/shell/i18n/i18n.js";
import { cutMiddle } from "./cut.js";
import { Icon } from "./icons.jsx";

/** The reader's language with the functions that speak it. */
export function useWords() {
  const lang = useLanguage();
  return useMemo(
    () => ({
      lang,
      t: (key, params) => text(lang, key, params),
      // English tells one from many; Korean does not.
      tn: (key, count, params) =>
        text(lang, lang === "en" && count === 1 && has(`${key}.one`) ? `${key}.one` : key, {
          count: number(lang, count),
          ...params,
        }),
      n: (value, digits) => number(lang, value, digits),
      has,
      age: (epoch) => age(lang, epoch, serverNow()),
      ago: (epoch) => ago(lang, epoch, serverNow()),
      when: (epoch) => when(lang, epoch),
      iso: (epoch) => iso(lang, epoch),
    }),
    [lang],
  );
}

// --- the server's clock: ages are told from it, so that a wrong clock on the reader's desk makes nothing look stale ---

let skew = 0;
let best = Infinity;

/** Take note of the server's time as it came with an answer; the answer that was quickest to arrive wins. */
export function syncClock(serverEpoch) {
  if (!serverEpoch) return;
  const difference = Date.now() / 1000 - serverEpoch; // network delay plus the clocks' difference
  if (difference < best) {
    best = difference;
    skew = Math.abs(difference) < 2 ? 0 : difference;
  }
}

export const serverNow = () => Date.now() / 1000 - skew;

const tickers = new Set();
let timer = null;

function subscribeTick(listener) {
  tickers.add(listener);
  timer ??= setInterval(() => {
    for (const each of tickers) each();
  }, 1000);
  return () => {
    tickers.delete(listener);
    if (!tickers.size) {
      clearInterval(timer);
      timer = null;
    }
  };
}

/** A text that depends on the time: the component renders again only when the text has changed. */
export function useTicking(make, ...inputs) {
  const snapshot = useCallback(make, inputs);
  return useSyncExternalStore(subscribeTick, snapshot, () => "");
}

/** An age ("3분"), or with `past` how long ago it was; the exact time stands in the title. */
export function Age({ at, past = false, className }) {
  const { lang } = useWords();
  const shown = useTicking(() => (past ? ago : age)(lang, at, serverNow()), lang, at, past);
  return (
    <time className={className} dateTime={iso(lang, at)} title={iso(lang, at)} suppressHydrationWarning>
      {shown}
    </time>
  );
}

/** True while the page has no connection to the server: what it shows is then of the past. */
export function useOffline() {
  const loop = useContext(EventLoopContext);
  return (loop?.[1]?.length ?? 0) > 0;
}

// --- names ---

const tailOf = (name) => (name.length > 30 ? 9 : 6);

/** A name that is cut in the middle when it does not fit; whole in the title. With `room`, by the width of its letters. */
export function Cut({ text: whole, room, weight }) {
  if (whole === null || whole === undefined || whole === "") return <span className="f">–</span>;
  const name = String(whole);
  if (room) {
    const parts = cutMiddle(name, room, weight);
    if (!parts) return <span className="gm-whole" title={name}>{name}</span>;
    return (
      <span className="gm-whole" title={name}>
        {parts[0]}<span className="gm-gone">{name.slice(parts[0].length, name.length - parts[1].length)}</span>{parts[1]}
      </span>
    );
  }
  const tail = tailOf(name);
  if (name.length <= tail + 6) return <span className="gm-mid" title={name}>{name}</span>;
  return (
    <span className="gm-mid" title={name}>
      <span>{name.slice(0, -tail)}</span>
      <span>{name.slice(-tail)}</span>
    </span>
  );
}

/** Put a text on the clipboard, also where the page is not a secure context (plain http on a machine's name). */
export async function copyText(value) {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = value;
    area.style.cssText = "position:fixed;opacity:0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** A small button that copies a text and says for a moment that it did. */
export function CopyButton({ value, label, className = "" }) {
  const { t } = useWords();
  const [done, setDone] = useState(false);
  const late = useRef(null);
  useEffect(() => () => clearTimeout(late.current), []);
  const copy = async (event) => {
    event.stopPropagation();
    event.preventDefault();
    if (!(await copyText(value))) return;
    setDone(true);
    clearTimeout(late.current);
    late.current = setTimeout(() => setDone(false), 1500);
  };
  const words = done ? t("ui.copied") : (label ?? t("ui.copy"));
  return (
    <button type="button" className={`gm-copy ${className}`} title={words} aria-label={words} onClick={copy} tabIndex={-1}>
      <Icon name={done ? "check" : "copy"} size="s" />
    </button>
  );
}

// --- states: an icon, a word and a colour, never one alone ---

const LONG = 13; // letters of a word beside which "away" has no place in a narrow column: its sign says it

const SIGNS = { good: "circle-check", busy: "loader-circle", warn: "triangle-alert", bad: "circle-x", away: "unplug" };

export function signOf(state) {
  return SIGNS[state] ?? "info";
}

// A parameter may itself be words: {key, params}.
const spoken = (words, params) =>
  params && Object.fromEntries(Object.entries(params).map(([name, value]) => [name, value?.key ? words.t(value.key, value.params) : value]));

/** The word of a status in the reader's language; a reason that Kubernetes gave stays as it is. */
export function statusWord(words, status, past = false, params = undefined) {
  if (!status) return "–";
  const key = `status.${String(status).replaceAll(" ", "_")}`;
  if (past && words.has(`${key}.was`)) return words.t(`${key}.was`);
  const word = words.has(key) ? words.t(key, spoken(words, params)) : String(status);
  return past ? words.t("ui.was", { status: word }) : word;
}

/** A chip: icon and word on the tint of their state. `away`: last known, its source has been silent since `asOf`. */
export function Status({ status, state, away = false, asOf, params, short = false }) {
  const words = useWords();
  if (away) {
    const was = status ? (short && !words.has(`status.${status}.was`) ? statusWord(words, status) : statusWord(words, status, true)) : null;
    return (
      <>
        <span className={`chip away${was?.length > LONG ? " long" : ""}`} title={[words.t("state.away"), was].filter(Boolean).join(" · ")}>
          <Icon name="unplug" size="xs" />
          {short ? null : <span className={was ? "gm-aw" : undefined}>{words.t("state.away")}{was ? " · " : null}</span>}
          {was ? <span className="cut">{was}</span> : null}
        </span>{" "}
        {asOf ? <Age at={asOf} past className="micro nw" /> : null}
      </>
    );
  }
  return (
    <span className={`chip ${state ?? "plain"}`} title={String(status ?? "")}>
      <Icon name={signOf(state)} size="xs" />
      <span className="cut">{statusWord(words, status, false, params)}</span>
    </span>
  );
}

// --- small things ---

/** Remember a value in this browser, per name. The first render uses the given value, so that prerendered pages agree. */
export function useRemembered(name, initial) {
  const [value, setValue] = useState(initial);
  useEffect(() => {
    try {
      const stored = localStorage.getItem(name);
      if (stored !== null) setValue(JSON.parse(stored));
    } catch {
      // A value that cannot be read is one that was never there.
    }
  }, [name]);
  const store = useCallback(
    (next) => {
      setValue((old) => {
        const made = typeof next === "function" ? next(old) : next;
        try {
          localStorage.setItem(name, JSON.stringify(made));
        } catch {
          // Private windows may refuse; the page works without.
        }
        return made;
      });
    },
    [name],
  );
  return [value, store];
}

/** Call `close` on a press outside of the element or on Escape. */
export function useDismiss(open, close) {
  const ref = useRef(null);
  useEffect(() => {
    if (!open) return undefined;
    const press = (event) => {
      if (ref.current && !ref.current.contains(event.target)) close();
    };
    const key = (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        close();
        ref.current?.querySelector("button")?.focus();
      }
    };
    document.addEventListener("pointerdown", press);
    document.addEventListener("keydown", key, true);
    return () => {
      document.removeEventListener("pointerdown", press);
      document.removeEventListener("keydown", key, true);
    };
  }, [open, close]);
  return ref;
}

/** True a moment after `busy` began: a quick answer shows no skeleton. */
export function useLate(busy, milliseconds = 200) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    if (!busy) {
      setLate(false);
      return undefined;
    }
    const wait = setTimeout(() => setLate(true), milliseconds);
    return () => clearTimeout(wait);
  }, [busy, milliseconds]);
  return busy && late;
}

/** Whether a key press is meant for a field and not for the page. */
export function isTyping(event) {
  const target = event.target;
  return (
    event.ctrlKey || event.metaKey || event.altKey || target.isContentEditable ||
    /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || Boolean(target.closest?.("[role=dialog]"))
  );
}

/** Offer a text as a file. */
export function download(name, type, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
