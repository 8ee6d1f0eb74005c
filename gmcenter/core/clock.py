"""The one source of time, so that a test can move it and no two modules disagree about zones."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The current instant, aware, in UTC."""
    return datetime.now(UTC)


def epoch() -> float:
    """Seconds since 1970-01-01 UTC."""
    return time.time()


def monotonic() -> float:
    """Seconds on a clock that never steps back; only differences mean something."""
    return time.monotonic()


def from_epoch(seconds: float) -> datetime:
    """An aware UTC instant from seconds since 1970-01-01 UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def rfc3339(moment: datetime | float) -> str:
    """RFC 3339 text in UTC with a trailing Z, to the second for whole seconds and to the millisecond otherwise."""
    if not isinstance(moment, datetime):
        moment = from_epoch(moment)
    spec = "milliseconds" if moment.microsecond else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=spec).replace("+00:00", "Z")
