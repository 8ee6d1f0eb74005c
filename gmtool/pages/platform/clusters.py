"""The clusters of the fleet: list, detail, and what may be done with one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import unquote, urlencode, urlsplit

import reflex as rx

from gmcenter.clusters import service
from gmcenter.clusters.schema import ClusterView
from gmcenter.core.errors import Forbidden, NotFound, Unavailable
from gmcenter.identity import scope as scopes
from gmcenter.identity.actor import SYSTEM
from gmcenter.identity.scope import Scope
from gmcenter.inventory import service as inventory
from gmcenter.inventory.service import ListQuery
from gmcenter.kube.kinds import KINDS
from gmtool.live import frames
from gmtool.live.frames import Frame, PageFrame
from gmtool.live.subscription import look, look_away
from gmtool.live.topics import DetailTopic
from gmtool.pages import Page
from gmtool.pages.blocks import address
from gmtool.pages.platform.forms import ClusterActions, ClusterForms, RegisterButton, ZoneTabs
from gmtool.shell.guard import actor, requires
from gmtool.shell.i18n import t
from gmtool.shell.layout import layout
from gmtool.shell.session import Session
from gmtool.ui.detail import detail, split
from gmtool.ui.table import table

PATH = "/platform/clusters"
ZONES = ("edge", "cloud")
TABS = ("overview", "resources", "nodes", "metadata", "events")
COUNTED = ("deployments", "pods", "services", "namespaces", "nodes")
CREDENTIALS = "clusters.credential.".removesuffix(".")
STEPS = ("fetching", "compiling", "linking", "starting", "ready", "failed")
"""Of the making of a cluster, those that have words."""
MOST_NODES = 500
MOST_EVENTS = 100
SIGNS = {"live": "good", "syncing": "busy", "building": "busy", "failed": "bad", "away": "away", "unknown": "away"}


def _column(key: str, type_: str = "text", width: int = 120, shown: bool = True, **more: Any) -> dict[str, Any]:
    filterable = type_ not in ("time", "date", "float")
    label = f"clusters.column.{key}"
    base = {"key": key, "type": type_, "label": label, "sortable": True, "filterable": filterable, "width": width}
    return {**base, "shown": shown, **more}


# What changes with every probe has a name that begins with "_": a row does not flash for it.
COLUMNS = (
    _column("name", width=190),
    _column("type", "word", 80, words="clusters.type"),
    _column("status", "status", 130),
    _column("nodes", "int", 84),
    _column("ip", width=115),
    _column("site", width=100),
    _column("version", width=84),
    _column("certificate", "date", 122),
    _column("_seen", "time", 92, label="clusters.column.lastSeen"),
    _column("created", "time", 84),
    _column("cloud", width=110, shown=False),
    _column("gpus", "int", 80, shown=False),
    _column("_latency", "float", 110, shown=False, label="clusters.column.latency"),
    _column("endpoint", width=240, shown=False),
)


def _epoch(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _status(view: ClusterView) -> tuple[str | None, dict[str, Any]]:
    """The word of a cluster's state and what fills it; none for one that is away, whose sign says it all."""
    if view.state == "away":
        return None, {}
    building = view.building or {}
    if view.state == "building":
        params = {"step": _step(building), "percent": round(float(building.get("percent") or 0)), "left": ""}
        if (minutes := _minutes(building)) is not None:
            params["left"] = {"key": "clusters.building.left", "params": {"minutes": minutes}}
        return "cluster_building", params
    return f"cluster_{view.state}", {}


def _step(building: Mapping[str, Any]) -> dict[str, Any]:
    """The words of a step of the making; the general ones for a step that has none of its own."""
    step = str(building.get("step") or "")
    return {"key": f"clusters.step.{step if step in STEPS else 'working'}"}


def _minutes(building: Mapping[str, Any]) -> int | None:
    """How many minutes the making is going to take, at least one; None where nobody can tell."""
    seconds = building.get("etaSeconds")
    return max(1, round(float(seconds) / 60)) if seconds else None


