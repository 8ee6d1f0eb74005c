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

import os
import sqlite3
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import orjson
import psycopg

from gmcenter.core import clock
from gmcenter.core.log import get_logger
from gmcenter.inventory.driver import (
    POSTGRES_SCHEMA,
    Connection,
    Postgres,
    SQLite,
    array,
    dialect_of,
    identity,
    is_corrupt,
    marked_damaged,
    member,
    sqlite_path,
    transaction,
)
from gmcenter.inventory.schema import BASE_COLUMNS, KindTable, Schema
from gmcenter.kube.kinds import KINDS, Kind

LARGEST_BATCH = 1000
MANY_CHANGES = 200
"""A batch with more changes of one kind than this is told to readers as one change of the whole source."""
COMPRESSION = 1
PAIRS_KEPT, GONE_KEPT = 100_000, 50_000
CLUSTER_FIELDS = ("state", "last_seen", "version", "latency_ms", "certificate_not_after", "error")

# Advisory locks of PostgreSQL; the first number says that they are ours.
LOCK_FEED, LOCK_OPEN, LOCK_PAIRS = (0x676D, 1), (0x676D, 2), (0x676D, 3)
CHANNEL = "gm_inventory"

log = get_logger(__name__)
Item = TypeVar("Item")


class StoreLost(Exception):
    """The inventory's file was damaged and has been removed. Open the store again and sync everything."""


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
class _Known:
    """What a row says about itself before a batch."""

    id: int
    resource_version: str
    state: str
    ns_id: int | None
    labels: str


@dataclass(slots=True)
class _Relist:
    number: int
    seen: set[int]


class _Batch:
    """Everything that one transaction is going to write."""

    __slots__ = ("bodies", "changes", "counters", "inserts", "label_drops", "label_puts", "removed", "updates", "words")

    def __init__(self) -> None:
        self.inserts: list[tuple[Any, ...]] = []
        self.updates: list[tuple[Any, ...]] = []
        self.words: list[tuple[int, int, str]] = []
        self.bodies: list[tuple[int, bytes]] = []
        self.label_puts: list[tuple[int, int]] = []
        self.label_drops: list[tuple[int, int]] = []
        self.removed: list[int] = []
        self.counters: dict[str, int] = {}
        self.changes: list[tuple[int | None, str | None, str]] = []

    def count(self, state: str, by: int) -> None:
        self.counters[state] = self.counters.get(state, 0) + by


