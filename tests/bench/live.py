"""Open pages: how soon a change is on the screen, and what it costs to keep many of them live.

The web process is the real one, over an inventory that this bench writes as the collector would. The viewers are
WebSocket clients that speak the portal's socket and hold a page of fifty pods each. The baseline is what no UI could
undercut: a plain WebSocket server that sends the same bytes to as many clients.

The dispatcher alone is measured in this process, because only a scope of namespaces of their own gives a hundred
viewers a hundred different lists, and such scopes come with tenancy: real feed, real lists, a hundred scopes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import websockets

from tests.support.console import Console, running
from tests.support.tabs import Delta, Fleet, Pod, Tab

CLIENTS = 300
ROUNDS = 20
PODS = 3_000
SCOPES = 100
SCOPE_SECONDS = 15.0
CHANGES_A_SECOND = 500
ADDRESS = "/service/workloads/pods?sort=name&limit=50"


async def bench(clients: int = CLIENTS) -> list[dict[str, Any]]:
    """Run it all; see the module."""
    with tempfile.TemporaryDirectory(prefix="gm-live-") as folder, running(Path(folder)) as console:
        console.gm("db", "upgrade")
        fleet = Fleet(console.data)
        try:
            console.start("web")
            viewed = await _view(console, fleet, clients)
        finally:
            fleet.close()
    raw = await _raw(clients, viewed.push_bytes)
    scopes = await asyncio.to_thread(_scopes)
    share, raw_share = viewed.share - viewed.idle_share, raw.share
    same = {"baseline_is": "a plain WebSocket server sending the same bytes to as many clients"}
    return [
        {
            "metric": f"change written to shown on {clients} open pages, p95",
            "value": round(viewed.p95 * 1000, 1),
            "unit": "ms",
            "budget": 1000,
            "baseline": round(raw.p95 * 1000, 1),
            **same,
        },
        {
            "metric": "change written to shown, median",
            "value": round(viewed.p50 * 1000, 1),
            "unit": "ms",
            "baseline": round(raw.p50 * 1000, 1),
            **same,
        },
        {
            "metric": f"web process, {clients} viewers, one change a second",
            "value": round(viewed.share * 100, 1),
            "unit": "% of a core",
            "baseline": round(raw_share * 100, 1),
            **same,
        },
        {
            "metric": f"web process, {clients} viewers, no change",
            "value": round(viewed.idle_share * 100, 1),
            "unit": "% of a core",
        },
        {
            "metric": "State viewers per core at one change a second",
            "value": round(clients / max(viewed.share, 0.001)),
            "unit": "viewers",
            "budget": 300,
            "at_least": True,
            "baseline": round(clients / max(raw_share, 0.001)),
            **same,
        },
        {
            "metric": "CPU of one push",
            "value": round(share / clients * 1000, 3),
            "unit": "ms",
            "baseline": round(raw_share / clients * 1000, 3),
            **same,
        },
        {
            "metric": "bytes over the socket for one changed row",
            "value": viewed.least_bytes,
            "unit": "B",
            "budget": 2000,
            "baseline": viewed.page_bytes,
            "baseline_is": "the whole page of 50 rows",
        },
        {
            "metric": "bytes over the socket, median while ten rows of the page change in turn",
            "value": viewed.push_bytes,
            "unit": "B",
            "baseline": viewed.page_bytes,
            "baseline_is": "the whole page of 50 rows",
        },
        {"metric": "page opened to rows, p95 of all opening at once", "value": viewed.open_p95, "unit": "s"},
        {"metric": "memory of the web process per viewer", "value": viewed.memory_kib, "unit": "KiB"},
        {
            "metric": "all tabs closed until nothing is looked at",
            "value": viewed.freed_seconds,
            "unit": "s",
            "budget": 5,
        },
        *scopes,
    ]


# --- viewers of the real web process ---------------------------------------------------------------------------------


@dataclass
class Viewed:
    """What was measured with viewers."""

    p50: float = 0.0
    p95: float = 0.0
    share: float = 0.0
    idle_share: float = 0.0
    page_bytes: int = 0
    push_bytes: int = 0
    least_bytes: int = 0
    open_p95: float = 0.0
    memory_kib: int = 0
    freed_seconds: float = 0.0


@dataclass
class Arrivals:
    """When a marked change came to each viewer."""

    mark: int = 0
    begun: float = 0.0
    took: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def hear(self, delta: Delta, size: int) -> None:
        """Called with every delta that any viewer receives."""
        for changes in delta.values():
            for name, patch in changes.items():
                if name.startswith("patch") and self._has_mark(patch):
                    self.took.append(time.perf_counter() - self.begun)
                    self.sizes.append(size)

    def _has_mark(self, patch: Any) -> bool:
        return any(self.mark in row for row in (patch.get("rows") or {}).values())


async def _view(console: Console, fleet: Fleet, clients: int) -> Viewed:
    pods = {name: [Pod(n) for n in range(PODS // len(fleet.names))] for name in fleet.names}
    for name, own in pods.items():
        fleet.put(name, *own)
    process = _worker(console.processes["web"].pid)
    cookie = await asyncio.to_thread(console.cookie)
    made, arrivals = Viewed(), Arrivals()
    first = await Tab(console.url, ADDRESS, cookie).open()  # what is loaded once does not count
    await first.until(lambda tab: len(tab.rows) == 50)
    made.page_bytes = len(json.dumps(first.vars["page"], ensure_ascii=False, separators=(",", ":")).encode())
    memory = process.memory_info().rss
    tabs = [Tab(console.url, ADDRESS, cookie) for _ in range(clients)]
    opened: list[float] = []
    try:
        for at in range(0, clients, 50):
            begun = time.perf_counter()
            await asyncio.gather(*(tab.open() for tab in tabs[at : at + 50]))
            for tab in tabs[at : at + 50]:
                await tab.until(lambda tab: len(tab.rows) == 50, 120)
                opened.append(time.perf_counter() - begun)
        made.open_p95 = round(_p95(opened), 2)
        made.memory_kib = round((process.memory_info().rss - memory) / 1024 / clients)
        for tab in tabs:
            tab.on_delta = arrivals.hear
        made.idle_share = await _share(process, 10.0)
        made.share = await _change(process, fleet, pods[fleet.names[0]], arrivals, clients)
        made.p50, made.p95 = statistics.median(arrivals.took), _p95(arrivals.took)
        made.push_bytes, made.least_bytes = round(statistics.median(arrivals.sizes)), min(arrivals.sizes)
    finally:
        begun = time.perf_counter()
        await asyncio.gather(*(tab.close() for tab in [*tabs, first]))
    await _until_free(console)
    made.freed_seconds = round(time.perf_counter() - begun, 2)
    return made


async def _change(
    process: psutil.Process, fleet: Fleet, pods: Sequence[Pod], arrivals: Arrivals, clients: int
) -> float:
    """One change a second, of a row that everyone shows; returns the share of a core that the web process took."""
    began, before = time.perf_counter(), _cpu(process)
    for number in range(ROUNDS):
        heard = len(arrivals.took)
        pod = pods[number % 10]
        pod.restart = arrivals.mark = 7_000_000 + number
        arrivals.begun = time.perf_counter()
        await asyncio.to_thread(fleet.put, fleet.names[0], pod)
        limit = time.monotonic() + 20
        while len(arrivals.took) < heard + clients:
            assert time.monotonic() < limit, f"{len(arrivals.took) - heard} of {clients} pages showed the change"
            await asyncio.sleep(0.01)
        await asyncio.sleep(max(0.0, began + number + 1 - time.perf_counter()))
    return (_cpu(process) - before) / (time.perf_counter() - began)


async def _until_free(console: Console) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(600):
            text = (await client.get(f"{console.url}/metrics")).text
            if "\ngm_live_readers 0.0" in text and "\ngm_live_channels 0.0" in text:
                return
            await asyncio.sleep(0.1)
    raise AssertionError("closed tabs are still looked at")


def _worker(pid: int) -> psutil.Process:
    """The process that serves: the server's child where it has one."""
    parent = psutil.Process(pid)
    children = parent.children(recursive=True)
    return max([parent, *children], key=lambda p: p.memory_info().rss)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def _share(process: psutil.Process, seconds: float) -> float:
    began, before = time.perf_counter(), _cpu(process)
    await asyncio.sleep(seconds)
    return (_cpu(process) - before) / (time.perf_counter() - began)


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[max(0, int(len(values) * 0.95) - 1)]


