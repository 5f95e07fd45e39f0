"""Inviting, joining and looking after accounts in Chromium, on a phone and on a desk."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from bluezone.clock import ManualClock
from bluezone.server.app import open_services
from bluezone.server.config import SecondFactor, Settings
from bluezone.server.context import Services
from bluezone.server.migrations import upgrade
from bluezone.server.people import second_factor
from bluezone.server.people.passwords import hash_password
from bluezone.server.people.rules import Grant, StaffRole
from bluezone.server.people.service import add_account, find_account, open_session
from tests.server.browsing import picture
from tests.server.conftest import BA_DINH, PASSWORD

pytestmark = pytest.mark.browser
NEW = "năm con gà chạy vòng"


@pytest.fixture
async def services(home: Path, clock: ManualClock) -> AsyncIterator[Services]:
    opened = await open_services(Settings(home=home, second_factor=SecondFactor.REQUIRED), clock)
    await upgrade(opened.database)
    password_hash = await hash_password(PASSWORD)
    async with opened.database.transaction() as session:
        for name, role, unit in (
            ("quan", StaffRole.ADMIN, "vn.01"),
            ("lan", StaffRole.HEALTH_WORKER, BA_DINH),
        ):
            account = await add_account(
                session,
                name=name,
                password_hash=password_hash,
                grant=Grant(role, unit),
                now=opened.now,
            )
            await open_session(session, account, opened.now, 3600)
    yield opened
    await opened.database.dispose()


async def signed_in(browser: Browser, services: Services, served: str, width: int) -> Page:
    """The administrator of Hà Nội, past both factors."""
    context = await browser.new_context(viewport={"width": width, "height": 844})
    async with services.database.transaction() as session:
        account = await find_account(session, "quan")
        assert account is not None
        token, _until = await open_session(session, account, services.now, 3600)
    await context.add_cookies([{"name": "bluezone_session", "value": token, "url": served}])
    return await context.new_page()


@pytest.mark.parametrize("width", [390, 1280])
async def test_a_person_is_invited_and_joins(
    services: Services, served: str, browser: Browser, tmp_path: Path, width: int
) -> None:
    admin = await signed_in(browser, services, served, width)
    await admin.goto(f"{served}/staff")
    await admin.get_by_role("link", name="Quản lý tài khoản và vai trò").click()
    await expect(admin.locator("article")).to_have_count(2)
    await picture(admin, tmp_path, "accounts")
    await admin.get_by_role("link", name="Mời một người").click()
    await admin.fill("#name", "minh@hn.example")
    await admin.fill("#unit", "20197")
    await admin.get_by_role("button", name="Tạo lời mời").click()
    await expect(admin.get_by_role("alert")).to_contain_text("trong các đơn vị bạn quản trị")
    await expect(admin.locator("#name")).to_have_value("minh@hn.example")
    await picture(admin, tmp_path, "invite")
    await admin.fill("#unit", "00004")
    await admin.get_by_role("button", name="Tạo lời mời").click()
    link = await admin.locator("#link").inner_text()
    await picture(admin, tmp_path, "invited")

    context = await browser.new_context(viewport={"width": width, "height": 844})
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(link)
    secret = link.partition("#")[2]
    await expect(page.locator("#invitation")).to_have_value(secret)
    await expect(page).to_have_url(f"{served}/staff/join")  # the secret is out of the address
    await picture(page, tmp_path, "join")
    await page.get_by_role("button", name="Tiếp tục").click()
    await expect(page.locator("main")).to_contain_text("Phường Ba Đình, Thành phố Hà Nội")
    await page.fill("#fresh", NEW)
    await page.fill("#again", f"{NEW}!")
    await page.get_by_role("button", name="Tiếp tục").click()
    await expect(page.get_by_role("alert")).to_contain_text("không giống nhau")
    await picture(page, tmp_path, "join-password")
    await page.fill("#fresh", NEW)
    await page.fill("#again", NEW)
    await page.get_by_role("button", name="Tiếp tục").click()

    await expect(page).to_have_url(f"{served}/staff/account/second-factor")
    await picture(page, tmp_path, "second-factor")
    typed = (await page.locator("code.words").inner_text()).replace(" ", "")
    await page.fill("#code", second_factor.code_at(typed, services.now))
    await page.get_by_role("button", name="Thiết lập").click()
    await expect(page.locator(".codes li")).to_have_count(8)
    await picture(page, tmp_path, "recovery-codes")
    recovery = await page.locator(".codes li").first.inner_text()
    await page.get_by_role("button", name="Đăng xuất").click()  # the new session's form
    await page.fill("#name", "minh@hn.example")
    await page.fill("#password", NEW)
    await page.locator("main button").click()
    await page.fill("#code", "000000")
    await page.locator("main button").click()
    await expect(page.get_by_role("alert")).to_contain_text("Mã không đúng")
    await picture(page, tmp_path, "code")
    await page.fill("#code", recovery)
    await page.locator("main button").click()
    await expect(page).to_have_url(f"{served}/staff")
    await page.get_by_role("link", name="minh@hn.example").click()
    await picture(page, tmp_path, "own-account")
    assert not any(secret in url.partition("#")[0] for url in asked)


@pytest.mark.parametrize("width", [390, 1280])
async def test_an_account_is_looked_after_and_ends(
    services: Services, served: str, browser: Browser, tmp_path: Path, width: int
) -> None:
    page = await signed_in(browser, services, served, width)
    await page.goto(f"{served}/staff/accounts?text=lan")
    await page.get_by_role("link", name="lan", exact=True).click()
    await page.select_option("#role", "laboratory")
    await page.get_by_role("button", name="Giao vai trò").click()
    await expect(page.get_by_role("status")).to_contain_text("Xong")
    await expect(page.locator("main")).to_contain_text("Phòng xét nghiệm, Phường Ba Đình")
    await picture(page, tmp_path, "account")
    await page.get_by_role("button", name="Thu hồi").last.click()
    await expect(page.get_by_role("status")).to_contain_text("không còn hiệu lực")
    await page.get_by_role("button", name="Chấm dứt tài khoản").click()
    await expect(page.get_by_role("alert")).to_contain_text("đánh dấu vào ô xác nhận")
    await page.get_by_label("lan nghỉ việc").check()
    await page.get_by_role("button", name="Chấm dứt tài khoản").click()
    await expect(page.get_by_role("status")).to_contain_text("đã chấm dứt")
    await picture(page, tmp_path, "account-ended")
    await page.goto(f"{served}/staff/accounts?text=nobody")
    await expect(page.locator("main")).to_contain_text("Không có tài khoản nào thuộc loại này")
