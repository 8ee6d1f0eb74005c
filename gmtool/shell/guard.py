"""Who is behind an event, and whether they may.

Any public method of a State can be called by anyone who opens the socket. So every handler carries `@requires(action)`,
which looks the session up again on each event (a socket's cookie is frozen when it opens; a session may have ended
since), and a middleware turns strangers away before any handler runs, whatever it carries. The page's state in the
server belongs to one session: when another one comes with the same tab, everything is reset before anything is sent.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

import reflex as rx
from reflex.event import EventSpec
from reflex.middleware import Middleware
from reflex.state import BaseState, StateUpdate

from gmcenter.core.errors import GMError, Unauthenticated
from gmcenter.core.log import get_logger
from gmcenter.identity import policy, sessions
from gmcenter.identity.actor import Actor

log = get_logger(__name__)
Handler = TypeVar("Handler", bound=Callable[..., Any])
ACTION = "_gm_action"

# Reflex's own events. They carry no data of ours: the state they send has been emptied for a stranger before.
INTERNAL = frozenset(
    {
        "reflex___state____state.hydrate",
        "reflex___state____state.hydrate_and_load",
        "reflex___state____state.set_is_hydrated",
        "reflex___state____state.reflex___state____on_load_internal_state.on_load_internal",
        "reflex___state____state.reflex___state____on_load_internal_state.set_is_hydrated",
        "reflex___state____state.reflex___state____update_vars_internal_state.update_vars_internal",
    }
)

_actor: ContextVar[Actor | None] = ContextVar("gm_actor", default=None)


def actor() -> Actor:
    """The user whose event is being handled. Raises Unauthenticated outside a guarded handler."""
    found = _actor.get()
    if found is None:
        raise Unauthenticated
    return found


def cookie_of(state: BaseState) -> str:
    """The Cookie header with which the state's socket was opened."""
    return state.router.headers.cookie or ""


async def authenticate(state: BaseState) -> Actor:
    """The user of a state's socket, looked up now. Raises Unauthenticated."""
    return await sessions.authenticate_cookie(cookie_of(state))


def problem(error: GMError) -> dict[str, Any]:
    """What a page needs to word an error in its reader's language: its code and the facts behind it, never a secret."""
    document = error.problem("en")
    return {
        "code": error.code,
        "status": error.status,
        "params": document.get("params", {}),
        "fields": {e.field: {"code": e.key, "params": e.params} for e in error.errors},
    }


async def _admit(state: BaseState, action: str) -> None:
    _actor.set(None)
    found = await authenticate(state)
    policy.require(found, action)
    _actor.set(found)


async def _refuse(state: BaseState, error: GMError) -> Any:
    """Tell the page why: its own `_refused` when it has one, a notice otherwise."""
    from gmtool.shell.session import Session

    if isinstance(error, Unauthenticated):
        session = await state.get_state(Session)
        session._end()
        return None
    own = getattr(state, "_refused", None)
    if own is not None:
        answer = own(problem(error))
        return await answer if inspect.isawaitable(answer) else answer
    session = await state.get_state(Session)
    session._notify("bad", error=problem(error))
    return None


def requires(action: str) -> Callable[[Handler], Handler]:
    """Guard a State's event handler: it runs only for a live session that `policy` allows `action`.

    Inside, `actor()` is the user. A GMError that the handler raises is shown to the user: passed to the State's
    `_refused(problem)` when it has one, shown as a notice otherwise.
    """
    if action not in policy.RULES:
        raise policy.UnknownAction(action)

    def decorate(handler: Handler) -> Handler:
        if inspect.isasyncgenfunction(handler) or inspect.isgeneratorfunction(handler):

            @functools.wraps(handler)
            async def guarded(self: BaseState, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
                try:
                    await _admit(self, action)
                    steps = handler(self, *args, **kwargs)
                    if inspect.isasyncgen(steps):
                        async for step in steps:
                            yield step
                    else:
                        for step in steps:
                            yield step
                except GMError as error:
                    yield await _refuse(self, error)

        else:

            @functools.wraps(handler)
            async def guarded(self: BaseState, *args: Any, **kwargs: Any) -> Any:
                try:
                    await _admit(self, action)
                    answer = handler(self, *args, **kwargs)
                    return await answer if inspect.isawaitable(answer) else answer
                except GMError as error:
                    return await _refuse(self, error)

        setattr(guarded, ACTION, action)
        return guarded  # type: ignore[return-value]

    return decorate


class SessionMiddleware(Middleware):
    """Binds a tab's state to one session, and stops every event of a stranger but Reflex's own."""

    async def preprocess(self, app: rx.App, state: BaseState, event: rx.event.Event) -> StateUpdate | None:  # noqa: ARG002
        """Runs before each event, the first one of a connection included."""
        from gmtool.shell.session import Session

        _actor.set(None)
        try:
            found = await authenticate(state)
        except Unauthenticated:
            found = None
        session = await state.get_state(Session)
        session._belong_to(found)
        if found is None and event.name not in INTERNAL:
            root = state._get_root_state()
            delta = await root._get_resolved_delta()
            root._clean()
            return StateUpdate(delta=delta)
        return None


def tell_failure(exception: Exception) -> EventSpec | None:
    """What a user sees when a handler fails in a way that nobody foresaw: that it did, and nothing of how."""
    from gmtool.shell.session import Session

    log.error("event_failed", exc_info=exception)
    return Session.tell_failure()
