"""Status words and their colours; the pods' words are held against a real API server in tests/kube."""

from typing import Any

import msgspec
import pytest

from gmcenter.kube.kinds import KINDS
from gmcenter.kube.objects import Item
from gmcenter.kube.status import Status, print_pod
from tests.support.pods import HARD_PODS, HardPod, container


def status(plural: str, body: dict[str, Any]) -> Status:
    kind = KINDS[plural]
    item: Item = msgspec.json.decode(msgspec.json.encode(body), type=kind.decode)
    return kind.status(item)


@pytest.mark.parametrize("pod", HARD_PODS, ids=lambda pod: pod.name)
def test_a_pods_word_and_counts_are_kubectls(pod: HardPod) -> None:
    body = {**pod.manifest("n"), "status": pod.status}
    if pod.deleted:
        body["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    item = msgspec.json.decode(msgspec.json.encode(body), type=KINDS["pods"].decode)
    printed = print_pod(item)
    assert (printed.reason, f"{printed.ready}/{printed.total}", printed.restarts) == (pod.word, pod.ready, pod.restarts)
    assert KINDS["pods"].status(item) == Status(pod.word, pod.state)


def test_the_last_restart_is_the_latest_of_all_containers() -> None:
    early, late = container("c0", "running", restarts=1, last=True), container("c1", "running", restarts=1, last=True)
    late["lastState"]["terminated"]["finishedAt"] = "2026-02-02T00:00:00Z"
    body = {"metadata": {}, "spec": {}, "status": {"phase": "Running", "containerStatuses": [early, late]}}
    item = msgspec.json.decode(msgspec.json.encode(body), type=KINDS["pods"].decode)
    assert print_pod(item).last_restart == 1769990400


def node(ready: str | None, *true: str, closed: bool = False) -> dict[str, Any]:
    conditions = [{"type": kind, "status": "True"} for kind in true]
    if ready:
        conditions.append({"type": "Ready", "status": ready})
    return {"metadata": {}, "spec": {"unschedulable": closed}, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("body", "word", "state"),
    [
        (node("True"), "Ready", "good"),
        (node("False"), "NotReady", "bad"),
        (node("Unknown"), "NotReady", "bad"),
        (node(None), "Unknown", "away"),
        (node("True", closed=True), "Ready,SchedulingDisabled", "warn"),
        (node("False", closed=True), "NotReady,SchedulingDisabled", "bad"),
        (node("True", "DiskPressure"), "Ready", "warn"),
        ({"metadata": {}}, "Unknown", "away"),
    ],
)
def test_a_nodes_word_names_readiness_and_whether_it_takes_pods(body: dict[str, Any], word: str, state: str) -> None:
    assert status("nodes", body) == Status(word, state)  # type: ignore[arg-type]


def deployment(desired: int | None, generation: int = 1, observed: int = 1, **more: Any) -> dict[str, Any]:
    conditions = [
        {"type": kind, "status": "True", "reason": reason} for kind, reason in more.pop("conditions", {}).items()
    ]
    paused, deleted = more.pop("paused", False), more.pop("deleted", None)
    counts = {"observedGeneration": observed, "conditions": conditions, **more}
    metadata = {"generation": generation, "deletionTimestamp": deleted}
    return {"metadata": metadata, "spec": {"replicas": desired, "paused": paused}, "status": counts}


ROLLED = {"Progressing": "NewReplicaSetAvailable"}
FULL = {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}


@pytest.mark.parametrize(
    ("body", "word", "state"),
    [
        (deployment(3, **FULL, conditions=ROLLED), "Available", "good"),
        (deployment(3, generation=2, **FULL, conditions=ROLLED), "Progressing", "busy"),
        (deployment(3, replicas=3, updatedReplicas=1, availableReplicas=3), "Progressing", "busy"),
        (deployment(3, replicas=4, updatedReplicas=3, availableReplicas=3), "Progressing", "busy"),
        (deployment(3, replicas=3, updatedReplicas=3, availableReplicas=2), "Progressing", "busy"),
        (deployment(3, replicas=3, updatedReplicas=3, availableReplicas=2, conditions=ROLLED), "Degraded", "warn"),
        (deployment(3, replicas=3, updatedReplicas=3, conditions=ROLLED), "Degraded", "bad"),
        (deployment(3, **FULL, paused=True), "Paused", "warn"),
        (
            deployment(3, replicas=3, conditions={"Progressing": "ProgressDeadlineExceeded"}),
            "ProgressDeadlineExceeded",
            "bad",
        ),
        (deployment(3, conditions={"ReplicaFailure": "FailedCreate"}), "ReplicaFailure", "bad"),
        (deployment(0, conditions=ROLLED), "ScaledDown", "good"),
        (deployment(None, replicas=1, updatedReplicas=1, availableReplicas=1), "Available", "good"),
        (deployment(3, **FULL, deleted="2026-01-02T03:04:05Z"), "Terminating", "busy"),
        ({"metadata": {}}, "Unknown", "away"),
    ],
)
def test_a_deployments_word_says_where_its_rollout_stands(body: dict[str, Any], word: str, state: str) -> None:
    assert status("deployments", body) == Status(word, state)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "word", "state"),
    [
        ({"metadata": {}, "spec": {"type": "ClusterIP"}}, "Active", "good"),
        ({"metadata": {}, "spec": {"type": "LoadBalancer"}}, "Pending", "busy"),
        ({"metadata": {}, "spec": {"type": "LoadBalancer", "externalIPs": ["192.0.2.1"]}}, "Active", "good"),
        (
            {
                "metadata": {},
                "spec": {"type": "LoadBalancer"},
                "status": {"loadBalancer": {"ingress": [{"hostname": "lb.test"}]}},
            },
            "Active",
            "good",
        ),
        ({"metadata": {"deletionTimestamp": "2026-01-02T03:04:05Z"}}, "Terminating", "busy"),
    ],
)
def test_a_service_waits_only_for_its_load_balancer(body: dict[str, Any], word: str, state: str) -> None:
    assert status("services", body) == Status(word, state)  # type: ignore[arg-type]


def test_namespaces_and_events_tell_their_phase_and_type() -> None:
    assert status("namespaces", {"metadata": {}, "status": {"phase": "Active"}}) == Status("Active", "good")
    assert status("namespaces", {"metadata": {}, "status": {"phase": "Terminating"}}) == Status("Terminating", "busy")
    assert status("namespaces", {"metadata": {}}) == Status("Unknown", "away")
    assert status("events", {"metadata": {}, "type": "Normal"}) == Status("Normal", "good")
    assert status("events", {"metadata": {}, "type": "Warning"}) == Status("Warning", "warn")
