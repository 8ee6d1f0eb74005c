"""Pods in states that are hard to tell apart, each with the word that kubectl prints for it."""

from dataclasses import dataclass, field
from typing import Any

TIME = "2026-01-02T03:04:05Z"


@dataclass(frozen=True)
class HardPod:
    """A pod's spec and status in short, and what `kubectl get pods` shows: STATUS, READY, the number of RESTARTS."""

    name: str
    word: str
    ready: str
    restarts: int
    state: str
    status: dict[str, Any]
    containers: int = 1
    init: tuple[bool, ...] = ()  # one for each init container: whether it is a sidecar
    deleted: bool = False
    gates: tuple[str, ...] = ()
    spec: dict[str, Any] = field(default_factory=dict)

    def manifest(self, namespace: str) -> dict[str, Any]:
        """The pod as a manifest that nothing schedules, so that its status stays what a test makes it."""
        metadata: dict[str, Any] = {"name": self.name, "namespace": namespace}
        if self.deleted:
            metadata["finalizers"] = ["gedge.test/held"]
        inits = [
            {"name": f"i{at}", "image": "init:1", **({"restartPolicy": "Always"} if sidecar else {})}
            for at, sidecar in enumerate(self.init)
        ]
        spec: dict[str, Any] = {
            "schedulerName": "nobody",
            "containers": [{"name": f"c{at}", "image": f"app:{at}"} for at in range(self.containers)],
            "readinessGates": [{"conditionType": gate} for gate in self.gates],
            **self.spec,
        }
        if inits:
            spec["initContainers"] = inits
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def container(name: str, state: str, *, restarts: int = 0, ready: bool = False, **more: Any) -> dict[str, Any]:
    """A container's status; `state` is running, waiting[:reason] or terminated[:reason] (`exit`, `signal`, `last`)."""
    kind, _, reason = state.partition(":")
    inner: dict[str, Any] = {"reason": reason} if reason else {}
    if kind == "terminated":
        inner |= {"exitCode": more.get("exit", 0), "startedAt": TIME, "finishedAt": TIME}
        inner |= {"signal": more["signal"]} if "signal" in more else {}
    found = {
        "name": name,
        "image": "app:1",
        "imageID": "",
        "ready": ready,
        "restartCount": restarts,
        "state": {kind: inner},
    }
    if "started" in more:
        found["started"] = more["started"]
    if more.get("last"):
        found["lastState"] = {"terminated": {"exitCode": 1, "startedAt": TIME, "finishedAt": TIME, "reason": "Error"}}
    return found


def _status(
    phase: str, *containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **more: Any
) -> dict[str, Any]:
    found: dict[str, Any] = {"phase": phase, "containerStatuses": list(containers), **more}
    return {**found, "initContainerStatuses": list(init)} if init else found


def _condition(kind: str, status: str = "True", reason: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, **({"reason": reason} if reason else {})}


READY, INITIALIZED = _condition("Ready"), _condition("Initialized")
done = container("i0", "terminated:Completed")

