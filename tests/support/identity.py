"""A fresh installation for tests of identity: settings, key, migrated database, cheap hashes, a clock to move."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from passlib.hash import argon2
from pydantic import SecretStr

from gmcenter.core import clock, database, migrate, vault
from gmcenter.core.errors import GMError
from gmcenter.core.settings import Settings, configure
from gmcenter.identity import passwords, registry, routes, service, throttle
from gmcenter.identity.actor import SYSTEM, Role
from gmcenter.identity.dependencies import CurrentActor
from gmcenter.identity.schema import NewUser, UserView

PASSWORD = "Correct-horse-7"


@dataclass
class MovableClock:
    """The product's clock, moved by hand on top of the real one."""

    ahead: float = 0.0

    def advance(self, seconds: float) -> None:
        self.ahead += seconds


@pytest.fixture
def time_machine(monkeypatch: pytest.MonkeyPatch) -> MovableClock:
    """Moves what ``clock.epoch`` and ``clock.monotonic`` say."""
    moved, epoch, monotonic = MovableClock(), clock.epoch, clock.monotonic
    monkeypatch.setattr(clock, "epoch", lambda: epoch() + moved.ahead)
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + moved.ahead)
    return moved


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("identity") / "system.db"
    migrate.upgrade(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture(scope="session")
def _migrated_postgres(make_postgres: Callable[[], str]) -> str:
    url = make_postgres()
    migrate.upgrade(url)
    return url


@pytest.fixture(params=["sqlite", "postgres"])
async def installation(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Settings]:
    """A fresh installation on each database, with a password hash that costs nothing and generous rate limits."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("_migrated_sqlite"), tmp_path / "system.db")
        url = ""
    else:
        url = request.getfixturevalue("_migrated_postgres")
        _empty(url)
    chosen = Settings(data=tmp_path, system_url=url, login_rate="10000/minute")
    configure(chosen)
    vault.forget_keys()
    vault.ensure_key(chosen, fresh=True)
    monkeypatch.setattr(passwords, "_hasher", argon2.using(type="ID", time_cost=1, memory_cost=64, parallelism=1))
    throttle.reset()
    registry.forget()
    yield chosen
    await database.dispose()
    configure(None)
    vault.forget_keys()
    throttle.reset()
    registry.forget()


def _empty(url: str) -> None:
    """Make a migrated database as it was before the last test, the audit's trigger included: cheaper than a new one."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        tables = ", ".join(f'"{name}"' for (name,) in found if name != "alembic_version")
        connection.execute("set session_replication_role = replica")  # the audit's trigger refuses a truncate
        connection.execute(f"truncate {tables} restart identity cascade")
        connection.execute("alter table audit_entry enable trigger audit_entry_append_only")


@pytest.fixture
def real_hashes(installation: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parameters that the product uses, for tests of what they cost."""
    monkeypatch.setattr(passwords, "_hasher", passwords.make_hasher())


async def make_user(name: str, role: Role = "SA", password: str = PASSWORD) -> UserView:
    """A user made by the system."""
    return await service.create(SYSTEM, NewUser(name=name, password=SecretStr(password), role=role))


@pytest.fixture
async def http(installation: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of identity's own routes, with nothing around them but the words of errors."""
    app = FastAPI()
    app.include_router(routes.router)

    @app.get("/who")
    async def who(actor: CurrentActor) -> dict[str, object]:
        bound = structlog.contextvars.get_contextvars()
        return {"name": actor.name, "role": actor.role, "language": actor.language, "bound": bound.get("user_id")}

    @app.exception_handler(GMError)
    async def told(_request: Request, problem: GMError) -> JSONResponse:
        return JSONResponse(problem.problem("en"), problem.status)

    @app.exception_handler(RequestValidationError)
    async def refused(_request: Request, problem: RequestValidationError) -> JSONResponse:
        return JSONResponse({"fields": [list(error["loc"]) for error in problem.errors()]}, 422)

    transport = httpx.ASGITransport(app, client=("192.0.2.1", 40000))
    async with httpx.AsyncClient(transport=transport, base_url="http://gm.test") as client:
        yield client
