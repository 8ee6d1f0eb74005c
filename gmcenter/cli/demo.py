"""``gm demo``: everything from nothing, three real clusters included."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmcenter.cli.children import end_with_parent
from gmcenter.cli.command import Output, fail, language, run, say, say_aside
from gmcenter.cli.console import ROOT, address, configure, holding, supervise
from gmcenter.cli.supervisor import Supervisor
from gmcenter.cli.up import answer_of_child, say_once
from gmcenter.cli.web import build_front_end
from gmcenter.core import database, i18n
from gmcenter.core import settings as config
from gmcenter.core.errors import GMError, NotFound
from gmcenter.core.log import get_logger

if TYPE_CHECKING:
    from tests.lab import LabCluster, Progress

app = typer.Typer(add_completion=False)
logger = get_logger(__name__)

LIVE_WITHIN = 180.0


@dataclass(frozen=True, slots=True)
class Planned:
    """One cluster of the demo and the site where it stands (longitude and latitude in degrees)."""

    name: str
    profile: str
    site: str
    latitude: float
    longitude: float
    cloud: str = ""


FLEET = (
    Planned("sejong-edge-01", "edge", "sejong", 36.4801, 127.2890),
    Planned("jeju-edge-01", "edge", "jeju", 33.4996, 126.5312),
    Planned("lmo-seoul-openstack-01", "cloud", "seoul", 37.493255, 126.923916, "openstack"),
)
OTHER_SITES = (
    Planned("", "edge", "pangyo", 37.3947, 127.1112),
    Planned("", "edge", "busan", 35.1730, 129.1290),
)
ADMINISTRATOR, SERVICE_ADMIN = "admin", "edge-dev"


def default_data() -> Path:
    """The demo's own folder, apart from that of `gm up`."""
    return config.Settings().data.absolute().with_name("gm-demo")


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(help="Folder of the demo; kept until it is removed.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the console; GM_PORT when left out.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when the console answers.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when all clusters are live; implies --detach.")] = False,
    say_when_live: Annotated[bool, typer.Option("--say-when-live", hidden=True)] = False,
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT,
) -> None:
    """Start the console with three real clusters, sites, workloads and users. Ctrl-C or `gm down` stops everything.

    The console answers while the clusters are still compiling for the first time: they show how far they are.
    """
    folder = data or (Path(os.environ["GM_DATA"]) if os.environ.get("GM_DATA") else default_data())
    # Loopback only: the demo's sign-in data are shown on a terminal, and its clusters are nobody's.
    folder = configure(data=folder, port=port, host="127.0.0.1", GM_ALLOW_LOOPBACK="true")
    if detach or wait:
        arguments = ["demo", *(["--say-when-live"] if wait else [])]
        answer_of_child(folder, arguments, output, lambda document: show(document, read_signs(folder)))
        return
    with holding(folder):
        build_front_end()
        signs = run(lambda: prepare_fleet(read_signs(folder)))
        write_signs(folder, signs)
        document = describe(folder, signs[ADMINISTRATOR])

        async def answered(supervisor: Supervisor) -> None:
            if not say_when_live:
                say_once(document, output, lambda d: show(d, signs))
            async with Fleet(folder).raised() as problem:
                supervisor.tell(state="failed" if problem else "live")
                if problem and say_when_live:
                    raise problem
                if problem:  # the console goes on, and shows which clusters are missing
                    say_aside("cli.demo.failed", reason=problem)
                elif say_when_live:
                    say_once(document, output, lambda d: show(d, signs))
                elif output is Output.TEXT:
                    say("cli.demo.live")
                await asyncio.Event().wait()

        try:
            supervise(folder, answered)
        except FleetFailed as problem:
            fail(i18n.message("cli.demo.failed", language(), reason=problem))


def read_signs(folder: Path) -> dict[str, str]:
    """The passwords of an earlier start. A demo is started again and again: they lie in its folder, for its owner."""
    try:
        signs: dict[str, str] = json.loads((folder / "sign-in.json").read_text())
    except (OSError, ValueError):
        return {}
    return signs


def write_signs(folder: Path, signs: dict[str, str]) -> None:
    """Keep the passwords for the next start."""
    path = folder / "sign-in.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(signs))


