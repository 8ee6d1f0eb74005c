"""Lists and details of kinds in the browser, over an inventory that the test writes."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import Opener, axe_faults
from tests.support.tabs import Shown

PODS = "/service/workloads/pods"


async def rows_of(page: Page) -> Locator:
    """The list's rows, once they are there."""
    rows = page.locator("tbody tr[data-id]")
    await expect(rows.first).to_be_visible(timeout=15_000)
    return rows


async def names_of(page: Page) -> list[str]:
    """The names that the list shows."""
    await rows_of(page)
    return [text.strip() for text in await page.locator("tbody td.gm-name a").all_text_contents()]


async def content_of(starting: Any) -> str:
    """What a download holds."""
    path = await (await starting.value).path()
    return await asyncio.to_thread(Path(path).read_text, encoding="utf-8-sig")


def heading(page: Page, word: str) -> Locator:
    return page.locator("thead th", has_text=word)


def column_filter(page: Page, word: str) -> Locator:
    return page.get_by_label(f"{word} 필터")


@pytest.fixture
async def pods(open_page: Opener, shown: Shown) -> Page:
    """The list of pods in Korean."""
    page = await open_page(PODS, user="admin", console=shown.console)
    await rows_of(page)
    return page


async def test_a_list_says_how_many_there_are_and_which_it_shows(pods: Page) -> None:
    assert await (await rows_of(pods)).count() == 50
    await expect(pods.locator(".gm-count")).to_have_text("360개 중 1–50")
    await expect(pods.locator("tbody .chip.good").first).to_have_text("실행 중")
    await expect(pods.locator("button.lamp")).to_contain_text("3/3 클러스터")


async def test_reasons_that_kubernetes_gave_stay_as_they_are(pods: Page) -> None:
    chip = pods.locator("tbody .chip.bad").first
    await expect(chip).to_have_text("CrashLoopBackOff")
    assert await chip.locator("svg").count() == 1


async def test_a_filter_above_a_column_stands_in_the_address_and_a_link_opens_the_same_view(
    pods: Page, open_page: Opener, shown: Shown
) -> None:
    await column_filter(pods, "클러스터").fill("edge-2")
    await expect(pods.locator(".gm-count")).to_have_text("120개 중 1–50")
    assert "f.cluster=edge-2" in pods.url
    await column_filter(pods, "상태").fill("CrashLoop")
    await expect(pods.locator(".gm-chips .chip")).to_have_count(2)
    names = await names_of(pods)
    other = await open_page(pods.url.removeprefix(shown.console.url), user="admin", console=shown.console)
    assert await names_of(other) == names
    await expect(column_filter(other, "클러스터")).to_have_value("edge-2")
    await other.get_by_role("button", name="필터 모두 지우기").click()
    await expect(other.locator(".gm-count")).to_have_text("360개 중 1–50")
    assert "f." not in other.url


async def test_a_filter_that_cannot_be_understood_keeps_the_rows_and_says_why(pods: Page) -> None:
    await column_filter(pods, "재시작 수").fill(">x")
    await expect(pods.get_by_role("alert")).to_contain_text("숫자가 아닙니다")
    assert await (await rows_of(pods)).count() == 50
    await column_filter(pods, "재시작 수").fill(">=0")
    await expect(pods.get_by_role("alert")).to_have_count(0)


async def test_a_heading_sorts_up_then_down_then_as_before(pods: Page) -> None:
    first = await names_of(pods)
    name = heading(pods, "파드 이름")
    assert await name.get_attribute("aria-sort") == "ascending"
    await name.get_by_role("button").click()
    await pods.wait_for_url("**sort=-name**")
    await expect(name).to_have_attribute("aria-sort", "descending")
    await expect(pods.locator("tbody td.gm-name a").first).to_have_text("pod-00119")
    await name.get_by_role("button").click()
    await expect(pods.locator("tbody td.gm-name a").first).to_have_text(first[0])
    assert "sort=" not in pods.url


async def test_pages_follow_one_another_and_lead_back(pods: Page) -> None:
    first = await names_of(pods)
    await pods.get_by_role("button", name="다음").click()
    await expect(pods.locator(".gm-count")).to_have_text("360개 중 51–100")
    second = await names_of(pods)
    assert second[0] >= first[-1]
    await pods.get_by_label("페이지 크기").select_option("100")
    await expect(pods.locator(".gm-count")).to_have_text("360개 중 1–100")
    assert await names_of(pods) == first + second
    await pods.get_by_role("button", name="다음").click()
    await expect(pods.locator(".gm-count")).to_have_text("360개 중 101–200")
    await pods.get_by_role("button", name="이전").click()
    await expect(pods.locator(".gm-count")).to_have_text("360개 중 1–100")
    await pods.go_back()
    await expect(pods.locator(".gm-count")).to_have_text("360개 중 101–200")
    await pods.go_back()
    await expect(pods.locator(".gm-count")).to_have_text("360개 중 1–100")
    assert await names_of(pods) == first + second


