"""The staff's pages in Chromium: inbox, news, outbox, invitation, on a phone and on a desk."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, expect

from bluezone.clock import ManualClock
from bluezone.protocol.handover import ExposureDay, HandoverState
from bluezone.server.app import open_services
from bluezone.server.config import SecondFactor, Settings
from bluezone.server.context import Services
from bluezone.server.messaging import rules as messaging
from bluezone.server.messaging.service import receipt_key
from bluezone.server.migrations import upgrade
from bluezone.server.people.passwords import hash_password
from bluezone.server.people.rules import Grant, StaffRole
from bluezone.server.people.service import add_account
from bluezone.server.places.rules import StationRow
from bluezone.server.places.service import replace_stations
from bluezone.server.places.units import NATION
from tests.server.browsing import picture, signed_in
from tests.server.conftest import BA_DINH, NOON, PASSWORD
from tests.server.tracing.conftest import IssueCode, answer, ask, details, diary, send, unit_code

pytestmark = pytest.mark.browser
SECRET = bytes(range(16))
NUMBER = "+84901234567"
STATION = StationRow("00004", "Trạm y tế Ba Đình", "024 3845 0000", "1 Ngọc Hà", "")
STAFF = (("lan", StaffRole.HEALTH_WORKER, BA_DINH), ("quan", StaffRole.ADMIN, NATION))


@pytest.fixture
async def services(home: Path, clock: ManualClock) -> AsyncIterator[Services]:
    opened = await open_services(Settings(home=home, second_factor=SecondFactor.OPTIONAL), clock)
    await upgrade(opened.database)
    password_hash = await hash_password(PASSWORD)
    async with opened.database.transaction() as session:
        for name, role, unit in STAFF:
            await add_account(
                session,
                name=name,
                password_hash=password_hash,
                grant=Grant(role, unit),
                now=opened.now,
            )
        await replace_stations(session, opened, [STATION])
    yield opened
    await opened.database.dispose()


@pytest.fixture
async def phone(served: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served, trust_env=False) as client:
        yield client


@pytest.fixture
def issue(services: Services) -> IssueCode:
    return unit_code(services)


@pytest.mark.parametrize("width", [390, 1280])
async def test_a_health_worker_reads_decides_and_downloads(
    services: Services,
    served: str,
    phone: httpx.AsyncClient,
    browser: Browser,
    issue: IssueCode,
    tmp_path: Path,
    width: int,
) -> None:
    receipt = messaging.receipt(NUMBER, NOON, receipt_key(services.settings.secrets_folder))
    warned = details(
        SECRET,
        number_receipt=receipt,
        number_verified_at=NOON,
        days=(
            ExposureDay("2021-01-18", ("evening",), 40, "CERTAIN"),
            ExposureDay("2021-01-19", ("morning", "noon"), 25, "LIKELY"),
        ),
        note="<script>alert(1)</script>\nXin gọi sau 17 giờ.",
    )
    sent = answer(await send(phone, warned))
    handed = answer(await send(phone, diary(bytes(16), await issue(), 5000)))

    page = await signed_in(browser, served, "lan", width)
    await page.goto("/staff")
    await picture(page, tmp_path, "start")
    await page.get_by_role("link", name="Đọc hồ sơ người dân gửi đến").click()
    await expect(page.locator("article")).to_have_count(2)
    await picture(page, tmp_path, "inbox")

    await page.get_by_role("link", name=sent.reference).click()
    main = page.locator("main")
    await expect(main).to_contain_text("Trần Thị Lan")
    await expect(main).to_contain_text("đã xác minh ngày 20/01/2021")
    await expect(main).to_contain_text("Phường Ba Đình, Thành phố Hà Nội")
    await expect(main).to_contain_text("<script>alert(1)</script>")
    await picture(page, tmp_path, "details")
    # Only own words, and none written: said, and nothing decided.
    confirm = page.locator("form", has=page.locator("input[value=confirmed]"))
    await confirm.get_by_label("chỉ dùng lời của tôi").check()
    await confirm.get_by_role("button").click()
    await expect(page.get_by_role("alert")).to_contain_text("Vui lòng chọn hoặc viết lời nhắn")
    await expect(confirm.get_by_label("chỉ dùng lời của tôi")).to_be_checked()
    await confirm.locator("textarea").fill("Hẹn 8 giờ sáng mai.")
    await confirm.get_by_role("button").click()
    await expect(page).to_have_url(f"{served}/staff/inbox?decided={warned.handover.hex()}")
    await expect(page.get_by_role("status")).to_contain_text(
        f"Xong: hồ sơ {sent.reference} đã được xác nhận."
    )
    told = answer(await ask(phone, SECRET))
    assert told.state is HandoverState.CONFIRMED
    assert told.message["vi"].endswith("Hẹn 8 giờ sáng mai.")

    await page.fill("#reference", sent.reference.lower())
    await page.get_by_role("button", name="Tìm").click()
    await page.get_by_role("link", name=sent.reference).click()
    await expect(page.locator("#history ~ ul").first).to_contain_text("lan: đã xác nhận")
    await picture(page, tmp_path, "decided")

    await page.get_by_role("link", name="Về hộp thư đến").click()
    await page.get_by_role("link", name=handed.reference).click()
    await expect(page.locator("tbody tr")).to_have_count(2)
    await picture(page, tmp_path, "diary")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Tải nhật ký").click()
    file = await download.value
    assert file.suggested_filename == f"diary-{handed.reference}.json"

    await ask(phone, bytes(16), "withdraw")
    await page.reload()
    await expect(main).to_contain_text("Người gửi đã rút lại hồ sơ này")
    await expect(page.locator("form fieldset")).to_have_count(0)
    await picture(page, tmp_path, "withdrawn")


@pytest.mark.parametrize("width", [390, 1280])
async def test_an_administrator_publishes_news_and_reads_the_outbox(
    served: str, phone: httpx.AsyncClient, browser: Browser, tmp_path: Path, width: int
) -> None:
    page = await signed_in(browser, served, "quan", width)
    await page.goto("/staff")
    await page.get_by_role("link", name="Viết tin cho mọi điện thoại").click()
    await page.fill("#title_vi", "Từ ngày mai, đeo khẩu trang nơi công cộng")
    await page.fill("#body_vi", "Bộ Y tế đề nghị mọi người đeo khẩu trang.\n\nXin cảm ơn.")
    await page.fill("#title_en", "From tomorrow, masks in public places")
    await page.fill("#body_en", "The Ministry of Health asks everybody to wear a mask.")
    await page.get_by_label("Quan trọng").check()
    await picture(page, tmp_path, "news-write")
    await page.get_by_role("button", name="Lưu và xem trước").click()
    await expect(page.locator("article")).to_have_count(2)
    await picture(page, tmp_path, "news-preview")
    assert (await phone.get("/v1/news.json")).status_code == 404
    await page.get_by_label("Tôi đã đọc cả hai ngôn ngữ").check()
    await page.get_by_role("button", name="Phát hành đến mọi điện thoại").click()
    await expect(page.locator("main")).to_contain_text("quan phát hành")
    assert (await phone.get("/v1/news.json")).status_code == 200
    await picture(page, tmp_path, "news-out")

    await phone.post("/v1/phone-numbers", json={"phone_number": NUMBER})
    await page.get_by_role("link", name="Hộp thư đi").click()
    await expect(page.locator("article")).to_contain_text(NUMBER)
    await picture(page, tmp_path, "outbox")


@pytest.mark.parametrize("width", [390, 1280])
async def test_an_invitation_is_explained_and_asks_nobody_else(
    served: str, browser: Browser, tmp_path: Path, width: int
) -> None:
    page = await browser.new_page(viewport={"width": width, "height": 844})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{served}/moi/ABCD2345")
    await expect(page.locator("#code")).to_have_text("ABCD-2345")
    await picture(page, tmp_path, "invitation")
    assert all(url.startswith(served) for url in asked)
    assert await page.context.cookies() == []
    await page.get_by_role("link", name="English").click()
    await expect(page.locator("h1")).to_have_text("Somebody invites you to Bluezone")
    await expect(page.locator("#code")).to_have_text("ABCD-2345")
