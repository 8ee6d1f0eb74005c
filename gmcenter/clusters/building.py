"""Clusters that are registered before they exist: shown with the progress of their making, without a way to them."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from gmcenter.clusters.errors import ClusterExists
from gmcenter.clusters.keeping import keep
from gmcenter.clusters.sites import check_name, find
from gmcenter.core import clock, database
from gmcenter.core.errors import InvalidInput, NotFound
from gmcenter.fleet import bump
from gmcenter.fleet.model import Cluster
from gmcenter.identity import audit, policy
from gmcenter.identity.actor import Actor
from gmcenter.kube.target import Target


async def create_building(
    actor: Actor, name: str, *, cluster_type: str, cloud_type: str = "", site: str | None = None
) -> None:
    """Show a cluster that is going to exist. Raises Forbidden, InvalidInput, NotFound (the site), ClusterExists."""
    async with audit.entry(actor, "clusters.announce", name):
        policy.require(actor, "clusters.register")
        if errors := check_name(name, "clusterName"):
            raise InvalidInput(errors=errors)
        now = int(clock.epoch())
        try:
            async with database.write() as session:
                cluster = Cluster(
                    name=name,
                    site_id=(await find(session, site)).id if site else None,
                    cluster_type=cluster_type,
                    cloud_type=cloud_type,
                    building={"percent": 0.0, "etaSeconds": None, "step": ""},
                    created_by=actor.name,
                    created_at=now,
                    updated_at=now,
                )
                session.add(cluster)
                await session.flush()
                await bump(session)
        except IntegrityError:
            raise ClusterExists(name=name) from None


async def report_building(
    actor: Actor, name: str, *, percent: float, eta_seconds: float | None = None, step: str = ""
) -> None:
    """Say how far the making of a cluster is; without an effect once it is finished. Raises Forbidden, NotFound."""
    policy.require(actor, "clusters.register")
    async with database.write() as session:
        cluster = await _cluster(session, name)
        if cluster.building is None:
            return
        shown = None if eta_seconds is None else round(eta_seconds)
        progress = {"percent": round(min(max(percent, 0.0), 100.0), 1), "etaSeconds": shown, "step": step}
        if progress != cluster.building:
            cluster.building = progress
            cluster.updated_at = int(clock.epoch())
            await bump(session)


async def finish_building(actor: Actor, name: str, target: Target) -> None:
    """Give a cluster that exists now its endpoint and credential. Raises Forbidden, NotFound."""
    async with audit.entry(actor, "clusters.finish", name, endpoint=target.endpoint):
        policy.require(actor, "clusters.register")
        async with database.write() as session:
            cluster = await _cluster(session, name)
            await keep(session, cluster, target)
            cluster.updated_at = int(clock.epoch())
            await bump(session)


async def _cluster(session: AsyncSession, name: str) -> Cluster:
    cluster = (await session.execute(select(Cluster).where(col(Cluster.name) == name))).scalar_one_or_none()
    if cluster is None:
        raise NotFound(kind="cluster", name=name[:253])
    return cluster