async def test_the_keys_filter_move_open_and_close(pods: Page) -> None:
    await pods.keyboard.press("/")
    await pods.keyboard.type("pod-0001")
    await expect(pods.locator(".gm-count")).to_have_text("30개 중 1–30")
    await pods.keyboard.press("Escape")
    await pods.keyboard.press("Escape")
    await expect(pods.locator(".gm-count")).to_have_text("360개 중 1–50")
    await pods.keyboard.press("j")
    await pods.keyboard.press("j")
    await pods.keyboard.press("j")
    await pods.keyboard.press("k")
    name = (await names_of(pods))[1]
    await pods.keyboard.press("Enter")
    await expect(pods.locator("[data-gm-detail] h2")).to_have_text(name)
    assert "open=" in pods.url
    await expect(pods.locator("tr[aria-current=true] .gm-name a")).to_have_text(name)
    await pods.keyboard.press("Escape")
    await expect(pods.locator("[data-gm-detail]")).to_have_count(0)
    assert "open=" not in pods.url


async def test_every_tab_of_a_pod_has_something_to_show(pods: Page) -> None:
    await (await rows_of(pods)).nth(2).locator("td").nth(2).click()
    panel = pods.get_by_role("tabpanel")
    await expect(panel).to_contain_text("gedge/web:1.4.2")
    for tab, words in {
        "리소스": "gedge/web:1.4.2",
        "메타데이터": "app: web",
        "상태": "조건",
        "이벤트": "이벤트",
        "관련 항목": "워크로드",
        "YAML": "apiVersion: v1",
    }.items():
        await pods.get_by_role("tab", name=re.compile(f"^{tab}")).click()
        await expect(panel).to_contain_text(words)
    assert "tab=yaml" in pods.url


async def test_a_link_to_a_tab_of_an_object_opens_it(open_page: Opener, shown: Shown) -> None:
    page = await open_page(f"{PODS}?open=edge-2%2Ffarm%2Fpod-00007&tab=yaml", user="admin", console=shown.console)
    await expect(page.locator("[data-gm-detail] h2")).to_have_text("pod-00007")
    await expect(page.get_by_role("tabpanel")).to_contain_text("name: pod-00007")


async def test_an_object_that_is_not_there_is_said_to_be_so(open_page: Opener, shown: Shown) -> None:
    page = await open_page(f"{PODS}?open=edge-2%2Ffarm%2Fpod-none", user="admin", console=shown.console)
    await expect(page.get_by_role("tabpanel")).to_contain_text("not_found")
    assert await (await rows_of(page)).count() == 50


async def test_columns_are_chosen_and_ordered_and_stay_so(pods: Page) -> None:
    await pods.get_by_role("button", name="열 선택").click()
    dialog = pods.get_by_role("dialog", name="열 선택")
    await dialog.get_by_label("파드 IP", exact=True).uncheck()
    await dialog.get_by_label("QoS 클래스", exact=True).check()
    await dialog.get_by_role("button", name="클러스터 앞으로").click()
    await pods.keyboard.press("Escape")
    await expect(heading(pods, "파드 IP")).to_have_count(0)
    await pods.reload()
    await rows_of(pods)
    heads = [text.strip() for text in await pods.locator("thead tr:first-child th[data-key]").all_text_contents()]
    assert heads[:2] == ["클러스터", "파드 이름"]
    assert "QoS 클래스" in heads
    assert "파드 IP" not in heads


async def test_checked_rows_have_a_bar_that_hides_none_of_them(pods: Page) -> None:
    rows = await rows_of(pods)
    for number in (0, 3):
        await rows.nth(number).get_by_role("checkbox").check()
    bar = pods.get_by_role("toolbar", name="선택한 항목에 할 일")
    await expect(bar).to_contain_text("2개 선택")
    await pods.locator(".gm-scroll").evaluate("element => element.scrollTo(0, element.scrollHeight)")
    last, floating = await rows.last.bounding_box(), await bar.bounding_box()
    assert last is not None
    assert floating is not None
    assert last["y"] + last["height"] <= floating["y"]
    async with pods.expect_download() as starting:
        await bar.get_by_role("button", name="YAML").click()
    text = await content_of(starting)
    assert text.count("kind: Pod") == 2
    await bar.get_by_role("button", name="선택 해제").click()
    await expect(bar).to_have_count(0)


async def test_the_whole_list_goes_into_a_csv_not_only_the_page(pods: Page) -> None:
    await column_filter(pods, "클러스터").fill("edge-1")
    await expect(pods.locator(".gm-count")).to_have_text("120개 중 1–50")
    async with pods.expect_download() as starting:
        await pods.get_by_role("button", name="CSV로 내보내기").click()
    text = await content_of(starting)
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == 120
    assert {line["클러스터"] for line in lines} == {"edge-1"}
    assert lines[0]["파드 이름"] == "pod-00000"


