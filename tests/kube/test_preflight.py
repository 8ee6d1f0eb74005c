"""The preflight against real API servers and against everything that is none."""

import asyncio
import base64
import datetime
import http.server
import json
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from gmcenter.core import i18n
from gmcenter.kube import kubeconfig, preflight
from gmcenter.kube.preflight import STAGES, StageResult
from gmcenter.kube.target import Target
from tests.lab.cluster import LabCluster
from tests.support.tls import DAY, Authority

CANARY = "canary-9be1-token"
Results = dict[str, StageResult]


async def check(target: Target, **options: Any) -> Results:
    """All stages by name. Whatever happened, all eight are told, in order, in words of both languages."""
    options.setdefault("allow_loopback", True)
    started = time.monotonic()
    results = [result async for result in preflight.run(target, **options)]
    assert time.monotonic() - started < 16
    assert [result.stage for result in results] == list(STAGES)
    for result in results:
        for language in i18n.LANGUAGES:
            words = f"clusters.preflight.reason.{result.reason}"
            assert i18n.has(words, language), result
            assert "{" not in i18n.message(words, language, **result.params), result
            if result.remedy:
                assert i18n.has(result.remedy, language), result
                assert "{" not in i18n.message(result.remedy, language, **result.params), result
        assert CANARY not in repr(result)
    return {result.stage: result for result in results}


def failed(results: Results) -> tuple[str, str]:
    """Stage and reason of the failure; everything after it was skipped, everything before it was not."""
    stages = list(results.values())
    at = next(i for i, result in enumerate(stages) if result.state == "failed")
    assert all(result.state in ("ok", "warn") for result in stages[:at])
    assert all(result.state == "skipped" for result in stages[at + 1 :])
    return stages[at].stage, stages[at].reason


