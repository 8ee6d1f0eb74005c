"""The menu, declared once: sections, pages, who sees them. The frame, the breadcrumb, the quick search and the landing
page are made from it. A page that is not built has no entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gmcenter.identity import policy
from gmcenter.identity.actor import ROLES, Actor
from gmcenter.kube.kinds import KINDS


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the menu. `tabs` are the kinds that share it; `action` is what a role must be allowed to see it."""

    key: str
    path: str
    icon: str
    action: str = "kinds.list"
    tabs: tuple[str, ...] = ()
    search: bool = False

    @property
    def label(self) -> str:
        """Translation key."""
        return f"nav.{self.key}"


@dataclass(frozen=True, slots=True)
class Section:
    """A group of the menu; it is shown when one of its entries is."""

    key: str
    icon: str
    entries: tuple[Entry, ...]

    @property
    def label(self) -> str:
        """Translation key."""
        return f"nav.{self.key}"


MENU = (
    Section(
        "platform",
        "layers",
        (
            Entry("clusters", "/platform/clusters", "blocks", "clusters.list"),
            Entry("edge", "/platform/clusters?zone=edge", "radio-tower", "clusters.list"),
            Entry("cloud", "/platform/clusters?zone=cloud", "cloud", "clusters.list"),
            Entry("sites", "/platform/sites", "map-pin", "sites.list"),
            Entry("nodes", KINDS["nodes"].menu, "server", "clusters.read", search=True),
        ),
    ),
    Section(
        "service",
        "boxes",
        (
            Entry(
                "workloads",
                KINDS["deployments"].menu,
                "boxes",
                tabs=("deployments", "services", "pods"),
                search=True,
            ),
            Entry("namespaces", KINDS["namespaces"].menu, "folder", search=True),
            Entry("events", KINDS["events"].menu, "activity", search=True),
        ),
    ),
)


def visible(entry: Entry, role: str) -> bool:
    """Whether a role sees an entry: what the policy says about its action."""
    probe = Actor(user_id=0, name="", role=role, session_id=None, ip=None)  # type: ignore[arg-type]
    return bool(policy.allowed(probe, entry.action))


def landing(role: str) -> str:
    """The first page of a role's menu."""
    for section in MENU:
        for entry in section.entries:
            if visible(entry, role):
                return entry.path
    return "/"


def locate(path: str) -> tuple[Section, Entry] | None:
    """The menu's place of a page's path."""
    for section in MENU:
        for entry in section.entries:
            if path == entry.path or path.partition("?")[0] in {KINDS[tab].menu for tab in entry.tabs}:
                return section, entry
    return None


def tree() -> list[dict[str, Any]]:
    """The menu as the frame's script reads it."""
    return [
        {
            "label": section.label,
            "icon": section.icon,
            "entries": [
                {
                    "label": entry.label,
                    "path": entry.path,
                    "icon": entry.icon,
                    "roles": [role for role in ROLES if visible(entry, role)],
                    "tabs": [
                        {"kind": tab, "label": f"kind.{tab}.title", "path": KINDS[tab].menu} for tab in entry.tabs
                    ],
                    "search": entry.search,
                }
                for entry in section.entries
            ],
        }
        for section in MENU
    ]