def describe(folder: Path, password: str) -> dict[str, Any]:
    """The one document that ``-o json`` prints."""
    clusters = [{"name": c.name, "kubeconfig": str(folder / "lab" / c.name / "admin.kubeconfig")} for c in FLEET]
    return {"url": address(), "username": ADMINISTRATOR, "password": password, "clusters": clusters}


def show(document: dict[str, Any], signs: dict[str, str]) -> None:
    """The same for people."""
    say("cli.up.address", url=document["url"])
    for name, password in signs.items():
        say("cli.demo.sign_in", username=name, password=password)
    for cluster in document["clusters"]:
        say("cli.demo.cluster", **cluster)


async def prepare_fleet(known: dict[str, str]) -> dict[str, str]:
    """Users, sites, and the clusters as they will be, before anything runs. Returns passwords by user.

    ``known`` are the passwords of an earlier start; who has none there gets a new one.
    """
    from gmcenter.clusters import service
    from gmcenter.clusters.errors import ClusterExists, SiteExists
    from gmcenter.clusters.schema import SiteInput
    from gmcenter.identity.actor import SYSTEM

    signs = await _users(known)
    for planned in (*FLEET, *OTHER_SITES):
        site = SiteInput(
            name=planned.site,
            address=i18n.message(f"cli.demo.site.{planned.site}", "ko"),
            latitude=planned.latitude,
            longitude=planned.longitude,
            zone=planned.profile,
        )
        with contextlib.suppress(SiteExists):
            await service.create_site(SYSTEM, site)
    for planned in FLEET:
        with contextlib.suppress(ClusterExists):
            await service.create_building(
                SYSTEM, planned.name, cluster_type=planned.profile, cloud_type=planned.cloud, site=planned.site
            )
    return signs


async def _users(known: dict[str, str]) -> dict[str, str]:
    from pydantic import SecretStr

    from gmcenter.identity import passwords, service
    from gmcenter.identity.actor import SYSTEM
    from gmcenter.identity.schema import NewUser

    signs = dict(known)
    there = {user.name for user in await service.list_users(SYSTEM)}
    for name, role in ((ADMINISTRATOR, "PA"), (SERVICE_ADMIN, "SA")):
        if name in there and name in signs:
            continue
        signs[name] = passwords.generate()
        if name in there:
            await service.set_password(SYSTEM, name, signs[name])
        elif role == "PA" and not there:
            await service.ensure_administrator(name, signs[name])
        else:
            await service.create(SYSTEM, NewUser(name=name, password=SecretStr(signs[name]), role=role))
    return signs


class FleetFailed(Exception):
    """A cluster of the demo could not be compiled or started, or did not become live."""


