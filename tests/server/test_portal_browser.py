"""One index case in Chromium and Vietnamese: from the laboratory's file to the last contact.

The laboratory hands in a file, a case opens by itself; the commune's health worker asks the case
whom they met, takes a warned person's report into the contacts, calls everybody, takes samples;
the laboratory's second file closes two of them and makes one a case of the next generation.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from bluezone.clock import ManualClock
from bluezone.protocol.handover import ExposureDay
from bluezone.server.context import Services
from bluezone.server.people.rules import StaffRole
from bluezone.server.places.rules import StationRow
from bluezone.server.places.service import replace_stations
from tests.server.browsing import picture, signed_in
from tests.server.conftest import NOON, AddStaff
from tests.server.tracing.conftest import details, send

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]
MORNING = NOON + 14 * 3600  # 2021-01-21 09:00 in Vietnam
FIRST = """Mã mẫu;Họ và tên;SĐT;Năm sinh;Phường;Ngày lấy mẫu;Kết quả
HN-0001;Nguyễn Văn An;0901000001;1975;Ba Đình, Hà Nội;20/1/2021;Dương tính
HN-0002;Vũ Thị Giang;0901000009;1985;Ba Đình, Hà Nội;20/1/2021;Âm tính
"""
SECOND = """Mã mẫu;Họ và tên;SĐT;Năm sinh;Phường;Ngày lấy mẫu;Kết quả
HN-0101;Lê Thị Tư;0901000002;1978;Ba Đình, Hà Nội;21/1/2021;Dương tính
HN-0102;Nguyễn Thị Năm;0901000003;2005;Ba Đình, Hà Nội;21/1/2021;Âm tính
HN-0103;Trần Thị Lan;0901234567;;Ba Đình, Hà Nội;21/1/2021;Âm tính
"""
CONTACTS = ("Lê Thị Tư", "Nguyễn Thị Năm", "Trần Thị Lan")


@pytest.fixture
async def laboratory(services: Services, clock: ManualClock, add_staff: AddStaff) -> None:
    """Who works in this story, and the station that takes reports of warned people."""
    clock.set(MORNING)
    await add_staff("lan")
    await add_staff("thu", StaffRole.LABORATORY, "vn.01.001")
    station = StationRow("00004", "Trạm y tế Ba Đình", "024 3845 0000", "1 Ngọc Hà", "")
    async with services.database.transaction() as session:
        await replace_stations(session, services, [station])


@pytest.fixture
async def phone(served: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served, trust_env=False) as client:
        yield client


async def hand_in(page: Page, tmp_path: Path, text: str, rows: int, name: str) -> None:
    """The laboratory's file: seen before it is done."""
    file = tmp_path / "ket-qua.csv"
    file.write_text(text, "utf-8")
    await page.goto("/staff/results/file")
    await page.set_input_files("#file", file)
    await page.get_by_role("button", name="Kiểm tra tệp").click()
    await expect(page.locator("#good")).to_have_text(str(rows))
    await expect(page.locator("#faulty")).to_have_text("0")
    await page.get_by_role("button", name=f"Nhập cả {rows} dòng").click()
    await expect(page.get_by_role("status")).to_contain_text(str(rows))
    await picture(page, tmp_path, name, shown=True)


async def take_all(page: Page, kind: str) -> int:
    """Everything of a kind that nobody has yet becomes the worker's own; how many."""
    await page.goto(f"/staff/tasks?view=unit&kind={kind}")
    boxes = page.locator(".tasks input[type=checkbox]")
    for box in await boxes.all():
        await box.check()
    await page.get_by_role("button", name="Giao việc").click()
    await expect(page.get_by_role("status").first).to_contain_text("Đã giao")
    await page.goto(f"/staff/tasks?kind={kind}")
    return await page.locator(".tasks li").count()


async def do_next(page: Page, kind: str, outcome: str) -> None:
    """Open the first task of a kind, and record how it went."""
    await page.goto(f"/staff/tasks?kind={kind}")
    await page.locator(".tasks li a").first.click()
    await page.locator("form[data-ready]").wait_for()
    await page.get_by_role("button", name=outcome).click()
    await expect(page.get_by_role("status").first).to_contain_text("Đã ghi")


