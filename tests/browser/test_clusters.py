"""Frame and pages of clusters and sites."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Opener, axe_faults
from tests.lab.cluster import LabCluster
from tests.support.console import Console, running
from tests.support.tls import Authority

KUBECONFIG = """apiVersion: v1
kind: Config
current-context: good
clusters:
- name: here
  cluster: {server: "https://127.0.0.1:1", certificate-authority-data: CA}
users:
- name: token
  user: {token: not-a-real-token}
- name: program
  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: aws-iam-authenticator}}
contexts:
- name: good
  context: {cluster: here, user: token}
- name: by-program
  context: {cluster: here, user: program}
"""


@pytest.fixture
def kubeconfig() -> str:
    """A kubeconfig with a context that can be used, towards a closed port, and one with an exec plugin."""
    return KUBECONFIG.replace("CA}", base64.b64encode(Authority().ca_pem.encode()).decode() + "}")


async def fill_first_step(page: Page, name: str) -> None:
    """Name the cluster and go on."""
    await page.get_by_label("이름").fill(name)
    await page.get_by_role("button", name="다음").click()


async def test_the_list_without_clusters_says_what_to_do(open_page: Opener) -> None:
    page = await open_page("/platform/clusters", user="admin")
    await expect(page.get_by_text("클러스터를 등록하면 여기에 나타납니다.")).to_be_visible()
    await page.get_by_role("button", name="등록").click()
    await page.wait_for_url("**/platform/clusters/register")


async def test_the_menu_of_a_service_admin_has_no_platform_pages(open_page: Opener) -> None:
    page = await open_page("/", user="service")
    menu = page.get_by_role("navigation", name="주 메뉴")
    await expect(menu.get_by_role("link", name="워크로드")).to_be_visible()
    await expect(menu.get_by_role("link", name="엣지존")).to_have_count(0)
    await page.wait_for_url("**/service/workloads/deployments")


@pytest.mark.parametrize("path", ["/platform/clusters", "/platform/nodes"])
async def test_a_service_admin_who_types_the_address_of_the_platform_is_told_the_rule(
    open_page: Opener, path: str
) -> None:
    page = await open_page(path, user="service")
    await expect(page.get_by_text("이 페이지를 볼 수 없습니다")).to_be_visible()
    await expect(page.get_by_role("button", name="등록")).to_have_count(0)


async def test_the_side_bar_folds_to_icons_and_stays_so(open_page: Opener) -> None:
    page = await open_page("/platform/sites", user="admin")
    await page.get_by_role("button", name="메뉴 접기").click()
    assert (await page.locator(".side").bounding_box())["width"] == 56  # type: ignore[index]
    await page.reload()
    await expect(page.get_by_role("button", name="메뉴 펼치기")).to_be_visible()
    assert (await page.locator(".side").bounding_box())["width"] == 56  # type: ignore[index]


async def test_the_quick_search_finds_pages_in_both_languages(open_page: Opener) -> None:
    page = await open_page("/platform/sites", user="admin")
    await expect(page.locator(".who")).to_contain_text("admin")
    await page.keyboard.press("Control+k")
    box = page.get_by_role("combobox")
    await box.fill("namesp")
    await expect(page.get_by_role("option").first).to_contain_text("네임스페이스")
    await box.press("Enter")
    await page.wait_for_url("**/service/namespaces")


async def test_a_question_mark_shows_the_keys(open_page: Opener) -> None:
    page = await open_page("/platform/sites", user="admin")
    await expect(page.locator(".who")).to_contain_text("admin")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="키보드 사용법")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_theme_and_language_switch_without_a_reload(open_page: Opener) -> None:
    page = await open_page("/platform/sites", user="admin")
    await page.evaluate("window.stillHere = true")
    await page.get_by_role("button", name="밝은 화면으로 바꾸기").click()
    await expect(page.locator("body")).to_have_css("background-color", "rgb(242, 245, 250)")
    await page.get_by_role("button", name="English로 보기").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sites")
    await expect(page.get_by_role("navigation", name="Main menu").get_by_role("link", name="Edge zone")).to_be_visible()
    assert await page.evaluate("window.stillHere") is True


async def test_the_theme_is_there_before_the_first_paint(open_page: Opener) -> None:
    page = await open_page("/login", theme="light")
    await page.reload(wait_until="commit")
    await page.wait_for_function("document.body !== null")
    assert "light" in await page.evaluate("document.documentElement.className")


async def test_a_site_is_made_changed_and_deleted(open_page: Opener) -> None:
    page = await open_page("/platform/sites", user="admin")
    await page.get_by_role("button", name="사이트 생성").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("이름").fill("daejeon")
    await dialog.get_by_label("주소").fill("대전 유성구")
    await dialog.get_by_label("위도").fill("96")
    await dialog.get_by_label("경도").fill("127.36")
    await dialog.get_by_role("button", name="저장").click()
    await expect(dialog.get_by_text("위도는 −90과 90 사이입니다")).to_be_visible()
    await dialog.get_by_label("위도").fill("36.38")
    await dialog.get_by_role("button", name="저장").click()
    await expect(dialog).to_have_count(0)
    row = page.get_by_role("row").filter(has_text="daejeon")
    await expect(row).to_contain_text("36.38, 127.36")
    await page.get_by_role("button", name="daejeon 사이트 수정").click()
    await dialog.get_by_label("주소").fill("대전 서구")
    await dialog.get_by_role("button", name="저장").click()
    await expect(row).to_contain_text("대전 서구")
    await page.get_by_role("button", name="daejeon 사이트 삭제").click()
    await dialog.get_by_role("button", name="사이트 삭제").click()
    await expect(row).to_have_count(0)


async def test_a_kubeconfig_shows_its_contexts_and_why_one_cannot_be_used(open_page: Opener, kubeconfig: str) -> None:
    page = await open_page("/platform/clusters/register", user="admin")
    await fill_first_step(page, "edge-01")
    await page.get_by_label("kubeconfig", exact=True).fill(kubeconfig)
    await expect(page.get_by_role("radio", name="good")).to_be_checked()
    program = page.get_by_role("radio", name="by-program")
    await expect(program).to_be_disabled()
    await expect(page.locator(".gm-context.off")).to_contain_text("aws-iam-authenticator")


async def test_the_check_names_the_failing_stage_its_reason_and_the_remedy(open_page: Opener, kubeconfig: str) -> None:
    page = await open_page("/platform/clusters/register", user="admin")
    await fill_first_step(page, "edge-01")
    await page.get_by_label("kubeconfig", exact=True).fill(kubeconfig)
    await expect(page.get_by_role("radio", name="good")).to_be_checked()
    await page.get_by_role("button", name="다음").click()
    failed = page.locator(".gm-stages li.failed")
    await expect(failed).to_contain_text("연결(TCP)")
    await expect(failed).to_contain_text("포트가 닫혀 있습니다")
    await expect(failed.locator(".gm-remedy")).to_contain_text("6443")
    await expect(page.get_by_role("button", name="등록", exact=True)).to_be_disabled()


async def test_a_credential_never_comes_back_to_the_browser(open_page: Opener, kubeconfig: str) -> None:
    page = await open_page("/platform/sites", user="admin")
    received: list[str] = []
    page.on("websocket", lambda ws: ws.on("framereceived", lambda frame: received.append(str(frame))))
    await page.goto(page.url.replace("/platform/sites", "/platform/clusters/register"))
    await fill_first_step(page, "edge-01")
    await page.get_by_label("kubeconfig", exact=True).fill(kubeconfig)
    await page.get_by_role("button", name="다음").click()
    await expect(page.locator(".gm-stages li.failed")).to_be_visible()
    assert any("port_closed" in frame for frame in received)
    assert not any("not-a-real-token" in frame for frame in received)


@pytest.mark.parametrize(("lang", "theme"), [("ko", "dark"), ("en", "light")])
@pytest.mark.parametrize("path", ["/platform/clusters", "/platform/clusters/register", "/platform/sites"])
async def test_axe_finds_no_serious_fault_on_the_pages_of_clusters(
    open_page: Opener, path: str, lang: str, theme: str
) -> None:
    page = await open_page(path, user="admin", lang=lang, theme=theme)
    await expect(page.locator(".who")).to_contain_text("admin")
    assert await axe_faults(page) == []


@pytest.mark.parametrize("lang", ["ko", "en"])
@pytest.mark.parametrize("width", [1280, 1920])
async def test_nothing_is_wider_than_the_window(open_page: Opener, width: int, lang: str) -> None:
    page = await open_page("/platform/clusters", user="admin", width=width, lang=lang)
    await expect(page.locator(".who")).to_contain_text("admin")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    header = await page.locator(".head").evaluate("e => e.scrollWidth - e.clientWidth")
    assert header <= 0
    controls = await page.locator(".head button").evaluate_all("all => all.map((e) => e.scrollWidth - e.clientWidth)")
    assert max(controls) <= 0


# --- with a real cluster ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, lab_cluster: LabCluster) -> Iterator[Console]:
    """A console that collects, for tests that register the lab's cluster."""
    with running(tmp_path_factory.mktemp("fleet"), "web", "collect") as made:
        yield made


