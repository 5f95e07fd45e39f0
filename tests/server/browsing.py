"""Staff at a real browser: signing in, and what every page of theirs has to be."""

import re
from pathlib import Path

from playwright.async_api import Browser, Page

from tests import accessibility, pictures
from tests.server.conftest import PASSWORD


async def signed_in(browser: Browser, served: str, name: str = "lan", width: int = 390) -> Page:
    """A window of that width in which somebody has signed in; it shows nothing yet."""
    page = await browser.new_page(
        viewport={"width": width, "height": 844}, base_url=served, accept_downloads=True
    )
    await sign_in_unseen(page, served, name)
    return page


async def sign_in_unseen(page: Page, served: str, name: str = "lan") -> None:
    """Send name and password; the page shows what it did, but its browser holds the cookie."""
    form = await page.request.get(f"{served}/staff/sign-in")
    token = re.search(r'name="form_token" value="(\w+)"', await form.text())
    assert token, "the page to sign in has no form"
    answer = await page.request.post(
        f"{served}/staff/sign-in",
        form={"form_token": token[1], "name": name, "password": PASSWORD},
        max_redirects=0,
    )
    assert answer.status == 303, f"{name} was not let in: {answer.status}"


async def sign_in(page: Page, served: str, name: str = "lan") -> None:
    """Name and password, and the page that comes after them."""
    await page.goto(f"{served}/staff/sign-in")
    await page.fill("#name", name)
    await page.fill("#password", PASSWORD)
    await page.click("main button")
    await page.wait_for_url(f"{served}/staff")


async def picture(page: Page, tmp_path: Path, name: str, *, shown: bool = False) -> None:
    """Fits its window, and has no fault that axe knows.

    Leaves a picture to look at when pictures are wanted; `shown`: the documentation shows it.
    """
    size = page.viewport_size
    assert size
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= size["width"], f"{name} is {width} pixels wide"
    found = await accessibility.violations_async(page)
    assert not found, f"{name}: {found}"
    if not pictures.wanted():
        return
    name = f"{name}-{size['width']}"
    screenshot = await page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
    if shown:
        pictures.keep(screenshot, f"portal/{name}")
