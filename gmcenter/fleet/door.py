"""The only door to a cluster: opens the stored credential and connects to a checked address.

The name in an endpoint is resolved anew at each connection attempt, and the connection goes to an address that was
checked a moment before: neither a cluster that moves nor a name that changes its answer on purpose needs anything else.
"""

from __future__ import annotations

import socket

import aiohttp

from gmcenter.core import database, vault
from gmcenter.core.address import AddressRefused, Lookup, UnknownHost, literal, refusal, resolve
from gmcenter.core.errors import ClusterUnreachable
from gmcenter.core.settings import settings
from gmcenter.fleet.table import ClusterRef, cluster
from gmcenter.kube.connection import Connection
from gmcenter.kube.target import Target, unsealed

VAULT_PURPOSE = "cluster"


class GuardedResolver(aiohttp.abc.AbstractResolver):
    """Resolves a name each time it is asked, and gives only addresses that may be connected to."""

    def __init__(self, cluster_name: str, *, allow_loopback: bool, lookup: Lookup | None = None) -> None:
        self._cluster, self._allow_loopback, self._lookup = cluster_name, allow_loopback, lookup

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 the addresses decide
    ) -> list[aiohttp.abc.ResolveResult]:
        """Every allowed address. Raises OSError for an unknown name, ClusterUnreachable where all are refused."""
        try:
            addresses = await resolve(host, port, allow_loopback=self._allow_loopback, lookup=self._lookup)
        except UnknownHost as problem:
            raise OSError(problem.reason) from None
        except AddressRefused:
            raise ClusterUnreachable(cluster=self._cluster, stage="dns", reason="address_refused") from None
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": socket.IPPROTO_TCP,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is kept."""


async def stored_target(ref: ClusterRef) -> Target:
    """The way to a cluster with its credential opened: for the preflight of a registered cluster, and for `dial`.

    Raises ClusterUnreachable for a cluster that is still being built.
    """
    if ref.credential_id is None:
        raise ClusterUnreachable(cluster=ref.name, stage="dns", reason="building")
    async with database.read() as session:
        opened = await vault.get(session, ref.credential_id, VAULT_PURPOSE)
    return unsealed(opened, endpoint=ref.endpoint, ca_pem=ref.ca_pem, tls_server_name=ref.tls_server_name)


async def dial(where: ClusterRef | str, *, lookup: Lookup | None = None) -> Connection:
    """A connection to a cluster, given by value or by name; nothing is sent yet. The caller closes it.

    Raises NotFound for an unknown name, ClusterUnreachable for a cluster that is still being built or whose address is
    refused. A name is resolved when the connection is used, and again at each new attempt.
    """
    ref = await cluster(where) if isinstance(where, str) else where
    target = await stored_target(ref)
    allow_loopback = settings().allow_loopback
    host = target.address.host
    if literal(host) is not None and refusal(host, allow_loopback=allow_loopback):
        raise ClusterUnreachable(cluster=ref.name, stage="dns", reason="address_refused")
    resolver = GuardedResolver(ref.name, allow_loopback=allow_loopback, lookup=lookup)
    return Connection(target, resolver=resolver, cluster=ref.name)
