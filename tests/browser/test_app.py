"""Two real phones on one air, driven by their pages: first start, around, history, warning."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from bluezone.phone.home import Home
from tests.test_two_phones import PASSWORD, Windows, free_port, issue_code, page_command

pytestmark = pytest.mark.browser
_SLOWLY = 60_000


@pytest.fixture
def windows(tmp_path: Path) -> Iterator[Windows]:
    opened = Windows(tmp_path)
    yield opened
    opened.close()


class Owner:
    """Somebody with a phone and a browser, in which nothing may fail or leave the phone."""

    def __init__(self, context: BrowserContext, windows: Windows, name: str) -> None:
        self.windows = windows
        self.name = name
        windows.wait(name, r"bluezone phone open --home \S+")
        assert "open?key=" not in windows.said(name), "a key in a log"
        said = windows.run("phone", "open", "--print", "--home", f"demo/{name}")
        link = re.search(r"(http://127\.0\.0\.1:\d+)/open\?key=\S+", said)
        assert link, said
        self.url, self.link = link[1], link[0]
        self.home = windows.folder / "demo" / name
        self.faults: list[str] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(_SLOWLY)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self._see(request.url))

    def _see(self, url: str) -> None:
        if not url.startswith((f"{self.url}/", "data:", "blob:", self.home.as_uri())):
            self.faults.append(f"a request left the phone: {url}")

    def open(self, name: str) -> Page:
        self.page.goto(f"{self.url}/{name}.html")
        return self.page


def first_start(owner: Owner) -> None:
    """Every page of the first start, nothing given but consent."""
    page = owner.page
    # As `bluezone phone open` does, so that no process's command line shows the key.
    home = Home(owner.home, use_keyring=False)
    home.write_opening(owner.link)
    assert home.opening.stat().st_mode & 0o777 == 0o600
    page.goto(home.opening.as_uri())
    page.wait_for_url("**/start.html")
    home.opening.unlink()
    expect(page.locator("#step-notice")).to_have_text("Điện thoại ghi nhận nhau")
    for title in ("step-warn", "step-never", "step-consent"):
        page.locator(".step:not([hidden]) .next").click()
        expect(page.locator(f"#{title}")).to_be_visible()
    # Without consent it goes no further.
    page.locator("#consent").click()
    expect(page.locator("#consent-wrong")).to_have_text("Bluezone chỉ bắt đầu sau khi bạn đồng ý.")
    page.locator("#agree").check()
    page.locator("#consent").click()
    expect(page.locator("#radio")).to_contain_text("Bluetooth đang bật.")
    page.locator(".step:not([hidden]) .next").click()
    page.locator("#skip-number").click()
    page.locator("#province").select_option(label="Đà Nẵng")
    expect(page.locator("#commune option").nth(1)).to_be_attached()
    page.locator("#commune").select_option(index=1)
    page.locator("#begin").click()
    expect(page.locator("#step-done")).to_be_visible()
    page.get_by_role("link", name="Về trang chủ").click()
    expect(page.locator("#running")).to_contain_text("đang chạy")


def test_two_owners_meet_and_one_is_warned(windows: Windows) -> None:
    radio = page_command("radio", **{"--speed 60": "--speed 300"})
    windows.open("radio", *radio, "--listen", "127.0.0.1:0", "--every", "0.5")
    spec = windows.wait("radio", r"radio on (tcp-client:\S+)\n")[1]
    windows.run(*page_command("server init"))
    windows.run(*page_command("server staff add"), "--password-stdin", given=PASSWORD)
    address = f"http://127.0.0.1:{free_port()}"
    windows.open("service", *page_command("server run"), "--port", address.rsplit(":", 1)[1])
    windows.wait("service", "Application startup complete")
    here = {"http://127.0.0.1:8000": address, "tcp-client:127.0.0.1:9100": spec, "--yes ": ""}
    for seat, name in enumerate(("an", "binh"), 1):
        command = page_command(
            "phone run --yes --home demo/an", **here, **{"demo/an": f"demo/{name}"}
        )
        windows.open(name, *command, "--port", "0")
        windows.wait("radio", rf"phone {seat} joined at")

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        an, binh = (
            Owner(
                chromium.new_context(viewport={"width": 390, "height": 844}, locale="vi-VN"),
                windows,
                name,
            )
            for name in ("an", "binh")
        )
        expect.set_options(timeout=_SLOWLY)
        first_start(an)
        first_start(binh)
        _see_each_other(an)
        _have_a_history(an)
        _report(binh, issue_code(address))
        _be_warned(an)
        _send_details_and_withdraw(an)
        _delete(an)
        _stop(binh)
        assert an.faults + binh.faults == []
        chromium.close()
    assert "Traceback" not in "".join(map(windows.said, ("radio", "service", "an", "binh")))


def _see_each_other(owner: Owner) -> None:
    page = owner.open("around")
    expect(page.locator("#near li")).to_have_count(1)
    expect(page.locator("#count")).to_contain_text("1 ở gần")


def _have_a_history(owner: Owner) -> None:
    page = owner.open("history")
    deadline = time.monotonic() + 60
    while not re.search(r"Tổng cộng (\d\d+\sphút|\d+\sgiờ)", page.locator("#day").inner_text()):
        assert time.monotonic() < deadline, page.locator("#day").inner_text()
        time.sleep(2)
        page.reload()
        expect(page.locator("#day h2")).to_be_visible()
    expect(page.locator("#day .big")).to_have_text("khoảng 1 người")


def _report(owner: Owner, code: str) -> None:
    page = owner.page
    page.goto(f"{owner.url}/report.html#code={code}")
    digits = re.sub(r"\D", "", code)
    expect(page.locator("#code")).to_have_value(f"{digits[:4]} {digits[4:8]} {digits[8:]}")
    assert "#" not in page.url, "the code stays in the browser's history"
    page.locator("#next").click()
    page.locator("#look").click()
    expect(page.locator("#preview-title")).to_be_visible()
    # Nothing is sent without the tick.
    page.locator("#send").click()
    expect(page.locator(".wrong")).to_contain_text("Hãy đánh dấu vào ô trước")
    page.locator("#consent").check()
    page.locator("#send").click()
    expect(page.locator("#flow .hero h2")).to_have_text("Đã gửi báo cáo của bạn.")


def _be_warned(owner: Owner) -> None:
    page = owner.open("index")
    title = page.locator("#standing h1")
    expect(title).to_have_text("Bạn có thể đã ở gần ca bệnh", timeout=90_000)
    page.locator("#see").click()
    page.locator("#why-0 summary").click()
    expect(page.locator("#why-0 li").first).to_be_visible()
    expect(page.locator("#call-hotline")).to_have_attribute("href", "tel:19009095")


def _send_details_and_withdraw(owner: Owner) -> None:
    page = owner.page
    page.locator("#send-details").click()
    page.locator("#name").fill("Nguyễn Thị An")
    page.locator("#phone_number").fill("0912 345 678")
    page.locator("#look").click()
    expect(page.locator("#flow")).to_contain_text("Nguyễn Thị An")
    page.locator("#raw summary").click()
    expect(page.locator("#raw pre")).to_contain_text("84912345678")
    page.locator("#consent").check()
    page.locator("#send").click()
    expect(page.locator("#flow .hero")).to_contain_text("Đã gửi thông tin của bạn.")
    page.get_by_role("link", name="Đến trang cảnh báo").click()
    page.locator("[id^=withdraw-]").click()
    page.get_by_role("dialog").get_by_role("button", name="Rút lại").click()
    expect(page.locator("#handovers")).to_contain_text("đã rút lại")


def _delete(owner: Owner) -> None:
    page = owner.open("history")
    page.locator("#delete-all").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Hủy").click()
    expect(page.locator("#day .big")).to_have_text("khoảng 1 người")
    page.locator("#delete-all").click()
    dialog.get_by_role("button", name="Xóa tất cả").click()
    expect(page.locator("#delete-all")).to_have_count(0)


def _stop(owner: Owner) -> None:
    page = owner.open("settings")
    page.locator("#stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Ngừng dùng Bluezone").click()
    page.wait_for_url("**/index.html")
    expect(page.locator("#standing h1")).to_have_text("Bluezone đã ngừng")
