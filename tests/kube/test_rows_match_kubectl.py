"""Rows and columns of the six kinds against the API server's own Table answer, which is what `kubectl get -A -o wide`
prints: both are read at one resourceVersion, every object is projected as the collector does it, every cell compared.
"""

import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from gmcenter.inventory.project import project
from gmcenter.inventory.store import Row
from gmcenter.kube.kinds import KINDS, Kind
from tests.lab.client import ApiError, path_of
from tests.lab.cluster import LabCluster, wait_for
from tests.support.pods import HARD_PODS

NAMESPACE = "printed"
Cells = dict[str, Any]


def human(seconds: float) -> str:
    """The duration as Kubernetes prints it (k8s.io/apimachinery/pkg/util/duration.HumanDuration)."""
    whole = int(seconds)
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    days = hours // 24
    if whole < -1:
        return "<invalid>"
    if whole < 120:
        return f"{max(whole, 0)}s"
    if minutes < 10:
        return f"{minutes}m" + (f"{whole % 60}s" if whole % 60 else "")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h" + (f"{minutes % 60}m" if minutes % 60 else "")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{days}d" + (f"{hours % 24}h" if hours % 24 else "")
    if days < 730:
        return f"{days}d"
    years = days // 365
    if years < 8:
        return f"{years}y" + (f"{days % 365}d" if days % 365 else "")
    return f"{years}y"


class Age:
    """Equal to what may be printed for an instant by a server that is asked between two others."""

    def __init__(self, instant: int | None, asked: tuple[float, float]) -> None:
        # Instants are cut to whole seconds, hence the one more before.
        first, last = asked[0] - 1, asked[1] + 1
        self.printed = (
            {human(first + part / 4 - instant) for part in range(int((last - first) * 4) + 2)}
            if instant is not None
            else {"<unknown>"}
        )

    def __eq__(self, other: object) -> bool:
        return other in self.printed

    def __repr__(self) -> str:
        return f"Age({sorted(self.printed)})"

    __hash__ = None  # type: ignore[assignment]


class Restarts:
    """Equal to "3", or to "3 (5m ago)" where the time of the last restart is known."""

    def __init__(self, count: int, last: int | None, asked: tuple[float, float]) -> None:
        self.count, self.ago = str(count), Age(last, asked) if last is not None and count else None

    def __eq__(self, other: object) -> bool:
        if self.ago is None:
            return other == self.count
        return any(other == f"{self.count} ({printed} ago)" for printed in self.ago.printed)

    def __repr__(self) -> str:
        return f"Restarts({self.count}, {self.ago})"

    __hash__ = None  # type: ignore[assignment]


def none(value: Any) -> Any:
    """What kubectl prints for an absent value."""
    return "<none>" if value in (None, "", []) else value


def joined(values: list[str]) -> str:
    return ",".join(values)


def values(kind: Kind, row: Row) -> dict[str, Any]:
    return dict(zip((column.key for column in kind.columns), row.values, strict=True))


def print_pod(row: Row, v: Cells, asked: tuple[float, float]) -> Cells:
    return {
        "Name": row.name,
        "Ready": v["ready"],
        "Status": row.status,
        "Restarts": Restarts(v["restart"], v["lastRestart"], asked),
        "Age": Age(row.created, asked),
        "IP": none(v["podIP"]),
        "Node": none(v["node_name"]),
        "Nominated Node": none(v["nominatedNode"]),
        "Readiness Gates": none(v["readinessGates"]),
    }


def print_node(row: Row, v: Cells, asked: tuple[float, float]) -> Cells:
    architecture = f" ({v['architecture']})" if v["architecture"] else ""
    return {
        "Name": row.name,
        "Status": row.status,
        "Roles": none(joined(v["roles"])),
        "Age": Age(row.created, asked),
        "Version": v["kubeVersion"],
        "Internal-IP": none(v["nodeIP"]),
        "External-IP": none(v["externalIP"]),
        "OS-Image": v["os"] or "<unknown>",
        "Kernel-Version": (v["kernel"] or "<unknown>") + architecture,
        "Container-Runtime": v["containerRuntimeVersion"] or "<unknown>",
    }


