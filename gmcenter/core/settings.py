"""Everything an operator may set, in one documented class.

Each field is read from the environment variable `GM_<FIELD>`; the README's table is checked against this class.
"""

import os
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _default_data() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "gm"


class Settings(BaseSettings):
    """Settings of one GM installation; every process of it reads the same ones."""

    model_config = SettingsConfigDict(env_prefix="GM_", extra="ignore", ignored_types=(cached_property,))

    data: Path = Field(default_factory=_default_data, description="Folder of the embedded databases, the key and logs")
    host: str = Field("127.0.0.1", description="Address the console listens on")
    port: int = Field(8010, ge=0, le=65535, description="Port of the console: pages, socket and REST")
    origins: list[str] = Field([], description="Further origins (JSON list) from which the console may be opened")

    system_url: str = Field("", description="System database; empty: system.db in the data folder")
    inventory_url: str = Field("", description="Inventory; empty: inventory.db in the data folder")
    redis_url: str = Field("", description="Valkey or Redis for page state and rate limits of several web replicas")

    secret_key_file: Path | None = Field(None, description="Master key (32 bytes, base64); empty: secret.key in data")
    allow_loopback: bool = Field(False, description="Allow clusters on loopback addresses (demo and tests)")

    access_token_minutes: int = Field(15, ge=1, le=60, description="Life of a REST access token, minutes")
    refresh_days: int = Field(14, ge=1, le=90, description="Life of a refresh token, days")
    session_hours: int = Field(12, ge=1, le=168, description="Longest life of a browser session, hours")
    session_idle_minutes: int = Field(120, ge=1, le=1440, description="A browser session ends after this silence, min")
    login_failures: int = Field(5, ge=1, le=100, description="Wrong passwords in a row before an account locks")
    login_rate: str = Field("20/minute", description="Log-in attempts allowed from one address")

    probe_seconds: float = Field(10.0, gt=0, description="Pause between two probes of a cluster, seconds")
    probe_timeout_seconds: float = Field(5.0, gt=0, description="A probe without an answer counts as missed, seconds")
    silent_seconds: float = Field(90.0, gt=0, description="A watch silent for this long is reopened, seconds")
    feed_minutes: float = Field(10.0, gt=0, description="How long the change feed is kept, minutes")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged")
    log_format: Literal["json", "console"] = Field("json", description="json for machines, console for people")

    def database_url(self, name: Literal["system", "inventory"]) -> str:
        """The URL of one of the databases: the one that is set, or an SQLite file in the data folder."""
        given: str = getattr(self, f"{name}_url")
        return given or f"sqlite:///{(self.data / f'{name}.db').absolute()}"

    @property
    def key_file(self) -> Path:
        """Where the master key lies."""
        return self.secret_key_file or self.data / "secret.key"


_current: Settings | None = None


def settings() -> Settings:
    """The settings of this process, read from the environment on the first call."""
    global _current
    if _current is None:
        _current = Settings()
    return _current


def configure(new: Settings | None) -> None:
    """Replace the settings of this process (tests, CLI options); None reads the environment again."""
    global _current
    _current = new
