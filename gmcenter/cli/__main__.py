"""Entry of `./gm`. A command's module is imported when the command is used, so that `gm --help` stays quick."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from gmcenter import __version__

# name → (module with a typer app called `app`, whether it has commands of its own, help panel, one line of help)
COMMANDS: dict[str, tuple[str, bool, str, str]] = {
    "demo": (
        "demo",
        False,
        "Start",
        "Everything from nothing: three real clusters, workloads, users, console.",
    ),
    "up": ("up", False, "Start", "Start the console on this machine."),
    "down": ("down", False, "Start", "Stop what `gm up` or `gm demo` started."),
    "user": ("users", True, "Operate", "Add, list, disable and unlock users."),
    "cluster": ("cluster", True, "Operate", "Add, list, check and remove clusters."),
    "inventory": ("inventory", True, "Operate", "Check the inventory."),
    "audit": ("audit", True, "Operate", "Check the audit."),
    "db": ("db", True, "Operate", "Migrate the system database."),
    "web": ("web", False, "Processes", "Serve pages, socket and REST on one port."),
    "collect": ("collect", False, "Processes", "Watch the clusters and keep the inventory."),
    "work": ("work", False, "Processes", "Do what is due by the hour."),
    "lab": ("lab", True, "Develop", "Real control planes with simulated nodes on this machine."),
    "test": ("test", False, "Develop", "Install what the tests need, and run them."),
    "lint": ("lint", False, "Develop", "Check style, types, layers and our own rules."),
    "i18n": ("i18n", False, "Develop", "Check that every text is there in Korean and English."),
    "bench": ("bench", False, "Develop", "Measure against the budgets."),
}


class LazyGroup(TyperGroup):
    """Knows every command's name and one line about it; imports the rest on use."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for name, (_, _, panel, line) in COMMANDS.items():
            self.commands[name] = TyperCommand(name, help=line, rich_help_panel=panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Replace the placeholder by the command itself before it is run."""
        if args and args[0] in COMMANDS:
            module, group, *_ = COMMANDS[args[0]]
            app = importlib.import_module(f"gmcenter.cli.{module}").app
            command = get_group(app) if group else get_command(app)
            command.name = args[0]
            self.commands[args[0]] = command
        return super().resolve_command(ctx, args)


gm = typer.Typer(
    name="gm",
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Settings are GM_* variables (README). Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 unusable.",
)


@gm.callback(invoke_without_command=True)
def main(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    """Run and operate GEdge GM."""
    if version:
        typer.echo(f"gm {__version__}")
        raise typer.Exit


def start() -> None:
    """Run a command; a setting that cannot be read ends it with its name and why, not with a traceback."""
    try:
        gm(prog_name="gm")
    except ValueError as problem:
        if not (wrong := _settings_of(problem)):
            raise
        from gmcenter.cli.command import UNUSABLE, language
        from gmcenter.core.i18n import message

        for name, reason in wrong:
            typer.secho(f"gm: {message('cli.setting', language(), name=name, reason=reason)}", fg="red", err=True)
        raise SystemExit(UNUSABLE) from None


def _settings_of(problem: ValueError) -> list[tuple[str, str]]:
    """The settings that an error is about, each with what is wrong with it; none for another error."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    if isinstance(problem, SettingsError):
        return [("GM_*", str(problem))]
    if not isinstance(problem, ValidationError) or problem.title != "Settings":
        return []
    found = problem.errors(include_url=False, include_input=False)
    return [("_".join(("GM", *map(str, error["loc"]))).upper(), error["msg"]) for error in found]


if __name__ == "__main__":
    start()
