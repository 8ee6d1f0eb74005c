"""Sign in, stay signed in, sign out: the one door to sessions.

A browser signs in by a form and holds an opaque cookie that no script can read. A program signs in by REST and holds a
short access token and a refresh token that is exchanged, each time, for the next: when one is used a second time,
someone has a copy, and the whole family of tokens ends.

Every check asks the registry, so a revoke ends requests and open pages within seconds.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from gmcenter.core import clock, database, metrics
from gmcenter.core.errors import GMError, NotFound, Unauthenticated
from gmcenter.core.log import get_logger
from gmcenter.core.settings import settings
from gmcenter.identity import audit, passwords, policy, registry, throttle, tokens
from gmcenter.identity.actor import Actor
from gmcenter.identity.errors import AccountDisabled, InvalidCredentials, InvalidRefreshToken
from gmcenter.identity.model import LoginSession, RefreshToken, User
from gmcenter.identity.schema import SessionView

COOKIE: Final = "gm_session"
LONGEST_COOKIE_HEADER: Final = 16_384
KEEP_ENDED_SECONDS: Final = 30 * 86_400.0
"""How long the row of an ended session is kept."""

Kind = Literal["browser", "api"]

_SESSION_ID = re.compile(r"[0-9a-f]{32}")

LOGINS = metrics.counter("logins", "Sign-ins by kind of session and by how they ended", "kind", "outcome")

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a program gets: ``expires_in`` is the access token's life in seconds."""

    actor: Actor
    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """What a browser gets: the cookie's value and the seconds until the session ends whatever happens."""

    actor: Actor
    cookie: str
    max_age: int


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How an attempt ended, once its transaction is written: an error to raise, or a session. ``ended`` names the one
    that was revoked for it."""

    error: GMError | None = None
    actor: Actor | None = None
    secret: str = ""
    ended: str = ""


# --- signing in -----------------------------------------------------------------------------------------------------


async def login(name: str, password: str, *, ip: str | None, agent: str = "") -> Tokens:
    """Sign a program in.

    Raises InvalidCredentials (never telling whether the name exists), AccountDisabled, LoginLocked or RateLimited, the
    last two with ``retry_after`` in seconds.
    """
    actor, refresh_token = await _login(name, password, "api", ip, agent)
    return _tokens(actor, refresh_token)


async def login_browser(name: str, password: str, *, ip: str | None, agent: str = "") -> BrowserSession:
    """Sign a browser in. Raises as ``login`` does."""
    actor, cookie = await _login(name, password, "browser", ip, agent)
    return BrowserSession(actor, cookie, settings().session_hours * 3600)


def normalised_name(name: str) -> str:
    """The login name that a typed one means: case and surrounding space do not matter, and no database chokes on it."""
    return name.strip().lower().replace("\0", "?").encode("utf-8", "replace").decode()


async def _login(name: str, password: str, kind: Kind, ip: str | None, agent: str) -> tuple[Actor, str]:
    try:
        made = await _try(normalised_name(name), password, kind, ip, agent)
    except GMError as problem:
        LOGINS.labels(kind, problem.code).inc()
        if problem.status == 429:  # refused before it was an attempt, so the audit does not know of it
            logger.warning("login_refused", reason=problem.code, ip=ip)
        raise
    LOGINS.labels(kind, "ok").inc()
    return made


async def _try(name: str, password: str, kind: Kind, ip: str | None, agent: str) -> tuple[Actor, str]:
    await throttle.count("login", ip, name)
    async with database.read() as session:
        throttle.refuse_locked(await throttle.attempts(session, name))
        user = (await session.execute(select(User).where(col(User.name) == name))).scalar()
    stored = user.password_hash if user is not None else None
    right = await passwords.verified(password, stored)
    renewed = await passwords.hashed(password) if right and stored is not None and passwords.outdated(stored) else None
    async with audit.transaction() as session:
        verdict = await _decide(session, name, stored if right else None, renewed, kind, ip, agent)
    if verdict.error is not None:
        raise verdict.error
    assert verdict.actor is not None
    return verdict.actor, verdict.secret


async def _decide(
    session: AsyncSession,
    name: str,
    verified_hash: str | None,
    renewed: str | None,
    kind: Kind,
    ip: str | None,
    agent: str,
) -> _Verdict:
    """Look again under the lock, because attempts run side by side: the one that locks the name refuses the others."""
    try:
        throttle.refuse_locked(await throttle.attempts(session, name))
    except GMError as locked:
        return _Verdict(error=locked)
    user = (await session.execute(select(User).where(col(User.name) == name))).scalar()
    entry = audit.Entry(_someone(user, ip), "sessions.login", name if user else "", {"kind": kind})
    if user is None or verified_hash is None or user.password_hash != verified_hash:
        attempt = await throttle.failed(session, name)
        entry.outcome, entry.code = "denied", InvalidCredentials.code
        entry.detail["failures"] = attempt.failures
        if user is None:
            entry.detail["unknown_name"] = throttle.subject(name)[:12]
        await audit.append(session, entry)
        return _Verdict(error=InvalidCredentials())
    await throttle.forgive(session, name)
    if not user.enabled:
        entry.outcome, entry.code = "denied", AccountDisabled.code
        await audit.append(session, entry)
        return _Verdict(error=AccountDisabled())
    if renewed is not None:
        user.password_hash = renewed
    user.last_login_at = clock.epoch()
    actor, secret = await _open(session, user, kind, ip, agent)
    entry.actor = actor
    await audit.append(session, entry)
    return _Verdict(actor=actor, secret=secret)


def _someone(user: User | None, ip: str | None) -> Actor:
    """Who an attempt is written down for: the user whose name was given, or nobody."""
    return Actor(0, "", "SA", None, ip) if user is None else registry.actor_of(user, None, ip)


async def _open(session: AsyncSession, user: User, kind: Kind, ip: str | None, agent: str) -> tuple[Actor, str]:
    """Make a session and its secret: a browser's cookie value, or a program's first refresh token."""
    assert user.id is not None
    now, secret = clock.epoch(), registry.new_secret()
    life = settings().session_hours * 3600.0 if kind == "browser" else settings().refresh_days * 86_400.0
    row = LoginSession(
        id=secrets.token_hex(16),
        user_id=user.id,
        kind=kind,
        secret_hash=registry.hashed(secret) if kind == "browser" else None,
        ip=(ip or "")[:64],
        agent="".join(c if c.isprintable() else " " for c in agent)[:255],
        created_at=now,
        last_seen_at=now,
        expires_at=now + life,
    )
    session.add(row)
    await session.flush()
    if kind == "api":
        session.add(_refresh_row(row.id, secret, now))
        await session.flush()
    return registry.actor_of(user, row.id, ip), secret


def _refresh_row(session_id: str, secret: str, now: float) -> RefreshToken:
    return RefreshToken(
        session_id=session_id,
        token_hash=registry.hashed(secret),
        issued_at=now,
        expires_at=now + settings().refresh_days * 86_400.0,
    )


def _tokens(actor: Actor, refresh_token: str) -> Tokens:
    assert actor.session_id is not None
    return Tokens(actor, tokens.issue(actor.user_id, actor.session_id), refresh_token, tokens.lifetime())


# --- staying signed in ----------------------------------------------------------------------------------------------


async def refresh(refresh_token: str, *, ip: str | None) -> Tokens:
    """Exchange a refresh token for the next pair.

    Raises InvalidRefreshToken when it is unknown, expired or its session has ended. A token that was exchanged before
    ends its session: of two holders one is a thief, and we cannot tell which. Raises RateLimited.
    """
    await throttle.count("refresh", ip)
    if not registry.is_secret(refresh_token):
        raise InvalidRefreshToken
    async with audit.transaction() as session:
        verdict = await _exchange(session, registry.hashed(refresh_token), ip)
    if verdict.error is not None:
        registry.forget(session_ids=[verdict.ended])
        raise verdict.error
    assert verdict.actor is not None
    return _tokens(verdict.actor, verdict.secret)


async def _exchange(session: AsyncSession, token_hash: str, ip: str | None) -> _Verdict:
    query = (
        select(RefreshToken, LoginSession, User)
        .join(LoginSession, col(LoginSession.id) == col(RefreshToken.session_id))
        .join(User, col(User.id) == col(LoginSession.user_id))
        .where(col(RefreshToken.token_hash) == token_hash)
    )
    found = (await session.execute(query)).first()
    if found is None:
        return _Verdict(error=InvalidRefreshToken())
    token, family, user = found
    now = clock.epoch()
    actor = registry.actor_of(user, family.id, ip)
    if family.revoked_at is not None or not user.enabled:
        return _Verdict(error=InvalidRefreshToken())
    if token.used_at is not None:
        await registry.end(session, "refresh token reused", col(LoginSession.id) == family.id)
        entry = audit.Entry(actor, "sessions.refresh", family.id, outcome="denied", code="refresh_token_reused")
        await audit.append(session, entry)
        logger.warning("refresh_token_reused", session_id=family.id, ip=ip)
        return _Verdict(error=InvalidRefreshToken(), ended=family.id)
    if now >= token.expires_at:
        return _Verdict(error=InvalidRefreshToken())
    secret = registry.new_secret()
    following = _refresh_row(family.id, secret, now)
    token.used_at = now
    family.last_seen_at, family.expires_at = now, following.expires_at
    session.add(following)
    await session.flush()
    return _Verdict(actor=actor, secret=secret)


async def authenticate_token(bearer: str, *, ip: str | None = None) -> Actor:
    """The actor of an access token (with or without the word ``Bearer``). Raises Unauthenticated."""
    scheme, _, rest = bearer.strip().partition(" ")
    claims = tokens.read(rest.strip() if scheme.lower() == "bearer" else bearer.strip())
    live = await registry.by_id(claims.session_id)
    if live is None or live.kind != "api" or live.user.user_id != claims.user_id:
        raise Unauthenticated
    await registry.touch(live)
    return live.actor(ip)


async def authenticate_cookie(cookie_header: str | None, *, ip: str | None = None, touch: bool = True) -> Actor:
    """The actor of a browser's Cookie header. Raises Unauthenticated.

    ``touch=False`` looks without counting as use: an open page that only checks whether it may go on must not keep its
    own session from becoming idle.
    """
    secret = cookie_value(cookie_header)
    live = await registry.by_secret(secret) if secret else None
    if live is None or live.kind != "browser":
        raise Unauthenticated
    if touch:
        await registry.touch(live)
    return live.actor(ip)


def cookie_name() -> str:
    """The cookie's name: with the port when it is not the usual one, because browsers share cookies between ports, and
    two consoles on one machine would sign each other out."""
    port = settings().port
    return COOKIE if port == 8010 else f"{COOKIE}_{port}"


def cookie_value(cookie_header: str | None) -> str | None:
    """Our cookie's value in a Cookie header (RFC 6265 §4.2), None when there is none; other cookies do not matter."""
    if not cookie_header or len(cookie_header) > LONGEST_COOKIE_HEADER:
        return None
    values: dict[str, str] = {}
    for pair in cookie_header.split(";"):
        name, found, value = pair.strip().partition("=")
        if found and name in (cookie_name(), COOKIE):
            values.setdefault(name, value.strip().strip('"'))
    return values.get(cookie_name()) or values.get(COOKIE)


