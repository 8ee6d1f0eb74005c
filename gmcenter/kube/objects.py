"""The few fields of Kubernetes objects that rows are made of.

Every field may be absent or null, because an API server leaves out what is empty and a cluster of another release may
not know it. Unknown fields are skipped by the decoder without being built, which is why decoding a pod costs
microseconds and not the milliseconds of the official client's models.
"""

from datetime import UTC, datetime
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")


class Object(msgspec.Struct, rename="camel"):
    """Base of everything decoded: camelCase on the wire, every field may be missing."""


class OwnerReference(Object):
    """Who made this object; `controller` marks the one owner that manages it."""

    kind: str | None = None
    name: str | None = None
    uid: str | None = None
    controller: bool | None = None


class Metadata(Object):
    """The part every object has; annotations stay in the body."""

    name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    generation: int | None = None
    labels: dict[str, str | None] | None = None
    owner_references: list[OwnerReference] | None = None


class Condition(Object):
    """One entry of `status.conditions`; `status` is "True", "False" or "Unknown"."""

    type: str | None = None
    status: str | None = None
    reason: str | None = None
    last_update_time: str | None = None


class Item(Object, kw_only=True, dict=True):
    """An object of any kind; what is known of it when its other fields cannot be read. Its `__dict__` holds computed
    values.
    """

    metadata: Metadata = msgspec.field(default_factory=Metadata)


# --- pods ---


class Waiting(Object):
    """Why a container does not run yet."""

    reason: str | None = None


class Running(Object):
    """A container runs; only its presence counts."""


class Terminated(Object):
    """How a container ended."""

    reason: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    finished_at: str | None = None


class ContainerState(Object):
    """At most one of the three is set."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Object):
    """What the kubelet reports of one container."""

    name: str | None = None
    ready: bool | None = None
    started: bool | None = None
    restart_count: int | None = None
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class Container(Object):
    """One container of a pod or template; `restart_policy` Always makes an init container a sidecar."""

    name: str | None = None
    image: str | None = None
    restart_policy: str | None = None


class ReadinessGate(Object):
    """A condition type that must be true besides the containers' readiness."""

    condition_type: str | None = None


class PodSpec(Object):
    """Where a pod runs and what it is made of."""

    node_name: str | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    readiness_gates: list[ReadinessGate] | None = None


class PodAddress(Object):
    """One of a pod's addresses."""

    ip: str | None = None


class PodStatus(Object):
    """What is known of a pod's run."""

    phase: str | None = None
    reason: str | None = None
    host_ip: str | None = msgspec.field(default=None, name="hostIP")
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    pod_ips: list[PodAddress] | None = msgspec.field(default=None, name="podIPs")
    qos_class: str | None = None
    nominated_node_name: str | None = None
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None


class Pod(Item):
    """core/v1 Pod."""

    spec: PodSpec | None = None
    status: PodStatus | None = None


# --- nodes ---


class Taint(Object):
    """What keeps pods off a node."""

    key: str | None = None
    value: str | None = None
    effect: str | None = None


class NodeSpec(Object):
    """What an administrator decided about a node."""

    unschedulable: bool | None = None
    taints: list[Taint] | None = None


class NodeAddress(Object):
    """One of a node's addresses: InternalIP, ExternalIP, Hostname."""

    type: str | None = None
    address: str | None = None


class NodeInfo(Object):
    """Versions that a kubelet reports."""

    kubelet_version: str | None = None
    os_image: str | None = None
    kernel_version: str | None = None
    container_runtime_version: str | None = None
    architecture: str | None = None


class NodeStatus(Object):
    """What a kubelet reports."""

    addresses: list[NodeAddress] | None = None
    conditions: list[Condition] | None = None
    node_info: NodeInfo | None = None
    capacity: dict[str, str | int | float | None] | None = None
    allocatable: dict[str, str | int | float | None] | None = None


class Node(Item):
    """core/v1 Node."""

    spec: NodeSpec | None = None
    status: NodeStatus | None = None


# --- namespaces ---


class NamespaceStatus(Object):
    """Active or Terminating."""

    phase: str | None = None


class Namespace(Item):
    """core/v1 Namespace."""

    status: NamespaceStatus | None = None


# --- deployments ---


class Requirement(Object):
    """One matchExpressions entry of a label selector."""

    key: str | None = None
    operator: str | None = None
    values: list[str] | None = None


class LabelSelector(Object):
    """All of its parts must hold."""

    match_labels: dict[str, str] | None = None
    match_expressions: list[Requirement] | None = None


class PodTemplate(Object):
    """What a workload makes pods from."""

    metadata: Metadata | None = None
    spec: PodSpec | None = None


class Strategy(Object):
    """RollingUpdate or Recreate."""

    type: str | None = None


class DeploymentSpec(Object):
    """What a deployment should be."""

    replicas: int | None = None
    paused: bool | None = None
    selector: LabelSelector | None = None
    template: PodTemplate | None = None
    strategy: Strategy | None = None


class DeploymentStatus(Object):
    """What a deployment is."""

    observed_generation: int | None = None
    replicas: int | None = None
    updated_replicas: int | None = None
    ready_replicas: int | None = None
    available_replicas: int | None = None
    unavailable_replicas: int | None = None
    conditions: list[Condition] | None = None


class Deployment(Item):
    """apps/v1 Deployment."""

    spec: DeploymentSpec | None = None
    status: DeploymentStatus | None = None


# --- services ---


class ServicePort(Object):
    """One port; `target_port` may be a number or a name."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None
    node_port: int | None = None
    target_port: int | str | None = None


class ServiceSpec(Object):
    """How a service is reached and what stands behind it."""

    type: str | None = None
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    cluster_ips: list[str] | None = msgspec.field(default=None, name="clusterIPs")
    external_ips: list[str] | None = msgspec.field(default=None, name="externalIPs")
    external_name: str | None = None
    session_affinity: str | None = None
    ports: list[ServicePort] | None = None
    selector: dict[str, str | None] | None = None


class Ingress(Object):
    """One address that a load balancer was given."""

    ip: str | None = None
    hostname: str | None = None


class LoadBalancer(Object):
    """Empty until the address is there."""

    ingress: list[Ingress] | None = None


class ServiceStatus(Object):
    """Only load balancers have one."""

    load_balancer: LoadBalancer | None = None


class Service(Item):
    """core/v1 Service."""

    spec: ServiceSpec | None = None
    status: ServiceStatus | None = None


# --- events ---


class ObjectReference(Object):
    """What an event is about."""

    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None
    field_path: str | None = None


class EventSource(Object):
    """Who told, in the old event format."""

    component: str | None = None
    host: str | None = None


class EventSeries(Object):
    """A repeated event in the new format."""

    count: int | None = None
    last_observed_time: str | None = None


class Event(Item):
    """core/v1 Event, which holds both formats."""

    type: str | None = None
    reason: str | None = None
    message: str | None = None
    count: int | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    involved_object: ObjectReference | None = None
    source: EventSource | None = None
    series: EventSeries | None = None
    reporting_component: str | None = None
    reporting_instance: str | None = None


LATEST: Final = 253_402_300_799  # the end of the year 9999: an offset could reach beyond, and no answer could say it


def seconds(timestamp: str | None) -> int | None:
    """Whole seconds since 1970 of an RFC 3339 time; None for an absent, zero or unreadable one."""
    if not timestamp:
        return None
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    epoch = int(moment.timestamp())
    return epoch if -62_000_000_000 < epoch <= LATEST else None


def first(*candidates: T | None) -> T | None:
    """The first candidate that is neither None nor empty, or None."""
    return next((candidate for candidate in candidates if candidate), None)
