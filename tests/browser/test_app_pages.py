"""The app's pages over canned answers: every page, both languages, every width, every state."""

import re
import time

import pytest
from playwright.sync_api import Browser, expect

from bluezone.phone.app import interface as api
from tests import accessibility
from tests.browser import answers
from tests.browser.answers import both
from tests.browser.app_visit import Visit
from tests.browser.canned import PAGES, CannedCore

pytestmark = pytest.mark.browser
_ALL = sorted(file.stem for file in PAGES.glob("*.html") if file.stem not in ("start", "locked"))
_H1 = "main h1, main .hero h1"


@pytest.mark.parametrize("name", _ALL)
def test_every_page_everywhere(visit: Visit, name: str) -> None:
    visit.core.answers["POST exposures/read"] = answers.exposures("possible")
    visit.core.answers["GET exposures"] = answers.exposures("possible")
    for language in ("vi", "en"):  # in one window: a new one takes longer than the page
        _everywhere(visit, name, language)


def _everywhere(visit: Visit, name: str, language: str) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.open(name, language=language, theme="light")
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator(_H1).first).to_be_visible()
    assert page.title().endswith(" · Bluezone")
    visit.picture(f"{name}-{language}")
    for theme in ("light", "dark"):
        page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
        visit.check_access(f"{name} in {language}, {theme}")
    for width in (320, 390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert visit.width() <= width, f"{name} is wider than {width} pixels"
    page.set_viewport_size({"width": 320, "height": 844})
    page.evaluate("document.documentElement.dataset.text = 'largest'")
    for part in page.locator("details").all():
        part.evaluate("part => part.open = true")
    assert visit.width() <= 320, f"{name} with the largest text is wider than the phone"


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("index", "scan"),
        ("index", "to-report"),
        ("index", "tab-more"),
        ("history", "delete-all"),
        ("exposure", "call-station"),
        ("exposure", "send-details"),
        ("details", "look"),
        ("report", "next"),
        ("settings", "stop"),
    ],
)
def test_the_keyboard_reaches(visit: Visit, name: str, action: str) -> None:
    visit.core.answers["POST exposures/read"] = answers.exposures("possible")
    visit.core.answers["GET exposures"] = answers.exposures("possible")
    page = visit.open(name)
    for _ in range(80):
        page.keyboard.press("Tab")
        found = page.evaluate("document.activeElement?.id")
        if found == action:
            break
    assert found == action
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus is not seen"


def test_the_language_changes_at_once(visit: Visit) -> None:
    page = visit.open("index")
    expect(page.locator(_H1)).to_have_text("Chưa thấy tiếp xúc với ca bệnh")
    page.evaluate("window.stays = true")
    page.get_by_role("button", name="English").click()
    expect(page.locator(_H1)).to_have_text("No contact with a case found")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page).to_have_title("Home · Bluezone")
    assert page.evaluate("window.stays"), "the page was loaded anew"
    assert ("POST settings", {"language": "en"}) in visit.core.asked


def test_home_says_what_is_wrong(visit: Visit) -> None:
    off = api.Problem("bluetooth-off", both("Bluetooth đang tắt.", "Bluetooth is off."), True)
    page = visit.open("index", problems=[off], radio="off", running=False)
    expect(page.get_by_role("alert").filter(has_text="Bluetooth đang tắt.")).to_be_visible()
    expect(page.locator("#running")).to_contain_text("không ghi nhận ai")
    visit.check_access("home with a problem")
    visit.picture("index-problem-vi")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("possible", "Bạn có thể đã ở gần ca bệnh"),
        ("confirmed", "bạn là người tiếp xúc gần"),
        ("cleared", "bạn yên tâm"),
    ],
)
def test_home_and_warning_in_each_state(visit: Visit, state: api.ExposureState, words: str) -> None:
    visit.core.answers["POST exposures/read"] = answers.exposures(state)
    visit.core.answers["GET exposures"] = answers.exposures(state)
    page = visit.open("index", exposure=api.Exposure(state, 1, True), theme="light")
    expect(page.locator(_H1)).to_contain_text(words)
    visit.check_access(f"home, {state}")
    visit.picture(f"index-{state}-vi")
    page.locator("#see").click()
    expect(page.locator(_H1)).to_contain_text(words)
    expect(page.locator("#why-0")).not_to_have_attribute("open", "")
    page.locator("#why-0 summary").click()
    expect(page.get_by_text("đã nghe 2 mã")).to_be_visible()
    expect(page.locator("#call-station")).to_have_attribute("href", "tel:02363822116")
    # "You can live as usual" and "stay at home" are not said together.
    expect(page.locator("#advice")).to_be_visible(visible=state != "cleared")
    visit.check_access(f"warning, {state}")
    visit.picture(f"exposure-{state}-vi")