# --- signing out ----------------------------------------------------------------------------------------------------


async def logout(actor: Actor) -> None:
    """End the actor's own session; without one there is nothing to end."""
    if actor.session_id is None:
        return
    async with audit.transaction() as session:
        await registry.end(session, "logout", col(LoginSession.id) == actor.session_id)
        await audit.append(session, audit.Entry(actor, "sessions.logout", actor.session_id))
    registry.forget(session_ids=[actor.session_id])


async def revoke(actor: Actor, session_id: str) -> None:
    """End a session: one's own, or any by a Platform Admin. Raises NotFound and Forbidden."""
    if _SESSION_ID.fullmatch(session_id) is None:
        raise NotFound(name=session_id)
    async with database.read() as session:
        row = await session.get(LoginSession, session_id)
    if row is None or row.revoked_at is not None:
        raise NotFound(name=session_id)
    decision = policy.allowed(actor, "sessions.revoke", row)
    async with audit.transaction() as session:
        entry = audit.Entry(actor, "sessions.revoke", session_id, {"user_id": row.user_id})
        if decision.allowed:
            await registry.end(session, "revoked", col(LoginSession.id) == session_id)
        else:
            entry.outcome, entry.code, entry.detail["rule"] = "denied", "forbidden", decision.rule
        await audit.append(session, entry)
    registry.forget(session_ids=[session_id])
    policy.require(actor, "sessions.revoke", row)


