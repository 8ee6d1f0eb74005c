"""The list and the detail of every kind, made from its declaration.

One State serves them all: a tab shows one list at a time. It holds one page of rows and one object; everything that a
page was asked stands in its address, which `load` reads whenever the address changes or the socket comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import reflex as rx

from gmcenter.identity import scope
from gmcenter.inventory.service import ListQuery
from gmcenter.kube.kinds import KINDS, Kind, describe
from gmtool.live.fleet import Fleet
from gmtool.live.subscription import look, look_away
from gmtool.live.topics import DetailTopic, FreshTopic, ListTopic
from gmtool.pages import Page, blocks
from gmtool.shell.guard import actor, requires
from gmtool.shell.i18n import t
from gmtool.shell.layout import layout
from gmtool.shell.scope import Scope
from gmtool.ui.detail import detail, split
from gmtool.ui.freshness import lamp
from gmtool.ui.table import table

PAGE_SIZE, MOST = 50, 500
BY_PATH = {kind.menu: kind for kind in KINDS.values()}
SCOPED = ("namespace", "project", "workspace", "user")


def query_of(kind: Kind, params: Mapping[str, str]) -> ListQuery:
    """What a list's address asks. Raises nothing: what it asks is checked where it is answered."""
    limit = params.get("limit", "")
    return ListQuery(
        kind=kind.plural,
        clusters=tuple(filter(None, params.get("cluster", "").split(","))),
        **{name: params[name] for name in SCOPED if params.get(name)},
        q=params.get("q") or None,
        label_selector=params.get("labelSelector") or None,
        field_selector=params.get("fieldSelector") or None,
        filters={name.removeprefix("f."): text for name, text in params.items() if name.startswith("f.") and text},
        sort=params.get("sort") or None,
        limit=max(1, min(int(limit), MOST)) if limit.isdecimal() else PAGE_SIZE,
        cursor=params.get("cursor") or None,
    )


def opened(kind: Kind, params: Mapping[str, str]) -> tuple[str, str | None, str, str] | None:
    """Cluster, namespace, name and tab of what an address has open; None when nothing is."""
    parts = [unquote(part) for part in params.get("open", "").split("/")]
    if len(parts) != 3 or not parts[0] or not parts[2]:
        return None
    tab = params.get("tab", "")
    return parts[0], parts[1] or None, parts[2], tab if tab in kind.tabs else kind.tabs[0]


class KindPage(rx.State):
    """One page of one list, and what is open of it."""

    page: dict[str, Any] = {}
    patch: dict[str, Any] = {}
    fresh: dict[str, Any] = {}
    detail: dict[str, Any] = {}
    problem: dict[str, Any] = {}

    @requires("kinds.list")
    async def load(self) -> None:
        """Show what the address asks for, and keep showing it."""
        url = self.router.url
        kind = BY_PATH.get(url.path.rstrip("/"))
        if kind is None:
            return
        params = url.query_parameters
        mine = await scope.resolve(actor())
        if self.problem:
            self.problem = {}
        if what := opened(kind, params):
            cluster, namespace, name, tab = what
            topic = DetailTopic(mine, kind.plural, cluster, namespace, name, tab, blocks.compose)
            await look(self, "detail", topic)
        else:
            look_away(self, "detail")
            if self.detail:
                self.detail = {}
        query = query_of(kind, params)
        await look(self, "fresh", FreshTopic(mine, kind.plural, query.clusters))
        await look(self, "list", ListTopic(mine, query))

    def _refused(self, problem: dict[str, Any]) -> None:
        look_away(self, "list", "detail", "fresh")
        self.page, self.patch, self.detail, self.problem = {}, {}, {}, problem


def kind_page(kind: Kind) -> Callable[[], rx.Component]:
    """The component of a kind's page."""
    declared = describe(kind)

    def page() -> rx.Component:
        return layout(
            split(
                table(
                    kind.plural,
                    declared["columns"],
                    title=t(declared["labelKey"]),
                    page=KindPage.page,
                    patch=KindPage.patch,
                    fresh=KindPage.fresh,
                    problem=KindPage.problem,
                    source=f"/gmcapi/v2/{kind.plural}",
                    empty_hint=t(f"ui.empty.{'namespaced' if kind.namespaced else 'cluster'}"),
                    on_retry=KindPage.load,
                ),
                detail(kind.plural, declared["tabs"], KindPage.detail),
            ),
            path=kind.menu,
            title=declared["labelKey"],
            lamp=lamp(Fleet.fresh),
        )

    page.__name__ = f"{kind.plural}_page"
    return page


PAGES = tuple(Page(kind.menu, kind_page(kind), (Scope.load, Fleet.watch, KindPage.load)) for kind in KINDS.values())
