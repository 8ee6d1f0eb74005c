"""Collectors for tests: a directory of lab clusters, and a collector as a process of its own whose cost can be told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from gmcenter.core.settings import Settings, configure
from gmcenter.fleet import ClusterRef
from gmcenter.inventory.collector import Collector, prepare
from gmcenter.inventory.store import Store
from gmcenter.kube.connection import Connection
from gmcenter.kube.kinds import KINDS, Kind
from gmcenter.kube.objects import Item
from gmcenter.kube.status import UNKNOWN
from gmcenter.kube.target import Target
from tests.lab.cluster import LabCluster

ROOT = Path(__file__).resolve().parents[2]


def _quiet_kind(path: str, name: str) -> Kind:
    group, version, plural = path.split("/")
    return Kind(
        plural, name, Item, columns=(), status=lambda _: UNKNOWN, layout=("name",), tabs=(), menu="", icon="",
        group=group, version=version,
    )  # fmt: skip


QUIET_KINDS = {
    kind.plural: kind
    for kind in (
        _quiet_kind("/v1/podtemplates", "PodTemplate"),
        _quiet_kind("/v1/limitranges", "LimitRange"),
        _quiet_kind("/v1/resourcequotas", "ResourceQuota"),
        _quiet_kind("/v1/replicationcontrollers", "ReplicationController"),
        _quiet_kind("/v1/persistentvolumes", "PersistentVolume"),
        _quiet_kind("/v1/persistentvolumeclaims", "PersistentVolumeClaim"),
        _quiet_kind("apps/v1/daemonsets", "DaemonSet"),
        _quiet_kind("apps/v1/statefulsets", "StatefulSet"),
        _quiet_kind("apps/v1/replicasets", "ReplicaSet"),
        _quiet_kind("batch/v1/jobs", "Job"),
        _quiet_kind("batch/v1/cronjobs", "CronJob"),
        _quiet_kind("networking.k8s.io/v1/ingresses", "Ingress"),
        _quiet_kind("networking.k8s.io/v1/networkpolicies", "NetworkPolicy"),
        _quiet_kind("policy/v1/poddisruptionbudgets", "PodDisruptionBudget"),
        _quiet_kind("autoscaling/v2/horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    )
}
"""Fifteen kinds of which the lab has few objects: what is watched when it is the watches that cost."""


@dataclass
class LabDirectory:
    """A directory of clusters that a test fills; `dialled` counts the connections that were made."""

    targets: dict[int, Target] = field(default_factory=dict)
    refs: dict[int, ClusterRef] = field(default_factory=dict)
    number: int = 1
    dialled: int = 0

    def put(self, cluster_id: int, name: str, target: Target | None, **more: Any) -> None:
        """Add a cluster, or change the way to it; without a target it is still being built."""
        before = self.refs.get(cluster_id)
        generation = before.generation + 1 if before else 1
        endpoint = target.endpoint if target else ""
        given = {"credential_id": 1, **more} if target else {"building": {"percent": 10}, **more}
        ref = ClusterRef(cluster_id, name, "edge", endpoint, target.ca_pem if target else "", generation)
        self.refs[cluster_id] = replace(ref, **given)
        if target:
            self.targets[cluster_id] = target
        self.number += 1

    def lab(self, cluster_id: int, name: str, cluster: LabCluster, user: str = "admin") -> None:
        """Add a lab cluster, reached through its proxy."""
        self.put(cluster_id, name, lab_target(cluster, user))

    def drop(self, cluster_id: int) -> None:
        """Take a cluster out of the fleet."""
        del self.refs[cluster_id]
        self.number += 1

    async def clusters(self) -> list[ClusterRef]:
        """All clusters."""
        return list(self.refs.values())

    async def dial(self, where: ClusterRef) -> Connection:
        """A connection to one of them."""
        self.dialled += 1
        return Connection(self.targets[where.id], cluster=where.name)

    async def version(self) -> int:
        """How often the fleet was changed."""
        return self.number


def lab_target(cluster: LabCluster, user: str = "admin", *, direct: bool = False) -> Target:
    """The way to a lab cluster with a user's token; `direct` goes around the proxy."""
    return Target(cluster.direct_url if direct else cluster.url, cluster.ca_pem, token=cluster.token(user))


