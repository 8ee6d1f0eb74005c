"""Short words for the objects that profiles are made of."""

from typing import Any

from tests.lab.client import Manifest

GPU = "nvidia.com/gpu"
MOOD = "lab.gedge.kr/mood"
OS = "Ubuntu 22.04.5 LTS"


def node(
    name: str,
    *,
    address: str,
    zone: str,
    region: str,
    role: str = "worker",
    cpu: int = 8,
    memory: int = 32,
    gpu: tuple[str, int] | None = None,
    taints: tuple[tuple[str, str, str], ...] = (),
    cordoned: bool = False,
    labels: dict[str, str] | None = None,
) -> Manifest:
    """A node that kwok plays. `memory` is in GiB, `gpu` a product name and a count."""
    resources = {"cpu": str(cpu), "memory": f"{memory}Gi", "ephemeral-storage": "200Gi", "pods": "110"}
    marks = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/region": region,
        "topology.kubernetes.io/zone": zone,
        f"node-role.kubernetes.io/{role}": "",
        **(labels or {}),
    }
    if gpu:
        product, count = gpu
        resources[GPU] = str(count)
        marks |= {f"{GPU}.present": "true", f"{GPU}.product": product, f"{GPU}.count": str(count)}
    spec: dict[str, Any] = {"taints": [{"key": k, "value": v, "effect": e} for k, v, e in taints]}
    if role == "control-plane":
        spec["taints"].append({"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"})
    if cordoned:
        spec["unschedulable"] = True
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": marks,
            "annotations": {
                "kwok.x-k8s.io/node": "fake",
                "csi.volume.kubernetes.io/nodeid": f'{{"rook-ceph.rbd.csi.ceph.com":"{name}"}}',
                "metrics.k8s.io/resource-metrics-path": f"/metrics/nodes/{name}/metrics/resource",
            },
        },
        "spec": spec,
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
                {"type": "InternalDNS", "address": "localhost"},  # where the API server finds kwok
            ],
            "nodeInfo": {
                "architecture": "amd64",
                "operatingSystem": "linux",
                "osImage": OS,
                "kernelVersion": "5.15.0-122-generic",
                "containerRuntimeVersion": "containerd://2.1.4",
                "kubeletVersion": "v1.37.2",
                "kubeProxyVersion": "v1.37.2",
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
            },
        },
    }


def namespace(name: str, **labels: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod_spec(
    image: str,
    *,
    cpu: str = "100m",
    memory: str = "128Mi",
    gpu: int = 0,
    init: int = 0,
    claim: str | None = None,
    tolerate: str | None = None,
    select: dict[str, str] | None = None,
    never_restart: bool = False,
    command: list[str] | None = None,
    sidecar: str | None = None,
) -> dict[str, Any]:
    """A pod's spec with one container (and a sidecar, and `init` init containers)."""
    requests = {"cpu": cpu, "memory": memory}
    resources: dict[str, Any] = {"requests": requests, "limits": {"memory": memory}}
    if gpu:
        resources["limits"][GPU] = resources["requests"][GPU] = str(gpu)
    name = image.rpartition("/")[2].partition(":")[0]
    container: dict[str, Any] = {"name": name, "image": image, "resources": resources}
    if command:
        container["command"] = command
    spec: dict[str, Any] = {"containers": [container]}
    if sidecar:
        spec["containers"].append({"name": "sidecar", "image": sidecar})
    if init:
        spec["initContainers"] = [{"name": f"step-{i + 1}", "image": "busybox:1.36"} for i in range(init)]
    if claim:
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    if tolerate:
        spec["tolerations"] = [{"key": tolerate, "operator": "Exists"}]
    if select:
        spec["nodeSelector"] = select
    if never_restart:
        spec["restartPolicy"] = "Never"
    return spec


def _workload(kind: str, ns: str, name: str, mood: str | None, spec: dict[str, Any], more: dict[str, Any]) -> Manifest:
    labels = {"app": name, **({MOOD: mood} if mood else {})}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": ns, "labels": {"app": name}},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
            **more,
        },
    }


