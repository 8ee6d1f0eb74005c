"""The inventory is a cache: whoever damages or removes its file sees the console say so and sync it again."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from gmcenter.core.errors import GMError
from tests.lab import wait_for
from tests.support.fleet import KINDS, Fleet

pytestmark = pytest.mark.timeout(180)


def delete(path: Path) -> None:
    """rm inventory.db*"""
    for one in path.parent.glob("inventory.db*"):
        one.unlink()


def delete_file_only(path: Path) -> None:
    """rm inventory.db, and forget its companions."""
    path.unlink()


def overwrite(path: Path) -> None:
    """Garbage over the whole of the file, in place, as a failing disk leaves it."""
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.write(os.urandom(size))


def overwrite_middle(path: Path) -> None:
    """Garbage behind the head of the file: it still looks like a database."""
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(4096)
        file.write(os.urandom(max(size - 4096, 4096)))


def truncate(path: Path) -> None:
    """The file is empty."""
    os.truncate(path, 0)


@pytest.mark.parametrize("damage", [delete, delete_file_only, overwrite, overwrite_middle, truncate])
def test_an_inventory_that_is_lost_while_running_is_told_and_synced_again(
    fleet: Fleet, damage: Callable[[Path], None]
) -> None:
    before = {kind: fleet.names(kind, "steady") for kind in ("nodes", "namespaces", "services")}
    damage(settle_on_disk(fleet))
    seen: list[str] = []

    def synced() -> bool:
        """Look as a program does: whatever is answered must be honest."""
        for kind in before:
            answer = fleet.ask("GET", f"/{kind}", params={"cluster": "steady", "limit": 500})
            if answer.status_code != 200:
                assert answer.status_code == 503, f"{kind}: {answer.status_code} {answer.text}"
                assert answer.json()["code"] in ("inventory_unavailable", "unavailable")
                seen.append("unavailable")
                continue
            document = answer.json()
            complete = {row["uid"]: row["name"] for row in document["data"]} == before[kind]
            fresh = document["freshness"]
            if not complete:
                assert fresh["answered"] < fresh["needed"], f"{kind}: a list with holes that looks whole: {fresh}"
                seen.append("syncing")
        assert fleet.client.get("/livez").status_code == 200
        return sound(fleet)

    wait_for(synced, "the inventory is there again", 90, every=0.1)
    fleet.wait_live()
    for name in fleet.clusters:
        fleet.wait_equal(name)
    assert {kind: fleet.names(kind, "steady") for kind in before} == before
    assert seen, "nothing was ever missing: the damage did not reach what is shown"


def settle_on_disk(fleet: Fleet) -> Path:
    """The inventory's file with everything in it, so that damage to it is damage to what is shown."""
    path = fleet.data / "inventory.db"

    def settled() -> bool:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=5)) as db:
            return db.execute("pragma wal_checkpoint(truncate)").fetchone()[0] == 0

    wait_for(settled, "the log is written into the file", 20)
    return path


def sound(fleet: Fleet) -> bool:
    """Whether every source is live, and the inventory agrees with itself down to the last row."""
    try:
        if fleet.disagreements():
            return False
    except GMError:  # this look has found damage too, and said so
        return False
    live = [source["state"] == "live" for kind in KINDS for source in fleet.get(f"/{kind}")["freshness"]["sources"]]
    return len(live) == len(KINDS) * len(fleet.clusters) and all(live)
