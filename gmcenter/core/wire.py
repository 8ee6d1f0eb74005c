"""How answers are written: JSON, and server-sent events (WHATWG HTML §9.2)."""

from __future__ import annotations

from typing import Any

import orjson


def json_bytes(document: Any) -> bytes:
    """JSON of an answer: times in UTC with Z."""
    return orjson.dumps(document, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def event(name: str, document: Any, number: int | None = None) -> bytes:
    """One server-sent event. Our JSON has no line breaks, so that one data line holds it."""
    head = f"event: {name}\n" + (f"id: {number}\n" if number is not None else "")
    return head.encode() + b"data: " + json_bytes(document) + b"\n\n"
