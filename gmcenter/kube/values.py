"""What the columns of kinds hold: values of decoded objects, in the words of `kubectl get -o wide`.

Where kubectl prints `<none>` or `<unknown>` the value is None, so that lists sort such rows last and filters do not
match a placeholder.
"""

import math
import re
from collections.abc import Iterable

from gmcenter.kube.objects import (
    Container,
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    Event,
    LabelSelector,
    Namespace,
    Node,
    NodeInfo,
    NodeStatus,
    ObjectReference,
    OwnerReference,
    Pod,
    PodSpec,
    PodStatus,
    Service,
    ServiceSpec,
    Taint,
    first,
    seconds,
)
from gmcenter.kube.status import holds, print_pod

_SUFFIXES = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([numkMGTPE]?|[KMGTPE]i)", re.ASCII)
LARGEST = 2**63 - 1
GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe")
ROLE_PREFIX, ROLE_LABEL = "node-role.kubernetes.io/", "kubernetes.io/role"
CONTROL_PLANE = frozenset({"control-plane", "master"})


def quantity(text: str | int | float | None) -> float | None:
    """The number a Kubernetes quantity stands for ("100m" is 0.1, "1Gi" 1073741824); None where it is none."""
    if text is None or isinstance(text, int | float):
        return None if text is None else float(text)
    parts = _QUANTITY.fullmatch(text)
    value = float(parts[1]) * _SUFFIXES[parts[2]] if parts else math.inf
    return value if math.isfinite(value) else None


def whole(value: float | int | None) -> int | None:
    """The number cut to what a 64-bit column holds."""
    return None if value is None else max(-LARGEST, min(LARGEST, int(value)))


# --- pods ---


def pod_spec(pod: Pod) -> PodSpec:
    """The pod's spec, empty where it has none."""
    return pod.spec or PodSpec()


def pod_state(pod: Pod) -> PodStatus:
    """The pod's status, empty where it has none."""
    return pod.status or PodStatus()


def pod_ready(pod: Pod) -> str:
    """Ready containers of all, sidecars counted."""
    printed = print_pod(pod)
    return f"{printed.ready}/{printed.total}"


def pod_address(pod: Pod) -> str | None:
    """The pod's first address."""
    status = pod_state(pod)
    return status.pod_ips[0].ip if status.pod_ips else status.pod_ip


def pod_gates(pod: Pod) -> str | None:
    """Readiness gates that are true, of all; None without gates."""
    gates, conditions = pod_spec(pod).readiness_gates, pod_state(pod).conditions
    return f"{sum(holds(conditions, gate.condition_type or '') for gate in gates)}/{len(gates)}" if gates else None


def controller(owners: Iterable[OwnerReference] | None) -> OwnerReference | None:
    """The owner that manages the object."""
    return next((owner for owner in owners or () if owner.controller), None)


def workload(pod: Pod) -> tuple[str, str] | None:
    """Kind and name of the workload behind a pod.

    A ReplicaSet made by a Deployment is named `<deployment>-<pod template hash>` and its pods carry that hash as a
    label, so the deployment is known without reading the ReplicaSet.
    """
    owner = controller(pod.metadata.owner_references)
    if owner is None or not owner.kind or not owner.name:
        return None
    template = (pod.metadata.labels or {}).get("pod-template-hash")
    if owner.kind == "ReplicaSet" and template and owner.name.endswith(f"-{template}"):
        return "Deployment", owner.name.removesuffix(f"-{template}")
    return owner.kind, owner.name


def pod_workload(pod: Pod) -> str | None:
    """The workload behind a pod as Kind/name."""
    found = workload(pod)
    return "/".join(found) if found else None


def pod_owner(pod: Pod) -> str | None:
    """The owner that manages the pod, as Kind/name."""
    owner = controller(pod.metadata.owner_references)
    return f"{owner.kind}/{owner.name}" if owner else None


def names(containers: Iterable[Container] | None) -> list[str]:
    """Container names."""
    return [container.name or "" for container in containers or ()]


def images(containers: Iterable[Container] | None) -> list[str]:
    """Container images."""
    return [container.image or "" for container in containers or ()]


# --- nodes ---


def node_info(node: Node) -> NodeInfo:
    """The versions a node reports, empty where it does not."""
    return (node.status and node.status.node_info) or NodeInfo()


def node_state(node: Node) -> NodeStatus:
    """The node's status, empty where it has none."""
    return node.status or NodeStatus()


def node_roles(node: Node) -> list[str]:
    """Roles out of the node's labels, sorted."""
    roles = set()
    for label, value in (node.metadata.labels or {}).items():
        if label.startswith(ROLE_PREFIX):
            roles.add(label.removeprefix(ROLE_PREFIX))
        elif label == ROLE_LABEL and value:
            roles.add(value)
    return sorted(roles - {""})


def node_type(node: Node) -> str:
    """master for a node of the control plane, by either of its labels, else worker."""
    return "master" if CONTROL_PLANE.intersection(node_roles(node)) else "worker"


def node_address(node: Node, kind: str) -> str | None:
    """The first address of that type."""
    return next((entry.address for entry in node_state(node).addresses or () if entry.type == kind), None)


def node_capacity(node: Node, resource: str) -> float | None:
    """What the node has of a resource."""
    return quantity((node_state(node).capacity or {}).get(resource))


def node_gpus(node: Node) -> int:
    """GPUs of every maker that the node has."""
    return sum(whole(node_capacity(node, resource)) or 0 for resource in GPU_RESOURCES)


def node_conditions(node: Node) -> list[str]:
    """The conditions that are true."""
    return [entry.type for entry in node_state(node).conditions or () if entry.type and entry.status == "True"]


