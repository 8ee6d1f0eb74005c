"""What a probe makes of an API server's answers."""

import time
from email.utils import formatdate
from typing import Any

import pytest

from gmcenter.core.errors import ClusterUnreachable, GMError, UpstreamError
from gmcenter.inventory.probe import VERSION_EVERY, Probe
from gmcenter.kube.connection import Answer


def refused(status: int) -> UpstreamError:
    return UpstreamError(cluster="scripted", upstream_status=status, upstream_code="", reason=f"says {status}")


class ScriptedConnection:
    """A fake of a Connection that answers by path, and notes what was asked."""

    certificate_not_after = 1_900_000_000.0

    def __init__(self, ahead: float = 0.0, **answers: Any) -> None:
        self.answers: dict[str, Any] = {"readyz": b"ok", "version": b'{"gitVersion":"v1.37.2"}', **answers}
        self.asked: list[str] = []
        self._ahead = ahead

    async def request(self, method: str, path: str, **_: Any) -> Answer:
        self.asked.append(path)
        answer = self.answers[path.strip("/")]
        if isinstance(answer, GMError):
            raise answer
        return Answer(200, {"date": formatdate(time.time() + self._ahead, usegmt=True)}, answer)


def probe(connection: ScriptedConnection) -> Probe:
    return Probe(connection, 5.0)  # type: ignore[arg-type]


async def test_a_healthy_cluster_tells_everything() -> None:
    health = await probe(ScriptedConnection(ahead=120)).probe()
    assert (health.error, health.ready, health.answered) == (None, True, True)
    assert health.version == "v1.37.2"
    assert health.certificate_not_after == 1_900_000_000.0
    assert health.skew_seconds is not None
    assert abs(health.skew_seconds - 120) <= 1
    assert health.latency_ms is not None
    assert abs(health.at - time.time()) < 5


@pytest.mark.parametrize("status", [403, 404])
async def test_where_readiness_may_not_be_asked_the_version_is(status: int) -> None:
    connection = ScriptedConnection(readyz=refused(status))
    probing = probe(connection)
    assert (await probing.probe()).answered
    assert (await probing.probe()).error is None
    assert connection.asked.count("/readyz") == 1


async def test_a_server_that_is_not_ready_has_answered() -> None:
    health = await probe(ScriptedConnection(readyz=refused(500))).probe()
    assert health.answered
    assert not health.ready
    assert health.error is not None


async def test_a_server_that_cannot_be_reached_has_not_answered_and_keeps_its_last_version() -> None:
    connection = ScriptedConnection()
    probing = probe(connection)
    await probing.probe()
    connection.answers["readyz"] = ClusterUnreachable(cluster="scripted", stage="tcp", reason="port_closed")
    health = await probing.probe()
    assert not health.answered
    assert health.version == "v1.37.2"


async def test_the_version_is_asked_again_now_and_then() -> None:
    connection = ScriptedConnection()
    probing = probe(connection)
    for _ in range(VERSION_EVERY + 1):
        await probing.probe()
    assert connection.asked.count("/version") == 2
    connection.answers["version"] = b"<html>"
    assert (await probing.probe()).version == "v1.37.2"


async def test_a_clock_that_is_not_told_is_unknown() -> None:
    connection = ScriptedConnection()

    async def without_date(method: str, path: str, **_: Any) -> Answer:
        return Answer(200, {"date": "yesterday"}, b"{}")

    connection.request = without_date  # type: ignore[method-assign]
    health = await probe(connection).probe()
    assert health.skew_seconds is None
    assert health.version is None
