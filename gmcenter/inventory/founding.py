"""How an inventory comes to be, and how one that is of no use is put out of the way.

It is a cache: a database of another schema, or a damaged file, is dropped and made anew.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from gmcenter.core import clock
from gmcenter.core.log import get_logger
from gmcenter.inventory.driver import (
    POSTGRES_SCHEMA,
    Connection,
    Postgres,
    SQLite,
    identity,
    is_corrupt,
    marked_damaged,
    transaction,
)
from gmcenter.inventory.schema import Schema

LOCK_OPEN = (0x676D, 2)

log = get_logger(__name__)


class StoreLost(Exception):
    """The inventory's file was damaged and has been removed. Open the store again and sync everything."""


def open_sqlite(path: Path, schema: Schema) -> SQLite:
    """A writer's connection to an inventory that is ours and whole. Raises StoreLost when even a new one is not."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        found = "a reader found damage" if marked_damaged(path) else _try(path, schema)
        if isinstance(found, SQLite):
            return found
        log.warning("inventory.dropped", reason=found)
    _replace(path, _make(path, schema))
    found = _try(path, schema)
    if isinstance(found, SQLite):
        return found
    raise StoreLost(found)


def open_postgres(url: str, schema: Schema) -> Postgres:
    """A writer's connection to an inventory that is ours."""
    connection = Postgres(url, writer=True)
    try:
        connection.run("select pg_advisory_lock(?, ?)", LOCK_OPEN)
        if digest_of(connection) != schema.digest:
            with transaction(connection):
                connection.run(f"drop schema if exists {POSTGRES_SCHEMA} cascade")
                connection.run(f"create schema {POSTGRES_SCHEMA}")
                _found(connection, schema)
        connection.run("select pg_advisory_unlock(?, ?)", LOCK_OPEN)
    except BaseException:
        connection.close()
        raise
    return connection


def digest_of(connection: Connection) -> str | None:
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


def what_is_wrong(path: Path, opened: tuple[int, int] | None, writer: Connection, schema: Schema) -> str | None:
    """What is wrong, unless readers find what a writer writes: the same file, whole, with the same end of the feed.

    SQLite writes on happily into a file that was deleted or put aside, and what is damaged on the disk may stand
    undamaged in its memory. `opened` is the file that the writer opened.
    """
    if identity(path) != opened:
        return "the file was removed or replaced"
    if marked_damaged(path):
        return "a reader found damage"
    last = "select max(seq) from change"
    try:
        with closing(SQLite(path)) as seen:
            if digest_of(seen) != schema.digest or seen.rows(last) != writer.rows(last):
                return "readers find something else"
            seen.rows("select count(*) from counter")
    except sqlite3.Error as error:
        if is_corrupt(error):
            return str(error)
        log.warning("inventory.unchecked", error=str(error))
    return None


def remove(path: Path) -> None:
    """Remove a file that is of no use any more, with everything beside it."""
    for suffix in ("-wal", "-shm", ".damaged", ""):
        _beside(path, suffix).unlink(missing_ok=True)


def _try(path: Path, schema: Schema) -> SQLite | str:
    """A connection to a file that is ours and whole; otherwise what is wrong with it."""
    connection = None
    try:
        connection = SQLite(path, writer=True)
        if digest_of(connection) == schema.digest:
            connection.rows("select count(*) from counter")
            connection.rows("select max(seq) from change")
            return connection
        connection.close()
        return "made by another version"
    except Exception as error:
        if connection is not None:
            connection.close()
        if not is_corrupt(error):
            raise
        return f"damaged: {error}"


def _make(path: Path, schema: Schema) -> Path:
    """A new file beside the one that it is going to replace, readable by its owner only."""
    made = path.with_name(f"{path.name}.new-{os.getpid()}")
    made.unlink(missing_ok=True)
    made.touch(mode=0o600)
    connection = SQLite(made, writer=True)
    try:
        with transaction(connection):
            _found(connection, schema)
        connection.run("pragma journal_mode=delete")
    finally:
        connection.close()
    return made


def _found(connection: Connection, schema: Schema) -> None:
    for statement in schema.statements:
        connection.run(statement)
    # Numbers of a new inventory start above those of the one before: a scope or a place in the feed that was handed out
    # earlier then means nothing here, instead of something else.
    base = int(clock.epoch() * 1000)
    told = [("digest", schema.digest), ("base", str(base)), ("pairs", "0")]
    connection.insert("meta", ("key", "value"), told)
    if connection.dialect == "postgresql":
        connection.run(f"alter sequence ns_id restart with {base}")
        connection.run(f"alter sequence change_seq_seq restart with {base}")
        connection.run("insert into change (at, kind, op) values (?, '', 'begin')", (clock.epoch(),))
    else:
        connection.run("insert into change (seq, at, kind, op) values (?, ?, '', 'begin')", (base, clock.epoch()))


def _replace(path: Path, new: Path) -> None:
    """Put a new file in an old one's place. Readers of the old one notice by its inode."""
    for suffix in ("-wal", "-shm"):
        _beside(path, suffix).unlink(missing_ok=True)
    os.replace(new, path)  # noqa: PTH105
    for suffix in ("-wal", "-shm", "-journal"):
        _beside(new, suffix).unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
