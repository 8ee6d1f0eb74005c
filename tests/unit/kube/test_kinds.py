"""The catalogue of kinds is whole: what everything else is made from."""

import json

import pytest

from gmcenter.core import i18n
from gmcenter.kube.kinds import KINDS, ColumnType, Kind, by_kind, describe
from gmcenter.kube.objects import first, seconds
from gmcenter.kube.values import quantity, whole

KIND = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.plural)

# The columns of list pages as the product's users know them (Korean), in their order. Those of projects, workspaces and
# users are offered by the chooser until there is something to show in them.
HEADINGS = {
    "pods": ("파드 이름", "클러스터", "파드 IP", "재시작 수", "상태", "생성 날짜"),
    "deployments": ("디플로이먼트 이름", "클러스터", "상태", "생성일"),
    "services": ("서비스 이름", "클러스터", "액세스 타입", "생성날짜"),
    "namespaces": ("이름", "클러스터", "상태", "생성날짜"),
    "nodes": ("이름", "타입", "IP", "Kube 버전", "OS", "생성날짜"),
}

# The fields that the REST API owes its callers in lists.
FIELDS = {
    "deployments": {"name", "project", "cluster", "workspace", "user", "ready", "createAt"},
    "pods": {
        "name", "project", "cluster", "workspace", "user", "status", "node_name", "podIP", "hostIP", "restart",
        "creationTimestamp",
    },
    "services": {
        "name", "project", "cluster", "workspace", "user", "type", "port", "clusterIp", "externalIp", "createAt",
    },
    "nodes": {"name", "type", "nodeIP", "kubeVersion", "os", "kernel", "created_at", "containerRuntimeVersion"},
    "namespaces": {"name", "cluster", "status", "created_at"},
    "events": {"kind", "name", "namespace", "cluster", "message", "reason", "type"},
}  # fmt: skip


@KIND
def test_every_column_and_tab_has_words_in_both_languages(kind: Kind) -> None:
    keys = [column.label for column in kind.all_columns] + [f"kind.tab.{tab}" for tab in kind.tabs]
    keys += [f"kind.{kind.plural}.title", f"kind.{kind.plural}.one"]
    for language in i18n.LANGUAGES:
        assert [key for key in keys if not i18n.has(key, language)] == []


@KIND
def test_the_fields_of_the_rest_api_are_there(kind: Kind) -> None:
    assert FIELDS[kind.plural] <= {column.key for column in kind.all_columns}


@pytest.mark.parametrize("plural", HEADINGS)
def test_headings_are_those_that_users_know_in_their_order(plural: str) -> None:
    shown = [i18n.message(column.label, "ko") for column in KINDS[plural].all_columns if column.shown]
    at = [shown.index(heading) for heading in HEADINGS[plural]]
    assert at == sorted(at)


@KIND
def test_a_layout_names_columns_and_the_default_sort_can_be_sorted_by(kind: Kind) -> None:
    assert [column.key for column in kind.all_columns[: len(kind.layout)]] == list(kind.layout)
    assert [column.key for column in kind.all_columns if column.shown] == list(kind.layout)
    column = kind.column(kind.default_sort.removeprefix("-"))
    assert column is not None
    assert column.sortable


@KIND
def test_keys_are_given_once_and_every_own_column_computes_a_value(kind: Kind) -> None:
    keys = [column.key for column in kind.all_columns]
    assert len(keys) == len(set(keys))
    assert all(column.value is not None for column in kind.columns)
    assert all(column.value is None for column in kind.common)


@KIND
def test_a_description_is_plain_json(kind: Kind) -> None:
    told = describe(kind)
    assert json.loads(json.dumps(told)) == told
    assert {column["type"] for column in told["columns"]} <= {member.value for member in ColumnType}


def test_paths_are_the_api_servers_and_names_cannot_leave_them() -> None:
    assert KINDS["pods"].path == "/api/v1/pods"
    assert KINDS["deployments"].path_in("shop", "web") == "/apis/apps/v1/namespaces/shop/deployments/web"
    assert KINDS["nodes"].path_in("ignored", "n1") == "/api/v1/nodes/n1"
    assert KINDS["pods"].path_in("a/../b", "c?d") == "/api/v1/namespaces/a%2F..%2Fb/pods/c%3Fd"
    assert by_kind("Deployment") is KINDS["deployments"]
    assert by_kind("Gizmo") is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("100m", 0.1), ("4", 4.0), ("16Gi", 17179869184.0), ("1k", 1000.0), ("1e3", 1000.0), ("5E", 5e18), (7, 7.0),
        ("12e", None), ("", None), (None, None), ("Gi", None), ("inf", None), ("nan", None), ("1 Gi", None),
    ],
)  # fmt: skip
def test_quantities_are_read_as_kubernetes_writes_them(text: str | int | None, number: float | None) -> None:
    assert quantity(text) == (pytest.approx(number) if number is not None else None)


def test_times_and_numbers_that_cannot_be_stored_are_cut_or_left_out() -> None:
    assert seconds("2026-01-02T03:04:05Z") == 1767323045
    assert seconds("2026-01-02T03:04:05.999999Z") == 1767323045
    assert seconds("2026-01-02T12:04:05+09:00") == 1767323045
    assert seconds("0001-01-01T00:00:00Z") is None
    assert seconds("yesterday") is None
    assert seconds(None) is None
    assert whole(2.0**80) == 2**63 - 1
    assert whole(None) is None
    assert first(None, "", "a", "b") == "a"
