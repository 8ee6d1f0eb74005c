// Forms of clusters and sites. What is typed stays in the browser until a button sends it.
import { useCallback, useEffect, useId, useMemo, useRef, useState } from "react";
import { Link, useLocation, useNavigate } from "react-router";
import { has, number, text, useLanguage } from "$/public/external/gmtool/shell/i18n/i18n.js";
import { Dialog, errorWords, useReady } from "$/public/external/gmtool/shell/frame/frame.jsx";
import { Icon } from "$/public/external/gmtool/shell/frame/icons.jsx";
import { Failed } from "$/public/external/gmtool/ui/states.jsx";

const useT = () => {
  const language = useLanguage();
  return useMemo(() => (key, params) => text(language, key, params), [language]);
};

const REGISTER = "/platform/clusters/register";
const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const LARGEST_FILE = 1024 * 1024;
const STAGES = ["dns", "tcp", "tls", "authentication", "permissions", "version", "latency", "clock"];

// --- parts -------------------------------------------------------------------------------------------------------

/** What the server says of one field: `problem.fields` of a form, or the one field of a simple error. */
function fieldError(t, problem, name) {
  const own = problem?.fields?.[name];
  if (own) return t(own.code, own.params);
  if (problem?.params?.field !== name) return "";
  const reason = problem.params.reason;
  return reason && has(`reason.${reason}`) ? t(`reason.${reason}`) : errorWords(t, problem).detail;
}

function Field({ label, hint, error, children, optional }) {
  const t = useT();
  const id = useId();
  return (
    <div className={`gm-field ${error ? "bad" : ""}`}>
      <label htmlFor={id}>
        {label} {optional ? <span className="q micro">{t("form.optional")}</span> : null}
      </label>
      {children({ id, "aria-invalid": error ? true : undefined, "aria-describedby": error || hint ? `${id}-more` : undefined })}
      <div className="gm-more" id={`${id}-more`}>
        {error ? (
          <span className="tbad row top"><Icon name="circle-x" size={13} /><span>{error}</span></span>
        ) : hint ? (
          <span className="q">{hint}</span>
        ) : null}
      </div>
    </div>
  );
}

function Text({ value, onValue, props, mono, ...more }) {
  return (
    <div className="fld">
      <input {...props} {...more} className={mono ? "m" : ""} value={value} onChange={(event) => onValue(event.target.value)} spellCheck="false" autoComplete="off" />
    </div>
  );
}

function Choice({ value, onValue, options, label }) {
  return (
    <div className="seg" role="radiogroup" aria-label={label}>
      {options.map(([key, word]) => (
        <button key={key} type="button" role="radio" aria-checked={key === value} className={key === value ? "on" : ""} onClick={() => onValue(key)}>
          {word}
        </button>
      ))}
    </div>
  );
}

/** An error that belongs to no field: what happened and what to do. */
function Trouble({ problem }) {
  const t = useT();
  if (!problem?.code) return null;
  const words = errorWords(t, stagedWords(t, problem));
  return (
    <div className="note bad" role="alert">
      <Icon name="circle-x" className="tbad" />
      <div>
        <b>{words.title}</b>
        {words.detail && words.detail !== words.title ? <div>{words.detail}</div> : null}
        {words.hint ? <div className="q">{words.hint}</div> : null}
      </div>
    </div>
  );
}

const isDenied = (problem) => problem?.code === "forbidden";

/** A failed check names its stage's reason by a code: the words come from the catalogue. */
function stagedWords(t, problem) {
  const { code, params = {} } = problem;
  if (!code.startsWith("preflight_")) return problem;
  return { ...problem, params: { ...params, reason: t(`clusters.preflight.reason.${params.reason}`, params), remedy: t(`clusters.preflight.remedy.${params.reason}`, params) } };
}

const SIGN = { ok: ["circle-check", "tgood"], warn: ["triangle-alert", "twarn"], failed: ["circle-x", "tbad"], skipped: ["info", "f"] };

