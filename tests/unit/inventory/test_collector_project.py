"""Projection: from what an API server sends, or what a hostile one might, to the row and the body that are kept."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmcenter.inventory import project as projection
from gmcenter.inventory.project import Unreadable, identify, project, sanitise
from gmcenter.kube.kinds import KINDS, ColumnType, Kind

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KIND = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.plural)


def raw(found: Any) -> bytes:
    return json.dumps(found).encode()


def pod(**more: Any) -> dict[str, Any]:
    metadata = {"name": "web-1", "namespace": "shop", "uid": "u1", "resourceVersion": "7", **more.pop("metadata", {})}
    return {"metadata": metadata, **more}


def test_a_row_holds_what_identifies_the_object_and_its_own_columns_in_order() -> None:
    found = pod(
        metadata={"creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"app": "web", "empty": None}},
        spec={"nodeName": "n1"},
    )
    row = project(KINDS["pods"], raw(found))
    assert (row.uid, row.namespace, row.name, row.resource_version) == ("u1", "shop", "web-1", "7")
    assert (row.created, row.labels) == (1767323045, {"app": "web", "empty": ""})
    keys = [column.key for column in KINDS["pods"].columns]
    assert row.values[keys.index("node_name")] == "n1"
    assert len(row.values) == len(keys)


def test_a_body_has_no_managed_fields_and_no_last_applied_configuration() -> None:
    annotations = {APPLIED: '{"data": "c2VjcmV0"}', "kept": "yes"}
    found = pod(
        metadata={"managedFields": [{"manager": "kubectl"}], "annotations": annotations},
        spec={"containers": [{"name": "a", "env": [{"name": "A", "value": "stays"}]}]},
    )
    kept = sanitise(KINDS["pods"], raw(found))
    body = json.loads(kept)
    assert b"c2VjcmV0" not in kept
    assert b"managedFields" not in kept
    assert body["metadata"]["annotations"] == {"kept": "yes"}
    assert body["spec"] == found["spec"]
    assert (body["apiVersion"], body["kind"]) == ("v1", "Pod")


def test_an_annotation_key_that_hides_in_escapes_is_dropped_as_well() -> None:
    escaped = APPLIED.replace("k", "\\u006b", 1)
    text = '{"metadata":{"uid":"u","name":"n","annotations":{"%s":"secret"}}}' % escaped  # noqa: UP031
    assert b"secret" not in sanitise(KINDS["pods"], text.encode())


def test_a_kind_that_holds_secrets_is_rebuilt_from_its_allow_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(projection.REBUILT, "services", lambda body: {"metadata": body["metadata"]})
    kept = json.loads(sanitise(KINDS["services"], raw(pod(data={"password": "c2VjcmV0"}))))
    assert set(kept) == {"metadata"}


@pytest.mark.parametrize(
    "found",
    [
        {},
        [],
        "x",
        {"metadata": None},
        {"metadata": {"name": "n"}},
        {"metadata": {"uid": "u"}},
        {"metadata": {"uid": 3, "name": "n"}},
    ],
)
def test_what_cannot_be_told_apart_is_unreadable(found: Any) -> None:
    with pytest.raises(Unreadable):
        project(KINDS["pods"], raw(found))


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b'{"metadata": {"uid": "u", "name": "\\ud800"}'])
def test_what_is_no_json_is_unreadable(text: bytes) -> None:
    with pytest.raises(Unreadable):
        project(KINDS["pods"], text)
    with pytest.raises(Unreadable):
        identify(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"spec": "x"},
        {"status": []},
        {"status": {"containerStatuses": [{"restartCount": "many"}]}},
        {"status": {"containerStatuses": [None]}},
        {"spec": {"containers": {"a": 1}}},
    ],
)
def test_a_field_of_the_wrong_type_costs_the_columns_and_not_the_row(wrong: dict[str, Any]) -> None:
    row = project(KINDS["pods"], raw(pod(**wrong)))
    assert (row.uid, row.name, row.status, row.state) == ("u1", "web-1", "Unknown", "away")
    assert set(row.values) == {None}


@pytest.mark.parametrize("place", ['"extra":%s', '"spec":{"extra":%s}', '"metadata":{"annotations":{"a":%s}}'])
def test_what_is_nested_without_end_is_unreadable(place: str) -> None:
    text = '{"metadata":{"uid":"u","name":"n"},%s}' % (place % ("[" * 50_000 + "]" * 50_000))
    with pytest.raises(Unreadable):
        project(KINDS["pods"], text.encode())


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00", "10000-01-01T00:00:00Z"])
def test_a_time_that_no_answer_could_say_is_none(moment: str) -> None:
    assert project(KINDS["pods"], raw(pod(metadata={"creationTimestamp": moment}))).created is None


def test_numbers_beyond_64_bits_are_cut() -> None:
    row = project(KINDS["deployments"], raw(pod(status={"updatedReplicas": 10**30})))
    keys = [column.key for column in KINDS["deployments"].columns]
    assert row.values[keys.index("updated")] == 2**63 - 1


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
WORDS = (
    "metadata", "spec", "status", "name", "uid", "labels", "conditions", "containers", "type", "phase", "capacity",
    "containerStatuses", "initContainerStatuses", "state", "waiting", "terminated", "ports", "selector", "taints",
    "involvedObject", "series", "count", "template", "matchLabels", "loadBalancer", "ingress", "ownerReferences",
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=25,
)
PLAIN: dict[ColumnType, tuple[type, ...]] = {
    ColumnType.INT: (int,),
    ColumnType.BYTES: (int,),
    ColumnType.TIME: (int,),
    ColumnType.FLOAT: (float,),
    ColumnType.BOOL: (bool,),
    ColumnType.TEXT: (str,),
    ColumnType.RATIO: (str,),
    ColumnType.TAGS: (list,),
}


@KIND
@settings(max_examples=150, deadline=None)
@given(tree=st.dictionaries(st.sampled_from(WORDS), TREES, max_size=6), named=st.booleans())
def test_any_tree_becomes_a_row_of_the_declared_types_or_is_unreadable(
    kind: Kind, tree: dict[str, Any], named: bool
) -> None:
    if named:
        metadata = tree.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        tree = {**tree, "metadata": {**metadata, "name": "n", "uid": "u"}}
    try:
        row = project(kind, raw(tree))
    except Unreadable:
        return
    assert row.uid
    assert row.name
    for column, value in zip(kind.columns, row.values, strict=True):
        if value is not None:
            assert isinstance(value, PLAIN[column.type]), column.key
            if isinstance(value, int):
                assert abs(value) < 2**63
            if isinstance(value, list):
                assert all(isinstance(part, str) for part in value), column.key
    msgspec.json.decode(row.body)
