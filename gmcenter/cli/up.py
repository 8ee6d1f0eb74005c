"""``gm up``: the console on this machine, on its own databases."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gmcenter.cli.command import Output, answer, fail, run, say
from gmcenter.cli.console import ROOT, address, configure, ensure_folder, holding, refuse_second, supervise
from gmcenter.cli.supervisor import Supervisor, open_log
from gmcenter.cli.web import build_front_end

app = typer.Typer(add_completion=False)

Data = Annotated[Path | None, typer.Option(help="Folder of databases, key and logs; GM_DATA when left out.")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the console; GM_PORT when left out.")]
Format = Annotated[Output, typer.Option("-o", "--output", help="text or json.")]
Detach = Annotated[bool, typer.Option("--detach", help="Return when the console answers; `gm down` stops it.")]


@app.command()
def up(
    data: Data = None,
    port: Port = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; GM_HOST when left out.")] = None,
    detach: Detach = False,
    output: Format = Output.TEXT,
) -> None:
    """Start the console: web, collector and worker, restarted when they die. Ctrl-C or `gm down` stops them.

    The first start makes the databases, the master key and an administrator, whose password is shown once.
    """
    folder = configure(data=data, port=port, host=host)
    if detach:
        answer_of_child(folder, ["up"], output, show)
        return
    with holding(folder):
        build_front_end()
        document = {"url": address(), **first_administrator(), "contexts": kubeconfig_contexts()}

        told = False

        async def answered(_supervisor: Supervisor) -> None:
            nonlocal told
            told = True
            say_once(document, output, show)

        try:
            supervise(folder, answered)
        finally:  # ended before it answered: the administrator is made, and a second start makes none
            if not told and document["password"]:
                answer({**document, "url": None}, output, lambda: show_password(document))


def show(document: dict[str, Any]) -> None:
    """The address, the sign-in data when they are new, and what could be registered."""
    say("cli.up.address", url=document["url"])
    show_password(document)
    if document["contexts"]:
        say("cli.up.contexts")
        for context in document["contexts"]:
            typer.echo(f"  {context['command']}")


def show_password(document: dict[str, Any]) -> None:
    """The sign-in data, when they are new."""
    if document["password"]:
        say("cli.up.administrator", username=document["username"], password=document["password"])


def first_administrator() -> dict[str, str | None]:
    """Bring the database up to date, and make the administrator of a fresh installation."""
    from gmcenter.identity import service

    made = run(service.ensure_administrator)
    return {"username": made.name if made else None, "password": made.password if made else None}


def kubeconfig_contexts() -> list[dict[str, str]]:
    """The contexts of the user's own kubeconfig, each with the command that registers it; nothing is registered."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    found: list[dict[str, str]] = []
    given = os.environ.get("KUBECONFIG", "") or str(Path.home() / ".kube" / "config")
    for path in filter(None, given.split(os.pathsep)):
        try:
            document = YAML(typ="safe", pure=True).load(Path(path))
            names = [str(context["name"]) for context in document.get("contexts") or []]
        except (OSError, YAMLError, AttributeError, KeyError, TypeError, ValueError, RecursionError):
            continue
        found += [{"context": name, "command": f"./gm cluster add --context {shlex.quote(name)}"} for name in names]
    return found


def answer_of_child(data: Path, arguments: list[str], output: Output, show: Callable[[dict[str, Any]], None]) -> None:
    """Run a command in the background and print what it has to say once it says it; stop with its reason if it dies.

    The sign-in data travel through a pipe, never through a file or an argument.
    """
    ensure_folder(data)
    refuse_second(data)
    build_front_end()
    log = open_log(data, "console")
    reader, writer = os.pipe()
    with log, os.fdopen(reader) as answers:
        start = log.tell()
        child = subprocess.Popen(
            [sys.executable, "-m", "gmcenter.cli", *arguments, "-o", "json"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=log,
            start_new_session=True,
        )
        os.close(writer)
        try:
            text = answers.read()
        except KeyboardInterrupt:
            child.terminate()
            text = answers.read()
    try:
        document: dict[str, Any] = json.loads(text)
    except ValueError:
        document = {"url": None, "password": None}
    if document["url"] is None:
        if document["password"]:
            answer(document, output, lambda: show_password(document))
        code = child.wait()
        why = (data / "log" / "console.log").read_text(errors="replace")[start:].strip()[-2000:]
        fail(why.removeprefix("gm: ") or f"exit code {code}")
    answer(document, output, lambda: show(document))


def say_once(document: dict[str, Any], output: Output, show: Callable[[dict[str, Any]], None]) -> None:
    """Print the answer, and let go of standard output, so that whoever reads it need not wait for our end."""
    answer(document, output, lambda: show(document))
    sys.stdout.flush()
    if output is Output.JSON:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