def row_of(view: ClusterView) -> dict[str, Any]:
    """One cluster as a row of the list."""
    status, params = _status(view)
    return {
        "_id": view.id,
        "_ref": view.cluster_name,
        "_cluster": view.cluster_name,
        "_state": SIGNS[view.state],
        "_away": view.state == "away",
        "uid": view.cluster_name,
        "name": view.cluster_name,
        "type": view.cluster_type,
        "status": status,
        "statusParams": params,
        "nodes": view.node_cnt,
        "ip": urlsplit(view.cluster_endpoint).hostname or "",
        "site": view.site or "",
        "version": view.version or "",
        "certificate": _epoch(view.certificate_not_after),
        "_seen": _epoch(view.last_seen),
        "created": _epoch(view.created_at),
        "cloud": view.cloud_type,
        "gpus": view.gpu_cnt,
        "_latency": view.latency_ms,
        "endpoint": view.cluster_endpoint,
    }


@dataclass(frozen=True)
class ClustersTopic:
    """All clusters, or those of one zone. Only for those who may know of every cluster."""

    scope: Scope
    zone: str
    period: ClassVar[float | None] = 1.0

    @property
    def key(self) -> Hashable:
        return ("clusters", self.scope, self.zone)

    def touched(self, change: Any) -> bool:
        return change.kind in ("nodes", "*")

    async def read(self, before: Any) -> tuple[Frame, Any]:
        if not self.scope.everything:
            raise Forbidden(rule="platform-admin", action="clusters.list")
        views = await service.list_clusters(SYSTEM)
        rows = [row_of(view) for view in views if self.zone in ("", view.cluster_type)]
        zones = {zone: sum(view.cluster_type == zone for view in views) for zone in ZONES}
        facts = {"count": len(rows), "exact": True, "away": sum(row["_away"] for row in rows), "zones": zones}
        if isinstance(before, PageFrame):
            return Frame(before.full, before.follow(rows, facts)), before
        columns = frames.column_keys(("_ref", "statusParams", *(column["key"] for column in COLUMNS)))
        made = frames.page("clusters", columns, rows, facts)
        return Frame(made.full, made.full), made

    def rescoped(self, scope: Scope) -> ClustersTopic:
        return replace(self, scope=scope)


class Clusters(rx.State):
    """What the address asks for: the clusters of a zone, and the one that is open."""

    page: dict[str, Any] = {}
    patch: dict[str, Any] = {}
    detail: dict[str, Any] = {}
    problem: dict[str, Any] = {}

    @requires("clusters.list")
    async def open(self) -> None:
        """Runs when the address changes."""
        asked = self.router.url.query_parameters
        zone = asked.get("zone", "") if asked.get("zone", "") in ZONES else ""
        everything = await scopes.resolve(actor())
        self.problem = {}
        await look(self, "list", ClustersTopic(everything, zone))
        opened = unquote(asked.get("open", "").rpartition("/")[2])
        if not opened:
            look_away(self, "detail")
            self.detail = {}
            return
        tab = asked.get("tab", TABS[0])
        topic = DetailTopic(everything, "clusters", opened, None, opened, tab if tab in TABS else TABS[0], compose)
        await look(self, "detail", topic)

    def _refused(self, problem: dict[str, Any]) -> None:
        self.problem = problem


# --- detail ----------------------------------------------------------------------------------------------------------


async def compose(topic: DetailTopic) -> dict[str, Any]:
    """One cluster under one tab. Raises NotFound."""
    if not topic.scope.everything:
        raise Forbidden(rule="platform-admin", action="clusters.read")
    view = next((v for v in await service.list_clusters(SYSTEM) if v.cluster_name == topic.name), None)
    if view is None:
        raise NotFound(kind="cluster", name=topic.name)
    status, params = _status(view)
    fresh = await inventory.freshness(topic.scope, ("nodes",), (topic.name,))
    row = {"status": status, "_state": SIGNS[view.state], "_away": view.state == "away", "statusParams": params}
    if view.state == "away":
        row["asOf"] = _epoch(view.last_seen)
    return {
        "ref": topic.name,
        "kind": "clusters",
        "tab": topic.tab,
        "row": row,
        "edit": {
            "name": view.cluster_name,
            "type": view.cluster_type,
            "cloud": view.cloud_type,
            "site": view.site or "",
            "endpoint": view.cluster_endpoint,
            "building": view.state == "building",
        },
        "counts": {"nodes": view.node_cnt} if view.node_cnt is not None else {},
        "fresh": frames.fresh(fresh),
        "blocks": await BLOCKS[topic.tab](topic, view),
    }


