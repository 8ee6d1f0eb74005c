"""An empty inventory on each database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from gmcenter.core import vault
from gmcenter.core.settings import Settings, configure
from gmcenter.inventory import freshness, reader
from gmcenter.inventory.reader import Readers
from gmcenter.inventory.schema import Schema
from gmcenter.inventory.store import Store
from tests.support.inventory import KINDS, Inventory, wipe


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> Literal["sqlite", "postgresql"]:
    """Each database in turn."""
    return request.param


@pytest.fixture
def url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of an inventory that does not exist yet."""
    if dialect == "sqlite":
        return f"sqlite:///{tmp_path / 'inventory.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture(autouse=True)
def configured(tmp_path: Path) -> Iterator[Settings]:
    """Settings with a folder and a key of their own."""
    found = Settings(data=tmp_path)
    vault.ensure_key(found, fresh=True)
    configure(found)
    yield found
    freshness.register_fleet(None)
    reader.close()
    configure(None)


def _opened(url: str) -> Inventory:
    store = Store(url, KINDS)
    store.open()
    return Inventory(store, Readers(url, Schema(KINDS, store.dialect), threads=2))


@pytest.fixture
def fresh(url: str) -> Iterator[Inventory]:
    """An inventory of the kinds of `tests.support.inventory` that nobody used before."""
    found = _opened(url)
    yield found
    found.readers.close()
    found.store.close()


@pytest.fixture(scope="session")
def _used() -> Iterator[dict[str, Inventory]]:
    found: dict[str, Inventory] = {}
    yield found
    for one in found.values():
        one.readers.close()
        one.store.close()


@pytest.fixture
def inventory(
    dialect: str, _used: dict[str, Inventory], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Inventory:
    """The same, emptied: for tests that leave the database itself as it is."""
    if dialect not in _used:
        made: str = (
            f"sqlite:///{tmp_path_factory.mktemp('inventory') / 'inventory.db'}"
            if dialect == "sqlite"
            else request.getfixturevalue("make_postgres")()
        )
        _used[dialect] = _opened(made)
    found = _used[dialect]
    wipe(found.store)
    return found
