"""A whole console under its supervisor (`gm up`: web, collect, work) over real clusters of the lab."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gmcenter.inventory.reader import Readers
from gmcenter.inventory.verify import Finding, verify
from tests.lab import LabCluster, wait_for
from tests.lab.processes import started
from tests.support.console import PASSWORDS, Console, free_port

API = "/gmcapi/v2"
KINDS = {
    "pods": "Pod",
    "nodes": "Node",
    "namespaces": "Namespace",
    "deployments": "Deployment",
    "services": "Service",
    "events": "Event",
}
PROBE_SECONDS = 2.0
"""Quicker than the usual 10 s, so that tests need not wait so long; nothing else about the console differs."""
AWAY_WITHIN = 20.0
SYNCED_WITHIN = 60.0
Row = dict[str, Any]


@dataclass
class Fleet(Console):
    """One installation, started as a user starts it, with the clusters that were registered in it."""

    clusters: dict[str, LabCluster] = field(default_factory=dict)
    token: str = field(default="", repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """The settings of the installation."""
        return Console.environment.fget(self) | {  # type: ignore[attr-defined,no-any-return]
            "GM_PROBE_SECONDS": str(PROBE_SECONDS),
            "GM_PROBE_TIMEOUT_SECONDS": str(PROBE_SECONDS),
        }

    # --- processes ---

    def up(self) -> None:
        """`gm up --detach`, and wait until it answers."""
        self.gm("up", "--data", str(self.data), "--port", str(self.port), "--detach", "-o", "json")
        self.wait_for_web()

    def down(self) -> None:
        """`gm down`: nothing is left afterwards."""
        self.gm("down", "--data", str(self.data))

    def run_state(self) -> dict[str, Any]:
        """What the supervisor wrote of itself."""
        try:
            found: dict[str, Any] = json.loads((self.data / "run.json").read_text())
        except (OSError, ValueError):
            return {}
        return found

    def pid(self, name: str) -> int:
        """The process of a program; 0 while there is none."""
        return int(self.run_state().get("programs", {}).get(name, {}).get("pid") or 0)

    def kill(self, *names: str) -> None:
        """kill -9, and wait until the supervisor has started the program again."""
        before = {name: self.pid(name) for name in names}
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)

        def back() -> bool:
            return all(self.pid(name) not in (0, pid) and started(self.pid(name)) for name, pid in before.items())

        wait_for(back, f"{', '.join(names)} started again", 40)

    def wait_for_web(self, within: float = 60) -> None:
        """Wait until the console is ready to serve."""

        def ready() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
            return False

        wait_for(ready, "the console answers", within)

    # --- REST ---

    def sign_in(self) -> None:
        """An access token for what follows."""
        answer = httpx.post(f"{self.url}{API}/auth", json={"id": "admin", "password": PASSWORDS["admin"]}, timeout=30)
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["accessToken"]
        self.client.headers["Authorization"] = f"Bearer {self.token}"

    @property
    def client(self) -> httpx.Client:
        """A client with the access token."""
        found: httpx.Client | None = self.__dict__.get("_client")
        if found is None:
            found = self.__dict__["_client"] = httpx.Client(base_url=self.url, timeout=30)
        return found

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request; a connection that had died with its server is opened anew."""
        try:
            return self.client.request(method, API + path, **options)
        except (httpx.RemoteProtocolError, httpx.ReadError):
            return self.client.request(method, API + path, **options)

    def get(self, path: str, **params: Any) -> Any:
        """The document of a GET that must succeed."""
        answer = self.ask("GET", path, params=params)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def rows(self, kind: str, **params: Any) -> list[Row]:
        """Every row of a list, page after page."""
        found: list[Row] = []
        cursor: dict[str, str] = {}
        while True:
            document = self.get(f"/{kind}", limit=500, **params, **cursor)
            found += document["data"]
            if not document["page"]["next"]:
                return found
            cursor = {"cursor": document["page"]["next"]}

    def names(self, kind: str, cluster: str) -> dict[str, str]:
        """Name by uid of what the console holds of a kind of a cluster."""
        rows = self.rows(kind, cluster=cluster)
        found = {row["uid"]: row["name"] for row in rows}
        assert len(found) == len(rows), "an object stands in the list twice"
        return found

    def register(self, name: str, cluster: LabCluster, *, direct: bool = False, **more: Any) -> None:
        """Register a cluster; `direct` goes around the proxy, so that chaos does not reach it."""
        text = cluster.kubeconfig(direct=direct).read_text()
        given = {"clusterName": name, "clusterType": "edge", "kubeconfig": text, "acceptWarnings": True, **more}
        answer = self.ask("POST", "/clusters", json=given)
        assert answer.status_code == 201, answer.text
        self.clusters[name] = cluster

    def state(self, name: str) -> str:
        """The state of a cluster as the list of clusters tells it."""
        views = {view["clusterName"]: view for view in self.get("/clusters")["data"]}
        return str(views[name]["state"]) if name in views else "absent"

    def source(self, kind: str, name: str) -> dict[str, Any]:
        """One source as the freshness of a list of all clusters tells it."""
        sources = self.get(f"/{kind}", limit=1)["freshness"]["sources"]
        return next(source for source in sources if source["cluster"] == name)

    def wait_state(self, name: str, state: str, within: float = AWAY_WITHIN) -> None:
        """Wait until a cluster and all of its sources are in a state."""

        def reached() -> bool:
            return self.state(name) == state and all(self.source(kind, name)["state"] == state for kind in KINDS)

        wait_for(reached, f"{name} is {state}", within, every=0.1)

    def wait_live(self, within: float = SYNCED_WITHIN) -> None:
        """Wait until every registered cluster is live."""
        for name in self.clusters:
            self.wait_state(name, "live", within)

    def unlike(self, name: str) -> dict[str, Any]:
        """Where the console differs from the API server's own list, by kind; empty when nowhere."""
        found = {}
        client = self.clusters[name].client
        for kind, title in KINDS.items():
            theirs = {item["metadata"]["uid"]: item["metadata"]["name"] for item in client.items(title)}
            ours = self.names(kind, name)
            if ours != theirs:
                found[kind] = {
                    "missing": sorted(set(theirs.items()) - set(ours.items())),
                    "too many": sorted(set(ours.items()) - set(theirs.items())),
                }
        return found

    def wait_equal(self, name: str, within: float = SYNCED_WITHIN) -> None:
        """Wait until rows and numbers of a cluster are those of the API server; workloads go on meanwhile."""
        wait_for(lambda: not self.unlike(name), f"{name} as its API server has it", within, every=0.3)
        assert self.disagreements() == []

    def disagreements(self) -> list[Finding]:
        """Where the inventory disagrees with itself: counters, words, labels, bodies."""
        readers = Readers(f"sqlite:///{self.data / 'inventory.db'}", threads=1)
        try:
            return readers.run_now(lambda db: verify(db, readers.schema))
        finally:
            readers.close()

    # --- measuring ---

    def list_milliseconds(self, name: str, times: int = 40) -> float:
        """Median time of a page of pods of one cluster."""
        return statistics.median(
            timed(lambda: self.get("/pods", cluster=name, limit=50, sort="-creationTimestamp")) for _ in range(times)
        )

    def change_milliseconds(self, name: str, times: int = 12) -> float:
        """Median time from a change that the API server acknowledged to the list that shows it."""
        client = self.clusters[name].client
        namespace = "change-" + name
        client.create({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": namespace}})
        found = []
        for number in range(times):
            value = f"{number}-{time.monotonic_ns()}"
            client.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"probe": value}}})
            selector = f"probe={value}"
            found.append(
                timed(
                    lambda selector=selector: wait_for(  # type: ignore[misc]
                        lambda: self.get("/namespaces", cluster=name, labelSelector=selector, limit=1)["data"],
                        "the change is in the list",
                        10,
                        every=0.001,
                    )
                )
            )
        return statistics.median(found)


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds that a call takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


