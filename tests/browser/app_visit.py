"""A browser's visit to a page over canned answers, watched for faults and stray requests."""

from typing import Any

from playwright.sync_api import Page, expect

from tests import accessibility, pictures
from tests.browser import answers
from tests.browser.canned import CannedCore


class Visit:
    """A page that watches: no fault of a script or the policy, no request to anybody else."""

    def __init__(self, page: Page, core: CannedCore) -> None:
        self.page = page
        self.core = core
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda said: self._hear(said.type, said.text))
        page.on("request", lambda request: self._see(request.url))

    def _hear(self, kind: str, text: str) -> None:
        # A refused question is what some tests are about; the browser logs it all the same.
        if kind == "error" and "Failed to load resource" not in text:
            self.faults.append(text)

    def _see(self, url: str) -> None:
        if not url.startswith((self.core.url, "data:", "blob:")):
            self.faults.append(f"a request left the phone: {url}")

    def open(self, name: str, **state: Any) -> Page:
        """The page `name` of a phone in the usual state but for `state`."""
        self.core.answers["GET state"] = lambda _: answers.usual_state(**state)
        self.page.goto(f"{self.core.url}{name}.html")
        expect(self.page.locator("html")).to_have_attribute("data-ready", "")
        expect(self.page.locator("main[data-loading]")).to_have_count(0)
        return self.page

    def width(self) -> int:
        width: int = self.page.evaluate("document.documentElement.scrollWidth")
        return width

    def check_access(self, what: str) -> None:
        """axe-core finds no violation."""
        found = accessibility.violations(self.page)
        assert not found, f"{what}: {found}"

    def picture(self, name: str) -> None:
        """Renew a picture of the documentation, when asked to."""
        if pictures.wanted():
            self.page.wait_for_timeout(300)
            pictures.keep(self.page.screenshot(), f"app/{name}")
