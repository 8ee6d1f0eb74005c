"""The change feed: what has moved in the inventory, for pages and streams that are open.

A reader remembers the number of the last change it saw, asks for those `since`, and `wait`s in between. Waking up
only says "look": what there is to see stands in the feed. One watcher a process waits for all readers, and only while
there are any: on SQLite it asks ten times a second whether the file has changed (`PRAGMA data_version`, on one
connection that belongs to it, since the number means nothing across connections); on PostgreSQL it listens.

Changes are kept ten minutes. A reader that comes later, or that holds a number of an inventory which is no more, gets
`RESYNC` and reads everything it shows again.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Literal

from gmcenter.core import clock
from gmcenter.core.errors import GMError
from gmcenter.core.log import get_logger
from gmcenter.inventory import reader
from gmcenter.inventory.driver import Connection, Postgres, SQLite, identity
from gmcenter.inventory.reader import ReadConnection, Readers
from gmcenter.inventory.store import CHANNEL

LOOK_SECONDS: Final = 0.1
LISTEN_SECONDS: Final = 0.5
LINGER_SECONDS: Final = 2.0
VERSION_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 1.0
MOST_CHANGES: Final = 5000

Op = Literal["put", "delete", "bulk", "source", "cluster", "begin"]
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `op` "bulk" stands for many of one source, "source" and "cluster" for how these are doing.

    `kind` is a plural, "clusters" for clusters. `ns_id` and `uid` are None where the change is about more than one
    object.
    """

    seq: int
    cluster: int | None
    cluster_name: str | None
    kind: str
    ns_id: int | None
    uid: str | None
    op: Op


class Resync:
    """The answer to a reader that was away for too long: read everything again, go on from `head`."""

    def __repr__(self) -> str:
        return "RESYNC"


RESYNC: Final = Resync()


class Feed:
    """One reader's view of the feed. Readers share what is costly."""

    def __init__(self, readers: Readers | None = None) -> None:
        self._given = readers
        self._woken = _watcher_of(self._readers).wakes

    @property
    def _readers(self) -> Readers:
        return self._given or reader.readers()

    async def head(self) -> int:
        """The number of the last change. Raises NoInventory."""
        return await self._readers.run(_head)

    async def since(self, seq: int) -> list[Change] | Resync:
        """Changes after a number, oldest first. Raises NoInventory."""
        return await self._readers.run(lambda db: _since(db, seq))

    async def wait(self, timeout: float) -> bool:
        """Return as soon as something may have changed since the last call, or after `timeout` seconds; says which."""
        watcher = _watcher_of(self._readers)
        woken = await watcher.wait(self._woken, timeout)
        moved, self._woken = woken != self._woken, woken
        return moved


def _head(db: Connection) -> int:
    found: int = db.rows("select max(seq) from change")[0][0]
    return found


def _since(db: Connection, seq: int) -> list[Change] | Resync:
    floor, head = db.rows("select min(seq), max(seq) from change")[0]
    if seq == head:
        return []
    if seq > head or seq < floor - 1 or head - seq > MOST_CHANGES:
        return RESYNC
    found = db.rows(
        "select f.seq, f.cluster, c.name, f.kind, f.ns_id, f.uid, f.op from change f "
        "left join cluster c on c.id = f.cluster where f.seq > ? order by f.seq",
        (seq,),
    )
    return [Change(*row) for row in found]


# --- waking up ---

Versions = Callable[[], Awaitable[int]]
_versions: list[Versions] = []


def register_version(source: Versions) -> None:
    """Also wake readers when a number kept elsewhere moves (the version of scopes, in the system database)."""
    if source not in _versions:
        _versions.append(source)


