"""The loop that keeps open pages live: its timing and manners, with a fake feed and fake sockets."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gmcenter.core import clock
from gmcenter.core.errors import Unavailable
from gmcenter.identity.actor import Actor
from gmcenter.identity.scope import EVERYTHING, Scope
from gmtool.live import dispatcher as module
from gmtool.live.dispatcher import Dispatcher, Reader
from gmtool.live.frames import Frame

ACTOR = Actor(1, "kim", "PA", "session-1", None)


@dataclass(frozen=True)
class FakeChange:
    seq: int
    kind: str
    cluster: int = 1
    ns_id: int | None = None
    op: str = "put"


class FakeFeed:
    """A feed that a test writes to."""

    def __init__(self) -> None:
        self.changes: list[FakeChange] = []
        self.resync = False
        self.news = asyncio.Event()

    def add(self, kind: str, **more: Any) -> None:
        self.changes.append(FakeChange(len(self.changes) + 1, kind, **more))
        self.news.set()

    async def head(self) -> int:
        return len(self.changes)

    async def wait(self, timeout: float) -> None:
        try:
            await asyncio.wait_for(self.news.wait(), timeout)
        except TimeoutError:
            pass
        self.news.clear()

    async def since(self, seq: int) -> Any:
        if self.resync:
            self.resync = False
            return object()
        return [change for change in self.changes if change.seq > seq]


class FakeSockets:
    """Tabs that note what they were sent."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.slow: set[str] = set()
        self.failing: set[str] = set()
        self.hanging: set[str] = set()
        self.elsewhere: set[str] = set()
        self.sent: dict[str, list[tuple[float, dict[str, Any]]]] = {}

    def connected(self, token: str) -> bool:
        return token in self.open

    def clogged(self, token: str) -> bool:
        return token in self.slow

    async def push(self, token: str, readers: Sequence[Reader]) -> Sequence[Reader]:
        if token in self.failing:
            raise ConnectionError("gone")
        if token in self.hanging:
            await asyncio.Event().wait()
        if token in self.elsewhere:
            return readers
        for reader in readers:
            if variables := reader.take():
                self.sent.setdefault(token, []).append((clock.monotonic(), variables))
        return ()

    async def sweep(self) -> None:
        pass

    def last(self, token: str) -> Any:
        return self.sent[token][-1][1]["value"] if self.sent.get(token) else None


@dataclass
class Store:
    """What topics read: a number a kind."""

    values: dict[str, int] = field(default_factory=dict)
    reads: dict[Hashable, int] = field(default_factory=dict)
    cost: float = 0.0
    broken: bool = False


@dataclass(frozen=True, eq=False)
class FakeTopic:
    store: Store
    kind: str
    scope: Scope = EVERYTHING
    period: float | None = None

    @property
    def key(self) -> Hashable:
        return ("fake", self.kind, self.scope)

    def touched(self, change: Any) -> bool:
        return bool(change.kind == self.kind)

    async def read(self, before: Any) -> tuple[Frame, Any]:
        self.store.reads[self.key] = self.store.reads.get(self.key, 0) + 1
        if self.store.broken:
            raise Unavailable(part="inventory")
        if self.store.cost:
            await asyncio.sleep(self.store.cost)
        value = self.store.values.get(self.kind, 0)
        full = {"value": value, "all": True}
        if before is None:
            return Frame(full, full), value
        return Frame(full, {"value": value} if value != before else None), value

    def rescoped(self, scope: Scope) -> FakeTopic:
        return replace(self, scope=scope)


@dataclass
class World:
    feed: FakeFeed
    sockets: FakeSockets
    store: Store
    dispatcher: Dispatcher
    scopes: dict[int, Scope]
    version: list[int]

    async def look(self, token: str, kind: str = "pods", *, slot: str = "list", **more: Any) -> dict[str, Any]:
        self.sockets.open.add(token)
        actor = more.pop("actor", ACTOR)
        return await self.dispatcher.look(token, slot, "/pods", object, actor, FakeTopic(self.store, kind, **more))

    def set(self, kind: str, value: int) -> None:
        self.store.values[kind] = value
        self.feed.add(kind)

    async def until(self, condition: Callable[[], Any], timeout: float = 5.0) -> float:
        begun = clock.monotonic()
        while not condition():
            assert clock.monotonic() - begun < timeout, "it did not happen"
            await asyncio.sleep(0.005)
        return clock.monotonic() - begun


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with started() as made:
        yield made


