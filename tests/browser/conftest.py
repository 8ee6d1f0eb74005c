"""Chromium against a running console. No page may ask another origin for anything, and the console stays clean."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, BrowserContext, Page, Request, Route, async_playwright

from tests.support.console import PASSWORDS, Console

SERIOUS = ("serious", "critical")
LOUD = ("error", "warning")


@dataclass
class Watched:
    """What a page did that it must not do."""

    origin: str
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    async def route(self, route: Route, request: Request) -> None:
        """Stop whatever leaves for another origin, and remember it."""
        parts = urlsplit(request.url)
        if parts.scheme in ("data", "blob") or parts.netloc == urlsplit(self.origin).netloc:
            await route.continue_()
        else:
            self.foreign.append(request.url)
            await route.abort()

    def listen(self, page: Page) -> None:
        """Remember errors and warnings of the console, and exceptions."""
        page.on("console", lambda m: self.errors.append(f"{m.type}: {m.text}") if m.type in LOUD else None)
        page.on("pageerror", lambda error: self.errors.append(f"exception: {error}"))


Opener = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for the session."""
    found = os.environ.get("GM_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb"]
        )
        yield browser
        await browser.close()


@pytest.fixture
async def open_page(chromium: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Opener]:
    """`await open_page("/path", user="admin", lang="ko", theme="dark", width=1280, console=…)`: a page in a context of
    its own, signed in when a user is given. At the end of the test its console and its requests are looked at;
    a test that provokes errors on purpose says so by `page.expected_errors`.
    """
    opened: list[tuple[BrowserContext, Watched, Page]] = []

    async def opener(
        path: str = "/",
        *,
        user: str | None = None,
        lang: str = "ko",
        theme: str = "dark",
        width: int = 1280,
        height: int = 800,
        console: Console | None = None,
        cookie: str | None = None,
    ) -> Page:
        where = console or request.getfixturevalue("console")
        context = await chromium.new_context(
            viewport={"width": width, "height": height},
            locale="ko-KR" if lang == "ko" else "en-GB",
            timezone_id="Asia/Seoul",
            reduced_motion="reduce",
        )
        cookies: list[Any] = [{"name": "gm_lang", "value": lang, "url": where.url}]
        if user:
            name, _, value = (cookie or where.cookie(user)).partition("=")
            cookies.append({"name": name, "value": value, "url": where.url, "httpOnly": True, "sameSite": "Lax"})
        await context.add_cookies(cookies)
        await context.add_init_script(f"localStorage.theme ??= '{theme}'")
        watched = Watched(where.url)
        await context.route("**/*", watched.route)
        page = await context.new_page()
        page.expected_errors = ()  # type: ignore[attr-defined]
        watched.listen(page)
        opened.append((context, watched, page))
        await page.goto(where.url + path)
        return page

    yield opener
    for context, watched, page in opened:
        expected: tuple[str, ...] = page.expected_errors  # type: ignore[attr-defined]
        await context.close()
        assert watched.foreign == [], "requests outside of the console's origin"
        unexpected = [error for error in watched.errors if not any(known in error for known in expected)]
        assert unexpected == [], "the browser's console is not clean"


async def axe_faults(page: Page) -> list[str]:
    """Serious and critical faults that axe finds on a page, one line each."""
    await page.evaluate(AXE_SCRIPT)
    result = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in result["violations"]
        if fault["impact"] in SERIOUS
        for node in fault["nodes"]
    ]


async def sign_in(page: Page, user: str = "admin", password: str | None = None) -> None:
    """Fill the form of the login page and send it."""
    await page.fill("#gm-user", user)
    await page.fill("#gm-password", PASSWORDS[user] if password is None else password)
    await page.click("form button[type=submit].pri")
