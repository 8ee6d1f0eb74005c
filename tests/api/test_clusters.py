"""Clusters and sites over REST, against real API servers."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from gmcenter import fleet
from gmcenter.clusters import service
from gmcenter.core import database
from gmcenter.core.vault import Secret
from gmcenter.fleet.model import Cluster
from gmcenter.identity.actor import SYSTEM
from gmcenter.identity.model import AuditEntry
from gmcenter.kube.target import Target
from tests.lab.cluster import LabCluster
from tests.support.api import API, CANARY, Installation
from tests.support.tls import Authority

STAGES = ["dns", "tcp", "tls", "authentication", "permissions", "version", "latency", "clock"]


def form(cluster: LabCluster, name: str = "lab", **changes: Any) -> dict[str, Any]:
    """A registration by endpoint, CA and token."""
    return {
        "clusterName": name,
        "clusterType": "edge",
        "clusterEndpoint": cluster.url,
        "caPem": cluster.ca_pem,
        "token": cluster.token("admin"),
        **changes,
    }


@pytest.fixture
async def registered(admin: httpx.AsyncClient, lab_cluster: LabCluster) -> AsyncIterator[dict[str, Any]]:
    """The lab's cluster as `lab`, removed again afterwards."""
    answer = await admin.post(f"{API}/clusters", json=form(lab_cluster))
    assert answer.status_code == 201, answer.text
    yield answer.json()["data"]
    await admin.delete(f"{API}/clusters/lab", params={"confirm": "lab"})


async def secrets() -> list[int]:
    async with database.read() as session:
        return [row.id for row in (await session.execute(select(Secret))).scalars() if row.id is not None]


async def row_of(name: str) -> Cluster:
    async with database.read() as session:
        return (await session.execute(select(Cluster).where(Cluster.name == name))).scalar_one()  # type: ignore[arg-type]


