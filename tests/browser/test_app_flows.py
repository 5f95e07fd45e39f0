"""What an owner does step by step, over canned answers: start, send details, report, delete."""

import time

import msgspec
import pytest
from playwright.sync_api import Page, expect

from bluezone.phone.app import interface as api
from tests.browser import answers
from tests.browser.answers import both
from tests.browser.app_visit import Visit

pytestmark = pytest.mark.browser


def test_first_start_with_everything_given(visit: Visit) -> None:
    visit.core.answers["GET settings"] = answers.usual_settings(phone_number=None, commune=None)
    page = visit.open("start", started=False)
    visit.check_access("start")
    page.locator(".step:not([hidden]) .next").click()
    page.locator(".step:not([hidden]) .next").click()
    page.locator("#previous").click()
    expect(page.locator("#step-warn")).to_be_focused()
    page.locator("#skip").click()
    expect(page.locator("#step-consent")).to_be_focused()
    visit.check_access("consent")
    page.locator("#agree").check()
    page.locator("#consent").click()
    visit.check_access("permissions")
    page.locator(".step:not([hidden]) .next").click()

    fault = api.Fault("number", both("Số này không đúng.", "Not a number."), "phone_number")
    right = visit.core.answers["POST number"]
    visit.core.answers["POST number"] = (400, fault)
    page.locator("#number-entry").fill("12")
    page.locator("#number-send").click()
    expect(page.get_by_role("alert").filter(has_text="Số này không đúng.")).to_be_visible()
    expect(page.locator("#number-entry")).to_be_focused()
    expect(page.locator("#number-entry")).to_have_attribute("aria-invalid", "true")
    visit.core.answers["POST number"] = right
    page.locator("#number-entry").fill("0912 345 678")
    page.locator("#number-send").click()
    expect(page.locator("#number")).to_contain_text("0912 345 678")
    visit.check_access("the code")
    visit.picture("start-code-vi")
    page.locator("#number-code").fill("123 456")
    page.locator("#number-check").click()
    expect(page.locator("#number")).to_contain_text("đã xác nhận")
    page.locator("#skip-number").click()

    page.locator("#province").select_option(label="Đà Nẵng")
    page.locator("#commune").select_option(label="Hải Châu")
    page.locator("#carrier").select_option(label="Viettel")
    page.locator("#invitation").fill("MEO7Q2AB")
    visit.check_access("the place")
    page.get_by_role("button", name="English").click()
    expect(page.locator("#commune")).to_have_value("20194")
    page.locator("#begin").click()
    expect(page.locator("#step-done")).to_have_text("Done. Thank you!")
    assert (
        "POST start",
        {
            "consent": True,
            "language": "en",
            "commune": "20194",
            "carrier": "Viettel",
            "invitation": "MEO7Q2AB",
        },
    ) in visit.core.asked
    assert ("POST number/confirm", {"code": "123456"}) in visit.core.asked


@pytest.mark.parametrize("language", ["vi", "en"])
def test_first_start_with_the_largest_text_on_the_smallest_phone(
    visit: Visit, language: str
) -> None:
    visit.core.answers["GET settings"] = answers.usual_settings(phone_number=None)
    page = visit.open("start", started=False)
    if language == "en":
        page.get_by_role("button", name="English").click()
    for step in ("notice", "warn", "never", "consent", "permissions", "number", "place"):
        expect(page.locator(f"[data-step={step}]")).to_be_visible()
        visit.picture(f"start-{step}-{language}")
        page.set_viewport_size({"width": 320, "height": 640})
        page.evaluate("document.documentElement.dataset.text = 'largest'")
        assert visit.width() <= 320, step
        page.evaluate("document.documentElement.dataset.text = 'normal'")
        page.set_viewport_size({"width": 390, "height": 844})
        if step == "consent":
            page.locator("#agree").check()
            page.locator("#consent").click()
        elif step != "place":
            page.locator(".step:not([hidden]) .next").click()


