"""The writer notices by itself when its file is no longer what readers find."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gmcenter.inventory.driver import mark_damaged
from gmcenter.inventory.store import Store, StoreLost


def rename(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def copy_over(path: Path) -> None:
    """The same content, as a restored backup has it."""
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


def lose_log(path: Path) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()


def overwrite(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))


DAMAGES = [Path.unlink, rename, copy_over, lose_log, overwrite, mark_damaged]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_file_that_is_lost_is_noticed_and_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "inventory.db"
    store = Store(f"sqlite:///{path}")
    store.open()
    store.set_cluster(1, "one", state="live")
    store.check()
    damage(path)
    with pytest.raises(StoreLost):
        store.check()
    store.open()
    store.check()
    assert store.clusters() == []
    store.set_cluster(1, "one", state="live")
    store.check()
    store.close()


def test_a_mark_about_a_file_of_before_means_nothing_to_its_successor(tmp_path: Path) -> None:
    path = tmp_path / "inventory.db"
    store = Store(f"sqlite:///{path}")
    store.open()
    mark_damaged(path)
    copy_over(path)
    with pytest.raises(StoreLost):
        store.check()
    store.open()
    store.check()
    store.close()