@contextmanager
def listening(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server on loopback that gives each connection to `handle` in a thread; yields its port."""
    server = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            held.append(connection)
            threading.Thread(target=_quietly, args=(handle, connection), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.close()
        for connection in held:
            connection.close()


def _quietly(handle: Callable[[socket.socket], None], connection: socket.socket) -> None:
    try:
        handle(connection)
    except OSError:
        pass


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class _Answers(http.server.BaseHTTPRequestHandler):
    """Answers every request by the table of its server: path → (status, document)."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        server: Any = self.server
        status, document = server.answers(self.path, self.headers.get("Authorization", ""))
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response_only(status)
        self.send_header("Date", server.date())
        self.send_header("Content-Length", str(len(body)))
        if 300 <= status < 400:
            self.send_header("Location", "https://evil.example/")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_HEAD = do_GET  # noqa: N815 the library's names

    def log_message(self, *args: Any) -> None:
        pass


class FakeApiServer(http.server.ThreadingHTTPServer):
    """Not an API server: it plays states that a real one cannot be brought into (old, slow, wrong clock, no RBAC)."""

    daemon_threads = True

    def __init__(
        self, answers: Callable[[str, str], tuple[int, Any]], context: ssl.SSLContext, ahead: float = 0
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.answers, self.ahead = answers, ahead
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is what half of the tests are about."""

    def date(self) -> str:
        now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.ahead)
        return now.strftime("%a, %d %b %Y %H:%M:%S GMT")


@contextmanager
def serving(
    authority: Authority,
    folder: Path,
    answers: Callable[[str, str], tuple[int, Any]],
    *,
    ahead: float = 0,
    **certificate: Any,
) -> Iterator[str]:
    """A TLS server with a certificate of the authority; yields its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("server", **certificate).write(folder, "server"))
    server = FakeApiServer(answers, context, ahead)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def api(version: str = "v1.30.1", allowed: bool = True, user: str = "gm", delay: float = 0) -> Callable[..., Any]:
    """What an API server of a version answers to the preflight."""

    def answers(path: str, authorization: str) -> tuple[int, Any]:
        time.sleep(delay)
        if path == "/version":
            return 200, {"gitVersion": version}
        if path.endswith("selfsubjectreviews"):
            return 201, {"status": {"userInfo": {"username": user}}}
        return 201, {"status": {"allowed": allowed}}

    return answers


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("lab-authority")


def admin(cluster: LabCluster, **changes: Any) -> Target:
    parts = {"endpoint": cluster.url, "ca_pem": cluster.ca_pem, "token": cluster.token("admin"), **changes}
    return Target(**parts)


# --- the ways in that work ---


async def test_a_good_cluster_passes_every_stage(lab_cluster: LabCluster) -> None:
    results = await check(admin(lab_cluster))
    assert {stage: result.state for stage, result in results.items()} == dict.fromkeys(STAGES, "ok")
    assert results["authentication"].params["user"] == "token-admin"
    assert results["version"].params["version"].startswith("v1.")
    assert results["permissions"].params == {"missing": "", "impersonates": True}
    assert 0 < results["latency"].params["milliseconds"] < 1000
    assert results["clock"].params["seconds"] <= 2


async def test_a_client_certificate_of_a_kubeconfig_passes_too(lab_cluster: LabCluster) -> None:
    parsed = kubeconfig.parse(lab_cluster.kubeconfig().read_bytes())
    results = await check(parsed.target(parsed.current))
    assert {result.state for result in results.values()} == {"ok"}
    assert results["authentication"].params["user"] == "lab-admin"


async def test_a_preflight_leaves_nothing_in_the_cluster(lab_cluster: LabCluster) -> None:
    def held() -> dict[str, int]:
        paths = ("/api/v1/secrets", "/api/v1/serviceaccounts", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings")
        return {path: len(lab_cluster.client.request("GET", path)["items"]) for path in paths}

    before = held()
    await check(admin(lab_cluster))
    assert held() == before


# --- registration's six classics: wrong CA, wrong token, not Kubernetes, closed port, unknown host, 30 s latency ---


async def test_a_wrong_ca_is_told_with_the_issuer_of_the_certificate(
    lab_cluster: LabCluster, authority: Authority
) -> None:
    results = await check(admin(lab_cluster, ca_pem=authority.ca_pem))
    assert failed(results) == ("tls", "unknown_authority")
    assert results["tls"].params["issuer"].startswith("lab-ca-")


async def test_a_wrong_token_is_told_at_authentication(lab_cluster: LabCluster) -> None:
    results = await check(admin(lab_cluster, token=CANARY))
    assert failed(results) == ("authentication", "token_refused")


async def test_an_https_server_that_is_no_kubernetes_is_told_so(authority: Authority, tmp_path: Path) -> None:
    with serving(authority, tmp_path, lambda path, _: (200, b"<html>welcome</html>")) as url:
        results = await check(Target(url, authority.ca_pem, token=CANARY))
    assert failed(results) == ("authentication", "not_kubernetes")
    assert results["authentication"].params == {"status": 200}


@pytest.mark.parametrize(
    "answer", [b"null", b"[]", {"status": None}, {"status": "x"}, {"status": {"userInfo": []}}, b"[" * 100_000, b"\xff"]
)
async def test_answers_without_the_form_of_kubernetes_end_a_stage_and_not_the_check(
    authority: Authority, tmp_path: Path, answer: Any
) -> None:
    def answers(path: str, _: str) -> tuple[int, Any]:
        return (200, {"gitVersion": "v1.30.1"}) if path == "/version" else (201, answer)

    with serving(authority, tmp_path, answers) as url:
        results = await check(Target(url, authority.ca_pem, token=CANARY))
    assert failed(results) == ("permissions", "permissions_none")


async def test_a_server_that_hangs_up_on_everyone_after_the_first_is_told(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, calls = asyncio.open_connection, []

    async def once(*where: Any, **options: Any) -> Any:
        calls.append(where)
        if len(calls) > 1:
            raise ConnectionResetError
        return await connect(*where, **options)

    monkeypatch.setattr(asyncio, "open_connection", once)
    with listening(lambda _: None) as port:
        results = await check(Target(f"https://127.0.0.1:{port}", authority.ca_pem, token=CANARY))
    assert failed(results) == ("tls", "connection_lost")


async def test_a_closed_port_is_told_at_tcp() -> None:
    port = closed_port()
    results = await check(Target(f"https://127.0.0.1:{port}", token=CANARY))
    assert failed(results) == ("tcp", "port_closed")
    assert results["tcp"].params["port"] == port


async def test_an_unknown_host_is_told_at_dns() -> None:
    results = await check(Target("https://no-such-host.invalid:6443", token=CANARY))
    assert failed(results) == ("dns", "unknown_host")
    assert results["dns"].params == {"host": "no-such-host.invalid"}


async def test_thirty_seconds_of_latency_end_in_words_within_fifteen(healthy_lab: list[LabCluster]) -> None:
    healthy_lab[0].slow(30_000)
    started = time.monotonic()
    results = await check(admin(healthy_lab[0]))
    assert time.monotonic() - started <= 15
    assert failed(results) == ("tls", "tls_timeout")


# --- addresses ---


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "[::1]", "[fd00:ec2::254]", "0.0.0.0"])
async def test_an_address_that_is_not_allowed_is_never_connected_to(host: str) -> None:
    touched: list[bool] = []
    with listening(lambda connection: touched.append(True)) as port:
        results = await check(Target(f"https://{host}:{port}", token=CANARY), allow_loopback=False)
    assert failed(results) == ("dns", "address_refused")
    assert touched == []


async def test_a_name_that_changes_its_answer_does_not_move_the_connection(
    lab_cluster: LabCluster, authority: Authority
) -> None:
    """DNS rebinding: the first answer is the cluster, every later one is a service of ours."""
    asked: list[str] = []
    endpoint = lab_cluster.url.replace("127.0.0.1", "rebind.example")

    async def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    target = admin(lab_cluster, endpoint=endpoint, tls_server_name="localhost")
    results = await check(target, lookup=lookup)
    assert {result.state for result in results.values()} == {"ok"}
    assert asked == ["rebind.example"]


async def test_a_name_service_that_never_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lookup(host: str, port: int) -> list[str]:
        await asyncio.sleep(3600)
        return []

    monkeypatch.setitem(preflight.STAGE_SECONDS, "dns", 0.3)
    results = await check(Target("https://slow.example", token=CANARY), lookup=lookup)
    assert failed(results) == ("dns", "dns_timeout")


async def test_a_port_that_takes_no_connection_is_told_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(preflight.STAGE_SECONDS, "tcp", 0.5)
    server = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = server.getsockname()[1]
    fillers = []
    try:
        for _ in range(8):  # a full backlog drops further SYNs, as a firewall does
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        results = await check(Target(f"https://127.0.0.1:{port}", token=CANARY))
    finally:
        for filler in fillers:
            filler.close()
        server.close()
    assert failed(results) == ("tcp", "tcp_timeout")


# --- TLS ---


async def test_a_silent_port_is_told_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(preflight.STAGE_SECONDS, "tls", 0.5)
    with listening(lambda connection: None) as port:
        results = await check(Target(f"https://127.0.0.1:{port}", token=CANARY))
    assert failed(results) == ("tls", "tls_timeout")


async def test_a_plain_http_server_is_told() -> None:
    def http_server(connection: socket.socket) -> None:
        data = connection.recv(65536)
        good = data.startswith(b"HEAD")
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" if good else b"HTTP/1.0 400 Bad Request\r\n\r\n")
        connection.close()

    with listening(http_server) as port:
        results = await check(Target(f"https://127.0.0.1:{port}", token=CANARY))
    assert failed(results) == ("tls", "plain_http")


async def test_another_service_is_told() -> None:
    def ssh(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        connection.recv(65536)

    with listening(ssh) as port:
        results = await check(Target(f"https://127.0.0.1:{port}", token=CANARY))
    assert failed(results) == ("tls", "not_tls")


async def test_a_port_that_hangs_up_is_told() -> None:
    with listening(lambda connection: connection.close()) as port:
        results = await check(Target(f"https://127.0.0.1:{port}", token=CANARY))
    assert failed(results) == ("tls", "tls_closed")


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ({"begins": -10 * DAY, "ends": -DAY}, "certificate_expired"),
        ({"begins": DAY, "ends": 10 * DAY}, "certificate_not_yet_valid"),
        ({"names": ("kubernetes.example", "10.0.0.1")}, "name_mismatch"),
    ],
)
async def test_a_certificate_that_does_not_hold_is_told_with_what_it_says(
    authority: Authority, tmp_path: Path, certificate: dict[str, Any], reason: str
) -> None:
    with serving(authority, tmp_path, api(), **certificate) as url:
        results = await check(Target(url, authority.ca_pem, token=CANARY))
    assert failed(results) == ("tls", reason)
    assert results["tls"].params["issuer"] == "lab-authority"
    if reason == "name_mismatch":
        assert results["tls"].params["names"] == "kubernetes.example, 10.0.0.1"
        assert results["tls"].params["expected"] == "127.0.0.1"


