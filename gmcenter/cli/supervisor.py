"""The supervisor behind `gm up` and `gm demo`: starts programs, restarts what dies, stops them in order.

It is the only one in its data folder (a file lock), tells its state in `run.json`, and its programs never outlive it:
the kernel ends them when it dies, even by kill -9.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from gmcenter.cli.children import end_with_parent, started_at
from gmcenter.core.log import get_logger

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 15.0
GOOD_HEALTH = 30.0
"""A program that ran for so many seconds is forgiven its earlier deaths."""
PATIENCE = 10.0
LOG_LIMIT = 20_000_000

logger = get_logger(__name__)


class AlreadyRunning(Exception):
    """Another supervisor holds the data folder."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        super().__init__(state.get("pid"))
        self.state = state


@dataclass(frozen=True, slots=True)
class Program:
    """One child: its name, its command, and what it needs in its environment beyond ours."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Running:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0


def read_state(data: Path) -> dict[str, Any]:
    """What the supervisor of a data folder wrote; empty when none runs there."""
    try:
        state: dict[str, Any] = json.loads((data / "run.json").read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(state, dict) or not isinstance(pid := state.get("pid"), int):
        return {}
    started = started_at(pid)
    return state if started is not None and started == state.get("started") else {}


@contextlib.contextmanager
def sole_owner(data: Path) -> Iterator[None]:
    """Hold the data folder. Raises AlreadyRunning."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data / "run.lock"
    path.touch(mode=0o600)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(read_state(data)) from None
        try:
            yield
        finally:
            (data / "run.json").unlink(missing_ok=True)


class Supervisor:
    """Runs programs until it is told to stop. One supervisor a data folder; ``sole_owner`` is held around it."""

    def __init__(self, data: Path, programs: list[Program], **facts: Any) -> None:
        self._data, self._facts = data, facts
        self._running = [_Running(program) for program in programs]
        self._stop = asyncio.Event()

    @property
    def stopping(self) -> asyncio.Event:
        """Set it to have everything stopped."""
        return self._stop

    def tell(self, **facts: Any) -> None:
        """Write run.json: our pid, the programs' pids and restarts, and whatever else is to be known."""
        self._facts.update(facts)
        programs = {
            r.program.name: {"pid": r.process.pid if r.process else None, "restarts": r.restarts} for r in self._running
        }
        pid = os.getpid()
        document = {"pid": pid, "started": started_at(pid), "programs": programs, **self._facts}
        fresh = self._data / "run.new"
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(document))
        fresh.replace(self._data / "run.json")

    async def run(self) -> None:
        """Start all, keep them alive, and stop them in the order in which they were given."""
        keepers = [asyncio.create_task(self._keep(running)) for running in self._running]
        await self._stop.wait()
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        for running in self._running:
            if running.process:
                await self._end(running.process)

    async def _keep(self, running: _Running) -> None:
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            running.process = self._start(running.program)
            self.tell()
            code = await _exit_of(running.process)
            lived = time.monotonic() - began
            if lived > GOOD_HEALTH:
                pause = FIRST_PAUSE
            logger.warning(
                "program_died", program=running.program.name, code=code, lived=round(lived, 1), again_in=pause
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            running.restarts += 1

    def _start(self, program: Program) -> subprocess.Popen[bytes]:
        with open_log(self._data, program.name) as log:
            return subprocess.Popen(
                program.command,
                env={**os.environ, **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C is for the supervisor, which stops them in order
                preexec_fn=end_with_parent(),
            )

    async def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Ask a program to end; after ``PATIENCE`` seconds end it with all its descendants."""
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(_exit_of(process), PATIENCE)
        except TimeoutError:
            logger.warning("program_killed", pid=process.pid)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await _exit_of(process)


async def _exit_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a child without a thread."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return process.wait()
    try:
        gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, gone.set)
        await gone.wait()
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
    return process.wait()


def open_log(data: Path, name: str) -> IO[bytes]:
    """A program's log file, appended to; the one of before is kept when it has grown large."""
    folder = data / "log"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{name}.log"
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(folder / f"{name}.log.1")
    path.touch(mode=0o600)
    return path.open("ab")


def stop_running(data: Path, within: float = 60.0) -> bool:
    """Stop the supervisor of a data folder and wait for its end. False when none runs there."""
    state = read_state(data)
    if not state:
        return False
    pid, started = state["pid"], state["started"]
    deadline = time.monotonic() + within
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    while started_at(pid) == started:
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            deadline += 5
        time.sleep(0.05)
    (data / "run.json").unlink(missing_ok=True)
    return True
