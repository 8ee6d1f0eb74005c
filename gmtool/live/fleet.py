"""The header's lamp: every cluster and whether it answers, live on every page."""

from __future__ import annotations

from typing import Any

import reflex as rx

from gmcenter.identity import scope
from gmtool.live.subscription import look
from gmtool.live.topics import FleetTopic
from gmtool.shell.guard import actor, requires


class Fleet(rx.State):
    """`fresh` feeds the lamp."""

    fresh: dict[str, Any] = {}

    @requires("kinds.list")
    async def watch(self) -> None:
        """Runs when a page opens."""
        await look(self, "fleet", FleetTopic(await scope.resolve(actor())))
