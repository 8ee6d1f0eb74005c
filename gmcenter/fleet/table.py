"""Reading the table of clusters as frozen values, and counting its changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from gmcenter.core import database
from gmcenter.core.errors import NotFound
from gmcenter.fleet.model import Cluster, FleetVersion

Zone = Literal["edge", "cloud"]


@dataclass(frozen=True, slots=True)
class ClusterRef:
    """What identifies a cluster and the way to it; no credential.

    `generation` differs whenever the endpoint, the CA or the credential did: a holder of an older one must dial again.
    `building` holds the progress of a cluster that does not exist yet ({"percent", "eta_seconds"}), None otherwise.
    """

    id: int
    name: str
    zone: Zone
    endpoint: str
    ca_pem: str
    generation: int
    tls_server_name: str = ""
    credential_id: int | None = None
    building: dict[str, Any] | None = None

    @property
    def is_building(self) -> bool:
        """Whether there is nothing to connect to yet."""
        return self.building is not None or self.credential_id is None


def ref_of(row: Cluster) -> ClusterRef:
    """The value for a row of the table."""
    assert row.id is not None
    return ClusterRef(
        id=row.id,
        name=row.name,
        zone=cast(Zone, row.cluster_type),
        endpoint=row.endpoint,
        ca_pem=row.ca_pem,
        generation=row.generation,
        tls_server_name=row.tls_server_name,
        credential_id=row.credential_id,
        building=row.building,
    )


async def clusters() -> list[ClusterRef]:
    """Every cluster of the fleet by name, those that are still being built included."""
    async with database.read() as session:
        rows = (await session.execute(select(Cluster).order_by(col(Cluster.name)))).scalars().all()
    return [ref_of(row) for row in rows]


async def cluster(name: str) -> ClusterRef:
    """One cluster by name. Raises NotFound."""
    async with database.read() as session:
        row = (await session.execute(select(Cluster).where(col(Cluster.name) == name))).scalar_one_or_none()
    if row is None:
        raise NotFound(kind="cluster", name=name)
    return ref_of(row)


async def version() -> int:
    """A number that is higher after every change of the fleet: one indexed read, to be asked each second."""
    async with database.read() as session:
        found = (await session.execute(select(col(FleetVersion.value)).where(col(FleetVersion.id) == 1))).scalar()
    return found or 0


async def bump(session: AsyncSession) -> None:
    """Count one change, in the transaction that makes it."""
    result = await session.execute(
        update(FleetVersion).where(col(FleetVersion.id) == 1).values(value=FleetVersion.value + 1)
    )
    if not cast(Any, result).rowcount:
        session.add(FleetVersion(id=1, value=1))
        await session.flush()
