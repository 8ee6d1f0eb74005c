"""The numbers that rows, namespaces and labels go by.

On SQLite one writer counts for itself. On PostgreSQL, where several may write, sequences do, and what a writer
remembers of labels is only good until another one has tidied unused ones away.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from gmcenter.core import clock
from gmcenter.inventory.batch import LARGEST_BATCH, Row
from gmcenter.inventory.driver import Connection, array, member, transaction
from gmcenter.inventory.schema import Schema

PAIRS_KEPT = 100_000
LOCK_PAIRS = (0x676D, 3)


class Numbers:
    """Gives numbers and remembers them. Every method takes the connection whose transaction it is part of."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._pairs: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self._pairs_epoch = ""
        self._namespaces: dict[tuple[int, str], int] = {}
        self._next = {"row_id": 1, "ns_id": 1, "pair_id": 1}

    def start(self, db: Connection) -> None:
        """Go on from what a database holds."""
        self.forget()
        if db.dialect == "postgresql":
            return
        base = int(db.rows("select value from meta where key = 'base'")[0][0])
        rows = " union all ".join(f"select max(id) as id from {table.name}" for table in self._schema.tables.values())
        held = {"row_id": rows, "pair_id": "select id from label_pair", "ns_id": "select id from namespace"}
        for sequence, select in held.items():
            highest = db.rows(f"select max(id) from ({select})")[0][0] or 0
            self._next[sequence] = max(highest + 1, base if sequence == "ns_id" else 1)

    def forget(self, cluster_id: int | None = None) -> None:
        """Forget what was undone with a transaction, or is no more: all of it, or the namespaces of a cluster."""
        if cluster_id is None:
            self._pairs.clear()
            self._namespaces.clear()
        for key in [key for key in self._namespaces if key[0] == cluster_id]:
            del self._namespaces[key]

    def follow(self, db: Connection) -> None:
        """Forget the labels when another writer has tidied some away; hold off the next one until we are done."""
        if db.dialect == "postgresql":
            db.run("select pg_advisory_xact_lock_shared(?, ?)", LOCK_PAIRS)
            epoch = db.rows("select value from meta where key = 'pairs'")[0][0]
            if epoch != self._pairs_epoch:
                self._pairs.clear()
                self._pairs_epoch = epoch

    def take(self, db: Connection, sequence: str, count: int = 1) -> Iterable[int]:
        """New numbers."""
        if db.dialect == "postgresql":
            return [row[0] for row in db.rows(f"select nextval('{sequence}') from generate_series(1, ?)", (count,))]
        first = self._next[sequence]
        self._next[sequence] += count
        return range(first, first + count)

    def namespace(self, db: Connection, cluster_id: int, plural: str, row: Row) -> int | None:
        """The number of the namespace that decides who may see a row: a namespace itself is decided by its own."""
        name = row.name if plural == "namespaces" else row.namespace
        if not name:
            return None
        number = self._namespaces.get((cluster_id, name))
        if number is not None:
            return number
        select = "select id from namespace where cluster = ? and name = ?"
        found = db.rows(select, (cluster_id, name))
        if not found:
            db.run(
                "insert into namespace (id, cluster, name) values (?, ?, ?) on conflict (cluster, name) do nothing",
                (*self.take(db, "ns_id"), cluster_id, name),
            )
            found = db.rows(select, (cluster_id, name))
        number = self._namespaces[cluster_id, name] = int(found[0][0])
        return number

    def labels(self, db: Connection, plural: str, rows: Iterable[Row]) -> dict[tuple[str, str], int]:
        """The numbers of all labels of the rows; labels seen for the first time get one."""
        found: dict[tuple[str, str], int] = {}
        missing = []
        for label in {label for row in rows for label in row.labels.items()}:
            number = self._pairs.get((plural, *label))
            if number is None:
                missing.append(label)
            else:
                self._pairs.move_to_end((plural, *label))
                found[label] = number
        select = "select id from label_pair where kind = ? and k = ? and v = ?"
        for label in sorted(missing):
            known = db.rows(select, (plural, *label))
            if not known:
                db.run(
                    "insert into label_pair (id, kind, k, v) values (?, ?, ?, ?) on conflict (kind, k, v) do nothing",
                    (*self.take(db, "pair_id"), plural, *label),
                )
                known = db.rows(select, (plural, *label))
            found[label] = self._pairs[(plural, *label)] = known[0][0]
        while len(self._pairs) > PAIRS_KEPT:
            self._pairs.popitem(last=False)
        return found

    def prune_labels(self, db: Connection) -> int:
        """Drop labels that no row has any more, in transactions of its own; returns how many."""
        unused = (
            "select id from label_pair where not exists (select 1 from label where pair = label_pair.id) "
            f"limit {LARGEST_BATCH}"
        )
        dropped = 0
        while True:
            with transaction(db):
                if db.dialect == "postgresql":
                    db.run("select pg_advisory_xact_lock(?, ?)", LOCK_PAIRS)
                ids = [row[0] for row in db.rows(unused)]
                if ids:
                    one_of = member(db.dialect, "id", "bigint")
                    db.run(f"delete from label_pair where {one_of}", (array(db.dialect, ids),))
                    # The number of the last one dropped is as good as a count of the times this was done.
                    db.run("update meta set value = ? where key = 'pairs'", (f"{clock.epoch()}-{ids[-1]}",))
            self._pairs.clear()
            dropped += len(ids)
            if len(ids) < LARGEST_BATCH:
                return dropped
