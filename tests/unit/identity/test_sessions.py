"""Sessions: signing in, staying signed in, and every way in which it ends."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from gmcenter.core import clock, database, metrics
from gmcenter.core.errors import Forbidden, GMError, NotFound, RateLimited, Unauthenticated
from gmcenter.core.settings import Settings, configure
from gmcenter.identity import passwords, registry, service, sessions, throttle, tokens
from gmcenter.identity.actor import SYSTEM, Actor
from gmcenter.identity.errors import AccountDisabled, InvalidCredentials, InvalidRefreshToken, LoginLocked
from gmcenter.identity.model import AuditEntry, LoginAttempt, LoginSession, RefreshToken, User
from tests.support.identity import PASSWORD, MovableClock, make_user

REVOKE_SECONDS = 5.0


@pytest.fixture(autouse=True)
async def people(installation: Settings) -> None:
    await make_user("admin", "PA")
    await make_user("hong")


async def sign_in(name: str = "hong", password: str = PASSWORD) -> sessions.Tokens:
    return await sessions.login(name, password, ip="192.0.2.1", agent="test")


async def open_browser(name: str = "hong") -> str:
    made = await sessions.login_browser(name, PASSWORD, ip="192.0.2.1", agent="test")
    return f"theme=dark; {sessions.cookie_name()}={made.cookie}; other=1"


async def failure(attempt: Awaitable[object]) -> GMError:
    with pytest.raises(GMError) as caught:
        await attempt
    return caught.value


async def audited(action: str) -> list[AuditEntry]:
    async with database.read() as session:
        query = select(AuditEntry).where(col(AuditEntry.action) == action).order_by(col(AuditEntry.seq))
        return list((await session.execute(query)).scalars())


# --- signing in ---


async def test_a_program_signs_in_and_is_known_by_its_token() -> None:
    made = await sign_in()
    assert made.expires_in == 900
    actor = await sessions.authenticate_token(made.access_token, ip="192.0.2.9")
    assert (actor.name, actor.role, actor.ip) == ("hong", "SA", "192.0.2.9")
    assert await sessions.authenticate_token(f"Bearer {made.access_token}") == await sessions.authenticate_token(
        f"bearer  {made.access_token} "
    )


async def test_a_browser_signs_in_and_is_known_by_its_cookie() -> None:
    actor = await sessions.authenticate_cookie(await open_browser())
    assert (actor.name, actor.role, actor.ip) == ("hong", "SA", "192.0.2.1")


async def test_the_name_is_read_in_any_case_and_with_space_around() -> None:
    assert (await sign_in(" HONG ")).actor.name == "hong"


async def test_the_database_holds_neither_password_nor_token(installation: Settings) -> None:
    made, cookie = await sign_in(), await open_browser()
    secret = sessions.cookie_value(cookie)
    assert secret
    kept = []
    async with database.read() as session:
        for table in (User, LoginSession, RefreshToken, AuditEntry, LoginAttempt):
            kept += [repr(row.model_dump()) for row in (await session.execute(select(table))).scalars()]
    assert len(kept) > 5
    for hidden in (PASSWORD, made.access_token, made.refresh_token, secret):
        assert not [row for row in kept if hidden in row]


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("hong", "Wrong-horse-77"),
        ("nobody", PASSWORD),
        ("", ""),
        ("hong", ""),
        ("hong", PASSWORD + "x" * 300),
        ("ho\0ng", PASSWORD),
        ("\ud800", "\ud800"),
        ("x" * 10_000, PASSWORD),
        ("' or 1=1 --", PASSWORD),
    ],
)
async def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(name: str, password: str) -> None:
    problem = await failure(sign_in(name, password))
    assert type(problem) is InvalidCredentials
    assert problem.problem("en") == InvalidCredentials().problem("en")


async def test_a_disabled_account_is_told_only_to_who_knows_the_password() -> None:
    await service.set_enabled(SYSTEM, "hong", False)
    assert type(await failure(sign_in("hong", "Wrong-horse-77"))) is InvalidCredentials
    assert type(await failure(sign_in())) is AccountDisabled


async def test_a_hash_of_other_parameters_is_renewed_by_signing_in(monkeypatch: pytest.MonkeyPatch) -> None:
    stronger = passwords._hasher.using(time_cost=2)
    monkeypatch.setattr(passwords, "_hasher", stronger)
    await sign_in()
    async with database.read() as session:
        user = (await session.execute(select(User).where(col(User.name) == "hong"))).scalar_one()
    assert ",t=2," in user.password_hash
    await sign_in()


async def test_a_password_changed_while_it_is_checked_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = passwords.verified

    async def slow(password: str, stored: str | None) -> bool:
        right = await verified(password, stored)
        monkeypatch.setattr(passwords, "verified", verified)
        await service.set_password(SYSTEM, "hong", "Another-horse-8")
        return right

    monkeypatch.setattr(passwords, "verified", slow)
    assert type(await failure(sign_in())) is InvalidCredentials


# --- lock-out and rate limit ---


@pytest.mark.parametrize("name", ["hong", "nobody"])
async def test_five_wrong_passwords_lock_a_name_known_or_not(name: str, time_machine: MovableClock) -> None:
    for _ in range(5):
        assert type(await failure(sign_in(name, "Wrong-horse-77"))) is InvalidCredentials
    problem = await failure(sign_in(name, PASSWORD))
    assert type(problem) is LoginLocked
    assert problem.status == 429
    assert 28 <= problem.params["retry_after"] <= 30


async def test_the_lock_doubles_up_to_fifteen_minutes_and_a_right_password_ends_it(time_machine: MovableClock) -> None:
    for _ in range(4):
        await failure(sign_in("hong", "Wrong-horse-77"))
    for seconds in (30, 60, 120, 240, 480, 900, 900):
        assert type(await failure(sign_in("hong", "Wrong-horse-77"))) is InvalidCredentials
        problem = await failure(sign_in())
        assert abs(problem.params["retry_after"] - seconds) <= 2
        time_machine.advance(seconds + 1)
    await sign_in()
    for _ in range(4):
        assert type(await failure(sign_in("hong", "Wrong-horse-77"))) is InvalidCredentials
    await sign_in()


async def test_attempts_during_a_lock_do_not_prolong_it(time_machine: MovableClock) -> None:
    for _ in range(5):
        await failure(sign_in("hong", "Wrong-horse-77"))
    for _ in range(10):
        await failure(sign_in("hong", "Wrong-horse-77"))
    time_machine.advance(31)
    await sign_in()


async def test_old_failures_are_forgotten_after_an_hour(time_machine: MovableClock) -> None:
    for _ in range(4):
        await failure(sign_in("hong", "Wrong-horse-77"))
    time_machine.advance(throttle.FORGET_SECONDS + 1)
    for _ in range(4):
        assert type(await failure(sign_in("hong", "Wrong-horse-77"))) is InvalidCredentials


async def test_guesses_side_by_side_get_no_further_than_five(installation: Settings) -> None:
    problems = await asyncio.gather(*(failure(sign_in("hong", "Wrong-horse-77")) for _ in range(12)))
    assert sorted(type(problem).__name__ for problem in problems) == ["InvalidCredentials"] * 5 + ["LoginLocked"] * 7
    assert type(await failure(sign_in())) is LoginLocked


async def test_an_administrator_unlocks(time_machine: MovableClock) -> None:
    for _ in range(5):
        await failure(sign_in("hong", "Wrong-horse-77"))
    assert (await service.get(SYSTEM, "hong")).locked_until is not None
    assert await service.unlock(SYSTEM, "hong")
    assert (await service.get(SYSTEM, "hong")).locked_until is None
    await sign_in()
    assert not await service.unlock(SYSTEM, "hong")


async def test_a_lock_survives_a_restart() -> None:
    for _ in range(5):
        await failure(sign_in("hong", "Wrong-horse-77"))
    await database.dispose()
    throttle.reset()
    registry.forget()
    assert type(await failure(sign_in())) is LoginLocked


async def test_sign_ins_are_counted_by_how_they_ended() -> None:
    def counted(outcome: str) -> float:
        return metrics.REGISTRY.get_sample_value("gm_logins_total", {"kind": "api", "outcome": outcome}) or 0.0

    outcomes = ("ok", "invalid_credentials", "login_locked")
    before = [counted(outcome) for outcome in outcomes]
    await sign_in()
    for _ in range(6):
        await failure(sign_in("hong", "Wrong-horse-77"))
    assert [counted(outcome) - was for outcome, was in zip(outcomes, before, strict=True)] == [1, 5, 1]


async def test_the_rate_limit_counts_per_address_and_per_name(installation: Settings) -> None:
    configure(installation.model_copy(update={"login_rate": "3/minute"}))
    throttle.reset()
    for _ in range(3):
        await sign_in()
    problem = await failure(sign_in())
    assert type(problem) is RateLimited
    assert problem.status == 429
    assert 1 <= problem.params["retry_after"] <= 60
    same_name = await failure(sessions.login("hong", PASSWORD, ip="198.51.100.7"))
    assert type(same_name) is RateLimited
    await sessions.login("admin", PASSWORD, ip="198.51.100.7")


# --- refreshing ---


async def test_a_refresh_token_is_exchanged_once_for_the_next_pair(time_machine: MovableClock) -> None:
    made = await sign_in()
    for _ in range(3):
        following = await sessions.refresh(made.refresh_token, ip="192.0.2.1")
        assert following.refresh_token != made.refresh_token
        assert following.actor.session_id == made.actor.session_id
        await sessions.authenticate_token(following.access_token)
        made = following


async def test_a_refresh_token_used_twice_ends_its_whole_family() -> None:
    first = await sign_in()
    other = await sign_in()
    second = await sessions.refresh(first.refresh_token, ip="192.0.2.1")
    await sessions.authenticate_token(second.access_token)
    assert type(await failure(sessions.refresh(first.refresh_token, ip="203.0.113.66"))) is InvalidRefreshToken
    assert type(await failure(sessions.refresh(second.refresh_token, ip="192.0.2.1"))) is InvalidRefreshToken
    assert type(await failure(sessions.authenticate_token(second.access_token))) is Unauthenticated
    await sessions.authenticate_token(other.access_token)
    entry = (await audited("sessions.refresh"))[0]
    assert (entry.outcome, entry.code, entry.ip) == ("denied", "refresh_token_reused", "203.0.113.66")


async def test_of_two_refreshes_side_by_side_one_wins_and_the_family_ends() -> None:
    made = await sign_in()
    results = await asyncio.gather(
        *(sessions.refresh(made.refresh_token, ip=None) for _ in range(2)), return_exceptions=True
    )
    won = [result for result in results if isinstance(result, sessions.Tokens)]
    assert len(won) == 1
    assert [type(result) for result in results if result not in won] == [InvalidRefreshToken]
    assert type(await failure(sessions.authenticate_token(won[0].access_token))) is Unauthenticated


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 5000, "'; drop table account; --", "é" * 43])
async def test_an_unknown_refresh_token_is_refused(token: str) -> None:
    assert type(await failure(sessions.refresh(token, ip=None))) is InvalidRefreshToken


async def test_a_refresh_token_expires(time_machine: MovableClock) -> None:
    made = await sign_in()
    time_machine.advance(14 * 86_400 + 1)
    assert type(await failure(sessions.refresh(made.refresh_token, ip=None))) is InvalidRefreshToken


async def test_refreshing_extends_the_session(time_machine: MovableClock) -> None:
    made = await sign_in()
    for _ in range(3):
        time_machine.advance(10 * 86_400)
        made = await sessions.refresh(made.refresh_token, ip=None)
    assert await registry.by_id(str(made.actor.session_id)) is not None


async def test_a_disabled_user_refreshes_nothing() -> None:
    made = await sign_in()
    await service.set_enabled(SYSTEM, "hong", False)
    assert type(await failure(sessions.refresh(made.refresh_token, ip=None))) is InvalidRefreshToken


async def test_a_user_disabled_behind_our_back_refreshes_nothing() -> None:
    made = await sign_in()
    await elsewhere(update(User).where(col(User.name) == "hong").values(enabled=False))
    assert type(await failure(sessions.refresh(made.refresh_token, ip=None))) is InvalidRefreshToken


# --- strangers ---


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "gm_session=",
        "gm_session",
        "=",
        ";;;",
        "gm_session=" + "A" * 43,
        "gm_session=%00",
        'gm_session="' + "A" * 43 + '"',
        "x=1; " * 5000,
        "GM_SESSION=" + "A" * 43,
    ],
)
async def test_a_stranger_s_cookie_opens_nothing(header: str | None) -> None:
    assert type(await failure(sessions.authenticate_cookie(header))) is Unauthenticated


async def test_a_refresh_token_is_no_cookie_and_a_session_id_opens_nothing() -> None:
    made = await sign_in()
    for value in (made.refresh_token, made.access_token, str(made.actor.session_id)):
        assert type(await failure(sessions.authenticate_cookie(f"gm_session={value}"))) is Unauthenticated
        if value != made.access_token:
            assert type(await failure(sessions.authenticate_token(value))) is Unauthenticated


async def test_a_token_for_someone_else_s_session_is_refused() -> None:
    made = await sign_in()
    forged = tokens.issue(made.actor.user_id + 1, str(made.actor.session_id))
    assert type(await failure(sessions.authenticate_token(forged))) is Unauthenticated


async def test_an_access_token_cannot_ride_on_a_browser_s_session() -> None:
    actor = await sessions.authenticate_cookie(await open_browser())
    riding = tokens.issue(actor.user_id, str(actor.session_id))
    assert type(await failure(sessions.authenticate_token(riding))) is Unauthenticated


async def test_two_consoles_on_one_machine_have_cookies_of_their_own(installation: Settings) -> None:
    header = await open_browser()
    name = sessions.cookie_name()
    assert name == "gm_session"
    configure(installation.model_copy(update={"port": 8020}))
    assert sessions.cookie_name() == "gm_session_8020"
    assert sessions.cookie_value("gm_session=theirs; gm_session_8020=ours") == "ours"
    configure(installation)
    assert sessions.cookie_value("gm_session_8020=theirs; " + header) == sessions.cookie_value(header)


# --- ending ---


async def ended_within(check: Callable[[], Awaitable[object]], seconds: float) -> float:
    """Seconds until a check is refused."""
    started = clock.monotonic()
    while clock.monotonic() - started <= seconds:
        try:
            await check()
        except Unauthenticated:
            return clock.monotonic() - started
        await asyncio.sleep(0.05)
    pytest.fail(f"still signed in after {seconds} s")


async def elsewhere(statement: object) -> None:
    """Change the database as another process does: this one's cache is not told."""
    async with database.write() as session:
        await session.execute(statement)  # type: ignore[call-overload]


