"""The process that owns one lab cluster: starts its servers, stops them in order, and obeys chaos commands.

`python -m tests.lab.keeper FOLDER` reads FOLDER/config.json, claims a block of ports, writes FOLDER/state.json at
every step and listens on FOLDER/control.sock. It ends on SIGTERM or SIGINT, when a server dies, or when its leash (a
pipe whose other end the starter holds) breaks; its servers never outlive it, even when it is killed with -9.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.lab import build, ports
from tests.lab.client import ApiError, Client
from tests.lab.components import Plan, Ports
from tests.lab.pki import Authority
from tests.lab.processes import end_with_parent, runs, started, stop
from tests.lab.proxy import Proxy
from tests.lab.seed import BOOTSTRAP, metrics_service

READY_WITHIN = 120.0
STOP_WITHIN = 15.0


class Failed(Exception):
    """A server did not come up, or died."""


class Keeper:
    """One cluster's servers, from start to stop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.stopping = asyncio.Event()
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.state: dict[str, Any] = {"name": self.config["name"], "pid": os.getpid(), "started": started(os.getpid())}
        self.proxy: Proxy | None = None

    def let_go(self, leash: int) -> None:
        """The starter is gone: stop, and look at the broken pipe no more."""
        asyncio.get_running_loop().remove_reader(leash)
        self.stopping.set()

    def tell(self, **changes: Any) -> None:
        """Write state.json, whole or not at all."""
        self.state.update(changes, pids={name: child.pid for name, child in self.children.items()})
        fresh = self.folder / "state.new"
        fresh.write_text(json.dumps(self.state))
        fresh.replace(self.folder / "state.json")

    async def run(self) -> int:
        self.tell(state="starting")
        server = await self._listen()
        watch = asyncio.create_task(self._start_and_watch())
        halt = asyncio.create_task(self.stopping.wait())
        code, error = 0, None
        try:
            await asyncio.wait({watch, halt}, return_when=asyncio.FIRST_COMPLETED)
            if watch.done() and not self.stopping.is_set():
                watch.result()
        except Exception as failure:
            code, error = 1, str(failure) or repr(failure)
        finally:
            watch.cancel()
            self.tell(state="stopping")
            server.close()
            await self._stop_all()
            self.folder.joinpath("control.sock").unlink(missing_ok=True)
            self.tell(state="failed" if code else "stopped", error=error)
        return code

    async def _start_and_watch(self) -> None:
        began = time.monotonic()
        done = build.find()
        if not done:
            raise Failed("the lab's binary is not built")
        previous = self.config.get("base")
        base, self._ports_lock = ports.claim(str(self.folder), previous)
        block = Ports(base)
        pki = Authority(self.folder / "pki", self.config["name"])
        pki.create()
        direct, public = f"https://127.0.0.1:{block.api}", f"https://127.0.0.1:{block.public}"
        for user in ("kcm", "scheduler", "kwok"):
            self._write_private(f"pki/{user}.kubeconfig", pki.kubeconfig(user, direct))
        for user in ("admin", "viewer", "nobody"):
            self._write_private(f"{user}.kubeconfig", pki.kubeconfig(user, public))
        self._write_private("direct.kubeconfig", pki.kubeconfig("admin", direct))
        plan = Plan(
            name=self.config["name"],
            folder=self.folder,
            build=done,
            pki=pki,
            ports=block,
            metrics=self.config.get("metrics", False),
            node_grace=self.config.get("node_grace", 20),
        )
        self.binary = done.binary
        self.tell(base=base, binary=str(done.binary), url=public, direct_url=direct)
        for name, command in plan.first():
            self._spawn(name, command)
        client = Client(direct, pki.path("ca.crt"), (pki.path("admin.crt"), pki.path("admin.key")))
        await self._until_ready(client)
        for name, command in plan.rest():
            self._spawn(name, command)
        self.proxy = Proxy(block.public, block.api)
        await self.proxy.start()
        extra = metrics_service(block.metrics) if plan.metrics else ()
        for manifest in (*BOOTSTRAP, *extra):
            await asyncio.to_thread(client.apply, manifest)
        self.tell(state="ready", ready_seconds=round(time.monotonic() - began, 2))
        while True:
            self._look_for_the_dead()
            await asyncio.sleep(0.25)

    def _write_private(self, name: str, text: str) -> None:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)

    def _spawn(self, name: str, command: list[str]) -> None:
        logs = self.folder / "log"
        logs.mkdir(exist_ok=True)
        with (logs / f"{name}.log").open("wb") as log:
            self.children[name] = subprocess.Popen(
                [str(self.binary), *command],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # the terminal's Ctrl-C is for the keeper, which stops them in order
                preexec_fn=end_with_parent(),
            )
        self.tell()

    def _look_for_the_dead(self) -> None:
        for name, child in self.children.items():
            if child.poll() is not None:
                log = self.folder / "log" / f"{name}.log"
                tail = log.read_bytes()[-1500:].decode(errors="replace")
                raise Failed(f"{name} ended with {child.returncode}:\n{tail}")

    async def _until_ready(self, client: Client) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while True:
            self._look_for_the_dead()
            with contextlib.suppress(OSError, ApiError):
                await asyncio.to_thread(client.get, "/readyz", timeout=5)
                return
            if time.monotonic() > deadline:
                raise Failed(f"the API server was not ready within {READY_WITHIN:.0f} s")
            await asyncio.sleep(0.1)

    async def _stop_all(self) -> None:
        if self.proxy:
            await self.proxy.stop()
        for name, child in reversed(self.children.items()):
            # A clean end of etcd keeps the data; the API server waits for its watchers, which are ours to disappoint.
            patience = STOP_WITHIN if name == "etcd" else 5.0
            await asyncio.to_thread(self._stop_one, child, patience)
            child.wait()
        self.children.clear()

    def _stop_one(self, child: subprocess.Popen[bytes], patience: float) -> None:
        stop(lambda: child.poll() is None and runs(child.pid, self.binary), child.pid, patience)

    async def _listen(self) -> asyncio.Server:
        # A socket's path may be 107 bytes long only; the folder's descriptor keeps it short.
        self._folder_fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        self.folder.joinpath("control.sock").unlink(missing_ok=True)
        return await asyncio.start_unix_server(self._obey, f"/proc/self/fd/{self._folder_fd}/control.sock")

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            order = json.loads(await reader.readline())
            if not self.proxy:
                raise Failed("the cluster is not ready yet")
            await self.proxy.set(order["mode"], float(order.get("latency", 0.0)))
            self.tell(weather={"mode": order["mode"], "latency": order.get("latency", 0.0)})
            answer: dict[str, Any] = {"ok": True}
        except Exception as failure:
            answer = {"ok": False, "error": str(failure) or repr(failure)}
        writer.write(json.dumps(answer).encode() + b"\n")
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()


async def _main(folder: Path, leash: int | None) -> int:
    keeper = Keeper(folder)
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, keeper.stopping.set)
    if leash is not None:
        # Nothing is ever written: the pipe turns readable when the starter's end is closed, however it died.
        loop.add_reader(leash, keeper.let_go, leash)
    return await keeper.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.lab.keeper")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--leash", type=int)
    arguments = parser.parse_args()
    sys.exit(asyncio.run(_main(arguments.folder.resolve(), arguments.leash)))
