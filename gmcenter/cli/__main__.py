"""Entry of `./gm`: commands are imported only when they are asked for, so that `--help` stays quick."""

import subprocess
import sys
from pathlib import Path

import typer

from gmcenter import __version__

ROOT = Path(__file__).resolve().parents[2]
app = typer.Typer(name="gm", no_args_is_help=True, add_completion=False, help="Run and operate GEdge GM.")


@app.callback(invoke_without_command=True)
def main(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    """Run and operate GEdge GM."""
    if version:
        typer.echo(f"gm {__version__}")
        raise typer.Exit


@app.command()
def test(paths: list[str] = typer.Argument(None, help="Test files or folders; all tiers when left out.")) -> None:
    """Run the tests."""
    command = [sys.executable, "-m", "pytest", *(paths or ["tests"])]
    raise typer.Exit(subprocess.run(command, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    app()
