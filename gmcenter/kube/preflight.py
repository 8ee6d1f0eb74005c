"""Whether GM can work with a cluster, found out step by step, so that a failure names its stage, its reason and its
remedy.

Eight stages in order: dns, tcp, tls, authentication, permissions, version, latency, clock. The first that fails ends
the run and the rest are told as skipped; the whole run takes at most `SECONDS`. Nothing is changed in the cluster:
the only POSTs are the API server's own review objects, which are not stored. Addresses are checked and pinned like
those of every other connection.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

import aiohttp
import orjson

from gmcenter.core import clock
from gmcenter.core.address import AddressRefused, Lookup, UnknownHost, resolve
from gmcenter.kube import handshake
from gmcenter.kube.target import Target, tls_context

Stage = Literal["dns", "tcp", "tls", "authentication", "permissions", "version", "latency", "clock"]
State = Literal["ok", "warn", "failed", "skipped"]

STAGES: Final[tuple[Stage, ...]] = (
    "dns", "tcp", "tls", "authentication", "permissions", "version", "latency", "clock",
)  # fmt: skip
SECONDS: Final = 15.0
STAGE_SECONDS: Final[dict[Stage, float]] = {
    "dns": 4.0, "tcp": 4.0, "tls": 5.0, "authentication": 5.0, "permissions": 5.0, "version": 3.0, "latency": 5.0,
    "clock": 1.0,
}  # fmt: skip
MINIMUM_VERSION: Final = (1, 20)  # the first with events.k8s.io/v1 everywhere and bookmarks on every watch
SLOW_MILLISECONDS: Final = 1000.0
SKEW_SECONDS: Final = 60.0
EXPIRY_WARNING_DAYS: Final = 30
LATENCY_SAMPLES: Final = 5
BODY_BYTES: Final = 262_144
REVIEWS_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class StageResult:
    """What one stage found. `reason` is a stable code with words under `clusters.preflight.reason.<reason>` and, when
    something can be done, under `clusters.preflight.remedy.<reason>`; `params` are the facts that fill the words.
    Never holds a credential.
    """

    stage: Stage
    state: State
    reason: str
    params: dict[str, Any] = field(default_factory=dict)
    duration_ms: float = 0.0

    @property
    def remedy(self) -> str | None:
        """The key of what to do, for a stage that is not in order."""
        return f"clusters.preflight.remedy.{self.reason}" if self.state in ("warn", "failed") else None


class _Stop(Exception):
    """The stage failed, for a reason."""

    def __init__(self, reason: str, **params: Any) -> None:
        super().__init__(reason)
        self.reason, self.params = reason, params


Outcome = tuple[State, str, dict[str, Any]]


async def run(
    target: Target,
    *,
    allow_loopback: bool,
    resources: Sequence[tuple[str, str]] | None = None,
    seconds: float = SECONDS,
    lookup: Lookup | None = None,
) -> AsyncIterator[StageResult]:
    """Yield one result a stage, as soon as it is known.

    `resources` are the (group, plural) that GM must list and watch, those of the catalogue of kinds when not given.
    """
    check = _Check(target, allow_loopback, tuple(resources) if resources is not None else _catalogue(), lookup)
    deadline = clock.monotonic() + seconds
    failed = False
    try:
        for stage in STAGES:
            if failed:
                yield StageResult(stage, "skipped", "skipped")
                continue
            result = await _one(stage, check.stages[stage], min(STAGE_SECONDS[stage], deadline - clock.monotonic()))
            failed = result.state == "failed"
            yield result
    finally:
        await check.close()


async def _one(stage: Stage, step: Callable[[], Awaitable[Outcome]], seconds: float) -> StageResult:
    started = clock.monotonic()
    state: State
    try:
        state, reason, params = await asyncio.wait_for(step(), max(seconds, 0.05))
    except _Stop as stop:
        state, reason, params = "failed", stop.reason, stop.params
    except TimeoutError:
        state, reason, params = "failed", _TIMEOUTS.get(stage, "no_answer"), {"seconds": max(round(seconds), 1)}
    except OSError:
        state, reason, params = "failed", "connection_lost", {}
    return StageResult(stage, state, reason, params, round((clock.monotonic() - started) * 1000, 1))


_TIMEOUTS: Final[dict[Stage, str]] = {"dns": "dns_timeout", "tcp": "tcp_timeout", "tls": "tls_timeout"}


def _catalogue() -> tuple[tuple[str, str], ...]:
    from gmcenter.kube.kinds import KINDS  # late: a preflight of the command line does without the catalogue's decoders

    return tuple((kind.group, kind.plural) for kind in KINDS.values())


class _Pinned(aiohttp.abc.AbstractResolver):
    """Answers with the one address that the tcp stage connected to."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 the address decides
    ) -> list[aiohttp.abc.ResolveResult]:
        found = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        return [
            {"hostname": host, "host": self._address, "port": port, "family": found, "proto": 0, "flags": 0},
        ]

    async def close(self) -> None:
        return None


