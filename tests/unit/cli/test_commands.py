"""The `gm` command from outside: quick help, exit codes that mean something, JSON where a program may read."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def gm(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as `./gm` would, without its bootstrap."""
    return subprocess.run(
        [sys.executable, "-m", "gmcenter.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "COLUMNS": "120", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command_and_is_quick() -> None:
    times = []
    for _ in range(3):
        began = time.perf_counter()
        answer = gm("--help")
        times.append(time.perf_counter() - began)
    assert answer.returncode == 0
    for name in ("demo", "up", "down", "web", "collect", "work", "test", "lint", "bench", "i18n", "db", "user", "lab"):
        assert f" {name} " in answer.stdout, name
    assert min(times) < 1.0, times  # half a second on an idle machine


@pytest.mark.parametrize("command", ["demo", "up", "down", "web", "lab", "lab chaos", "test", "bench", "user", "audit"])
def test_each_command_explains_itself(command: str) -> None:
    answer = gm(*command.split(), "--help")
    assert answer.returncode == 0, answer.stderr
    assert f"gm {command}" in answer.stdout


def test_an_unknown_command_is_wrong_usage() -> None:
    answer = gm("lbench")
    assert answer.returncode == 2
    assert "bench" in answer.stderr


def test_down_with_nothing_running_is_no_failure(tmp_path: Path) -> None:
    answer = gm("down", "--data", str(tmp_path))
    assert (answer.returncode, str(tmp_path) in answer.stdout) == (0, True), answer.stderr


def test_an_empty_lab_is_an_empty_list(tmp_path: Path) -> None:
    answer = gm("lab", "status", "--dir", str(tmp_path), "-o", "json")
    assert json.loads(answer.stdout) == {"clusters": []}


def test_chaos_on_a_cluster_that_is_not_there_fails_with_its_name(tmp_path: Path) -> None:
    answer = gm("lab", "chaos", "cut", "nowhere", "--dir", str(tmp_path))
    assert (answer.returncode, "nowhere" in answer.stderr) == (1, True)


def test_an_unknown_bench_is_wrong_usage() -> None:
    assert gm("bench", "nothing").returncode == 2


def test_messages_follow_the_terminals_language(tmp_path: Path) -> None:
    korean = gm("down", "--data", str(tmp_path), LC_ALL="ko_KR.UTF-8").stdout
    assert korean != gm("down", "--data", str(tmp_path)).stdout
    assert str(tmp_path) in korean
