"""Processes that die by kill -9 come back by themselves, lose nothing, and never outlive their supervisor."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gmcenter.cli.children import started_at
from tests.support.command import Started, free_port, gm, processes_of, running, wait_for


@pytest.fixture(scope="module")
def gm_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    with running("up", tmp_path_factory.mktemp("console") / "data") as made:
        yield made


def kill(gm_up: Started, *names: str) -> None:
    """Kill programs with -9 and wait until others have taken their place and the console is ready."""
    before = gm_up.pids()
    for name in names:
        os.kill(before[name], signal.SIGKILL)

    def replaced() -> bool:
        now = gm_up.pids()
        return all(now.get(name) and now[name] != before[name] for name in names) and gm_up.ready()

    wait_for(replaced, f"{names} come back", 60)


def test_the_first_start_shows_an_administrator_who_can_sign_in(gm_up: Started) -> None:
    assert gm_up.document["username"] == "admin"
    assert len(gm_up.document["password"]) >= 16
    status, me = gm_up.request("GET", "/gmcapi/v2/clusters", token=gm_up.sign_in())
    assert (status, me["data"]) == (200, [])


@pytest.mark.parametrize("names", [("web",), ("collect",), ("work",), ("web", "collect")])
def test_what_is_killed_comes_back_and_the_session_is_still_good(gm_up: Started, names: tuple[str, ...]) -> None:
    token = gm_up.sign_in()
    others = {name: pid for name, pid in gm_up.pids().items() if name not in names}
    kill(gm_up, *names)
    assert gm_up.request("GET", "/gmcapi/v2/clusters", token=token)[0] == 200
    assert {name: pid for name, pid in gm_up.pids().items() if name not in names} == others


def test_the_password_is_written_nowhere(gm_up: Started) -> None:
    secret = gm_up.document["password"].encode()
    files = [path for path in gm_up.data.rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if secret in path.read_bytes()] == []


def test_the_data_folder_is_its_owners_alone(gm_up: Started) -> None:
    assert gm_up.data.stat().st_mode & 0o077 == 0
    for name in ("system.db", "secret.key", "run.json"):
        assert (gm_up.data / name).stat().st_mode & 0o077 == 0, name


def test_a_second_console_in_the_same_folder_is_refused(gm_up: Started) -> None:
    answer = gm("up", "--data", str(gm_up.data), "--port", str(free_port()))
    assert (answer.returncode, gm_up.url in answer.stderr) == (1, True)
    assert gm_up.ready()


def test_a_taken_port_is_told_before_anything_starts(gm_up: Started, tmp_path: Path) -> None:
    port = gm_up.url.rpartition(":")[2]
    answer = gm("up", "--data", str(tmp_path / "data"), "--port", port)
    assert (answer.returncode, port in answer.stderr) == (1, True)
    assert processes_of(tmp_path / "data") == []


def test_a_console_beside_another_starts_stops_and_starts_again_with_its_data(gm_up: Started, tmp_path: Path) -> None:
    data = tmp_path / "data"
    port = free_port()
    with running("up", data, port=port) as second:
        password = second.document["password"]
        pids = second.pids()
        assert set(pids) == {"web", "collect", "work"}
    assert [name for name, pid in pids.items() if started_at(pid) is not None] == []
    assert gm_up.ready()
    again = gm("up", "--data", str(data), "--port", str(port), "--detach", "-o", "json")
    assert again.returncode == 0, again.stderr
    try:
        third = Started(data, {"url": f"http://127.0.0.1:{port}", "username": "admin", "password": password})
        assert '"password": null' in again.stdout
        assert third.sign_in()
    finally:
        stopped = gm("down", "--data", str(data))
    assert stopped.returncode == 0
    assert processes_of(data) == []
    assert gm_up.ready()


def test_kill_9_of_the_supervisor_leaves_nothing_behind(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running("up", data) as gm_up:
        pids = gm_up.pids()
        assert gm_up.supervisor
        gm_up.supervisor.kill()
        gm_up.supervisor.wait()
        wait_for(lambda: all(started_at(pid) is None for pid in pids.values()), "everything ends with it", 10)
        assert processes_of(data) == []
