"""The outermost ASGI layer: who may call from where, and what a browser may do with our answers.

It refuses sockets and unsafe requests from other origins before Reflex or the API see them, and adds the security and
cache headers that Reflex does not.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gmtool.build_plugin import SCRIPT_HASHES

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
IMMUTABLE = b"public, max-age=31536000, immutable"
REVALIDATE = b"no-cache"


def content_security_policy(bundle: Path) -> str:
    """The policy of our pages: scripts are ours, or inline ones that the build knows by hash; never eval.

    Styles stay open to inline ones: Radix and emotion place style attributes and elements at run time.
    """
    hashes = json.loads((bundle / "build" / SCRIPT_HASHES).read_text())
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self' " + " ".join(hashes),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def same_origin(headers: dict[bytes, bytes], allowed: frozenset[str]) -> bool:
    """Whether a request may change something: its Origin, when it has one, is our own host or a configured origin.

    Browsers send Origin with every unsafe request and every socket; a program that sends none carries no cookie that
    a foreign page could have lent it, except where the browser says so itself (Sec-Fetch-Site).
    """
    origin = headers.get(b"origin")
    if origin is None:
        return headers.get(b"sec-fetch-site", b"none") in (b"none", b"same-origin")
    text = origin.decode("latin-1")
    host = headers.get(b"host", b"").decode("latin-1").lower()
    try:
        return text in allowed or (bool(host) and urlsplit(text).netloc.lower() == host)
    except ValueError:  # no URL at all
        return False


class Gate:
    """Checks the origin, passes the API's paths to the API and the rest to the portal, and adds the headers."""

    def __init__(self, portal: App, api: App | None, bundle: Path, origins: list[str], api_paths: tuple[str, ...]):
        self.portal = portal
        self.api = api
        self.api_paths = api_paths
        self.allowed = frozenset(origins)
        self.policy = content_security_policy(bundle).encode()
        client = bundle / "build" / "client"
        self.pages = frozenset("/" + p.relative_to(client).with_suffix("").as_posix() for p in client.rglob("*.html"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self.portal(scope, receive, send)
            return
        headers = dict(scope["headers"])
        unsafe = scope["type"] == "websocket" or scope["method"] not in SAFE
        if unsafe and not same_origin(headers, self.allowed):
            await self.refuse(scope, receive, send)
            return
        path: str = scope["path"]
        if self.api is not None and path.startswith(self.api_paths):
            await self.api(scope, receive, self.with_headers(path, send, page=False))
        else:
            if scope["type"] == "http" and path in self.pages:
                # The file server would redirect to the same path with a slash, by an address that a proxy may not have.
                scope = {**scope, "path": f"{path}.html", "raw_path": f"{path}.html".encode()}
            await self.portal(scope, receive, self.with_headers(path, send, page=True))

    @staticmethod
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        """403, as a problem document, or a closed socket."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        body = b'{"type":"urn:gm:problem:foreign_origin","title":"Foreign origin","status":403,"code":"foreign_origin"}'
        answer = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": answer})
        await send({"type": "http.response.body", "body": body})

    def with_headers(self, path: str, send: Send, *, page: bool) -> Send:
        """A `send` that adds what the answer lacks."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                added = [
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"same-origin"),
                    (b"x-frame-options", b"DENY"),
                    (b"cross-origin-opener-policy", b"same-origin"),
                    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
                ]
                if page:
                    added.append((b"content-security-policy", self.policy))
                    hashed = path.startswith("/assets/") and message["status"] in (200, 304)
                    added.append((b"cache-control", IMMUTABLE if hashed else REVALIDATE))
                else:
                    added.append((b"cache-control", b"no-store"))
                message["headers"] = [*message["headers"], *(h for h in added if h[0] not in present)]
            await send(message)

        return sending
