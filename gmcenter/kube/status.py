"""The status word of an object and the colour it is shown in.

The words are those of `kubectl get`: the rules of pods and nodes follow `printPod` and `printNode` of Kubernetes'
pkg/printers/internalversion/printers.go, that of deployments follows `kubectl rollout status`. A test holds them
against the API server's own Table answer.
"""

from dataclasses import dataclass
from typing import Literal

from gmcenter.kube.objects import (
    Condition,
    Container,
    ContainerStatus,
    Deployment,
    Event,
    Namespace,
    Node,
    Pod,
    PodSpec,
    PodStatus,
    Service,
    seconds,
)

State = Literal["good", "busy", "warn", "bad", "away"]


@dataclass(frozen=True, slots=True)
class Status:
    """A status word and what it means: good, busy (on its way), warn, bad, or away (not known)."""

    code: str
    state: State


UNKNOWN = Status("Unknown", "away")
TERMINATING = Status("Terminating", "busy")


@dataclass(frozen=True, slots=True)
class PodPrint:
    """What kubectl prints of a pod: status word, ready containers of all, restarts and the time of the last (epoch
    seconds).
    """

    reason: str
    ready: int
    total: int
    restarts: int
    last_restart: int | None
    failing: bool


BUSY_REASONS = frozenset(
    {
        "Pending",
        "ContainerCreating",
        "PodInitializing",
        "SchedulingGated",
        "Terminating",
        "ContainerRestarting",
        "Resizing",
    }
)


def condition(conditions: list[Condition] | None, kind: str) -> Condition | None:
    """The condition of that type, or None."""
    return next((entry for entry in conditions or () if entry.type == kind), None)


def holds(conditions: list[Condition] | None, kind: str) -> bool:
    """Whether the condition of that type is there and True."""
    found = condition(conditions, kind)
    return found is not None and found.status == "True"


def _is_sidecar(container: Container | None) -> bool:
    """An init container that restarts for ever runs beside the others and counts as one of them."""
    return container is not None and container.restart_policy == "Always"


def _restarted_at(container: ContainerStatus) -> int:
    ended = container.last_state.terminated if container.last_state else None
    return (seconds(ended.finished_at) or 0) if ended else 0


def _ending(reason: str | None, signal: int | None, exit_code: int | None) -> str:
    """How kubectl names a container's end."""
    if reason:
        return reason
    return f"Signal:{signal}" if signal else f"ExitCode:{exit_code or 0}"


class _Tally:
    """Counters that both passes over the containers share."""

    __slots__ = ("failing", "last_restart", "ready", "reason", "restarts")

    def __init__(self, reason: str) -> None:
        self.reason, self.ready, self.restarts, self.last_restart, self.failing = reason, 0, 0, 0, False


def _init_pass(tally: _Tally, spec: PodSpec, status: PodStatus) -> tuple[bool, int, int]:
    """Walk the init containers up to the first that is not done. Returns (still initializing, restarts of sidecars,
    their last restart).
    """
    named = {container.name: container for container in spec.init_containers or ()}
    restarts = last = 0
    for index, container in enumerate(status.init_container_statuses or ()):
        sidecar = _is_sidecar(named.get(container.name))
        tally.restarts += container.restart_count or 0
        tally.last_restart = max(tally.last_restart, _restarted_at(container))
        if sidecar:
            restarts += container.restart_count or 0
            last = max(last, _restarted_at(container))
        ended = container.state.terminated if container.state else None
        waiting = container.state.waiting if container.state else None
        if ended is not None and not ended.exit_code:
            continue
        if sidecar and container.started:
            tally.ready += bool(container.ready)
            continue
        if ended is not None:
            tally.reason, tally.failing = "Init:" + _ending(ended.reason, ended.signal, ended.exit_code), True
        elif waiting is not None and waiting.reason and waiting.reason != "PodInitializing":
            tally.reason, tally.failing = f"Init:{waiting.reason}", waiting.reason not in BUSY_REASONS
        else:
            tally.reason = f"Init:{index}/{len(spec.init_containers or ())}"
        return True, restarts, last
    return False, restarts, last


def _main_pass(tally: _Tally, status: PodStatus) -> None:
    """Walk the containers from the last to the first: the first one's trouble is the one told."""
    running, error = False, ""
    for container in reversed(status.container_statuses or ()):
        tally.restarts += container.restart_count or 0
        tally.last_restart = max(tally.last_restart, _restarted_at(container))
        state = container.state
        if state is not None and state.waiting is not None and state.waiting.reason:
            tally.reason = state.waiting.reason
            tally.failing |= tally.reason not in BUSY_REASONS
        elif state is not None and state.terminated is not None:
            ended = state.terminated
            tally.reason = _ending(ended.reason, ended.signal, ended.exit_code)
            if ended.exit_code:
                error, tally.failing = tally.reason, True
        elif container.ready and state is not None and state.running is not None:
            running = True
            tally.ready += 1
    if tally.reason == "Completed":
        if running and holds(status.conditions, "Ready"):
            tally.reason = "Running"
        elif error:
            tally.reason = error
        elif running:
            tally.reason = "NotReady"


