"""The rules of every request, as plain ASGI: id, log line, metrics, size, origin, headers, no traces to the outside.

They are one layer and not six, because each layer of Starlette's own kind costs a tenth of a millisecond and the budget
of a page of rows is ten.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from fastapi import Request
from starlette.exceptions import HTTPException

from gmcenter.api import errors
from gmcenter.api.errors import BODY_BYTES
from gmcenter.core import clock, metrics
from gmcenter.core.errors import GMError, TooLarge
from gmcenter.core.log import get_logger
from gmcenter.identity import sessions

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
QUIET: Final = frozenset({"/livez", "/readyz", "/metrics"})
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,64}\Z")
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)

SECONDS = metrics.histogram("http_request_seconds", "Time to answer, by route", "method", "route", "status")
OPEN = metrics.gauge("http_requests_open", "Requests being answered, streams included")

log = get_logger("gmcenter.api.access")


class Rules:
    """ASGI around the API's application."""

    def __init__(self, app: App, origins: frozenset[str]) -> None:
        self._app, self._origins = app, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _Exchange(self._app, self._origins, scope, receive, send).run()


class _Exchange:
    """One request and its answer."""

    def __init__(self, app: App, origins: frozenset[str], scope: Scope, receive: Receive, send: Send) -> None:
        self._app, self._origins, self._scope, self._receive, self._send = app, origins, scope, receive, send
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self._headers.get(b"x-request-id", b"")
        self._id = given.decode() if _REQUEST_ID.match(given) else secrets.token_hex(8)
        self._status = 0
        self._sent = self._read = 0
        self._ended = False

    async def run(self) -> None:
        scope, started = self._scope, clock.monotonic()
        scope["state"] = {**scope.get("state", {}), "request_id": self._id}
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=self._id)
        OPEN.inc()
        try:
            self._refuse_unwelcome()
            await self._app(scope, self._receiving, self._sending)
        except GMError as problem:
            await self._problem(problem)
        except Exception:
            log.exception("request_failed", method=scope["method"], path=_path(scope))
            await self._problem(errors.Failed())
        finally:
            OPEN.dec()
            self._note(clock.monotonic() - started)

    def _refuse_unwelcome(self) -> None:
        length = self._headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > BODY_BYTES:
            raise TooLarge(limit=BODY_BYTES)
        if self._scope["method"] not in SAFE and not welcome(self._headers, self._origins):
            raise errors.ForeignOrigin(rule="same-origin")

    async def _receiving(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > BODY_BYTES:
                raise HTTPException(413)  # the only kind of error that FastAPI lets through while it reads a body
        return message

    async def _sending(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            present = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *(header for header in HEADERS if header[0] not in present),
                (b"x-request-id", self._id.encode()),
            ]
        elif message["type"] == "http.response.body":
            self._sent += len(message.get("body", b""))
            self._ended = not message.get("more_body", False)
        await self._send(message)

    async def _problem(self, problem: GMError) -> None:
        if self._status:
            if not self._ended:  # an answer that has begun can only be broken off, which the server does
                raise problem
            return
        request = Request(self._scope, self._receive)
        await errors.answer(problem, request)(self._scope, self._receive, self._sending)

    def _note(self, seconds: float) -> None:
        scope, status = self._scope, self._status or 499
        route = getattr(scope.get("route"), "path", None) or "-"
        SECONDS.labels(scope["method"], route, f"{status // 100}xx").observe(seconds)
        if scope["path"] in QUIET and status < 400:
            return
        client = scope.get("client")
        log.info(
            "request",
            method=scope["method"],
            path=_path(scope),
            status=status,
            ms=round(seconds * 1000, 2),
            bytes=self._sent,
            peer=client[0] if client else None,
        )


def _path(scope: Scope) -> str:
    """The path for the log: without the query, which may hold anything, and bounded."""
    return str(scope["path"])[:300]


def welcome(headers: dict[bytes, bytes], origins: frozenset[str]) -> bool:
    """Whether a request that may change something comes from our own pages, or from a program.

    A browser names the Origin of every such request. A bearer token never rides along by itself, so its holder decides;
    our cookie does, so with it a request must show that it is ours.
    """
    if b"authorization" in headers:
        return True
    host = headers.get(b"host", b"").decode("latin-1").lower()
    origin = headers.get(b"origin")
    if origin is not None:
        text = origin.decode("latin-1")
        return text in origins or (bool(host) and _place(text) == host)
    fetch_site = headers.get(b"sec-fetch-site")
    if fetch_site is not None:
        return fetch_site == b"same-origin"
    if sessions.cookie_value(headers.get(b"cookie", b"").decode("latin-1")) is None:
        return True
    referer = headers.get(b"referer", b"").decode("latin-1")
    return bool(host) and _place(referer) == host


def _place(url: str) -> str:
    """Host and port of a URL as they stand there, empty for what is none."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""
