"""Whether the process lives, whether it can serve, and what it measures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field
from sqlalchemy import text

from gmcenter.core import database, metrics
from gmcenter.core.log import get_logger
from gmcenter.core.wire import json_bytes
from gmcenter.identity import policy, sessions
from gmcenter.inventory.service import Feed

CHECK_SECONDS: Final = 3.0
LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
LOOPBACK_HOSTS: Final = LOOPBACK | {"localhost"}
FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")

router = APIRouter(tags=["system"])
log = get_logger(__name__)


class Health(BaseModel):
    """Whether the process can serve."""

    status: str = Field(description="ok or failed")
    checks: dict[str, str] = Field(default={}, description="ok or failed, by what was checked")


@router.get("/livez", operation_id="live", response_model=Health)
async def live() -> Response:
    """The process answers."""
    return Response(b'{"status":"ok"}', media_type="application/json")


async def _system() -> None:
    async with database.read() as session:
        await session.execute(text("SELECT 1"))


async def _inventory() -> None:
    await Feed().head()


CHECKS: Final[dict[str, Callable[[], Awaitable[None]]]] = {"system": _system, "inventory": _inventory}


async def _holds(name: str) -> bool:
    try:
        await asyncio.wait_for(CHECKS[name](), CHECK_SECONDS)
    except Exception as problem:
        log.warning("not_ready", check=name, error=type(problem).__name__)
        return False
    return True


@router.get(
    "/readyz",
    operation_id="ready",
    response_model=Health,
    responses={503: {"model": Health, "description": "A database does not answer; `checks` name it"}},
)
async def ready() -> Response:
    """The databases answer; 503 and the name of each that does not. Tells a stranger nothing else."""
    found = dict(zip(CHECKS, await asyncio.gather(*(_holds(name) for name in CHECKS)), strict=True))
    document = {
        "status": "ok" if all(found.values()) else "failed",
        "checks": {name: "ok" if holds else "failed" for name, holds in found.items()},
    }
    return Response(json_bytes(document), 200 if all(found.values()) else 503, media_type="application/json")


@router.get("/metrics", operation_id="metrics", response_class=PlainTextResponse)
async def exposition(request: Request) -> Response:
    """Metrics of this process for Prometheus: to a scraper on this machine, or to a signed-in Platform Admin.

    A request that a proxy passed on does not count as coming from this machine, nor does one that asks for another
    host: a browser here may have been led to us by a name that somebody else owns.
    """
    client = request.client.host if request.client else ""
    passed_on = any(name in request.headers for name in FORWARDED)
    if client not in LOOPBACK or passed_on or request.url.hostname not in LOOPBACK_HOSTS:
        authorization = request.headers.get("authorization")
        if authorization is not None:
            actor = await sessions.authenticate_token(authorization, ip=client)
        else:
            actor = await sessions.authenticate_cookie(request.headers.get("cookie"), ip=client)
        policy.require(actor, "system.read")
    return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
