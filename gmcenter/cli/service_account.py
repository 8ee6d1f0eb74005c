"""The account by which GM works in a cluster, made with the user's own kubeconfig.

The kubernetes library signs the user in: exec plugins and auth providers run here, on the user's machine. What is
made is shown first, and is the same however often it is applied: a namespace, a service account, its binding to a
ClusterRole, and a Secret of type kubernetes.io/service-account-token, whose token does not end.
"""

from __future__ import annotations

import base64
import io
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

NAMESPACE: Final = "gm-system"
ACCOUNT: Final = "gm-center"
SECRET: Final = "gm-center-token"  # noqa: S105 the name of an object
MANAGER: Final = "gm-cluster-add"
TOKEN_SECONDS: Final = 20.0
REQUEST_SECONDS: Final = 20.0


class Refused(Exception):
    """It cannot be done; `key` names the words, `params` fill them."""

    def __init__(self, key: str, **params: object) -> None:
        super().__init__(key)
        self.key, self.params = key, params


def name_from(context: str) -> str:
    """A cluster name (DNS-1123 label) made from a context's name: the last part of an ARN or path, cleaned."""
    last = re.split(r"[/:@]", context)[-1] or context
    return re.sub(r"[^a-z0-9-]+", "-", last.lower())[:63].strip("-") or "cluster"


@dataclass
class ServiceAccount:
    """The account to be made in the cluster of one context, and how to reach that cluster."""

    context: str
    endpoint: str
    ca_pem: str
    tls_server_name: str
    role: str
    client: Any

    def manifest(self) -> list[tuple[str, dict[str, Any]]]:
        """Paths and objects, in the order in which they are made."""
        labels = {"app.kubernetes.io/managed-by": "gedge-gm"}
        inside: dict[str, Any] = {"namespace": NAMESPACE, "labels": labels}
        subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
        return [
            (
                f"/api/v1/namespaces/{NAMESPACE}",
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},
            ),
            (
                f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{ACCOUNT}",
                {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, **inside}},
            ),
            (
                f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{ACCOUNT}",
                {
                    "apiVersion": "rbac.authorization.k8s.io/v1",
                    "kind": "ClusterRoleBinding",
                    "metadata": {"name": ACCOUNT, "labels": labels},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": self.role},
                    "subjects": [subject],
                },
            ),
            (
                f"/api/v1/namespaces/{NAMESPACE}/secrets/{SECRET}",
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "type": "kubernetes.io/service-account-token",
                    "metadata": {
                        "name": SECRET,
                        **inside,
                        "annotations": {"kubernetes.io/service-account.name": ACCOUNT},
                    },
                },
            ),
        ]

    def manifest_text(self) -> str:
        """What will be applied, as YAML."""
        yaml = YAML()
        yaml.default_flow_style = False
        out = io.StringIO()
        yaml.dump_all([document for _, document in self.manifest()], out)
        return out.getvalue()

    def create(self) -> str:
        """Apply the manifest by server-side apply and return the account's token. Raises Refused."""
        for path, document in self.manifest():
            applied = self._ask("PATCH", f"{path}?fieldManager={MANAGER}&force=true", document)
            if (applied.get("status") or {}).get("phase") == "Terminating":
                raise Refused("cli.cluster.terminating", namespace=NAMESPACE)
        deadline = time.monotonic() + TOKEN_SECONDS
        while True:
            found = self._ask("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/{SECRET}")
            if token := (found.get("data") or {}).get("token"):
                return base64.b64decode(token).decode("ascii")
            if time.monotonic() > deadline:
                raise Refused("cli.cluster.no_token", seconds=round(TOKEN_SECONDS))
            time.sleep(0.2)

    def _ask(self, method: str, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json"}
        if document is not None:
            headers["Content-Type"] = "application/apply-patch+yaml"
        try:
            asked = self.client.param_serialize(
                method=method,
                resource_path=path,
                header_params=headers,
                body=document,
                auth_settings=["BearerToken"],
            )
            response = self.client.call_api(*asked, _request_timeout=REQUEST_SECONDS)
            raw = response.read()
        except (ApiException, HTTPError, OSError) as problem:
            raise Refused("cli.cluster.unreachable", endpoint=self.endpoint, reason=str(problem)[:300]) from None
        if not 200 <= response.status < 300:
            raise Refused("cli.cluster.not_allowed", method=method, path=path.split("?")[0], reason=_message(raw))
        found: dict[str, Any] = json.loads(raw)
        return found


def _message(raw: bytes) -> str:
    try:
        return str(json.loads(raw)["message"])[:300]
    except (ValueError, KeyError, TypeError):
        return raw[:200].decode("utf-8", "replace")


def of_context(kubeconfig: str | None, context: str | None, role: str) -> ServiceAccount:
    """The account for a context of the user's kubeconfig. Raises Refused."""
    from kubernetes import client, config
    from kubernetes.config.config_exception import ConfigException

    try:
        contexts, current = config.list_kube_config_contexts(config_file=kubeconfig)  # type: ignore[no-untyped-call]
        chosen = context or current["name"]
        if chosen not in {one["name"] for one in contexts}:
            known = ", ".join(one["name"] for one in contexts[:20])
            raise Refused("cli.cluster.no_context", context=chosen, known=known)
        configuration = client.Configuration()
        made = config.new_client_from_config(  # type: ignore[no-untyped-call]
            config_file=kubeconfig, context=chosen, persist_config=False, client_configuration=configuration
        )
    except (ConfigException, OSError, TypeError, KeyError) as problem:
        raise Refused("cli.cluster.no_kubeconfig", reason=str(problem)[:300]) from None
    if not configuration.verify_ssl:
        raise Refused("cli.cluster.insecure", context=chosen)
    ca = configuration.ssl_ca_cert
    return ServiceAccount(
        context=chosen,
        endpoint=configuration.host,
        ca_pem=Path(ca).read_text() if ca else "",
        tls_server_name=configuration.tls_server_name or "",
        role=role,
        client=made,
    )