def problem_of(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code, problem
    return problem


# --- looking ---


async def test_the_list_shows_health_place_and_kind_and_never_a_credential(admin: httpx.AsyncClient) -> None:
    answer = await admin.get(f"{API}/clusters")
    by_name = {cluster["clusterName"]: cluster for cluster in answer.json()["data"]}
    seoul, jeju = by_name["seoul"], by_name["jeju"]
    assert (seoul["state"], seoul["status"], seoul["version"]) == ("live", "success", "v1.37.2")
    assert seoul["point"] == {"x": 126.0, "y": 33.0}
    assert (seoul["site"], seoul["address"], seoul["clusterType"]) == ("seoul-site", "seoul 1", "edge")
    assert (seoul["nodeCnt"], seoul["gpuCnt"]) == (3, 3)
    assert seoul["certificateNotAfter"] > seoul["lastSeen"]
    assert (jeju["state"], jeju["status"], jeju["error"]) == ("away", "false", "port_closed")
    assert jeju["message"]
    assert CANARY not in answer.text
    assert not {"token", "credential", "caPem"} & seoul.keys()


async def test_the_detail_counts_objects_and_describes_nodes(admin: httpx.AsyncClient) -> None:
    found = (await admin.get(f"{API}/clusters/seoul")).json()["data"]
    assert found["resource"] == {
        "node_count": 3,
        "namespace_count": 2,
        "pod_count": 120,
        "deployment_count": 0,
        "service_count": 0,
    }
    nodes = {node["name"]: node for node in found["nodes"]}
    assert nodes["seoul-node-1"]["labels"] == {"disk": "ssd"}
    assert nodes["seoul-node-1"]["annotations"] == {"note": "about seoul-node-1"}
    assert nodes["seoul-node-1"]["kubeVersion"] == "v1.37.2"
    assert found["gpu"] == [{"node": "seoul-node-1", "count": 1}, {"node": "seoul-node-2", "count": 2}]
    assert [event["reason"] for event in found["events"]] == ["BackOff"]
    assert (found["freshness"]["answered"], found["freshness"]["needed"]) == (6, 6)


async def test_a_cluster_that_is_not_there_is_not_found(admin: httpx.AsyncClient) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/check"), ("GET", "/dependents")):
        problem_of(await admin.request(method, f"{API}/clusters/nowhere{path}"), 404, "not_found")
    problem_of(await admin.put(f"{API}/clusters/nowhere", json={"cloudType": "aws"}), 404, "not_found")


async def test_a_service_admin_may_not_look_at_the_fleet(gm: Installation) -> None:
    async with await gm.signed_in("service") as client:
        for method, path in (("GET", "/clusters"), ("GET", "/clusters/seoul"), ("GET", "/sites")):
            problem = problem_of(await client.request(method, f"{API}{path}"), 403, "forbidden")
            assert problem["params"]["rule"] == "platform-admin"


# --- registering ---


async def test_registering_by_token_checks_stores_and_seals(
    gm: Installation, registered: dict[str, Any], lab_cluster: LabCluster
) -> None:
    assert registered["clusterName"] == "lab"
    assert (registered["state"], registered["credentialKind"]) == ("unknown", "token")
    assert registered["createdBy"] == "admin"
    files = [path.read_bytes() for path in gm.settings.data.glob("system.db*")]
    assert not any(lab_cluster.token("admin").encode() in content for content in files)
    connection = await fleet.dial("lab")
    async with connection:
        assert (await connection.get_json("/version"))["gitVersion"].startswith("v1.")


async def test_registering_by_kubeconfig_takes_its_current_context(
    admin: httpx.AsyncClient, lab_cluster: LabCluster
) -> None:
    text = lab_cluster.kubeconfig().read_text()
    contexts = (await admin.post(f"{API}/clusters/contexts", json={"kubeconfig": text})).json()["data"]
    assert [(context["current"], context["problem"]) for context in contexts] == [(True, None)]
    given = {"clusterName": "by-file", "kubeconfig": text, "site": "busan-site", "clusterType": "cloud"}
    answer = await admin.post(f"{API}/clusters", json=given)
    try:
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"] == f"{API}/clusters/by-file"
        made = answer.json()["data"]
        assert (made["credentialKind"], made["site"], made["clusterType"]) == ("certificate", "busan-site", "cloud")
        assert made["credentialNotAfter"] > made["created_at"]
        assert "PRIVATE KEY" not in answer.text
    finally:
        await admin.delete(f"{API}/clusters/by-file", params={"confirm": "by-file"})


@pytest.mark.parametrize(
    ("changes", "status", "code", "fields"),
    [
        ({"clusterName": "Not A Name"}, 422, "invalid_input", ["clusterName"]),
        ({"clusterName": ""}, 422, "invalid_input", ["clusterName"]),
        ({"clusterName": "a" * 64, "clusterType": "moon"}, 422, "invalid_input", ["clusterName", "clusterType"]),
        ({"clusterEndpoint": "http://192.0.2.1"}, 400, "invalid_field", ["clusterEndpoint"]),
        ({"clusterEndpoint": ""}, 400, "invalid_field", ["clusterEndpoint"]),
        ({"caPem": "nonsense"}, 400, "invalid_field", ["caPem"]),
        ({"token": "two words"}, 400, "invalid_field", ["token"]),
        ({"token": None}, 400, "invalid_field", ["token"]),
        ({"clientCertificate": "x"}, 400, "invalid_field", ["token"]),
        ({"kubeconfig": "kind: Config"}, 400, "invalid_field", ["kubeconfig"]),
        ({"site": "atlantis"}, 404, "not_found", []),
        ({"clusterName": "seoul"}, 409, "cluster_exists", []),
        ({"shoeSize": 42}, 422, "invalid_input", ["shoeSize"]),
        ({"acceptWarnings": "perhaps"}, 422, "invalid_input", ["acceptWarnings"]),
    ],
)
async def test_a_form_that_is_wrong_is_refused_by_field_and_nothing_is_kept(
    admin: httpx.AsyncClient,
    lab_cluster: LabCluster,
    changes: dict[str, Any],
    status: int,
    code: str,
    fields: list[str],
) -> None:
    before = await secrets()
    problem = problem_of(await admin.post(f"{API}/clusters", json=form(lab_cluster) | changes), status, code)
    told = [error["field"] for error in problem.get("errors", [])] or [problem.get("params", {}).get("field")]
    assert not fields or told == fields
    assert lab_cluster.token("admin") not in json.dumps(problem)
    assert await secrets() == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"clusterName": NaN}'])
async def test_a_body_that_is_no_form_is_refused(admin: httpx.AsyncClient, body: bytes) -> None:
    answer = await admin.post(f"{API}/clusters", content=body, headers={"Content-Type": "application/json"})
    assert problem_of(answer, 422, "invalid_input")["errors"]


async def test_a_body_that_is_too_large_is_refused(admin: httpx.AsyncClient) -> None:
    body = b'{"kubeconfig": "' + b"x" * 2_600_000 + b'"}'
    problem_of(await admin.post(f"{API}/clusters/contexts", content=body), 413, "too_large")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 100_000

    problem_of(await admin.post(f"{API}/clusters/contexts", content=pieces()), 413, "too_large")


