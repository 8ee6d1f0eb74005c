"""Migrations: up and down on both databases, equal to the models, and safe when several processes start at once."""

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlmodel import SQLModel

from gmcenter.core import migrate, vault
from gmcenter.core.database import driver_url
from gmcenter.core.settings import Settings, configure

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'system.db'}"
    empty: str = request.getfixturevalue("postgres_url")
    return empty


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Settings]:
    chosen = Settings(data=tmp_path)
    configure(chosen)
    vault.forget_keys()
    yield chosen
    configure(None)
    vault.forget_keys()


def tables(url: str) -> set[str]:
    engine = create_engine(driver_url(url, asynchronous=False))
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def execute(url: str, statement: str) -> None:
    engine = create_engine(driver_url(url, asynchronous=False))
    try:
        with engine.begin() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()


def test_an_upgrade_makes_every_table_of_every_model(url: str) -> None:
    assert migrate.current(url) is None
    assert migrate.upgrade(url) == migrate.latest() == migrate.current(url)
    migrate.import_models()
    assert tables(url) == set(SQLModel.metadata.tables) | {"alembic_version"}
    assert {"account", "login_session", "audit_entry", "secret", "site", "cluster"} <= tables(url)


def test_migrations_and_models_agree(url: str) -> None:
    migrate.upgrade(url)
    assert migrate.differences(url) == []


def test_a_model_that_no_migration_made_is_noticed(url: str) -> None:
    migrate.upgrade(url)
    execute(url, "ALTER TABLE site ADD COLUMN forgotten INTEGER")
    assert "forgotten" in repr(migrate.differences(url))


def test_every_revision_goes_down_and_up_again(url: str) -> None:
    revisions = sorted(path.name.partition("_")[0] for path in (migrate.SCRIPTS / "versions").glob("[0-9]*.py"))
    migrate.upgrade(url)
    for before in [*reversed(revisions[:-1]), "base"]:
        assert migrate.downgrade(url, before) == (None if before == "base" else before)
    assert tables(url) == {"alembic_version"}
    for revision in revisions:
        assert migrate.upgrade(url, revision) == revision
    assert migrate.differences(url) == []


def test_nothing_is_left_behind_on_postgresql(postgres_url: str) -> None:
    migrate.upgrade(postgres_url)
    migrate.downgrade(postgres_url, "base")
    engine = create_engine(driver_url(postgres_url, asynchronous=False))
    with engine.connect() as connection:
        functions = connection.execute(
            text("select proname from pg_proc where pronamespace = 'public'::regnamespace")
        ).all()
    engine.dispose()
    assert functions == []


def test_a_second_upgrade_changes_nothing(url: str) -> None:
    migrate.upgrade(url)
    execute(url, "INSERT INTO scope_version (id, version) VALUES (1, 42)")
    assert migrate.upgrade(url) == migrate.latest()
    engine = create_engine(driver_url(url, asynchronous=False))
    with engine.connect() as connection:
        assert connection.execute(text("select version from scope_version")).scalar_one() == 42
    engine.dispose()


def test_processes_that_start_at_once_migrate_once(url: str) -> None:
    results: list[object] = []

    def start() -> None:
        try:
            results.append(migrate.upgrade(url))
        except Exception as problem:
            results.append(problem)

    threads = [
        subprocess.Popen(
            [sys.executable, "-c", "import sys; from gmcenter.core import migrate; migrate.upgrade(sys.argv[1])", url],
            cwd=ROOT,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    inside = threading.Thread(target=start)
    inside.start()
    for process in threads:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    inside.join(timeout=120)
    assert results == [migrate.latest()]
    assert migrate.differences(url) == []


def test_an_upgrade_that_fails_half_way_leaves_nothing(url: str) -> None:
    migrate.upgrade(url)
    migrate.downgrade(url, "base")
    execute(url, "CREATE TABLE site (id INTEGER)")  # in the way of the revision
    with pytest.raises(Exception, match="site"):
        migrate.upgrade(url)
    assert tables(url) == {"alembic_version", "site"}


def test_a_database_of_a_newer_version_is_left_alone(url: str) -> None:
    migrate.upgrade(url)
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(migrate.SchemaError, match=r"9999.*newest is"):
        migrate.upgrade(url)
    assert migrate.current(url) == "9999"


def test_revisions_are_numbered_so_that_the_newest_is_known_without_alembic() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    made = Config()
    made.set_main_option("script_location", str(migrate.SCRIPTS))
    assert ScriptDirectory.from_config(made).get_current_head() == migrate.latest()


def test_an_up_to_date_database_starts_without_importing_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'system.db'}"
    migrate.upgrade(url)
    program = (
        "import sys; from gmcenter.core import migrate; migrate.upgrade(sys.argv[1]);"
        "sys.exit(any(name.split('.')[0] == 'alembic' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program, url], cwd=ROOT, check=False).returncode == 0


def test_the_database_file_is_its_owner_s_only(installed: Settings) -> None:
    migrate.prepare()
    for path in installed.data.glob("system.db*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_fresh_installation_gets_a_key_and_keeps_it(installed: Settings) -> None:
    assert migrate.prepare() == migrate.latest()
    key = installed.key_file.read_bytes()
    assert migrate.prepare() == migrate.latest()
    assert installed.key_file.read_bytes() == key


@pytest.mark.parametrize(
    "used",
    [
        "INSERT INTO secret (purpose, sealed, created_at) VALUES ('cluster', x'00', '2026-01-01')",
        "INSERT INTO audit_entry VALUES (1, 1, 0, 'system', '', '', 'a', '', 'ok', '', '{}', '', '')",
    ],
)
def test_a_database_that_was_used_never_gets_a_new_key(installed: Settings, used: str) -> None:
    migrate.prepare()
    with sqlite3.connect(installed.data / "system.db") as connection:
        connection.execute(used)
    connection.close()
    installed.key_file.unlink()
    vault.forget_keys()
    with pytest.raises(vault.VaultError, match="restore the file"):
        migrate.prepare()
    assert not installed.key_file.exists()
