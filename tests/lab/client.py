"""A plain client of one API server for the lab itself: standard library, one connection a thread."""

import http.client
import json
import ssl
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Group path and plural of the kinds that the lab writes.
PATHS = {
    "APIService": ("apis/apiregistration.k8s.io/v1", "apiservices", False),
    "ClusterRole": ("apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "ConfigMap": ("api/v1", "configmaps", True),
    "CronJob": ("apis/batch/v1", "cronjobs", True),
    "DaemonSet": ("apis/apps/v1", "daemonsets", True),
    "Deployment": ("apis/apps/v1", "deployments", True),
    "Event": ("api/v1", "events", True),
    "Job": ("apis/batch/v1", "jobs", True),
    "Namespace": ("api/v1", "namespaces", False),
    "Node": ("api/v1", "nodes", False),
    "PersistentVolumeClaim": ("api/v1", "persistentvolumeclaims", True),
    "Pod": ("api/v1", "pods", True),
    "Secret": ("api/v1", "secrets", True),
    "Service": ("api/v1", "services", True),
    "ServiceAccount": ("api/v1", "serviceaccounts", True),
    "StatefulSet": ("apis/apps/v1", "statefulsets", True),
    "StorageClass": ("apis/storage.k8s.io/v1", "storageclasses", False),
}
Manifest = dict[str, Any]


class ApiError(Exception):
    """The API server refused; `status` is its HTTP status, `body` its Status object."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body.get('message') if isinstance(body, dict) else body}")
        self.status, self.body = status, body


def path_of(kind: str, namespace: str | None = None, name: str | None = None) -> str:
    """The URL path of a kind's collection, or of one object."""
    group, plural, namespaced = PATHS[kind]
    middle = f"namespaces/{namespace}/" if namespaced and namespace else ""
    return f"/{group}/{middle}{plural}" + (f"/{name}" if name else "")


class Client:
    """Requests with the administrator's certificate (or any other user's). Raises ApiError and OSError."""

    def __init__(self, url: str, ca: Path, certificate: tuple[Path, Path] | None = None, token: str | None = None):
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._host, self._port, self._token = parts.hostname, parts.port, token
        self._tls = ssl.create_default_context(cafile=str(ca))
        if certificate:
            self._tls.load_cert_chain(*map(str, certificate))
        self._local = threading.local()

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", timeout: float = 30
    ) -> Any:
        """Send one request and return the decoded answer (text, when it is not JSON)."""
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = content_type
        for attempt in (1, 2):
            kept = getattr(self._local, "connection", None)
            connection = kept or http.client.HTTPSConnection(self._host, self._port, context=self._tls, timeout=timeout)
            try:
                connection.request(method, path, data, headers)
                answer = connection.getresponse()
                raw = answer.read()
                break
            except (OSError, http.client.HTTPException):
                connection.close()
                self._local.connection = None
                if not kept or attempt == 2:  # only a kept connection may have gone stale
                    raise
        self._local.connection = connection
        try:
            decoded = json.loads(raw)
        except ValueError:
            decoded = raw.decode(errors="replace")
        if answer.status >= 400:
            raise ApiError(answer.status, decoded)
        return decoded

    def get(self, path: str, **options: Any) -> Any:
        return self.request("GET", path, **options)

    def items(self, kind: str, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        """All objects of a kind, in one namespace or in all."""
        query = f"?labelSelector={selector}" if selector else ""
        found: list[Manifest] = self.get(path_of(kind, namespace) + query)["items"]
        return found

    def create(self, manifest: Manifest, *, exists_ok: bool = True) -> Manifest | None:
        """Create an object; None when it was there already."""
        meta = manifest["metadata"]
        try:
            made: Manifest = self.request("POST", path_of(manifest["kind"], meta.get("namespace")), manifest)
            return made
        except ApiError as error:
            if error.status == 409 and exists_ok:
                return None
            raise

    def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply as the field manager `gm-lab`."""
        meta = manifest["metadata"]
        path = path_of(manifest["kind"], meta.get("namespace"), meta["name"])
        applied: Manifest = self.request(
            "PATCH", f"{path}?fieldManager=gm-lab&force=true", manifest, "application/apply-patch+yaml"
        )
        return applied

    def patch(self, path: str, body: Manifest, kind: str = "merge") -> Manifest:
        """A merge (or strategic) patch."""
        answer: Manifest = self.request("PATCH", path, body, f"application/{kind}-patch+json")
        return answer

    def delete(self, kind: str, name: str, namespace: str | None = None, grace: int | None = None) -> Any:
        body = None if grace is None else {"gracePeriodSeconds": grace}
        return self.request("DELETE", path_of(kind, namespace, name), body)
