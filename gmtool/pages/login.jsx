// Sign in by a form post, so that the answer can set a cookie that no script reads.
import { useEffect, useMemo, useRef, useState } from "react";
import { has, text, useLanguage } from "$/public/external/gmtool/shell/i18n/i18n.js";
import { LanguageSegment, useReady } from "$/public/external/gmtool/shell/frame/frame.jsx";
import { Icon } from "$/public/external/gmtool/shell/frame/icons.jsx";
import { Logo } from "$/public/external/gmtool/shell/frame/logo.jsx";

/** Where to go after signing in: a path of ours, never another host. */
function safeNext(value) {
  return value && /^\/(?![/\\])[^\\\s]*$/.test(value) ? value : "/";
}

export function LoginPage({ year }) {
  const language = useLanguage();
  const t = useMemo(() => (key, params) => text(language, key, params), [language]);
  const ready = useReady();
  const query = useMemo(() => new URLSearchParams(ready ? window.location.search : ""), [ready]);
  const [shown, setShown] = useState(false);
  const [busy, setBusy] = useState(false);
  const [empty, setEmpty] = useState("");
  const user = useRef(null);
  const password = useRef(null);
  useEffect(() => {
    document.title = `${t("login.submit")} · GEdge GM`;
  }, [t]);
  useEffect(() => {
    (user.current.value ? password : user).current.focus();
    const back = () => setBusy(false);
    window.addEventListener("pageshow", back);
    return () => window.removeEventListener("pageshow", back);
  }, []);
  const code = query.get("error");
  const minutes = Math.max(1, Math.ceil(Number(query.get("retry_after") || 60) / 60));
  const told = code ? (has(`login.error.${code}`) ? t(`login.error.${code}`, { minutes }) : t("login.error.other")) : "";
  const error = empty ? t(`login.error.${empty}`) : told;
  const submit = (event) => {
    const missing = !user.current.value.trim() ? "no_user" : !password.current.value ? "no_password" : "";
    setEmpty(missing);
    if (missing) {
      event.preventDefault();
      (missing === "no_user" ? user : password).current.focus();
    } else if (busy) event.preventDefault();
    else setBusy(true);
  };
  return (
    <div className="login">
      <section className="login-art" aria-label="GEdge Platform">
        <img src="/brand.svg" alt="" className="login-map" />
        <div className="login-brand">
          <Logo size={44} />
          <div>
            <b>GEdge Platform</b>
            <div className="login-sub">GM · Management Console</div>
          </div>
        </div>
        <p className="login-say" lang="en">
          An Open Cloud Edge SW Platform
          <br />
          <span>to enable Intelligent Edge Service</span>
        </p>
        <p className="login-copy">© {year} GEdge Platform Community</p>
      </section>
      <main className="login-side">
        <div className="login-language">
          <LanguageSegment />
        </div>
        <form method="post" action="/gmcapi/v2/auth/login" onSubmit={submit} noValidate>
          <h1>{t("login.title")}</h1>
          <p className="q login-lead">{t("login.lead")}</p>
          <input type="hidden" name="next" value={safeNext(query.get("next"))} />
          <label htmlFor="gm-user">{t("login.user")}</label>
          <div className="fld">
            <Icon name="user" />
            <input ref={user} id="gm-user" name="username" autoComplete="username" autoCapitalize="none" spellCheck="false" maxLength={128} required aria-invalid={empty === "no_user" || undefined} aria-describedby={error ? "gm-login-error" : undefined} />
          </div>
          <label htmlFor="gm-password">{t("login.password")}</label>
          <div className="fld">
            <Icon name="lock" />
            <input ref={password} id="gm-password" name="password" type={shown ? "text" : "password"} autoComplete="current-password" maxLength={1024} required aria-invalid={Boolean(error) || undefined} aria-describedby={error ? "gm-login-error" : undefined} />
            <button type="button" className="login-eye" aria-pressed={shown} aria-label={t(shown ? "login.hide" : "login.show")} title={t(shown ? "login.hide" : "login.show")} onClick={() => setShown(!shown)}>
              <Icon name={shown ? "eye-off" : "eye"} />
            </button>
          </div>
          <div className="login-error tbad" id="gm-login-error" role="alert">
            {error ? (
              <>
                <Icon name="circle-x" />
                <span>{error}</span>
              </>
            ) : null}
          </div>
          <button type="submit" className="btn pri" aria-disabled={busy || undefined}>
            {busy ? <Icon name="loader-circle" className="spin" /> : null}
            {t("login.submit")}
          </button>
        </form>
      </main>
    </div>
  );
}
