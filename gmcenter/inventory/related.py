"""What hangs together with an object: the rows that a relation of its kind asks for."""

from __future__ import annotations

from typing import Any

from gmcenter.identity.scope import Scope
from gmcenter.inventory import filters
from gmcenter.inventory.driver import Connection
from gmcenter.inventory.objects import fetch_rows
from gmcenter.inventory.order import make_order, parse_sort
from gmcenter.inventory.query import Selection, sort_few, table_of
from gmcenter.inventory.schema import Schema
from gmcenter.inventory.scopes import limits
from gmcenter.kube import relations


def find_related(
    db: Connection,
    schema: Schema,
    scope: Scope,
    cluster_id: int,
    wanted: relations.Query,
    most: int,
    sort: str = "name",
) -> list[dict[str, Any]]:
    """What a relation asks for in one cluster, cut by a scope, sorted; at most so many."""
    table = table_of(schema, wanted.kind)
    namespaces = None
    if wanted.namespace:
        found = db.rows("select id from namespace where cluster = ? and name = ?", (cluster_id, wanted.namespace))
        namespaces = [row[0] for row in found]
    bounds = limits(scope, namespaces, [cluster_id])
    if bounds.nothing:
        return []
    selection = Selection(db, table, bounds, filters.by_relation(db, table, wanted))
    order = make_order(table, *parse_sort(table, sort), db.dialect)
    ids = selection.ids()
    if wanted.selecting is None:
        return fetch_rows(db, table, [found.keys[-1] for found in sort_few(db, table, order, ids, None, False, most)])
    labels = wanted.selecting
    rows = fetch_rows(db, table, ids)
    picked = [row for row in rows if relations.selector_picks(row["selector"], labels)]
    return sorted(picked, key=lambda row: row["name"])[:most]
