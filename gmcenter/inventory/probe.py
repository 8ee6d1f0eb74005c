"""Whether a cluster answers: its readiness, version, latency, clock and certificate, asked apart from the watches."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from gmcenter.core import clock
from gmcenter.core.errors import GMError, UpstreamError
from gmcenter.kube.connection import Answer, Connection

VERSION_EVERY: Final = 30  # probes: an upgrade is noticed within five minutes


@dataclass(frozen=True, slots=True)
class Health:
    """What one probe found. `error` is None for a cluster that answered, even with "not ready" (`ready` False).

    `skew_seconds` is how far the cluster's clock is ahead of ours, exact to a second; times are epoch seconds.
    """

    at: float
    error: GMError | None = None
    ready: bool = False
    latency_ms: float | None = None
    skew_seconds: int | None = None
    certificate_not_after: float | None = None
    version: str | None = None

    @property
    def answered(self) -> bool:
        """Whether an API server spoke, whatever it said."""
        return self.error is None or isinstance(self.error, UpstreamError)


class _Version(msgspec.Struct, rename="camel"):
    git_version: str | None = None


_decode_version = msgspec.json.Decoder(_Version).decode


class Probe:
    """Probes one connection again and again, and remembers what need not be asked each time."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection, self._seconds = connection, seconds
        self._version: str | None = None
        self._count = 0
        self._path = "/readyz"

    async def probe(self) -> Health:
        """Ask once, in at most the given seconds; what goes wrong stands in the answer."""
        started, at = clock.monotonic(), clock.epoch()
        try:
            answer = await self._ask()
            took = clock.monotonic() - started
            if self._version is None or self._count % VERSION_EVERY == 0:
                self._version = await self._read_version()
        except GMError as error:
            return Health(at, error, version=self._version)
        self._count += 1
        return Health(
            at,
            ready=answer.status == 200,
            latency_ms=round(took * 1000, 1),
            skew_seconds=_skew(answer, at + took / 2),
            certificate_not_after=self._connection.certificate_not_after,
            version=self._version,
        )

    async def _ask(self) -> Answer:
        """Readiness where it may be asked; the version, which every API server tells, where not."""
        try:
            return await self._connection.request("GET", self._path, seconds=self._seconds, limit=1 << 16)
        except UpstreamError as error:
            if self._path == "/readyz" and error.params.get("upstream_status") in (403, 404):
                self._path = "/version"
                return await self._ask()
            raise

    async def _read_version(self) -> str | None:
        try:
            answer = await self._connection.request("GET", "/version", seconds=self._seconds, limit=1 << 16)
            return _decode_version(answer.body).git_version
        except (UpstreamError, msgspec.DecodeError, RecursionError):
            return self._version


def _skew(answer: Answer, middle: float) -> int | None:
    """Seconds that the Date field is ahead of the middle of the exchange. It is cut to whole seconds: half one is
    added.
    """
    try:
        return round(parsedate_to_datetime(answer.headers["date"]).timestamp() + 0.5 - middle)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
