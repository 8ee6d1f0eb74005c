"""The API's application: the domains' routes, one set of rules around them, one form of errors."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from gmcenter import __version__
from gmcenter.api import docs, errors, kinds, openapi, system
from gmcenter.api.dependencies import known_parameters
from gmcenter.api.middleware import Rules
from gmcenter.clusters import routes as clusters
from gmcenter.core.errors import GMError
from gmcenter.core.settings import settings
from gmcenter.identity import routes as identity
from gmcenter.identity import scope
from gmcenter.inventory import service as inventory

TAGS = [
    {"name": "auth", "description": "Signing in and out"},
    {"name": "clusters", "description": "The fleet"},
    {"name": "sites", "description": "Where clusters stand"},
    {"name": "kinds", "description": "What the clusters hold"},
    {"name": "system", "description": "Health and metrics of this process"},
]


class _Api(FastAPI):
    """FastAPI with our document in the place of its own."""

    def openapi(self) -> dict[str, Any]:
        return openapi.document(self)


def create_api() -> FastAPI:
    """The application, for any ASGI server, alone or behind the portal. It needs settings and migrated databases."""
    app = _Api(
        title=openapi.TITLE,
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        openapi_tags=TAGS,
        dependencies=[Depends(known_parameters)],
        redirect_slashes=False,
    )
    for router in (identity.router, clusters.router, docs.router, kinds.router(), system.router):
        app.include_router(router)
    app.add_exception_handler(GMError, errors.on_gm_error)
    app.add_exception_handler(RequestValidationError, errors.on_validation)
    app.add_exception_handler(HTTPException, errors.on_http)
    inventory.register_version(scope.version)  # open streams look again when somebody's scope has changed
    app.add_middleware(Rules, origins=frozenset(settings().origins))
    return app
