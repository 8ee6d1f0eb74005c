"""One cluster of the fleet, as the collector looks after it: its connection, its probe and its sources."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from gmcenter.core import clock
from gmcenter.core.errors import GMError, UpstreamError
from gmcenter.core.log import bind, get_logger
from gmcenter.core.settings import settings
from gmcenter.fleet import ClusterRef
from gmcenter.inventory.follower import Follower, reason_of
from gmcenter.inventory.probe import Health, Probe
from gmcenter.inventory.writer import Writer
from gmcenter.kube.connection import Connection
from gmcenter.kube.kinds import Kind

DIAL_SECONDS: Final = 10.0
REDIAL_SECONDS: Final = 5.0
MISSES: Final = 2
CONFIRM_SHARE: Final = 0.2  # a missed probe is repeated after this share of the usual pause
POKED_PAUSE: Final = 1.0

log = get_logger(__name__)


class Directory(Protocol):
    """Where the collector learns of clusters; `gmcenter.fleet` is one."""

    async def clusters(self) -> list[ClusterRef]:
        """All clusters."""
        ...

    async def dial(self, where: ClusterRef) -> Connection:
        """A connection to one of them."""
        ...

    async def version(self) -> int:
        """A number that differs after every change of the fleet."""
        ...


class Member:
    """One cluster of the fleet: its connection, its probe, its sources."""

    def __init__(self, ref: ClusterRef, directory: Directory, writer: Writer, kinds: Sequence[Kind]) -> None:
        self.ref = ref
        self._directory, self._writer = directory, writer
        self._followers = [Follower(writer, ref.id, kind, self._source_changed) for kind in kinds]
        for follower in self._followers:
            follower.on_lost = self._lost
        self._health: Health | None = None
        self._last_seen: float | None = None
        self._error: str | None = None
        self._misses = 0
        self._task: asyncio.Task[None] | None = None
        self._restart, self._poke = asyncio.Event(), asyncio.Event()
        self._published: dict[str, Any] = {}

    # --- what it looks like ---

    @property
    def away(self) -> bool:
        """Whether the cluster counts as unreachable."""
        return self._misses >= MISSES

    def _state(self) -> str:
        if self.ref.is_building:
            return "building"
        if self.away:
            return "away"
        if self._error is not None:
            return "failed"
        if self._health is None or not all(follower.settled for follower in self._followers):
            return "syncing"
        return "live"

    def publish(self) -> None:
        """Write how the cluster is doing, where that is new."""
        health = self._health
        told: dict[str, Any] = {"state": self._state(), "error": self._error, "building": self.ref.building}
        if self._last_seen is not None:
            told["last_seen"] = self._last_seen
        if health is not None and health.answered:
            told["ready"] = health.ready
            facts = ("version", "latency_ms", "skew_seconds", "certificate_not_after")
            told.update({name: getattr(health, name) for name in facts if getattr(health, name) is not None})
        told = {"name": self.ref.name, **told}
        if told != self._published:
            self._published = told
            self._writer.call(lambda store: store.set_cluster(self.ref.id, **told))

    def _source_changed(self) -> None:
        """A source lost the cluster or found it again: the probe should look now, and not in ten seconds."""
        self._poke.set()
        self.publish()

    def announce(self) -> None:
        """Write everything, for an inventory that may remember something else."""
        self._published = {}
        for follower in self._followers:
            follower.say("building") if self.ref.is_building else follower.announce()
        self.publish()

    # --- its life ---

    def start(self) -> None:
        """Begin to look after the cluster."""
        self.announce()
        if not self.ref.is_building:
            self._task = asyncio.create_task(self._run(), name=f"cluster {self.ref.name}")

    async def stop(self) -> None:
        """Let go of the cluster; what is queued is still written."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def update(self, ref: ClusterRef) -> None:
        """The cluster was edited. A new way to it is taken at once, while rows and states stay what they are."""
        before, self.ref = self.ref, ref
        if (before.generation, before.is_building) == (ref.generation, ref.is_building):
            self.publish()
            return
        await self.stop()
        self._misses, self._error = 0, None
        for follower in self._followers:
            follower.forget()
            if before.is_building:
                follower.say("syncing")
        self.publish()
        if ref.is_building:
            self.announce()
        else:
            self._task = asyncio.create_task(self._run(), name=f"cluster {ref.name}")

    async def drop(self) -> None:
        """The cluster left the fleet."""
        await self.stop()
        for follower in self._followers:
            follower.close()
        self._writer.call(lambda store: store.drop_cluster(self.ref.id))

    def empty(self) -> None:
        """The inventory was lost: read everything anew."""
        for follower in self._followers:
            follower.empty()
        self._published = {}
        self.publish()
        self._restart.set()

    def _lost(self, follower: Follower) -> None:
        """What a source brought could not be written: it is read anew, and says so until that has worked."""
        follower.say("failed", "unwritable")
        follower.forget()
        self._restart.set()

    async def _run(self) -> None:
        bind(cluster=self.ref.name)
        while True:
            try:
                async with asyncio.timeout(DIAL_SECONDS):
                    connection = await self._directory.dial(self.ref)
            except (GMError, TimeoutError) as error:
                self._unreachable(error if isinstance(error, GMError) else None)
            except Exception:
                log.exception("collector.dial")
                self._unreachable(None)
            else:
                try:
                    async with connection, asyncio.TaskGroup() as group:
                        group.create_task(self._probe(connection))
                        group.create_task(self._keep_watching(connection))
                except* Exception:
                    log.exception("collector.cluster")
            await asyncio.sleep(REDIAL_SECONDS * (0.5 + random.random()))  # noqa: S311 jitter is no secret

    def _unreachable(self, error: GMError | None) -> None:
        """No connection can even be made."""
        self._error = reason_of(error) if error else "dial_failed"
        self._misses = MISSES
        for follower in self._followers:
            follower.say("away", self._error)
        self.publish()

    async def _keep_watching(self, connection: Connection) -> None:
        """Run the watches; all of them again, from where they were, when asked to."""
        while True:
            self._restart.clear()
            tasks = [
                asyncio.create_task(self._watch(follower, connection), name=f"{self.ref.name} {follower.kind.plural}")
                for follower in self._followers
            ]
            try:
                await self._restart.wait()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, follower: Follower, connection: Connection) -> None:
        """One watch, which starts again from nothing after an error of the program."""
        while True:
            try:
                await follower.run(connection)
            except Exception as error:
                log.exception("collector.source", kind=follower.kind.plural)
                follower.say("failed", type(error).__name__)
                follower.forget()
            await asyncio.sleep(REDIAL_SECONDS)

    async def _probe(self, connection: Connection) -> None:
        probe = Probe(connection, settings().probe_timeout_seconds)
        while True:
            self._poke.clear()
            started = clock.epoch()
            health = await probe.probe()
            self._judge(health, started)
            pause = max(settings().probe_seconds - (clock.epoch() - started), 0.1)
            if 0 < self._misses < MISSES:
                pause = settings().probe_seconds * CONFIRM_SHARE
            await asyncio.sleep(min(POKED_PAUSE, pause))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(pause - POKED_PAUSE, 0)):
                    await self._poke.wait()

    def _judge(self, health: Health, started: float) -> None:
        """Count a probe. A watch that brought bytes meanwhile is an answer, however slow the probe's is."""
        was_away = self.away
        heard = max(follower.heard for follower in self._followers)
        if health.answered or heard > started:
            self._misses = 0
            self._last_seen = max(heard, health.at)
            self._error = reason_of(health.error) if isinstance(health.error, UpstreamError) else None
        else:
            self._misses += 1
            if self.away:
                self._error = reason_of(health.error) if health.error else None
        if health.answered:
            self._health = health
        if self.away and not was_away:
            log.warning("collector.away", reason=self._error)
            for follower in self._followers:
                follower.say("away", self._error)
        elif was_away and not self.away:
            log.info("collector.back")
            self._restart.set()
        self.publish()
