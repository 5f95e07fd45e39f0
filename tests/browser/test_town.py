"""The town's page in Chromium: choose a person, say they are positive, see warnings arrive."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from playwright.sync_api import Page as BrowserPage
from playwright.sync_api import expect, sync_playwright

from bluezone.town.page import Page
from bluezone.town.plan import BEGINS, Plan
from bluezone.town.quarters import Quarters
from bluezone.town.scene import Scene
from bluezone.town.service import start_service
from bluezone.town.time import Pace, VirtualTimeLoop
from bluezone.town.town import Town
from bluezone.web.loopback import listen

pytestmark = pytest.mark.browser
_PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
_SLOWLY = 300_000


@pytest.fixture
def browser() -> Iterator[BrowserPage]:
    """A page that fails the test on any error of a script or the content policy."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = chromium.new_page(viewport={"width": 1280, "height": 860})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.set_default_timeout(_SLOWLY)
        expect.set_options(timeout=_SLOWLY)
        yield page
        chromium.close()
    assert faults == []


@pytest.fixture
def town(tmp_path: Path) -> Iterator[tuple[str, Scene]]:
    """A living town of fourteen people; its thread ends with the test."""
    pace = Pace(speed=1500)
    scene = Scene(pace)
    page = Page(scene)
    plan = Plan(14, 2, seed=2)
    failed: list[BaseException] = []

    def live() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(pace)) as runner:
                loop = runner.get_loop()
                runner.run(Town(plan, loop, service, quarters, scene).live())
        except BaseException as error:
            failed.append(error)

    with Quarters(plan.people) as quarters:
        service = start_service(tmp_path, BEGINS)
        thread = threading.Thread(target=live)
        thread.start()
        yield page.url, scene
        pace.paused, pace.speed = False, None
        thread.join()
        page.close()
        service.stop()
    assert failed == []


def frame(scene: Scene) -> dict:
    return msgspec.json.decode(scene.frame)


def picture(page: BrowserPage, name: str) -> None:
    """Renew a picture of the documentation, when asked to."""
    if os.environ.get("BLUEZONE_PICTURES"):
        page.screenshot(path=_PICTURES / name)


@pytest.mark.timeout(400)
def test_a_person_is_positive_and_warnings_spread(town, browser):
    url, scene = town
    browser.goto(url)
    expect(browser.locator("html")).to_have_attribute("lang", "vi")
    expect(browser.locator("h1")).to_have_text(
        "Ai đã ở gần người bệnh, và điện thoại của ai cảnh báo?"
    )
    expect(browser.locator("#count-people")).to_have_text("14")

    # By ten in the morning everybody has met somebody.
    expect(browser.locator("#time")).to_contain_text(" 10:")
    browser.get_by_role("button", name="Tạm dừng").click()
    expect(browser.get_by_role("button", name="Chạy tiếp")).to_be_visible()
    stopped = frame(scene)["now"]

    chosen = _click_somebody_in_company(browser, scene)
    expect(browser.locator("#person")).to_have_value(str(chosen))
    browser.get_by_role("button", name="Người này dương tính").click()
    browser.get_by_role("button", name="Chạy tiếp").click()
    expect(browser.locator("#events li.confirmed")).to_have_count(1)
    assert frame(scene)["cases"] == [chosen]
    assert frame(scene)["events"][0]["time"] - stopped < 600

    # The keyboard moves the slider to its end: as fast as possible.
    browser.locator("#speed").focus()
    browser.keyboard.press("End")
    expect(browser.locator("#speed-text")).to_have_text("nhanh hết mức")

    expect(browser.locator("#events li.warned").first).to_be_visible()
    expect(browser.locator("#events li.released")).to_have_count(1)
    expect(browser.locator("#events li.warned").nth(1)).to_be_visible()
    picture(browser, "town.png")

    browser.get_by_role("button", name="English").click()
    expect(browser.locator("h1")).to_have_text("Who was near the case, and whose phone warns?")
    expect(browser.locator("#events")).to_contain_text("warned")

    browser.set_viewport_size({"width": 320, "height": 720})
    width = browser.evaluate("document.documentElement.scrollWidth")
    assert width <= 320, f"the page is {width} pixels wide on a small phone"
    picture(browser, "town-phone.png")

    # When the town has stopped, nobody can be declared positive, and nothing can be paused.
    other = next(n for n in range(14) if n not in frame(scene)["cases"])
    browser.locator("#person").select_option(str(other))
    expect(browser.locator("#notice")).to_contain_text("The town has stopped.")
    expect(browser.locator("#positive")).to_be_disabled()
    expect(browser.locator("#pause")).to_be_disabled()
    expect(browser.locator("#speed")).to_be_disabled()


def _click_somebody_in_company(browser: BrowserPage, scene: Scene) -> int:
    """Click on the map where an adult with others around is drawn; returns who it was."""
    world = msgspec.json.decode(scene.world)
    people = frame(scene)["people"]
    spaces = [space for space, _, _ in people]
    adults = [n for n, (_, age) in enumerate(world["people"]) if age >= 18]
    wanted = max(adults, key=lambda person: spaces.count(spaces[person]))
    browser.wait_for_timeout(600)  # people glide to where they are
    x, y = browser.evaluate("(person) => window.townMap.whereIs(person)", wanted)
    browser.locator("#map").click(position={"x": x, "y": y})
    return wanted


def test_the_page_answers_only_its_own_requests():
    """Another site cannot declare anybody positive, and no answer may be framed or cached."""
    scene = Scene(Pace())
    page = Page(scene)
    asked: list[int] = []
    scene.confirm = asked.append
    try:
        with httpx.Client(base_url=page.url, trust_env=False) as client:
            home = client.get("/")
            assert "default-src 'none'" in home.headers["content-security-policy"]
            form = client.post(
                "/positive", content=b'{"person":1}', headers={"content-type": "text/plain"}
            )
            assert form.status_code == 400
            assert client.get("/", headers={"host": "evil.example"}).status_code == 400
            assert client.post("/positive", json={"person": "x"}).status_code == 400
            assert client.post("/pace", json={"paused": False, "speed": 0}).status_code == 400
            assert client.post("/pace", json={"paused": False, "speed": 1e9}).status_code == 400
            assert asked == []
            assert client.post("/positive", json={"person": 1}).status_code == 202
            assert asked == [1]
            scene.confirm = None
            assert client.post("/positive", json={"person": 1}).status_code == 409
    finally:
        page.close()


def test_a_new_speed_leaves_a_pause_alone():
    """Pressed in quick succession, one control must not undo the other."""
    scene = Scene(Pace(speed=60))
    page = Page(scene)
    try:
        with httpx.Client(base_url=page.url, trust_env=False) as client:
            client.post("/pace", json={"paused": True}).raise_for_status()
            assert (scene.pace.paused, scene.pace.speed) == (True, 60)
            client.post("/pace", json={"speed": 300}).raise_for_status()
            assert (scene.pace.paused, scene.pace.speed) == (True, 300)
            client.post("/pace", json={"speed": None}).raise_for_status()
            assert (scene.pace.paused, scene.pace.speed) == (True, None)
    finally:
        page.close()


def test_answers_leave_without_waiting_for_an_acknowledgement():
    with listen(0) as listener, socket.create_connection(listener.getsockname()):
        connection, _address = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
