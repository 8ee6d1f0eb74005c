"""Containers of pods and of what makes pods, as cards of a detail; and how bodies are read without trusting them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Block = dict[str, Any]
Body = Mapping[str, Any]


def cards(kind: str, body: Body, away: bool) -> list[tuple[Block, Body]]:
    """A card a container (its state, image, what it asks for, why it last stopped), with the container itself."""
    spec = _pod_spec(kind, body)
    reported = {entry.get("name"): entry for entry in statuses(body)}
    made = []
    for first, container in [
        *((True, c) for c in items(spec, "initContainers")),
        *((False, c) for c in items(spec, "containers")),
    ]:
        entry = reported.get(container.get("name"))
        card: Block = {"name": container.get("name"), "line": _line(container, first)}
        if entry is not None:
            word, state = state_of(entry)
            card |= {"status": word, "state": state}
            if away:
                card["away"] = True
            card["right"] = {"key": "ui.detail.restarts", "params": {"count": entry.get("restartCount") or 0}}
            if note := _note(entry):
                card["note"] = note
        made.append((card, container))
    return made


def _pod_spec(kind: str, body: Body) -> Body:
    spec = mapping(body, "spec")
    template = mapping(spec, "template")
    return mapping(template, "spec") if template else spec if kind == "pods" else {}


def statuses(body: Body) -> list[Body]:
    """What the kubelet reports of a pod's containers, init containers first."""
    reported = mapping(body, "status")
    return [*items(reported, "initContainerStatuses"), *items(reported, "containerStatuses")]


def state_of(entry: Body) -> tuple[str, str]:
    """The word of a container's state and the state that colours it."""
    now = mapping(entry, "state")
    if waiting := mapping(now, "waiting"):
        reason = str(waiting.get("reason") or "Waiting")
        return reason, "busy" if reason in ("ContainerCreating", "PodInitializing", "Waiting") else "bad"
    if ended := mapping(now, "terminated"):
        good = not ended.get("exitCode")
        return str(ended.get("reason") or ("Completed" if good else "Error")), "good" if good else "bad"
    if "running" in now:
        return ("Running", "good") if entry.get("ready") else ("NotReady", "warn")
    return "Waiting", "busy"


def _note(entry: Body) -> Block | None:
    now = mapping(entry, "state")
    waiting = mapping(now, "waiting")
    ended = mapping(now, "terminated") or (mapping(entry, "lastState").get("terminated") or {} if waiting else {})
    if ended and ended.get("exitCode"):
        params = {"code": ended.get("exitCode"), "reason": ended.get("reason") or "Error"}
        return {"tone": "bad", "key": "ui.detail.exit", "params": params}
    if message := waiting.get("message"):
        return {"tone": "warn", "text": message}
    return None


def _line(container: Body, first: bool) -> str:
    wants = mapping(container, "resources")
    asked = {**mapping(wants, "requests"), **mapping(wants, "limits")}
    parts = [str(container.get("image") or ""), *(f"{name} {amount}" for name, amount in asked.items())]
    return " · ".join([*(["init"] if first else []), *filter(None, parts)])


def details(container: Body) -> list[Block]:
    """The lines of a container's card: command, ports, what it asks for, environment, mounts."""
    wants = mapping(container, "resources")
    listed = {
        "ui.container.command": [*(container.get("command") or []), *(container.get("args") or [])],
        "ui.container.ports": [
            f"{p.get('containerPort')}/{p.get('protocol') or 'TCP'}" for p in items(container, "ports")
        ],
        "ui.container.requests": sorted_pairs(mapping(wants, "requests")),
        "ui.container.limits": sorted_pairs(mapping(wants, "limits")),
        "ui.container.env": [_environment(entry) for entry in items(container, "env")],
        "ui.container.mounts": [
            f"{m.get('mountPath')} ← {m.get('name')}{' (ro)' if m.get('readOnly') else ''}"
            for m in items(container, "volumeMounts")
        ],
    }
    lines = [
        item("ui.container.image", container.get("image")),
        item("ui.container.pull", container.get("imagePullPolicy")),
    ]
    lines += [item(label, value, "tags") for label, value in listed.items() if value]
    return [line for line in lines if line["value"]]


def _environment(entry: Body) -> list[str]:
    source = mapping(entry, "valueFrom")
    if not source:
        return [str(entry.get("name")), str(entry.get("value") or "")]
    kind, where = next(iter(source.items()))
    path = where if isinstance(where, Mapping) else {}
    return [str(entry.get("name")), f"{kind}: {' '.join(str(v) for v in path.values() if isinstance(v, str))}"]


# --- bodies ---


def item(label: str, value: Any, type_: str = "text") -> Block:
    """One line of a block of pairs."""
    return {"label": label, "value": value, "type": type_}


def sorted_pairs(values: Body) -> list[list[str]]:
    """A mapping as tags, by key."""
    return [[key, str(values[key])] for key in sorted(values)]


def mapping(body: Any, key: str) -> Body:
    """The mapping under a key; empty where a cluster sent something else."""
    found = body.get(key) if isinstance(body, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def items(body: Any, key: str) -> list[Body]:
    """The mappings in the list under a key; whatever else stands there is left out."""
    found = body.get(key) if isinstance(body, Mapping) else None
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []
