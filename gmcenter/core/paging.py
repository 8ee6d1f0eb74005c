"""Opaque, signed cursors: what a client sends back is what we gave it, or it is refused."""

import base64
import binascii
import hmac
from typing import Any

import orjson

from gmcenter.core import vault
from gmcenter.core.errors import InvalidField

SIGNATURE_BYTES = 12
LONGEST = 4096


def encode_cursor(payload: dict[str, Any]) -> str:
    """Sign a JSON-able payload and return URL-safe text."""
    data = orjson.dumps(payload)
    return _text(vault.mac(b"cursor", data)[:SIGNATURE_BYTES] + data)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_cursor(text: str) -> dict[str, Any]:
    """The payload of a cursor. Raises InvalidField(field="cursor") for anything we did not sign."""
    if len(text) <= LONGEST:
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        signature, data = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
        # The last letter of base64 has bits that no byte uses: only the one spelling that we gave out is ours.
        if data and _text(raw) == text and hmac.compare_digest(signature, vault.mac(b"cursor", data)[:SIGNATURE_BYTES]):
            payload: dict[str, Any] = orjson.loads(data)
            return payload
    raise InvalidField(field="cursor", reason="not one of ours; start again from the first page")
