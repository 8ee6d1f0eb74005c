"""The lab's build: found by content, told in percent, never done twice at once.

A real compile takes ten minutes, so a fake compiler stands in for Go here: it names packages and writes a file.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.lab import build, wait_for
from tests.lab.build import BuildFailed, Progress

ROOT = Path(__file__).resolve().parents[3]
FAKE_GO = """#!/bin/sh
case "$1" in
env) echo go1.99.0 ;;
list) case "$*" in
  *-deps*) for i in $(seq 1 50); do echo "example/p$i"; done ;;
  *) echo "$FAKE_KWOK" ;;
  esac ;;
build)
  echo once >>"$FAKE_LOG"
  [ -z "${FAKE_BROKEN:-}" ] || { echo "main.go:1: syntax error" >&2; exit 1; }
  for i in $(seq 1 50); do echo "example/p$i" >&2; [ $i -gt 5 ] || sleep 0.6; done
  [ -z "${FAKE_SLOW:-}" ] || sleep 600
  while [ "$1" != -o ]; do shift; done
  echo binary >"$2" ;;
esac
"""


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and a fake Go; returns the file in which it counts its compiles."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "go").write_text(FAKE_GO)
    (tools / "go").chmod(0o755)
    for name in (*(f"stage/{name}" for name in build.STAGES), *build.METRICS):
        stage = tmp_path / "kwok" / "kustomize" / name
        stage.parent.mkdir(parents=True, exist_ok=True)
        stage.write_text("kind: Stage\n")
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("FAKE_KWOK", str(tmp_path / "kwok"))
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def test_a_build_is_kept_with_its_stages_and_found_again(fake_go: Path) -> None:
    assert build.find() is None
    steps: list[Progress] = []
    done = build.ensure(steps.append)
    assert done.binary.read_text() == "binary\n"
    assert all(stage.exists() for stage in done.stages)
    assert len(done.stages) == len(build.STAGES)
    assert build.ensure() == done
    assert fake_go.read_text().split() == ["once"]
    percents = [step.percent for step in steps]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    compiling = [step for step in steps if step.state == "compiling" and step.detail]
    assert compiling
    assert any(step.eta_seconds for step in compiling)


def test_a_missing_stage_is_copied_again_without_a_compile(fake_go: Path) -> None:
    done = build.ensure()
    done.stages[0].unlink()
    assert build.find() is None
    assert build.ensure() == done
    assert done.stages[0].exists()
    assert fake_go.read_text().split() == ["once"]


def test_two_callers_compile_once_and_both_hear_of_the_progress(fake_go: Path) -> None:
    heard: list[list[Progress]] = [[], []]
    callers = [threading.Thread(target=build.ensure, args=(steps.append,)) for steps in heard]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert fake_go.read_text().split() == ["once"]
    assert all(any(step.state == "compiling" for step in steps) for steps in heard)


def test_a_broken_source_is_told_with_the_compilers_words(fake_go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_BROKEN", "1")
    with pytest.raises(BuildFailed, match="syntax error"):
        build.ensure()
    assert build.find() is None
    assert build.progress().state == "failed"
    monkeypatch.delenv("FAKE_BROKEN")
    assert build.ensure().binary.exists()


def test_the_key_follows_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.key()
    assert before == build.key()
    for name in ("go.sum", "main.go", "go.mod"):
        (tmp_path / name).write_bytes(build.MODULE.joinpath(name).read_bytes())
    monkeypatch.setattr(build, "MODULE", tmp_path)
    assert build.key() == before
    (tmp_path / "main.go").write_text("package main\n")
    assert build.key() != before


def test_a_build_that_is_told_to_stop_ends_its_compiler(fake_go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SLOW", "1")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-m", "tests.lab.build"], env=environment, cwd=ROOT) as process:
        wait_for(lambda: "compiling" in _status(), "it compiles")
        compiler = _children(process.pid)
        assert compiler
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in compiler), "the compiler ends")
    assert build.find() is None


def _status() -> str:
    try:
        return str(json.loads((build.folder() / "status.json").read_text())["state"])
    except (OSError, ValueError):
        return ""


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
