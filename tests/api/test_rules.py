"""What holds for every request: ids, headers, log lines, metrics, errors; and the documents about the API."""

import json
import re
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI
from structlog.testing import capture_logs

from gmcenter.api import openapi
from gmcenter.api.app import create_api
from gmcenter.core import i18n
from gmcenter.kube.kinds import KINDS
from tests.support.api import API, Installation


async def test_a_request_gets_an_id_and_keeps_a_good_one_of_its_own(gm: Installation) -> None:
    async with gm.client() as client:
        given = await client.get("/livez", headers={"X-Request-Id": "trace-0123456789"})
        bad = await client.get("/livez", headers={"X-Request-Id": "x" * 300})
        made = await client.get(f"{API}/pods")
    assert given.headers["x-request-id"] == "trace-0123456789"
    assert re.fullmatch("[0-9a-f]{16}", bad.headers["x-request-id"])
    assert made.json()["instance"] == f"urn:gm:request:{made.headers['x-request-id']}"


async def test_answers_carry_security_headers_and_are_not_cached(admin: httpx.AsyncClient) -> None:
    for path in (f"{API}/pods", f"{API}/nothing", "/livez"):
        headers = (await admin.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert not [name for name in headers if name.startswith("access-control-")]


async def test_a_preflight_request_of_another_site_gets_no_permission(gm: Installation) -> None:
    async with gm.client() as client:
        answer = await client.options(
            f"{API}/clusters", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        )
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_each_request_leaves_one_line_without_its_query(admin: httpx.AsyncClient) -> None:
    structlog.contextvars.clear_contextvars()
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        answer = await admin.get(f"{API}/pods", params={"q": "hidden-words"})
        await admin.get("/livez")
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) == 1
    line = requests[0]
    assert (line["method"], line["path"], line["status"]) == ("GET", f"{API}/pods", 200)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["user_id"] == 1
    assert line["bytes"] == len(answer.content)
    assert line["ms"] > 0
    assert "hidden-words" not in json.dumps(line, default=str)


async def test_a_mistake_of_ours_is_a_problem_with_an_id_and_nothing_else(
    gm: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gmcenter.clusters import service

    async def broken(_: Any) -> Any:
        raise RuntimeError("internals: /srv/secret/path password=hunter2")

    monkeypatch.setattr(service, "list_clusters", broken)
    async with await gm.signed_in("admin", headers={"Accept-Language": "en"}) as client:
        with capture_logs() as lines:
            answer = await client.get(f"{API}/clusters")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:gm:problem:internal",
        "title": answer.json()["title"],
        "status": 500,
        "detail": answer.json()["detail"],
        "code": "internal",
        "instance": f"urn:gm:request:{answer.headers['x-request-id']}",
    }
    assert "internals" not in answer.text
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["request_failed"]


async def test_a_method_that_a_path_does_not_take_is_told_with_those_it_does(admin: httpx.AsyncClient) -> None:
    answer = await admin.patch(f"{API}/clusters", json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_unknown_parameter_is_refused_on_every_route(admin: httpx.AsyncClient) -> None:
    document = (await admin.get(f"{API}/openapi.json")).json()
    for path, operations in document["paths"].items():
        for method in operations:
            filled = re.sub(r"\{[^}]*\}", "x", path)
            answer = await admin.request(method, filled, params={"bogus": "1"})
            assert answer.status_code == 400, (method, path, answer.text)
            assert answer.json()["params"]["field"] == "bogus"


async def test_the_process_lives_and_is_ready(gm: Installation) -> None:
    async with gm.client() as client:
        assert (await client.get("/livez")).json() == {"status": "ok"}
        ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ok", "checks": {"system": "ok", "inventory": "ok"}}


async def test_metrics_count_requests_by_route_and_not_by_path(gm: Installation, admin: httpx.AsyncClient) -> None:
    await admin.get(f"{API}/pods/only-seoul", params={"cluster": "seoul"})
    text = (await admin.get("/metrics")).text
    assert re.search(r'gm_http_request_seconds_count\{[^}]*route="/gmcapi/v2/pods/\{name\}"[^}]*\} [1-9]', text)
    assert "only-seoul" not in text


# --- the OpenAPI document and Swagger UI ---


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app: FastAPI = create_api()
    return openapi.document(app)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, methods in document["paths"].items() for method, one in methods.items()]


def test_the_document_is_openapi_3_1_with_unique_operation_ids(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    ids = [one["operationId"] for _, _, one in operations(document)]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch("[a-z][A-Za-z]+", one) for one in ids), ids
    assert {f"list{kind.plural.capitalize()}" for kind in KINDS.values()} <= set(ids)


def test_every_operation_documents_its_errors_as_problems(document: dict[str, Any]) -> None:
    for path, method, one in operations(document):
        for status, response in one["responses"].items():
            if status.startswith(("4", "5")) and (path, status) != ("/readyz", "503"):
                assert list(response["content"]) == ["application/problem+json"], (path, method, status)
        if one.get("security") != [] and path.startswith(API):
            assert {"400", "401", "403", "503"} <= one["responses"].keys(), (path, method)


def test_every_reference_of_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert wanted <= document["components"]["schemas"].keys()
    assert "HTTPValidationError" not in text


def test_every_operation_outside_the_public_ones_needs_a_sign_in(document: dict[str, Any]) -> None:
    for path, method, one in operations(document):
        public = one["operationId"] in openapi.PUBLIC or one["operationId"] == "metrics"
        assert bool(one.get("security")) != public, (path, method)


async def test_swagger_ui_comes_from_our_own_files_without_inline_script(gm: Installation) -> None:
    async with gm.client() as client:
        page = await client.get(f"{API}/docs")
        assert page.status_code == 200
        assert not re.search(r"<script(?![^>]*\bsrc=)", page.text)
        assert "script-src 'self';" in page.headers["content-security-policy"]
        addresses = re.findall(r'(?:src|href|data-document)="([^"]+)"', page.text)
        assert all(address.startswith(f"{API}/") for address in addresses)
        for address in addresses:
            answer = await client.get(address)
            assert answer.status_code == 200, address
        assert (await client.get(f"{API}/docs/..%2fapp.py")).status_code == 404
        assert (await client.get(f"{API}/docs/app.py")).status_code == 404


async def test_the_document_is_not_sent_twice(gm: Installation) -> None:
    async with gm.client() as client:
        first = await client.get(f"{API}/openapi.json")
        again = await client.get(f"{API}/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert first.status_code == 200
    assert (again.status_code, again.content) == (304, b"")


def test_every_code_of_the_http_layer_has_words() -> None:
    from gmcenter.api import errors

    codes = [one.code for one in vars(errors).values() if isinstance(one, type) and hasattr(one, "code")]
    assert len(codes) >= 6
    for language in i18n.LANGUAGES:
        assert [code for code in codes if not i18n.has(f"error.{code}", language)] == []
        assert [key for key in errors._KEYS.values() if not i18n.has(key, language)] == []
