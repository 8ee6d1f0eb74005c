"""``gm work``: the process for what is due by the hour; durable jobs will be done here too."""

from __future__ import annotations

import typer

app = typer.Typer(add_completion=False)


@app.command()
def work() -> None:
    """Log the audit's head and remove ended sessions each hour, until it is told to stop."""
    from gmcenter.cli.command import prepare
    from gmcenter.cli.process import until_stopped
    from gmcenter.identity import upkeep

    prepare()
    until_stopped("work", upkeep.run)
