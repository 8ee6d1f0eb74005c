"""The list and the detail of every kind, made from its declaration.

One State serves them all: a tab shows one list at a time. It holds one page of rows and one object; everything that a
page was asked stands in its address, which `load` reads whenever the address changes or the socket comes back.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import reflex as rx

from gmcenter.core import clock
from gmcenter.identity import policy, scope
from gmcenter.inventory import service
from gmcenter.inventory.service import ListQuery
from gmcenter.kube.kinds import KINDS, Column, ColumnType, Kind, describe
from gmtool.live.fleet import Fleet
from gmtool.live.subscription import look, look_away
from gmtool.live.topics import CountsTopic, DetailTopic, FreshTopic, ListTopic
from gmtool.pages import Page, blocks
from gmtool.shell import navigation
from gmtool.shell.guard import actor, requires
from gmtool.shell.i18n import t
from gmtool.shell.layout import layout
from gmtool.shell.scope import Scope
from gmtool.shell.session import Session
from gmtool.ui.detail import detail, split
from gmtool.ui.freshness import lamp
from gmtool.ui.table import table

PAGE_SIZE, MOST = 50, 500
MOST_COLUMNS, MOST_EXPORTED = 60, 20_000
BY_PATH = {kind.menu: kind for kind in KINDS.values()}
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run
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


def to_csv(columns: Sequence[Column], headings: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV (RFC 4180, with a byte order mark so that spreadsheets read Korean). Nothing in it is a formula."""
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text)
    names = [str(heading) for heading in headings] + [column.key for column in columns[len(headings) :]]
    writer.writerow([_cell(name, None) for name in names[: len(columns)]])
    for row in rows:
        writer.writerow([_cell(row.get(column.key), column.type) for column in columns])
    return text.getvalue()


def _cell(value: Any, type_: ColumnType | None) -> str:
    if value is None:
        return ""
    if type_ is ColumnType.TIME:
        return clock.rfc3339(float(value))
    if isinstance(value, list):
        value = " ".join(map(str, value))
    plain = str(value)
    return f"'{plain}" if plain.startswith(FORMULA) and not isinstance(value, int | float) else plain


class KindPage(rx.State):
    """One page of one list, and what is open of it."""

    page: dict[str, Any] = {}
    patch: dict[str, Any] = {}
    fresh: dict[str, Any] = {}
    detail: dict[str, Any] = {}
    counts: dict[str, int] = {}
    problem: dict[str, Any] = {}

    @requires("kinds.list")
    async def load(self) -> None:
        """Show what the address asks for, and keep showing it."""
        url = self.router.url
        kind = BY_PATH.get(url.path.rstrip("/"))
        if kind is None:
            return
        params = url.query_parameters
        place = navigation.locate(kind.menu)
        if place:
            policy.require(actor(), place[1].action)
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
        if place and place[1].tabs:
            await look(self, "counts", CountsTopic(mine, place[1].tabs, query.clusters))
        else:
            look_away(self, "counts")

    @requires("kinds.list")
    async def export(self, keys: list[str], headings: list[str]) -> Any:
        """Hand the whole list to the browser as CSV: what the address asks, in the columns that are shown."""
        kind = BY_PATH.get(self.router.url.path.rstrip("/"))
        columns = [column for key in keys[:MOST_COLUMNS] if kind and (column := kind.column(str(key)))]
        if kind is None or not columns:
            return None
        mine = await scope.resolve(actor())
        query = replace(query_of(kind, self.router.url.query_parameters), limit=MOST, cursor=None)
        rows: list[dict[str, Any]] = []
        while True:
            page = await service.list_rows(mine, query)
            rows += page.rows
            if page.next is None or len(rows) >= MOST_EXPORTED:
                break
            query = replace(query, cursor=page.next)
        if page.next is not None:
            session = await self.get_state(Session)
            session._notify("warn", "ui.table.export_cut", count=len(rows))
        name = f"{kind.plural}-{clock.now():%Y%m%dT%H%M%SZ}.csv"
        return rx.download(data=to_csv(columns, headings, rows), filename=name)

    def _refused(self, problem: dict[str, Any]) -> None:
        look_away(self, "list", "detail", "fresh", "counts")
        self.problem = problem
        if problem["status"] != 400:  # else the rows of the question before stay, dimmed
            self.page, self.patch, self.detail = {}, {}, {}


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
                    source=f"/gmcapi/v2/view?kind={kind.plural}",
                    on_export=KindPage.export,
                    empty_hint=t(f"ui.empty.{'namespaced' if kind.namespaced else 'cluster'}"),
                    on_retry=KindPage.load,
                ),
                detail(kind.plural, declared["tabs"], KindPage.detail),
            ),
            path=kind.menu,
            title=declared["labelKey"],
            lamp=lamp(Fleet.fresh),
            counts=KindPage.counts,
        )

    page.__name__ = f"{kind.plural}_page"
    return page


PAGES = tuple(Page(kind.menu, kind_page(kind), (Scope.load, Fleet.watch, KindPage.load)) for kind in KINDS.values())