FAILURES: list[tuple[dict[str, Any], str, str]] = [
    ({"caPem": Authority().ca_pem}, "tls", "unknown_authority"),
    ({"token": CANARY}, "authentication", "token_refused"),
    ({"clusterEndpoint": "https://no-such-host.invalid:6443"}, "dns", "unknown_host"),
    ({"clusterEndpoint": "https://127.0.0.1:1"}, "tcp", "port_closed"),
    ({"clusterEndpoint": "https://169.254.169.254"}, "dns", "address_refused"),
]


@pytest.mark.parametrize(("changes", "stage", "reason"), FAILURES)
async def test_a_cluster_that_fails_its_check_is_refused_with_stage_reason_and_remedy(
    admin: httpx.AsyncClient, lab_cluster: LabCluster, changes: dict[str, Any], stage: str, reason: str
) -> None:
    before = await secrets()
    given = form(lab_cluster, acceptWarnings=True) | changes
    problem = problem_of(await admin.post(f"{API}/clusters", json=given), 422, "preflight_failed")
    assert (problem["params"]["stage"], problem["params"]["reason"]) == (stage, reason)
    assert [one["stage"] for one in problem["stages"]] == STAGES
    failed = next(one for one in problem["stages"] if one["state"] == "failed")
    assert failed["message"] == problem["detail"]
    assert failed["remedy"] == problem["hint"]
    assert CANARY not in json.dumps(problem)
    assert await secrets() == before


async def test_warnings_refuse_a_cluster_until_they_are_accepted(
    admin: httpx.AsyncClient, lab_cluster: LabCluster
) -> None:
    given = form(lab_cluster, "warned", token=lab_cluster.token("viewer"))
    problem = problem_of(await admin.post(f"{API}/clusters", json=given), 422, "preflight_warned")
    assert problem["params"]["stage"] == "permissions"
    answer = await admin.post(f"{API}/clusters", json=given | {"acceptWarnings": True})
    assert answer.status_code == 201, answer.text
    await admin.delete(f"{API}/clusters/warned", params={"confirm": "warned"})


async def test_a_check_answers_with_all_stages_as_json_or_one_by_one(
    admin: httpx.AsyncClient, lab_cluster: LabCluster
) -> None:
    given = {key: value for key, value in form(lab_cluster).items() if key not in ("clusterName", "clusterType")}
    whole = (await admin.post(f"{API}/clusters/preflight", json=given)).json()
    assert [stage["stage"] for stage in whole["data"]] == STAGES
    assert whole["state"] == "ok"
    streamed = await admin.post(f"{API}/clusters/preflight", json=given, headers={"Accept": "text/event-stream"})
    events = [
        (block.split("\n")[0].removeprefix("event: "), json.loads(block.split("\n")[1].removeprefix("data: ")))
        for block in streamed.text.strip().split("\n\n")
    ]
    assert [document["stage"] for name, document in events if name == "stage"] == STAGES
    assert events[-1] == ("end", {"state": "ok"})
    refusal = await admin.post(
        f"{API}/clusters/preflight", json={"clusterEndpoint": "x"}, headers={"Accept": "text/event-stream"}
    )
    problem_of(refusal, 400, "invalid_field")


# --- changing ---


async def test_a_new_credential_replaces_the_old_one_after_its_check(
    admin: httpx.AsyncClient, registered: dict[str, Any], lab_cluster: LabCluster
) -> None:
    before, known = await row_of("lab"), await secrets()
    version = await fleet.version()
    pair = {"token": lab_cluster.token("viewer"), "acceptWarnings": True}
    answer = await admin.put(f"{API}/clusters/lab", json=pair)
    assert answer.status_code == 200, answer.text
    after, kept = await row_of("lab"), await secrets()
    assert after.generation == before.generation + 1
    assert await fleet.version() > version
    assert before.credential_id not in kept
    assert after.credential_id in kept
    assert len(kept) == len(known)
    async with await fleet.dial("lab") as connection:
        review = await connection.request(
            "POST",
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            body=b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}',
            headers={"Content-Type": "application/json"},
        )
    assert json.loads(review.body)["status"]["userInfo"]["username"] == "token-viewer"


