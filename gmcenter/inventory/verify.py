"""Whether the inventory agrees with itself: counters with rows, rows with bodies, words and labels.

A disagreement is a defect of the store. `rebuild` does not look for its cause: it makes the collector read everything
again.
"""

from __future__ import annotations

from dataclasses import dataclass

from gmcenter.inventory.driver import Connection
from gmcenter.inventory.schema import KindTable, Schema

MOST = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement: what was looked at, of which kind and cluster, what is there and what should be."""

    what: str
    kind: str
    cluster: int | None
    found: int
    expected: int


def verify(db: Connection, schema: Schema) -> list[Finding]:
    """Everything that does not agree; empty for a sound inventory. Reads all rows: takes a second for 100,000."""
    found: list[Finding] = []
    for table in schema.tables.values():
        found += _counters(db, table)
        found += _companions(db, table)
        found += _labels(db, table)
    strays = db.rows(
        "select count(*) from body b where not exists ("
        + " union all ".join(f"select 1 from {table.name} k where k.id = b.id" for table in schema.tables.values())
        + ")"
    )[0][0]
    if strays:
        found.append(Finding("bodies without a row", "", None, strays, 0))
    return found[:MOST]


def _counters(db: Connection, table: KindTable) -> list[Finding]:
    plural = table.kind.plural
    kept = {
        (row[0], row[1]): row[2]
        for row in db.rows("select cluster, state, n from counter where kind = ? and n <> 0", (plural,))
    }
    counted = {
        (row[0], row[1]): row[2]
        for row in db.rows(f"select cluster, state, count(*) from {table.name} group by cluster, state")
    }
    return [
        Finding(f"counter of {state}", plural, cluster, kept.get((cluster, state), 0), counted.get((cluster, state), 0))
        for cluster, state in sorted(kept.keys() | counted.keys())
        if kept.get((cluster, state), 0) != counted.get((cluster, state), 0)
    ]


def _companions(db: Connection, table: KindTable) -> list[Finding]:
    """Each row has a body and words, and words have a row."""
    found = []
    for what, statement in (
        ("rows without a body", f"{table.name} k where not exists (select 1 from body b where b.id = k.id)"),
        ("rows without words", f"{table.name} k where not exists (select 1 from {table.words} t where t.id = k.id)"),
        ("words without a row", f"{table.words} t where not exists (select 1 from {table.name} k where k.id = t.id)"),
    ):
        count = db.rows(f"select count(*) from {statement}")[0][0]
        if count:
            found.append(Finding(what, table.kind.plural, None, count, 0))
    return found


def _labels(db: Connection, table: KindTable) -> list[Finding]:
    """The labels that rows say they have are those that the index knows."""
    plural = table.kind.plural
    said = {
        (int(pair), row_id)
        for row_id, packed in db.rows(f"select id, labels from {table.name} where labels <> ''")
        for pair in packed.split(",")
    }
    known = {
        (row[0], row[1])
        for row in db.rows(
            "select l.pair, l.id from label l join label_pair p on p.id = l.pair where p.kind = ?", (plural,)
        )
    }
    found = []
    if missing := len(said - known):
        found.append(Finding("labels missing from the index", plural, None, missing, 0))
    if strays := len(known - said):
        found.append(Finding("labels of no row", plural, None, strays, 0))
    return found
