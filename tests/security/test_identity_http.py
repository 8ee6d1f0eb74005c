"""Signing in and out over HTTP: what a stranger gets, what cookies are like, and that nothing leaks."""

import json
import logging
import statistics
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gmcenter.core import database, log
from gmcenter.core.settings import Settings, configure
from gmcenter.identity import routes, service, sessions, throttle
from gmcenter.identity.actor import SYSTEM
from tests.support.identity import PASSWORD, make_user

AUTH = "/gmcapi/v2/auth"
PROTECTED = [("GET", "/me"), ("GET", "/sessions"), ("DELETE", f"/sessions/{'0' * 32}")]


@pytest.fixture(autouse=True)
async def people(installation: Settings) -> None:
    await make_user("admin", "PA")
    await make_user("hong")


async def sign_in(http: httpx.AsyncClient, name: str = "hong", password: str = PASSWORD) -> dict[str, Any]:
    answer = await http.post(AUTH, json={"id": name, "password": password})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def form(http: httpx.AsyncClient, **fields: str) -> httpx.Response:
    given = {"username": "hong", "password": PASSWORD, "next": "/service"} | fields
    return await http.post(f"{AUTH}/login", data=given)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# --- the wire ---


async def test_a_program_signs_in_with_the_fields_that_siblings_read(http: httpx.AsyncClient) -> None:
    document = await sign_in(http)
    assert set(document) == {"status", "accessToken", "userId", "refreshToken", "expiresIn"}
    assert (document["status"], document["userId"], document["expiresIn"]) == (200, "hong", 900)
    answer = await http.get("/who", headers=bearer(document["accessToken"]))
    assert answer.json()["name"] == "hong"


