"""Staff at a real browser: signing in, and what every page of theirs has to be."""

from pathlib import Path

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from tests import pictures
from tests.server.conftest import PASSWORD


async def signed_in(browser: Browser, served: str, name: str = "lan", width: int = 390) -> Page:
    """A window of that width in which somebody has signed in with name and password."""
    page = await browser.new_page(
        viewport={"width": width, "height": 844}, base_url=served, accept_downloads=True
    )
    await sign_in(page, served, name)
    return page


async def sign_in(page: Page, served: str, name: str = "lan") -> None:
    """Name and password, and the page that comes after them."""
    await page.goto(f"{served}/staff/sign-in")
    await page.fill("#name", name)
    await page.fill("#password", PASSWORD)
    await page.click("main button")
    await page.wait_for_url(f"{served}/staff")


async def picture(page: Page, tmp_path: Path, name: str, *, shown: bool = False) -> None:
    """Fits its window, has no fault that axe knows, and leaves a picture to look at.

    `shown`: the documentation shows it.
    """
    size = page.viewport_size
    assert size
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= size["width"], f"{name} is {width} pixels wide"
    found = await Axe().run(page)
    assert found.violations_count == 0, f"{name}: {found.generate_report()}"
    name = f"{name}-{size['width']}"
    screenshot = await page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
    if shown and pictures.wanted():
        pictures.keep(screenshot, f"portal/{name}")
