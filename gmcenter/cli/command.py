"""What the operator's commands share: they run on the machine, as the system, and end with a code that means something.

0: done · 1: refused, with the reason on standard error · 2: wrong usage · 3: the installation cannot be used.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

import typer

from gmcenter.core import database, i18n, migrate
from gmcenter.core.errors import GMError
from gmcenter.core.log import configure as configure_log
from gmcenter.core.settings import settings
from gmcenter.core.vault import VaultError

T = TypeVar("T")

REFUSED, USAGE, UNUSABLE = 1, 2, 3


class Output(StrEnum):
    """How a command answers: for people or for programs."""

    TEXT = "text"
    JSON = "json"


def language() -> str:
    """The language of the operator's terminal, of those that we have."""
    spoken = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "ko" if spoken.lower().startswith("ko") else "en"


def fail(words: str, code: int = REFUSED) -> NoReturn:
    """Say why on standard error and stop with ``code``."""
    typer.secho(f"gm: {words}", fg=typer.colors.RED, err=True)
    raise typer.Exit(code)


def explain(problem: GMError) -> str:
    """An error in the operator's language: what happened, every bad field, what to do."""
    spoken = language()
    parts = [problem.message(spoken), *(error.words(spoken) for error in problem.errors)]
    if hint := problem.hint(spoken):
        parts.append(hint)
    return " ".join(parts)


def prepare() -> None:
    """Make sure that there is a database of this version and a key; stops the command when there cannot be."""
    configure_log("warning", settings().log_format)
    try:
        migrate.prepare()
    except (migrate.SchemaError, VaultError) as problem:
        fail(str(problem), UNUSABLE)


def run(use_case: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a use case to its end on a prepared installation; a refusal stops the command with its reason."""

    async def whole() -> T:
        try:
            return await use_case()
        finally:
            await database.dispose()

    prepare()
    try:
        return asyncio.run(whole())
    except GMError as problem:
        fail(explain(problem))


def answer(document: Any, output: Output, text: Callable[[], None]) -> None:
    """Print a document as JSON, or say it in words."""
    if output is Output.JSON:
        json.dump(document, sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    else:
        text()


def say(key: str, **params: object) -> None:
    """Print a text of the catalogue."""
    typer.echo(i18n.message(key, language(), **params))


def say_aside(key: str, **params: object) -> None:
    """Print a text of the catalogue on standard error: progress, which does not belong to the answer."""
    typer.echo(i18n.message(key, language(), **params), err=True)
