"""What an actor's lists are cut by.

``Scope`` is a frozen value: everything, or a set of namespace ids of the inventory. The inventory takes one as its
first argument and never makes one. Who may see what is tenancy's knowledge: it registers a resolver here at start-up;
until it does, a Platform Admin sees everything and a Service Admin nothing.

A change of anybody's scope bumps the version in the system database; open pages look at it with their wake-up and
resolve again when it moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from gmcenter.core import database
from gmcenter.identity.actor import Actor
from gmcenter.identity.model import ScopeVersion


@dataclass(frozen=True, slots=True)
class Scope:
    """Everything, or the namespaces with these ids. ``version`` is the scope version it was resolved at."""

    everything: bool
    namespace_ids: frozenset[int]
    version: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all can be seen."""
        return not self.everything and not self.namespace_ids


EVERYTHING: Final = Scope(everything=True, namespace_ids=frozenset(), version=0)
NOTHING: Final = Scope(everything=False, namespace_ids=frozenset(), version=0)


class ScopeResolver(Protocol):
    """Finds the scope of an actor; implemented by tenancy."""

    async def resolve(self, actor: Actor) -> Scope:
        """Return what ``actor`` may see now."""


class _ByRole:
    """The resolver until tenancy brings its own: a Platform Admin everything, anyone else nothing."""

    async def resolve(self, actor: Actor) -> Scope:
        return EVERYTHING if actor.role == "PA" else NOTHING


_resolver: ScopeResolver = _ByRole()


def register(resolver: ScopeResolver) -> None:
    """Make ``resolver`` the one that answers from now on in this process."""
    global _resolver
    _resolver = resolver


async def resolve(actor: Actor) -> Scope:
    """Return what ``actor`` may see now."""
    return await _resolver.resolve(actor)


async def version() -> int:
    """Return the version that the last change of any scope left; 0 before the first."""
    async with database.read() as session:
        return (await session.execute(select(col(ScopeVersion.version)).where(col(ScopeVersion.id) == 1))).scalar() or 0


async def bump(session: AsyncSession) -> None:
    """Count one change of scopes, in the transaction that makes the change."""
    counted = update(ScopeVersion).where(col(ScopeVersion.id) == 1).values(version=col(ScopeVersion.version) + 1)
    if (await session.execute(counted.returning(col(ScopeVersion.version)))).first() is None:
        session.add(ScopeVersion(id=1, version=1))
        await session.flush()
