// The one data table: every list of the product is this component over a declaration of columns and a page of rows.
//
// In "url" mode the question (filters, sort, page) stands in the address and the server answers it; in "local" mode all
// rows are here and are filtered and sorted in the browser, for lists that are short by nature.
import { memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import "./list.css";
import { CopyButton, isTyping, syncClock, useDismiss, useLate, useOffline, useRemembered, useWords, copyText, download, Age } from "./base.jsx";
import { Cell, isRight } from "./cells.jsx";
import { fontsArrived } from "./cut.js";
import { toCsv, toYaml } from "./export.js";
import { Icon } from "./icons.jsx";
import { altered, FIRST_PAGE, filtersOf, refOf, useQuery } from "./query.js";
import { arrange, assemble } from "./rows.js";
import { AsOf, sourceAges } from "./freshness.jsx";
import { Empty, Failed, Misread, Nobody, Skeleton } from "./states.jsx";
import { fit } from "./widths.js";

const SIZES = [20, 50, 100, 200, 500];
const HINTS = { int: "number", float: "number", bytes: "number", ratio: "text", time: "time", bool: "bool" };
const LEAST_WIDTH = 56;
const PICK = 38;

// --- one row -----------------------------------------------------------------------------------------------------

const same = (a, b) => a === b || (Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((v, i) => v === b[i]));
const differs = (a, b) => Object.keys(b).some((key) => !key.startsWith("_") && !same(a[key], b[key]));

/** Flash the row once when what it says has changed, or when it appeared while the reader was looking. */
function useFlash(ref, row, born) {
  const before = useRef(born ? null : row);
  useLayoutEffect(() => {
    const old = before.current;
    before.current = row;
    if (old && (old === row || !differs(old, row))) return;
    const element = ref.current;
    element.removeAttribute("data-flash");
    void element.offsetWidth; // the animation starts again only after a layout without it
    element.setAttribute("data-flash", "");
  }, [row, ref]);
}

const Row = memo(function Row({ row, columns, rooms, nameKey, asOf, href, selected, open, active, born, onOpen, onSelect, onFocus, selectable, index }) {
  const { t } = useWords();
  const ref = useRef(null);
  useFlash(ref, row, born);
  useEffect(() => {
    if (active === "focus") {
      ref.current.focus({ preventScroll: true });
      ref.current.scrollIntoView({ block: "nearest" });
    }
  }, [active]);
  const classes = [selected && "sel", open && "cur", row._away && "aw", active && "act"].filter(Boolean).join(" ");
  return (
    <tr
      ref={ref}
      className={classes}
      data-id={row._id}
      aria-selected={selectable ? selected : undefined}
      aria-rowindex={index}
      aria-current={open ? "true" : undefined}
      tabIndex={active ? 0 : -1}
      onClick={() => (window.getSelection()?.isCollapsed ?? true) && onOpen(row)}
      onFocus={() => onFocus(row._id)}
      onAnimationEnd={() => ref.current?.removeAttribute("data-flash")}
    >
      {selectable ? (
        <td className="gm-pick" onClick={(event) => event.stopPropagation()}>
          <input
            type="checkbox"
            checked={selected}
            tabIndex={-1}
            aria-label={t("ui.table.select_row", { name: row[nameKey] ?? "" })}
            onChange={() => onSelect(row)}
          />
        </td>
      ) : null}
      {columns.map((column, at) => (
        <Cell
          key={column.key}
          room={rooms[at]}
          bold={open}
          column={column}
          row={row}
          asOf={row._away ? asOf : undefined}
          isName={column.key === nameKey}
          href={column.key === nameKey ? href : undefined}
          onOpen={column.key === nameKey ? () => onOpen(row) : undefined}
        />
      ))}
    </tr>
  );
});

// --- column settings ---------------------------------------------------------------------------------------------

/** Which columns are shown, in which order and how wide: the declaration, changed by what the reader chose here before. */
function useColumns(id, declared) {
  const [own, setOwn] = useRemembered(`gm.table.${id}`, {});
  const columns = useMemo(() => {
    const known = new Map(declared.map((column) => [column.key, column]));
    const order = [...(own.order ?? []).filter((key) => known.has(key))];
    for (const column of declared) if (!order.includes(column.key)) order.push(column.key);
    return order.map((key) => ({
      ...known.get(key),
      shown: own.shown?.[key] ?? known.get(key).shown,
      width: own.width?.[key] ?? known.get(key).width,
    }));
  }, [declared, own]);
  const sized = Boolean(own.width);
  const show = useCallback((key, shown) => setOwn((old) => ({ ...old, shown: { ...old.shown, [key]: shown } })), [setOwn]);
  const size = useCallback((widths) => setOwn((old) => ({ ...old, width: widths && { ...old.width, ...widths } })), [setOwn]);
  const move = useCallback(
    (key, by) =>
      setOwn((old) => {
        const order = columns.map((column) => column.key);
        const from = order.indexOf(key);
        const to = from + by;
        if (to < 0 || to >= order.length) return old;
        [order[from], order[to]] = [order[to], order[from]];
        return { ...old, order };
      }),
    [columns, setOwn],
  );
  const reset = useCallback(() => setOwn({}), [setOwn]);
  return { columns, sized, show, size, move, reset };
}

function Chooser({ columns, show, move, reset }) {
  const { t } = useWords();
  const [open, setOpen] = useState(false);
  const close = useCallback(() => setOpen(false), []);
  const ref = useDismiss(open, close);
  return (
    <div className="gm-pop" ref={ref}>
      <button type="button" className="btn ghost ico" aria-expanded={open} aria-haspopup="dialog" title={t("ui.table.columns")} aria-label={t("ui.table.columns")} onClick={() => setOpen(!open)}>
        <Icon name="columns-3" />
      </button>
      {open ? (
        <div className="float gm-menu" role="dialog" aria-label={t("ui.table.columns")}>
          <ul>
            {columns.map((column, index) => (
              <li key={column.key}>
                <label>
                  <input type="checkbox" checked={column.shown} onChange={(event) => show(column.key, event.target.checked)} />
                  <span className="cut">{t(column.label)}</span>
                </label>
                <button type="button" className="gm-mini" disabled={index === 0} onClick={() => move(column.key, -1)} aria-label={t("ui.table.move_up", { column: t(column.label) })}>
                  <Icon name="chevron-up" size="s" />
                </button>
                <button type="button" className="gm-mini" disabled={index === columns.length - 1} onClick={() => move(column.key, 1)} aria-label={t("ui.table.move_down", { column: t(column.label) })}>
                  <Icon name="chevron-down" size="s" />
                </button>
              </li>
            ))}
          </ul>
          <button type="button" className="btn sm" onClick={reset}>
            <Icon name="rotate-ccw" size="s" />
            {t("ui.table.columns_reset")}
          </button>
        </div>
      ) : null}
    </div>
  );
}

/** The widths of all headings as they are drawn, by column: setting one fixes them all, so that no other moves. */
function drawn(heading) {
  const widths = {};
  for (const each of heading.parentElement.querySelectorAll("th[data-key]")) widths[each.dataset.key] = each.offsetWidth;
  return widths;
}

/** The edge of a heading: dragged, or moved by the arrow keys, it sets the column's width; a double click forgets all. */
function Edge({ column, size, label }) {
  const { t } = useWords();
  const set = (heading, widths, width) => size({ ...widths, [heading.dataset.key]: Math.max(LEAST_WIDTH, Math.round(width)) });
  const drag = (event) => {
    event.preventDefault();
    event.stopPropagation();
    const heading = event.currentTarget.parentElement;
    const start = event.clientX;
    const widths = drawn(heading);
    const follow = (moved) => set(heading, widths, widths[column.key] + moved.clientX - start);
    const stop = () => {
      window.removeEventListener("pointermove", follow);
      window.removeEventListener("pointerup", stop);
    };
    window.addEventListener("pointermove", follow);
    window.addEventListener("pointerup", stop);
  };
  const nudge = (event) => {
    const by = { ArrowLeft: -16, ArrowRight: 16 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const heading = event.currentTarget.parentElement;
    const widths = drawn(heading);
    set(heading, widths, widths[column.key] + by);
  };
  return (
    <span
      className="gm-edge"
      role="separator"
      aria-orientation="vertical"
      aria-label={t("ui.table.resize", { column: label })}
      aria-valuenow={column.width}
      tabIndex={0}
      onPointerDown={drag}
      onKeyDown={nudge}
      onClick={(event) => event.stopPropagation()}
      onDoubleClick={() => size(undefined)}
    />
  );
}

// --- fields that ask again a moment after the last key -------------------------------------------------------------

function Field({ value, onValue, label, className, icon, hint, help, inputRef }) {
  const [typed, setTyped] = useState(value);
  const wait = useRef(null);
  const pending = useRef(false);
  useEffect(() => {
    if (!pending.current) setTyped(value);
  }, [value]);
  useEffect(() => () => clearTimeout(wait.current), []);
  const send = (next) => {
    clearTimeout(wait.current);
    pending.current = false;
    onValue(next);
  };
  const type = (event) => {
    const next = event.target.value;
    setTyped(next);
    pending.current = true;
    clearTimeout(wait.current);
    wait.current = setTimeout(() => send(next), 250);
  };
  const key = (event) => {
    if (event.key === "Enter") send(typed);
    if (event.key === "Escape") {
      event.stopPropagation();
      if (typed) {
        setTyped("");
        send("");
      } else event.currentTarget.blur();
    }
  };
  return (
    <span className={`${className}${value ? " set" : ""}`}>
      {icon && !typed ? <Icon name={icon} size={icon === "search" ? "s" : "xs"} /> : null}
      <input ref={inputRef} type="text" value={typed} onChange={type} onKeyDown={key} aria-label={label} placeholder={hint} title={help ? `${label}\n${help}` : label} spellCheck={false} autoComplete="off" />
    </span>
  );
}

// --- the table ---------------------------------------------------------------------------------------------------

export function DataTable({
  kind: id,
  title,
  columns: declared,
  page,
  patch,
  fresh,
  problem,
  mode = "url",
  selectable = true,
  source,
  openable = true,
  emptyHint,
  emptyAction,
  labels = true,
  onOpen,
  onExport,
  onRetry,
  children,
}) {
  const words = useWords();
  const { t, tn, n, lang } = words;
  const local = mode === "local";
  const [query, change] = useQuery();
  const offline = useOffline();
  const search = useRef(null);

  // What is asked
  const q = query.get("q") ?? "";
  const filters = useMemo(() => filtersOf(query), [query]);
  const sort = query.get("sort") || page?.sort || "";
  const limit = Number(query.get("limit")) || page?.limit || 50;
  const opened = query.get("open") ?? "";
  const ask = useCallback((changes) => change({ ...FIRST_PAGE, ...changes }), [change]);

  // What came back
  const current = page?.kind === id ? page : null;
  const answer = useMemo(() => assemble(current, patch), [current, patch]);
  const rows = useMemo(() => {
    if (!answer) return null;
    return local ? arrange(answer.rows, { q, filters, sort }) : answer.rows;
  }, [answer, local, q, filters, sort]);
  useEffect(() => syncClock(fresh?.now), [fresh?.now]);
  const ages = useMemo(() => sourceAges(fresh), [fresh]);

  // How it is shown
  const { columns, sized, show, size, move, reset } = useColumns(id, declared);
  const shown = useMemo(() => columns.filter((column) => column.shown), [columns]);
  const nameKey = (shown.find((column) => column.key === "name") ?? shown.find((column) => column.type === "text"))?.key;
  const frame = useRef(null);
  const [room, setRoom] = useState(1170);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(([entry]) => setRoom(Math.floor(entry.contentRect.width) - (selectable ? PICK : 0)));
    watch.observe(frame.current);
    setRoom(frame.current.clientWidth - (selectable ? PICK : 0));
    return () => watch.disconnect();
  }, [selectable]);
  const { widths, padding } = useMemo(
    () => (sized ? { widths: shown.map((column) => column.width), padding: 10 } : fit(shown, room)),
    [shown, sized, room],
  );
  const fonts = useSyncExternalStore(fontsArrived.subscribe, fontsArrived.count, fontsArrived.none);
  // A new array when a font arrives, so that rows cut their names again.
  const rooms = useMemo(() => widths.map((width) => width - 2 * padding), [widths, padding, fonts]);
  const total = widths.reduce((sum, width) => sum + width, selectable ? PICK : 0);

  // New rows flash, but not those of a page that was just asked for.
  const asked = answer?.v;
  const seen = useRef({ v: undefined, ids: new Set() });
  const born = useMemo(() => {
    const before = seen.current;
    const fresh = new Set();
    if (rows && before.v === asked) for (const row of rows) if (!before.ids.has(row._id)) fresh.add(row._id);
    return fresh;
  }, [rows, asked]);
  useEffect(() => {
    if (rows) seen.current = { v: asked, ids: new Set(rows.map((row) => row._id)) };
  }, [rows, asked]);

  // Checked rows: kept by id over pages
  const [picked, setPicked] = useState(() => new Map());
  const pick = useCallback(
    (row) =>
      setPicked((old) => {
        const next = new Map(old);
        if (!next.delete(row._id)) next.set(row._id, row);
        return next;
      }),
    [],
  );
  useEffect(() => setPicked(new Map()), [id]);
  const allPicked = Boolean(rows?.length) && rows.every((row) => picked.has(row._id));
  const pickPage = () =>
    setPicked((old) => {
      const next = new Map(old);
      for (const row of rows) {
        if (allPicked) next.delete(row._id);
        else next.set(row._id, row);
      }
      return next;
    });

  // The row that the keys act on
  const [active, setActive] = useState({ id: null, focus: false });
  const at = rows?.findIndex((row) => row._id === active.id) ?? -1;
  const focusRow = useCallback((rowId) => setActive((old) => (old.id === rowId ? old : { id: rowId, focus: false })), []);
  const open = useCallback(
    (row) => {
      if (!openable) return;
      setActive({ id: row._id, focus: false });
      if (onOpen) onOpen(refOf(row));
      else change({ open: refOf(row) }, { push: true });
    },
    [change, onOpen, openable],
  );
  const close = useCallback(() => change({ open: null, tab: null }, { push: true }), [change]);

  const keys = useRef(null);
  keys.current = (event) => {
    if (event.defaultPrevented || isTyping(event)) return;
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    const inTable = event.target.closest?.("[data-gm-table]");
    if (step && rows?.length && (inTable || event.key.length === 1)) {
      const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step));
      setActive({ id: rows[next]._id, focus: true });
    } else if (event.key === "/") search.current?.focus();
    else if (event.key === "Enter" && at >= 0 && event.target.tagName === "TR") open(rows[at]);
    else if ((event.key === "x" || (event.key === " " && event.target.tagName === "TR")) && at >= 0 && selectable) pick(rows[at]);
    else if (event.key === "Escape") {
      if (opened) close();
      else if (picked.size) setPicked(new Map());
      else return;
    } else return;
    event.preventDefault();
  };
  useEffect(() => {
    const listen = (event) => keys.current(event);
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);

  // What a screen reader hears, at most every three seconds
  const [spoken, setSpoken] = useState("");
  const heard = useRef({ rows: null, v: undefined, changed: 0, timer: null });
  useEffect(() => {
    const last = heard.current;
    if (rows && last.rows && last.v === asked) {
      const held = new Map(last.rows.map((row) => [row._id, row]));
      last.changed += rows.filter((row) => !held.has(row._id) || (held.get(row._id) !== row && differs(held.get(row._id), row))).length;
      last.changed += [...held.keys()].filter((rowId) => !rows.some((row) => row._id === rowId)).length;
      if (last.changed && !last.timer) {
        last.timer = setTimeout(() => {
          setSpoken(tn("ui.table.changed", last.changed));
          last.changed = 0;
          last.timer = null;
        }, 3000);
      }
    }
    last.rows = rows;
    last.v = asked;
  }, [rows, asked, tn]);
  useEffect(() => () => clearTimeout(heard.current.timer), []);

  // Which of the five states
  const waiting = !answer && !problem?.code;
  const late = useLate(waiting);
  const filtered = Boolean(q || Object.keys(filters).length);
  const clear = () => ask(Object.fromEntries([["q", null], ...Object.keys(filters).map((name) => [`f.${name}`, null])]));
  const answered = fresh?.answered ?? 0;
  const needed = fresh?.needed ?? 0;
  const syncing = (fresh?.sources ?? []).some((one) => one.state === "syncing" || one.state === "building");
  // A question that cannot be understood leaves the rows of the one before, dimmed, and says what is wrong with it.
  const misread = problem?.code && problem.status === 400 && rows?.length ? problem : null;
  const lostPlace = problem?.params?.field === "cursor"; // an old link: its place in the list is no more
  useEffect(() => {
    if (lostPlace) ask({});
  }, [lostPlace, ask]);
  const badField = misread?.params?.field?.replace(/^f\./, "");
  let body = "rows";
  if (problem?.code && !misread) body = "problem";
  else if (waiting) body = late ? "skeleton" : "nothing";
  else if (!rows.length) {
    if (!local && needed > 0 && answered === 0) body = syncing ? "skeleton" : "nobody";
    else if (!local && syncing && answered < needed) body = "skeleton";
    else body = "empty";
  }

  const count = local ? rows?.length : answer?.count;
  const exact = local || answer?.exact !== false;
  // The address is ahead of the rows for a moment: the range is that of the rows which are shown.
  const place = useRef(0);
  if (answer && (answer.at ?? null) === query.get("cursor")) place.current = Number(query.get("from")) || 0;
  const from = local ? 0 : place.current;
  const heading = (column) => t(column.label);
  const exportName = `${id}-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}`;
  const [busy, setBusy] = useState("");
  const csvAll = () => {
    if (onExport) onExport(shown.map((column) => column.key), shown.map(heading));
    else download(`${exportName}.csv`, "text/csv;charset=utf-8", toCsv(rows ?? [], shown, heading));
  };
  const yamlPicked = async () => {
    setBusy(t("ui.table.exporting"));
    try {
      download(`${exportName}.yaml`, "application/yaml;charset=utf-8", await toYaml(source, [...picked.values()]));
      setBusy("");
    } catch (error) {
      setBusy(t("ui.table.export_failed", { reason: error.message }));
    }
  };
  const distinct = (name) => new Set([...picked.values()].map((row) => row[name]).filter(Boolean)).size;

  const skeleton = (
    <Skeleton columns={shown} selectable={selectable} rows={Math.min(limit, 12)} />
  );

  return (
    <section className="gm-list" data-gm-table={id} data-offline={offline || undefined} aria-label={title} aria-busy={waiting}>
      <div className="gm-tools" role="search">
        <Field
          className="ctl gm-search"
          value={q}
          onValue={(value) => ask({ q: value })}
          label={t(labels ? "ui.table.search" : "ui.table.search_plain")}
          hint={t(labels ? "ui.table.search" : "ui.table.search_plain")}
          icon="search"
          inputRef={search}
        />
        <kbd className="gm-slash" aria-hidden="true">/</kbd>
        <div className="gm-chips">
          {Object.entries(filters).map(([name, value]) => {
            const column = declared.find((one) => one.key === name);
            return (
              <button key={name} type="button" className="chip plain" onClick={() => ask({ [`f.${name}`]: null })} title={t("ui.table.filter_remove")}>
                <span className="cut">{column ? heading(column) : name}: {value}</span> <Icon name="x" size="xs" />
              </button>
            );
          })}
          {filtered ? (
            <button type="button" className="btn ghost sm" onClick={clear}>{t("ui.table.filters_clear")}</button>
          ) : null}
        </div>
        <span className="sp" />
        {offline ? (
          <span className="chip warn" role="status"><Icon name="loader-circle" size="xs" />{t("ui.reconnecting")}</span>
        ) : fresh?.needed ? (
          <AsOf fresh={fresh} />
        ) : null}
        {busy ? <span className="micro q" role="status">{busy}</span> : null}
        <Chooser columns={columns} show={show} move={move} reset={reset} />
        <button type="button" className="btn ghost ico" title={t("ui.table.csv_all")} aria-label={t("ui.table.csv_all")} onClick={csvAll} disabled={!rows?.length}>
          <Icon name="download" />
        </button>
        {children}
      </div>

      <div className="gm-grid">
        <div className="gm-scroll" ref={frame} data-picked={picked.size > 0 || undefined} tabIndex={body === "rows" ? undefined : 0}>
          {misread ? <Misread problem={misread} onClear={clear} /> : null}
          <table role="grid" data-dim={misread ? "" : undefined} data-tight={padding < 10 ? "" : undefined} aria-label={title} aria-rowcount={exact && count !== undefined ? count + 2 : -1} aria-multiselectable={selectable || undefined} style={{ width: total }}>
            <colgroup>
              {selectable ? <col style={{ width: PICK }} /> : null}
              {shown.map((column, index) => <col key={column.key} style={{ width: widths[index] }} />)}
            </colgroup>
            <thead>
              <tr>
                {selectable ? (
                  <th className="gm-pick" scope="col">
                    <input type="checkbox" checked={allPicked} disabled={!rows?.length} onChange={pickPage} aria-label={t("ui.table.select_page")} ref={(box) => { if (box) box.indeterminate = !allPicked && picked.size > 0; }} />
                  </th>
                ) : null}
                {shown.map((column) => {
                  const way = sort === column.key ? "ascending" : sort === `-${column.key}` ? "descending" : undefined;
                  const next = way === "ascending" ? `-${column.key}` : way === "descending" ? null : column.key;
                  const label = heading(column);
                  return (
                    <th key={column.key} data-key={column.key} scope="col" className={isRight(column.type) ? "r" : undefined} aria-sort={column.sortable ? (way ?? "none") : undefined}>
                      {column.sortable ? (
                        <button type="button" onClick={() => ask({ sort: next })} title={t("ui.table.sort", { column: label })}>
                          <span className="cut">{label}</span>
                          {way ? <Icon name={way === "ascending" ? "arrow-up" : "arrow-down"} size="xs" /> : null}
                        </button>
                      ) : (
                        <span className="cut">{label}</span>
                      )}
                      <Edge column={column} size={size} label={label} />
                    </th>
                  );
                })}
              </tr>
              <tr className="filt">
                {selectable ? <td /> : null}
                {shown.map((column) => (
                  <td key={column.key}>
                    {column.filterable ? (
                      <Field className={`ff${badField === column.key ? " bad" : ""}`} icon="list-filter" value={filters[column.key] ?? ""} onValue={(value) => ask({ [`f.${column.key}`]: value })} label={t("ui.table.filter", { column: heading(column) })} help={local ? "" : t(`ui.table.hint.${HINTS[column.type] ?? "text"}`)} />
                    ) : null}
                  </td>
                ))}
                        </tr>
            </thead>
            {body === "rows" ? (
              <tbody>
                {rows.map((row, index) => (
                  <Row
                    key={row._id}
                    row={row}
                    index={from + index + 3}
                    columns={shown}
                    rooms={rooms}
                    nameKey={nameKey}
                    asOf={ages[row._cluster]}
                    href={openable ? `?${altered(new URLSearchParams(query), { open: refOf(row) })}` : undefined}
                    selected={picked.has(row._id)}
                    open={opened !== "" && opened === refOf(row)}
                    active={row._id === active.id ? (active.focus ? "focus" : "on") : index === 0 && at < 0 ? "on" : undefined}
                    born={born.has(row._id)}
                    onOpen={open}
                    onSelect={pick}
                    onFocus={focusRow}
                    selectable={selectable}
                  />
                ))}
              </tbody>
            ) : body === "skeleton" ? skeleton : null}
          </table>
          {body === "problem" ? <Failed problem={problem} onRetry={onRetry ?? (() => window.location.reload())} /> : null}
          {body === "nobody" ? <Nobody fresh={fresh} title={title} /> : null}
          {body === "empty" ? (
            <Empty title={title} fresh={local ? null : fresh} nothing={answer?.nothing} filtered={filtered} onClear={clear} hint={emptyHint} action={emptyAction} />
          ) : null}
        </div>

        {picked.size ? (
          <div className="gm-bulk float" role="toolbar" aria-label={t("ui.table.bulk")}>
            <b>{tn("ui.table.selected", picked.size)}</b>
            {distinct("_cluster") ? <span className="q t12">{t("ui.table.selected_where", { clusters: n(distinct("_cluster")), projects: n(distinct("project") || distinct("namespace")) })}</span> : null}
            <i className="gm-bar" />
            <button type="button" className="btn sm" onClick={async () => setBusy((await copyText([...picked.values()].map((row) => row.name ?? row[nameKey]).join("\n"))) ? t("ui.copied") : "")}>
              <Icon name="copy" size="s" />{t("ui.table.copy_names")}
            </button>
            {source ? (
              <button type="button" className="btn sm" onClick={yamlPicked}><Icon name="file-code-2" size="s" />YAML</button>
            ) : null}
            <button type="button" className="btn sm" onClick={() => download(`${exportName}.csv`, "text/csv;charset=utf-8", toCsv([...picked.values()], shown, heading))}>
              <Icon name="download" size="s" />CSV
            </button>
            <button type="button" className="btn ghost ico sm" onClick={() => setPicked(new Map())} aria-label={t("ui.table.unselect")} title={t("ui.table.unselect")}>
              <Icon name="x" size="s" />
            </button>
          </div>
        ) : null}

        <footer className="gm-foot">
          <span className="nw gm-count">
            {answer && count !== undefined ? (
              rows.length && !local ? (
                <Range words={words} from={from} shown={rows.length} count={count} exact={exact} />
              ) : (
                tn("ui.table.total", count)
              )
            ) : (
              <i className="sk" style={{ width: 90 }} />
            )}
          </span>
          {answer?.away ? (
            <span className="taway nw" title={t("ui.table.away_title")}>
              <Icon name="unplug" size="xs" /> {tn("ui.table.away", answer.away)}
            </span>
          ) : null}
          <span className="sp" />
          {local ? null : (
            <>
              <label className="q nw gm-size">
                {t("ui.table.page_size")}
                <select className="ctl" value={limit} onChange={(event) => ask({ limit: event.target.value })}>
                  {[...new Set([...SIZES, limit])].sort((a, b) => a - b).map((one) => <option key={one} value={one}>{one}</option>)}
                </select>
              </label>
              <button type="button" className="btn sm" disabled={!answer?.prev && !from} onClick={() => change({ cursor: answer?.prev ?? null, from: answer?.prev ? Math.max(0, from - limit) || null : null }, { push: true })}>
                <Icon name="chevron-left" size="s" />{t("ui.table.previous")}
              </button>
              <button type="button" className="btn sm" disabled={!answer?.next} onClick={() => change({ cursor: answer.next, from: from + rows.length }, { push: true })}>
                {t("ui.table.next")}<Icon name="chevron-right" size="s" />
              </button>
            </>
          )}
        </footer>
      </div>
      <div className="gm-sr" aria-live="polite" key={lang}>{spoken}</div>
    </section>
  );
}

function Range({ words, from, shown, count, exact }) {
  const { t, n } = words;
  const text = t("ui.table.range", { first: n(from + 1), last: n(from + shown), count: "\u0000" });
  const [before, after] = text.split("\u0000");
  return (
    <>
      {before}
      <b>{n(count)}{exact ? "" : "+"}</b>
      {after}
    </>
  );
}
