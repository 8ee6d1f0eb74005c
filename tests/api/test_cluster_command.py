"""`gm cluster`: from a user's own kubeconfig to a registered cluster, here and at a console elsewhere."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gmcenter import fleet
from gmcenter.core import database
from tests.lab.cluster import LabCluster
from tests.support.api import Installation, served

ROOT = Path(__file__).resolve().parents[2]
Done = subprocess.CompletedProcess[str]


@pytest.fixture
async def url(gm: Installation) -> AsyncIterator[str]:
    async with served(gm.app) as found:
        yield found


@pytest.fixture
def made(lab_cluster: LabCluster) -> Any:
    """Whatever the command makes in the cluster is gone afterwards."""
    yield lab_cluster
    lab_cluster.kubectl("delete", "namespace", "gm-system", "--ignore-not-found", "--timeout=60s")
    lab_cluster.kubectl("delete", "clusterrolebinding", "gm-center", "--ignore-not-found")


async def gm_cluster(gm: Installation, *arguments: str, typed: str | None = None, **environment: str) -> Done:
    """Run the command as a user would, on the installation of the tests."""
    await database.dispose()
    settings = {
        "GM_DATA": str(gm.settings.data),
        "GM_ALLOW_LOOPBACK": "1",
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
    }
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "gmcenter.cli", "cluster", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "160", **settings, **environment},
        input=typed,
        stdin=None if typed is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def whoami(name: str) -> str:
    """As whom the console signs in to a cluster."""
    async with await fleet.dial(name) as connection:
        answer = await connection.request(
            "POST",
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            body=b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}',
            headers={"Content-Type": "application/json"},
        )
    return str(json.loads(answer.body)["status"]["userInfo"]["username"])


def with_exec_plugin(cluster: LabCluster, folder: Path) -> Path:
    """A kubeconfig that signs in by running a program."""
    plugin = folder / "plugin"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": cluster.token("admin")},
    }
    plugin.write_text(f"#!/bin/sh\necho ran >> {folder}/ran\ncat <<'END'\n{json.dumps(credential)}\nEND\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    yaml = YAML(typ="safe", pure=True)
    document = yaml.load(cluster.kubeconfig())
    document["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(plugin),
            "interactiveMode": "Never",
        }
    }
    path = folder / "kubeconfig"
    yaml.dump(document, path)
    return path


async def test_an_exec_plugin_runs_on_the_users_machine_and_the_console_gets_an_account_of_its_own(
    gm: Installation, made: LabCluster, tmp_path: Path
) -> None:
    path = with_exec_plugin(made, tmp_path)
    done = await gm_cluster(
        gm, "add", "--context", made.name, "--name", "plugged", "--yes", "-o", "json", KUBECONFIG=str(path)
    )
    try:
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "ran").exists()
        shown = json.loads(done.stdout)
        assert (shown["clusterName"], shown["credentialKind"]) == ("plugged", "token")
        assert "kind: ClusterRoleBinding" in done.stderr
        assert await whoami("plugged") == "system:serviceaccount:gm-system:gm-center"
        assert made.token("admin") not in done.stdout + done.stderr
        secret = json.loads(made.kubectl("-n", "gm-system", "get", "secret", "gm-center-token", "-o", "json"))
        assert secret["data"]["token"] not in done.stdout + done.stderr
    finally:
        await gm_cluster(gm, "remove", "plugged", "--yes")


async def test_a_console_elsewhere_is_told_over_rest(gm: Installation, made: LabCluster, url: str) -> None:
    path, token = str(made.kubeconfig()), await gm.token("admin")
    done = await gm_cluster(
        gm, "add", "--kubeconfig", path, "--name", "far", "--yes", "--url", url, GM_TOKEN=token, GM_DATA="/nonexistent"
    )
    assert done.returncode == 0, done.stderr
    assert "far" in done.stdout
    listed = await gm_cluster(gm, "list", "--url", url, "-o", "json", GM_TOKEN=token, GM_DATA="/nonexistent")
    assert {"far", "seoul"} <= {one["clusterName"] for one in json.loads(listed.stdout)}
    checked = await gm_cluster(gm, "check", "far", "--url", url, GM_TOKEN=token, GM_DATA="/nonexistent")
    assert checked.returncode == 0, checked.stdout
    assert "system:serviceaccount:gm-system:gm-center" in checked.stdout
    removed = await gm_cluster(gm, "remove", "far", "--yes", "--url", url, GM_TOKEN=token, GM_DATA="/nonexistent")
    assert removed.returncode == 0, removed.stderr
    assert "far" not in {ref.name for ref in await fleet.clusters()}


async def test_nothing_is_made_without_a_yes(gm: Installation, made: LabCluster) -> None:
    done = await gm_cluster(gm, "add", "--kubeconfig", str(made.kubeconfig()), "--name", "asked")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert made.kubectl("get", "namespace", "gm-system", "--ignore-not-found") == ""


async def test_a_failed_check_shows_its_stages_and_what_to_do(gm: Installation, made: LabCluster) -> None:
    done = await gm_cluster(
        gm,
        "add",
        "--kubeconfig",
        str(made.kubeconfig()),
        "--name",
        "shut",
        "--yes",
        "--endpoint",
        "https://127.0.0.1:1",
    )
    assert done.returncode == 1
    assert "Nothing listens at 127.0.0.1 port 1" in done.stderr
    assert "→ Check the port" in done.stderr
    assert "Traceback" not in done.stderr
    assert "shut" not in {ref.name for ref in await fleet.clusters()}


async def test_warnings_are_told_and_accepted_on_request(gm: Installation, made: LabCluster) -> None:
    arguments = ("add", "--kubeconfig", str(made.kubeconfig()), "--name", "viewed", "--yes", "--role", "view")
    done = await gm_cluster(gm, *arguments)
    assert done.returncode == 1
    assert "acceptWarnings" in done.stderr
    again = await gm_cluster(gm, *arguments, "--accept-warnings")
    try:
        assert again.returncode == 0, again.stderr
        other = await gm_cluster(gm, *arguments[:-1], "cluster-admin")
        assert other.returncode == 1
        assert "roleRef" in other.stderr, "a binding cannot be given another role"
    finally:
        await gm_cluster(gm, "remove", "viewed", "--yes")


async def test_a_namespace_that_is_being_deleted_is_not_used(gm: Installation, made: LabCluster) -> None:
    made.kubectl("create", "namespace", "gm-system")
    holder = {"metadata": {"name": "held", "finalizers": ["gedge.test/held"]}, "data": {}}
    made.client.request("POST", "/api/v1/namespaces/gm-system/configmaps", holder)
    made.kubectl("delete", "namespace", "gm-system", "--wait=false")
    try:
        done = await gm_cluster(gm, "add", "--kubeconfig", str(made.kubeconfig()), "--name", "ending", "--yes")
    finally:
        path = "/api/v1/namespaces/gm-system/configmaps/held"
        made.client.patch(path, {"metadata": {"finalizers": None}})
    assert done.returncode == 1
    assert "being deleted" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--context", "atlantis"), "atlantis"),
        (("--kubeconfig", "/nonexistent"), "kubeconfig"),
        (("--url", "http://console.example", "--token", "x"), "https://"),
        (("--url", "ftp://console.example", "--token", "x"), "not an address"),
        (("--token", "x"), "--url"),
    ],
)
async def test_what_cannot_be_is_told_in_words(
    gm: Installation, made: LabCluster, arguments: tuple[str, ...], words: str
) -> None:
    given = arguments if "--kubeconfig" in arguments else ("--kubeconfig", str(made.kubeconfig()), *arguments)
    done = await gm_cluster(gm, "add", "--yes", *given)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


async def test_an_unknown_cluster_is_told_in_words(gm: Installation, url: str) -> None:
    token = await gm.token("admin")
    for where in ((), ("--url", url)):
        done = await gm_cluster(gm, "check", "atlantis", *where, **({"GM_TOKEN": token} if where else {}))
        assert done.returncode == 1
        assert "atlantis" in done.stderr
        assert "Traceback" not in done.stderr


async def test_a_table_and_a_document_say_the_same(gm: Installation) -> None:
    table = await gm_cluster(gm, "list")
    document = await gm_cluster(gm, "list", "-o", "json")
    for one in json.loads(document.stdout):
        assert one["clusterName"] in table.stdout
    assert "Away" in table.stdout
