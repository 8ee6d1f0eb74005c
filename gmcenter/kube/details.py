"""What the detail of one object tells beyond its row, out of its body, under the names that the REST API owes.

A body is whatever a cluster sent: every function takes what has the right shape and leaves the rest out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gmcenter.kube.objects import first, seconds
from gmcenter.kube.relations import Body, items, mapping

Detail = Callable[[Body], dict[str, Any]]


def _metadata(body: Body) -> tuple[dict[str, Any], dict[str, Any]]:
    return mapping(body, "metadata", "labels"), mapping(body, "metadata", "annotations")


def _pick(entry: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: entry.get(key) for key in keys}


def _conditions(body: Body) -> list[dict[str, Any]]:
    keys = ("type", "status", "reason", "message", "lastTransitionTime")
    return [_pick(entry, *keys) for entry in items(body, "status", "conditions")]


def _containers(spec: Body) -> list[dict[str, Any]]:
    """Containers of a pod's spec, init containers first and marked as such."""
    found = []
    for at in ("initContainers", "containers"):
        for entry in items(spec, at):
            found.append(
                {
                    "name": entry.get("name"),
                    "init": at == "initContainers",
                    "sidecar": at == "initContainers" and entry.get("restartPolicy") == "Always",
                    "image": entry.get("image"),
                    "imagePullPolicy": entry.get("imagePullPolicy"),
                    "command": entry.get("command") or [],
                    "args": entry.get("args") or [],
                    "ports": items(entry, "ports"),
                    "env": items(entry, "env"),
                    "envFrom": items(entry, "envFrom"),
                    "volumemounts": items(entry, "volumeMounts"),
                    "resources": mapping(entry, "resources"),
                }
            )
    return found


def _container_status(entry: dict[str, Any], *, init: bool) -> dict[str, Any]:
    kept = _pick(entry, "containerID", "name", "ready", "restartCount", "image", "started", "state", "lastState")
    return {**kept, "init": init}


def nothing(_body: Body) -> dict[str, Any]:
    """For a kind whose row tells all."""
    return {}


def pod(body: Body) -> dict[str, Any]:
    """A pod's addresses, owners, containers, conditions and the state of each container."""
    labels, annotations = _metadata(body)
    spec, status = mapping(body, "spec"), mapping(body, "status")
    statuses = [
        _container_status(entry, init=at == "initContainerStatuses")
        for at in ("initContainerStatuses", "containerStatuses")
        for entry in items(status, at)
    ]
    return {
        "podIPs": [entry.get("ip") for entry in items(status, "podIPs")],
        "label": labels,
        "annotations": annotations,
        "ownerReferences": items(body, "metadata", "ownerReferences"),
        "Podcontainers": _containers(spec),
        "qosClass": status.get("qosClass"),
        "statusConditions": _conditions(body),
        "containerStatuses": statuses,
        "serviceAccountName": spec.get("serviceAccountName"),
        "priorityClassName": spec.get("priorityClassName"),
        "tolerations": items(spec, "tolerations"),
        "volumes": items(spec, "volumes"),
        "message": status.get("message"),
    }


def deployment(body: Body) -> dict[str, Any]:
    """A deployment's replicas, strategy, template containers and when it last progressed."""
    labels, annotations = _metadata(body)
    spec, status = mapping(body, "spec"), mapping(body, "status")
    counts = ("readyReplicas", "updatedReplicas", "availableReplicas", "unavailableReplicas")
    moments = [seconds(entry.get("lastUpdateTime")) or 0 for entry in items(status, "conditions")]
    return {
        "replica": {"replicas": spec.get("replicas", 1), **{count: status.get(count) or 0 for count in counts}},
        "strategy": mapping(spec, "strategy"),
        "selector": mapping(spec, "selector"),
        "containers": _containers(mapping(spec, "template", "spec")),
        "labels": labels,
        "annotations": annotations,
        "statusConditions": _conditions(body),
        "updateAt": max(moments, default=0) or None,
    }


def service(body: Body) -> dict[str, Any]:
    """A service's selector, affinity and ports."""
    labels, annotations = _metadata(body)
    spec = mapping(body, "spec")
    keys = ("name", "port", "protocol", "targetPort", "nodePort", "appProtocol")
    return {
        "selector": mapping(spec, "selector"),
        "sessionAffinity": spec.get("sessionAffinity"),
        "ports": [_pick(entry, *keys) for entry in items(spec, "ports")],
        "clusterIps": first(spec.get("clusterIPs"), []),
        "externalTrafficPolicy": spec.get("externalTrafficPolicy"),
        "labels": labels,
        "annotations": annotations,
    }


def node(body: Body) -> dict[str, Any]:
    """A node's resources, addresses, conditions and taints."""
    labels, annotations = _metadata(body)
    spec, status = mapping(body, "spec"), mapping(body, "status")
    return {
        "labels": labels,
        "annotations": annotations,
        "allocatable": mapping(status, "allocatable"),
        "capacity": mapping(status, "capacity"),
        "addresses": items(status, "addresses"),
        "statusConditions": _conditions(body),
        "nodeTaints": items(spec, "taints"),
        "podCIDR": spec.get("podCIDR"),
        "providerID": spec.get("providerID"),
        "nodeInfo": mapping(status, "nodeInfo"),
    }


def namespace(body: Body) -> dict[str, Any]:
    """A namespace's labels, and what keeps it from going away."""
    labels, annotations = _metadata(body)
    return {"labels": labels, "annotations": annotations, "statusConditions": _conditions(body)}


def event(body: Body) -> dict[str, Any]:
    """An event's object and sender."""
    labels, annotations = _metadata(body)
    return {
        "labels": labels,
        "annotations": annotations,
        "involvedObject": mapping(body, "involvedObject"),
        "related": mapping(body, "related"),
        "action": body.get("action"),
        "reportingComponent": body.get("reportingComponent"),
    }
