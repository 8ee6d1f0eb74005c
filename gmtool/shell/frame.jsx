// The frame around every page: menu, header controls, quick search, notices, keyboard help, the end of a session.
import { useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { Link, useLocation, useNavigate } from "react-router";
import "@fontsource-variable/noto-sans-kr";
import "@fontsource-variable/noto-sans-mono";
import { ColorModeContext, EventLoopContext } from "$/utils/context-registry";
import { number, setLanguage, text, useLanguage } from "$/public/external/gmtool/shell/i18n/i18n.js";
import { Icon } from "./icons.jsx";
import { Logo } from "./logo.jsx";

const never = () => () => {};

// The words of the reader's language are in: what was hidden for them may show (see layout.py).
const usePainted = () => {
  useEffect(() => document.documentElement.classList.remove("gm-wait"), []);
};

/** False while React takes a prerendered page over, true after: what only the browser knows waits for it. */
export const useReady = () => useSyncExternalStore(never, () => true, () => false);

const useT = () => {
  const language = useLanguage();
  return useMemo(() => (key, params) => text(language, key, params), [language]);
};

const useSearch = () => {
  const location = useLocation();
  const ready = useReady();
  return useMemo(() => new URLSearchParams(ready ? location.search : ""), [location.search, ready]);
};

const SCOPE = ["cluster", "workspace", "project"];

/** A menu path with the scope of the present page: going elsewhere keeps what one looks at. */
function scoped(path, search) {
  const [base, own] = path.split("?");
  const params = new URLSearchParams(own);
  for (const name of SCOPE) if (search.get(name)) params.set(name, search.get(name));
  return params.size ? `${base}?${params}` : base;
}

const clean = (path) => (path.length > 1 ? path.replace(/\/$/, "") : path);

/** The menu's line for the present address: of those that fit, the one that says most of the query. */
function placeOf(entries, location, search) {
  const here = clean(location.pathname);
  let best = null;
  let most = -1;
  for (const entry of entries) {
    const [base, own] = entry.path.split("?");
    const wanted = [...new URLSearchParams(own)];
    const fits = entry.tabs.some((tab) => here === tab.path) || here === base || here.startsWith(`${base}/`);
    if (fits && wanted.length > most && wanted.every(([name, value]) => search.get(name) === value)) {
      best = entry;
      most = wanted.length;
    }
  }
  return best;
}

function useDismiss(open, close) {
  const ref = useRef(null);
  useEffect(() => {
    if (!open) return undefined;
    const press = (event) => ref.current && !ref.current.contains(event.target) && close();
    const key = (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
      ref.current?.querySelector("button")?.focus();
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

// --- the side bar ---

/** The first stop of the Tab key: past the menu. */
export function SkipLink() {
  const t = useT();
  const jump = (event) => {
    event.preventDefault();
    document.getElementById("gm-main")?.focus();
  };
  return <a href="#gm-main" className="skip" onClick={jump}>{t("shell.skip")}</a>;
}

export function Sidebar({ menu, role, name, version }) {
  const t = useT();
  const location = useLocation();
  const search = useSearch();
  const [closed, setClosed] = useState({});
  const [mini, setMini] = useState(false);
  useEffect(() => {
    setMini(document.documentElement.dataset.side === "mini");
    try {
      setClosed(JSON.parse(localStorage.getItem("gm_menu") ?? "{}"));
    } catch {
      // A value that cannot be read is one that was never there.
    }
  }, []);
  const fold = () => {
    const next = !mini;
    setMini(next);
    document.documentElement.dataset.side = next ? "mini" : "full";
    localStorage.setItem("gm_side", next ? "mini" : "full");
  };
  const toggle = (label) => {
    const next = { ...closed, [label]: !closed[label] };
    setClosed(next);
    localStorage.setItem("gm_menu", JSON.stringify(next));
  };
  const sections = menu
    .map((section) => ({ ...section, entries: section.entries.filter((entry) => entry.roles.includes(role)) }))
    .filter((section) => section.entries.length);
  const place = placeOf(sections.flatMap((section) => section.entries), location, search);
  return (
    <div className="side">
      <div className="logo">
        <Link to="/" className="row logo-link" aria-label={t("shell.home")}>
          <Logo />
          <b className="wide">GEdge</b>
          <span className="wide">GM {version}</span>
        </Link>
      </div>
      <nav className="nav" aria-label={t("shell.menu")}>
        {sections.map((section) => (
          <div key={section.label}>
            <button type="button" className="nav-section wide-only" aria-expanded={!closed[section.label]} onClick={() => toggle(section.label)}>
              <Icon name={section.icon} />
              <span>{t(section.label)}</span>
              <Icon name={closed[section.label] ? "chevron-right" : "chevron-down"} size={14} className="ch" />
            </button>
            <div className="sub" hidden={Boolean(closed[section.label]) && !mini}>
              {section.entries.map((entry) => {
                const here = entry === place;
                return (
                  <Link key={entry.path} to={scoped(entry.path, search)} className={here ? "on" : ""} aria-current={here ? "page" : undefined} title={mini ? t(entry.label) : undefined}>
                    <Icon name={entry.icon} className="mini-only" />
                    <span className="wide">{t(entry.label)}</span>
                  </Link>
                );
              })}
            </div>
          </div>
        ))}
      </nav>
      <button type="button" className="fold" onClick={fold} aria-label={t(mini ? "shell.unfold" : "shell.fold")} title={t(mini ? "shell.unfold" : "shell.fold")}>
        <Icon name={mini ? "panel-left-open" : "panel-left-close"} />
      </button>
      <div className="ubox">
        <span className="ava wide" aria-hidden="true">{name ? [...name][0].toUpperCase() : ""}</span>
        <div className="who wide">
          <div className="cut">{name}</div>
          <div className="q micro">{role ? t(`role.${role}`) : ""}</div>
        </div>
        <form method="post" action="/gmcapi/v2/auth/logout">
          <button type="submit" className="btn ghost ico" aria-label={t("shell.logout")} title={t("shell.logout")}>
            <Icon name="log-out" />
          </button>
        </form>
      </div>
    </div>
  );
}

// --- the header ---

export function PageTitle({ crumbs, title }) {
  const language = useLanguage();
  useEffect(() => {
    document.title = title ? `${title} · GEdge GM` : "GEdge GM";
  }, [title, language]);
  return (
    <div className="page-title">
      <div className="crumb" aria-hidden={crumbs.length ? undefined : true}>
        {crumbs.map((crumb, index) => (
          <span key={index}>
            {index > 0 ? <i>›</i> : null}
            {crumb}
          </span>
        ))}
      </div>
      <h1 className="cut" title={title}>{title}</h1>
    </div>
  );
}

/** The kinds that share a line of the menu, as tabs that are links. */
export function KindTabs({ tabs, counts }) {
  const t = useT();
  const language = useLanguage();
  const location = useLocation();
  const search = useSearch();
  const here = clean(location.pathname);
  return (
    <nav className="tabs kind-tabs" aria-label={t("shell.tabs")}>
      {tabs.map((tab) => (
        <Link key={tab.path} to={scoped(tab.path, search)} className={here === tab.path ? "on" : ""} aria-current={here === tab.path ? "page" : undefined}>
          {t(tab.label)}
          <span className="n" aria-hidden={counts?.[tab.kind] === undefined}>{counts?.[tab.kind] === undefined ? "" : number(language, counts[tab.kind])}</span>
        </Link>
      ))}
    </nav>
  );
}

const STATE_SIGN = { live: "good", syncing: "busy", building: "busy", away: "away", failed: "bad", unknown: "away" };

/** Which clusters, and later workspaces and projects, the page looks at. The choice stands in the address. */
export function ScopePicker({ clusters }) {
  const t = useT();
  const location = useLocation();
  const navigate = useNavigate();
  const search = useSearch();
  const [open, setOpen] = useState(false);
  const [filter, setFilter] = useState("");
  const close = useMemo(() => () => setOpen(false), []);
  const ref = useDismiss(open, close);
  const chosen = (search.get("cluster") ?? "").split(",").filter(Boolean);
  if (!clusters.length && !chosen.length) return null;
  const choose = (names) => {
    const next = new URLSearchParams(location.search);
    if (names.length) next.set("cluster", names.join(","));
    else next.delete("cluster");
    for (const gone of ["cursor", "from"]) next.delete(gone);
    navigate({ search: next.toString() }, { preventScrollReset: true });
  };
  const label = !chosen.length ? t("scope.all_clusters") : chosen.length === 1 ? chosen[0] : t("scope.more", { name: chosen[0], count: chosen.length - 1 });
  const names = [...new Set([...clusters.map((c) => c.name), ...chosen])].filter((name) => name.toLowerCase().includes(filter.toLowerCase()));
  const byName = Object.fromEntries(clusters.map((c) => [c.name, c]));
  return (
    <div className="pick" ref={ref}>
      <button type="button" className={`ctl ${chosen.length ? "set" : ""}`} aria-haspopup="true" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span className="cut pick-label">{label}</span>
        <Icon name="chevron-down" size={14} />
      </button>
      {open ? (
        <div className="float menu" role="group" aria-label={t("scope.clusters")}>
          {clusters.length > 8 ? (
            <label className="fld menu-filter">
              <Icon name="search" size={14} />
              <input autoFocus value={filter} onChange={(event) => setFilter(event.target.value)} aria-label={t("scope.find")} placeholder={t("scope.find")} />
            </label>
          ) : null}
          <button type="button" className="menu-item" aria-pressed={!chosen.length} onClick={() => choose([])}>
            <span className={`cb ${chosen.length ? "" : "on"}`}>{chosen.length ? null : <Icon name="check" size={10} />}</span>
            {t("scope.all_clusters")}
          </button>
          <div className="menu-list">
            {names.map((name) => {
              const on = chosen.includes(name);
              const found = byName[name];
              return (
                <button key={name} type="button" className="menu-item" aria-pressed={on} onClick={() => choose(on ? chosen.filter((c) => c !== name) : [...chosen, name])}>
                  <span className={`cb ${on ? "on" : ""}`}>{on ? <Icon name="check" size={10} /> : null}</span>
                  <span className="cut">{name}</span>
                  <span className="sp" />
                  {found?.state ? <span className={`micro t${STATE_SIGN[found.state] ?? "away"}`}>{t(`clusters.state.${found.state}`)}</span> : null}
                </button>
              );
            })}
          </div>
        </div>
      ) : null}
    </div>
  );
}

/** Quick search: pages by their name in both languages, and the lists that can be searched for a text. */
export function QuickSearch({ menu, role }) {
  const t = useT();
  const navigate = useNavigate();
  const search = useSearch();
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const opener = useRef(null);
  const ready = useReady();
  const mac = ready && /Mac|iPhone|iPad/.test(navigator.platform);
  useEffect(() => {
    const key = (event) => {
      if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setOpen(true);
      }
    };
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  }, []);
  const pages = useMemo(
    () =>
      menu.flatMap((section) =>
        section.entries
          .filter((entry) => entry.roles.includes(role))
          .flatMap((entry) =>
            (entry.tabs.length ? entry.tabs : [entry]).map((page) => ({ label: page.label, path: page.path, section: section.label, icon: entry.icon, search: entry.search })),
          ),
      ),
    [menu, role],
  );
  const needle = typed.trim().toLowerCase();
  const items = useMemo(() => {
    const matching = pages.filter((page) => !needle || [text("ko", page.label), text("en", page.label), text("ko", page.section), text("en", page.section)].some((word) => word.toLowerCase().includes(needle)));
    const jump = matching.map((page) => ({ key: page.path, icon: page.icon, path: page.path, words: t(page.label), where: t(page.section) }));
    const look = needle
      ? pages.filter((page) => page.search).map((page) => ({ key: `${page.path}?q`, icon: "search", path: `${page.path}?q=${encodeURIComponent(typed.trim())}`, words: t("search.in", { page: t(page.label), text: typed.trim() }), where: "" }))
      : [];
    return [...jump, ...look];
  }, [pages, needle, typed, t]);
  const close = () => {
    setOpen(false);
    setTyped("");
    setAt(0);
    opener.current?.focus();
  };
  const go = (item) => {
    close();
    if (item) navigate(scoped(item.path, search));
  };
  const move = (event) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "ArrowDown") setAt((i) => Math.min(i + 1, items.length - 1));
    else if (event.key === "ArrowUp") setAt((i) => Math.max(i - 1, 0));
    else if (event.key === "Enter") go(items[at]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  };
  return (
    <>
      <button type="button" className="ctl search-open" ref={opener} onClick={() => setOpen(true)} aria-haspopup="dialog">
        <Icon name="search" size={14} />
        <span className="f">{t("search.open")}</span>
        <span className="sp" />
        <kbd>{mac ? "⌘K" : "Ctrl K"}</kbd>
      </button>
      {open ? (
        <Dialog label={t("search.open")} close={close} className="palette">
          <div className="fld">
            <Icon name="search" />
            <input
              autoFocus
              role="combobox"
              aria-expanded="true"
              aria-controls="gm-found"
              aria-activedescendant={items[at] ? `gm-found-${at}` : undefined}
              aria-label={t("search.open")}
              placeholder={t("search.placeholder")}
              value={typed}
              onKeyDown={move}
              onChange={(event) => {
                setTyped(event.target.value);
                setAt(0);
              }}
            />
          </div>
          <div id="gm-found" role="listbox" aria-label={t("search.results")} className="found">
            {items.map((item, index) => (
              <div key={item.key} id={`gm-found-${index}`} role="option" aria-selected={index === at} className={`menu-item ${index === at ? "on" : ""}`} onPointerMove={() => setAt(index)} onClick={() => go(item)}>
                <Icon name={item.icon} />
                <span className="cut">{item.words}</span>
                <span className="sp" />
                <span className="q micro">{item.where}</span>
              </div>
            ))}
          </div>
          {items.length ? null : <p className="q found-none">{t("search.none")}</p>}
        </Dialog>
      ) : null}
    </>
  );
}

export function LanguageButton() {
  const t = useT();
  const language = useLanguage();
  const other = language === "ko" ? "en" : "ko";
  return (
    <button type="button" className="btn ghost" onClick={() => setLanguage(other)} aria-label={t("shell.language")} title={t("shell.language")} lang={other}>
      <Icon name="languages" />
      {language.toUpperCase()}
    </button>
  );
}

export function LanguageSegment() {
  usePainted();
  const t = useT();
  const language = useLanguage();
  return (
    <div className="seg" role="group" aria-label={t("shell.language_group")}>
      {[["ko", "한국어"], ["en", "English"]].map(([code, word]) => (
        <button key={code} type="button" lang={code} className={code === language ? "on" : ""} aria-pressed={code === language} onClick={() => setLanguage(code)}>
          {word}
        </button>
      ))}
    </div>
  );
}

export function ThemeButton() {
  const t = useT();
  const { resolvedColorMode, setColorMode } = useContext(ColorModeContext);
  const ready = useReady();
  const dark = !ready || resolvedColorMode !== "light";
  const words = t(dark ? "shell.to_light" : "shell.to_dark");
  return (
    <button type="button" className="btn ghost ico" onClick={() => setColorMode(dark ? "light" : "dark")} aria-label={words} title={words}>
      <Icon name={dark ? "moon" : "sun"} />
    </button>
  );
}

// --- dialogs and notices ---

/** A modal dialog: focus stays inside, Escape and a press beside it close it. */
export function Dialog({ label, close, className = "", children }) {
  const ref = useRef(null);
  useEffect(() => {
    const dialog = ref.current;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  return (
    <dialog
      ref={ref}
      aria-label={label}
      className={`gm-dialog ${className}`}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onPointerDown={(event) => event.target === ref.current && close()}
    >
      <div className="gm-dialog-body">{children}</div>
    </dialog>
  );
}

const KEYS = [["/", "filter"], ["j k", "rows"], ["Enter", "open"], ["Esc", "close"], ["Ctrl K", "search"], ["?", "help"]];

export function KeyboardHelp() {
  const t = useT();
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const key = (event) => {
      const target = event.target;
      if (event.key !== "?" || event.ctrlKey || event.metaKey || target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
      event.preventDefault();
      setOpen(true);
    };
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  }, []);
  if (!open) return null;
  return (
    <Dialog label={t("help.title")} close={() => setOpen(false)} className="help">
      <h2>{t("help.title")}</h2>
      <dl>
        {KEYS.map(([key, word]) => (
          <div key={key}>
            <dt>{key.split(" ").map((one) => <kbd key={one}>{one}</kbd>)}</dt>
            <dd>{t(`help.${word}`)}</dd>
          </div>
        ))}
      </dl>
      <div className="row end">
        <button type="button" className="btn" onClick={() => setOpen(false)}>{t("shell.close")}</button>
      </div>
    </Dialog>
  );
}

const SIGNS = { good: "circle-check", busy: "loader-circle", warn: "triangle-alert", bad: "circle-x" };
const STAY = 6000;

/** The words of an error as the server names it: title, what happened, what to do. */
export function errorWords(t, error) {
  const params = error.params ?? {};
  const or = (key) => {
    const found = t(key, params);
    return found === key ? "" : found;
  };
  return { title: or(`error.${error.code}`) || t("error.internal"), detail: or(`error.${error.code}.detail`), hint: or(`error.${error.code}.hint`) };
}

function Notice({ notice, dismiss }) {
  const t = useT();
  useEffect(() => {
    if (notice.tone === "bad") return undefined;
    const wait = setTimeout(() => dismiss(notice.id), STAY);
    return () => clearTimeout(wait);
  }, [notice.id]);
  const words = notice.error ? errorWords(t, notice.error) : { title: t(notice.key, notice.params), detail: "", hint: "" };
  return (
    <div className={`notice float ${notice.tone}`}>
      <Icon name={SIGNS[notice.tone] ?? "info"} className={`t${notice.tone}`} />
      <div className="sp">
        <b>{words.title}</b>
        {words.detail && words.detail !== words.title ? <div className="q">{words.detail}</div> : null}
        {words.hint ? <div className="q">{words.hint}</div> : null}
      </div>
      <button type="button" className="btn ghost ico sm" aria-label={t("shell.close")} onClick={() => dismiss(notice.id)}>
        <Icon name="x" size={14} />
      </button>
    </div>
  );
}

export function Notices({ notices, onDismiss }) {
  const t = useT();
  const [gone, setGone] = useState([]);
  const dismiss = (id) => {
    setGone((old) => [...old.slice(-20), id]);
    onDismiss(id);
  };
  return (
    <div className="notices" role="region" aria-label={t("shell.notices")}>
      <div aria-live="polite">
        {notices.filter((notice) => !gone.includes(notice.id)).map((notice) => <Notice key={notice.id} notice={notice} dismiss={dismiss} />)}
      </div>
    </div>
  );
}

// --- the end of a session, the loss of the connection ---

/** Leaves for the login page when the session is over. A full load, so that nothing that was shown stays in memory. */
export function SessionWatch({ ended }) {
  usePainted();
  useEffect(() => {
    if (!ended) return;
    const next = window.location.pathname + window.location.search;
    window.location.replace(`/login?next=${encodeURIComponent(next)}`);
  }, [ended]);
  return null;
}

export function Offline() {
  const t = useT();
  const errors = useContext(EventLoopContext)?.[1]?.length ?? 0;
  const [late, setLate] = useState(false);
  useEffect(() => {
    if (!errors) {
      setLate(false);
      return undefined;
    }
    const wait = setTimeout(() => setLate(true), 1500);
    return () => clearTimeout(wait);
  }, [errors > 0]);
  if (!errors || !late) return null;
  return (
    <div className="offline" role="status">
      <Icon name="unplug" size={14} />
      {t("shell.offline")}
    </div>
  );
}

/** An address that leads nowhere. */
export function Missing() {
  const t = useT();
  return (
    <div className="missing" role="status">
      <span className="missing-sign"><Icon name="search" size={20} /></span>
      <b>{t("missing.title")}</b>
      <p className="q">{t("missing.text")}</p>
      <Link className="btn pri" to="/">{t("missing.back")}</Link>
    </div>
  );
}
