"""The demo as a stranger meets it: one command, three live clusters, faults on command, and nothing left at its end."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gmcenter.cli.supervisor import read_state
from tests.lab import Lab
from tests.support.command import Started, free_port, gm, processes_of, running, wait_for

NAMES = ["sejong-edge-01", "jeju-edge-01", "lmo-seoul-openstack-01"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    data = tmp_path_factory.mktemp("demo") / "data"
    answer = gm("demo", "--data", str(data), "--port", str(free_port()), "--wait", "-o", "json")
    try:
        assert answer.returncode == 0, answer.stderr
        yield Started(data, json.loads(answer.stdout))
    finally:
        gm("down", "--data", str(data))


def clusters(demo: Started) -> dict[str, dict[str, Any]]:
    status, answer = demo.request("GET", "/gmcapi/v2/clusters", token=demo.sign_in())
    assert status == 200, answer
    return {cluster["clusterName"]: cluster for cluster in answer["data"]}


def test_the_answer_is_one_document_for_programs(demo: Started) -> None:
    assert set(demo.document) == {"url", "username", "password", "clusters"}
    assert [cluster["name"] for cluster in demo.document["clusters"]] == NAMES
    for cluster in demo.document["clusters"]:
        assert set(cluster) == {"name", "kubeconfig"}
        assert "client-key-data" in Path(cluster["kubeconfig"]).read_text()


def test_wait_returns_when_all_clusters_are_live_at_their_sites(demo: Started) -> None:
    found = clusters(demo)
    assert sorted(found) == sorted(NAMES)
    assert {cluster["state"] for cluster in found.values()} == {"live"}
    assert {name: found[name]["clusterType"] for name in NAMES} == {
        "sejong-edge-01": "edge",
        "jeju-edge-01": "edge",
        "lmo-seoul-openstack-01": "cloud",
    }
    assert all(cluster["point"] for cluster in found.values())


def test_the_console_lists_the_pods_that_kubectl_lists(demo: Started) -> None:
    token = demo.sign_in()
    lab = Lab(demo.data / "lab")
    for name in NAMES:
        expected = set(lab.cluster(name).kubectl("get", "deployments", "-A", "-o", "name").split())

        def same(name: str = name, expected: set[str] = expected) -> bool:
            path = f"/gmcapi/v2/deployments?cluster={name}&limit=500"
            _, answer = demo.request("GET", path, token=token)
            return {f"deployment.apps/{row['name']}" for row in answer["data"]} == expected

        wait_for(same, f"the deployments of {name} are listed")


def test_a_cut_cluster_is_away_and_comes_back_when_it_is_healed(demo: Started) -> None:
    folder = str(demo.data / "lab")
    assert gm("lab", "chaos", "cut", "jeju-edge-01", "--dir", folder).returncode == 0
    try:
        wait_for(lambda: clusters(demo)["jeju-edge-01"]["state"] == "away", "it is away", 60, every=0.5)
        assert clusters(demo)["sejong-edge-01"]["state"] == "live"
    finally:
        assert gm("lab", "chaos", "heal", "jeju-edge-01", "--dir", folder).returncode == 0
    wait_for(lambda: clusters(demo)["jeju-edge-01"]["state"] == "live", "it is back", 60, every=0.5)


def test_down_leaves_nothing_and_the_next_start_has_the_same_users_and_clusters(demo: Started) -> None:
    before = {name: cluster["id"] for name, cluster in clusters(demo).items()}
    assert gm("down", "--data", str(demo.data)).returncode == 0
    assert processes_of(demo.data) == []
    port = demo.url.rpartition(":")[2]
    again = gm("demo", "--data", str(demo.data), "--port", port, "--wait", "-o", "json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == demo.document
    assert {name: cluster["id"] for name, cluster in clusters(demo).items()} == before


def test_ctrl_c_while_the_clusters_come_up_stops_everything(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running("demo", data) as demo:  # answers before its clusters do
        assert demo.supervisor
        assert read_state(data)["state"] == "ready"
        demo.supervisor.send_signal(signal.SIGINT)
        assert demo.supervisor.wait(90) == 0
    assert processes_of(data) == []


def test_kill_9_of_the_demo_takes_its_clusters_along(demo: Started) -> None:
    os.kill(read_state(demo.data)["pid"], signal.SIGKILL)
    wait_for(lambda: processes_of(demo.data) == [], "everything ends with it", 60, every=0.2)
