"""Lists, details and raw objects over REST."""

import re
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from gmcenter.kube.kinds import KINDS, ColumnType
from tests.support.api import API, Installation

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")


async def get(client: httpx.AsyncClient, path: str, **params: Any) -> Any:
    """The document of an answer that must be 200."""
    answer = await client.get(f"{API}{path}", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def refused(client: httpx.AsyncClient, path: str, status: int, **params: Any) -> Any:
    """The problem of an answer that must have a status."""
    answer = await client.get(f"{API}{path}", params=params)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    return problem


async def walk(client: httpx.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    """All rows, page by page."""
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await get(client, path, **params, **cursor)
        rows += page["data"]
        if page["page"]["next"] is None:
            return rows
        cursor = {"cursor": page["page"]["next"]}


async def test_a_list_has_rows_page_and_freshness(admin: httpx.AsyncClient) -> None:
    page = await get(admin, "/pods")
    assert page.keys() == {"data", "page", "freshness"}
    assert len(page["data"]) == 50
    assert page["page"]["count"] == {"value": 360, "exact": True}
    assert page["page"]["limit"] == 50
    assert page["page"]["previous"] is None
    fresh = page["freshness"]
    assert (fresh["answered"], fresh["needed"]) == (2, 3)
    assert {source["cluster"]: source["state"] for source in fresh["sources"]} == {
        "seoul": "live",
        "busan": "live",
        "jeju": "away",
    }
    assert RFC3339.match(fresh["asOf"])


async def test_a_row_has_every_declared_column_and_nothing_internal(admin: httpx.AsyncClient) -> None:
    for plural, kind in KINDS.items():
        rows = (await get(admin, f"/{plural}", limit=3))["data"]
        wanted = {column.key for column in kind.all_columns} | {"uid", "state", "away", "asOf"}
        for row in rows:
            assert row.keys() == wanted
            for column in kind.all_columns:
                if column.type is ColumnType.TIME and row[column.key] is not None:
                    assert RFC3339.match(row[column.key])


async def test_rows_of_a_cluster_that_is_away_say_so_with_their_age(admin: httpx.AsyncClient) -> None:
    by_cluster = {row["cluster"]: row for row in await walk(admin, "/pods", limit=200)}
    assert [by_cluster[name]["away"] for name in ("seoul", "busan", "jeju")] == [False, False, True]
    assert by_cluster["jeju"]["asOf"] < by_cluster["seoul"]["asOf"]


async def test_pages_follow_each_other_without_gap_or_repetition(admin: httpx.AsyncClient) -> None:
    rows = await walk(admin, "/pods", limit=37, sort="-name")
    names = [(row["name"], row["cluster"]) for row in rows]
    assert len(names) == len(set(names)) == 360
    assert [name for name, _ in names] == sorted((name for name, _ in names), reverse=True)


async def test_the_previous_page_is_the_one_before(admin: httpx.AsyncClient) -> None:
    first = await get(admin, "/pods", limit=10, sort="name")
    second = await get(admin, "/pods", limit=10, sort="name", cursor=first["page"]["next"])
    back = await get(admin, "/pods", limit=10, sort="name", cursor=second["page"]["previous"])
    assert [row["uid"] for row in back["data"]] == [row["uid"] for row in first["data"]]


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({"cluster": "seoul"}, 120),
        ({"cluster": "seoul,busan"}, 240),
        ({"cluster": ["seoul", "busan"]}, 240),
        ({"namespace": "bank"}, 180),
        ({"namespace": "nowhere"}, 0),
        ({"q": "only-"}, 3),
        ({"q": "ONLY-SEOUL"}, 1),
        ({"labelSelector": "app=app-1"}, 90),
        ({"labelSelector": "app in (app-1,app-2),app!=app-2"}, 90),
        ({"fieldSelector": "status=Pending"}, 72),
        ({"fieldSelector": "spec.nodeName=node-1"}, 360),
        ({"cluster": "seoul", "namespace": "shop", "labelSelector": "app=app-1", "q": "web-00"}, 3),
    ],
)
async def test_filters_cut_the_list_and_work_together(
    admin: httpx.AsyncClient, params: dict[str, Any], count: int
) -> None:
    page = await get(admin, "/pods", **params)
    assert page["page"]["count"] == {"value": count, "exact": True}


async def test_every_declared_column_sorts_both_ways(admin: httpx.AsyncClient) -> None:
    for plural, kind in KINDS.items():
        for column in kind.all_columns:
            if column.sortable:
                up = await walk(admin, f"/{plural}", limit=500, sort=column.key, cluster="seoul")
                down = await walk(admin, f"/{plural}", limit=500, sort=f"-{column.key}", cluster="seoul")
                assert {row["uid"] for row in up} == {row["uid"] for row in down}
                if column.type is ColumnType.TEXT and column.key != "name":
                    values = [row[column.key] for row in up if row[column.key] is not None]
                    assert values == sorted(values), (plural, column.key)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"nmespace": "x"}, "nmespace"),
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "١٠"}, "limit"),
        ({"limit": ["5", "6"]}, "limit"),
        ({"sort": "shoe"}, "sort"),
        ({"fieldSelector": "shoe=1"}, "fieldSelector"),
        ({"labelSelector": "a=(b"}, "labelSelector"),
        ({"cursor": "bm90IG91cnM"}, "cursor"),
        ({"watch": "maybe"}, "watch"),
        ({"q": "x" * 5000}, "q"),
        ({"cluster": "atlantis"}, "cluster"),
    ],
)
async def test_what_is_wrong_with_a_query_is_named(
    admin: httpx.AsyncClient, params: dict[str, Any], field: str
) -> None:
    problem = await refused(admin, "/pods", 400, **params)
    assert field in str(problem["params"]["field"])
    assert problem["code"] in ("unknown_parameter", "invalid_field")
    assert "{" not in problem["detail"]


