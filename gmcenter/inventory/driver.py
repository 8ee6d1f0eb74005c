"""One way to speak SQL to SQLite and to PostgreSQL: synchronous, positional, no more than the inventory needs.

The inventory's statements are few and hot, so they go to the drivers as text that was put together once. Writing a
statement here is safe by three rules: names of tables and columns come from `schema` and never from a caller; every
value is a parameter; the text holds no `?` or `%` that is not a parameter of ours, because the text is translated for
psycopg.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson
import psycopg
from psycopg import sql as pg_sql
from sqlalchemy import make_url

Dialect = Literal["sqlite", "postgresql"]
Rows = list[tuple[Any, ...]]

POSTGRES_SCHEMA = "gm_inventory"
BUSY_MILLISECONDS = 5000
READ_CACHE_KIB = 16_384
MAP_BYTES = 1 << 30
JOURNAL_BYTES = 64 << 20
SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_IOERR_SHORT_READ = 11, 26, 522


class Connection(Protocol):
    """What both drivers offer."""

    dialect: Dialect

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """All rows of a query."""
        ...

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Execute a statement; returns how many rows it touched."""
        ...

    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement once a row."""
        ...

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add rows that are known not to be there, in the quickest way that the database has."""
        ...

    def begin(self) -> None:
        """Start a transaction; a writer on SQLite takes the write lock now."""
        ...

    def commit(self) -> None:
        """Make the transaction last."""
        ...

    def rollback(self) -> None:
        """Undo the transaction, if there is one."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """A block that is committed when it ends and undone when it raises."""
    connection.begin()
    try:
        yield
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def dialect_of(url: str) -> Dialect:
    """The database behind a URL. Raises ValueError for one that we do not know."""
    backend = make_url(url).get_backend_name()
    if backend == "sqlite":
        return "sqlite"
    if backend == "postgresql":
        return "postgresql"
    raise ValueError(f"unsupported database: {backend}; use sqlite or postgresql")


def sqlite_path(url: str) -> Path:
    """The file of an SQLite URL."""
    database = make_url(url).database
    if not database or database == ":memory:":
        raise ValueError("the inventory needs a file: other processes read it")
    return Path(database)


def member(dialect: Dialect, column: str, kind: Literal["bigint", "text"]) -> str:
    """The condition that a column is one of the values of one parameter made by `array`."""
    if dialect == "sqlite":
        return f"{column} in (select value from json_each(?))"
    return f"{column} = any(?::{kind}[])"


def array(dialect: Dialect, values: Iterable[Any]) -> Any:
    """A parameter for `member`: any number of values in one."""
    found = list(values)
    return orjson.dumps(found).decode() if dialect == "sqlite" else found


def is_corrupt(error: BaseException) -> bool:
    """Whether an error says that an SQLite file is damaged or cut short, and not merely busy or full."""
    code = getattr(error, "sqlite_errorcode", 0)
    damaged = code & 0xFF in (SQLITE_CORRUPT, SQLITE_NOTADB) or code == SQLITE_IOERR_SHORT_READ
    return isinstance(error, sqlite3.DatabaseError) and damaged


def identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one put in its place; None when there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 (twice as quick as Path.stat, and asked once a query)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def mark_damaged(path: Path) -> None:
    """Tell the writer of a file that a reader has found it damaged."""
    if (found := identity(path)) is not None:
        _mark_of(path).write_text(f"{found[0]} {found[1]}")


def marked_damaged(path: Path) -> bool:
    """Whether a reader has found this very file damaged; the mark is taken away."""
    mark = _mark_of(path)
    try:
        text = mark.read_text()
    except OSError:
        return False
    mark.unlink(missing_ok=True)
    return text.split() == [str(number) for number in identity(path) or ()]


def _mark_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")


class SQLite:
    """A connection to an SQLite file.

    WAL with `synchronous=NORMAL`: a power cut may lose the last commits, which the next relist brings again, but
    never leaves a damaged file; nothing is synced to disk outside a checkpoint. A reader is opened for writing too
    and then forbidden to (`query_only`): only so can it recover the log of a collector that was killed.
    """

    dialect: Dialect = "sqlite"

    def __init__(self, path: Path, *, writer: bool = False) -> None:
        self._db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            timeout=BUSY_MILLISECONDS / 1000,
        )
        pragmas = [f"busy_timeout={BUSY_MILLISECONDS}", f"mmap_size={MAP_BYTES}", "temp_store=MEMORY"]
        if writer:
            pragmas += [
                "journal_mode=WAL",
                "synchronous=NORMAL",
                f"journal_size_limit={JOURNAL_BYTES}",
                "wal_autocheckpoint=4000",
                "cache_size=-65536",
                "secure_delete=OFF",
            ]
        else:
            pragmas += ["query_only=ON", f"cache_size=-{READ_CACHE_KIB}"]
        try:
            for pragma in pragmas:
                self._db.execute(f"PRAGMA {pragma}")
        except BaseException:
            self._db.close()
            raise

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        return self._db.execute(statement, parameters).fetchall()

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self._db.execute(statement, parameters).rowcount

    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self._db.executemany(statement, rows)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self._db.executemany(insert_text(table, tuple(columns)), rows)

    def begin(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def begin_read(self) -> None:
        """Start a transaction that sees one state of the file until it ends."""
        self._db.execute("BEGIN")

    def commit(self) -> None:
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def interrupt(self) -> None:
        """Stop the query that another thread runs on this connection."""
        self._db.interrupt()

    def progress(self, watch: Callable[[], int] | None, steps: int = 100_000) -> None:
        """Have `watch` called every `steps` instructions of a query; a result that is not 0 stops it."""
        self._db.set_progress_handler(watch, steps)

    def close(self) -> None:
        self._db.close()


@lru_cache(maxsize=256)
def insert_text(table: str, columns: tuple[str, ...]) -> str:
    """The insert statement of a table, a parameter a column."""
    return f"insert into {table} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})"


@lru_cache(maxsize=2048)
def _translate(statement: str) -> str:
    return statement.replace("?", "%s")


class Postgres:
    """A connection to PostgreSQL; our tables lie in a schema of their own, beside whatever else the database holds."""

    dialect: Dialect = "postgresql"

    def __init__(self, url: str, *, writer: bool = False) -> None:
        self._db: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(postgres_dsn(url), autocommit=True)
        self._db.prepare_threshold = 3
        self._db.execute(pg_sql.SQL("set search_path to {}").format(pg_sql.Identifier(POSTGRES_SCHEMA)))
        self._db.execute("set jit to off")  # compiling costs more than any of our queries
        if not writer:
            self._db.execute("set default_transaction_read_only to on")
            self._db.execute("set statement_timeout to '10s'")
        self._open = False

    @property
    def raw(self) -> psycopg.Connection[tuple[Any, ...]]:
        """The driver's own connection, for LISTEN."""
        return self._db

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        return self._db.execute(_translate(statement), parameters).fetchall()

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self._db.execute(_translate(statement), parameters).rowcount

    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._db.cursor() as cursor:
            cursor.executemany(_translate(statement), rows)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        if len(rows) < 8:
            self.many(insert_text(table, tuple(columns)), rows)
            return
        copy_text = f"copy {table} ({', '.join(columns)}) from stdin"
        with self._db.cursor() as cursor, cursor.copy(copy_text) as copy:
            for row in rows:
                copy.write_row(row)

    def begin(self) -> None:
        self._db.execute("begin")

    def begin_read(self) -> None:
        """Start a transaction that sees one state of the database until it ends."""
        self._db.execute("begin isolation level repeatable read read only")

    def commit(self) -> None:
        self._db.execute("commit")

    def rollback(self) -> None:
        if not self._db.closed and self._db.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            self._db.execute("rollback")

    @property
    def lost(self) -> bool:
        """Whether the server has gone."""
        return self._db.closed or self._db.broken

    def close(self) -> None:
        self._db.close()


def postgres_dsn(url: str) -> str:
    """A URL as libpq reads it, without SQLAlchemy's driver name."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
