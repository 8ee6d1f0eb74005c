"""`gm cluster`: clusters added from the user's own machine, listed, checked and removed.

`add` runs where the user's kubeconfig works, exec plugins included. It makes a service account in the cluster and gives
the console that account's token and the cluster's CA: what the user signs in with never leaves the machine.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gmcenter.cli.command import USAGE, Output, answer, explain, fail, language, say, say_aside
from gmcenter.core import i18n
from gmcenter.core.errors import GMError

if TYPE_CHECKING:
    from gmcenter.cli.console_client import Fleet

app = typer.Typer(name="cluster", no_args_is_help=True, help="Add, list, check and remove clusters.")

Name = Annotated[str, typer.Argument(help="The cluster's name in GM.")]
Format = Annotated[Output, typer.Option("-o", "--output", help="text or json.")]
Url = Annotated[str, typer.Option("--url", envvar="GM_URL", help="A console elsewhere; without it, this machine's.")]
Token = Annotated[
    str, typer.Option("--token", envvar="GM_TOKEN", help="Access token for --url; better given as GM_TOKEN.")
]
User = Annotated[str, typer.Option("--user", help="Sign in to --url as this user; the password is asked for.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def _fleet(url: str, token: str, user: str) -> Fleet:
    from gmcenter.cli.console_client import Local, Remote

    if not url:
        if token or user:
            fail("--token and --user need --url", USAGE)
        return Local()
    if user and not token:
        password: str = typer.prompt("Password", hide_input=True)
        return Remote.signed_in(url, user, password)
    if not token:
        fail("--url needs GM_TOKEN (or --token), or --user", USAGE)
    return Remote(url, token)


@app.command()
def add(
    context: Annotated[
        str, typer.Option("--context", help="A context of your kubeconfig; the current one if empty.")
    ] = "",
    kubeconfig: Annotated[
        str, typer.Option("--kubeconfig", help="Your kubeconfig; $KUBECONFIG or ~/.kube/config.")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="Name in GM; made from the context's if empty.")] = "",
    site: Annotated[str, typer.Option("--site", help="Name of the site where it stands.")] = "",
    kind: Annotated[str, typer.Option("--type", help="edge or cloud.")] = "edge",
    cloud: Annotated[str, typer.Option("--cloud-type", help="aws, openstack, …")] = "",
    endpoint: Annotated[
        str, typer.Option("--endpoint", help="Address by which the console reaches the API server, if another.")
    ] = "",
    role: Annotated[str, typer.Option("--role", help="ClusterRole of the account that is made.")] = "cluster-admin",
    accept_warnings: Annotated[
        bool, typer.Option("--accept-warnings", help="Register although the check warns.")
    ] = False,
    url: Url = "",
    token: Token = "",
    user: User = "",
    yes: Yes = False,
    output: Format = Output.TEXT,
) -> None:
    """Make a service account in a cluster, and register the cluster with its token."""
    from gmcenter.cli import service_account

    try:
        account = service_account.of_context(kubeconfig or None, context or None, role)
        chosen = name or service_account.name_from(account.context)
        text = account.manifest_text()
        say_aside("cli.cluster.manifest", context=account.context, endpoint=account.endpoint)
        typer.echo(text, err=True)
        if not yes:
            if not sys.stdin.isatty():
                fail(i18n.message("cli.cluster.no_terminal", language()), USAGE)
            typer.confirm(i18n.message("cli.cluster.ask", language()), abort=True, err=True)
        fleet = _fleet(url, token, user)
        given = {
            "clusterName": chosen,
            "clusterType": kind,
            "cloudType": cloud,
            "site": site or None,
            "clusterEndpoint": endpoint or account.endpoint,
            "caPem": account.ca_pem,
            "tlsServerName": account.tls_server_name,
            "token": account.create(),
            "acceptWarnings": accept_warnings,
        }
        made = fleet.register(given)
    except service_account.Refused as problem:
        fail(i18n.message(problem.key, language(), **problem.params))
    except GMError as problem:
        _fail_with_stages(problem)
    answer(made, output, lambda: say("cli.cluster.added", name=chosen, endpoint=made["clusterEndpoint"]))


def _fail_with_stages(problem: GMError) -> None:
    stages = getattr(problem, "told", None)
    if stages is None:
        from gmcenter.clusters.errors import PreflightFailed
        from gmcenter.clusters.schema import StageView

        if isinstance(problem, PreflightFailed):
            stages = [StageView.of(stage, language()).model_dump(by_alias=True) for stage in problem.stages]
    for stage in stages or ():
        typer.echo(_line(stage), err=True)
    fail(explain(problem))


def _line(stage: dict[str, Any]) -> str:
    spoken = language()
    state = i18n.message(f"clusters.preflight.state.{stage['state']}", spoken)
    label = i18n.message(f"clusters.preflight.stage.{stage['stage']}", spoken)
    line = f"  {state:10} {label:12} {stage['message']}"
    return f"{line}\n{'':25}→ {stage['remedy']}" if stage.get("remedy") else line


@app.command("list")
def list_clusters(url: Url = "", token: Token = "", user: User = "", output: Format = Output.TEXT) -> None:
    """List all clusters with their health."""
    found = _told(lambda: _fleet(url, token, user).clusters())
    answer(found, output, lambda: _table(found))


def _table(found: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    spoken = language()
    headings = ("name", "type", "state", "version", "nodes", "endpoint", "site")
    table = Table(*(i18n.message(f"cli.cluster.column.{heading}", spoken) for heading in headings), box=None)
    for one in found:
        table.add_row(
            one["clusterName"],
            one["clusterType"],
            i18n.message(f"clusters.state.{one['state']}", spoken),
            one["version"] or "-",
            "-" if one["nodeCnt"] is None else str(one["nodeCnt"]),
            one["clusterEndpoint"] or "-",
            one["site"] or "-",
        )
    Console().print(table)


@app.command()
def check(name: Name, url: Url = "", token: Token = "", user: User = "", output: Format = Output.TEXT) -> None:
    """Check the way to a cluster step by step; exit code 1 when a step fails."""
    stages = _told(lambda: _fleet(url, token, user).check(name))

    def text() -> None:
        for stage in stages:
            typer.echo(_line(stage))

    answer(stages, output, text)
    if any(stage["state"] == "failed" for stage in stages):
        raise typer.Exit(1)


@app.command()
def remove(name: Name, url: Url = "", token: Token = "", user: User = "", yes: Yes = False) -> None:
    """Take a cluster out of GM; the cluster itself is not touched."""
    fleet = _fleet(url, token, user)
    dependents = _told(lambda: fleet.dependents(name))
    if not yes:
        if not sys.stdin.isatty():
            fail(i18n.message("cli.cluster.no_terminal", language()), USAGE)
        words = i18n.message("cli.cluster.ask_remove", language(), name=name, objects=dependents["total"])
        if typer.prompt(words, err=True).strip() != name:
            fail(i18n.message("cli.cluster.other_name", language()))
    _told(lambda: fleet.remove(name))
    say("cli.cluster.removed", name=name)


def _told(work: Any) -> Any:
    try:
        return work()
    except GMError as problem:
        fail(explain(problem))