def print_namespace(row: Row, _: Cells, asked: tuple[float, float]) -> Cells:
    return {"Name": row.name, "Status": row.status, "Age": Age(row.created, asked)}


def print_deployment(row: Row, v: Cells, asked: tuple[float, float]) -> Cells:
    return {
        "Name": row.name,
        "Ready": v["ready"],
        "Up-to-date": v["updated"],
        "Available": v["available"],
        "Age": Age(row.created, asked),
        "Containers": joined(v["containers"]),
        "Images": joined(v["images"]),
        "Selector": joined(v["selector"]),
    }


def print_service(row: Row, v: Cells, asked: tuple[float, float]) -> Cells:
    return {
        "Name": row.name,
        "Type": v["type"],
        "Cluster-IP": none(v["clusterIp"]),
        "External-IP": none(v["externalIp"]),
        "Port(s)": none(joined(v["port"])),
        "Age": Age(row.created, asked),
        "Selector": none(joined(v["selector"])),
    }


def print_event(row: Row, v: Cells, asked: tuple[float, float]) -> Cells:
    return {
        "Last Seen": Age(v["lastSeen"], asked),
        "Type": v["type"] or "",
        "Reason": v["reason"] or "",
        "Object": v["object"],
        "Subobject": v["subobject"] or "",
        "Source": v["source"] or "",
        "Message": v["message"] or "",
        "First Seen": Age(v["firstSeen"], asked),
        "Count": v["count"],
        "Name": row.name,
    }


PRINTERS: dict[str, Callable[[Row, Cells, tuple[float, float]], Cells]] = {
    "pods": print_pod,
    "nodes": print_node,
    "namespaces": print_namespace,
    "deployments": print_deployment,
    "services": print_service,
    "events": print_event,
}


def table_of(cluster: LabCluster, kind: Kind) -> tuple[list[Cells], list[Any], tuple[float, float]]:
    """The printed rows, the same objects whole, and between which instants the rows were printed (our clock)."""
    client = cluster.client
    for _ in range(20):
        before = time.time()
        table = get_table(cluster, kind)
        after = time.time()
        version = table["metadata"]["resourceVersion"]
        try:
            listed = client.get(f"{kind.path}?resourceVersion={version}&resourceVersionMatch=Exact")
        except ApiError as error:
            if error.status in (400, 410, 504):  # compacted, or not yet there
                continue
            raise
        names = [column["name"] for column in table["columnDefinitions"]]
        printed = [dict(zip(names, row["cells"], strict=True)) for row in table["rows"]]
        return printed, listed["items"], (before, after)
    raise AssertionError("no snapshot could be read")


def get_table(cluster: LabCluster, kind: Kind) -> Any:
    pki = cluster.folder / "pki"
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    parts = urlsplit(cluster.direct_url)
    connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=30)
    headers = {
        "Accept": "application/json;as=Table;v=v1;g=meta.k8s.io",
        "Authorization": f"Bearer {cluster.token()}",
    }
    connection.request("GET", f"{kind.path}?includeObject=Metadata", headers=headers)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    assert body["kind"] == "Table", body
    return body


def patch_status(cluster: LabCluster, kind: str, namespace: str | None, name: str, status: Any) -> None:
    cluster.client.patch(f"{path_of(kind, namespace, name)}/status", {"status": status})


def service(name: str, **spec: Any) -> Any:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def event(name: str, **more: Any) -> Any:
    about = {"kind": "Pod", "name": "pending", "namespace": NAMESPACE, "fieldPath": "spec.containers{c0}"}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "involvedObject": about,
        **more,
    }


