"""The one who acts.

Every use case takes an ``Actor`` first. It is a value made by ``sessions`` from a checked token or cookie, never from
anything a client says about itself, and it lives no longer than one request or one look at an open page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Role = Literal["PA", "SA"]
"""Platform Admin or Service Admin; a member's role inside a workspace is tenancy's."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Actor:
    """A user in one of their sessions, as it was when the session was last checked.

    ``session_id`` is None for actors without a session (the system itself, the command line). ``ip`` is the peer's
    address for the audit, None where there is no peer.
    """

    user_id: int
    name: str
    role: Role
    session_id: str | None
    ip: str | None
    language: str = "ko"

    @property
    def is_platform_admin(self) -> bool:
        """Whether the actor's role is Platform Admin."""
        return self.role == "PA"


SYSTEM: Final = Actor(user_id=0, name="system", role="PA", session_id=None, ip=None, language="en")
"""What the product does by itself and what the operator does with the ``gm`` command on the machine."""