async def test_a_new_credential_that_fails_leaves_the_old_one(
    admin: httpx.AsyncClient, registered: dict[str, Any]
) -> None:
    before = await row_of("lab")
    problem = problem_of(await admin.put(f"{API}/clusters/lab", json={"token": CANARY}), 422, "preflight_failed")
    assert problem["params"]["reason"] == "token_refused"
    after = await row_of("lab")
    assert (after.credential_id, after.generation) == (before.credential_id, before.generation)


async def test_the_stored_credential_is_never_sent_to_another_endpoint(
    admin: httpx.AsyncClient, registered: dict[str, Any]
) -> None:
    answer = await admin.put(f"{API}/clusters/lab", json={"clusterEndpoint": "https://192.0.2.66:6443"})
    problem = problem_of(answer, 400, "invalid_field")
    assert problem["params"] == {"field": "token", "reason": "credential_of_new_endpoint"}


async def test_what_a_change_leaves_out_stays(admin: httpx.AsyncClient, registered: dict[str, Any]) -> None:
    before = await row_of("lab")
    moved = (await admin.put(f"{API}/clusters/lab", json={"site": "seoul-site", "cloudType": "aws"})).json()["data"]
    assert (moved["site"], moved["cloudType"], moved["clusterType"]) == ("seoul-site", "aws", "edge")
    left = (await admin.put(f"{API}/clusters/lab", json={"site": "", "clusterType": "cloud"})).json()["data"]
    assert (left["site"], left["cloudType"], left["clusterType"]) == (None, "aws", "cloud")
    after = await row_of("lab")
    assert (after.generation, after.credential_id) == (before.generation, before.credential_id)


async def test_a_registered_cluster_is_checked_with_its_stored_credential(
    admin: httpx.AsyncClient, registered: dict[str, Any]
) -> None:
    checked = (await admin.post(f"{API}/clusters/lab/check")).json()
    assert checked["state"] == "ok"
    assert checked["data"][3]["params"]["user"] == "token-admin"


# --- removing ---


async def test_a_cluster_goes_only_when_its_name_is_given_again_and_its_credential_goes_with_it(
    admin: httpx.AsyncClient, lab_cluster: LabCluster
) -> None:
    before = await secrets()
    await admin.post(f"{API}/clusters", json=form(lab_cluster, "gone"))
    assert len(await secrets()) == len(before) + 1
    problem_of(await admin.delete(f"{API}/clusters/gone"), 409, "confirmation_needed")
    problem_of(await admin.delete(f"{API}/clusters/gone", params={"confirm": "other"}), 409, "confirmation_needed")
    assert (await admin.delete(f"{API}/clusters/gone", params={"confirm": "gone"})).status_code == 204
    problem_of(await admin.get(f"{API}/clusters/gone"), 404, "not_found")
    assert await secrets() == before


async def test_what_hangs_on_a_cluster_is_told_before_it_goes(admin: httpx.AsyncClient) -> None:
    found = (await admin.get(f"{API}/clusters/seoul/dependents")).json()["data"]
    assert found["objects"] == {"nodes": 3, "namespaces": 2, "pods": 120}
    assert found["total"] == 125
    problem = problem_of(await admin.delete(f"{API}/clusters/seoul"), 409, "confirmation_needed")
    assert "125" in problem["detail"]


async def test_the_number_of_a_removed_cluster_is_not_given_again(
    admin: httpx.AsyncClient, lab_cluster: LabCluster
) -> None:
    numbers = []
    for _ in range(2):
        made = await admin.post(f"{API}/clusters", json=form(lab_cluster, "reborn"))
        numbers.append(made.json()["data"]["id"])
        await admin.delete(f"{API}/clusters/reborn", params={"confirm": "reborn"})
    assert numbers[1] > numbers[0]


# --- what is written down ---


async def test_every_change_is_audited_with_its_end_and_without_a_credential(
    admin: httpx.AsyncClient, lab_cluster: LabCluster, gm: Installation
) -> None:
    await admin.post(f"{API}/clusters", json=form(lab_cluster, "audited"))
    await admin.put(f"{API}/clusters/audited", json={"token": CANARY})
    await admin.delete(f"{API}/clusters/audited", params={"confirm": "audited"})
    async with await gm.signed_in("service") as client:
        await client.post(f"{API}/clusters", json=form(lab_cluster, "audited"))
    async with database.read() as session:
        found = (await session.execute(select(AuditEntry).where(AuditEntry.target == "audited"))).scalars().all()  # type: ignore[arg-type]
    assert [(entry.action, entry.outcome, entry.code) for entry in found] == [
        ("clusters.register", "ok", ""),
        ("clusters.update", "failed", "preflight_failed"),
        ("clusters.delete", "ok", ""),
        ("clusters.register", "denied", "forbidden"),
    ]
    everything = "".join(entry.detail for entry in found)
    assert CANARY not in everything
    assert lab_cluster.token("admin") not in everything


