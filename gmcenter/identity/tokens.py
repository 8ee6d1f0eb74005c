"""Access tokens: short-lived JWTs (RFC 7519), signed with HS256 under a key derived from the vault's.

A token says who and in which session, nothing about rights: role and state are read from the database at every use,
so that a role change, a revoke or a disabled account takes effect although the token is still valid. The algorithm is
named on both sides; whatever a token's header asks for otherwise (``none``, RS256) is refused.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Final

from jose import jwt
from jose.exceptions import JOSEError

from gmcenter.core import clock, vault
from gmcenter.core.errors import Unauthenticated
from gmcenter.core.settings import settings

ALGORITHM: Final = "HS256"
ISSUER: Final = "gedge-gm"
AUDIENCE: Final = "gmcapi"
LONGEST: Final = 2048
"""Characters; a longer token is not looked into."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a checked token says. Times are epoch seconds."""

    user_id: int
    session_id: str
    token_id: str
    issued_at: int
    expires_at: int


def _key() -> bytes:
    return vault.derived_key(b"identity.access-token.v1")


def lifetime() -> int:
    """Seconds that a new access token lives."""
    return settings().access_token_minutes * 60


def issue(user_id: int, session_id: str, *, at: float | None = None) -> str:
    """A signed access token for one session. ``at`` is the moment of issue in epoch seconds, now when left out."""
    issued = int(clock.epoch() if at is None else at)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user_id),
        "sid": session_id,
        "jti": secrets.token_hex(16),
        "iat": issued,
        "exp": issued + lifetime(),
    }
    return str(jwt.encode(claims, _key(), algorithm=ALGORITHM))


def read(token: str) -> Claims:
    """The claims of a token that we signed, for us, and that has not expired. Raises Unauthenticated for any other."""
    if len(token) > LONGEST:
        raise Unauthenticated
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key(),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={f"require_{name}": True for name in ("iss", "aud", "sub", "jti", "iat", "exp")} | {"leeway": 0},
        )
        found = Claims(
            user_id=int(claims["sub"]),
            session_id=str(claims["sid"]),
            token_id=str(claims["jti"]),
            issued_at=int(claims["iat"]),
            expires_at=int(claims["exp"]),
        )
    except (JOSEError, KeyError, TypeError, ValueError, RecursionError):
        raise Unauthenticated from None
    if found.issued_at > clock.epoch() + 60:  # from the future: a clock of ours stepped back, or not our token
        raise Unauthenticated
    return found
