"""Scope: a value, who resolves it, and the version that says when to look again."""

import dataclasses
from collections.abc import Iterator

import pytest

from gmcenter.core.settings import Settings
from gmcenter.identity import audit, scope, service
from gmcenter.identity.actor import SYSTEM, Actor
from tests.support.identity import make_user

PA = Actor(1, "admin", "PA", "s1", None)
SA = Actor(2, "hong", "SA", "s2", None)


@pytest.fixture
def resolver_restored() -> Iterator[None]:
    before = scope._resolver
    yield
    scope.register(before)


async def test_a_platform_admin_sees_everything_and_a_service_admin_nothing_yet() -> None:
    assert await scope.resolve(PA) == scope.EVERYTHING
    assert await scope.resolve(SA) == scope.NOTHING
    assert await scope.resolve(Actor(3, "x", "admin", None, None)) == scope.NOTHING  # type: ignore[arg-type]


def test_only_nothing_is_empty() -> None:
    assert scope.NOTHING.is_empty
    assert not scope.EVERYTHING.is_empty
    assert not scope.Scope(False, frozenset({7}), 1).is_empty


def test_a_scope_is_a_frozen_value_that_can_be_a_key() -> None:
    one = scope.Scope(False, frozenset({1, 2}), 3)
    assert {one: "page"}[scope.Scope(False, frozenset({2, 1}), 3)] == "page"
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.everything = True  # type: ignore[misc]


async def test_the_registered_resolver_answers(resolver_restored: None) -> None:
    class Tenancy:
        async def resolve(self, actor: Actor) -> scope.Scope:
            return scope.Scope(False, frozenset({actor.user_id}), 9)

    scope.register(Tenancy())
    assert await scope.resolve(SA) == scope.Scope(False, frozenset({2}), 9)


async def test_the_version_counts_every_change_and_starts_at_nought(installation: Settings) -> None:
    assert await scope.version() == 0
    for expected in (1, 2, 3):
        async with audit.transaction() as session:
            await scope.bump(session)
        assert await scope.version() == expected


async def test_a_change_of_role_bumps_the_version(installation: Settings) -> None:
    await make_user("hong")
    before = await scope.version()
    await service.set_role(SYSTEM, "hong", "PA")
    assert await scope.version() == before + 1


async def test_a_change_that_is_rolled_back_bumps_nothing(installation: Settings) -> None:
    async def change() -> None:
        async with audit.transaction() as session:
            await scope.bump(session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change()
    assert await scope.version() == 0
