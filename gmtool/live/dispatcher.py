"""One loop a process: it reads the inventory's feed, reads again what changed of what is looked at, and pushes it.

It spends at most half a core. A topic is read again at the earliest after ten times what its last read cost, and after
every stretch of work the loop rests for as long as the work took. Topics take turns: the one that waited longest is
next. What an open page is sent is always the newest state, so a page that cannot keep up skips what came in between and
costs no memory. A page's error stays with that page.

Everything of a tab goes when its socket is gone: what it looks at, at the next round; its State after a grace in which
a dropped connection may come back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gmcenter.core import clock
from gmcenter.core.errors import GMError
from gmcenter.core.log import get_logger
from gmcenter.core.metrics import counter, gauge, histogram
from gmcenter.identity.actor import Actor
from gmcenter.identity.scope import Scope
from gmtool.live.frames import Frame, Vars
from gmtool.live.topics import Topic

log = get_logger(__name__)

LEAST_INTERVAL = 0.25
COST_FACTOR = 10.0
IDLE_WAIT = 0.5
STRETCH = 0.1
"""Seconds of reading after which what was read is pushed."""
REST_AFTER = 0.02
"""Seconds of work after which the loop rests for as long as it worked."""
SCOPE_SECONDS = 1.0
FAILED_SECONDS = 2.0
TOGETHER = 16
PUSH_TIMEOUT = 2.0
PENALTY = 10.0

READERS = gauge("live_readers", "What open pages look at, counted a page")
CHANNELS = gauge("live_channels", "Distinct lists and objects that are looked at")
PUSHES = counter("live_pushes", "Updates pushed to open pages")
READ_SECONDS = histogram("live_read_seconds", "Time to read one topic")


class Feed(Protocol):
    """The inventory's feed as the dispatcher reads it."""

    async def head(self) -> int: ...
    async def wait(self, timeout: float) -> Any: ...
    async def since(self, seq: int) -> Any: ...


class Sockets(Protocol):
    """The open pages."""

    def connected(self, token: str) -> bool:
        """Whether the tab's socket is open in this process."""
        ...

    def clogged(self, token: str) -> bool:
        """Whether the tab has not taken what it was sent before."""
        ...

    async def push(self, token: str, readers: Sequence[Reader]) -> Sequence[Reader]:
        """Put what each reader takes into its State and send the difference. Returns those that look no more: their tab
        shows another page, or belongs to another session.
        """
        ...

    async def sweep(self) -> None:
        """Free what tabs held that are gone."""
        ...


@dataclass(eq=False, slots=True, weakref_slot=True)
class Channel:
    """One topic with everyone who looks at it, and what they were shown last. `serial` counts its frames."""

    topic: Topic
    readers: set[Reader] = field(default_factory=set)
    frame: Frame | None = None
    serial: int = 0
    memory: Any = None
    dirty: bool = False
    failed: bool = False
    due: float = 0.0
    looked: float = 0.0
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    def waits(self, now: float) -> float:
        """Seconds until it is to be read again; 0 when it is due."""
        period = self.topic.period
        if self.busy.locked() or (self.frame is None and not self.failed):
            return IDLE_WAIT  # its first reader is reading it
        if self.dirty:
            return max(0.0, self.due - now)
        return IDLE_WAIT if period is None else max(0.0, max(self.due, self.looked + period) - now)


@dataclass(eq=False, slots=True)
class Reader:
    """One tab looking at one topic in one of its slots, from the page at `path`. `seen` is the serial of the frame that
    the tab shows.
    """

    token: str
    slot: str
    path: str
    state: type[Any]
    actor: Actor
    channel: Channel
    seen: int = -1

    def take(self) -> Vars | None:
        """The variables that bring the tab up to date, None when it is. It counts as shown from now on."""
        frame, serial = self.channel.frame, self.channel.serial
        if frame is None or self.seen == serial:
            return None
        variables = frame.update if self.seen == serial - 1 else frame.full
        self.seen = serial
        return variables


