"""REST against those who may not: strangers, Service Admins, other sites; and no credential leaves the house."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from fastapi.routing import iter_route_contexts

from gmcenter import fleet
from gmcenter.api.dependencies import known_parameters
from gmcenter.core import database
from gmcenter.core.errors import ClusterUnreachable
from gmcenter.core.settings import Settings, configure, settings
from gmcenter.fleet.door import GuardedResolver
from gmcenter.identity import sessions
from gmcenter.kube import preflight
from tests.support.api import API, CANARY, PASSWORD, Installation, event, installed, namespace, node, pod
from tests.support.api import migrated as migrated

PUBLIC = {
    ("POST", f"{API}/auth"),
    ("POST", f"{API}/auth/refresh"),
    ("POST", f"{API}/auth/login"),
    ("POST", f"{API}/auth/logout"),
    ("GET", f"{API}/openapi.json"),
    ("GET", f"{API}/docs"),
    ("GET", f"{API}/docs/{{name}}"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
}
"""The only routes that answer a stranger. A route that is added here shows nobody's data."""

FOR_PLATFORM_ADMINS = re.compile(rf"{API}/(clusters|sites)(/|$)|/metrics$")


@pytest.fixture(scope="module")
async def gm(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> AsyncIterator[Installation]:
    """One pod of each kind of thing, with a credential of each cluster in the vault."""
    async with installed(tmp_path_factory.mktemp("gm"), migrated) as made:
        about = pod("x", "x")
        made.put("seoul", "namespaces", [namespace("x")])
        made.put("seoul", "nodes", [node("x")])
        made.put("seoul", "pods", [about])
        made.put("seoul", "events", [event("x", about, "x")])
        yield made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters of these tests do not exist: a third of a second is enough to find that out."""
    monkeypatch.setitem(preflight.STAGE_SECONDS, "tcp", 0.3)


def routes(gm: Installation) -> list[tuple[str, str]]:
    """Method and path of every route of the application."""
    found = [
        (method, str(route.path))
        for route in iter_route_contexts(gm.app.routes)
        for method in sorted(route.methods or ())
    ]
    assert len(found) > 35
    return found


def filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "x", path)


BODY = {
    "clusterName": "x",
    "clusterEndpoint": "https://192.0.2.200:6443",
    "token": "x",
    "name": "x",
}


async def test_every_route_is_either_public_or_refuses_a_stranger(gm: Installation) -> None:
    forged = [
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIiwicm9sZSI6IlBBIn0."},
        {"Cookie": f"{sessions.COOKIE}=forged"},
    ]
    seen = set()
    async with gm.client() as client:
        for method, path in routes(gm):
            if (method, path) in PUBLIC:
                seen.add((method, path))
                continue
            for headers in forged:
                same_site = {"Origin": "http://gm.test"} if "Cookie" in headers else {}
                body = {"json": BODY} if method in ("POST", "PUT") else {}
                answer = await client.request(method, filled(path), headers=headers | same_site, **body)  # type: ignore[arg-type]
                assert answer.status_code == 401, (method, path, headers, answer.text)
                problem = answer.json()
                assert problem["code"] in ("unauthenticated",), problem
                assert answer.headers["www-authenticate"] == "Bearer"
    assert seen == PUBLIC, "the list of public routes names one that does not exist"


async def test_a_token_that_has_been_revoked_opens_nothing(gm: Installation) -> None:
    token = await gm.token()
    async with gm.client(headers={"Authorization": f"Bearer {token}"}) as client:
        assert (await client.get(f"{API}/pods")).status_code == 200
        await client.post(f"{API}/auth/logout")
        for method, path in routes(gm):
            if (method, path) not in PUBLIC:
                assert (await client.request(method, filled(path))).status_code == 401, (method, path)


async def test_a_service_admin_is_refused_everywhere_but_in_their_own_scope(gm: Installation) -> None:
    async with await gm.signed_in("service") as client:
        for method, path in routes(gm):
            if (method, path) in PUBLIC:
                continue
            query = {"kind": "pods"} if "/view/" in path else {}
            body = {"json": BODY} if method in ("POST", "PUT") and "contexts" not in path else {}
            if "contexts" in path:
                body = {"json": {"kubeconfig": "x"}}
            if "preflight" in path:
                body = {"json": {key: BODY[key] for key in ("clusterEndpoint", "token")}}
            if "sites" in path and body:
                body = {"json": {"name": "x"}}
            if method == "PUT" and "clusters" in path:
                body = {"json": {"cloudType": "aws"}}
            if method == "POST" and path == f"{API}/clusters":
                body = {"json": {key: BODY[key] for key in ("clusterName", "clusterEndpoint", "token")}}
            answer = await client.request(method, filled(path), params=query, **body)  # type: ignore[arg-type]
            if FOR_PLATFORM_ADMINS.match(path):
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path, answer.text)
                assert answer.json()["params"]["rule"]
            elif answer.status_code == 200 and path.count("/") == 3:
                assert answer.json().get("data") in ([], None) or "/auth" in path, (method, path)
            else:
                assert answer.status_code in (200, 204, 404), (method, path, answer.text)
    assert (await gm.signed_in("admin")) is not None


async def test_no_answer_and_no_log_line_holds_a_credential(
    gm: Installation, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every route as a Platform Admin, with canaries in the vault, in the input and in the password."""
    from gmcenter.core import log

    structlog.reset_defaults()
    log.configure("debug", "json")
    answers: list[str] = []
    try:
        async with await gm.signed_in("admin") as client:
            for method, path in routes(gm):
                if path.endswith(("/logout", "/docs/{name}")) or method == "DELETE":
                    continue
                bodies: list[dict[str, Any]] = [{}]
                if method in ("POST", "PUT"):
                    bodies = [
                        {"json": {**BODY, "token": CANARY, "clientKey": CANARY}},
                        {"json": {"clusterEndpoint": "https://127.0.0.1:1", "token": CANARY}},
                        {"json": {"clusterName": "y", "clusterEndpoint": "https://127.0.0.1:1", "token": CANARY}},
                        {"json": {"kubeconfig": _kubeconfig(CANARY)}},
                        {"json": {"kubeconfig": "users: " + CANARY}},
                        {"content": f'{{"token": "{CANARY}"'},
                        {"json": {"id": "admin", "password": CANARY}},
                    ]
                for name in ("seoul", "x"):
                    for body in bodies:
                        query = {"kind": "pods"} if "/view/" in path else {}
                        answer = await client.request(
                            method, re.sub(r"\{[^}]*\}", name, path), params=query, timeout=30, **body
                        )
                        answers.append(f"{method} {path}: {answer.text} {answer.headers}")
                        assert answer.status_code < 500, answers[-1]
    finally:
        lines = "".join(capfd.readouterr())
        structlog.reset_defaults()
    assert len(answers) > 100
    for text in (*answers, *lines.splitlines()):
        assert CANARY not in text
        assert PASSWORD not in text
        assert "PRIVATE KEY" not in text
    assert '"event": "request"' in lines


def _kubeconfig(token: str) -> str:
    return json.dumps(
        {
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }
    )


async def test_the_databases_hold_no_credential_in_the_clear(gm: Installation) -> None:
    await database.dispose()
    for path in gm.settings.data.iterdir():
        assert CANARY.encode() not in path.read_bytes(), path.name


# --- other sites ---

FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://gm.test.evil.example"},
    {"Origin": "http://gm.test:81"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Referer": "https://evil.example/http://gm.test/"},
    {},
]
OWN = [
    {"Origin": "http://gm.test"},
    {"Origin": "https://gm.test"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Referer": "http://gm.test/platform/clusters"},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_cookie_does_not_let_another_site_change_anything(gm: Installation, headers: dict[str, str]) -> None:
    cookie = {"Cookie": await gm.cookie()}
    async with gm.client(headers=cookie) as client:
        for method, path in routes(gm):
            if method in ("GET", "HEAD"):
                continue
            answer = await client.request(method, filled(path), headers=headers, json={"name": "x"})
            assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin"), (method, path)
        assert (await client.get(f"{API}/auth/me")).status_code == 200


@pytest.mark.parametrize("headers", OWN)
async def test_our_own_pages_may(gm: Installation, headers: dict[str, str]) -> None:
    async with gm.client(headers={"Cookie": await gm.cookie()}) as client:
        made = await client.post(f"{API}/sites", json={"name": "own"}, headers=headers)
        assert made.status_code == 201, made.text
        assert (await client.delete(f"{API}/sites/own", headers=headers)).status_code == 204


async def test_another_site_cannot_sign_its_visitor_in(gm: Installation) -> None:
    async with gm.client() as client:
        form = {"username": "admin", "password": PASSWORD}
        answer = await client.post(f"{API}/auth/login", data=form, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_a_program_with_a_token_needs_no_origin(gm: Installation) -> None:
    async with await gm.signed_in("admin") as client:
        assert (await client.post(f"{API}/sites", json={"name": "program"})).status_code == 201
        assert (await client.delete(f"{API}/sites/program")).status_code == 204


# --- metrics ---


async def _metrics(gm: Installation, peer: str, host: str = "localhost:8010", **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(gm.app, client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
        return await client.get("/metrics", headers=headers)


async def test_metrics_are_for_a_scraper_on_this_machine_or_a_platform_admin(gm: Installation) -> None:
    assert (await _metrics(gm, "127.0.0.1")).status_code == 200
    assert (await _metrics(gm, "192.0.2.9")).status_code == 401
    admin, service = await gm.token("admin"), await gm.token("service")
    assert (await _metrics(gm, "192.0.2.9", Authorization=f"Bearer {admin}")).status_code == 200
    assert (await _metrics(gm, "192.0.2.9", Authorization=f"Bearer {service}")).status_code == 403


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
async def test_a_stranger_behind_a_proxy_on_this_machine_gets_no_metrics(gm: Installation, name: str) -> None:
    assert (await _metrics(gm, "127.0.0.1", **{name: "127.0.0.1"})).status_code == 401


@pytest.mark.parametrize("host", ["evil.test", "gm.example:8010", "localhost.evil.test"])
async def test_a_page_that_reaches_this_machine_by_its_own_name_gets_no_metrics(gm: Installation, host: str) -> None:
    assert (await _metrics(gm, "127.0.0.1", host=host)).status_code == 401


# --- addresses of our own ---


@pytest.fixture
def no_loopback(gm: Installation) -> Iterator[Settings]:
    """The settings of production: loopback is no place for a cluster."""
    before = settings()
    strict = before.model_copy(update={"allow_loopback": False})
    configure(strict)
    yield strict
    configure(before)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://127.0.0.1:6443",
        "https://localhost:6443",
        "https://[::1]:6443",
        "https://[::ffff:127.0.0.1]:6443",
        "https://169.254.169.254",
        "https://[fd00:ec2::254]",
        "https://[fe80::1]:6443",
        "https://0.0.0.0:6443",
        "https://224.0.0.1",
        "https://2130706433",
    ],
)
async def test_a_cluster_cannot_be_registered_at_an_address_of_our_own(
    gm: Installation, no_loopback: Settings, endpoint: str
) -> None:
    async with await gm.signed_in("admin") as client:
        given = {"clusterName": "ours", "clusterEndpoint": endpoint, "token": "x", "acceptWarnings": True}
        answer = await client.post(f"{API}/clusters", json=given)
    assert (answer.status_code, answer.json()["code"]) == (422, "preflight_failed")
    assert answer.json()["params"]["reason"] in ("address_refused", "unknown_host")


async def test_dialling_refuses_an_address_of_our_own_that_was_registered_before(
    gm: Installation, no_loopback: Settings
) -> None:
    ref = (await fleet.clusters())[0]
    moved = type(ref)(**{name: getattr(ref, name) for name in ref.__slots__} | {"endpoint": "https://127.0.0.1:1"})
    with pytest.raises(ClusterUnreachable) as caught:
        await fleet.dial(moved)
    assert caught.value.reason == "address_refused"


async def test_a_name_is_checked_at_each_connection_and_not_only_at_the_first(gm: Installation) -> None:
    """DNS rebinding: a public address for the check, our own metadata service for the connection after it."""
    answers = [["192.0.2.1"], ["169.254.169.254"]]

    async def lookup(host: str, port: int) -> list[str]:
        return answers.pop(0)

    resolver = GuardedResolver("rebound", allow_loopback=False, lookup=lookup)
    assert [found["host"] for found in await resolver.resolve("rebind.example", 443)] == ["192.0.2.1"]
    with pytest.raises(ClusterUnreachable) as caught:
        await resolver.resolve("rebind.example", 443)
    assert caught.value.reason == "address_refused"


async def test_a_connection_does_not_follow_a_name_to_an_address_of_our_own(
    gm: Installation, no_loopback: Settings
) -> None:
    touched = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        touched.set()
        writer.close()

    async def lookup(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ref = (await fleet.clusters())[0]
    fields = {name: getattr(ref, name) for name in ref.__slots__}
    moved = type(ref)(**fields | {"endpoint": f"https://rebind.example:{port}"})
    async with server, await fleet.dial(moved, lookup=lookup) as connection:
        with pytest.raises(ClusterUnreachable) as caught:
            await connection.get_json("/version")
    assert caught.value.reason == "address_refused"
    assert not touched.is_set()


def test_every_route_refuses_unknown_parameters(gm: Installation) -> None:
    for route in iter_route_contexts(gm.app.routes):
        calls = {dependency.call for dependency in route.dependant.dependencies}
        assert known_parameters in calls, route.path
