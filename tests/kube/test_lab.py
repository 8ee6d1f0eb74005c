"""The lab is what other tests stand on, so it is tested first: real servers, true status words, faults on command."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.lab import ApiError, Client, Lab, LabCluster, LabError, wait_for
from tests.lab.processes import runs, started

ROOT = Path(__file__).resolve().parents[2]


def client_of(cluster: LabCluster, user: str = "admin") -> Client:
    """A client that goes through the proxy, as GM does."""
    return Client(cluster.url, cluster.folder / "pki" / "ca.crt", token=cluster.token(user))


def leftovers(cluster: LabCluster) -> list[int]:
    state = cluster.state
    return [pid for pid in state.get("pids", {}).values() if runs(pid, Path(state["binary"]))]


def test_the_small_profile_shows_each_status_that_kubectl_tells_apart(lab_cluster: LabCluster) -> None:
    words = {line.split()[2] for line in lab_cluster.kubectl("get", "pods", "-A", "--no-headers").splitlines() if line}
    words |= {line.split()[3] for line in lab_cluster.kubectl("get", "pods", "-A", "--no-headers").splitlines() if line}
    expected = {"Running", "CrashLoopBackOff", "Init:1/3", "Completed", "Terminating", "ImagePullBackOff"}
    assert expected | {"OOMKilled", "Error", "Evicted", "SchedulingGated", "Pending"} <= words


def test_nodes_carry_roles_zones_gpus_taints_and_a_cordon(lab_cluster: LabCluster) -> None:
    nodes = {n["metadata"]["name"]: n for n in lab_cluster.client.items("Node")}
    worker = nodes["lab-one-worker-1"]
    assert worker["status"]["capacity"]["nvidia.com/gpu"] == "2"
    assert worker["metadata"]["labels"]["topology.kubernetes.io/zone"] == "edge-a"
    assert nodes["lab-one-worker-2"]["spec"]["unschedulable"] is True
    assert any(t["key"] == "gedge.kr/dedicated" for t in nodes["lab-one-worker-3"]["spec"]["taints"])
    assert "node-role.kubernetes.io/control-plane" in nodes["lab-one-master"]["metadata"]["labels"]


def test_warning_events_of_three_reasons_are_there(lab_cluster: LabCluster) -> None:
    def reasons() -> bool:
        found = {e["reason"] for e in lab_cluster.client.items("Event") if e["type"] == "Warning"}
        return {"BackOff", "FailedScheduling", "Unhealthy"} <= found

    wait_for(reasons, "warning events appear")


def test_each_user_may_do_what_its_name_says(lab_cluster: LabCluster) -> None:
    assert client_of(lab_cluster, "admin").get("/api/v1/secrets")["kind"] == "SecretList"
    viewer, nobody = client_of(lab_cluster, "viewer"), client_of(lab_cluster, "nobody")
    assert viewer.get("/api/v1/pods")["items"]
    with pytest.raises(ApiError, match="403"):
        viewer.get("/api/v1/secrets")
    with pytest.raises(ApiError, match="403"):
        nobody.get("/api/v1/pods")
    with pytest.raises(ApiError, match="401"):
        Client(lab_cluster.url, lab_cluster.folder / "pki" / "ca.crt", token="wrong").get("/api/v1/pods")


def test_a_cut_cluster_refuses_and_a_healed_one_answers(healthy_lab: list[LabCluster]) -> None:
    cluster, other = healthy_lab
    client = client_of(cluster)
    assert client.get("/version")
    cluster.cut()
    with pytest.raises(ConnectionError):
        client.get("/version")
    assert client_of(other).get("/version")
    cluster.heal()
    assert client.get("/version")


def test_cutting_breaks_a_watch_that_is_open(healthy_lab: list[LabCluster]) -> None:
    cluster = healthy_lab[0]
    command = cluster.kubectl_command("get", "pods", "-A", "--watch")
    command = [f"--kubeconfig={cluster.kubeconfig()}" if "--kubeconfig" in part else part for part in command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as watch:
        assert watch.stdout
        assert "NAMESPACE" in watch.stdout.readline()
        cluster.cut()
        assert watch.wait(15) is not None


def test_a_black_hole_accepts_and_says_nothing(healthy_lab: list[LabCluster]) -> None:
    cluster = healthy_lab[0]
    cluster.blackhole()
    address = urlsplit(cluster.url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=2) as line:
        line.sendall(b"\x16\x03\x01")
        line.settimeout(0.5)
        with pytest.raises(TimeoutError):
            line.recv(1)
    with pytest.raises(TimeoutError):
        client_of(cluster).get("/version", timeout=1)
    cluster.heal()
    assert client_of(cluster).get("/version", timeout=5)


def test_a_slow_cluster_takes_longer_by_what_was_asked(healthy_lab: list[LabCluster]) -> None:
    cluster = healthy_lab[0]
    client = client_of(cluster)
    client.get("/version")
    cluster.slow(300)
    began = time.monotonic()
    client.get("/version")
    assert 0.6 <= time.monotonic() - began < 5


def test_a_killed_node_turns_not_ready_and_stays_so_until_it_is_revived(lab_cluster: LabCluster) -> None:
    name = "lab-one-worker-3"

    def ready() -> str:
        conditions = lab_cluster.client.get(f"/api/v1/nodes/{name}")["status"]["conditions"]
        return next(str(c["status"]) for c in conditions if c["type"] == "Ready")

    try:
        lab_cluster.kill_node(name)
        assert ready() == "Unknown"
        wait_for(
            lambda: any(
                t["key"] == "node.kubernetes.io/unreachable"
                for t in lab_cluster.client.get(f"/api/v1/nodes/{name}")["spec"]["taints"]
            ),
            "the node controller sees it",
        )
        assert ready() == "Unknown"
    finally:
        lab_cluster.revive_node(name)
    wait_for(lambda: ready() == "True", "the node is back")


def test_a_stopped_cluster_leaves_no_process_and_keeps_its_data(make_cluster: Callable[..., LabCluster]) -> None:
    cluster = make_cluster("kept")
    url, ca = cluster.url, cluster.ca_pem
    cluster.kubectl("create", "namespace", "remember")
    pids = cluster.state["pids"]
    assert set(pids) >= {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}
    binary = Path(cluster.state["binary"])
    cluster.stop()
    assert not [pid for pid in pids.values() if runs(pid, binary)]
    cluster.start()
    assert (cluster.url, cluster.ca_pem) == (url, ca)
    assert "remember" in cluster.kubectl("get", "namespaces")


def test_killing_the_keeper_leaves_nothing_behind(make_cluster: Callable[..., LabCluster]) -> None:
    cluster = make_cluster("orphan")
    assert leftovers(cluster)
    os.kill(cluster.state["pid"], signal.SIGKILL)
    wait_for(lambda: not leftovers(cluster), "the servers end with their keeper", 5)
    assert cluster.state["state"] == "stopped"


def test_a_cluster_ends_with_the_process_that_started_it(lab: Lab) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tests.lab import Lab;"
        "Lab(Path(sys.argv[1])).cluster('left').start(); print('up', flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, str(lab.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as starter:
        assert starter.stdout
        assert starter.stdout.readline().strip() == "up"
        cluster = lab.cluster("left")
        keeper = cluster.state["pid"]
        assert leftovers(cluster)
        starter.kill()
    wait_for(lambda: started(keeper) is None, "the keeper lets go", 30)
    assert not leftovers(cluster)
    cluster.stop(purge=True)


def test_a_server_that_dies_is_told_with_its_last_words(make_cluster: Callable[..., LabCluster]) -> None:
    cluster = make_cluster("dying")
    os.kill(cluster.state["pids"]["kwok"], signal.SIGKILL)
    wait_for(lambda: cluster.state["state"] == "failed", "the keeper notices", 20)
    assert "kwok ended with -9" in cluster.state["error"]
    assert not leftovers(cluster)
    with pytest.raises(LabError):
        cluster.cut()


def test_a_cluster_with_metrics_answers_kubectl_top(make_cluster: Callable[..., LabCluster]) -> None:
    cluster = make_cluster("measured", profile="small", metrics=True)

    def measured() -> bool:
        nodes = cluster.kubectl("top", "nodes", check=False)
        return "measured-worker-1" in nodes and "nginx" in cluster.kubectl("top", "pods", "-n", "demo", check=False)

    wait_for(measured, "metrics-server has scraped twice", 90, every=1)
