"""Everything GM knows of a kind stands here, once.

From a declaration come the inventory's table and its indexes, the REST routes with their fields, the list and detail
pages, the search entry and the labels to translate. Field names are those the REST API owes its callers; what a list
shows at first is its `layout`, everything else can be switched on.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any
from urllib.parse import quote

from gmcenter.kube import details, involves, status, values
from gmcenter.kube.details import Detail
from gmcenter.kube.objects import Deployment, Event, Item, Namespace, Node, Pod, Service
from gmcenter.kube.relations import Relation, contains, derived, manages, runs_on, selected_by, selects
from gmcenter.kube.status import Status

__all__ = ["KINDS", "Column", "ColumnType", "Kind", "Status", "by_kind", "describe"]


class ColumnType(StrEnum):
    """What a column's value is; Python type in brackets. Any of them may be None."""

    TEXT = "text"  # str
    INT = "int"  # int, 64 bit
    FLOAT = "float"  # float
    BOOL = "bool"  # bool
    TIME = "time"  # int, seconds since 1970
    RATIO = "ratio"  # str "n/m"
    TAGS = "tags"  # list[str]
    BYTES = "bytes"  # int, shown as KiB, MiB, …
    STATUS = "status"  # str, shown with its state


TEXT, INT, FLOAT, TIME, RATIO, TAGS, BYTES = (
    ColumnType.TEXT,
    ColumnType.INT,
    ColumnType.FLOAT,
    ColumnType.TIME,
    ColumnType.RATIO,
    ColumnType.TAGS,
    ColumnType.BYTES,
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a kind.

    `value` computes it from the decoded object and is None for the columns that every kind has, which the inventory
    fills. `field` is the path by which a fieldSelector names it, besides its key. `label` is the translation key of
    its heading. `shown` says whether a list shows it at first.
    """

    key: str
    value: Callable[[Any], Any] | None = None
    type: ColumnType = TEXT
    sortable: bool = True
    filterable: bool = True
    width: int = 140
    shown: bool = False
    label: str = ""
    field: str | None = None


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of Kubernetes object.

    `columns` are its own columns, in the order in which projected values stand; `layout` names what a list shows at
    first, in order, common columns included. `detail` tells what a body has beyond the row. `icon` is lucide's name,
    `menu` the list page's path.
    """

    plural: str
    kind: str
    decode: type[Item]
    columns: tuple[Column, ...]
    status: Callable[[Any], Status]
    layout: tuple[str, ...]
    tabs: tuple[str, ...]
    menu: str
    icon: str
    detail: Detail = details.nothing
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    relations: tuple[Relation, ...] = ()
    created_field: str = "createAt"
    default_sort: str = "name"

    @cached_property
    def common(self) -> tuple[Column, ...]:
        """The columns that every kind has and the inventory fills: name, cluster, project, namespace, workspace,
        user, status, created.
        """
        label = f"kind.{self.plural}"
        scoped: tuple[Column, ...] = ()
        if self.namespaced or self.plural == "namespaces":
            scoped = (
                Column("project", width=160, label="kind.common.project"),
                Column("workspace", width=140, label="kind.common.workspace"),
                Column("user", width=120, label="kind.common.user"),
            )
        if self.namespaced:
            own = Column("namespace", width=150, label="kind.common.namespace", field="metadata.namespace")
            scoped = (scoped[0], own, *scoped[1:])
        found = (
            Column("name", width=260, label=f"{label}.name", field="metadata.name"),
            Column("cluster", width=164, label="kind.common.cluster"),
            *scoped,
            Column("status", type=ColumnType.STATUS, width=150, label=f"{label}.status"),
            Column(self.created_field, type=TIME, width=94, label=f"{label}.{self.created_field}", filterable=False),
        )
        return tuple(replace(column, shown=column.key in self.layout) for column in found)

    @cached_property
    def own(self) -> tuple[Column, ...]:
        """`columns` with their labels and whether they are shown filled in; same order."""
        return tuple(
            replace(column, label=column.label or f"kind.{self.plural}.{column.key}", shown=column.key in self.layout)
            for column in self.columns
        )

    @cached_property
    def all_columns(self) -> tuple[Column, ...]:
        """All columns in the order of display: those of the layout, then the rest."""
        by_key = {column.key: column for column in (*self.common, *self.own)}
        return (*(by_key.pop(key) for key in self.layout), *by_key.values())

    def column(self, key: str) -> Column | None:
        """The column of that key, or None."""
        return next((column for column in self.all_columns if column.key == key), None)

    @cached_property
    def path(self) -> str:
        """The kind's collection at the API server, over all namespaces."""
        return (
            f"/apis/{self.group}/{self.version}/{self.plural}" if self.group else f"/api/{self.version}/{self.plural}"
        )

    def path_in(self, namespace: str | None, name: str | None = None) -> str:
        """The path of a namespace's collection, or of one object."""
        root, _, plural = self.path.rpartition("/")
        inside = namespace and self.namespaced
        where = f"{root}/namespaces/{quote(namespace or '', safe='')}/{plural}" if inside else self.path
        return f"{where}/{quote(name, safe='')}" if name else where


NODE = Kind(
    "nodes",
    "Node",
    Node,
    namespaced=False,
    columns=(
        Column("type", values.node_type, width=76),
        Column("roles", values.node_roles, TAGS, width=140),
        Column("nodeIP", lambda node: values.node_address(node, "InternalIP"), width=112),
        Column("externalIP", lambda node: values.node_address(node, "ExternalIP"), width=130),
        Column("kubeVersion", lambda node: values.node_info(node).kubelet_version, width=98),
        Column("os", lambda node: values.node_info(node).os_image, width=150),
        Column("kernel", lambda node: values.node_info(node).kernel_version, width=170),
        Column("architecture", lambda node: values.node_info(node).architecture, width=110),
        Column("containerRuntimeVersion", lambda node: values.node_info(node).container_runtime_version, width=170),
        Column("cpu", lambda node: values.node_capacity(node, "cpu"), FLOAT, width=88),
        Column("memory", lambda node: values.whole(values.node_capacity(node, "memory")), BYTES, width=92),
        Column("podCapacity", lambda node: values.whole(values.node_capacity(node, "pods")), INT, width=100),
        Column("gpu", values.node_gpus, INT, width=72),
        Column("conditions", values.node_conditions, TAGS, width=180),
        Column("taints", values.node_taints, TAGS, width=220),
        Column("zone", lambda node: values.node_label(node, "topology.kubernetes.io/zone"), width=120),
        Column("region", lambda node: values.node_label(node, "topology.kubernetes.io/region"), width=120),
        Column("unschedulable", values.node_unschedulable, ColumnType.BOOL, width=110, field="spec.unschedulable"),
    ),
    status=status.node_status,
    layout=("name", "cluster", "type", "nodeIP", "kubeVersion", "os", "cpu", "memory", "status", "created_at"),
    tabs=("overview", "resources", "conditions", "metadata", "events", "involves", "yaml"),
    menu="/platform/nodes",
    icon="server",
    detail=details.node,
    relations=(runs_on(involves.pods),),
    created_field="created_at",
)

NAMESPACE = Kind(
    "namespaces",
    "Namespace",
    Namespace,
    namespaced=False,
    columns=(Column("podSecurity", values.namespace_pod_security, width=130),),
    status=status.namespace_status,
    layout=("name", "cluster", "status", "created_at"),
    tabs=("overview", "resources", "metadata", "events", "yaml"),
    menu="/service/namespaces",
    icon="folder",
    detail=details.namespace,
    relations=(
        contains("deployments", involves.workload_rows),
        contains("pods", involves.pods),
        contains("services", involves.services),
    ),
    created_field="created_at",
)

POD = Kind(
    "pods",
    "Pod",
    Pod,
    columns=(
        Column("ready", values.pod_ready, RATIO, width=80),
        Column("phase", lambda pod: values.pod_state(pod).phase, width=110, field="status.phase"),
        Column("restart", lambda pod: values.whole(status.print_pod(pod).restarts), INT, width=100),
        Column("lastRestart", lambda pod: status.print_pod(pod).last_restart, TIME, width=130),
        Column("podIP", values.pod_address, width=112, field="status.podIP"),
        Column("hostIP", lambda pod: values.pod_state(pod).host_ip, width=130),
        Column("node_name", lambda pod: values.pod_spec(pod).node_name, width=200, field="spec.nodeName"),
        Column(
            "nominatedNode",
            lambda pod: values.pod_state(pod).nominated_node_name,
            width=150,
            field="status.nominatedNodeName",
        ),
        Column("readinessGates", values.pod_gates, RATIO, width=120),
        Column("qosClass", lambda pod: values.pod_state(pod).qos_class, width=110),
        Column("workload", values.pod_workload, width=220),
        Column("owner", values.pod_owner, width=220),
        Column("containers", lambda pod: values.names(values.pod_spec(pod).containers), TAGS, width=180),
        Column("images", lambda pod: values.images(values.pod_spec(pod).containers), TAGS, width=240),
    ),
    status=status.pod_status,
    layout=(
        "name",
        "cluster",
        "namespace",
        "node_name",
        "podIP",
        "ready",
        "restart",
        "status",
        "creationTimestamp",
    ),
    tabs=("overview", "resources", "metadata", "status", "events", "involves", "yaml"),
    menu="/service/workloads/pods",
    icon="box",
    detail=details.pod,
    relations=(derived("workloadList", involves.pod_workload), selected_by("serviceList", involves.services)),
    created_field="creationTimestamp",
)

DEPLOYMENT = Kind(
    "deployments",
    "Deployment",
    Deployment,
    group="apps",
    columns=(
        Column("ready", values.deployment_ready, RATIO, width=90),
        Column("updated", lambda deployment: values.deployment_state(deployment).updated_replicas or 0, INT, width=110),
        Column(
            "available", lambda deployment: values.deployment_state(deployment).available_replicas or 0, INT, width=110
        ),
        Column("replicas", values.deployment_replicas, INT, width=100),
        Column("strategy", values.deployment_strategy, width=140),
        Column(
            "containers", lambda deployment: values.names(values.deployment_containers(deployment)), TAGS, width=180
        ),
        Column("images", lambda deployment: values.images(values.deployment_containers(deployment)), TAGS, width=240),
        Column("selector", values.deployment_selector, TAGS, width=220),
    ),
    status=status.deployment_status,
    layout=("name", "cluster", "namespace", "ready", "updated", "available", "status", "createAt"),
    tabs=("overview", "resources", "metadata", "events", "involves", "yaml"),
    menu="/service/workloads/deployments",
    icon="layers",
    detail=details.deployment,
    relations=(
        manages(involves.deployment_pods, "Deployment"),
        selected_by("services", involves.services, "spec", "template"),
    ),
)

SERVICE = Kind(
    "services",
    "Service",
    Service,
    columns=(
        Column("type", lambda service: values.service_spec(service).type, width=130, field="spec.type"),
        Column("clusterIp", values.service_cluster_address, width=140, field="spec.clusterIP"),
        Column("externalIp", values.service_external_address, width=150),
        Column("port", values.service_ports, TAGS, width=180),
        Column("selector", values.service_selector, TAGS, width=220),
        Column("sessionAffinity", lambda service: values.service_spec(service).session_affinity, width=130),
    ),
    status=status.service_status,
    layout=("name", "cluster", "namespace", "type", "clusterIp", "externalIp", "port", "createAt"),
    tabs=("overview", "involves", "ports", "metadata", "events", "yaml"),
    menu="/service/workloads/services",
    icon="network",
    detail=details.service,
    relations=(selects("pods", involves.service_pods), selects("workloads", involves.service_workloads)),
)

EVENT = Kind(
    "events",
    "Event",
    Event,
    columns=(
        Column("type", lambda event: event.type, width=100, field="type"),
        Column("reason", lambda event: event.reason, width=160, field="reason"),
        Column("kind", lambda event: values.event_about(event).kind, width=120, field="involvedObject.kind"),
        Column("object", values.event_object, width=240),
        Column("objectName", lambda event: values.event_about(event).name, width=220, field="involvedObject.name"),
        Column("objectUid", lambda event: values.event_about(event).uid, width=280, field="involvedObject.uid"),
        Column(
            "subobject", lambda event: values.event_about(event).field_path, width=180, field="involvedObject.fieldPath"
        ),
        Column("message", values.event_message, width=420),
        Column("count", values.event_count, INT, width=80),
        Column("firstSeen", values.event_first_seen, TIME, width=130),
        Column("lastSeen", values.event_last_seen, TIME, width=130),
        Column("source", values.event_source, width=200),
    ),
    status=status.event_status,
    layout=("lastSeen", "status", "reason", "object", "message", "count", "cluster", "namespace"),
    tabs=("overview", "metadata", "yaml"),
    menu="/service/events",
    icon="bell",
    detail=details.event,
    created_field="creationTimestamp",
    default_sort="-lastSeen",
)

KINDS: dict[str, Kind] = {kind.plural: kind for kind in (NODE, NAMESPACE, POD, DEPLOYMENT, SERVICE, EVENT)}


def by_kind(name: str) -> Kind | None:
    """The declaration of a kind by its singular name ("Pod"), or None where GM does not collect it."""
    return next((kind for kind in KINDS.values() if kind.kind == name), None)


def describe(kind: Kind) -> dict[str, Any]:
    """The declaration as JSON, for the portal's tables and the API's description. Columns in the order of display."""
    return {
        "plural": kind.plural,
        "kind": kind.kind,
        "group": kind.group,
        "version": kind.version,
        "namespaced": kind.namespaced,
        "labelKey": f"kind.{kind.plural}.title",
        "menu": kind.menu,
        "icon": kind.icon,
        "tabs": list(kind.tabs),
        "createdField": kind.created_field,
        "defaultSort": kind.default_sort,
        "columns": [
            {
                "key": column.key,
                "type": column.type.value,
                "label": column.label,
                "sortable": column.sortable,
                "filterable": column.filterable,
                "width": column.width,
                "shown": column.shown,
            }
            for column in kind.all_columns
        ],
    }
