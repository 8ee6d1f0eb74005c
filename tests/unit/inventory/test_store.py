"""The store: whatever comes in whatever order, rows, labels and counters are what the cluster holds."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import threading
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gmcenter.core import clock
from gmcenter.inventory.batch import Batch
from gmcenter.inventory.driver import Postgres, SQLite
from gmcenter.inventory.objects import find_body
from gmcenter.inventory.reader import Readers
from gmcenter.inventory.schema import Schema
from gmcenter.inventory.store import LARGEST_BATCH, Store, StoreLost
from gmcenter.inventory.verify import verify
from gmcenter.kube.kinds import Column
from tests.support.inventory import KINDS, THING, WIDGET, Inventory, Model, expected, row, rows, stored, wipe

UIDS = st.sampled_from(["u1", "u2", "u3", "u4", "u5"])
EVENTS = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 2), st.lists(rows(UIDS, st.integers(1, 9)), min_size=1, max_size=4)),
    st.tuples(st.just("drop"), st.integers(1, 2), st.lists(UIDS, min_size=1, max_size=2)),
    st.tuples(
        st.just("both"),
        st.integers(1, 2),
        st.tuples(st.lists(rows(UIDS, st.integers(1, 9)), max_size=3), st.lists(UIDS, max_size=2)),
    ),
    st.tuples(
        st.just("relist"),
        st.integers(1, 2),
        st.lists(rows(UIDS, st.integers(1, 9)), max_size=5, unique_by=lambda one: one.uid),
    ),
)
MANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def play(inventory: Inventory, events: list[Any]) -> Model:
    """Give events to a store and to the model."""
    store, model = inventory.store, Model()
    for what, cluster, given_rows in events:
        if what == "put":
            store.apply(cluster, THING, given_rows)
            model.put(cluster, given_rows)
        elif what == "drop":
            store.apply(cluster, THING, [], given_rows)
            model.drop(cluster, given_rows)
        elif what == "both":
            store.apply(cluster, THING, *given_rows)
            model.put(cluster, given_rows[0])
            model.drop(cluster, given_rows[1])
        else:
            number = store.begin_relist(cluster, THING)
            half = len(given_rows) // 2
            store.apply(cluster, THING, given_rows[:half], generation=number)
            store.apply(cluster, THING, given_rows[half:], generation=number)
            store.end_relist(cluster, THING, number)
            model.relist(cluster, given_rows)
    return model


def agrees(inventory: Inventory, model: Model) -> None:
    """The inventory holds what the model holds, and agrees with itself."""
    found = inventory.readers.run_now(lambda db: stored(db, inventory.store))
    assert found.keys() == model.rows.keys()
    for key, one in model.rows.items():
        wanted = expected(one)
        assert {name: found[key][name] for name in wanted} == wanted
    assert inventory.readers.run_now(lambda db: verify(db, inventory.store.schema)) == []


def test_any_order_of_events_and_relists_ends_with_what_the_cluster_holds(inventory: Inventory) -> None:
    @MANY
    @given(st.lists(EVENTS, max_size=10))
    def check(events: list[Any]) -> None:
        wipe(inventory.store)
        agrees(inventory, play(inventory, events))

    check()


def test_duplicates_and_late_events_change_nothing(inventory: Inventory) -> None:
    @MANY
    @given(st.data())
    def check(data: st.DataObject) -> None:
        wipe(inventory.store)
        history = {uid: data.draw(st.integers(1, 4)) for uid in ("u1", "u2", "u3")}
        removed = data.draw(st.sets(st.sampled_from(sorted(history))))
        final = {uid: row(uid, resource_version=str(last), number=last) for uid, last in history.items()}
        events: list[tuple[str, int, Any]] = [
            ("put", 1, [row(uid, resource_version=str(version), number=version)])
            for uid, last in history.items()
            for version in range(1, last + 1)
        ]
        events += [("drop", 1, [uid]) for uid in removed]
        events += data.draw(st.lists(st.sampled_from(events), max_size=6))
        play(inventory, data.draw(st.permutations(events)))
        held = inventory.readers.run_now(lambda db: stored(db, inventory.store))
        assert {uid for _, uid in held} == history.keys() - removed
        for (_, uid), found in held.items():
            assert found["c_number"] == final[uid].values[1]
        agrees(inventory, Model({(1, uid): final[uid] for uid in history.keys() - removed}))

    check()


def test_a_relist_of_an_unchanged_cluster_writes_no_row(inventory: Inventory) -> None:
    found = [row(str(number)) for number in range(50)]
    inventory.store.apply(1, THING, found)
    before = inventory.store.apply(1, THING, [row("new")])
    number = inventory.store.begin_relist(1, THING)
    inventory.store.apply(1, THING, [*found, row("new")], generation=number)
    assert inventory.store.end_relist(1, THING, number) == 0
    assert inventory.readers.run_now(lambda db: db.rows("select max(seq) from change"))[0][0] == before


def test_a_relist_brings_a_restored_cluster_back_in_time(inventory: Inventory) -> None:
    inventory.store.apply(1, THING, [row("u1", resource_version="900", number=9), row("u2", resource_version="901")])
    inventory.store.apply(1, THING, [], ["u2"])
    number = inventory.store.begin_relist(1, THING)
    old = [row("u1", resource_version="5", number=5), row("u2", resource_version="6")]
    inventory.store.apply(1, THING, old, generation=number)
    inventory.store.end_relist(1, THING, number)
    agrees(inventory, Model({(1, one.uid): one for one in old}))


def test_a_relist_of_another_number_is_refused(inventory: Inventory) -> None:
    first = inventory.store.begin_relist(1, THING)
    inventory.store.begin_relist(1, THING)
    with pytest.raises(ValueError, match="not the running one"):
        inventory.store.apply(1, THING, [row("u1")], generation=first)
    with pytest.raises(ValueError, match="not the running one"):
        inventory.store.end_relist(1, THING, first)


def test_thousands_of_rows_go_in_transactions_of_a_thousand(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    write = Batch.write

    def counting(batch: Batch, db: Any) -> None:
        sizes.append(len(batch.inserts) + len(batch.updates) + len(batch.removed))
        write(batch, db)

    monkeypatch.setattr(Batch, "write", counting)
    found = [row(str(number)) for number in range(2 * LARGEST_BATCH + 7)]
    inventory.store.apply(1, THING, found)
    inventory.store.apply(1, THING, [], [one.uid for one in found[:-3]])
    assert max(sizes) == LARGEST_BATCH
    agrees(inventory, Model({(1, one.uid): one for one in found[-3:]}))


def test_clusters_and_kinds_do_not_mix(inventory: Inventory) -> None:
    inventory.store.apply(1, THING, [row("u1", labels={"app": "web"})])
    inventory.store.apply(2, THING, [row("u1", labels={"app": "db"})])
    inventory.store.apply(1, WIDGET, [row("u1", namespace="", labels={"app": "web"})])
    inventory.store.drop_cluster(1)
    assert inventory.readers.run_now(lambda db: stored(db, inventory.store)).keys() == {(2, "u1")}
    assert inventory.readers.run_now(lambda db: stored(db, inventory.store, WIDGET)) == {}
    assert inventory.readers.run_now(lambda db: verify(db, inventory.store.schema)) == []
    assert inventory.readers.run_now(lambda db: db.rows("select distinct cluster from namespace")) == [(2,)]


def test_labels_follow_their_rows_and_unused_ones_are_tidied_away(inventory: Inventory) -> None:
    store = inventory.store
    store.apply(1, THING, [row("u1", labels={"app": "web", "tier": "1"})])
    store.apply(1, THING, [row("u1", resource_version="2", labels={"app": "db"})])
    assert store.prune_labels() == 2
    assert inventory.readers.run_now(lambda db: db.rows("select k, v from label_pair")) == [("app", "db")]
    store.apply(1, THING, [row("u2", labels={"app": "web", "tier": "1"})])
    agrees(inventory, Model({(1, "u1"): row("u1", resource_version="2", labels={"app": "db"}),
                             (1, "u2"): row("u2", labels={"app": "web", "tier": "1"})}))  # fmt: skip


def test_text_that_no_database_takes_is_cleaned_and_the_rest_of_the_batch_is_kept(inventory: Inventory) -> None:
    bad = row("u1", text="a\0b", status="Fi\0ne", labels={"app": "x"}, tags=["t\ud800"])
    inventory.store.apply(1, THING, [bad, row("u2")])
    found = inventory.readers.run_now(lambda db: stored(db, inventory.store))
    assert len(found) == 2
    assert "\ud800" not in str(found[1, "u1"]["c_tags"])
    if inventory.store.dialect == "postgresql":
        assert found[1, "u1"]["c_text"] == "ab"


def test_a_failing_transaction_leaves_nothing_behind(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory.store.apply(1, THING, [row("u1")])

    def failing(*_: Any) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(inventory.store, "_append", failing)
        with pytest.raises(RuntimeError, match="power cut"):
            inventory.store.apply(1, THING, [row("u2", namespace="two", labels={"app": "new"})], ["u1"])
    agrees(inventory, Model({(1, "u1"): row("u1")}))
    inventory.store.apply(1, THING, [row("u2", namespace="two", labels={"app": "new"})], ["u1"])
    agrees(inventory, Model({(1, "u2"): row("u2", namespace="two", labels={"app": "new"})}))


def test_counters_that_went_wrong_are_put_right_by_a_relist(inventory: Inventory) -> None:
    store = inventory.store
    store.apply(1, THING, [row("u1"), row("u2", state="bad")])
    with_wrong = "update counter set n = 40 where state = 'good'"
    store._db.run(with_wrong)
    assert [one.what for one in inventory.readers.run_now(lambda db: verify(db, store.schema))] == ["counter of good"]
    number = store.begin_relist(1, THING)
    store.apply(1, THING, [row("u1"), row("u2", state="bad")], generation=number)
    store.end_relist(1, THING, number)
    assert inventory.readers.run_now(lambda db: verify(db, store.schema)) == []


def test_an_inventory_is_kept_when_it_is_opened_again(url: str) -> None:
    for expected_rows in (1, 2):
        store = Store(url, KINDS)
        store.open()
        store.apply(1, THING, [row(str(expected_rows))])
        assert len(stored(store._db, store)) == expected_rows
        store.close()


def test_an_inventory_of_other_declarations_is_dropped(url: str) -> None:
    store = Store(url, KINDS)
    store.open()
    store.apply(1, THING, [row("u1")])
    seq = store.apply(1, THING, [row("u2")])
    store.close()
    more = dataclasses.replace(THING, columns=(*THING.columns, Column("added")))
    other = Store(url, {"things": more, "widgets": WIDGET})
    other.open()
    assert other._db.rows("select count(*) from k_things") == [(0,)]
    assert other._db.rows("select max(seq) from change")[0][0] > seq
    wider = row("u1")
    wider.values = (*wider.values, "x")
    other.apply(1, more, [wider])
    assert other._db.rows("select c_added from k_things") == [("x",)]
    other.close()


@pytest.mark.parametrize("damage", ["noise", "header", "middle", "short", "empty"])
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_damaged_file_is_replaced(fresh: Inventory, damage: str) -> None:
    fresh.store.apply(1, THING, [row(str(number)) for number in range(500)])
    fresh.store.close()
    fresh.readers.close()
    path = fresh.path
    size = path.stat().st_size
    with path.open("r+b") as file:
        if damage == "noise":
            file.write(random.Random(1).randbytes(size))
        elif damage == "header":
            file.write(b"not a database at all")
        elif damage == "middle":
            file.seek(4096)
            file.write(random.Random(1).randbytes(size - 8192))
        elif damage == "short":
            file.truncate(size // 3 + 7)
        else:
            file.truncate(0)
    store = Store(fresh.store.url, KINDS)
    for _ in range(2):  # damage that opening does not meet is met by the first write
        try:
            store.open()
            store.apply(1, THING, [row(str(number), resource_version="2") for number in range(500)])
            number = store.begin_relist(1, THING)
            store.apply(1, THING, [row("u1")], generation=number)
            store.end_relist(1, THING, number)
            break
        except StoreLost:
            continue
    readers = Readers(store.url, Schema(KINDS, "sqlite"))
    agrees(Inventory(store, readers), Model({(1, "u1"): row("u1")}))
    readers.close()
    store.close()


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_only_its_owner_may_read_the_file(fresh: Inventory) -> None:
    assert fresh.path.stat().st_mode & 0o077 == 0


def test_the_health_of_a_cluster_is_kept_where_nothing_new_is_said(inventory: Inventory) -> None:
    store = inventory.store
    store.set_cluster(1, "east", state="live", version="v1.33.1", latency_ms=3.5, ready=True)
    store.set_cluster(1, "east", state="away", error="timeout")
    found = store._db.rows("select name, state, version, error, detail from cluster")
    assert found == [("east", "away", "v1.33.1", "timeout", '{"ready":true}')]


def test_a_source_keeps_the_time_it_was_heard_of_last(inventory: Inventory) -> None:
    store = inventory.store
    store.set_source(1, "things", state="live", as_of=100.0)
    store.set_source(1, "things", state="away", error="connection refused")
    assert store._db.rows("select state, as_of, error from source") == [("away", 100.0, "connection refused")]
    store.apply(1, THING, [row("u1")], as_of=200.0)
    assert store._db.rows("select as_of from source") == [(200.0,)]


def test_a_renamed_cluster_does_not_stumble_over_its_old_name(inventory: Inventory) -> None:
    store = inventory.store
    store.set_cluster(1, "east", state="live")
    store.set_cluster(2, "east", state="live")
    store.apply(1, THING, [row("u1")])
    assert sorted(store._db.rows("select id, name from cluster")) == [(1, "#1"), (2, "east")]


def test_old_changes_are_pruned_and_the_last_one_stays(inventory: Inventory) -> None:
    for number in range(5):
        last = inventory.store.apply(1, THING, [row(str(number))])
    assert inventory.store.prune_feed(clock.epoch() + 60) >= 4
    assert inventory.store._db.rows("select seq from change") == [(last,)]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_two_writers_keep_the_feed_in_the_order_of_commits(fresh: Inventory) -> None:
    """A reader that follows the feed sees every change, though two writers draw numbers at the same time."""
    batches, missed = 60, []
    stores = [fresh.store, Store(fresh.store.url, KINDS)]
    stores[1].open()
    start = fresh.readers.run_now(lambda db: db.rows("select max(seq) from change"))[0][0]

    def write(store: Store, cluster: int) -> None:
        for number in range(batches):
            store.apply(cluster, THING, [row(f"{number}-{part}") for part in range(1 + number % 3)])

    threads = [threading.Thread(target=write, args=(store, at)) for at, store in enumerate(stores, 1)]
    for thread in threads:
        thread.start()
    seen, at = set(), start
    while any(thread.is_alive() for thread in threads) or not missed:
        done = not any(thread.is_alive() for thread in threads)
        found = fresh.readers.run_now(
            lambda db, after=at: db.rows("select seq, cluster, uid from change where seq > ? order by seq", (after,))
        )
        seen.update((cluster, uid) for _, cluster, uid in found if uid)
        at = found[-1][0] if found else at
        if done and not found:
            break
    wanted = {(c, f"{n}-{p}") for c in (1, 2) for n in range(batches) for p in range(1 + n % 3)}
    assert seen == wanted
    stores[1].close()


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_writer_whose_connection_was_cut_comes_back(fresh: Inventory) -> None:
    fresh.store.apply(1, THING, [row("u1")])
    pid = fresh.store._db.rows("select pg_backend_pid()")[0][0]
    other = Store(fresh.store.url, KINDS)
    other.open()
    other._db.run("select pg_terminate_backend(?)", (pid,))
    other.close()
    for _ in range(2):
        with contextlib.suppress(psycopg.OperationalError):
            fresh.store.apply(1, THING, [row("u2")])
    agrees(fresh, Model({(1, uid): row(uid) for uid in ("u1", "u2")}))


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_killed_writer_leaves_an_inventory_that_others_can_read(fresh: Inventory) -> None:
    fresh.store.apply(1, THING, [row("u1")])
    child = os.fork()
    if child == 0:
        store = Store(fresh.store.url, KINDS)
        store.open()
        store.apply(1, THING, [row("u2")])
        store._db.begin()
        store._db.run("delete from k_things")
        os._exit(9)
    os.waitpid(child, 0)
    agrees(fresh, Model({(1, uid): row(uid) for uid in ("u1", "u2")}))


def test_versions_and_bodies_of_a_broken_api_server_stop_nobody(inventory: Inventory) -> None:
    endless = "9" * 5000
    bodies = [b'{"text":"\xff\xfe"}', b'{"number":1%s}' % (b"0" * 400), b'{"number":1e999}', b'{"number":7}']
    sent = [row(f"u{at}", resource_version=endless) for at in range(len(bodies))]
    inventory.fill({1: [dataclasses.replace(one, body=body) for one, body in zip(sent, bodies, strict=True)]})
    inventory.store.apply(1, THING, [row("u3", resource_version="8")])
    table = inventory.store.schema.tables["things"]

    def read(db: SQLite | Postgres) -> dict[str, dict[str, Any]]:
        return {uid: find_body(db, number) for uid, number in db.rows(f"select uid, id from {table.name}")}

    found = inventory.readers.run_now(read)
    assert found["u0"] == {"text": "\ufffd\ufffd"}
    assert found["u1"]["number"] == found["u2"]["number"] == float("inf")
    assert found["u3"] == {"number": 7}, "an older version must not replace a newer one"


ENDLESS = random.Random(1).randbytes(10_000).hex()
"""A text that no compression makes short enough for an index."""


@pytest.mark.parametrize(
    "given",
    [
        {"uid": "u\0"},
        {"resource_version": "\0"},
        {"resource_version": ENDLESS},
        {"uid": ENDLESS},
        {"name": ENDLESS},
        {"namespace": ENDLESS},
        {"status": ENDLESS},
        {"labels": {ENDLESS: ENDLESS}},
        {"text": ENDLESS},
        {"text": "가" + ENDLESS[:2500]},
        {"tags": [ENDLESS[at : at + 100] for at in range(0, len(ENDLESS), 100)]},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_text_that_a_database_cannot_hold_or_index_does_not_stop_its_source(
    inventory: Inventory, given: dict[str, Any]
) -> None:
    odd = row(**{"uid": "u", **given})
    inventory.store.apply(1, THING, [odd, row("other")])
    states = inventory.readers.run_now(lambda db: db.rows("select sum(n) from counter where cluster = 1"))
    assert states[0][0] == 2
    inventory.store.apply(1, THING, [], [odd.uid])
    left = inventory.readers.run_now(lambda db: db.rows("select uid from k_things"))
    if odd.uid in ("u", "u\0"):  # a longer one that was cut goes with the next whole list
        assert [found[0] for found in left] == ["other"]
