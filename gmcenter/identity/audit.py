"""The audit: who did what to what, from where, and how it ended.

Entries are only ever appended. Each one carries an HMAC, under a key derived from the vault's, over its own columns and
the HMAC of the entry before; so an edited, deleted, inserted or reordered entry breaks the chain at its place. A chain
cannot show that its tail was cut off: for that its head (number and HMAC) is written to the log each hour, and
``verify`` takes such a head.

One lock orders the appends: on SQLite the write transaction (BEGIN IMMEDIATE), on PostgreSQL a transaction-scoped
advisory lock. Whoever changes identity's own tables takes that lock first (``transaction``), and appends in the same
transaction.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from gmcenter.core import clock, database, vault
from gmcenter.core.errors import Forbidden, GMError, Unauthenticated
from gmcenter.core.log import get_logger, mask
from gmcenter.identity.actor import Actor
from gmcenter.identity.model import AuditEntry

Outcome = Literal["ok", "denied", "failed"]

GENESIS: Final = "0" * 64
"""What the first entry is chained to."""
LOCK: Final = 0x67_6D_61_75_64_69_74
"""The advisory lock's number on PostgreSQL ("gmaudit")."""
LONGEST_TEXT: Final = 500
LONGEST_DETAIL: Final = 8000
BATCH: Final = 1000

logger = get_logger(__name__)


@dataclass(slots=True)
class Entry:
    """One entry being written. A use case may add facts to ``detail`` and name a ``target`` that it found late."""

    actor: Actor
    action: str
    target: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome = "ok"
    code: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of the chain; written as ``seq:mac``."""

    seq: int
    mac: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.mac}"

    @classmethod
    def parse(cls, written: str) -> Head:
        """A head from its text. Raises ValueError."""
        seq, _, mac = written.strip().partition(":")
        if len(mac) != len(GENESIS) or not seq.isdecimal():
            raise ValueError("a head reads seq:mac, with 64 hexadecimal digits")
        return cls(int(seq), mac.lower())


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What ``verify`` found: the first entry that is not as it was written (None when all are), the number of good
    entries before it, the head that they end in, and why the chain breaks there (``entry_missing``, ``not_chained``,
    ``changed``, ``not_the_logged_head``, ``tail_missing``)."""

    first_bad_seq: int | None
    count: int
    head: Head
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether the chain is whole."""
        return self.first_bad_seq is None


def describe(target: Any) -> str:
    """A target as the audit names it: a text or number as it stands, an object by its type and name only."""
    if target is None:
        return ""
    if isinstance(target, str | int):
        return str(target)[:255]
    name = getattr(target, "name", None)
    kind = type(target).__name__
    return f"{kind}/{name}"[:255] if isinstance(name, str) else kind[:255]


def _bounded(value: Any) -> Any:
    """Plain JSON of bounded size."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(k)[:100]: _bounded(v) for k, v in list(value.items())[:100]}
    if isinstance(value, list | tuple | set | frozenset):
        return [_bounded(v) for v in list(value)[:100]]
    written = value if isinstance(value, str) else describe(value)
    return written if len(written) <= LONGEST_TEXT else written[:LONGEST_TEXT] + "…"


