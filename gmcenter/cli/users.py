"""``gm user``: who may sign in."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gmcenter.cli.command import USAGE, Output, answer, explain, fail, language, run, say
from gmcenter.core.errors import GMError
from gmcenter.identity.actor import ROLES, SYSTEM
from gmcenter.identity.schema import UserView

app = typer.Typer(name="user", no_args_is_help=True, help="Add, list, disable and unlock users.")

Name = Annotated[str, typer.Argument(help="Login name.")]
Format = Annotated[Output, typer.Option("-o", "--output", help="text or json.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
Generate = Annotated[bool, typer.Option("--generate", help="Make a random password and print it once.")]
Role = Annotated[str, typer.Option("--role", help="PA (platform administrator) or SA (service administrator).")]


def _password(from_stdin: bool, generate: bool) -> str:
    """The new password: from standard input, generated, or typed twice; never an argument, which others could see."""
    from gmcenter.identity import passwords

    if from_stdin and generate:
        fail("--password-stdin and --generate exclude each other", USAGE)
    if generate:
        return passwords.generate()
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not _terminal():
        fail("no terminal to ask for a password: use --password-stdin or --generate", USAGE)
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return typed


def _terminal() -> bool:
    """Whether someone can be asked."""
    return sys.stdin.isatty()


def _as_json(user: UserView) -> dict[str, object]:
    return user.model_dump(mode="json", by_alias=True)


@app.command()
def add(
    name: Name,
    role: Role = "SA",
    display_name: Annotated[str, typer.Option("--display-name", help="Name shown on pages.")] = "",
    spoken: Annotated[str, typer.Option("--language", help="ko or en.")] = "ko",
    password_stdin: FromStdin = False,
    generate: Generate = False,
    output: Format = Output.TEXT,
) -> None:
    """Add a user."""
    from pydantic import SecretStr, ValidationError

    from gmcenter.identity import service
    from gmcenter.identity.schema import NewUser

    password = _password(password_stdin, generate)
    try:
        new = NewUser.model_validate(
            {
                "name": name.lower(),
                "password": SecretStr(password),
                "role": role.upper(),
                "display_name": display_name,
                "language": spoken,
            }
        )
    except ValidationError as problem:
        fail("; ".join(f"{error['loc'][0]}: {error['msg']}" for error in problem.errors(include_input=False)), USAGE)
    user = run(lambda: service.create(SYSTEM, new))

    def text() -> None:
        say("cli.user.added", name=user.name, role=user.role)
        if generate:
            say("cli.user.password", password=password)

    answer({**_as_json(user), **({"password": password} if generate else {})}, output, text)


@app.command("list")
def list_users(output: Format = Output.TEXT) -> None:
    """List all users."""
    from gmcenter.identity import service

    users = run(lambda: service.list_users(SYSTEM))
    answer([_as_json(user) for user in users], output, lambda: _table(users))


def _table(users: list[UserView]) -> None:
    from rich.console import Console
    from rich.table import Table

    from gmcenter.core import i18n

    spoken = language()
    headings = ("name", "display_name", "role", "state", "last_login")
    table = Table(*(i18n.message(f"cli.user.column.{heading}", spoken) for heading in headings), box=None)
    for user in users:
        state = "disabled" if not user.enabled else "locked" if user.locked_until else "enabled"
        last = user.last_login_at.strftime("%Y-%m-%d %H:%M:%SZ") if user.last_login_at else "-"
        table.add_row(user.name, user.display_name, user.role, i18n.message(f"cli.user.state.{state}", spoken), last)
    Console().print(table)


@app.command()
def disable(name: Name) -> None:
    """Disable a user: their sessions end within seconds and they cannot sign in."""
    from gmcenter.identity import service

    run(lambda: service.set_enabled(SYSTEM, name, False))
    say("cli.user.disabled", name=name)


@app.command()
def enable(name: Name) -> None:
    """Enable a disabled user."""
    from gmcenter.identity import service

    run(lambda: service.set_enabled(SYSTEM, name, True))
    say("cli.user.enabled", name=name)


@app.command()
def passwd(name: Name, password_stdin: FromStdin = False, generate: Generate = False) -> None:
    """Set a user's password; their sessions end, and a lock is lifted."""
    from gmcenter.identity import passwords, service

    password = _password(password_stdin, generate)
    try:
        passwords.check(password, name=name.lower())
    except GMError as problem:
        fail(explain(problem))
    run(lambda: service.set_password(SYSTEM, name, password))
    say("cli.user.password_set", name=name)
    if generate:
        say("cli.user.password", password=password)


@app.command()
def role(name: Name, new: Annotated[str, typer.Argument(metavar="ROLE", help="PA or SA.")]) -> None:
    """Change a user's role; open sessions have it within seconds."""
    from gmcenter.identity import service

    if new.upper() not in ROLES:
        fail(f"ROLE is one of {', '.join(ROLES)}", USAGE)
    user = run(lambda: service.set_role(SYSTEM, name, new.upper()))
    say("cli.user.role_set", name=user.name, role=user.role)


@app.command()
def unlock(name: Name) -> None:
    """Lift the lock that wrong passwords left."""
    from gmcenter.identity import service

    forgiven = run(lambda: service.unlock(SYSTEM, name))
    say("cli.user.unlocked" if forgiven else "cli.user.not_locked", name=name)