@dataclass
class Inventory:
    """What a collector has written, read from its file as another process would."""

    path: Path

    def rows(self, statement: str, *parameters: Any) -> list[Any]:
        """All rows of a query."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=5)) as db:
            return db.execute(statement, parameters).fetchall()

    def versions(self, plural: str, cluster_id: int = 1) -> dict[str, str]:
        """resourceVersion by uid of a cluster's objects."""
        return dict(self.rows(f"select uid, resource_version from k_{plural} where cluster = ?", cluster_id))

    def sources(self, cluster_id: int = 1) -> dict[str, tuple[str, float | None, str | None]]:
        """State, asOf and error by kind."""
        found = self.rows("select kind, state, as_of, error from source where cluster = ?", cluster_id)
        return {kind: (state, as_of, error) for kind, state, as_of, error in found}

    def states(self, cluster_id: int = 1) -> set[str]:
        """The states that the cluster's sources are in."""
        return {state for state, _, _ in self.sources(cluster_id).values()}

    def cluster(self, cluster_id: int = 1) -> dict[str, Any]:
        """The cluster's health; empty when nothing is known of it."""
        columns = ("name", "state", "last_seen", "version", "latency_ms", "certificate_not_after", "error", "detail")
        found = self.rows(f"select {', '.join(columns)} from cluster where id = ?", cluster_id)
        return dict(zip(columns, found[0], strict=True)) if found else {}


@asynccontextmanager
async def collecting(
    folder: Path, directory: LabDirectory, kinds: Sequence[Kind] = tuple(KINDS.values()), **settings: Any
) -> AsyncIterator[Inventory]:
    """A collector over a directory; `settings` are those of the installation (probe_seconds, silent_seconds, …)."""
    path = folder / "inventory.db"
    configure(Settings(data=folder, **settings))
    stop = asyncio.Event()
    task = asyncio.create_task(Collector(directory, Store(f"sqlite:///{path}"), kinds).run(stop))
    try:
        while not path.exists() and not task.done():  # noqa: ASYNC110 the thread that writes makes it
            await asyncio.sleep(0.01)
        yield Inventory(path)
        assert not task.done(), task
    finally:
        stop.set()
        await task
        configure(None)


@dataclass
class CollectorProcess:
    """A collector in a process of its own, over one cluster with the id 1."""

    process: subprocess.Popen[str]
    inventory: Inventory
    memory_before: float = 0.0
    processor_before: float = 0.0
    connected_at: float = 0.0

    @classmethod
    def start(
        cls, path: Path, target: Target, *, copies: int = 1, kinds: Sequence[str] = tuple(KINDS)
    ) -> CollectorProcess:
        """Start the process up to the moment before it connects; the cluster stands `copies` times in its fleet."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.collecting"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        assert process.stdout
        given = {
            "path": str(path),
            "endpoint": target.endpoint,
            "ca_pem": target.ca_pem,
            "token": target.token,
            "copies": copies,
            "kinds": list(kinds),
        }
        process.stdin.write(json.dumps(given) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n", "the collector did not start"
        made = cls(process, Inventory(path))
        made.memory_before, made.processor_before = made.memory(), made.processor()
        return made

    def connect(self) -> None:
        """Let it collect."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.connected_at = float(self.process.stdout.readline())

    def memory(self) -> float:
        """MiB of memory that nobody else uses."""
        return float(psutil.Process(self.process.pid).memory_full_info().uss) / 2**20

    def highest_memory(self) -> float:
        """MiB that the process has held at most, what it shares with others included."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

    def processor(self) -> float:
        """Seconds of processor time since the start."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)


async def _main() -> None:
    given = json.loads(sys.stdin.readline())
    directory = LabDirectory()
    for number in range(1, given["copies"] + 1):
        directory.put(number, f"load-{number}", Target(given["endpoint"], given["ca_pem"], token=given["token"]))
    path = Path(given["path"])
    configure(Settings(data=path.parent))
    prepare()
    kinds = {plural: KINDS.get(plural) or QUIET_KINDS[plural] for plural in given["kinds"]}
    store = Store(f"sqlite:///{path}", kinds)
    store.open()
    store.close()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(time.time(), flush=True)
    await Collector(directory, store, list(kinds.values())).run(stop)


if __name__ == "__main__":
    asyncio.run(_main())
