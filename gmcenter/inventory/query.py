"""Lists of rows: filtered, sorted, counted and paged.

A query is worked out in three steps. Its conditions are put together; the most selective one leads and gives the ids
of the rows that match, up to 10,000. With fewer than that, the count is exact and the few rows are sorted. With more,
the index of the sort is walked and each row tested, which finds a page soon because many rows match. So no step reads
much more than 10,000 rows, save the search through texts, which reads them all and nothing but them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from gmcenter.core import paging
from gmcenter.core.errors import InvalidField, UnknownParameter
from gmcenter.identity.scope import Scope
from gmcenter.inventory import filters
from gmcenter.inventory.driver import Connection, array, member
from gmcenter.inventory.filters import COUNT_LIMIT, Condition, Lead
from gmcenter.inventory.objects import fetch_rows, is_storable
from gmcenter.inventory.order import Order, Place, make_order, parse_sort
from gmcenter.inventory.schema import KindTable, Schema
from gmcenter.inventory.scopes import Limits, limits
from gmcenter.inventory.selectors import parse_fields, parse_labels

LARGEST_PAGE = 500
LONGEST_NAME = 253
LONGEST_KEY = 500


@dataclass(frozen=True)
class ListQuery:
    """What a list is asked for. All filters AND together; `sort` is a column, with a minus sign in front for
    descending.
    """

    kind: str
    clusters: tuple[str, ...] = ()
    namespace: str | None = None
    project: str | None = None
    workspace: str | None = None
    user: str | None = None
    q: str | None = None
    label_selector: str | None = None
    field_selector: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    sort: str | None = None
    limit: int = 50
    cursor: str | None = None

    @cached_property
    def digest(self) -> str:
        """What a cursor is bound to: everything that decides which rows there are and their order, but not how many."""
        parts = (
            self.kind,
            sorted(self.clusters),
            self.namespace,
            self.project,
            self.workspace,
            self.user,
            self.q,
            self.label_selector,
            self.field_selector,
            sorted(self.filters.items()),
            self.sort,
        )
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows match; not `exact` means that there are more than `value`."""

    value: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Found:
    """One page: the rows by column key, how many match, and the cursors of the pages around it."""

    rows: list[dict[str, Any]]
    count: Count
    next: str | None
    previous: str | None


def table_of(schema: Schema, plural: str) -> KindTable:
    """The table of a kind. Raises UnknownParameter for a kind that is not collected."""
    found = schema.tables.get(plural)
    if found is None:
        raise UnknownParameter(field=plural, allowed=", ".join(schema.tables))
    return found


def find_page(db: Connection, schema: Schema, scope: Scope, query: ListQuery) -> Found:
    """One page of a list, cut by a scope.

    Raises UnknownParameter or InvalidField naming what is wrong with the query.
    """
    table = table_of(schema, query.kind)
    refuse_unstorable(query)
    if not 1 <= query.limit <= LARGEST_PAGE:
        raise InvalidField(field="limit", reason="not_limit", most=LARGEST_PAGE)
    sort, descending = parse_sort(table, query.sort)
    order = make_order(table, sort, descending, db.dialect)
    place, backward = _read_cursor(db, table, query, order)
    conditions = conditions_of(db, table, query)
    bounds = limits_of(db, scope, query)
    if bounds.nothing:
        return Found([], Count(0, True), None, None)
    selection = Selection(db, table, bounds, conditions)
    count, ids = selection.count()
    if ids is not None:
        places = sort_few(db, table, order, ids, place, backward, query.limit + 1)
    else:
        places = _walk(db, order, selection, place, backward, query.limit + 1)
    more = len(places) > query.limit
    places = places[: query.limit]
    if backward:
        places.reverse()
    rows = fetch_rows(db, table, [found.keys[-1] for found in places])
    before, after = (more, place is not None) if backward else (place is not None, more)
    return Found(
        rows,
        count,
        _write_cursor(query, places[-1], backward=False) if places and after else None,
        _write_cursor(query, places[0], backward=True) if places and before else None,
    )


def refuse_unstorable(query: ListQuery) -> None:
    """Raise InvalidField for text that no stored text can hold, and that a database would stumble over or cut off."""
    named: dict[str, Sequence[str | None]] = {
        "cluster": query.clusters,
        "namespace": (query.namespace,),
        "project": (query.project,),
        "workspace": (query.workspace,),
        "user": (query.user,),
        "q": (query.q,),
        "labelSelector": (query.label_selector,),
        "fieldSelector": (query.field_selector,),
        **{key: (text,) for key, text in query.filters.items()},
    }
    for name, texts in named.items():
        if any(text and not is_storable(text) for text in texts):
            raise InvalidField(field=name, reason="control_characters")


# --- what a query lets through ---


