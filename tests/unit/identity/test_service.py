"""Users: who may make, change and disable them."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import select
from sqlmodel import col

from gmcenter.core import database, i18n
from gmcenter.core.errors import Forbidden, GMError, InvalidInput, NotFound
from gmcenter.core.settings import Settings
from gmcenter.identity import audit, errors, service, sessions
from gmcenter.identity.actor import SYSTEM, Actor
from gmcenter.identity.errors import InvalidCredentials, LastAdministrator, LoginLocked, UserExists, WeakPassword
from gmcenter.identity.model import AuditEntry
from gmcenter.identity.schema import NewUser
from tests.support.identity import PASSWORD, make_user


@pytest.fixture
async def admin(installation: Settings) -> Actor:
    await make_user("admin", "PA")
    return (await sessions.login("admin", PASSWORD, ip=None)).actor


@pytest.fixture
async def hong(admin: Actor) -> Actor:
    await make_user("hong")
    return (await sessions.login("hong", PASSWORD, ip=None)).actor


async def failure(attempt: Awaitable[object]) -> GMError:
    with pytest.raises(GMError) as caught:
        await attempt
    return caught.value


async def last_entry() -> AuditEntry:
    async with database.read() as session:
        query = select(AuditEntry).order_by(col(AuditEntry.seq).desc()).limit(1)
        return (await session.execute(query)).scalar_one()


def new(name: str, **more: Any) -> NewUser:
    return NewUser(name=name, password=SecretStr(PASSWORD), **more)


async def test_a_platform_admin_makes_a_user_who_can_sign_in(admin: Actor) -> None:
    made = await service.create(admin, new("kim", role="SA", display_name="김철수", language="en"))
    assert (made.name, made.role, made.display_name, made.language, made.enabled) == ("kim", "SA", "김철수", "en", True)
    assert made.last_login_at is None
    await sessions.login("kim", PASSWORD, ip=None)
    assert (await service.get(admin, "KIM")).last_login_at is not None


async def test_what_a_service_admin_may_not_do_is_denied_by_rule_and_written_down(hong: Actor) -> None:
    attempts: dict[str, Awaitable[object]] = {
        "users.create": service.create(hong, new("kim", role="PA")),
        "users.disable": service.set_enabled(hong, "admin", False),
        "users.enable": service.set_enabled(hong, "hong", True),
        "users.role": service.set_role(hong, "hong", "PA"),
        "users.unlock": service.unlock(hong, "hong"),
        "users.password": service.set_password(hong, "admin", "Another-horse-8"),
    }
    for action, attempt in attempts.items():
        problem = await failure(attempt)
        assert type(problem) is Forbidden
        assert problem.params["rule"] == "platform-admin"
        entry = await last_entry()
        assert (entry.action, entry.outcome, entry.code, entry.user_name) == (action, "denied", "forbidden", "hong")
    assert type(await failure(service.list_users(hong))) is Forbidden
    assert type(await failure(service.get(hong, "admin"))) is Forbidden
    assert type(await failure(service.get(hong, "nobody"))) is Forbidden
    assert (await service.get(hong, "hong")).name == "hong"


async def test_users_are_listed_by_name_without_hashes(hong: Actor, admin: Actor) -> None:
    listed = await service.list_users(admin)
    assert [user.name for user in listed] == ["admin", "hong"]
    assert "argon2" not in repr([user.model_dump() for user in listed])


async def test_a_name_is_taken_once(admin: Actor) -> None:
    problem = await failure(service.create(admin, new("admin")))
    assert type(problem) is UserExists
    assert problem.status == 409
    results = await asyncio.gather(*(service.create(admin, new("kim")) for _ in range(5)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["UserExists"] * 4 + ["UserView"]


async def test_nobody_can_be_mistaken_for_the_system(admin: Actor) -> None:
    assert type(await failure(service.create(admin, new("system")))) is UserExists


@pytest.mark.parametrize("name", ["", "Kim", "-kim", "kim-", "a b", "a/b", "../x", "k" * 64, "김", "a\n", "a:b"])
def test_a_name_is_what_a_cluster_can_be_told(name: str) -> None:
    with pytest.raises(ValidationError):
        new(name)


@pytest.mark.parametrize("name", ["k", "kim", "k.chul-su_1", "kim@example.org", "7", "k" * 63])
def test_ordinary_names_are_names(name: str) -> None:
    assert new(name).name == name


async def test_a_weak_password_makes_no_user(admin: Actor) -> None:
    weak = NewUser(name="kim", password=SecretStr("short"))
    assert type(await failure(service.create(admin, weak))) is WeakPassword
    assert type(await failure(service.get(admin, "kim"))) is NotFound


async def test_one_s_own_password_needs_the_current_one(hong: Actor) -> None:
    for current in (None, "", "Wrong-horse-77"):
        problem = await failure(service.set_password(hong, "hong", "Another-horse-8", current=current))
        assert type(problem) is InvalidCredentials
        assert problem.field == "current"
    await service.set_password(hong, "hong", "Another-horse-8", current=PASSWORD)
    await sessions.login("hong", "Another-horse-8", ip=None)


async def test_an_open_session_is_no_way_to_guess_the_password(hong: Actor) -> None:
    for _ in range(5):
        await failure(service.set_password(hong, "hong", "Another-horse-8", current="Wrong-horse-77"))
    problem = await failure(service.set_password(hong, "hong", "Another-horse-8", current=PASSWORD))
    assert type(problem) is LoginLocked


async def test_a_platform_admin_sets_another_s_password_without_the_old_one(hong: Actor, admin: Actor) -> None:
    await service.set_password(admin, "hong", "Another-horse-8")
    await sessions.login("hong", "Another-horse-8", ip=None)


async def test_a_weak_new_password_changes_nothing(hong: Actor) -> None:
    assert type(await failure(service.set_password(hong, "hong", "short", current=PASSWORD))) is WeakPassword
    await sessions.login("hong", PASSWORD, ip=None)


async def test_a_disabled_user_comes_back_when_enabled(hong: Actor, admin: Actor) -> None:
    assert not (await service.set_enabled(admin, "hong", False)).enabled
    assert (await service.set_enabled(admin, "hong", True)).enabled
    await sessions.login("hong", PASSWORD, ip=None)


async def test_the_last_platform_admin_can_neither_be_disabled_nor_demoted(hong: Actor, admin: Actor) -> None:
    for attempt in (service.set_enabled(admin, "admin", False), service.set_role(admin, "admin", "SA")):
        problem = await failure(attempt)
        assert type(problem) is LastAdministrator
        assert problem.status == 409
    await service.set_role(admin, "hong", "PA")
    await service.set_enabled(admin, "hong", False)
    assert type(await failure(service.set_role(admin, "admin", "SA"))) is LastAdministrator
    await service.set_enabled(admin, "hong", True)
    assert (await service.set_role(admin, "admin", "SA")).role == "SA"


async def test_two_platform_admins_cannot_remove_each_other_at_once(hong: Actor, admin: Actor) -> None:
    await service.set_role(admin, "hong", "PA")
    both = (service.set_enabled(SYSTEM, "admin", False), service.set_enabled(SYSTEM, "hong", False))
    results = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["LastAdministrator", "UserView"]


async def test_a_role_that_does_not_exist_is_refused(hong: Actor, admin: Actor) -> None:
    problem = await failure(service.set_role(admin, "hong", "root"))
    assert type(problem) is InvalidInput
    assert [error.field for error in problem.errors] == ["role"]


async def test_nobody_is_not_found(admin: Actor) -> None:
    for attempt in (
        service.get(admin, "nobody"),
        service.set_enabled(admin, "nobody", False),
        service.set_role(admin, "nobody", "PA"),
        service.unlock(admin, "nobody\0"),
        service.set_password(admin, "\ud800", "Another-horse-8"),
    ):
        assert type(await failure(attempt)) is NotFound
    assert (await last_entry()).outcome == "failed"


async def test_a_fresh_installation_gets_one_administrator_once(installation: Settings) -> None:
    made = await asyncio.gather(*(service.ensure_administrator() for _ in range(3)))
    (first,) = [one for one in made if one is not None]
    assert first.name == "admin"
    assert (await sessions.login("admin", first.password, ip=None)).actor.role == "PA"
    assert await service.ensure_administrator("other") is None
    assert (await audit.verify()).ok


async def test_the_first_administrator_s_password_can_be_chosen_but_not_weak(installation: Settings) -> None:
    assert type(await failure(service.ensure_administrator(password="short"))) is WeakPassword
    made = await service.ensure_administrator(password=PASSWORD)
    assert made == service.Administrator("admin", PASSWORD)


def test_every_error_of_identity_has_words_in_both_languages() -> None:
    own = [value for value in vars(errors).values() if isinstance(value, type) and value.__module__ == errors.__name__]
    assert len(own) == 7
    for error in own:
        for language in i18n.LANGUAGES:
            assert i18n.has(f"error.{error.code}", language)
            assert i18n.has(f"error.{error.code}.detail", language)


def test_no_word_of_identity_is_missing_in_either_language() -> None:
    from babel.messages.pofile import read_po

    keys = []
    for language in i18n.LANGUAGES:
        with (i18n.LOCALE / language / "identity.po").open("rb") as file:
            texts = {str(entry.id): str(entry.string) for entry in read_po(file) if entry.id}
        assert all(texts.values())
        keys.append(set(texts))
    assert keys[0] == keys[1]
