"""What slows guessing down: a rate limit per address and name, and a lock per name.

The rate limit is a moving window in this process's memory, or in Valkey/Redis when several web replicas share one; when
that cannot be reached, each replica counts for itself. The lock lies in the system database, so it holds for all
replicas and over restarts. Both treat a name that does not exist exactly like one that does.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from gmcenter.core import clock, vault
from gmcenter.core.errors import RateLimited
from gmcenter.core.log import get_logger
from gmcenter.core.settings import settings
from gmcenter.identity.errors import LoginLocked
from gmcenter.identity.model import LoginAttempt

if TYPE_CHECKING:  # imported by the first sign-in at run time: a start need not wait for it
    from limits import RateLimitItem
    from limits.aio.storage import Storage
    from limits.aio.strategies import MovingWindowRateLimiter

FIRST_LOCK_SECONDS: Final = 30.0
LONGEST_LOCK_SECONDS: Final = 900.0
FORGET_SECONDS: Final = 3600.0
"""Wrong passwords older than this no longer count."""

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Window:
    """The limiter of one event loop, over shared storage when there is one, and its own when that fails."""

    loop: asyncio.AbstractEventLoop
    shared: MovingWindowRateLimiter | None
    own: MovingWindowRateLimiter


_window: _Window | None = None


def _shared_storage(url: str) -> Storage:
    from limits.aio.storage import Storage
    from limits.storage import storage_from_string

    scheme, _, rest = url.partition("://")
    scheme = scheme.replace("valkey", "redis")  # the same protocol, and the redis client is the one installed
    storage = storage_from_string(f"async+{scheme}://{rest}", implementation="redispy", wrap_exceptions=True)
    assert isinstance(storage, Storage)
    return storage


def _limiter() -> _Window:
    from limits.aio.storage import MemoryStorage
    from limits.aio.strategies import MovingWindowRateLimiter

    global _window
    loop = asyncio.get_running_loop()
    if _window is None or _window.loop is not loop:
        url = settings().redis_url
        shared = MovingWindowRateLimiter(_shared_storage(url)) if url else None
        _window = _Window(loop, shared, MovingWindowRateLimiter(MemoryStorage()))
    return _window


def reset() -> None:
    """Forget what this process counted, and read the settings again on the next sign-in."""
    global _window
    _window = None


async def _hit(window: _Window, item: RateLimitItem, *who: str) -> None:
    if window.shared is not None:
        try:
            await _count_in(window.shared, item, *who)
        except RateLimited:
            raise
        except Exception as problem:
            logger.warning("rate_limit_storage_unreachable", error=type(problem).__name__)
        else:
            return
    await _count_in(window.own, item, *who)


async def _count_in(limiter: MovingWindowRateLimiter, item: RateLimitItem, *who: str) -> None:
    if not await limiter.hit(item, *who):
        reset_at = (await limiter.get_window_stats(item, *who)).reset_time
        raise RateLimited(retry_after=max(1, math.ceil(reset_at - clock.epoch())))


def network(ip: str | None) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one IPv6 subscriber is given."""
    try:
        address = ipaddress.ip_address((ip or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


async def count(what: Literal["login", "refresh"], ip: str | None, name: str | None = None) -> None:
    """Count one attempt from an address, for a name when there is one. Raises RateLimited with the seconds to wait."""
    from limits import parse

    window, item = _limiter(), parse(settings().login_rate)
    await _hit(window, item, what, "address", network(ip))
    if name is not None:
        await _hit(window, item, what, "name", subject(name))


def subject(name: str) -> str:
    """The keyed hash under which attempts for a login name are counted."""
    return vault.mac(b"identity.login-name", name.encode("utf-8", "replace")).hex()


async def attempts(session: AsyncSession, name: str) -> LoginAttempt | None:
    """The wrong passwords counted for a name."""
    return await session.get(LoginAttempt, subject(name), populate_existing=True)


def refuse_locked(attempt: LoginAttempt | None) -> None:
    """Raise LoginLocked with the seconds left when the name is locked now."""
    left = attempt.locked_until - clock.epoch() if attempt is not None else 0.0
    if left > 0:
        raise LoginLocked(retry_after=math.ceil(left))


def lock_seconds(failures: int, threshold: int) -> float:
    """How long a name locks after so many wrong passwords: 30 s from the threshold on, doubling to 15 min."""
    if failures < threshold:
        return 0.0
    return min(FIRST_LOCK_SECONDS * 2.0 ** min(failures - threshold, 16), LONGEST_LOCK_SECONDS)


async def failed(session: AsyncSession, name: str) -> LoginAttempt:
    """Count one wrong password in the caller's transaction, and lock the name when it was one too many."""
    now = clock.epoch()
    attempt = await attempts(session, name)
    if attempt is None:
        attempt = LoginAttempt(subject=subject(name), last_failed_at=now)
        session.add(attempt)
    elif now - max(attempt.last_failed_at, attempt.locked_until) > FORGET_SECONDS:
        attempt.failures = 0
    attempt.failures += 1
    attempt.last_failed_at = now
    if seconds := lock_seconds(attempt.failures, settings().login_failures):
        attempt.locked_until = now + seconds
    await session.flush()
    return attempt


async def forgive(session: AsyncSession, name: str) -> bool:
    """Forget the wrong passwords of a name, after a right one or by an administrator; whether there were any."""
    forgotten = (
        delete(LoginAttempt).where(col(LoginAttempt.subject) == subject(name)).returning(col(LoginAttempt.failures))
    )
    return (await session.execute(forgotten)).first() is not None


async def prune(session: AsyncSession) -> None:
    """Delete counters that no longer count."""
    horizon = clock.epoch() - FORGET_SECONDS
    await session.execute(
        delete(LoginAttempt).where(col(LoginAttempt.last_failed_at) < horizon, col(LoginAttempt.locked_until) < horizon)
    )
