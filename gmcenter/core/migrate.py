"""The schema of the system database, brought up to date at start-up and by ``gm db upgrade``.

Revisions lie in ``alembic/versions`` and are tested up and down on SQLite and PostgreSQL. Several processes may start
at once: each takes a lock before it looks (SQLite's write lock, an advisory lock on PostgreSQL), so one migrates and
the others find it done. All revisions of one upgrade are one transaction: it happens whole or not at all.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, create_engine, event, inspect, make_url, text
from sqlalchemy.pool import NullPool

from gmcenter.core import vault
from gmcenter.core.database import driver_url
from gmcenter.core.settings import settings

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS: Final = Path(__file__).resolve().parents[2] / "alembic"
LOCK: Final = 0x67_6D_73_63_68_65_6D_61
"""The advisory lock's number on PostgreSQL ("gmschema")."""
WAIT_MILLISECONDS: Final = 60_000


class SchemaError(Exception):
    """The database's schema is not one that this version can work with; the text says what to do."""


def import_models() -> None:
    """Import every domain's tables, so that SQLModel.metadata holds the whole system database."""
    importlib.import_module("gmcenter.core.vault")
    for path in sorted(Path(__file__).resolve().parents[1].glob("*/model.py")):
        importlib.import_module(f"gmcenter.{path.parent.name}.model")


def _url(url: str | None) -> str:
    return url or settings().database_url("system")


@contextmanager
def _locked(url: str) -> Iterator[Connection]:
    """A connection in a transaction that no other migration can run beside; commits at the end."""
    parsed = make_url(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    if sqlite and parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        Path(parsed.database).touch(mode=0o600)  # SQLite gives its companions (-wal, -shm) the same mode
    engine = create_engine(driver_url(url, asynchronous=False), poolclass=NullPool, hide_parameters=True)
    if sqlite:
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "begin", _sqlite_begin)
    try:
        with engine.connect() as connection, connection.begin():
            if not sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            yield connection
    finally:
        engine.dispose()


def _sqlite_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={WAIT_MILLISECONDS}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=OFF")  # a revision may rebuild a table that others refer to


def _sqlite_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def config(connection: Connection, *, compare: bool = False) -> Config:
    """Alembic's configuration for one connection; ``compare`` loads the models too."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(SCRIPTS))
    made.attributes.update(connection=connection, compare=compare)
    return made


def _recorded(connection: Connection) -> str | None:
    """The revision that the database says it has; None for one without tables of ours."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def latest() -> str:
    """The newest revision of this version of the product: files are named by number, so Alembic need not be imported
    (0.4 s of a start) to learn that there is nothing to do."""
    return max(path.name.partition("_")[0] for path in (SCRIPTS / "versions").glob("[0-9]*.py"))


def current(url: str | None = None) -> str | None:
    """The revision of a database (the settings' system database when no URL is given); None when it is empty."""
    with _locked(_url(url)) as connection:
        return _recorded(connection)


def upgrade(url: str | None = None, revision: str = "head") -> str:
    """Bring a database to a revision and return it; one that is there already is left alone.

    Raises SchemaError when the database was made by a newer version, which this one must not touch.
    """
    with _locked(_url(url)) as connection:
        if _recorded(connection) == latest() and revision in ("head", latest()):
            return latest()
        logging.getLogger("alembic").setLevel(logging.WARNING)  # before the import, which has much to say
        from alembic.util import CommandError

        from alembic import command

        try:
            command.upgrade(config(connection), revision)
        except CommandError as problem:
            raise SchemaError(
                f"the system database has revision {_recorded(connection)}, which this version does not know"
                f" (its newest is {latest()}): start the version that made it, or restore a backup"
            ) from problem
        found = _recorded(connection)
    assert found is not None
    return found


def downgrade(url: str | None, revision: str) -> str | None:
    """Take a database back to a revision (``base``: no tables at all); returns the one it has then. Loses data."""
    from alembic import command

    with _locked(_url(url)) as connection:
        command.downgrade(config(connection), revision)
        return _recorded(connection)


def differences(url: str | None = None) -> list[Any]:
    """What autogenerate would change to make the database match the models; empty when they agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlmodel import SQLModel

    import_models()
    with _locked(_url(url)) as connection:
        options = {"compare_type": True, "compare_server_default": True, "target_metadata": SQLModel.metadata}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, SQLModel.metadata))


def prepare() -> str:
    """What a process does before anything else: the schema brought up to date and the master key there.

    A fresh installation gets a key of its own; one whose database already holds what a key has sealed or signed never
    does. Returns the revision. Raises SchemaError and VaultError with what to do.
    """
    url = _url(None)
    revision = upgrade(url)
    with _locked(url) as connection:  # two first starts at once make one key
        used = "SELECT EXISTS (SELECT 1 FROM secret) OR EXISTS (SELECT 1 FROM audit_entry)"
        vault.ensure_key(settings(), fresh=not connection.execute(text(used)).scalar_one())
    return revision
