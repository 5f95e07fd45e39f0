"""The citizen's page and the auditor's in Chromium, on a phone and on a desk, in Vietnamese."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from bluezone.clock import ManualClock
from bluezone.server.app import all_jobs, open_services
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.config import Settings
from bluezone.server.context import Services
from bluezone.server.diagnosis.rules import shown_code
from bluezone.server.holdings.service import issue_code
from bluezone.server.jobs import Scheduler
from bluezone.server.migrations import upgrade
from bluezone.server.people.passwords import hash_password
from bluezone.server.people.rules import Grant, Staff, StaffRole
from bluezone.server.people.scope import Scope
from bluezone.server.people.service import add_account, find_account, open_session
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Register
from tests.server.browsing import picture
from tests.server.conftest import BA_DINH, NGOC_HA, NOON, PASSWORD
from tests.server.holdings.test_retention import Town

pytestmark = pytest.mark.browser
LAN = Staff(101, "lan.nguyen", (Grant(StaffRole.HEALTH_WORKER, BA_DINH),), Scope((BA_DINH,)))
HOA = Staff(102, "hoa.tran", (Grant(StaffRole.HEALTH_WORKER, NGOC_HA),))


@pytest.fixture
async def services(home: Path, clock: ManualClock) -> AsyncIterator[Services]:
    opened = await open_services(Settings(home=home), clock)
    await upgrade(opened.database)
    yield opened
    await opened.database.dispose()


async def somebody(services: Services) -> int:
    """A contact of a case, at whom two units have looked."""
    town = Town(services)
    source, person = await town.person(3), await town.person(2)
    async with services.database.transaction() as session:
        row = await session.get(register.Person, person)
        assert row is not None
        keys = Register.open(services.settings.secrets_folder)
        row.sealed = keys.sealed(
            row.id,
            Details(
                name="Trần Thị Lan",
                phone="+84901234567",
                birth="1990-05-17",
                address="1 Ngọc Hà",
                note="Gọi sau 17 giờ",
            ),
        )
    await town.row("cases", person_id=source, updated_at=NOON)
    await town.row(
        "exposures", source_id=source, exposed_id=person, day="2021-01-19", created_at=NOON
    )
    await town.row("tasks", person_id=person, due_at=NOON, created_at=NOON)
    for staff, purpose, times in ((LAN, Purpose.TRACING, 2), (HOA, Purpose.HOTLINE, 1)):
        for _ in range(times):
            async with services.database.transaction() as session:
                await audit.record(
                    session,
                    services,
                    staff,
                    Action.LOOK,
                    subject=f"person:{person}",
                    purpose=purpose,
                )
    return person


@pytest.mark.parametrize("width", [390, 1280])
async def test_a_citizen_asks_with_a_code_and_reads_what_is_held(
    services: Services, served: str, browser: Browser, tmp_path: Path, width: int
) -> None:
    person = await somebody(services)
    async with services.database.transaction() as session:
        issued = await issue_code(session, services, LAN, person)
    page = await browser.new_page(viewport={"width": width, "height": 844})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{served}/toi")
    await expect(page.locator("h1")).to_have_text("Cơ quan y tế đang lưu thông tin gì về tôi?")
    await picture(page, tmp_path, "citizen-ask")

    await page.get_by_label("Mã do nhân viên y tế cung cấp").fill("1234")
    await page.get_by_label("Số điện thoại của bạn").fill("0901 234 567")
    await page.get_by_role("button", name="Cho tôi xem").click()
    await expect(page.locator("#code-problem")).to_be_visible()
    await expect(page.locator("#number")).to_have_value("0901 234 567")
    await picture(page, tmp_path, "citizen-problem")

    await page.fill("#code", shown_code(issued.code))
    await page.get_by_role("button", name="Cho tôi xem").click()
    await expect(page.locator("h1")).to_have_text("Đây là thông tin đang lưu về bạn")
    main = page.locator("main")
    for words in (
        "họ và tên, số điện thoại, ngày sinh, địa chỉ",
        "Việc bạn từng ở gần ca bệnh hoặc người tiếp xúc",
        "20/01/2021: Phường Ba Đình, Thành phố Hà Nội, truy vết và theo dõi tiếp xúc (2 lần)",
        "20/01/2021: Phường Ngọc Hà, Thành phố Hà Nội, người đó gọi đến",
        "Đến ngày 04/05/2021",
    ):
        await expect(main).to_contain_text(words)
    for hidden in ("lan.nguyen", "hoa.tran", "0901", "Trần Thị Lan"):
        await expect(main).not_to_contain_text(hidden)
    await picture(page, tmp_path, "citizen-answer")
    assert page.url == f"{served}/toi"
    assert all(issued.code not in url and "901234567" not in url for url in asked)
    # Back and forward show nothing of it.
    await page.goto(f"{served}/toi")
    await expect(page.locator("#code")).to_have_value("")


@pytest.mark.parametrize("width", [390, 1280])
async def test_an_auditor_filters_downloads_and_answers_an_alert(
    services: Services, served: str, browser: Browser, tmp_path: Path, width: int
) -> None:
    async with services.database.transaction() as session:
        await add_account(
            session,
            name="soat",
            password_hash=await hash_password(PASSWORD),
            grant=Grant(StaffRole.AUDITOR, "vn.01"),
            now=services.now,
        )
        account = await find_account(session, "soat")
        assert account is not None
        token, _expires = await open_session(session, account, services.now, 8 * 3600)
    for number in range(1, 8):
        async with services.database.transaction() as session:
            await audit.record(
                session,
                services,
                LAN if number > 1 else HOA,
                Action.LOOK,
                subject=f"person:{number}",
                purpose=Purpose.TRACING,
            )
    scheduler = Scheduler(services, all_jobs(services.settings))
    for job in ("audit", "unusual-looking"):
        assert await scheduler.run_once(job)

    page = await browser.new_page(viewport={"width": width, "height": 844})
    await page.context.add_cookies([{"name": "bluezone_session", "value": token, "url": served}])
    await page.goto(f"{served}/staff/audit")
    await expect(page.locator(".good")).to_contain_text("mọi chuỗi đều nguyên vẹn")
    await expect(page.locator("tbody tr")).to_have_count(7)
    await picture(page, tmp_path, "audit")
    await page.get_by_label("Tài khoản (tên hoặc số)").fill("hoa.tran")
    await page.get_by_role("button", name="Hiện", exact=True).click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Tải các mục này").click()
    assert (await download.value).suggested_filename == "audit-20210120-1900.csv"

    await page.get_by_role("link", name="Cảnh báo xem hồ sơ bất thường").click()
    await expect(page.locator("article")).to_contain_text("lan.nguyen đã mở 6 người")
    await picture(page, tmp_path, "alerts")
    await page.get_by_label("có lý do chính đáng").check()
    await page.get_by_label("Đôi lời giải thích").fill("Hỗ trợ phường bên trong đợt dịch.")
    await page.get_by_role("button", name="Trả lời cảnh báo").click()
    await expect(page.locator("article .good")).to_contain_text("soat: có lý do chính đáng")
    await picture(page, tmp_path, "alert-answered")