# --- the baseline ----------------------------------------------------------------------------------------------------


@dataclass
class Raw:
    """What a plain WebSocket server does with the same load."""

    p50: float
    p95: float
    share: float


def _serve_raw(port: int, size: int) -> None:
    """A server that sends `size` bytes to everyone once a second; the message begins with the time."""

    async def main() -> None:
        everyone: set[websockets.ServerConnection] = set()

        async def handler(connection: websockets.ServerConnection) -> None:
            everyone.add(connection)
            with contextlib.suppress(websockets.ConnectionClosed):
                await connection.wait_closed()
            everyone.discard(connection)

        async with websockets.serve(handler, "127.0.0.1", port, compression=None):
            while True:
                await asyncio.sleep(1)
                websockets.broadcast(everyone, f"{time.time():.6f}".ljust(size))

    asyncio.run(main())


async def _raw(clients: int, size: int) -> Raw:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = multiprocessing.get_context("spawn").Process(target=_serve_raw, args=(port, size), daemon=True)
    server.start()
    took: list[float] = []

    async def listen(connection: websockets.ClientConnection) -> None:
        async for message in connection:
            took.append(time.time() - float(str(message)))

    try:
        async with _connected(port, clients) as connections:
            tasks = [asyncio.create_task(listen(connection)) for connection in connections]
            await asyncio.sleep(2)
            took.clear()
            share = await _share(psutil.Process(server.pid), 8.0)
            for task in tasks:
                task.cancel()
    finally:
        server.terminate()
        server.join(5)
    return Raw(statistics.median(took), _p95(took), share)


