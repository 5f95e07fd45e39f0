"""A health worker's contacts in Chromium: from a case to its ranks, and back when it closes."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.server.browsing import picture, signed_in
from tests.server.conftest import AddStaff
from tests.server.contacts.conftest import World

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_from_a_case_to_its_contacts_and_back(
    browser: Browser, served: str, add_staff: AddStaff, world: World, tmp_path: Path, width: int
) -> None:
    await add_staff("lan")
    page = await signed_in(browser, served, width=width)
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
    await picture(page, tmp_path, "contacts-new")
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
    await picture(page, tmp_path, "contacts-place")
    await page.get_by_role("button", name="Ghi những người này là người tiếp xúc").click()
    await expect(page.get_by_role("status")).to_contain_text("Đã thêm: 1")

    await page.goto(f"/staff/cases/{case.id}/contacts")
    await expect(main.locator(".records > li")).to_have_count(3)
    await expect(main.locator(".records strong", has_text="F1")).to_have_count(3)
    await picture(page, tmp_path, "contacts-case")
    await page.get_by_role("link", name="Về ca bệnh").click()
    await expect(main.locator(".records strong", has_text="F1")).to_have_count(3)
    await picture(page, tmp_path, "contacts-case-record")
    await page.goto("/staff/contacts")
    await expect(page.locator("table.lines tbody tr")).to_have_count(3)
    await picture(page, tmp_path, "contacts-list")
    await page.get_by_role("link", name="Vũ Thị Sáu").click()
    await expect(page.locator(".rank")).to_contain_text("F1")
    await expect(page.locator(".path li")).to_have_count(2)
    await picture(page, tmp_path, "contacts-person")
    await page.get_by_role("link", name="Sửa thông tin").click()
    await picture(page, tmp_path, "contacts-edit")

    await world.close(case)
    await page.goto("/staff/contacts")
    await expect(main).to_contain_text("Không có ai ở bậc này")
    await page.goto(f"/staff/people/{neighbour}")
    await expect(page.locator(".rank")).to_contain_text("không có bậc")
    await page.goto("/staff/places")
    await picture(page, tmp_path, "contacts-places")
