"""How true the screen is: which clusters answered, and since when."""

from __future__ import annotations

from typing import Any

import reflex as rx

import gmtool.shell.i18n  # noqa: F401  the scripts import its module
from gmtool.ui import LUCIDE, script

_library = script("freshness.jsx")


class Lamp(rx.Component):
    """See `lamp`."""

    library = _library
    tag = "Lamp"
    lib_dependencies: list[str] = [LUCIDE]

    fresh: rx.Var[dict[str, Any]]


class AsOf(rx.Component):
    """See `as_of`."""

    library = _library
    tag = "AsOf"
    lib_dependencies: list[str] = [LUCIDE]

    fresh: rx.Var[dict[str, Any]]


def lamp(fresh: rx.Var[dict[str, Any]]) -> rx.Component:
    """The header's lamp: a tick per cluster, how many answered, how old the oldest answer is; a table behind it."""
    return Lamp.create(fresh=fresh)


def as_of(fresh: rx.Var[dict[str, Any]]) -> rx.Component:
    """The same in one line, beside one list or one object."""
    return AsOf.create(fresh=fresh)