async def test_a_revoke_by_another_process_ends_pages_and_programs_within_five_seconds() -> None:
    made, cookie = await sign_in(), await open_browser()
    await sessions.authenticate_token(made.access_token)
    await sessions.authenticate_cookie(cookie)
    await elsewhere(update(LoginSession).values(revoked_at=clock.epoch()))
    assert await ended_within(lambda: sessions.authenticate_token(made.access_token), REVOKE_SECONDS) < REVOKE_SECONDS
    assert await ended_within(lambda: sessions.authenticate_cookie(cookie), REVOKE_SECONDS) < REVOKE_SECONDS


async def test_a_user_disabled_by_another_process_is_out_within_five_seconds() -> None:
    cookie = await open_browser()
    await sessions.authenticate_cookie(cookie)
    await elsewhere(update(User).where(col(User.name) == "hong").values(enabled=False))
    assert await ended_within(lambda: sessions.authenticate_cookie(cookie), REVOKE_SECONDS) < REVOKE_SECONDS


async def test_the_registry_answers_from_memory_for_two_seconds_only(time_machine: MovableClock) -> None:
    cookie = await open_browser()
    await sessions.authenticate_cookie(cookie)
    await elsewhere(update(User).where(col(User.name) == "hong").values(role="PA"))
    assert (await sessions.authenticate_cookie(cookie)).role == "SA"
    time_machine.advance(registry.CACHE_SECONDS + 0.1)
    assert (await sessions.authenticate_cookie(cookie)).role == "PA"