def _detail(detail: dict[str, Any]) -> str:
    """The facts of an entry as JSON: secrets masked by key and by look, long values cut."""
    masked = _bounded(mask(detail))
    written = json.dumps(masked, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    if len(written) > LONGEST_DETAIL:
        written = json.dumps({"cut": len(written), "keys": sorted(masked)})
    return written


def _mac(entry: AuditEntry) -> str:
    signed = [
        entry.seq,
        entry.at,
        entry.user_id,
        entry.user_name,
        entry.session_id,
        entry.ip,
        entry.action,
        entry.target,
        entry.outcome,
        entry.code,
        entry.detail,
        entry.previous,
    ]
    return vault.mac(b"identity.audit", json.dumps(signed, ensure_ascii=False, separators=(",", ":")).encode()).hex()


async def _lock(session: AsyncSession) -> None:
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


@asynccontextmanager
async def transaction() -> AsyncIterator[AsyncSession]:
    """A write session that holds the chain's lock from its beginning, so that it may append."""
    async with database.write() as session:
        await _lock(session)
        yield session


async def append(session: AsyncSession, entry: Entry) -> Head:
    """Add an entry to the chain in the transaction of ``transaction()``; returns the new head."""
    last = await _last(session)
    row = AuditEntry(
        seq=last.seq + 1,
        at=int(clock.epoch() * 1_000_000),
        user_id=entry.actor.user_id,
        user_name=entry.actor.name[:63],
        session_id=entry.actor.session_id or "",
        ip=(entry.actor.ip or "")[:64],
        action=entry.action,
        target=_stored(entry.target)[:255],
        outcome=entry.outcome,
        code=entry.code[:64],
        detail=_stored(_detail(entry.detail)),
        previous=last.mac,
        mac="",
    )
    row.mac = _mac(row)
    session.add(row)
    await session.flush()
    return Head(row.seq, row.mac)


def _stored(written: str) -> str:
    """Text that both databases give back as it went in: no NUL (PostgreSQL refuses it), no lone surrogates."""
    return written.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


async def record(entry: Entry) -> Head:
    """Add one entry in a transaction of its own; returns the new head."""
    async with transaction() as session:
        return await append(session, entry)


@asynccontextmanager
async def entry(actor: Actor, action: str, target: Any = None, **detail: Any) -> AsyncIterator[Entry]:
    """Write down what the block does and how it ends: ok, denied (with the rule's code) or failed (with the error's).

    The entry is written when the block has ended, also when the request that runs it was cancelled. Open it outside of
    a write session: the entry has a transaction of its own. One that cannot be written is an error of the use case.
    """
    written = Entry(actor, action, describe(target), dict(detail))
    try:
        yield written
    except BaseException as problem:
        written.outcome, written.code = _ending(problem)
        if isinstance(problem, Forbidden) and (rule := problem.params.get("rule")):
            written.detail["rule"] = rule
        try:
            await _finished(written)
        except Exception:
            logger.exception("audit_write_failed", action=action, outcome=written.outcome)
        raise
    await _finished(written)


_writing: set[asyncio.Task[Head]] = set()


async def _finished(written: Entry) -> None:
    """Write the entry to its end even when the caller is cancelled meanwhile."""
    task = asyncio.create_task(record(written))
    _writing.add(task)  # the loop itself keeps no task alive
    task.add_done_callback(_writing.discard)
    await asyncio.shield(task)


def _ending(problem: BaseException) -> tuple[Outcome, str]:
    if isinstance(problem, Forbidden | Unauthenticated):
        return "denied", problem.code
    if isinstance(problem, GMError):
        return "failed", problem.code
    if isinstance(problem, asyncio.CancelledError):
        return "failed", "cancelled"
    return "failed", "internal"


async def head() -> Head:
    """The last entry's number and HMAC; number 0 for an empty chain."""
    async with database.read() as session:
        return await _last(session)


async def _last(session: AsyncSession) -> Head:
    query = select(col(AuditEntry.seq), col(AuditEntry.mac)).order_by(col(AuditEntry.seq).desc()).limit(1)
    last = (await session.execute(query)).first()
    return Head(last.seq, last.mac) if last is not None else Head(0, GENESIS)


async def verify(expected: Head | None = None) -> VerifyResult:
    """Walk the whole chain and say where it breaks first.

    ``expected`` is a head from the log: the chain must contain exactly that entry, or its tail was cut (or rewritten).
    Reads in short transactions; entries appended meanwhile are walked too.
    """
    seq, previous = 0, GENESIS
    while True:
        async with database.read() as session:
            query = select(AuditEntry).where(col(AuditEntry.seq) > seq).order_by(col(AuditEntry.seq)).limit(BATCH)
            rows = (await session.execute(query)).scalars().all()
        for row in rows:
            reason = _broken(row, seq + 1, previous, expected)
            if reason:
                return VerifyResult(seq + 1, seq, Head(seq, previous), reason)
            seq, previous = row.seq, row.mac
        if len(rows) < BATCH:
            break
    if expected is not None and expected.seq > seq:
        return VerifyResult(seq + 1, seq, Head(seq, previous), "tail_missing")
    return VerifyResult(None, seq, Head(seq, previous))


def _broken(row: AuditEntry, seq: int, previous: str, expected: Head | None) -> str:
    """Why a row is not the entry that belongs here; empty when it is."""
    if row.seq != seq:
        return "entry_missing"
    if row.previous != previous:
        return "not_chained"
    if not hmac.compare_digest(row.mac.encode(), _mac(row).encode()):
        return "changed"
    if expected is not None and expected.seq == seq and row.mac != expected.mac:
        return "not_the_logged_head"
    return ""


async def log_head() -> Head:
    """Write the chain's head to the log, where whoever can change the database cannot reach it; returns it."""
    current = await head()
    logger.info("audit_head", seq=current.seq, head=str(current))
    return current
