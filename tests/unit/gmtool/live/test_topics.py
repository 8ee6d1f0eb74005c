"""What a page is shown of a real inventory, and what it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gmcenter.core import clock, vault
from gmcenter.core.settings import Settings, configure
from gmcenter.identity.actor import Actor
from gmcenter.identity.scope import EVERYTHING, NOTHING, Scope
from gmcenter.inventory import freshness, reader, service
from gmcenter.inventory.service import ListQuery
from gmcenter.inventory.store import Store
from gmcenter.kube.kinds import KINDS
from gmtool.live.dispatcher import Dispatcher, Reader
from gmtool.live.topics import CountsTopic, DetailTopic, FleetTopic, FreshTopic, ListTopic, reference
from gmtool.pages import blocks
from gmtool.pages.kinds import opened, query_of, to_csv
from tests.support.tabs import Pod


class Known:
    """A cluster of the fleet."""

    is_building = False

    def __init__(self, number: int, name: str) -> None:
        self.id, self.name = number, name


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An inventory with ten pods in each of two clusters, read by the service."""
    chosen = Settings(data=tmp_path)
    vault.ensure_key(chosen, fresh=True)
    configure(chosen)
    made = Store(chosen.database_url("inventory"))
    made.open()
    now = clock.epoch()
    for number, name in ((1, "edge-1"), (2, "edge-2")):
        made.set_cluster(number, name, state="live", last_seen=now)
        for kind in KINDS:
            made.set_source(number, kind, state="live", as_of=now)
        pods = [Pod(n, ("shop", "farm")[n % 2]) for n in range(10)]
        made.apply(number, KINDS["pods"], [pod.row() for pod in pods])

    async def fleet() -> Sequence[Known]:
        return [Known(1, "edge-1"), Known(2, "edge-2")]

    service.register_fleet(fleet)
    yield made
    made.close()
    freshness.register_fleet(None)
    reader.close()
    configure(None)
    vault.forget_keys()


def changed(number: int = 0, restart: int = 5, **more: Any) -> Any:
    return Pod(number, ("shop", "farm")[number % 2], restart=restart, version=9, **more).row()


def leave(folder: Path) -> None:
    """From now on there is no inventory to read."""
    configure(Settings(data=folder, inventory_url=f"sqlite:///{folder / 'none.db'}"))


