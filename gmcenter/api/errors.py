"""Errors of the HTTP layer itself, and how every error becomes an answer (RFC 9457)."""

from __future__ import annotations

from typing import Any, Final

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from gmcenter.core.errors import (
    FieldError,
    Forbidden,
    GMError,
    InvalidInput,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthenticated,
)
from gmcenter.core.language import language_of
from gmcenter.core.log import get_logger

PROBLEM: Final = "application/problem+json"
BODY_BYTES: Final = 2_500_000  # a kubeconfig of 1 MB, escaped in JSON

log = get_logger(__name__)


class RouteNotFound(NotFound):
    """The API has no such path."""

    code = "route_not_found"


class MethodNotAllowed(GMError):
    """The path exists, but not with this method."""

    code, status = "method_not_allowed", 405


class NotAcceptable(GMError):
    """None of the forms that the caller accepts can be given; `offered` lists those that can."""

    code, status = "not_acceptable", 406


class ForeignOrigin(Forbidden):
    """A browser asks on behalf of another site."""

    code = "foreign_origin"


class TooManyStreams(RateLimited):
    """One session holds too many open streams; `limit` is how many it may."""

    code = "too_many_streams"


class Failed(GMError):
    """A mistake of ours; the request id finds it in the log, and nothing else is told."""

    code, status = "internal", 500


# pydantic's error types and our words for them.
_KEYS: Final = {
    "missing": "reason.required",
    "extra_forbidden": "reason.unknown_member",
    "string_type": "reason.not_text",
    "string_too_long": "reason.too_long",
    "string_too_short": "reason.required",
    "bool_type": "reason.not_boolean",
    "bool_parsing": "reason.not_boolean",
    "int_parsing": "reason.not_number",
    "int_type": "reason.not_number",
    "float_parsing": "reason.not_number",
    "float_type": "reason.not_number",
    "finite_number": "reason.not_number",
    "json_invalid": "reason.not_json",
}


def from_validation(problem: RequestValidationError) -> GMError:
    """The input error for what FastAPI refuses; values that were sent are never repeated."""
    found = []
    for error in problem.errors():
        place = [str(part) for part in error["loc"]]
        field = ".".join(place[1:]) or place[0] if place else "body"
        if error["type"] == "json_invalid":
            field = "body"
        found.append(FieldError(field, _KEYS.get(error["type"], "reason.not_valid")))
    return InvalidInput(errors=found[:50])


def answer(problem: GMError, request: Request) -> Response:
    """An error as problem+json in the caller's language."""
    request_id = request.scope.get("state", {}).get("request_id")
    instance = f"urn:gm:request:{request_id}" if request_id else None
    headers: dict[str, str] = {"Cache-Control": "no-store"}
    if isinstance(problem, RateLimited):
        headers["Retry-After"] = str(max(1, round(float(problem.params.get("retry_after", 1)))))
    if isinstance(problem, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    document: dict[str, Any] = problem.problem(language_of(request.scope), instance)
    document.update(extra(problem, language_of(request.scope)))
    return Response(orjson.dumps(document), problem.status, headers, PROBLEM)


def extra(problem: GMError, language: str) -> dict[str, Any]:
    """What some errors tell beyond the common members: the stages of a preflight, the candidates of a name."""
    from gmcenter.clusters.errors import PreflightFailed
    from gmcenter.clusters.schema import StageView

    if isinstance(problem, PreflightFailed):
        return {"stages": [StageView.of(stage, language).model_dump(by_alias=True) for stage in problem.stages]}
    return {}


async def on_gm_error(request: Request, problem: Exception) -> Response:
    """Any error of the family."""
    assert isinstance(problem, GMError)
    return answer(problem, request)


async def on_validation(request: Request, problem: Exception) -> Response:
    """Input that does not have the declared form."""
    assert isinstance(problem, RequestValidationError)
    return answer(from_validation(problem), request)


async def on_http(request: Request, problem: Exception) -> Response:
    """What Starlette refuses by itself."""
    assert isinstance(problem, HTTPException)
    if problem.status_code == 405:
        response = answer(MethodNotAllowed(method=request.method), request)
        if allow := (problem.headers or {}).get("Allow"):
            response.headers["Allow"] = allow
        return response
    if problem.status_code == 404:
        return answer(RouteNotFound(), request)
    if problem.status_code == 413:
        return answer(TooLarge(limit=BODY_BYTES), request)
    if problem.status_code < 500:
        return answer(InvalidInput(errors=[FieldError("body", "reason.not_valid")]), request)
    return answer(Failed(), request)
