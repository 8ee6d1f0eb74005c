"""The inventory's door for everyone above it: lists, details, counts, health and the feed.

Every function takes the scope of whoever asks and returns nothing from outside of it. The SQL runs in threads, each
query in one short transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

from gmcenter.core.errors import Ambiguous, NotFound
from gmcenter.identity.scope import EVERYTHING, Scope
from gmcenter.inventory import counts, objects, query, verify
from gmcenter.inventory import freshness as fresh
from gmcenter.inventory.driver import Connection
from gmcenter.inventory.feed import RESYNC, Change, Feed, Resync, register_version
from gmcenter.inventory.freshness import (
    NOTHING_HEARD,
    Freshness,
    Heard,
    KnownCluster,
    SourceState,
    hear,
    register_fleet,
    sum_up,
    visible,
    weigh,
)
from gmcenter.inventory.query import Count, Found, ListQuery
from gmcenter.inventory.reader import NoInventory, ReadConnection, readers
from gmcenter.inventory.related import find_related
from gmcenter.inventory.schema import Schema
from gmcenter.kube import relations

__all__ = [
    "RESYNC",
    "Change",
    "ClusterHealth",
    "Count",
    "Detail",
    "Facets",
    "Feed",
    "Freshness",
    "ListQuery",
    "NoInventory",
    "Page",
    "Resync",
    "SourceState",
    "cluster_health",
    "counters",
    "counters_by_cluster",
    "detail",
    "facets",
    "freshness",
    "labels",
    "list_objects",
    "list_rows",
    "register_fleet",
    "register_version",
    "states",
    "verify_inventory",
]

MOST_CANDIDATES = 50
MOST_RELATED = 500
MOST_EVENTS = 100

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: rows by column key, how many match, cursors of the pages around, and how fresh it all is."""

    rows: list[dict[str, Any]]
    count: Count
    next: str | None
    previous: str | None
    freshness: Freshness


@dataclass(frozen=True, slots=True)
class Detail:
    """One object: its row, its sanitised body, what hangs together with it, its latest events, and how fresh it all
    is.
    """

    row: dict[str, Any]
    body: dict[str, Any]
    involves: dict[str, Any]
    events: list[dict[str, Any]]
    freshness: Freshness


@dataclass(frozen=True, slots=True)
class ClusterHealth:
    """How a cluster is doing. Times are epoch seconds.

    `state` is live, syncing, away, failed, building, or unknown for one that nobody has looked at. `nodes`,
    `nodes_ready` and `gpus` are as last known, None before the first sight. `detail` holds whatever else its probe
    tells.
    """

    id: int
    name: str
    state: str
    last_seen: float | None = None
    version: str | None = None
    latency_ms: float | None = None
    certificate_not_after: float | None = None
    error: str | None = None
    nodes: int | None = None
    nodes_ready: int | None = None
    gpus: int | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facets:
    """What can be chosen from in the scope picker: clusters and namespaces, by name."""

    clusters: list[str]
    namespaces: list[str]
    more: bool


async def list_rows(scope: Scope, query: ListQuery) -> Page:
    """One page of a list.

    Raises UnknownParameter and InvalidField naming what is wrong with the query, NoInventory while there is nothing to
    read (with the sources that are missing).
    """
    known = await fresh.members(query.clusters)
    kinds = (query.kind,)

    def work(db: Connection) -> tuple[Found, Heard]:
        return _find_page(db, scope, query), hear(db, scope, kinds)

    found, heard = await _read(work, known, kinds)
    needed = visible(known, heard, query.clusters)
    sources = weigh(needed, heard, kinds)
    for row in found.rows:
        _stamp(row, sources.get((query.kind, row["_cluster_id"])))
    return Page(found.rows, found.count, found.next, found.previous, sum_up(sources.values()))


