"""Pages that move by themselves, in the browser and on the bare socket."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Opener
from tests.browser.test_lists import PODS, rows_of
from tests.support.tabs import Pod, Shown, Tab


@pytest.fixture
async def pods(open_page: Opener, shown: Shown) -> Page:
    """The list of pods in Korean."""
    page = await open_page(f"{PODS}?sort=name", user="admin", console=shown.console)
    await rows_of(page)
    return page


def row_of(page: Page, name: str) -> str:
    """A selector of the row of a pod in edge-1."""
    return f'tbody tr:has(a[href*="edge-1%2F"][href*="%2F{name}"])'


async def test_a_changed_row_shows_it_within_a_second_and_flashes_once(pods: Page, shown: Shown) -> None:
    pod = shown.pods["edge-1"][0]
    pod.restart, before = 4321, pod.restart
    row = pods.locator(row_of(pods, pod.name))
    await row.evaluate("element => { element.stays = true }")
    begun = time.monotonic()
    shown.fleet.put("edge-1", pod)
    await expect(row).to_contain_text("4,321")
    assert time.monotonic() - begun < 2.0
    assert await row.evaluate("element => element.stays"), "the row was made anew instead of changed"
    assert await row.get_attribute("data-flash") is not None
    assert await pods.locator("tr[data-flash]").count() == 1
    pod.restart = before
    shown.fleet.put("edge-1", pod)
    await expect(row).not_to_contain_text("4,321")


async def test_a_new_pod_appears_where_it_belongs_and_a_deleted_one_goes(pods: Page, shown: Shown) -> None:
    made = Pod(0, "aaa-first")
    shown.fleet.put("edge-1", made)
    await expect(pods.locator(".gm-count")).to_have_text("361개 중 1–50")
    row = pods.locator('tbody tr:has(a[href*="edge-1%2Faaa-first%2F"])')
    await expect(row).to_be_visible()
    assert await (await rows_of(pods)).count() == 50
    shown.fleet.remove("edge-1", made)
    await expect(row).to_have_count(0)
    await expect(pods.locator(".gm-count")).to_have_text("360개 중 1–50")


async def test_a_screen_reader_hears_politely_that_rows_changed(pods: Page, shown: Shown) -> None:
    pod = shown.pods["edge-1"][1]
    pod.restart += 1
    shown.fleet.put("edge-1", pod)
    spoken = pods.locator(".gm-sr[aria-live=polite]")
    await expect(spoken).to_have_text(re.compile(r"행 \d+개가 바뀌었습니다"), timeout=8_000)


async def test_an_open_detail_follows_its_object_until_it_is_deleted(open_page: Opener, shown: Shown) -> None:
    made = Pod(777, "aaa-first")
    shown.fleet.put("edge-1", made)
    page = await open_page(f"{PODS}?open=edge-1%2Faaa-first%2Fpod-00777", user="admin", console=shown.console)
    head = page.locator("[data-gm-detail] .gm-dh")
    await expect(head).to_contain_text("실행 중")
    made.status, made.state = "CrashLoopBackOff", "bad"
    shown.fleet.put("edge-1", made)
    await expect(head).to_contain_text("CrashLoopBackOff")
    shown.fleet.remove("edge-1", made)
    await expect(head).to_contain_text("삭제됨", timeout=10_000)
    await expect(page.get_by_role("tabpanel")).to_contain_text("gedge/web:1.4.2")


async def test_an_away_clusters_rows_do_not_flash(pods: Page, shown: Shown) -> None:
    await pods.locator("tr[data-flash]").evaluate_all("rows => rows.forEach(r => r.removeAttribute('data-flash'))")
    shown.fleet.silent.add("edge-1")
    try:
        await expect(pods.locator("tbody tr.aw").first).to_be_visible(timeout=10_000)
        assert await pods.locator("tr.aw[data-flash]").count() == 0
    finally:
        shown.fleet.silent.clear()
        shown.fleet.beat()
    await expect(pods.locator("tbody tr.aw")).to_have_count(0, timeout=10_000)


async def test_a_killed_server_greys_the_page_and_its_return_brings_it_back_without_a_click(
    pods: Page, shown: Shown
) -> None:
    pods.expected_errors = ("WebSocket", "ERR_CONNECTION", "Failed to load resource")  # type: ignore[attr-defined]
    await pods.evaluate("window.stays = true")
    await pods.locator(".gm-list tr.filt input").first.fill("pod-0000")
    await expect(pods.locator(".gm-count")).to_have_text("30개 중 1–30")
    await asyncio.to_thread(shown.console.stop, "web", signal.SIGKILL)
    try:
        await expect(pods.locator(".gm-list[data-offline]")).to_be_visible(timeout=10_000)
        await expect(pods.get_by_text("다시 연결하는 중").first).to_be_visible()
        assert await (await rows_of(pods)).count() == 30
        pod = shown.pods["edge-1"][2]
        pod.restart = 9876
        shown.fleet.put("edge-1", pod)
    finally:
        await asyncio.to_thread(shown.console.start, "web")
    row = pods.locator(row_of(pods, pod.name))
    await expect(row).to_contain_text("9,876", timeout=30_000)
    await expect(pods.locator(".gm-list[data-offline]")).to_have_count(0)
    await expect(pods.locator(".gm-count")).to_have_text("30개 중 1–30")
    pod.restart = 0
    shown.fleet.put("edge-1", pod)
    await expect(row).not_to_contain_text("9,876")
    assert await pods.evaluate("window.stays"), "the page was loaded anew"


# --- the bare socket -------------------------------------------------------------------------------------------------


async def test_a_change_is_a_patch_of_one_row_on_the_socket(shown: Shown) -> None:
    cookie = await asyncio.to_thread(shown.console.cookie)
    async with Tab(shown.console.url, f"{PODS}?sort=name", cookie) as tab:
        await tab.until(lambda tab: len(tab.rows) == 50)
        version, received = tab.vars["page"]["v"], tab.received
        pod = shown.pods["edge-1"][3]
        pod.restart = 55_555
        shown.fleet.put("edge-1", pod)
        await tab.until(lambda tab: any(row["restart"] == pod.restart for row in tab.rows))
        assert tab.vars["page"]["v"] == version
        assert len(tab.vars["patch"]["rows"]) < 10
        assert tab.received - received < 6_000


async def test_a_tab_that_goes_elsewhere_is_sent_the_new_list_only(shown: Shown) -> None:
    cookie = await asyncio.to_thread(shown.console.cookie)
    async with Tab(shown.console.url, f"{PODS}?sort=name", cookie) as tab:
        await tab.until(lambda tab: len(tab.rows) == 50)
        await tab.go("/platform/nodes")
        await tab.until(lambda tab: tab.vars["page"].get("kind") == "nodes")
        heard: list[object] = []
        tab.on_delta = lambda delta, _size: heard.append(delta)
        pod = shown.pods["edge-1"][4]
        pod.restart = 66_666
        shown.fleet.put("edge-1", pod)
        async with Tab(shown.console.url, f"{PODS}?sort=name", cookie) as other:
            await other.until(lambda tab: any(row["restart"] == pod.restart for row in tab.rows))
        assert not any("patch" in str(delta) for delta in heard)


async def test_a_revoked_session_is_sent_nothing_more(shown: Shown) -> None:
    cookie = await asyncio.to_thread(shown.console.cookie)
    async with Tab(shown.console.url, f"{PODS}?sort=name", cookie) as tab:
        await tab.until(lambda tab: len(tab.rows) == 50)
        async with httpx.AsyncClient(headers={"Cookie": cookie, "Origin": shown.console.url}) as client:
            await client.post(f"{shown.console.url}/gmcapi/v2/auth/logout")
        await tab.until(lambda tab: not tab.vars.get("page"), 10)
        pod = shown.pods["edge-1"][5]
        pod.restart = 77_777
        other_cookie = await asyncio.to_thread(shown.console.cookie)
        async with Tab(shown.console.url, f"{PODS}?sort=name", other_cookie) as other:
            await other.until(lambda tab: len(tab.rows) == 50)
            shown.fleet.put("edge-1", pod)
            await other.until(lambda tab: any(row["restart"] == pod.restart for row in tab.rows))
        assert not tab.rows


async def test_closed_tabs_are_looked_at_no_more(shown: Shown) -> None:
    cookie = await asyncio.to_thread(shown.console.cookie)
    tabs = [Tab(shown.console.url, f"{PODS}?q=pod-0{number}", cookie) for number in range(20)]
    await asyncio.gather(*(tab.open() for tab in tabs))
    for tab in tabs:
        await tab.until(lambda tab: "page" in tab.vars)
    await asyncio.gather(*(tab.close() for tab in tabs))
    async with httpx.AsyncClient() as client:
        limit = time.monotonic() + 15
        while True:
            text = (await client.get(f"{shown.console.url}/metrics")).text
            if re.search(r"^gm_live_readers 0\.0$", text, re.MULTILINE):
                break
            assert time.monotonic() < limit, re.findall(r"^gm_live.*$", text, re.MULTILINE)
            await asyncio.sleep(0.2)


async def test_the_first_page_needs_little_script(open_page: Opener, shown: Shown) -> None:
    page = await open_page("/login", console=shown.console)
    name, _, value = shown.console.cookie().partition("=")
    await page.context.add_cookies([{"name": name, "value": value, "url": shown.console.url}])
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    scripts: dict[str, str] = {}
    sizes: dict[str, float] = {}
    session.on("Network.responseReceived", lambda e: scripts.update({e["requestId"]: e["response"]["url"]}))
    session.on("Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]}))
    await page.goto(shown.console.url + PODS)
    await rows_of(page)
    wire = sum(size for request, size in sizes.items() if Path(scripts.get(request, "")).suffix == ".js")
    assert 50_000 < wire < 600_000
    assert not any("plotly" in url.lower() for url in scripts.values())