@pytest.mark.parametrize("names", [("id", "password"), ("Id", "Password"), ("ID", "PASSWORD"), ("iD", "passWord")])
async def test_field_names_are_read_in_any_case(http: httpx.AsyncClient, names: tuple[str, str]) -> None:
    answer = await http.post(AUTH, json=dict(zip(names, ("hong", PASSWORD), strict=True)))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "null", '"x"', "{}", '{"id":"hong"}', '{"id":1,"password":2}', '{"id":"","password":""}',
     '{"id":{"$ne":1},"password":{"$ne":1}}', "[" * 5000, '{"id":"\\ud800","password":"x"}'],
)  # fmt: skip
async def test_a_body_of_another_form_is_refused_without_repeating_it(http: httpx.AsyncClient, body: str) -> None:
    answer = await http.post(AUTH, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


async def test_answers_with_tokens_are_never_cached(http: httpx.AsyncClient) -> None:
    answer = await http.post(AUTH, json={"id": "hong", "password": PASSWORD})
    assert answer.headers["cache-control"] == "no-store"
    again = await http.post(f"{AUTH}/refresh", json={"refreshToken": answer.json()["refreshToken"]})
    assert again.status_code == 200
    assert again.headers["cache-control"] == "no-store"
    assert (await form(http)).headers["cache-control"] == "no-store"


async def test_a_refresh_token_works_once(http: httpx.AsyncClient) -> None:
    document = await sign_in(http)
    body = {"refreshToken": document["refreshToken"]}
    following = await http.post(f"{AUTH}/refresh", json=body)
    assert following.status_code == 200
    assert (await http.post(f"{AUTH}/refresh", json=body)).status_code == 401
    assert (await http.get("/who", headers=bearer(following.json()["accessToken"]))).status_code == 401


async def test_me_says_who(http: httpx.AsyncClient) -> None:
    document = await sign_in(http)
    me = (await http.get(f"{AUTH}/me", headers=bearer(document["accessToken"]))).json()["data"]
    assert (me["userId"], me["role"], me["displayName"], me["language"]) == ("hong", "SA", "", "ko")


async def test_sessions_are_listed_and_ended(http: httpx.AsyncClient) -> None:
    one, two = await sign_in(http), await sign_in(http)
    head = bearer(one["accessToken"])
    listed = (await http.get(f"{AUTH}/sessions", headers=head)).json()["data"]
    assert len(listed) == 2
    assert listed[0]["createdAt"].endswith("Z")
    other = next(entry["id"] for entry in listed if not entry["current"])
    assert (await http.delete(f"{AUTH}/sessions/{other}", headers=head)).status_code == 204
    assert (await http.get("/who", headers=bearer(two["accessToken"]))).status_code == 401
    assert (await http.get(f"{AUTH}/sessions?all=true", headers=head)).status_code == 403


async def test_a_service_admin_cannot_end_someone_else_s_session(http: httpx.AsyncClient) -> None:
    admin, hong = await sign_in(http, "admin"), await sign_in(http)
    theirs = (await http.get(f"{AUTH}/me", headers=bearer(admin["accessToken"]))).json()["data"]["sessionId"]
    answer = await http.delete(f"{AUTH}/sessions/{theirs}", headers=bearer(hong["accessToken"]))
    assert (answer.status_code, answer.json()["params"]["rule"]) == (403, "own")
    assert (await http.get("/who", headers=bearer(admin["accessToken"]))).status_code == 200


async def test_a_bearer_logs_out(http: httpx.AsyncClient) -> None:
    document = await sign_in(http)
    head = bearer(document["accessToken"])
    assert (await http.post(f"{AUTH}/logout", headers=head)).status_code == 204
    assert (await http.get("/who", headers=head)).status_code == 401
    assert (await http.post(f"{AUTH}/logout", headers=head)).status_code == 401


async def test_operation_ids_are_stable(http: httpx.AsyncClient) -> None:
    paths = (await http.get("/openapi.json")).json()["paths"]
    found = {
        operation["operationId"]
        for path, verbs in paths.items()
        if path.startswith(AUTH)
        for operation in verbs.values()
    }
    assert found == {"login", "loginByForm", "refreshToken", "logout", "getMe", "listSessions", "revokeSession"}


async def test_the_document_names_fields_as_they_are_sent(http: httpx.AsyncClient) -> None:
    schemas = (await http.get("/openapi.json")).json()["components"]["schemas"]
    assert set(schemas["TokenAnswer"]["properties"]) == {"status", "accessToken", "refreshToken", "userId", "expiresIn"}
    assert set(schemas["Credentials"]["properties"]) == {"id", "password"}


# --- the browser ---


async def test_the_form_sets_a_cookie_that_no_script_reads_and_sends_on(http: httpx.AsyncClient) -> None:
    answer = await form(http)
    assert (answer.status_code, answer.headers["location"]) == (303, "/service")
    cookie = answer.headers["set-cookie"]
    parts = {part.strip().partition("=")[0].lower(): part.strip().partition("=")[2] for part in cookie.split(";")}
    assert parts["gm_session"]
    assert {"httponly", "path", "max-age", "samesite"} <= set(parts)
    assert (parts["path"], parts["samesite"], parts["max-age"]) == ("/", "lax", str(12 * 3600))
    assert "secure" not in parts
    assert "domain" not in parts
    assert (await http.get("/who")).json()["name"] == "hong"


@pytest.mark.parametrize("origin", ["https://gm.test", "https://console.example:8443"])
async def test_the_cookie_is_secure_when_the_browser_speaks_https(http: httpx.AsyncClient, origin: str) -> None:
    data = {"username": "hong", "password": PASSWORD}
    by_proxy = await http.post(f"{AUTH}/login", data=data, headers={"Origin": origin})
    direct = await http.post(f"https://gm.test{AUTH}/login", data=data)
    for answer in (by_proxy, direct):
        assert "; Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"password": "Wrong-horse-77"}, "invalid_credentials"),
        ({"username": "nobody"}, "invalid_credentials"),
        ({"username": "", "password": ""}, "invalid_credentials"),
    ],
)
async def test_a_refused_form_comes_back_with_the_reason_and_without_a_cookie(
    http: httpx.AsyncClient, fields: dict[str, str], code: str
) -> None:
    answer = await form(http, **fields, lang="en")
    assert answer.status_code == 303
    place = urlsplit(answer.headers["location"])
    assert (place.path, place.netloc) == ("/login", "")
    assert parse_qs(place.query) == {"error": [code], "next": ["/service"], "lang": ["en"]}
    assert "set-cookie" not in answer.headers


async def test_a_locked_name_is_told_how_long(http: httpx.AsyncClient) -> None:
    for _ in range(5):
        await form(http, password="Wrong-horse-77")
    query = parse_qs(urlsplit((await form(http)).headers["location"]).query)
    assert query["error"] == ["login_locked"]
    assert 25 <= int(query["retry_after"][0]) <= 30


async def test_a_browser_logs_out_to_the_login_page_signed_in_or_not(http: httpx.AsyncClient) -> None:
    await form(http)
    for _ in range(2):
        answer = await http.post(f"{AUTH}/logout")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert 'gm_session=""; ' in answer.headers["set-cookie"]
        assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await http.get("/who")).status_code == 401


async def test_a_logged_out_cookie_that_was_kept_opens_nothing(http: httpx.AsyncClient) -> None:
    await form(http)
    kept = http.cookies["gm_session"]
    await http.post(f"{AUTH}/logout")
    http.cookies.set("gm_session", kept)
    assert (await http.get("/who")).status_code == 401


