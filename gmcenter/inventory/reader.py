"""Readers of the inventory: a few threads, each with a connection of its own.

The collector may put another inventory in the place of this one at any time (a new version, a damaged file). A reader
notices before its next query and opens the new one. While there is none, or one of another version, it says so: an
empty list that looks whole would be a lie.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import psycopg

from gmcenter.core import clock
from gmcenter.core.errors import Unavailable
from gmcenter.core.log import get_logger
from gmcenter.core.settings import settings
from gmcenter.inventory.driver import Postgres, SQLite, dialect_of, identity, is_corrupt, mark_damaged, sqlite_path
from gmcenter.inventory.schema import Schema, default_schema

THREADS: Final = 4
LONGEST_SECONDS: Final = 10.0
RECHECK_SECONDS: Final = 5.0
GONE: Final = (psycopg.errors.UndefinedTable, psycopg.OperationalError)

Result = TypeVar("Result")
ReadConnection = SQLite | Postgres
log = get_logger(__name__)


class NoInventory(Unavailable):
    """There is no inventory that could be read now; `needed` sources are missing.

    `freshness` says which, where the caller asked for a list.
    """

    code = "inventory_unavailable"
    freshness: Any = None


class Readers:
    """Runs queries on one inventory, away from the event loop."""

    def __init__(self, url: str, schema: Schema | None = None, threads: int = THREADS) -> None:
        self.url = url
        self.schema = schema or default_schema(dialect_of(url))
        self.path: Path | None = sqlite_path(url) if self.schema.dialect == "sqlite" else None
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="inventory")
        self._local = threading.local()
        self._open: set[ReadConnection] = set()
        self._lock = threading.Lock()

    async def run(self, work: Callable[[ReadConnection], Result]) -> Result:
        """Do some work with a connection, in one short transaction that sees a single state of the inventory.

        Raises NoInventory, and what the work raises.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, self.run_now, work)

    def run_now(self, work: Callable[[ReadConnection], Result]) -> Result:
        """`run` in the caller's thread."""
        try:
            connection = self._connection()
            connection.begin_read()
            deadline = clock.monotonic() + LONGEST_SECONDS
            if isinstance(connection, SQLite):
                connection.progress(lambda: int(clock.monotonic() > deadline))
            try:
                return work(connection)
            finally:
                connection.rollback()
        except (sqlite3.Error, psycopg.Error) as error:
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> Exception:
        """What a failure of the database means to those who asked."""
        missing = isinstance(error, sqlite3.OperationalError) and "no such table" in str(error)
        if is_corrupt(error) or missing or isinstance(error, GONE):
            self._drop()
            log.warning("inventory.unreadable", error=str(error))
            if self.path is not None and is_corrupt(error):
                with suppress(OSError):
                    mark_damaged(self.path)
            return NoInventory(part="inventory")
        if isinstance(error, sqlite3.OperationalError | psycopg.errors.QueryCanceled):
            self._drop()
            log.error("inventory.query_failed", error=str(error))
            return Unavailable(part="inventory")
        return error

    def _connection(self) -> ReadConnection:
        """This thread's connection to the inventory that is there now."""
        kept: tuple[ReadConnection, Any, float] | None = getattr(self._local, "kept", None)
        mark = identity(self.path) if self.path is not None else ""
        now = clock.monotonic()
        if kept is not None:
            connection, seen, checked = kept
            fresh = now - checked < RECHECK_SECONDS
            if seen == mark and (fresh or self.path is not None) and not getattr(connection, "lost", False):
                return connection
            self._drop()
        if mark is None:
            raise NoInventory(part="inventory")
        connection = self.connect()
        self._local.kept = (connection, mark, now)
        return connection

    def connect(self) -> ReadConnection:
        """A connection of its own. Raises NoInventory for an inventory that is not there or of another version."""
        connection: ReadConnection = SQLite(self.path) if self.path is not None else Postgres(self.url)
        try:
            found = connection.rows("select value from meta where key = 'digest'")
        except BaseException:
            connection.close()
            raise
        if not found or found[0][0] != self.schema.digest:
            connection.close()
            raise NoInventory(part="inventory")
        with self._lock:
            self._open.add(connection)
        return connection

    def _drop(self) -> None:
        kept = getattr(self._local, "kept", None)
        self._local.kept = None
        if kept is not None:
            self.disconnect(kept[0])

    def disconnect(self, connection: ReadConnection) -> None:
        """Close a connection that `connect` gave."""
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def close(self) -> None:
        """End the threads and close their connections."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()


_current: Readers | None = None


def readers() -> Readers:
    """The readers of this process's inventory."""
    global _current
    url = settings().database_url("inventory")
    if _current is None or _current.url != url:
        if _current is not None:
            _current.close()
        _current = Readers(url)
    return _current


def close() -> None:
    """Close the readers of this process; the next use opens new ones."""
    global _current
    found, _current = _current, None
    if found is not None:
        found.close()
