"""The clusters that the header's scope picker offers."""

from __future__ import annotations

from typing import Any

import reflex as rx

from gmcenter.core.errors import Unavailable
from gmcenter.identity import scope as scopes
from gmcenter.inventory import service as inventory
from gmtool.shell.guard import actor, requires


class Scope(rx.State):
    """One entry a cluster: its name, and its state where the user may know it."""

    clusters: list[dict[str, Any]] = []

    @requires("kinds.list")
    async def load(self) -> None:
        """Look the clusters up that the user may know of; runs when a page opens."""
        mine = await scopes.resolve(actor())
        if mine.everything:
            found = [{"name": one.name, "state": one.state} for one in await inventory.cluster_health()]
        else:
            try:
                found = [{"name": name} for name in (await inventory.facets(mine)).clusters]
            except Unavailable:  # there is no inventory yet, so nobody's projects are known to lie anywhere
                found = []
        if found != self.clusters:
            self.clusters = found