async def test_each_sign_in_has_a_cookie_of_its_own(http: httpx.AsyncClient) -> None:
    await form(http)
    first = http.cookies["gm_session"]
    await form(http)
    assert http.cookies["gm_session"] != first


ELSEWHERE = [
    "https://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\/evil.example",
    "javascript:alert(1)", "/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example",
    "\\\\evil.example", "data:text/html,x",
    "evil.example", "http:evil.example", "", "/" * 2 + "x", "/x" * 2000, "/login", "/login?next=/login",
    "/%0d\r\nSet-Cookie: a=b", "/\u2028//evil.example", "//[::1", "/\x7f/evil", "/\ud800",
]  # fmt: skip


@pytest.mark.parametrize("target", ELSEWHERE)
def test_a_sign_in_sends_nobody_elsewhere(target: str) -> None:
    assert routes.same_site_path(target) == "/"


@pytest.mark.parametrize(
    "target", ["/", "/service/workloads/pods?cluster=edge-1&q=a%2Fb", "/a//b", "/워크로드", "/x#y", "/a:b"]
)
def test_a_sign_in_comes_back_to_where_it_was(target: str) -> None:
    assert routes.same_site_path(target) == target


@given(st.one_of(st.text(), st.text(alphabet="/\\:.@?#ab \t\r\n%", max_size=20)))
def test_whatever_next_says_the_browser_stays_here(target: str) -> None:
    kept = routes.same_site_path(target)
    assert kept.startswith("/")
    assert not kept.startswith(("//", "/\\"))
    assert not set(kept) & set("\r\n\t\\\0")


async def test_the_redirect_cannot_be_split(http: httpx.AsyncClient) -> None:
    answer = await form(http, next="/x\r\nSet-Cookie: evil=1")
    assert answer.headers["location"] == "/"
    assert "evil" not in str(answer.headers)


# --- strangers ---


@pytest.mark.parametrize(("method", "path"), PROTECTED)
async def test_a_stranger_gets_401_and_nothing_else(http: httpx.AsyncClient, method: str, path: str) -> None:
    forged = ["", "Bearer", "Bearer x", "Basic aG9uZzp4", "Bearer " + "A" * 10_000, "bearer null", "Token x", "\x80"]
    for header in [None, *forged]:
        headers = {} if header is None else {"Authorization": header.encode("latin-1")}
        answer = await http.request(method, AUTH + path, headers=headers)
        assert answer.status_code == 401, header
        assert answer.json()["code"] == "unauthenticated"


async def test_a_bad_token_is_not_saved_by_a_good_cookie(http: httpx.AsyncClient) -> None:
    await form(http)
    assert (await http.get("/who")).status_code == 200
    for header in ("Bearer x", "Basic aG9uZzp4", "x"):
        assert (await http.get("/who", headers={"Authorization": header})).status_code == 401


async def test_a_disabled_user_is_out_at_once(http: httpx.AsyncClient) -> None:
    document = await sign_in(http)
    await form(http)
    await service.set_enabled(SYSTEM, "hong", False)
    assert (await http.get("/who")).status_code == 401
    assert (await http.get("/who", headers=bearer(document["accessToken"]))).status_code == 401
    refused = await http.post(f"{AUTH}/refresh", json={"refreshToken": document["refreshToken"]})
    assert refused.status_code == 401


async def test_known_and_unknown_names_get_byte_for_byte_the_same_answers(http: httpx.AsyncClient) -> None:
    answers: dict[str, list[tuple[int, bytes]]] = {"hong": [], "nobody": []}
    for name, got in answers.items():
        for _ in range(7):
            answer = await http.post(AUTH, json={"id": name, "password": "Wrong-horse-77"})
            got.append((answer.status_code, answer.content.replace(b"29", b"30")))
    assert answers["hong"] == answers["nobody"]
    assert [status for status, _ in answers["hong"]] == [401] * 5 + [429] * 2


@pytest.mark.usefixtures("real_hashes")
async def test_known_and_unknown_names_take_the_same_time(http: httpx.AsyncClient, installation: Settings) -> None:
    configure(installation.model_copy(update={"login_failures": 100}))
    await service.set_password(SYSTEM, "hong", PASSWORD)

    async def seconds(name: str) -> float:
        started = time.process_time()  # of all threads: what other programs do does not count
        answer = await http.post(AUTH, json={"id": name, "password": "Wrong-horse-77"})
        assert answer.status_code == 401
        return time.process_time() - started

    await seconds("nobody")
    pairs = [(await seconds("hong"), await seconds("nobody")) for _ in range(5)]
    known, unknown = (statistics.median(side) for side in zip(*pairs, strict=True))
    assert 0.5 < known / unknown < 2.0, (known, unknown)


