"""Signing in as a person does, in Chromium: phone width, both languages, light and dark."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from bluezone.clock import ManualClock
from bluezone.server.app import open_services
from bluezone.server.config import SecondFactor, Settings
from bluezone.server.context import Services
from bluezone.server.migrations import upgrade
from bluezone.server.people.passwords import hash_password
from bluezone.server.people.rules import Grant, StaffRole
from bluezone.server.people.service import add_account
from tests.server.conftest import BA_DINH, PASSWORD, serving

pytestmark = pytest.mark.browser


@pytest.fixture
async def served(home: Path, clock: ManualClock) -> AsyncIterator[str]:
    services = await open_services(Settings(home=home, second_factor=SecondFactor.OPTIONAL), clock)
    await upgrade(services.database)
    await _add_lan(services)
    async with serving(services) as (host, port):
        yield f"http://{host}:{port}"
    await services.database.dispose()


async def _add_lan(services: Services) -> None:
    password_hash = await hash_password(PASSWORD)
    async with services.database.transaction() as session:
        await add_account(
            session,
            name="lan",
            password_hash=password_hash,
            grant=Grant(StaffRole.HEALTH_WORKER, BA_DINH),
            now=services.now,
        )


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A narrow phone. Anything a page complains about fails the test."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        opened = await browser.new_page(viewport={"width": 360, "height": 640})
        opened.on("console", lambda message: complaints.append(message.text))
        yield opened
        await browser.close()
    # Chromium itself remarks on the status of the page that refuses a wrong password.
    assert [text for text in complaints if "401 (Unauthorized)" not in text] == []


async def test_in_and_out(served: str, page: Page, tmp_path: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{served}/staff")
    await expect(page).to_have_title("Đăng nhập dành cho cán bộ y tế · Bluezone")
    await page.screenshot(path=tmp_path / "sign-in.png")

    await page.get_by_role("link", name="English").click()
    await page.get_by_label("Name").fill("lan")
    await page.get_by_label("Password").fill("not the password")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    await expect(page.get_by_label("Name")).to_have_value("lan")
    await page.emulate_media(color_scheme="dark")
    await page.screenshot(path=tmp_path / "wrong.png")

    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("What would you like to do?")
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 360, "the page is wider than a phone"
    await page.get_by_role("link", name="Tiếng Việt").click()
    await page.screenshot(path=tmp_path / "start.png")

    cookie = next(one for one in await page.context.cookies() if "session" in one["name"])
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    await page.get_by_role("button", name="Đăng xuất").click()
    await expect(page).to_have_url(f"{served}/staff/sign-in")
    await page.goto(f"{served}/staff")
    await expect(page).to_have_url(f"{served}/staff/sign-in")
    assert all(url.startswith(served) for url in asked), "a page asked somebody else"
