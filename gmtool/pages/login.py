"""The login page. It has no State: the form posts to the REST API, which sets the cookie and leads back here or on."""

from __future__ import annotations

import reflex as rx

from gmtool.pages import Page
from gmtool.scripts import script
from gmtool.shell import frame  # noqa: F401 - login.jsx imports frame.jsx, which this module puts into the bundle

COPYRIGHT_YEAR = 2026


class LoginPage(rx.Component):
    """Brand art on the left, the form on the right."""

    library = script(__name__, "login.jsx")
    tag = "LoginPage"
    year: rx.Var[int]


def login() -> rx.Component:
    """`/login?next=/path&error=code&retry_after=seconds`"""
    return LoginPage.create(year=COPYRIGHT_YEAR)


PAGES = (Page("/login", login, framed=False),)
