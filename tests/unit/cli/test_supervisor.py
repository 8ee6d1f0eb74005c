"""The supervisor: restarts what dies, stops in order, and nothing outlives it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gmcenter.cli import supervisor
from gmcenter.cli.children import started_at
from gmcenter.cli.supervisor import (
    AlreadyRunning,
    Program,
    Supervisor,
    read_state,
    sole_owner,
    stop_running,
)
from tests.lab import wait_for

ROOT = Path(__file__).resolve().parents[3]
# Writes its name into a file when it is asked to end, so that the order can be read.
PROGRAM = """
import signal, sys, time
name, log = sys.argv[1:]
def leave(*_):
    open(log, "a").write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
open(log + "." + name, "w").write("ready")
time.sleep(600)
"""
OWNER = """
import asyncio, signal, sys
from pathlib import Path
from gmcenter.cli.supervisor import Program, Supervisor, sole_owner
data = Path(sys.argv[1])
async def main():
    programs = [Program(name, (sys.executable, "-c", sys.argv[2], name, str(data / "order"))) for name in "abc"]
    one = Supervisor(data, programs)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, one.stopping.set)
    await one.run()
with sole_owner(data):
    asyncio.run(main())
"""


def programs(data: Path, names: str = "abc") -> list[Program]:
    return [Program(name, (sys.executable, "-c", PROGRAM, name, str(data / "order"))) for name in names]


def all_ready(data: Path, names: str = "abc") -> bool:
    return all((data / f"order.{name}").exists() for name in names)


async def until(what: Callable[[], bool], why: str) -> None:
    async with asyncio.timeout(20):
        while not what():  # noqa: ASYNC110 - it looks at other processes
            await asyncio.sleep(0.02)


@pytest.fixture
def owner(tmp_path: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A supervisor in a process of its own, with three programs that are ready."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path), PROGRAM], env=environment) as process:
        try:
            wait_for(lambda: all_ready(tmp_path), "the programs start")
            wait_for(lambda: len(pids_of(tmp_path)) == 3, "the state is written")
            yield process
        finally:
            process.kill()


def pids_of(data: Path) -> list[int]:
    return [entry["pid"] for entry in read_state(data).get("programs", {}).values() if entry["pid"]]


async def test_programs_are_stopped_in_the_order_in_which_they_are_given(tmp_path: Path) -> None:
    one = Supervisor(tmp_path, programs(tmp_path))
    running = asyncio.create_task(one.run())
    await until(lambda: all_ready(tmp_path), "the programs start")
    one.stopping.set()
    await asyncio.wait_for(running, 20)
    assert (tmp_path / "order").read_text().split() == ["a", "b", "c"]


async def test_what_dies_comes_back_and_the_others_are_not_disturbed(tmp_path: Path) -> None:
    one = Supervisor(tmp_path, programs(tmp_path))
    running = asyncio.create_task(one.run())
    await until(lambda: all_ready(tmp_path) and len(pids_of(tmp_path)) == 3, "the programs start")
    before = read_state(tmp_path)["programs"]
    os.kill(before["b"]["pid"], signal.SIGKILL)
    await until(lambda: read_state(tmp_path)["programs"]["b"]["restarts"] == 1, "it is started again")
    after = read_state(tmp_path)["programs"]
    assert after["b"]["pid"] != before["b"]["pid"]
    assert (after["a"], after["c"]) == (before["a"], before["c"])
    one.stopping.set()
    await asyncio.wait_for(running, 20)


async def test_a_program_that_will_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "PATIENCE", 0.3)
    deaf = "import signal,sys,time; signal.signal(15, signal.SIG_IGN); open(sys.argv[1],'w'); time.sleep(600)"
    one = Supervisor(tmp_path, [Program("deaf", (sys.executable, "-c", deaf, str(tmp_path / "up")))])
    running = asyncio.create_task(one.run())
    await until(lambda: (tmp_path / "up").exists() and bool(pids_of(tmp_path)), "it starts")
    (pid,) = pids_of(tmp_path)
    one.stopping.set()
    await asyncio.wait_for(running, 10)
    assert started_at(pid) is None


async def test_a_program_that_always_dies_is_tried_ever_more_slowly(tmp_path: Path) -> None:
    count = tmp_path / "count"
    script = f"open({str(count)!r}, 'a').write('x')"
    one = Supervisor(tmp_path, [Program("short", (sys.executable, "-c", script))])
    running = asyncio.create_task(one.run())
    await until(lambda: count.exists() and len(count.read_text()) == 3, "two restarts")
    began = asyncio.get_running_loop().time()
    await until(lambda: len(count.read_text()) == 4, "the third")
    assert asyncio.get_running_loop().time() - began > 0.75  # pauses: ¼ s, ½ s, 1 s …
    one.stopping.set()
    await asyncio.wait_for(running, 20)


def test_kill_9_of_the_supervisor_leaves_nothing_behind(owner: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    pids = pids_of(tmp_path)
    owner.kill()
    owner.wait()
    wait_for(lambda: all(started_at(pid) is None for pid in pids), "the programs end with it", 5)
    assert read_state(tmp_path) == {}


def test_stopping_from_outside_waits_until_all_have_ended(owner: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    pids = pids_of(tmp_path)
    assert stop_running(tmp_path) is True
    assert all(started_at(pid) is None for pid in pids)
    assert (tmp_path / "order").read_text().split() == ["a", "b", "c"]
    assert owner.wait(5) == 0
    assert stop_running(tmp_path) is False


def test_a_second_supervisor_of_the_same_folder_is_refused(owner: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    with pytest.raises(AlreadyRunning) as refusal, sole_owner(tmp_path):
        pass
    assert refusal.value.state["pid"] == owner.pid
    with sole_owner(tmp_path / "another"):
        pass
    stop_running(tmp_path)
    owner.wait()


def test_a_state_that_a_dead_supervisor_left_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"pid": os.getpid(), "started": 1, "programs": {}}))
    assert read_state(tmp_path) == {}
    assert stop_running(tmp_path) is False


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": null}', '{"pid": -1, "started": null}', '{"pid": 99999999}'])
def test_a_state_that_is_none_stops_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    assert read_state(tmp_path) == {}
    assert stop_running(tmp_path) is False
