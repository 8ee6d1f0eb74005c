"""How pages look at topics: from an event handler, with the session of its event.

A page subscribes in `on_load` from what its address says, so a socket that was dropped, a new token or a restarted
server brings the same page back without a click: the browser's first event after it connects runs `on_load` again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import reflex as rx

from gmcenter.identity import scope
from gmtool.live.frames import Vars
from gmtool.live.topics import Topic
from gmtool.shell.guard import actor

if TYPE_CHECKING:
    from gmtool.live.dispatcher import Dispatcher

_dispatcher: Dispatcher | None = None


async def dispatch(app: rx.App) -> None:
    """Serve the open pages of this process for as long as it lives."""
    global _dispatcher
    from gmcenter.inventory.service import Feed
    from gmtool.live.dispatcher import Dispatcher
    from gmtool.live.sockets import Tabs

    _dispatcher = Dispatcher(Feed(), Tabs(app), scope_of=scope.resolve, scope_version=scope.version)
    try:
        await _dispatcher.run()
    finally:
        _dispatcher = None


def use(dispatcher: Dispatcher | None) -> None:
    """Make a dispatcher the process's own; for tests and benches."""
    global _dispatcher
    _dispatcher = dispatcher


async def look(state: rx.State, slot: str, topic: Topic) -> None:
    """Show a topic in a State and keep showing it: its variables are set now and whenever they change.

    Replaces what the same slot of the same tab showed. For guarded event handlers only.
    """
    if _dispatcher is None:  # a State under test, or the moment before the loop runs: shown once
        frame, _ = await topic.read(None)
        variables: Vars = frame.full
    else:
        router = state.router
        variables = await _dispatcher.look(
            router.session.client_token, slot, router.url.path, type(state), actor(), topic
        )
    for name, value in variables.items():
        setattr(state, name, value)


def look_away(state: rx.State, *slots: str) -> None:
    """Show no more of these slots in this tab."""
    if _dispatcher is not None:
        _dispatcher.leave(state.router.session.client_token, *slots)
