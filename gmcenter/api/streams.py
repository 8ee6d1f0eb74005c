"""Server-sent events (WHATWG HTML §9.2): the page of rows that a query names, and its changes as they happen.

A stream begins with `event: page`, the same document that the list answers. After that, `event: change` tells which
rows of the page were put in, changed or left (`{"set": [rows], "gone": [uids], "order": [uids], "page",
"freshness"}`), and `event: page` comes again when the reader has fallen behind. A comment is sent after each silence
of 15 seconds. The stream ends with `event: end` when the session does, which is noticed within 3 seconds; then ask
anew.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import Request
from fastapi.responses import StreamingResponse

from gmcenter.api.errors import TooManyStreams
from gmcenter.api.render import Renderer
from gmcenter.core import clock, metrics
from gmcenter.core.errors import GMError, Unauthenticated
from gmcenter.core.log import get_logger
from gmcenter.core.wire import event
from gmcenter.identity import scope, sessions
from gmcenter.identity.actor import Actor
from gmcenter.inventory import service as inventory
from gmcenter.inventory.service import Feed, ListQuery, Page, Resync

HEARTBEAT_SECONDS: Final = 15.0
SESSION_SECONDS: Final = 3.0
SHORTEST_PAUSE_SECONDS: Final = 0.25
FRESHNESS_SECONDS: Final = 5.0
PER_SESSION: Final = 32
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

STREAMS = metrics.gauge("http_streams_open", "Open server-sent event streams")
_open: Counter[str] = Counter()

log = get_logger(__name__)


async def still_signed_in(request: Request, actor: Actor) -> None:
    """Raise Unauthenticated when the session of a request has ended, its access token included.

    Looks without counting as use: a stream that is merely open must not keep a session alive.
    """
    authorization = request.headers.get("authorization")
    if authorization is not None:
        now = await sessions.authenticate_token(authorization, ip=actor.ip)
    else:
        now = await sessions.authenticate_cookie(request.headers.get("cookie"), ip=actor.ip, touch=False)
    if now.user_id != actor.user_id or now.role != actor.role:
        raise Unauthenticated


def respond(request: Request, actor: Actor, events: AsyncIterator[bytes]) -> StreamingResponse:
    """The answer that sends a stream's events. Raises TooManyStreams."""
    key = actor.session_id or f"user:{actor.user_id}"
    if _open[key] >= PER_SESSION:
        raise TooManyStreams(limit=PER_SESSION, retry_after=5)

    async def sending() -> AsyncIterator[bytes]:
        _open[key] += 1
        STREAMS.inc()
        try:
            yield b"retry: 2000\n\n"
            async for piece in events:
                yield piece
        except GMError as problem:
            yield event("end", problem.problem(actor.language))
        except Exception:
            log.exception("stream_failed", path=request.url.path)
            yield event("end", {"code": "internal", "status": 500})
        finally:
            STREAMS.dec()
            _open[key] -= 1
            if not _open[key]:
                del _open[key]

    return StreamingResponse(sending(), media_type="text/event-stream", headers=HEADERS)


async def watch(request: Request, actor: Actor, query: ListQuery, renderer: Renderer) -> StreamingResponse:
    """Stream a page of rows. What is wrong with the query is told as an ordinary answer, before the stream begins."""
    first = await inventory.list_rows(await scope.resolve(actor), query)
    return respond(request, actor, _Watch(request, actor, query, renderer).events(first))


class _Watch:
    """One reader of one page."""

    def __init__(self, request: Request, actor: Actor, query: ListQuery, renderer: Renderer) -> None:
        self._request, self._actor, self._query, self._renderer = request, actor, query, renderer
        self._feed = Feed()
        self._sent: dict[str, dict[str, Any]] = {}
        self._order: list[str] = []
        self._around: dict[str, Any] = {}

    async def events(self, first: Page) -> AsyncIterator[bytes]:
        seq = await self._feed.head()
        document = self._remember(first)
        yield event("page", document, seq)
        checked = spoke = looked = clock.monotonic()
        version = await scope.version()
        dirty, cost = True, 0.0  # what changed between the query and the head would be missed else
        while True:
            pause = max(SHORTEST_PAUSE_SECONDS, 10 * cost)
            await asyncio.sleep(pause)
            await self._feed.wait(max(0.0, min(SESSION_SECONDS, FRESHNESS_SECONDS) - pause))
            now = clock.monotonic()
            if now - checked >= SESSION_SECONDS:
                await still_signed_in(self._request, self._actor)
                version, moved = await scope.version(), version
                dirty, checked = dirty or version != moved, now
            found = await self._feed.since(seq)
            if isinstance(found, Resync):
                seq, dirty = await self._feed.head(), True
            elif found:
                seq = found[-1].seq
                dirty = dirty or any(change.kind in (self._query.kind, "") for change in found)
            if dirty or now - looked >= FRESHNESS_SECONDS:
                started = clock.monotonic()
                told = await self._changes()
                cost, dirty, looked = clock.monotonic() - started, False, now
                if told is not None:
                    spoke = now
                    yield event("change", told, seq)
            if now - spoke >= HEARTBEAT_SECONDS:
                spoke = now
                yield b": still here\n\n"

    async def _changes(self) -> dict[str, Any] | None:
        """What differs from what was sent last, None when nothing does."""
        page = await inventory.list_rows(await scope.resolve(self._actor), self._query)
        before, order, around = self._sent, self._order, self._around
        document = self._remember(page)
        put = [row for uid, row in self._sent.items() if _without_age(before.get(uid)) != _without_age(row)]
        gone = [uid for uid in before if uid not in self._sent]
        states = _states(around) != _states(self._around)
        if not put and not gone and order == self._order and not states:
            return None
        return {
            "set": put,
            "gone": gone,
            "order": self._order,
            "page": document["page"],
            "freshness": document["freshness"],
        }

    def _remember(self, page: Page) -> dict[str, Any]:
        document = self._renderer.page(page, self._query.limit)
        self._sent = {row["uid"]: row for row in document["data"]}
        self._order = list(self._sent)
        self._around = document
        return document


def _without_age(row: dict[str, Any] | None) -> dict[str, Any] | None:
    return {key: value for key, value in row.items() if key != "asOf"} if row else None


def _states(document: dict[str, Any]) -> Any:
    found = document["freshness"]
    return document["page"], found["answered"], found["needed"], [source["state"] for source in found["sources"]]
