"""One cluster's API server over HTTP/1.1: checked addresses, verified TLS, every failure told in one family of errors.

The official client's connection is not used: it follows proxies of the environment, ends watches after five minutes
and builds a model of every answer. What is needed of it is a bearer token or a client certificate, which `Target` has.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import errno
import re
import socket
import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec

from gmcenter.core.errors import ClusterUnreachable, GMError, RateLimited, UpstreamError
from gmcenter.kube.target import Target, tls_context

CONNECT_SECONDS: Final = 5.0
REQUEST_SECONDS: Final = 30.0
ANSWER_BYTES: Final = 64 << 20
ERROR_BYTES: Final = 64 << 10
TLS_BUFFER_BYTES: Final = 16 << 10
READ_BUFFER_BYTES: Final = 64 << 10
CONNECTIONS: Final = 64
KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 60_000}

# What OpenSSL's X509_verify_cert answers (x509_vfy.h).
_VERIFY_REASONS: Final = {
    9: "certificate_not_yet_valid",
    10: "certificate_expired",
    **dict.fromkeys((2, 18, 19, 20, 21), "unknown_authority"),
    **dict.fromkeys((62, 64), "name_mismatch"),
}
_UNREACHABLE: Final = frozenset((errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN))

_SECONDS: Final = re.compile(r"[0-9]{1,9}")

Params = Mapping[str, str]


class _Status(msgspec.Struct):
    """The API server's answer to a request that it does not serve (meta/v1 Status)."""

    message: str | None = None
    reason: str | None = None
    code: int | None = None


_decode_status = msgspec.json.Decoder(_Status).decode


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status, header fields with names in lower case, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _NoNames(aiohttp.abc.AbstractResolver):
    """Resolves nothing: an endpoint that is an address needs no name service."""

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002 no name is known
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 no name is known
    ) -> list[aiohttp.abc.ResolveResult]:
        raise OSError(f"no resolver was given for {host}")

    async def close(self) -> None:
        return None


def small_buffers() -> None:
    """Cut the buffer that asyncio keeps for each TLS connection from 256 to 16 KiB, the size of a TLS record.

    It holds for the whole process; the collector calls it, because a thousand idle watches would hold a gigabyte.
    """
    asyncio.sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES


def _open_socket(address: Any) -> socket.socket:
    """A socket that notices within a minute that the other side is gone."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in KEEP_ALIVE.items():
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


class Connection:
    """The way to one API server with one credential. It is not changed but made anew when either changes.

    `resolver` turns the endpoint's name into addresses that may be connected to, at each new connection; without one
    the endpoint must be an address.
    """

    def __init__(
        self,
        target: Target,
        *,
        resolver: aiohttp.abc.AbstractResolver | None = None,
        cluster: str = "",
    ) -> None:
        self.cluster = cluster or target.address.host
        self.target = target
        self.certificate_not_after: float | None = None
        self.serves_watch_list = True
        self._resolver = resolver or _NoNames()
        self._session: aiohttp.ClientSession | None = None

    @property
    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._make_session()
        return self._session

    def _make_session(self) -> aiohttp.ClientSession:
        context = tls_context(self.target)
        context.sslobject_class = self._noting()
        connector = aiohttp.TCPConnector(
            ssl=context,
            resolver=self._resolver,
            use_dns_cache=False,
            limit=CONNECTIONS,
            keepalive_timeout=75,
            socket_factory=_open_socket,
        )
        headers = {"Accept": "application/json", "User-Agent": "gedge-gm/3"}
        if self.target.token:
            headers["Authorization"] = f"Bearer {self.target.token}"
        return aiohttp.ClientSession(
            connector=connector,
            headers=headers,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=READ_BUFFER_BYTES,
            auto_decompress=True,
        )

    def _noting(self) -> type[ssl.SSLObject]:
        """A TLS object that notes when the server's certificate ends, at each handshake."""
        connection = self

        class Noting(ssl.SSLObject):
            def do_handshake(self) -> None:
                super().do_handshake()
                ends = (self.getpeercert() or {}).get("notAfter")
                if isinstance(ends, str):
                    connection.certificate_not_after = float(ssl.cert_time_to_seconds(ends))

        return Noting

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End all requests and connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = REQUEST_SECONDS,
        limit: int = ANSWER_BYTES,
    ) -> Answer:
        """Ask and read the whole answer.

        Raises ClusterUnreachable (stage and reason), RateLimited for 429, UpstreamError for every other status that is
        not 2xx (redirects too, which are never followed) and for an answer longer than `limit` bytes.
        """
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=min(CONNECT_SECONDS, seconds))
        try:
            async with self._send(method, path, params, body, headers, timeout) as response:
                await self._refuse(response)
                read = bytearray()
                async for chunk in response.content.iter_any():
                    read += chunk
                    if len(read) > limit:
                        raise self._upstream(response.status, "TooLarge", f"more than {limit} bytes")
                return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, bytes(read))
        except (aiohttp.ClientError, OSError, TimeoutError, ssl.SSLError) as problem:
            raise self.unreachable(problem) from problem

    async def get_json(self, path: str, params: Params | None = None, *, seconds: float = REQUEST_SECONDS) -> Any:
        """GET a JSON document. Raises what `request` raises, and UpstreamError where the answer is no JSON."""
        answer = await self.request("GET", path, params=params, seconds=seconds)
        try:
            return msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, RecursionError) as problem:
            raise self._upstream(answer.status, "NotJSON", str(problem)) from problem

    async def stream(
        self,
        path: str,
        params: Params | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        silent: float | None = None,
        answer_within: float = REQUEST_SECONDS,
    ) -> AsyncGenerator[bytes]:
        """GET an answer piece by piece, for as long as the server sends; use it under `contextlib.aclosing`.

        The first piece is empty and says that the server has accepted.
        `silent` is how long, in seconds, the server may send nothing. Raises what `request` raises.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silent)
        try:
            async with self._send("GET", path, params, None, headers, timeout, answer_within) as response:
                await self._refuse(response)
                yield b""
                async for chunk in response.content.iter_any():
                    yield chunk
                    del chunk
        except (aiohttp.ClientError, OSError, TimeoutError, ssl.SSLError) as problem:
            raise self.unreachable(problem) from problem

    def _send(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        timeout: aiohttp.ClientTimeout,
        answer_within: float | None = None,
    ) -> _Sending:
        pending = self._open_session.request(
            method,
            self.target.endpoint + path,
            params=params,
            data=body,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
            server_hostname=self.target.server_name,
        )
        return _Sending(pending, answer_within)

    async def _refuse(self, response: aiohttp.ClientResponse) -> None:
        """Turn an answer that is not 2xx into an error, with the server's own words."""
        if 200 <= response.status < 300:
            return
        raw = await response.content.read(ERROR_BYTES)
        try:
            status = _decode_status(raw)
        except (msgspec.DecodeError, RecursionError):
            status = _Status(message=raw[:200].decode("utf-8", "replace").strip() or response.reason)
        if response.status == 429:
            after = _SECONDS.fullmatch(response.headers.get("Retry-After", ""))
            raise RateLimited(cluster=self.cluster, retry_after=min(int(after[0]), 300) if after else 1)
        raise self._upstream(response.status, status.reason or "", status.message or "")

    def _upstream(self, status: int, code: str, message: str) -> UpstreamError:
        words = message[:500] or code or str(status)
        return UpstreamError(cluster=self.cluster, upstream_status=status, upstream_code=code, reason=words)

    def unreachable(self, problem: BaseException) -> GMError:
        """The error that says at which stage the way to the cluster ends, and why."""
        stage, reason = explain(problem)
        return ClusterUnreachable(cluster=self.cluster, stage=stage, reason=reason)


class _Sending:
    """A request under way: its answer's head must come within a time of its own, its body may take for ever."""

    def __init__(self, pending: Any, answer_within: float | None) -> None:
        self._pending, self._within = pending, answer_within

    async def __aenter__(self) -> aiohttp.ClientResponse:
        async with asyncio.timeout(self._within):
            response: aiohttp.ClientResponse = await self._pending.__aenter__()
        return response

    async def __aexit__(self, *failure: Any) -> None:
        await self._pending.__aexit__(*failure)


def explain(problem: BaseException) -> tuple[str, str]:
    """Stage (dns, tcp, tls, http) and reason of a failed request; a reason has its words under `reason.<reason>`."""
    cause = problem.__cause__ if isinstance(problem.__cause__, OSError) else None
    if isinstance(problem, aiohttp.ClientConnectorCertificateError):
        refused = problem.certificate_error
        code = refused.verify_code if isinstance(refused, ssl.SSLCertVerificationError) else 0
        return "tls", _VERIFY_REASONS.get(code, "certificate_refused")
    if isinstance(problem, aiohttp.ClientConnectorDNSError):
        return "dns", "unknown_host"
    if isinstance(problem, aiohttp.ClientConnectorSSLError | ssl.SSLError):
        return "tls", "tls_failed"
    if isinstance(problem, aiohttp.ConnectionTimeoutError):
        return "tcp", "tcp_timeout"
    if isinstance(problem, aiohttp.ClientConnectorError):
        found = problem.os_error
        if isinstance(found, ConnectionRefusedError):
            return "tcp", "port_closed"
        if isinstance(found, ConnectionResetError):
            return "tls", "tls_failed"
        return "tcp", "unreachable"
    if isinstance(problem, TimeoutError):
        return "http", "no_answer"
    number = getattr(cause or problem, "errno", None)
    return ("tcp", "unreachable") if number in _UNREACHABLE else ("http", "connection_lost")