@pytest.fixture(scope="module")
def printed_cluster(lab_cluster: LabCluster) -> Iterator[LabCluster]:
    """The seeded lab with a namespace of objects in states that are hard to print."""
    client = lab_cluster.client
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    lab_wait_for_account(lab_cluster)
    for pod in HARD_PODS:
        client.create(pod.manifest(NAMESPACE))
        patch_status(lab_cluster, "Pod", NAMESPACE, pod.name, pod.status)
        if pod.deleted:
            client.delete("Pod", pod.name, NAMESPACE, grace=0)
    port = {"port": 80, "name": "a"}
    second = {"port": 53, "protocol": "UDP", "name": "b"}
    balancers = {
        "lb-pending": {},
        "lb-given": {"ingress": [{"ip": "198.51.100.7"}]},
        "lb-named": {"ingress": [{"hostname": "lb.test"}]},
    }
    for name, status in balancers.items():
        client.create(service(name, type="LoadBalancer", ports=[port, second], selector={"b": "2", "a": "1"}))
        if status:
            patch_status(lab_cluster, "Service", NAMESPACE, name, {"loadBalancer": status})
    client.create(service("external-ips", ports=[port], externalIPs=["198.51.100.1", "198.51.100.2"]))
    client.create(service("named", type="ExternalName", externalName="elsewhere.test"))
    client.create(service("headless", clusterIP="None", ports=[port]))
    client.create(service("no-ports", clusterIP="None", selector={"a": "1"}))
    client.create(
        event(
            "old-format",
            type="Warning",
            reason="BackOff",
            message="  blanks around \n",
            count=12,
            firstTimestamp="2026-11-01T00:00:00Z",
            lastTimestamp="2026-11-20T00:00:00Z",
            source={"component": "kubelet", "host": "node-1"},
        )
    )
    client.create(
        event(
            "new-format",
            type="Normal",
            reason="Seen",
            message="m",
            action="Look",
            eventTime="2026-11-02T00:00:00.000000Z",
            reportingComponent="gm.test/reporter",
            reportingInstance="reporter-1",
        )
    )
    client.create(
        event(
            "series",
            type="Normal",
            reason="Seen",
            message="m",
            action="Look",
            eventTime="2026-11-02T00:00:00.000000Z",
            series={"count": 40, "lastObservedTime": "2026-11-21T00:00:00.000000Z"},
            reportingComponent="gm.test/reporter",
            reportingInstance="reporter-1",
        )
    )
    client.create(event("bare"))
    yield lab_cluster
    for pod in HARD_PODS:
        if pod.deleted:
            client.patch(path_of("Pod", NAMESPACE, pod.name), {"metadata": {"finalizers": None}})
    client.delete("Namespace", NAMESPACE)


def lab_wait_for_account(cluster: LabCluster) -> None:
    """Pods are refused until their namespace has its default service account."""

    def there() -> bool:
        accounts = cluster.client.items("ServiceAccount", NAMESPACE)
        return any(account["metadata"]["name"] == "default" for account in accounts)

    wait_for(there, "the default service account")


def compare(cluster: LabCluster, kind: Kind) -> int:
    printed, objects, asked = table_of(cluster, kind)
    assert len(printed) == len(objects)
    for cells, found in zip(printed, objects, strict=True):
        row = project(kind, json.dumps(found).encode())
        ours = PRINTERS[kind.plural](row, values(kind, row), asked)
        assert {name: value for name, value in cells.items() if ours[name] != value} == {}, (row.name, ours)
    return len(printed)


@pytest.mark.parametrize("plural", sorted(KINDS))
def test_every_cell_of_a_kind_is_what_the_api_server_prints(printed_cluster: LabCluster, plural: str) -> None:
    assert compare(printed_cluster, KINDS[plural]) >= 4


def test_the_hard_pods_are_printed_with_the_words_that_this_list_says(printed_cluster: LabCluster) -> None:
    """The table of hard pods, which the fast tests use, is itself held against the API server."""
    printed, _, _ = table_of(printed_cluster, KINDS["pods"])
    found = {cells["Name"]: cells for cells in printed}
    told = {pod.name: (pod.word, pod.ready, pod.restarts) for pod in HARD_PODS}
    seen = {
        name: (found[name]["Status"], found[name]["Ready"], int(found[name]["Restarts"].split()[0])) for name in told
    }
    assert seen == told


def test_a_dead_nodes_row_reads_not_ready(printed_cluster: LabCluster) -> None:
    kind = KINDS["nodes"]
    name = next(node["metadata"]["name"] for node in printed_cluster.client.items("Node"))
    printed_cluster.kill_node(name)
    try:
        printed, _, _ = table_of(printed_cluster, kind)
        assert next(cells["Status"] for cells in printed if cells["Name"] == name).startswith("NotReady")
        compare(printed_cluster, kind)
    finally:
        printed_cluster.revive_node(name)