async def test_logging_out_ends_the_session_at_once_and_only_it() -> None:
    one, other = await open_browser(), await open_browser()
    await sessions.logout(await sessions.authenticate_cookie(one))
    assert type(await failure(sessions.authenticate_cookie(one))) is Unauthenticated
    await sessions.authenticate_cookie(other)
    await sessions.logout(Actor(1, "x", "SA", None, None))
    assert [entry.user_name for entry in await audited("sessions.logout")] == ["hong"]


async def test_logging_out_ends_the_refresh_token_too() -> None:
    made = await sign_in()
    await sessions.logout(await sessions.authenticate_token(made.access_token))
    assert type(await failure(sessions.refresh(made.refresh_token, ip=None))) is InvalidRefreshToken


async def test_a_browser_s_session_ends_when_idle_and_use_keeps_it(time_machine: MovableClock) -> None:
    used, idle = await open_browser(), await open_browser()
    for _ in range(3):
        time_machine.advance(119 * 60)
        await sessions.authenticate_cookie(used)
        if _ == 0:
            await sessions.authenticate_cookie(idle, touch=False)
    assert type(await failure(sessions.authenticate_cookie(idle))) is Unauthenticated


async def test_a_browser_s_session_ends_after_twelve_hours_whatever_happens(time_machine: MovableClock) -> None:
    cookie = await open_browser()
    for _ in range(12):
        await sessions.authenticate_cookie(cookie)
        time_machine.advance(3599)
    await sessions.authenticate_cookie(cookie)
    time_machine.advance(60)
    assert type(await failure(sessions.authenticate_cookie(cookie))) is Unauthenticated