def test_details_are_seen_before_they_are_sent(visit: Visit) -> None:
    page = visit.open("details")
    expect(page.locator("#phone_number")).to_have_value("0912345678")
    page.get_by_text("Con tôi").click()
    page.locator("#name").fill("Nguyễn Thị Lan")
    page.locator("#note").fill("Gọi buổi chiều")
    expect(page.locator("[name=proof]")).not_to_be_checked()
    page.locator("[name=proof]").check()
    page.get_by_role("button", name="English").click()
    expect(page.locator("#name")).to_have_value("Nguyễn Thị Lan")
    page.get_by_role("button", name="Tiếng Việt").click()
    usual = visit.core.answers["POST details/preview"]
    empty = api.Fault("details-empty", both("Chưa có gì để gửi.", "Nothing to send yet."))
    visit.core.answers["POST details/preview"] = 400, empty
    page.locator("#look").click()
    expect(page.get_by_role("alert").filter(has_text="Chưa có gì để gửi.")).to_be_visible()
    visit.core.answers["POST details/preview"] = usual
    page.locator("#look").click()
    expect(page.locator("#preview-title")).to_be_visible()
    page.locator("#raw summary").click()
    expect(page.locator("#raw pre")).to_contain_text('"+84912345678"')
    visit.check_access("the preview")
    visit.picture("details-preview-vi")
    page.locator("#send").click()
    expect(page.get_by_role("alert").filter(has_text="Hãy đánh dấu")).to_be_visible()
    assert [name for name, _ in visit.core.asked if name == "POST details"] == []
    page.locator("#change").click()
    expect(page.locator("#note")).to_have_value("Gọi buổi chiều")
    page.locator("#look").click()
    page.locator("#consent").check()
    page.locator("#send").click()
    expect(page.locator("#flow")).to_contain_text("XZC4-WJQF")
    visit.check_access("the receipt")
    visit.picture("details-receipt-vi")
    assert visit.core.asked[-1] == (
        "POST details",
        {
            "name": "Nguyễn Thị Lan",
            "phone_number": "0912345678",
            "commune": "20194",
            "about": "child",
            "days": True,
            "proof": True,
            "note": "Gọi buổi chiều",
            "consent": True,
        },
    )


def test_what_was_sent_is_withdrawn(visit: Visit) -> None:
    visit.core.answers["GET exposures"] = answers.exposures("possible")
    visit.core.answers["POST exposures/read"] = answers.exposures("possible")
    page = visit.open("exposure")
    page.locator("#refresh").click()
    expect(page.locator("#standing h1")).to_contain_text("bạn là người tiếp xúc gần")
    page.locator("[id^=withdraw-]").click()
    visit.check_access("the dialog")
    visit.picture("withdraw-vi")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator("[id^=withdraw-]").click()
    page.get_by_role("dialog").get_by_role("button", name="Rút lại").click()
    expect(page.locator("#standing h1")).to_contain_text("Bạn có thể đã ở gần ca bệnh")
    assert ("POST handovers/withdraw", {"reference": "XZC4-WJQF"}) in visit.core.asked


def test_a_diary_that_is_used_makes_nobody_a_contact(visit: Visit) -> None:
    diary = msgspec.structs.replace(answers.handover("confirmed"), kind="diary")
    shown = msgspec.structs.replace(answers.exposures(), handovers=[diary])
    visit.core.answers["GET exposures"] = shown
    page = visit.open("exposure")
    expect(page.locator("#handovers h3")).to_have_text(
        "Nhật ký tiếp xúc của tôi được dùng để truy vết"
    )


