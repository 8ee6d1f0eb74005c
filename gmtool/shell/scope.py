"""The clusters that the header's scope picker offers, and how many each zone has."""

from __future__ import annotations

from typing import Any

import reflex as rx

from gmtool.shell.guard import actor, requires


class Scope(rx.State):
    """One entry a cluster: name, zone, state."""

    clusters: list[dict[str, Any]] = []

    @requires("kinds.list")
    async def load(self) -> None:
        """Look the clusters up that the user may know of; runs when a page opens."""
        from gmcenter.inventory import service as inventory

        if not actor().is_platform_admin:
            self.clusters = []  # tenancy will say which clusters a Service Admin's projects lie in
            return
        found = await inventory.cluster_health()
        self.clusters = [{"name": one.name, "state": one.state} for one in found]
