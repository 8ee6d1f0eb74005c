"""What a page can look at: a list, an object, the freshness of a list's sources, the whole fleet.

A topic says which changes concern it, how it is read, and how what was read becomes variables of a State. Equal topics
are one: however many pages look, it is read once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Protocol
from urllib.parse import quote

from gmcenter.core.errors import GMError
from gmcenter.identity.scope import Scope
from gmcenter.inventory import service
from gmcenter.inventory.service import Change, Freshness, ListQuery, NoInventory, SourceState
from gmcenter.kube.kinds import KINDS, Kind
from gmtool.live import frames
from gmtool.live.frames import Frame, PageFrame
from gmtool.shell import guard

AGES_SECONDS = 5.0
"""How often ages alone are sent; between two of them the browser counts by itself."""
SOURCES_SECONDS = 2.0
"""How often sources are looked at though nothing was announced: silence announces nothing."""
COUNTS_SECONDS = 2.0
"""How often the counts of kinds are read."""
NOT_READY_SECONDS = 1.0
STATES = ("source", "cluster", "begin")
"""Operations of the feed that say how sources and clusters are doing."""


class Topic(Protocol):
    """What a dispatcher serves."""

    @property
    def key(self) -> Hashable:
        """Equal for topics that show the same to everyone."""
        ...

    @property
    def period(self) -> float | None:
        """Seconds after which it is read again though no change was announced; None for never."""
        ...

    def touched(self, change: Change) -> bool:
        """Whether a change of the inventory may concern it."""
        ...

    async def read(self, before: Any) -> tuple[Frame, Any]:
        """Read it. `before` is what the last read gave as its second part, None at first."""
        ...

    def rescoped(self, scope: Scope) -> Topic:
        """The same for what its reader may see now."""
        ...


def _touched(change: Change, kind: str, scope: Scope, clusters: tuple[str, ...]) -> bool:
    if change.kind not in (kind, "clusters"):
        return False
    if clusters and change.cluster_name not in (None, *clusters):
        return False
    return scope.everything or change.ns_id is None or change.ns_id in scope.namespace_ids


@dataclass(frozen=True)
class ListTopic:
    """One page of one list. Its period is for what nobody announces: sources that fall silent."""

    scope: Scope
    query: ListQuery
    period: ClassVar[float | None] = 5.0

    @property
    def key(self) -> Hashable:
        asked = (getattr(self.query, field.name) for field in fields(self.query))
        return ("list", self.scope, *(tuple(sorted(a.items())) if isinstance(a, Mapping) else a for a in asked))

    def touched(self, change: Change) -> bool:
        return _touched(change, self.query.kind, self.scope, tuple(self.query.clusters))

    async def read(self, before: Any) -> tuple[Frame, Any]:
        kind = KINDS[self.query.kind]
        try:
            found = await service.list_rows(self.scope, self.query)
        except NoInventory as error:
            return self._nothing(kind, error.freshness, before)
        facts = {
            "count": found.count.value,
            "exact": found.count.exact,
            "away": await self._away(found.freshness),
            "next": found.next,
            "prev": found.previous,
            "sort": self.query.sort or kind.default_sort,
            "limit": self.query.limit,
            "at": self.query.cursor,
            **({"nothing": True} if self.scope.is_empty else {}),
        }
        if isinstance(before, PageFrame):
            update = before.follow(found.rows, facts)
            return Frame(before.full, update), before
        columns = frames.column_keys(column.key for column in kind.all_columns)
        made = frames.page(kind.plural, columns, found.rows, facts)
        return Frame(made.full, made.full), made

    def _nothing(self, kind: Kind, freshness: Freshness | None, before: Any) -> tuple[Frame, Any]:
        """While there is no inventory: the rows that were there, or a page that says nothing of rows."""
        if isinstance(before, PageFrame):
            return Frame(before.full, None, again=NOT_READY_SECONDS), before
        empty = {"count": 0, "exact": False, "away": 0, "next": None, "prev": None}
        made = frames.page(kind.plural, frames.META, (), empty).full
        fresh = {"fresh": frames.fresh(freshness)} if freshness is not None else {}
        return Frame({**made, **fresh}, {**made, **fresh}, again=NOT_READY_SECONDS), None

    async def _away(self, freshness: Freshness) -> int:
        """How many rows of the whole list come from sources that do not answer now."""
        silent = tuple(source.cluster for source in freshness.sources if source.state == "away")
        if not silent:
            return 0
        chosen = tuple(name for name in silent if not self.query.clusters or name in self.query.clusters)
        if not chosen:
            return 0
        counted = await service.list_rows(self.scope, replace(self.query, clusters=chosen, limit=1, cursor=None))
        return counted.count.value

    def rescoped(self, scope: Scope) -> ListTopic:
        return replace(self, scope=scope)


@dataclass(frozen=True)
class FreshTopic:
    """Which sources of a list have answered, and since when."""

    scope: Scope
    kind: str
    clusters: tuple[str, ...] = ()
    period: ClassVar[float | None] = SOURCES_SECONDS

    @property
    def key(self) -> Hashable:
        return ("fresh", self.scope, self.kind, self.clusters)

    def touched(self, change: Change) -> bool:
        return change.op in STATES and change.kind in (self.kind, "clusters")

    async def read(self, before: Any) -> tuple[Frame, Any]:
        now = frames.fresh(await service.freshness(self.scope, (self.kind,), self.clusters))
        return aged(now, before)

    def rescoped(self, scope: Scope) -> FreshTopic:
        return replace(self, scope=scope)


def aged(now: frames.Vars, before: frames.Vars | None) -> tuple[Frame, frames.Vars]:
    """A freshness as a frame: news at once, mere ages every few seconds."""
    if before is not None:
        quiet = frames.standing(now) == frames.standing(before)
        if quiet and (now["now"] - before["now"] < AGES_SECONDS or now["sources"] == before["sources"]):
            return Frame({"fresh": before}, None), before
    return Frame({"fresh": now}, {"fresh": now}), now


@dataclass(frozen=True)
class CountsTopic:
    """How many objects of some kinds there are, for the tabs over their lists. Numbers alone hurry nobody: they are
    read on their own time, and not for every change.
    """

    scope: Scope
    kinds: tuple[str, ...]
    clusters: tuple[str, ...] = ()
    period: ClassVar[float | None] = COUNTS_SECONDS

    @property
    def key(self) -> Hashable:
        return ("counts", self.scope, self.kinds, self.clusters)

    def touched(self, change: Change) -> bool:  # noqa: ARG002
        return False

    async def read(self, before: Any) -> tuple[Frame, Any]:
        try:
            now = await service.counters(self.scope, self.kinds, self.clusters)
        except NoInventory:
            return Frame({"counts": before or {}}, None), before
        made = {"counts": now}
        return Frame(made, made if now != before else None), now

    def rescoped(self, scope: Scope) -> CountsTopic:
        return replace(self, scope=scope)


@dataclass(frozen=True)
class DetailTopic:
    """One object under one tab. `compose` makes the variable's value of what the inventory knows."""

    scope: Scope
    kind: str
    cluster: str
    namespace: str | None
    name: str
    tab: str
    compose: Callable[[DetailTopic], Awaitable[dict[str, Any]]]
    period: ClassVar[float | None] = 5.0

    @property
    def key(self) -> Hashable:
        return ("detail", self.scope, self.kind, self.cluster, self.namespace, self.name, self.tab)

    def touched(self, change: Change) -> bool:
        # Events about it and objects around it count too: any change of these kinds in its cluster.
        near = (self.kind, "events", "pods", "services", "clusters")
        return change.kind in near and change.cluster_name in (None, self.cluster)

    async def read(self, before: Any) -> tuple[Frame, Any]:
        try:
            now = await self.compose(self)
        except NoInventory as error:
            if before is not None:
                return Frame({"detail": before}, None, again=NOT_READY_SECONDS), before
            now = {"ref": self.ref, "kind": self.kind, "tab": self.tab, "problem": guard.problem(error)}
            return Frame({"detail": now}, {"detail": now}, again=NOT_READY_SECONDS), None
        except GMError as error:
            if before is not None and "problem" not in before and error.code == "not_found":
                now = {**before, "gone": True}  # it was there a moment ago: keep what is known of it
            else:
                now = {"ref": self.ref, "kind": self.kind, "tab": self.tab, "problem": guard.problem(error)}
        if before is not None and _same_but_ages(now, before):
            return Frame({"detail": before}, None), before
        return Frame({"detail": now}, {"detail": now}), now

    @property
    def ref(self) -> str:
        """The object as the address names it."""
        return reference(self.cluster, self.namespace, self.name)

    def rescoped(self, scope: Scope) -> DetailTopic:
        return replace(self, scope=scope)


