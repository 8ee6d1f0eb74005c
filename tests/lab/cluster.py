"""One cluster, and a lab of several, as tests and the `gm` command see them."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tests.lab import build
from tests.lab.cache import default_state
from tests.lab.client import Client
from tests.lab.processes import runs, started, stop

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")
START_WITHIN = 150.0
STOP_WITHIN = 45.0


class LabError(Exception):
    """Something about the lab itself failed: a start, a wait, a chaos command."""


def wait_for(what: Callable[[], T], why: str, within: float = 30.0, every: float = 0.05) -> T:
    """Call `what` until it returns something true; raise LabError with `why` and its last answer when it never does."""
    deadline = time.monotonic() + within
    while True:
        answer = what()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise LabError(f"{why}: not within {within:.0f} s (last: {answer!r})")
        time.sleep(every)


class LabCluster:
    """One control plane with kwok nodes, kept by a process of its own; everything lies in its folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self._leash: int | None = None
        self._keeper: subprocess.Popen[bytes] | None = None

    # -- life

    @property
    def state(self) -> dict[str, Any]:
        """What the keeper wrote last; `state` in it is absent, starting, ready, stopping, stopped or failed."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        except (OSError, ValueError):
            return {"name": self.name, "state": "absent"}
        if found["state"] in ("starting", "ready", "stopping") and not self._keeps(found):
            found["state"] = "stopped"
        return found

    def start(
        self,
        *,
        metrics: bool = False,
        node_grace: int = 20,
        detached: bool = False,
        wait: bool = True,
    ) -> "LabCluster":
        """Start the servers, or do nothing when they run. Detached ones outlive this process; others never do.

        A cluster that ran before keeps its data, its certificates and, where they are free, its ports.
        """
        if self.state["state"] in ("starting", "ready"):
            return self.wait_ready() if wait else self
        build.ensure()
        if self.state["state"] == "stopping":
            self.stop()
        base = self.state.get("base")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = {"name": self.name, "metrics": metrics, "node_grace": node_grace, "base": base}
        (self.folder / "config.json").write_text(json.dumps(config))
        (self.folder / "state.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.lab.keeper", str(self.folder)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        passed: tuple[int, ...] = ()
        if not detached:
            inner, self._leash = os.pipe()
            command += ["--leash", str(inner)]
            passed = (inner,)
        with (self.folder / "keeper.log").open("wb") as log:
            self._keeper = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=passed,
                start_new_session=True,
            )
        for descriptor in passed:
            os.close(descriptor)
        return self.wait_ready() if wait else self

    def is_ready(self) -> bool:
        """Whether every server answers. Raises LabError with the log of the one that failed."""
        now = self.state
        gone = self._keeper is not None and self._keeper.poll() is not None
        if now["state"] in ("failed", "stopped", "stopping") or (gone and now["state"] != "ready"):
            log = (self.folder / "keeper.log").read_text(errors="replace")[-1500:]
            raise LabError(f"{self.name} did not start: {now.get('error') or log or now}")
        return bool(now["state"] == "ready")

    def wait_ready(self, within: float = START_WITHIN) -> "LabCluster":
        """Wait until every server answers. Raises LabError."""
        wait_for(self.is_ready, f"{self.name} starts", within)
        return self

    def stop(self, *, purge: bool = False) -> None:
        """Stop in reverse order and see that nothing is left; `purge` removes the folder too."""
        now = self.state
        if self._keeps(now):
            stop(lambda: self._keeps(now), now["pid"], STOP_WITHIN)
        if self._keeper:
            self._keeper.wait()
            self._keeper = None
        if self._leash is not None:
            os.close(self._leash)
            self._leash = None
        binary = Path(now.get("binary", "/nonexistent"))
        for pid in reversed(list(now.get("pids", {}).values())):
            if runs(pid, binary):  # its keeper was killed: the kernel is about to end it as well
                stop(lambda p=pid: runs(p, binary), pid, 5)  # type: ignore[misc]
        if purge:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _keeps(self, state: dict[str, Any]) -> bool:
        if self._keeper is not None:
            self._keeper.poll()  # a zombie of our own is no keeper
        pid = state.get("pid")
        return pid is not None and started(pid) is not None and started(pid) == state.get("started")

    # -- access

    @property
    def url(self) -> str:
        """Where kubeconfigs point: the proxy that chaos acts on."""
        return str(self.state["url"])

    @property
    def direct_url(self) -> str:
        """The API server itself; chaos does not act on it."""
        return str(self.state["direct_url"])

    @property
    def ca_pem(self) -> str:
        return (self.folder / "pki" / "ca.crt").read_text()

    def kubeconfig(self, user: str = "admin", *, direct: bool = False) -> Path:
        """The kubeconfig file of `admin`, `viewer` or `nobody`; `direct` (admin only) goes around the proxy."""
        return self.folder / f"{'direct' if direct else user}.kubeconfig"

    def token(self, user: str = "admin") -> str:
        """The bearer token of `admin`, `viewer` or `nobody`."""
        from tests.lab.pki import Authority

        return Authority(self.folder / "pki", self.name).token(user)

    @property
    def client(self) -> Client:
        """The administrator's client, around the proxy, so that a cut cluster can still be arranged."""
        pki = self.folder / "pki"
        return Client(self.direct_url, pki / "ca.crt", (pki / "admin.crt", pki / "admin.key"))

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run the kubectl of the same release and return what it prints. Raises LabError with what it complains of."""
        done = subprocess.run(
            self.kubectl_command(*arguments), input=stdin, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise LabError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def kubectl_command(self, *arguments: str) -> list[str]:
        binary = build.ensure().binary
        return [str(binary), "kubectl", f"--kubeconfig={self.kubeconfig(direct=True)}", *arguments]

    # -- content

    def seed(self, profile: str = "small", *, settle: bool = True) -> "LabCluster":
        """Fill the cluster with a profile of `tests.lab.seed`; with `settle`, wait until it looks as it should."""
        from tests.lab import seed

        seed.plant(self, profile)
        if settle:
            seed.settle(self)
        return self

    # -- chaos

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._order("refuse")

    def blackhole(self) -> None:
        """Accept connections and never answer; what is open falls silent."""
        self._order("blackhole")

    def slow(self, milliseconds: float) -> None:
        """Delay everything by so much, in each direction."""
        self._order("pass", milliseconds / 1000)

    def heal(self) -> None:
        """Undo cut, blackhole and slow."""
        self._order("pass")

    def kill_node(self, name: str) -> None:
        """The node's kubelet goes silent, as after a power cut: no more heartbeats, Ready turns Unknown."""
        client, path = self.client, f"/api/v1/nodes/{name}"
        client.patch(path, {"metadata": {"annotations": {"kwok.x-k8s.io/node": None}}})
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        # What the node controller writes after the grace period; there is no need to wait for it.
        unknown = {
            "status": "Unknown",
            "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
            "lastTransitionTime": now,
        }
        kinds = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
        conditions = [{"type": kind, **unknown} for kind in kinds]
        client.patch(f"{path}/status", {"status": {"conditions": conditions}}, "strategic-merge")

    def revive_node(self, name: str) -> None:
        """The node's kubelet comes back."""
        self.client.patch(f"/api/v1/nodes/{name}", {"metadata": {"annotations": {"kwok.x-k8s.io/node": "fake"}}})

    def _order(self, mode: str, latency: float = 0.0) -> None:
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(10)
                line.connect(f"/proc/self/fd/{folder}/control.sock")
                line.sendall(json.dumps({"mode": mode, "latency": latency}).encode() + b"\n")
                answer = json.loads(line.makefile().readline())
        except (OSError, ValueError) as error:
            raise LabError(f"{self.name} does not obey: {error}") from None
        finally:
            os.close(folder)
        if not answer["ok"]:
            raise LabError(answer["error"])


class Lab:
    """The clusters under one folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or default_state()).absolute()

    def cluster(self, name: str) -> LabCluster:
        """The cluster of that name, whether it exists yet or not."""
        return LabCluster(name, self.folder / name)

    def clusters(self) -> list[LabCluster]:
        """Those that exist, running or not."""
        return [self.cluster(path.parent.name) for path in sorted(self.folder.glob("*/config.json"))]

    def up(self, names: Sequence[str], *, profile: str | None = None, **options: Any) -> list[LabCluster]:
        """Start clusters side by side, and seed them."""
        clusters = [self.cluster(name).start(wait=False, **options) for name in names]
        for cluster in clusters:
            cluster.wait_ready()
            if profile:
                cluster.seed(profile, settle=False)
        return clusters

    def down(self, names: Sequence[str] = (), *, purge: bool = False) -> None:
        """Stop some clusters, or all, side by side."""
        chosen = [cluster for cluster in self.clusters() if not names or cluster.name in names]
        with ThreadPoolExecutor(max(len(chosen), 1)) as pool:
            list(pool.map(lambda cluster: cluster.stop(purge=purge), chosen))
        if purge:
            with contextlib.suppress(OSError):
                self.folder.rmdir()
