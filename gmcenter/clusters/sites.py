"""Sites: the places where clusters stand."""

from __future__ import annotations

import re

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from gmcenter.clusters import views
from gmcenter.clusters.errors import SiteExists, SiteInUse
from gmcenter.clusters.schema import NAME_PATTERN, SiteInput, SiteView
from gmcenter.core import clock, database
from gmcenter.core.errors import FieldError, InvalidInput, NotFound
from gmcenter.fleet import bump
from gmcenter.fleet.model import ZONES, Cluster, Site
from gmcenter.identity import audit, policy
from gmcenter.identity.actor import Actor


def check_name(name: str, field: str) -> list[FieldError]:
    """What is wrong with a name, as the list of errors of a form."""
    if not name:
        return [FieldError(field, "reason.required")]
    return [] if re.fullmatch(NAME_PATTERN, name) else [FieldError(field, "reason.not_name")]


def check_text(text: str, field: str) -> list[FieldError]:
    """Whether a text can be shown."""
    return [] if text.isprintable() else [FieldError(field, "reason.control_characters")]


def _check(given: SiteInput) -> None:
    errors = check_name(given.name, "name") + check_text(given.address, "address")
    if given.zone not in ZONES:
        errors.append(FieldError("zone", "reason.not_zone"))
    if (given.latitude is None) != (given.longitude is None):
        errors.append(FieldError("latitude" if given.latitude is None else "longitude", "reason.half_point"))
    if given.latitude is not None and not -90 <= given.latitude <= 90:
        errors.append(FieldError("latitude", "reason.not_latitude"))
    if given.longitude is not None and not -180 <= given.longitude <= 180:
        errors.append(FieldError("longitude", "reason.not_longitude"))
    if errors:
        raise InvalidInput(errors=errors)


async def find(session: AsyncSession, name: str) -> Site:
    """The site of that name. Raises NotFound."""
    site = (await session.execute(select(Site).where(col(Site.name) == name))).scalar_one_or_none()
    if site is None:
        raise NotFound(kind="site", name=name[:253])
    return site


async def _clusters_at(session: AsyncSession, site: Site) -> list[str]:
    query = select(col(Cluster.name)).where(col(Cluster.site_id) == site.id).order_by(col(Cluster.name))
    return list((await session.execute(query)).scalars())


async def list_sites(actor: Actor) -> list[SiteView]:
    """All sites by name. Raises Forbidden."""
    policy.require(actor, "sites.list")
    async with database.read() as session:
        sites = (await session.execute(select(Site).order_by(col(Site.name)))).scalars().all()
        found = (await session.execute(select(col(Cluster.site_id), col(Cluster.name)))).all()
    at: dict[int | None, list[str]] = {}
    for site_id, cluster_name in found:
        at.setdefault(site_id, []).append(cluster_name)
    return [views.site_view(site, sorted(at.get(site.id, []))) for site in sites]


async def get_site(actor: Actor, name: str) -> SiteView:
    """One site. Raises Forbidden, NotFound."""
    policy.require(actor, "sites.list")
    async with database.read() as session:
        site = await find(session, name)
        return views.site_view(site, await _clusters_at(session, site))


async def create_site(actor: Actor, given: SiteInput) -> SiteView:
    """Make a site. Raises Forbidden, InvalidInput, SiteExists."""
    async with audit.entry(actor, "sites.create", given.name):
        policy.require(actor, "sites.edit")
        _check(given)
        now = int(clock.epoch())
        site = Site(**given.model_dump(), created_at=now, updated_at=now)
        try:
            async with database.write() as session:
                session.add(site)
                await session.flush()
                await bump(session)
        except IntegrityError:
            raise SiteExists(name=given.name) from None
        return views.site_view(site, [])


async def update_site(actor: Actor, name: str, given: SiteInput) -> SiteView:
    """Replace what a site says; a name in `given` renames it. Raises Forbidden, InvalidInput, NotFound, SiteExists."""
    async with audit.entry(actor, "sites.update", name):
        policy.require(actor, "sites.edit")
        given = given if given.name else given.model_copy(update={"name": name})
        _check(given)
        try:
            async with database.write() as session:
                site = await find(session, name)
                for key, value in given.model_dump().items():
                    setattr(site, key, value)
                site.updated_at = int(clock.epoch())
                await bump(session)
                await session.flush()
                return views.site_view(site, await _clusters_at(session, site))
        except IntegrityError:
            raise SiteExists(name=given.name) from None


async def delete_site(actor: Actor, name: str) -> None:
    """Delete a site where no cluster stands. Raises Forbidden, NotFound, SiteInUse naming the clusters."""
    async with audit.entry(actor, "sites.delete", name):
        policy.require(actor, "sites.edit")
        async with database.write() as session:
            site = await find(session, name)
            if found := await _clusters_at(session, site):
                raise SiteInUse(name=name, clusters=", ".join(found[:20]))
            await session.delete(site)
            await bump(session)
