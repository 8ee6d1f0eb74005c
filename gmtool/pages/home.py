"""Where a signed-in user lands: the first page of their role's menu."""

from __future__ import annotations

from typing import Any

import reflex as rx

from gmtool.pages import Page
from gmtool.shell import navigation
from gmtool.shell.guard import actor, requires
from gmtool.shell.layout import layout


class Home(rx.State):
    """Leads on."""

    @requires("kinds.list")
    def go(self) -> Any:
        """To the landing page of the user's role, in place of this one in the history."""
        return rx.redirect(navigation.landing(actor().role), replace=True)


def home() -> rx.Component:
    """An empty frame, seen for the moment of the redirect."""
    return layout(path="/", pickers=False)


PAGES = (Page("/", home, (Home.go,)),)
