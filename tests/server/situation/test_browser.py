"""Situation, search and exports in Chromium, on a phone and on a desk, in Vietnamese."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from bluezone.server.context import Services
from bluezone.server.people.service import find_account, open_session
from tests.server.browsing import picture
from tests.server.conftest import AddStaff
from tests.server.situation.outbreak import Outbreak, build

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]
PERIOD = "since=2020-12-05&until=2021-01-20"


@pytest.fixture
async def outbreak(services: Services) -> Outbreak:
    return await build(services, cases=48, contacts_per_case=2.5, seed=4)


@pytest.mark.parametrize("width", [390, 1280])
async def test_a_tracer_sees_finds_and_takes_out(
    services: Services,
    outbreak: Outbreak,
    served: str,
    browser: Browser,
    add_staff: AddStaff,
    tmp_path: Path,
    width: int,
) -> None:
    await add_staff("lan", unit="vn")
    async with services.database.transaction() as session:
        account = await find_account(session, "lan")
        assert account is not None
        token, _until = await open_session(session, account, services.now, 86400)
    context = await browser.new_context(
        viewport={"width": width, "height": 844}, accept_downloads=True
    )
    await context.add_cookies([{"name": "bluezone_session", "value": token, "url": served}])
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await page.goto(f"{served}/staff/situation?{PERIOD}")
    await picture(page, tmp_path, "situation-curve", shown=True)
    for name, path in (("map", "map"), ("delays", "delays"), ("coverage", "coverage")):
        await page.goto(f"{served}/staff/situation/{path}?{PERIOD}")
        await picture(page, tmp_path, f"situation-{name}", shown=True)
    await page.goto(f"{served}/staff/situation/map?{PERIOD}&unit=01")
    await page.locator("svg a", has_text="Ba Đình").first.click()
    await expect(page.get_by_label("Đơn vị", exact=True)).to_have_value("001")

    await page.goto(f"{served}/staff/situation/chains?{PERIOD}")
    people = page.locator(".person")
    assert await people.count() == len(outbreak.people)
    # Come to by keyboard, a person says who, where, when and how.
    first = page.locator("a.person").first
    await first.focus()
    card = first.locator("xpath=following-sibling::*[1]")
    await expect(card).to_be_visible()
    await expect(card).to_contain_text("Thế hệ 0")
    await picture(page, tmp_path, "situation-chains", shown=True)
    # A branch is put away, and comes back.
    fold = page.locator("a.fold").first
    await fold.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("a.fold", has_text="+").first).to_be_attached()
    assert await people.count() < len(outbreak.people)
    await page.locator("a.fold", has_text="+").first.focus()
    await page.keyboard.press("Enter")
    await expect(people).to_have_count(len(outbreak.people))
    # Names only for a purpose.
    name = outbreak.name_of[outbreak.cases[0]].split()[-1]
    await page.get_by_label("Hiện tên, để").select_option("tracing")
    await page.get_by_role("button", name="Hiện tên").click()
    await expect(page.locator(".chains")).to_contain_text(name)
    node = page.locator("a.person").first
    address = await node.get_attribute("href")
    await node.focus()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{served}{address}")
    person = int(str(address).rpartition("/")[2])
    await expect(page.locator("main")).to_contain_text(outbreak.name_of[person])

    await page.goto(f"{served}/staff/search")
    await page.fill("#text", outbreak.name_of[outbreak.cases[0]])
    await page.select_option("#purpose", "tracing")
    await page.fill("#save_as", "Ca đầu tiên")
    await page.get_by_role("button", name="Tìm kiếm").click()
    await expect(page.locator("tbody tr").first).to_be_visible()
    assert page.url == f"{served}/staff/search"  # nothing of it in the address
    await picture(page, tmp_path, "search")

    await page.goto(f"{served}/staff/exports")
    await page.locator("input[value=name]").check()
    await page.get_by_role("button", name="Tải về").click()
    await expect(page.get_by_role("alert")).to_contain_text("cần các cột cá nhân để làm gì")
    await picture(page, tmp_path, "exports")
    await page.fill("#reason", "danh sách đi thăm nhà")
    await page.select_option("#form", "xlsx")
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Tải về").click()
    assert (await download.value).suggested_filename.endswith(".xlsx")
    await context.close()
    assert all(url.startswith(served) for url in asked)
