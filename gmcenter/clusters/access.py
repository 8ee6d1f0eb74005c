"""From what a user gives (a kubeconfig, or endpoint, CA and credential) to a checked way to a cluster."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from pydantic import SecretStr

from gmcenter.clusters.schema import Access, ContextView
from gmcenter.core.address import parse_endpoint
from gmcenter.core.errors import InvalidField
from gmcenter.kube import kubeconfig, target
from gmcenter.kube.target import Target

# The fields of the form by the name that `target.build` gives to its parts.
_FIELDS: Final = {
    "endpoint": "clusterEndpoint",
    "certificate": "clientCertificate",
    "key": "clientKey",
}


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""


def is_given(access: Access) -> bool:
    """Whether any part of a way to a cluster was given."""
    return bool(
        _plain(access.kubeconfig)
        or access.cluster_endpoint
        or access.ca_pem
        or access.tls_server_name
        or _plain(access.token)
        or access.client_certificate
        or _plain(access.client_key)
    )


async def contexts(text: SecretStr, language: str) -> list[ContextView]:
    """The contexts of a kubeconfig as they may be shown. Raises KubeconfigError."""
    parsed = await asyncio.to_thread(kubeconfig.parse, text.get_secret_value())
    found = await asyncio.to_thread(lambda: parsed.contexts)
    return [
        ContextView(
            name=context.name,
            cluster=context.cluster,
            user=context.user,
            endpoint=context.endpoint,
            current=context.current,
            problem=context.problem.problem(language) if context.problem else None,
        )
        for context in found
    ]


async def target_of(access: Access, stored: Target | None = None) -> Target:
    """The way that was given; parts that are left out come from the stored one, when there is one.

    A TLS server name beside a kubeconfig overrules that of the kubeconfig. Raises KubeconfigError and InvalidField
    naming the field of the form.
    """
    if _plain(access.kubeconfig):
        return await _from_kubeconfig(access)
    endpoint, ca_pem, server_name = access.cluster_endpoint, access.ca_pem, access.tls_server_name
    token, certificate, key = _plain(access.token), access.client_certificate, _plain(access.client_key)
    if stored is not None:
        ca_pem = ca_pem or stored.ca_pem
        moved = bool(endpoint) and parse_endpoint(endpoint, field="clusterEndpoint") != stored.address
        endpoint = endpoint or stored.endpoint
        server_name = server_name or stored.tls_server_name
        if not (token or certificate or key):
            if moved:  # or whoever may edit a cluster could have its stored credential sent to a server of their own
                raise InvalidField(field="token", reason="credential_of_new_endpoint")
            token, certificate, key = stored.token, stored.certificate_pem, stored.key_pem
    if not endpoint:
        raise InvalidField(field="clusterEndpoint", reason="required")
    try:
        return await asyncio.to_thread(
            target.build,
            endpoint=endpoint,
            ca_pem=ca_pem,
            token=token,
            certificate_pem=certificate,
            key_pem=key,
            tls_server_name=server_name,
        )
    except InvalidField as problem:
        raise InvalidField(field=_FIELDS.get(problem.field or "", problem.field), reason=problem.reason) from None


async def _from_kubeconfig(access: Access) -> Target:
    if access.cluster_endpoint or access.ca_pem or _plain(access.token) or access.client_certificate:
        raise InvalidField(field="kubeconfig", reason="kubeconfig_or_endpoint")
    parsed = await asyncio.to_thread(kubeconfig.parse, _plain(access.kubeconfig))
    name = access.context or parsed.current
    if not name:
        raise InvalidField(field="context", reason="context_needed")
    found = await asyncio.to_thread(parsed.target, name)
    target.check_server_name(access.tls_server_name)
    return replace(found, tls_server_name=access.tls_server_name) if access.tls_server_name else found