async def register(page: Page, name: str, kubeconfig: str) -> None:
    """Go through the registration to its end."""
    await fill_first_step(page, name)
    await page.get_by_label("kubeconfig", exact=True).fill(kubeconfig)
    await expect(page.get_by_role("radio").first).to_be_checked()
    await page.get_by_role("button", name="다음").click()
    await expect(page.locator(".gm-stages li.ok, .gm-stages li.warn")).to_have_count(8)
    accept = page.get_by_role("checkbox")
    if await accept.count():
        await accept.check()
    await page.get_by_role("button", name="등록", exact=True).click()
    await expect(page.get_by_text(f"{name} 클러스터를 등록했습니다")).to_be_visible(timeout=15_000)


@pytest.mark.timeout(240)
async def test_a_cluster_is_registered_shown_edited_rotated_and_deleted(
    open_page: Opener, fleet: Console, lab_cluster: LabCluster
) -> None:
    kubeconfig = lab_cluster.kubeconfig().read_text()
    page = await open_page("/platform/clusters/register", user="admin", console=fleet)
    await register(page, "lab-edge", kubeconfig)
    await page.get_by_role("link", name="클러스터 보기").click()

    row = page.locator("tr[data-id]").filter(has_text="lab-edge")
    await expect(row.locator(".chip")).to_contain_text("정상", timeout=30_000)
    await expect(row).to_contain_text("127.0.0.1")
    pane = page.locator("[data-gm-detail]")
    await expect(pane.get_by_role("heading", name="lab-edge")).to_be_visible()

    await pane.get_by_role("tab", name="노드 정보").click()
    await expect(pane.get_by_role("link").first).to_be_visible(timeout=15_000)
    await pane.get_by_role("tab", name="메타데이터").click()
    await expect(pane).to_contain_text("kubernetes.io/hostname")
    await pane.get_by_role("tab", name="리소스").click()
    await expect(pane.get_by_role("link").first).to_be_visible()
    assert await axe_faults(page) == []

    dialog = page.get_by_role("dialog")
    await pane.get_by_role("button", name="점검").click()
    await expect(dialog.locator(".gm-stages li.ok, .gm-stages li.warn")).to_have_count(8)
    await dialog.get_by_role("button", name="닫기").click()

    await pane.get_by_role("button", name="수정").click()
    await dialog.get_by_role("radio", name="클라우드").click()
    await dialog.get_by_role("button", name="저장").click()
    await expect(dialog).to_have_count(0)
    await expect(row).to_contain_text("클라우드")

    await pane.get_by_role("button", name="인증 정보 교체").click()
    await dialog.get_by_label("kubeconfig", exact=True).fill(kubeconfig)
    await expect(dialog.get_by_role("radio", checked=True)).to_have_count(2)
    await dialog.get_by_role("button", name="점검하고 교체").click()
    await expect(dialog).to_have_count(0, timeout=15_000)
    await expect(row.locator(".chip")).to_contain_text("정상", timeout=30_000)

    await pane.get_by_role("button", name="삭제").click()
    await expect(dialog.locator(".gm-depends")).to_contain_text("파드")
    await expect(dialog.get_by_role("button", name="클러스터 삭제")).to_be_disabled()
    await dialog.get_by_label("lab-edge").fill("lab-edge")
    await dialog.get_by_role("button", name="클러스터 삭제").click()
    await expect(row).to_have_count(0, timeout=15_000)
