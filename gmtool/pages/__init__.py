"""The pages, one module each. A module lists what it offers in PAGES."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

MODULES = (
    "gmtool.pages.login",
    "gmtool.pages.home",
    "gmtool.pages.platform.clusters",
    "gmtool.pages.platform.register",
    "gmtool.pages.kinds",
    "gmtool.pages.missing",
)


@dataclass(frozen=True, slots=True)
class Page:
    """One address: what it shows and the State handlers that run when it is opened. `framed`: it has our frame."""

    route: str
    component: Callable[[], Any]
    on_load: Sequence[Any] = ()
    framed: bool = True


def pages() -> list[Page]:
    """Every page that is built, in the order of MODULES."""
    found: list[Page] = []
    for name in MODULES:
        if find_spec(name) is not None:
            found += import_module(name).PAGES
    return found
