"""One machine's console: what `gm up` and `gm demo` have in common."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from gmcenter.cli.command import UNUSABLE, fail, language
from gmcenter.cli.supervisor import AlreadyRunning, Program, Supervisor, read_state, sole_owner
from gmcenter.core import i18n
from gmcenter.core import settings as config

ROOT = Path(__file__).resolve().parents[2]
ANSWERS_WITHIN = 120.0


def configure(*, data: Path | None, port: int | None, host: str | None = None, **more: str) -> Path:
    """Put a command's options into the environment, where its programs find them too. Returns the data folder."""
    given = {"GM_DATA": data and str(data.absolute()), "GM_PORT": port and str(port), "GM_HOST": host, **more}
    os.environ.update({name: value for name, value in given.items() if value})
    config.configure(None)
    return config.settings().data.absolute()


def address() -> str:
    """Where the console is opened on this machine."""
    host = config.settings().host
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{config.settings().port}"


def programs() -> list[Program]:
    """The three processes, in the order in which they are stopped."""
    command = (sys.executable, "-m", "gmcenter.cli")
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
    return [Program(name, (*command, name), environment) for name in ("web", "collect", "work")]


def supervise(data: Path, beside: Callable[[Supervisor], Awaitable[None]], **facts: Any) -> None:
    """Run the console until a signal or ``gm down`` ends it; ``beside`` is told when it answers, and may work on.

    Raises NoAnswer when it does not come up, and whatever ``beside`` raises; everything is stopped then.
    """

    async def whole() -> None:
        supervisor = Supervisor(data, programs(), url=address(), **facts)
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(sign, supervisor.stopping.set)

        def stop_on_failure(done: asyncio.Task[None]) -> None:
            if not done.cancelled() and done.exception():
                supervisor.stopping.set()

        running = asyncio.create_task(supervisor.run())
        work = asyncio.create_task(_when_it_answers(supervisor, beside))
        work.add_done_callback(stop_on_failure)
        await running
        work.cancel()
        results = await asyncio.gather(work, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]

    asyncio.run(whole())


async def _when_it_answers(supervisor: Supervisor, beside: Callable[[Supervisor], Awaitable[None]]) -> None:
    await until_it_answers(address())
    supervisor.tell(state="ready", answered=time.time())
    await beside(supervisor)


class NoAnswer(Exception):
    """The console did not answer in time."""


async def until_it_answers(url: str, within: float = ANSWERS_WITHIN) -> None:
    """Wait until the console is ready to serve. Raises NoAnswer."""
    deadline = time.monotonic() + within
    while not await asyncio.to_thread(answers, url):
        if time.monotonic() > deadline:
            raise NoAnswer(url)
        await asyncio.sleep(0.05)


def answers(url: str, path: str = "/readyz") -> bool:
    """Whether a console answers there."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def holding(data: Path) -> Iterator[None]:
    """Hold the data folder; stops the command, with words, when another console runs there or the port is taken."""
    ensure_folder(data)
    try:
        with sole_owner(data):
            _check_port()
            yield
    except AlreadyRunning as running:
        _already(data, running.state)
    except NoAnswer as silent:
        fail(i18n.message("cli.up.silent", language(), url=silent, log=data / "log" / "web.log"))


def ensure_folder(data: Path) -> None:
    """Make the data folder; stops the command, with words, when nothing can be written there."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data) as probe:
            probe.write(b"0")
    except OSError as problem:
        fail(i18n.message("cli.up.folder", language(), data=data, reason=problem.strerror), UNUSABLE)


def refuse_second(data: Path) -> None:
    """Stop the command when a console runs in the data folder."""
    if state := read_state(data):
        _already(data, state)


def _already(data: Path, state: Mapping[str, Any]) -> NoReturn:
    known = {"data": data, "url": state.get("url", "?"), "pid": state.get("pid", "?")}
    fail(i18n.message("cli.up.already", language(), **known))


def _check_port() -> None:
    host, port = config.settings().host, config.settings().port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            fail(i18n.message("cli.up.port", language(), host=host, port=port, reason=problem.strerror))
