"""`gm up` and `gm demo` as a user starts them, in a data folder of their own, and plain HTTP to them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmcenter.cli.children import started_at
from gmcenter.cli.supervisor import read_state, stop_running
from tests.lab import wait_for
from tests.support.console import free_port

ROOT = Path(__file__).resolve().parents[2]


def gm(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "gmcenter.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass
class Started:
    """A running console: its folder, its answer to `-o json`, and its supervisor's process."""

    data: Path
    document: dict[str, Any]
    supervisor: "subprocess.Popen[str] | None" = None

    @property
    def url(self) -> str:
        return str(self.document["url"])

    def pids(self) -> dict[str, int]:
        """The programs' process ids, as the supervisor tells them."""
        programs = read_state(self.data).get("programs", {})
        return {name: entry["pid"] for name, entry in programs.items() if entry["pid"]}

    def request(
        self, method: str, path: str, body: Any = None, token: str = "", timeout: float = 10
    ) -> tuple[int, Any]:
        """Send a request; the status (0 when nobody answers) and the decoded answer."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, _decoded(answer.read())
        except urllib.error.HTTPError as refusal:
            return refusal.code, _decoded(refusal.read())
        except OSError:
            return 0, None

    def sign_in(self, password: str = "") -> str:
        """An access token of the administrator."""
        body = {"Id": self.document["username"] or "admin", "Password": password or self.document["password"]}
        status, answer = self.request("POST", "/gmcapi/v2/auth", body)
        assert status == 200, answer
        return str(answer["accessToken"])

    def ready(self) -> bool:
        return self.request("GET", "/readyz")[0] == 200


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


@contextlib.contextmanager
def running(command: str, data: Path, *options: str, port: int = 0) -> Iterator[Started]:
    """`gm up` or `gm demo` in the foreground, stopped at the end however the test ends."""
    port = port or free_port()
    arguments = [sys.executable, "-m", "gmcenter.cli", command, "--data", str(data), "--port", str(port), "-o", "json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "KUBECONFIG": "/nonexistent"}
    with (data.parent / f"{data.name}.err").open("w+") as errors:
        process = subprocess.Popen(
            [*arguments, *options], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert process.stdout
        text = process.stdout.read()  # the command lets go of its standard output when it has said what it has to say
        try:
            document = json.loads(text)
        except ValueError:
            process.wait()
            errors.seek(0)
            raise AssertionError(f"{command} ended with {process.returncode}: {errors.read()[-3000:]}") from None
        try:
            yield Started(data, document, process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(90)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def processes_of(data: Path) -> list[int]:
    """Every process that has the folder in its command line or its environment's GM_DATA."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
            environment = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        ours = str(data) in command or f"GM_DATA={data}" in environment
        if ours and started_at(int(entry.name)) is not None:
            found.append(int(entry.name))
    return found


__all__ = ["Started", "free_port", "gm", "processes_of", "running", "stop_running", "wait_for"]
