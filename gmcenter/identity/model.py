"""The tables of identity.

Times are epoch seconds (the audit's are microseconds, because they are part of what its chain signs), so that they read
the same from SQLite and from PostgreSQL. No column holds a password or a token: only their hashes.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Double, Index, Integer, Text
from sqlmodel import Field, SQLModel

from gmcenter.core import database as _naming  # noqa: F401  the naming convention must stand before the first table


class User(SQLModel, table=True):
    """Someone who signs in. ``name`` is the login name, lower case; ``id`` is never used again after a delete."""

    __tablename__ = "account"
    __table_args__ = (CheckConstraint("role IN ('PA', 'SA')", name="role"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=63, unique=True)
    display_name: str = Field(default="", max_length=100)
    role: str = Field(max_length=2)
    password_hash: str = Field(max_length=255)
    enabled: bool = Field(default=True)
    language: str = Field(default="ko", max_length=8)
    created_at: float = Field(sa_type=Double)
    updated_at: float = Field(sa_type=Double)
    password_changed_at: float = Field(sa_type=Double)
    last_login_at: float | None = Field(default=None, sa_type=Double)


class LoginSession(SQLModel, table=True):
    """One sign-in: of a browser (``secret_hash`` is its cookie's) or of a program (a family of refresh tokens).

    ``id`` is public: it names the session in lists and in access tokens and opens nothing. A session that has ended
    keeps its row for a while, so that a late refresh token is still recognised.
    """

    __tablename__ = "login_session"
    __table_args__ = (CheckConstraint("kind IN ('browser', 'api')", name="kind"),)

    id: str = Field(max_length=32, primary_key=True)
    user_id: int = Field(sa_type=Integer, foreign_key="account.id", ondelete="CASCADE", index=True)
    kind: str = Field(max_length=8)
    secret_hash: str | None = Field(default=None, max_length=64, unique=True)
    ip: str = Field(default="", max_length=64)
    agent: str = Field(default="", max_length=255)
    created_at: float = Field(sa_type=Double)
    last_seen_at: float = Field(sa_type=Double)
    expires_at: float = Field(sa_type=Double, index=True)
    revoked_at: float | None = Field(default=None, sa_type=Double)
    revoked_reason: str = Field(default="", max_length=32)


class RefreshToken(SQLModel, table=True):
    """One refresh token of a session; ``used_at`` says that it was exchanged, and that a second use is a theft."""

    __tablename__ = "refresh_token"

    id: int | None = Field(default=None, primary_key=True)
    session_id: str = Field(max_length=32, foreign_key="login_session.id", ondelete="CASCADE", index=True)
    token_hash: str = Field(max_length=64, unique=True)
    issued_at: float = Field(sa_type=Double)
    expires_at: float = Field(sa_type=Double)
    used_at: float | None = Field(default=None, sa_type=Double)


class LoginAttempt(SQLModel, table=True):
    """Wrong passwords in a row for one login name, known or not.

    The name is stored as a keyed hash: people type their password into the wrong field, and a table of attempted names
    would keep it.
    """

    __tablename__ = "login_attempt"

    subject: str = Field(max_length=64, primary_key=True)
    failures: int = Field(default=0)
    last_failed_at: float = Field(sa_type=Double)
    locked_until: float = Field(default=0.0, sa_type=Double)


class AuditEntry(SQLModel, table=True):
    """One line of the audit, chained to the one before by ``mac`` over all of its columns and ``previous``."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        CheckConstraint("outcome IN ('ok', 'denied', 'failed')", name="outcome"),
        Index("ix_audit_entry_at", "at"),
    )

    seq: int = Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: int = Field(sa_type=BigInteger)
    user_id: int = Field()
    user_name: str = Field(max_length=63)
    session_id: str = Field(default="", max_length=32)
    ip: str = Field(default="", max_length=64)
    action: str = Field(max_length=64)
    target: str = Field(default="", max_length=255)
    outcome: str = Field(max_length=8)
    code: str = Field(default="", max_length=64)
    detail: str = Field(default="{}", sa_type=Text)
    previous: str = Field(max_length=64)
    mac: str = Field(max_length=64)


class ScopeVersion(SQLModel, table=True):
    """One row that goes up with every change of what anybody may see."""

    __tablename__ = "scope_version"

    id: int = Field(default=1, primary_key=True)
    version: int = Field(default=0, sa_type=BigInteger)


__all__ = ["AuditEntry", "LoginAttempt", "LoginSession", "RefreshToken", "ScopeVersion", "User"]
