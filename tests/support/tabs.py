"""Open tabs without a browser: clients that speak the portal's socket, and an inventory that a test writes."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import websockets

from gmcenter.inventory.store import Row, Store
from gmcenter.kube.kinds import KINDS
from tests.support.console import Console, running

BOOT = "reflex___state____state.hydrate_and_load"
PAGE_STATE = "kind_page"
Delta = dict[str, dict[str, Any]]


class Tab:
    """One tab with a page open. `page`, `patch`, `fresh` and `detail` are what the browser would hold."""

    def __init__(self, url: str, path: str, cookie: str) -> None:
        self.url, self.path, self.cookie = url, path, cookie
        self.token = str(uuid.uuid4())
        self.vars: dict[str, Any] = {}
        self.received = 0
        self.on_delta: Callable[[Delta, int], None] | None = None
        self._socket: websockets.ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    async def open(self) -> Tab:
        """Connect, and have the page loaded."""
        base = urlsplit(self.url)
        address = f"ws://{base.netloc}/_event/?EIO=4&transport=websocket&token={self.token}"
        self._socket = await websockets.connect(
            address, additional_headers={"Cookie": self.cookie}, origin=self.url, max_size=None, compression=None,
            ping_interval=None, open_timeout=60,
        )  # fmt: skip
        assert (await self._socket.recv())[:1] == "0"
        await self._socket.send("40/_event," + json.dumps({"event": self._event(BOOT)}))
        self._reader = asyncio.create_task(self._read())
        return self

    def _event(self, name: str, **payload: Any) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        router = {"pathname": path, "asPath": self.path, "query": dict(parse_qsl(query))}
        return {"name": name, "router_data": router, **({"payload": payload} if payload else {})}

    async def go(self, path: str) -> None:
        """Go to another address, as a link of the page would."""
        self.path = path
        name = "reflex___state____state.reflex___state____on_load_internal_state.on_load_internal"
        await self.send(name)

    async def send(self, name: str, **payload: Any) -> None:
        """Send an event."""
        assert self._socket is not None
        await self._socket.send("42/_event," + json.dumps(["event", self._event(name, **payload)]))

    async def _read(self) -> None:
        assert self._socket is not None
        async for message in self._socket:
            text = message if isinstance(message, str) else message.decode()
            if text == "2":
                await self._socket.send("3")
            elif text.startswith("42/_event,"):
                self.received += len(text)
                self._take(json.loads(text[10:]), len(text))

    def _take(self, packet: list[Any], size: int) -> None:
        if packet[0] != "event" or not isinstance(packet[1], dict):
            return
        delta: Delta = packet[1].get("delta") or {}
        for state, changes in delta.items():
            if state.endswith(PAGE_STATE):
                self.vars |= {name.removesuffix("_rx_state_"): value for name, value in changes.items()}
        if delta and self.on_delta is not None:
            self.on_delta(delta, size)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows that the browser would show."""
        page, patch = self.vars.get("page") or {}, self.vars.get("patch") or {}
        if not page:
            return []
        fits = patch.get("v") == page["v"]
        changed = patch.get("rows", {}) if fits else {}
        held = {row[0]: row for row in page["rows"]}
        order = patch.get("order") if fits and patch.get("order") is not None else list(held)
        return [dict(zip(page["cols"], changed.get(str(key)) or held[key], strict=True)) for key in order]

    async def until(self, condition: Callable[[Tab], Any], timeout: float = 30.0) -> None:
        """Wait until the page shows what is meant."""
        limit = time.monotonic() + timeout
        while not condition(self):
            assert self._reader is not None
            assert not self._reader.done() or self._reader.exception() is None, self._reader.exception()
            assert time.monotonic() < limit, f"it was not shown: {str(self.vars)[:500]}"
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Close the tab."""
        if self._reader is not None:
            self._reader.cancel()
        if self._socket is not None:
            await self._socket.close()
            self._socket.transport.abort()

    async def __aenter__(self) -> Tab:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


@dataclass
class Pod:
    """A pod as the collector would project it; `restart` is what tests change."""

    number: int
    namespace: str = "shop"
    status: str = "Running"
    state: str = "good"
    restart: int = 0
    version: int = 1

    @property
    def name(self) -> str:
        """Sorted by number."""
        return f"pod-{self.number:05d}"

    def row(self) -> Row:
        """The row of the inventory."""
        known = {
            "ready": "1/1",
            "phase": "Running",
            "restart": self.restart,
            "podIP": f"10.1.{self.number // 250 % 250}.{self.number % 250}",
            "node_name": f"worker-{self.number % 7}",
            "qosClass": "Burstable",
            "workload": "Deployment/web",
            "containers": ["web"],
            "images": ["gedge/web:1.4.2"],
        }
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "gedge/web:1.4.2"}]},
        }
        return Row(
            uid=f"uid-{self.namespace}-{self.number}",
            namespace=self.namespace,
            name=self.name,
            resource_version=str(self.version),
            created=1_700_000_000 + self.number,
            labels={"app": "web"},
            values=tuple(known.get(column.key) for column in KINDS["pods"].columns),
            status=self.status,
            state=self.state,
            body=json.dumps(body).encode(),
        )


@dataclass
class Fleet:
    """Clusters that exist only as the collector would have written them: for what is shown, not for what is watched."""

    data: Path
    names: Sequence[str] = ("edge-1", "edge-2", "cloud-1")
    silent: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        now = int(time.time())
        with sqlite3.connect(self.data / "system.db") as db:
            for number, name in enumerate(self.names, start=1):
                db.execute(
                    "insert into cluster (id, name, cluster_type, cloud_type, endpoint, tls_server_name, ca_pem, "
                    "credential_id, credential_kind, generation, created_by, created_at, updated_at) "
                    "values (?, ?, 'edge', '', 'https://192.0.2.1:6443', '', '', 1, 'token', 1, 'admin', ?, ?)",
                    (number, name, now, now),
                )
            db.execute("insert into fleet_version values (1, 1) on conflict (id) do update set value = value + 1")
        db.close()
        self.ids = {name: number for number, name in enumerate(self.names, start=1)}
        self.store = Store(f"sqlite:///{self.data / 'inventory.db'}")
        self.store.open()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.beat()
        self._thread = threading.Thread(target=self._beat_on, daemon=True)
        self._thread.start()

    def beat(self) -> None:
        """Say that every cluster which is not silent was heard of just now."""
        now = time.time()
        with self._lock:
            for name, number in self.ids.items():
                if name in self.silent:
                    self.store.set_cluster(number, name, state="away", error="tcp_timeout")
                    continue
                self.store.set_cluster(number, name, state="live", last_seen=now, version="v1.37.2")
                for kind in KINDS:
                    self.store.set_source(number, kind, state="live", as_of=now)

    def _beat_on(self) -> None:
        while not self._stop.wait(1.0):
            self.beat()

    def put(self, cluster: str, *pods: Pod) -> None:
        """Write pods, as a batch of watch events."""
        for pod in pods:
            pod.version += 1
        with self._lock:
            self.store.apply(self.ids[cluster], KINDS["pods"], [pod.row() for pod in pods])

    def remove(self, cluster: str, *pods: Pod) -> None:
        """Delete pods."""
        with self._lock:
            self.store.apply(self.ids[cluster], KINDS["pods"], [], [pod.row().uid for pod in pods])

    def close(self) -> None:
        """Stop writing."""
        self._stop.set()
        self._thread.join(5)
        self.store.close()


@dataclass
class Shown:
    """A console with a fleet behind it, and the pods in it."""

    console: Console
    fleet: Fleet
    pods: dict[str, list[Pod]]


STATUSES = (("Running", "good"), ("Pending", "warn"), ("CrashLoopBackOff", "bad"), ("Completed", "good"))


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A console that shows 360 pods of three clusters. Tests put back what they change."""
    with running(tmp_path_factory.mktemp("shown")) as console:
        console.gm("db", "upgrade")
        fleet = Fleet(console.data)
        pods = {}
        for name in fleet.names:
            pods[name] = [Pod(number, ("shop", "farm")[number % 2]) for number in range(120)]
            for pod in pods[name]:
                pod.status, pod.state = STATUSES[(pod.number % 16) // 5]
            fleet.put(name, *pods[name])
        try:
            console.start("web")
            yield Shown(console, fleet, pods)
        finally:
            fleet.close()
