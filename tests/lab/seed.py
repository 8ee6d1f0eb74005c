"""What the lab's clusters hold: a small profile with one of everything for tests, and two lively ones for the demo."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.lab.client import ApiError, Client, Manifest, path_of
from tests.lab.manifests import (
    bare_pod,
    claim,
    cronjob,
    daemonset,
    deployment,
    event,
    headless,
    job,
    namespace,
    node,
    service,
    statefulset,
    storage_class,
)

if TYPE_CHECKING:
    from tests.lab.cluster import LabCluster

# In every cluster, seeded or not: what the viewer may see, and a class whose claims kwok binds.
BOOTSTRAP: tuple[Manifest, ...] = (
    storage_class("kwok-volume", "kwok.x-k8s.io/volume", default=True),
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "lab-viewer"},
        "rules": [
            {
                "apiGroups": [""],
                "resources": ["nodes", "namespaces", "pods", "services", "events", "persistentvolumes"],
                "verbs": ["get", "list", "watch"],
            },
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch"]},
        ],
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "lab-viewer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "lab-viewer"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "lab:viewers"}],
    },
)


def metrics_service(port: int) -> tuple[Manifest, ...]:
    """The aggregated metrics API: a name that leads the API server to a port on its own host."""
    return (
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "metrics-server", "namespace": "kube-system"},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
                "service": {"name": "metrics-server", "namespace": "kube-system", "port": port},
            },
        },
    )


@dataclass(frozen=True)
class Profile:
    """Nodes, objects in the order of their making, events, and what happens to some of them afterwards."""

    nodes: list[Manifest]
    objects: list[Manifest]
    events: list[Manifest] = field(default_factory=list)
    doomed_nodes: tuple[str, ...] = ()  # killed after seeding
    doomed_pods: tuple[tuple[str, str], ...] = ()  # (namespace, name), deleted after seeding: a finalizer keeps them


def _stamp(ago: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago))


def small(cluster: str) -> Profile:
    """One of everything that a status rule must tell apart, in two namespaces and on four nodes."""
    ns = "demo"
    return Profile(
        nodes=[
            node(f"{cluster}-master", address="192.0.2.10", zone="edge-a", region="kr", role="control-plane", cpu=4),
            node(f"{cluster}-worker-1", address="192.0.2.11", zone="edge-a", region="kr", gpu=("Tesla-T4", 2)),
            node(f"{cluster}-worker-2", address="192.0.2.12", zone="edge-b", region="kr", cordoned=True),
            node(
                f"{cluster}-worker-3",
                address="192.0.2.13",
                zone="edge-b",
                region="kr",
                taints=(("gedge.kr/dedicated", "gpu", "NoSchedule"),),
            ),
        ],
        objects=[
            namespace(ns, team="edge"),
            namespace("shop", team="core"),
            storage_class("rook-cephfs", "rook-ceph.cephfs.csi.ceph.com"),
            deployment(ns, "nginx", "nginx:1.24.0", 3, memory="64Mi"),
            service(ns, "nginx", 80),
            service(ns, "nginx-public", 80, "NodePort", app="nginx"),
            deployment(ns, "crashing", "redis:7.2", mood="crashloop"),
            deployment(ns, "starting", "preprocess:1.2", mood="init", init=3),
            deployment(ns, "no-image", "registry.invalid/inference:9.9", mood="image"),
            deployment(ns, "unready", "postprocess:1.0", 2, mood="unready"),
            deployment(ns, "too-big", "inference:2.1", gpu=64),
            deployment(ns, "paused", "nginx:1.23.0", 0),
            bare_pod(ns, "killed", "mysql:8.0", mood="ended", annotations={"lab.gedge.kr/reason": "OOMKilled"}),
            bare_pod(ns, "failed", "mysql:8.0", mood="ended", never_restart=True),
            bare_pod(ns, "evicted", "kafka:3.7", mood="evicted"),
            bare_pod(ns, "gated", "kafka:3.7", gates=("gedge.kr/wait",)),
            bare_pod(ns, "leaving", "kafka:3.7", finalizers=("lab.gedge.kr/hold",)),
            bare_pod(ns, "pair", "nginx:1.24.0", sidecar="envoyproxy/envoy:1.31"),
            job(ns, "migrate", "migrate:1.0", 2),
            claim(ns, "data", "1Gi"),
            claim(ns, "shared", "5Gi", "rook-cephfs", "ReadWriteMany"),
            bare_pod(ns, "claimant", "mysql:8.0", claim="shared"),
            deployment("shop", "web", "nginx:1.20.0", 2),
            headless("shop", "web", 80),
        ],
        events=[
            event(
                ns,
                "lab-unhealthy",
                ("Pod", "pair"),
                "Warning",
                "Unhealthy",
                "Liveness probe failed: connection refused",
                count=7,
                when=_stamp(120),
                by="kubelet",
            )
        ],
        doomed_pods=((ns, "leaving"),),
    )


def _system(workers: int) -> list[Manifest]:
    """What a kubespray cluster brings along."""
    ns = "kube-system"
    everywhere = {"tolerate": "node-role.kubernetes.io/control-plane"}
    return [
        deployment(ns, "coredns", "registry.k8s.io/coredns/coredns:v1.12.1", 2, **everywhere),
        service(ns, "coredns", 53),
        daemonset(ns, "calico-node", "calico/node:v3.30.2", cpu="150m", **everywhere),
        deployment(ns, "calico-kube-controllers", "calico/kube-controllers:v3.30.2"),
        daemonset(ns, "kube-proxy", "registry.k8s.io/kube-proxy:v1.37.2", **everywhere),
        daemonset(ns, "nodelocaldns", "registry.k8s.io/dns/k8s-dns-node-cache:1.25.0", **everywhere),
        namespace("metallb-system"),
        deployment("metallb-system", "controller", "quay.io/metallb/controller:v0.14.8"),
        daemonset("metallb-system", "speaker", "quay.io/metallb/speaker:v0.14.8"),
        namespace("monitoring"),
        statefulset("monitoring", "prometheus", "prom/prometheus:v2.53.1", claim="prometheus-data", memory="2Gi"),
        claim("monitoring", "prometheus-data", "50Gi"),
        headless("monitoring", "prometheus", 9090),
        daemonset("monitoring", "node-exporter", "prom/node-exporter:v1.8.2", **everywhere),
        service("monitoring", "grafana", 3000),
        deployment("monitoring", "grafana", "grafana/grafana:11.1.4"),
    ]


def _pipeline(scale: int) -> list[Manifest]:
    """Object detection at the edge: frames go through three services and a queue."""
    ns = "ai-detect"
    return [
        namespace(ns, **{"gedge.kr/project": ns}),
        deployment(ns, "preprocess", "gedge/preprocess:1.4.2", 2 * scale, cpu="500m", memory="512Mi"),
        deployment(ns, "inference", "gedge/inference:2.1.0", scale, gpu=1, cpu="1", memory="4Gi"),
        deployment(ns, "postprocess", "gedge/postprocess:1.4.2", scale, cpu="250m", memory="256Mi"),
        service(ns, "preprocess", 8080),
        service(ns, "inference", 8501),
        service(ns, "postprocess", 8080),
        cronjob(ns, "frame-report", "gedge/report:1.0.3", "*/2 * * * *"),
        job(ns, "model-import", "gedge/model-import:2.1.0"),
    ]


def edge(cluster: str) -> Profile:
    """An edge site: a few GPU nodes, the detection pipeline, and the troubles of a small site."""
    number = sum(cluster.encode()) % 200
    region = cluster.partition("-")[0]
    nodes = [
        node(f"{cluster}-master", address=f"192.0.2.{number}", zone="edge", region=region, role="control-plane", cpu=4),
        *(
            node(
                f"{cluster}-worker-{i}",
                address=f"192.0.2.{number + i}",
                zone="edge",
                region=region,
                gpu=("Tesla-T4", 1) if i < 3 else None,
                labels={"gedge.kr/site": cluster},
            )
            for i in (1, 2, 3)
        ),
    ]
    return Profile(
        nodes=nodes,
        objects=[
            *_system(3),
            *_pipeline(1),
            namespace("storefront"),
            deployment("storefront", "nginx", "nginx:1.24.0", 3),
            service("storefront", "nginx", 80, "NodePort"),
            deployment("storefront", "redis", "redis:7.2"),
            service("storefront", "redis", 6379),
            deployment("storefront", "camera-gateway", "gedge/camera-gateway:0.9.1", mood="crashcycle"),
            deployment("ai-detect", "inference-next", "gedge/inference:2.2.0-rc1", 2, gpu=2),
            storage_class("rook-cephfs", "rook-ceph.cephfs.csi.ceph.com"),
            claim("storefront", "camera-archive", "500Gi", "rook-cephfs", "ReadWriteMany"),
        ],
        events=[
            event(
                "storefront",
                "nginx-unhealthy",
                ("Deployment", "nginx"),
                "Warning",
                "Unhealthy",
                "Readiness probe failed: HTTP probe failed with statuscode: 503",
                count=4,
                when=_stamp(300),
                by="kubelet",
            )
        ],
        doomed_nodes=(f"{cluster}-worker-3",) if cluster.startswith("jeju") else (),
    )


def cloud(cluster: str) -> Profile:
    """A core cloud: bigger nodes with A100s, the shared services, and more of everything."""
    region = "seoul"
    nodes = [
        node(f"{cluster}-master", address="198.51.100.10", zone="core-a", region=region, role="control-plane", cpu=8),
        *(
            node(
                f"{cluster}-worker-{i}",
                address=f"198.51.100.{10 + i}",
                zone=f"core-{'ab'[i % 2]}",
                region=region,
                cpu=32,
                memory=128,
                gpu=("NVIDIA-A100-PCIE-40GB", 2) if i < 3 else None,
                taints=(("gedge.kr/dedicated", "batch", "NoSchedule"),) if i == 5 else (),
            )
            for i in range(1, 6)
        ),
    ]
    return Profile(
        nodes=nodes,
        objects=[
            *_system(5),
            *_pipeline(3),
            namespace("data"),
            statefulset("data", "kafka", "bitnami/kafka:3.7", 3, cpu="1", memory="4Gi"),
            headless("data", "kafka", 9092),
            statefulset("data", "mysql", "mysql:8.0", claim="mysql-data", cpu="1", memory="4Gi"),
            claim("data", "mysql-data", "100Gi"),
            headless("data", "mysql", 3306),
            deployment("data", "redis", "redis:7.2", 2),
            service("data", "redis", 6379),
            namespace("storefront"),
            deployment("storefront", "nginx", "nginx:1.24.0", 6),
            service("storefront", "nginx", 80, "LoadBalancer"),
            deployment("storefront", "web", "gedge/storefront:3.2.0", 4, cpu="250m"),
            deployment("storefront", "web-canary", "gedge/storefront:3.3.0-rc2", mood="image"),
            deployment("storefront", "search", "gedge/search:1.1.0", 2, mood="unready"),
            service("storefront", "web", 8080),
            namespace("training"),
            deployment("training", "trainer", "gedge/trainer:0.7.0", mood="init", init=3),
            job("training", "dataset-2024", "gedge/dataset:1.0", 3),
            deployment("training", "notebook", "jupyter/base-notebook:2024.07", 2),
        ],
    )


PROFILES: dict[str, Callable[[str], Profile]] = {"small": small, "edge": edge, "cloud": cloud}


def plant(cluster: "LabCluster", name: str) -> None:
    """Create or update everything of a profile; safe to repeat."""
    from tests.lab.cluster import wait_for

    profile = PROFILES[name](cluster.name)
    client = cluster.client
    for manifest in profile.nodes:
        client.create(manifest)
    # A new node carries a taint until its controller has seen it ready; pods would fail to be scheduled for a moment.
    wait_for(lambda: not [n for n in client.items("Node") if _is_new(n)], f"the nodes of {cluster.name} are ready")
    first = [m for m in profile.objects if m["kind"] in ("Namespace", "StorageClass")]
    rest = [m for m in profile.objects if m not in first]
    for manifest in first:
        client.apply(manifest)
    for ns in {m["metadata"]["namespace"] for m in rest}:
        _await_account(client, ns)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda m: _put(client, m), rest))
        list(pool.map(client.create, profile.events))
    for ns, pod in profile.doomed_pods:
        path = path_of("Pod", ns, pod)
        wait_for(lambda p=path: client.get(p)["status"].get("phase") == "Running", f"{pod} runs")  # type: ignore[misc]
        client.delete("Pod", pod, ns)
    for doomed in profile.doomed_nodes:
        cluster.kill_node(doomed)


def _put(client: Client, manifest: Manifest) -> None:
    """Apply, but only create what cannot change once it is there."""
    if manifest["kind"] in ("Pod", "Job", "PersistentVolumeClaim"):
        client.create(manifest)
    else:
        client.apply(manifest)


def _await_account(client: Client, namespace_name: str) -> None:
    """Pods are refused until the controller has made their namespace's service account."""
    from tests.lab.cluster import wait_for

    def there() -> bool:
        try:
            client.get(path_of("ServiceAccount", namespace_name, "default"))
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return True

    wait_for(there, f"the service account of {namespace_name} appears")