def conditions_of(db: Connection, table: KindTable, query: ListQuery) -> list[Condition]:
    """The conditions of a query, besides where rows lie."""
    found: list[Condition] = []
    if query.label_selector:
        found += filters.by_labels(db, table, parse_labels(query.label_selector))
    if query.field_selector:
        found += filters.by_fields(table, parse_fields(query.field_selector), db.dialect)
    found += filters.by_columns(table, query.filters, db.dialect)
    if query.q and (searched := filters.search(db, table, query.q)):
        found.append(searched)
    return found


def limits_of(db: Connection, scope: Scope, query: ListQuery) -> Limits:
    """Where the rows of a query may lie: the scope, its clusters, and its namespace, project, workspace and user."""
    clusters: list[int] | None = None
    if query.clusters:
        one_of = member(db.dialect, "name", "text")
        found = db.rows(f"select id from cluster where {one_of}", (array(db.dialect, query.clusters),))
        clusters = [row[0] for row in found]
    named = {"name": query.namespace, "project": query.project, "workspace": query.workspace, "owner": query.user}
    wanted = {column: value for column, value in named.items() if value}
    if any(len(value) > LONGEST_NAME for value in wanted.values()):
        return limits(scope, ())
    if not wanted:
        return limits(scope, None, clusters)
    where = " and ".join(f"{column} = ?" for column in wanted)
    found = db.rows(f"select id, cluster from namespace where {where}", tuple(wanted.values()))
    # A namespace lies in one cluster, so its id says both.
    return limits(scope, [ns for ns, cluster in found if clusters is None or cluster in clusters])


class Selection:
    """The rows that limits and conditions let through, without an order."""

    def __init__(self, db: Connection, table: KindTable, bounds: Limits, conditions: Sequence[Condition]) -> None:
        self.db = db
        self.table = table
        self.bounds = bounds
        self.conditions = list(conditions)

    def test(self, namespace: str, cluster: str, plain: bool = False) -> tuple[list[str], list[Any]]:
        """The conditions for rows reached by some other way, with the columns that limits cut."""
        guard = "" if plain or self.db.dialect != "sqlite" else "+"
        texts, values = self.bounds.where(self.db.dialect, namespace, cluster)
        for condition in self.conditions:
            texts.append(condition.text)
            values.extend(condition.values)
        return [text.replace("{k}", guard).replace("{id}", "k.id") for text in texts], values

    def count(self) -> tuple[Count, list[int] | None]:
        """How many rows there are, and their ids when they are few enough to be sorted."""
        if not self.conditions and self.bounds.namespaces is None:
            total = self._counted()
            if self.bounds.clusters is None or total > COUNT_LIMIT:
                return Count(total, True), None
        ids = self.ids()
        if len(ids) > COUNT_LIMIT:
            return Count(COUNT_LIMIT, False), None
        return Count(len(ids), True), ids

    def _counted(self) -> int:
        texts, values = Limits(None, self.bounds.clusters).where(self.db.dialect, "", "cluster")
        where = " and ".join(["kind = ?", *texts])
        total = self.db.rows(f"select sum(n) from counter where {where}", (self.table.kind.plural, *values))[0][0]
        return int(total or 0)

    def ids(self) -> list[int]:
        """The ids of matching rows, one more than the limit at most."""
        lead, rest, bounds = self._lead()
        texts, values = bounds.where(self.db.dialect, "{k}k.ns_id", "{k}k.cluster")
        needs_row = bool(texts) or any(condition.needs_row for condition in rest)
        for condition in rest:
            texts.append(condition.text)
            values.extend(condition.values)
        sqlite = self.db.dialect == "sqlite"
        if lead is None:
            source, key, start = f"{self.table.name} k", "k.id", ()
        elif not texts:
            source, key, start = f"({lead.text}) d", "d.id", lead.values
        elif needs_row:
            join = "cross join" if sqlite else "join"
            source, key, start = f"({lead.text}) d {join} {self.table.name} k on k.id = d.id", "d.id", lead.values
        else:
            source, key, start = f"({lead.text}) d", "d.id", lead.values
        where = " and ".join(text.replace("{k}", "+" if sqlite else "").replace("{id}", key) for text in texts)
        statement = f"select {key} from {source}{' where ' + where if where else ''} limit {COUNT_LIMIT + 1}"
        return [row[0] for row in self.db.rows(statement, (*start, *values))]

    def _lead(self) -> tuple[Lead | None, list[Condition], Limits]:
        """The most selective condition that can lead, and what is left to test."""
        bounds, dialect, name = self.bounds, self.db.dialect, self.table.name
        choices: list[tuple[Lead, list[Condition], Limits]] = []
        for condition in self.conditions:
            if condition.lead is not None:
                rest = [other for other in self.conditions if other is not condition]
                choices.append((condition.lead, rest, bounds))
        if bounds.namespaces is not None:
            texts, values = Limits(bounds.namespaces, None).where(dialect, "k.ns_id", "")
            lead = Lead(f"select k.id from {name} k where {texts[0]}", tuple(values))
            choices.append((lead, self.conditions, Limits(None, bounds.clusters)))
        elif bounds.clusters is not None:
            texts, values = Limits(None, bounds.clusters).where(dialect, "", "k.cluster")
            lead = Lead(f"select k.id from {name} k where {texts[0]}", tuple(values))
            choices.append((lead, self.conditions, Limits(None, None)))
        if not choices:
            return None, self.conditions, bounds
        if len(choices) == 1:
            return choices[0]
        return min(choices, key=lambda choice: self._cost(choice[0]))

    def _cost(self, lead: Lead) -> float:
        """About how many rows must be looked at when a condition leads; a search reads texts only, eight for a row."""
        if lead.scans:
            return self._total / 8
        found = self.db.rows(f"select count(*) from ({lead.text} limit {COUNT_LIMIT + 1}) x", lead.values)[0][0]
        return float(found if found <= COUNT_LIMIT else self._total)

    @cached_property
    def _total(self) -> int:
        found = self.db.rows("select sum(n) from counter where kind = ?", (self.table.kind.plural,))[0][0]
        return int(found or 0)


