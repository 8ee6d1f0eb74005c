"""A cluster that cannot be reached: what is known of it stays, with its age, and no other cluster feels it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.lab import LabCluster, wait_for
from tests.lab.manifests import deployment, namespace, service
from tests.support.fleet import KINDS, Fleet, Row

pytestmark = pytest.mark.timeout(240)

CUTS: dict[str, Callable[[LabCluster], None]] = {
    "refuse": lambda cluster: cluster.cut(),
    "blackhole": lambda cluster: cluster.blackhole(),
    "slow by 30 s": lambda cluster: cluster.slow(30_000),
}
REASONS = {
    "refuse": {"port_closed", "connection_lost"},
    "blackhole": {"no_answer", "tcp_timeout"},
    "slow by 30 s": {"no_answer", "tcp_timeout"},
}
TIMES_SLOWER, MORE_MILLISECONDS = 1.5, 5.0


def bare(rows: list[Row]) -> list[Row]:
    """Rows without what says how fresh they are."""
    return sorted(
        ({key: value for key, value in row.items() if key not in ("away", "asOf")} for row in rows),
        key=lambda row: row["uid"],
    )


def age(moment: str) -> float:
    """Seconds since a time of an answer."""
    return time.time() - datetime.fromisoformat(moment).timestamp()


@pytest.mark.parametrize("how", CUTS)
def test_a_cluster_that_is_cut_off_keeps_its_rows_with_their_age_and_slows_no_other(fleet: Fleet, how: str) -> None:
    before = {kind: fleet.rows(kind, cluster="one") for kind in ("pods", "nodes", "deployments")}
    assert all(before.values())
    assert not any(row["away"] for rows in before.values() for row in rows)
    calm = fleet.list_milliseconds("steady"), fleet.change_milliseconds("steady")

    CUTS[how](fleet.clusters["one"])
    fleet.wait_state("one", "away")

    cut = fleet.list_milliseconds("steady"), fleet.change_milliseconds("steady")
    frozen = {kind: fleet.source(kind, "one")["asOf"] for kind in KINDS}
    for kind, rows in before.items():
        document = fleet.get(f"/{kind}", cluster="one", limit=500)
        assert bare(document["data"]) == bare(rows)
        assert all(row["away"] is True and row["asOf"] == frozen[kind] for row in document["data"])
        assert (document["freshness"]["answered"], document["freshness"]["needed"]) == (0, 1)
    whole = fleet.get("/pods", limit=500)
    assert (whole["freshness"]["answered"], whole["freshness"]["needed"]) == (2, 3)
    sources = {source["cluster"]: source for source in whole["freshness"]["sources"]}
    assert sources["one"]["error"] in REASONS[how], sources["one"]
    assert {name: source["state"] for name, source in sources.items()} == {
        "one": "away",
        "two": "live",
        "steady": "live",
    }
    assert {row["away"] for row in whole["data"] if row["cluster"] != "one"} == {False}
    assert whole["freshness"]["asOf"] == min(sources["two"]["asOf"], sources["steady"]["asOf"])
    view = next(one for one in fleet.get("/clusters")["data"] if one["clusterName"] == "one")
    assert (view["status"], view["state"]) == ("false", "away")
    assert view["message"]
    assert view["message"] != view["error"], "a reason without words"
    # The age grows while the time of the last news does not move; every cluster in reach moves on.
    heard = fleet.source("namespaces", "steady")["asOf"]
    wait_for(lambda: age(heard) > 1, "a second passes", 3)
    fleet.change_milliseconds("steady", 1)
    assert fleet.source("namespaces", "steady")["asOf"] > heard
    assert {kind: fleet.source(kind, "one")["asOf"] for kind in KINDS} == frozen
    assert age(frozen["pods"]) > 1

    fleet.clusters["one"].heal()
    fleet.wait_state("one", "live", 60)
    well = fleet.list_milliseconds("steady"), fleet.change_milliseconds("steady")
    for before_it, during, after in zip(calm, cut, well, strict=True):
        # The machine has other work too: what it is like is measured on both sides of the cut.
        assert during <= TIMES_SLOWER * max(before_it, after) + MORE_MILLISECONDS, (calm, cut, well)
    fleet.wait_equal("one")


@pytest.mark.parametrize("how", ["refuse", "blackhole"])
def test_what_happened_while_a_cluster_was_away_is_there_after_it_once(fleet: Fleet, how: str) -> None:
    cluster = fleet.clusters["one"]
    client = cluster.client
    within = f"while-away-{how}"
    client.create(namespace(within))
    for name in ("goes", "changes", "again"):
        client.create(service(within, name, 80))
    client.create(deployment(within, "stays", "web:1", 2))
    wait_for(lambda: len(named(fleet, within, "services")) == 3, "the services are in the list", 20)
    first = named(fleet, within, "services")["again"]

    CUTS[how](cluster)
    fleet.wait_state("one", "away")
    client.delete("Service", "goes", within)
    client.delete("Service", "again", within)
    client.create(service(within, "again", 81), exists_ok=False)
    client.create(service(within, "new", 80))
    client.patch(f"/api/v1/namespaces/{within}/services/changes", {"metadata": {"labels": {"seen": "later"}}})
    client.create(deployment(within, "fresh", "web:1", 3))
    assert set(named(fleet, within, "services")) == {"goes", "changes", "again"}, "the last known state"

    cluster.heal()
    fleet.wait_state("one", "live", 60)
    after = named(fleet, within, "services")
    assert set(after) == {"changes", "again", "new"}
    assert after["again"]["uid"] != first["uid"]
    assert not any(row["away"] for row in after.values())
    relabelled = fleet.rows("services", cluster="one", namespace=within, labelSelector="seen=later")
    assert [row["name"] for row in relabelled] == ["changes"]
    wait_for(lambda: set(named(fleet, within, "deployments")) == {"stays", "fresh"}, "the deployments", 20)
    fleet.wait_equal("one")
    client.delete("Namespace", within)


def named(fleet: Fleet, within: str, kind: str) -> dict[str, Any]:
    """Rows of a namespace of `one` by name."""
    return {row["name"]: row for row in fleet.rows(kind, cluster="one", namespace=within)}