def _item(key: str, value: Any, type_: str = "text", href: str | None = None) -> dict[str, Any]:
    found = {"label": f"clusters.detail.{key}", "value": value, "type": type_}
    return found | ({"href": href} if href else {})


def _pairs(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"t": "pairs", "title": f"clusters.block.{title}", "items": list(items)}


async def _overview(topic: DetailTopic, view: ClusterView) -> list[dict[str, Any]]:
    nodes = await _nodes(topic)
    runtimes = sorted({str(node["containerRuntimeVersion"]) for node in nodes if node.get("containerRuntimeVersion")})
    place = _pairs(
        "about",
        _item("name", view.cluster_name),
        _item("type", view.cluster_type, "word") | {"words": "clusters.type"},
        _item("cloud", view.cloud_type),
        _item("site", view.site, href="/platform/sites" if view.site else None),
        _item("address", view.address),
        _item("version", view.version),
        _item("nodes", view.node_cnt, "int", _in("nodes", topic.name)),
        _item("gpus", view.gpu_cnt, "int"),
        _item("runtime", runtimes, "tags"),
        _item("created", _epoch(view.created_at), "time"),
        _item("created_by", view.created_by),
    )
    way = _pairs(
        "connection",
        _item("endpoint", view.cluster_endpoint),
        _item("credential", view.credential_kind, "word") | {"words": CREDENTIALS},
        _item("credential_until", _epoch(view.credential_not_after), "date"),
        _item("certificate_until", _epoch(view.certificate_not_after), "date"),
        _item("latency", view.latency_ms, "float"),
        _item("last_seen", _epoch(view.last_seen), "time"),
    )
    blocks = [place, way]
    if view.state == "building":
        done = view.building or {}
        words = {"words": "clusters.step"}
        progress = [
            _item("step", _step(done)["key"].rpartition(".")[2], "word") | words,
            _item("percent", done.get("percent"), "float"),
            _item("minutes", _minutes(done), "int"),
        ]
        blocks.insert(0, _pairs("building", *progress))
    elif view.error:
        note = {"tone": "warn" if view.state == "away" else "bad", "key": f"reason.{view.error}"}
        card = {"name": view.cluster_name, "note": note}
        blocks.insert(0, {"t": "cards", "title": "clusters.block.trouble", "cards": [card]})
    blocks.append({"t": "events", "title": "ui.detail.recent_events", "short": True, "events": await _events(topic, 5)})
    return blocks


async def _resources(topic: DetailTopic, view: ClusterView) -> list[dict[str, Any]]:  # noqa: ARG001
    counts = await inventory.counters(topic.scope, COUNTED, (topic.name,))
    items = [
        {"label": f"kind.{kind}.title", "value": counts.get(kind, 0), "type": "int", "href": _in(kind, topic.name)}
        for kind in COUNTED
    ]
    return [{"t": "pairs", "title": "clusters.block.holds", "items": items}]


async def _node_info(topic: DetailTopic, view: ClusterView) -> list[dict[str, Any]]:  # noqa: ARG001
    kind = KINDS["nodes"]
    keys = ("name", "status", "type", "nodeIP", "kubeVersion", "os", kind.created_field)
    columns = [c for c in (kind.column(key) for key in keys) if c is not None]
    shown = (*keys, "_state", "_away")
    rows = [
        {key: node.get(key) for key in shown} | {"_href": address(kind, topic.name, None, str(node["name"]))}
        for node in await _nodes(topic)
    ]
    declared = [{"key": c.key, "type": c.type.value, "label": c.label} for c in columns]
    return [{"t": "rows", "title": "tab.nodes", "count": len(rows), "columns": declared, "rows": rows, "wide": True}]


