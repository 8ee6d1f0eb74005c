"""What belongs together is found exactly: by uid, owner and selector, never by a part of a name."""

from typing import Any

import pytest

from gmcenter.kube import involves
from gmcenter.kube.kinds import KINDS, Kind
from gmcenter.kube.relations import Query, Requirement, events_of, requirements, selector_picks

HASH = {"pod-template-hash": "5b786958f6"}


def body(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", **more.pop("metadata", {})}, **more}


def query(kind: Kind, name: str, found: dict[str, Any]) -> Query | None:
    relation = next(relation for relation in kind.relations if relation.name == name)
    return relation.query(found)


@pytest.mark.parametrize(
    ("requirement", "labels", "holds"),
    [
        (Requirement("app", "In", frozenset({"web"})), {"app": "web"}, True),
        (Requirement("app", "In", frozenset({"web"})), {"app": "web-2"}, False),
        (Requirement("app", "In", frozenset({"web"})), {}, False),
        (Requirement("app", "NotIn", frozenset({"web"})), {"app": "db"}, True),
        (Requirement("app", "NotIn", frozenset({"web"})), {}, True),
        (Requirement("app", "NotIn", frozenset({"web"})), {"app": "web"}, False),
        (Requirement("app", "Exists"), {"app": ""}, True),
        (Requirement("app", "Exists"), {}, False),
        (Requirement("app", "DoesNotExist"), {}, True),
        (Requirement("app", "DoesNotExist"), {"app": "web"}, False),
    ],
)
def test_a_requirement_holds_as_the_api_server_would_say(
    requirement: Requirement, labels: dict[str, str], holds: bool
) -> None:
    assert requirement.holds(labels) is holds


def test_a_service_picks_whole_labels_only_and_an_empty_selector_picks_nothing() -> None:
    assert selector_picks(["app=web", "tier=front"], {"app": "web", "tier": "front", "x": "y"})
    assert not selector_picks(["app=web"], {"app": "web-2"})
    assert not selector_picks([], {"app": "web"})


def test_a_deployments_pods_are_those_it_made_and_selects() -> None:
    selector = {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]}
    found = query(KINDS["deployments"], "pods", body("web", spec={"selector": selector}))
    assert found == Query(
        "pods",
        "shop",
        fields={"workload": ("Deployment/web",)},
        requirements=(Requirement("app", "In", frozenset({"web"})), Requirement("tier", "Exists")),
    )


def test_a_deployments_services_select_the_labels_of_its_template() -> None:
    template = {"metadata": {"labels": {"app": "web"}}}
    found = query(KINDS["deployments"], "services", body("web", spec={"template": template}))
    assert found == Query("services", "shop", selecting={"app": "web"})


def test_a_service_without_a_selector_has_no_pods() -> None:
    assert query(KINDS["services"], "pods", body("external", spec={})) is None
    assert query(KINDS["services"], "pods", body("web", spec={"selector": {"app": "web"}})) == Query(
        "pods", "shop", requirements=(Requirement("app", "In", frozenset({"web"})),)
    )


def test_a_nodes_pods_are_those_placed_on_it_and_a_namespaces_those_in_it() -> None:
    assert query(KINDS["nodes"], "pods", body("n1")) == Query("pods", fields={"node_name": ("n1",)})
    assert query(KINDS["namespaces"], "pods", body("shop")) == Query("pods", "shop")


def test_the_events_of_a_node_are_found_though_kubelets_name_it_instead_of_its_uid() -> None:
    node = {"metadata": {"name": "n1", "uid": "u1"}}
    assert events_of("Node", node) == Query(
        "events", None, fields={"kind": ("Node",), "objectName": ("n1",), "objectUid": ("u1", "n1")}
    )


def test_a_pods_workload_is_its_deployment_where_the_template_hash_says_so() -> None:
    owner = {"kind": "ReplicaSet", "name": "web-5b786958f6", "controller": True}
    pod = body("web-1", metadata={"ownerReferences": [owner], "labels": HASH})
    told = involves.pod_workload([], pod)
    assert told == {"name": "web", "kind": "Deployment", "replicaName": "web-5b786958f6"}
    alone = body("web-1", metadata={"ownerReferences": [owner]})
    assert involves.pod_workload([], alone) == {"name": "web-5b786958f6", "kind": "ReplicaSet"} | {
        "replicaName": "web-5b786958f6"
    }
    assert involves.pod_workload([], body("bare")) is None


def test_the_workloads_behind_a_service_are_told_once_each() -> None:
    rows = [
        {"workload": "Deployment/web", "owner": "ReplicaSet/web-1"},
        {"workload": "Deployment/web", "owner": "ReplicaSet/web-1"},
        {"workload": "StatefulSet/db", "owner": "StatefulSet/db"},
        {"workload": None, "owner": None},
    ]
    assert involves.service_workloads(rows, {}) == [
        {"name": "web", "kind": "Deployment", "replicaName": "web-1"},
        {"name": "db", "kind": "StatefulSet", "replicaName": None},
    ]


HOSTILE: list[Any] = [
    {},
    {"metadata": None, "spec": None, "status": None},
    {"metadata": [], "spec": "x", "status": 7},
    {"metadata": {"labels": [], "annotations": 3, "ownerReferences": {}, "uid": 5}, "spec": {"selector": [1]}},
    {"spec": {"containers": [None, 1, {"env": "x", "ports": [0]}], "ports": {}, "template": []}},
    {"status": {"conditions": [1, {}], "containerStatuses": [[]], "podIPs": ["x"], "addresses": 9, "capacity": []}},
    {"spec": {"selector": {"matchLabels": {"a": None}, "matchExpressions": [{"values": 3}, 4]}}},
]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.plural)
@pytest.mark.parametrize("found", HOSTILE, ids=range(len(HOSTILE)))
def test_a_body_of_any_shape_has_details_and_relations(kind: Kind, found: Any) -> None:
    assert isinstance(kind.detail(found), dict)
    for relation in kind.relations:
        relation.query(found)
        relation.shape([], found)
    events_of(kind.kind, found)
    requirements(found)
