"""The use cases of clusters and sites on both databases, with the preflight's answer given by hand."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from gmcenter import fleet
from gmcenter.clusters import service
from gmcenter.clusters.errors import ClusterExists, PreflightFailed, PreflightWarned, SiteExists
from gmcenter.clusters.schema import ClusterChange, NewCluster, SiteInput
from gmcenter.core import database, vault
from gmcenter.core.errors import Forbidden, GMError, NotFound
from gmcenter.core.settings import Settings
from gmcenter.core.vault import Secret
from gmcenter.identity.actor import SYSTEM, Actor
from gmcenter.kube import preflight
from gmcenter.kube.preflight import STAGES, StageResult

pytestmark = pytest.mark.usefixtures("installation")
SERVICE_ADMIN = Actor(user_id=7, name="service", role="SA", session_id=None, ip=None, language="en")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the preflight says by stage; ok where nothing is put in."""
    states: dict[str, str] = {}

    async def run(*_: Any, **__: Any) -> AsyncIterator[StageResult]:
        for stage in STAGES:
            state: Any = states.get(stage, "ok")
            yield StageResult(stage, state, {"warn": "slow", "failed": "port_closed"}.get(state, "clock_ok"))

    monkeypatch.setattr(preflight, "run", run)
    return states


def new(name: str = "one", **more: Any) -> NewCluster:
    given = {"cluster_name": name, "cluster_endpoint": "https://192.0.2.1:6443", "token": SecretStr(f"token-{name}")}
    return NewCluster(**{**given, **more})


async def secrets() -> int:
    async with database.read() as session:
        return (await session.execute(select(func.count()).select_from(Secret))).scalar_one()


async def test_every_change_of_the_fleet_raises_its_version(answers: dict[str, str]) -> None:
    seen = [await fleet.version()]

    async def rose() -> bool:
        seen.append(await fleet.version())
        return seen[-1] > seen[-2]

    await service.create_site(SYSTEM, SiteInput(name="here"))
    assert await rose()
    await service.register(SYSTEM, new(site="here"))
    assert await rose()
    await service.update(SYSTEM, "one", ClusterChange(cloud_type="aws"))
    assert await rose()
    await service.update(SYSTEM, "one", ClusterChange(token=SecretStr("other")))
    assert await rose()
    await service.update_site(SYSTEM, "here", SiteInput(name="there"))
    assert await rose()
    await service.delete(SYSTEM, "one", confirm="one")
    assert await rose()
    await service.delete_site(SYSTEM, "there")
    assert await rose()
    await service.list_clusters(SYSTEM)
    assert not await rose()


async def test_a_cluster_is_dialled_with_what_was_registered(answers: dict[str, str]) -> None:
    await service.register(SYSTEM, new(tls_server_name="kubernetes"))
    ref = await fleet.cluster("one")
    assert (ref.endpoint, ref.generation, ref.is_building) == ("https://192.0.2.1:6443", 1, False)
    assert "token-one" not in repr(ref)
    async with await fleet.dial("one") as connection:
        assert connection.target.token == "token-one"
        assert connection.target.server_name == "kubernetes"
        assert "token-one" not in repr(connection.target)
    with pytest.raises(NotFound):
        await fleet.dial("two")


async def test_a_rotated_credential_replaces_the_secret_and_raises_the_generation(answers: dict[str, str]) -> None:
    await service.register(SYSTEM, new())
    before = await fleet.cluster("one")
    await service.update(SYSTEM, "one", ClusterChange(token=SecretStr("fresh")))
    after = await fleet.cluster("one")
    assert after.generation == before.generation + 1
    assert (await fleet.stored_target(after)).token == "fresh"
    assert await secrets() == 1


async def test_a_failed_check_changes_nothing(answers: dict[str, str]) -> None:
    answers["tcp"] = "failed"
    with pytest.raises(PreflightFailed) as caught:
        await service.register(SYSTEM, new())
    assert caught.value.params["stage"] == "tcp"
    assert [ref.name for ref in await fleet.clusters()] == []
    assert await secrets() == 0


async def test_a_failure_cannot_be_accepted_and_a_warning_can(answers: dict[str, str]) -> None:
    answers["latency"] = "warn"
    with pytest.raises(PreflightWarned):
        await service.register(SYSTEM, new())
    await service.register(SYSTEM, new(accept_warnings=True))
    answers["clock"] = "failed"
    with pytest.raises(PreflightFailed):
        await service.register(SYSTEM, new("two", accept_warnings=True))
    assert [ref.name for ref in await fleet.clusters()] == ["one"]


async def test_of_two_registrations_of_one_name_at_once_one_is_told_that_it_is_taken(answers: dict[str, str]) -> None:
    ends = await asyncio.gather(
        *(service.register(SYSTEM, new("twin", token=SecretStr(f"t{n}"))) for n in range(4)), return_exceptions=True
    )
    assert sum(isinstance(end, ClusterExists) for end in ends) == 3
    assert [ref.name for ref in await fleet.clusters()] == ["twin"]
    assert await secrets() == 1


async def test_of_two_sites_of_one_name_at_once_one_is_told_that_it_is_taken() -> None:
    ends = await asyncio.gather(
        *(service.create_site(SYSTEM, SiteInput(name="twin")) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(end, SiteExists) for end in ends) == 3


@pytest.mark.parametrize(
    "use_case",
    [
        lambda: service.list_clusters(SERVICE_ADMIN),
        lambda: service.get_cluster(SERVICE_ADMIN, "one"),
        lambda: service.register(SERVICE_ADMIN, new()),
        lambda: service.update(SERVICE_ADMIN, "one", ClusterChange()),
        lambda: service.delete(SERVICE_ADMIN, "one", confirm="one"),
        lambda: service.what_depends(SERVICE_ADMIN, "one"),
        lambda: anext(service.preflight(SERVICE_ADMIN, new())),
        lambda: anext(service.check(SERVICE_ADMIN, "one")),
        lambda: service.list_sites(SERVICE_ADMIN),
        lambda: service.get_site(SERVICE_ADMIN, "here"),
        lambda: service.create_site(SERVICE_ADMIN, SiteInput(name="here")),
        lambda: service.update_site(SERVICE_ADMIN, "here", SiteInput()),
        lambda: service.delete_site(SERVICE_ADMIN, "here"),
        lambda: service.create_building(SERVICE_ADMIN, "one", cluster_type="edge"),
        lambda: service.report_building(SERVICE_ADMIN, "one", percent=1),
    ],
)
async def test_every_use_case_is_refused_to_a_service_admin_by_a_rule(use_case: Any) -> None:
    with pytest.raises(Forbidden) as caught:
        await use_case()
    assert caught.value.params["rule"] == "platform-admin"


async def test_a_stored_credential_of_another_key_is_no_answer_with_a_credential(
    answers: dict[str, str], installation: Settings
) -> None:
    await service.register(SYSTEM, new())
    installation.key_file.unlink()
    vault.forget_keys()
    vault.ensure_key(installation, fresh=True)
    with pytest.raises(Exception, match="does not open") as caught:
        await fleet.dial("one")
    assert not isinstance(caught.value, GMError)
    assert "token-one" not in str(caught.value)
