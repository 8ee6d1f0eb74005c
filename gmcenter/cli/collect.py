"""``gm collect``: the process that watches the clusters."""

from __future__ import annotations

import typer

app = typer.Typer(add_completion=False)


@app.command()
def collect() -> None:
    """Watch every registered cluster and keep the inventory, until it is told to stop."""
    from gmcenter.cli.command import prepare
    from gmcenter.cli.process import until_stopped
    from gmcenter.inventory import collector

    prepare()
    until_stopped("collect", collector.run)
