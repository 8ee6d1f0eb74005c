"""The real API over a fresh installation: migrated database, users, sites, clusters, and an inventory with objects."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from granian.constants import Interfaces
from granian.server.embed import Server
from passlib.hash import argon2
from pydantic import SecretStr

from gmcenter.api.app import create_api
from gmcenter.clusters import service as clusters
from gmcenter.clusters.schema import SiteInput
from gmcenter.core import clock, database, migrate, vault
from gmcenter.core.settings import Settings, configure
from gmcenter.identity import passwords, registry, service, throttle
from gmcenter.identity.actor import SYSTEM, Role
from gmcenter.identity.schema import NewUser
from gmcenter.inventory import reader
from gmcenter.inventory.project import project
from gmcenter.inventory.store import Store
from gmcenter.kube.kinds import KINDS
from gmcenter.kube.target import Target
from tests.support.console import free_port

PASSWORD = "Correct-horse-7"
CANARY = "canary-7f3a9c51-cluster-credential"
API = "/gmcapi/v2"
FLEET = {"seoul": "edge", "busan": "cloud", "jeju": "edge"}
AWAY = "jeju"


@dataclass
class Installation:
    """One installation in a folder, with its store open for writing."""

    settings: Settings
    store: Store
    app: FastAPI
    ids: dict[str, int]

    def client(self, **options: Any) -> httpx.AsyncClient:
        """A client of the application without a server in between; nobody is signed in."""
        options.setdefault("base_url", "http://gm.test")
        transport = httpx.ASGITransport(self.app, client=("192.0.2.7", 4000), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, **options)

    async def token(self, user: str = "admin") -> str:
        """An access token of a new session."""
        async with self.client() as client:
            answer = await client.post(f"{API}/auth", json={"id": user, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["accessToken"])

    async def signed_in(self, user: str = "admin", **options: Any) -> httpx.AsyncClient:
        """A client with an access token of a user."""
        headers = {"Authorization": f"Bearer {await self.token(user)}", **options.pop("headers", {})}
        return self.client(headers=headers, **options)

    async def cookie(self, user: str = "admin") -> str:
        """A Cookie header of a new browser session."""
        async with self.client() as client:
            answer = await client.post(f"{API}/auth/login", data={"username": user, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return answer.headers["set-cookie"].partition(";")[0]

    def put(self, cluster: str, plural: str, manifests: Iterable[dict[str, Any]]) -> None:
        """Write objects as the collector does."""
        kind = KINDS[plural]
        rows = [project(kind, json.dumps(manifest).encode()) for manifest in manifests]
        self.store.apply(self.ids[cluster], kind, rows)

    def remove(self, cluster: str, plural: str, *uids: str) -> None:
        """Delete objects as the collector does."""
        self.store.apply(self.ids[cluster], KINDS[plural], [], list(uids))


@contextlib.contextmanager
def configured(folder: Path, template: Path, **options: Any) -> Iterator[Settings]:
    """Settings, key and a migrated system database in a folder."""
    (folder / "system.db").write_bytes(template.read_bytes())
    # What the tests write as live stays so, unless a real collector writes it.
    usual = {"allow_loopback": True, "login_rate": "100000/minute", "probe_seconds": 100_000.0}
    chosen = Settings(data=folder, **{**usual, **options})
    configure(chosen)
    vault.forget_keys()
    vault.ensure_key(chosen, fresh=True)
    hasher = passwords._hasher
    passwords._hasher = argon2.using(type="ID", time_cost=1, memory_cost=64, parallelism=1)
    throttle.reset()
    registry.forget()
    try:
        yield chosen
    finally:
        configure(None)
        vault.forget_keys()
        passwords._hasher = hasher
        throttle.reset()
        registry.forget()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated system database, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "system.db"
    migrate.upgrade(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


async def make_user(name: str, role: Role) -> None:
    """A user with the password of the tests."""
    await service.create(SYSTEM, NewUser(name=name, password=SecretStr(PASSWORD), role=role))


async def make_fleet() -> dict[str, int]:
    """A site for each cluster, and clusters whose credentials are canaries; returns their ids."""
    for at, (name, zone) in enumerate(FLEET.items()):
        site = SiteInput(name=f"{name}-site", address=f"{name} 1", latitude=33.0 + at, longitude=126.0 + at, zone=zone)
        await clusters.create_site(SYSTEM, site)
        await clusters.create_building(SYSTEM, name, cluster_type=zone, site=site.name)
        target = Target(f"https://192.0.2.{at + 10}:6443", token=CANARY)
        await clusters.finish_building(SYSTEM, name, target)
    return {view.cluster_name: view.id for view in await clusters.list_clusters(SYSTEM)}


def fill(store: Store, ids: dict[str, int]) -> None:
    """Say that every source was heard of a moment ago, but for one cluster that is away."""
    now = clock.epoch()
    for name, cluster_id in ids.items():
        state = "away" if name == AWAY else "live"
        heard = now - 600 if name == AWAY else now
        store.set_cluster(
            cluster_id,
            name,
            state=state,
            last_seen=heard,
            version="v1.37.2",
            latency_ms=4.5,
            certificate_not_after=now + 86_400 * 90,
            error="port_closed" if name == AWAY else None,
        )
        for plural in KINDS:
            store.set_source(cluster_id, plural, state=state, as_of=heard, error=None)


@contextlib.asynccontextmanager
async def installed(folder: Path, template: Path, **options: Any) -> AsyncIterator[Installation]:
    """An installation with users `admin` (PA) and `service` (SA), a fleet, and an inventory without objects."""
    with configured(folder, template, **options) as chosen:
        await make_user("admin", "PA")
        await make_user("service", "SA")
        ids = await make_fleet()
        store = Store(chosen.database_url("inventory"))
        store.open()
        fill(store, ids)
        try:
            yield Installation(chosen, store, create_api(), ids)
        finally:
            store.close()
            reader.close()
            await database.dispose()


@contextlib.asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The application behind a real server on loopback, in this process; yields its address."""
    port = free_port()
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, log_enabled=False)
    task = asyncio.create_task(server.serve())
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient() as client, asyncio.timeout(20):
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{url}/livez")).status_code == 200:
                        break
                await asyncio.sleep(0.02)
        yield url
    finally:
        server.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(task, 10)


