"""Work in Chromium: a day on a phone and on a desk, and entries that survive a lost line."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect
from sqlalchemy import select

from bluezone.clock import ManualClock
from bluezone.server.app import open_services
from bluezone.server.config import SecondFactor, Settings
from bluezone.server.context import Services
from bluezone.server.migrations import upgrade
from bluezone.server.work import records
from bluezone.server.work.tables import Task, TaskEvent
from tests.server.browsing import picture, sign_in, sign_in_unseen
from tests.server.conftest import BA_DINH, NGOC_HA, NOON
from tests.server.work.conftest import AddPerson, Worker

pytestmark = pytest.mark.browser
NOTE = "sốt nhẹ từ hôm qua, ở nhà với mẹ"


@pytest.fixture
async def services(home: Path, clock: ManualClock) -> AsyncIterator[Services]:
    clock.set(NOON - 8 * 3600)  # 11:00 in Vietnam
    opened = await open_services(Settings(home=home, second_factor=SecondFactor.OPTIONAL), clock)
    await upgrade(opened.database)
    yield opened
    await opened.database.dispose()


async def opened(browser: Browser, width: int = 390) -> BrowserContext:
    return await browser.new_context(viewport={"width": width, "height": 844})


async def notes(services: Services) -> list[tuple[str, str]]:
    """What the service has of entries: the kind of each, and its note."""
    key = records.sealer(services.settings.secrets_folder)
    async with services.database.read() as session:
        rows = await session.scalars(
            select(TaskEvent).where(TaskEvent.form.is_not(None)).order_by(TaskEvent.id)
        )
        return [
            (one.kind, (found.note if (found := records.answers_of(key, one)) else ""))
            for one in rows
        ]


async def until_there(services: Services, count: int) -> list[tuple[str, str]]:
    for _ in range(200):
        found = await notes(services)
        if len(found) >= count:
            break
        await asyncio.sleep(0.1)
    return await notes(services)


async def first_task(services: Services) -> int:
    async with services.database.read() as session:
        found = await session.scalar(select(Task.id).order_by(Task.id).limit(1))
        assert found
        return found


async def sheet(page: Page, served: str, task: int) -> None:
    await page.goto(f"{served}/staff/tasks/{task}")
    await page.locator("form[data-ready]").wait_for()


async def ready(page: Page) -> None:
    await page.locator("#entries[data-ready]").wait_for(state="attached")


@pytest.mark.parametrize("width", [390, 1280])
async def test_a_day(
    services: Services,
    clock: ManualClock,
    served: str,
    browser: Browser,
    add_person: AddPerson,
    worker: Worker,
    tmp_path: Path,
    width: int,
) -> None:
    for name, unit in (("lan", BA_DINH), ("binh", BA_DINH), ("tinh", "vn.01")):
        await worker(name, unit)
    head = await add_person("Trần Thị Lan Hương")
    await add_person("Nguyễn Văn Ba", household=head, rank=2, phone="")
    for name in ("Lê Thị Đào", "Phạm Quốc Bảo", "Hoàng Minh Châu"):
        await add_person(name, unit=NGOC_HA if name.startswith("Hoàng") else BA_DINH)
    clock.set(services.now + 25 * 3600)
    for name in ("Vũ Thị Én", "Đặng Văn Giáp"):
        await add_person(name, rank=0 if name.startswith("Đặng") else 1)

    context = await opened(browser, width)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await sign_in(page, served)
    await page.get_by_role("link", name="Xem việc cần làm hôm nay").click()
    await expect(page.locator("main")).to_contain_text("Bạn không có việc nào.")
    await page.get_by_role("link", name="Tìm việc chưa có ai nhận").click()
    await expect(page.locator(".tasks li")).to_have_count(7)
    await picture(page, tmp_path, "work-unit")
    await page.get_by_role("button", name="Giao việc").click()
    await expect(page.get_by_role("alert")).to_have_text("Hãy đánh dấu các việc trước.")
    for name in ("Trần Thị Lan Hương, Gọi điện", "Nguyễn Văn Ba, Gọi điện"):
        await page.get_by_label(name).check()
    await page.get_by_role("button", name="Giao việc").click()
    await expect(page.get_by_role("status").first).to_contain_text("Đã giao 2 việc.")
    await page.get_by_role("link", name="Của tôi").click()
    await expect(page.locator(".tasks li")).to_have_count(2)
    await expect(page.locator("h2").first).to_have_text("quá hạn")
    await picture(page, tmp_path, "work-mine")

    await page.get_by_role("link", name="Trần Thị Lan Hương").click()
    await page.locator("form[data-ready]").wait_for()
    call = page.get_by_role("link", name="Gọi 0901 234 567")
    assert await call.get_attribute("href") == "tel:+84901234567"
    await picture(page, tmp_path, "work-sheet", shown=True)
    await page.get_by_label("sốt").check()
    await page.get_by_label("Ghi chú").fill(NOTE)
    await page.get_by_role("button", name="Có triệu chứng").click()
    await expect(page.get_by_role("status").first).to_contain_text(
        "Đã ghi: gọi điện, có triệu chứng."
    )
    await expect(page.locator(".tasks").first).to_contain_text("Lấy mẫu xét nghiệm")
    assert await notes(services) == [("done", NOTE)]
    await page.get_by_role("link", name="xem lại").click()
    await expect(page.locator("main")).to_contain_text(NOTE)
    await picture(page, tmp_path, "work-done")

    await page.get_by_role("link", name="Công việc").click()
    await page.get_by_role("link", name="Sắp xếp tổ").click()
    await page.get_by_label("Tên tổ", exact=True).fill("Tổ truy vết 1")
    await page.get_by_role("button", name="Lập tổ này").click()
    await page.get_by_label("Thêm theo tên tài khoản").fill("binh")
    await page.get_by_role("button", name="Thêm").click()
    await expect(page.locator("main li")).to_contain_text("binh")
    await picture(page, tmp_path, "work-teams")

    lead = await (await opened(browser, width)).new_page()
    await sign_in_unseen(lead, served, "tinh")
    await lead.goto(f"{served}/staff/tasks?view=unit")
    await lead.get_by_text("Theo đơn vị cấp dưới").first.click()
    await expect(lead.locator("tbody tr")).to_have_count(1)
    await picture(lead, tmp_path, "work-lead")
    # Chromium itself remarks on the status of the page that asks for ticks.
    assert [one for one in complaints if "422 (" not in one] == []


async def test_saved_without_a_line_it_arrives_once_when_the_line_is_back(
    services: Services,
    served: str,
    browser: Browser,
    add_person: AddPerson,
    worker: Worker,
    tmp_path: Path,
) -> None:
    await worker()
    await add_person()
    context, task = await opened(browser), await first_task(services)
    page = await context.new_page()
    await sign_in_unseen(page, served)
    await sheet(page, served, task)
    await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    await context.set_offline(True)
    await page.get_by_label("Ghi chú").fill(NOTE)
    await page.get_by_role("button", name="Có triệu chứng").click()
    await expect(page.locator(".kept")).to_contain_text("Đã lưu trong trình duyệt này.")
    await expect(page.locator("#entries")).to_contain_text("Đang chờ gửi (1).")
    await picture(page, tmp_path, "work-offline")
    kept = await page.evaluate(
        """async () => {
          const open = indexedDB.open("bluezone-entries");
          const database = await new Promise((done) => (open.onsuccess = () => done(open.result)));
          const all = database.transaction("entries").objectStore("entries").getAll();
          const rows = await new Promise((done) => (all.onsuccess = () => done(all.result)));
          return rows.map((one) => JSON.stringify({ ...one, sealed: [...new Uint8Array(one.sealed)],
            text: new TextDecoder("latin1").decode(one.sealed) }));
        }"""
    )
    assert len(kept) == 1
    assert "symptoms" not in kept[0], "what is kept is sealed"
    assert "nhẹ" not in kept[0]
    assert await notes(services) == []

    # A reload without a line: a page of our own says that the entry still waits.
    await page.reload()
    await expect(page.locator("h1")).to_have_text("Không kết nối được với hệ thống")
    await expect(page.locator("#entries")).to_contain_text("Đang chờ gửi (1).")
    await picture(page, tmp_path, "work-no-line")
    await context.set_offline(False)
    assert await until_there(services, 1) == [("done", NOTE)]
    await expect(page.locator("main")).to_contain_text(NOTE)
    await expect(page.locator("#entries")).to_be_hidden()

    # Sent by two pages at once, or with its answer lost, it still counts once.
    await page.reload()
    await ready(page)
    assert await notes(services) == [("done", NOTE)]


async def test_an_answer_that_is_lost_does_not_double_the_entry(
    services: Services, served: str, browser: Browser, add_person: AddPerson, worker: Worker
) -> None:
    await worker()
    await add_person()
    context, task = await opened(browser), await first_task(services)
    page = await context.new_page()
    await sign_in_unseen(page, served)
    await sheet(page, served, task)
    lost: list[int] = []

    async def lose(route: object) -> None:
        answer = await route.fetch()  # type: ignore[attr-defined]
        lost.append(answer.status)
        await route.abort()  # type: ignore[attr-defined]

    # The service worker would hide the request from the test.
    await page.route(f"**/staff/tasks/{task}", lose, times=1)
    await page.get_by_label("Ghi chú").fill(NOTE)
    await page.get_by_role("button", name="Có triệu chứng").click()
    await expect(page.locator(".kept")).to_contain_text("Đã lưu trong trình duyệt này.")
    assert lost == [200]
    other = await context.new_page()
    await other.goto(f"{served}/staff/inbox")  # any page of the staff sends what waits
    await ready(other)
    await expect(other.locator("#entries")).to_be_hidden()
    assert await notes(services) == [("done", NOTE)]


async def test_a_session_that_ends_meanwhile_costs_nothing(
    services: Services,
    clock: ManualClock,
    served: str,
    browser: Browser,
    add_person: AddPerson,
    worker: Worker,
) -> None:
    await worker()
    await worker("binh")
    await add_person()
    context, task = await opened(browser), await first_task(services)
    page = await context.new_page()
    await sign_in_unseen(page, served)
    await sheet(page, served, task)
    await context.set_offline(True)
    await page.get_by_label("Ghi chú").fill(NOTE)
    await page.get_by_role("button", name="Có triệu chứng").click()
    await expect(page.locator("#entries")).to_contain_text("Đang chờ gửi (1).")
    clock.set(services.now + services.settings.session_seconds + 60)
    await context.set_offline(False)
    await expect(page.locator("#entries")).to_contain_text("Vui lòng đăng nhập lại.")
    assert await notes(services) == []
    # A colleague at the same telephone can neither read nor send it.
    await sign_in(page, served, "binh")
    await expect(page.locator("#entries")).to_contain_text("còn giữ một kết quả của lan")
    assert await notes(services) == []
    await page.get_by_role("button", name="Đăng xuất").click()
    await expect(page).to_have_url(f"{served}/staff/sign-in")
    await sign_in(page, served)
    assert await until_there(services, 1) == [("done", NOTE)]
    async with services.database.read() as session:
        (event,) = await session.scalars(select(TaskEvent).where(TaskEvent.form.is_not(None)))
    assert event.account_name == "lan"


async def test_typing_survives_a_reload_and_ends_with_signing_out(
    services: Services,
    served: str,
    browser: Browser,
    add_person: AddPerson,
    worker: Worker,
    tmp_path: Path,
) -> None:
    await worker()
    await add_person()
    context, task = await opened(browser), await first_task(services)
    page = await context.new_page()
    await sign_in_unseen(page, served)
    await sheet(page, served, task)
    await page.get_by_label("ho", exact=True).check()
    await page.get_by_label("Ghi chú").fill(NOTE)
    await page.wait_for_timeout(600)  # as long as it takes to write the draft
    await page.reload()
    await expect(page.locator(".kept")).to_contain_text("Nội dung bạn nhập trước đó đã hiện lại.")
    await expect(page.get_by_label("Ghi chú")).to_have_value(NOTE)
    await expect(page.get_by_label("ho", exact=True)).to_be_checked()
    await picture(page, tmp_path, "work-restored")
    await page.get_by_role("button", name="Bỏ đi").click()
    await page.locator("form[data-ready]").wait_for()
    await expect(page.get_by_label("Ghi chú")).to_have_value("")

    await context.set_offline(True)
    await page.get_by_label("Ghi chú").fill(NOTE)
    await page.get_by_role("button", name="Có triệu chứng").click()
    await expect(page.locator("#entries")).to_contain_text("Đang chờ gửi (1).")
    await page.get_by_role("button", name="Đăng xuất").click()
    await expect(page.locator("#entries")).to_contain_text("Còn kết quả chưa gửi (1).")
    await page.get_by_role("button", name="Ở lại").click()
    await expect(page.locator("#entries")).to_contain_text("Đang chờ gửi (1).")
    await context.set_offline(False)
    assert await until_there(services, 1) == [("done", NOTE)]
    await sheet(page, served, task)
    await page.get_by_label("Ghi chú").fill("chưa gửi")
    await page.wait_for_timeout(600)
    await page.get_by_role("button", name="Đăng xuất").click()
    await expect(page).to_have_url(f"{served}/staff/sign-in")
    assert [one["name"] for one in await context.cookies() if "drafts" in one["name"]] == []
    await sign_in(page, served)
    await sheet(page, served, task)
    await expect(page.get_by_label("Ghi chú")).to_have_value("")


async def test_what_a_colleague_overtook_comes_back_and_is_recorded_as_well(
    services: Services, served: str, browser: Browser, add_person: AddPerson, worker: Worker
) -> None:
    await worker()
    await worker("binh")
    await add_person()
    task = await first_task(services)
    context = await opened(browser)
    page = await context.new_page()
    await sign_in_unseen(page, served)
    await sheet(page, served, task)
    await context.set_offline(True)
    await page.get_by_label("Ghi chú").fill(NOTE)
    await page.get_by_role("button", name="Có triệu chứng").click()
    await expect(page.locator("#entries")).to_contain_text("Đang chờ gửi (1).")
    other = await (await opened(browser)).new_page()
    await sign_in_unseen(other, served, "binh")
    await sheet(other, served, task)
    await other.get_by_role("button", name="Từ chối").click()
    await until_there(services, 1)
    await context.set_offline(False)
    await page.goto(f"{served}/staff/tasks")
    await page.get_by_role("link", name="mở việc này").click()
    await expect(page.locator(".kept")).to_contain_text("binh vừa hoàn thành việc này")
    await expect(page.get_by_label("Ghi chú")).to_have_value(NOTE)
    await page.get_by_role("button", name="Có triệu chứng").click()
    assert await until_there(services, 2) == [("done", ""), ("also", NOTE)]
    await expect(page).to_have_url(f"{served}/staff/tasks?recorded={task}")
    await expect(page.locator("#entries")).to_be_hidden()


async def test_without_a_script_it_is_a_plain_form(
    services: Services, served: str, browser: Browser, add_person: AddPerson, worker: Worker
) -> None:
    await worker()
    await add_person()
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await sign_in_unseen(page, served)
    await page.goto(f"{served}/staff/tasks/{await first_task(services)}")
    await page.fill("#note", NOTE)
    await page.get_by_role("button", name="Có triệu chứng").click()
    await expect(page.locator("p.good")).to_contain_text("Đã ghi: gọi điện, có triệu chứng.")
    assert await notes(services) == [("done", NOTE)]
