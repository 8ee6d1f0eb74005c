"""``gm inventory``: whether the inventory agrees with itself."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from gmcenter.cli.command import REFUSED, Output, answer, run, say

app = typer.Typer(name="inventory", no_args_is_help=True, help="Check the inventory.")


@app.callback()
def inventory() -> None:
    """Check the inventory."""


@app.command()
def verify(
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT,
) -> None:
    """Compare counters, bodies and labels with the rows; exit code 1 when anything disagrees."""
    from gmcenter.inventory import service

    found = run(service.verify_inventory)

    def text() -> None:
        for one in found:
            typer.echo(f"{one.kind} {one.cluster or ''} {one.what}: {one.found}, {one.expected}")
        say("cli.inventory.verified", count=len(found))

    answer({"ok": not found, "findings": [asdict(one) for one in found]}, output, text)
    if found:
        raise typer.Exit(REFUSED)
