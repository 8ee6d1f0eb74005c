"""The session registry: which sessions are alive, asked at every request and every look at an open page.

A session is alive when it is not revoked, not past its end, not idle for too long (browsers only), and its user is
enabled. What the database said is kept for ``CACHE_SECONDS``, which bounds how long a revoke, a disabled account or a
changed role in another process can go unnoticed; in this process ``forget`` makes it immediate.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, replace
from typing import Final, cast

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from gmcenter.core import clock, database
from gmcenter.core.log import get_logger
from gmcenter.core.settings import settings
from gmcenter.identity.actor import Actor, Role
from gmcenter.identity.model import LoginSession, User

CACHE_SECONDS: Final = 2.0
CACHE_ENTRIES: Final = 10_000
TOUCH_SECONDS: Final = 30.0
"""How often at most a session's last use is written down."""

_OPAQUE = re.compile(r"[A-Za-z0-9_-]{43}")

logger = get_logger(__name__)


@dataclass(slots=True)
class Live:
    """A session that was alive at ``checked_at`` (monotonic seconds), with its user as they were then."""

    user: Actor
    session_id: str
    kind: str
    expires_at: float
    last_seen_at: float
    checked_at: float

    def actor(self, ip: str | None) -> Actor:
        """The actor of a request from ``ip`` (the session's first address when unknown)."""
        return self.user if ip is None else replace(self.user, ip=ip)


_cache: dict[str, Live] = {}


def actor_of(user: User, session_id: str | None, ip: str | None) -> Actor:
    """A stored user as the actor of a session."""
    return Actor(cast(int, user.id), user.name, cast(Role, user.role), session_id, ip, user.language)


def new_secret() -> str:
    """An opaque token: 256 random bits as 43 characters."""
    return secrets.token_urlsafe(32)


def is_secret(written: str) -> bool:
    """Whether a text has the form of ``new_secret``."""
    return _OPAQUE.fullmatch(written) is not None


def hashed(secret: str) -> str:
    """What the database keeps of an opaque token; plain SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def by_id(session_id: str) -> Live | None:
    """The live session with this public id (an access token's), of a program."""
    return await _find("id:" + session_id, col(LoginSession.id) == session_id)


async def by_secret(secret: str) -> Live | None:
    """The live session of a browser with this cookie."""
    if not is_secret(secret):
        return None
    digest = hashed(secret)
    return await _find("secret:" + digest, col(LoginSession.secret_hash) == digest)


async def _find(key: str, condition: ColumnElement[bool]) -> Live | None:
    now = clock.monotonic()
    found = _cache.get(key)
    if found is None or now - found.checked_at > CACHE_SECONDS:
        _cache.pop(key, None)
        found = await _load(condition, now)
        if found is not None:
            if len(_cache) >= CACHE_ENTRIES:
                _cache.clear()
            _cache[key] = found
    if found is None or not _within(found):
        return None
    return found


async def _load(condition: ColumnElement[bool], checked_at: float) -> Live | None:
    query = (
        select(LoginSession, User)
        .join(User, col(User.id) == col(LoginSession.user_id))
        .where(condition, col(LoginSession.revoked_at).is_(None), col(User.enabled).is_(True))
    )
    async with database.read() as session:
        row = (await session.execute(query)).first()
    if row is None:
        return None
    entry, user = row
    return Live(
        user=actor_of(user, entry.id, entry.ip or None),
        session_id=entry.id,
        kind=entry.kind,
        expires_at=entry.expires_at,
        last_seen_at=entry.last_seen_at,
        checked_at=checked_at,
    )


def idle_seconds() -> float:
    """How long a browser's session may be silent."""
    return settings().session_idle_minutes * 60.0


def _within(live: Live) -> bool:
    now = clock.epoch()
    return now < live.expires_at and (live.kind != "browser" or now < live.last_seen_at + idle_seconds())


async def touch(live: Live) -> None:
    """Write down that the session is used now, at most every 30 seconds; a busy database only delays it."""
    now = clock.epoch()
    if now - live.last_seen_at < TOUCH_SECONDS:
        return
    live.last_seen_at = now
    try:
        async with database.write() as session:
            await session.execute(
                update(LoginSession).where(col(LoginSession.id) == live.session_id).values(last_seen_at=now)
            )
    except SQLAlchemyError as problem:
        logger.warning("session_touch_failed", error=type(problem).__name__)


async def end(session: AsyncSession, reason: str, *conditions: ColumnElement[bool]) -> list[str]:
    """Revoke the matching sessions in the caller's transaction; returns their ids. Call ``forget`` after the commit."""
    query = (
        update(LoginSession)
        .where(col(LoginSession.revoked_at).is_(None), *conditions)
        .values(revoked_at=clock.epoch(), revoked_reason=reason)
        .returning(col(LoginSession.id))
        .execution_options(synchronize_session=False)
    )
    return list((await session.execute(query)).scalars())


def forget(*, session_ids: list[str] | None = None, user_id: int | None = None) -> None:
    """Drop what this process remembers of sessions or of a user; of everyone when nothing is named."""
    for key, live in list(_cache.items()):
        if (
            (session_ids is None and user_id is None)
            or (session_ids is not None and live.session_id in session_ids)
            or (user_id is not None and live.user.user_id == user_id)
        ):
            _cache.pop(key, None)
