"""``gm db``: the schema of the system database."""

from __future__ import annotations

from typing import Annotated

import typer

from gmcenter.cli.command import UNUSABLE, Output, answer, fail, say
from gmcenter.core import migrate
from gmcenter.core.vault import VaultError

app = typer.Typer(name="db", no_args_is_help=True, help="Migrate the system database.")

Format = Annotated[Output, typer.Option("-o", "--output", help="text or json.")]


@app.command()
def upgrade(output: Format = Output.TEXT) -> None:
    """Bring the system database up to date (a start does it too) and make the master key of a fresh installation."""
    try:
        before = migrate.current()
        after = migrate.prepare()
    except (migrate.SchemaError, VaultError) as problem:
        fail(str(problem), UNUSABLE)
    key = "cli.db.upgraded" if before != after else "cli.db.up_to_date"
    answer({"before": before, "after": after}, output, lambda: say(key, before=before or "-", after=after))


@app.command()
def current(output: Format = Output.TEXT) -> None:
    """Show the revision of the system database and the newest one."""
    found, newest = migrate.current(), migrate.latest()
    answer(
        {"revision": found, "latest": newest},
        output,
        lambda: say("cli.db.current", revision=found or "-", latest=newest),
    )