async def test_a_new_password_ends_the_user_s_other_sessions() -> None:
    mine, other = await open_browser(), await sign_in()
    actor = await sessions.authenticate_cookie(mine)
    await service.set_password(actor, "hong", "Another-horse-8", current=PASSWORD)
    await sessions.authenticate_cookie(mine)
    assert type(await failure(sessions.authenticate_token(other.access_token))) is Unauthenticated
    assert type(await failure(sign_in())) is InvalidCredentials
    await sign_in(password="Another-horse-8")


async def test_a_role_change_takes_effect_in_open_sessions() -> None:
    cookie = await open_browser()
    await service.set_role(SYSTEM, "hong", "PA")
    assert (await sessions.authenticate_cookie(cookie)).role == "PA"


async def test_a_busy_database_does_not_sign_anyone_out(
    time_machine: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    cookie = await open_browser()
    time_machine.advance(60)
    await sessions.authenticate_cookie(cookie, touch=False)

    def busy() -> None:
        raise OperationalError("update", {}, Exception("database is locked"))

    monkeypatch.setattr(registry.database, "write", busy)
    assert (await sessions.authenticate_cookie(cookie)).name == "hong"


async def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "CACHE_ENTRIES", 2)
    for _ in range(5):
        await sessions.authenticate_cookie(await open_browser())
        assert len(registry._cache) <= 2


