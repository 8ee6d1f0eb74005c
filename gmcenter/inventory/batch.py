"""What one transaction of the store is going to write, and how it is written.

A batch is planned in memory first: which rows are new, which labels come and go, how the counters move. Then each
table is written once, because a statement for many rows costs a fraction of many statements.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import orjson

from gmcenter.inventory.driver import Connection, Dialect, array, member
from gmcenter.inventory.schema import BASE_COLUMNS, KindTable

LARGEST_BATCH = 1000
COMPRESSION = 1
LONGEST_NAME, LONGEST_VALUE = 800, 2400
"""Bytes of a text and of a column where an index cannot take more: three in one of PostgreSQL may have 2,704."""

Item = TypeVar("Item")
Pairs = Mapping[tuple[str, str], int]


@dataclass(slots=True)
class Row:
    """What the collector projects one object to.

    `values` stand in the order of the kind's own columns, typed as they declare; `created` is in epoch seconds;
    `body` is the sanitised object as JSON.
    """

    uid: str
    namespace: str
    name: str
    resource_version: str
    created: int | None
    labels: dict[str, str]
    values: tuple[Any, ...]
    status: str
    state: str
    body: bytes


@dataclass(slots=True)
class Known:
    """What a row in the database says about itself. `labels` holds the numbers of its labels, with commas between."""

    id: int
    resource_version: str
    state: str
    ns_id: int | None
    labels: str


class Statements:
    """The statements of one kind's table, put together once."""

    def __init__(self, table: KindTable, dialect: Dialect) -> None:
        self.table = table
        known = f"select uid, id, resource_version, state, ns_id, labels from {table.name}"
        self.known_one = f"{known} where cluster = ? and uid = ?"
        self.known = f"{known} where cluster = ? and {member(dialect, 'uid', 'text')}"
        self.known_ids = f"{known} where {member(dialect, 'id', 'bigint')}"
        columns = (*BASE_COLUMNS[2:], *table.own, *table.ratios)
        self.update = f"update {table.name} set {', '.join(f'{column} = ?' for column in columns)} where id = ?"


class Batch:
    """Everything that one transaction is going to write of one source."""

    __slots__ = (
        "bodies", "changes", "cluster", "counters", "drops", "inserts",
        "puts", "removed", "statements", "updates", "words",
    )  # fmt: skip

    def __init__(self, cluster: int, statements: Statements) -> None:
        self.cluster, self.statements = cluster, statements
        self.inserts: list[tuple[Any, ...]] = []
        self.updates: list[tuple[Any, ...]] = []
        self.words: list[tuple[int, int, str]] = []
        self.bodies: list[tuple[int, bytes]] = []
        self.puts: list[tuple[int, int]] = []
        self.drops: list[tuple[int, int]] = []
        self.removed: list[int] = []
        self.counters: dict[str, int] = {}
        self.changes: list[tuple[int | None, str | None, str]] = []

    @property
    def plural(self) -> str:
        """The kind that it writes."""
        return self.statements.table.kind.plural

    def put(self, row: Row, row_id: int, before: Known | None, ns_id: int | None, pairs: Pairs) -> Known:
        """Write a row under an id, new when nothing was known of it; returns what is known of it then."""
        table = self.statements.table
        labels = sorted(pairs[label] for label in row.labels.items())
        packed = ",".join(map(str, labels))
        stored = (
            ns_id,
            row.namespace or None,
            row.name,
            row.uid,
            row.resource_version,
            row.created,
            row.status,
            row.state,
            packed,
            *table.project(row.values),
        )
        if before is None:
            self.inserts.append((row_id, self.cluster, *stored))
            self.puts.extend((pair, row_id) for pair in labels)
            self._count(row.state, 1)
        else:
            self.updates.append((*stored, row_id))
            if packed != before.labels:
                old, new = set(_split(before.labels)), set(labels)
                self.drops.extend((pair, row_id) for pair in old - new)
                self.puts.extend((pair, row_id) for pair in new - old)
            self._count(before.state, -1)
            self._count(row.state, 1)
        self.words.append((row_id, self.cluster, _words(row, table.searched)))
        self.bodies.append((row_id, zlib.compress(row.body, COMPRESSION)))
        self.changes.append((ns_id, row.uid, "put"))
        return Known(row_id, row.resource_version, row.state, ns_id, packed)

    def remove(self, uid: str, known: Known) -> None:
        """Take a row away."""
        self.removed.append(known.id)
        self.drops.extend((pair, known.id) for pair in _split(known.labels))
        self._count(known.state, -1)
        self.changes.append((known.ns_id, uid, "delete"))

    def _count(self, state: str, by: int) -> None:
        self.counters[state] = self.counters.get(state, 0) + by

    def write(self, db: Connection) -> None:
        """Write rows, words, bodies, labels and counters."""
        table = self.statements.table
        new = {row[0] for row in self.inserts}
        db.insert(table.name, table.columns, self.inserts)
        db.insert(table.words, ("id", "cluster", "words"), [row for row in self.words if row[0] in new])
        db.insert("body", ("id", "packed"), [row for row in self.bodies if row[0] in new])
        if self.updates:
            db.many(self.statements.update, self.updates)
            words = [(words, row_id) for row_id, _, words in self.words if row_id not in new]
            db.many(f"update {table.words} set words = ? where id = ?", words)
            bodies = [(packed, row_id) for row_id, packed in self.bodies if row_id not in new]
            db.many("update body set packed = ? where id = ?", bodies)
        db.insert("label", ("pair", "id"), self.puts)
        if self.drops:
            db.many("delete from label where pair = ? and id = ?", self.drops)
        if self.removed:
            for name in (table.name, table.words, "body"):
                statement = f"delete from {name} where {member(db.dialect, 'id', 'bigint')}"
                db.run(statement, (array(db.dialect, self.removed),))
        add_to_counters(db, self.cluster, self.plural, self.counters)