class Store:
    """Writes the inventory of one database. Not thread-safe: give it one thread."""

    def __init__(self, url: str, kinds: Mapping[str, Kind] = KINDS) -> None:
        self.url = url
        self.dialect = dialect_of(url)
        self.schema = Schema(kinds, self.dialect)
        self._connection: Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._pairs: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self._pairs_epoch = ""
        self._namespaces: dict[tuple[int, str], int] = {}
        self._gone: OrderedDict[tuple[int, str, str], None] = OrderedDict()
        self._clusters: set[int] = set()
        self._relists: dict[tuple[int, str], _Relist] = {}
        self._generation = 0
        self._next_row = self._next_pair = self._next_namespace = 1
        self._statements = {plural: _Statements(table, self.dialect) for plural, table in self.schema.tables.items()}

    # --- opening ---

    def open(self) -> None:
        """Connect; a database of another schema, or a damaged file, is dropped and made anew."""
        self.close()
        if self.dialect == "sqlite":
            self._open_sqlite(sqlite_path(self.url))
        else:
            self._open_postgres()
        self._forget()

    def close(self) -> None:
        """Let the connection go; `open` may be called again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _forget(self) -> None:
        self._pairs.clear()
        self._namespaces.clear()
        self._gone.clear()
        self._clusters.clear()
        self._relists.clear()
        if self.dialect == "sqlite":
            highest = [f"select max(id) as id from {table.name}" for table in self.schema.tables.values()]
            self._next_row = self._highest(" union all ".join(highest)) + 1
            self._next_pair = self._highest("select max(id) as id from label_pair") + 1
            self._next_namespace = self._highest("select max(id) as id from namespace") + 1
            base = int(self._db.rows("select value from meta where key = 'base'")[0][0])
            self._next_namespace = max(self._next_namespace, base)

    def _highest(self, select: str) -> int:
        return self._db.rows(f"select max(id) from ({select}) as found")[0][0] or 0

    def _open_sqlite(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            reason = "a reader found damage" if marked_damaged(path) else self._try_sqlite(path)
            if reason is None:
                return
            log.warning("inventory.dropped", reason=reason)
        _replace_file(path, self._make_sqlite(path))
        if (reason := self._try_sqlite(path)) is not None:
            raise StoreLost(reason)

    def _try_sqlite(self, path: Path) -> str | None:
        """Keep a connection to a file that is ours and whole; otherwise say what is wrong with it."""
        connection = None
        try:
            connection = SQLite(path, writer=True)
            if _digest(connection) != self.schema.digest:
                connection.close()
                return "made by another version"
            connection.rows("select count(*) from counter")
            connection.rows("select max(seq) from change")
        except Exception as error:
            if connection is not None:
                connection.close()
            if not is_corrupt(error):
                raise
            return f"damaged: {error}"
        self._connection, self._identity = connection, identity(path)
        return None

    def _make_sqlite(self, path: Path) -> Path:
        made = path.with_name(f"{path.name}.new-{os.getpid()}")
        _unlink(made)
        made.touch(mode=0o600)
        connection = SQLite(made, writer=True)
        try:
            with transaction(connection):
                for statement in self.schema.statements:
                    connection.run(statement)
                self._fill_meta(connection)
            connection.run("pragma journal_mode=delete")
        finally:
            connection.close()
        return made

    def _open_postgres(self) -> None:
        connection = Postgres(self.url, writer=True)
        try:
            connection.run("select pg_advisory_lock(?, ?)", LOCK_OPEN)
            if _digest(connection) != self.schema.digest:
                with transaction(connection):
                    connection.run(f"drop schema if exists {POSTGRES_SCHEMA} cascade")
                    connection.run(f"create schema {POSTGRES_SCHEMA}")
                    for statement in self.schema.statements:
                        connection.run(statement)
                    self._fill_meta(connection)
            connection.run("select pg_advisory_unlock(?, ?)", LOCK_OPEN)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _fill_meta(self, connection: Connection) -> None:
        # Numbers of a new inventory start above those of the one before: a scope or a place in the feed that was
        # handed out earlier then means nothing here, instead of something else.
        base = int(clock.epoch() * 1000)
        connection.insert(
            "meta", ("key", "value"), [("digest", self.schema.digest), ("base", str(base)), ("pairs", "0")]
        )
        if connection.dialect == "postgresql":
            connection.run(f"alter sequence ns_id restart with {base}")
            connection.run(f"alter sequence change_seq_seq restart with {base}")
            connection.run("insert into change (at, kind, op) values (?, '', 'begin')", (clock.epoch(),))
        else:
            connection.run("insert into change (seq, at, kind, op) values (?, ?, '', 'begin')", (base, clock.epoch()))

    @property
    def _db(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("the store is not open")
        return self._connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One transaction; a damaged file is removed, so that the next `open` starts anew."""
        if isinstance(self._connection, Postgres) and self._connection.lost:
            self.open()
        connection = self._db
        try:
            with transaction(connection):
                if connection.dialect == "postgresql":
                    self._follow_pairs(connection)
                yield connection
        except Exception as error:
            # What was remembered may have been undone with the transaction.
            self._pairs.clear()
            self._namespaces.clear()
            self._clusters.clear()
            if self.dialect == "sqlite" and is_corrupt(error):
                raise self._lost(str(error)) from error
            raise

    def _lost(self, reason: str) -> StoreLost:
        """Remove a file that is of no use any more."""
        self.close()
        path = sqlite_path(self.url)
        for suffix in ("-wal", "-shm", ".damaged", ""):
            _unlink(path.with_name(path.name + suffix))
        return StoreLost(reason)

    def check(self) -> None:
        """See that what is written is what readers find: the same file, whole, with the same end of the feed.

        SQLite writes on happily into a file that was deleted or put aside, and what is damaged on the disk may stand
        undamaged in its memory. Raises StoreLost; the file has been removed then.
        """
        if self.dialect != "sqlite":
            return
        path = sqlite_path(self.url)
        if identity(path) != self._identity:
            raise self._lost("the file was removed or replaced")
        if marked_damaged(path):
            raise self._lost("a reader found damage")
        last = "select max(seq) from change"
        try:
            with closing(SQLite(path)) as seen:
                if _digest(seen) != self.schema.digest or seen.rows(last) != self._db.rows(last):
                    raise self._lost("readers find something else")
                seen.rows("select count(*) from counter")
        except sqlite3.Error as error:
            if is_corrupt(error):
                raise self._lost(str(error)) from error
            log.warning("inventory.unchecked", error=str(error))

    def _follow_pairs(self, connection: Connection) -> None:
        """Forget the label pairs when another collector tidied them away; hold off the next one until we are done."""
        connection.run("select pg_advisory_xact_lock_shared(?, ?)", LOCK_PAIRS)
        epoch = connection.rows("select value from meta where key = 'pairs'")[0][0]
        if epoch != self._pairs_epoch:
            self._pairs.clear()
            self._pairs_epoch = epoch

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
        """Write what was seen of one source and return the feed's last seq.

        Deletes come after upserts. `generation` is the number of the running relist that the rows were read by.
        `as_of` (epoch seconds), when given, becomes the source's in the same transaction.
        """
        seq = 0
        chunks = list(_chunks(upserts)) or [()]
        for number, chunk in enumerate(chunks):
            last = number == len(chunks) - 1
            gone = deletes[:LARGEST_BATCH] if last else ()
            seq = self._apply_safely(cluster_id, kind, chunk, gone, generation, as_of if last else None)
        for start in range(LARGEST_BATCH, len(deletes), LARGEST_BATCH):
            seq = self._apply_safely(cluster_id, kind, (), deletes[start : start + LARGEST_BATCH], generation, None)
        return seq

    def _apply_safely(
        self,
        cluster_id: int,
        kind: Kind,
        upserts: Sequence[Row],
        deletes: Sequence[str],
        generation: int | None,
        as_of: float | None,
    ) -> int:
        try:
            return self._apply(cluster_id, kind, upserts, deletes, generation, as_of)
        except (UnicodeEncodeError, orjson.JSONEncodeError, psycopg.DataError):
            # JSON may hold what neither database can: a NUL or half of a surrogate pair.
            return self._apply(cluster_id, kind, [_storable(row) for row in upserts], deletes, generation, as_of)

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
        statements = self._statements[kind.plural]
        seen: list[int] = []
        with self._writing() as db:
            if self.dialect == "postgresql":
                self._lock_source(db, cluster_id, kind.plural)
            self._name_cluster(db, cluster_id)
            known = self._known(db, statements, cluster_id, [row.uid for row in upserts] + list(deletes))
            batch = _Batch()
            self._plan_upserts(db, batch, statements, cluster_id, upserts, known, relist, seen)
            gone = [uid for uid in dict.fromkeys(deletes) if uid in known]
            for uid in gone:
                self._plan_delete(batch, known[uid], uid)
            self._write(db, statements, batch)
            self._write_counters(db, cluster_id, kind.plural, batch.counters)
            if as_of is not None:
                db.run("update source set as_of = ? where kind = ? and cluster = ?", (as_of, kind.plural, cluster_id))
            seq = self._append(db, cluster_id, kind.plural, batch.changes)
        for uid in deletes:
            self._gone[cluster_id, kind.plural, uid] = None
        while len(self._gone) > GONE_KEPT:
            self._gone.popitem(last=False)
        if relist is not None:
            relist.seen.update(seen)
        return seq

    def _relist(self, cluster_id: int, kind: Kind, generation: int | None) -> _Relist | None:
        if generation is None:
            return None
        relist = self._relists.get((cluster_id, kind.plural))
        if relist is None or relist.number != generation:
            raise ValueError(f"relist {generation} of {kind.plural} is not the running one")
        return relist

    def _lock_source(self, db: Connection, cluster_id: int, plural: str) -> None:
        number = zlib.crc32(plural.encode()) & 0x7FFF
        db.run("select pg_advisory_xact_lock(?, ?)", (cluster_id, 0x10000 + number))

    def _name_cluster(self, db: Connection, cluster_id: int) -> None:
        """See that a cluster with rows has a row itself, whatever comes first: lists are joined with it."""
        if cluster_id not in self._clusters:
            if not db.rows("select 1 from cluster where id = ?", (cluster_id,)):
                columns = ("id", "name", "state", "detail")
                db.insert("cluster", columns, [(cluster_id, f"#{cluster_id}", "unknown", "{}")])
            self._clusters.add(cluster_id)

    def _known(self, db: Connection, statements: _Statements, cluster_id: int, uids: list[str]) -> dict[str, _Known]:
        if not uids:
            return {}
        if len(uids) == 1:
            found = db.rows(statements.known_one, (cluster_id, uids[0]))
        else:
            found = db.rows(statements.known, (cluster_id, array(self.dialect, uids)))
        return {row[0]: _Known(*row[1:]) for row in found}

    def _plan_upserts(
        self,
        db: Connection,
        batch: _Batch,
        statements: _Statements,
        cluster_id: int,
        upserts: Sequence[Row],
        known: dict[str, _Known],
        relist: _Relist | None,
        seen: list[int],
    ) -> None:
        table, plural = statements.table, statements.table.kind.plural
        project, searched = table.project, table.searched
        chosen: dict[str, Row] = {}
        for row in upserts:
            gone = (cluster_id, plural, row.uid)
            if gone in self._gone:
                if relist is None:
                    continue
                del self._gone[gone]
            now = chosen.get(row.uid)
            if now is None or _newer(row.resource_version, now.resource_version):
                chosen[row.uid] = row
        ids = iter(self._row_ids(db, sum(uid not in known for uid in chosen)))
        pairs = self._pair_ids(db, plural, chosen.values())
        for uid, row in chosen.items():
            before = known.get(uid)
            if before is not None:
                seen.append(before.id)
                trusted = relist is not None and before.id not in relist.seen
                same = row.resource_version == before.resource_version
                if same or not (trusted or _newer(row.resource_version, before.resource_version)):
                    continue
            labels = sorted(pairs[plural, k, v] for k, v in row.labels.items())
            packed = ",".join(map(str, labels))
            ns_id = self._ns_id(db, cluster_id, plural, row)
            stored = (
                ns_id,
                row.namespace or None,
                row.name,
                uid,
                row.resource_version,
                row.created,
                row.status,
                row.state,
                packed,
                *project(row.values),
            )
            if before is None:
                row_id = next(ids)
                seen.append(row_id)
                batch.inserts.append((row_id, cluster_id, *stored))
                batch.label_puts.extend((pair, row_id) for pair in labels)
                batch.count(row.state, 1)
                known[uid] = _Known(row_id, row.resource_version, row.state, ns_id, packed)
            else:
                row_id = before.id
                batch.updates.append((*stored, row_id))
                if packed != before.labels:
                    old, new = set(_split(before.labels)), set(labels)
                    batch.label_drops.extend((pair, row_id) for pair in old - new)
                    batch.label_puts.extend((pair, row_id) for pair in new - old)
                if row.state != before.state:
                    batch.count(before.state, -1)
                    batch.count(row.state, 1)
                known[uid] = _Known(row_id, row.resource_version, row.state, ns_id, packed)
            batch.words.append((row_id, cluster_id, _words(row, searched)))
            batch.bodies.append((row_id, zlib.compress(row.body, COMPRESSION)))
            batch.changes.append((ns_id, uid, "put"))

    def _plan_delete(self, batch: _Batch, row: _Known, uid: str | None) -> None:
        batch.removed.append(row.id)
        batch.label_drops.extend((pair, row.id) for pair in _split(row.labels))
        batch.count(row.state, -1)
        batch.changes.append((row.ns_id, uid, "delete"))

    def _write(self, db: Connection, statements: _Statements, batch: _Batch) -> None:
        table = statements.table
        new = {row[0] for row in batch.inserts}
        db.insert(table.name, table.columns, batch.inserts)
        if batch.updates:
            db.many(statements.update, batch.updates)
        db.insert(table.words, ("id", "cluster", "words"), [row for row in batch.words if row[0] in new])
        db.insert("body", ("id", "packed"), [row for row in batch.bodies if row[0] in new])
        if batch.updates:
            words = [(words, row_id) for row_id, _, words in batch.words if row_id not in new]
            db.many(f"update {table.words} set words = ? where id = ?", words)
            bodies = [(packed, row_id) for row_id, packed in batch.bodies if row_id not in new]
            db.many("update body set packed = ? where id = ?", bodies)
        if batch.label_drops:
            db.many("delete from label where pair = ? and id = ?", batch.label_drops)
        db.insert("label", ("pair", "id"), batch.label_puts)
        if batch.removed:
            for name in (table.name, table.words, "body"):
                statement = f"delete from {name} where {member(self.dialect, 'id', 'bigint')}"
                db.run(statement, (array(self.dialect, batch.removed),))

    def _write_counters(self, db: Connection, cluster_id: int, plural: str, counters: Mapping[str, int]) -> None:
        changed = [(cluster_id, plural, state, by) for state, by in sorted(counters.items()) if by]
        if changed:
            db.many(
                "insert into counter (cluster, kind, state, n) values (?, ?, ?, ?) "
                "on conflict (cluster, kind, state) do update set n = counter.n + excluded.n",
                changed,
            )

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

    # --- numbers ---

    def _row_ids(self, db: Connection, count: int) -> Iterable[int]:
        if not count:
            return ()
        if self.dialect == "postgresql":
            return [row[0] for row in db.rows("select nextval('row_id') from generate_series(1, ?)", (count,))]
        first = self._next_row
        self._next_row += count
        return range(first, first + count)

    def _ns_id(self, db: Connection, cluster_id: int, plural: str, row: Row) -> int | None:
        """The number of the namespace that decides who may see the row: a namespace itself is decided by its own."""
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
                (self._next_number(db, "ns_id"), cluster_id, name),
            )
            found = db.rows(select, (cluster_id, name))
        number = self._namespaces[cluster_id, name] = int(found[0][0])
        return number

    def _next_number(self, db: Connection, sequence: str) -> int:
        if self.dialect == "postgresql":
            found: int = db.rows(f"select nextval('{sequence}')")[0][0]
            return found
        if sequence == "ns_id":
            self._next_namespace += 1
            return self._next_namespace - 1
        self._next_pair += 1
        return self._next_pair - 1

    def _pair_ids(self, db: Connection, plural: str, rows: Iterable[Row]) -> dict[tuple[str, str, str], int]:
        """The numbers of all labels of the rows; labels seen for the first time get one."""
        wanted = {(plural, k, v) for row in rows for k, v in row.labels.items()}
        found: dict[tuple[str, str, str], int] = {}
        missing = []
        for pair in wanted:
            number = self._pairs.get(pair)
            if number is None:
                missing.append(pair)
            else:
                self._pairs.move_to_end(pair)
                found[pair] = number
        select = "select id from label_pair where kind = ? and k = ? and v = ?"
        for pair in sorted(missing):
            known = db.rows(select, pair)
            if not known:
                number = self._next_number(db, "pair_id")
                db.run(
                    "insert into label_pair (id, kind, k, v) values (?, ?, ?, ?) on conflict (kind, k, v) do nothing",
                    (number, *pair),
                )
                known = db.rows(select, pair)
            found[pair] = self._pairs[pair] = known[0][0]
        while len(self._pairs) > PAIRS_KEPT:
            self._pairs.popitem(last=False)
        return found

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
        statements = self._statements[kind.plural]
        held = self._db.rows(f"select id from {statements.table.name} where cluster = ?", (cluster_id,))
        gone = [row_id for (row_id,) in held if row_id not in relist.seen]
        seq = self._remove(statements, cluster_id, gone)
        with self._writing() as db:
            if self.dialect == "postgresql":
                self._lock_source(db, cluster_id, kind.plural)
            self._recount(db, cluster_id, statements.table)
        del self._relists[cluster_id, kind.plural]
        return seq

    def _remove(self, statements: _Statements, cluster_id: int, ids: Sequence[int]) -> int:
        seq = 0
        for chunk in _chunks(ids):
            with self._writing() as db:
                if self.dialect == "postgresql":
                    self._lock_source(db, cluster_id, statements.table.kind.plural)
                batch = _Batch()
                for uid, *known in db.rows(statements.known_ids, (array(self.dialect, chunk),)):
                    self._plan_delete(batch, _Known(*known), uid)
                self._write(db, statements, batch)
                self._write_counters(db, cluster_id, statements.table.kind.plural, batch.counters)
                seq = self._append(db, cluster_id, statements.table.kind.plural, batch.changes)
        return seq

    def _recount(self, db: Connection, cluster_id: int, table: KindTable) -> None:
        counted = db.rows(f"select state, count(*) from {table.name} where cluster = ? group by state", (cluster_id,))
        kept = db.rows(
            "select state, n from counter where cluster = ? and kind = ? and n <> 0", (cluster_id, table.kind.plural)
        )
        if sorted(counted) == sorted(kept):
            return
        log.warning("inventory.recounted", cluster=cluster_id, kind=table.kind.plural)
        db.run("delete from counter where cluster = ? and kind = ?", (cluster_id, table.kind.plural))
        self._write_counters(db, cluster_id, table.kind.plural, dict(counted))

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
        with self._writing() as db:
            if self.dialect == "postgresql":
                self._lock_source(db, cluster_id, kind_plural)
            before = db.rows(
                "select state, error from source where kind = ? and cluster = ?", (kind_plural, cluster_id)
            )
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
        with self._writing() as db:
            columns = ("name", *CLUSTER_FIELDS, "detail")
            found = db.rows(f"select {', '.join(columns)} from cluster where id = ?", (cluster_id,))
            before = dict(zip(columns, found[0], strict=True)) if found else {}
            after = {**before, **{key: health[key] for key in CLUSTER_FIELDS if key in health}, "name": name}
            after["state"] = after.get("state") or "unknown"
            rest = {key: value for key, value in health.items() if key not in CLUSTER_FIELDS}
            detail = {**orjson.loads(before.get("detail") or b"{}"), **rest}
            after["detail"] = orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode()
            if after == before:
                return
            values = [after.get(column) for column in columns]
            db.run("delete from cluster where name = ? and id <> ?", (name, cluster_id))
            if before:
                assigned = ", ".join(f"{column} = ?" for column in columns)
                db.run(f"update cluster set {assigned} where id = ?", (*values, cluster_id))
            else:
                db.insert("cluster", ("id", *columns), [(cluster_id, *values)])
            told = [key for key in after if key not in ("last_seen", "latency_ms") and after[key] != before.get(key)]
            if told:
                self._append(db, cluster_id, "clusters", [(None, None, "cluster")])

    def drop_cluster(self, cluster_id: int) -> None:
        """Remove everything that is known of a cluster."""
        for statements in self._statements.values():
            table = statements.table
            while held := self._db.rows(
                f"select id from {table.name} where cluster = ? limit {LARGEST_BATCH}",
                (cluster_id,),
            ):
                self._remove(statements, cluster_id, [row_id for (row_id,) in held])
            self._relists.pop((cluster_id, table.kind.plural), None)
        with self._writing() as db:
            for name, column in (
                ("counter", "cluster"),
                ("source", "cluster"),
                ("namespace", "cluster"),
                ("cluster", "id"),
            ):
                db.run(f"delete from {name} where {column} = ?", (cluster_id,))
            self._append(db, cluster_id, "clusters", [(None, None, "cluster")])
        self._clusters.discard(cluster_id)
        self._namespaces = {key: found for key, found in self._namespaces.items() if key[0] != cluster_id}
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

    def prune_labels(self) -> int:
        """Drop labels that no row has any more; returns how many."""
        unused = (
            "select id from label_pair where not exists (select 1 from label where pair = label_pair.id) "
            f"limit {LARGEST_BATCH}"
        )
        dropped = 0
        while True:
            with transaction(self._db):
                if self.dialect == "postgresql":
                    self._db.run("select pg_advisory_xact_lock(?, ?)", LOCK_PAIRS)
                ids = [row[0] for row in self._db.rows(unused)]
                if ids:
                    statement = f"delete from label_pair where {member(self.dialect, 'id', 'bigint')}"
                    self._db.run(statement, (array(self.dialect, ids),))
                    # The number of the last one dropped is as good as a count of the times this was done.
                    self._db.run("update meta set value = ? where key = 'pairs'", (f"{clock.epoch()}-{ids[-1]}",))
            self._pairs.clear()
            dropped += len(ids)
            if len(ids) < LARGEST_BATCH:
                return dropped