class Fleet:
    """The demo's clusters on their way from source code to live."""

    def __init__(self, folder: Path) -> None:
        from tests.lab import Lab

        self._folder = folder
        self._lab = Lab(folder / "lab")
        self._states = {planned.name: "building" for planned in FLEET}

    @contextlib.asynccontextmanager
    async def raised(self) -> AsyncIterator[FleetFailed | None]:
        """Compile if need be, start, register and fill the clusters, and wait until all are live; stop them at the end.

        Gives what went wrong, or None.
        """
        try:
            yield await self._raise()
        finally:
            await asyncio.to_thread(self._lab.down)
            await database.dispose()

    async def _raise(self) -> FleetFailed | None:
        from tests.lab import ApiError, BuildFailed, LabError

        try:
            await self._compile()
            await asyncio.gather(*(self._bring_up(planned) for planned in FLEET))
            await self._until_live()
        except TimeoutError:
            return FleetFailed(f"not all live within {LIVE_WITHIN:.0f} s: {self._states}")
        except (BuildFailed, LabError, ApiError, GMError, OSError) as problem:
            logger.exception("demo_fleet_failed")
            return FleetFailed(str(problem) or type(problem).__name__)
        return None

    async def _compile(self) -> None:
        """Compile in a process of its own, at the lowest priority, and pass its progress on."""
        from tests.lab import BuildFailed, progress

        if progress().state == "ready":
            return
        say_aside("cli.demo.compiling")
        builder = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.lab.build",
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            process_group=0,
            preexec_fn=end_with_parent(signal.SIGTERM),
        )
        ended = asyncio.create_task(builder.wait())
        try:
            while not ended.done():
                await self._report(progress())
                await asyncio.wait({ended}, timeout=1)
        finally:
            if not ended.done():
                builder.terminate()
                await ended
        if builder.returncode:
            raise BuildFailed(progress().detail or f"exit code {builder.returncode}")

    async def _report(self, step: Progress) -> None:
        self._write(step)
        for planned in FLEET:
            await self._tell(planned.name, step.percent, step.eta_seconds, step.state)

    async def _tell(self, name: str, percent: float, eta: float | None, step: str) -> None:
        from gmcenter.clusters import service
        from gmcenter.identity.actor import SYSTEM

        with contextlib.suppress(NotFound):  # somebody has removed it from the console meanwhile
            await service.report_building(SYSTEM, name, percent=percent, eta_seconds=eta, step=step)

    def _write(self, step: Progress | None = None) -> None:
        """Write lab.json, for whoever looks from outside."""
        document = {
            "building": step is not None,
            "percent": step.percent if step else 100.0,
            "eta_seconds": step.eta_seconds if step else 0.0,
            "clusters": [{"name": name, "state": state} for name, state in self._states.items()],
        }
        fresh = self._folder / "lab.new"
        fresh.write_text(json.dumps(document))
        fresh.replace(self._folder / "lab.json")

    async def _bring_up(self, planned: Planned) -> None:
        """Start one cluster, register it as soon as it answers, and fill it before the eyes of whoever looks."""
        self._states[planned.name] = "starting"
        self._write()
        await self._tell(planned.name, 100.0, None, "starting")
        cluster = self._lab.cluster(planned.name)
        await _start(cluster)
        await _register(planned.name, cluster)
        await asyncio.to_thread(cluster.seed, planned.profile)
        self._states[planned.name] = "ready"
        self._write()

    async def _until_live(self) -> None:
        from gmcenter.clusters import service
        from gmcenter.identity.actor import SYSTEM

        names = {planned.name for planned in FLEET}
        async with asyncio.timeout(LIVE_WITHIN):
            while True:
                views = {view.cluster_name: view.state for view in await service.list_clusters(SYSTEM)}
                self._states |= {name: state for name, state in views.items() if name in names}
                if all(state == "live" for name, state in views.items() if name in names):
                    self._write()
                    return
                await asyncio.sleep(0.2)


async def _start(cluster: LabCluster) -> None:
    """Start a cluster; one whose store was damaged by a crash begins anew, under the same certificates.

    No thread starts it: a thread could not be cancelled, and would go on after everything has been stopped.
    """
    from tests.lab import LabError

    cluster.start(wait=False)
    try:
        await _ready(cluster)
    except LabError as problem:
        if not await asyncio.to_thread((cluster.folder / "etcd").exists):
            raise
        logger.warning("lab_cluster_begins_anew", name=cluster.name, reason=str(problem)[-300:])
        await asyncio.to_thread(cluster.stop)
        await asyncio.to_thread(shutil.rmtree, cluster.folder / "etcd")
        cluster.start(wait=False)
        await _ready(cluster)


async def _ready(cluster: LabCluster) -> None:
    async with asyncio.timeout(LIVE_WITHIN):
        while not cluster.is_ready():  # noqa: ASYNC110 - it looks at another process
            await asyncio.sleep(0.1)


async def _register(name: str, cluster: LabCluster) -> None:
    """Give the console the way to a cluster: for the first time, or because its port has changed."""
    from pydantic import SecretStr

    from gmcenter.clusters import service
    from gmcenter.clusters.schema import ClusterChange
    from gmcenter.identity.actor import SYSTEM
    from gmcenter.kube import kubeconfig

    text = await asyncio.to_thread(cluster.kubeconfig().read_text)
    parsed = kubeconfig.parse(text)
    views = {view.cluster_name: view for view in await service.list_clusters(SYSTEM)}
    if name not in views:
        return
    if views[name].building is not None:
        await service.finish_building(SYSTEM, name, parsed.target(parsed.current))
    elif views[name].cluster_endpoint != cluster.url:
        change = ClusterChange(kubeconfig=SecretStr(text), accept_warnings=True)
        await service.update(SYSTEM, name, change)
