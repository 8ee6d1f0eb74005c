"""Every way in which an API server can fail to answer ends in one error with a stage and a reason that has words."""

import asyncio
import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gmcenter.core import i18n
from gmcenter.core.errors import ClusterUnreachable, RateLimited, UpstreamError
from gmcenter.kube.connection import Connection, explain
from gmcenter.kube.target import Target
from tests.support.tls import Authority, Pair

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def answering(*pieces: bytes, requests: list[bytes] | None = None) -> Handler:
    """A server that answers every request with the same bytes and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if requests is not None:
            requests.append(head)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.close()

    return handle


def http(status: str, body: bytes = b"", *fields: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields])
    return head.encode() + b"\r\n\r\n" + body


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@asynccontextmanager
async def reaching(handler: Handler, folder: Path, authority: Authority, **more: str) -> AsyncIterator[Connection]:
    """A connection to a server with a certificate in order."""
    async with (
        serving(handler, folder, authority.issue("server")) as url,
        Connection(Target(url, authority.ca_pem, **more), cluster="lab") as connection,
    ):
        yield connection


@asynccontextmanager
async def serving(handler: Handler, folder: Path, pair: Pair | None) -> AsyncIterator[str]:
    """A server on the loopback address; plain without a certificate. Gives its URL."""
    context = None
    if pair is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.write(folder, "server"))
    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def failure(target: Target, *, seconds: float = 5.0, **more: Any) -> ClusterUnreachable:
    async with Connection(target, cluster="lab", **more) as connection:
        with pytest.raises(ClusterUnreachable) as raised:
            await connection.request("GET", "/version", seconds=seconds)
    return raised.value


def told(error: ClusterUnreachable) -> tuple[str, str]:
    assert error.params["cluster"] == "lab"
    for language in i18n.LANGUAGES:
        assert i18n.has(f"reason.{error.reason}", language), error.reason
    return error.params["stage"], str(error.reason)


async def test_a_closed_port(authority: Authority) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert told(await failure(Target(f"https://127.0.0.1:{port}", authority.ca_pem))) == ("tcp", "port_closed")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "unknown_authority"),
        ({"begins": -9 * DAY, "ends": -DAY}, "certificate_expired"),
        ({"begins": DAY, "ends": 2 * DAY}, "certificate_not_yet_valid"),
        ({"names": ("192.0.2.1", "elsewhere.test")}, "name_mismatch"),
    ],
)
async def test_a_certificate_that_cannot_be_trusted(
    tmp_path: Path, authority: Authority, given: dict[str, Any], reason: str
) -> None:
    issuer = authority if given else Authority("another")
    async with serving(answering(http("200 OK")), tmp_path, issuer.issue("server", **given)) as url:
        assert told(await failure(Target(url, authority.ca_pem))) == ("tls", reason)


async def test_a_name_for_tls_may_differ_from_the_address(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issue("server", names=("api.test",), ends=30 * DAY)
    async with (
        serving(answering(http("200 OK", b"{}")), tmp_path, pair) as url,
        Connection(Target(url, authority.ca_pem, tls_server_name="api.test")) as connection,
    ):
        assert await connection.get_json("/version") == {}
        ends = connection.certificate_not_after
    assert ends is not None
    assert abs(ends - (datetime.datetime.now(datetime.UTC) + 30 * DAY).timestamp()) < 60


async def test_a_server_that_speaks_no_tls(tmp_path: Path, authority: Authority) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-test\r\n")
        await reader.read()
        writer.close()

    async with serving(greet, tmp_path, None) as url:
        assert told(await failure(Target(url, authority.ca_pem))) == ("tls", "tls_failed")
    async with serving(mute, tmp_path, None) as url:
        assert told(await failure(Target(url, authority.ca_pem), seconds=0.3)) == ("http", "no_answer")


async def test_a_server_that_accepts_and_says_nothing(tmp_path: Path, authority: Authority) -> None:
    async with serving(mute, tmp_path, authority.issue("server")) as url:
        assert told(await failure(Target(url, authority.ca_pem), seconds=0.3)) == ("http", "no_answer")


async def test_a_connection_that_breaks_in_the_answer(tmp_path: Path, authority: Authority) -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
    async with serving(answering(cut), tmp_path, authority.issue("server")) as url:
        assert told(await failure(Target(url, authority.ca_pem))) == ("http", "connection_lost")


async def test_a_name_without_an_address(authority: Authority) -> None:
    class Nothing(aiohttp.abc.AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = None) -> Any:
            raise OSError("no such name")

        async def close(self) -> None:
            return None

    for resolver in (Nothing(), None):
        error = await failure(Target("https://gone.test:6443", authority.ca_pem), resolver=resolver)
        assert told(error) == ("dns", "unknown_host")


async def test_a_refusal_carries_the_servers_status_reason_and_words(tmp_path: Path, authority: Authority) -> None:
    body = b'{"kind":"Status","reason":"Forbidden","message":"pods is forbidden: User \\"x\\" cannot list","code":403}'
    async with reaching(answering(http("403 Forbidden", body)), tmp_path, authority) as connection:
        with pytest.raises(UpstreamError) as raised:
            await connection.request("GET", "/api/v1/pods")
    assert raised.value.params["upstream_status"] == 403
    assert raised.value.params["upstream_code"] == "Forbidden"
    assert "cannot list" in str(raised.value.reason)


@pytest.mark.parametrize(("field", "seconds"), [("Retry-After: 7", 7), ("Retry-After: 9999", 300), ("X: y", 1)])
async def test_too_many_requests_say_when_to_come_back(
    tmp_path: Path, authority: Authority, field: str, seconds: int
) -> None:
    async with reaching(answering(http("429 Too Many", b"{}", field)), tmp_path, authority) as connection:
        with pytest.raises(RateLimited) as raised:
            await connection.request("GET", "/api")
    assert raised.value.params["retry_after"] == seconds


async def test_redirects_are_not_followed_and_the_token_goes_nowhere_else(tmp_path: Path, authority: Authority) -> None:
    seen: list[bytes] = []
    pair = authority.issue("server")
    async with serving(answering(http("200 OK", b"{}"), requests=seen), tmp_path, pair) as other:
        moved = http("302 Found", b"", f"Location: {other}/steal")
        async with reaching(answering(moved), tmp_path, authority, token="tkn") as connection:
            with pytest.raises(UpstreamError) as raised:
                await connection.request("GET", "/api")
            async with aclosing(connection.stream("/api")) as chunks:
                with pytest.raises(UpstreamError):
                    await anext(chunks)
    assert raised.value.params["upstream_status"] == 302
    assert seen == []


async def test_the_environments_proxy_is_ignored(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    seen: list[bytes] = []
    handler = answering(http("200 OK", b"{}"), requests=seen)
    async with reaching(handler, tmp_path, authority, token="tkn") as connection:
        assert await connection.get_json("/version") == {}
    assert b"Authorization: Bearer tkn" in seen[0]


async def test_an_answer_that_is_too_long_or_no_json_is_refused(tmp_path: Path, authority: Authority) -> None:
    async with reaching(answering(http("200 OK", b"x" * 5000)), tmp_path, authority) as connection:
        with pytest.raises(UpstreamError) as raised:
            await connection.request("GET", "/api", limit=1000)
        assert raised.value.params["upstream_code"] == "TooLarge"
        with pytest.raises(UpstreamError) as raised:
            await connection.get_json("/api")
        assert raised.value.params["upstream_code"] == "NotJSON"


async def test_a_stream_says_first_that_it_was_accepted_and_ends_when_it_falls_silent(
    tmp_path: Path, authority: Authority
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await writer.drain()
        writer.write(b"5\r\nhello\r\n")
        await reader.read()
        writer.close()

    got: list[bytes] = []

    async def read(connection: Connection) -> None:
        async with aclosing(connection.stream("/w", silent=0.3)) as chunks:
            async for chunk in chunks:
                got.append(chunk)

    async with reaching(handle, tmp_path, authority) as connection:
        with pytest.raises(ClusterUnreachable) as raised:
            await read(connection)
    assert got == [b"", b"hello"]
    assert told(raised.value) == ("http", "no_answer")


def test_what_nobody_foresaw_is_a_lost_connection() -> None:
    assert explain(aiohttp.ClientError("?")) == ("http", "connection_lost")
    assert explain(OSError(113, "no route")) == ("tcp", "unreachable")
