"""The rate limit: what counts as one address, and what happens when the shared counter is away."""

import asyncio
import socket
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from limits import parse

from gmcenter.core import vault
from gmcenter.core.errors import RateLimited
from gmcenter.core.settings import Settings, configure
from gmcenter.identity import throttle


@pytest.fixture(autouse=True)
def limits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    chosen = Settings(data=tmp_path_factory.mktemp("throttle"), login_rate="3/minute")
    configure(chosen)
    vault.forget_keys()
    vault.ensure_key(chosen, fresh=True)
    throttle.reset()
    yield chosen
    configure(None)
    vault.forget_keys()
    throttle.reset()


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("", "unknown"),
        ("testclient", "unknown"),
    ],
)
def test_what_counts_as_one_address(ip: str | None, network: str) -> None:
    assert throttle.network(ip) == network


@given(st.text())
def test_an_address_of_any_form_is_something(ip: str) -> None:
    assert throttle.network(ip)


async def test_the_fourth_attempt_from_one_address_waits_and_another_address_does_not() -> None:
    for name in ("a", "b", "c"):
        await throttle.count("login", "192.0.2.1", name)
    with pytest.raises(RateLimited) as caught:
        await throttle.count("login", "192.0.2.1", "d")
    assert 1 <= caught.value.params["retry_after"] <= 60
    await throttle.count("login", "192.0.2.2", "d")


async def test_one_name_is_counted_over_all_addresses() -> None:
    for n in range(3):
        await throttle.count("login", f"192.0.2.{n}", "hong")
    with pytest.raises(RateLimited):
        await throttle.count("login", "192.0.2.9", "hong")
    await throttle.count("login", "192.0.2.9", "kim")


async def test_refreshing_is_counted_apart_from_signing_in() -> None:
    for _ in range(3):
        await throttle.count("refresh", "192.0.2.1")
    with pytest.raises(RateLimited):
        await throttle.count("refresh", "192.0.2.1")
    await throttle.count("login", "192.0.2.1", "hong")


async def test_side_by_side_no_more_get_through() -> None:
    results = await asyncio.gather(*(throttle.count("login", "192.0.2.1") for _ in range(20)), return_exceptions=True)
    assert sum(result is None for result in results) == 3


async def test_without_the_shared_counter_each_replica_counts_for_itself(limits: Settings) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{closed.getsockname()[1]}/0"
        configure(limits.model_copy(update={"redis_url": url}))
        throttle.reset()
        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                await throttle.count("login", "192.0.2.1")
            with pytest.raises(RateLimited):
                await throttle.count("login", "192.0.2.1")
    assert {line["event"] for line in lines} == {"rate_limit_storage_unreachable"}


async def test_replicas_that_share_a_counter_count_together(limits: Settings, redis_server: str) -> None:
    configure(limits.model_copy(update={"redis_url": redis_server}))
    replicas = []
    for _ in range(2):
        throttle.reset()
        replicas.append(throttle._limiter())
    who = ("login", "address", "shared-test")
    item = parse("3/minute")
    for n in range(3):
        await throttle._hit(replicas[n % 2], item, *who)
    for replica in replicas:
        with pytest.raises(RateLimited) as caught:
            await throttle._hit(replica, item, *who)
        assert 1 <= caught.value.params["retry_after"] <= 60


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "valkeys"])
def test_valkey_and_redis_are_one_thing(scheme: str) -> None:
    assert throttle._shared_storage(f"{scheme}://127.0.0.1:1/0") is not None


def test_the_counter_of_a_name_does_not_spell_it() -> None:
    assert "hong" not in throttle.subject("hong")
    assert throttle.subject("hong") == throttle.subject("hong") != throttle.subject("kim")


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (4, 0), (5, 30), (6, 60), (9, 480), (10, 900), (10_000, 900)]
)
def test_the_lock_doubles_from_thirty_seconds_to_fifteen_minutes(failures: int, seconds: int) -> None:
    assert throttle.lock_seconds(failures, 5) == seconds