class _Statements:
    """The statements of one kind's table, put together once."""

    def __init__(self, table: KindTable, dialect: Any) -> None:
        self.table = table
        known = f"select uid, id, resource_version, state, ns_id, labels from {table.name}"
        self.known_one = f"{known} where cluster = ? and uid = ?"
        self.known = f"{known} where cluster = ? and {member(dialect, 'uid', 'text')}"
        self.known_ids = f"{known} where {member(dialect, 'id', 'bigint')}"
        columns = (*BASE_COLUMNS[2:], *table.own, *table.ratios)
        self.update = f"update {table.name} set {', '.join(f'{column} = ?' for column in columns)} where id = ?"


def _newer(version: str, than: str) -> bool:
    """Whether a resourceVersion is from after another one; of two that are not numbers, the one that came later is."""
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    return version != than


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


def _storable(row: Row) -> Row:
    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("\0", "").encode("utf-8", "replace").decode()
        if isinstance(value, list):
            return [clean(part) for part in value]
        return value

    return replace(
        row,
        namespace=clean(row.namespace),
        name=clean(row.name),
        labels={clean(key): clean(value) for key, value in row.labels.items()},
        values=tuple(clean(value) for value in row.values),
        status=clean(row.status),
    )


def _chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), LARGEST_BATCH):
        yield items[start : start + LARGEST_BATCH]


def _digest(connection: Connection) -> str | None:
    """The digest that an inventory carries, None when there is no inventory."""
    exists = (
        "select 1 from sqlite_master where name = 'meta'"
        if connection.dialect == "sqlite"
        else f"select 1 from pg_tables where schemaname = '{POSTGRES_SCHEMA}' and tablename = 'meta'"
    )
    if not connection.rows(exists):
        return None
    found = connection.rows("select value from meta where key = 'digest'")
    return found[0][0] if found else None


def _replace_file(path: Path, new: Path) -> None:
    """Put a new file in an old one's place. Readers of the old one notice by its inode."""
    for suffix in ("-wal", "-shm"):
        _unlink(path.with_name(path.name + suffix))
    os.replace(new, path)  # noqa: PTH105
    for suffix in ("-wal", "-shm", "-journal"):
        _unlink(new.with_name(new.name + suffix))


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