async def _metadata(topic: DetailTopic, view: ClusterView) -> list[dict[str, Any]]:  # noqa: ARG001
    blocks: list[dict[str, Any]] = []
    for row, body in await inventory.list_objects(topic.scope, _of("nodes", topic, "name", MOST_NODES)):
        meta = body.get("metadata") or {}
        items = []
        for part in ("labels", "annotations"):
            values = sorted([key, str(value)] for key, value in (meta.get(part) or {}).items())
            items.append({"label": f"ui.detail.{part}", "value": values, "type": "tags"})
        blocks.append({"t": "cards", "cards": [{"name": row["name"], "items": items}], "wide": True})
    return blocks


async def _event_tab(topic: DetailTopic, view: ClusterView) -> list[dict[str, Any]]:  # noqa: ARG001
    happened = await _events(topic, MOST_EVENTS)
    return [{"t": "events", "title": "tab.events", "count": len(happened), "events": happened, "wide": True}]


BLOCKS = {
    "overview": _overview,
    "resources": _resources,
    "nodes": _node_info,
    "metadata": _metadata,
    "events": _event_tab,
}


def _of(kind: str, topic: DetailTopic, sort: str, most: int) -> ListQuery:
    return ListQuery(kind=kind, clusters=(topic.name,), sort=sort, limit=most)


async def _rows(topic: DetailTopic, query: ListQuery) -> list[dict[str, Any]]:
    """Rows of the cluster; none while the inventory is not there yet, which the detail's freshness says."""
    try:
        return (await inventory.list_rows(topic.scope, query)).rows
    except Unavailable:
        return []


async def _nodes(topic: DetailTopic) -> list[dict[str, Any]]:
    return await _rows(topic, _of("nodes", topic, "name", MOST_NODES))


async def _events(topic: DetailTopic, most: int) -> list[dict[str, Any]]:
    return [
        {
            "key": row["_id"],
            "at": row.get("lastSeen"),
            "first": row.get("firstSeen"),
            **{name: row.get(name) for name in ("type", "reason", "message", "object", "source", "count")},
        }
        for row in await _rows(topic, _of("events", topic, "-lastSeen", most))
    ]


def _in(kind: str, cluster: str) -> str:
    return f"{KINDS[kind].menu}?{urlencode({'cluster': cluster})}"


def clusters() -> rx.Component:
    """`/platform/clusters?zone=edge&open=name&tab=nodes`"""
    return layout(
        ZoneTabs.create(page=Clusters.page, path=PATH),
        split(
            table(
                "clusters",
                COLUMNS,
                RegisterButton.create(role=Session.role),
                title=t("clusters.title"),
                page=Clusters.page,
                patch=Clusters.patch,
                problem=Clusters.problem,
                mode="local",
                selectable=False,
                labels=False,
                empty_hint=t("clusters.empty"),
            ),
            detail(
                "clusters",
                TABS,
                Clusters.detail,
                ClusterActions.create(
                    cluster=Clusters.detail["edit"],
                    sites=ClusterForms.sites,
                    contexts=ClusterForms.contexts,
                    stages=ClusterForms.stages,
                    running=ClusterForms.running,
                    problem=ClusterForms.problem,
                    finished=ClusterForms.finished,
                    dependents=ClusterForms.dependents,
                    on_contexts=ClusterForms.read_kubeconfig,
                    on_check=ClusterForms.check_stored,
                    on_save=ClusterForms.update_cluster,
                    on_depends=ClusterForms.depends,
                    on_delete=ClusterForms.delete_cluster,
                    on_reset=ClusterForms.begin,
                ),
            ),
        ),
        path=PATH,
        pickers=False,
    )


PAGES = (Page(PATH, clusters, (ClusterForms.load_sites, Clusters.open)),)
