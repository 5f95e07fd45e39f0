"""Intake, confirmation and code on a phone, an import on a desk, in Chromium and Vietnamese."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.server.browsing import picture, signed_in
from tests.server.conftest import BA_DINH, AddStaff

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]
LIST = """Họ và tên;SĐT;Năm sinh;Phường;Phân loại;Ngày khởi phát
Lê Văn Cường;901234568;1970;Ba Đình, Hà Nội;F0;17/1/2021
le van cuong;0901234568;1970;00004;F0;17/1/2021
Phạm Thị Dung;;2000;Thành Công, Ba Đình, Hà Nội;F0;
Hoàng Văn Em;0912;1960;00004;F0;21/1/2021
Vũ Thị Giang;0912345678;1985;00004;nghi ngờ;
"""


@pytest.fixture(autouse=True)
async def lan(add_staff: AddStaff) -> None:
    await add_staff("lan", unit=BA_DINH)


async def test_a_case_is_taken_down_confirmed_and_given_its_code_on_a_phone(
    served: str, browser: Browser, tmp_path: Path
) -> None:
    page = await signed_in(browser, served)
    await page.goto(f"{served}/staff/cases")
    await page.get_by_role("link", name="Ghi nhận ca bệnh").click()
    await page.get_by_label("Họ và tên").fill("Nguyễn Thị Lan Anh")
    await page.get_by_label("Điện thoại").fill("0901 234 567")
    await page.get_by_label("Ngày sinh (17/5/1990)").fill("1990")
    await page.get_by_label("Giới tính").select_option(label="nữ")
    await page.get_by_label("Xã, phường (ví dụ").fill("Tân Lập")
    await page.get_by_label("Ngày khởi phát (để trống").fill("2021-01-17")
    await page.get_by_role("button", name="Mở ca bệnh").click()
    problem = page.locator("#problem-commune")
    await expect(problem).to_contain_text("Có 4 xã, phường khớp với Tân Lập")
    await expect(page.get_by_label("Họ và tên")).to_have_value("Nguyễn Thị Lan Anh")
    await picture(page, tmp_path, "case-new-problem")
    await page.get_by_label("Xã, phường (ví dụ").fill("Ba Đình, Hà Nội")
    await page.get_by_role("button", name="Mở ca bệnh").click()
    await expect(page.get_by_role("status")).to_contain_text("đã mở ca bệnh")
    main = page.locator("main")
    await expect(main).to_contain_text("15/01/2021 đến 27/01/2021")
    await picture(page, tmp_path, "case")

    await page.get_by_role("link", name="Sửa", exact=True).click()
    await page.get_by_label("Tình trạng").select_option(label="ca xác định")
    await page.get_by_role("button", name="Lưu").click()
    await expect(main).to_contain_text("nghi ngờ → ca xác định")
    await page.get_by_role("button", name="Xem tại đây").click()
    await expect(page.locator("#code")).to_have_text(re.compile(r"\d{4}-\d{4}-\d{4}"))
    await picture(page, tmp_path, "case-code")
    await page.get_by_role("link", name="Về ca bệnh").click()
    await page.get_by_role("button", name="In phiếu").click()
    await page.emulate_media(media="print")
    await expect(page.locator("header")).to_be_hidden()
    await expect(page.locator(".slip")).not_to_contain_text("Nguyễn")
    await picture(page, tmp_path, "case-slip")
    await page.emulate_media(media="screen")

    # The same person again: asked first.
    await page.goto(f"{served}/staff/cases/new")
    await page.get_by_label("Họ và tên").fill("nguyen thi lan anh")
    await page.get_by_label("Điện thoại").fill("0901234567")
    await page.get_by_role("button", name="Mở ca bệnh").click()
    await expect(page.locator("#doubles")).to_contain_text("cùng số điện thoại")
    await picture(page, tmp_path, "case-double")
    await page.get_by_label("Đây là cùng một người").check()
    await page.get_by_role("button", name="Mở ca bệnh").click()
    await expect(page.locator("#problem-form")).to_contain_text("đã có ca bệnh đang mở")

    await page.goto(f"{served}/staff/cases")
    await page.locator("tbody a").first.click()
    await page.get_by_role("link", name="Kết thúc hoặc loại trừ").click()
    await picture(page, tmp_path, "case-close")
    await page.get_by_label("khỏi bệnh").check()
    await page.get_by_label("Ngày kết cục").fill("2021-01-16")
    await page.get_by_role("button", name="Kết thúc ca bệnh").click()
    await expect(page.locator("#problem-outcome_on")).to_contain_text("trước ngày khởi phát")


@pytest.mark.parametrize("width", [390, 1280])
async def test_an_import_is_seen_before_it_is_done(
    served: str, browser: Browser, tmp_path: Path, width: int
) -> None:
    page = await signed_in(browser, served, width=width)
    await page.goto(f"{served}/staff/cases/import")
    await picture(page, tmp_path, "import")
    file = tmp_path / "ca-benh.csv"
    file.write_bytes(LIST.encode("utf-16"))
    await page.set_input_files("#file", file)
    await page.get_by_role("button", name="Kiểm tra tệp").click()
    await expect(page.locator("#rows")).to_have_text("5")
    await expect(page.locator("#faulty")).to_have_text("3")
    await expect(page.locator("main")).to_contain_text("Trùng người với dòng 2")
    await picture(page, tmp_path, "import-checked")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Tải các dòng có lỗi").click()
    assert (await download.value).suggested_filename == "problems.csv"
    await page.get_by_role("button", name="Nhập 2 dòng hợp lệ").click()
    await expect(page.get_by_role("status")).to_contain_text("2 ca bệnh mới")
    await picture(page, tmp_path, "import-done")
    await page.goto(f"{served}/staff/cases")
    await expect(page.locator("tbody tr")).to_have_count(2)
    await picture(page, tmp_path, "cases")
