"""The one thread that writes the inventory: takes what the watches bring, projects it, commits it.

Idle, a change is committed the moment it comes. Under load what has piled up meanwhile goes into one transaction, at
most a thousand rows and about fifty milliseconds, source after source in turn, so that a cluster that is read anew
does not hold up the others.
"""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gmcenter.core import clock, metrics
from gmcenter.core.log import get_logger
from gmcenter.inventory.project import Unreadable, identify, projector
from gmcenter.inventory.store import Row, Store, StoreLost
from gmcenter.kube.kinds import Kind

LARGEST, SMALLEST = 1000, 50
TRANSACTION_SECONDS: Final = 0.05
SOURCE_BYTES: Final = 4 << 20  # what one source may have waiting, and all together while each has a little
TOTAL_BYTES: Final = 64 << 20
REST_SECONDS: Final = 1.0
LAG_EVERY: Final = 5.0
RETRIES: Final = 3
FIRST_RETRY, LONGEST_RETRY = 0.1, 5.0

log = get_logger(__name__)
WRITTEN = metrics.counter("collector_rows", "Rows that the collector has written, by kind", "kind")
UNREADABLE = metrics.counter("collector_unreadable", "Objects that could not be read, by kind", "kind")

Events = Sequence[tuple[bool, msgspec.Raw]]


@dataclass(slots=True)
class _Rows:
    """Objects of one piece of a stream, in order; True marks a deletion."""

    events: Events
    at: float
    size: int


@dataclass(slots=True)
class _Begin:
    """A whole list begins."""


@dataclass(slots=True)
class _End:
    """The list is whole."""

    at: float
    written: Callable[[], None]


@dataclass(slots=True)
class _Say:
    """The state of the source, after everything before it."""

    state: str
    error: str | None
    at: float | None


_Job = _Rows | _Begin | _End | _Say


@dataclass(eq=False)
class Source:
    """One kind of one cluster: its queue to the writer, and what the writer knows of it.

    The event loop adds jobs, the writer's thread takes them, both under the writer's lock; the other fields are the
    thread's own.
    """

    cluster_id: int
    kind: Kind
    on_lost: Callable[[], None]
    jobs: deque[_Job] = field(default_factory=deque)
    waiting: int = 0
    room: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False
    generation: int | None = None
    said: tuple[str, str | None] = ("", None)
    lag_said: float = 0.0

    def __post_init__(self) -> None:
        self.project = projector(self.kind)
        self.room.set()