@pytest.mark.usefixtures("laboratory")
@pytest.mark.parametrize("width", [390, 1280])
async def test_from_the_laboratorys_file_to_the_last_contact(
    served: str,
    browser: Browser,
    phone: httpx.AsyncClient,
    clock: ManualClock,
    tmp_path: Path,
    width: int,
) -> None:
    thu = await signed_in(browser, served, "thu", width)
    await hand_in(thu, tmp_path, FIRST, 2, "1-results")

    lan = await signed_in(browser, served, "lan", width)
    main = lan.locator("main")
    await lan.goto("/staff/cases")
    await expect(lan.locator("tbody tr")).to_have_count(1)
    await lan.locator("tbody a").click()
    await expect(main).to_contain_text("HN-0001")
    await lan.get_by_role("link", name="Sửa", exact=True).click()
    await lan.select_option("#has_symptoms", "yes")
    await lan.fill("#onset", "2021-01-19")
    await lan.get_by_role("button", name="Lưu").click()
    await expect(main).to_contain_text("17/01/2021 đến 29/01/2021")
    case = lan.url.partition("?")[0]

    # From the interview: the household.
    await lan.get_by_role("link", name="Thêm người tiếp xúc hoặc cả hộ").click()
    for field, text in (
        ("name", "Lê Thị Tư"),
        ("phone", "0901000002"),
        ("birth", "1978"),
        ("day", "2021-01-20"),
        ("name_1", "Nguyễn Thị Năm"),
        ("phone_1", "0901000003"),
        ("birth_1", "2005"),
    ):
        if field == "name_1":
            await lan.locator("summary").click()
        await lan.fill(f"#{field}", text)
    await lan.select_option("#setting", "household")
    await lan.select_option("#nearness", "same-room")
    await lan.select_option("#relation", "spouse")
    await main.get_by_role("button", name="Thêm người tiếp xúc").click()
    await expect(lan.get_by_role("status")).to_contain_text("Đã thêm: 2")
    # From a phone: a warned person asks to be called.
    report = details(bytes(range(16)), days=(ExposureDay("2021-01-20", ("noon",), 45, "CERTAIN"),))
    assert (await send(phone, report)).status_code == 200
    await lan.goto("/staff/inbox")
    await main.locator("article a").click()
    await lan.locator("#contact-case").select_option(index=1)
    await picture(lan, tmp_path, "2-report", shown=True)
    await lan.get_by_role("button", name="Xác nhận", exact=True).click()
    await expect(lan.get_by_role("status")).to_contain_text("đã được xác nhận")
    await lan.goto(case)
    for name in CONTACTS:
        await expect(main.get_by_role("link", name=name)).to_be_visible()
    await expect(main.locator(".records strong", has_text="F1")).to_have_count(3)
    await picture(lan, tmp_path, "3-case", shown=True)

    # The case is asked, and everybody is called.
    assert await take_all(lan, "interview") == 1
    await do_next(lan, "interview", "Gặp được, khỏe mạnh")
    assert await take_all(lan, "call") == 3
    await picture(lan, tmp_path, "4-calls", shown=True)
    for _ in CONTACTS:
        await do_next(lan, "call", "Gặp được, khỏe mạnh")
    await lan.goto("/staff/tasks?view=unit&kind=call")
    await expect(lan.locator(".tasks li")).to_have_count(0)
    # A day after the last meeting everybody is tested.
    assert await take_all(lan, "test") == 3
    for _ in CONTACTS:
        await do_next(lan, "test", "Đã lấy mẫu")
    await lan.goto("/staff/tasks?view=unit&kind=test")
    await expect(lan.locator(".tasks li")).to_have_count(0)
    clock.set(MORNING + 6 * 3600)
    await hand_in(thu, tmp_path, SECOND, 3, "5-results")

    # Two are well; one is a case now, whose source is known.
    await lan.goto("/staff/cases")
    await expect(lan.locator("tbody tr")).to_have_count(2)
    await lan.goto("/staff/contacts")
    await expect(lan.locator("table.lines tbody tr")).to_have_count(2)
    await lan.get_by_role("link", name="Trần Thị Lan").click()
    await expect(main).to_contain_text("HN-0103: âm tính")
    await expect(main).to_contain_text("Người tiếp xúc này chỉ do điện thoại tìm ra")
    await picture(lan, tmp_path, "6-person", shown=True)
    await lan.goto("/staff/situation/chains")
    await expect(lan.locator(".person")).to_have_count(4)
    await picture(lan, tmp_path, "7-chains", shown=True)
    await lan.goto("/staff/situation/coverage")
    await picture(lan, tmp_path, "8-coverage", shown=True)
