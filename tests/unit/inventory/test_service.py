"""The inventory's door: how fresh an answer is, details, counts and what can be chosen from."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gmcenter.core import clock
from gmcenter.core.errors import Ambiguous, InvalidField, NotFound, UnknownParameter
from gmcenter.core.settings import Settings, configure
from gmcenter.identity.scope import EVERYTHING, NOTHING, Scope
from gmcenter.inventory import freshness, reader, service
from gmcenter.inventory.reader import NoInventory
from gmcenter.inventory.service import ListQuery
from gmcenter.inventory.store import Row, Store
from gmcenter.kube.kinds import KINDS

POD, NODE, DEPLOYMENT, SERVICE, EVENT = (KINDS[name] for name in ("pods", "nodes", "deployments", "services", "events"))


@dataclass(frozen=True)
class Known:
    """A cluster of the fleet."""

    id: int
    name: str
    is_building: bool = False


FLEET = [Known(1, "east"), Known(2, "west"), Known(3, "new"), Known(4, "rising", True)]


def made(plural: str, name: str, namespace: str = "shop", **given: Any) -> Row:
    """A row of a real kind with the columns that are given."""
    kind = KINDS[plural]
    own = {key: given.pop(key) for key in [column.key for column in kind.columns] if key in given}
    body = given.pop("body", {})
    metadata = {"name": name, "uid": f"uid-{name}", **({"namespace": namespace} if namespace else {})}
    body = {"kind": kind.kind, **body, "metadata": {**metadata, **body.get("metadata", {})}}
    labels = body["metadata"].get("labels", {})
    return Row(
        uid=given.pop("uid", f"uid-{name}"),
        namespace=namespace,
        name=name,
        resource_version="1",
        created=1_700_000_000,
        labels=labels,
        values=tuple(own.get(column.key) for column in kind.columns),
        status=given.pop("status", "Running"),
        state=given.pop("state", "good"),
        body=json.dumps(body).encode(),
    )


@pytest.fixture
def store(url: str, configured: Settings) -> Iterator[Store]:
    """The inventory of this installation, with two clusters that answer, one that does not yet and one being built."""
    configure(configured.model_copy(update={"inventory_url": url}))
    opened = Store(url)
    opened.open()

    async def clusters() -> list[Known]:
        return FLEET

    freshness.register_fleet(clusters)
    now = clock.epoch()
    for one in FLEET[:2]:
        opened.set_cluster(one.id, one.name, state="live", last_seen=now, version="v1.33.1")
        for plural in KINDS:
            opened.set_source(one.id, plural, state="live", as_of=now - one.id)
    yield opened
    opened.close()
    reader.close()


def ids(store: Store, *names: str) -> frozenset[int]:
    """Namespaces of these names in all clusters."""
    return frozenset(row[0] for row in store._db.rows("select id, name from namespace") if row[1] in names)


# --- freshness ---


async def test_a_list_says_which_sources_it_needs_and_which_have_answered(store: Store) -> None:
    store.apply(1, POD, [made("pods", "a")])
    page = await service.list_rows(EVERYTHING, ListQuery("pods"))
    assert (page.freshness.answered, page.freshness.needed) == (2, 4)
    states = {source.cluster: source.state for source in page.freshness.sources}
    assert states == {"east": "live", "west": "live", "new": "syncing", "rising": "building"}
    assert page.freshness.as_of == min(source.as_of for source in page.freshness.sources if source.as_of)


async def test_a_list_of_one_cluster_needs_that_cluster_only(store: Store) -> None:
    page = await service.list_rows(EVERYTHING, ListQuery("pods", clusters=("east",)))
    assert [source.cluster for source in page.freshness.sources] == ["east"]
    assert (await service.freshness(EVERYTHING, ("pods", "nodes"), ("west",))).needed == 2


async def test_rows_of_a_cluster_that_is_away_stay_and_say_so(store: Store) -> None:
    store.apply(1, POD, [made("pods", "a")])
    store.apply(2, POD, [made("pods", "b")])
    store.set_source(2, "pods", state="away", error="timeout")
    page = await service.list_rows(EVERYTHING, ListQuery("pods"))
    assert {row["name"]: row["_away"] for row in page.rows} == {"a": False, "b": True}
    assert all(row["_asOf"] for row in page.rows)
    assert page.freshness.answered == 1
    assert next(source for source in page.freshness.sources if source.cluster == "west").error == "timeout"


async def test_a_cluster_that_is_away_takes_its_sources_with_it(store: Store) -> None:
    store.set_cluster(2, "west", state="away", error="timeout")
    found = await service.freshness(EVERYTHING, ("pods",), ("west",))
    assert found.sources[0].state == "away"


async def test_nothing_counts_as_live_when_the_collector_is_silent(store: Store) -> None:
    long_ago = clock.epoch() - freshness.silence() - 5
    for plural in KINDS:
        store._db.run("update source set as_of = ? where kind = ?", (long_ago, plural))
    assert (await service.freshness(EVERYTHING, ("pods",))).answered == 2  # the clusters' probes still came
    store._db.run("update cluster set last_seen = ?", (long_ago,))
    found = await service.freshness(EVERYTHING, ("pods",), ("east",))
    assert (found.answered, found.sources[0].state, found.sources[0].error) == (0, "away", "collector_silent")
    health = {one.name: one for one in await service.cluster_health()}
    assert (health["east"].state, health["east"].error) == ("away", "collector_silent")


async def test_a_quiet_source_of_a_cluster_that_answers_is_live(store: Store) -> None:
    store._db.run("update source set as_of = as_of - 80")
    assert (await service.freshness(EVERYTHING, ("pods",))).answered == 2


async def test_an_unknown_cluster_is_named(store: Store) -> None:
    for ask in (service.list_rows(EVERYTHING, ListQuery("pods", clusters=("nowhere",))),
                service.freshness(EVERYTHING, ("pods",), ("nowhere",))):  # fmt: skip
        with pytest.raises(InvalidField) as caught:
            await ask
        assert (caught.value.field, caught.value.reason) == ("cluster", "no_such_cluster")


async def test_a_narrow_scope_needs_and_knows_its_own_clusters_only(store: Store) -> None:
    store.apply(1, POD, [made("pods", "a", "shop")])
    store.apply(2, POD, [made("pods", "b", "bank")])
    mine = Scope(False, ids(store, "shop"), 1)
    page = await service.list_rows(mine, ListQuery("pods"))
    assert ([row["name"] for row in page.rows], page.freshness.needed) == (["a"], 1)
    with pytest.raises(InvalidField) as caught:
        await service.list_rows(mine, ListQuery("pods", clusters=("west",)))
    assert caught.value.reason == "no_such_cluster"
    assert (await service.list_rows(NOTHING, ListQuery("pods"))).freshness.needed == 0


async def test_no_inventory_is_told_with_what_is_missing(store: Store, url: str) -> None:
    if not url.startswith("sqlite"):
        store._db.run("drop schema gm_inventory cascade")
    else:
        store.close()
        for path in Path(url.removeprefix("sqlite:///")).parent.glob("inventory.db*"):
            path.unlink()
    for ask in (service.list_rows(EVERYTHING, ListQuery("pods")), service.detail(EVERYTHING, "pods", "a")):
        with pytest.raises(NoInventory) as caught:
            await ask
        assert (caught.value.status, caught.value.freshness.answered, caught.value.freshness.needed) == (503, 0, 4)
        assert "4" in caught.value.message("en")
    assert {source.state for source in (await service.freshness(EVERYTHING, ("pods",))).sources} == {
        "syncing",
        "building",
    }
    assert {one.name: one.state for one in await service.cluster_health()}["east"] == "unknown"


async def test_an_inventory_of_another_version_is_not_read(store: Store) -> None:
    await service.list_rows(EVERYTHING, ListQuery("pods"))
    store._db.run("update meta set value = 'other' where key = 'digest'")
    reader.close()
    with pytest.raises(NoInventory):
        await service.list_rows(EVERYTHING, ListQuery("pods"))


async def test_readers_turn_to_an_inventory_that_took_the_others_place(store: Store) -> None:
    store.apply(1, POD, [made("pods", "a")])
    assert (await service.list_rows(EVERYTHING, ListQuery("pods"))).count.value == 1
    store._db.run("update meta set value = 'other' where key = 'digest'")
    store.open()
    store.set_cluster(1, "east", state="live")
    store.apply(1, POD, [made("pods", "b"), made("pods", "c")])
    found = await asyncio.gather(*(service.list_rows(EVERYTHING, ListQuery("pods")) for _ in range(12)))
    assert {page.count.value for page in found} == {2}


# --- details ---


async def test_a_detail_has_the_object_and_what_hangs_together_with_it(store: Store) -> None:
    template = {"metadata": {"labels": {"app": "web", "pod-template-hash": "abc"}}}
    deployment = {"spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template}}
    owner = [{"kind": "ReplicaSet", "name": "web-abc", "uid": "r", "controller": True}]
    mine = {**template["metadata"], "ownerReferences": owner}
    store.apply(1, DEPLOYMENT, [made("deployments", "web", body=deployment)])
    store.apply(1, POD, [made("pods", "web-abc-1", body={"metadata": mine}, workload="Deployment/web", restart=3),
                         made("pods", "other", body={"metadata": {"labels": {"app": "web"}}}, workload="Job/x"),
                         made("pods", "else", body={"metadata": {"labels": {"app": "db"}}})])  # fmt: skip
    store.apply(2, POD, [made("pods", "web-abc-9", body={"metadata": mine}, workload="Deployment/web")])
    store.apply(1, SERVICE, [made("services", "front", selector=["app=web"], port=["80/TCP"]),
                             made("services", "all", selector=[]),
                             made("services", "strict", selector=["app=web", "tier=x"])])  # fmt: skip
    about = {"kind": "Deployment", "objectName": "web", "objectUid": "uid-web"}
    store.apply(1, EVENT, [made("events", "e1", lastSeen=1, **about), made("events", "e2", lastSeen=9, **about),
                           made("events", "e3", lastSeen=5, **{**about, "kind": "Service"})])  # fmt: skip
    found = await service.detail(EVERYTHING, "deployments", "web")
    assert found.body["metadata"]["uid"] == "uid-web"
    assert (found.row["_cluster"], found.row["_away"], found.row["namespace"]) == ("east", False, "shop")
    assert [pod["name"] for pod in found.involves["pods"]] == ["web-abc-1"]
    assert [one["name"] for one in found.involves["services"]] == ["front"]
    assert [one["name"] for one in found.events] == ["e2", "e1"]
    assert found.freshness.needed == 1
    front = await service.detail(EVERYTHING, "services", "front")
    assert front.involves is not None


async def test_a_node_has_its_pods_and_the_events_that_name_it_by_name(store: Store) -> None:
    store.apply(1, NODE, [made("nodes", "n1", "")])
    store.apply(1, POD, [made("pods", "a", node_name="n1"), made("pods", "b", node_name="n2")])
    store.apply(1, EVENT, [made("events", "e1", "default", kind="Node", objectName="n1", objectUid="n1")])
    found = await service.detail(EVERYTHING, "nodes", "n1", "east")
    assert [one["name"] for one in found.involves["pods"]] == ["a"]
    assert [one["name"] for one in found.events] == ["e1"]


async def test_a_name_that_several_objects_have_is_answered_with_all_of_them(store: Store) -> None:
    store.apply(1, POD, [made("pods", "a", "shop", uid="1"), made("pods", "a", "bank", uid="2")])
    store.apply(2, POD, [made("pods", "a", "shop", uid="3")])
    with pytest.raises(Ambiguous) as caught:
        await service.detail(EVERYTHING, "pods", "a")
    assert caught.value.params["candidates"] == [
        {"cluster": "east", "namespace": "bank"},
        {"cluster": "east", "namespace": "shop"},
        {"cluster": "west", "namespace": "shop"},
    ]
    assert (await service.detail(EVERYTHING, "pods", "a", "east", "bank")).row["uid"] == "2"
    assert (await service.detail(EVERYTHING, "pods", "a", "west")).row["uid"] == "3"
    mine = Scope(False, ids(store, "bank"), 1)
    assert (await service.detail(mine, "pods", "a")).row["uid"] == "2"


async def test_an_object_outside_of_the_scope_does_not_exist(store: Store) -> None:
    store.apply(1, POD, [made("pods", "a", "shop")])
    store.apply(1, POD, [made("pods", "b", "bank")])
    mine = Scope(False, ids(store, "bank"), 1)
    for scope, name in (
        (mine, "a"),
        (NOTHING, "a"),
        (EVERYTHING, "missing"),
        (EVERYTHING, "a\0"),
        (mine, "b' or 1=1 --"),
    ):
        with pytest.raises(NotFound):
            await service.detail(scope, "pods", name)
    with pytest.raises(UnknownParameter):
        await service.detail(EVERYTHING, "nonsense", "a")


async def test_what_hangs_together_is_cut_by_the_scope_too(store: Store) -> None:
    store.apply(1, NODE, [made("nodes", "n1", "")])
    store.apply(1, KINDS["namespaces"], [made("namespaces", "shop", ""), made("namespaces", "bank", "")])
    store.apply(1, POD, [made("pods", "a", "shop", node_name="n1"), made("pods", "b", "bank", node_name="n1")])
    mine = Scope(False, ids(store, "shop"), 1)
    assert [row["name"] for row in (await service.list_rows(mine, ListQuery("namespaces"))).rows] == ["shop"]
    assert (await service.list_rows(mine, ListQuery("nodes"))).rows == []
    found = await service.detail(mine, "namespaces", "shop")
    assert [pod["name"] for pod in found.involves["pods"]] == ["a"]


# --- counts, health, choices ---


async def test_counts_are_those_of_the_scope(store: Store) -> None:
    store.apply(1, POD, [made("pods", "a", "shop"), made("pods", "b", "bank", state="bad")])
    store.apply(2, POD, [made("pods", "c", "shop", state="bad")])
    store.apply(1, NODE, [made("nodes", "n", "")])
    assert await service.counters(EVERYTHING, ("pods", "nodes", "events")) == {"pods": 3, "nodes": 1, "events": 0}
    assert await service.counters(EVERYTHING, ("pods",), ("west",)) == {"pods": 1}
    assert await service.counters_by_cluster(EVERYTHING, ("pods",)) == {"east": {"pods": 2}, "west": {"pods": 1}}
    assert await service.states(EVERYTHING, ("pods",)) == {"pods": {"good": 1, "bad": 2}}
    mine = Scope(False, ids(store, "shop"), 1)
    assert await service.counters(mine, ("pods", "nodes")) == {"pods": 2, "nodes": 0}
    assert await service.states(mine, ("pods",), ("east",)) == {"pods": {"good": 1}}
    assert await service.counters(NOTHING, ("pods",)) == {"pods": 0}


async def test_health_adds_up_the_nodes(store: Store) -> None:
    nodes = [made("nodes", "a", "", status="Ready", gpu=2), made("nodes", "b", "", status="NotReady", gpu=1),
             made("nodes", "c", "", status="Ready,SchedulingDisabled", gpu=0)]  # fmt: skip
    store.apply(1, NODE, nodes)
    store.set_cluster(1, "east", state="live", skew_seconds=2)
    found = {one.name: one for one in await service.cluster_health()}
    east = found["east"]
    assert (east.nodes, east.nodes_ready, east.gpus, east.version, east.detail) == (
        3,
        2,
        3,
        "v1.33.1",
        {"skew_seconds": 2},
    )
    assert found["west"].nodes == 0
    assert (found["new"].state, found["new"].nodes, found["rising"].state) == ("unknown", None, "building")


async def test_choices_are_those_of_the_scope(store: Store) -> None:
    def labelled(name: str, namespace: str, **labels: str) -> Row:
        return made("pods", name, namespace, body={"metadata": {"labels": labels}})

    store.apply(1, POD, [labelled("a", "shop", app="web", env="prod"), labelled("b", "bank", app="db", secret="x")])
    store.apply(2, POD, [labelled("c", "shop2", app="cache")])
    everything = await service.facets(EVERYTHING)
    assert (everything.clusters, everything.namespaces) == (
        ["east", "new", "rising", "west"],
        ["bank", "shop", "shop2"],
    )
    assert (await service.facets(EVERYTHING, ("west",))).namespaces == ["shop2"]
    assert (await service.facets(EVERYTHING, text="SHO", most=1)).more
    mine = Scope(False, ids(store, "shop"), 1)
    found = await service.facets(mine)
    assert (found.clusters, found.namespaces) == (["east"], ["shop"])
    assert await service.labels(EVERYTHING, "pods") == ["app", "env", "secret"]
    assert await service.labels(EVERYTHING, "pods", "app", "C") == ["cache"]
    assert await service.labels(mine, "pods") == ["app", "env"]
    assert await service.labels(mine, "pods", "app") == ["web"]
    assert await service.labels(NOTHING, "pods") == []


# --- nobody gets around the scope ---

WITHOUT_SCOPE = {"cluster_health", "register_fleet", "register_version", "verify_inventory"}


def test_every_function_of_the_service_takes_a_scope_first() -> None:
    functions = [getattr(service, name) for name in service.__all__ if inspect.isfunction(getattr(service, name))]
    assert len(functions) > 8
    for function in functions:
        if function.__name__ not in WITHOUT_SCOPE:
            first = next(iter(inspect.signature(function).parameters.values()))
            assert (first.name, first.annotation) == ("scope", "Scope"), function.__name__


def test_only_the_collectors_side_and_the_door_reach_the_tables() -> None:
    """Whoever reads the inventory goes through its service: nobody else imports what runs SQL on it."""
    root = Path(service.__file__).parents[2]
    inside = {"batch", "counts", "driver", "filters", "founding", "numbers", "objects", "order", "query", "reader"}
    inside |= {"related", "scopes", "store"}
    found = []
    for path in [*root.glob("gmcenter/**/*.py"), *root.glob("gmtool/**/*.py")]:
        if path.parent.name == "inventory" or path.parts[-2] == "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [f"{node.module}.{one.name}" for one in node.names] if isinstance(node, ast.ImportFrom) else []
            names += [one.name for one in node.names] if isinstance(node, ast.Import) else []
            found += [f"{path.name}: {name}" for name in names if name.startswith("gmcenter.inventory.")
                      and name.split(".")[2] in inside]  # fmt: skip
    assert found == []