def test_a_report_from_a_link_to_its_receipt(visit: Visit) -> None:
    page = visit.open("report")
    page.goto("about:blank")
    page.goto(f"{visit.core.url}report.html#code=1234-5678-9012")
    expect(page.locator("#code")).to_have_value("1234 5678 9012")
    assert "#" not in page.url, "the code stays in the browser's history"
    visit.picture("report-code-vi")
    page.locator("#next").click()
    page.get_by_text("Cả nhật ký tiếp xúc của tôi").click()
    visit.check_access("what to share")
    visit.picture("report-share-vi")
    page.locator("#look").click()
    visit.check_access("the report's preview")
    visit.picture("report-preview-vi")
    page.locator("#consent").check()
    page.get_by_role("button", name="English").click()
    expect(page.locator("#preview-title")).to_have_text("Exactly this is sent")
    expect(page.locator("#consent")).to_be_checked()
    page.get_by_role("button", name="Tiếng Việt").click()
    page.locator("#change").click()
    page.locator("#look").click()
    expect(page.locator("#consent")).not_to_be_checked()  # agreed to what was seen then
    page.locator("#consent").check()
    step = api.ReportProgress("sending", "pause", 0, None, None, None)
    visit.core.answers["GET report"] = step
    page.locator("#send").click()
    expect(page.locator("#flow [aria-current=step]")).to_contain_text("Dừng một chút")
    visit.check_access("sending")
    visit.picture("report-sending-vi")
    visit.core.answers["GET report"] = api.ReportProgress(
        "done", "", 14, time.time(), answers.handover("received"), None
    )
    expect(page.locator("#flow")).to_contain_text("Đã gửi báo cáo của bạn.")
    visit.check_access("the report's receipt")
    visit.picture("report-receipt-vi")
    sent = dict(visit.core.asked)["POST report"]
    assert sent == {
        "code": "123456789012",
        "about": "self",
        "diary": True,
        "onset": "recorded",
        "consent": True,
    }


def test_a_link_reaches_a_page_that_is_open_already(visit: Visit) -> None:
    page = visit.open("report")
    page.evaluate("location.hash = '#code=210987654321'")
    expect(page.locator("#code")).to_have_value("2109 8765 4321")
    assert "#" not in page.url


def test_a_report_with_a_wrong_code_or_none(visit: Visit) -> None:
    page = visit.open("report")
    page.locator("#code").press_sequentially("12345678")
    expect(page.locator("#code")).to_have_value("1234 5678")
    page.locator("#next").click()
    expect(page.locator("#code-wrong")).to_have_text("Mã có 12 chữ số; ở đây mới có 8.")
    page.locator("#code").press_sequentially("9012")
    page.locator("#next").click()
    page.locator("#onset-day").check()
    page.locator("#day").fill("2026-01-02")
    usual = visit.core.answers["POST report/preview"]
    wrong = api.Fault("onset-wrong", both("Ngày này không thể đúng.", "This cannot be."), "onset")
    visit.core.answers["POST report/preview"] = 400, wrong
    page.locator("#look").click()
    expect(page.locator("fieldset:has(#day) > .wrong")).to_have_text("Ngày này không thể đúng.")
    expect(page.locator("#day")).to_have_attribute("aria-invalid", "true")
    visit.core.answers["POST report/preview"] = usual
    page.locator("#look").click()
    fault = api.Fault("code-wrong", both("Mã này đã dùng rồi.", "This code was used."))
    visit.core.answers["GET report"] = api.ReportProgress("failed", "", 0, None, None, fault)
    page.locator("#consent").check()
    page.locator("#send").click()
    expect(page.locator("#flow")).to_contain_text("Mã này đã dùng rồi.")
    visit.check_access("a failed report")
    visit.picture("report-failed-vi")
    assert dict(visit.core.asked)["POST report"]["onset"] == "2026-01-02"
    page.locator("#again-report").click()
    expect(page.locator("#code")).to_have_value("1234 5678 9012")