# --- listing and revoking ---


async def test_one_s_own_sessions_are_listed_without_secrets_and_the_current_one_is_marked() -> None:
    made, cookie = await sign_in(), await open_browser()
    await sign_in("admin")
    actor = await sessions.authenticate_cookie(cookie)
    listed = await sessions.list_sessions(actor)
    assert {view.user_id for view in listed} == {"hong"}
    assert {(view.kind, view.current) for view in listed} == {("api", False), ("browser", True)}
    text = repr([view.model_dump() for view in listed])
    assert made.refresh_token not in text
    assert str(sessions.cookie_value(cookie)) not in text


async def test_everyone_s_sessions_are_for_platform_admins() -> None:
    await sign_in()
    admin = (await sign_in("admin")).actor
    assert {view.user_id for view in await sessions.list_sessions(admin, everyone=True)} == {"admin", "hong"}
    assert type(await failure(sessions.list_sessions((await sign_in()).actor, everyone=True))) is Forbidden


async def test_ended_sessions_are_not_listed(time_machine: MovableClock) -> None:
    actor = (await sign_in()).actor
    idle = await open_browser()
    assert len(await sessions.list_sessions(actor)) == 2
    time_machine.advance(121 * 60)
    assert [view.kind for view in await sessions.list_sessions(actor)] == ["api"]
    assert idle
    await service.set_enabled(SYSTEM, "hong", False)
    assert await sessions.list_sessions(actor) == []