class Screens:
    """Fake sockets: what each tab was sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def connected(self, token: str) -> bool:
        return True

    def clogged(self, token: str) -> bool:
        return False

    async def push(self, token: str, readers: Sequence[Reader]) -> Sequence[Reader]:
        self.sent += [variables for reader in readers if (variables := reader.take())]
        return ()

    async def sweep(self) -> None:
        pass


async def test_a_list_is_read_once_as_a_page_and_then_as_what_changed(store: Store) -> None:
    topic = ListTopic(EVERYTHING, ListQuery("pods", limit=5))
    frame, memory = await topic.read(None)
    assert [row[frame.full["page"]["cols"].index("name")] for row in frame.full["page"]["rows"]] == [
        "pod-00000", "pod-00000", "pod-00001", "pod-00001", "pod-00002",
    ]  # fmt: skip
    assert frame.full["page"]["count"] == 20
    assert (await topic.read(memory))[0].update is None
    store.apply(1, KINDS["pods"], [changed()])
    update = (await topic.read(memory))[0].update
    assert update is not None
    assert len(update["patch"]["rows"]) == 1


async def test_no_row_carries_what_is_not_shown(store: Store) -> None:
    frame, _ = await ListTopic(EVERYTHING, ListQuery("pods", limit=5)).read(None)
    declared = {column.key for column in KINDS["pods"].all_columns}
    assert set(frame.full["page"]["cols"]) - declared == {"_id", "_cluster", "_state", "_away", "uid"}


async def test_a_scope_sees_its_namespaces_and_changes_of_others_do_not_wake_it(store: Store) -> None:
    ids = reader.readers().run_now(lambda db: dict(db.rows("select name, id from namespace where cluster = 1")))
    topic = ListTopic(Scope(False, frozenset({ids["shop"]}), 1), ListQuery("pods"))
    frame, _ = await topic.read(None)
    assert frame.full["page"]["count"] == 5
    head = await service.Feed().head()
    store.apply(1, KINDS["pods"], [changed(1)])
    foreign = await service.Feed().since(head)
    store.apply(1, KINDS["pods"], [changed(2)])
    own = await service.Feed().since(head + len(foreign))
    assert not any(topic.touched(change) for change in foreign)
    assert any(topic.touched(change) for change in own)


async def test_who_may_see_nothing_is_shown_nothing_and_told_so(store: Store) -> None:
    frame, _ = await ListTopic(NOTHING, ListQuery("pods")).read(None)
    assert frame.full["page"]["rows"] == []
    assert frame.full["page"]["nothing"] is True
    lamp, _ = await FleetTopic(NOTHING).read(None)
    assert lamp.full["fresh"]["sources"] == []


async def test_rows_of_a_silent_cluster_are_counted_as_last_known(store: Store) -> None:
    store.set_cluster(2, "edge-2", state="away")
    frame, _ = await ListTopic(EVERYTHING, ListQuery("pods")).read(None)
    page = frame.full["page"]
    assert page["away"] == 10
    away, cluster = page["cols"].index("_away"), page["cols"].index("_cluster")
    assert {row[cluster] for row in page["rows"] if row[away]} == {"edge-2"}
    fresh, _ = await FreshTopic(EVERYTHING, "pods").read(None)
    assert (fresh.full["fresh"]["answered"], fresh.full["fresh"]["needed"]) == (1, 2)


async def test_without_an_inventory_a_page_waits_and_does_not_say_that_there_is_nothing(
    tmp_path: Path, store: Store
) -> None:
    leave(tmp_path)
    frame, memory = await ListTopic(EVERYTHING, ListQuery("pods")).read(None)
    assert memory is None
    assert frame.again is not None
    assert frame.full["page"]["rows"] == []
    assert (frame.full["fresh"]["answered"], frame.full["fresh"]["needed"]) == (0, 2)


async def test_an_inventory_that_goes_away_leaves_the_rows_that_were_there(tmp_path: Path, store: Store) -> None:
    topic = ListTopic(EVERYTHING, ListQuery("pods"))
    before, memory = await topic.read(None)
    leave(tmp_path)
    frame, kept = await topic.read(memory)
    assert frame.update is None
    assert frame.full == before.full
    assert kept is memory


@pytest.mark.parametrize("tab", KINDS["pods"].tabs)
async def test_every_tab_of_a_pod_is_made(store: Store, tab: str) -> None:
    topic = DetailTopic(EVERYTHING, "pods", "edge-1", "shop", "pod-00000", tab, blocks.compose)
    frame, memory = await topic.read(None)
    detail = frame.full["detail"]
    assert "problem" not in detail
    assert detail["ref"] == "edge-1/shop/pod-00000"
    assert ("yaml" in detail) is (tab == "yaml")
    assert (await topic.read(memory))[0].update is None


async def test_an_object_that_was_deleted_stays_on_the_page_and_is_said_to_be_gone(store: Store) -> None:
    topic = DetailTopic(EVERYTHING, "pods", "edge-1", "shop", "pod-00000", "overview", blocks.compose)
    _, memory = await topic.read(None)
    store.apply(1, KINDS["pods"], [], [changed().uid])
    frame, _ = await topic.read(memory)
    assert frame.full["detail"]["gone"] is True
    assert frame.full["detail"]["blocks"]


async def test_an_object_outside_of_the_scope_is_not_found(store: Store) -> None:
    ids = reader.readers().run_now(lambda db: dict(db.rows("select name, id from namespace where cluster = 1")))
    mine = Scope(False, frozenset({ids["farm"]}), 1)
    topic = DetailTopic(mine, "pods", "edge-1", "shop", "pod-00000", "yaml", blocks.compose)
    frame, _ = await topic.read(None)
    assert frame.full["detail"]["problem"]["code"] == "not_found"
    assert "yaml" not in frame.full["detail"]


async def test_a_committed_change_reaches_a_page_within_half_a_second(store: Store) -> None:
    async def scope_of(_actor: Actor) -> Scope:
        return EVERYTHING

    async def scope_version() -> int:
        return 0

    screens = Screens()
    dispatcher = Dispatcher(service.Feed(), screens, scope_of=scope_of, scope_version=scope_version)
    await dispatcher.mark()
    actor = Actor(1, "kim", "PA", "s", None)
    await dispatcher.look("tab", "list", "/pods", object, actor, ListTopic(EVERYTHING, ListQuery("pods")))
    task = asyncio.create_task(dispatcher.run())
    try:
        await asyncio.sleep(0.5)
        screens.sent.clear()
        begun = clock.monotonic()
        await asyncio.to_thread(store.apply, 1, KINDS["pods"], [changed(restart=321)])
        while not any("patch" in sent for sent in screens.sent):
            assert clock.monotonic() - begun < 5
            await asyncio.sleep(0.005)
        took = clock.monotonic() - begun
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert took < 1.0
    [row] = next(sent for sent in screens.sent if "patch" in sent)["patch"]["rows"].values()
    assert 321 in row


# --- addresses -------------------------------------------------------------------------------------------------------


def test_an_address_asks_what_it_says() -> None:
    query = query_of(
        KINDS["pods"],
        {
            "cluster": "a,b",
            "namespace": "shop",
            "q": "web",
            "f.status": "Run",
            "sort": "-name",
            "limit": "9999",
            "x": "1",
        },
    )
    assert query.clusters == ("a", "b")
    assert (query.namespace, query.q, query.sort, query.limit) == ("shop", "web", "-name", 500)
    assert query.filters == {"status": "Run"}
    assert query_of(KINDS["pods"], {"limit": "-1"}).limit == 50


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"open": reference("a", "shop", "web-1")}, ("a", "shop", "web-1", "overview")),
        ({"open": reference("a", None, "n"), "tab": "yaml"}, ("a", None, "n", "yaml")),
        ({"open": reference("a/b", "c", "d e"), "tab": "nothing"}, ("a/b", "c", "d e", "overview")),
        ({"open": "a/b"}, None),
        ({"open": "//x"}, None),
        ({}, None),
    ],
)
def test_an_address_opens_what_it_names(params: dict[str, str], expected: Any) -> None:
    assert opened(KINDS["pods"], params) == expected


def test_the_whole_list_as_csv_runs_nothing_in_a_spreadsheet() -> None:
    kind = KINDS["pods"]
    columns = [column for key in ("name", "restart", "images", "creationTimestamp") if (column := kind.column(key))]
    rows = [{"name": "=cmd()", "restart": -1, "images": ["a", "b"], "creationTimestamp": 1_700_000_000}, {}]
    assert to_csv(columns, ["Name", "Restarts"], rows).splitlines() == [
        "\ufeffName,Restarts,images,creationTimestamp",
        "'=cmd(),-1,a b,2023-11-14T22:13:20Z",
        ",,,",
    ]


async def test_the_tabs_count_what_a_scope_may_see(store: Store) -> None:
    async def counted(scope: Scope, *clusters: str) -> Any:
        frame, _ = await CountsTopic(scope, ("pods", "services"), clusters).read(None)
        return frame.full["counts"]

    assert await counted(EVERYTHING) == {"pods": 20, "services": 0}
    assert await counted(EVERYTHING, "edge-1") == {"pods": 10, "services": 0}
    assert await counted(NOTHING) == {"pods": 0, "services": 0}
    topic = CountsTopic(EVERYTHING, ("pods",))
    _, before = await topic.read(None)
    frame, before = await topic.read(before)
    assert frame.update is None
    store.apply(1, KINDS["pods"], [Pod(77, "shop").row()])
    frame, _ = await topic.read(before)
    assert frame.update == {"counts": {"pods": 21}}