class Writer:
    """Owns the store, and the thread that uses it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Condition()
        self._ready: deque[Source] = deque()
        self._calls: deque[Callable[[Store], object]] = deque()
        self._stopping = False
        self._waiting = 0
        self._swollen = False
        self._largest = LARGEST
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="inventory-writer", daemon=True)
        self._opened: asyncio.Future[None] | None = None
        self.on_lost: Callable[[], None] = lambda: None

    # --- the event loop's side ---

    async def start(self) -> None:
        """Open the store in its thread. Raises what opening raises."""
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._thread.start()
        await self._opened

    async def stop(self) -> None:
        """Write what is queued, close the store, end the thread."""
        with self._lock:
            self._stopping = True
            self._lock.notify()
        await asyncio.to_thread(self._thread.join)

    def call(self, what: Callable[[Store], object]) -> None:
        """Have something done with the store, before anything that is queued."""
        with self._lock:
            self._calls.append(what)
            self._lock.notify()

    async def ask(self, what: Callable[[Store], object]) -> None:
        """`call`, and wait until it is done."""
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def run(store: Store) -> None:
            try:
                what(store)
            finally:
                loop.call_soon_threadsafe(done.set)

        self.call(run)
        await done.wait()

    def begin(self, source: Source) -> None:
        """A whole list of the source begins."""
        self._put(source, _Begin())

    def end(self, source: Source, at: float, written: Callable[[], None]) -> None:
        """The list is whole: what it did not show is removed, and then `written` is called in the event loop."""
        self._put(source, _End(at, written))

    def say(self, source: Source, state: str, error: str | None = None, at: float | None = None) -> None:
        """The state of the source; `at` (epoch seconds) becomes its asOf."""
        self._put(source, _Say(state, error, at))

    async def rows(self, source: Source, events: Events, at: float) -> None:
        """Objects of the source, in order. Returns when there is room for more."""
        size = sum(memoryview(raw).nbytes for _, raw in events)
        self._put(source, _Rows(events, at, size), size)
        await source.room.wait()

    def close(self, source: Source) -> None:
        """Take nothing more from the source, and forget what is queued."""
        with self._lock:
            source.closed = True
            self._void(source)
        source.room.set()

    def _void(self, source: Source) -> None:
        source.jobs.clear()
        self._waiting -= source.waiting
        source.waiting = 0

    def _put(self, source: Source, job: _Job, size: int = 0) -> None:
        with self._lock:
            if source.closed:
                return
            if not source.jobs:
                self._ready.append(source)
            source.jobs.append(job)
            source.waiting += size
            self._waiting += size
            if source.waiting >= SOURCE_BYTES or self._waiting >= TOTAL_BYTES:
                source.room.clear()
            self._lock.notify()

    # --- the thread's side ---

    def _run(self) -> None:
        assert self._loop is not None
        assert self._opened is not None
        try:
            self._store.open()
        except Exception as error:
            self._loop.call_soon_threadsafe(self._opened.set_exception, error)
            return
        self._loop.call_soon_threadsafe(self._opened.set_result, None)
        while (taken := self._take()) is not None:
            self._guard(taken[0], taken[1])
        self._store.close()

    def _take(self) -> tuple[Source | None, Callable[[], object]] | None:
        """The next piece of work: a call, else a batch of the source whose turn it is; None at the end."""
        with self._lock:
            while not self._calls and not self._ready:
                if self._stopping:
                    return None
                if not self._lock.wait(REST_SECONDS if self._swollen else None):
                    return None, self._shrink
            if self._calls:
                call = self._calls.popleft()
                return None, lambda: call(self._store)
            source = self._ready.popleft()
            jobs: list[_Job] = []
            rows = size = 0
            while source.jobs and rows < self._largest:
                job = source.jobs.popleft()
                jobs.append(job)
                if isinstance(job, _Rows):
                    rows += len(job.events)
                    size += job.size
            if source.jobs:
                self._ready.append(source)
            source.waiting -= size
            self._waiting -= size
            # A source with nothing left may always go on: however full it is elsewhere, nobody stands still.
            roomy = source.waiting < SOURCE_BYTES // 2 and self._waiting < TOTAL_BYTES
            if (roomy or not source.waiting) and not source.room.is_set() and self._loop is not None:
                self._loop.call_soon_threadsafe(source.room.set)
        return source, lambda: self._work(source, jobs)

    def _guard(self, source: Source | None, work: Callable[[], object]) -> None:
        """Do a piece of work; again while the database is away; read the source anew when it cannot be written."""
        pause, attempts = FIRST_RETRY, 0
        while True:
            try:
                work()
                return
            except StoreLost as error:
                log.error("inventory.lost", error=str(error))
                self._reopen()
                return
            except Exception as error:
                attempts += 1
                passing = type(error).__name__ == "OperationalError" or isinstance(error, OSError)
                if not passing and attempts >= RETRIES:
                    log.exception("inventory.unwritable", kind=source.kind.plural if source else None)
                    if source is not None and self._loop is not None:
                        self._loop.call_soon_threadsafe(source.on_lost)
                    return
                log.warning("inventory.retry", error=str(error), attempts=attempts)
            with self._lock:
                if self._stopping and attempts >= RETRIES:
                    return
                self._lock.wait_for(lambda: self._stopping, pause)
            pause = min(pause * 2, LONGEST_RETRY)

    def _reopen(self) -> None:
        """Start with an empty inventory: everything queued is void, every source is read anew."""
        self._store.open()
        with self._lock:
            for source in self._ready:
                self._void(source)
            self._ready.clear()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.on_lost)

    def _work(self, source: Source, jobs: list[_Job]) -> None:
        """Write a batch of one source: rows together as far as nothing else stands between them.

        Each job leaves the list when it is written, so that a second attempt does not repeat it.
        """
        while jobs and not source.closed:
            match jobs[0]:
                case _Begin():
                    source.generation = self._store.begin_relist(source.cluster_id, source.kind)
                    jobs.pop(0)
                case _End(at, written):
                    if source.generation is not None:
                        self._store.end_relist(source.cluster_id, source.kind, source.generation)
                        source.generation = None
                        self._swollen = True
                    self._say(source, "live", None, at)
                    jobs.pop(0)
                    if self._loop is not None:
                        self._loop.call_soon_threadsafe(written)
                case _Say(state, error, said_at):
                    self._say(source, state, error, said_at)
                    jobs.pop(0)
                case _Rows():
                    together = 1
                    while together < len(jobs) and isinstance(jobs[together], _Rows):
                        together += 1
                    self._rows(source, [job for job in jobs[:together] if isinstance(job, _Rows)])
                    del jobs[:together]

    def _say(self, source: Source, state: str, error: str | None, at: float | None, lag: float | None = None) -> None:
        self._store.set_source(source.cluster_id, source.kind.plural, state=state, as_of=at, error=error, lag=lag)
        source.said = (state, error)

    def _rows(self, source: Source, jobs: list[_Rows]) -> None:
        upserts: list[Row] = []
        gone: dict[str, None] = {}
        for job in jobs:
            for deleted, raw in job.events:
                try:
                    if deleted:
                        gone[identify(raw).uid or ""] = None
                    else:
                        upserts.append(source.project(raw))
                except Unreadable as error:
                    UNREADABLE.labels(source.kind.plural).inc()
                    log.warning("inventory.unreadable", kind=source.kind.plural, reason=str(error)[:200])
        if gone:
            upserts = [row for row in upserts if row.uid not in gone]
        at = jobs[-1].at
        started = clock.monotonic()
        self._store.apply(
            source.cluster_id,
            source.kind,
            upserts,
            list(gone),
            generation=source.generation,
            as_of=at if source.generation is None else None,
        )
        took = clock.monotonic() - started
        WRITTEN.labels(source.kind.plural).inc(len(upserts) + len(gone))
        self._pace(len(upserts), took)
        if source.said[0] == "live" and started - source.lag_said > LAG_EVERY:
            source.lag_said = started
            self._say(source, *source.said, at, round(clock.epoch() - jobs[0].at, 3))

    def _shrink(self) -> None:
        """Give back the memory that reading whole lists took; the allocator keeps it otherwise."""
        self._swollen = False
        self._store.shrink()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)

    def _pace(self, rows: int, took: float) -> None:
        """Fit the batch to what a transaction may take on this machine."""
        if took > TRANSACTION_SECONDS and rows >= self._largest // 2:
            self._largest = max(SMALLEST, int(self._largest * TRANSACTION_SECONDS / took))
        elif took < TRANSACTION_SECONDS / 2 and rows >= self._largest:
            self._largest = min(LARGEST, self._largest * 2)
