"""A browser, a core of canned answers, and a visit that fails the test on any fault."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.app_visit import Visit
from tests.browser.canned import CannedCore


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def core() -> Iterator[CannedCore]:
    core = CannedCore()
    yield core
    core.close()


@pytest.fixture
def visit(chromium: Browser, core: CannedCore) -> Iterator[Visit]:
    context = chromium.new_context(
        viewport={"width": 390, "height": 844},
        service_workers="block",
        reduced_motion="reduce",
    )
    visit = Visit(context.new_page(), core)
    visit.page.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    yield visit
    context.close()
    assert visit.faults == []