/** The stages of a check as they come in; those that are still to come stand in their place. */
function Stages({ stages, running }) {
  const t = useT();
  const language = useLanguage();
  const done = Object.fromEntries(stages.map((stage) => [stage.stage, stage]));
  const next = STAGES.find((name) => !done[name]);
  return (
    <ol className="gm-stages" aria-live="polite" aria-busy={running}>
      {STAGES.map((name) => {
        const stage = done[name];
        const now = running && name === next;
        const [icon, tone] = stage ? SIGN[stage.state] : now ? ["loader-circle", "tbusy spin"] : ["info", "f pending"];
        return (
          <li key={name} className={stage?.state ?? (now ? "now" : "waiting")}>
            <Icon name={icon} className={tone} />
            <div className="sp">
              <div className="row">
                <b>{t(`clusters.preflight.stage.${name}`)}</b>
                <span className="visually-hidden">{stage ? t(`clusters.preflight.state.${stage.state}`) : ""}</span>
                <span className="sp" />
                {stage && stage.state !== "skipped" ? <span className="micro q">{number(language, stage.ms)} ms</span> : null}
              </div>
              {stage ? <div className="q">{t(`clusters.preflight.reason.${stage.reason}`, stage.params)}</div> : null}
              {stage && (stage.state === "failed" || stage.state === "warn") ? (
                <div className={`gm-remedy ${stage.state === "failed" ? "bad" : "warn"}`}>{t(`clusters.preflight.remedy.${stage.reason}`, stage.params)}</div>
              ) : null}
            </div>
          </li>
        );
      })}
    </ol>
  );
}

const standing = (stages) => ({
  whole: stages.length > 0 && (stages.length === STAGES.length || stages.some((s) => s.state === "failed")),
  failed: stages.some((stage) => stage.state === "failed"),
  warned: stages.some((stage) => stage.state === "warn"),
});

// --- the way to a cluster ----------------------------------------------------------------------------------------

const EMPTY_WAY = { method: "kubeconfig", kubeconfig: "", context: "", clusterEndpoint: "", caPem: "", token: "", tlsServerName: "" };

/** What of a way goes to the server: only the fields of the method that was chosen. */
function accessOf(way) {
  const { method, kubeconfig, context, ...direct } = way;
  return method === "kubeconfig" ? { kubeconfig, context } : direct;
}

function isComplete(way, contexts) {
  if (way.method === "kubeconfig") {
    const chosen = contexts.find((one) => one.name === way.context);
    return Boolean(way.kubeconfig.trim() && chosen && !chosen.problem);
  }
  return Boolean(way.clusterEndpoint.trim() && way.token.trim());
}

