"""``gm test``: install what the tests need, build what they run against, and run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)
ROOT = Path(__file__).resolve().parents[2]
# What apt brings, and how to see that it is there already.
NEEDS: dict[str, Callable[[], bool]] = {
    "chromium": lambda: any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    "postgresql": lambda: any(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or bool(shutil.which("initdb")),
    "redis-server": lambda: any(map(shutil.which, ("redis-server", "valkey-server"))),
}


@app.command("test", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def run_tests(
    context: typer.Context,
    paths: Annotated[list[str] | None, typer.Argument(help="Test files or folders; all tiers when left out.")] = None,
    heavy: Annotated[bool, typer.Option("--heavy", help="With the servers that take minutes to build.")] = False,
    prepare: Annotated[bool, typer.Option(help="Install and build what is missing first.")] = True,
) -> None:
    """Install what the tests need, build the lab and the pages, and run all tiers but the heavy one.

    Further options go to pytest: `gm test tests/unit -k name -x`.
    """
    if prepare:
        install()
        build()
    arguments = [*(paths or ["tests"]), *context.args]
    if not heavy:
        arguments += ["-m", "not heavy"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", *arguments]
    raise typer.Exit(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)


def install() -> None:
    """Install missing servers and the browser with apt where we may; say what is missing where we may not."""
    missing = [package for package, there in NEEDS.items() if not there()]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        typer.echo(f"gm test: not installed, and only root can: {' '.join(missing)} (apt-get install)", err=True)
        return
    typer.echo(f"gm test: installing {' '.join(missing)}", err=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode:
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)  # lists may be old or missing
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)


def build() -> None:
    """Build the pages and the lab's control planes, unless the caches hold them; nothing runs beside the compiler."""
    from gmcenter.cli.lab import show_progress
    from gmcenter.cli.web import build_front_end
    from tests.lab import BuildFailed, ensure

    began = time.monotonic()
    build_front_end()
    try:
        ensure(show_progress)
    except BuildFailed as failure:
        typer.echo(f"gm test: the lab's control planes do not compile: {failure}", err=True)
        raise typer.Exit(1) from None
    if (spent := time.monotonic() - began) > 5:
        typer.echo(f"gm test: built what was missing in {spent:.0f} s", err=True)
