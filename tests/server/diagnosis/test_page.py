"""The health worker's page, in a real browser at phone width."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Browser, async_playwright

from bluezone.protocol.deployment import APP_PORT
from bluezone.server.app import create_app
from tests.server.diagnosis.installation import PASSWORD, Service

pytestmark = pytest.mark.browser
CODE = re.compile(r"\d{4}-\d{4}-\d{4}")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def address(service: Service) -> AsyncIterator[str]:
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(service.services), port=0, log_config=None, access_log=False, lifespan="off"
        )
    )
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells no other way
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()
    yield f"http://{host}:{port}"
    server.should_exit = True
    await running


async def test_a_health_worker_issues_a_code_on_a_phone(service: Service, tmp_path: Path) -> None:
    async with address(service) as url, chromium() as browser:
        page = await browser.new_page(viewport={"width": 390, "height": 844})
        await page.goto(f"{url}/staff/codes")
        assert page.url.endswith("/staff/sign-in"), "a stranger is asked to sign in"
        await page.fill("#name", "lan")
        await page.fill("#password", PASSWORD)
        await page.click("main button")
        await page.goto(f"{url}/staff/codes")
        await page.fill("#symptom_onset", "2021-01-18")
        await page.click("main form button")
        code = (await page.inner_text("#code")).strip()
        assert CODE.fullmatch(code)
        digits = code.replace("-", "")
        assert await page.get_attribute("#link", "href") == (
            f"http://127.0.0.1:{APP_PORT}/report.html#code={digits}"
        )
        picture = await page.locator(".qr svg").bounding_box()
        assert picture is not None
        assert 120 < picture["width"] < 390
        await page.screenshot(path=tmp_path / "code.png", full_page=True)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390

        report = service.prepare(service.keys())
        assert (await service.ask(report, code)).status_code == 200  # as read aloud, with dashes
        assert report.answer is not None
        assert report.answer.symptom_onset == "2021-01-18"

        await page.goto(f"{url}/staff/codes?language=en")
        text = await page.inner_text("main")
        assert "Issue a code to a confirmed case" in text
        assert ": used" in text
        assert not CODE.search(text), "a code is shown once"
        await page.evaluate("document.querySelector('#symptom_onset').type = 'text'")
        await page.fill("#symptom_onset", "2019-12-31")
        await page.select_option("#report_type", "clinical-diagnosis")
        await page.click("main form button")
        assert "within the last 14 days" in await page.inner_text("[role=alert]")
        onset = page.locator("#symptom_onset")
        described_by = await onset.get_attribute("aria-describedby")
        assert "within the last 14 days" in await page.inner_text(f"form #{described_by}")
        assert await onset.input_value() == "2019-12-31", "what was typed is still there"
        assert await page.input_value("#report_type") == "clinical-diagnosis"


async def test_a_form_from_elsewhere_issues_nothing(service: Service) -> None:
    token = await service.sign_in()
    response = await service.client.post(
        "/staff/codes",
        data={"report_type": "confirmed-test"},
        headers={"Cookie": f"bluezone_session={token}"},
    )
    assert response.status_code == 403
    assert not CODE.search(response.text)