@asynccontextmanager
async def started() -> AsyncIterator[World]:
    feed, sockets, store = FakeFeed(), FakeSockets(), Store()
    scopes: dict[int, Scope] = {}
    version = [0]

    async def scope_of(actor: Actor) -> Scope:
        return scopes.get(actor.user_id, EVERYTHING)

    async def scope_version() -> int:
        return version[0]

    dispatcher = Dispatcher(feed, sockets, scope_of=scope_of, scope_version=scope_version)
    await dispatcher.mark()
    task = asyncio.create_task(dispatcher.run())
    try:
        yield World(feed, sockets, store, dispatcher, scopes, version)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_change_reaches_the_page_that_shows_it_and_no_other(world: World) -> None:
    await world.look("a", "pods")
    await world.look("b", "nodes")
    world.set("pods", 7)
    await world.until(lambda: world.sockets.last("a") == 7)
    assert "b" not in world.sockets.sent


async def test_the_first_change_after_quiet_is_pushed_at_once(world: World) -> None:
    await world.look("a")
    await asyncio.sleep(module.LEAST_INTERVAL + 0.05)
    world.set("pods", 1)
    assert await world.until(lambda: world.sockets.last("a") == 1) < 0.2


async def test_a_thousand_changes_are_few_pushes_and_the_last_is_among_them(world: World) -> None:
    await world.look("a")
    begun = clock.monotonic()
    for value in range(1, 1001):
        world.set("pods", value)
        if value % 20 == 0:
            await asyncio.sleep(0.01)
    await world.until(lambda: world.sockets.last("a") == 1000)
    assert len(world.sockets.sent["a"]) <= (clock.monotonic() - begun) / module.LEAST_INTERVAL + 2


async def test_a_topic_is_read_at_most_a_tenth_of_the_time_that_it_costs(world: World) -> None:
    world.store.cost = 0.06
    await world.look("a")
    key = FakeTopic(world.store, "pods").key
    begun, first = clock.monotonic(), world.store.reads[key]
    while clock.monotonic() - begun < 2.0:
        world.set("pods", world.store.values.get("pods", 0) + 1)
        await asyncio.sleep(0.02)
    assert world.store.reads[key] - first <= 2.0 / (module.COST_FACTOR * 0.06) + 1


async def test_equal_questions_are_read_once_however_many_ask(world: World) -> None:
    for number in range(40):
        await world.look(f"tab-{number}")
    key = FakeTopic(world.store, "pods").key
    assert world.store.reads[key] == 1
    assert len(world.dispatcher.channels) == 1
    world.set("pods", 5)
    await world.until(lambda: all(world.sockets.last(f"tab-{n}") == 5 for n in range(40)))
    assert world.store.reads[key] == 2


async def test_pages_that_open_together_wait_for_one_read(world: World) -> None:
    world.store.cost = 0.05
    answers = await asyncio.gather(*(world.look(f"tab-{n}") for n in range(30)))
    assert world.store.reads[FakeTopic(world.store, "pods").key] == 1
    assert all(answer["all"] for answer in answers)


async def test_different_scopes_are_never_read_together(world: World) -> None:
    mine, yours = Scope(False, frozenset({1}), 1), Scope(False, frozenset({2}), 1)
    await world.look("a", scope=mine)
    await world.look("b", scope=yours)
    assert set(world.store.reads.values()) == {1}
    assert len(world.store.reads) == 2


async def test_a_page_that_fails_or_hangs_stops_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PUSH_TIMEOUT", 0.2)
    for token in ("good", "bad", "stuck"):
        await world.look(token)
    world.sockets.failing.add("bad")
    world.sockets.hanging.add("stuck")
    world.set("pods", 1)
    await world.until(lambda: world.sockets.last("good") == 1, 1.0)
    world.set("pods", 2)
    await world.until(lambda: world.sockets.last("good") == 2, 1.0)


async def test_a_page_that_failed_gets_everything_when_it_is_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PENALTY", 0.1)
    await world.look("a")
    world.sockets.failing.add("a")
    world.set("pods", 1)
    await world.until(lambda: "a" in world.dispatcher._not_before)
    world.sockets.failing.clear()
    await world.until(lambda: world.sockets.last("a") == 1)
    assert world.sockets.sent["a"][-1][1]["all"] is True


async def test_a_slow_page_skips_what_came_in_between_and_ends_with_the_newest(world: World) -> None:
    await world.look("a")
    world.sockets.slow.add("a")
    key = FakeTopic(world.store, "pods").key
    for value in (1, 2, 3):
        reads = world.store.reads[key]
        world.set("pods", value)
        await world.until(lambda reads=reads: world.store.reads[key] > reads)
    assert "a" not in world.sockets.sent
    world.sockets.slow.clear()
    await world.until(lambda: world.sockets.last("a") == 3)
    assert len(world.sockets.sent["a"]) == 1


