"""Single rows: whole ones by their ids, candidates for a name, bodies."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

import orjson

from gmcenter.identity.scope import Scope
from gmcenter.inventory.driver import Connection, array, member
from gmcenter.inventory.schema import KindTable
from gmcenter.inventory.scopes import limits
from gmcenter.kube.kinds import ColumnType


def fetch_rows(db: Connection, table: KindTable, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Whole rows, in the order of their ids' list, by column key."""
    if not ids:
        return []
    fields = list(table.fields.values())
    values = ", ".join(found.value for found in fields)
    statement = (
        f"select k.id, k.cluster, k.ns_id, k.uid, k.state, {values} from {table.name} k "
        f"join cluster c on c.id = k.cluster left join namespace n on n.id = k.ns_id "
        f"where {member(db.dialect, 'k.id', 'bigint')}"
    )
    found = {row[0]: row for row in db.rows(statement, (array(db.dialect, ids),))}
    tags = [at for at, known in enumerate(fields) if known.type is ColumnType.TAGS]
    flags = [at for at, known in enumerate(fields) if known.type is ColumnType.BOOL]
    keys = [known.key for known in fields]
    return [_as_dict(found[row_id], keys, tags, flags) for row_id in ids if row_id in found]


def _as_dict(row: tuple[Any, ...], keys: list[str], tags: list[int], flags: list[int]) -> dict[str, Any]:
    values = list(row[5:])
    for at in tags:
        values[at] = orjson.loads(values[at]) if values[at] else []
    for at in flags:
        values[at] = None if values[at] is None else bool(values[at])
    made = dict(zip(keys, values, strict=True))
    made.update(_id=row[0], _cluster_id=row[1], _ns=row[2], uid=row[3], _state=row[4])
    return made


def find_candidates(
    db: Connection, table: KindTable, scope: Scope, name: str, cluster: str | None, namespace: str | None, most: int
) -> list[tuple[int, str, str | None]]:
    """Rows of that name that a scope lets through: their ids, clusters' names and namespaces."""
    if not all(is_storable(text) for text in (name, cluster or "", namespace or "")):
        return []
    guard = "+" if db.dialect == "sqlite" else ""
    texts, values = limits(scope).where(db.dialect, f"{guard}k.ns_id", "")
    texts.append("k.name = ?")
    values.append(name)
    for column, wanted in (("c.name", cluster), ("k.namespace", namespace)):
        if wanted:
            texts.append(f"{column} = ?")
            values.append(wanted)
    statement = (
        f"select k.id, c.name, k.namespace from {table.name} k join cluster c on c.id = k.cluster "
        f"where {' and '.join(texts)} order by c.name, k.namespace, k.id limit {most}"
    )
    return [(row[0], row[1], row[2]) for row in db.rows(statement, values)]


def find_body(db: Connection, row_id: int) -> dict[str, Any]:
    """The stored object of a row that was found under a scope."""
    found = db.rows("select packed from body where id = ?", (row_id,))
    return _read(zlib.decompress(found[0][0])) if found else {}


def _read(text: bytes) -> dict[str, Any]:
    """A body as values. What only a broken API server sends, letters that are none and endless numbers, is bent to
    what an answer can say.
    """
    try:
        body: dict[str, Any] = orjson.loads(text)
    except orjson.JSONDecodeError:
        body = json.loads(text.decode("utf-8", "replace"), parse_int=_whole)
    return body


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < 19 else float(digits)


def is_storable(text: str) -> bool:
    """Whether a text has neither a NUL nor half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
