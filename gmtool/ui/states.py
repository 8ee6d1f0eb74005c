"""The five states a page can be in besides showing what it is for."""

from __future__ import annotations

from typing import Any

import reflex as rx

import gmtool.shell.i18n  # noqa: F401  the scripts import its module
from gmtool.ui import LUCIDE, script

_library = script("states.jsx")


class Failed(rx.Component):
    """See `failed`."""

    library = _library
    tag = "Failed"
    lib_dependencies: list[str] = [LUCIDE]

    problem: rx.Var[dict[str, Any]]
    on_retry: rx.EventHandler[rx.event.no_args_event_spec]


class Empty(rx.Component):
    """See `empty`."""

    library = _library
    tag = "Empty"
    lib_dependencies: list[str] = [LUCIDE]

    title: rx.Var[str]
    fresh: rx.Var[dict[str, Any]]
    hint: rx.Var[str]


def failed(problem: rx.Var[dict[str, Any]], **props: Any) -> rx.Component:
    """An error in the reader's words: denied, away or failed, by its code. `problem` holds both languages."""
    return Failed.create(problem=problem, **props)


def empty(title: rx.Var[str], fresh: rx.Var[dict[str, Any]], hint: rx.Var[str]) -> rx.Component:
    """Answered, and there is nothing: says how many clusters answered and what would change it."""
    return Empty.create(title=title, fresh=fresh, hint=hint)
