"""From an object as the API server sent it to the row and the body that the inventory keeps.

What a cluster sends is not trusted to be well-formed: a field of the wrong type costs the row its columns, not the
source its watch, and only an object without uid and name is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, Final

import msgspec

from gmcenter.inventory.store import Row
from gmcenter.kube.kinds import ColumnType, Kind
from gmcenter.kube.objects import Item, Metadata, seconds
from gmcenter.kube.status import UNKNOWN, Status
from gmcenter.kube.values import whole

Raw = msgspec.Raw | bytes

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_WHOLE: Final = (ColumnType.INT, ColumnType.BYTES, ColumnType.TIME)


class Unreadable(Exception):
    """An object that cannot be told apart from others, or is no JSON at all."""


class _Identified(msgspec.Struct):
    metadata: Metadata


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_identified = msgspec.json.Decoder(_Identified).decode
_encode = msgspec.json.Encoder().encode
_loosely = msgspec.json.Decoder(Item, strict=False).decode

Rebuild = Callable[[dict[str, msgspec.Raw]], dict[str, msgspec.Raw]]
REBUILT: Final[dict[str, Rebuild]] = {}
"""Kinds whose body is not cut but rebuilt from an allow-list, by plural: those that hold secrets."""


def sanitise(kind: Kind, raw: Raw) -> bytes:
    """The object as it may be kept and shown: without managed fields and the last applied configuration.

    `apiVersion` and `kind`, which items of a list lack, are filled in. Raises msgspec.DecodeError for what is no
    object.
    """
    found = _fields(raw)
    metadata = _fields(found.get("metadata", msgspec.Raw(b"{}")))
    metadata.pop("managedFields", None)
    annotations = metadata.pop("annotations", None)
    if annotations is not None:
        with suppress(msgspec.ValidationError):
            # By decoded key and not by searching the text, in which the key may be spelt with escapes.
            kept = _fields(annotations)
            kept.pop(LAST_APPLIED, None)
            metadata["annotations"] = msgspec.Raw(_encode(kept))
    group = f"{kind.group}/{kind.version}" if kind.group else kind.version
    body: dict[str, Any] = {"apiVersion": group, "kind": kind.kind, **found, "metadata": metadata}
    rebuild = REBUILT.get(kind.plural)
    return _encode(rebuild(body) if rebuild else body)


def identify(raw: Raw) -> Metadata:
    """The metadata of an object. Raises Unreadable where it has no uid."""
    try:
        metadata = _identified(raw).metadata
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    if not metadata.uid:
        raise Unreadable("no uid")
    return metadata


class _Projector:
    """Projects objects of one kind."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._decode = msgspec.json.Decoder(kind.decode).decode
        self._values = tuple(column.value for column in kind.columns if column.value is not None)
        self._whole = tuple(at for at, column in enumerate(kind.columns) if column.type in _WHOLE)
        self._empty = (None,) * len(self._values)

    def __call__(self, raw: Raw) -> Row:
        try:
            item: Item = self._decode(raw)
            status: Status = self._kind.status(item)
            values = self._computed(item)
        except (msgspec.ValidationError, ArithmeticError, TypeError, ValueError, AttributeError):
            item, status, values = self._rescued(raw)
        metadata = item.metadata
        if not metadata.uid or not metadata.name:
            raise Unreadable("no uid or no name")
        labels = metadata.labels
        return Row(
            metadata.uid,
            metadata.namespace or "",
            metadata.name,
            metadata.resource_version or "",
            seconds(metadata.creation_timestamp),
            {key: value or "" for key, value in labels.items()} if labels else {},
            values,
            status.code,
            status.state,
            sanitise(self._kind, raw),
        )

    def _computed(self, item: Item) -> tuple[Any, ...]:
        values = [value(item) for value in self._values]
        for at in self._whole:
            if values[at] is not None:
                values[at] = whole(values[at])
        return tuple(values)

    def _rescued(self, raw: Raw) -> tuple[Item, Status, tuple[Any, ...]]:
        """Name and uid of an object whose other fields are not what they should be."""
        try:
            return _loosely(raw), UNKNOWN, self._empty
        except msgspec.ValidationError as error:
            raise Unreadable(str(error)) from error


@cache
def projector(kind: Kind) -> Callable[[Raw], Row]:
    """The function that projects objects of a kind.

    It raises Unreadable for an object without uid or name, and for what is no JSON object.
    """
    return _guarded(_Projector(kind))


def _guarded(project: _Projector) -> Callable[[Raw], Row]:
    def guarded(raw: Raw) -> Row:
        try:
            return project(raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:  # the last for what is nested too deeply
            raise Unreadable(str(error)) from error

    return guarded


def project(kind: Kind, raw: Raw) -> Row:
    """Project one object of a kind. Raises Unreadable."""
    return projector(kind)(raw)