async def list_sessions(actor: Actor, *, everyone: bool = False, limit: int = 500) -> list[SessionView]:
    """Sessions that are alive, newest first: the actor's own, or everyone's for a Platform Admin. Raises Forbidden."""
    policy.require(actor, "users.manage" if everyone else "sessions.list", actor)
    now = clock.epoch()
    query = (
        select(LoginSession, col(User.name))
        .join(User, col(User.id) == col(LoginSession.user_id))
        .where(
            col(LoginSession.revoked_at).is_(None),
            col(LoginSession.expires_at) > now,
            or_(col(LoginSession.kind) != "browser", col(LoginSession.last_seen_at) > now - registry.idle_seconds()),
            col(User.enabled).is_(True),
        )
        .order_by(col(LoginSession.created_at).desc(), col(LoginSession.id))
        .limit(limit)
    )
    if not everyone:
        query = query.where(col(LoginSession.user_id) == actor.user_id)
    async with database.read() as session:
        rows = (await session.execute(query)).all()
    return [
        SessionView(
            id=row.id,
            user_id=name,
            kind=row.kind,
            ip=row.ip,
            agent=row.agent,
            created_at=clock.from_epoch(row.created_at),
            last_seen_at=clock.from_epoch(row.last_seen_at),
            expires_at=clock.from_epoch(row.expires_at),
            current=row.id == actor.session_id,
        )
        for row, name in rows
    ]


async def prune() -> None:
    """Delete sessions that ended 30 days ago or more, exchanged tokens past their life, and old counters."""
    now = clock.epoch()
    horizon = now - KEEP_ENDED_SECONDS
    async with database.write() as session:
        ended = or_(col(LoginSession.expires_at) < horizon, col(LoginSession.revoked_at) < horizon)
        await session.execute(delete(LoginSession).where(ended))
        await session.execute(delete(RefreshToken).where(col(RefreshToken.expires_at) < now))
        await throttle.prune(session)
