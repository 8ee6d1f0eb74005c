"""kill -9 of each process and of all: they come back by themselves, and nobody who looks has lost anything."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.async_api import Page, expect

from gmcenter.kube.kinds import KINDS
from tests.browser.conftest import Opener
from tests.browser.conftest import chromium as chromium
from tests.browser.conftest import open_page as open_page
from tests.lab import Client, wait_for
from tests.lab.manifests import namespace, service
from tests.lab.processes import started
from tests.security.test_states import Socket, variable
from tests.support.fleet import API, Fleet

pytestmark = pytest.mark.timeout(240)

CUT_NOISE = ("WebSocket", "ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "net::ERR", "socket", "xhr poll error")
"""What a browser itself says of a server that is gone."""


@dataclass
class Shop:
    """A namespace of the cluster `one` that belongs to a test."""

    fleet: Fleet
    namespace: str

    @property
    def client(self) -> Client:
        """The way to the cluster."""
        return self.fleet.clusters["one"].client

    def create(self, *names: str) -> None:
        """Create services."""
        for name in names:
            self.client.create(service(self.namespace, name, 80))

    def delete(self, name: str) -> None:
        """Delete a service."""
        self.client.delete("Service", name, self.namespace)

    def listed(self) -> set[str]:
        """The services that the console lists."""
        return {row["name"] for row in self.fleet.rows("services", cluster="one", namespace=self.namespace)}


@pytest.fixture
def shop(fleet: Fleet) -> Iterator[Shop]:
    """A new namespace."""
    made = Shop(fleet, f"shop-{secrets.token_hex(3)}")
    made.client.create(namespace(made.namespace))
    yield made
    made.client.delete("Namespace", made.namespace)


def browser_session(fleet: Fleet, cookie: str) -> str:
    """Whose session a cookie is, as the server tells it."""
    answer = httpx.get(f"{fleet.url}{API}/auth/me", headers={"cookie": cookie}, timeout=10)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["userId"])


@pytest.mark.parametrize("victims", [("collect",), ("web",), ("web", "collect")], ids="+".join)
def test_what_is_killed_comes_back_and_has_lost_nothing(fleet: Fleet, shop: Shop, victims: tuple[str, ...]) -> None:
    shop.create("before")
    wait_for(lambda: shop.listed() == {"before"}, "the first service is in the list", 20)
    cookie, token = fleet.cookie(), fleet.token
    who = browser_session(fleet, cookie)

    fleet.kill(*victims)
    shop.create("meanwhile")
    shop.delete("before")
    fleet.wait_for_web()
    assert fleet.token == token
    assert browser_session(fleet, cookie) == who
    wait_for(lambda: shop.listed() == {"meanwhile"}, "what happened meanwhile is in the list", 60)
    fleet.wait_live()
    for name in fleet.clusters:
        fleet.wait_equal(name)
    assert all(fleet.run_state()["programs"][victim]["restarts"] for victim in victims)


def test_while_the_collector_is_dead_lists_answer_with_the_last_known_state(fleet: Fleet) -> None:
    before = fleet.names("pods", "steady")
    pid = fleet.pid("collect")
    os.kill(pid, signal.SIGSTOP)  # hung rather than dead: nobody starts it again
    try:
        wait_for(lambda: fleet.source("pods", "steady")["state"] == "away", "lists say that nobody looks", 40)
        assert fleet.source("pods", "steady")["error"] == "collector_silent"
        assert fleet.names("pods", "steady") == before
        assert fleet.state("steady") == "away"
    finally:
        os.kill(pid, signal.SIGCONT)
    fleet.wait_live()


def test_a_collector_that_was_killed_in_the_middle_of_its_writing_leaves_a_sound_inventory(
    fleet: Fleet, shop: Shop
) -> None:
    for turn in range(3):
        shop.create(*(f"storm-{turn}-{number}" for number in range(15)))
        fleet.kill("collect")
    wait_for(lambda: len(shop.listed()) == 45, "every service is in the list", 60)
    fleet.wait_live()
    fleet.wait_equal("one")


def test_when_the_supervisor_is_killed_everything_goes_and_a_new_start_finds_everything(fleet: Fleet) -> None:
    cookie = fleet.cookie()
    who = browser_session(fleet, cookie)
    before = fleet.names("nodes", "one")
    token = fleet.token
    state = fleet.run_state()
    pids = [state["pid"], *(program["pid"] for program in state["programs"].values())]
    below = [child.pid for pid in pids for child in psutil.Process(pid).children(recursive=True)]

    os.kill(state["pid"], signal.SIGKILL)
    wait_for(lambda: not any(started(pid) for pid in {*pids, *below}), "all of them are gone", 20)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{fleet.url}/livez", timeout=5)
    assert not [p.pid for p in psutil.process_iter(["environ"]) if mentions(p, fleet.data)]

    fleet.up()
    assert fleet.token == token
    assert browser_session(fleet, cookie) == who
    assert fleet.names("nodes", "one") == before
    fleet.wait_live()
    for name in fleet.clusters:
        fleet.wait_equal(name)


def mentions(process: psutil.Process, data: Path) -> bool:
    """Whether a process was started for an installation."""
    return (process.info["environ"] or {}).get("GM_DATA") == str(data)


async def test_a_raw_socket_that_comes_back_with_its_token_is_served_again(fleet: Fleet) -> None:
    cookie = fleet.cookie()
    before = Socket(fleet)
    async with before.opened(cookie):
        await before.send("reflex___state____state.hydrate")
        assert await before.until(variable("name")) == "admin"
        await asyncio.to_thread(fleet.kill, "web")
    await asyncio.to_thread(fleet.wait_for_web)
    after = Socket(fleet)
    after.token = before.token
    async with after.opened(cookie):
        await after.send("reflex___state____state.hydrate")
        assert await after.until(variable("name")) == "admin"


# --- an open page ---


async def without_a_click(page: Page, fleet: Fleet, *victims: str) -> None:
    """Kill, see the sign when it was the web process, and see it go by itself; the page was not loaded anew."""
    page.expected_errors = CUT_NOISE  # type: ignore[attr-defined]
    await page.evaluate("window.stillHere = true")
    sign = page.locator(".offline")
    os.kill(fleet.pid(victims[0]), signal.SIGKILL)
    await expect(sign).to_be_visible(timeout=15_000)
    await expect(sign).to_have_count(0, timeout=60_000)
    assert await page.evaluate("window.stillHere") is True


async def test_an_open_list_of_clusters_says_that_the_server_is_away_and_then_goes_on_live(
    fleet: Fleet, open_page: Opener
) -> None:
    page = await open_page("/platform/clusters", user="admin", console=fleet)
    row = page.get_by_role("row").filter(has_text="one")
    await expect(row).to_be_visible(timeout=15_000)
    await without_a_click(page, fleet, "web")
    fleet.clusters["one"].cut()
    away = page.locator("tr.aw").filter(has_text="one")
    await expect(away).to_be_visible(timeout=30_000)
    fleet.clusters["one"].heal()
    await expect(away).to_have_count(0, timeout=60_000)
    await expect(row).to_be_visible()


async def test_an_open_list_of_services_goes_on_live_after_web_and_collector_were_killed(
    fleet: Fleet, open_page: Opener, shop: Shop
) -> None:
    address = f"{KINDS['services'].menu}?cluster=one&namespace={shop.namespace}"
    page = await open_page(address, user="admin", console=fleet)
    await asyncio.to_thread(shop.create, "first")
    await expect(page.get_by_text("first", exact=True).first).to_be_visible(timeout=15_000)
    os.kill(fleet.pid("collect"), signal.SIGKILL)
    await without_a_click(page, fleet, "web")
    await asyncio.to_thread(shop.create, "second")
    await expect(page.get_by_text("second", exact=True).first).to_be_visible(timeout=60_000)
    await asyncio.to_thread(shop.delete, "first")
    await expect(page.get_by_text("first", exact=True)).to_have_count(0, timeout=30_000)
    assert page.url.endswith(address)
