"""A PostgreSQL server for tests, started once a test run and thrown away after it.

It is the machine's own PostgreSQL (`apt install postgresql`), on a free loopback port, with its files in a temporary
folder and nothing synced to disk. As root the server is run by the `postgres` user, because it refuses to run as root.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

_numbers = itertools.count(1)
START_SECONDS = 60.0


def find_bin() -> Path | None:
    """The folder of the newest PostgreSQL server on this machine, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("postgres")
    return Path(elsewhere).resolve().parent if elsewhere else None


def _as_user(folder: Path) -> list[str]:
    """The words before a command that make another user than root run it."""
    if os.geteuid() != 0:
        return []
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--pdeathsig=TERM", "--"]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run a server; gives the URL of its maintenance database."""
    binaries = find_bin()
    if binaries is None:
        pytest.fail("PostgreSQL is not installed: apt install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="gm-postgres-"))
    folder.chmod(0o700)
    before = _as_user(folder)
    data, port = folder / "data", _free_port()
    try:
        subprocess.run(
            [*before, str(binaries / "initdb"), "-D", str(data), "-U", "gm", "-A", "trust", "--no-sync", "-E", "UTF8"],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "100",
        }
        flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (folder.parent / f"{folder.name}.log").open("wb") as output:
            process = subprocess.Popen(
                [*before, str(binaries / "postgres"), "-D", str(data), *flags], stdout=output, stderr=output, cwd=folder
            )
        try:
            url = f"postgresql://gm@127.0.0.1:{port}/postgres"
            _wait(url, process, Path(output.name))
            yield url
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nothing in it is needed any more
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)


def _wait(url: str, process: "subprocess.Popen[bytes]", output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start:\n{output.read_text(errors='replace')}")
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a running server's maintenance database."""
    with server() as url:
        yield url


@pytest.fixture(scope="session")
def make_postgres(postgres_server: str) -> Callable[[], str]:
    """A function that makes an empty database and returns its URL."""

    def make() -> str:
        name = f"gm_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(f'create database "{name}"')
        return postgres_server.rsplit("/", 1)[0] + f"/{name}"

    return make


@pytest.fixture
def postgres_url(make_postgres: Callable[[], str]) -> str:
    """The URL of an empty database."""
    return make_postgres()