def taint_text(taint: Taint) -> str:
    """A taint as kubectl writes it: key=value:effect."""
    return f"{taint.key}={taint.value}:{taint.effect}" if taint.value else f"{taint.key}:{taint.effect}"


def node_taints(node: Node) -> list[str]:
    """The node's taints."""
    return [taint_text(taint) for taint in (node.spec.taints if node.spec else None) or ()]


def node_label(node: Node, label: str) -> str | None:
    """The value of one of the node's labels, such as its zone."""
    return (node.metadata.labels or {}).get(label) or None


def node_unschedulable(node: Node) -> bool:
    """Whether the node is closed for new pods."""
    return bool(node.spec and node.spec.unschedulable)


def namespace_pod_security(namespace: Namespace) -> str | None:
    """The Pod Security level that the namespace enforces."""
    return (namespace.metadata.labels or {}).get("pod-security.kubernetes.io/enforce") or None


# --- deployments ---


def deployment_spec(deployment: Deployment) -> DeploymentSpec:
    """The deployment's spec, empty where it has none."""
    return deployment.spec or DeploymentSpec()


def deployment_state(deployment: Deployment) -> DeploymentStatus:
    """The deployment's status, empty where it has none."""
    return deployment.status or DeploymentStatus()


def deployment_replicas(deployment: Deployment) -> int:
    """Pods wanted; the API server's default is one."""
    replicas = deployment_spec(deployment).replicas
    return 1 if replicas is None else replicas


def deployment_ready(deployment: Deployment) -> str:
    """Ready pods of those wanted."""
    return f"{deployment_state(deployment).ready_replicas or 0}/{deployment_replicas(deployment)}"


def deployment_containers(deployment: Deployment) -> list[Container]:
    """Containers of the template."""
    template = deployment_spec(deployment).template
    return (template and template.spec and template.spec.containers) or []


def deployment_strategy(deployment: Deployment) -> str | None:
    """RollingUpdate or Recreate."""
    strategy = deployment_spec(deployment).strategy
    return strategy.type if strategy else None


def deployment_selector(deployment: Deployment) -> list[str]:
    """The terms of the selector."""
    return selector_terms(deployment_spec(deployment).selector)


def selector_terms(selector: LabelSelector | None) -> list[str]:
    """A label selector's terms, sorted by key as the API server prints them."""
    if selector is None:
        return []
    terms = [(key, f"{key}={value}") for key, value in (selector.match_labels or {}).items()]
    for entry in selector.match_expressions or ():
        values = ",".join(sorted(entry.values or ()))
        text = {"In": f"{entry.key} in ({values})", "NotIn": f"{entry.key} notin ({values})", "Exists": f"{entry.key}"}
        terms.append((entry.key or "", text.get(entry.operator or "", f"!{entry.key}")))
    return [text for _, text in sorted(terms)]


# --- services ---


def service_spec(service: Service) -> ServiceSpec:
    """The service's spec, empty where it has none."""
    return service.spec or ServiceSpec()


def service_ports(service: Service) -> list[str]:
    """Ports as port[:nodePort]/protocol."""
    ports = service_spec(service).ports or ()
    return [
        f"{entry.port}{f':{entry.node_port}' if entry.node_port else ''}/{entry.protocol or 'TCP'}" for entry in ports
    ]


def service_cluster_address(service: Service) -> str | None:
    """The service's own address; the word None says headless."""
    spec = service_spec(service)
    return first(spec.cluster_ips[0] if spec.cluster_ips else None, spec.cluster_ip)


def service_external_address(service: Service) -> str | None:
    """Addresses from outside, `<pending>` while a load balancer has none."""
    spec = service_spec(service)
    given = list(spec.external_ips or ())
    if spec.type == "ExternalName":
        return spec.external_name or None
    if spec.type == "LoadBalancer":
        balancer = service.status.load_balancer if service.status else None
        ingress = (balancer.ingress if balancer else None) or ()
        given = sorted({entry.ip or entry.hostname or "" for entry in ingress} - {""}) + given
        return ",".join(given) or "<pending>"
    return ",".join(given) or None


def service_selector(service: Service) -> list[str]:
    """The terms of the selector, key=value, sorted."""
    return sorted(f"{key}={value or ''}" for key, value in (service_spec(service).selector or {}).items())


# --- events ---


def event_about(event: Event) -> ObjectReference:
    """What the event is about, empty where it says nothing."""
    return event.involved_object or ObjectReference()


def event_message(event: Event) -> str | None:
    """The message without the blanks around it."""
    return event.message.strip() if event.message else None


def event_first_seen(event: Event) -> int | None:
    """When it happened first."""
    return first(seconds(event.first_timestamp), seconds(event.event_time))


def event_last_seen(event: Event) -> int | None:
    """When it happened last."""
    if event.series is not None:
        return seconds(event.series.last_observed_time)
    return first(seconds(event.last_timestamp), event_first_seen(event))


def event_count(event: Event) -> int:
    """How often it happened; an event of the new format without a series happened once."""
    if event.series is not None:
        return event.series.count or 0
    return event.count or 1


def event_object(event: Event) -> str | None:
    """What it is about, as kind/name."""
    about = event.involved_object
    if about is None:
        return None
    kind = (about.kind or "").lower()
    return f"{kind}/{about.name}" if about.name else kind


def event_source(event: Event) -> str | None:
    """Who told it: component, host."""
    source = event.source
    component = first(source.component if source else None, event.reporting_component) or ""
    instance = first(source.host if source else None, event.reporting_instance)
    return f"{component}, {instance}" if instance else component or None
