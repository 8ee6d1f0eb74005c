"""``/gmcapi/v2/auth``: signing in and out, for programs and for the browser's form."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from gmcenter.core.errors import GMError
from gmcenter.core.i18n import LANGUAGES
from gmcenter.identity import service, sessions
from gmcenter.identity.dependencies import CurrentActor, peer
from gmcenter.identity.schema import (
    Credentials,
    Me,
    MeAnswer,
    RefreshRequest,
    SessionList,
    TokenAnswer,
)

PREFIX = "/gmcapi/v2/auth"
LOGIN_PAGE = "/login"
LONGEST_NEXT = 2000

router = APIRouter(prefix=PREFIX, tags=["auth"])


@router.post("", operation_id="login", response_model_by_alias=True)
async def login(request: Request, credentials: Credentials, response: Response) -> TokenAnswer:
    """Sign a program in. The password is checked in the same time whether or not the name exists."""
    made = await sessions.login(
        credentials.id,
        credentials.password.get_secret_value(),
        ip=peer(request),
        agent=request.headers.get("user-agent", ""),
    )
    return _answer(made, response)


@router.post("/refresh", operation_id="refreshToken")
async def refresh(request: Request, given: RefreshRequest, response: Response) -> TokenAnswer:
    """Exchange a refresh token for the next pair. One that is used a second time ends its whole session."""
    made = await sessions.refresh(given.refresh_token.get_secret_value(), ip=peer(request))
    return _answer(made, response)


def _answer(made: sessions.Tokens, response: Response) -> TokenAnswer:
    response.headers["Cache-Control"] = "no-store"
    return TokenAnswer(
        access_token=made.access_token,
        refresh_token=made.refresh_token,
        user_id=made.actor.name,
        expires_in=made.expires_in,
    )


@router.post("/login", operation_id="loginByForm", status_code=303, response_class=RedirectResponse)
async def login_by_form(
    request: Request,
    username: Annotated[str, Form(max_length=255)] = "",
    password: Annotated[str, Form(max_length=1024)] = "",
    following: Annotated[str, Form(alias="next")] = "/",
    lang: Annotated[str, Form(max_length=8)] = "",
) -> Response:
    """Sign a browser in: sets the cookie and sends it on, or back to the form with the error's code."""
    target = same_site_path(following)
    try:
        made = await sessions.login_browser(
            username, password, ip=peer(request), agent=request.headers.get("user-agent", "")
        )
    except GMError as problem:
        query = {"error": problem.code, "next": target}
        if (wait := problem.params.get("retry_after")) is not None:
            query["retry_after"] = str(wait)
        if lang in LANGUAGES:
            query["lang"] = lang
        return _see_other(f"{LOGIN_PAGE}?{urlencode(query)}")
    answer = _see_other(target)
    answer.set_cookie(
        sessions.cookie_name(),
        made.cookie,
        max_age=made.max_age,
        path="/",
        httponly=True,
        samesite="lax",
        secure=_is_https(request),
    )
    return answer


@router.post(
    "/logout", operation_id="logout", status_code=204, responses={303: {"description": "A browser: to /login"}}
)
async def logout(request: Request) -> Response:
    """End the caller's session. A browser's form is sent to the sign-in page, signed in or not."""
    by_browser = "authorization" not in request.headers
    try:
        if by_browser:
            await sessions.logout(
                await sessions.authenticate_cookie(request.headers.get("cookie"), ip=peer(request), touch=False)
            )
        else:
            await sessions.logout(await sessions.authenticate_token(request.headers["authorization"], ip=peer(request)))
    except GMError:
        if not by_browser:
            raise
    if not by_browser:
        return Response(status_code=204)
    answer = _see_other(LOGIN_PAGE)
    for name in {sessions.cookie_name(), sessions.COOKIE}:
        answer.delete_cookie(name, path="/", httponly=True, samesite="lax", secure=_is_https(request))
    return answer


@router.get("/me", operation_id="getMe")
async def me(actor: CurrentActor) -> MeAnswer:
    """The signed-in user."""
    user = await service.get(actor, actor.name)
    return MeAnswer(
        data=Me(
            user_id=user.name,
            display_name=user.display_name,
            role=user.role,
            language=user.language,
            session_id=actor.session_id,
        )
    )


@router.get("/sessions", operation_id="listSessions")
async def list_sessions(
    actor: CurrentActor,
    everyone: Annotated[bool, Query(alias="all", description="Everyone's (Platform Admin)")] = False,
) -> SessionList:
    """Sessions that are alive: one's own, or everyone's."""
    return SessionList(data=await sessions.list_sessions(actor, everyone=everyone))


@router.delete("/sessions/{session_id}", operation_id="revokeSession", status_code=204)
async def revoke_session(actor: CurrentActor, session_id: str) -> Response:
    """End a session; its requests are refused at once and its open pages end within 5 seconds."""
    await sessions.revoke(actor, session_id)
    return Response(status_code=204)


def same_site_path(given: str) -> str:
    """``given`` when it is a path on this site, else ``/``: a sign-in must never send anyone elsewhere.

    Browsers read ``//host`` and ``/\\host`` as another site, drop tabs and newlines, and take backslashes for slashes.
    """
    if (
        not given.startswith("/")
        or given.startswith("//")
        or len(given) > LONGEST_NEXT
        or "\\" in given
        or not given.isprintable()
    ):
        return "/"
    path = re.split("[?#]", given, maxsplit=1)[0]
    return "/" if path == LOGIN_PAGE or path.startswith(f"{LOGIN_PAGE}/") else given


def _is_https(request: Request) -> bool:
    """Whether the browser itself speaks TLS, also when a proxy ends it: the form's Origin says so."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")


def _see_other(target: str) -> RedirectResponse:
    """A redirect after a form (303), never cached."""
    return RedirectResponse(target, status_code=303, headers={"Cache-Control": "no-store"})
