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
from tests.support.inventory import KINDS, Inventory


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
    found = Settings(data=tmp_path, mode="development")
    vault.ensure_key(found, fresh=True)
    configure(found)
    yield found
    freshness.register_fleet(None)
    reader.close()
    configure(None)


@pytest.fixture
def inventory(url: str) -> Iterator[Inventory]:
    """An empty inventory of the kinds of `tests.support.inventory`."""
    store = Store(url, KINDS)
    store.open()
    readers = Readers(url, Schema(KINDS, store.dialect), threads=2)
    yield Inventory(store, readers)
    readers.close()
    store.close()
