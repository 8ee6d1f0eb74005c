"""Where a signed-in user lands."""

from __future__ import annotations

import reflex as rx

from gmtool.pages import Page
from gmtool.shell.i18n import t


def home() -> rx.Component:
    return rx.el.main(t("shell.home"))


PAGES = (Page("/", home),)