async def test_a_tls_server_name_heals_a_name_that_does_not_match(authority: Authority, tmp_path: Path) -> None:
    with serving(authority, tmp_path, api(), names=("kubernetes.example",)) as url:
        results = await check(Target(url, authority.ca_pem, token=CANARY, tls_server_name="kubernetes.example"))
    assert results["clock"].state == "ok"


async def test_a_private_authority_that_was_not_given_is_told(authority: Authority, tmp_path: Path) -> None:
    with serving(authority, tmp_path, api()) as url:
        results = await check(Target(url, token=CANARY))
    assert failed(results) == ("tls", "no_authority")


async def test_a_certificate_that_ends_soon_is_a_warning(authority: Authority, tmp_path: Path) -> None:
    with serving(authority, tmp_path, api(), ends=9 * DAY) as url:
        results = await check(Target(url, authority.ca_pem, token=CANARY))
    assert (results["tls"].state, results["tls"].reason) == ("warn", "certificate_expires_soon")
    assert results["tls"].params["days"] in (8, 9)
    assert results["clock"].state == "ok"


# --- authentication ---


def jwt(**claims: Any) -> str:
    parts = [{"alg": "RS256"}, claims]
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts) + ".c2ln"


async def test_a_token_that_has_ended_is_told_with_its_time(lab_cluster: LabCluster) -> None:
    results = await check(admin(lab_cluster, token=jwt(exp=1_700_000_000)))
    assert failed(results) == ("authentication", "token_expired")
    assert results["authentication"].params["notAfter"] == "2023-11-14T22:13:20Z"


