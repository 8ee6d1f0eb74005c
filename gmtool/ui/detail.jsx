// One object beside its list: a header that says what it is and where it lives, and tabs of blocks. The server says which
// blocks a tab has and what is in them; this file only knows how each sort of block looks.
import { useCallback, useEffect, useId, useMemo, useRef, useState } from "react";
import { Link } from "react-router";
import "./list.css";
import { Age, CopyButton, Cut, Status, syncClock, useLate, useOffline, useRemembered, useWords, copyText, download } from "./base.jsx";
import { isRight, Shown } from "./cells.jsx";
import { AsOf } from "./freshness.jsx";
import { Icon } from "./icons.jsx";
import { useQuery } from "./query.js";
import { Failed } from "./states.jsx";
import { tokens } from "./yaml.js";

const LEAST = 190;

/** Two panes with a splitter whose place is remembered: the list, and what is open of it. */
export function Split({ children }) {
  const { t } = useWords();
  const [query] = useQuery();
  const open = Boolean(query.get("open"));
  const [where] = useRemembered("gm.detail.where", "below");
  const [sizes, setSizes] = useRemembered("gm.detail.size", { below: 320, beside: 480 });
  const [beside, setBeside] = useState(false);
  const ref = useRef(null);
  useEffect(() => setBeside(where === "beside"), [where]);
  useEffect(() => {
    const moved = (event) => setBeside(event.detail === "beside");
    window.addEventListener("gm-detail-where", moved);
    return () => window.removeEventListener("gm-detail-where", moved);
  }, []);
  const [list, detail] = [].concat(children);
  const side = beside ? "beside" : "below";
  const size = Math.max(LEAST, sizes[side]);
  const resize = (to) => {
    const whole = beside ? ref.current.clientWidth : ref.current.clientHeight;
    setSizes((old) => ({ ...old, [side]: Math.round(Math.min(Math.max(to, LEAST), Math.max(LEAST, whole - LEAST))) }));
  };
  const drag = (event) => {
    event.preventDefault();
    const start = beside ? event.clientX : event.clientY;
    const follow = (moved) => resize(size + start - (beside ? moved.clientX : moved.clientY));
    const stop = () => {
      window.removeEventListener("pointermove", follow);
      window.removeEventListener("pointerup", stop);
    };
    window.addEventListener("pointermove", follow);
    window.addEventListener("pointerup", stop);
  };
  const nudge = (event) => {
    const by = { ArrowUp: 24, ArrowLeft: 24, ArrowDown: -24, ArrowRight: -24 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    resize(size + by);
  };
  const tracks = `minmax(${LEAST}px,1fr) 5px min(${size}px, calc(100% - ${LEAST + 5}px))`;
  const style = !open ? {} : beside ? { gridTemplateColumns: tracks } : { gridTemplateRows: tracks };
  return (
    <div className="gm-split" ref={ref} style={style} data-side={open ? side : undefined}>
      {list}
      {open ? (
        <>
          <div
            className="gm-splitter"
            role="separator"
            tabIndex={0}
            aria-orientation={beside ? "vertical" : "horizontal"}
            aria-label={t("ui.detail.resize")}
            aria-valuenow={size}
            aria-valuemin={LEAST}
            onPointerDown={drag}
            onKeyDown={nudge}
          />
          {detail}
        </>
      ) : null}
    </div>
  );
}

// --- blocks ------------------------------------------------------------------------------------------------------

function Linked({ href, children }) {
  return href ? <Link to={href}>{children}</Link> : children;
}

function Pairs({ items, row }) {
  const { t, has } = useWords();
  return (
    <dl className="kv">
      {items.map((item) => (
        <div key={item.label} style={{ display: "contents" }}>
          <dt>{has(item.label) ? t(item.label) : item.label}</dt>
          <dd className={Array.isArray(item.value) || item.type === "prose" ? "whole" : undefined}>
            {item.type === "prose" ? (
              item.value
            ) : item.type === "time" && item.value ? (
              <>
                <When at={item.value} /> <Age at={item.value} past className="q" />
              </>
            ) : item.type === "tags" && item.value?.length ? (
              <Tags items={item.value} />
            ) : (
              <Linked href={item.href}><Shown type={item.type} words={item.words} value={item.value} row={item.type === "status" ? row : {}} asOf={row?.asOf} /></Linked>
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function When({ at }) {
  const words = useWords();
  return <time dateTime={words.iso(at)} title={words.iso(at)} suppressHydrationWarning>{words.when(at)}</time>;
}

function Tags({ items }) {
  return (
    <div className="gm-tags">
      {items.map((item) => {
        const [key, value] = Array.isArray(item) ? item : [item];
        return <span key={key} className="gm-tag">{value === undefined ? key : <><b>{key}</b>: {value}</>}</span>;
      })}
    </div>
  );
}

function Card({ card }) {
  const { t } = useWords();
  return (
    <div className="gm-card">
      <div className="row">
        <b className="cut">{card.name}</b>
        {card.status ? <Status status={card.status} state={card.state} away={card.away} short /> : null}
        <span className="sp" />
        {card.right ? <span className="micro q nw">{t(card.right.key, card.right.params)}</span> : null}
      </div>
      {card.line ? <div className="micro q cut" title={card.line}>{card.line}</div> : null}
      {card.note ? (
        <div className={`note ${card.note.tone ?? "bad"}`}>
          <Icon name={card.note.tone === "warn" ? "triangle-alert" : "circle-x"} size="s" />
          <div>{card.note.key ? t(card.note.key, card.note.params) : card.note.text}</div>
        </div>
      ) : null}
      {card.items?.length ? <Pairs items={card.items} row={{}} /> : null}
    </div>
  );
}

const EVENT = { Warning: ["twarn", "triangle-alert"], Normal: ["tgood", "circle-check"] };

function EventLine({ event }) {
  const [tone, icon] = EVENT[event.type] ?? ["q", "info"];
  return (
    <div className="gm-evr">
      <span className={tone} title={event.type}><Icon name={icon} size="s" /></span>
      <b>{event.reason}</b>
      <span className="cut q sp" title={event.message}>{event.message}</span>
      {event.count > 1 ? <span className="micro q nw">×{event.count}</span> : null}
      <Age at={event.at} past className="micro q nw" />
    </div>
  );
}

function EventWhole({ event }) {
  const { t } = useWords();
  const [tone, icon] = EVENT[event.type] ?? ["q", "info"];
  return (
    <details className="gm-ev">
      <summary>
        <span className={tone} title={event.type}><Icon name={icon} size="s" /></span>
        <b>{event.reason}</b>
        <span className="cut q sp">{event.message}</span>
        {event.count > 1 ? <span className="micro q nw">×{event.count}</span> : null}
        <Age at={event.at} past className="micro q nw" />
      </summary>
      <Pairs row={{}} items={[
        { label: "kind.events.message", value: event.message, type: "prose" },
        { label: "kind.events.type", value: event.type },
        { label: "kind.events.object", value: event.object },
        { label: "kind.events.source", value: event.source },
        { label: "kind.events.firstSeen", value: event.first, type: "time" },
        { label: "kind.events.lastSeen", value: event.at, type: "time" },
      ]} />
      <p className="micro q">{t("ui.detail.event_count", { count: event.count ?? 1 })}</p>
    </details>
  );
}

function Rows({ block }) {
  const { t, has } = useWords();
  return (
    <table className="gm-mini-table">
      <thead>
        <tr>{block.columns.map((column) => <th key={column.key} scope="col" className={isRight(column.type) ? "r" : undefined}>{has(column.label) ? t(column.label) : column.label}</th>)}</tr>
      </thead>
      <tbody>
        {block.rows.map((row, index) => (
          <tr key={row._key ?? index}>
            {block.columns.map((column, at) => (
              <td key={column.key} className={isRight(column.type) ? "r" : undefined}>
                <Linked href={at === 0 ? row._href : undefined}>
                  <Shown type={column.type} value={row[column.key]} row={row} />
                </Linked>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Yaml({ text, name }) {
  const { t } = useWords();
  const [wrap, setWrap] = useRemembered("gm.yaml.wrap", false);
  const [done, setDone] = useState(false);
  const lines = useMemo(() => tokens(text), [text]);
  return (
    <div className="gm-yaml">
      <div className="gm-yaml-tools">
        <span className="micro q">{t("ui.detail.yaml_note")}</span>
        <span className="sp" />
        <button type="button" className="btn sm" aria-pressed={wrap} onClick={() => setWrap(!wrap)}><Icon name="wrap-text" size="s" />{t("ui.detail.wrap")}</button>
        <button type="button" className="btn sm" onClick={async () => setDone(await copyText(text))}><Icon name={done ? "check" : "copy"} size="s" />{done ? t("ui.copied") : t("ui.copy")}</button>
        <button type="button" className="btn sm" onClick={() => download(`${name}.yaml`, "application/yaml;charset=utf-8", text)}><Icon name="download" size="s" />{t("ui.detail.download")}</button>
      </div>
      <div className="code" tabIndex={0} data-wrap={wrap || undefined} role="region" aria-label="YAML">
        {lines.map((line, index) => (
          <div className="ln" key={index}>
            <span className="no" aria-hidden="true">{index + 1}</span>
            <span>{line.map(([kind, part], at) => (kind ? <span key={at} className={kind}>{part}</span> : part))}{line.length ? "" : "\n"}</span>
          </div>
        ))}
      </div>
    </div>
  );
}

function Block({ block, row }) {
  const { t, has, n } = useWords();
  const heading = block.title ? (has(block.title) ? t(block.title) : block.title) : null;
  const many = block.count ?? null;
  let inside = null;
  if (block.t === "pairs") inside = <Pairs items={block.items} row={row} />;
  if (block.t === "cards") inside = block.cards.map((card, index) => <Card key={card.name ?? index} card={card} />);
  if (block.t === "tags") inside = block.items.length ? <Tags items={block.items} /> : <p className="q t12">{t("ui.detail.none")}</p>;
  if (block.t === "events") {
    const Line = block.short ? EventLine : EventWhole;
    inside = block.events.length ? block.events.map((event) => <Line key={event.key} event={event} />) : <p className="q t12">{t("ui.detail.no_events")}</p>;
  }
  if (block.t === "rows") inside = block.rows.length ? <Rows block={block} /> : <p className="q t12">{t("ui.detail.none")}</p>;
  return (
    <section className={block.wide ? "wide" : undefined}>
      {heading ? <h3>{heading} {many !== null ? <span className="q">{n(many)}</span> : null}</h3> : null}
      {inside}
    </section>
  );
}

// --- the pane ----------------------------------------------------------------------------------------------------

function Waiting() {
  return (
    <div className="gm-blocks" aria-hidden="true">
      {[0, 1, 2].map((column) => (
        <section key={column}>
          {[70, 48, 62, 40, 55].map((width, index) => <div key={index} style={{ height: 23 }}><i className="sk" style={{ width: `${width}%` }} /></div>)}
        </section>
      ))}
    </div>
  );
}

/** What is open: `detail` is what the server made of the address's `open` and `tab`. */
export function DetailPane({ detail, tabs, kind, children }) {
  const words = useWords();
  const { t, n } = words;
  const [query, change] = useQuery();
  const offline = useOffline();
  const [where, setWhere] = useRemembered("gm.detail.where", "below");
  const id = useId();
  const wanted = query.get("open") ?? "";
  const tab = query.get("tab") || tabs[0];
  const here = detail?.ref === wanted && detail?.kind === kind ? detail : null;
  const ready = here && here.tab === tab;
  const late = useLate(!ready && !here?.problem);
  useEffect(() => syncClock(here?.fresh?.now), [here?.fresh?.now]);
  const close = useCallback(() => change({ open: null, tab: null }, { push: true }), [change]);
  const turn = () => {
    const next = where === "below" ? "beside" : "below";
    setWhere(next);
    window.dispatchEvent(new CustomEvent("gm-detail-where", { detail: next }));
  };
  const pick = (key) => change({ tab: key === tabs[0] ? null : key });
  const step = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const next = tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length];
    pick(next);
    document.getElementById(`${id}${next}`)?.focus();
  };
  const parts = wanted.split("/").map(decodeURIComponent);
  const [cluster, ns, name] = parts.length === 1 ? ["", "", parts[0]] : parts; // a cluster is named by its name alone
  const row = here?.row ?? {};
  return (
    <section className="gm-detail" aria-label={t("ui.detail.title", { name: name ?? "" })} data-beside={where === "beside" || undefined} data-offline={offline || undefined} data-gm-detail>
      <div className="gm-dh">
        <div className="row">
          <h2><Cut text={name} /></h2>
          <CopyButton value={name ?? ""} label={t("ui.copy_name")} />
          <span className="micro q nw">{[cluster, ns, here?.word].filter(Boolean).join(" › ")}</span>
          {row.status !== undefined ? <Status status={row.status} state={row._state} away={row._away} asOf={row.asOf} params={row.statusParams} /> : null}
          {here?.gone ? <span className="chip warn"><Icon name="triangle-alert" size="xs" />{t("ui.detail.gone")}</span> : null}
          {here?.fresh && !row._away ? <AsOf fresh={here.fresh} single /> : null}
        </div>
        <span className="sp" />
        {children}
        <button type="button" className="btn ghost ico sm" style={{ width: 26 }} title={t("ui.detail.turn")} aria-label={t("ui.detail.turn")} onClick={turn}>
          <Icon name={where === "below" ? "panel-right" : "panel-bottom"} size="s" />
        </button>
        <button type="button" className="btn ghost ico sm" style={{ width: 26 }} title={t("ui.detail.close")} aria-label={t("ui.detail.close")} onClick={close}>
          <Icon name="x" size="s" />
        </button>
      </div>
      <div className="tabs" role="tablist" aria-label={t("ui.detail.tabs")} onKeyDown={step}>
        {tabs.map((key) => (
          <button key={key} id={`${id}${key}`} type="button" role="tab" aria-selected={key === tab} aria-controls={`${id}panel`} tabIndex={key === tab ? 0 : -1} onClick={() => pick(key)}>
            {t(`tab.${key}`)}
            {here?.counts?.[key] !== undefined ? <span className="n">{n(here.counts[key])}</span> : null}
          </button>
        ))}
      </div>
      <div className="gm-tab" role="tabpanel" id={`${id}panel`} aria-labelledby={`${id}${tab}`} aria-busy={!ready} tabIndex={0}>
        {here?.problem ? (
          <Failed problem={here.problem} />
        ) : ready ? (
          here.yaml !== undefined ? (
            <Yaml text={here.yaml} name={name} />
          ) : (
            <div className="gm-blocks">{here.blocks.map((block, index) => <Block key={block.title ?? index} block={block} row={row} />)}</div>
          )
        ) : late ? (
          <Waiting />
        ) : null}
      </div>
    </section>
  );
}
