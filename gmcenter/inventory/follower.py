"""One source, a kind of a cluster: takes what its watch brings to the writer, and knows how it is doing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

from gmcenter.core.errors import ClusterUnreachable, GMError, RateLimited, UpstreamError
from gmcenter.core.settings import settings
from gmcenter.inventory.writer import Source, Writer
from gmcenter.kube.batches import Batch, Bookmark, Changes, Initial, InitialEnd, Opened, Trouble
from gmcenter.kube.connection import Connection
from gmcenter.kube.kinds import Kind
from gmcenter.kube.watch import Place, watch


def reason_of(error: GMError) -> str:
    """What the inventory notes of an error: a reason's code where it has one, else the server's own words."""
    return error.reason or error.code


class Follower:
    """One source: follows the watch of a kind and hands on what it brings."""

    def __init__(self, writer: Writer, cluster_id: int, kind: Kind, changed: Callable[[], None]) -> None:
        self.kind = kind
        self.on_lost: Callable[[Follower], None] = lambda _: None
        self._listed = False
        self.complete = False
        self.state = "syncing"
        self._error: str | None = None
        self._writer, self._changed = writer, changed
        self._place = Place()
        self._cluster_id = cluster_id
        self.heard = 0.0
        self._source = self._new_source()

    def _new_source(self) -> Source:
        return Source(self._cluster_id, self.kind, lambda: self.on_lost(self))

    @property
    def settled(self) -> bool:
        """Whether there is nothing to wait for: the list is written, or the cluster will not give it."""
        return self.complete or self.state in ("denied", "failed")

    def announce(self) -> None:
        """Say the present state, for an inventory that may remember another one."""
        self._writer.say(self._source, self.state, self._error)

    def say(self, state: str, error: str | None = None, at: float | None = None) -> None:
        """Note a state that is not the present one, or one with a new asOf."""
        told = (self.state, self._error) != (state, error)
        self.state, self._error = state, error
        if told or at is not None:
            self._writer.say(self._source, state, error, at)
        if told:
            self._changed()

    def forget(self) -> None:
        """Read the whole state at the next start."""
        self._place = Place()

    def empty(self) -> None:
        """The inventory has lost the rows: start with nothing."""
        self._writer.close(self._source)
        self._source = self._new_source()
        self._listed = self.complete = False
        self.state, self._error = "syncing", None
        self.forget()
        self.announce()

    def close(self) -> None:
        """The cluster is gone: nothing more is to be written."""
        self._writer.close(self._source)

    async def run(self, connection: Connection) -> None:
        """Follow the watch for ever."""
        silent = settings().silent_seconds
        async with aclosing(watch(connection, self.kind, self._place, silent=silent)) as batches:
            async for batch in batches:
                await self._take(batch)
                del batch

    async def _take(self, batch: Batch) -> None:
        if isinstance(batch, Trouble):
            self._trouble(batch.error)
            return
        self.heard = batch.at
        match batch:
            case Initial(objects, at, begins):
                if begins:
                    self._writer.begin(self._source)
                await self._writer.rows(self._source, [(False, raw) for raw in objects], at)
            case Changes(events, at):
                if self._listed and self.state != "live":
                    self.say("live", None, at)
                await self._writer.rows(self._source, events, at)
            case InitialEnd(_, at):
                source = self._source
                self._listed, self.state, self._error = True, "live", None
                self._writer.end(source, at, lambda: self._written(source))
            case Bookmark(_, at) | Opened(at):
                if self._listed:
                    self.say("live", None, at)

    def _written(self, source: Source) -> None:
        """The whole list stands in the inventory, unless that was lost meanwhile."""
        if source is self._source:
            self.complete = True
            self._changed()

    def _trouble(self, error: GMError) -> None:
        if isinstance(error, RateLimited):
            return
        if isinstance(error, ClusterUnreachable):
            self.say("away", reason_of(error))
        else:
            denied = isinstance(error, UpstreamError) and error.params.get("upstream_status") in (401, 403)
            self.say("denied" if denied else "failed", reason_of(error))