function Connection({ way, change, contexts, problem, onContexts, known }) {
  const t = useT();
  const [over, setOver] = useState(false);
  const [fileError, setFileError] = useState("");
  const wait = useRef(null);
  const picker = useRef(null);
  const set = (name) => (value) => change({ ...way, [name]: value });
  const read = (content, delay = 0) => {
    change({ ...way, kubeconfig: content, context: "" });
    clearTimeout(wait.current);
    wait.current = setTimeout(() => content.trim() && onContexts(content), delay);
  };
  const take = async (file) => {
    setFileError("");
    if (!file) return;
    if (file.size > LARGEST_FILE) setFileError(t("register.file_too_large"));
    else read(await file.text());
  };
  useEffect(() => () => clearTimeout(wait.current), []);
  useEffect(() => {
    if (way.context || way.method !== "kubeconfig" || !contexts.length) return;
    const usable = contexts.filter((one) => !one.problem);
    const first = usable.find((one) => one.current) ?? (usable.length === 1 ? usable[0] : null);
    if (first) change({ ...way, context: first.name });
  }, [contexts]);
  const kubeconfigTrouble = problem?.code?.startsWith("kubeconfig") ? errorWords(t, problem) : null;
  return (
    <>
      <div className="gm-field">
        <Choice label={t("register.method")} value={way.method} onValue={set("method")} options={[["kubeconfig", "kubeconfig"], ["direct", t("register.direct")]]} />
      </div>
      {way.method === "kubeconfig" ? (
        <>
          <Field label="kubeconfig" hint={t("register.kubeconfig_hint")} error={fileError || (kubeconfigTrouble ? [kubeconfigTrouble.title, kubeconfigTrouble.detail, kubeconfigTrouble.hint].filter((w, i, all) => w && all.indexOf(w) === i).join(" ") : fieldError(t, problem, "kubeconfig"))}>
            {(props) => (
              <div
                className={`fld gm-area ${over ? "over" : ""}`}
                onDragOver={(event) => {
                  event.preventDefault();
                  setOver(true);
                }}
                onDragLeave={() => setOver(false)}
                onDrop={(event) => {
                  event.preventDefault();
                  setOver(false);
                  take(event.dataTransfer.files[0]);
                }}
              >
                <textarea {...props} className="m" rows={9} spellCheck="false" value={way.kubeconfig} onChange={(event) => read(event.target.value, 500)} placeholder={t("register.paste")} />
              </div>
            )}
          </Field>
          <div className="row gm-upload">
            <input ref={picker} type="file" className="visually-hidden" tabIndex={-1} aria-hidden="true" onChange={(event) => take(event.target.files[0])} />
            <button type="button" className="btn" onClick={() => picker.current.click()}>
              <Icon name="file-up" size={14} />
              {t("register.upload")}
            </button>
          </div>
          {contexts.length ? (
            <fieldset className="gm-contexts">
              <legend>{t("register.context")}</legend>
              {contexts.map((one) => {
                const words = one.problem ? errorWords(t, one.problem) : null;
                return (
                  <label key={one.name} className={`gm-context ${one.name === way.context ? "on" : ""} ${words ? "off" : ""}`}>
                    <input type="radio" name="gm-context" checked={one.name === way.context} disabled={Boolean(words)} onChange={() => set("context")(one.name)} />
                    <span className="sp">
                      <b>{one.name}</b> {one.current ? <span className="chip plain">{t("register.current")}</span> : null}
                      <span className="q t12 block">{[one.endpoint, one.user].filter(Boolean).join(" · ")}</span>
                      {words ? <span className="twarn t12 block">{words.detail} {words.hint}</span> : null}
                    </span>
                  </label>
                );
              })}
            </fieldset>
          ) : null}
        </>
      ) : (
        <>
          <Field label={t("register.endpoint")} hint={known ? t("register.endpoint_known") : t("register.endpoint_hint")} error={fieldError(t, problem, "clusterEndpoint")}>
            {(props) => <Text props={props} mono value={way.clusterEndpoint} onValue={set("clusterEndpoint")} placeholder="https://10.0.0.10:6443" />}
          </Field>
          <Field label={t("register.ca")} optional hint={t("register.ca_hint")} error={fieldError(t, problem, "caPem")}>
            {(props) => (
              <div className="fld gm-area">
                <textarea {...props} className="m" rows={5} spellCheck="false" value={way.caPem} onChange={(event) => set("caPem")(event.target.value)} placeholder="-----BEGIN CERTIFICATE-----" />
              </div>
            )}
          </Field>
          <Field label={t("register.token")} hint={t("register.token_hint")} error={fieldError(t, problem, "token")}>
            {(props) => <Text props={props} mono type="password" value={way.token} onValue={set("token")} />}
          </Field>
          <Field label={t("register.server_name")} optional hint={t("register.server_name_hint")} error={fieldError(t, problem, "tlsServerName")}>
            {(props) => <Text props={props} mono value={way.tlsServerName} onValue={set("tlsServerName")} />}
          </Field>
        </>
      )}
    </>
  );
}

function SiteSelect({ sites, value, onValue, props }) {
  const t = useT();
  return (
    <select {...props} className="fld gm-select" value={value} onChange={(event) => onValue(event.target.value)}>
      <option value="">{t("register.no_site")}</option>
      {sites.map((site) => (
        <option key={site.name} value={site.name}>
          {site.address ? `${site.name} · ${site.address}` : site.name}
        </option>
      ))}
    </select>
  );
}

const CLOUDS = ["openstack", "aws", "azure", "google"];

function AboutCluster({ form, set, problem, sites, children }) {
  const t = useT();
  const list = useId();
  return (
    <>
      <div className="gm-field">
        <span className="gm-label">{t("clusters.column.type")}</span>
        <Choice label={t("clusters.column.type")} value={form.clusterType} onValue={set("clusterType")} options={[["edge", t("clusters.type.edge")], ["cloud", t("clusters.type.cloud")]]} />
      </div>
      {form.clusterType === "cloud" ? (
        <Field label={t("clusters.column.cloud")} optional error={fieldError(t, problem, "cloudType")}>
          {(props) => (
            <>
              <Text props={props} list={list} value={form.cloudType} onValue={set("cloudType")} placeholder="openstack" maxLength={32} />
              <datalist id={list}>{CLOUDS.map((one) => <option key={one} value={one} />)}</datalist>
            </>
          )}
        </Field>
      ) : null}
      <Field label={t("clusters.column.site")} optional hint={t("register.site_hint")} error={fieldError(t, problem, "site")}>
        {(props) => <SiteSelect props={props} sites={sites} value={form.site} onValue={set("site")} />}
      </Field>
      {children}
    </>
  );
}

// --- sites -------------------------------------------------------------------------------------------------------