def add_to_counters(db: Connection, cluster: int, plural: str, counters: Mapping[str, int]) -> None:
    """Add to the counters of a source, by state."""
    changed = [(cluster, plural, state, by) for state, by in sorted(counters.items()) if by]
    if changed:
        db.many(
            "insert into counter (cluster, kind, state, n) values (?, ?, ?, ?) "
            "on conflict (cluster, kind, state) do update set n = counter.n + excluded.n",
            changed,
        )


def is_newer(version: str, than: str) -> bool:
    """Whether a resourceVersion is from after another one; of two that are not numbers, the one that came later is."""
    if version.isdecimal() and than.isdecimal():
        # By length first and not as numbers: Python refuses to read one of 5,000 digits.
        new, old = version.lstrip("0"), than.lstrip("0")
        return (len(new), new) > (len(old), old)
    return version != than


def storable(row: Row) -> Row:
    """A row without what JSON may hold and a database cannot: a NUL, half of a surrogate pair, a text that is too long
    for an index of PostgreSQL. The body has it all.
    """
    return replace(
        row,
        uid=storable_text(row.uid),
        namespace=storable_text(row.namespace),
        name=storable_text(row.name),
        resource_version=storable_text(row.resource_version),
        labels={storable_text(key): storable_text(value) for key, value in row.labels.items()},
        values=tuple(_storable_value(value) for value in row.values),
        status=storable_text(row.status),
    )


def storable_text(text: str, most: int = LONGEST_NAME) -> str:
    """A text as either database can hold it, in at most so many bytes."""
    return text.replace("\0", "").encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def _storable_value(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value, LONGEST_VALUE)
    if not isinstance(value, list):
        return value
    kept: list[Any] = []
    room = LONGEST_VALUE
    for part in map(_storable_value, value):
        room -= len(orjson.dumps(part)) + 1
        if room < 0:
            break
        kept.append(part)
    return kept


def chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Pieces that are small enough for one transaction."""
    for start in range(0, len(items), LARGEST_BATCH):
        yield items[start : start + LARGEST_BATCH]


def _split(packed: str) -> list[int]:
    return [int(number) for number in packed.split(",")] if packed else []


def _words(row: Row, searched: tuple[int, ...]) -> str:
    """What a text search looks through, folded: name, namespace, status, labels' values and the kind's texts."""
    parts = [row.name, row.namespace, row.status, *row.labels.values()]
    for at in searched:
        value = row.values[at]
        if value:
            parts.append(value if isinstance(value, str) else "\n".join(value))
    return "\n".join(dict.fromkeys(parts)).casefold()
