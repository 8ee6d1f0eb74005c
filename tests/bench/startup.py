"""How long the processes take until they serve, and `gm up` until the first page.

Each figure is the median of three starts on warm caches: the pages are built and the modules compiled to bytecode. The
baseline of a process is what importing the official Kubernetes client alone takes, in a fresh interpreter.
"""

import contextlib
import http.client
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.lab.cluster import wait_for

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 3
LISTENING_BUDGET, FIRST_PAGE_BUDGET = 2.0, 20.0


def bench() -> list[dict[str, Any]]:
    """Start each process alone, then all of them by `gm up`."""
    from gmcenter.cli.web import build_front_end

    build_front_end()
    with tempfile.TemporaryDirectory(prefix="gm-bench-") as folder:
        data = Path(folder)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "GM_DATA": str(data / "alone"), "GM_LOG_LEVEL": "warning"}
        subprocess.run(
            [sys.executable, "-m", "gmcenter.cli", "db", "upgrade"],
            env=environment,
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        baseline = _median(lambda: _import("kubernetes"))
        web = _median(lambda: _web(environment))
        collect = _median(lambda: _collect(environment, data / "alone" / "inventory.db"))
        first = _up(data / "up")
        warm = _median(lambda: _up(data / "up"))
    unit = {"unit": "s", "baseline": baseline, "baseline_is": "import kubernetes"}
    return [
        {"metric": "web: process start to listening", "value": web, "budget": LISTENING_BUDGET, **unit},
        {"metric": "collect: process start to inventory open", "value": collect, "budget": LISTENING_BUDGET, **unit},
        {"metric": "gm up to first page, new data folder", "value": first, "budget": FIRST_PAGE_BUDGET, **unit},
        {"metric": "gm up to first page, warm", "value": warm, "budget": FIRST_PAGE_BUDGET, **unit},
    ]


def _median(measure: Callable[[], float]) -> float:
    return round(statistics.median(measure() for _ in range(ROUNDS)), 2)


def _import(module: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - began


@contextlib.contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is told to stop at the end, and made to stop when it does not."""
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _web(environment: dict[str, str]) -> float:
    port = _free_port()
    began = time.perf_counter()
    with _process([sys.executable, "-m", "gmcenter.cli", "web", "--port", str(port)], environment) as process:
        wait_for(lambda: process.poll() is not None or _answers(port, "/livez"), "web listens", 60, every=0.01)
        assert process.poll() is None, "web has ended"
        return time.perf_counter() - began


def _collect(environment: dict[str, str], inventory: Path) -> float:
    for path in inventory.parent.glob("inventory.db*"):
        path.unlink()
    began = time.perf_counter()
    with _process([sys.executable, "-m", "gmcenter.cli", "collect"], environment) as process:
        wait_for(lambda: process.poll() is not None or _has_tables(inventory), "the inventory is open", 60, every=0.01)
        assert process.poll() is None, "collect has ended"
        return time.perf_counter() - began


def _up(data: Path) -> float:
    port = _free_port()
    command = [str(ROOT / "gm"), "up", "--data", str(data), "--port", str(port)]
    began = time.perf_counter()
    with _process(command, dict(os.environ)) as process:
        wait_for(lambda: process.poll() is not None or _answers(port, "/"), "the first page", 180, every=0.02)
        assert process.poll() is None, "gm up has ended"
        return round(time.perf_counter() - began, 2)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _has_tables(path: Path) -> bool:
    if not path.exists():
        return False
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db,
    ):
        tables: int = db.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
        return tables > 5
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
