"""The collector over real API servers: what there is, what changes, what happens while a cluster cannot be reached."""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from gmcenter.core import clock
from gmcenter.inventory.reader import Readers
from gmcenter.inventory.verify import verify
from gmcenter.kube import watch as watching
from gmcenter.kube.connection import Connection
from gmcenter.kube.kinds import KINDS
from gmcenter.kube.target import Target
from tests.lab.cluster import LabCluster
from tests.lab.pki import Authority
from tests.support.collecting import Inventory, LabDirectory, collecting, lab_target

QUICK = {"probe_seconds": 0.4, "probe_timeout_seconds": 0.4, "silent_seconds": 3.0}


async def until(condition: Callable[[], Any], why: str, seconds: float = 20.0) -> None:
    """Wait for what the collector's threads and the API server do."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, why
        await asyncio.sleep(0.01)


def listed(cluster: LabCluster, plural: str) -> dict[str, str]:
    items = cluster.client.items(KINDS[plural].kind)
    return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in items}


def equal(cluster: LabCluster, held: Inventory, number: int = 1) -> bool:
    return all(held.versions(plural, number) == listed(cluster, plural) for plural in KINDS)


def sound(held: Inventory) -> bool:
    """Whether the inventory's parts (counters, labels, words, bodies) agree with its rows."""
    readers = Readers(f"sqlite:///{held.path}", threads=1)
    try:
        return readers.run_now(lambda db: verify(db, readers.schema)) == []
    finally:
        readers.close()


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


@pytest.fixture
def directory(lab_cluster: LabCluster) -> LabDirectory:
    found = LabDirectory()
    found.lab(1, "one", lab_cluster)
    return found


@pytest.fixture
async def held(tmp_path: Path, directory: LabDirectory, lab_cluster: LabCluster) -> AsyncIterator[Inventory]:
    """What a collector holds of a live cluster; the cluster is healed afterwards."""
    try:
        async with collecting(tmp_path, directory, **QUICK) as inventory:
            await until(lambda: inventory.states() == {"live"} and inventory.cluster()["state"] == "live", "live")
            yield inventory
    finally:
        lab_cluster.heal()


async def test_rows_of_all_kinds_are_those_of_the_api_server(held: Inventory, lab_cluster: LabCluster) -> None:
    await until(lambda: equal(lab_cluster, held), "the rows are the server's")
    assert sound(held)
    health = held.cluster()
    assert health["version"] == lab_cluster.client.get("/version")["gitVersion"]
    assert health["latency_ms"] > 0
    assert health["certificate_not_after"] > time.time()
    assert abs(json.loads(health["detail"])["skew_seconds"]) <= 1
    assert time.time() - health["last_seen"] < 5


