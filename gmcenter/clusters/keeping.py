"""How a checked way to a cluster is stored: its open parts in the row, its credential sealed, the old one destroyed."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from gmcenter.core import vault
from gmcenter.fleet.door import VAULT_PURPOSE
from gmcenter.fleet.model import Cluster
from gmcenter.kube.target import Target


async def keep(session: AsyncSession, cluster: Cluster, target: Target) -> None:
    """Make `target` the way to `cluster`; for a cluster that had another way, its generation goes up."""
    old = cluster.credential_id
    cluster.endpoint, cluster.ca_pem, cluster.tls_server_name = target.endpoint, target.ca_pem, target.tls_server_name
    cluster.credential_id = await vault.put(session, VAULT_PURPOSE, target.sealed_form())
    cluster.credential_kind, cluster.credential_not_after = target.kind, target.not_after()
    cluster.building = None
    if cluster.id is not None:
        cluster.generation += 1
    if old is not None:
        await vault.drop(session, old)
