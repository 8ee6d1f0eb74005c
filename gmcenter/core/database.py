"""Async sessions on the system database: SQLite files or PostgreSQL, chosen by a URL.

SQLite allows one writer. A transaction that reads first and writes later fails at once with "database is locked",
whatever the busy time-out, when another writer came in between; so `write()` takes the write lock at its beginning
(`BEGIN IMMEDIATE`) and `read()` never writes.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlmodel import SQLModel

from gmcenter.core.settings import settings

BUSY_MILLISECONDS = 5000
WRITE = "gm_write"

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def driver_url(url: str, *, asynchronous: bool) -> str:
    """A plain `sqlite:///…` or `postgresql://…` URL with the driver that we use for it."""
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return parsed.set(drivername="sqlite+aiosqlite" if asynchronous else "sqlite").render_as_string(False)
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg").render_as_string(False)
    raise ValueError(f"unsupported database: {backend}; use sqlite or postgresql")


def _sqlite_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own: `_sqlite_begin` does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={BUSY_MILLISECONDS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITE) else "BEGIN")


def create_engine(url: str) -> AsyncEngine:
    """An async engine for a system database URL; an SQLite file's folder is made, readable by its owner only.

    Neither its log lines nor its errors show the values of a statement: some are hashes, some are sealed.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_async_engine(
            driver_url(url, asynchronous=True), pool_pre_ping=True, pool_size=10, max_overflow=10, hide_parameters=True
        )
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_async_engine(driver_url(url, asynchronous=True), hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _sqlite_connect)
    event.listen(engine.sync_engine, "begin", _sqlite_begin)
    return engine


_engine: AsyncEngine | None = None
_engine_url = ""


def system_engine() -> AsyncEngine:
    """The engine of this process's system database; another one when the settings name another database."""
    global _engine, _engine_url
    url = settings().database_url("system")
    if _engine is None or _engine_url != url:
        _engine, _engine_url = create_engine(url), url
    return _engine


async def dispose() -> None:
    """Close the connections; the next use opens new ones, with the settings of that moment."""
    global _engine
    engine, _engine = _engine, None
    if engine is not None:
        await engine.dispose()


@asynccontextmanager
async def read() -> AsyncIterator[AsyncSession]:
    """A session for queries. Nothing it holds may be changed."""
    async with AsyncSession(system_engine(), expire_on_commit=False) as session:
        yield session


@asynccontextmanager
async def write() -> AsyncIterator[AsyncSession]:
    """A session that writes: commits when the block ends, rolls back when it raises."""
    engine = system_engine().execution_options(**{WRITE: True})
    async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
        yield session


__all__ = ["create_engine", "dispose", "driver_url", "read", "system_engine", "write"]