def test_a_stopped_phone_can_begin_again(visit: Visit) -> None:
    page = visit.open("index", stopped=True, running=False, started=False)
    expect(page.locator(_H1)).to_have_text("Bluezone đã ngừng")
    expect(page.locator("#scan")).to_be_hidden()
    expect(page.locator("#today")).to_be_hidden()  # "your data are deleted" stands above
    expect(page.get_by_role("heading", name="Hôm nay")).to_be_hidden()
    expect(page.locator("#running")).to_be_hidden()
    visit.core.answers["GET state"] = lambda _: answers.usual_state(started=False)
    page.locator("#resume").click()
    page.wait_for_url("**/start.html")


def test_reported(visit: Visit) -> None:
    page = visit.open("index", report=api.ReportSummary(time.time(), False))
    expect(page.locator(_H1)).to_have_text("Bạn đã báo mình mắc bệnh")
    # Whom it was near is another matter, and is said as before.
    expect(page.locator("#standing h2")).to_have_text("Chưa thấy tiếp xúc với ca bệnh")


def test_the_token_of_the_link_leaves_the_address_and_goes_with_every_question(
    visit: Visit,
) -> None:
    sent: list[str | None] = []
    visit.page.on(
        "request",
        lambda asked: (
            sent.append(asked.headers.get("x-bluezone-token")) if "/api/" in asked.url else None
        ),
    )
    visit.page.goto(f"{visit.core.url}index.html#open=a-T_0k")
    expect(visit.page.locator("html")).to_have_attribute("data-ready", "")
    assert "#" not in visit.page.url
    visit.open("history")
    assert len(sent) > 3
    assert set(sent) == {"a-T_0k"}


@pytest.mark.parametrize("name", ["history", "news", "notices", "around", "about"])
def test_empty_pages_say_so(visit: Visit, name: str) -> None:
    visit.core.answers |= {
        "GET history": api.History([]),
        "GET news": api.News([], None, None),
        "GET notices": api.Notices([]),
        "GET around": api.Around("3F9…", "off", False, []),
        "GET ledger": api.Ledger([], []),
    }
    words = {
        "history": "Chưa có gì được lưu.",
        "news": "Hiện không có tin nào.",
        "notices": "Máy chưa báo gì cho bạn.",
        "around": "Bluetooth đang tắt.",
        "about": "Máy chưa gửi đi gì cả.",
    }
    page = visit.open(name)
    expect(page.locator("main")).to_contain_text(words[name])
    if name == "around":  # who is deaf does not know that nobody is here
        expect(page.get_by_text("Không có ai ở gần bạn.")).to_be_hidden()
        expect(page.locator("#own")).to_be_hidden()  # nor does anybody hear it
    visit.check_access(f"{name}, empty")


