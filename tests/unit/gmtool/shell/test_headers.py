"""The outermost layer: origins, and what it adds to answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gmtool.build_plugin import SCRIPT_HASHES, same_origin, script_hashes
from gmtool.shell import headers
from gmtool.shell.headers import Gate

FOREIGN = [(b"origin", b"https://evil.example"), (b"host", b"gm.example")]
OWN = [(b"origin", b"https://gm.example"), (b"host", b"gm.example")]


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate over a bundle with one page; portal and API answer with their name."""
    client = tmp_path / "build" / "client"
    client.mkdir(parents=True)
    (client / "login.html").write_text("x")
    (tmp_path / "build" / SCRIPT_HASHES).write_text(json.dumps(["'sha256-abc='"]))

    def named(name: str) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", name.encode())]})
            await send({"type": "http.response.body", "body": scope["path"].encode()})

        return app

    return Gate(named("portal"), named("api"), tmp_path, ["https://proxy.example"], ("/gmcapi/", "/livez"))


async def ask(
    gate: Gate, path: str, given: Any = (), method: str = "GET", kind: str = "http"
) -> tuple[int, Any, bytes]:
    """One request: status, headers, body."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    await gate({"type": kind, "method": method, "path": path, "headers": list(given)}, receive, send)
    if sent[0]["type"] == "websocket.close":
        return sent[0]["code"], {}, b""
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_an_unsafe_request_from_another_origin_is_refused(gate: Gate, method: str) -> None:
    status, _, body = await ask(gate, "/gmcapi/v2/clusters", FOREIGN, method)
    assert status == 403
    assert json.loads(body)["code"] == "foreign_origin"


async def test_a_socket_from_another_origin_is_closed(gate: Gate) -> None:
    assert (await ask(gate, "/_event", FOREIGN, kind="websocket"))[0] == 1008


async def test_the_null_origin_of_a_sandboxed_frame_is_foreign(gate: Gate) -> None:
    assert (await ask(gate, "/gmcapi/v2/x", [(b"origin", b"null"), (b"host", b"gm.example")], "POST"))[0] == 403


@pytest.mark.parametrize(
    "origin", [b"https://gm.example.evil", b"https://evil.example/gm.example", b"https://gm.example:444", b"https://["]
)
async def test_an_origin_that_only_looks_like_ours_is_foreign(gate: Gate, origin: bytes) -> None:
    assert (await ask(gate, "/gmcapi/v2/x", [(b"origin", origin), (b"host", b"gm.example")], "POST"))[0] == 403


async def test_a_cross_site_request_that_hides_its_origin_is_refused(gate: Gate) -> None:
    given = [(b"host", b"gm.example"), (b"sec-fetch-site", b"cross-site")]
    assert (await ask(gate, "/gmcapi/v2/x", given, "POST"))[0] == 403


@pytest.mark.parametrize(
    "given", [OWN, [(b"host", b"gm.example")], [(b"origin", b"https://proxy.example"), (b"host", b"10.0.0.1:8010")]]
)
async def test_our_own_pages_programs_and_configured_origins_pass(gate: Gate, given: Any) -> None:
    assert (await ask(gate, "/gmcapi/v2/x", given, "POST"))[0] == 200


async def test_reading_from_elsewhere_passes_because_the_cookie_does_not_travel(gate: Gate) -> None:
    assert (await ask(gate, "/gmcapi/v2/x", FOREIGN))[0] == 200


async def test_paths_of_the_api_go_to_the_api_and_all_others_to_the_portal(gate: Gate) -> None:
    assert (await ask(gate, "/gmcapi/v2/pods"))[1][b"x-app"] == b"api"
    assert (await ask(gate, "/livez"))[1][b"x-app"] == b"api"
    assert (await ask(gate, "/platform/clusters"))[1][b"x-app"] == b"portal"


async def test_a_page_is_served_under_its_own_path_without_a_redirect(gate: Gate) -> None:
    assert (await ask(gate, "/login"))[2] == b"/login.html"


async def test_hashed_assets_are_kept_for_a_year_and_pages_are_asked_for_again(gate: Gate) -> None:
    assert (await ask(gate, "/assets/root-abc.js"))[1][b"cache-control"] == headers.IMMUTABLE
    assert (await ask(gate, "/login"))[1][b"cache-control"] == headers.REVALIDATE
    assert (await ask(gate, "/gmcapi/v2/pods"))[1][b"cache-control"] == b"no-store"


async def test_pages_allow_only_our_scripts_and_those_the_build_knows(gate: Gate) -> None:
    policy = (await ask(gate, "/login"))[1][b"content-security-policy"].decode()
    [scripts] = [part for part in policy.split("; ") if part.startswith("script-src")]
    assert scripts == "script-src 'self' 'sha256-abc='"
    assert "unsafe-eval" not in policy
    assert "frame-ancestors 'none'" in policy


def test_addresses_of_the_backend_become_those_of_the_page() -> None:
    source, count = same_origin('const e={EVENT:"ws://localhost:8000/_event",PING:`http://localhost:8000/ping`};')
    assert count == 2
    assert "localhost:8000" not in source
    assert "location.origin.replace(/^http/,'ws')" in source


def test_the_hash_of_an_inline_script_is_the_one_a_browser_computes() -> None:
    # printf 'alert(1)' | openssl dgst -sha256 -binary | base64
    html = '<script>alert(1)</script><script src="/a.js"></script><script type="module">alert(1)</script>'
    assert script_hashes(html) == {"'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='"}