const EMPTY_SITE = { name: "", address: "", zone: "edge", latitude: "", longitude: "" };

function siteForm(site) {
  return { ...EMPTY_SITE, ...site, latitude: site?.latitude ?? "", longitude: site?.longitude ?? "" };
}

function SiteDialog({ site, zone, running, problem, finished, onSave, onReset, close }) {
  const t = useT();
  const [form, setForm] = useState(() => (site ? siteForm(site) : { ...EMPTY_SITE, zone: zone ?? "edge" }));
  const [sent, setSent] = useState(false);
  const set = (name) => (value) => setForm({ ...form, [name]: value });
  useEffect(() => {
    onReset();
  }, []);
  useEffect(() => {
    if (sent && finished?.what === "site") close(finished.name);
  }, [finished?.n]);
  const busy = running === "site";
  const send = (event) => {
    event.preventDefault();
    if (busy) return;
    setSent(true);
    const { name, address, zone: where, latitude, longitude } = form;
    onSave(site?.name ?? "", { name, address, zone: where, latitude: latitude === "" ? null : latitude, longitude: longitude === "" ? null : longitude });
  };
  const wrong = sent ? problem : {};
  return (
    <Dialog label={t(site ? "sites.edit" : "sites.create")} close={() => close("")} className="gm-form-dialog">
      <form onSubmit={send}>
        <h2>{t(site ? "sites.edit" : "sites.create")}</h2>
        <Field label={t("sites.name")} hint={t("form.name_rule")} error={fieldError(t, wrong, "name")}>
          {(props) => <Text props={props} value={form.name} onValue={set("name")} autoFocus maxLength={63} placeholder="daejeon-etri" />}
        </Field>
        <div className="gm-field">
          <span className="gm-label">{t("sites.zone")}</span>
          <Choice label={t("sites.zone")} value={form.zone} onValue={set("zone")} options={[["edge", t("nav.edge")], ["cloud", t("nav.cloud")]]} />
        </div>
        <Field label={t("sites.address")} optional error={fieldError(t, wrong, "address")}>
          {(props) => <Text props={props} value={form.address} onValue={set("address")} maxLength={200} />}
        </Field>
        <div className="gm-two">
          <Field label={t("sites.latitude")} optional error={fieldError(t, wrong, "latitude")}>
            {(props) => <Text props={props} value={String(form.latitude)} onValue={set("latitude")} inputMode="decimal" placeholder="36.3504" />}
          </Field>
          <Field label={t("sites.longitude")} optional error={fieldError(t, wrong, "longitude")}>
            {(props) => <Text props={props} value={String(form.longitude)} onValue={set("longitude")} inputMode="decimal" placeholder="127.3845" />}
          </Field>
        </div>
        {wrong?.code && wrong.code !== "invalid_input" ? <Trouble problem={wrong} /> : null}
        <div className="row end">
          <button type="button" className="btn" onClick={() => close("")}>{t("form.cancel")}</button>
          <button type="submit" className="btn pri" disabled={!form.name.trim() || busy}>{t("form.save")}</button>
        </div>
      </form>
    </Dialog>
  );
}

