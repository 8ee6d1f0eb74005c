"""Details carry the fields that the REST API owes its callers."""

import json
from typing import Any

from gmcenter.kube.kinds import KINDS

TIME = "2026-01-02T03:04:05Z"


def detail(plural: str, body: dict[str, Any]) -> dict[str, Any]:
    told = KINDS[plural].detail(body)
    assert json.loads(json.dumps(told)) == told
    return told


def test_a_pods_detail() -> None:
    container = {
        "name": "web",
        "image": "nginx:1.24.0",
        "ports": [{"containerPort": 80}],
        "env": [{"name": "A", "value": "1"}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    told = detail(
        "pods",
        {
            "metadata": {"labels": {"a": "1"}, "annotations": {"b": "2"}, "ownerReferences": [{"kind": "ReplicaSet"}]},
            "spec": {"containers": [container], "initContainers": [{"name": "side", "restartPolicy": "Always"}]},
            "status": {
                "qosClass": "Burstable",
                "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
                "conditions": [{"type": "Ready", "status": "True", "secretField": 1}],
                "containerStatuses": [{"name": "web", "containerID": "c://1", "ready": True, "restartCount": 2}],
            },
        },
    )
    assert told["podIPs"] == ["10.0.0.1", "fd00::1"]
    assert (told["label"], told["annotations"], told["qosClass"]) == ({"a": "1"}, {"b": "2"}, "Burstable")
    assert told["ownerReferences"] == [{"kind": "ReplicaSet"}]
    side, web = told["Podcontainers"]
    assert (side["init"], side["sidecar"], web["init"], web["sidecar"]) == (True, True, False, False)
    assert web["ports"] == container["ports"]
    assert web["env"] == container["env"]
    assert web["volumemounts"] == container["volumeMounts"]
    assert told["statusConditions"][0]["type"] == "Ready"
    (status,) = told["containerStatuses"]
    assert (status["containerID"], status["name"], status["ready"], status["restartCount"]) == ("c://1", "web", True, 2)


def test_a_deployments_detail() -> None:
    told = detail(
        "deployments",
        {
            "metadata": {},
            "spec": {
                "replicas": 3,
                "strategy": {"type": "Recreate"},
                "template": {"spec": {"containers": [{"name": "a"}]}},
            },
            "status": {
                "readyReplicas": 2,
                "conditions": [{"lastUpdateTime": TIME}, {"lastUpdateTime": "2025-01-01T00:00:00Z"}, {}],
            },
        },
    )
    assert told["replica"] == {
        "replicas": 3,
        "readyReplicas": 2,
        "updatedReplicas": 0,
        "availableReplicas": 0,
        "unavailableReplicas": 0,
    }
    assert told["strategy"] == {"type": "Recreate"}
    assert [container["name"] for container in told["containers"]] == ["a"]
    assert told["updateAt"] == 1767323045


def test_a_services_detail_has_its_real_affinity() -> None:
    spec = {
        "type": "NodePort",
        "sessionAffinity": "ClientIP",
        "selector": {"app": "web"},
        "ports": [{"port": 80, "targetPort": "http"}],
    }
    told = detail("services", {"metadata": {}, "spec": spec})
    assert told["sessionAffinity"] == "ClientIP"
    assert told["selector"] == {"app": "web"}
    assert told["ports"][0]["targetPort"] == "http"


def test_a_nodes_detail() -> None:
    told = detail(
        "nodes",
        {
            "metadata": {"labels": {"zone": "a"}},
            "spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]},
            "status": {"capacity": {"cpu": "4"}, "allocatable": {"cpu": "3"}, "addresses": [{"type": "Hostname"}]},
        },
    )
    assert (told["capacity"], told["allocatable"]) == ({"cpu": "4"}, {"cpu": "3"})
    assert told["nodeTaints"] == [{"key": "gpu", "effect": "NoSchedule"}]
    assert told["addresses"] == [{"type": "Hostname"}]
