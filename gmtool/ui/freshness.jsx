// How true the screen is: which clusters have answered, and since when. One tick a cluster; a table behind the lamp.
import { useCallback, useEffect, useId, useState } from "react";
import "./list.css";
import { Age, syncClock, useDismiss, useOffline, useWords } from "./base.jsx";
import { Icon } from "./icons.jsx";

// Worst first: a cluster shows the worst of its sources.
const ORDER = ["away", "failed", "denied", "building", "syncing", "live"];
const LOOK = {
  live: { tick: "", chip: "good", icon: "circle-check" },
  syncing: { tick: "y", chip: "busy", icon: "loader-circle" },
  building: { tick: "w", chip: "busy", icon: "hammer" },
  denied: { tick: "b", chip: "warn", icon: "lock" },
  failed: { tick: "b", chip: "bad", icon: "circle-x" },
  away: { tick: "a", chip: "away", icon: "unplug" },
};
export const lookOf = (state) => LOOK[state] ?? LOOK.failed;
const MANY = 24;

/** Clusters with the worst state and the oldest age of their sources, in the order of their names. */
export function clustersOf(fresh) {
  const found = new Map();
  for (const source of fresh?.sources ?? []) {
    const old = found.get(source.cluster);
    if (!old) found.set(source.cluster, { ...source });
    else {
      if (ORDER.indexOf(source.state) < ORDER.indexOf(old.state)) Object.assign(old, { state: source.state, error: source.error });
      if (source.asOf && (!old.asOf || source.asOf < old.asOf)) old.asOf = source.asOf;
    }
  }
  return [...found.values()].sort((a, b) => (a.cluster < b.cluster ? -1 : 1));
}

/** Cluster → when its rows were last known to be true. */
export function sourceAges(fresh) {
  const ages = {};
  for (const cluster of clustersOf(fresh)) ages[cluster.cluster] = cluster.asOf;
  return ages;
}

/** The words of what a source reports; a reason without words of ours is shown as it stands. */
export function whyOf({ t, has }, error) {
  return [`reason.${error}`, `error.${error}`].filter(has).map((key) => t(key))[0] ?? error;
}

function Ticks({ clusters }) {
  if (clusters.length <= MANY) {
    return (
      <span className="ticks" aria-hidden="true">
        {[...clusters].sort((a, b) => ORDER.indexOf(b.state) - ORDER.indexOf(a.state)).map((one) => <i key={one.cluster} className={lookOf(one.state).tick} />)}
      </span>
    );
  }
  const share = (states) => clusters.filter((one) => states.includes(one.state)).length;
  const parts = [["g", share(["live"])], ["y", share(["syncing"])], ["w", share(["building"])], ["b", share(["denied", "failed"])], ["h", share(["away"])]];
  return (
    <span className="bar gm-share" aria-hidden="true">
      {parts.filter(([, count]) => count).map(([name, count]) => <i key={name} className={name} style={{ flexGrow: count }} />)}
    </span>
  );
}

function Sentence({ fresh }) {
  const { t, n } = useWords();
  return (
    <span>
      <b>{n(fresh?.answered ?? 0)}/{n(fresh?.needed ?? 0)}</b> {t("ui.fresh.clusters")}
      {fresh?.asOf ? <> · <Age at={fresh.asOf} past /></> : null}
    </span>
  );
}

/** The table behind the lamp: what each cluster's sources are doing, since when, and why not. */
export function Sources({ fresh, id }) {
  const words = useWords();
  const { t } = words;
  const sources = [...(fresh?.sources ?? [])].sort(
    (a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (a.cluster < b.cluster ? -1 : 1),
  );
  const kinds = new Set(sources.map((one) => one.kind).filter(Boolean));
  return (
    <div className="float gm-sources" role="dialog" aria-label={t("ui.fresh.title")} id={id}>
      <div className="gm-sources-head">
        <b>{t("ui.fresh.title")}</b>
        <span className="q t12">{t("ui.fresh.answered", { answered: words.n(fresh?.answered ?? 0), needed: words.n(fresh?.needed ?? 0) })}</span>
      </div>
      <div className="gm-sources-body" tabIndex={0}>
        {sources.length ? (
          <table>
            <thead>
              <tr>
                <th scope="col">{t("ui.fresh.cluster")}</th>
                {kinds.size > 1 ? <th scope="col">{t("ui.fresh.kind")}</th> : null}
                <th scope="col">{t("ui.fresh.state")}</th>
                <th scope="col" className="r">{t("ui.fresh.as_of")}</th>
              </tr>
            </thead>
            <tbody>
              {sources.map((one) => (
                <tr key={`${one.cluster}/${one.kind}`} className={one.state === "away" ? "aw" : undefined}>
                  <td className="cut" title={one.cluster}>{one.cluster}</td>
                  {kinds.size > 1 ? <td>{words.has(`kind.${one.kind}.title`) ? t(`kind.${one.kind}.title`) : one.kind}</td> : null}
                  <td className="gm-wrap">
                    <span className={`chip ${lookOf(one.state).chip}`}><Icon name={lookOf(one.state).icon} size="xs" />{t(`source.${one.state}`)}</span>
                    {one.error ? <div className="micro q">{whyOf(words, one.error)}</div> : null}
                  </td>
                  <td className="r">{one.asOf ? <Age at={one.asOf} past /> : "–"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        ) : (
          <p className="q t12">{t("ui.fresh.none")}</p>
        )}
      </div>
    </div>
  );
}

function Behind({ fresh, className, title, children }) {
  const [open, setOpen] = useState(false);
  const close = useCallback(() => setOpen(false), []);
  const ref = useDismiss(open, close);
  const id = useId();
  useEffect(() => syncClock(fresh?.now), [fresh?.now]);
  return (
    <div className="gm-pop" ref={ref}>
      <button type="button" className={className} aria-expanded={open} aria-controls={id} aria-haspopup="dialog" title={title} onClick={() => setOpen(!open)}>
        {children}
      </button>
      {open ? <Sources fresh={fresh} id={id} /> : null}
    </div>
  );
}

/** The lamp of the header: a tick per cluster, "8/9 클러스터 · 2초 전". Grey and spoken of as reconnecting while the socket is gone. */
export function Lamp({ fresh }) {
  const { t, n } = useWords();
  const offline = useOffline();
  const clusters = clustersOf(fresh);
  if (offline) {
    return (
      <span className="lamp gm-lost" role="status">
        <Icon name="loader-circle" size="s" />
        {t("ui.reconnecting")}
      </span>
    );
  }
  if (!fresh?.sources) return <span className="lamp"><i className="sk" style={{ width: 120 }} /></span>;
  if (!fresh.sources.length) return null; // no cluster that this reader may know of: nothing to say
  const title = t("ui.fresh.answered", { answered: n(fresh.answered ?? 0), needed: n(fresh.needed ?? 0) });
  return (
    <Behind fresh={fresh} className="lamp" title={title}>
      <Ticks clusters={clusters} />
      <Sentence fresh={fresh} />
    </Behind>
  );
}

/** The same in small, beside one list; beside one object (`single`) only its age. */
export function AsOf({ fresh, single = false }) {
  const clusters = clustersOf(fresh);
  const worst = ORDER.find((state) => clusters.some((one) => one.state === state));
  const dot = { away: "a", failed: "b", denied: "b", building: "w", syncing: "y" }[worst] ?? "";
  return (
    <Behind fresh={fresh} className="asof gm-plain" >
      <i className={`dot ${dot}`} aria-hidden="true" />
      {single && fresh?.asOf ? <Age at={fresh.asOf} past /> : <Sentence fresh={fresh} />}
    </Behind>
  );
}
