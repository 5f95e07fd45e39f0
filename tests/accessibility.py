"""What axe-core finds wrong with a page. Only that comes back: all that it tried is far more."""

from typing import Any, Final

from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.async_api import Page as AsyncPage
from playwright.sync_api import Page

_IS_THERE: Final = "typeof axe !== 'undefined'"
_RUN: Final = "axe.run({resultTypes: ['violations']}).then(found => found.violations)"


def violations(page: Page) -> str:
    """A report; empty where there is none."""
    if not page.evaluate(_IS_THERE):
        page.evaluate(AXE_SCRIPT)
    return _report(page.evaluate(_RUN))


async def violations_async(page: AsyncPage) -> str:
    """The same on a page of Playwright's asynchronous kind."""
    if not await page.evaluate(_IS_THERE):
        await page.evaluate(AXE_SCRIPT)
    return _report(await page.evaluate(_RUN))


def _report(found: list[dict[str, Any]]) -> str:
    return str(AxeResults({"violations": found}).generate_report()) if found else ""
