"""Lists, details and raw objects of every declared kind: routes made from the declarations.

The handlers answer with bytes: rows come out of the inventory as they are sent, apart from their times, and no model is
built of them. What they look like stands in the OpenAPI document, made from the same declarations.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from gmcenter.api import openapi, streams
from gmcenter.api.errors import NotAcceptable
from gmcenter.api.render import Renderer, freshness
from gmcenter.core.errors import InvalidField, UnknownParameter
from gmcenter.core.wire import json_bytes
from gmcenter.core.yaml import as_yaml
from gmcenter.identity import policy, scope
from gmcenter.identity.actor import Actor
from gmcenter.identity.dependencies import CurrentActor
from gmcenter.inventory import service as inventory
from gmcenter.inventory.service import Detail, ListQuery
from gmcenter.kube.kinds import KINDS, Kind, by_kind

BASE: Final = "/gmcapi/v2"
FILTERS: Final = ("workspace", "user", "project", "namespace", "q", "labelSelector", "fieldSelector", "sort", "cursor")
LIMIT, MOST = 50, 500
LONGEST: Final = 4096
JSON: Final = "application/json"
YAML: Final = "application/yaml"
EVENTS: Final = Renderer(KINDS["events"])
Handler = Callable[[Request, CurrentActor], Coroutine[Any, Any, Response]]


def router() -> APIRouter:
    """The routes of all kinds."""
    made = APIRouter()
    for kind in KINDS.values():
        made.add_api_route(
            f"{BASE}/{kind.plural}",
            _list_handler(kind),
            operation_id=openapi.operation("list", kind),
            summary=f"List {kind.plural}",
            tags=["kinds"],
            response_model=None,
            openapi_extra=openapi.list_extra(kind),
        )
        made.add_api_route(
            f"{BASE}/{kind.plural}/{{name}}",
            _detail_handler(kind),
            operation_id=openapi.operation("get", kind),
            summary=f"Get one of {kind.plural}",
            tags=["kinds"],
            response_model=None,
            openapi_extra=openapi.detail_extra(kind),
        )
    made.add_api_route(
        f"{BASE}/view/{{name}}",
        _view,
        operation_id="viewObject",
        summary="Get an object as the API server has it",
        tags=["kinds"],
        response_model=None,
        openapi_extra=openapi.view_extra(),
    )
    return made


def _one(request: Request, name: str) -> str | None:
    """A parameter that may be given once. Raises InvalidField where it is given twice or too long."""
    values = request.query_params.getlist(name)
    if not values:
        return None
    if len(values) > 1:
        raise InvalidField(field=name, reason="given_twice")
    if len(values[0]) > LONGEST:
        raise InvalidField(field=name, reason="too_long")
    return values[0] or None


def clusters_of(request: Request) -> tuple[str, ...]:
    """The clusters that a request names: repeated, or with commas between."""
    found = [part.strip() for value in request.query_params.getlist("cluster") for part in value.split(",")]
    return tuple(dict.fromkeys(part for part in found if part))


def query_of(request: Request, kind: Kind) -> ListQuery:
    """The query that the parameters of a list say. Raises InvalidField naming the one that is wrong."""
    given = {name: _one(request, name) for name in FILTERS}
    text = _one(request, "limit")
    if text is None:
        limit = LIMIT
    elif text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST:
        limit = int(text)
    else:
        raise InvalidField(field="limit", reason="not_limit", most=MOST)
    return ListQuery(
        kind=kind.plural,
        clusters=clusters_of(request),
        namespace=given["namespace"],
        project=given["project"],
        workspace=given["workspace"],
        user=given["user"],
        q=given["q"],
        label_selector=given["labelSelector"],
        field_selector=given["fieldSelector"],
        sort=given["sort"],
        limit=limit,
        cursor=given["cursor"],
    )


def _list_handler(kind: Kind) -> Handler:
    renderer = Renderer(kind)

    async def listed(request: Request, actor: CurrentActor) -> Response:
        policy.require(actor, "kinds.list", kind.plural)
        query = query_of(request, kind)
        watch = _one(request, "watch")
        if watch not in (None, "true", "false"):
            raise InvalidField(field="watch", reason="not_boolean")
        if watch == "true":
            return await streams.watch(request, actor, query, renderer)
        page = await inventory.list_rows(await scope.resolve(actor), query)
        return Response(json_bytes(renderer.page(page, query.limit)), media_type=JSON)

    return listed


def _detail_handler(kind: Kind) -> Handler:
    renderer = Renderer(kind)

    async def detail(request: Request, actor: CurrentActor) -> Response:
        policy.require(actor, "kinds.read", kind.plural)
        found = await _find(request, actor, kind)
        metadata = found.body.get("metadata") or {}
        data = {
            **renderer.row(found.row),
            "labels": metadata.get("labels") or {},
            "annotations": metadata.get("annotations") or {},
            **kind.detail(found.body),
            "events": EVENTS.rows(found.events),
        }
        document = {"data": data, "involvesData": found.involves, "freshness": freshness(found.freshness)}
        return Response(json_bytes(document), media_type=JSON)

    return detail


async def _find(request: Request, actor: Actor, kind: Kind) -> Detail:
    """The object that path and parameters name. Raises NotFound, Ambiguous with the candidates."""
    named = clusters_of(request)
    if len(named) > 1:
        raise InvalidField(field="cluster", reason="given_twice")
    namespace, project = _one(request, "namespace"), _one(request, "project")
    if namespace and project and namespace != project:
        raise InvalidField(field="namespace", reason="not_project")  # a project's name is its namespace's
    cluster = named[0] if named else None
    name = request.path_params["name"]
    return await inventory.detail(await scope.resolve(actor), kind.plural, name, cluster, namespace or project)


def _kind_of(request: Request) -> Kind:
    given = _one(request, "kind")
    if given is None:
        raise InvalidField(field="kind", reason="required")
    kind = KINDS.get(given.lower()) or by_kind(given)
    if kind is None:
        raise UnknownParameter(field=f"kind={given[:100]}", allowed=", ".join(sorted(KINDS)))
    return kind


def _format_of(request: Request) -> str:
    """json or yaml, by the parameter or the Accept header. Raises NotAcceptable."""
    given = _one(request, "format")
    if given is not None:
        if given not in ("json", "yaml"):
            raise InvalidField(field="format", reason="not_format")
        return given
    accept = request.headers.get("accept", "*/*").lower()
    wanted = [part.split(";")[0].strip() for part in accept.split(",")]
    for one in wanted:
        if one in ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"):
            return "yaml"
        if one in ("application/json", "application/*", "*/*", ""):
            return "json"
    raise NotAcceptable(offered=f"{JSON}, {YAML}")


async def _view(request: Request, actor: CurrentActor) -> Response:
    kind = _kind_of(request)
    policy.require(actor, "kinds.read", kind.plural)
    form = _format_of(request)
    found = await _find(request, actor, kind)
    if form == "json":
        return Response(json_bytes(found.body), media_type=JSON)
    return Response(await asyncio.to_thread(as_yaml, found.body), media_type=YAML)
