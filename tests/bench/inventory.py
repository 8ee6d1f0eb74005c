"""The inventory: 100,000 pods over 20 clusters, listed, searched, counted and changed.

Lists are asked of the real web process over HTTP, one request after another on one connection, and once more in this
process to show what of it is the inventory's. The baseline of a list is a plain Python list of the same rows, filtered
and sorted for each request; that of a write is a plain table of bodies without any index. The writer runs in a process
of its own, so that its memory and processor time are its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import itertools
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import orjson
import psutil

from gmcenter.core import vault
from gmcenter.core.settings import Settings, configure
from gmcenter.identity.scope import EVERYTHING, Scope
from gmcenter.inventory import freshness, reader, service
from gmcenter.inventory.service import ListQuery
from gmcenter.inventory.store import Row, Store
from gmcenter.kube.kinds import KINDS
from tests.support.console import PASSWORDS, Console, running

POD = KINDS["pods"]
NAMESPACES = 100
PAGE_MS, FILTER_MS, EVENTS_PER_CORE, MEMORY_MB, COLD_SECONDS = 10.0, 50.0, 2000, 25.0, 1.0
SCOPES, CHANGES_PER_SECOND, ROUND_CPU_SECONDS = 100, 500, 1.0
SEARCHES = ("crashloop", "ledger", "abac", "web-1", "team-11", "edge-03", "billing running", "node-007", "zzzz", "a")
SELECTORS = (
    "env=prod",
    "team=team-11",
    "app.kubernetes.io/name=cart,tier=mid",
    "tier in (front,mid)",
    "env!=prod",
    "!none",
)
APPS = (
    "api web cache auth billing search cart ledger abacus worker gateway cabinet queue mailer report db".split()  # noqa: SIM905
)


# --- rows ---


def digest(value: object, length: int) -> str:
    """Letters that look random and are the same each time."""
    return hashlib.sha1(str(value).encode()).hexdigest()[:length]


def pod(number: int, version: int = 1) -> Row:
    """A pod as the collector projects it, with a body of some 3.5 kB."""
    app, failing, template = APPS[number % 16], number % 50 == 0, digest(number // 30, 10)
    name, namespace, address = f"{app}-{template}-{digest(number, 5)}", f"ns-{number % NAMESPACES:03d}", number % 250
    labels = {
        "app.kubernetes.io/name": app,
        "app.kubernetes.io/instance": f"{app}-{number % 7}",
        "app.kubernetes.io/part-of": "shop",
        "tier": ("front", "mid", "back")[number % 3],
        "env": ("prod", "stage", "dev")[number % 5 % 3],
        "pod-template-hash": template,
        "team": f"team-{number % 23:02d}",
    }
    values = {
        "ready": "0/1" if failing else "1/1",
        "phase": "Running",
        "restart": (number + version) % 90 if failing else version % 7 if version > 1 else 0,
        "lastRestart": 1_700_000_000 + number if failing else None,
        "podIP": f"10.{number % 200}.{number // 250 % 256}.{address}",
        "hostIP": f"192.168.0.{address}",
        "node_name": f"node-{number % 400:03d}",
        "qosClass": "Burstable",
        "workload": f"Deployment/{app}",
        "owner": f"ReplicaSet/{app}-{template}",
        "containers": ["app"],
        "images": [f"registry.example/{app}:1.{number % 40}.0"],
    }
    return Row(
        uid=f"{digest(number, 8)}-0000-4000-8000-{number:012d}",
        namespace=namespace,
        name=name,
        resource_version=str(1_000_000 * version + number),
        created=1_700_000_000 + number * 7919 % 10_000_000,
        labels=labels,
        values=tuple(values.get(column.key) for column in POD.columns),
        status="CrashLoopBackOff" if failing else "Running",
        state="bad" if failing else "good",
        body=_body(number, name, namespace, labels),
    )


def _body(number: int, name: str, namespace: str, labels: dict[str, str]) -> bytes:
    env = [{"name": f"APP_SETTING_{at}", "value": f"value-{at}-{digest(number * 31 + at, 12)}"} for at in range(24)]
    kinds = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    told = [{"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"} for kind in kinds]
    container = {"name": "app", "image": f"registry.example/app:{digest(number, 12)}", "env": env}
    container |= {"resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "500m"}}}
    running = {"name": "app", "ready": True, "imageID": digest(number, 40), "containerID": digest(-number, 40)}
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": {"checksum": digest(number, 40)}}
    metadata["managed"] = [digest(number + at, 40) for at in range(20)]  # what a body has that compresses badly
    return orjson.dumps(
        {"metadata": metadata, "spec": {"containers": [container]}, "status": {"conditions": told, "all": [running]}}
    )


# --- the writer's process ---


def write(url: str, rows: int, clusters: int) -> dict[str, float]:
    """Fill an inventory and change it; what that took."""
    store = Store(url)
    store.open()
    process = psutil.Process()
    for cluster in range(1, clusters + 1):
        store.set_cluster(cluster, f"edge-{cluster:02d}", state="live", last_seen=time.time() + 86_400)
    store.apply(1, POD, [pod(number) for number in range(0, 500 * clusters, clusters)])
    before = process.memory_info().rss
    began = time.perf_counter()
    for cluster in range(1, clusters + 1):
        generation = store.begin_relist(cluster, POD)
        mine = range(cluster - 1, rows, clusters)
        for start in range(0, len(mine), 500):
            store.apply(cluster, POD, [pod(number) for number in mine[start : start + 500]], generation=generation)
        store.end_relist(cluster, POD, generation)
        for plural in KINDS:
            store.set_source(cluster, plural, state="live", as_of=time.time())
    found = {"fill": time.perf_counter() - began, "grown": float(process.memory_info().rss - before)}
    found |= _change(store, rows, clusters)
    store.close()
    return found


def _change(store: Store, rows: int, clusters: int) -> dict[str, float]:
    found = {}
    for size, count in ((1, 2000), (50, 10_000)):
        chooser = random.Random(size)
        # The events of one watch: they belong to one cluster.
        chosen = [chooser.randrange(rows // clusters) * clusters for _ in range(count)]
        changes = [pod(number, version=size + 1 + at) for at, number in enumerate(chosen)]
        cpu = time.process_time()
        for start in range(0, count, size):
            store.apply(1, POD, changes[start : start + size])
        found[f"events_{size}"] = count / (time.process_time() - cpu)
    return found


def cold(url: str, count: int = 10_000) -> dict[str, float]:
    """Put ten thousand rows into an empty inventory, and their bodies into a plain table."""
    rows = [pod(number) for number in range(count)]
    store = Store(url)
    store.open()
    began = time.perf_counter()
    for start in range(0, count, 500):
        store.apply(1, POD, rows[start : start + 500])
    took = time.perf_counter() - began
    store.close()
    plain = sqlite3.connect(url.removeprefix("sqlite:///") + ".plain", isolation_level=None)
    plain.executescript("pragma journal_mode=wal; pragma synchronous=normal; create table plain (uid text, body blob)")
    began = time.perf_counter()
    for start in range(0, count, 500):
        plain.execute("begin immediate")
        packed = [(row.uid, zlib.compress(row.body, 1)) for row in rows[start : start + 500]]
        plain.executemany("insert into plain values (?, ?)", packed)
        plain.execute("commit")
    bulk = time.perf_counter() - began
    cpu = time.process_time()
    for row in rows[:2000]:
        plain.execute("insert into plain values (?, ?)", (row.uid, zlib.compress(row.body, 1)))
    single = 2000 / (time.process_time() - cpu)
    plain.close()
    return {"cold": took, "plain": bulk, "plain_events": single}


def churn(url: str, rows: int, clusters: int) -> dict[str, float]:
    """Change some five hundred rows a second until told to stop by the end of standard input."""
    store = Store(url)
    store.open()
    chooser, done = random.Random(9), 0
    began = time.perf_counter()
    os.set_blocking(0, False)
    for version in itertools.count(100):
        cluster = chooser.randrange(clusters)
        chosen = chooser.sample(range(cluster, rows, clusters), 25)
        store.apply(cluster + 1, POD, [pod(number, version) for number in chosen])
        done += len(chosen)
        if sys.stdin.buffer.read(1) == b"":
            break
        time.sleep(max(0.0, began + done / CHANGES_PER_SECOND - time.perf_counter()))
    rate = done / (time.perf_counter() - began)
    store.close()
    return {"rate": rate}


def _in_process(what: str, *arguments: object) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "tests.bench.inventory", what, *map(str, arguments)]
    return subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).resolve().parents[2]
    )


def _result(process: subprocess.Popen[bytes]) -> dict[str, float]:
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError("the writer failed")
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


# --- who asks ---


class Transport(Protocol):
    """A way to ask for a page; answers `rows`, `count` and `next`."""

    name: str

    def ask(self, **parameters: Any) -> dict[str, Any]:
        """One page of pods; parameters are those of the REST API."""
        ...


class Direct:
    """The inventory's service, in this process."""

    name = "in process"

    def __init__(self) -> None:
        self.runner = asyncio.Runner()

    def ask(self, scope: Scope = EVERYTHING, **parameters: Any) -> dict[str, Any]:
        """One page."""
        if "labelSelector" in parameters:
            parameters["label_selector"] = parameters.pop("labelSelector")
        if "cluster" in parameters:
            parameters["clusters"] = (parameters.pop("cluster"),)
        page = self.runner.run(service.list_rows(scope, ListQuery("pods", **parameters)))
        return {"rows": page.rows, "count": page.count.value, "next": page.next}


