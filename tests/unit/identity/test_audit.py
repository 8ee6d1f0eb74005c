"""The audit: what is written, that nobody can change it unseen, and that writers do not trip over each other."""

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from gmcenter.core import database
from gmcenter.core.errors import ClusterUnreachable, Forbidden, NotFound, Unauthenticated
from gmcenter.core.settings import Settings
from gmcenter.identity import audit, upkeep
from gmcenter.identity.actor import SYSTEM, Actor
from gmcenter.identity.model import AuditEntry

HONG = Actor(2, "hong", "SA", "0" * 32, "192.0.2.1")
ALL: tuple[Any, ...] = tuple(AuditEntry.__table__.columns)  # type: ignore[attr-defined]


async def entries() -> list[AuditEntry]:
    async with database.read() as session:
        return list((await session.execute(select(AuditEntry).order_by(col(AuditEntry.seq)))).scalars())


async def write(count: int) -> None:
    for number in range(count):
        async with audit.entry(HONG, "scale", f"shop-{number}", replicas=number):
            pass


async def tamper(*statements: Any) -> None:
    """What someone does who owns the database: the triggers are no hindrance to them."""
    async with database.write() as session:
        if session.get_bind().dialect.name == "postgresql":
            await session.execute(text("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_append_only"))
        else:
            await session.execute(text("DROP TRIGGER IF EXISTS audit_entry_no_update"))
            await session.execute(text("DROP TRIGGER IF EXISTS audit_entry_no_delete"))
        for statement in statements:
            await session.execute(statement)


# --- what is written ---


async def test_an_entry_says_who_did_what_to_what_from_where(installation: Settings) -> None:
    async with audit.entry(HONG, "scale", "shop/web", replicas=3) as entry:
        entry.detail["before"] = 1
    (row,) = await entries()
    assert (row.seq, row.user_id, row.user_name, row.session_id, row.ip) == (1, 2, "hong", "0" * 32, "192.0.2.1")
    assert (row.action, row.target, row.outcome, row.code) == ("scale", "shop/web", "ok", "")
    assert json.loads(row.detail) == {"before": 1, "replicas": 3}


@pytest.mark.parametrize(
    ("problem", "outcome", "code"),
    [
        (Forbidden(rule="platform-admin"), "denied", "forbidden"),
        (Unauthenticated(), "denied", "unauthenticated"),
        (NotFound(name="x"), "failed", "not_found"),
        (ClusterUnreachable(cluster="edge-1"), "failed", "cluster_unreachable"),
        (ValueError("boom"), "failed", "internal"),
    ],
)
async def test_an_entry_says_how_it_ended(installation: Settings, problem: Exception, outcome: str, code: str) -> None:
    with pytest.raises(type(problem)):
        async with audit.entry(HONG, "scale", "shop/web"):
            raise problem
    (row,) = await entries()
    assert (row.outcome, row.code) == (outcome, code)
    assert ("platform-admin" in row.detail) == isinstance(problem, Forbidden)


async def test_a_cancelled_use_case_is_written_down(installation: Settings) -> None:
    inside = asyncio.Event()

    async def use_case() -> None:
        async with audit.entry(HONG, "scale", "shop/web"):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(use_case())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,) = await entries()
    assert (row.outcome, row.code) == ("failed", "cancelled")