async def test_a_client_certificate_of_another_authority_is_told(lab_cluster: LabCluster, authority: Authority) -> None:
    pair = authority.issue("admin")
    target = Target(lab_cluster.url, lab_cluster.ca_pem, certificate_pem=pair.certificate, key_pem=pair.key)
    assert failed(await check(target)) == ("authentication", "client_certificate_refused")


async def test_a_client_certificate_that_has_ended_is_told(lab_cluster: LabCluster, authority: Authority) -> None:
    pair = authority.issue("admin", begins=-10 * DAY, ends=-DAY)
    target = Target(lab_cluster.url, lab_cluster.ca_pem, certificate_pem=pair.certificate, key_pem=pair.key)
    assert failed(await check(target)) == ("authentication", "client_certificate_expired")


async def test_a_redirect_is_not_followed(authority: Authority, tmp_path: Path) -> None:
    with serving(authority, tmp_path, lambda path, _: (302, b"")) as url:
        results = await check(Target(url, authority.ca_pem, token=CANARY))
    assert failed(results) == ("authentication", "not_kubernetes")


async def test_an_endless_answer_is_cut_off(authority: Authority, tmp_path: Path) -> None:
    with serving(authority, tmp_path, lambda path, _: (200, b"x" * 5_000_000)) as url:
        results = await check(Target(url, authority.ca_pem, token=CANARY))
    assert failed(results) == ("authentication", "not_kubernetes")


async def test_an_api_server_that_is_not_ready_is_told(authority: Authority, tmp_path: Path) -> None:
    def starting(path: str, _: str) -> tuple[int, Any]:
        return (200, {"gitVersion": "v1.30.1"}) if path == "/version" else (503, {"kind": "Status"})

    with serving(authority, tmp_path, starting) as url:
        results = await check(Target(url, authority.ca_pem, token=CANARY))
    assert failed(results) == ("authentication", "api_unavailable")


async def test_a_proxy_that_drops_the_credential_is_told(authority: Authority, tmp_path: Path) -> None:
    with serving(authority, tmp_path, api(user="system:anonymous")) as url:
        results = await check(Target(url, authority.ca_pem, token=CANARY))
    assert failed(results) == ("authentication", "credential_ignored")


