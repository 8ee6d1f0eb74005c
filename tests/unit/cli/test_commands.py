"""The `gm` command from outside: quick help, exit codes that mean something, JSON where a program may read."""

import json
import os
import subprocess
import sys
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


def test_help_names_every_command() -> None:
    answer = gm("--help")
    assert answer.returncode == 0
    for name in ("demo", "up", "down", "web", "collect", "work", "test", "lint", "bench", "i18n", "db", "user", "lab"):
        assert f" {name} " in answer.stdout, name


def test_help_brings_in_nothing_heavy() -> None:
    heavy = {"sqlalchemy", "fastapi", "reflex", "kubernetes", "aiohttp", "cryptography", "granian", "psycopg"}
    asked = f"""
import runpy, sys
sys.argv = ["gm", "--help"]
try:
    runpy.run_module("gmcenter.cli", run_name="__main__")
except SystemExit:
    print("heavy:", sorted({heavy!r} & set(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.stdout.rstrip().endswith("heavy: []"), answer.stdout[-200:] + answer.stderr


@pytest.mark.parametrize("command", ["demo", "up", "down", "web", "lab", "lab chaos", "test", "bench", "user", "audit"])
def test_each_command_explains_itself(command: str) -> None:
    answer = gm(*command.split(), "--help")
    assert answer.returncode == 0, answer.stderr
    assert f"gm {command}" in answer.stdout


def test_an_unknown_command_is_wrong_usage() -> None:
    answer = gm("lbench")
    assert answer.returncode == 2
    assert "bench" in answer.stderr


@pytest.mark.parametrize(("name", "text"), [("GM_PORT", "abc"), ("GM_ORIGINS", "x")])
def test_a_setting_that_cannot_be_read_is_told_in_words(name: str, text: str) -> None:
    found = gm("user", "list", **{name: text})
    assert found.returncode == 3
    assert name.removeprefix("GM_").lower() in found.stderr.lower()
    assert "Traceback" not in found.stderr


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
