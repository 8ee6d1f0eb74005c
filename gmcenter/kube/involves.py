"""What a detail's `involvesData` shows of related objects: rows of the inventory cut to the fields that the REST API
owes its callers.
"""

from collections.abc import Mapping
from typing import Any

from gmcenter.kube.relations import Body, Rows, items, mapping


def _cut(rows: Rows, **fields: str) -> list[dict[str, Any]]:
    """Rows cut to the named fields; each field says which column it shows."""
    return [{name: row.get(column) for name, column in fields.items()} for row in rows]


def pods(rows: Rows, _body: Body) -> list[dict[str, Any]]:
    """Pods, as short as they make sense."""
    return _cut(
        rows, name="name", namespace="namespace", status="status", podIP="podIP", node="node_name", restart="restart"
    )


def deployment_pods(rows: Rows, _body: Body) -> list[dict[str, Any]]:
    """Pods of a deployment; `node` is the address of their host."""
    return _cut(
        rows,
        name="name",
        namespace="namespace",
        status="status",
        node="hostIP",
        nodeName="node_name",
        podIP="podIP",
        restart="restart",
    )


def service_pods(rows: Rows, _body: Body) -> list[dict[str, Any]]:
    """Pods behind a service."""
    return _cut(rows, name="name", namespace="namespace", ip="podIP", nodeName="node_name", status="status")


def _named(text: Any) -> tuple[str, str] | None:
    kind, slash, name = str(text or "").partition("/")
    return (kind, name) if slash else None


def service_workloads(rows: Rows, _body: Body) -> list[dict[str, Any]]:
    """Workloads behind a service, each once; `replicaName` is the ReplicaSet where there is one."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if workload := _named(row.get("workload")):
            owner = _named(row.get("owner"))
            replica = owner[1] if owner and owner[0] == "ReplicaSet" else None
            found[workload] = {"name": workload[1], "kind": workload[0], "replicaName": replica}
    return [found[key] for key in sorted(found)]


def services(rows: Rows, _body: Body) -> list[dict[str, Any]]:
    """Services, with their ports."""
    return _cut(
        rows,
        name="name",
        namespace="namespace",
        type="type",
        clusterIp="clusterIp",
        externalIp="externalIp",
        port="port",
    )


def workload_rows(rows: Rows, _body: Body) -> list[dict[str, Any]]:
    """Workloads of a namespace."""
    return _cut(rows, name="name", ready="ready", status="status")


def pod_workload(_rows: Rows, body: Body) -> dict[str, Any] | None:
    """The workload behind a pod, out of its owner; None for a pod that stands alone."""
    owner: Mapping[str, Any] | None = next(
        (entry for entry in items(body, "metadata", "ownerReferences") if entry.get("controller")), None
    )
    if owner is None:
        return None
    kind, name = str(owner.get("kind") or ""), str(owner.get("name") or "")
    template = mapping(body, "metadata", "labels").get("pod-template-hash")
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        return {"name": name.removesuffix(f"-{template}"), "kind": "Deployment", "replicaName": name}
    return {"name": name, "kind": kind, "replicaName": name if kind == "ReplicaSet" else None}


def events(rows: Rows) -> list[dict[str, Any]]:
    """Events about an object, as details embed them; `eventTime` is when it was seen last (epoch seconds)."""
    return _cut(
        rows,
        kind="kind",
        name="objectName",
        namespace="namespace",
        cluster="cluster",
        message="message",
        reason="reason",
        type="type",
        count="count",
        eventTime="lastSeen",
    )
