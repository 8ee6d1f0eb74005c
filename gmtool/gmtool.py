"""The Reflex app: pages, style sheets, ASGI transforms and background tasks."""

from __future__ import annotations

import reflex as rx

from gmtool.live.subscription import dispatch
from gmtool.pages import pages
from gmtool.shell.guard import SessionMiddleware, tell_failure
from gmtool.shell.layout import LOADS, head
from gmtool.shell.session import watch_sessions

app = rx.App(
    stylesheets=["/tokens.css", "/radix-bridge.css", "/ui.css", "/frame.css", "/login.css", "/forms.css"],
    html_lang="ko",
    head_components=head(),
    # Ours stand in gmtool.shell.frame: notices and the sign that the server is away.
    toaster=None,
    app_wraps={},
    backend_exception_handler=tell_failure,
)
app.add_middleware(SessionMiddleware(), index=0)
for page in pages():
    loads = [*LOADS, *(load for load in page.on_load if load not in LOADS)] if page.framed else list(page.on_load)
    app.add_page(page.component, route=page.route, title="GEdge GM", on_load=loads)


async def watch() -> None:
    """End open pages with their sessions."""
    await watch_sessions(app)


async def live() -> None:
    """Move open pages with what happens."""
    await dispatch(app)


app.register_lifespan_task(watch)
app.register_lifespan_task(live)
