"""The Reflex app: pages, style sheets, ASGI transforms and background tasks."""

from __future__ import annotations

import reflex as rx

from gmtool.pages import pages

app = rx.App(
    stylesheets=["/tokens.css", "/radix-bridge.css", "/ui.css"],
    html_lang="ko",
)
for page in pages():
    app.add_page(page.component, route=page.route, title="GEdge GM", on_load=list(page.on_load))
