"""Rows of the fleet and their health, put together as the API and the portal show them."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import select
from sqlmodel import col

from gmcenter.clusters.schema import ClusterState, ClusterView, Point, ResourceUsage, SiteView
from gmcenter.core import clock, database, i18n
from gmcenter.core.errors import NotFound
from gmcenter.fleet.model import Cluster, Site
from gmcenter.inventory import service as inventory
from gmcenter.inventory.service import ClusterHealth

Row = tuple[Cluster, Site | None]


async def rows(name: str | None = None) -> list[Row]:
    """Clusters with their sites, by name; one of them when a name is given."""
    query = select(Cluster, Site).outerjoin(Site, col(Site.id) == col(Cluster.site_id)).order_by(col(Cluster.name))
    if name is not None:
        query = query.where(col(Cluster.name) == name)
    async with database.read() as session:
        return [(found[0], found[1]) for found in (await session.execute(query)).all()]


async def row(name: str) -> Row:
    """One cluster with its site. Raises NotFound."""
    found = await rows(name)
    if not found:
        raise NotFound(kind="cluster", name=name[:253])
    return found[0]


async def health() -> dict[str, ClusterHealth]:
    """How each cluster is doing, by name, as the collector last wrote it."""
    return {one.name: one for one in await inventory.cluster_health()}


def view(cluster: Cluster, site: Site | None, health: ClusterHealth | None, language: str) -> ClusterView:
    """One cluster as it is shown."""
    building = cluster.building is not None
    told = health.state if health else "unknown"
    if told == "building":
        told = "unknown"  # it exists since a moment ago, and nobody has looked at it yet
    state = cast(ClusterState, "building" if building else told)
    error = health.error if health and not building and state != "live" else None
    point = None
    if site is not None and site.latitude is not None and site.longitude is not None:
        point = Point(x=site.longitude, y=site.latitude)
    assert cluster.id is not None
    return ClusterView(
        id=cluster.id,
        cluster_name=cluster.name,
        cluster_type=cast(Any, cluster.cluster_type),
        cloud_type=cluster.cloud_type,
        cluster_endpoint=cluster.endpoint,
        tls_server_name=cluster.tls_server_name,
        credential_kind=cluster.credential_kind if cluster.credential_id is not None else None,
        credential_not_after=_moment(cluster.credential_not_after),
        site=site.name if site else None,
        address=site.address if site else "",
        point=point,
        status="success" if state in ("live", "syncing") else "false",
        state=state,
        error=error,
        message=_words(error, language),
        version=health.version if health else None,
        latency_ms=health.latency_ms if health else None,
        certificate_not_after=_moment(health.certificate_not_after if health else None),
        last_seen=_moment(health.last_seen if health else None),
        building=cluster.building,
        node_cnt=health.nodes if health else None,
        gpu_cnt=health.gpus if health else None,
        resource_usage=ResourceUsage(),
        created_at=clock.from_epoch(cluster.created_at),
        updated_at=clock.from_epoch(cluster.updated_at),
        created_by=cluster.created_by,
    )


def site_view(site: Site, clusters: list[str]) -> SiteView:
    """One site as it is shown."""
    return SiteView(
        name=site.name,
        address=site.address,
        latitude=site.latitude,
        longitude=site.longitude,
        zone=cast(Any, site.zone),
        clusters=clusters,
        created_at=clock.from_epoch(site.created_at),
        updated_at=clock.from_epoch(site.updated_at),
    )


def _moment(seconds: float | None) -> Any:
    return None if seconds is None else clock.from_epoch(seconds)


def _words(code: str | None, language: str) -> str | None:
    """The words for a reason of the collector; a reason without words of ours is shown as it stands."""
    if not code:
        return None
    key = f"reason.{code}"
    return i18n.message(key, language) if i18n.has(key, language) else code
