"""The collector against a real API server that has 10,000 pods: cold sync, events, memory, and how soon a change is
seen.

Each figure stands beside what nothing can undercut in the same run: a plain paged list, a bare watch that only reads
its socket. The API server shares the machine's cores; figures "per core" are therefore told per second of processor
time that the collector itself spent.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import orjson

from gmcenter.inventory.writer import REST_SECONDS
from gmcenter.kube.connection import Connection
from gmcenter.kube.kinds import KINDS
from gmtool.build import build
from tests.lab.cache import cache_root
from tests.lab.cluster import Lab, LabCluster, wait_for
from tests.support.collecting import QUIET_KINDS, CollectorProcess, lab_target
from tests.support.fleet import Fleet, raised
from tests.support.tabs import Tab

SIZE, WRITERS = 10_000, 8
ROUNDS, EVENTS, CHANGES, WATCHED = 3, 5_000, 100, 40
NAMESPACE = "load"
COPIES, RESTING_SECONDS = 100, 15.0
POD = KINDS["pods"]
IDLE_PROGRAMS = ("kube-controller-manager", "kube-scheduler", "kwok")
Result = dict[str, Any]


async def bench(size: int = SIZE) -> list[Result]:
    """All figures over `size` pods; seeding them takes most of the time."""
    build()
    home = cache_root() / "bench"
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="collector-", dir=home) as name:
        folder, results = Path(name), []
        with loaded(folder) as cluster:
            async with Connection(lab_target(cluster, direct=True)) as connection:
                results += await seed(connection, size)
                process, synced = await cold_syncs(connection, folder, cluster, size)
                results += synced
                try:
                    results += await drained(connection, cluster, process, min(EVENTS, size))
                    results += await changes(connection, process)
                finally:
                    process.stop()
                results += await asyncio.to_thread(many_watches, folder, cluster)
                with raised(folder / "console") as fleet:
                    results += await shown(connection, cluster, fleet, size)
    return results


# --- the API server ---


@contextmanager
def loaded(folder: Path) -> Iterator[LabCluster]:
    """A cluster whose controllers stand still: they would collect pods that no node runs, and take the cores."""
    lab = Lab(folder / "lab")
    cluster = lab.cluster("load").start()
    try:
        cluster.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        wait_for(lambda: cluster.client.items("ServiceAccount", NAMESPACE), "the default service account")
        with _stopped([cluster.state["pids"][program] for program in IDLE_PROGRAMS]):
            yield cluster
    finally:
        lab.down(purge=True)


@contextmanager
def _stopped(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def pod(number: int) -> dict[str, Any]:
    """A pod of the usual size, about 7 kB with what the API server adds."""
    env = [{"name": f"SETTING_{at}", "value": f"value-{at}-{'x' * 40}"} for at in range(20)]
    mounts = [{"name": f"data-{at}", "mountPath": f"/var/lib/data-{at}"} for at in range(6)]
    container = {
        "name": "main",
        "image": f"registry.test/team/app-{number % 20}:1.{number % 7}",
        "env": env,
        "volumeMounts": mounts,
        "ports": [{"containerPort": 8080, "name": "http"}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "livenessProbe": {"httpGet": {"path": "/livez", "port": "http"}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
    }
    labels = {"app": f"app-{number % 200}", "tier": f"tier-{number % 3}", "pod-template-hash": f"{number % 200:x}"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"app-{number:05}", "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "schedulerName": "nobody",
            "containers": [container],
            "volumes": [{"name": f"data-{at}", "emptyDir": {}} for at in range(6)],
        },
    }


async def each(numbers: range, work: Callable[[int], Awaitable[object]]) -> float:
    """Do something for each number over eight connections; returns the seconds it took."""
    left, began = iter(numbers), time.monotonic()

    async def one() -> None:
        for number in left:
            await work(number)

    await asyncio.gather(*(one() for _ in range(WRITERS)))
    return time.monotonic() - began


async def seed(connection: Connection, size: int) -> list[Result]:
    path, headers = POD.path_in(NAMESPACE), {"Content-Type": "application/json"}

    async def create(number: int) -> None:
        await connection.request("POST", path, body=orjson.dumps(pod(number)), headers=headers)

    seconds = await each(range(size), create)
    first = await connection.request("GET", POD.path_in(NAMESPACE, "app-00000"))
    return [
        {"metric": "pods made by the lab", "value": round(size / seconds), "unit": "1/s"},
        {"metric": "size of a pod", "value": len(first.body), "unit": "bytes"},
    ]


async def patch(connection: Connection, number: int, labels: dict[str, str]) -> str:
    """Label a pod; returns its new resourceVersion."""
    body = orjson.dumps({"metadata": {"labels": labels}})
    headers = {"Content-Type": "application/merge-patch+json"}
    path = POD.path_in(NAMESPACE, f"app-{number:05}")
    answer = await connection.request("PATCH", path, body=body, headers=headers)
    version: str = orjson.loads(answer.body)["metadata"]["resourceVersion"]
    return version


# --- what nothing can undercut ---


async def plain_list(connection: Connection) -> float:
    """Seconds that a paged list takes whose pages are read and parsed, and no more."""
    began, params = time.monotonic(), {"limit": "500"}
    while True:
        page = orjson.loads((await connection.request("GET", POD.path, params=params)).body)
        if not page["metadata"].get("continue"):
            return time.monotonic() - began
        params["continue"] = page["metadata"]["continue"]


async def bare_watch(connection: Connection, version: str, events: int) -> float:
    """Seconds from the first byte to the last of so many events, of a watch that counts lines."""
    params, count, began = {"watch": "1", "resourceVersion": version}, 0, 0.0
    async with aclosing(connection.stream(POD.path, params, silent=60)) as chunks:
        async for chunk in chunks:
            if chunk and not began:
                began = time.monotonic()
            count += chunk.count(b"\n")
            if count >= events:
                break
    return time.monotonic() - began


# --- the collector ---


async def cold_syncs(
    connection: Connection, folder: Path, cluster: LabCluster, size: int
) -> tuple[CollectorProcess, list[Result]]:
    """Connect fresh collectors, in turns with plain lists, and wait until each has everything; the last goes on."""
    listed: list[float] = []
    synced: list[tuple[float, float]] = []
    process = None
    for number in range(ROUNDS):
        if process is not None:
            process.stop()
        listed.append(await plain_list(connection))
        path = folder / f"cold-{number}" / "inventory.db"
        process = await asyncio.to_thread(cold_sync, path, cluster, size)
        synced.append((time.time() - process.connected_at, process.processor() - process.processor_before))
    assert process is not None
    highest = process.highest_memory()
    await asyncio.to_thread(rest, process)
    used = (process.memory() - process.memory_before) / size * 10_000
    seconds, spent = min(synced)
    return process, [
        {
            "metric": f"cold sync of {size} pods, connect to queryable, quietest of {ROUNDS}",
            "value": round(seconds, 2),
            "unit": "s",
            "budget": 2.0,
            "baseline": round(min(listed), 2),
            "baseline_is": "a paged list that is read and parsed, quietest of as many",
            "all": [round(one, 2) for one, _ in synced],
        },
        {"metric": "processor time of that sync", "value": round(spent, 2), "unit": "s"},
        {"metric": "memory per 10,000 pods, at rest", "value": round(used, 1), "unit": "MiB", "budget": 25},
        {"metric": "memory of the process at its highest", "value": round(highest, 1), "unit": "MiB"},
    ]


def cold_sync(path: Path, cluster: LabCluster, size: int) -> CollectorProcess:
    """Connect a fresh collector, and wait until its list has everything."""
    path.parent.mkdir()
    process = CollectorProcess.start(path, lab_target(cluster))
    process.connect()
    ready = "select 1 from source where kind = 'pods' and state = 'live'"
    wait_for(lambda: process.inventory.rows(ready), "the pods are live", 120, every=0.005)
    ((count,),) = process.inventory.rows("select count(*) from k_pods")
    assert count == size, f"{count} of {size} pods"
    return process


def rest(process: CollectorProcess) -> None:
    """Wait until all sources are live and the collector has given back what the first lists took."""
    wait_for(lambda: process.inventory.states() == {"live"}, "all sources are live")
    since = time.monotonic()
    wait_for(lambda: time.monotonic() - since > 2 * REST_SECONDS, "it rests", 10)


async def drained(connection: Connection, cluster: LabCluster, process: CollectorProcess, events: int) -> list[Result]:
    """How fast events are taken that have piled up: the way to the cluster is cut, pods are changed, it is healed."""
    cluster.cut()
    await until(lambda: process.inventory.sources()["pods"][0] == "away", 60)
    answer = await connection.request("GET", POD.path, params={"limit": "1"})
    version = orjson.loads(answer.body)["metadata"]["resourceVersion"]
    await each(range(events), lambda number: patch(connection, number, {"round": "drained"}))
    bare = await bare_watch(connection, version, events)
    spent = process.processor()
    done = "select count(*) from label where pair = (select id from label_pair where k = 'round' and v = 'drained')"
    cluster.heal()
    began = 0.0
    async with reading(process) as count:
        while (found := count(done)) < events:
            began = began or (time.monotonic() if found else 0.0)
            await asyncio.sleep(0.005)
    seconds = time.monotonic() - began
    spent = process.processor() - spent
    return [
        {
            "metric": "events per second of processor time",
            "value": round(events / spent),
            "unit": "1/s",
            "budget": 2000,
            "at_least": True,
            "baseline": round(events / bare),
            "baseline_is": "a bare watch that counts the lines of its socket, by the clock",
        },
        {
            "metric": f"backlog of {events} events written, by the clock",
            "value": round(events / seconds),
            "unit": "1/s",
        },
    ]


def many_watches(folder: Path, cluster: LabCluster) -> list[Result]:
    """The same API server as a hundred clusters: what a watch costs that has nothing to tell."""
    path = folder / "many" / "inventory.db"
    path.parent.mkdir()
    process = CollectorProcess.start(path, lab_target(cluster), copies=COPIES, kinds=tuple(QUIET_KINDS))
    try:
        process.connect()
        live = "select count(*) from source where state = 'live'"
        watches = COPIES * len(QUIET_KINDS)
        wait_for(lambda: process.inventory.rows(live) == [(watches,)], f"{watches} watches are live", 120, every=0.05)
        seconds = time.time() - process.connected_at
        since = time.monotonic()
        wait_for(lambda: time.monotonic() - since > 2 * REST_SECONDS, "it rests", 10)
        each = (process.memory() - process.memory_before) * 1024 / watches
        spent, since = process.processor(), time.time()
        wait_for(lambda: time.time() - since > RESTING_SECONDS, "a while", RESTING_SECONDS + 5)
        share = (process.processor() - spent) / (time.time() - since)
    finally:
        process.stop()
    return [
        {"metric": f"memory a watch, of {watches} quiet ones", "value": round(each, 1), "unit": "KiB", "budget": 100},
        {"metric": f"{watches} watches, connect to live", "value": round(seconds, 1), "unit": "s"},
        {
            "metric": f"{watches} watches and {COPIES} probes at rest",
            "value": round(share * 100, 1),
            "unit": "% of a core",
        },
    ]


@asynccontextmanager
async def reading(process: CollectorProcess) -> AsyncIterator[Callable[[str], int]]:
    """Numbers out of the collector's inventory over one open connection."""
    db = sqlite3.connect(f"file:{process.inventory.path}?mode=ro", uri=True, isolation_level=None)
    try:
        yield lambda statement: db.execute(statement).fetchone()[0]
    finally:
        db.close()