export function Sites({ sites, running, problem, finished, onSave, onDelete, onReset }) {
  const t = useT();
  const language = useLanguage();
  const [open, setOpen] = useState(null);
  const [doomed, setDoomed] = useState(null);
  const close = () => setOpen(null);
  useEffect(() => {
    if (doomed && finished?.what === "site_deleted") setDoomed(null);
  }, [finished?.n]);
  if (isDenied(problem)) return <Failed problem={problem} />;
  return (
    <section className="gm-list gm-plain-list" aria-label={t("nav.sites")}>
      <div className="gm-tools">
        <span className="q">{t("sites.lead")}</span>
        <span className="sp" />
        <button type="button" className="btn pri" onClick={() => setOpen({})}>
          <Icon name="plus" size={14} />
          {t("sites.create")}
        </button>
      </div>
      <div className="gm-scroll" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col" style={{ width: 200 }}>{t("sites.name")}</th>
              <th scope="col" style={{ width: 110 }}>{t("sites.zone")}</th>
              <th scope="col">{t("sites.address")}</th>
              <th scope="col" style={{ width: 190 }}>{t("sites.point")}</th>
              <th scope="col">{t("clusters.title")}</th>
              <th scope="col" style={{ width: 92 }}><span className="visually-hidden">{t("form.actions")}</span></th>
            </tr>
          </thead>
          <tbody>
            {sites.map((site) => (
              <tr key={site.name}>
                <td><b>{site.name}</b></td>
                <td>{t(`nav.${site.zone}`)}</td>
                <td title={site.address}>{site.address || <span className="f">–</span>}</td>
                <td>{site.latitude === null ? <span className="f">–</span> : `${number(language, site.latitude, 4)}, ${number(language, site.longitude, 4)}`}</td>
                <td>
                  {site.clusters.length ? site.clusters.map((name, index) => (
                    <span key={name}>
                      {index ? ", " : ""}
                      <Link to={`/platform/clusters?open=${encodeURIComponent(name)}`}>{name}</Link>
                    </span>
                  )) : <span className="f">–</span>}
                </td>
                <td className="r">
                  <button type="button" className="btn ghost ico sm" aria-label={t("sites.edit_one", { name: site.name })} title={t("sites.edit")} onClick={() => setOpen(site)}><Icon name="pencil" size={14} /></button>
                  <button type="button" className="btn ghost ico sm" aria-label={t("sites.delete_one", { name: site.name })} title={t("sites.delete")} onClick={() => { onReset(); setDoomed(site); }}><Icon name="trash-2" size={14} /></button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {sites.length ? null : <p className="q gm-none">{t("sites.empty")}</p>}
      </div>
      {open ? <SiteDialog site={open.name ? open : null} running={running} problem={problem} finished={finished} onSave={onSave} onReset={onReset} close={close} /> : null}
      {doomed ? (
        <Dialog label={t("sites.delete")} close={() => setDoomed(null)} className="gm-form-dialog">
          <DangerHead title={t("sites.delete_title", { name: doomed.name })} lead={t("sites.delete_lead")} />
          <Trouble problem={problem} />
          <div className="row end">
            <button type="button" className="btn" autoFocus onClick={() => setDoomed(null)}>{t("form.cancel")}</button>
            <button type="button" className="btn danger" onClick={() => onDelete(doomed.name)} disabled={running === "site"}><Icon name="trash-2" size={14} />{t("sites.delete")}</button>
          </div>
        </Dialog>
      ) : null}
    </section>
  );
}

function DangerHead({ title, lead }) {
  return (
    <div className="gm-danger">
      <span className="gm-danger-sign"><Icon name="trash-2" size={20} /></span>
      <div>
        <h2>{title}</h2>
        <p className="q">{lead}</p>
      </div>
    </div>
  );
}

// --- the list's tabs and button ----------------------------------------------------------------------------------

export function ZoneTabs({ page, path }) {
  const t = useT();
  const location = useLocation();
  const language = useLanguage();
  const ready = useReady();
  const zone = ready ? new URLSearchParams(location.search).get("zone") ?? "" : "";
  const zones = page?.zones;
  const all = zones ? zones.edge + zones.cloud : undefined;
  return (
    <nav className="tabs kind-tabs" aria-label={t("clusters.zones")}>
      {[["", t("clusters.all"), all], ["edge", t("nav.edge"), zones?.edge], ["cloud", t("nav.cloud"), zones?.cloud]].map(([key, word, count]) => (
        <Link key={key} to={key ? `${path}?zone=${key}` : path} className={zone === key ? "on" : ""} aria-current={zone === key ? "page" : undefined}>
          {word}
          {count === undefined ? null : <span className="n">{number(language, count)}</span>}
        </Link>
      ))}
    </nav>
  );
}

export function RegisterButton({ role }) {
  const t = useT();
  const navigate = useNavigate();
  const location = useLocation();
  if (role !== "PA") return null;
  const go = () => {
    const zone = new URLSearchParams(location.search).get("zone");
    navigate(zone ? `${REGISTER}?zone=${zone}` : REGISTER);
  };
  return (
    <button type="button" className="btn pri" onClick={go}>
      <Icon name="plus" size={14} />
      {t("register.button")}
    </button>
  );
}

// --- registration ------------------------------------------------------------------------------------------------

const HELP = {
  connection: [["register.help.export", "kubectl config view --raw --minify --flatten"], ["register.help.exec", "./gm cluster add --context NAME --url ORIGIN"]],
  check: [["register.help.check", ""]],
};

/** What a reader may need beside a step: commands to copy, what is going to happen. */
function Help({ step }) {
  const t = useT();
  const ready = useReady();
  if (!HELP[step]) return null;
  const origin = ready ? window.location.origin : "";
  return (
    <aside className="gm-help" aria-label={t("register.help.title")}>
      <h3>{t("register.help.title")}</h3>
      {HELP[step].map(([key, command]) => (
        <div key={key}>
          <p>{t(key)}</p>
          {command ? <div className="code">{command.replace("ORIGIN", origin)}</div> : null}
        </div>
      ))}
    </aside>
  );
}

const STEPS = ["about", "connection", "check", "done"];

export function RegisterWizard({ sites, contexts, stages, running, problem, finished, onContexts, onCheck, onRegister, onSite, onReset }) {
  const t = useT();
  const location = useLocation();
  const [step, setStep] = useState(0);
  const [form, setForm] = useState({ clusterName: "", clusterType: "edge", cloudType: "", site: "" });
  const [way, setWay] = useState(EMPTY_WAY);
  const [accept, setAccept] = useState(false);
  const [newSite, setNewSite] = useState(false);
  const heading = useRef(null);
  const set = (name) => (value) => setForm({ ...form, [name]: value });
  useEffect(() => {
    const zone = new URLSearchParams(window.location.search).get("zone");
    if (zone === "cloud") setForm((old) => ({ ...old, clusterType: "cloud" }));
  }, [location.search]);
  useEffect(() => {
    if (finished?.what === "register") {
      setWay(EMPTY_WAY);
      setStep(3);
    }
  }, [finished?.n]);
  useEffect(() => {
    // A problem with a field of an earlier step leads back to it.
    const fields = [...Object.keys(problem?.fields ?? {}), problem?.params?.field];
    if (step === 2 && (problem?.code === "cluster_exists" || fields.some((name) => ["clusterName", "clusterType", "cloudType", "site"].includes(name)))) setStep(0);
    else if (step === 2 && !stages.length && (problem?.code?.startsWith("kubeconfig") || fields.some((name) => name in EMPTY_WAY))) setStep(1);
  }, [problem]);
  useEffect(() => heading.current?.focus(), [step]);
  const check = useCallback(() => {
    setAccept(false);
    onCheck(accessOf(way));
  }, [way]);
  const nameError = form.clusterName && !NAME.test(form.clusterName) ? t("reason.not_name") : problem?.code === "cluster_exists" ? errorWords(t, problem).detail : fieldError(t, problem, "clusterName");
  const found = standing(stages);
  const again = () => {
    onReset();
    setForm({ clusterName: "", clusterType: form.clusterType, cloudType: "", site: "" });
    setStep(0);
  };
  const next = (event) => {
    event.preventDefault();
    if (step === 0 && NAME.test(form.clusterName)) setStep(1);
    else if (step === 1 && isComplete(way, contexts)) {
      setStep(2);
      check();
    } else if (step === 2 && !running) onRegister({ ...accessOf(way), ...form, acceptWarnings: accept });
  };
  if (isDenied(problem)) return <Failed problem={problem} />;
  return (
    <div className="gm-wizard">
      <ol className="gm-steps" aria-label={t("register.steps")}>
        {STEPS.map((key, index) => (
          <li key={key} className={index === step ? "on" : index < step ? "past" : ""} aria-current={index === step ? "step" : undefined}>
            <span className="gm-step-sign">{index < step ? <Icon name="check" size={12} /> : index + 1}</span>
            {t(`register.step.${key}`)}
          </li>
        ))}
      </ol>
      <form className="gm-form" onSubmit={next}>
        <h2 ref={heading} tabIndex={-1}>{t(`register.step.${STEPS[step]}`)}</h2>
        {step === 0 ? (
          <>
            <Field label={t("clusters.column.name")} hint={t("form.name_rule")} error={nameError}>
              {(props) => <Text props={props} value={form.clusterName} onValue={set("clusterName")} maxLength={63} placeholder="daejeon-edge-01" />}
            </Field>
            <AboutCluster form={form} set={set} problem={problem} sites={sites}>
              <div className="gm-under">
                <button type="button" className="btn sm" onClick={() => setNewSite(true)}><Icon name="plus" size={13} />{t("sites.create")}</button>
              </div>
            </AboutCluster>
          </>
        ) : null}
        {step === 1 ? <Connection way={way} change={setWay} contexts={contexts} problem={problem} onContexts={onContexts} /> : null}
        {step === 2 ? (
          <>
            <p className="q">{t("register.check_lead")}</p>
            <Stages stages={stages} running={running !== ""} />
            {!running && problem?.code && !problem.code.startsWith("preflight_") ? <Trouble problem={problem} /> : null}
            {!running && found.warned && !found.failed ? (
              <label className="gm-accept">
                <input type="checkbox" checked={accept} onChange={(event) => setAccept(event.target.checked)} />
                {t("register.accept")}
              </label>
            ) : null}
          </>
        ) : null}
        {step === 3 ? (
          <div className="gm-done" role="status">
            <span className="gm-done-sign"><Icon name="circle-check" size={22} /></span>
            <b>{t("register.done", { name: finished?.name ?? "" })}</b>
            <p className="q">{t("register.done_lead")}</p>
            <div className="row">
              <Link className="btn pri" to={`/platform/clusters?open=${encodeURIComponent(finished?.name ?? "")}`}>{t("register.show")}</Link>
              <button type="button" className="btn" onClick={again}>{t("register.again")}</button>
            </div>
          </div>
        ) : (
          <div className="row end gm-buttons">
            <Link className="btn ghost" to="/platform/clusters">{t("form.cancel")}</Link>
            <span className="sp" />
            {step > 0 ? <button type="button" className="btn" onClick={() => setStep(step - 1)}>{t("form.back")}</button> : null}
            {step === 2 ? <button type="button" className="btn" onClick={check} disabled={running !== ""}><Icon name="refresh-cw" size={14} />{t("register.recheck")}</button> : null}
            <button type="submit" className="btn pri" disabled={step === 0 ? !NAME.test(form.clusterName) : step === 1 ? !isComplete(way, contexts) : running !== "" || !found.whole || found.failed || (found.warned && !accept)}>
              {running === "register" ? <Icon name="loader-circle" size={14} className="spin" /> : null}
              {t(step === 2 ? "register.submit" : "form.next")}
            </button>
          </div>
        )}
      </form>
      <Help step={STEPS[step]} />
      {newSite ? (
        <SiteDialog
          zone={form.clusterType}
          running={running}
          problem={problem}
          finished={finished}
          onSave={onSite}
          onReset={onReset}
          close={(name) => {
            setNewSite(false);
            if (name) setForm({ ...form, site: name });
          }}
        />
      ) : null}
    </div>
  );
}

// --- an open cluster ---------------------------------------------------------------------------------------------

export function ClusterActions({ cluster, sites, contexts, stages, running, problem, finished, dependents, onContexts, onCheck, onSave, onDepends, onDelete, onReset }) {
  const t = useT();
  const [open, setOpen] = useState("");
  useEffect(() => {
    if (finished?.what === "update" || finished?.what === "delete") setOpen("");
  }, [finished?.n]);
  if (!cluster?.name) return null;
  const begin = (what) => {
    onReset();
    setOpen(what);
    if (what === "check") onCheck(cluster.name);
    if (what === "delete") onDepends(cluster.name);
  };
  const close = () => setOpen("");
  const shared = { cluster, running, problem, close };
  return (
    <>
      {cluster.building ? null : (
        <>
          <button type="button" className="btn sm" onClick={() => begin("check")}><Icon name="shield-check" size={13} />{t("clusters.check")}</button>
          <button type="button" className="btn sm" onClick={() => begin("rotate")}><Icon name="key-round" size={13} />{t("clusters.rotate")}</button>
        </>
      )}
      <button type="button" className="btn sm" onClick={() => begin("edit")}><Icon name="pencil" size={13} />{t("clusters.edit")}</button>
      <button type="button" className="btn sm red" onClick={() => begin("delete")}><Icon name="trash-2" size={13} />{t("clusters.delete")}</button>
      {open === "check" ? (
        <Dialog label={t("clusters.check_title", { name: cluster.name })} close={close} className="gm-form-dialog">
          <h2>{t("clusters.check_title", { name: cluster.name })}</h2>
          <Stages stages={stages} running={running === "check"} />
          <Trouble problem={problem} />
          <div className="row end">
            <button type="button" className="btn" onClick={() => onCheck(cluster.name)} disabled={running !== ""}><Icon name="refresh-cw" size={14} />{t("register.recheck")}</button>
            <button type="button" className="btn pri" onClick={close}>{t("shell.close")}</button>
          </div>
        </Dialog>
      ) : null}
      {open === "edit" ? <EditDialog {...shared} sites={sites} onSave={onSave} /> : null}
      {open === "rotate" ? <RotateDialog {...shared} contexts={contexts} stages={stages} onContexts={onContexts} onSave={onSave} /> : null}
      {open === "delete" ? <DeleteDialog {...shared} dependents={dependents} onDelete={onDelete} /> : null}
    </>
  );
}

function EditDialog({ cluster, sites, running, problem, onSave, close }) {
  const t = useT();
  const [form, setForm] = useState({ clusterType: cluster.type, cloudType: cluster.cloud, site: cluster.site });
  const set = (name) => (value) => setForm({ ...form, [name]: value });
  const send = (event) => {
    event.preventDefault();
    onSave(cluster.name, form);
  };
  return (
    <Dialog label={t("clusters.edit_title", { name: cluster.name })} close={close} className="gm-form-dialog">
      <form onSubmit={send}>
        <h2>{t("clusters.edit_title", { name: cluster.name })}</h2>
        <AboutCluster form={form} set={set} problem={problem} sites={sites} />
        {problem?.code !== "invalid_input" ? <Trouble problem={problem} /> : null}
        <div className="row end">
          <button type="button" className="btn" onClick={close}>{t("form.cancel")}</button>
          <button type="submit" className="btn pri" disabled={running !== ""}>{t("form.save")}</button>
        </div>
      </form>
    </Dialog>
  );
}

function RotateDialog({ cluster, contexts, stages, running, problem, onContexts, onSave, close }) {
  const t = useT();
  const [way, setWay] = useState({ ...EMPTY_WAY, clusterEndpoint: cluster.endpoint });
  const [accept, setAccept] = useState(false);
  const warned = problem?.code === "preflight_warned";
  const send = (event) => {
    event.preventDefault();
    onSave(cluster.name, { ...accessOf(way), acceptWarnings: accept });
  };
  return (
    <Dialog label={t("clusters.rotate_title", { name: cluster.name })} close={close} className="gm-form-dialog wide">
      <form onSubmit={send}>
        <h2>{t("clusters.rotate_title", { name: cluster.name })}</h2>
        <p className="q">{t("clusters.rotate_lead")}</p>
        <Connection way={way} change={setWay} contexts={contexts} problem={problem} onContexts={onContexts} known />
        {stages.length ? <Stages stages={stages} running={false} /> : null}
        {problem?.code && !problem.code.startsWith("kubeconfig") && !problem.params?.field ? <Trouble problem={problem} /> : null}
        {warned ? (
          <label className="gm-accept">
            <input type="checkbox" checked={accept} onChange={(event) => setAccept(event.target.checked)} />
            {t("clusters.rotate_accept")}
          </label>
        ) : null}
        <div className="row end">
          <button type="button" className="btn" onClick={close}>{t("form.cancel")}</button>
          <button type="submit" className="btn pri" disabled={running !== "" || !isComplete(way, contexts) || (warned && !accept)}>
            {running === "update" ? <Icon name="loader-circle" size={14} className="spin" /> : null}
            {t("clusters.rotate_submit")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function DeleteDialog({ cluster, dependents, running, problem, onDelete, close }) {
  const t = useT();
  const language = useLanguage();
  const id = useId();
  const [typed, setTyped] = useState("");
  const known = dependents?.name === cluster.name ? dependents : null;
  const right = typed === cluster.name;
  const send = (event) => {
    event.preventDefault();
    if (right) onDelete(cluster.name, typed);
  };
  return (
    <Dialog label={t("clusters.delete_title", { name: cluster.name })} close={close} className="gm-form-dialog">
      <form onSubmit={send}>
        <DangerHead title={t("clusters.delete_title", { name: cluster.name })} lead={t("clusters.delete_lead")} />
        <dl className="kv gm-depends">
          {known
            ? Object.entries(known.objects).map(([kind, count]) => (
                <div key={kind} style={{ display: "contents" }}>
                  <dt>{has(`kind.${kind}.title`) ? t(`kind.${kind}.title`) : kind}</dt>
                  <dd>{number(language, count)}</dd>
                </div>
              ))
            : <div className="q">{t("clusters.delete_counting")}</div>}
        </dl>
        <p className="q t12">{t("clusters.delete_after")}</p>
        <label htmlFor={id} className="gm-type">{t("form.type_name", { name: cluster.name })}</label>
        <div className="fld">
          <input id={id} autoFocus value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" spellCheck="false" />
        </div>
        <Trouble problem={problem} />
        <div className="row end">
          <button type="button" className="btn" onClick={close}>{t("form.cancel")}</button>
          <button type="submit" className="btn danger" disabled={!right || running !== ""}><Icon name="trash-2" size={14} />{t("clusters.delete_submit")}</button>
        </div>
      </form>
    </Dialog>
  );
}
