"""What a detail shows: from one object, as the inventory knows it, to the blocks of one tab.

`gmtool/ui/detail.jsx` knows how blocks look: pairs, cards, tags, rows, events, YAML. What stands in them is decided
here, a function a tab, out of the kind's declaration and the object's body. Only the tab that is open is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from gmcenter.core.yaml import as_yaml
from gmcenter.inventory import service
from gmcenter.kube.kinds import KINDS, Column, ColumnType, Kind, by_kind
from gmtool.live import frames
from gmtool.live.topics import DetailTopic, reference
from gmtool.pages.containers import (
    Block,
    Body,
    cards,
    details,
    item,
    items,
    mapping,
    sorted_pairs,
    state_of,
    statuses,
)

RECENT_EVENTS = 5
HIDDEN_IN_OVERVIEW = frozenset({"name", "status", "objectUid", "containers", "images", "message"})


async def compose(topic: DetailTopic) -> dict[str, Any]:
    """The whole value of a detail's variable. Raises what the inventory raises (NotFound, Ambiguous)."""
    kind = KINDS[topic.kind]
    found = await service.detail(topic.scope, topic.kind, topic.name, topic.cluster, topic.namespace)
    row, body = found.row, found.body
    made: dict[str, Any] = {
        "ref": topic.ref,
        "kind": topic.kind,
        "word": kind.kind,
        "tab": topic.tab,
        "row": {
            "status": row.get("status"),
            "_state": row.get("_state"),
            "_away": row.get("_away"),
            **({"asOf": row.get("_asOf")} if row.get("_away") else {}),
        },
        "counts": _counts(kind, body, found.involves, found.events),
        "fresh": frames.fresh(found.freshness),
    }
    if topic.tab == "yaml":
        made["yaml"] = await asyncio.to_thread(to_yaml, body)
    else:
        made["blocks"] = TABS[topic.tab](Found(topic, kind, row, body, found.involves, found.events))
    return made


def to_yaml(body: Body) -> str:
    """The object as YAML, its fields in the order in which people write them."""
    first = ("apiVersion", "kind", "metadata", "type", "spec")
    ordered = {key: body[key] for key in first if key in body} | {k: v for k, v in body.items() if k not in first}
    return as_yaml(ordered)


class Found:
    """One object with what a tab needs to show it."""

    def __init__(
        self, topic: DetailTopic, kind: Kind, row: Body, body: Body, involves: Body, events: Sequence[Body]
    ) -> None:
        self.topic, self.kind, self.row, self.body = topic, kind, row, body
        self.involves, self.events = involves, events

    def containers(self) -> list[tuple[Block, Body]]:
        """Its containers, each with its card."""
        return cards(self.topic.kind, self.body, bool(self.row.get("_away")))

    def link(self, kind: str, name: str | None, namespace: str | None = None) -> str | None:
        """The address of another object in the same cluster; None for a kind that has no page."""
        declared = KINDS.get(kind)
        if declared is None or not name:
            return None
        where = (namespace or self.topic.namespace) if declared.namespaced else None
        return address(declared, self.topic.cluster, where, name)


def address(kind: Kind, cluster: str, namespace: str | None, name: str) -> str:
    """The page that shows one object of a kind."""
    return f"{kind.menu}?{urlencode({'open': reference(cluster, namespace, name)}, quote_via=quote)}"


# --- tabs ------------------------------------------------------------------------------------------------------------


def overview(found: Found) -> list[Block]:
    """What it is, what it is made of, what happened to it lately."""
    blocks = [_pairs("ui.detail.summary", found)]
    found_cards = [card for card, _ in found.containers()]
    if found_cards:
        blocks.append({"t": "cards", "title": "ui.detail.containers", "count": len(found_cards), "cards": found_cards})
    if found.topic.kind == "nodes":
        blocks.append(_node_use(found))
    if found.topic.kind == "events":
        return blocks
    happened = _events(found.events[:RECENT_EVENTS])
    return [*blocks, {"t": "events", "title": "ui.detail.recent_events", "short": True, "events": happened}]


def resources(found: Found) -> list[Block]:
    """What it asks for and runs, container by container; what a node or a namespace holds."""
    if found.topic.kind == "nodes":
        return [_node_use(found), _system(found)]
    if found.topic.kind == "namespaces":
        held = [
            {"label": f"kind.{name}.title", "value": len(rows), "type": "int", "href": _in_namespace(found, name)}
            for name, rows in found.involves.items()
            if isinstance(rows, list)
        ]
        return [{"t": "pairs", "title": "ui.detail.holds", "items": held}]
    made = [card | {"items": details(container)} for card, container in found.containers()]
    return [{"t": "cards", "title": "ui.detail.containers", "count": len(made), "cards": made}]


def conditions(found: Found) -> list[Block]:
    """The conditions that the object's controllers report."""
    return [_conditions(found), *([_taints(found)] if found.topic.kind == "nodes" else [])]


