// Five states that a page can be in besides showing its rows: empty, loading, denied, away, failed.
// Each says what happened, why, and what to do next.
import "./list.css";
import { Age, useWords } from "./base.jsx";
import { Icon } from "./icons.jsx";
import { clustersOf, whyOf } from "./freshness.jsx";

function Centre({ icon, tone = "", title, children }) {
  return (
    <div className="gm-centre" role="status">
      <span className={`em ${tone}`}><Icon name={icon} size="l" /></span>
      <b>{title}</b>
      {children}
    </div>
  );
}

/** Answered, and there is nothing. It says how many clusters answered, because "nothing" is only true of those. */
export function Empty({ title, fresh, filtered, nothing, onClear, hint, action }) {
  const { t, n } = useWords();
  const needed = fresh?.needed ?? 0;
  const answered = fresh?.answered ?? 0;
  const silent = clustersOf(fresh).filter((one) => one.state !== "live");
  if (nothing) {
    return (
      <Centre icon="lock" tone="warn" title={t("ui.empty.nothing")}>
        <p className="q">{t("ui.empty.nothing_hint")}</p>
      </Centre>
    );
  }
  if (fresh && needed === 0) {
    return (
      <Centre icon="server" title={t("ui.empty.no_clusters")}>
        <p className="q">{t("ui.empty.no_clusters_hint")}</p>
      </Centre>
    );
  }
  return (
    <Centre icon="inbox" title={filtered ? t("ui.empty.filtered", { title }) : t("ui.empty.title", { title })}>
      <p className="q">
        {fresh ? (
          <>
            <b>{answered >= needed ? t("ui.empty.all_answered", { count: n(needed) }) : t("ui.empty.some_answered", { answered: n(answered), needed: n(needed) })}</b>
            <br />
          </>
        ) : null}
        {silent.length ? <>{t("ui.empty.silent", { clusters: silent.map((one) => one.cluster).join(", ") })}<br /></> : null}
        {filtered ? t("ui.empty.filtered_hint") : hint}
      </p>
      <div className="row">
        {filtered ? <button type="button" className="btn pri" onClick={onClear}>{t("ui.table.filters_clear")}</button> : action}
      </div>
    </Centre>
  );
}

/** Rows to be, in their final size. */
export function Skeleton({ columns, rows = 8, selectable = true }) {
  return (
    <tbody aria-hidden="true" className="gm-skeleton">
      {Array.from({ length: rows }, (_, index) => (
        <tr key={index}>
          {selectable ? <td /> : null}
          {columns.map((column, at) => (
            <td key={column.key}><i className="sk" style={{ width: `${40 + ((index * 37 + at * 23) % 45)}%` }} /></td>
          ))}
        </tr>
      ))}
    </tbody>
  );
}

/** No source has answered, so nothing can be said about what is there. */
export function Nobody({ fresh, title }) {
  const { t, n } = useWords();
  const clusters = clustersOf(fresh);
  return (
    <Centre icon="unplug" tone="away" title={t("ui.nobody.title")}>
      <p className="q">{t("ui.nobody.text", { title, needed: n(fresh?.needed ?? clusters.length) })}</p>
      <div className="rule">
        {clusters.slice(0, 5).map((one) => (
          <Reason key={one.cluster} cluster={one} />
        ))}
      </div>
      <p className="q micro">{t("ui.nobody.retry")}</p>
    </Centre>
  );
}

function Reason({ cluster }) {
  const words = useWords();
  const { t } = words;
  return (
    <>
      <span className="q">{cluster.cluster}</span>
      <span>
        {t(`source.${cluster.state}`)}
        {cluster.error ? ` · ${whyOf(words, cluster.error)}` : ""}
        {cluster.asOf ? <> · <Age at={cluster.asOf} past /></> : null}
      </span>
    </>
  );
}

/** An error as its code has it: denied, away, or failed with the reason that the other side gave. */
export function Failed({ problem, onRetry }) {
  const { t, has } = useWords();
  const { code, params } = problem ?? {};
  const denied = code === "forbidden" || code === "unauthenticated";
  const away = code === "cluster_unreachable";
  const filled = { ...params, reason: reasonOf(params, t, has) };
  const own = (part) => (has(`error.${code}${part}`) ? t(`error.${code}${part}`, filled) : null);
  const title = denied ? t("ui.problem.denied") : (own("") ?? t("ui.problem.failed"));
  const detail = own(".detail");
  const rule = params?.rule;
  const facts = [
    [t("ui.problem.code"), code, "m"],
    [t("ui.problem.rule"), denied && rule ? (has(`policy.rule.${rule}`) ? t(`policy.rule.${rule}`) : rule) : null, ""],
    [t("ui.problem.remedy"), own(".hint"), ""],
  ].filter(([, value]) => value);
  return (
    <Centre icon={denied ? "lock" : away ? "unplug" : "circle-x"} tone={denied ? "warn" : away ? "away" : "bad"} title={title}>
      {detail && detail !== title ? <p className="q">{detail}</p> : null}
      {facts.length ? (
        <div className="rule">
          {facts.map(([name, value, look]) => (
            <Fact key={name} name={name} value={value} look={look} />
          ))}
        </div>
      ) : null}
      {denied || !onRetry ? null : (
        <div className="row">
          <button type="button" className="btn pri" onClick={onRetry}><Icon name="refresh-cw" size="s" />{t("ui.retry")}</button>
        </div>
      )}
    </Centre>
  );
}

/** A filter or sort that the server could not understand, in one line above the rows of the question before. */
export function Misread({ problem, onClear }) {
  const { t, has } = useWords();
  const { code, params } = problem;
  const words = ["detail", "hint"].map((part) => `error.${code}.${part}`).filter(has).map((key) => t(key, { ...params, reason: reasonOf(params, t, has) }));
  return (
    <div className="note warn gm-misread" role="alert">
      <Icon name="triangle-alert" size="s" />
      <div>{words.join(" ") || t(`error.${code}`, params)}</div>
      <span className="sp" />
      <button type="button" className="btn sm" onClick={onClear}>{t("ui.table.filters_clear")}</button>
    </div>
  );
}

/** The words of a reason that the server named by its key. */
function reasonOf(params, t, has) {
  const key = `reason.${params?.reason}`;
  return has(key) ? t(key, params) : params?.reason;
}

function Fact({ name, value, look }) {
  return (
    <>
      <span className="q">{name}</span>
      <span className={look}>{value}</span>
    </>
  );
}