def _same_but_ages(now: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    a, b = dict(now), dict(before)
    x, y = a.pop("fresh", None), b.pop("fresh", None)
    if a != b:
        return False
    if not x or not y:
        return x == y
    return frames.standing(x) == frames.standing(y) and x["now"] - y["now"] < AGES_SECONDS


@dataclass(frozen=True)
class FleetTopic:
    """Every cluster and whether it answers, for the header's lamp."""

    scope: Scope
    period: ClassVar[float | None] = SOURCES_SECONDS

    @property
    def key(self) -> Hashable:
        return ("fleet", self.scope)

    def touched(self, change: Change) -> bool:
        return change.op in STATES and change.kind == "clusters"

    async def read(self, before: Any) -> tuple[Frame, Any]:
        return aged(frames.fresh(await fleet(self.scope)), before)

    def rescoped(self, scope: Scope) -> FleetTopic:
        return replace(self, scope=scope)


async def fleet(scope: Scope) -> Freshness:
    """The health of all clusters in the shape of a freshness; only for those who may know of every cluster."""
    clusters = await service.cluster_health() if scope.everything else []
    sources = [SourceState(c.name, "", _state(c.state), c.last_seen, c.error, None) for c in clusters]
    live = [source for source in sources if source.state == "live"]
    ages = [source.as_of for source in live if source.as_of is not None]
    return Freshness(min(ages, default=None), len(live), len(sources), sources)


def _state(health: str) -> Any:
    return {"unknown": "syncing"}.get(str(health), str(health))


def reference(cluster: str, namespace: str | None, name: str) -> str:
    """How an object is named in an address: cluster/namespace/name, each part percent-encoded."""
    return "/".join(quote(part or "", safe="!'()*") for part in (cluster, namespace, name))