async def list_objects(scope: Scope, query: ListQuery) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The rows of one page, each with its whole sanitised body: for the few answers that show whole objects.

    Raises what `list_rows` raises.
    """

    def work(db: Connection) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        return [(row, _find_body(db, row)) for row in _find_page(db, scope, query).rows]

    return await readers().run(work)


def _find_body(db: Connection, row: dict[str, Any]) -> dict[str, Any]:
    return objects.find_body(db, row["_id"])


def _find_page(db: Connection, scope: Scope, asked: ListQuery) -> Found:
    return query.find_page(db, _schema(), scope, asked)


def _schema() -> Schema:
    return readers().schema


async def _read(
    work: Callable[[ReadConnection], Result], known: Sequence[KnownCluster], kinds: Sequence[str]
) -> Result:
    """Run a query; while there is no inventory, say which sources are missing."""
    try:
        return await readers().run(work)
    except NoInventory as error:
        error.freshness = sum_up(weigh(known, NOTHING_HEARD, kinds).values())
        error.params["needed"] = error.freshness.needed
        raise


def _stamp(row: dict[str, Any], source: SourceState | None) -> None:
    """Say of a row whether its source is heard of, and when it was last."""
    del row["_cluster_id"]
    row["_cluster"] = row["cluster"]
    row["_away"] = source is None or source.state != "live"
    row["_asOf"] = source.as_of if source is not None else None


async def detail(
    scope: Scope, kind: str, name: str, cluster: str | None = None, namespace: str | None = None
) -> Detail:
    """One object with everything that belongs to it.

    Raises NotFound, Ambiguous with the candidates when several match, NoInventory.
    """
    known = await fresh.members()

    def work(db: Connection) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], list[dict[str, Any]], Heard]:
        schema = _schema()
        table = query.table_of(schema, kind)
        found = objects.find_candidates(db, table, scope, name, cluster, namespace, MOST_CANDIDATES)
        if not found:
            raise NotFound(kind=kind, name=name)
        if len(found) > 1:
            candidates = [{"cluster": where, "namespace": within} for _, where, within in found]
            raise Ambiguous(name=name, candidates=candidates)
        row_id = found[0][0]
        row = objects.fetch_rows(db, table, [row_id])[0]
        body = objects.find_body(db, row_id)
        involves, events = _related(db, schema, scope, row, kind, body)
        return row, body, involves, events, hear(db, scope, (kind,))

    row, body, involves, events, heard = await _read(work, known, (kind,))
    own = [one for one in known if one.id == row["_cluster_id"]]
    sources = weigh(own, heard, (kind,))
    _stamp(row, sources.get((kind, row["_cluster_id"])))
    return Detail(row, body, involves, events, sum_up(sources.values()))


def _related(
    db: Connection, schema: Schema, scope: Scope, row: dict[str, Any], kind: str, body: dict[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    declared, cluster_id = schema.kinds[kind], row["_cluster_id"]
    involves = {}
    for relation in declared.relations:
        wanted = relation.query(body)
        rows: list[dict[str, Any]] = []
        if wanted is not None and wanted.kind in schema.kinds:
            rows = find_related(db, schema, scope, cluster_id, wanted, MOST_RELATED)
        involves[relation.name] = relation.shape(rows, body)
    events: list[dict[str, Any]] = []
    if kind != "events" and "events" in schema.kinds:
        events = find_related(
            db, schema, scope, cluster_id, relations.events_of(declared.kind, body), MOST_EVENTS, "-lastSeen"
        )
        for event in events:
            event["_cluster"] = event["cluster"]
            del event["_cluster_id"]
    return involves, events


async def freshness(scope: Scope, kinds: Sequence[str], clusters: Sequence[str] = ()) -> Freshness:
    """How fresh lists of these kinds are. Answers also while there is no inventory: then nothing has answered yet."""
    known = await fresh.members(clusters)
    try:
        heard = await readers().run(lambda db: hear(db, scope, kinds))
    except NoInventory:
        heard = NOTHING_HEARD if scope.everything else Heard({}, {}, frozenset())
        return sum_up(weigh(visible(known, heard, ()), heard, kinds).values())
    return sum_up(weigh(visible(known, heard, clusters), heard, kinds).values())


async def cluster_health() -> list[ClusterHealth]:
    """How every cluster of the fleet is doing, by name. For those who may see all of them."""
    known = await fresh.members()
    try:
        rows, heard = await readers().run(lambda db: (counts.health(db, _schema()), hear(db, EVERYTHING, ())))
    except NoInventory:
        rows, heard = {}, NOTHING_HEARD
    found = []
    for one in sorted(known, key=lambda one: one.name):
        row = rows.get(one.id)
        if one.is_building or row is None:
            found.append(ClusterHealth(one.id, one.name, "building" if one.is_building else "unknown"))
            continue
        state, error = fresh.weigh_cluster(heard, one.id)
        found.append(
            ClusterHealth(
                id=one.id,
                name=one.name,
                state=state,
                error=error or row.error,
                last_seen=row.last_seen,
                version=row.version,
                latency_ms=row.latency_ms,
                certificate_not_after=row.certificate_not_after,
                nodes=row.nodes,
                nodes_ready=row.nodes_ready,
                gpus=row.gpus,
                detail=orjson.loads(row.detail or b"{}"),
            )
        )
    return found


async def counters(scope: Scope, kinds: Sequence[str], clusters: Sequence[str] = ()) -> dict[str, int]:
    """How many objects of each kind there are."""
    found = await counters_by_cluster(scope, kinds, clusters)
    return {kind: sum(one.get(kind, 0) for one in found.values()) for kind in kinds}


async def counters_by_cluster(
    scope: Scope, kinds: Sequence[str], clusters: Sequence[str] = ()
) -> dict[str, dict[str, int]]:
    """How many objects of each kind there are, by cluster's name."""
    found = await readers().run(lambda db: counts.states(db, _schema(), scope, kinds, clusters))
    made: dict[str, dict[str, int]] = {}
    for (cluster, kind, _), number in found.items():
        of_cluster = made.setdefault(cluster, {})
        of_cluster[kind] = of_cluster.get(kind, 0) + number
    return made


async def states(scope: Scope, kinds: Sequence[str], clusters: Sequence[str] = ()) -> dict[str, dict[str, int]]:
    """How many objects are in each state (good, busy, warn, bad, away), by kind."""
    found = await readers().run(lambda db: counts.states(db, _schema(), scope, kinds, clusters))
    made: dict[str, dict[str, int]] = {kind: {} for kind in kinds}
    for (_, kind, state), number in found.items():
        made[kind][state] = made[kind].get(state, 0) + number
    return made


async def facets(scope: Scope, clusters: Sequence[str] = (), text: str = "", most: int = 200) -> Facets:
    """The clusters and namespaces that a scope holds; namespaces of some clusters, and with a text in their name."""
    known = await fresh.members()
    found = await readers().run(lambda db: counts.places(db, scope, clusters, text, most))
    names = [one.name for one in known if found.clusters is None or one.id in found.clusters]
    return Facets(sorted(names), found.namespaces, found.more)


async def labels(scope: Scope, kind: str, key: str | None = None, text: str = "", most: int = 100) -> list[str]:
    """The label keys that objects of a kind carry, or the values of one key, to choose from in a filter."""
    return await readers().run(lambda db: counts.labels(db, _schema(), scope, kind, key, text, most))


async def verify_inventory() -> list[verify.Finding]:
    """Everything in which the inventory disagrees with itself."""
    return await readers().run(lambda db: verify.verify(db, _schema()))
