"""The inventory's writer.

One thread of the collector owns a Store. What it is given ends up in one transaction together with everything that
follows from it: row, searched words, body, labels, counters and the change feed, so that no reader ever sees one
without the other.

Which of two states of an object is the newer one is decided by three rules:

- between relists the higher resourceVersion wins, and the same one twice changes nothing;
- a deleted uid stays deleted, because Kubernetes never gives a uid twice: a late duplicate does not bring it back;
- a relist is the truth, whatever was there: a cluster restored from a backup goes back in its versions and brings
  deleted objects back.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
from psycopg.errors import ProgramLimitExceeded

from gmcenter.core import clock
from gmcenter.core.log import get_logger
from gmcenter.inventory import founding
from gmcenter.inventory.batch import (
    LARGEST_BATCH,
    Batch,
    Known,
    Row,
    Statements,
    add_to_counters,
    chunks,
    is_newer,
    storable,
    storable_text,
)
from gmcenter.inventory.driver import (
    Connection,
    Postgres,
    array,
    dialect_of,
    identity,
    is_corrupt,
    sqlite_path,
    transaction,
)
from gmcenter.inventory.founding import StoreLost
from gmcenter.inventory.numbers import Numbers
from gmcenter.inventory.schema import Schema
from gmcenter.kube.kinds import KINDS, Kind

__all__ = ["CHANNEL", "LARGEST_BATCH", "MANY_CHANGES", "Row", "Store", "StoreLost"]

MANY_CHANGES = 200
"""A batch with more changes of one kind than this is told to readers as one change of the whole source."""
GONE_KEPT = 50_000
CLUSTER_FIELDS = ("state", "last_seen", "version", "latency_ms", "certificate_not_after", "error")

# Advisory locks of PostgreSQL; the first number says that they are ours.
LOCK_FEED = (0x676D, 1)
LOCK_SOURCES = 0x10000
CHANNEL = "gm_inventory"

log = get_logger(__name__)


@dataclass(slots=True)
class _Relist:
    """A relist that goes on: its number, and the ids of the rows that it has shown."""

    number: int
    seen: set[int]


class Store:
    """Writes the inventory of one database. Not thread-safe: give it one thread."""

    def __init__(self, url: str, kinds: Mapping[str, Kind] = KINDS) -> None:
        self.url = url
        self.dialect = dialect_of(url)
        self.schema = Schema(kinds, self.dialect)
        self._connection: Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._numbers = Numbers(self.schema)
        self._gone: OrderedDict[tuple[int, str, str], None] = OrderedDict()
        self._clusters: set[int] = set()
        self._relists: dict[tuple[int, str], _Relist] = {}
        self._generation = 0
        self._statements = {plural: Statements(table, self.dialect) for plural, table in self.schema.tables.items()}

    # --- opening ---

    def open(self) -> None:
        """Connect; a database of another schema, or a damaged file, is dropped and made anew."""
        self.close()
        if self.dialect == "sqlite":
            path = sqlite_path(self.url)
            self._connection, self._identity = founding.open_sqlite(path, self.schema), identity(path)
        else:
            self._connection = founding.open_postgres(self.url, self.schema)
        self._forget()

    def close(self) -> None:
        """Let the connection go; `open` may be called again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def check(self) -> None:
        """See that what is written is what readers find. Raises StoreLost; the file has been removed then."""
        if self.dialect == "sqlite":
            wrong = founding.what_is_wrong(sqlite_path(self.url), self._identity, self._db, self.schema)
            if wrong is not None:
                raise self._lost(wrong)

    def _lost(self, reason: str) -> StoreLost:
        self.close()
        founding.remove(sqlite_path(self.url))
        return StoreLost(reason)

    def _forget(self) -> None:
        self._gone.clear()
        self._clusters.clear()
        self._relists.clear()
        self._numbers.start(self._db)

    @property
    def _db(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("the store is not open")
        return self._connection

    @contextmanager
    def _writing(self, cluster_id: int | None = None, plural: str = "") -> Iterator[Connection]:
        """One transaction, about one source or cluster. A damaged file is removed, so that the next `open` starts
        anew.
        """
        if isinstance(self._connection, Postgres) and self._connection.lost:
            self.open()
        db = self._db
        try:
            with transaction(db):
                self._numbers.follow(db)
                if db.dialect == "postgresql" and cluster_id is not None:
                    # Two collectors may hold the same cluster for a moment, when it changes hands.
                    number = LOCK_SOURCES + (zlib.crc32(plural.encode()) & 0x7FFF)
                    db.run("select pg_advisory_xact_lock(?, ?)", (cluster_id, number))
                yield db
        except Exception as error:
            # What was remembered may have been undone with the transaction.
            self._numbers.forget()
            self._clusters.clear()
            if self.dialect == "sqlite" and is_corrupt(error):
                raise self._lost(str(error)) from error
            raise

    # --- rows ---

    def apply(
        self,
        cluster_id: int,
        kind: Kind,
        upserts: Sequence[Row],
        deletes: Sequence[str] = (),
        *,
        generation: int | None = None,
        as_of: float | None = None,
    ) -> int:
        """Write what was seen of one source and return the feed's last seq, 0 when nothing has changed.

        Deletes come after upserts. `generation` is the number of the running relist that the rows were read by.
        `as_of` (epoch seconds), when given, becomes the source's in the same transaction.
        """
        seq = 0
        parts: list[tuple[Sequence[Row], Sequence[str]]] = [(chunk, ()) for chunk in chunks(upserts)]
        parts += [((), chunk) for chunk in chunks(deletes)]
        if len(upserts) + len(deletes) <= LARGEST_BATCH:
            parts = [(upserts, deletes)]
        for number, (rows, gone) in enumerate(parts):
            at = as_of if number == len(parts) - 1 else None
            try:
                seq = self._apply(cluster_id, kind, rows, gone, generation, at) or seq
            except (UnicodeEncodeError, orjson.JSONEncodeError, psycopg.DataError, ProgramLimitExceeded):
                rows, gone = [storable(row) for row in rows], [storable_text(uid) for uid in gone]
                seq = self._apply(cluster_id, kind, rows, gone, generation, at) or seq
        return seq

    def _apply(
        self,
        cluster_id: int,
        kind: Kind,
        upserts: Sequence[Row],
        deletes: Sequence[str],
        generation: int | None,
        as_of: float | None,
    ) -> int:
        relist = self._relist(cluster_id, kind, generation)
        batch = Batch(cluster_id, self._statements[kind.plural])
        with self._writing(cluster_id, kind.plural) as db:
            self._name_cluster(db, cluster_id)
            known = self._known(db, batch, [*(row.uid for row in upserts), *deletes])
            seen = self._plan(db, batch, upserts, known, relist)
            for uid in dict.fromkeys(deletes):
                if uid in known:
                    batch.remove(uid, known[uid])
            batch.write(db)
            if as_of is not None:
                db.run("update source set as_of = ? where kind = ? and cluster = ?", (as_of, kind.plural, cluster_id))
            seq = self._append(db, cluster_id, kind.plural, batch.changes)
        self._bury(cluster_id, kind.plural, deletes)
        if relist is not None:
            relist.seen.update(seen)
        return seq

    def _bury(self, cluster_id: int, plural: str, uids: Sequence[str]) -> None:
        """Remember uids that have gone for good."""
        for uid in uids:
            self._gone[cluster_id, plural, uid] = None
        while len(self._gone) > GONE_KEPT:
            self._gone.popitem(last=False)

    def _name_cluster(self, db: Connection, cluster_id: int) -> None:
        """See that a cluster with rows has a row itself, whatever comes first: lists are joined with it."""
        if cluster_id not in self._clusters:
            if not db.rows("select 1 from cluster where id = ?", (cluster_id,)):
                columns = ("id", "name", "state", "detail")
                db.insert("cluster", columns, [(cluster_id, f"#{cluster_id}", "unknown", "{}")])
            self._clusters.add(cluster_id)

    def _known(self, db: Connection, batch: Batch, uids: Sequence[str]) -> dict[str, Known]:
        """What the database knows of some uids of the batch's source."""
        if not uids:
            return {}
        if len(uids) == 1:
            found = db.rows(batch.statements.known_one, (batch.cluster, uids[0]))
        else:
            found = db.rows(batch.statements.known, (batch.cluster, array(self.dialect, uids)))
        return {row[0]: Known(*row[1:]) for row in found}

    def _plan(
        self, db: Connection, batch: Batch, upserts: Sequence[Row], known: dict[str, Known], relist: _Relist | None
    ) -> list[int]:
        """Plan the rows that are news, and note them in `known`. Returns the ids of all that were shown."""
        chosen = self._choose(batch, upserts, relist)
        ids = iter(self._numbers.take(db, "row_id", sum(uid not in known for uid in chosen)))
        pairs = self._numbers.labels(db, batch.plural, chosen.values())
        seen = []
        for uid, row in chosen.items():
            before = known.get(uid)
            row_id = next(ids) if before is None else before.id
            seen.append(row_id)
            if before is not None:
                trusted = relist is not None and row_id not in relist.seen
                same = row.resource_version == before.resource_version
                if same or not (trusted or is_newer(row.resource_version, before.resource_version)):
                    continue
            ns_id = self._numbers.namespace(db, batch.cluster, batch.plural, row)
            known[uid] = batch.put(row, row_id, before, ns_id, pairs)
        return seen

    def _choose(self, batch: Batch, upserts: Sequence[Row], relist: _Relist | None) -> dict[str, Row]:
        """The newest state of each uid that is not known to have gone; a relist knows better."""
        chosen: dict[str, Row] = {}
        for row in upserts:
            if relist is not None:
                self._gone.pop((batch.cluster, batch.plural, row.uid), None)
            elif (batch.cluster, batch.plural, row.uid) in self._gone:
                continue
            now = chosen.get(row.uid)
            if now is None or is_newer(row.resource_version, now.resource_version):
                chosen[row.uid] = row
        return chosen

    def _append(
        self, db: Connection, cluster_id: int | None, plural: str, changes: Sequence[tuple[int | None, str | None, str]]
    ) -> int:
        """Add to the feed; a transaction's last step, since on PostgreSQL it holds the others up until the commit.

        A sequence's order is not the order of commits: without the lock a reader could pass a number whose row comes
        later.
        """
        if not changes:
            return 0
        if self.dialect == "postgresql":
            db.run("select pg_advisory_xact_lock(?, ?)", LOCK_FEED)
        now = clock.epoch()
        if len(changes) > MANY_CHANGES:
            changes = ((None, None, "bulk"),)
        columns = ("at", "cluster", "kind", "ns_id", "uid", "op")
        db.insert("change", columns, [(now, cluster_id, plural, *change) for change in changes])
        seq: int = db.rows("select max(seq) from change")[0][0]
        if self.dialect == "postgresql":
            db.run("select pg_notify(?, ?)", (CHANNEL, str(seq)))
        return seq

    # --- relists ---

    def begin_relist(self, cluster_id: int, kind: Kind) -> int:
        """Start a relist of one source and return its number for `apply`. One that was running there is forgotten."""
        self._generation += 1
        self._relists[cluster_id, kind.plural] = _Relist(self._generation, set())
        return self._generation

    def end_relist(self, cluster_id: int, kind: Kind, generation: int) -> int:
        """Remove what the relist did not show, recompute the counters; returns the feed's last seq, 0 for none."""
        relist = self._relist(cluster_id, kind, generation)
        if relist is None:
            raise ValueError("a relist has a number")
        table = self._statements[kind.plural].table
        held = self._db.rows(f"select id from {table.name} where cluster = ?", (cluster_id,))
        seq = self._remove(cluster_id, kind.plural, [row_id for (row_id,) in held if row_id not in relist.seen])
        with self._writing(cluster_id, kind.plural) as db:
            self._recount(db, cluster_id, kind.plural)
        del self._relists[cluster_id, kind.plural]
        return seq

    def _relist(self, cluster_id: int, kind: Kind, generation: int | None) -> _Relist | None:
        if generation is None:
            return None
        relist = self._relists.get((cluster_id, kind.plural))
        if relist is None or relist.number != generation:
            raise ValueError(f"relist {generation} of {kind.plural} is not the running one")
        return relist

    def _remove(self, cluster_id: int, plural: str, ids: Sequence[int]) -> int:
        """Remove rows by their ids, a transaction a thousand; returns the feed's last seq."""
        seq = 0
        for chunk in chunks(ids):
            batch = Batch(cluster_id, self._statements[plural])
            with self._writing(cluster_id, plural) as db:
                for uid, *known in db.rows(batch.statements.known_ids, (array(self.dialect, chunk),)):
                    batch.remove(uid, Known(*known))
                batch.write(db)
                seq = self._append(db, cluster_id, plural, batch.changes)
        return seq

    def _recount(self, db: Connection, cluster_id: int, plural: str) -> None:
        """Put the counters of a source right, should they be wrong."""
        table = self._statements[plural].table
        counted = db.rows(f"select state, count(*) from {table.name} where cluster = ? group by state", (cluster_id,))
        kept = db.rows("select state, n from counter where cluster = ? and kind = ? and n <> 0", (cluster_id, plural))
        if sorted(counted) != sorted(kept):
            log.warning("inventory.recounted", cluster=cluster_id, kind=plural)
            db.run("delete from counter where cluster = ? and kind = ?", (cluster_id, plural))
            add_to_counters(db, cluster_id, plural, dict(counted))

    # --- sources and clusters ---

    def set_source(
        self,
        cluster_id: int,
        kind_plural: str,
        *,
        state: str,
        as_of: float | None = None,
        error: str | None = None,
        lag: float | None = None,
    ) -> None:
        """Say how one source is doing. A source that has lost its cluster keeps the `as_of` of the last byte it heard.

        Times are epoch seconds, `lag` seconds. Readers are woken when the state or the error changes, not by a mere
        `as_of`.
        """
        with self._writing(cluster_id, kind_plural) as db:
            select = "select state, error from source where kind = ? and cluster = ?"
            before = db.rows(select, (kind_plural, cluster_id))
            db.run(
                "insert into source (kind, cluster, state, as_of, error, lag) values (?, ?, ?, ?, ?, ?) "
                "on conflict (kind, cluster) do update set state = excluded.state, error = excluded.error, "
                "as_of = coalesce(excluded.as_of, source.as_of), lag = excluded.lag",
                (kind_plural, cluster_id, state, as_of, error, lag),
            )
            if not before or before[0] != (state, error):
                self._append(db, cluster_id, kind_plural, [(None, None, "source")])

    def set_cluster(self, cluster_id: int, name: str, **health: Any) -> None:
        """Say how a cluster is doing: `CLUSTER_FIELDS`, anything else as detail. What is not given stays as it was.

        Times are epoch seconds.
        """
        columns = ("name", *CLUSTER_FIELDS, "detail")
        with self._writing(cluster_id) as db:
            found = db.rows(f"select {', '.join(columns)} from cluster where id = ?", (cluster_id,))
            before = dict(zip(columns, found[0], strict=True)) if found else {}
            after = {**before, **{key: health[key] for key in CLUSTER_FIELDS if key in health}, "name": name}
            after["state"] = after.get("state") or "unknown"
            rest = {key: value for key, value in health.items() if key not in CLUSTER_FIELDS}
            detail = {**orjson.loads(before.get("detail") or b"{}"), **rest}
            after["detail"] = orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode()
            if after == before:
                return
            # A cluster that was removed and registered anew has another id and the same name.
            db.run("update cluster set name = '#' || id where name = ? and id <> ?", (name, cluster_id))
            values = [after.get(column) for column in columns]
            if before:
                assigned = ", ".join(f"{column} = ?" for column in columns)
                db.run(f"update cluster set {assigned} where id = ?", (*values, cluster_id))
            else:
                db.insert("cluster", ("id", *columns), [(cluster_id, *values)])
            if any(after[key] != before.get(key) for key in after if key not in ("last_seen", "latency_ms")):
                self._append(db, cluster_id, "clusters", [(None, None, "cluster")])

    def drop_cluster(self, cluster_id: int) -> None:
        """Remove everything that is known of a cluster."""
        for plural, statements in self._statements.items():
            held = self._db.rows(f"select id from {statements.table.name} where cluster = ?", (cluster_id,))
            self._remove(cluster_id, plural, [row_id for (row_id,) in held])
            self._relists.pop((cluster_id, plural), None)
        with self._writing(cluster_id) as db:
            for name, column in (
                ("counter", "cluster"),
                ("source", "cluster"),
                ("namespace", "cluster"),
                ("cluster", "id"),
            ):
                db.run(f"delete from {name} where {column} = ?", (cluster_id,))
            self._append(db, cluster_id, "clusters", [(None, None, "cluster")])
        self._clusters.discard(cluster_id)
        self._numbers.forget(cluster_id)
        self._gone = OrderedDict.fromkeys(key for key in self._gone if key[0] != cluster_id)

    def clusters(self) -> list[int]:
        """The clusters that anything is known of."""
        return [row[0] for row in self._db.rows("select id from cluster union select cluster from source")]

    # --- upkeep ---

    def prune_feed(self, older_than: float) -> int:
        """Drop changes from before an instant (epoch seconds), all but the last; returns how many."""
        dropped = 0
        while True:
            with self._writing() as db:
                count = db.run(
                    "delete from change where seq in (select seq from change where at < ? and seq < "
                    f"(select max(seq) from change) order by seq limit {LARGEST_BATCH})",
                    (older_than,),
                )
            dropped += count
            if count < LARGEST_BATCH:
                return dropped

    def shrink(self) -> None:
        """Let go of the pages that a large write has left in memory."""
        if self.dialect == "sqlite":
            self._db.run("pragma shrink_memory")

    def prune_labels(self) -> int:
        """Drop labels that no row has any more; returns how many."""
        return self._numbers.prune_labels(self._db)
