"""FastAPI dependencies: who makes this request."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import structlog
from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from gmcenter.core import language
from gmcenter.core.errors import Unauthenticated
from gmcenter.identity import sessions
from gmcenter.identity.actor import Actor

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="Access token of POST /gmcapi/v2/auth")
_cookie = APIKeyCookie(name=sessions.COOKIE, auto_error=False, description="A browser's session")


def peer(request: Request) -> str | None:
    """The address the request came from, as the server knows it."""
    return request.client.host if request.client else None


async def current_actor(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    _declared: Annotated[str | None, Security(_cookie)],
) -> Actor:
    """The signed-in actor, by bearer token or by cookie; a token that is sent is the one that counts.

    Raises Unauthenticated. Binds ``user_id`` for the log lines of the request. The language that the request asks for
    (?lang, the portal's cookie, Accept-Language) overrules the user's own.
    """
    ip = peer(request)
    if bearer is not None:
        actor = await sessions.authenticate_token(bearer.credentials, ip=ip)
    elif "authorization" in request.headers:
        raise Unauthenticated
    else:
        actor = await sessions.authenticate_cookie(request.headers.get("cookie"), ip=ip)
    structlog.contextvars.bind_contextvars(user_id=actor.user_id)
    if (wanted := language.chosen(request.scope)) is not None:
        actor = replace(actor, language=wanted)
    return actor


CurrentActor = Annotated[Actor, Depends(current_actor)]
"""Declare a route's parameter with this type and it answers signed-in callers only."""