async def test_paged_lists_end_with_the_same_rows_where_lists_are_not_streamed(
    tmp_path: Path, directory: LabDirectory, lab_cluster: LabCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PAGE", 3)
    dial = directory.dial

    async def without(where: Any) -> Connection:
        connection = await dial(where)
        connection.serves_watch_list = False
        return connection

    monkeypatch.setattr(directory, "dial", without)
    async with collecting(tmp_path, directory, **QUICK) as inventory:
        await until(lambda: inventory.states() == {"live"}, "live")
        await until(lambda: equal(lab_cluster, inventory), "the rows are the server's")
        name = f"paged-{uuid4().hex[:6]}"
        lab_cluster.client.create(namespace(name))
        await until(lambda: inventory.rows("select 1 from k_namespaces where name = ?", name), "the change came")
        lab_cluster.client.delete("Namespace", name)


async def test_a_change_and_a_deletion_are_written_at_once(held: Inventory, lab_cluster: LabCluster) -> None:
    name = f"quick-{uuid4().hex[:6]}"
    made = lab_cluster.client.create(namespace(name))
    assert made
    uid = made["metadata"]["uid"]
    await until(lambda: uid in held.versions("namespaces"), "the new row", 2)
    lab_cluster.client.patch(f"/api/v1/namespaces/{name}", {"metadata": {"labels": {"seen": "yes"}}})
    label = "select 1 from label_pair where k = 'seen' and v = 'yes'"
    await until(lambda: held.rows(label), "the new label", 2)
    lab_cluster.client.delete("Namespace", name)
    await until(lambda: uid not in held.versions("namespaces"), "the row is gone")
    await until(lambda: equal(lab_cluster, held), "the rows are the server's")
    assert sound(held)


@pytest.mark.parametrize("how", ["cut", "blackhole"])
async def test_an_unreachable_cluster_keeps_its_rows_and_their_age_and_comes_back_without_duplicates(
    held: Inventory, lab_cluster: LabCluster, how: str
) -> None:
    await until(lambda: equal(lab_cluster, held), "the rows are the server's")
    lost, kept = time.time(), held.versions("pods")
    getattr(lab_cluster, how)()
    await until(lambda: held.states() == {"away"} and held.cluster()["state"] == "away", "away")
    before = held.sources()
    assert all(as_of is not None and as_of <= lost + 1 for _, as_of, _ in before.values())
    assert {error for _, _, error in before.values()} <= {"port_closed", "connection_lost", "no_answer", "tcp_timeout"}
    assert held.cluster()["error"]
    name = f"meanwhile-{uuid4().hex[:6]}"
    lab_cluster.client.create(namespace(name))
    assert {uid: kept[uid] for uid in held.versions("pods")} == kept
    assert held.sources() == before
    lab_cluster.heal()
    await until(lambda: held.states() == {"live"} and held.cluster()["state"] == "live", "live again", 40)
    await until(lambda: held.rows("select 1 from k_namespaces where name = ?", name), "what happened meanwhile")
    lab_cluster.client.delete("Namespace", name)
    await until(lambda: equal(lab_cluster, held), "the rows are the server's")
    assert all(as_of > lost for _, as_of, _ in held.sources().values() if as_of)
    assert sound(held)


async def test_a_watch_that_falls_silent_is_opened_again_from_where_it_was(
    tmp_path: Path, directory: LabDirectory, lab_cluster: LabCluster
) -> None:
    """The lab's bookmarks come each minute: with one second of patience every watch is reopened again and again."""
    patience = {**QUICK, "silent_seconds": 1.0}
    async with collecting(tmp_path, directory, **patience) as inventory:
        await until(lambda: inventory.states() == {"live"}, "live")
        start = time.time()
        opened = [as_of for _, as_of, _ in inventory.sources().values() if as_of]
        await until(lambda: min(a for _, a, _ in inventory.sources().values() if a) > max(opened) + 1, "reopened")
        assert time.time() - start > 1
        changes = inventory.rows("select count(*) from change where op in ('put', 'bulk') and kind = 'namespaces'")
        assert inventory.states() == {"live"}
        await until(lambda: equal(lab_cluster, inventory), "the rows are the server's")
        again = inventory.rows("select count(*) from change where op in ('put', 'bulk') and kind = 'namespaces'")
        assert changes == again


async def test_a_credential_that_may_nothing_is_told_as_denied_and_the_cluster_is_not_away(
    tmp_path: Path, lab_cluster: LabCluster
) -> None:
    directory = LabDirectory()
    directory.lab(1, "denied", lab_cluster, "nobody")
    async with collecting(tmp_path, directory, **QUICK) as inventory:
        await until(lambda: inventory.states() == {"denied"}, "denied")
        assert all("forbidden" in (error or "") for _, _, error in inventory.sources().values())
        await until(lambda: inventory.cluster().get("state") in ("live", "syncing"), "the cluster answers")


async def test_a_wrong_token_and_a_wrong_authority_say_so(tmp_path: Path, lab_cluster: LabCluster) -> None:
    other = Authority(tmp_path / "other", "other")
    other.create()
    directory = LabDirectory()
    good = lab_target(lab_cluster)
    directory.put(1, "token", Target(good.endpoint, good.ca_pem, token="wrong"))
    directory.put(2, "authority", Target(good.endpoint, other.path("ca.crt").read_text(), token=good.token))
    async with collecting(tmp_path, directory, **QUICK) as inventory:
        await until(lambda: inventory.cluster(1).get("state") == "failed", "the token is refused")
        await until(lambda: inventory.states(1) == {"denied"}, "every source is denied")
        await until(lambda: inventory.cluster(2).get("state") == "away", "the authority is refused")
        assert inventory.cluster(2)["error"] == "unknown_authority"
        assert good.token not in inventory.path.read_bytes().decode("latin-1")


async def test_the_fleets_changes_are_noticed_within_a_second(
    tmp_path: Path, directory: LabDirectory, lab_cluster: LabCluster
) -> None:
    async with collecting(tmp_path, directory, **QUICK) as inventory:
        await until(lambda: inventory.states() == {"live"}, "live")
        directory.put(2, "later", None)
        await until(lambda: inventory.cluster(2).get("state") == "building", "a cluster that is being built", 1)
        assert inventory.states(2) == {"building"}
        assert json.loads(inventory.cluster(2)["detail"])["building"] == {"percent": 10}
        directory.lab(2, "later", lab_cluster)
        await until(lambda: inventory.cluster(2).get("state") in ("syncing", "live"), "it is built", 1)
        await until(lambda: inventory.states(2) == {"live"}, "it is live")
        assert inventory.versions("pods", 2).keys() == inventory.versions("pods", 1).keys()
        directory.drop(2)
        await until(lambda: not inventory.cluster(2) and not inventory.sources(2), "it is forgotten", 2)
        assert inventory.versions("pods", 2) == {}
        assert inventory.versions("pods", 1) != {}
        assert sound(inventory)


async def test_a_new_way_to_a_cluster_is_taken_without_a_gap(
    tmp_path: Path, directory: LabDirectory, lab_cluster: LabCluster
) -> None:
    async with collecting(tmp_path, directory, **QUICK) as inventory:
        await until(lambda: inventory.cluster().get("state") == "live", "live")
        states: set[str] = set()
        directory.lab(1, "renamed", lab_cluster, "viewer")
        before = time.time()

        def rotated() -> bool:
            states.update(inventory.states())
            return directory.dialled == 2 and all((a or 0) > before for _, a, _ in inventory.sources().values())

        await until(rotated, "the watches go on with the new credential")
        assert states == {"live"}
        assert inventory.cluster()["name"] == "renamed"
        await until(lambda: equal(lab_cluster, inventory), "the rows are the server's")


async def test_a_cluster_that_hangs_slows_no_other(tmp_path: Path, lab_cluster: LabCluster) -> None:
    """One of the two accepts connections and says nothing, from the first moment on."""

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    directory = LabDirectory()
    good = lab_target(lab_cluster)
    directory.put(1, "mute", Target(f"https://127.0.0.1:{port}", good.ca_pem, token=good.token))
    directory.lab(2, "well", lab_cluster)
    async with collecting(tmp_path, directory, **QUICK) as inventory:
        await until(lambda: inventory.states(2) == {"live"}, "the other is live", 5)
        name = f"other-{uuid4().hex[:6]}"
        lab_cluster.client.create(namespace(name))
        await until(lambda: inventory.rows("select 1 from k_namespaces where name = ?", name), "its change", 1)
        await until(lambda: inventory.cluster(1).get("state") == "away", "the mute one is away")
        lab_cluster.client.delete("Namespace", name)
    server.close()


async def test_an_inventory_that_is_damaged_is_made_anew_and_filled(held: Inventory, lab_cluster: LabCluster) -> None:
    await until(lambda: equal(lab_cluster, held), "the rows are the server's")
    with held.path.open("r+b") as file:
        file.write(b"no database " * 20_000)
    name = f"damage-{uuid4().hex[:6]}"
    lab_cluster.client.create(namespace(name))

    def anew() -> bool:
        try:
            return held.states() == {"live"} and equal(lab_cluster, held)
        except sqlite3.Error:
            return False

    await until(anew, "a new file with everything in it", 30)
    lab_cluster.client.delete("Namespace", name)
    assert held.cluster()["name"] == "one"


async def test_a_restarted_collector_finds_its_rows_and_drops_what_left_the_fleet(
    tmp_path: Path, directory: LabDirectory, lab_cluster: LabCluster
) -> None:
    directory.lab(2, "two", lab_cluster)
    async with collecting(tmp_path, directory, **QUICK) as inventory:
        await until(lambda: inventory.states(1) == inventory.states(2) == {"live"}, "live")
        ids = dict(inventory.rows("select uid, id from k_pods where cluster = 1"))
    directory.drop(2)
    name = f"between-{uuid4().hex[:6]}"
    lab_cluster.client.create(namespace(name))
    async with collecting(tmp_path, directory, **QUICK) as inventory:
        start = clock.epoch()
        await until(
            lambda: (
                inventory.states(1) == {"live"}
                and all((a or 0) > start - 1 for _, a, _ in inventory.sources(1).values())
            ),
            "live again",
        )
        await until(lambda: equal(lab_cluster, inventory), "the rows are the server's")
        assert not inventory.cluster(2)
        again = dict(inventory.rows("select uid, id from k_pods where cluster = 1"))
        assert {uid: again[uid] for uid in ids.keys() & again.keys()} == {
            uid: ids[uid] for uid in ids.keys() & again.keys()
        }
    lab_cluster.client.delete("Namespace", name)
