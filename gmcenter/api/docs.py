"""The OpenAPI document and Swagger UI, from our own files: no script of others, no inline script."""

from __future__ import annotations

import hashlib
import html
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

from gmcenter.api import openapi
from gmcenter.api.errors import RouteNotFound
from gmcenter.core import i18n
from gmcenter.core.language import language_of
from gmcenter.core.wire import json_bytes

BASE: Final = "/gmcapi/v2"
_FOLDER: Final = files("fastapi_offline") / "static"
_INIT: Final = Path(__file__).with_name("swagger.js")
_FILES: Final = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon.png": "image/png",
}
# Swagger UI sets style attributes and draws its icons from data URLs.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

router = APIRouter(include_in_schema=False)


@router.get(f"{BASE}/openapi.json")
async def document(request: Request) -> Response:
    """The OpenAPI document; public, because it says no more than the product's own manual."""
    body = json_bytes(openapi.document(request.app))
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@router.get(f"{BASE}/docs")
async def swagger(request: Request) -> Response:
    """Swagger UI over the OpenAPI document."""
    language = language_of(request.scope)
    title = html.escape(i18n.message("api.docs.title", language))
    page = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="{BASE}/docs/favicon.png">'
        f'<link rel="stylesheet" href="{BASE}/docs/swagger-ui.css"></head>'
        f'<body><div id="swagger-ui" data-document="{BASE}/openapi.json"></div>'
        f'<script src="{BASE}/docs/swagger-ui-bundle.js"></script>'
        f'<script src="{BASE}/docs/swagger.js"></script></body></html>'
    )
    return Response(page, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY})


@router.get(f"{BASE}/docs/{{name}}")
async def file(name: str) -> Response:
    """One file of Swagger UI."""
    if name == _INIT.name:
        return Response(_read(name), media_type="text/javascript; charset=utf-8", headers=_CACHED)
    if name not in _FILES:
        raise RouteNotFound()
    return Response(_read(name), media_type=_FILES[name], headers=_CACHED)


_CACHED: Final = {"Cache-Control": "public, max-age=86400"}


@cache
def _read(name: str) -> bytes:
    found: Path | Traversable = _INIT if name == _INIT.name else _FOLDER / name
    return found.read_bytes()
