"""The bootstrap script is the first thing a stranger runs."""

import os
import subprocess
from pathlib import Path

from gmcenter import __version__

ROOT = Path(__file__).resolve().parents[2]


def test_gm_runs_from_another_folder_and_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "gm-link"
    link.symlink_to(ROOT / "gm")
    answer = subprocess.run([link, "--version"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout.strip()) == (0, f"gm {__version__}"), answer.stderr


def test_gm_says_which_python_it_needs_when_none_is_new_enough(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname", "readlink", "cksum", "cat", "mkdir", "rm"):
        tools.joinpath(name).symlink_to(next(p for d in os.defpath.split(":") if (p := Path(d or ".") / name).exists()))
    environment = {"PATH": str(tools), "HOME": str(tmp_path), "GM_VENV": str(tmp_path / "venv")}
    answer = subprocess.run([ROOT / "gm", "--version"], env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 3
    assert "Python 3.11" in answer.stderr


def test_commands_that_start_at_once_install_once_and_a_dead_ones_turn_passes(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    log = tmp_path / "log"
    uv = tools / "uv"
    uv.write_text(
        "#!/bin/sh\n"
        'echo "$1" >>"$LOG"\n'
        'case $1 in venv) for last; do :; done; mkdir -p "$last/bin"; printf "#!/bin/sh\\n" >"$last/bin/python";'
        ' chmod +x "$last/bin/python";; pip) sleep 1;; esac\n'
    )
    uv.chmod(0o755)
    venv = tmp_path / "venv"
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "GM_VENV": str(venv), "LOG": str(log)}
    (tmp_path / "venv.lock").mkdir()
    with subprocess.Popen(["true"]) as dead:
        pass
    (tmp_path / "venv.lock" / "pid").write_text(f"{dead.pid}\n")
    both = [subprocess.Popen([ROOT / "gm", "--version"], env=environment) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert log.read_text().split() == ["venv", "pip"]
    assert not (tmp_path / "venv.lock").exists()
