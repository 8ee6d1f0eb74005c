"""The open tabs of this process, as Reflex knows them.

Reflex is pinned to one version; what is used here beyond its documented interface stands in this file and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import reflex as rx

from gmcenter.core import clock
from gmtool.live.dispatcher import Reader
from gmtool.shell.session import Session

GRACE_SECONDS = 60.0
"""How long the State of a tab outlives its socket, so that a short break needs no new one."""
MOST_QUEUED = 8
"""Packets that may wait in a socket before its tab is skipped; a later push says all that they said."""


class Tabs:
    """Implements `dispatcher.Sockets` on a Reflex app."""

    def __init__(self, app: rx.App) -> None:
        self.app = app
        self._gone: dict[str, float] = {}

    def connected(self, token: str) -> bool:
        """Whether the tab's socket is open."""
        namespace = self.app.event_namespace
        return namespace is not None and token in namespace.token_to_sid

    def clogged(self, token: str) -> bool:
        """Whether the tab's socket has more than a few packets waiting."""
        namespace = self.app.event_namespace
        if namespace is None or (sid := namespace.token_to_sid.get(token)) is None:
            return True
        server = namespace.server
        engine_sid = server.manager.eio_sid_from_sid(sid, namespace.namespace)
        socket = server.eio.sockets.get(engine_sid)
        return socket is not None and socket.queue.qsize() > MOST_QUEUED

    async def push(self, token: str, readers: Sequence[Reader]) -> Sequence[Reader]:
        """Set what each reader takes on its State; Reflex sends the difference. Returns those that look no more."""
        where = rx.BaseStateToken(ident=token, cls=readers[0].state)
        over: list[Reader] = []
        async with self.app.modify_state(where) as root:
            session = await root.get_state(Session)
            path = root.router.url.path
            for reader in readers:
                owner = f"{reader.actor.user_id}:{reader.actor.session_id}"
                if session._owner != owner or path != reader.path:
                    over.append(reader)
                elif variables := reader.take():
                    state = await root.get_state(reader.state)
                    for name, value in variables.items():
                        setattr(state, name, value)
        return over

    async def sweep(self) -> None:
        """Free the State of tabs whose socket has been gone for a while (Reflex itself keeps them for an hour)."""
        manager: Any = self.app.state_manager
        states, purge = getattr(manager, "states", None), getattr(manager, "_purge_token", None)
        if states is None or purge is None:
            return  # States in Redis expire there
        now = clock.monotonic()
        held = {token.ident: token for _, token in list(manager._token_expires_at.values())}
        for ident, token in held.items():
            if self.connected(ident):
                self._gone.pop(ident, None)
            elif now - self._gone.setdefault(ident, now) > GRACE_SECONDS:
                lock = manager._states_locks.get(token.lock_key)
                if lock is None or not lock.locked():
                    purge(token)
                    self._gone.pop(ident, None)
        for ident in [ident for ident in self._gone if ident not in held]:
            del self._gone[ident]
