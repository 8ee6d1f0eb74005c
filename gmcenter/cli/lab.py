"""``gm lab``: real control planes with simulated nodes, for trying things out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmcenter.cli.command import USAGE, Output, answer, fail, say

if TYPE_CHECKING:
    from tests.lab import Lab, LabCluster, Progress

app = typer.Typer(no_args_is_help=True, help="Real control planes with simulated nodes on this machine.")
chaos = typer.Typer(no_args_is_help=True, help="Break a cluster, and heal it.")
app.add_typer(chaos, name="chaos")

Folder = Annotated[Path | None, typer.Option("--dir", help="Folder of the lab; the user's cache when left out.")]
Name = Annotated[str, typer.Argument(help="Name of the cluster.")]
Node = Annotated[str, typer.Argument(help="Name of the node.")]
Format = Annotated[Output, typer.Option("-o", "--output", help="text or json.")]


def _lab(folder: Path | None) -> Lab:
    from tests.lab import Lab

    return Lab(folder)


def _running(folder: Path | None, name: str) -> LabCluster:
    cluster = _lab(folder).cluster(name)
    if cluster.state["state"] != "ready":
        fail(f"{name}: {cluster.state['state']}")
    return cluster


def _guard(work: Any) -> Any:
    """Run a piece of work; what the lab says against it becomes the command's reason."""
    from tests.lab import ApiError, BuildFailed, LabError

    try:
        return work()
    except (LabError, BuildFailed, ApiError, OSError) as problem:
        fail(str(problem))


@app.command()
def build() -> None:
    """Compile the control planes, unless the cache holds them (ten minutes of two cores for the first time)."""
    from tests.lab import ensure

    done = _guard(lambda: ensure(show_progress))
    typer.echo(done.binary)


def show_progress(step: Progress) -> None:
    """One line that is written over; a new line for each state where there is no terminal."""
    eta = "" if step.eta_seconds is None else f", {step.eta_seconds / 60:.0f} min"
    line = f"{step.state} {step.percent:.0f} %{eta}"
    if os.isatty(2):
        typer.echo(f"\r\033[K{line}", err=True, nl=False)
        if step.state in ("ready", "failed"):
            typer.echo("", err=True)
    elif step.state != getattr(show_progress, "last", ""):
        typer.echo(line, err=True)
        show_progress.last = step.state  # type: ignore[attr-defined]


@app.command()
def up(
    names: Annotated[list[str] | None, typer.Argument(help="Names of clusters; one called c1 when left out.")] = None,
    profile: Annotated[str, typer.Option(help="What they hold: small, edge, cloud or empty.")] = "small",
    metrics: Annotated[bool, typer.Option("--metrics", help="With metrics-server.")] = False,
    folder: Folder = None,
    output: Format = Output.TEXT,
) -> None:
    """Start clusters that go on running, and fill them. They keep their data until `gm lab down --purge`."""
    from tests.lab import ensure
    from tests.lab.seed import PROFILES

    if profile not in (*PROFILES, "empty"):
        fail(f"profile: {', '.join(PROFILES)} or empty", USAGE)
    _guard(lambda: ensure(show_progress))
    lab = _lab(folder)
    kind = None if profile == "empty" else profile
    clusters = _guard(lambda: lab.up(names or ["c1"], profile=kind, metrics=metrics, detached=True))
    _show(clusters, output)


@app.command()
def down(
    names: Annotated[list[str] | None, typer.Argument(help="Names of clusters; all when left out.")] = None,
    purge: Annotated[bool, typer.Option("--purge", help="Remove their data too.")] = False,
    folder: Folder = None,
) -> None:
    """Stop clusters and see that nothing of them is left running."""
    _guard(lambda: _lab(folder).down(names or (), purge=purge))


@app.command()
def status(folder: Folder = None, output: Format = Output.TEXT) -> None:
    """Show the clusters of a lab."""
    _show(_lab(folder).clusters(), output)


def _show(clusters: list[LabCluster], output: Output) -> None:
    rows = []
    for cluster in clusters:
        state = cluster.state
        rows.append(
            {
                "name": cluster.name,
                "state": state["state"],
                "url": state.get("url"),
                "weather": state.get("weather") or {"mode": "pass", "latency": 0.0},
                "kubeconfig": str(cluster.kubeconfig()),
                "error": state.get("error"),
            }
        )

    def text() -> None:
        if not rows:
            say("cli.lab.none")
        for row in rows:
            typer.echo(f"{row['name']:24} {row['state']:9} {row['url'] or '-':26} {row['kubeconfig']}")

    answer({"clusters": rows}, output, text)


@app.command()
def kubeconfig(
    name: Name,
    user: Annotated[str, typer.Option(help="admin, viewer or nobody.")] = "admin",
    folder: Folder = None,
) -> None:
    """Print a kubeconfig of a cluster."""
    path = _lab(folder).cluster(name).kubeconfig(user)
    if not path.exists():
        fail(f"{path} is not there")
    typer.echo(path.read_text(), nl=False)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def kubectl(
    name: Name, arguments: Annotated[list[str], typer.Argument(help="After --.")], folder: Folder = None
) -> None:
    """Run kubectl against a cluster: `gm lab kubectl c1 -- get pods -A`."""
    command = _running(folder, name).kubectl_command(*arguments)
    os.execv(command[0], command)  # noqa: S606 - kubectl takes this process's place, terminal and exit code


@app.command()
def seed(
    name: Name,
    profile: Annotated[str, typer.Argument(help="small, edge or cloud.")] = "small",
    folder: Folder = None,
) -> None:
    """Fill a running cluster."""
    _guard(lambda: _running(folder, name).seed(profile))


@chaos.command("kill-node")
def kill_node(name: Name, node: Node, folder: Folder = None) -> None:
    """The node falls silent, as after a power cut."""
    _guard(lambda: _running(folder, name).kill_node(node))


@chaos.command("revive-node")
def revive_node(name: Name, node: Node, folder: Folder = None) -> None:
    """The node comes back."""
    _guard(lambda: _running(folder, name).revive_node(node))


@chaos.command()
def cut(name: Name, folder: Folder = None) -> None:
    """Break every connection to the cluster and refuse new ones."""
    _guard(_running(folder, name).cut)


@chaos.command()
def blackhole(name: Name, folder: Folder = None) -> None:
    """Accept connections and say nothing."""
    _guard(_running(folder, name).blackhole)


@chaos.command()
def slow(
    name: Name,
    milliseconds: Annotated[float, typer.Argument(min=0, help="Delay in each direction, milliseconds.")],
    folder: Folder = None,
) -> None:
    """Delay everything."""
    _guard(lambda: _running(folder, name).slow(milliseconds))


@chaos.command()
def heal(name: Name, folder: Folder = None) -> None:
    """Undo cut, blackhole and slow."""
    _guard(_running(folder, name).heal)
