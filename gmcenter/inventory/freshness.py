"""How fresh an answer is: which sources it needs, and when each was heard of last.

A source is one kind of one cluster. The sources that a list needs are those of the fleet, whether or not the
inventory has ever heard of them: a cluster that was registered a second ago is missing, and is said to be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, cast

from gmcenter import fleet
from gmcenter.core import clock
from gmcenter.core.errors import InvalidField
from gmcenter.core.settings import settings
from gmcenter.identity.scope import Scope
from gmcenter.inventory.driver import Connection, array, member
from gmcenter.inventory.scopes import limits

State = Literal["live", "syncing", "away", "denied", "failed", "building"]
FLEET_SECONDS = 1.0
SILENT_PROBES = 3
SILENT = "collector_silent"


class KnownCluster(Protocol):
    """What is needed to know of a cluster of the fleet; `fleet.ClusterRef` is one."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def is_building(self) -> bool: ...


Provider = Callable[[], Awaitable[Sequence[KnownCluster]]]


@dataclass(frozen=True, slots=True)
class SourceState:
    """How one source is doing. `as_of` (epoch seconds) is when the last byte of its watch came, `lag` is in seconds."""

    cluster: str
    kind: str
    state: State
    as_of: float | None = None
    error: str | None = None
    lag: float | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How many of the needed sources are live, and the oldest time that one of these was heard of."""

    as_of: float | None
    answered: int
    needed: int
    sources: list[SourceState] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Heard:
    """What the inventory knows of clusters and sources: by cluster's id, and by kind and cluster's id."""

    clusters: dict[int, tuple[str, str, float | None]]
    sources: dict[tuple[str, int], tuple[str, float | None, str | None, float | None]]
    seen: frozenset[int] | None
    """The clusters that hold anything of the scope; None for all."""


def hear(db: Connection, scope: Scope, kinds: Sequence[str]) -> Heard:
    """Look up what the inventory knows of the sources of some kinds."""
    clusters = {row[0]: (row[1], row[2], row[3]) for row in db.rows("select id, name, state, last_seen from cluster")}
    one_of = member(db.dialect, "kind", "text")
    statement = f"select kind, cluster, state, as_of, error, lag from source where {one_of}"
    found = db.rows(statement, (array(db.dialect, kinds),))
    seen = None
    if not scope.everything:
        texts, values = limits(scope).where(db.dialect, "id", "")
        seen = frozenset(row[0] for row in db.rows(f"select distinct cluster from namespace where {texts[0]}", values))
    return Heard(clusters, {(row[0], row[1]): (row[2], row[3], row[4], row[5]) for row in found}, seen)


NOTHING_HEARD = Heard({}, {}, None)


def weigh(members: Iterable[KnownCluster], heard: Heard, kinds: Sequence[str]) -> dict[tuple[str, int], SourceState]:
    """The state of every source of some clusters and kinds, by kind and cluster's id."""
    now = clock.epoch()
    found = {}
    for one in members:
        cluster = heard.clusters.get(one.id)
        for kind in kinds:
            found[kind, one.id] = _weigh_source(one, kind, cluster, heard.sources.get((kind, one.id)), now)
    return found


def _weigh_source(
    one: KnownCluster,
    kind: str,
    cluster: tuple[str, str, float | None] | None,
    source: tuple[str, float | None, str | None, float | None] | None,
    now: float,
) -> SourceState:
    if one.is_building:
        return SourceState(one.name, kind, "building")
    if source is None:
        return SourceState(one.name, kind, "away" if cluster and cluster[1] == "away" else "syncing")
    state, as_of, error, lag = source
    if state == "live":
        last = max(as_of or 0.0, (cluster[2] if cluster else None) or 0.0)
        if cluster is not None and cluster[1] == "away":
            state = "away"
        elif now - last > silence():
            # Whoever wrote "live" has not been heard of since: the word is no longer true.
            state, error = "away", SILENT
    return SourceState(one.name, kind, cast(State, state), as_of, error, lag)


def weigh_cluster(heard: Heard, cluster_id: int) -> tuple[str, str | None]:
    """The state of a cluster that the collector has written of, and why, where we know better than it did."""
    _, state, last_seen = heard.clusters[cluster_id]
    if state == "live" and clock.epoch() - (last_seen or 0.0) > silence():
        return "away", SILENT
    return state, None


def silence() -> float:
    """Seconds without a sign of life of the collector after which what it said of a source counts no more."""
    found = settings()
    return SILENT_PROBES * (found.probe_seconds + found.probe_timeout_seconds)


def sum_up(sources: Iterable[SourceState]) -> Freshness:
    """Freshness of an answer made of these sources."""
    ordered = sorted(sources, key=lambda source: (source.cluster, source.kind))
    live = [source for source in ordered if source.state == "live"]
    heard = [source.as_of for source in live if source.as_of is not None]
    return Freshness(min(heard, default=None), len(live), len(ordered), ordered)


# --- the fleet ---

_provider: Provider = fleet.clusters
_known: tuple[float, list[KnownCluster]] | None = None


def register_fleet(provider: Provider | None) -> None:
    """Take the clusters of the fleet from elsewhere than the system database (benches, tests); None undoes it."""
    global _provider, _known
    _provider, _known = provider or fleet.clusters, None


async def members(names: Sequence[str] = ()) -> list[KnownCluster]:
    """The clusters of the fleet, or those named, at most a second old.

    Raises InvalidField for a name that no cluster has.
    """
    global _known
    now = clock.monotonic()
    if _known is None or not 0 <= now - _known[0] < FLEET_SECONDS or not _all_there(names, _known[1]):
        _known = (now, list(await _provider()))
    if not names:
        return _known[1]
    by_name = {one.name: one for one in _known[1]}
    if unknown := [name for name in names if name not in by_name]:
        raise no_such(unknown[0])
    return [by_name[name] for name in dict.fromkeys(names)]


def no_such(name: str) -> InvalidField:
    """The error for a cluster that does not exist, or that the asker may not know of."""
    return InvalidField(field="cluster", reason="no_such_cluster", value=name[:100])


def _all_there(names: Sequence[str], found: list[KnownCluster]) -> bool:
    known = {one.name for one in found}
    return all(name in known for name in names)


def visible(members: Sequence[KnownCluster], heard: Heard, named: Sequence[str]) -> list[KnownCluster]:
    """Those of the clusters that a scope has anything in. Raises InvalidField when a named one is not among them."""
    if heard.seen is None:
        return list(members)
    for one in members:
        if one.name in named and one.id not in heard.seen:
            raise no_such(one.name)
    return [one for one in members if one.id in heard.seen]