def test_the_people_around_are_not_listed_anew_while_nothing_changes(visit: Visit) -> None:
    people = [api.Neighbour("A41…", True, -52, 0.5), api.Neighbour("07C…", True, -58, 12.0)]
    far = api.Neighbour("E2B…", False, -78, 2.0)
    asked = 0

    def around(_: object) -> api.Around:
        nonlocal asked
        asked += 1
        return api.Around("3F9…", "on", True, [*people, far])

    def wait_for_more() -> None:
        enough = asked + 2
        deadline = time.monotonic() + 20
        while asked < enough:
            assert time.monotonic() < deadline
            visit.page.wait_for_timeout(200)

    visit.core.answers["GET around"] = around
    page = visit.open("around")
    expect(page.locator("#near li")).to_have_count(2)
    page.evaluate("""() => {
        window.changes = 0;
        const watch = new MutationObserver((found) => (window.changes += found.length));
        for (const id of ["radio", "near", "far", "own"])
            watch.observe(document.getElementById(id),
                { subtree: true, childList: true, characterData: true, attributes: true });
        window.row = document.querySelector("#near li[data-mask='07C…']");
    }""")
    wait_for_more()
    assert page.evaluate("window.changes") == 0
    # Now the stronger one, beside somebody new who shares a mask; the row is the same.
    people[:] = [api.Neighbour("07C…", True, -40, 14.0), api.Neighbour("07C…", True, -60, 1.0)]
    expect(page.locator("#near .quiet").first).to_have_text("nghe thấy 14 giây trước")
    expect(page.locator("#near li")).to_have_count(2)
    assert page.evaluate("window.row === document.querySelector('#near li')")
    people.clear()
    expect(page.locator("#near")).to_have_text("Không có ai ở gần bạn.")
    expect(page.locator("#far li")).to_have_count(1)


def test_a_refusal_is_told_and_tried_again(visit: Visit) -> None:
    fault = api.Fault("disk", both("Ổ đĩa đã đầy. Hãy giải phóng bớt.", "The disk is full."))
    good = visit.core.answers["GET history"]
    visit.core.answers["GET history"] = (503, fault)
    visit.page.goto(f"{visit.core.url}history.html")
    expect(visit.page.locator("#status")).to_contain_text("Ổ đĩa đã đầy.")
    visit.check_access("history, refused")
    visit.core.answers["GET history"] = good
    visit.page.locator("#retry").click()
    expect(visit.page.locator("#day h2")).to_be_visible()


def test_without_the_cookie_the_page_says_how_to_get_in(visit: Visit) -> None:
    visit.page.clock.install()
    visit.open("index")
    visit.core.answers["GET state"] = (401, api.Fault("locked", both("Đang khóa.", "Locked.")))
    visit.page.clock.fast_forward(30_000)  # to when it asks again
    expect(visit.page.locator(".banner")).to_contain_text("bluezone phone open", timeout=20_000)


def test_a_silent_phone_shows_the_banner(visit: Visit) -> None:
    page = visit.open("around")
    visit.core.close()
    expect(page.locator(".banner")).to_contain_text("Bluezone không chạy trên thiết bị này.")
    visit.check_access("the banner")
    visit.picture("silent-vi")


def test_the_worker_shows_a_page_when_nobody_answers(chromium: Browser, core: CannedCore) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{core.url}index.html")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.evaluate(
            "new Promise((ready) => navigator.serviceWorker.controller ? ready() :"
            " navigator.serviceWorker.addEventListener('controllerchange', () => ready()))"
        )
        core.close()
        page.goto(f"{core.url}history.html")
        expect(page.locator("h1").first).to_have_text("Bluezone không chạy trên thiết bị này")
        assert page.evaluate("caches.keys()") == [], "the worker keeps something"


def test_the_locked_page_stands_alone(chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.set_content((PAGES / "locked.html").read_text("utf-8"))
        expect(page.get_by_text("bluezone phone open").first).to_be_visible()
        assert accessibility.violations(page) == ""


def test_no_page_has_inline_script_or_style() -> None:
    for file in PAGES.glob("*.html"):
        text = file.read_text("utf-8")
        assert " style=" not in text
        assert not re.search(r"<[^>]* on[a-z]+=", text)
        assert text.count("<script") == text.count('<script type="module" src="')
        assert file.stem == "locked" or "<style" not in text