async def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for something that happens in another process."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 nothing here could tell
            await asyncio.sleep(0.0005)


async def changes(connection: Connection, process: CollectorProcess) -> list[Result]:
    """From a change that the API server acknowledged to the list that has it, with nothing else going on."""
    seen: dict[str, float] = {}
    watching = asyncio.create_task(_note_arrivals(connection, seen))
    written: list[float] = []
    bare: list[float] = []
    try:
        async with reading(process) as count:
            while not seen:
                await patch(connection, 0, {"warm": str(time.monotonic_ns())})
                await asyncio.sleep(0.05)
            for number in range(CHANGES):
                version = await patch(connection, number, {"round": f"change-{number}"})
                acknowledged = time.monotonic()
                row = f"select count(*) from k_pods where name = 'app-{number:05}' and resource_version = '{version}'"
                await until(lambda row=row: bool(count(row)), 10)  # type: ignore[misc]
                written.append(time.monotonic() - acknowledged)
                await until(lambda version=version: version in seen, 10)  # type: ignore[misc]
                bare.append(max(seen[version] - acknowledged, 0.0))
    finally:
        watching.cancel()
    return [
        {
            "metric": "change acknowledged to row written, p95",
            "value": milliseconds(p95(written)),
            "unit": "ms",
            "budget": 50,
            "baseline": milliseconds(p95(bare)),
            "baseline_is": "a bare watch that reads its socket",
        },
        {
            "metric": "change acknowledged to row written, median",
            "value": milliseconds(statistics.median(written)),
            "unit": "ms",
            "baseline": milliseconds(statistics.median(bare)),
        },
    ]