# --- clusters that are being built ---


async def test_a_cluster_that_is_being_built_is_shown_and_cannot_be_used_until_it_is_finished(
    admin: httpx.AsyncClient, lab_cluster: LabCluster
) -> None:
    await service.create_building(SYSTEM, "growing", cluster_type="edge", site="seoul-site")
    try:
        await service.report_building(SYSTEM, "growing", percent=41.26, eta_seconds=95.4, step="compiling")
        shown = (await admin.get(f"{API}/clusters/growing")).json()["data"]
        assert (shown["state"], shown["status"], shown["credentialKind"]) == ("building", "false", None)
        assert shown["building"] == {"percent": 41.3, "etaSeconds": 95, "step": "compiling"}
        problem_of(await admin.post(f"{API}/clusters/growing/check"), 409, "cluster_building")
        problem_of(await admin.put(f"{API}/clusters/growing", json={"token": "x"}), 409, "cluster_building")
        target = Target(lab_cluster.url, lab_cluster.ca_pem, token=lab_cluster.token("admin"))
        await service.finish_building(SYSTEM, "growing", target)
        shown = (await admin.get(f"{API}/clusters/growing")).json()["data"]
        assert (shown["state"], shown["building"]) == ("unknown", None)
        assert (await admin.post(f"{API}/clusters/growing/check")).json()["state"] == "ok"
        await service.report_building(SYSTEM, "growing", percent=50)
        assert (await admin.get(f"{API}/clusters/growing")).json()["data"]["building"] is None
    finally:
        await admin.delete(f"{API}/clusters/growing", params={"confirm": "growing"})


# --- sites ---


async def test_a_site_is_made_moved_renamed_and_deleted(admin: httpx.AsyncClient) -> None:
    made = await admin.post(
        f"{API}/sites",
        json={"name": "pangyo", "address": "경기도 성남시", "latitude": 37.3947, "longitude": 127.1112, "zone": "edge"},
    )
    assert made.status_code == 201
    assert made.headers["location"] == f"{API}/sites/pangyo"
    moved = await admin.put(f"{API}/sites/pangyo", json={"name": "pangyo-2", "zone": "cloud"})
    found = moved.json()["data"]
    assert (found["name"], found["zone"], found["latitude"], found["address"]) == ("pangyo-2", "cloud", None, "")
    problem_of(await admin.get(f"{API}/sites/pangyo"), 404, "not_found")
    assert (await admin.delete(f"{API}/sites/pangyo-2")).status_code == 204


async def test_a_site_where_a_cluster_stands_is_not_deleted(admin: httpx.AsyncClient) -> None:
    problem = problem_of(await admin.delete(f"{API}/sites/seoul-site"), 409, "site_in_use")
    assert problem["params"]["clusters"] == "seoul"
    sites = {site["name"]: site["clusters"] for site in (await admin.get(f"{API}/sites")).json()["data"]}
    assert sites["seoul-site"] == ["seoul"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "Seoul!"}, ["name"]),
        ({"name": "s", "zone": "moon"}, ["zone"]),
        ({"name": "s", "latitude": 91, "longitude": 0}, ["latitude"]),
        ({"name": "s", "latitude": 0, "longitude": -181}, ["longitude"]),
        ({"name": "s", "latitude": 1.5}, ["longitude"]),
        ({"name": "s", "latitude": "north", "longitude": 1}, ["latitude"]),
        ({"name": "s", "address": "a\u0000b"}, ["address"]),
        ({"name": "s", "address": "x" * 201}, ["address"]),
    ],
)
async def test_a_site_that_cannot_be_is_refused_by_field(
    admin: httpx.AsyncClient, body: dict[str, Any], fields: list[str]
) -> None:
    problem = problem_of(await admin.post(f"{API}/sites", json=body), 422, "invalid_input")
    assert [error["field"] for error in problem["errors"]] == fields
    assert all(error["detail"] and not error["detail"].startswith("reason.") for error in problem["errors"])


async def test_a_sites_name_is_taken_once(admin: httpx.AsyncClient) -> None:
    problem_of(await admin.post(f"{API}/sites", json={"name": "seoul-site"}), 409, "site_exists")
    problem_of(await admin.put(f"{API}/sites/seoul-site", json={"name": "busan-site"}), 409, "site_exists")
