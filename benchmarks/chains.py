"""The page of transmission chains, from the request to the drawn page in Chromium, beside 2 s.

`server s` is the request alone over loopback; `drawn s` from the navigation to the frame after the
page was laid out and painted, with an empty cache; the median of five. `on the page` counts people;
a larger outbreak comes folded.
"""

import asyncio
import statistics
import time

import httpx
import structlog
from playwright.async_api import Browser, async_playwright

from benchmarks.portal import outbreak, served

_LIMIT_SECONDS = 2.0
_PATH = "/staff/situation/chains?since=2020-10-01&until=2021-01-20"
# Two frames: the first ends with the painting of what was laid out before it.
_PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def measure() -> list[dict[str, object]]:
    """One row for each size of outbreak and width of window."""
    structlog.configure(processors=[lambda *_: ""], logger_factory=lambda *_: _Silent())
    return asyncio.run(_measure())


class _Silent:
    def msg(self, *_: object) -> None: ...

    info = error = warning = msg


async def _measure() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        for cases in (100, 400, 4000):
            async with (
                outbreak(cases=cases, contacts_per_case=3.75, clusters=cases // 40) as built,
                served(built[0]) as address,
            ):
                for width in (390, 1280):
                    people = len(built[1].people)
                    rows.append(await _row(chromium, address, built[2], people, width))
        await chromium.close()
    return rows


async def _row(
    chromium: Browser, address: str, token: str, people: int, width: int
) -> dict[str, object]:
    cookie = {"name": "bluezone_session", "value": token, "url": address}
    asked: list[float] = []
    drawn: list[float] = []
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as client:
        client.cookies.set("bluezone_session", token)
        for _ in range(5):
            began = time.perf_counter()
            answer = await client.get(_PATH)
            asked.append(time.perf_counter() - began)
            assert answer.status_code == 200, answer.status_code
    for _ in range(5):
        context = await chromium.new_context(viewport={"width": width, "height": 844})
        await context.add_cookies([cookie])  # type: ignore[list-item]
        page = await context.new_page()
        began = time.perf_counter()
        await page.goto(address + _PATH)
        await page.evaluate(_PAINTED)
        drawn.append(time.perf_counter() - began)
        shown = await page.locator(".person").count()
        await context.close()
    median = statistics.median(drawn)
    return {
        "people": people,
        "window": width,
        "on the page": shown,
        "kB": round(len(answer.content) / 1000),
        "server s": statistics.median(asked),
        "drawn s": median,
        "limit s": _LIMIT_SECONDS,
        "drawn / limit": median / _LIMIT_SECONDS,
    }