def _print_pod(pod: Pod) -> PodPrint:
    spec, status = pod.spec or PodSpec(), pod.status or PodStatus()
    tally = _Tally(status.reason or status.phase or "")
    if any(entry.type == "PodScheduled" and entry.reason == "SchedulingGated" for entry in status.conditions or ()):
        tally.reason = "SchedulingGated"
    total = len(spec.containers or ()) + sum(_is_sidecar(container) for container in spec.init_containers or ())
    initializing, sidecar_restarts, sidecar_last = _init_pass(tally, spec, status)
    if not initializing or holds(status.conditions, "Initialized"):
        tally.restarts, tally.last_restart = sidecar_restarts, sidecar_last
        _main_pass(tally, status)
    if pod.metadata.deletion_timestamp:
        if status.reason == "NodeLost":
            tally.reason = "Unknown"
        elif status.phase not in ("Succeeded", "Failed"):
            tally.reason = "Terminating"
    return PodPrint(tally.reason, tally.ready, total, tally.restarts, tally.last_restart or None, tally.failing)


def print_pod(pod: Pod) -> PodPrint:
    """What kubectl prints of the pod; worked out once an object, since four columns and the status need it."""
    found: PodPrint | None = pod.__dict__.get("printed")
    if found is None:
        found = pod.__dict__["printed"] = _print_pod(pod)
    return found


def pod_status(pod: Pod) -> Status:
    """kubectl's STATUS of a pod."""
    printed, status = print_pod(pod), pod.status or PodStatus()
    return Status(printed.reason or "Unknown", _pod_state(printed, status))


def _pod_state(printed: PodPrint, status: PodStatus) -> State:
    reason = printed.reason
    if reason == "Terminating":
        return "busy"
    if reason in ("", "Unknown", "NodeLost"):
        return "away"
    if status.phase == "Failed":
        return "bad"
    if status.phase == "Succeeded" or reason == "Completed":
        return "good"
    if printed.failing and reason != "Running":
        return "bad"
    if reason == "Running":
        return "good" if printed.ready >= printed.total else "warn"
    if reason == "Pending" and _unschedulable(status):
        return "warn"
    if reason in BUSY_REASONS or reason.startswith("Init:"):
        return "busy"
    return "warn"


def _unschedulable(status: PodStatus) -> bool:
    scheduled = condition(status.conditions, "PodScheduled")
    return scheduled is not None and scheduled.status == "False" and scheduled.reason == "Unschedulable"


PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


def node_status(node: Node) -> Status:
    """kubectl's STATUS of a node; a node that is ready under pressure or closed for pods is a warning."""
    conditions = node.status.conditions if node.status else None
    ready = condition(conditions, "Ready")
    word = "Unknown" if ready is None else "Ready" if ready.status == "True" else "NotReady"
    state: State = {"Unknown": "away", "Ready": "good"}.get(word, "bad")  # type: ignore[assignment]
    if state == "good" and any(holds(conditions, pressure) for pressure in PRESSURES):
        state = "warn"
    if node.spec and node.spec.unschedulable:
        return Status(f"{word},SchedulingDisabled", "warn" if state == "good" else state)
    return Status(word, state)


def namespace_status(namespace: Namespace) -> Status:
    """The phase of a namespace."""
    phase = namespace.status.phase if namespace.status else None
    return {"Active": Status("Active", "good"), "Terminating": TERMINATING}.get(
        phase or "", Status(phase or "Unknown", "away")
    )


def deployment_status(deployment: Deployment) -> Status:
    """Where a rollout stands.

    The order of the questions is that of `kubectl rollout status`; what it does not tell apart, a finished rollout
    that lost pods since, is Degraded.
    """
    spec, status, generation = deployment.spec, deployment.status, deployment.metadata.generation or 0
    if deployment.metadata.deletion_timestamp:
        return TERMINATING
    if spec is None or status is None:
        return UNKNOWN
    desired = 1 if spec.replicas is None else spec.replicas
    progress = condition(status.conditions, "Progressing")
    if progress is not None and progress.reason == "ProgressDeadlineExceeded":
        return Status("ProgressDeadlineExceeded", "bad")
    if holds(status.conditions, "ReplicaFailure"):
        return Status("ReplicaFailure", "bad")
    if spec.paused:
        return Status("Paused", "warn")
    updated, available = status.updated_replicas or 0, status.available_replicas or 0
    if generation > (status.observed_generation or 0) or updated < desired or (status.replicas or 0) > updated:
        return Status("Progressing", "busy")
    if available < updated:
        if progress is not None and progress.reason == "NewReplicaSetAvailable":
            return Status("Degraded", "warn" if available else "bad")
        return Status("Progressing", "busy")
    return Status("Available" if desired else "ScaledDown", "good")


def service_status(service: Service) -> Status:
    """Pending while a load balancer has no address, else Active."""
    if service.metadata.deletion_timestamp:
        return TERMINATING
    spec = service.spec
    if spec is not None and spec.type == "LoadBalancer" and not spec.external_ips:
        balancer = service.status.load_balancer if service.status else None
        if not any(entry.ip or entry.hostname for entry in (balancer.ingress if balancer else None) or ()):
            return Status("Pending", "busy")
    return Status("Active", "good")


def event_status(event: Event) -> Status:
    """Normal or Warning."""
    return Status(event.type or "Unknown", "good" if event.type == "Normal" else "warn")
