"""The collector's invariant: whatever order events come in, however often, however they break off, the rows, bodies,
labels and counters end equal to the API server's list.
"""

import asyncio
import json
import sqlite3
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gmcenter.core import clock
from gmcenter.inventory.follower import Follower
from gmcenter.inventory.store import Store
from gmcenter.inventory.writer import Writer
from gmcenter.kube import watch as watching
from gmcenter.kube.kinds import KINDS
from tests.support.wire import FakeWire

POD = KINDS["pods"]
NUMBERS = st.integers(0, 2)
CHANGES = st.lists(st.tuples(NUMBERS, st.integers(0, 7) | st.none()), min_size=2, max_size=6)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("burst"), CHANGES, st.just(True), st.booleans()),
        st.tuples(st.just("burst"), CHANGES, st.booleans(), st.booleans()),
        st.tuples(st.just("put"), NUMBERS, st.integers(0, 7)),
        st.tuples(st.just("delete"), NUMBERS),
        st.tuples(st.just("bookmark")),
        st.tuples(st.just("cut")),
        st.tuples(st.just("error_event")),
        st.tuples(st.just("compact")),
        st.tuples(st.sampled_from(["page_expires", "throttled"])),
        st.tuples(st.just("listen")),
    ),
    min_size=1,
    max_size=12,
)
clusters = count(1)


def perform(wire: FakeWire, step: tuple[Any, ...]) -> None:
    match step:
        case ("put", number, seed):
            wire.put(number, seed)
        case ("delete", number):
            wire.delete(number)
        case ("burst", changes, shuffled, repeated):
            for number, seed in changes:
                wire.delete(number) if seed is None else wire.put(number, seed)
            wire.deliver(shuffled=shuffled, repeated=repeated)
        case ("bookmark" | "cut" | "error_event" | "compact" as name,):
            getattr(wire, name)()
        case ("page_expires" | "throttled" as name,):
            setattr(wire, name, True)


def stored(path: Path, cluster: int) -> dict[str, Any]:
    """What the inventory's file says of a cluster's pods."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute(
            "select uid, name, namespace, resource_version, status, state, k.id, packed from k_pods k "
            "join body b on b.id = k.id where cluster = ?",
            (cluster,),
        ).fetchall()
        ids = {row[6]: row[0] for row in rows}
        marks = db.execute("select l.id, k, v from label l join label_pair p on p.id = l.pair").fetchall()
        counted = db.execute("select state, n from counter where cluster = ? and n <> 0", (cluster,)).fetchall()
    labels: dict[str, dict[str, str]] = {uid: {} for uid in ids.values()}
    for row_id, key, value in marks:
        if row_id in ids:
            labels[ids[row_id]][key] = value
    return {
        "rows": {row[0]: row[1:5] for row in rows},
        "bodies": {row[0]: json.loads(zlib.decompress(row[7]))["metadata"]["resourceVersion"] for row in rows},
        "labels": labels,
        "counted": dict(counted),
        "states": dict(Counter(row[5] for row in rows)),
    }


def as_of(path: Path, cluster: int) -> float:
    """The instant that the source is known to be true of."""
    with closing(sqlite3.connect(path)) as db:
        return float(db.execute("select max(as_of) from source where cluster = ?", (cluster,)).fetchone()[0] or 0)


def listed(wire: FakeWire) -> dict[str, Any]:
    """What the API server has."""
    found = [(pod["metadata"], pod["status"]["phase"]) for pod in wire.objects.values()]
    return {
        "rows": {m["uid"]: (m["name"], m["namespace"], m["resourceVersion"], phase) for m, phase in found},
        "bodies": {m["uid"]: m["resourceVersion"] for m, _ in found},
        "labels": {m["uid"]: m["labels"] for m, _ in found},
    }


def agrees(path: Path, cluster: int, wire: FakeWire) -> bool:
    held, there = stored(path, cluster), listed(wire)
    return all(held[part] == there[part] for part in there) and held["counted"] == held["states"]


@pytest.fixture(scope="module")
def impatient() -> Any:
    """No pauses: what is tested is the order of things, not their time."""
    patch = pytest.MonkeyPatch()
    patch.setattr(watching, "_pause", lambda *_: 0.001)
    patch.setattr(watching, "STABLE_SECONDS", 3600.0)
    yield
    patch.undo()


@asynccontextmanager
async def collecting(path: Path, wire: FakeWire) -> AsyncIterator[int]:
    """A source that follows the wire into the inventory at a path; gives its cluster's number."""
    cluster = next(clusters)
    writer = Writer(Store(f"sqlite:///{path}"))
    await writer.start()
    follower = Follower(writer, cluster, POD, lambda: None)
    follower.announce()
    task = asyncio.create_task(follower.run(wire))  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(20):
            yield cluster
            assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await writer.stop()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 what is waited for happens in other threads and files
        await asyncio.sleep(0.001)


async def everything_written(path: Path, cluster: int, wire: FakeWire) -> None:
    """Wait until all that was sent has been taken, and a bookmark after it has been written."""
    await until(lambda: wire.heard)
    start = clock.epoch()

    def written() -> bool:
        if wire.heard:
            wire.bookmark()
        return as_of(path, cluster) > start

    await until(written)


async def play(path: Path, steps: list[tuple[Any, ...]], seed: int, serves: bool) -> None:
    wire = FakeWire(seed, serves_watch_list=serves)
    async with collecting(path, wire) as cluster:
        for step in steps:
            if step[0] in ("listen", "burst"):
                await until(lambda: wire.heard)
            perform(wire, step)
        wire.page_expires = wire.throttled = False

        def arrived() -> bool:
            if wire.heard:
                wire.bookmark()
            return agrees(path, cluster, wire)

        await until(arrived)
        await everything_written(path, cluster, wire)
        assert agrees(path, cluster, wire), (stored(path, cluster), listed(wire))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, seed=st.integers(0, 2**16), serves=st.booleans())
def test_any_order_of_events_repeats_410s_and_relists_ends_with_the_servers_list(
    tmp_path_factory: pytest.TempPathFactory, impatient: None, steps: list[tuple[Any, ...]], seed: int, serves: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "property.db"
    asyncio.run(play(path, steps, seed, serves))


@pytest.mark.parametrize("serves", [True, False], ids=["streamed list", "paged list"])
async def test_a_late_duplicate_does_not_bring_a_deleted_object_back(
    tmp_path: Path, impatient: None, serves: bool
) -> None:
    path, wire = tmp_path / "late.db", FakeWire(1, serves_watch_list=serves)
    wire.put(1, 1)
    async with collecting(path, wire) as cluster:
        await until(lambda: wire.heard and bool(stored(path, cluster)["rows"]))
        wire.put(1, 2)
        wire.delete(1)
        wire.deliver_one(1)
        await until(lambda: not stored(path, cluster)["rows"])
        wire.deliver_one(0)
        await everything_written(path, cluster, wire)
        assert stored(path, cluster) == {"rows": {}, "bodies": {}, "labels": {}, "counted": {}, "states": {}}


async def test_an_older_state_that_comes_later_changes_nothing(tmp_path: Path, impatient: None) -> None:
    path, wire = tmp_path / "older.db", FakeWire(2, serves_watch_list=True)
    wire.put(1, 1)
    async with collecting(path, wire) as cluster:
        await until(lambda: wire.heard)
        wire.put(1, 2)
        wire.put(1, 3)
        wire.deliver_one(1)
        await until(lambda: agrees(path, cluster, wire))
        wire.deliver_one(0)
        await everything_written(path, cluster, wire)
        assert agrees(path, cluster, wire)
