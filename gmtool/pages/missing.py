"""An address that leads nowhere."""

from __future__ import annotations

import reflex as rx

from gmtool.pages import Page
from gmtool.shell.frame import Missing
from gmtool.shell.layout import layout


def missing() -> rx.Component:
    """Says so, inside the frame, and leads back."""
    return layout(Missing.create(), path="/", title="missing.title", pickers=False)


PAGES = (Page("404", missing),)