def metadata(found: Found) -> list[Block]:
    """Labels, annotations, owners, finalizers."""
    meta = mapping(found.body, "metadata")
    labels, annotations = mapping(meta, "labels"), mapping(meta, "annotations")
    owners = [
        {
            "name": owner.get("name"),
            "kind": owner.get("kind"),
            "controller": bool(owner.get("controller")),
            "_href": _owner_link(found, owner),
        }
        for owner in items(meta, "ownerReferences")
    ]
    identity = [
        item("ui.detail.uid", meta.get("uid")),
        item("ui.detail.resource_version", meta.get("resourceVersion")),
        item("ui.detail.generation", meta.get("generation"), "int"),
    ]
    blocks: list[Block] = [
        {"t": "tags", "title": "ui.detail.labels", "count": len(labels), "items": sorted_pairs(labels)},
        {"t": "tags", "title": "ui.detail.annotations", "count": len(annotations), "items": sorted_pairs(annotations)},
        {
            "t": "pairs",
            "title": "ui.detail.identity",
            "items": [item for item in identity if item["value"] is not None],
        },
    ]
    if owners:
        blocks.append(_rows("ui.detail.owners", {"name": "text", "kind": "text", "controller": "bool"}, owners))
    if finalizers := meta.get("finalizers"):
        blocks.append({"t": "tags", "title": "ui.detail.finalizers", "items": list(finalizers)})
    return blocks


def status(found: Found) -> list[Block]:
    """A pod's containers as the kubelet reports them, and its conditions."""
    rows = [
        {
            "name": entry.get("name"),
            "status": state_of(entry)[0],
            "_state": state_of(entry)[1],
            "ready": bool(entry.get("ready")),
            "started": bool(entry.get("started")),
            "restarts": entry.get("restartCount") or 0,
            "image": entry.get("image"),
            "containerID": entry.get("containerID"),
        }
        for entry in statuses(found.body)
    ]
    types = {
        "name": "text",
        "status": "status",
        "ready": "bool",
        "started": "bool",
        "restarts": "int",
        "image": "text",
        "containerID": "text",
    }
    return [_rows("ui.detail.container_status", types, rows) | {"wide": True}, _conditions(found)]


def events(found: Found) -> list[Block]:
    """Everything that was reported about the object, newest first."""
    happened = _events(found.events)
    return [{"t": "events", "count": len(happened), "title": "tab.events", "events": happened, "wide": True}]


def involves(found: Found) -> list[Block]:
    """What belongs to it, each a link."""
    blocks = []
    for name, value in found.involves.items():
        rows = [dict(row) for row in (value if isinstance(value, list) else [value] if value else [])]
        target = _target(name)
        for row in rows:
            kind = by_kind(str(row["kind"])) if row.get("kind") else KINDS.get(target)
            if kind is not None:
                row["_href"] = found.link(kind.plural, row.get("name"), row.get("namespace"))
        columns = {
            key: _type(target, key, rows)
            for key in (rows[0] if rows else {})
            if not key.startswith("_") and any(row.get(key) is not None for row in rows)
        }
        blocks.append(_rows(f"involves.{name}", columns, rows, kind=target) | {"count": len(rows), "wide": True})
    return blocks


def ports(found: Found) -> list[Block]:
    """A service's ports."""
    rows = [
        {
            "name": port.get("name"),
            "port": port.get("port"),
            "protocol": port.get("protocol") or "TCP",
            "targetPort": None if port.get("targetPort") is None else str(port.get("targetPort")),
            "nodePort": port.get("nodePort"),
        }
        for port in items(mapping(found.body, "spec"), "ports")
    ]
    types = {"name": "text", "port": "int", "protocol": "text", "targetPort": "text", "nodePort": "int"}
    return [_rows("tab.ports", types, rows) | {"count": len(rows), "wide": True}]


TABS: dict[str, Callable[[Found], list[Block]]] = {
    "overview": overview,
    "resources": resources,
    "conditions": conditions,
    "metadata": metadata,
    "status": status,
    "events": events,
    "involves": involves,
    "ports": ports,
}


# --- nodes -----------------------------------------------------------------------------------------------------------


def _node_use(found: Found) -> Block:
    reported = mapping(found.body, "status")
    capacity, free = mapping(reported, "capacity"), mapping(reported, "allocatable")
    rows = [{"resource": name, "capacity": capacity[name], "allocatable": free.get(name)} for name in sorted(capacity)]
    return _rows("ui.detail.capacity", {"resource": "text", "capacity": "text", "allocatable": "text"}, rows)


def _system(found: Found) -> Block:
    info = mapping(mapping(found.body, "status"), "nodeInfo")
    addresses = [f"{a.get('type')}: {a.get('address')}" for a in items(mapping(found.body, "status"), "addresses")]
    lines = [item(name, value) for name, value in sorted(info.items()) if isinstance(value, str) and value]
    return {
        "t": "pairs",
        "title": "ui.detail.system",
        "items": [*lines, item("ui.detail.addresses", addresses, "tags")],
    }


