"""A health worker's contacts in Chromium: from a case to its ranks, and back when it closes."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright, expect

from bluezone.server.context import Services
from tests.server.conftest import PASSWORD, AddStaff, serving
from tests.server.contacts.conftest import World

pytestmark = pytest.mark.browser


@pytest.fixture
async def page(
    services: Services, add_staff: AddStaff, request: pytest.FixtureRequest
) -> AsyncIterator[Page]:
    """Signed in as a health worker of BA_DINH."""
    await add_staff("lan")
    async with serving(services) as (host, port), async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = await chromium.new_page(
            viewport={"width": request.param, "height": 844}, base_url=f"http://{host}:{port}"
        )
        await page.goto("/staff/sign-in")
        await page.fill("#name", "lan")
        await page.fill("#password", PASSWORD)
        await page.click("main button")
        yield page
        await chromium.close()


async def picture(page: Page, tmp_path: Path, name: str) -> None:
    """Fits its window, has no fault that axe knows, and leaves a picture to look at."""
    size = page.viewport_size
    assert size
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= size["width"], f"{name} is {width} pixels wide"
    found = await Axe().run(page)
    assert found.violations_count == 0, f"{name}: {found.generate_report()}"
    folder = Path(os.environ.get("BLUEZONE_STAFF_PICTURES", tmp_path))
    await page.screenshot(path=folder / f"contacts-{name}-{size['width']}.png", full_page=True)


@pytest.mark.parametrize("page", [390, 1280], indirect=True)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_from_a_case_to_its_contacts_and_back(
    page: Page, world: World, tmp_path: Path
) -> None:
    case = await world.case("Phạm Văn Ba")
    main = page.locator("main")
    await page.goto(f"/staff/cases/{case.id}/contacts")
    await expect(main).to_contain_text("Chưa có ai. Hãy bắt đầu từ người cùng hộ.")
    await page.get_by_role("link", name="Thêm người tiếp xúc hoặc cả hộ").click()
    await page.fill("#name", "Lê Thị Tư")
    await page.fill("#birth", "1988")
    await page.fill("#day", "2021-01-18")
    await page.select_option("#setting", "household")
    await page.select_option("#nearness", "same-room")
    await page.select_option("#relation", "spouse")
    await page.locator("summary").click()
    await page.fill("#name_1", "Phạm Thị Năm")
    await page.fill("#birth_1", "20 tháng 5")
    await picture(page, tmp_path, "new")
    await main.get_by_role("button", name="Thêm người tiếp xúc").click()
    # A child's birth as nobody can read it: said, and nothing typed is lost.
    member = page.locator("fieldset", has=page.locator("#birth_1")).last
    await expect(member.get_by_role("alert")).to_contain_text("Ngày sinh là")
    await expect(page.locator("#name_1")).to_have_value("Phạm Thị Năm")
    await page.fill("#birth_1", "2015")
    await main.get_by_role("button", name="Thêm người tiếp xúc").click()
    await expect(page.get_by_role("status")).to_contain_text("Đã thêm: 2")
    await expect(main.locator(".records > li")).to_have_count(2)

    # At the market: the case and a neighbour say when they were there.
    neighbour = await world.person("Vũ Thị Sáu")
    for person, start, end in ((case.person_id, "08:10", "09:00"), (neighbour, "08:30", "10:00")):
        await page.goto(f"/staff/people/{person}")
        await page.get_by_text("Thêm lần có mặt").first.click()
        await page.fill("#place", "Chợ Châu Long")
        await page.fill("#visit-day", "2021-01-17")
        await page.fill("#start", start)
        await page.fill("#end", end)
        await page.get_by_role("button", name="Thêm lần có mặt").click()
    await page.get_by_role("link", name="Chợ Châu Long").click()
    await page.fill("#start", "08:00")
    await page.fill("#end", "10:00")
    await page.get_by_role("button", name="Hiện những ai khai có mặt").click()
    await expect(main).to_contain_text("90 phút trong khoảng này")
    await page.select_option("#nearness", "two-metres")
    await picture(page, tmp_path, "place")
    await page.get_by_role("button", name="Ghi những người này là người tiếp xúc").click()
    await expect(page.get_by_role("status")).to_contain_text("Đã thêm: 1")

    await page.goto(f"/staff/cases/{case.id}/contacts")
    await expect(main.locator(".records > li")).to_have_count(3)
    await expect(main.locator(".records strong", has_text="F1")).to_have_count(3)
    await picture(page, tmp_path, "case")
    await page.goto("/staff/contacts")
    await expect(page.locator("table.lines tbody tr")).to_have_count(3)
    await picture(page, tmp_path, "list")
    await page.get_by_role("link", name="Vũ Thị Sáu").click()
    await expect(page.locator(".rank")).to_contain_text("F1")
    await expect(page.locator(".path li")).to_have_count(2)
    await picture(page, tmp_path, "person")
    await page.get_by_role("link", name="Sửa thông tin").click()
    await picture(page, tmp_path, "edit")

    await world.close(case)
    await page.goto("/staff/contacts")
    await expect(main).to_contain_text("Không có ai ở bậc này")
    await page.goto(f"/staff/people/{neighbour}")
    await expect(page.locator(".rank")).to_contain_text("không có bậc")
    await page.goto("/staff/places")
    await picture(page, tmp_path, "places")