class _Watcher:
    """Watches one inventory for all readers of an event loop. `wakes` counts how often there may be something new."""

    def __init__(self, readers: Readers) -> None:
        self.wakes = 0
        self._readers = readers
        self._waiting = 0
        self._idle_since = 0.0
        self._event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def wait(self, woken: int, timeout: float) -> int:
        """Wait until `wakes` differs from what a reader saw, at most so many seconds; returns what it is then."""
        if self.wakes != woken or timeout <= 0:
            return self.wakes
        self._waiting += 1
        try:
            if self._task is None or self._task.done():
                self._task = asyncio.get_running_loop().create_task(self._watch(), name="inventory feed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    while self.wakes == woken:
                        await self._event.wait()
        finally:
            self._waiting -= 1
            self._idle_since = clock.monotonic()
        return self.wakes

    def _wake(self) -> None:
        self.wakes += 1
        self._event.set()
        self._event = asyncio.Event()

    @property
    def _wanted(self) -> bool:
        return self._waiting > 0 or clock.monotonic() - self._idle_since < LINGER_SECONDS

    async def _watch(self) -> None:
        """Watch for as long as anyone waits, and a little longer: most readers come back at once."""
        loop = asyncio.get_running_loop()
        versions = asyncio.create_task(self._watch_versions())
        eye = _Eye(self._readers)
        pool = ThreadPoolExecutor(1, thread_name_prefix="inventory-feed")
        try:
            while self._wanted:
                try:
                    moved = await loop.run_in_executor(pool, eye.look)
                except Exception as error:
                    if not isinstance(error, GMError):
                        log.warning("feed.blind", error=str(error))
                    self._wake()  # whatever happened, those who look will see it
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                if moved:
                    self._wake()
        finally:
            versions.cancel()
            eye.stop()
            pool.submit(eye.close)
            pool.shutdown(wait=False)

    async def _watch_versions(self) -> None:
        seen: list[int] | None = None
        while True:
            try:
                found = [await source() for source in _versions]
                if seen is not None and found != seen:
                    self._wake()
                seen = found
            except Exception as error:
                log.warning("feed.versions", error=str(error))
            await asyncio.sleep(VERSION_SECONDS)


class _Eye:
    """A connection that notices commits of other processes. All but `stop` belongs to one thread."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._connection: ReadConnection | None = None
        self._seen: Any = None
        self._stopped = threading.Event()

    def look(self) -> bool:
        """Wait a moment; whether something has been committed since the last look."""
        if self._connection is None:
            self._connection = self._readers.connect()
            if isinstance(self._connection, Postgres):
                self._connection.raw.execute(f"listen {CHANNEL}")
            self._seen = self._mark(self._connection)
            return True
        if isinstance(self._connection, Postgres):
            try:
                return any(True for _ in self._connection.raw.notifies(timeout=LISTEN_SECONDS, stop_after=1))
            except BaseException:
                self.close()
                raise
        self._stopped.wait(LOOK_SECONDS)
        mark = self._mark(self._connection)
        if mark == self._seen:
            return False
        if self._seen[0] != mark[0]:
            self.close()
        self._seen = mark
        return True

    def _mark(self, connection: ReadConnection) -> Any:
        if not isinstance(connection, SQLite) or self._readers.path is None:
            return None
        return identity(self._readers.path), connection.rows("pragma data_version")[0][0]

    def stop(self) -> None:
        """Let a look that is going on come to its end."""
        self._stopped.set()

    def close(self) -> None:
        """Let the connection go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._readers.disconnect(connection)


_watchers: dict[tuple[int, int], tuple[Any, Readers, _Watcher]] = {}


def _watcher_of(readers: Readers) -> _Watcher:
    """The watcher of an inventory for the running event loop."""
    try:
        loop: Any = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    key = (id(loop), id(readers))
    found = _watchers.get(key)
    if found is None or found[0] is not loop or found[1] is not readers:
        for stale in [k for k, (kept, _, _) in _watchers.items() if kept is None or kept.is_closed()]:
            del _watchers[stale]
        found = _watchers[key] = (loop, readers, _Watcher(readers))
    return found[2]
