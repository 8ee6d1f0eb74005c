"""A credential is replaced while the cluster is watched: nobody notices, and the old one may go at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import ApiError, LabCluster, wait_for
from tests.lab.client import Client
from tests.support.fleet import KINDS, Fleet

pytestmark = pytest.mark.timeout(180)
NAMESPACE, READER = "gm-rotation", "gm-reader"


def account(cluster: LabCluster, name: str) -> str:
    """A ServiceAccount that may read everything, and its long-lived token."""
    client = cluster.client
    meta = {"name": name, "namespace": NAMESPACE}
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    client.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": READER},
            "rules": [
                {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
                {"nonResourceURLs": ["*"], "verbs": ["get"]},
            ],
        }
    )
    client.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{READER}-{name}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": READER},
            "subjects": [{"kind": "ServiceAccount", **meta}],
        }
    )
    annotations = {"kubernetes.io/service-account.name": name}
    kind = "kubernetes.io/service-account-token"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {**meta, "annotations": annotations}, "type": kind}
    client.create(secret)

    def token() -> str:
        found = client.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}").get("data", {})
        return str(found.get("token", ""))

    import base64

    return base64.b64decode(wait_for(token, "the token is made", 20)).decode()


def may_read(cluster: LabCluster, token: str) -> bool:
    """Whether the API server takes a token."""
    try:
        Client(cluster.direct_url, cluster.folder / "pki" / "ca.crt", token=token).get("/api/v1/namespaces?limit=1")
    except ApiError as error:
        if error.status == 401:
            return False
        raise
    return True


@pytest.fixture
def rotating(fleet: Fleet) -> Iterator[tuple[LabCluster, str]]:
    """A cluster that is registered with the token of the account `first`."""
    cluster = fleet.clusters["two"]
    token = account(cluster, "first")
    given = {"clusterEndpoint": cluster.url, "caPem": cluster.ca_pem, "token": token}
    answer = fleet.ask(
        "POST", "/clusters", json={"clusterName": "rotating", "clusterType": "edge", "acceptWarnings": True, **given}
    )
    assert answer.status_code == 201, answer.text
    fleet.wait_state("rotating", "live", 60)
    yield cluster, token
    assert fleet.ask("DELETE", "/clusters/rotating", params={"confirm": "rotating"}).status_code == 204
    cluster.client.delete("Namespace", NAMESPACE)
    wait_for(lambda: not gone_yet(cluster), "the accounts are gone", 60)


def gone_yet(cluster: LabCluster) -> bool:
    """Whether the namespace of the accounts is still there."""
    return any(item["metadata"]["name"] == NAMESPACE for item in cluster.client.items("Namespace"))


class Watcher(threading.Thread):
    """Looks at a cluster's sources and rows as often as it can, and remembers whatever was not live."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(daemon=True)
        self.fleet, self.bad, self.looks = fleet, list[Any](), 0
        self._ended = threading.Event()

    def run(self) -> None:
        import httpx

        headers = {"Authorization": f"Bearer {self.fleet.token}"}
        with httpx.Client(base_url=self.fleet.url, headers=headers, timeout=30) as client:
            while not self._ended.is_set():
                for kind in KINDS:
                    answer = client.get(f"/gmcapi/v2/{kind}", params={"cluster": "rotating", "limit": 5})
                    document = answer.json()
                    sources = document.get("freshness", {}).get("sources", [])
                    bad = [source for source in sources if source["state"] != "live"]
                    if answer.status_code != 200 or bad or any(row["away"] for row in document["data"]):
                        self.bad.append((kind, bad or document))
                    self.looks += 1
                views = {view["clusterName"]: view for view in client.get("/gmcapi/v2/clusters").json()["data"]}
                if views["rotating"]["state"] != "live":
                    self.bad.append(views["rotating"])

    def end(self) -> None:
        self._ended.set()
        self.join(30)


def test_a_rotated_credential_leaves_no_gap_and_the_old_one_may_be_revoked(
    fleet: Fleet, rotating: tuple[LabCluster, str]
) -> None:
    cluster, first = rotating
    second = account(cluster, "second")
    before = fleet.names("nodes", "rotating")
    watcher = Watcher(fleet)
    watcher.start()
    try:
        answer = fleet.ask("PUT", "/clusters/rotating", json={"token": second, "acceptWarnings": True})
        assert answer.status_code == 200, answer.text
        assert second not in answer.text
        # Long enough for the new connection to have been dialled, read and probed.
        until = time.monotonic() + 8
        wait_for(lambda: time.monotonic() > until, "the new way has been used", 10)
        cluster.client.delete("Secret", "first", NAMESPACE)
        cluster.client.delete("ServiceAccount", "first", NAMESPACE)
        wait_for(lambda: not may_read(cluster, first), "the old token is refused", 30)
        assert may_read(cluster, second)
        # An event after the revocation comes by the new way, and so does a probe.
        fleet.clusters["rotating"] = cluster
        fleet.change_milliseconds("rotating", 2)
        seen = view(fleet)["lastSeen"]
        wait_for(lambda: view(fleet)["lastSeen"] > seen, "the next probe", 20)
    finally:
        watcher.end()
        fleet.clusters.pop("rotating", None)
    assert watcher.looks > 50
    assert watcher.bad == []
    assert fleet.names("nodes", "rotating") == before
    assert fleet.ask("POST", "/clusters/rotating/check").json()["state"] in ("ok", "warn")


def test_a_credential_that_does_not_work_replaces_nothing(fleet: Fleet, rotating: tuple[LabCluster, str]) -> None:
    answer = fleet.ask("PUT", "/clusters/rotating", json={"token": "wrong-" + rotating[1][6:]})
    assert answer.status_code == 422, answer.text
    assert rotating[1][6:] not in answer.text
    stages = fleet.ask("POST", "/clusters/rotating/check").json()
    assert stages["state"] in ("ok", "warn"), stages
    assert view(fleet)["state"] == "live"


def test_a_revoked_credential_is_told_as_denied_with_the_rows_kept(
    fleet: Fleet, rotating: tuple[LabCluster, str]
) -> None:
    cluster, first = rotating
    before = fleet.names("nodes", "rotating")
    cluster.client.delete("Secret", "first", NAMESPACE)
    cluster.client.delete("ServiceAccount", "first", NAMESPACE)
    wait_for(lambda: not may_read(cluster, first), "the token is refused", 30)
    # Watches that are open live on until the API server ends them: a road that breaks does it now.
    cluster.cut()
    cluster.heal()
    wait_for(lambda: view(fleet)["state"] == "failed", "the cluster is told as failed", 40)
    wait_for(lambda: fleet.source("nodes", "rotating")["state"] == "denied", "its source is denied", 40)
    assert view(fleet)["message"]
    rows = fleet.rows("nodes", cluster="rotating")
    assert {row["uid"] for row in rows} == set(before)
    assert all(row["away"] for row in rows)


def view(fleet: Fleet) -> dict[str, Any]:
    """The cluster as the list tells it."""
    return next(one for one in fleet.get("/clusters")["data"] if one["clusterName"] == "rotating")
