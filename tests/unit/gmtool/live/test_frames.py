"""Pages and patches."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from gmtool.live import frames

COLUMNS = frames.column_keys(("name", "cluster", "namespace", "status", "restart", "podIP", "node_name", "images"))


def rows(count: int = 50) -> list[dict[str, Any]]:
    return [
        {
            "_id": number,
            "_cluster": "sejong-edge-01",
            "_state": "good",
            "_away": False,
            "uid": f"7b0fbd53-0b5c-4c8e-9d8e-{number:012d}",
            "name": f"sensor-hub-58c6d9d5bd-{number:05d}",
            "cluster": "sejong-edge-01",
            "namespace": "smart-farm",
            "status": "Running",
            "restart": 0,
            "podIP": f"10.233.80.{number}",
            "node_name": "sejong-edge-01-worker-3",
            "images": ["registry.local/gedge/sensor-hub:1.4.2"],
            "_asOf": 1_700_000_000.0,
        }
        for number in range(count)
    ]


FACTS = {"count": 312, "exact": True, "away": 0, "next": "c", "prev": None, "sort": "name", "limit": 50}


def size(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":")).encode())


def test_nothing_is_pushed_when_nothing_differs_not_even_when_only_the_age_moved() -> None:
    made = frames.page("pods", COLUMNS, rows(), FACTS)
    later = [{**row, "_asOf": 1_700_000_009.0} for row in rows()]
    assert made.follow(later, FACTS) is None


def test_a_changed_row_costs_a_few_hundred_bytes_and_not_the_page() -> None:
    made = frames.page("pods", COLUMNS, rows(), FACTS)
    before = size({"page": made.page})
    changed = rows()
    changed[3]["restart"] = 1
    update = made.follow(changed, FACTS)
    assert update is not None
    assert list(update) == ["patch"]
    assert size(update) < 400
    assert before > 8_000


def test_a_row_that_changed_back_is_a_patch_without_it() -> None:
    made = frames.page("pods", COLUMNS, rows(), FACTS)
    changed = rows()
    changed[3]["restart"] = 1
    made.follow(changed, FACTS)
    assert made.follow(rows(), FACTS) == {"patch": {}}


def test_a_patch_holds_everything_since_its_page_so_that_one_may_be_missed() -> None:
    made = frames.page("pods", COLUMNS, rows(), FACTS)
    changed = rows()
    changed[1]["restart"] = 1
    made.follow(changed, FACTS)
    changed[2]["restart"] = 2
    update = made.follow(changed, {**FACTS, "count": 313})
    assert update is not None
    assert set(update["patch"]["rows"]) == {"1", "2"}
    assert update["patch"]["facts"] == {"count": 313}


def test_when_most_rows_differ_a_new_page_replaces_the_old_one() -> None:
    made = frames.page("pods", COLUMNS, rows(), FACTS)
    version = made.page["v"]
    changed = [{**row, "restart": 9} for row in rows()]
    update = made.follow(changed, FACTS)
    assert update is not None
    assert update["page"]["v"] != version
    assert update["patch"] == {}
    assert made.follow(changed, FACTS) is None


def source(**given: Any) -> SimpleNamespace:
    return SimpleNamespace(**({"cluster": "a", "kind": "pods", "state": "live", "as_of": 100.0, "error": None} | given))


@pytest.mark.parametrize(
    ("after", "news"),
    [(source(as_of=200.0), False), (source(state="away"), True), (source(error="refused"), True)],
)
def test_who_answers_is_news_and_an_age_is_not(after: SimpleNamespace, news: bool) -> None:
    def made(one: SimpleNamespace) -> frames.Vars:
        return frames.fresh(SimpleNamespace(as_of=one.as_of, answered=1, needed=1, sources=[one]))

    assert (frames.standing(made(source())) != frames.standing(made(after))) is news
