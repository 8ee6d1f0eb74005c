"""What goes into the use cases of clusters and sites and what comes out; names are those of the REST API."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

from gmcenter.core import i18n
from gmcenter.kube.preflight import StageResult

ClusterState = Literal["live", "syncing", "away", "building", "failed", "unknown"]
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"  # DNS-1123 label


class _Input(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", hide_input_in_errors=True
    )


class _Output(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)


class Access(_Input):
    """The way to a cluster: a kubeconfig with a context, or an endpoint with its CA and one credential."""

    kubeconfig: SecretStr | None = Field(default=None, description="Whole text of a kubeconfig, YAML or JSON, ≤ 1 MB")
    context: str = Field(
        default="", max_length=253, description="A context of the kubeconfig; its current one if empty"
    )
    cluster_endpoint: str = Field(default="", max_length=500, description="https URL of the API server")
    ca_pem: str = Field(default="", max_length=200_000, description="CA certificates, PEM; empty: the system's")
    token: SecretStr | None = Field(default=None, description="Bearer token of a service account")
    client_certificate: str = Field(default="", max_length=65_536, description="Client certificate, PEM")
    client_key: SecretStr | None = Field(default=None, description="Private key of the client certificate, PEM")
    tls_server_name: str = Field(default="", max_length=253, description="Name in the server's certificate, if another")


class NewCluster(Access):
    """A cluster to be registered."""

    cluster_name: str = Field(max_length=253, description="DNS-1123 label, unique, fixed for good")
    cluster_type: str = Field(default="edge", description="edge or cloud")
    cloud_type: str = Field(default="", max_length=32, description="aws, openstack, …; free text")
    site: str | None = Field(default=None, max_length=63, description="Name of the site where it stands")
    accept_warnings: bool = Field(default=False, description="Register although the check has warnings")


class ClusterChange(Access):
    """What is to be changed; what is left out stays. A new way to the cluster is checked before it replaces the old."""

    cluster_type: str | None = Field(default=None, description="edge or cloud")
    cloud_type: str | None = Field(default=None, max_length=32)
    site: str | None = Field(default=None, max_length=63, description="Name of a site; empty: none")
    accept_warnings: bool = Field(default=False, description="Replace although the check has warnings")


class PreflightRequest(Access):
    """A way to a cluster to be checked; nothing is stored."""


class KubeconfigText(_Input):
    """A kubeconfig whose contexts are wanted."""

    kubeconfig: SecretStr = Field(description="Whole text of a kubeconfig, YAML or JSON, ≤ 1 MB")


class ContextView(_Output):
    """One context of a kubeconfig; never its credential."""

    name: str
    cluster: str
    user: str
    endpoint: str
    current: bool
    problem: dict[str, Any] | None = Field(description="Why it cannot be used (problem+json), null when it can")


class StageView(_Output):
    """What one stage of the preflight found."""

    stage: str = Field(description="dns, tcp, tls, authentication, permissions, version, latency, clock")
    state: Literal["ok", "warn", "failed", "skipped"]
    reason: str = Field(description="Stable code")
    message: str = Field(description="The reason in words")
    remedy: str | None = Field(description="What to do about it")
    params: dict[str, Any] = Field(description="The facts behind the words")
    duration_ms: float

    @classmethod
    def of(cls, result: StageResult, language: str) -> StageView:
        """A result in a language."""
        return cls(
            stage=result.stage,
            state=result.state,
            reason=result.reason,
            message=i18n.message(f"clusters.preflight.reason.{result.reason}", language, **result.params),
            remedy=i18n.message(result.remedy, language, **result.params) if result.remedy else None,
            params=result.params,
            duration_ms=result.duration_ms,
        )


class Point(_Output):
    """A point on the map; x is the longitude, y the latitude, in degrees (WGS 84)."""

    x: float
    y: float


class SiteView(_Output):
    """A site with the clusters that stand there."""

    name: str
    address: str
    latitude: float | None
    longitude: float | None
    zone: Literal["edge", "cloud"]
    clusters: list[str]
    created_at: datetime
    updated_at: datetime


class SiteInput(_Input):
    """A site to be made or, under its name, replaced."""

    name: str = Field(default="", max_length=253)
    address: str = Field(default="", max_length=200)
    latitude: float | None = None
    longitude: float | None = None
    zone: str = "edge"


class ResourceUsage(_Output):
    """Usage as sibling components read it; null until a metrics source is configured."""

    model_config = ConfigDict(alias_generator=None)

    cpu_usage: float | None = None
    memory_usage: float | None = None
    pod_running: int | None = None


class ClusterView(_Output):
    """One cluster with its health; never its credential."""

    id: int
    cluster_name: str
    cluster_type: Literal["edge", "cloud"]
    cloud_type: str
    cluster_endpoint: str
    tls_server_name: str
    credential_kind: str | None = Field(description="token or certificate; the credential itself is never shown")
    credential_not_after: datetime | None = Field(description="When the credential ends, if it does")
    site: str | None
    address: str
    point: Point | None
    status: Literal["success", "false"] = Field(description="success while the cluster answers")
    state: ClusterState
    error: str | None = Field(description="Why it does not answer: a stable code")
    message: str | None = Field(description="The same in words")
    version: str | None
    latency_ms: float | None
    certificate_not_after: datetime | None = Field(description="When the API server's certificate ends")
    last_seen: datetime | None = Field(description="The last answer to a probe")
    building: dict[str, Any] | None = Field(description="Progress of a cluster that does not exist yet")
    node_cnt: int | None
    gpu_cnt: int | None
    resource_usage: ResourceUsage
    created_at: datetime = Field(serialization_alias="created_at")
    updated_at: datetime = Field(serialization_alias="updated_at")
    created_by: str


class ClusterDetail(ClusterView):
    """One cluster with what it holds."""

    resource: dict[str, int | None] = Field(description="Number of objects by kind: pod_count, node_count, …")
    nodes: list[dict[str, Any]]
    events: list[dict[str, Any]]
    gpu: list[dict[str, Any]]
    freshness: dict[str, Any]


class Dependents(_Output):
    """What would no longer be shown, or no longer work, without the cluster."""

    cluster: str
    objects: dict[str, int] = Field(description="Objects in the inventory by kind")
    total: int
