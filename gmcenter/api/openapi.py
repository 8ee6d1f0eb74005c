"""The OpenAPI 3.1 document: what FastAPI derives from the routes, and what the declarations of kinds and errors add."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gmcenter.kube.kinds import KINDS, Column, ColumnType, Kind

Schema = dict[str, Any]

TITLE: Final = "GEdge GM-Center"
DESCRIPTION: Final = """One API in front of a fleet of Kubernetes clusters.

Sign in with `POST /gmcapi/v2/auth` and send the access token as `Authorization: Bearer …`. Every list says how fresh
it is: `freshness.answered` of `freshness.needed` sources answered, and `asOf` is the time of the oldest of them.
Errors are `application/problem+json` (RFC 9457) with a stable `code`, worded in the language of `?lang` or
`Accept-Language`. Unknown query parameters are refused with 400.
"""

PROBLEM_REF: Final = {"$ref": "#/components/schemas/Problem"}
_TYPES: Final[dict[ColumnType, Schema]] = {
    ColumnType.TEXT: {"type": ["string", "null"]},
    ColumnType.INT: {"type": ["integer", "null"]},
    ColumnType.FLOAT: {"type": ["number", "null"]},
    ColumnType.BOOL: {"type": ["boolean", "null"]},
    ColumnType.TIME: {"type": ["string", "null"], "format": "date-time"},
    ColumnType.RATIO: {"type": ["string", "null"], "examples": ["2/3"]},
    ColumnType.TAGS: {"type": ["array", "null"], "items": {"type": "string"}},
    ColumnType.BYTES: {"type": ["integer", "null"], "description": "Bytes"},
    ColumnType.STATUS: {"type": ["string", "null"]},
}
_TEXT: Final[Schema] = {"type": "string", "maxLength": 4096}

# Statuses that an operation may answer with beyond its own, and when.
COMMON: Final = {
    "400": "A parameter or field is unknown or not valid; `field` names it",
    "401": "Nobody is signed in, or the session has ended",
    "403": "The caller may not do this; `params.rule` names the rule",
}
NAMED: Final = {"404": "No such object, or none that the caller may know of"}
WITH_BODY: Final = {
    "409": "The object is not in the state that the request assumes",
    "413": "The body is larger than 2.5 MB",
    "422": "Fields of the body need to be corrected; each stands in `errors`",
}
BUSY: Final = {
    "429": "Too many requests; see Retry-After",
    "503": "A database or cluster does not answer; `params` say which",
}
PUBLIC: Final = frozenset({"login", "refreshToken", "loginByForm", "logout", "live", "ready"})


def operation(verb: str, kind: Kind) -> str:
    """A stable operation id: listPods, getPod."""
    return f"list{kind.plural[0].upper()}{kind.plural[1:]}" if verb == "list" else f"{verb}{kind.kind}"


def _parameter(name: str, words: str, schema: Schema | None = None, *, many: bool = False) -> Schema:
    found: Schema = {"name": name, "in": "query", "required": False, "description": words, "schema": schema or _TEXT}
    if many:
        found |= {"schema": {"type": "array", "items": _TEXT}, "style": "form", "explode": True}
    return found


_CLUSTER: Final = _parameter("cluster", "Clusters by name; may be repeated, or separated by commas", many=True)
_PLACE: Final = (
    _parameter("cluster", "The cluster, where several have an object of that name"),
    _parameter("project", "The project: the namespace of that name"),
    _parameter("namespace", "The namespace"),
)


def list_extra(kind: Kind) -> Schema:
    """What the operation of a list is, beyond its path."""
    sorts = [column.key for column in kind.all_columns if column.sortable]
    fields = sorted({name for c in kind.all_columns if c.filterable for name in (c.key, c.field) if name})
    return {
        "parameters": [
            _CLUSTER,
            _parameter("workspace", "Objects of this workspace's projects"),
            _parameter("user", "Objects of this owner's projects"),
            _parameter("project", "Objects of this project"),
            _parameter("namespace", "Objects in namespaces of this name"),
            _parameter("q", "Text that the object must hold, in any case"),
            _parameter("labelSelector", "Kubernetes label selector, as in `app=web,tier!=cache`"),
            _parameter("fieldSelector", f"Field selector with = and !=. Fields: {', '.join(fields)}"),
            _parameter(
                "sort",
                f"A column, with - before it for descending order; {kind.default_sort} when not given",
                {"type": "string", "enum": [*sorts, *(f"-{key}" for key in sorts)]},
            ),
            _parameter("limit", "Rows of a page", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
            _parameter("cursor", "`page.next` or `page.previous` of an answer to the same query"),
            _parameter(
                "watch",
                "true: server-sent events `page` and `change` for this page, and `end`",
                {"type": "boolean", "default": False},
            ),
            _LANG,
        ],
        "responses": {
            "200": {
                "description": "A page of rows, or with watch=true the events of that page",
                "content": {
                    "application/json": {"schema": _ref(f"{kind.kind}Page")},
                    "text/event-stream": {"schema": {"type": "string"}},
                },
            }
        },
    }


def detail_extra(kind: Kind) -> Schema:
    """What the operation of a detail is, beyond its path."""
    return {
        "parameters": [*_PLACE, _LANG],
        "responses": {
            "200": {
                "description": "The object with its related ones",
                "content": {"application/json": {"schema": _ref(f"{kind.kind}Detail")}},
            }
        },
    }


def view_extra() -> Schema:
    """What the operation of the raw view is, beyond its path."""
    kinds = [*KINDS, *(kind.kind for kind in KINDS.values())]
    thing = {"schema": {"type": "object"}}
    return {
        "parameters": [
            _parameter("kind", "Kind of the object", {"type": "string", "enum": kinds}) | {"required": True},
            *_PLACE,
            _parameter("format", "Overrules Accept", {"type": "string", "enum": ["json", "yaml"]}),
            _LANG,
        ],
        "responses": {
            "200": {
                "description": "The object, without managed fields",
                "content": {"application/json": thing, "application/yaml": {"schema": {"type": "string"}}},
            }
        },
    }


_LANG: Final = _parameter("lang", "Language of messages", {"type": "string", "enum": ["ko", "en"]})


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Schema, required: list[str] | None = None, **more: Any) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        **more,
    }


def _column(column: Column) -> Schema:
    return dict(_TYPES[column.type])


def _kind_schemas(kind: Kind) -> dict[str, Schema]:
    row = _object(
        {
            **{column.key: _column(column) for column in kind.all_columns},
            "uid": {"type": "string"},
            "state": {"enum": ["good", "busy", "warn", "bad", "away", None]},
            "away": {"type": "boolean", "description": "Its cluster does not answer: this is how it was at asOf"},
            "asOf": {"type": ["string", "null"], "format": "date-time"},
        }
    )
    page = _object(
        {"data": {"type": "array", "items": _ref(kind.kind)}, "page": _ref("Paging"), "freshness": _ref("Freshness")}
    )
    loose: Schema = {"type": "object", "additionalProperties": True}
    data = {
        **loose,
        "description": f"The fields of {kind.kind} (some as whole values), labels, annotations, events and more",
        "required": ["name", "uid", "labels", "annotations", "events"],
    }
    detail = _object({"data": data, "involvesData": loose, "freshness": _ref("Freshness")})
    return {kind.kind: row, f"{kind.kind}Page": page, f"{kind.kind}Detail": detail}


def _common_schemas() -> dict[str, Schema]:
    time: Schema = {"type": ["string", "null"], "format": "date-time"}
    count = _object(
        {"value": {"type": "integer"}, "exact": {"type": "boolean", "description": "false: at least so many"}}
    )
    cursor: Schema = {"type": ["string", "null"]}
    source = _object(
        {
            "cluster": {"type": "string"},
            "kind": {"type": "string"},
            "state": {"enum": ["live", "syncing", "away", "denied", "failed", "building"]},
            "asOf": time,
            "error": {"type": ["string", "null"]},
            "lag": {"type": ["number", "null"], "description": "Seconds"},
        }
    )
    problem = _object(
        {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "description": "Stable; made for programs"},
            "hint": {"type": "string", "description": "What to do about it"},
            "instance": {"type": "string", "description": "urn:gm:request:<request id>"},
            "params": {"type": "object", "additionalProperties": True},
            "errors": {
                "type": "array",
                "items": _object({name: {"type": "string"} for name in ("field", "code", "detail")}),
            },
        },
        ["type", "title", "status", "detail", "code"],
        additionalProperties=True,
    )
    return {
        "Problem": problem,
        "Paging": _object({"limit": {"type": "integer"}, "count": count, "next": cursor, "previous": cursor}),
        "Freshness": _object(
            {
                "asOf": time,
                "answered": {"type": "integer"},
                "needed": {"type": "integer"},
                "sources": {"type": "array", "items": source},
            }
        ),
    }


def document(app: FastAPI) -> Schema:
    """The document of an application; made once, then kept."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=TITLE, version=app.version, description=DESCRIPTION, routes=app.routes, tags=app.openapi_tags
        )
        schemas: dict[str, Schema] = made.setdefault("components", {}).setdefault("schemas", {})
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        schemas.update(_common_schemas())
        for kind in KINDS.values():
            schemas.update(_kind_schemas(kind))
        for path, operations in made["paths"].items():
            for one in operations.values():
                _finish(path, one)
        app.openapi_schema = made
    return app.openapi_schema


def _finish(path: str, operation: Schema) -> None:
    """Give an operation its errors, and say where no sign-in is needed."""
    responses = operation["responses"]
    if "application/json" in responses.get("422", {}).get("content", {}):
        responses.pop("422")  # FastAPI's own, which we do not answer with
    public = operation.get("operationId") in PUBLIC
    if public:
        operation["security"] = []
    wanted = dict(COMMON)
    if "{" in path or "requestBody" in operation:
        wanted |= NAMED
    if "requestBody" in operation:
        wanted |= WITH_BODY
    wanted |= BUSY
    if operation.get("operationId") in ("live", "ready", "metrics"):
        wanted = {"400": COMMON["400"], "503": BUSY["503"]}
    for status, words in wanted.items():
        responses.setdefault(
            status, {"description": words, "content": {"application/problem+json": {"schema": PROBLEM_REF}}}
        )
    operation["responses"] = dict(sorted(responses.items()))
    known = {parameter["name"] for parameter in operation.get("parameters", ())}
    if "lang" not in known:
        operation.setdefault("parameters", []).append(_LANG)
