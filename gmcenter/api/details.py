"""What a detail tells beyond its row: fields of the object's body under the names that the REST API owes its callers."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any, Final

from ruamel.yaml import YAML

from gmcenter.kube.kinds import Kind

Body = Mapping[str, Any]


def _part(body: Body, *path: str) -> Any:
    found: Any = body
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _list(body: Body, *path: str) -> list[Any]:
    found = _part(body, *path)
    return found if isinstance(found, list) else []


def _cut(entries: list[Any], *names: str) -> list[dict[str, Any]]:
    return [{name: entry.get(name) for name in names} for entry in entries if isinstance(entry, Mapping)]


def _containers(entries: list[Any]) -> list[dict[str, Any]]:
    return _cut(
        entries,
        "name", "image", "imagePullPolicy", "command", "args", "env", "envFrom", "ports", "resources", "volumeMounts",
    )  # fmt: skip


def _pod(body: Body) -> dict[str, Any]:
    containers = _list(body, "spec", "containers")
    return {
        "label": _part(body, "metadata", "labels") or {},
        "podIPs": [entry.get("ip") for entry in _list(body, "status", "podIPs")],
        "Podcontainers": [
            {
                "name": entry.get("name"),
                "image": entry.get("image"),
                "ports": entry.get("ports") or [],
                "env": entry.get("env") or [],
                "volumemounts": entry.get("volumeMounts") or [],
            }
            for entry in containers
        ],
        "initContainers": _containers(_list(body, "spec", "initContainers")),
        "statusConditions": _list(body, "status", "conditions"),
        "containerStatuses": _cut(
            _list(body, "status", "initContainerStatuses") + _list(body, "status", "containerStatuses"),
            "containerID", "name", "ready", "restartCount", "image", "started", "state", "lastState",
        ),
        "volumes": _list(body, "spec", "volumes"),
        "tolerations": _list(body, "spec", "tolerations"),
        "nodeSelector": _part(body, "spec", "nodeSelector") or {},
        "serviceAccountName": _part(body, "spec", "serviceAccountName"),
    }  # fmt: skip


def _deployment(body: Body) -> dict[str, Any]:
    conditions = _list(body, "status", "conditions")
    return {
        "replica": {
            "replicas": _part(body, "spec", "replicas"),
            **{
                name: _part(body, "status", name) or 0
                for name in ("readyReplicas", "updatedReplicas", "availableReplicas", "unavailableReplicas")
            },
        },
        "strategy": _part(body, "spec", "strategy", "type"),
        "containers": _containers(_list(body, "spec", "template", "spec", "containers")),
        "initContainers": _containers(_list(body, "spec", "template", "spec", "initContainers")),
        "selector": _part(body, "spec", "selector") or {},
        "conditions": conditions,
        "updateAt": max((str(entry.get("lastUpdateTime") or "") for entry in conditions), default="") or None,
    }


def _service(body: Body) -> dict[str, Any]:
    return {
        "selector": _part(body, "spec", "selector") or {},
        "ports": _list(body, "spec", "ports"),
        "clusterIPs": _list(body, "spec", "clusterIPs"),
        "ipFamilies": _list(body, "spec", "ipFamilies"),
        "loadBalancer": _part(body, "status", "loadBalancer", "ingress") or [],
    }


def _node(body: Body) -> dict[str, Any]:
    return {
        "capacity": _part(body, "status", "capacity") or {},
        "allocatable": _part(body, "status", "allocatable") or {},
        "addresses": _list(body, "status", "addresses"),
        "conditions": _list(body, "status", "conditions"),
        "taints": _list(body, "spec", "taints"),
        "podCIDRs": _list(body, "spec", "podCIDRs"),
        "nodeInfo": _part(body, "status", "nodeInfo") or {},
    }


def _namespace(body: Body) -> dict[str, Any]:
    return {"conditions": _list(body, "status", "conditions")}


def _event(body: Body) -> dict[str, Any]:
    return {
        "involvedObject": _part(body, "involvedObject") or {},
        "related": _part(body, "related"),
        "action": _part(body, "action"),
        "reportingComponent": _part(body, "reportingComponent"),
    }


_FIELDS: Final[dict[str, Callable[[Body], dict[str, Any]]]] = {
    "pods": _pod,
    "deployments": _deployment,
    "services": _service,
    "nodes": _node,
    "namespaces": _namespace,
    "events": _event,
}


def fields(kind: Kind, body: Body) -> dict[str, Any]:
    """The fields of a detail that its row does not have; some overrule a column by the whole value behind it."""
    common = {
        "labels": _part(body, "metadata", "labels") or {},
        "annotations": _part(body, "metadata", "annotations") or {},
        "ownerReferences": _list(body, "metadata", "ownerReferences"),
        "finalizers": _list(body, "metadata", "finalizers"),
        "resourceVersion": _part(body, "metadata", "resourceVersion"),
    }
    own = _FIELDS.get(kind.plural)
    return {**common, **(own(body) if own else {})}


def as_yaml(body: Body) -> str:
    """An object as YAML 1.2 block text, keys in the object's order. Takes some milliseconds a kilobyte: use a thread."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 4096
    out = io.StringIO()
    yaml.dump(dict(body), out)
    return out.getvalue()
