"""The page layout: side bar, header with title and controls, main area."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import reflex as rx

from gmtool.live.fleet import Fleet
from gmtool.shell import frame, navigation
from gmtool.shell.i18n import t
from gmtool.shell.scope import Scope
from gmtool.shell.session import Session
from gmtool.ui.freshness import lamp as fleet_lamp

VERSION = "3.0"
LOADS = (Scope.load, Fleet.watch)
"""What every page in the frame loads."""

# Before the first paint: the folded side bar and the language of the last visit. A page is prerendered in Korean, so
# another language stays hidden for the moment until React has put its words in.
BEFORE_PAINT = """(function () {
  var root = document.documentElement;
  try {
    root.dataset.side = localStorage.getItem("gm_side") === "mini" ? "mini" : "full";
    var language = (document.cookie.match(/(?:^|;\\s*)gm_lang=(ko|en)/) || [])[1] || localStorage.getItem("gm_lang")
      || ((navigator.language || "").indexOf("ko") === 0 ? "ko" : "en");
    if (language !== "ko") {
      root.classList.add("gm-wait");
      setTimeout(function () { root.classList.remove("gm-wait"); }, 3000);
    }
  } catch (error) { root.dataset.side = "full"; }
})();"""


def head() -> list[rx.Component]:
    """What every document's head carries."""
    return [
        rx.el.script(BEFORE_PAINT),
        rx.el.link(rel="icon", href="/favicon.svg", type="image/svg+xml"),
        rx.el.meta(name="color-scheme", content="dark light"),
    ]


def layout(
    *children: Any,
    path: str,
    title: str | rx.Var[str] | None = None,
    crumbs: Sequence[str | rx.Var[str]] = (),
    lamp: rx.Component | None = None,
    pickers: bool = True,
    counts: rx.Var[dict[str, int]] | None = None,
) -> rx.Component:
    """A page in its frame.

    `path` is the page's place in the menu (navigation.MENU). `title` is a translation key or a Var; without it the
    menu's own word is the title. `crumbs` are added behind the menu's section. `lamp` stands in for the fleet's.
    `counts` are the numbers beside the tabs, by kind.
    """
    place = navigation.locate(path)
    words = [c if isinstance(c, rx.Var) else t(c) for c in crumbs]
    trail: list[Any] = [t(place[0].label)] if place else []
    if place and title is not None:
        trail.append(t(place[1].label))
    heading = t(title) if isinstance(title, str) else title
    if heading is None:
        heading = t(place[1].label) if place else t("shell.home")
    tabs = next(
        (e["tabs"] for s in navigation.tree() for e in s["entries"] if place and e["path"] == place[1].path), []
    )
    menu = navigation.tree()
    return rx.el.div(
        frame.SkipLink.create(),
        rx.el.div(
            frame.Sidebar.create(menu=menu, role=Session.role, name=Session.name, version=VERSION),
            rx.el.header(
                frame.PageTitle.create(crumbs=[*trail, *words], title=heading),
                rx.el.div(class_name="sp"),
                frame.ScopePicker.create(clusters=Scope.clusters) if pickers else rx.fragment(),
                frame.QuickSearch.create(menu=menu, role=Session.role),
                lamp or fleet_lamp(Fleet.fresh),
                frame.LanguageButton.create(),
                frame.ThemeButton.create(),
                class_name="head",
            ),
            rx.el.main(
                frame.KindTabs.create(tabs=tabs, counts={} if counts is None else counts) if tabs else rx.fragment(),
                rx.el.div(*children, class_name="gm-page"),
                class_name="main",
                id="gm-main",
                tab_index=-1,
            ),
            class_name="app",
        ),
        common(),
    )


def common() -> rx.Component:
    """What every signed-in page has besides its frame."""
    return rx.fragment(
        frame.Notices.create(notices=Session.notices, on_dismiss=Session.dismiss),
        frame.KeyboardHelp.create(),
        frame.Offline.create(),
        frame.SessionWatch.create(ended=Session.ended),
    )