# --- objects ---

CREATED = "2026-10-01T00:00:00Z"


def meta(
    name: str, namespace: str | None = None, *, labels: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """Metadata with a uid that follows from the name."""
    found: dict[str, Any] = {
        "name": name,
        "uid": f"uid-{namespace or ''}-{name}",
        "resourceVersion": "10",
        "creationTimestamp": CREATED,
        "labels": labels or {},
        **more,
    }
    return {**found, "namespace": namespace} if namespace else found


def pod(name: str, namespace: str = "shop", *, phase: str = "Running", app: str = "web", **more: Any) -> dict[str, Any]:
    """A pod with one container."""
    ready = phase == "Running"
    status = {
        "phase": phase,
        "podIP": "10.0.0.9",
        "podIPs": [{"ip": "10.0.0.9"}],
        "hostIP": "10.1.0.1",
        "qosClass": "Burstable",
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [
            {"name": "main", "ready": ready, "restartCount": 2, "image": "web:1", "state": {"running": {}}}
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta(name, namespace, labels={"app": app}, **more),
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "image": "web:1", "ports": [], "env": []}]},
        "status": status,
    }


def node(name: str, *, gpus: int = 0) -> dict[str, Any]:
    """A worker that is ready."""
    capacity = {"cpu": "8", "memory": "16Gi", "pods": "110", **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": meta(name, labels={"disk": "ssd"}, annotations={"note": f"about {name}"}),
        "spec": {},
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "addresses": [{"type": "InternalIP", "address": "10.1.0.1"}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kubeletVersion": "v1.37.2", "osImage": "Debian", "kernelVersion": "6.1"},
        },
    }


def namespace(name: str) -> dict[str, Any]:
    """An active namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta(name), "status": {"phase": "Active"}}


def event(name: str, about: dict[str, Any], namespace: str = "shop") -> dict[str, Any]:
    """A warning about an object."""
    target = {"kind": about["kind"], "name": about["metadata"]["name"], "uid": about["metadata"]["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": meta(name, namespace),
        "involvedObject": {**target, "namespace": about["metadata"].get("namespace")},
        "type": "Warning",
        "reason": "BackOff",
        "message": "Back-off restarting the container",
        "count": 3,
        "firstTimestamp": CREATED,
        "lastTimestamp": "2026-10-02T00:00:00Z",
    }
