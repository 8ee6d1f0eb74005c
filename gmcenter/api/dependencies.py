"""What routes ask of a request: who calls, in which language, and that no parameter is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.dependencies.utils import get_flat_dependant

from gmcenter.api.language import chosen
from gmcenter.core.errors import UnknownParameter
from gmcenter.identity.actor import Actor
from gmcenter.identity.dependencies import current_actor

EVERYWHERE = frozenset({"lang"})


async def caller(request: Request, actor: Annotated[Actor, Depends(current_actor)]) -> Actor:
    """The signed-in actor, in the language that the request asks for."""
    language = chosen(request.scope)
    return replace(actor, language=language) if language and language != actor.language else actor


Caller = Annotated[Actor, Depends(caller)]


def refuse_unknown(names: Iterable[str], allowed: frozenset[str]) -> None:
    """Raise UnknownParameter naming the first parameter that is not allowed."""
    for name in names:
        if name not in allowed and name not in EVERYWHERE:
            raise UnknownParameter(field=name[:100], allowed=", ".join(sorted(allowed)) or "–")


_declared: dict[int, frozenset[str]] = {}


def _names(route: Any) -> frozenset[str]:
    """The query parameters that a route declares, in its signature or in its own part of the OpenAPI document."""
    found = _declared.get(id(route))
    if found is None:
        dependant = getattr(route, "dependant", None)
        names = {p.alias for p in get_flat_dependant(dependant).query_params} if dependant is not None else set()
        extra = (getattr(route, "openapi_extra", None) or {}).get("parameters", ())
        names |= {p["name"] for p in extra if p.get("in") == "query"}
        found = _declared[id(route)] = frozenset(names)
    return found


async def known_parameters(request: Request) -> None:
    """Refuse a query parameter that the route does not have: a filter that is silently ignored shows the wrong rows."""
    if request.scope.get("query_string"):
        refuse_unknown(request.query_params, _names(request.scope.get("route")))
