"""The feed: what changed, in order, soon; and an honest answer to those who come too late."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from gmcenter.core import clock
from gmcenter.inventory import feed as feeds
from gmcenter.inventory.feed import Feed, Resync
from gmcenter.inventory.store import CHANNEL, MANY_CHANGES, Store
from tests.support.inventory import KINDS, THING, Inventory, row


@pytest.fixture(autouse=True)
def _no_versions() -> Iterator[None]:
    kept = list(feeds._versions)
    feeds._versions.clear()
    yield
    feeds._versions[:] = kept


async def test_changes_are_told_in_order_with_what_they_are_about(inventory: Inventory) -> None:
    inventory.store.set_cluster(1, "east", state="live")
    feed = Feed(inventory.readers)
    start = await feed.head()
    inventory.store.apply(1, THING, [row("u1"), row("u2", namespace="two")])
    inventory.store.apply(1, THING, [row("u1", resource_version="2")], ["u2"])
    inventory.store.set_source(1, "things", state="live", as_of=1.0)
    inventory.store.set_cluster(1, "east", state="away")
    found = await feed.since(start)
    assert isinstance(found, list)
    assert [(one.cluster_name, one.kind, one.uid, one.op) for one in found] == [
        ("east", "things", "u1", "put"),
        ("east", "things", "u2", "put"),
        ("east", "things", "u1", "put"),
        ("east", "things", "u2", "delete"),
        ("east", "things", None, "source"),
        ("east", "clusters", None, "cluster"),
    ]
    assert {one.ns_id for one in found[:4]} == inventory.namespace_ids("one", "two")
    assert [one.seq for one in found] == sorted({one.seq for one in found})
    assert await feed.since(found[-1].seq) == []
    assert await feed.head() == found[-1].seq


async def test_nothing_is_told_of_what_did_not_change(inventory: Inventory) -> None:
    inventory.store.apply(1, THING, [row("u1")])
    inventory.store.set_source(1, "things", state="live", as_of=1.0)
    feed = Feed(inventory.readers)
    start = await feed.head()
    inventory.store.apply(1, THING, [row("u1")], ["unknown"])
    inventory.store.set_source(1, "things", state="live", as_of=2.0)
    inventory.store.set_cluster(1, "east", state="unknown", last_seen=clock.epoch())
    inventory.store.set_cluster(1, "east", last_seen=clock.epoch() + 1, latency_ms=5)
    found = await feed.since(start)
    assert isinstance(found, list)
    assert [one.op for one in found] in ([], ["cluster"])  # the cluster got its name


async def test_a_flood_is_told_as_one_change_of_its_source(inventory: Inventory) -> None:
    feed = Feed(inventory.readers)
    start = await feed.head()
    inventory.store.apply(1, THING, [row(str(number)) for number in range(MANY_CHANGES + 1)])
    found = await feed.since(start)
    assert isinstance(found, list)
    assert [(one.kind, one.op, one.uid) for one in found] == [("things", "bulk", None)]


async def test_who_comes_too_late_reads_everything_again(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(inventory.readers)
    start = await feed.head()
    for number in range(4):
        inventory.store.apply(1, THING, [row(str(number))])
    inventory.store.prune_feed(clock.epoch() + 60)
    assert isinstance(await feed.since(start), Resync)
    head = await feed.head()
    assert await feed.since(head) == []
    assert isinstance(await feed.since(head + 5), Resync)  # a number of another inventory
    inventory.store.apply(1, THING, [row("5"), row("6")])
    monkeypatch.setattr(feeds, "MOST_CHANGES", 1)
    assert isinstance(await feed.since(head), Resync)


async def test_a_new_inventory_makes_old_readers_read_again(fresh: Inventory) -> None:
    feed = Feed(fresh.readers)
    fresh.store.apply(1, THING, [row("u1")])
    start = await feed.head()
    fresh.store._db.run("update meta set value = 'other' where key = 'digest'")
    fresh.store.open()
    assert isinstance(await feed.since(start), Resync)


async def test_a_commit_wakes_those_who_wait(inventory: Inventory) -> None:
    feed = Feed(inventory.readers)
    while await feed.wait(0.3):
        pass
    slow = []
    for number in range(5):
        waiting = asyncio.create_task(feed.wait(5.0))
        await asyncio.sleep(0)
        started = clock.monotonic()
        thread = threading.Thread(target=inventory.store.apply, args=(1, THING, [row(str(number))]))
        thread.start()
        assert await waiting
        slow.append(clock.monotonic() - started)
        thread.join()
        while await feed.wait(0.25):
            pass
    assert sorted(slow)[2] < 0.5


async def test_silence_wakes_nobody(inventory: Inventory) -> None:
    feed = Feed(inventory.readers)
    while await feed.wait(0.3):
        pass
    started = clock.monotonic()
    assert not await feed.wait(0.5)
    assert clock.monotonic() - started >= 0.45


async def test_what_happens_between_two_waits_is_not_missed(inventory: Inventory) -> None:
    feed, other = Feed(inventory.readers), Feed(inventory.readers)
    while await feed.wait(0.3) or await other.wait(0):
        pass
    inventory.store.apply(1, THING, [row("u1")])
    while not await other.wait(5.0):
        pass
    started = clock.monotonic()
    assert await feed.wait(5.0)
    assert clock.monotonic() - started < 0.1


async def test_nobody_watches_when_nobody_waits(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "LINGER_SECONDS", 0.0)
    feed = Feed(inventory.readers)
    await feed.wait(0.05)
    task = feeds._watcher_of(inventory.readers)._task
    assert task is not None
    await asyncio.wait_for(task, 5)


async def test_many_wait_at_the_price_of_one(inventory: Inventory) -> None:
    many = [Feed(inventory.readers) for _ in range(200)]
    for feed in many[:1] + many:
        while await feed.wait(0.3 if feed is many[0] else 0):
            pass
    waiting = [asyncio.create_task(feed.wait(5.0)) for feed in many]
    await asyncio.sleep(0)
    assert feeds._watcher_of(inventory.readers)._waiting == len(many)
    inventory.store.apply(1, THING, [row("u1")])
    assert all(await asyncio.gather(*waiting))


async def test_a_change_of_scopes_wakes_readers_too(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "VERSION_SECONDS", 0.05)
    version = 1

    async def current() -> int:
        return version

    feeds.register_version(current)
    feed = Feed(inventory.readers)
    while await feed.wait(0.4):
        pass
    version = 2
    assert await feed.wait(5.0)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_waiting_survives_the_inventory_being_replaced(fresh: Inventory) -> None:
    feed = Feed(fresh.readers)
    while await feed.wait(0.3):
        pass
    fresh.store._db.run("update meta set value = 'other' where key = 'digest'")
    fresh.store.open()
    assert await feed.wait(5.0)
    while await feed.wait(0.3):
        pass
    waiting = asyncio.create_task(feed.wait(5.0))
    await asyncio.sleep(0)
    fresh.store.apply(1, THING, [row("u1")])
    assert await waiting


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_waiting_survives_the_database_going_away(fresh: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "RETRY_SECONDS", 0.05)
    feed = Feed(fresh.readers)
    while await feed.wait(0.8):
        pass
    other = Store(fresh.store.url, KINDS)
    other.open()
    listening = "pid <> pg_backend_pid() and datname = current_database() and query = ?"
    killed = "select pg_terminate_backend(pid) from pg_stat_activity where " + listening
    assert other._db.rows(killed, (f"listen {CHANNEL}",))
    while await feed.wait(0.8):
        pass
    waiting = asyncio.create_task(feed.wait(5.0))
    await asyncio.sleep(0)
    other.apply(1, THING, [row("u1")])
    assert await waiting
    other.close()
