"""What a role may do: one table, one question.

``require`` is the only way to allow an action. The table names every action of the product with the one rule that
decides it; an action that is not in the table is a mistake in our code and raises ``UnknownAction`` instead of being
allowed or denied in silence. A denial carries the rule's id, and ``policy.rule.<id>`` in the catalogues says it in
words, so a page can tell a user why a button is disabled.

Lists are cut by ``scope``; the policy only says whether a role may ask for them at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from gmcenter.core.errors import Forbidden
from gmcenter.identity.actor import ROLES, Actor


class UnknownAction(LookupError):
    """The action stands in no row of the table: a programming error, never an answer to a user."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: ``id`` is stable and translated, ``holds`` answers for an actor and the action's target."""

    id: str
    holds: Callable[[Actor, Any], bool]


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer and the id of the rule that gave it. True in a condition when allowed."""

    allowed: bool
    rule: str

    def __bool__(self) -> bool:
        return self.allowed


def _is_platform_admin(actor: Actor, _target: Any) -> bool:
    return actor.is_platform_admin


def _is_user(actor: Actor, _target: Any) -> bool:
    return actor.role in ROLES


def _is_owner(actor: Actor, target: Any) -> bool:
    """The target belongs to the actor: it is their user id, or has it as ``user_id``."""
    if actor.role == "PA":
        return True
    owner = target if isinstance(target, int) else getattr(target, "user_id", None)
    return actor.role in ROLES and owner is not None and owner == actor.user_id


PLATFORM_ADMIN: Final = Rule("platform-admin", _is_platform_admin)
"""Platform Admins only."""
IN_SCOPE: Final = Rule("in-scope", _is_user)
"""Every user; what they find is cut by their scope."""
OWN: Final = Rule("own", _is_owner)
"""The owner of the target, and Platform Admins."""

RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        # The fleet
        "clusters.list": PLATFORM_ADMIN,
        "clusters.read": PLATFORM_ADMIN,
        "clusters.register": PLATFORM_ADMIN,
        "clusters.edit": PLATFORM_ADMIN,
        "clusters.delete": PLATFORM_ADMIN,
        "sites.list": PLATFORM_ADMIN,
        "sites.edit": PLATFORM_ADMIN,
        # What the clusters hold
        "kinds.list": IN_SCOPE,
        "kinds.read": IN_SCOPE,
        # The product itself
        "system.read": PLATFORM_ADMIN,
        "audit.read": PLATFORM_ADMIN,
        # People
        "users.manage": PLATFORM_ADMIN,
        "users.read": OWN,
        "users.password": OWN,
        "sessions.list": OWN,
        "sessions.revoke": OWN,
    }
)
"""Action → the rule that decides it."""


def allowed(actor: Actor, action: str, target: Any = None) -> Decision:
    """Say whether ``actor`` may do ``action`` to ``target``, and by which rule.

    Raises UnknownAction for an action outside the table.
    """
    try:
        rule = RULES[action]
    except KeyError:
        raise UnknownAction(action) from None
    return Decision(rule.holds(actor, target), rule.id)


def require(actor: Actor, action: str, target: Any = None) -> None:
    """Return when the policy allows; raise Forbidden with the rule's id when it does not.

    Raises UnknownAction for an action outside the table.
    """
    decision = allowed(actor, action, target)
    if not decision.allowed:
        raise Forbidden(rule=decision.rule, action=action)