@dataclass(slots=True)
class _Answer:
    status: int
    body: Any
    date: str
    seconds: float
    received: float

    @property
    def is_kubernetes(self) -> bool:
        """An API server answers with a version or with a Status object, whatever it thinks of the caller."""
        return isinstance(self.body, dict) and ("gitVersion" in self.body or self.body.get("kind") == "Status")


def _member(body: Any, *path: str) -> Any:
    """What stands at a path of a JSON document; None where something else than objects lies on the way."""
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return body


class _Check:
    """One run: what a stage learned, the next ones use."""

    def __init__(
        self, target: Target, allow_loopback: bool, resources: tuple[tuple[str, str], ...], lookup: Lookup | None
    ) -> None:
        self._target, self._allow_loopback, self._resources, self._lookup = target, allow_loopback, resources, lookup
        self._endpoint = target.address
        self._addresses: list[str] = []
        self._address = ""
        self._session: aiohttp.ClientSession | None = None
        self._version: _Answer | None = None
        self._last: _Answer | None = None
        self.stages: dict[Stage, Callable[[], Awaitable[Outcome]]] = {
            "dns": self.dns,
            "tcp": self.tcp,
            "tls": self.tls,
            "authentication": self.authentication,
            "permissions": self.permissions,
            "version": self.version,
            "latency": self.latency,
            "clock": self.clock,
        }

    @property
    def _server(self) -> tuple[str, int]:
        return self._address, self._endpoint.port

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def dns(self) -> Outcome:
        host, port = self._endpoint.host, self._endpoint.port
        try:
            self._addresses = await resolve(host, port, allow_loopback=self._allow_loopback, lookup=self._lookup)
        except UnknownHost as problem:
            raise _Stop(problem.reason or "unknown_host", host=host) from None
        except AddressRefused as problem:
            raise _Stop(
                "address_refused", host=host, address=problem.params.get("address"), rule=problem.reason
            ) from None
        return "ok", "dns_ok", {"host": host, "addresses": self._addresses[:8]}

    async def tcp(self) -> Outcome:
        port = self._endpoint.port
        problem: OSError | None = None
        for address in self._addresses[:4]:
            try:
                _, writer = await asyncio.open_connection(address, port)
            except OSError as error:
                problem = problem or error
                continue
            writer.close()
            self._address = address
            return "ok", "tcp_ok", {"address": address, "port": port}
        reason = "port_closed" if isinstance(problem, ConnectionRefusedError) else "unreachable"
        raise _Stop(reason, host=self._endpoint.host, port=port, address=self._addresses[0])

    async def tls(self) -> Outcome:
        try:
            context = tls_context(self._target)
        except (ssl.SSLError, ValueError):
            raise _Stop("bad_credential_files") from None
        server_name = self._target.server_name
        reader, writer = await asyncio.open_connection(self._address, self._endpoint.port)
        del reader
        try:
            await writer.start_tls(context, server_hostname=server_name)
        except ssl.SSLCertVerificationError as error:
            reason, facts = await handshake.certificate_problem(self._server, error.verify_code, self._target)
            raise _Stop(reason, **facts) from None
        except (ssl.SSLError, OSError, EOFError) as error:
            reason, facts = await handshake.not_tls(self._server, error)
            raise _Stop(reason, **facts) from None
        else:
            wrapped = writer.get_extra_info("ssl_object")
            ends = ssl.cert_time_to_seconds((wrapped.getpeercert() or {}).get("notAfter", "Jan  1 00:00:00 2100 GMT"))
        finally:
            writer.transport.abort()
        self._session = self._open_session(context)
        params = {
            "notAfter": clock.rfc3339(ends),
            "days": int((ends - clock.epoch()) // 86400),
            "protocol": wrapped.version(),
        }
        if params["days"] < EXPIRY_WARNING_DAYS:
            return "warn", "certificate_expires_soon", params
        return "ok", "tls_ok", params

    def _open_session(self, context: ssl.SSLContext) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=context, resolver=_Pinned(self._address), use_dns_cache=False, limit=REVIEWS_AT_ONCE
        )
        headers = {"Accept": "application/json", "User-Agent": "gedge-gm/3 preflight"}
        if self._target.token:
            headers["Authorization"] = f"Bearer {self._target.token}"
        return aiohttp.ClientSession(connector=connector, headers=headers, trust_env=False)

    async def _call(self, path: str, document: dict[str, Any] | None = None) -> _Answer:
        assert self._session is not None
        started = clock.monotonic()
        try:
            async with self._session.request(
                "GET" if document is None else "POST",
                self._endpoint.url + path,
                data=None if document is None else orjson.dumps(document),
                headers=None if document is None else {"Content-Type": "application/json"},
                server_hostname=self._target.server_name,
                allow_redirects=False,
            ) as response:
                raw = await response.content.read(BODY_BYTES)
                while len(raw) < BODY_BYTES and (more := await response.content.read(BODY_BYTES)):
                    raw += more
                date = response.headers.get("Date", "")
        except aiohttp.ClientConnectorCertificateError:
            raise _Stop("certificate_refused", subject="?", issuer="?", names="?", notAfter="?", openssl="?") from None
        except (aiohttp.ClientError, OSError) as error:
            if "CERTIFICATE" in str(error).upper():
                raise _Stop("client_certificate_required") from None
            raise _Stop("connection_lost") from None
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            body = None
        self._last = _Answer(response.status, body, date, clock.monotonic() - started, clock.epoch())
        return self._last

    async def authentication(self) -> Outcome:
        answer = await self._call("/version")
        if not answer.is_kubernetes:
            raise _Stop("not_kubernetes", status=answer.status)
        self._version = answer
        if answer.status == 401:
            raise self._refused()
        review = await self._call(
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
        )
        if review.status == 401:
            raise self._refused()
        if review.status >= 500 or review.status == 429:
            raise _Stop("api_unavailable", status=review.status)
        user = ""
        if review.status in (200, 201) and isinstance(review.body, dict):
            user = str(_member(review.body, "status", "userInfo", "username") or "")[:253]
        elif (await self._call("/api")).status == 401:  # before 1.28 the review does not exist
            raise self._refused()
        if user == "system:anonymous" or (not user and review.status == 403):
            raise _Stop("credential_ignored")
        return "ok", "authentication_ok", {"user": user or "?"}

    def _refused(self) -> _Stop:
        """The words for a 401: why, as far as the credential itself tells."""
        ends = self._target.not_after()
        expired = ends is not None and ends <= clock.epoch()
        if self._target.kind == "certificate":
            if expired:
                return _Stop("client_certificate_expired", notAfter=clock.rfc3339(ends or 0))
            return _Stop("client_certificate_refused")
        if expired:
            return _Stop("token_expired", notAfter=clock.rfc3339(ends or 0))
        return _Stop("token_refused")

    async def permissions(self) -> Outcome:
        wanted = [(group, plural, verb) for group, plural in self._resources for verb in ("list", "watch")]
        as_user = [("", "users", "impersonate"), ("", "groups", "impersonate")]
        gate = asyncio.Semaphore(REVIEWS_AT_ONCE)

        async def may(group: str, resource: str, verb: str) -> bool:
            async with gate:
                answer = await self._call(
                    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                    {
                        "apiVersion": "authorization.k8s.io/v1",
                        "kind": "SelfSubjectAccessReview",
                        "spec": {"resourceAttributes": {"group": group, "resource": resource, "verb": verb}},
                    },
                )
            return answer.status in (200, 201) and bool(_member(answer.body, "status", "allowed"))

        answers = await asyncio.gather(*(may(*one) for one in (*wanted, *as_user)))
        missing = [
            f"{verb} {plural}" for (_, plural, verb), allowed in zip(wanted, answers, strict=False) if not allowed
        ]
        impersonates = all(answers[len(wanted) :])
        params = {"missing": ", ".join(missing), "impersonates": impersonates}
        if wanted and len(missing) == len(wanted):
            raise _Stop("permissions_none", **params)
        if missing:
            return "warn", "permissions_missing", params
        if not impersonates:
            return "warn", "no_impersonation", params
        return "ok", "permissions_ok", params

    async def version(self) -> Outcome:
        found = self._version.body if self._version else None
        if not isinstance(found, dict) or "gitVersion" not in found:
            return "warn", "version_unknown", {}
        text = str(found["gitVersion"])[:64]
        numbers = re.match(r"v?(\d+)\.(\d+)", text)
        if numbers is None:
            return "warn", "version_unknown", {"version": text}
        minimum = ".".join(map(str, MINIMUM_VERSION))
        if (int(numbers[1]), int(numbers[2])) < MINIMUM_VERSION:
            raise _Stop("version_too_old", version=text, minimum=minimum)
        return "ok", "version_ok", {"version": text, "minimum": minimum}

    async def latency(self) -> Outcome:
        samples = []
        for _ in range(LATENCY_SAMPLES):
            samples.append((await self._call("/version")).seconds * 1000)
            if sum(samples) > SLOW_MILLISECONDS * 2:
                break  # slow is known by now, and the rest of the run needs its time
        median = round(statistics.median(samples), 1)
        params = {"milliseconds": median, "limit": int(SLOW_MILLISECONDS)}
        return ("warn", "slow", params) if median > SLOW_MILLISECONDS else ("ok", "latency_ok", params)

    async def clock(self) -> Outcome:
        answer = self._last
        try:
            there = parsedate_to_datetime(answer.date).timestamp() if answer else None
        except (TypeError, ValueError, OverflowError):
            there = None
        if there is None or answer is None:
            return "warn", "clock_unknown", {}
        skew = round(there - (answer.received - answer.seconds / 2))
        params = {"seconds": abs(skew), "ahead": skew > 0, "limit": int(SKEW_SECONDS)}
        if abs(skew) > SKEW_SECONDS:
            return "warn", "clock_ahead" if skew > 0 else "clock_behind", params
        return "ok", "clock_ok", params