async def test_a_topic_that_cannot_be_read_stops_no_other_and_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAILED_SECONDS", 0.1)
    await world.look("a", "pods")
    other = Store()
    world.sockets.open.add("b")
    await world.dispatcher.look("b", "list", "/nodes", object, ACTOR, FakeTopic(other, "nodes"))
    world.store.broken = True
    world.set("pods", 1)
    other.values["nodes"] = 4
    world.feed.add("nodes")
    await world.until(lambda: world.sockets.last("b") == 4)
    world.store.broken = False
    await world.until(lambda: world.sockets.last("a") == 1)


async def test_a_page_that_cannot_be_read_at_first_looks_at_nothing(world: World) -> None:
    world.store.broken = True
    with pytest.raises(Unavailable):
        await world.look("a")
    assert world.dispatcher.readers == 0
    assert not world.dispatcher.channels


async def test_closing_a_tab_frees_everything(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = len(asyncio.all_tasks())
    channels: list[weakref.ref[Any]] = []
    for number in range(200):
        await world.look(f"tab-{number}", f"kind-{number % 20}")
        await world.look(f"tab-{number}", "fleet", slot="fleet")
        channels += [weakref.ref(reader.channel) for reader in world.dispatcher.tabs[f"tab-{number}"].values()]
    world.sockets.open.clear()
    await world.until(lambda: not world.dispatcher.tabs)
    await world.dispatcher.turn()
    gc.collect()
    assert world.dispatcher.readers == 0
    assert not world.dispatcher.channels
    assert not world.dispatcher.pending
    assert not world.dispatcher._not_before
    assert not [ref for ref in channels if ref() is not None]
    assert len(asyncio.all_tasks()) == tasks


async def test_a_slot_shows_one_thing_at_a_time(world: World) -> None:
    await world.look("a", "pods")
    await world.look("a", "nodes")
    assert world.dispatcher.readers == 1
    assert len(world.dispatcher.channels) == 1
    world.set("pods", 1)
    world.set("nodes", 2)
    await world.until(lambda: world.sockets.last("a") == 2)


async def test_a_tab_that_went_to_another_page_is_looked_away(world: World) -> None:
    await world.look("a")
    world.sockets.elsewhere.add("a")
    world.set("pods", 1)
    await world.until(lambda: world.dispatcher.readers == 0)
    assert "a" not in world.sockets.sent


async def test_a_feed_that_no_longer_reaches_back_makes_every_page_look_again(world: World) -> None:
    await world.look("a", "pods")
    await world.look("b", "nodes")
    world.store.values.update(pods=3, nodes=4)
    world.feed.resync = True
    world.feed.news.set()
    await world.until(lambda: world.sockets.last("a") == 3 and world.sockets.last("b") == 4)


async def test_a_changed_scope_moves_the_page_to_what_its_reader_may_see_now(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCOPE_SECONDS", 0.05)
    less = Scope(False, frozenset({3}), 2)
    await world.look("a")
    await world.until(lambda: world.dispatcher._version == 0)
    world.scopes[ACTOR.user_id] = less
    world.version[0] = 1
    await world.until(lambda: world.sockets.sent.get("a"))
    assert world.sockets.sent["a"][-1][1]["all"] is True
    assert [channel.topic.scope for channel in world.dispatcher.channels.values()] == [less]  # type: ignore[attr-defined]


async def test_a_topic_with_a_period_is_read_though_nothing_was_announced(world: World) -> None:
    await world.look("a", "fleet", period=0.3)
    world.store.values["fleet"] = 9
    assert await world.until(lambda: world.sockets.last("a") == 9) < 1.5


async def test_the_loop_rests_as_long_as_it_works(world: World) -> None:
    world.store.cost = 0.02
    for number in range(60):
        await world.look(f"tab-{number}", f"kind-{number}")
    working = 0.0

    read = FakeTopic.read

    async def timed(self: FakeTopic, before: Any) -> tuple[Frame, Any]:
        nonlocal working
        begun = clock.monotonic()
        try:
            return await read(self, before)
        finally:
            working += clock.monotonic() - begun

    FakeTopic.read = timed  # type: ignore[method-assign]
    try:
        begun = clock.monotonic()
        while clock.monotonic() - begun < 3.0:
            for number in range(60):
                world.set(f"kind-{number}", int(clock.monotonic() * 1000))
            await asyncio.sleep(0.05)
        assert working / (clock.monotonic() - begun) <= 0.58
    finally:
        FakeTopic.read = read  # type: ignore[method-assign]
