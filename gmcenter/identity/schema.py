"""What identity takes in and gives out, over REST and to the portal."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from gmcenter.identity.actor import Role

UserName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9._@-]{0,61}[a-z0-9])?$")]
"""A login name: up to 63 lower-case letters, digits, dots, hyphens, underscores and @ signs."""


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True)


class Credentials(_Model):
    """A sign-in by REST. Field names are read in any case (``Id`` and ``Password`` too)."""

    model_config = ConfigDict(
        hide_input_in_errors=True, json_schema_extra={"examples": [{"id": "admin", "password": "…"}]}
    )

    id: str = Field(min_length=1, max_length=255, description="Login name")
    password: SecretStr = Field(min_length=1, max_length=1024)

    @model_validator(mode="before")
    @classmethod
    def _any_case(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for key, value in given.items() if (name := str(key).lower()) in ("id", "password")}


class RefreshRequest(_Model):
    """The refresh token of the last answer; it can be used once."""

    refresh_token: SecretStr = Field(min_length=1, max_length=1024)


class TokenAnswer(_Model):
    """Tokens of one session."""

    status: int = 200
    access_token: str = Field(description="JWT for the Authorization header")
    refresh_token: str = Field(description="Exchanged once for the next pair")
    user_id: str = Field(description="Login name")
    expires_in: int = Field(description="Life of the access token, seconds")


class UserView(_Model):
    """A user as others may see them."""

    id: int
    name: str = Field(description="Login name")
    display_name: str
    role: Role
    enabled: bool
    language: str
    created_at: datetime
    last_login_at: datetime | None = Field(description="Null before the first sign-in")
    locked_until: datetime | None = Field(default=None, description="Set while too many passwords were wrong")


class Me(_Model):
    """The signed-in user."""

    user_id: str = Field(description="Login name")
    display_name: str
    role: Role
    language: str
    session_id: str | None


class MeAnswer(_Model):
    """The signed-in user, in the usual envelope."""

    data: Me


class SessionView(_Model):
    """One session; its id opens nothing."""

    id: str
    user_id: str = Field(description="Login name")
    kind: str = Field(description="browser or api")
    ip: str
    agent: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    current: bool = Field(description="Whether it is the session of this request")


class SessionList(_Model):
    """Sessions that are alive, newest first."""

    data: list[SessionView]


class NewUser(_Model):
    """A user to be made."""

    name: UserName
    password: SecretStr
    role: Role = "SA"
    display_name: str = Field(default="", max_length=100)
    language: str = Field(default="ko", pattern=r"^(ko|en)$")