@contextlib.asynccontextmanager
async def _connected(port: int, clients: int) -> AsyncIterator[list[websockets.ClientConnection]]:
    connections: list[websockets.ClientConnection] = []
    limit = time.monotonic() + 30
    while len(connections) < clients:
        try:
            connections.append(await websockets.connect(f"ws://127.0.0.1:{port}", compression=None, ping_interval=None))
        except OSError:
            assert time.monotonic() < limit, "the baseline's server does not answer"
            await asyncio.sleep(0.1)
    try:
        yield connections
    finally:
        await asyncio.gather(*(connection.close() for connection in connections))


# --- a hundred scopes ------------------------------------------------------------------------------------------------


def _write(data: str, stop: Any, ready: Any) -> None:
    """Change pods of a hundred namespaces, five hundred a second, as the collector would."""
    fleet = Fleet(Path(data))
    pods = [[Pod(n, f"team-{s:03d}") for n in range(60)] for s in range(SCOPES)]
    fleet.put(fleet.names[0], *(pod for own in pods for pod in own))
    ready.set()
    began, done = time.monotonic(), 0
    while not stop.is_set():
        wanted = int((time.monotonic() - began) * CHANGES_A_SECOND)
        batch = []
        for number in range(done, wanted):
            pod = pods[number % SCOPES][number // SCOPES % 40]
            pod.restart = int(time.time() * 1000)
            batch.append(pod)
        if batch:
            fleet.put(fleet.names[0], *batch)
        done = wanted
        time.sleep(0.02)
    fleet.close()


def _scopes() -> list[dict[str, Any]]:
    """In a process of its own, which the dispatcher has to itself."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=_run_scopes, args=(answer,))
    process.start()
    found: dict[str, Any] = answer.get(timeout=180)
    process.join(20)
    if "error" in found:
        raise RuntimeError(found["error"])
    return [
        {
            "metric": f"dispatcher, {SCOPES} scopes, {CHANGES_A_SECOND} changes/s",
            "value": round(found["share"] * 100, 1),
            "unit": "% of a core",
            "budget": 50,
        },
        {
            "metric": f"oldest page, {SCOPES} scopes, {CHANGES_A_SECOND} changes/s, p95",
            "value": round(found["age"], 2),
            "unit": "s",
            "budget": 2,
        },
        {"metric": "pushes a second, all scopes", "value": round(found["pushes"], 1), "unit": "1/s"},
    ]


class _Screens:
    """Stands in for the sockets: notes how old each page was when it was brought up to date."""

    def __init__(self) -> None:
        self.ages: list[float] = []
        self.shown: dict[str, float] = {}
        self.pushes = 0

    def connected(self, token: str) -> bool:
        return True

    def clogged(self, token: str) -> bool:
        return False

    async def push(self, token: str, readers: Sequence[Any]) -> Sequence[Any]:
        now = time.time()
        for reader in readers:
            if reader.take():
                self.pushes += 1
                if token in self.shown:
                    # Each scope changes five times a second: a page is as old as its last push.
                    self.ages.append(now - self.shown[token])
                self.shown[token] = now
        return ()

    async def sweep(self) -> None:
        pass


def _run_scopes(answer: Any) -> None:
    with tempfile.TemporaryDirectory(prefix="gm-scopes-") as folder:
        os.environ.update(GM_DATA=folder, GM_ALLOW_LOOPBACK="1", GM_LOG_LEVEL="warning")
        Console(Path(folder), 1).gm("db", "upgrade")
        context = multiprocessing.get_context("spawn")
        stop, ready = context.Event(), context.Event()
        writer = context.Process(target=_write, args=(folder, stop, ready), daemon=True)
        writer.start()
        try:
            assert ready.wait(60), "the writer did not start"
            answer.put(asyncio.run(_dispatch_scopes()))
        except BaseException as error:
            answer.put({"error": repr(error)})
            raise
        finally:
            stop.set()
            writer.join(10)


async def _dispatch_scopes() -> dict[str, float]:
    from gmcenter.identity.actor import Actor
    from gmcenter.identity.scope import Scope
    from gmcenter.inventory import service
    from gmcenter.inventory.reader import readers
    from gmtool.live.dispatcher import Dispatcher
    from gmtool.live.topics import ListTopic

    found = await readers().run(lambda db: dict(db.rows("select name, id from namespace")))
    actors = [Actor(number, f"user-{number}", "SA", f"session-{number}", None) for number in range(SCOPES)]
    scopes = {actor.user_id: Scope(False, frozenset({found[f"team-{actor.user_id:03d}"]}), 1) for actor in actors}

    async def scope_of(actor: Actor) -> Scope:
        return scopes[actor.user_id]

    async def scope_version() -> int:
        return 1

    screens = _Screens()
    dispatcher = Dispatcher(service.Feed(), screens, scope_of=scope_of, scope_version=scope_version)
    await dispatcher.mark()
    for actor in actors:
        topic = ListTopic(scopes[actor.user_id], service.ListQuery("pods", sort="name", limit=50))
        await dispatcher.look(f"tab-{actor.user_id}", "list", "/pods", object, actor, topic)
    task = asyncio.create_task(dispatcher.run())
    await asyncio.sleep(3)
    screens.ages.clear()
    pushes, process = screens.pushes, psutil.Process()
    began, before = time.perf_counter(), _cpu(process)
    await asyncio.sleep(SCOPE_SECONDS)
    took = time.perf_counter() - began
    share = (_cpu(process) - before) / took
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return {"share": share, "age": _p95(screens.ages), "pushes": (screens.pushes - pushes) / took}


if __name__ == "__main__":
    results = asyncio.run(bench(int(sys.argv[1]) if len(sys.argv) > 1 else CLIENTS))
    print(json.dumps(results, indent=1))