def _taints(found: Found) -> Block:
    rows = [
        {"key": t.get("key"), "value": t.get("value"), "effect": t.get("effect")}
        for t in items(mapping(found.body, "spec"), "taints")
    ]
    return _rows("ui.detail.taints", {"key": "text", "value": "text", "effect": "text"}, rows)


def _in_namespace(found: Found, kind: str) -> str | None:
    declared = KINDS.get(kind)
    if declared is None:
        return None
    return f"{declared.menu}?{urlencode({'cluster': found.topic.cluster, 'f.namespace': found.topic.name})}"


# --- shared ----------------------------------------------------------------------------------------------------------


def _pairs(title: str, found: Found) -> Block:
    lines = []
    for column in found.kind.all_columns:
        value = found.row.get(column.key)
        if column.key in HIDDEN_IN_OVERVIEW or (value in (None, "", []) and not column.shown):
            continue
        line = item(column.label, value, column.type.value)
        if href := _column_link(found, column, value):
            line["href"] = href
        lines.append(line)
    if message := found.row.get("message"):
        lines.insert(0, item("kind.events.message", message, "prose"))
    return {"t": "pairs", "title": title, "items": lines}


def _column_link(found: Found, column: Column, value: Any) -> str | None:
    if not value:
        return None
    if column.key == "cluster":
        return f"/platform/clusters?{urlencode({'open': str(value)})}"
    if column.key == "node_name":
        return found.link("nodes", str(value))
    if column.key in ("namespace", "project") and found.topic.kind != "namespaces":
        return found.link("namespaces", found.topic.namespace)
    if column.key in ("workload", "owner", "object"):
        kind, _, name = str(value).partition("/")
        declared = by_kind(kind) or KINDS.get(f"{kind.lower()}s")
        return found.link(declared.plural, name) if declared and name else None
    return None


def _conditions(found: Found) -> Block:
    rows = [
        {
            "type": c.get("type"),
            "status": c.get("status"),
            "reason": c.get("reason"),
            "message": c.get("message"),
            "since": _epoch(c.get("lastTransitionTime")),
        }
        for c in items(mapping(found.body, "status"), "conditions")
    ]
    types = {"type": "text", "status": "text", "reason": "text", "message": "text", "since": "time"}
    return _rows("ui.detail.conditions", types, rows) | {"count": len(rows), "wide": True}


def _events(rows: Iterable[Body]) -> list[Block]:
    return [
        {
            "key": row.get("uid") or row.get("_id"),
            "type": row.get("type"),
            "reason": row.get("reason"),
            "message": row.get("message"),
            "object": row.get("object"),
            "source": row.get("source"),
            "count": row.get("count"),
            "first": row.get("firstSeen"),
            "at": row.get("lastSeen"),
        }
        for row in rows
    ]


def _counts(kind: Kind, body: Body, involved: Body, happened: Sequence[Body]) -> dict[str, int]:
    counts: dict[str, int] = {}
    if "events" in kind.tabs:
        counts["events"] = len(happened)
    if "involves" in kind.tabs:
        counts["involves"] = sum(len(v) if isinstance(v, list) else 1 for v in involved.values() if v)
    if "conditions" in kind.tabs:
        counts["conditions"] = len(items(mapping(body, "status"), "conditions"))
    if "ports" in kind.tabs:
        counts["ports"] = len(items(mapping(body, "spec"), "ports"))
    return counts


def _rows(title: str, types: Mapping[str, str], rows: Sequence[Body], kind: str | None = None) -> Block:
    def label(key: str) -> str:
        declared = KINDS[kind].column(key) if kind in KINDS else None
        return declared.label if declared else f"field.{key}"

    columns = [{"key": key, "type": type_, "label": label(key)} for key, type_ in types.items()]
    return {"t": "rows", "title": title, "columns": columns, "rows": list(rows)}


def _target(relation: str) -> str:
    """The kind that a relation's entries are of, by its name."""
    plural = relation.removesuffix("List")
    return plural if plural in KINDS else f"{plural}s"


def _type(kind: str, key: str, rows: Iterable[Body]) -> str:
    declared = KINDS[kind].column(key) if kind in KINDS else None
    if declared is not None and declared.type is not ColumnType.STATUS:
        return declared.type.value
    sample = next((row[key] for row in rows if row.get(key) is not None), None)
    return "int" if isinstance(sample, int) else "tags" if isinstance(sample, list) else "text"


def _owner_link(found: Found, owner: Body) -> str | None:
    kind = by_kind(str(owner.get("kind")))
    return found.link(kind.plural, owner.get("name")) if kind else None


def _epoch(timestamp: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(timestamp)).timestamp()
    except ValueError:
        return None
