"""``gm down``: stop what `gm up` or `gm demo` started."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gmcenter.cli.command import say
from gmcenter.cli.console import configure
from gmcenter.cli.supervisor import read_state, stop_running

app = typer.Typer(add_completion=False)


@app.command()
def down(
    data: Annotated[Path | None, typer.Option(help="Data folder; left out: that of up, or else the demo's.")] = None,
) -> None:
    """Stop the console of a data folder, and the demo's clusters, in order. Nothing of it is left running."""
    from gmcenter.cli.demo import default_data

    folder = configure(data=data, port=None)
    if data is None and not read_state(folder):
        folder = default_data()
    stopped = stop_running(folder)
    lab = folder / "lab"
    if lab.is_dir():  # a demo that was killed: its clusters end by themselves, and this waits for it
        from tests.lab import Lab

        Lab(lab).down()
    say("cli.down.stopped" if stopped else "cli.down.nothing", data=folder)