async def test_an_entry_being_written_is_finished_when_its_request_is_cancelled(
    installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, append = asyncio.Event(), audit.append

    async def slow(*arguments: Any) -> audit.Head:
        begun.set()
        await asyncio.sleep(0.05)
        return await append(*arguments)

    monkeypatch.setattr(audit, "append", slow)

    async def use_case() -> None:
        async with audit.entry(HONG, "scale", "shop/web"):
            pass

    task = asyncio.create_task(use_case())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.gather(*audit._writing)
    assert [row.outcome for row in await entries()] == ["ok"]


async def test_a_success_that_cannot_be_written_is_an_error_and_a_failure_keeps_its_own(
    installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> audit.Head:
        raise OSError("disk full")

    monkeypatch.setattr(audit, "append", broken)
    with pytest.raises(OSError, match="disk full"):
        async with audit.entry(HONG, "scale"):
            pass
    with structlog.testing.capture_logs() as lines, pytest.raises(NotFound):
        async with audit.entry(HONG, "scale"):
            raise NotFound(name="x")
    assert [line["event"] for line in lines] == ["audit_write_failed"]


@pytest.mark.parametrize(
    ("target", "named"),
    [
        (None, ""),
        ("edge-1", "edge-1"),
        (7, "7"),
        (SimpleNamespace(name="edge-1", token="s3cr3t"), "SimpleNamespace/edge-1"),
        (SimpleNamespace(token="s3cr3t"), "SimpleNamespace"),
        ("x" * 1000, "x" * 255),
        ("nul\0\ud800", "nul�?"),
    ],
)
async def test_a_target_is_named_and_never_spelled_out(installation: Settings, target: Any, named: str) -> None:
    async with audit.entry(HONG, "scale", target):
        pass
    assert [row.target for row in await entries()] == [named]
    assert (await audit.verify()).ok


async def test_secrets_in_the_detail_are_masked(installation: Settings) -> None:
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJl"
    async with audit.entry(
        HONG,
        "clusters.register",
        "edge-1",
        token="canary-1",
        kubeconfig="canary-2",
        credentials={"password": "canary-3", "nested": [{"client_secret": "canary-4"}]},
        note=f"curl -H 'Authorization: Bearer {jwt}'",
        key="-----BEGIN RSA PRIVATE KEY-----\ncanary-5\n-----END RSA PRIVATE KEY-----",
        url="postgresql://gm:canary-6@db/gm",
        endpoint="https://192.0.2.10:6443",
    ):
        pass
    (row,) = await entries()
    assert "canary" not in row.detail
    assert jwt not in row.detail
    assert json.loads(row.detail)["endpoint"] == "https://192.0.2.10:6443"


@pytest.mark.parametrize(
    "detail",
    [
        {"long": "x" * 100_000},
        {f"key-{n}": "x" * 400 for n in range(500)},
        {"many": list(range(10_000))},
        {"object": object(), "set": {1}, "bytes": b"x", "none": None, "real": 1.5},
        {"한글": "\ud800\0"},
    ],
)
async def test_a_detail_of_any_size_and_kind_fits(installation: Settings, detail: dict[str, Any]) -> None:
    async with audit.entry(HONG, "scale", **detail):
        pass
    (row,) = await entries()
    assert len(row.detail) < 10_000
    json.loads(row.detail)
    assert (await audit.verify()).ok


# --- the chain ---


async def test_an_untouched_chain_is_whole(installation: Settings) -> None:
    assert await audit.verify() == audit.VerifyResult(None, 0, audit.Head(0, audit.GENESIS))
    await write(7)
    result = await audit.verify()
    assert result.ok
    assert result.count == 7
    assert result.head == await audit.head()


async def test_the_chain_is_walked_in_batches(installation: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "BATCH", 3)
    await write(9)
    assert (await audit.verify()).count == 9
    await tamper(update(AuditEntry).where(col(AuditEntry.seq) == 8).values(target="else"))
    assert (await audit.verify()).first_bad_seq == 8


CHANGES: dict[str, Any] = {
    "at": 1,
    "user_id": 1,
    "user_name": "admin",
    "session_id": "f" * 32,
    "ip": "203.0.113.1",
    "action": "delete",
    "target": "other",
    "outcome": "failed",
    "code": "x",
    "detail": "{}",
    "previous": "1" * 64,
    "mac": "1" * 64,
}


@pytest.mark.parametrize("column", sorted(CHANGES))
async def test_a_change_of_any_column_is_found_at_its_place(installation: Settings, column: str) -> None:
    await write(5)
    await tamper(update(AuditEntry).where(col(AuditEntry.seq) == 3).values({column: CHANGES[column]}))
    result = await audit.verify()
    assert (result.first_bad_seq, result.count) == (3, 2)


def test_the_changes_above_touch_every_column() -> None:
    assert set(CHANGES) | {"seq"} == {column.name for column in ALL}


@pytest.mark.parametrize("removed", [1, 3])
async def test_a_removed_entry_is_found(installation: Settings, removed: int) -> None:
    await write(5)
    await tamper(delete(AuditEntry).where(col(AuditEntry.seq) == removed))
    result = await audit.verify()
    assert (result.first_bad_seq, result.reason) == (removed, "entry_missing")


async def test_a_removed_entry_is_found_when_the_rest_is_renumbered(installation: Settings) -> None:
    await write(5)
    await tamper(
        delete(AuditEntry).where(col(AuditEntry.seq) == 2),
        *(update(AuditEntry).where(col(AuditEntry.seq) == n).values(seq=n - 1) for n in (3, 4, 5)),
    )
    assert (await audit.verify()).first_bad_seq == 2


async def test_two_entries_that_changed_places_are_found(installation: Settings) -> None:
    await write(5)
    await tamper(
        *(update(AuditEntry).where(col(AuditEntry.seq) == old).values(seq=new) for old, new in ((2, 9), (3, 2), (9, 3)))
    )
    assert (await audit.verify()).first_bad_seq == 2


async def test_an_entry_copied_to_the_end_is_found(installation: Settings) -> None:
    await write(3)
    copied = (await entries())[1].model_dump() | {"seq": 4}
    await tamper(insert(AuditEntry).values(**copied))
    assert (await audit.verify()).first_bad_seq == 4


async def test_a_cut_tail_is_found_against_a_logged_head_only(installation: Settings) -> None:
    await write(5)
    logged = await audit.head()
    await tamper(delete(AuditEntry).where(col(AuditEntry.seq) > 3))
    assert (await audit.verify()).ok
    result = await audit.verify(logged)
    assert (result.first_bad_seq, result.count, result.reason) == (4, 3, "tail_missing")
    await tamper(delete(AuditEntry))
    assert (await audit.verify(logged)).first_bad_seq == 1


async def test_a_tail_that_was_cut_and_written_anew_is_found_against_a_logged_head(installation: Settings) -> None:
    await write(5)
    logged = await audit.head()
    await tamper(delete(AuditEntry).where(col(AuditEntry.seq) > 3))
    await write(4)
    assert (await audit.verify()).ok
    result = await audit.verify(logged)
    assert (result.first_bad_seq, result.reason) == (5, "not_the_logged_head")


async def test_an_old_tail_put_behind_a_new_entry_is_found(installation: Settings) -> None:
    await write(5)
    old = (await entries())[4].model_dump()
    await tamper(delete(AuditEntry).where(col(AuditEntry.seq) > 3))
    await write(1)
    await tamper(insert(AuditEntry).values(**old))
    result = await audit.verify()
    assert (result.first_bad_seq, result.reason) == (5, "not_chained")


async def test_a_logged_head_stays_good_while_the_chain_grows(installation: Settings) -> None:
    await write(3)
    logged = audit.Head.parse(str(await audit.head()))
    await write(3)
    assert (await audit.verify(logged)).ok


async def test_a_chain_signed_with_another_key_is_not_ours(installation: Settings) -> None:
    from gmcenter.core import vault

    await write(2)
    installation.key_file.unlink()
    vault.forget_keys()
    vault.ensure_key(installation, fresh=True)
    assert (await audit.verify()).first_bad_seq == 1


@pytest.mark.parametrize("written", ["", "5", "5:", ":" + "0" * 64, "x:" + "0" * 64, "5:" + "0" * 63])
def test_a_head_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="head"):
        audit.Head.parse(written)


@given(st.integers(min_value=0), st.binary(min_size=32, max_size=32))
def test_a_head_reads_back_as_it_was_written(seq: int, mac: bytes) -> None:
    head = audit.Head(seq, mac.hex())
    assert audit.Head.parse(f" {head}\n") == head


async def test_the_database_itself_refuses_changes(installation: Settings) -> None:
    await write(2)
    statements: list[Callable[[], Any]] = [
        lambda: update(AuditEntry).values(target="else"),
        lambda: delete(AuditEntry),
    ]
    for statement in statements:
        with pytest.raises(DBAPIError, match="append-only"):
            async with database.write() as session:
                await session.execute(statement())
    assert (await audit.verify()).count == 2


# --- writers side by side ---


async def test_forty_writers_side_by_side_make_one_chain(installation: Settings) -> None:
    await asyncio.gather(*(audit.record(audit.Entry(HONG, "scale", str(n))) for n in range(40)))
    result = await audit.verify()
    assert (result.ok, result.count) == (True, 40)


async def test_an_entry_rolled_back_with_its_transaction_leaves_no_gap(installation: Settings) -> None:
    await write(1)

    async def change() -> None:
        async with audit.transaction() as session:
            await audit.append(session, audit.Entry(HONG, "scale", "never"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change()
    await write(1)
    assert [row.target for row in await entries()] == ["shop-0", "shop-0"]
    assert (await audit.verify()).ok


# --- by the hour ---


async def test_the_head_is_logged_now_and_each_interval_until_stopped(installation: Settings) -> None:
    await write(2)
    head = str(await audit.head())
    stop = asyncio.Event()
    with structlog.testing.capture_logs() as lines:
        task = asyncio.create_task(upkeep.run(stop, interval=0.01))
        async with asyncio.timeout(10):
            while sum(line["event"] == "audit_head" for line in lines) < 3:  # noqa: ASYNC110  what is awaited is the log
                await asyncio.sleep(0.01)
        stop.set()
        await asyncio.wait_for(task, 10)
    assert {line["head"] for line in lines if line["event"] == "audit_head"} == {head}


async def test_one_failing_upkeep_does_not_stop_the_other(
    installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def log_head() -> None:
        raise OSError

    monkeypatch.setattr(audit, "log_head", log_head)
    pruned = asyncio.Event()

    async def prune() -> None:
        pruned.set()

    monkeypatch.setattr("gmcenter.identity.sessions.prune", prune)
    with structlog.testing.capture_logs() as lines:
        await upkeep.once()
    assert pruned.is_set()
    assert [line["event"] for line in lines] == ["identity_upkeep_failed"]


async def test_the_system_is_written_down_like_anyone(installation: Settings) -> None:
    async with audit.entry(SYSTEM, "users.create", "admin"):
        pass
    (row,) = await entries()
    assert (row.user_id, row.user_name, row.session_id, row.ip) == (0, "system", "", "")