@contextlib.contextmanager
def raised(data: Path) -> Iterator[Fleet]:
    """A console under its supervisor, with an administrator and a Service Admin and no clusters."""
    fleet = Fleet(data, free_port())
    for user, role in (("admin", "PA"), ("service", "SA")):
        fleet.gm("user", "add", user, "--role", role, "--password-stdin", typed=PASSWORDS[user] + "\n")
    try:
        fleet.up()
        fleet.sign_in()
        yield fleet
    finally:
        fleet.client.close()
        fleet.down()


@pytest.fixture(scope="session")
def whole_fleet(tmp_path_factory: pytest.TempPathFactory, lab_clusters: list[LabCluster]) -> Iterator[Fleet]:
    """A console over `one` and `two`, whose roads can be cut, and over `steady`, whose road cannot."""
    with raised(tmp_path_factory.mktemp("fleet")) as fleet:
        one, two = lab_clusters
        fleet.register("one", one)
        fleet.register("two", two)
        fleet.register("steady", two, direct=True)
        fleet.wait_live()
        yield fleet


@pytest.fixture
def fleet(whole_fleet: Fleet) -> Iterator[Fleet]:
    """The fleet in good health, before a test and after it."""
    whole_fleet.sign_in()
    yield whole_fleet
    for cluster in whole_fleet.clusters.values():
        cluster.heal()
    if not whole_fleet.run_state():
        whole_fleet.up()
    whole_fleet.wait_for_web()
    whole_fleet.sign_in()
    whole_fleet.wait_live()