def test_a_day_is_looked_at_and_deleted(visit: Visit) -> None:
    page = visit.open("history")
    days = answers.history().days
    page.locator(f"#day-{days[3].day}").click()
    expect(page.locator("#day .big")).to_have_text("khoảng 24 người")
    expect(page.locator("#day svg.timeline rect")).to_have_count(24)
    visit.picture("history-busy-vi")
    empty = next(day for day in days if day.people == 0)
    page.locator(f"#day-{empty.day}").click()
    expect(page.locator("#day")).to_contain_text("không nghe thấy máy nào")
    page.locator(f"#day-{days[3].day}").click()
    visit.core.answers[f"DELETE history/{days[3].day}"] = api.History(
        [day for day in days if day is not days[3]]
    )
    page.locator("#delete-day").click()
    visit.picture("delete-vi")
    page.get_by_role("dialog").get_by_role("button", name="Xóa ngày này").click()
    expect(page.locator(f"#day-{days[3].day}")).to_have_count(0)


def test_settings_take_effect_at_once(visit: Visit) -> None:
    page = visit.open("settings")
    page.locator("#text_size-largest").check()
    expect(page.locator("html")).to_have_attribute("data-text", "largest")
    expect(page.locator("#text_size-largest")).to_be_focused()
    page.locator("#theme-dark").check()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.locator("#battery-saving").check()
    _asked(page, visit, {"battery": "saving"})
    page.locator("#desktop_notices").uncheck()
    _asked(page, visit, {"desktop_notices": False})
    expect(page.locator("#commitments")).not_to_be_checked()
    page.locator("#commitments").check()
    _asked(page, visit, {"commitments": True})
    page.locator("#commune").select_option(label="Thanh Khê")
    page.locator("#save-place").click()
    _asked(page, visit, {"commune": "20195", "carrier": "Viettel"})


def test_a_province_without_a_commune_is_not_dropped_in_silence(visit: Visit) -> None:
    page = visit.open("settings")
    said = page.locator("#commune-half")
    expect(page.locator("#commune")).to_have_value("20194")
    expect(said).to_be_empty()
    page.locator("#province").select_option(label="Hà Nội")
    expect(said).to_contain_text("hãy chọn cả phường, xã")
    page.locator("#save-place").click()
    expect(said).to_have_class("wrong")
    expect(page.locator("#commune")).to_be_focused()
    visit.check_access("a province alone")
    assert visit.core.asked == []
    page.locator("#commune").select_option(label="Ba Đình")
    expect(said).to_be_empty()
    page.locator("#save-place").click()
    _asked(page, visit, {"commune": "00004", "carrier": "Viettel"})


def _asked(page: Page, visit: Visit, change: dict[str, object]) -> None:
    expect(page.get_by_text("Đã lưu.").first).to_be_attached()
    deadline = time.monotonic() + 10
    while visit.core.asked[-1] != ("POST settings", change):
        assert time.monotonic() < deadline, visit.core.asked
        page.wait_for_timeout(50)


def test_my_data_are_copied_and_deleted(visit: Visit) -> None:
    visit.core.answers["GET export"] = api.Done()
    page = visit.open("settings")
    with page.expect_download() as download:
        page.locator("#export").click()
    assert download.value.suggested_filename == "bluezone.json"
    page.locator("#delete-everything").click()
    page.get_by_role("dialog").get_by_role("button", name="Hủy").click()
    assert visit.core.asked == []
    page.locator("#delete-everything").click()
    visit.check_access("the question before deletion")
    visit.core.answers["GET state"] = lambda _: answers.usual_state(started=False)
    page.get_by_role("dialog").get_by_role("button", name="Xóa tất cả dữ liệu").click()
    page.wait_for_url("**/start.html")
    assert visit.core.asked[0] == ("POST delete", {"what": "everything", "confirm": True})


def test_an_invitation_is_copied(visit: Visit) -> None:
    page = visit.open("invite")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#copy").click()
    expect(page.locator("#shared")).to_contain_text("Đã sao chép.")
    assert "https://bluezone.example/moi/MEO7Q2AB" in page.evaluate(
        "navigator.clipboard.readText()"
    )