def deployment(ns: str, name: str, image: str, replicas: int = 1, *, mood: str | None = None, **pod: Any) -> Manifest:
    return _workload("Deployment", ns, name, mood, pod_spec(image, **pod), {"replicas": replicas})


def daemonset(ns: str, name: str, image: str, **pod: Any) -> Manifest:
    return _workload("DaemonSet", ns, name, None, pod_spec(image, **pod), {})


def statefulset(ns: str, name: str, image: str, replicas: int = 1, *, mood: str | None = None, **pod: Any) -> Manifest:
    return _workload("StatefulSet", ns, name, mood, pod_spec(image, **pod), {"replicas": replicas, "serviceName": name})


def service(ns: str, name: str, port: int, kind: str = "ClusterIP", **selector: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": ns, "labels": {"app": name}},
        "spec": {
            "type": kind,
            "selector": selector or {"app": name},
            "ports": [{"name": "main", "port": port, "targetPort": port, "protocol": "TCP"}],
        },
    }


def headless(ns: str, name: str, port: int) -> Manifest:
    made = service(ns, name, port)
    made["spec"]["clusterIP"] = "None"
    return made


def bare_pod(
    ns: str,
    name: str,
    image: str,
    *,
    mood: str | None = None,
    annotations: dict[str, str] | None = None,
    finalizers: tuple[str, ...] = (),
    gates: tuple[str, ...] = (),
    **pod: Any,
) -> Manifest:
    """A pod without an owner."""
    meta: dict[str, Any] = {"name": name, "namespace": ns, "labels": {"app": name, **({MOOD: mood} if mood else {})}}
    if annotations:
        meta["annotations"] = annotations
    if finalizers:
        meta["finalizers"] = list(finalizers)
    spec = pod_spec(image, **pod)
    if gates:
        spec["schedulingGates"] = [{"name": gate} for gate in gates]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def job(ns: str, name: str, image: str, completions: int = 1, **pod: Any) -> Manifest:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": ns, "labels": {"app": name}},
        "spec": {
            "completions": completions,
            "parallelism": completions,
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": pod_spec(image, never_restart=True, **pod),
            },
        },
    }


def cronjob(ns: str, name: str, image: str, schedule: str) -> Manifest:
    made = job(ns, name, image)
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": made["metadata"],
        "spec": {
            "schedule": schedule,
            "successfulJobsHistoryLimit": 2,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {"spec": {"template": made["spec"]["template"]}},
        },
    }


def claim(ns: str, name: str, size: str, storage_class: str | None = None, mode: str = "ReadWriteOnce") -> Manifest:
    """A claim; without a class it takes the default one, which kwok binds at once."""
    spec: dict[str, Any] = {"accessModes": [mode], "resources": {"requests": {"storage": size}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": ns},
        "spec": spec,
    }


def storage_class(name: str, provisioner: str, *, default: bool = False, reclaim: str = "Delete") -> Manifest:
    marks = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": marks},
        "provisioner": provisioner,
        "reclaimPolicy": reclaim,
        "volumeBindingMode": "Immediate",
    }


def event(
    ns: str, name: str, about: tuple[str, str], kind: str, reason: str, message: str, *, count: int, when: str, by: str
) -> Manifest:
    """An event about an object (kind, name). `when` is RFC 3339."""
    about_kind, about_name = about
    version = "apps/v1" if about_kind in ("Deployment", "StatefulSet", "ReplicaSet") else "v1"
    involved = {"apiVersion": version, "kind": about_kind, "name": about_name, "namespace": ns}
    if about_kind == "Node":
        del involved["namespace"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": ns},
        "involvedObject": involved,
        "type": kind,
        "reason": reason,
        "message": message,
        "count": count,
        "firstTimestamp": when,
        "lastTimestamp": when,
        "source": {"component": by},
        "reportingComponent": by,
    }
