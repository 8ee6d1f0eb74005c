"""The login page, the session behind it, and its end."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Opener, axe_faults, sign_in
from tests.support.console import Console


async def test_a_user_signs_in_and_lands_on_the_first_page_of_their_menu(open_page: Opener) -> None:
    page = await open_page("/login")
    await sign_in(page)
    await expect(page.get_by_role("heading", level=1)).to_have_text("클러스터")
    assert page.url.endswith("/platform/clusters")
    await expect(page.locator(".who")).to_contain_text("admin")


async def test_signing_in_leads_to_the_page_that_was_asked_for(open_page: Opener) -> None:
    page = await open_page("/platform/sites")
    await page.wait_for_url("**/login?next=%2Fplatform%2Fsites")
    await sign_in(page)
    await page.wait_for_url("**/platform/sites")
    await expect(page.get_by_role("heading", level=1)).to_have_text("사이트")


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example"])
async def test_signing_in_never_leads_to_another_site(open_page: Opener, console: Console, target: str) -> None:
    page = await open_page(f"/login?next={target}")
    await sign_in(page)
    await page.wait_for_url(f"{console.url}/platform/clusters")


async def test_a_wrong_password_is_told_in_one_line_that_the_field_points_to(open_page: Opener) -> None:
    page = await open_page("/login")
    await sign_in(page, "admin", "not-the-password")
    alert = page.get_by_role("alert")
    await expect(alert).to_have_text("가입하지 않은 아이디이거나, 잘못된 비밀번호입니다.")
    assert await page.locator("#gm-password").get_attribute("aria-describedby") == await alert.get_attribute("id")


async def test_the_form_says_what_is_missing_without_asking_the_server(open_page: Opener, console: Console) -> None:
    page = await open_page("/login", lang="en")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("Please enter your user ID.")
    assert page.url == f"{console.url}/login"


async def test_the_language_switches_without_a_reload_and_is_remembered(open_page: Opener) -> None:
    page = await open_page("/login")
    await page.evaluate("window.stillHere = true")
    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Welcome")
    assert await page.evaluate("document.documentElement.lang") == "en"
    assert await page.evaluate("window.stillHere") is True
    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Welcome")


async def test_the_password_can_be_shown_and_hidden(open_page: Opener) -> None:
    page = await open_page("/login")
    await page.fill("#gm-password", "secret")
    await page.get_by_role("button", name="비밀번호 보기").click()
    assert await page.locator("#gm-password").get_attribute("type") == "text"
    await page.get_by_role("button", name="비밀번호 숨기기").click()
    assert await page.locator("#gm-password").get_attribute("type") == "password"


async def test_the_form_works_by_keyboard_alone(open_page: Opener) -> None:
    page = await open_page("/login")
    await expect(page.locator("#gm-user")).to_be_focused()
    await page.keyboard.type("admin")
    await page.keyboard.press("Tab")
    await page.keyboard.type("Admin-of-tests-7")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/platform/clusters")


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("lang", ["ko", "en"])
async def test_axe_finds_no_serious_fault_on_the_login_page(open_page: Opener, theme: str, lang: str) -> None:
    page = await open_page("/login?error=invalid_credentials", theme=theme, lang=lang)
    await expect(page.get_by_role("alert")).not_to_be_empty()
    assert await axe_faults(page) == []


async def test_the_first_tab_stop_leads_past_the_menu(open_page: Opener) -> None:
    page = await open_page("/platform/sites", user="admin")
    await expect(page.locator(".who")).to_contain_text("admin")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="본문으로 건너뛰기")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("main")).to_be_focused()


async def test_no_script_can_read_the_cookie_and_nothing_secret_lies_in_storage(open_page: Opener) -> None:
    page = await open_page("/login")
    await sign_in(page)
    await page.wait_for_url("**/platform/clusters")
    assert "gm_session" not in await page.evaluate("document.cookie")
    stored = await page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
    assert "Admin-of-tests-7" not in stored
    cookies = [c for c in await page.context.cookies() if c["name"].startswith("gm_session")]
    assert cookies[0]["httpOnly"]
    assert cookies[0]["value"] not in stored


async def _revoke(page: Page) -> int:
    """End the page's own session by REST, as another window of the user could."""
    return await page.evaluate(
        """async () => {
          const me = await (await fetch("/gmcapi/v2/auth/me")).json();
          return (await fetch(`/gmcapi/v2/auth/sessions/${me.data.sessionId}`, { method: "DELETE" })).status;
        }"""
    )


async def test_an_open_page_ends_within_five_seconds_of_its_session(open_page: Opener) -> None:
    page = await open_page("/platform/sites", user="admin")
    await expect(page.get_by_role("heading", level=1)).to_have_text("사이트")
    assert await _revoke(page) == 204
    await page.wait_for_url("**/login?next=%2Fplatform%2Fsites", timeout=5000)
    await expect(page.locator("#gm-user")).to_be_visible()


async def test_signing_out_ends_the_session_everywhere(open_page: Opener) -> None:
    page = await open_page("/platform/sites", user="admin")
    second = await page.context.new_page()
    await second.goto(page.url)
    await expect(second.get_by_role("heading", level=1)).to_have_text("사이트")
    await page.get_by_role("button", name="로그아웃").click()
    await page.wait_for_url("**/login")
    await second.wait_for_url("**/login?next=*", timeout=5000)


async def test_what_one_user_was_shown_is_gone_when_another_signs_in_in_the_same_tab(
    open_page: Opener, console: Console
) -> None:
    page = await open_page("/platform/sites", user="admin")
    await expect(page.locator(".who")).to_contain_text("admin")
    await page.get_by_role("button", name="로그아웃").click()
    await page.wait_for_url("**/login")
    await sign_in(page, "service")
    await expect(page.locator(".who")).to_contain_text("service")
    await expect(page.get_by_role("link", name="사이트", exact=True)).to_have_count(0)
    await page.goto(console.url + "/platform/sites")
    await expect(page.get_by_text("이 페이지를 볼 수 없습니다")).to_be_visible()