async def _note_arrivals(connection: Connection, seen: dict[str, float]) -> None:
    rest = b""
    async with aclosing(connection.stream(POD.path, {"watch": "1", "resourceVersion": "0"}, silent=60)) as chunks:
        async for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            at = time.monotonic()
            for line in whole:
                if (found := line.find(b'"resourceVersion":"')) >= 0:
                    seen[line[found + 19 : line.index(b'"', found + 19)].decode()] = at


async def shown(connection: Connection, cluster: LabCluster, fleet: Fleet, size: int) -> list[Result]:
    """From a change to the list over HTTP and to an open page, in a whole console over the same cluster."""
    fleet.register("load", cluster)
    await until(lambda: fleet.get("/pods", limit=1)["page"].get("count", {}).get("value") == size, 60)
    path = "/service/workloads/pods?sort=name&limit=50"
    opened: list[float] = []
    listed: list[float] = []
    async with Tab(fleet.url, path, await asyncio.to_thread(fleet.cookie)) as tab:
        await tab.until(lambda tab: len(tab.rows) == 50)
        for number in range(WATCHED):
            # A page shows when something changed by its columns: the image is one of a pod's few that may change.
            image = f"registry.test/changed:{time.monotonic_ns()}"
            body = orjson.dumps({"spec": {"containers": [{"name": "main", "image": image}]}})
            headers = {"Content-Type": "application/strategic-merge-patch+json"}
            where = POD.path_in(NAMESPACE, f"app-{number:05}")
            await connection.request("PATCH", where, body=body, headers=headers)
            acknowledged = time.monotonic()
            page = asyncio.create_task(_page_shows(tab, image))
            query = f"/pods?limit=50&sort=name&q={image.rpartition(':')[2]}"
            async with asyncio.timeout(10):
                while not (await asyncio.to_thread(fleet.get, query))["data"]:
                    pass
            listed.append(time.monotonic() - acknowledged)
            opened.append(await page - acknowledged)
    return [
        {
            "metric": "change acknowledged to list over HTTP, p95",
            "value": milliseconds(p95(listed)),
            "unit": "ms",
            "budget": 50,
        },
        {
            "metric": "change acknowledged to open page, p95",
            "value": milliseconds(p95(opened)),
            "unit": "ms",
            "budget": 1000,
        },
    ]


async def _page_shows(tab: Tab, image: str) -> float:
    await tab.until(lambda tab: any(image in str(row.get("images")) for row in tab.rows), 10)
    return time.monotonic()


def p95(samples: list[float]) -> float:
    """The value that 95 of 100 samples stay below."""
    return statistics.quantiles(samples, n=20)[-1]


def milliseconds(seconds: float) -> float:
    """Seconds as milliseconds, to a tenth."""
    return round(seconds * 1000, 1)
