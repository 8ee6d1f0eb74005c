"""One object beside its list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import reflex as rx

import gmtool.shell.i18n  # noqa: F401  the scripts import its module
from gmtool.ui import LUCIDE, script

_library = script("detail.jsx")


class DetailPane(rx.Component):
    """See `detail`."""

    library = _library
    tag = "DetailPane"
    lib_dependencies: list[str] = [LUCIDE]

    detail: rx.Var[dict[str, Any]]
    tabs: rx.Var[list[str]]
    kind: rx.Var[str]


class Split(rx.Component):
    """See `split`."""

    library = _library
    tag = "Split"
    lib_dependencies: list[str] = [LUCIDE]


def detail(kind: str, tabs: Sequence[str], shown: rx.Var[dict[str, Any]], *actions: rx.Component) -> rx.Component:
    """What the address's `open` names, under the tab that its `tab` names (the first when it names none).

    `shown` is made by `gmtool.live.frames.detail`: what the object is, where it lives, and the blocks of the tab.
    `actions` stand in its header.
    """
    return DetailPane.create(*actions, kind=kind, tabs=list(tabs), detail=shown)


def split(listed: rx.Component, opened: rx.Component) -> rx.Component:
    """A list with what is open of it below or beside; the splitter's place is remembered in the browser."""
    return Split.create(listed, opened)