async def test_too_many_attempts_are_told_when_to_come_back(http: httpx.AsyncClient, installation: Settings) -> None:
    configure(installation.model_copy(update={"login_rate": "2/minute"}))
    throttle.reset()
    for _ in range(2):
        await sign_in(http)
    answer = await http.post(AUTH, json={"id": "hong", "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert 1 <= answer.json()["params"]["retry_after"] <= 60
    forms = await form(http)
    assert parse_qs(urlsplit(forms.headers["location"]).query)["error"] == ["rate_limited"]


@given(
    st.dictionaries(
        st.text(max_size=10), st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=40)), max_size=4
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_body_is_a_mistake_of_ours(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    for path in ("", "/refresh"):
        answer = await http.post(AUTH + path, content=json.dumps(body), headers={"Content-Type": "application/json"})
        assert answer.status_code in (401, 422, 429)


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=40))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_form_is_a_mistake_of_ours(http: httpx.AsyncClient, name: str, password: str, target: str) -> None:
    answer = await form(http, username=name, password=password, next=target)
    assert answer.status_code == 303
    assert urlsplit(answer.headers["location"]).path == "/login"


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_cookie_and_no_token_is_a_mistake_of_ours(http: httpx.AsyncClient, raw: bytes) -> None:
    value = raw.translate(None, b"\r\n\0")
    for headers in ({"Cookie": b"gm_session=" + value}, {"Cookie": value}, {"Authorization": b"Bearer " + value}):
        assert (await http.get("/who", headers=headers)).status_code == 401


# --- what is left behind ---


async def test_log_lines_carry_the_user_s_id(http: httpx.AsyncClient) -> None:
    document = await sign_in(http)
    answer = await http.get("/who", headers=bearer(document["accessToken"]))
    assert answer.json()["bound"] == (await service.get(SYSTEM, "hong")).id


async def test_the_request_s_language_overrules_the_user_s(http: httpx.AsyncClient) -> None:
    head = bearer((await sign_in(http))["accessToken"])
    assert (await http.get("/who", headers=head)).json()["language"] == "ko"
    assert (await http.get("/who", headers=head | {"Accept-Language": "en-GB,ko;q=0.5"})).json()["language"] == "en"


async def test_no_log_line_holds_a_password_a_token_or_a_hash(
    http: httpx.AsyncClient, capsys: pytest.CaptureFixture[str], installation: Settings
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    log.configure("debug", "json")
    database_log = logging.getLogger("sqlalchemy.engine")
    database_log.setLevel(logging.INFO)
    await database.dispose()
    try:
        document = await sign_in(http)
        refreshed = (await http.post(f"{AUTH}/refresh", json={"refreshToken": document["refreshToken"]})).json()
        await http.post(f"{AUTH}/refresh", json={"refreshToken": document["refreshToken"]})
        await http.post(AUTH, json={"id": "hong", "password": "Canary-wrong-1"})
        await http.post(AUTH, json={"id": "canary-name-2", "password": "Canary-wrong-3"})
        await http.post(
            AUTH, content='{"id":"hong","password":["Canary-wrong-4"]}', headers={"Content-Type": "application/json"}
        )
        await form(http)
        cookie = http.cookies["gm_session"]
        await form(http, password="Canary-wrong-5")
        await http.get("/who")
        await http.get("/who", headers=bearer(refreshed["accessToken"][:-2]))
        await service.set_password(SYSTEM, "hong", "Canary-new-6")
        await http.post(f"{AUTH}/logout")
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        database_log.setLevel(logging.NOTSET)
        await database.dispose()
    lines = capsys.readouterr().err
    assert "refresh_token_reused" in lines, "nothing was captured"
    assert "UPDATE login_session" in lines, "the database's own lines were not captured"
    hidden = [PASSWORD, "Canary", "canary", cookie, "argon2id$", sessions.registry.hashed(cookie)]
    hidden += [document[key] for key in ("accessToken", "refreshToken")]
    hidden += [refreshed[key] for key in ("accessToken", "refreshToken")]
    assert [word for word in hidden if word in lines] == []


async def test_no_answer_repeats_a_password(http: httpx.AsyncClient) -> None:
    for body in (
        '{"id":"hong","password":"Canary-1"}',
        '{"id":["Canary-1"],"password":"Canary-1"}',
        '{"password":"Canary-1"}',
    ):
        answer = await http.post(AUTH, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (401, 422)
        if answer.status_code == 401:
            assert "Canary" not in answer.text
    answer = await form(http, password="Canary-1")
    assert "Canary" not in answer.text + str(answer.headers)