async def test_a_cursor_of_another_query_is_refused(admin: httpx.AsyncClient) -> None:
    page = await get(admin, "/pods", limit=10, sort="name")
    problem = await refused(admin, "/pods", 400, limit=10, sort="-name", cursor=page["page"]["next"])
    assert problem["params"]["field"] == "cursor"


async def test_a_detail_has_fields_labels_events_and_related_objects(admin: httpx.AsyncClient) -> None:
    found = await get(admin, "/pods/only-seoul", cluster="seoul")
    assert found.keys() == {"data", "involvesData", "freshness"}
    data = found["data"]
    assert (data["name"], data["cluster"], data["namespace"]) == ("only-seoul", "seoul", "shop")
    assert data["labels"] == {"app": "web"}
    assert data["podIPs"]
    assert [event["reason"] for event in data["events"]] == ["BackOff"]
    assert RFC3339.match(data["events"][0]["lastSeen"])
    assert found["involvesData"].keys() == {relation.name for relation in KINDS["pods"].relations}
    assert found["freshness"]["needed"] == 1


async def test_a_name_that_several_objects_have_is_told_with_the_candidates(admin: httpx.AsyncClient) -> None:
    problem = await refused(admin, "/pods/web-001", 400)
    assert problem["code"] == "ambiguous"
    assert {"cluster": "seoul", "namespace": "shop"} in problem["params"]["candidates"]
    assert len(problem["params"]["candidates"]) == 3


async def test_a_project_names_the_namespace(admin: httpx.AsyncClient) -> None:
    found = await get(admin, "/pods/web-001", cluster="seoul", project="shop")
    assert found["data"]["namespace"] == "shop"
    problem = await refused(admin, "/pods/web-001", 400, cluster="seoul", project="shop", namespace="bank")
    assert problem["params"]["field"] == "namespace"


async def test_what_does_not_exist_is_not_found(admin: httpx.AsyncClient) -> None:
    assert (await refused(admin, "/pods/nobody", 404, cluster="seoul"))["code"] == "not_found"
    assert (await refused(admin, "/unicorns", 404))["code"] == "route_not_found"


async def test_the_raw_object_comes_as_json_and_as_yaml(admin: httpx.AsyncClient) -> None:
    as_json = await get(admin, "/view/only-seoul", kind="Pod", cluster="seoul", project="shop")
    assert as_json["kind"] == "Pod"
    assert as_json["metadata"]["name"] == "only-seoul"
    path, params = f"{API}/view/only-seoul", {"kind": "pods", "cluster": "seoul", "namespace": "shop"}
    for how in (
        {"params": {**params, "format": "yaml"}},
        {"params": params, "headers": {"Accept": "application/yaml"}},
    ):
        answer = await admin.get(path, **how)  # type: ignore[arg-type]
        assert answer.headers["content-type"].startswith("application/yaml")
        assert YAML(typ="safe").load(answer.text) == as_json
        assert answer.text.startswith("apiVersion: v1\nkind: Pod\nmetadata:\n")
    refusal = await admin.get(path, params=params, headers={"Accept": "image/png"})
    assert (refusal.status_code, refusal.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize("params", [{}, {"kind": "Unicorn"}, {"kind": "pods", "format": "xml"}])
async def test_a_view_says_what_it_needs(admin: httpx.AsyncClient, params: dict[str, str]) -> None:
    await refused(admin, "/view/only-seoul", 400, **params)


async def test_a_service_admin_without_a_project_sees_no_row(gm: Installation) -> None:
    async with await gm.signed_in("service") as client:
        for plural in KINDS:
            page = await get(client, f"/{plural}")
            assert page["data"] == []
            assert page["page"]["count"] == {"value": 0, "exact": True}
            assert page["freshness"]["sources"] == []
        await refused(client, "/pods/only-seoul", 404, cluster="seoul")
        await refused(client, "/view/only-seoul", 404, kind="pods", cluster="seoul")


async def test_problems_are_worded_in_the_callers_language(gm: Installation) -> None:
    async with await gm.signed_in("admin") as client:
        path = f"{API}/pods/nobody"
        english = (await client.get(path, headers={"Accept-Language": "en-US,en;q=0.9"})).json()
        korean = (await client.get(path, headers={"Accept-Language": "ko"})).json()
        by_query = (await client.get(path, params={"lang": "en"}, headers={"Accept-Language": "ko"})).json()
        by_cookie = (await client.get(path, headers={"Cookie": "gm_lang=en", "Accept-Language": "ko"})).json()
    assert english["title"] == by_query["title"] == by_cookie["title"] != korean["title"]
    assert re.search("[가-힣]", korean["title"])


async def test_an_inventory_that_is_not_there_is_told_as_such(gm: Installation) -> None:
    path = gm.settings.data / "inventory.db"
    away = path.with_suffix(".away")
    path.rename(away)
    try:
        async with await gm.signed_in("admin", headers={"Accept-Language": "en"}) as client:
            assert (await refused(client, "/pods", 503))["code"] == "inventory_unavailable"
            ready = await client.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["checks"] == {"system": "ok", "inventory": "failed"}
            shown = await client.get(f"{API}/clusters/seoul")
            assert shown.status_code == 200
            assert shown.json()["data"]["nodes"] == []
    finally:
        away.rename(path)
