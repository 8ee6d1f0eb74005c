"""Users: made, listed, disabled, unlocked. The last enabled Platform Admin can neither be disabled nor demoted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from gmcenter.core import clock, database
from gmcenter.core.errors import FieldError, Forbidden, GMError, InvalidInput, NotFound
from gmcenter.identity import audit, passwords, policy, registry, scope, throttle
from gmcenter.identity.actor import ROLES, SYSTEM, Actor, Role
from gmcenter.identity.errors import InvalidCredentials, LastAdministrator, UserExists
from gmcenter.identity.model import LoginAttempt, LoginSession, User
from gmcenter.identity.schema import NewUser, UserView
from gmcenter.identity.sessions import normalised_name


@dataclass(frozen=True, slots=True)
class Administrator:
    """A freshly made administrator, with the password that is shown once."""

    name: str
    password: str


def _view(user: User, locked_until: float = 0.0) -> UserView:
    assert user.id is not None
    return UserView(
        id=user.id,
        name=user.name,
        display_name=user.display_name,
        role=cast(Role, user.role),
        enabled=user.enabled,
        language=user.language,
        created_at=clock.from_epoch(user.created_at),
        last_login_at=None if user.last_login_at is None else clock.from_epoch(user.last_login_at),
        locked_until=clock.from_epoch(locked_until) if locked_until > clock.epoch() else None,
    )


async def create(actor: Actor, new: NewUser) -> UserView:
    """Make a user. Raises Forbidden, WeakPassword, UserExists."""
    async with _guarded(actor, "users.create", new.name, role=new.role) as entry:
        policy.require(actor, "users.manage")
        password = new.password.get_secret_value()
        passwords.check(password, name=new.name)
        password_hash = await passwords.hashed(password)
        async with audit.transaction() as session:
            user = await _insert(session, new, password_hash)
            await audit.append(session, entry)
    return _view(user)


async def _insert(session: AsyncSession, new: NewUser, password_hash: str) -> User:
    taken = (await session.execute(select(col(User.id)).where(_named(new.name)))).first() is not None
    if taken or new.name == SYSTEM.name:  # the audit must not mistake anyone for the system
        raise UserExists(name=new.name)
    now = clock.epoch()
    user = User(
        name=new.name,
        display_name=new.display_name,
        role=new.role,
        password_hash=password_hash,
        language=new.language,
        created_at=now,
        updated_at=now,
        password_changed_at=now,
    )
    session.add(user)
    await session.flush()
    return user


async def ensure_administrator(name: str = "admin", password: str | None = None) -> Administrator | None:
    """Make the first administrator of a fresh installation, with a generated password when none is given.

    Returns None, and changes nothing, when there is any user already. Raises WeakPassword.
    """
    async with database.read() as session:
        if (await session.execute(select(col(User.id)).limit(1))).first() is not None:
            return None
    chosen = password or passwords.generate()
    passwords.check(chosen, name=name)
    new = NewUser(name=name, password=chosen, role="PA")
    password_hash = await passwords.hashed(chosen)
    async with audit.transaction() as session:
        if (await session.execute(select(col(User.id)).limit(1))).first() is not None:
            return None
        await _insert(session, new, password_hash)
        await audit.append(session, audit.Entry(SYSTEM, "users.create", name, {"role": "PA", "first": True}))
    return Administrator(name, chosen)


async def list_users(actor: Actor) -> list[UserView]:
    """All users by name, for a Platform Admin. Raises Forbidden."""
    policy.require(actor, "users.manage")
    async with database.read() as session:
        users = (await session.execute(select(User).order_by(col(User.name)))).scalars().all()
        locks = {row.subject: row.locked_until for row in (await session.execute(select(LoginAttempt))).scalars()}
    return [_view(user, locks.get(throttle.subject(user.name), 0.0)) for user in users]


async def get(actor: Actor, name: str) -> UserView:
    """One user: oneself, or anyone for a Platform Admin. Raises Forbidden and NotFound."""
    name = normalised_name(name)
    if name != actor.name:
        policy.require(actor, "users.manage")
    async with database.read() as session:
        user = await _find(session, name)
        attempt = await throttle.attempts(session, name)
    return _view(user, attempt.locked_until if attempt else 0.0)


async def set_password(actor: Actor, name: str, new: str, *, current: str | None = None) -> None:
    """Change a password and end the user's other sessions.

    One's own needs the current one (wrong ones count towards the lock); a Platform Admin may set another's without.
    Raises NotFound, Forbidden, InvalidCredentials, LoginLocked, RateLimited, WeakPassword.
    """
    name = normalised_name(name)
    async with _guarded(actor, "users.password", name) as entry:
        if name != actor.name:
            policy.require(actor, "users.manage")
        else:
            await _prove(actor, name, current)
        passwords.check(new, name=name)
        password_hash = await passwords.hashed(new)
        async with audit.transaction() as session:
            user = await _find(session, name)
            user.password_hash = password_hash
            user.updated_at = user.password_changed_at = clock.epoch()
            others = col(LoginSession.id) != (actor.session_id or "")
            entry.detail["sessions_ended"] = len(await _end_sessions(session, user, "password changed", others))
            await throttle.forgive(session, name)
            await audit.append(session, entry)
    registry.forget(user_id=user.id)


async def _prove(actor: Actor, name: str, current: str | None) -> None:
    """Check the password that someone changes, as carefully as at a sign-in."""
    await throttle.count("login", actor.ip, name)
    async with database.read() as session:
        throttle.refuse_locked(await throttle.attempts(session, name))
        user = await _find(session, name)
    if not await passwords.verified(current or "", user.password_hash):
        async with audit.transaction() as session:
            await throttle.failed(session, name)
        raise InvalidCredentials(field="current")


async def set_enabled(actor: Actor, name: str, enabled: bool) -> UserView:
    """Disable a user, which ends their sessions, or enable them again.

    Raises NotFound, Forbidden, LastAdministrator.
    """
    name = normalised_name(name)
    async with _guarded(actor, "users.enable" if enabled else "users.disable", name) as entry:
        policy.require(actor, "users.manage")
        async with audit.transaction() as session:
            user = await _find(session, name)
            if not enabled:
                await _keep_an_administrator(session, user)
                entry.detail["sessions_ended"] = len(await _end_sessions(session, user, "disabled"))
            user.enabled, user.updated_at = enabled, clock.epoch()
            await scope.bump(session)
            await audit.append(session, entry)
    registry.forget(user_id=user.id)
    return _view(user)


async def set_role(actor: Actor, name: str, role: str) -> UserView:
    """Change a user's role; their open sessions have it within seconds.

    Raises InvalidInput, NotFound, Forbidden, LastAdministrator.
    """
    name = normalised_name(name)
    async with _guarded(actor, "users.role", name, role=role) as entry:
        policy.require(actor, "users.manage")
        if role not in ROLES:
            raise InvalidInput(errors=[FieldError("role", "identity.role.unknown", {"allowed": ", ".join(ROLES)})])
        async with audit.transaction() as session:
            user = await _find(session, name)
            if role != "PA":
                await _keep_an_administrator(session, user)
            entry.detail["before"] = user.role
            user.role, user.updated_at = role, clock.epoch()
            await scope.bump(session)
            await audit.append(session, entry)
    registry.forget(user_id=user.id)
    return _view(user)


async def unlock(actor: Actor, name: str) -> bool:
    """Forget the wrong passwords of a user; whether there were any. Raises NotFound, Forbidden."""
    name = normalised_name(name)
    async with _guarded(actor, "users.unlock", name) as entry:
        policy.require(actor, "users.manage")
        async with audit.transaction() as session:
            await _find(session, name)
            forgiven = await throttle.forgive(session, name)
            await audit.append(session, entry)
    return forgiven


def _named(name: str) -> ColumnElement[bool]:
    return col(User.name) == name


async def _find(session: AsyncSession, name: str) -> User:
    user = (await session.execute(select(User).where(_named(name)))).scalar()
    if user is None:
        raise NotFound(name=name)
    return user


async def _end_sessions(session: AsyncSession, user: User, reason: str, *conditions: ColumnElement[bool]) -> list[str]:
    return await registry.end(session, reason, col(LoginSession.user_id) == user.id, *conditions)


async def _keep_an_administrator(session: AsyncSession, user: User) -> None:
    """Raise LastAdministrator when nobody could administer the platform without ``user``.

    The audit's lock is held, so two administrators cannot remove each other at the same moment.
    """
    if user.role != "PA" or not user.enabled:
        return
    others = select(col(User.id)).where(col(User.role) == "PA", col(User.enabled).is_(True), col(User.id) != user.id)
    if (await session.execute(others.limit(1))).first() is None:
        raise LastAdministrator(name=user.name)


@asynccontextmanager
async def _guarded(actor: Actor, action: str, target: str, **detail: object) -> AsyncIterator[audit.Entry]:
    """Write down a change that was refused; one that succeeds is written in its own transaction by the block."""
    entry = audit.Entry(actor, action, target, dict(detail))
    try:
        yield entry
    except GMError as problem:
        entry.outcome = "denied" if isinstance(problem, Forbidden | InvalidCredentials) else "failed"
        entry.code = problem.code
        await audit.record(entry)
        raise
