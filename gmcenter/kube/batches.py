"""What a watch hands on: batches of raw objects. `at` is when their last byte came, in epoch seconds."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from gmcenter.core.errors import GMError


@dataclass(slots=True)
class Initial:
    """Objects that exist. The first after anything else says that a whole list begins (`begins`)."""

    objects: list[msgspec.Raw]
    at: float
    begins: bool = False


@dataclass(slots=True)
class InitialEnd:
    """The list is whole: what it did not show does not exist."""

    resource_version: str
    at: float


@dataclass(slots=True)
class Changes:
    """Changes in the order in which they came; True marks a deletion."""

    events: list[tuple[bool, msgspec.Raw]]
    at: float


@dataclass(slots=True)
class Bookmark:
    """Nothing changed up to here."""

    resource_version: str
    at: float


@dataclass(slots=True)
class Opened:
    """The server has accepted to tell the changes after the place that was reached."""

    at: float


@dataclass(slots=True)
class Trouble:
    """The cluster cannot be watched at present; the next attempt comes after `pause` seconds."""

    error: GMError
    pause: float


Batch = Initial | InitialEnd | Changes | Bookmark | Opened | Trouble