async def test_a_silent_clusters_rows_stay_greyed_with_their_age(pods: Page, shown: Shown) -> None:
    shown.fleet.silent.add("edge-2")
    try:
        row = pods.locator("tbody tr.aw").first
        await expect(row).to_be_visible(timeout=10_000)
        await expect(row.locator(".chip.away")).to_contain_text("연결 끊김 · ")
        await expect(row).to_contain_text("전")
        await expect(pods.locator(".gm-foot")).to_contain_text("120개는 마지막으로 안 상태")
        await expect(pods.locator("button.lamp")).to_contain_text("2/3 클러스터")
        assert await (await rows_of(pods)).count() == 50
        await pods.locator("button.lamp").click()
        sources = pods.get_by_role("dialog", name="클러스터별 최신 상태")
        await expect(sources.locator("tr.aw")).to_contain_text("edge-2")
        await expect(sources.locator("tr.aw")).to_contain_text("연결 끊김")
    finally:
        shown.fleet.silent.clear()
        shown.fleet.beat()
    await expect(pods.locator("tbody tr.aw")).to_have_count(0, timeout=10_000)


async def test_nothing_found_says_how_many_clusters_answered(pods: Page) -> None:
    await column_filter(pods, "파드 이름").fill("no-such-pod")
    empty = pods.locator(".gm-centre")
    await expect(empty).to_contain_text("클러스터 3개가 모두 응답했습니다.")
    await empty.get_by_role("button", name="필터 모두 지우기").click()
    await rows_of(pods)


async def test_a_kind_without_objects_is_empty_only_because_all_clusters_said_so(
    open_page: Opener, shown: Shown
) -> None:
    page = await open_page("/service/workloads/deployments", user="admin", console=shown.console)
    await expect(page.locator(".gm-centre")).to_contain_text("클러스터 3개가 모두 응답했습니다.")
    shown.fleet.silent.add("edge-1")
    try:
        await expect(page.locator(".gm-centre")).to_contain_text("클러스터 3개 중 2개가 응답했습니다.", timeout=10_000)
        await expect(page.locator(".gm-centre")).to_contain_text("edge-1")
        shown.fleet.silent.update(shown.fleet.names)
        await expect(page.locator(".gm-centre")).to_contain_text("아직 알 수 없습니다", timeout=10_000)
    finally:
        shown.fleet.silent.clear()
        shown.fleet.beat()


async def test_a_service_admin_without_projects_is_told_so(open_page: Opener, shown: Shown) -> None:
    page = await open_page(PODS, user="service", console=shown.console)
    await expect(page.locator(".gm-centre")).to_contain_text("회원님이 속한 프로젝트가 없습니다.")
    assert "pod-0" not in await page.content()


@pytest.mark.parametrize(
    ("query", "words"),
    [("?sort=colour", "colour"), ("?cluster=nowhere", "nowhere"), ("?f.colour=red", "colour")],
)
async def test_a_question_about_what_does_not_exist_names_it(
    open_page: Opener, shown: Shown, query: str, words: str
) -> None:
    page = await open_page(PODS + query, user="admin", console=shown.console)
    failed = page.locator(".gm-centre")
    await expect(failed).to_contain_text(words)
    await expect(failed.get_by_role("button", name="다시 시도")).to_be_visible()


async def test_the_language_changes_without_a_reload(pods: Page) -> None:
    await pods.evaluate("window.stays = true")
    await pods.get_by_role("button", name="언어").or_(pods.locator("button[lang=en]")).first.click()
    await expect(pods.locator(".gm-count")).to_have_text("1–50 of 360")
    await expect(pods.locator("tbody .chip.good").first).to_have_text("Running")
    assert await pods.evaluate("window.stays")


@pytest.mark.parametrize(("lang", "theme"), [("ko", "dark"), ("en", "light")])
async def test_axe_finds_no_serious_fault_in_a_list_with_a_detail(
    open_page: Opener, shown: Shown, lang: str, theme: str
) -> None:
    page = await open_page(
        f"{PODS}?open=edge-2%2Ffarm%2Fpod-00007", user="admin", console=shown.console, lang=lang, theme=theme
    )
    await rows_of(page)
    await expect(page.get_by_role("tabpanel")).to_contain_text("gedge/web:1.4.2")
    await (await rows_of(page)).nth(1).get_by_role("checkbox").check()
    assert await axe_faults(page) == []


@pytest.mark.parametrize("width", [1280, 1440, 1920])
async def test_a_page_is_as_wide_as_the_window(open_page: Opener, shown: Shown, width: int) -> None:
    page = await open_page(
        f"{PODS}?open=edge-2%2Ffarm%2Fpod-00007", user="admin", console=shown.console, width=width, height=900
    )
    await rows_of(page)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    heights = await page.eval_on_selector_all("tbody tr[data-id]", "rows => rows.map(r => r.offsetHeight)")
    assert set(heights) == {32}


async def test_nothing_jumps_while_a_list_arrives(open_page: Opener, shown: Shown) -> None:
    page = await open_page("/login", console=shown.console)
    await page.context.add_init_script(
        "window.jumps = 0; new PerformanceObserver(list => list.getEntries().forEach(e => { window.jumps += e.value }))"
        ".observe({type: 'layout-shift', buffered: true})"
    )
    name, _, value = shown.console.cookie().partition("=")
    await page.context.add_cookies([{"name": name, "value": value, "url": shown.console.url}])
    await page.goto(shown.console.url + PODS)
    await rows_of(page)
    jumps: Any = await page.evaluate("window.jumps")
    assert jumps < 0.05