# --- the page ---


def _walk(
    db: Connection, order: Order, selection: Selection, place: Place | None, backward: bool, limit: int
) -> list[Place]:
    """The next places along the sort's index, testing each row."""
    found: list[Place] = []
    direction = order.direction(backward)
    for segment in order.segments(place, backward):
        stratum = segment.stratum
        texts, values = selection.test(stratum.namespace, stratum.cluster)
        where = [text for text in (stratum.where, *segment.where, *texts) if text]
        ordered = ", ".join(f"{key} {direction}" for key in segment.keys)
        statement = (
            f"select {', '.join(stratum.keys)} from {stratum.source}"
            f"{' where ' + ' and '.join(where) if where else ''} order by {ordered} limit {limit - len(found)}"
        )
        rows = db.rows(statement, (*segment.values, *values))
        found.extend(Place(segment.rank, row) for row in rows)
        if len(found) >= limit:
            break
    return found


def sort_few(
    db: Connection, table: KindTable, order: Order, ids: list[int], place: Place | None, backward: bool, limit: int
) -> list[Place]:
    """The next places among a few rows, sorted."""
    if not ids:
        return []
    values: list[Any] = [array(db.dialect, ids)]
    where = member(db.dialect, "k.id", "bigint")
    if place is not None:
        keys = order.keys_of(place.rank, order.flat)
        compare = "<" if order.descending != backward else ">"
        beyond = f"({', '.join(keys)}) {compare} ({', '.join('?' * len(keys))})"
        where += f" and (rank {'<' if backward else '>'} ? or (rank = ? and {beyond}))".replace("rank", order.rank)
        values += [place.rank, place.rank, *place.keys]
    direction = order.direction(backward)
    ordered = [f"{key} {direction}" for key in order.flat]
    if len(order.strata) > 1:
        ordered.insert(0, f"{order.rank} {'desc' if backward else 'asc'}")
    hint = " not indexed" if db.dialect == "sqlite" else ""
    statement = (
        f"select {order.rank}, {', '.join(order.flat)} from {table.name} k{hint} {order.joins} where {where} "
        f"order by {', '.join(ordered)} limit {limit}"
    )
    return [Place(row[0], order.keys_of(row[0], row[1:])) for row in db.rows(statement, values)]


def _read_cursor(db: Connection, table: KindTable, query: ListQuery, order: Order) -> tuple[Place | None, bool]:
    if not query.cursor:
        return None, False
    payload = paging.decode_cursor(query.cursor)
    if payload.get("h") != query.digest:
        raise InvalidField(field="cursor", reason="cursor_other")
    backward = bool(payload["b"])
    if "i" in payload:
        return _place_of(db, table, order, payload["i"]), backward
    return Place(payload["r"], tuple(payload["v"])), backward


def _write_cursor(query: ListQuery, place: Place, *, backward: bool) -> str:
    payload: dict[str, Any] = {"h": query.digest, "b": int(backward)}
    if any(isinstance(key, str) and len(key) > LONGEST_KEY for key in place.keys):
        payload["i"] = place.keys[-1]  # a message of a thousand letters has no place in an address
    else:
        payload |= {"r": place.rank, "v": list(place.keys)}
    return paging.encode_cursor(payload)


def _place_of(db: Connection, table: KindTable, order: Order, row_id: int) -> Place:
    """Where a row stands. Raises InvalidField when it has gone meanwhile."""
    statement = f"select {order.rank}, {', '.join(order.flat)} from {table.name} k {order.joins} where k.id = ?"
    found = db.rows(statement, (row_id,))
    if not found:
        raise InvalidField(field="cursor", reason="cursor_gone")
    return Place(found[0][0], order.keys_of(found[0][0], found[0][1:]))