def settle(cluster: "LabCluster", within: float = 60.0) -> None:
    """Wait until nodes are ready, each pod is as its mood wants it, and the controllers have seen it."""
    from tests.lab.cluster import wait_for

    client = cluster.client

    def restless() -> list[str]:
        found = [f"node {n['metadata']['name']}" for n in client.items("Node") if not _conditions(n)]
        deployments = client.items("Deployment")
        found += [f"deployment {d['metadata']['name']}" for d in deployments if _lags(d)]
        return found + [f"pod {p['metadata']['name']}" for p in client.items("Pod") if not _settled(p)]

    wait_for(lambda: not restless(), f"{cluster.name} settles", within, every=0.2)


def _is_new(made: Manifest) -> bool:
    taints = {taint["key"] for taint in made["spec"].get("taints", [])}
    return not _conditions(made) or "node.kubernetes.io/not-ready" in taints


def _conditions(made: Manifest) -> bool:
    return any(c["type"] == "Ready" for c in made["status"].get("conditions", []))


def _lags(made: Manifest) -> bool:
    status = made.get("status", {})
    seen = status.get("observedGeneration", 0) >= made["metadata"].get("generation", 1)
    return not seen or status.get("replicas", 0) != made["spec"]["replicas"]


def _settled(pod: Manifest) -> bool:
    status: dict[str, Any] = pod["status"]
    mood = pod["metadata"].get("labels", {}).get("lab.gedge.kr/mood")
    if mood in ("init", "image"):
        return "containerStatuses" in status
    if mood in ("crashloop", "crashcycle"):
        return any("waiting" in c["state"] or c["restartCount"] for c in status.get("containerStatuses", []))
    if status.get("phase") == "Pending":
        why: Iterator[Any] = (c.get("reason") for c in status.get("conditions", []) if c["type"] == "PodScheduled")
        return next(why, None) in ("Unschedulable", "SchedulingGated")
    if any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences", [])):
        return status.get("phase") == "Succeeded"
    return True
