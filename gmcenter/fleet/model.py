"""The tables of the fleet: where clusters stand, and how each is reached.

A site is a place on the map; a cluster may stand at one. Credentials lie sealed in the vault; a cluster's row holds
only the number of the secret. Times are epoch seconds, so that they read the same from SQLite and from PostgreSQL.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, ForeignKey, Integer, Text
from sqlmodel import Field, SQLModel

from gmcenter.core import database as _naming  # noqa: F401  the naming convention must stand before the first table

ZONES = ("edge", "cloud")
CREDENTIAL_KINDS = ("token", "certificate")


class Site(SQLModel, table=True):
    """A place where clusters stand: an address, a point on the map, and the zone that it belongs to."""

    __tablename__ = "site"
    __table_args__ = (CheckConstraint("zone IN ('edge', 'cloud')", name="zone"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=63, unique=True)
    address: str = Field(default="", max_length=200)
    latitude: float | None = Field(default=None)
    longitude: float | None = Field(default=None)
    zone: str = Field(default="edge", max_length=8)
    created_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    updated_at: int = Field(sa_column=Column(BigInteger, nullable=False))


class Cluster(SQLModel, table=True):
    """One registered cluster.

    `id` is never used again after a delete, because the inventory keys its rows by it. `generation` goes up whenever
    the way to the cluster changes (endpoint, CA, credential), which is how the collector learns to reconnect.
    `building` holds the progress of a cluster that does not exist yet, and then `endpoint` is empty.
    """

    __tablename__ = "cluster"
    __table_args__ = (
        CheckConstraint("cluster_type IN ('edge', 'cloud')", name="cluster_type"),
        CheckConstraint("credential_kind IN ('token', 'certificate')", name="credential_kind"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=63, unique=True)
    site_id: int | None = Field(
        default=None, sa_column=Column(Integer, ForeignKey("site.id", ondelete="RESTRICT"), nullable=True, index=True)
    )
    cluster_type: str = Field(default="edge", max_length=8)
    cloud_type: str = Field(default="", max_length=32)
    endpoint: str = Field(default="", max_length=512)
    tls_server_name: str = Field(default="", max_length=253)
    ca_pem: str = Field(default="", sa_column=Column(Text, nullable=False))
    credential_id: int | None = Field(default=None)
    credential_kind: str = Field(default="token", max_length=16)
    credential_not_after: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    generation: int = Field(default=1)
    building: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    created_by: str = Field(default="", max_length=63)
    created_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    updated_at: int = Field(sa_column=Column(BigInteger, nullable=False))


class FleetVersion(SQLModel, table=True):
    """One row that goes up with every change of the fleet, so that a reader asks one cheap question a second."""

    __tablename__ = "fleet_version"

    id: int = Field(default=1, primary_key=True)
    value: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
