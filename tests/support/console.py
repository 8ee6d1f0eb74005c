"""A running console: the real `gm web` on a free port over a fresh installation."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
PASSWORDS = {"admin": "Admin-of-tests-7", "service": "Service-of-tests-7"}
START_SECONDS = 90


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Console:
    """One installation in a folder of its own, with the processes that were started for it."""

    data: Path
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where browsers find it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of the installation."""
        return os.environ | {
            "GM_DATA": str(self.data),
            "GM_PORT": str(self.port),
            "GM_HOST": "127.0.0.1",
            "GM_ALLOW_LOOPBACK": "1",
            "GM_LOGIN_RATE": "10000/minute",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }

    def gm(self, *arguments: str, typed: str = "") -> str:
        """Run a command on the installation to its end; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "gmcenter.cli", *arguments],
            env=self.environment,
            cwd=ROOT,
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"gm {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, name: str) -> None:
        """Start one of the processes (web, collect); web is waited for."""
        with (self.data / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "gmcenter.cli", name], env=self.environment, cwd=ROOT, stdout=log, stderr=log
            )
        if name == "web":
            self._wait_for_web()

    def _wait_for_web(self) -> None:
        limit = time.monotonic() + START_SECONDS
        while time.monotonic() < limit:
            assert self.processes["web"].poll() is None, (self.data / "web.log").read_text()[-3000:]
            try:
                if httpx.get(f"{self.url}/login", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise AssertionError("the console does not answer: " + (self.data / "web.log").read_text()[-3000:])

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop a process, and wait until it is gone."""
        process = self.processes.pop(name)
        process.send_signal(how)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(15)

    def cookie(self, user: str = "admin") -> str:
        """A Cookie header of a new session of one of the users in PASSWORDS."""
        answer = httpx.post(
            f"{self.url}/gmcapi/v2/auth/login", data={"username": user, "password": PASSWORDS[user], "next": "/"}
        )
        assert answer.status_code == 303, answer.text
        assert "error=" not in answer.headers["location"], answer.headers["location"]
        return answer.headers["set-cookie"].partition(";")[0]

    def log(self) -> str:
        """What the web process has logged."""
        return (self.data / "web.log").read_text()


@contextmanager
def running(data: Path, *names: str) -> Iterator[Console]:
    """A fresh installation with an administrator and a Service Admin, and the named processes."""
    from gmtool.build import build

    build()
    made = Console(data, free_port())
    for user, role in (("admin", "PA"), ("service", "SA")):
        made.gm("user", "add", user, "--role", role, "--password-stdin", typed=PASSWORDS[user] + "\n")
    try:
        for name in names:
            made.start(name)
        yield made
    finally:
        for name in list(made.processes):
            made.stop(name)


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console without clusters; tests leave it as they found it."""
    with running(tmp_path_factory.mktemp("console"), "web") as made:
        yield made
