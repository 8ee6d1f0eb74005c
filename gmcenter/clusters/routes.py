"""`/gmcapi/v2/clusters` and `/gmcapi/v2/sites`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from gmcenter.clusters import service
from gmcenter.clusters.schema import (
    ClusterChange,
    ClusterDetail,
    ClusterView,
    ContextView,
    Dependents,
    KubeconfigText,
    NewCluster,
    PreflightRequest,
    SiteInput,
    SiteView,
    StageView,
)
from gmcenter.core.wire import event
from gmcenter.identity.actor import Actor
from gmcenter.identity.dependencies import CurrentActor
from gmcenter.kube.preflight import StageResult

BASE = "/gmcapi/v2"
STREAM = "text/event-stream"

router = APIRouter(prefix=BASE, tags=["clusters"])


class ClusterList(BaseModel):
    """All clusters by name."""

    data: list[ClusterView]


class OneCluster(BaseModel):
    """One cluster."""

    data: ClusterView


class OneClusterDetail(BaseModel):
    """One cluster with what it holds."""

    data: ClusterDetail


class ContextList(BaseModel):
    """The contexts of a kubeconfig."""

    data: list[ContextView]


class Check(BaseModel):
    """The stages of a preflight, and whether any failed or warned."""

    data: list[StageView]
    state: str = Field(description="ok, warn or failed: the worst of the stages")


class OneDependents(BaseModel):
    """What hangs on a cluster."""

    data: Dependents


class SiteList(BaseModel):
    """All sites by name."""

    data: list[SiteView]


class OneSite(BaseModel):
    """One site."""

    data: SiteView


_STAGES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Check,
        "description": "The stages; as server-sent events `stage` and `end` where the caller accepts text/event-stream",
        "content": {STREAM: {"schema": {"type": "string"}}},
    }
}


@router.get("/clusters", operation_id="listClusters")
async def list_clusters(actor: CurrentActor) -> ClusterList:
    """Every cluster with its health."""
    return ClusterList(data=await service.list_clusters(actor))


@router.post("/clusters", operation_id="registerCluster", status_code=201)
async def register(actor: CurrentActor, given: NewCluster, response: Response) -> OneCluster:
    """Check a cluster and register it. Without acceptWarnings, warnings refuse it as failures do."""
    made = await service.register(actor, given)
    response.headers["Location"] = f"{BASE}/clusters/{made.cluster_name}"
    return OneCluster(data=made)


@router.post("/clusters/preflight", operation_id="checkAccess", response_model=None, responses=_STAGES)
async def preflight(actor: CurrentActor, given: PreflightRequest, request: Request) -> Response:
    """Check a way to a cluster; nothing is kept."""
    return await _stages(actor, request, service.preflight(actor, given))


@router.post("/clusters/contexts", operation_id="listContexts")
async def list_contexts(actor: CurrentActor, given: KubeconfigText) -> ContextList:
    """The contexts of a kubeconfig, with the reason for those that cannot be used; nothing is kept."""
    return ContextList(data=await service.list_contexts(actor, given))


@router.get("/clusters/{name}", operation_id="getCluster")
async def get_cluster(actor: CurrentActor, name: str) -> OneClusterDetail:
    """One cluster with the number of its objects, its nodes and its last events."""
    return OneClusterDetail(data=await service.get_cluster(actor, name))


@router.put("/clusters/{name}", operation_id="updateCluster")
async def update(actor: CurrentActor, name: str, given: ClusterChange) -> OneCluster:
    """Change a cluster; what is left out stays. A new credential is checked before it replaces the old one."""
    return OneCluster(data=await service.update(actor, name, given))


@router.delete("/clusters/{name}", operation_id="deleteCluster", status_code=204)
async def delete(
    actor: CurrentActor,
    name: str,
    confirm: Annotated[str, Query(max_length=63, description="The cluster's name once more")] = "",
) -> Response:
    """Take a cluster out of the fleet; the cluster itself is not touched."""
    await service.delete(actor, name, confirm=confirm)
    return Response(status_code=204)


@router.get("/clusters/{name}/dependents", operation_id="listDependents")
async def dependents(actor: CurrentActor, name: str) -> OneDependents:
    """What would no longer be shown without the cluster."""
    return OneDependents(data=await service.what_depends(actor, name))


@router.post("/clusters/{name}/check", operation_id="checkCluster", response_model=None, responses=_STAGES)
async def check(actor: CurrentActor, name: str, request: Request) -> Response:
    """Check a registered cluster with its stored credential."""
    return await _stages(actor, request, service.check(actor, name))


async def _stages(actor: Actor, request: Request, results: AsyncIterator[StageResult]) -> Response:
    """Stages as they come, or all at the end. What is wrong with the input is told before the first."""
    if STREAM not in request.headers.get("accept", ""):
        views = [StageView.of(result, actor.language) async for result in results]
        states = {view.state for view in views}
        state = next((worst for worst in ("failed", "warn") if worst in states), "ok")
        return Response(Check(data=views, state=state).model_dump_json(by_alias=True), media_type="application/json")
    first = await anext(results)

    async def sending() -> AsyncIterator[bytes]:
        worst = "ok"
        result: StageResult | None = first
        while result is not None:
            worst = (
                "failed" if "failed" in (worst, result.state) else "warn" if "warn" in (worst, result.state) else "ok"
            )
            yield event("stage", StageView.of(result, actor.language).model_dump(by_alias=True))
            result = await anext(results, None)
        yield event("end", {"state": worst})

    return StreamingResponse(sending(), media_type=STREAM, headers={"X-Accel-Buffering": "no"})


@router.get("/sites", operation_id="listSites", tags=["sites"])
async def list_sites(actor: CurrentActor) -> SiteList:
    """All sites by name, with the clusters that stand there."""
    return SiteList(data=await service.list_sites(actor))


@router.post("/sites", operation_id="createSite", status_code=201, tags=["sites"])
async def create_site(actor: CurrentActor, given: SiteInput, response: Response) -> OneSite:
    """Make a site."""
    made = await service.create_site(actor, given)
    response.headers["Location"] = f"{BASE}/sites/{made.name}"
    return OneSite(data=made)


@router.get("/sites/{name}", operation_id="getSite", tags=["sites"])
async def get_site(actor: CurrentActor, name: str) -> OneSite:
    """One site."""
    return OneSite(data=await service.get_site(actor, name))


@router.put("/sites/{name}", operation_id="updateSite", tags=["sites"])
async def update_site(actor: CurrentActor, name: str, given: SiteInput) -> OneSite:
    """Replace what a site says; another name in the body renames it."""
    return OneSite(data=await service.update_site(actor, name, given))


@router.delete("/sites/{name}", operation_id="deleteSite", status_code=204, tags=["sites"])
async def delete_site(actor: CurrentActor, name: str) -> Response:
    """Delete a site where no cluster stands."""
    await service.delete_site(actor, name)
    return Response(status_code=204)
