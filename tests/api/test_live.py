"""From an API server to an answer over REST: registered over REST, collected by the real collector, read over REST."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gmcenter.core import database
from gmcenter.inventory import collector, reader
from tests.api.test_clusters import form
from tests.api.test_streams import bearer, watching
from tests.lab.cluster import LabCluster
from tests.support.api import API, Installation, configured, create_api, make_user, served
from tests.support.api import migrated as migrated


@pytest.fixture(scope="module")
async def gm(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> AsyncIterator[Installation]:
    """A fresh installation with a running collector and no cluster."""
    folder = tmp_path_factory.mktemp("gm")
    with configured(folder, migrated, probe_seconds=1.0, probe_timeout_seconds=2.0) as chosen:
        await make_user("admin", "PA")
        stop = asyncio.Event()
        task = asyncio.create_task(collector.run(stop))
        try:
            yield Installation(chosen, None, create_api(), {})  # type: ignore[arg-type]
        finally:
            stop.set()
            await task
            reader.close()
            await database.dispose()


@pytest.fixture(scope="module")
async def lab_registered(gm: Installation, lab_cluster: LabCluster) -> AsyncIterator[LabCluster]:
    async with await gm.signed_in() as client:
        answer = await client.post(f"{API}/clusters", json=form(lab_cluster))
        assert answer.status_code == 201, answer.text
        await eventually(lambda: _state(client, "live"), 20)
        yield lab_cluster
        lab_cluster.heal()


async def _state(client: httpx.AsyncClient, wanted: str) -> bool:
    found = (await client.get(f"{API}/clusters")).json()["data"]
    return [one["state"] for one in found if one["clusterName"] == "lab"] == [wanted]


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 nobody tells us, we ask
            await asyncio.sleep(0.05)


def kubectl_names(cluster: LabCluster, plural: str) -> set[str]:
    items = json.loads(cluster.kubectl("get", plural, "-A", "-o", "json"))["items"]
    return {f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}" for item in items}


async def rest_names(client: httpx.AsyncClient, plural: str) -> set[str]:
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await client.get(f"{API}/{plural}", params={"limit": "500", **cursor})).json()
        rows += page["data"]
        if page["page"]["next"] is None:
            return {f"{row.get('namespace') or ''}/{row['name']}" for row in rows}
        cursor = {"cursor": page["page"]["next"]}


@pytest.mark.parametrize("plural", ["nodes", "namespaces", "deployments", "services", "pods"])
async def test_rest_lists_what_kubectl_lists(gm: Installation, lab_registered: LabCluster, plural: str) -> None:
    async with await gm.signed_in() as client:

        async def same() -> bool:
            wanted = await asyncio.to_thread(kubectl_names, lab_registered, plural)
            return bool(wanted) and await rest_names(client, plural) == wanted

        await eventually(same, 15)


async def test_the_health_of_a_cluster_is_told_a_moment_after_it_is_registered(
    gm: Installation, lab_registered: LabCluster
) -> None:
    async with await gm.signed_in() as client:
        found = (await client.get(f"{API}/clusters/lab")).json()["data"]
        fresh = (await client.get(f"{API}/pods", params={"limit": 1})).json()["freshness"]
    assert (found["status"], found["state"]) == ("success", "live")
    assert found["version"].startswith("v1.")
    assert found["nodeCnt"] == len(kubectl_names(lab_registered, "nodes"))
    assert 0 < found["latencyMs"] < 2000
    assert found["certificateNotAfter"] > found["lastSeen"]
    assert (fresh["answered"], fresh["needed"]) == (1, 1)


async def test_a_raw_object_is_what_the_api_server_has_without_managed_fields(
    gm: Installation, lab_registered: LabCluster
) -> None:
    wanted = json.loads(lab_registered.kubectl("get", "service", "kubernetes", "-n", "default", "-o", "json"))
    wanted["metadata"].pop("managedFields", None)
    async with await gm.signed_in() as client:
        params = {"kind": "Service", "cluster": "lab", "namespace": "default"}
        found = (await client.get(f"{API}/view/kubernetes", params=params)).json()
    assert found == wanted


async def test_a_change_in_the_cluster_reaches_an_open_stream_within_a_second(
    gm: Installation, lab_registered: LabCluster
) -> None:
    body = {"metadata": {"name": "stream-here"}}
    async with (
        served(gm.app) as url,
        watching(url, await bearer(gm), "/namespaces", q="stream-here") as stream,
    ):
        assert (await stream.next())[1]["data"] == []
        await asyncio.to_thread(lab_registered.client.request, "POST", "/api/v1/namespaces", body)
        began = time.monotonic()
        change = await stream.until("change", 5)
        took = time.monotonic() - began
        await asyncio.to_thread(lab_registered.client.request, "DELETE", "/api/v1/namespaces/stream-here")
    assert [row["name"] for row in change["set"]] == ["stream-here"]
    assert took < 1.0


async def test_rows_of_a_cluster_that_is_cut_off_stay_with_their_age_and_come_back_once(
    gm: Installation, lab_registered: LabCluster
) -> None:
    async with await gm.signed_in() as client:
        before = await rest_names(client, "pods")
        await asyncio.to_thread(lab_registered.cut)
        try:
            await eventually(lambda: _state(client, "away"), 20)
            page = (await client.get(f"{API}/pods", params={"limit": 500})).json()
            assert await rest_names(client, "pods") == before
            assert all(row["away"] for row in page["data"])
            assert (page["freshness"]["answered"], page["freshness"]["needed"]) == (0, 1)
            shown = (await client.get(f"{API}/clusters/lab")).json()["data"]
            assert (shown["status"], shown["error"]) == ("false", "port_closed")
            assert shown["message"]
        finally:
            await asyncio.to_thread(lab_registered.heal)
        await eventually(lambda: _state(client, "live"), 30)

        async def again() -> bool:
            page = (await client.get(f"{API}/pods", params={"limit": 500})).json()
            return not any(row["away"] for row in page["data"]) and len(page["data"]) == len(before)

        await eventually(again, 20)


async def test_a_rotated_credential_leaves_no_gap_in_the_list(gm: Installation, lab_registered: LabCluster) -> None:
    async with await gm.signed_in() as client:
        before = await rest_names(client, "nodes")
        done = False
        counts: list[int] = []

        async def looking() -> None:
            while not done:
                counts.append(len(await rest_names(client, "nodes")))
                await asyncio.sleep(0.02)

        watcher = asyncio.create_task(looking())
        change = {"kubeconfig": lab_registered.kubeconfig().read_text()}
        answer = await client.put(f"{API}/clusters/lab", json=change)
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["credentialKind"] == "certificate"
        await eventually(lambda: _state(client, "live"), 20)
        lab_registered.kubectl("create", "namespace", "after-rotation")
        await eventually(lambda: _sees(client, "after-rotation"), 10)
        looks = len(counts)

        async def looked_again() -> bool:
            return len(counts) > looks + 5

        await eventually(looked_again, 10)
        done = True
        await watcher
        lab_registered.kubectl("delete", "namespace", "after-rotation", "--wait=false")
    assert set(counts) == {len(before)}


async def _sees(client: httpx.AsyncClient, name: str) -> bool:
    return f"/{name}" in await rest_names(client, "namespaces")


async def test_a_removed_clusters_rows_go_within_seconds(gm: Installation, lab_registered: LabCluster) -> None:
    async with await gm.signed_in() as client:
        assert (await client.delete(f"{API}/clusters/lab", params={"confirm": "lab"})).status_code == 204
        try:

            async def empty() -> bool:
                return await rest_names(client, "pods") == set()

            await eventually(empty, 10)
        finally:
            await client.post(f"{API}/clusters", json=form(lab_registered))
