"""The process that keeps the inventory true: every kind of every cluster watched, probed, written.

Each cluster has a task group of its own, which waits, fails and starts again by itself: one that hangs slows nobody. A
source (a kind of a cluster) says how it is doing; its asOf is the moment of the last byte that its watch brought, and
stays what it was while the cluster is away.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from gmcenter import fleet
from gmcenter.core import clock
from gmcenter.core.log import get_logger
from gmcenter.core.settings import settings
from gmcenter.fleet import ClusterRef
from gmcenter.inventory.member import Directory, Member
from gmcenter.inventory.store import Store
from gmcenter.inventory.writer import Writer
from gmcenter.kube.connection import Connection, small_buffers
from gmcenter.kube.kinds import KINDS, Kind

FLEET_SECONDS: Final = 0.5
UPKEEP_SECONDS: Final = 60.0
CHECK_SECONDS: Final = 2.0
LABELS_EVERY: Final = 60

log = get_logger(__name__)


class _Fleet:
    """The real directory."""

    async def clusters(self) -> list[ClusterRef]:
        return await fleet.clusters()

    async def dial(self, where: ClusterRef) -> Connection:
        return await fleet.dial(where)

    async def version(self) -> int:
        return await fleet.version()


class Collector:
    """Looks after all clusters of a directory and writes them into one store."""

    def __init__(self, directory: Directory, store: Store, kinds: Sequence[Kind] = tuple(KINDS.values())) -> None:
        self._directory, self._kinds = directory, kinds
        self.writer = Writer(store)
        self._members: dict[int, Member] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Collect until `stop` is set. Raises what opening the store raises."""
        self.writer.on_lost = self._on_lost
        await self.writer.start()
        upkeep = asyncio.create_task(self._upkeep())
        try:
            await self._follow_fleet(stop)
        finally:
            upkeep.cancel()
            await asyncio.gather(upkeep, *(member.stop() for member in self._members.values()), return_exceptions=True)
            await self.writer.stop()

    async def _follow_fleet(self, stop: asyncio.Event) -> None:
        """Notice changes of the fleet within a second."""
        seen: int | None = None
        while not stop.is_set():
            try:
                version = await self._directory.version()
                if version != seen:
                    await self._reconcile(first=seen is None)
                    seen = version
            except Exception as error:
                log.warning("collector.fleet", error=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FLEET_SECONDS)

    async def _reconcile(self, *, first: bool) -> None:
        wanted = {ref.id: ref for ref in await self._directory.clusters()}
        if first:
            await self._forget_strangers(set(wanted))
        for cluster_id in self._members.keys() - wanted.keys():
            await self._members.pop(cluster_id).drop()
        for cluster_id, ref in wanted.items():
            if member := self._members.get(cluster_id):
                if member.ref != ref:
                    await member.update(ref)
            else:
                self._members[cluster_id] = member = Member(ref, self._directory, self.writer, self._kinds)
                member.start()

    async def _forget_strangers(self, wanted: set[int]) -> None:
        """Drop clusters that left the fleet while no collector ran."""

        def drop(store: Store) -> None:
            for cluster_id in store.clusters():
                if cluster_id not in wanted:
                    store.drop_cluster(cluster_id)

        await self.writer.ask(drop)

    def _on_lost(self) -> None:
        for member in self._members.values():
            member.empty()

    async def _upkeep(self) -> None:
        """See that the inventory is there for its readers; keep the feed and the label words from growing."""
        rounds, checks = 0, 0
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self.writer.call(lambda store: store.check())
            checks += 1
            if checks * CHECK_SECONDS < UPKEEP_SECONDS:
                continue
            rounds, checks = rounds + 1, 0
            limit = clock.epoch() - settings().feed_minutes * 60
            self.writer.call(lambda store, limit=limit: store.prune_feed(limit))  # type: ignore[misc]
            if rounds % LABELS_EVERY == 0:
                self.writer.call(lambda store: store.prune_labels())


def prepare() -> None:
    """Make this process fit for thousands of connections: small buffers, and as many open files as it may have."""
    small_buffers()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def run(stop: asyncio.Event) -> None:
    """Collect the fleet of this installation until `stop` is set; what `gm collect` runs."""
    prepare()
    await Collector(_Fleet(), Store(settings().database_url("inventory"))).run(stop)