HARD_PODS: tuple[HardPod, ...] = (
    HardPod("pending", "Pending", "0/1", 0, "busy", _status("Pending")),
    HardPod(
        "unschedulable",
        "Pending",
        "0/1",
        0,
        "warn",
        _status("Pending", conditions=[_condition("PodScheduled", "False", "Unschedulable")]),
    ),
    HardPod(
        "gated",
        "SchedulingGated",
        "0/1",
        0,
        "busy",
        _status("Pending", conditions=[_condition("PodScheduled", "False", "SchedulingGated")]),
    ),
    HardPod(
        "creating",
        "ContainerCreating",
        "0/1",
        0,
        "busy",
        _status("Pending", container("c0", "waiting:ContainerCreating")),
    ),
    HardPod("running", "Running", "1/1", 0, "good", _status("Running", container("c0", "running", ready=True))),
    HardPod("unready", "Running", "0/1", 0, "warn", _status("Running", container("c0", "running"))),
    HardPod(
        "one-of-two",
        "Running",
        "1/2",
        3,
        "warn",
        _status("Running", container("c0", "running", ready=True, restarts=3, last=True), container("c1", "running")),
        containers=2,
    ),
    HardPod(
        "crash-loop",
        "CrashLoopBackOff",
        "0/1",
        7,
        "bad",
        _status("Running", container("c0", "waiting:CrashLoopBackOff", restarts=7, last=True)),
    ),
    HardPod(
        "image-pull",
        "ImagePullBackOff",
        "0/1",
        0,
        "bad",
        _status("Pending", container("c0", "waiting:ImagePullBackOff")),
    ),
    HardPod(
        "config-error",
        "CreateContainerConfigError",
        "0/1",
        0,
        "bad",
        _status("Pending", container("c0", "waiting:CreateContainerConfigError")),
    ),
    HardPod(
        "error", "Error", "0/1", 1, "bad", _status("Failed", container("c0", "terminated:Error", exit=1, restarts=1))
    ),
    HardPod("oom", "OOMKilled", "0/1", 0, "bad", _status("Failed", container("c0", "terminated:OOMKilled", exit=137))),
    HardPod("exit-code", "ExitCode:3", "0/1", 0, "bad", _status("Failed", container("c0", "terminated", exit=3))),
    HardPod(
        "signal", "Signal:9", "0/1", 0, "bad", _status("Failed", container("c0", "terminated", exit=137, signal=9))
    ),
    HardPod("completed", "Completed", "0/1", 0, "good", _status("Succeeded", container("c0", "terminated:Completed"))),
    HardPod(
        "first-of-two-told",
        "ImagePullBackOff",
        "0/2",
        2,
        "bad",
        _status(
            "Running",
            container("c0", "waiting:ImagePullBackOff"),
            container("c1", "waiting:CrashLoopBackOff", restarts=2),
        ),
        containers=2,
    ),
    HardPod(
        "completed-beside-ready",
        "Running",
        "1/2",
        0,
        "warn",
        _status(
            "Running",
            container("c0", "terminated:Completed"),
            container("c1", "running", ready=True),
            conditions=[READY],
        ),
        containers=2,
    ),
    HardPod(
        "completed-beside-unready-pod",
        "NotReady",
        "1/2",
        0,
        "warn",
        _status("Running", container("c0", "terminated:Completed"), container("c1", "running", ready=True)),
        containers=2,
    ),
    HardPod(
        "completed-beside-error",
        "Error",
        "0/2",
        0,
        "bad",
        _status("Failed", container("c0", "terminated:Completed"), container("c1", "terminated:Error", exit=2)),
        containers=2,
    ),
    HardPod("evicted", "Evicted", "0/1", 0, "bad", _status("Failed", reason="Evicted", message="low on memory")),
    HardPod("node-affinity", "NodeAffinity", "0/1", 0, "bad", _status("Failed", reason="NodeAffinity")),
    HardPod("unknown-phase", "Unknown", "0/1", 0, "away", _status("Unknown")),
    HardPod(
        "terminating",
        "Terminating",
        "1/1",
        0,
        "busy",
        _status("Running", container("c0", "running", ready=True)),
        deleted=True,
    ),
    HardPod(
        "terminating-completed",
        "Completed",
        "0/1",
        0,
        "good",
        _status("Succeeded", container("c0", "terminated:Completed")),
        deleted=True,
    ),
    HardPod(
        "node-lost",
        "Unknown",
        "1/1",
        0,
        "away",
        _status("Running", container("c0", "running", ready=True), reason="NodeLost"),
        deleted=True,
    ),
    HardPod(
        "node-lost-not-deleted",
        "NodeLost",
        "1/1",
        0,
        "away",
        _status("Running", container("c0", "running", ready=True), reason="NodeLost"),
    ),
    HardPod(
        "init-first",
        "Init:0/2",
        "0/1",
        0,
        "busy",
        _status(
            "Pending",
            container("c0", "waiting:PodInitializing"),
            init=(container("i0", "running"), container("i1", "waiting:PodInitializing")),
        ),
        init=(False, False),
    ),
    HardPod(
        "init-second",
        "Init:1/3",
        "0/1",
        1,
        "busy",
        _status(
            "Pending",
            container("c0", "waiting:PodInitializing"),
            init=(
                container("i0", "terminated:Completed", restarts=1),
                container("i1", "waiting:PodInitializing"),
                container("i2", "waiting:PodInitializing"),
            ),
        ),
        init=(False, False, False),
    ),
    HardPod(
        "init-done",
        "PodInitializing",
        "0/1",
        0,
        "busy",
        _status("Pending", container("c0", "waiting:PodInitializing"), init=(done,)),
        init=(False,),
    ),
    HardPod(
        "init-crash-loop",
        "Init:CrashLoopBackOff",
        "0/1",
        4,
        "bad",
        _status(
            "Pending",
            container("c0", "waiting:PodInitializing"),
            init=(container("i0", "waiting:CrashLoopBackOff", restarts=4, last=True),),
        ),
        init=(False,),
    ),
    HardPod(
        "init-error",
        "Init:Error",
        "0/1",
        0,
        "bad",
        _status(
            "Pending",
            container("c0", "waiting:PodInitializing"),
            init=(container("i0", "terminated:Error", exit=1),),
        ),
        init=(False,),
    ),
    HardPod(
        "init-exit-code",
        "Init:ExitCode:5",
        "0/1",
        0,
        "bad",
        _status("Failed", container("c0", "waiting:PodInitializing"), init=(container("i0", "terminated", exit=5),)),
        init=(False,),
    ),
    HardPod(
        "init-signal",
        "Init:Signal:15",
        "0/1",
        0,
        "bad",
        _status(
            "Failed",
            container("c0", "waiting:PodInitializing"),
            init=(container("i0", "terminated", exit=143, signal=15),),
        ),
        init=(False,),
    ),
    HardPod(
        "sidecar",
        "Running",
        "2/2",
        5,
        "good",
        _status(
            "Running",
            container("c0", "running", ready=True, restarts=2),
            init=(container("i0", "running", ready=True, started=True, restarts=3, last=True),),
            conditions=[INITIALIZED, READY],
        ),
        init=(True,),
    ),
    HardPod(
        "sidecar-not-started",
        "Init:0/2",
        "0/2",
        0,
        "busy",
        _status(
            "Pending",
            container("c0", "waiting:PodInitializing"),
            init=(container("i0", "running", started=False), container("i1", "waiting:PodInitializing")),
        ),
        init=(True, False),
    ),
    HardPod(
        "sidecar-crashes-later",
        "CrashLoopBackOff",
        "0/2",
        9,
        "bad",
        _status(
            "Running",
            container("c0", "waiting:CrashLoopBackOff", restarts=6, last=True),
            init=(container("i0", "waiting:CrashLoopBackOff", restarts=3, started=False),),
            conditions=[INITIALIZED],
        ),
        init=(True,),
    ),
    HardPod(
        "sidecar-after-plain-init",
        "Running",
        "2/2",
        0,
        "good",
        _status(
            "Running",
            container("c0", "running", ready=True),
            init=(
                container("i0", "terminated:Completed", restarts=2, last=True),
                container("i1", "running", ready=True, started=True),
            ),
            conditions=[INITIALIZED],
        ),
        init=(False, True),
    ),
    HardPod(
        "gates",
        "Running",
        "1/1",
        0,
        "good",
        _status(
            "Running",
            container("c0", "running", ready=True),
            conditions=[_condition("gedge.test/a"), _condition("gedge.test/b", "False")],
            podIP="10.244.7.9",
            podIPs=[{"ip": "10.244.7.9"}, {"ip": "fd00::9"}],
            hostIP="192.0.2.9",
        ),
        gates=("gedge.test/a", "gedge.test/b", "gedge.test/c"),
    ),
)