class Http:
    """The REST API of a running console, on one connection."""

    name = "HTTP"

    def __init__(self, console: Console) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", console.port, timeout=30)
        body = json.dumps({"id": "admin", "password": PASSWORDS["admin"]})
        found = self._request("POST", "/gmcapi/v2/auth", body, {"Content-Type": "application/json"})
        self.headers = {"Authorization": f"Bearer {found['accessToken']}"}

    def _request(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> dict[str, Any]:
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]!r}")
        found: dict[str, Any] = orjson.loads(content) if method == "POST" else {"content": content}
        return found

    def ask(self, **parameters: Any) -> dict[str, Any]:
        """One page."""
        found = self._request("GET", f"/gmcapi/v2/pods?{urlencode(parameters)}", None, self.headers)["content"]
        return Lazy(found)


class Lazy(dict[str, Any]):
    """An answer that is decoded when somebody looks, so that decoding is not measured."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content

    def __missing__(self, key: str) -> Any:
        document = orjson.loads(self.content)
        page = document["page"]
        self.update(rows=document["data"], count=page["count"]["value"], next=page["next"])
        return self[key]


def times(calls: Sequence[Callable[[], Any]], rounds: int) -> list[float]:
    """Milliseconds of each call, each made several times in a mixed order, after once unmeasured."""
    for call in calls:
        call()
    mixed = list(calls) * rounds
    random.Random(1).shuffle(mixed)
    found = []
    for call in mixed:
        began = time.perf_counter()
        call()
        found.append((time.perf_counter() - began) * 1000)
    return found


def p95(found: Sequence[float]) -> float:
    """The 95th percentile."""
    return round(statistics.quantiles(found, n=20)[-1], 2) if len(found) > 1 else found[0]


def _call(transport: Transport, **parameters: Any) -> Callable[[], Any]:
    return lambda: transport.ask(**parameters)


def sorted_pages(transport: Transport) -> list[float]:
    """Pages of fifty by every sortable column in both directions, the first one and one far behind."""
    calls = []
    for column in POD.all_columns:
        for sign in ("", "-") if column.sortable else ():
            asked: dict[str, Any] = {"sort": f"{sign}{column.key}"}
            calls.append(_call(transport, **asked, limit=50))
            cursor = None
            for _ in range(20):
                cursor = transport.ask(**asked, limit=500, **({"cursor": cursor} if cursor else {}))["next"]
            calls.append(_call(transport, **asked, limit=50, cursor=cursor))
    return times(calls, 3)


def filtered(transport: Transport, name: str, values: Sequence[str]) -> list[float]:
    """Lists narrowed by one parameter, in three sorts."""
    sorts = ("name", "-cluster", "-restart")
    return times([_call(transport, **{name: value}, sort=sort, limit=50) for value in values for sort in sorts], 5)


# --- the baseline ---


class Plain:
    """All rows in a Python list, filtered and sorted for each request."""

    def __init__(self, rows: int, clusters: int) -> None:
        self.rows = []
        for number in range(rows):
            found = pod(number)
            words = "\n".join((found.name, found.namespace, found.status, *found.labels.values())).lower()
            cluster = f"edge-{1 + number % clusters:02d}"
            self.rows.append({"name": found.name, "cluster": cluster, "labels": found.labels, "words": words})

    def page(self) -> Any:
        """Sort and cut."""
        return sorted(self.rows, key=lambda row: row["name"])[:50]

    def search(self) -> Any:
        """Search, count, sort and cut."""
        found = [row for row in self.rows if "ledger" in row["words"]]
        return len(found), sorted(found, key=lambda row: row["name"])[:50]

    def select(self) -> Any:
        """Select by label, count, sort and cut."""
        found = [row for row in self.rows if row["labels"].get("team") == "team-11"]
        return len(found), sorted(found, key=lambda row: row["name"])[:50]


# --- all of it ---


@contextmanager
def _console(data: Path, clusters: int) -> Iterator[Console]:
    with running(data) as console:
        console.gm("db", "upgrade")
        now = int(time.time())
        with sqlite3.connect(data / "system.db") as db:
            db.executemany(
                "insert into cluster (id, name, cluster_type, cloud_type, endpoint, tls_server_name, ca_pem, "
                "credential_id, credential_kind, generation, created_by, created_at, updated_at) "
                "values (?, ?, 'edge', '', 'https://192.0.2.1:6443', '', '', 1, 'token', 1, 'bench', ?, ?)",
                [(number, f"edge-{number:02d}", now, now) for number in range(1, clusters + 1)],
            )
        db.close()
        console.start("web")
        yield console


def bench(rows: int = 100_000, clusters: int = 20) -> list[dict[str, Any]]:
    """Run it all; see the module."""
    with tempfile.TemporaryDirectory(prefix="gm-bench-") as folder:
        data = Path(folder)
        url = f"sqlite:///{data / 'inventory.db'}"
        empty = _result(_in_process("cold", f"sqlite:///{data / 'cold.db'}"))
        written = _result(_in_process("write", url, rows, clusters))
        plain = Plain(rows, clusters)
        bases = {
            "page": p95(times([plain.page], 10)),
            "search": p95(times([plain.search], 10)),
            "select": p95(times([plain.select], 10)),
        }
        del plain
        with _console(data, clusters) as console:
            results = _lists(Http(console), bases)
        configure(Settings(data=data, mode="development"))
        try:
            vault.ensure_key(Settings(data=data), fresh=True)
            direct = Direct()
            results += _lists(direct, bases)
            results += _scopes(direct, url, rows, clusters)
        finally:
            reader.close()
            freshness.register_fleet(None)
            configure(None)
    return results + _writes(written, empty, rows)


def _lists(transport: Transport, bases: dict[str, float]) -> list[dict[str, Any]]:
    is_list = {"baseline_is": "a Python list of the same rows, filtered and sorted for each request"}
    found = [
        ("page of 50 by any sort, first and far, p95", PAGE_MS, sorted_pages(transport), "page"),
        ("text search + sort + count, p95", FILTER_MS, filtered(transport, "q", SEARCHES), "search"),
        ("label selector + sort + count, p95", FILTER_MS, filtered(transport, "labelSelector", SELECTORS), "select"),
        (
            "one cluster + sort + count, p95",
            FILTER_MS,
            filtered(transport, "cluster", ("edge-01", "edge-20")),
            "select",
        ),
        (
            "one namespace + sort + count, p95",
            FILTER_MS,
            filtered(transport, "namespace", ("ns-000", "ns-077")),
            "select",
        ),
    ]
    return [
        {
            "metric": f"{transport.name}: {metric}",
            "value": p95(taken),
            "unit": "ms",
            "budget": budget,
            "baseline": bases[base],
            "median": round(statistics.median(taken), 2),
            **is_list,
        }
        for metric, budget, taken, base in found
    ]


def _scopes(direct: Direct, url: str, rows: int, clusters: int) -> list[dict[str, Any]]:
    """A hundred readers who each see something else, while the rows change."""
    names = reader.readers().run_now(lambda db: db.rows("select id from namespace order by id"))
    ids, chooser = [row[0] for row in names], random.Random(5)
    calls = []
    for number in range(SCOPES):
        size = min(len(ids), chooser.choice((1, 3, 10, 50, 200, 1000)))
        scope = Scope(False, frozenset(chooser.sample(ids, size)), 1)
        sort = chooser.choice(("name", "-restart", "namespace", "-creationTimestamp", "status"))
        calls.append(_call(direct, scope=scope, sort=sort, limit=50, **({"q": "cart"} if number % 5 == 0 else {})))
    writer = _in_process("churn", url, rows, clusters)
    try:
        time.sleep(2)
        cpu = time.process_time()
        taken = times(calls, 4)
        spent = (time.process_time() - cpu) / 5
    finally:
        changes = _result(writer)
    while_changing = f"while {round(changes['rate'])} rows a second change"
    return [
        {"metric": f"{SCOPES} distinct scopes, one list of each, {while_changing}: processor time of a round",
         "value": round(spent, 3), "unit": "s", "budget": ROUND_CPU_SECONDS},
        {"metric": f"{SCOPES} distinct scopes, {while_changing}: one list, p95",
         "value": p95(taken), "unit": "ms", "budget": FILTER_MS},
    ]  # fmt: skip


def _writes(written: dict[str, float], empty: dict[str, float], rows: int) -> list[dict[str, Any]]:
    rate = {"unit": "events/s", "budget": EVENTS_PER_CORE, "at_least": True, "baseline": round(empty["plain_events"])}
    rate["baseline_is"] = "bodies packed into a plain table without indexes, one commit each"
    return [
        {"metric": "cold write of 10,000 rows into an empty inventory", "value": round(empty["cold"], 3), "unit": "s",
         "budget": COLD_SECONDS, "baseline": round(empty["plain"], 3),
         "baseline_is": "the same bodies packed into a plain table without indexes"},
        {"metric": "changes a core, one commit each (idle)", "value": round(written["events_1"]), **rate},
        {"metric": "changes a core, batches of 50 (busy)", "value": round(written["events_50"]), **rate},
        {"metric": "writer's memory for 10,000 rows", "value": round(written["grown"] / 2**20 / rows * 10_000, 2),
         "unit": "MB", "budget": MEMORY_MB},
        {"metric": f"fill of {rows} rows, projection of synthetic pods included", "value": round(written["fill"], 1),
         "unit": "s"},
    ]  # fmt: skip


if __name__ == "__main__":
    what, url, *numbers = sys.argv[1:]
    work: dict[str, Callable[..., dict[str, float]]] = {"write": write, "cold": cold, "churn": churn}
    sys.stdout.write(json.dumps(work[what](url, *map(int, numbers))) + "\n")