async def test_a_server_that_stops_answering_is_told_after_its_time(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(preflight.STAGE_SECONDS, "authentication", 0.4)
    with serving(authority, tmp_path, api(delay=2)) as url:
        results = await check(Target(url, authority.ca_pem, token=CANARY))
    assert failed(results) == ("authentication", "no_answer")


# --- permissions, version, latency, clock ---


async def test_a_credential_without_any_permission_is_told(lab_cluster: LabCluster) -> None:
    results = await check(admin(lab_cluster, token=lab_cluster.token("nobody")))
    assert failed(results) == ("permissions", "permissions_none")
    assert "list pods" in results["permissions"].params["missing"]


async def test_a_credential_that_may_only_read_warns_that_changes_are_not_made_as_the_user(
    lab_cluster: LabCluster,
) -> None:
    results = await check(admin(lab_cluster, token=lab_cluster.token("viewer")))
    assert results["permissions"].state == "warn"
    assert results["permissions"].params["impersonates"] is False
    assert results["clock"].state == "ok"


async def test_missing_permissions_are_named_one_by_one(lab_cluster: LabCluster) -> None:
    client = lab_cluster.client
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "half", "namespace": "default"}}
    rules = [{"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["list", "watch"]}]
    role = {"metadata": {"name": "half"}, "rules": rules}
    binding = {
        "metadata": {"name": "half"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "half"},
        "subjects": [{"kind": "ServiceAccount", "name": "half", "namespace": "default"}],
    }
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    made = [
        ("/api/v1/namespaces/default/serviceaccounts", account),
        (f"{rbac}/clusterroles", role),
        (f"{rbac}/clusterrolebindings", binding),
    ]
    for path, body in made:
        client.request("POST", path, body)
    try:
        path = "/api/v1/namespaces/default/serviceaccounts/half/token"
        token = client.request("POST", path, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
        target = admin(lab_cluster, token=token)
        results = await check(target, resources=[("", "pods"), ("", "nodes"), ("apps", "deployments")])
        ends = target.not_after()
    finally:
        for path, _ in made:
            client.request("DELETE", f"{path}/half")
    assert (results["permissions"].state, results["permissions"].reason) == ("warn", "permissions_missing")
    assert results["permissions"].params["missing"] == "list deployments, watch deployments"
    assert ends is not None
    assert 3000 < ends - time.time() < 3700


@pytest.mark.parametrize(("version", "state"), [("v1.19.16", "failed"), ("v1.20.0", "ok"), ("v1.31.2+k3s1", "ok")])
async def test_a_version_that_is_too_old_is_told(
    authority: Authority, tmp_path: Path, version: str, state: str
) -> None:
    with serving(authority, tmp_path, api(version)) as url:
        results = await check(Target(url, authority.ca_pem, token=CANARY))
    assert results["version"].state == state
    if state == "failed":
        assert failed(results) == ("version", "version_too_old")


async def test_a_version_that_cannot_be_read_is_a_warning(authority: Authority, tmp_path: Path) -> None:
    with serving(authority, tmp_path, api("unknown")) as url:
        results = await check(Target(url, authority.ca_pem, token=CANARY))
    assert (results["version"].state, results["version"].reason) == ("warn", "version_unknown")


async def test_slow_answers_are_a_warning_with_their_time(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "SLOW_MILLISECONDS", 150.0)
    with serving(authority, tmp_path, api(delay=0.2)) as url:
        results = await check(Target(url, authority.ca_pem, token=CANARY), resources=[("", "pods")])
    assert (results["latency"].state, results["latency"].reason) == ("warn", "slow")
    assert results["latency"].params["milliseconds"] >= 200


@pytest.mark.parametrize(("ahead", "reason"), [(300, "clock_ahead"), (-300, "clock_behind"), (20, "clock_ok")])
async def test_a_clock_more_than_a_minute_off_is_a_warning(
    authority: Authority, tmp_path: Path, ahead: float, reason: str
) -> None:
    with serving(authority, tmp_path, api(), ahead=ahead) as url:
        results = await check(Target(url, authority.ca_pem, token=CANARY))
    assert results["clock"].reason == reason
    assert results["clock"].state == ("ok" if reason == "clock_ok" else "warn")
    assert abs(results["clock"].params["seconds"] - abs(ahead)) <= 2


async def test_the_whole_run_keeps_its_budget_when_each_stage_is_slow(authority: Authority, tmp_path: Path) -> None:
    with serving(authority, tmp_path, api(delay=1.5)) as url:
        started = time.monotonic()
        results = await check(Target(url, authority.ca_pem, token=CANARY), seconds=4.0)
    assert time.monotonic() - started < 5.5
    assert "failed" in {result.state for result in results.values()}


# --- leaving ---


@asynccontextmanager
async def hanging(target: Target) -> AsyncIterator[asyncio.Task[Results]]:
    task = asyncio.create_task(check(target))
    yield task
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_run_that_is_abandoned_closes_its_connections() -> None:
    gone = threading.Event()
    came = threading.Event()

    def hold(connection: socket.socket) -> None:
        while True:
            data = connection.recv(65536)
            if data:
                came.set()
            else:
                if came.is_set():
                    gone.set()
                return

    with listening(hold) as port:
        async with hanging(Target(f"https://127.0.0.1:{port}", token=CANARY)):
            assert await asyncio.to_thread(came.wait, 5)
        assert await asyncio.to_thread(gone.wait, 5)
