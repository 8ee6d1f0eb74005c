"""Counts, health and what can be chosen from: small answers out of small tables, and out of rows only for a narrow
scope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gmcenter.identity.scope import Scope
from gmcenter.inventory.driver import Connection, array, member
from gmcenter.inventory.filters import LIKE, contains, pattern
from gmcenter.inventory.query import table_of
from gmcenter.inventory.schema import Schema
from gmcenter.inventory.scopes import limits


@dataclass(frozen=True, slots=True)
class HealthRow:
    """A cluster as the collector wrote it, with what its nodes add up to."""

    last_seen: float | None
    version: str | None
    latency_ms: float | None
    certificate_not_after: float | None
    error: str | None
    detail: str | None
    nodes: int | None
    nodes_ready: int | None
    gpus: int | None


@dataclass(frozen=True, slots=True)
class Places:
    """Clusters' ids (None for all) and namespaces' names; `more` says that there are further ones."""

    clusters: frozenset[int] | None
    namespaces: list[str]
    more: bool


def health(db: Connection, schema: Schema) -> dict[int, HealthRow]:
    """All clusters by id."""
    nodes: dict[int, tuple[int, int, int | None]] = {}
    if table := schema.tables.get("nodes"):
        gpus = "sum(c_gpu)" if "c_gpu" in table.own else "null"
        found = db.rows(
            f"select cluster, count(*), sum(case when substr(status, 1, 5) = 'Ready' then 1 else 0 end), {gpus} "
            f"from {table.name} group by cluster"
        )
        nodes = {row[0]: (row[1], int(row[2]), None if row[3] is None else int(row[3])) for row in found}
    synced = {row[0] for row in db.rows("select cluster from source where kind = 'nodes' and as_of is not null")}
    made = {}
    for row in db.rows("select id, last_seen, version, latency_ms, certificate_not_after, error, detail from cluster"):
        added = nodes.get(row[0], (0, 0, 0) if row[0] in synced else (None, None, None))
        made[row[0]] = HealthRow(*row[1:], *added)
    return made


def states(
    db: Connection, schema: Schema, scope: Scope, kinds: Sequence[str], clusters: Sequence[str]
) -> dict[tuple[str, str, str], int]:
    """Counts by cluster's name, kind and state."""
    wanted: list[int] | None = None
    if clusters:
        found = db.rows(
            f"select id from cluster where {member(db.dialect, 'name', 'text')}", (array(db.dialect, clusters),)
        )
        wanted = [row[0] for row in found]
    made: dict[tuple[str, str, str], int] = {}
    for kind in kinds:
        table = table_of(schema, kind)
        bounds = limits(scope, None, wanted)
        if bounds.nothing:
            continue
        if bounds.namespaces is None:
            texts, values = bounds.where(db.dialect, "", "k.cluster")
            texts += ["k.kind = ?", "k.n <> 0"]
            source, number, ending = "counter k", "k.n", ""
            values.append(kind)
        else:
            guard = "+" if db.dialect == "sqlite" else ""
            texts, values = bounds.where(db.dialect, "k.ns_id", f"{guard}k.cluster")
            source, number, ending = f"{table.name} k", "count(*)", " group by c.name, k.state"
        statement = (
            f"select c.name, k.state, {number} from {source} join cluster c on c.id = k.cluster "
            f"where {' and '.join(texts)}{ending}"
        )
        made.update({(row[0], kind, row[1]): int(row[2]) for row in db.rows(statement, values)})
    return made


def places(db: Connection, scope: Scope, clusters: Sequence[str], text: str, most: int) -> Places:
    """The clusters and namespaces that a scope holds."""
    bounds = limits(scope)
    if bounds.nothing:
        return Places(frozenset(), [], False)
    texts, values = bounds.where(db.dialect, "n.id", "")
    held = None
    if bounds.namespaces is not None:
        held = frozenset(
            row[0] for row in db.rows(f"select distinct n.cluster from namespace n where {texts[0]}", values)
        )
    if clusters:
        texts.append(f"n.cluster in (select c.id from cluster c where {member(db.dialect, 'c.name', 'text')})")
        values.append(array(db.dialect, clusters))
    if text.strip():
        texts.append(f"n.name {LIKE}")
        values.append(pattern(text.strip().lower()))
    where = f" where {' and '.join(texts)}" if texts else ""
    found = db.rows(f"select distinct n.name from namespace n{where} order by n.name limit {int(most) + 1}", values)
    return Places(held, [row[0] for row in found[:most]], len(found) > most)


def labels(db: Connection, schema: Schema, scope: Scope, kind: str, key: str | None, text: str, most: int) -> list[str]:
    """Label keys of a kind, or the values of one key."""
    table = table_of(schema, kind)
    bounds = limits(scope)
    if bounds.nothing:
        return []
    column = "p.v" if key else "p.k"
    texts, values = ["p.kind = ?"], [kind]
    if key:
        texts.append("p.k = ?")
        values.append(key)
    if text.strip():
        texts.append(contains(db.dialect, column))
        values.append(pattern(text.strip().lower()))
    within, more = bounds.where(db.dialect, "k.ns_id", "")
    seen = (
        f" join {table.name} k on k.id = l.id where l.pair = p.id and {within[0]}" if within else " where l.pair = p.id"
    )
    texts.append(f"exists (select 1 from label l{seen})")
    statement = (
        f"select distinct {column} from label_pair p where {' and '.join(texts)} order by {column} limit {int(most)}"
    )
    return [row[0] for row in db.rows(statement, (*values, *more))]
