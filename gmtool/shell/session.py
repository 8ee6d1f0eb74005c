"""The signed-in user as the page sees them, notices to them, and the end of their session."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from typing import Any

import reflex as rx

from gmcenter.core.errors import Unauthenticated
from gmcenter.core.log import get_logger
from gmcenter.identity import sessions
from gmcenter.identity.actor import Actor
from gmtool.shell.guard import requires

log = get_logger(__name__)
CHECK_SECONDS = 2.0
_serial = itertools.count(1)


class Session(rx.State):
    """Name and role for the frame, `ended` for the way to the login page, `notices` for the corner of the screen.

    It holds nothing that decides: rights are looked up on every event.
    """

    name: str = ""
    role: str = ""
    ended: bool = False
    notices: list[dict[str, Any]] = []

    _owner: str = ""

    def _belong_to(self, actor: Actor | None) -> None:
        """Make this tab's state the actor's. Another session's leftovers are reset before they can be sent."""
        owner = f"{actor.user_id}:{actor.session_id}" if actor else ""
        if owner != self._owner or (actor is None and not self.ended):
            self._get_root_state().reset()
            self._owner = owner
            self.name = actor.name if actor else ""
            self.ended = actor is None
        if actor is not None and self.role != actor.role:
            self.role = actor.role

    def _end(self) -> None:
        """The session is over: forget everything that the tab was shown and send it to the login page."""
        self._belong_to(None)

    def _notify(self, tone: str, key: str = "", error: dict[str, Any] | None = None, **params: Any) -> None:
        """Show a notice: a catalogue key with its parameters, or an error as `guard.problem` gives it.

        `tone` is good, busy, warn or bad; a bad one stays until it is closed.
        """
        notice = {"id": next(_serial), "tone": tone, "key": key, "params": params, "error": error}
        self.notices = [*self.notices[-4:], notice]

    @requires("kinds.list")
    def tell_failure(self) -> None:
        """Say that something went wrong; the reason stands in the server's log."""
        self._notify("bad", error={"code": "internal", "status": 500, "params": {}, "fields": {}})

    @requires("kinds.list")
    def dismiss(self, notice: int) -> None:
        """Close one notice."""
        self.notices = [n for n in self.notices if n["id"] != notice]


async def watch_sessions(app: rx.App, period: float = CHECK_SECONDS) -> None:
    """End open pages soon after their session: a page that only looks sends no event that could be refused.

    Runs for the life of the process. Each cookie is looked up once a round, however many tabs carry it.
    """
    while True:
        await asyncio.sleep(period)
        try:
            await end_revoked(app)
        except Exception:
            log.exception("session_watch_failed")


async def end_revoked(app: rx.App) -> int:
    """Send every open page whose session has ended to the login page; returns how many."""
    namespace = app.event_namespace
    if namespace is None:
        return 0
    tabs: dict[str, list[str]] = defaultdict(list)
    for token, sid in list(namespace.token_to_sid.items()):
        headers = namespace._static_router_data.get(sid, {}).get("headers", {})
        tabs[headers.get("cookie", "")].append(token)
    ended = 0
    for cookie, tokens in tabs.items():
        try:
            await sessions.authenticate_cookie(cookie, touch=False)
        except Unauthenticated:
            for token in tokens:
                async with app.modify_state(rx.BaseStateToken(ident=token, cls=Session)) as root:
                    session = await root.get_state(Session)
                    if session._owner:
                        session._end()
                        ended += 1
    return ended
