"""``gm web``: the process that serves pages, socket and REST."""

from __future__ import annotations

import asyncio
import importlib
import os
from typing import Annotated, Any

import typer

app = typer.Typer(add_completion=False)
LIMIT_SECONDS = 5


@app.command()
def web(
    host: Annotated[str, typer.Option(help="Address to listen on; GM_HOST when left out.")] = "",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; GM_PORT when left out.")] = 0,
) -> None:
    """Serve the console until it is told to stop. The front end is built first when its sources have changed."""
    if host:
        os.environ["GM_HOST"] = host
    if port:
        os.environ["GM_PORT"] = str(port)
    build_front_end()
    from gmcenter.cli.command import prepare
    from gmcenter.cli.process import until_stopped

    prepare()
    until_stopped("web", _serve)


def build_front_end() -> str:
    """Build the bundle when it is not there, and have this process and its children use it. Returns its folder.

    A later change of the sources does not reach a console that runs: a restart of its web process must find the same
    pages again, not build others.
    """
    from gmcenter.cli.command import UNUSABLE, fail, say_aside

    build: Any = importlib.import_module("gmtool.build")
    if not build.is_built(build.bundle_dir()):
        say_aside("cli.web.front_end")
    try:
        bundle = str(build.build())
    except build.BuildError as problem:
        fail(str(problem), UNUSABLE)
    os.environ["GM_WEB_BUNDLE"] = bundle
    return bundle


async def _serve(stop: asyncio.Event) -> None:
    """Serve in this process: no worker process that could outlive it, no second import of everything."""
    from granian.constants import Interfaces
    from granian.server.embed import Server

    from gmcenter.core.log import get_logger
    from gmcenter.core.settings import settings

    application = importlib.import_module("gmtool.asgi").application
    server = Server(
        application,
        address=settings().host,
        port=settings().port,
        interface=Interfaces.ASGI,
        backlog=1024,
        log_enabled=False,
    )
    get_logger(__name__).info("serving", host=settings().host, port=settings().port)
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait({serving}, timeout=LIMIT_SECONDS)
    stopping.cancel()
    if serving.done():
        serving.result()
        if not stop.is_set():
            raise SystemExit(1)  # the start failed, and the log says why
