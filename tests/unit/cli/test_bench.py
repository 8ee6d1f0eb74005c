"""The bench's document: every result judged against its budget and set in ratio to its baseline."""

import pytest

from gmcenter.cli import bench


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"value": 1.0, "budget": 2.0}, {"ok": True, "ratio": None}),
        ({"value": 3.0, "budget": 2.0}, {"ok": False, "ratio": None}),
        ({"value": 3000, "budget": 2000, "at_least": True}, {"ok": True}),
        ({"value": 100, "budget": 2000, "at_least": True}, {"ok": False}),
        ({"value": 3.0, "baseline": 1.5}, {"ok": None, "budget": None, "ratio": 2.0}),
        ({"value": 3.0, "budget": 1.0, "ok": True, "ratio": 9}, {"ok": True, "ratio": 9}),
    ],
)
def test_a_result_is_judged(given: dict[str, object], expected: dict[str, object]) -> None:
    result = bench.whole({"metric": "m", "unit": "s", **given})
    assert set(result) == {"metric", "value", "unit", "budget", "ok", "baseline", "ratio"}
    assert {key: result[key] for key in expected} == expected


def test_the_machines_facts_stand_beside_the_figures() -> None:
    facts = bench.machine()
    assert facts["cores"] >= 1
    assert facts["memory_gib"] > 0
    assert len(facts["load"]) == 3


def test_every_bench_of_the_issue_is_there() -> None:
    assert {"inventory", "collector", "live", "startup"} <= set(bench.BENCHES)
