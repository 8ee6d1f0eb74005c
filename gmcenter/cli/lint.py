"""``gm lint``: style, types, layers, and our own rules."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)
ROOT = Path(__file__).resolve().parents[2]


def _tool(*command: str) -> Callable[[], bool]:
    return lambda: subprocess.run([sys.executable, *command], cwd=ROOT, check=False).returncode == 0


def _layers() -> bool:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:  # its banner is for the eyes, its verdict stands at the end
        typer.echo((done.stdout.rpartition("Broken contracts")[2] or done.stdout)[-4000:] + done.stderr[-300:])
    return done.returncode == 0


def _own_rules() -> bool:
    from gmcenter.cli import lints

    found = lints.complaints()
    for complaint in found:
        typer.echo(complaint)
    if not found and (long := lints.long_files()):
        typer.echo("long files, no fault: " + ", ".join(f"{one.path} ({one.line})" for one in long))
    return not found


def _texts() -> bool:
    from gmcenter.cli import texts

    found = texts.complaints()
    for complaint in found:
        typer.echo(complaint)
    return not found


STEPS: dict[str, Callable[[], bool]] = {
    # Without its cache: whether a module is ours is not part of the key of what ruff remembers of a file.
    "style": _tool("-m", "ruff", "check", "--quiet", "--no-cache", "."),
    "format": _tool("-m", "ruff", "format", "--check", "--quiet", "."),
    "types": _tool("-m", "mypy"),
    "layers": _layers,
    "rules": _own_rules,
    "texts": _texts,
}


@app.command()
def lint(
    steps: Annotated[list[str] | None, typer.Argument(help=f"Of: {', '.join(STEPS)}. All when left out.")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Let ruff mend style and format first.")] = False,
) -> None:
    """Check style, format, types, layers, our own rules and the texts; exit code 1 when anything is wrong."""
    unknown = set(steps or ()) - set(STEPS)
    if unknown:
        raise typer.BadParameter(f"no such step: {', '.join(sorted(unknown))}")
    if fix:
        _tool("-m", "ruff", "check", "--quiet", "--fix", ".")()
        _tool("-m", "ruff", "format", "--quiet", ".")()
    failed = [name for name in STEPS if (not steps or name in steps) and not _step(name)]
    if failed:
        typer.secho(f"lint: {', '.join(failed)} failed", fg=typer.colors.RED, err=True)
        raise typer.Exit(1)
    typer.echo("lint: all well")


def _step(name: str) -> bool:
    typer.secho(f"· {name}", bold=True)
    return STEPS[name]()