async def test_a_platform_admin_ends_anyone_s_session_and_others_only_their_own() -> None:
    hong, admin = await sign_in(), await sign_in("admin")
    denied = await failure(sessions.revoke(hong.actor, str(admin.actor.session_id)))
    assert type(denied) is Forbidden
    assert denied.params["rule"] == "own"
    await sessions.authenticate_token(admin.access_token)
    await sessions.revoke(admin.actor, str(hong.actor.session_id))
    assert type(await failure(sessions.authenticate_token(hong.access_token))) is Unauthenticated
    second = await sign_in()
    await sessions.revoke(second.actor, str(second.actor.session_id))
    assert type(await failure(sessions.authenticate_token(second.access_token))) is Unauthenticated
    entries = [(e.user_name, e.outcome, e.code) for e in await audited("sessions.revoke")]
    assert entries == [("hong", "denied", "forbidden"), ("admin", "ok", ""), ("hong", "ok", "")]


@pytest.mark.parametrize("session_id", ["", "nothing", "0" * 32, "\0", "é", "x" * 10_000])
async def test_a_session_that_does_not_exist_cannot_be_ended(session_id: str) -> None:
    admin = (await sign_in("admin")).actor
    assert type(await failure(sessions.revoke(admin, session_id))) is NotFound


async def test_a_session_is_ended_once() -> None:
    admin, hong = (await sign_in("admin")).actor, (await sign_in()).actor
    await sessions.revoke(admin, str(hong.session_id))
    assert type(await failure(sessions.revoke(admin, str(hong.session_id)))) is NotFound


# --- what is written down, and what is thrown away ---


async def test_signing_in_is_audited_and_a_mistyped_name_is_not_kept() -> None:
    await sign_in()
    await failure(sign_in("hong", "Wrong-horse-77"))
    await failure(sign_in("my-secret-typed-into-the-name", "x"))
    ok, wrong, unknown = await audited("sessions.login")
    assert (ok.user_name, ok.outcome, ok.ip) == ("hong", "ok", "192.0.2.1")
    assert (wrong.user_name, wrong.outcome, wrong.code) == ("hong", "denied", "invalid_credentials")
    assert (unknown.user_name, unknown.outcome) == ("", "denied")
    assert "my-secret" not in repr(unknown.model_dump())


async def test_old_rows_are_pruned_and_living_ones_kept(time_machine: MovableClock) -> None:
    made = await sign_in()
    await open_browser()
    await failure(sign_in("hong", "Wrong-horse-77"))
    for _ in range(4):
        time_machine.advance(13 * 86_400)
        made = await sessions.refresh(made.refresh_token, ip=None)
    await sessions.prune()
    async with database.read() as session:
        counts = [
            (await session.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (LoginSession, RefreshToken, LoginAttempt)
        ]
    assert counts == [1, 2, 0]
    await sessions.refresh(made.refresh_token, ip=None)
