"""The use cases of clusters; the only door to them for the API, the portal and the command line.

A credential goes through here once, on its way into the vault. It is never returned, logged or audited, and a cluster's
stored credential is used against the endpoint that it was given for and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from gmcenter.clusters import access, views
from gmcenter.clusters.building import create_building, finish_building, report_building
from gmcenter.clusters.detail import get_cluster, what_depends
from gmcenter.clusters.errors import (
    ClusterBuilding,
    ClusterExists,
    ConfirmationNeeded,
    PreflightFailed,
    PreflightWarned,
)
from gmcenter.clusters.keeping import keep
from gmcenter.clusters.schema import (
    Access,
    ClusterChange,
    ClusterView,
    ContextView,
    KubeconfigText,
    NewCluster,
)
from gmcenter.clusters.sites import (
    check_name,
    check_text,
    create_site,
    delete_site,
    find,
    get_site,
    list_sites,
    update_site,
)
from gmcenter.core import clock, database, vault
from gmcenter.core.errors import FieldError, InvalidInput, NotFound
from gmcenter.core.settings import settings
from gmcenter.fleet import bump, ref_of, stored_target
from gmcenter.fleet.model import ZONES, Cluster
from gmcenter.identity import audit, policy
from gmcenter.identity.actor import Actor
from gmcenter.kube import preflight as checks
from gmcenter.kube.preflight import StageResult
from gmcenter.kube.target import Target

__all__ = [
    "check",
    "create_building",
    "create_site",
    "delete",
    "delete_site",
    "finish_building",
    "get_cluster",
    "get_site",
    "list_clusters",
    "list_contexts",
    "list_sites",
    "preflight",
    "register",
    "report_building",
    "update",
    "update_site",
    "what_depends",
]


async def list_clusters(actor: Actor) -> list[ClusterView]:
    """Every cluster with its health, by name. Raises Forbidden."""
    policy.require(actor, "clusters.list")
    rows, health = await asyncio.gather(views.rows(), views.health())
    return [views.view(cluster, site, health.get(cluster.name), actor.language) for cluster, site in rows]


async def list_contexts(actor: Actor, given: KubeconfigText) -> list[ContextView]:
    """The contexts of a kubeconfig, to choose from; nothing is kept. Raises Forbidden, KubeconfigError."""
    policy.require(actor, "clusters.register")
    return await access.contexts(given.kubeconfig, actor.language)


async def preflight(actor: Actor, given: Access) -> AsyncIterator[StageResult]:
    """Check a way to a cluster without keeping it; one result a stage, as soon as it is known.

    Raises Forbidden, KubeconfigError and InvalidField before the first result.
    """
    policy.require(actor, "clusters.register")
    target = await access.target_of(given)
    async for result in checks.run(target, allow_loopback=settings().allow_loopback):
        yield result


async def check(actor: Actor, name: str) -> AsyncIterator[StageResult]:
    """Check a registered cluster with its stored credential. Raises Forbidden, NotFound, ClusterBuilding."""
    policy.require(actor, "clusters.edit")
    cluster, _ = await views.row(name)
    if cluster.credential_id is None:
        raise ClusterBuilding(name=name)
    target = await stored_target(ref_of(cluster))
    async for result in checks.run(target, allow_loopback=settings().allow_loopback):
        yield result


async def register(actor: Actor, given: NewCluster) -> ClusterView:
    """Check a cluster and take it into the fleet.

    Raises Forbidden, InvalidInput, KubeconfigError, InvalidField, NotFound (the site), ClusterExists, PreflightFailed
    with all stages, and PreflightWarned unless the warnings are accepted.
    """
    async with audit.entry(actor, "clusters.register", given.cluster_name, type=given.cluster_type) as entry:
        policy.require(actor, "clusters.register")
        errors = check_name(given.cluster_name, "clusterName")
        _refuse(errors + _check_kinds(given.cluster_type, given.cloud_type))
        async with database.read() as session:
            await _refuse_taken(session, given.cluster_name)
            if given.site:
                await find(session, given.site)
        target = await access.target_of(given)
        entry.detail["endpoint"] = target.endpoint
        warnings = await _checked(target, accept_warnings=given.accept_warnings)
        entry.detail["warnings"] = warnings
        now = int(clock.epoch())
        try:
            async with database.write() as session:
                cluster = Cluster(
                    name=given.cluster_name,
                    site_id=(await find(session, given.site)).id if given.site else None,
                    cluster_type=given.cluster_type,
                    cloud_type=given.cloud_type,
                    created_by=actor.name,
                    created_at=now,
                    updated_at=now,
                )
                await keep(session, cluster, target)
                session.add(cluster)
                await session.flush()
                await bump(session)
        except IntegrityError:
            raise ClusterExists(name=given.cluster_name) from None
    return await _shown(actor, given.cluster_name)


async def update(actor: Actor, name: str, given: ClusterChange) -> ClusterView:
    """Change what a cluster says of itself, and its credential or endpoint without a gap.

    The new way is checked first; only then it replaces the old, and the collector dials anew. A new endpoint needs its
    credential with it. Raises what `register` raises, NotFound and ClusterBuilding.
    """
    replaces = access.is_given(given)
    async with audit.entry(actor, "clusters.update", name, credential_replaced=replaces) as entry:
        policy.require(actor, "clusters.edit")
        _refuse(_check_kinds(given.cluster_type, given.cloud_type))
        target: Target | None = None
        if replaces:
            cluster, _ = await views.row(name)
            if cluster.building is not None:
                raise ClusterBuilding(name=name)
            target = await access.target_of(given, await stored_target(ref_of(cluster)))
            entry.detail["endpoint"] = target.endpoint
            entry.detail["warnings"] = await _checked(target, accept_warnings=given.accept_warnings)
        async with database.write() as session:
            cluster = await _find(session, name)
            if given.site is not None:
                cluster.site_id = (await find(session, given.site)).id if given.site else None
            cluster.cluster_type = given.cluster_type or cluster.cluster_type
            cluster.cloud_type = cluster.cloud_type if given.cloud_type is None else given.cloud_type
            cluster.updated_at = int(clock.epoch())
            if target is not None:
                await keep(session, cluster, target)
            await bump(session)
    return await _shown(actor, name)


async def delete(actor: Actor, name: str, *, confirm: str = "") -> None:
    """Take a cluster out of the fleet; nothing is changed in the cluster itself, its credential is destroyed here.

    Raises Forbidden, NotFound, and ConfirmationNeeded with the number of objects that would no longer be shown, unless
    `confirm` is the cluster's name.
    """
    async with audit.entry(actor, "clusters.delete", name) as entry:
        policy.require(actor, "clusters.delete")
        dependents = await what_depends(actor, name)
        entry.detail["objects"] = dependents.total
        if confirm != name:
            raise ConfirmationNeeded(name=name, objects=dependents.total)
        async with database.write() as session:
            cluster = await _find(session, name)
            if cluster.credential_id is not None:
                await vault.drop(session, cluster.credential_id)
            await session.delete(cluster)
            await bump(session)


def _check_kinds(cluster_type: str | None, cloud_type: str | None) -> list[FieldError]:
    errors = check_text(cloud_type or "", "cloudType")
    if cluster_type is not None and cluster_type not in ZONES:
        errors.append(FieldError("clusterType", "reason.not_zone"))
    return errors


def _refuse(errors: list[FieldError]) -> None:
    if errors:
        raise InvalidInput(errors=errors)


async def _refuse_taken(session: AsyncSession, name: str) -> None:
    if (await session.execute(select(col(Cluster.id)).where(col(Cluster.name) == name))).first() is not None:
        raise ClusterExists(name=name)


async def _find(session: AsyncSession, name: str) -> Cluster:
    cluster = (await session.execute(select(Cluster).where(col(Cluster.name) == name))).scalar_one_or_none()
    if cluster is None:
        raise NotFound(kind="cluster", name=name[:253])
    return cluster


async def _checked(target: Target, *, accept_warnings: bool) -> list[str]:
    """Run the preflight to its end and return its warnings' reasons. Raises PreflightFailed, PreflightWarned."""
    stages = [result async for result in checks.run(target, allow_loopback=settings().allow_loopback)]
    if any(stage.state == "failed" for stage in stages):
        raise PreflightFailed(stages)
    warnings = [stage.reason for stage in stages if stage.state == "warn"]
    if warnings and not accept_warnings:
        raise PreflightWarned(stages)
    return warnings


async def _shown(actor: Actor, name: str) -> ClusterView:
    (cluster, site), health = await asyncio.gather(views.row(name), views.health())
    return views.view(cluster, site, health.get(name), actor.language)
