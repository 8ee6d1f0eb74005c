"""What every route asks of a request: that no parameter is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import Request

from gmcenter.core.errors import UnknownParameter

EVERYWHERE = frozenset({"lang"})

_NAMES = "gm_parameter_names"


def _in_signature(dependant: Any) -> Iterator[str]:
    for parameter in dependant.query_params:
        yield parameter.alias
    for inner in dependant.dependencies:
        yield from _in_signature(inner)


def _names(route: Any) -> frozenset[str]:
    """The query parameters that a route declares, in its signature or in its own part of the OpenAPI document."""
    found: frozenset[str] | None = getattr(route, _NAMES, None)
    if found is None:
        dependant = getattr(route, "dependant", None)
        names = set(_in_signature(dependant)) if dependant is not None else set()
        extra = (getattr(route, "openapi_extra", None) or {}).get("parameters", ())
        names |= {p["name"] for p in extra if p.get("in") == "query"}
        found = frozenset(names)
        if route is not None:
            setattr(route, _NAMES, found)
    return found


async def known_parameters(request: Request) -> None:
    """Refuse a query parameter that the route does not have: a filter that is silently ignored shows the wrong rows."""
    if not request.scope.get("query_string"):
        return
    allowed = _names(request.scope.get("route"))
    for name in request.query_params:
        if name not in allowed and name not in EVERYWHERE:
            raise UnknownParameter(field=name[:100], allowed=", ".join(sorted(allowed)) or "–")
