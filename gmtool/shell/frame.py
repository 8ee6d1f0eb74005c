"""The frame's parts as components; what they do in the browser stands in frame.jsx."""

from __future__ import annotations

from typing import Any

import reflex as rx

from gmtool.scripts import script

for _name in ("icons.jsx", "logo.jsx"):
    script(__name__, _name)  # imported by frame.jsx, so they must lie beside it
_LIBRARY = script(__name__, "frame.jsx")


def _one(value: rx.Var[int]) -> tuple[rx.Var[int]]:
    return (value,)


class _Part(rx.Component):
    library = _LIBRARY


class Sidebar(_Part):
    """The menu of the user's role, and the user box."""

    tag = "Sidebar"
    menu: rx.Var[list[dict[str, Any]]]
    role: rx.Var[str]
    name: rx.Var[str]
    version: rx.Var[str]


class SkipLink(_Part):
    """Past the menu, for keyboards."""

    tag = "SkipLink"


class PageTitle(_Part):
    """Breadcrumb and title; the document's title follows it."""

    tag = "PageTitle"
    crumbs: rx.Var[list[str]]
    title: rx.Var[str]


class ScopePicker(_Part):
    """Which clusters the page looks at."""

    tag = "ScopePicker"
    clusters: rx.Var[list[dict[str, Any]]]


class QuickSearch(_Part):
    """Ctrl or ⌘ K."""

    tag = "QuickSearch"
    menu: rx.Var[list[dict[str, Any]]]
    role: rx.Var[str]


class KindTabs(_Part):
    """The kinds that share a line of the menu."""

    tag = "KindTabs"
    tabs: rx.Var[list[dict[str, Any]]]
    counts: rx.Var[dict[str, int]]


class LanguageButton(_Part):
    """Switches between Korean and English, without a reload."""

    tag = "LanguageButton"


class LanguageSegment(_Part):
    """Both languages side by side, for the login page."""

    tag = "LanguageSegment"


class ThemeButton(_Part):
    """Switches between dark and light."""

    tag = "ThemeButton"


class KeyboardHelp(_Part):
    """The list of keys, opened by `?`."""

    tag = "KeyboardHelp"


class Notices(_Part):
    """What happened, in the corner of the screen."""

    tag = "Notices"
    notices: rx.Var[list[dict[str, Any]]]
    on_dismiss: rx.EventHandler[_one]


class SessionWatch(_Part):
    """Leaves for the login page when the session has ended."""

    tag = "SessionWatch"
    ended: rx.Var[bool]


class Offline(_Part):
    """Says that the page has lost the server."""

    tag = "Offline"


class Missing(_Part):
    """What an address shows that leads nowhere."""

    tag = "Missing"