class Dispatcher:
    """Who looks at what in this process."""

    def __init__(
        self,
        feed: Feed,
        sockets: Sockets,
        *,
        scope_of: Callable[[Actor], Awaitable[Scope]],
        scope_version: Callable[[], Awaitable[int]],
    ) -> None:
        self.feed, self.sockets = feed, sockets
        self.scope_of, self.scope_version = scope_of, scope_version
        self.channels: dict[Hashable, Channel] = {}
        self.tabs: dict[str, dict[str, Reader]] = {}
        self.pending: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._seq: int | None = None
        self._version: int | None = None
        self._version_looked = 0.0
        self._pruned = 0.0

    # --- who looks ---------------------------------------------------------------------------------------------------

    async def look(self, token: str, slot: str, path: str, state: type[Any], actor: Actor, topic: Topic) -> Vars:
        """Let a tab look at a topic from now on, instead of what its slot showed before; returns the variables to show.

        To be called by an event handler of the tab, which holds the tab's lock: nothing is pushed from here, or two
        tabs could wait for each other. Raises what reading the topic raises; the slot then shows nothing.
        """
        reader = self.tabs.get(token, {}).get(slot)
        if reader is None or reader.channel.topic.key != topic.key or reader.actor != actor:
            self.leave(token, slot)
            reader = self._join(token, slot, path, state, actor, topic)
        reader.path, reader.state = path, state
        channel = reader.channel
        try:
            if channel.frame is None or channel.failed:
                await self._read(channel, first=True)
        except BaseException:
            if reader in channel.readers:
                self.leave(token, slot)
            raise
        assert channel.frame is not None
        reader.seen = channel.serial
        return channel.frame.full

    def _join(self, token: str, slot: str, path: str, state: type[Any], actor: Actor, topic: Topic) -> Reader:
        channel = self.channels.setdefault(topic.key, Channel(topic))
        reader = Reader(token, slot, path, state, actor, channel)
        channel.readers.add(reader)
        self.tabs.setdefault(token, {})[slot] = reader
        return reader

    def leave(self, token: str, *slots: str) -> None:
        """Let a tab look away: from the named slots, or from everything."""
        mine = self.tabs.get(token, {})
        for slot in slots or tuple(mine):
            reader = mine.pop(slot, None)
            if reader is None:
                continue
            channel = reader.channel
            channel.readers.discard(reader)
            if not channel.readers and self.channels.get(channel.topic.key) is channel:
                del self.channels[channel.topic.key]
        if not mine:
            self.tabs.pop(token, None)
            self.pending.discard(token)
            self._not_before.pop(token, None)

    @property
    def readers(self) -> int:
        """How many looks there are: tabs times their slots."""
        return sum(len(mine) for mine in self.tabs.values())

    # --- the loop ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            try:
                await self.turn()
            except Exception:
                log.exception("dispatcher_turn_failed")
                await asyncio.sleep(1.0)

    async def turn(self) -> None:
        """Wait for news, read what is due, push it, rest."""
        now = clock.monotonic()
        idle = min((channel.waits(now) for channel in self.channels.values()), default=IDLE_WAIT)
        if idle > 0:
            await self.feed.wait(min(idle, IDLE_WAIT))
        await self.mark()
        await self.prune()
        await self.rescope()
        begun = clock.monotonic()
        while (channel := self._next()) and clock.monotonic() - begun < STRETCH:
            with contextlib.suppress(GMError):
                await self._read(channel)
        await self.flush()
        worked = clock.monotonic() - begun
        await asyncio.sleep(worked if worked >= REST_AFTER else 0)

    def _next(self) -> Channel | None:
        now = clock.monotonic()
        due = (channel for channel in self.channels.values() if channel.waits(now) == 0)
        return min(due, key=lambda channel: channel.looked, default=None)

    async def mark(self) -> None:
        """Note which topics the newest changes concern."""
        try:
            if self._seq is None:
                # Whatever was read before this is the present state, or was read while the feed could not be.
                self._seq = await self.feed.head()
                news: Any = None
            else:
                news = await self.feed.since(self._seq)
        except GMError:
            self._seq = None
            return
        if not isinstance(news, list):
            # The feed does not reach back to where this process was: anything may have changed.
            self._seq = await self.feed.head()
            for channel in self.channels.values():
                channel.dirty = True
            return
        if not news:
            return
        self._seq = max(change.seq for change in news)
        distinct = {(change.kind, change.cluster, change.ns_id, change.op): change for change in news}.values()
        for channel in self.channels.values():
            if not channel.dirty and any(channel.topic.touched(change) for change in distinct):
                channel.dirty = True

    async def prune(self) -> None:
        """Forget tabs whose socket is gone."""
        now = clock.monotonic()
        if now - self._pruned < 1.0:
            return
        self._pruned = now
        for token in [token for token in self.tabs if not self.sockets.connected(token)]:
            self.leave(token)
        await self.sockets.sweep()
        READERS.set(self.readers)
        CHANNELS.set(len(self.channels))

    async def rescope(self) -> None:
        """Move readers whose scope has changed to what they may see now."""
        now = clock.monotonic()
        if now - self._version_looked < SCOPE_SECONDS:
            return
        self._version_looked = now
        before, self._version = self._version, await self.scope_version()
        if before is None or before == self._version:
            return
        for old in [reader for mine in self.tabs.values() for reader in mine.values()]:
            topic = old.channel.topic.rescoped(await self.scope_of(old.actor))
            if topic.key == old.channel.topic.key:
                continue
            self.leave(old.token, old.slot)
            reader = self._join(old.token, old.slot, old.path, old.state, old.actor, topic)
            reader.channel.failed = reader.channel.frame is None  # nobody else is going to read it first
            reader.channel.dirty = True
            self.pending.add(reader.token)

    async def _read(self, channel: Channel, first: bool = False) -> None:
        """Read a topic; whoever looks at it is pushed to at the next flush. `first`: only when nobody else has."""
        async with channel.busy:
            if first and channel.frame is not None and not channel.failed:
                return
            channel.dirty = False
            begun = clock.monotonic()
            try:
                frame, channel.memory = await channel.topic.read(channel.memory)
            except Exception as error:
                channel.failed = channel.dirty = True
                channel.looked = clock.monotonic()
                channel.due = channel.looked + FAILED_SECONDS
                topic = type(channel.topic).__name__
                log.warning("topic_failed", topic=topic, error=type(error).__name__, words=str(error)[:300])
                raise
            channel.failed = False
            channel.looked = clock.monotonic()
            cost = channel.looked - begun
            channel.due = channel.looked + max(LEAST_INTERVAL, COST_FACTOR * cost)
            READ_SECONDS.observe(cost)
            if frame.again is not None:
                channel.dirty, channel.due = True, max(channel.due, channel.looked + frame.again)
            if frame.update is None and channel.frame is not None:
                return
            channel.frame, channel.serial = frame, channel.serial + 1
            self.pending.update(reader.token for reader in channel.readers)

    async def flush(self) -> None:
        """Bring every tab up to date that is not: one push a tab, whatever its slots show."""
        now = clock.monotonic()
        ready = [t for t in self.pending if now >= self._not_before.get(t, 0.0) and not self.sockets.clogged(t)]
        for at in range(0, len(ready), TOGETHER):
            await asyncio.gather(*(self._send(token) for token in ready[at : at + TOGETHER]))

    async def _send(self, token: str) -> None:
        """Push to one tab; one that fails or hangs is tried again later and stops nobody."""
        self.pending.discard(token)
        readers = [r for r in self.tabs.get(token, {}).values() if r.seen != r.channel.serial]
        if not readers:
            return
        try:
            async with asyncio.timeout(PUSH_TIMEOUT):
                over = await self.sockets.push(token, readers)
            PUSHES.inc()
            for reader in over:
                if self.tabs.get(token, {}).get(reader.slot) is reader:
                    self.leave(token, reader.slot)
        except Exception as error:
            for reader in readers:
                reader.seen = -1  # what arrived is not known: send everything
            self.pending.add(token)
            self._not_before[token] = clock.monotonic() + PENALTY
            log.warning("push_failed", error=type(error).__name__, words=str(error)[:300])
