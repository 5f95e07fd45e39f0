"""The app's pages over a busy fortnight's diary: each answer beside the limit of 200 ms.

50,000 sightings, twelve people at each scan, asked over HTTP on loopback, as the pages ask; the
first time (nothing known yet) and the median of the next ten. The last row is a day among invented
identifiers, 1,000 in each scan: what the phone then works out at a time.
"""

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np

from bluezone.clock import ManualClock
from bluezone.phone import Phone, Service
from bluezone.phone.app.core import App
from bluezone.phone.app.reporting import Reporting
from bluezone.phone.app.routes import create_pages
from bluezone.phone.app.serving import served
from bluezone.phone.diary import pack_page
from bluezone.phone.history import summarise
from bluezone.protocol.deployment import RETENTION_DAYS
from bluezone.protocol.intervals import vietnam_day_number
from bluezone.protocol.sightings import SCAN_RECORD
from bluezone.protocol.trust import Pins
from bluezone.radio.air import Air
from bluezone.radio.direct import DirectRadio
from bluezone.radio.interface import Capabilities, Sighting
from bluezone.web.loopback import listen

_NOW = 1_611_104_400.0 + 12 * 3600
_PEOPLE = 12
_SIGHTINGS = 50_000
_LIMIT_MS = 200.0
_INVENTED_LIMIT_MS = 2000.0
_ASKED = ("state", "history", "exposures", "around", "settings", "ledger", "notices", "about")
_PAGES = ("", "history.html", "app.js", "app.css")


def measure() -> list[dict[str, object]]:
    """One row for each question and page."""
    return asyncio.run(_measure())


async def _measure() -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        clock = ManualClock(_NOW)
        service = Service("http://127.0.0.1:9")
        phone = Phone(
            Path(folder), DirectRadio(Air(clock)), service, Pins({}), clock, use_keyring=False
        )
        _live_through_a_fortnight(phone)
        phone.begin()
        app = App(
            phone, clock, Path(folder), Pins({}), service.address,
            lambda: Capabilities("virtual air", "", broadcasts=True), Reporting(), _NOW,
        )  # fmt: skip
        listener = listen(0)
        port = listener.getsockname()[1]
        async with (
            served(create_pages(app), listener) as address,
            httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as client,
        ):
            await client.get(phone.page_keys.link(port))
            client.headers["X-Bluezone-Token"] = phone.page_keys.token()
            rows = [await _row(client, f"/api/v1/{name}") for name in _ASKED]
            rows += [await _row(client, f"/{name}") for name in _PAGES]
        await service.close()
        await phone.close()
        return [*rows, _invented_day()]


def _invented_day() -> dict[str, object]:
    rng = np.random.default_rng(1)
    records = np.zeros(240_000, SCAN_RECORD)
    records["rpi"] = np.frombuffer(rng.bytes(16 * len(records)), "V16")
    records["time"] = int(_NOW) + 300 * (np.arange(len(records)) // 1000)
    records["since_last_scan"] = 300
    records["rssi_mean"] = rng.integers(-10_000, -4_000, len(records))
    began = time.perf_counter()
    summarise(vietnam_day_number(_NOW), records)
    taken = (time.perf_counter() - began) * 1000
    return {
        "asked": "a day of 240,000 invented identifiers",
        "kB": 0.0,
        "first ms": round(taken, 1),
        "then ms": 0.0,
        "limit ms": _INVENTED_LIMIT_MS,
        "first / limit": taken / _INVENTED_LIMIT_MS,
    }


def _live_through_a_fortnight(phone: Phone) -> None:
    rng = random.Random(1)
    scans = _SIGHTINGS // _PEOPLE
    begin = _NOW - (RETENTION_DAYS - 1) * 86400
    for scan in range(scans):
        at = begin + scan * (RETENTION_DAYS - 1) * 86400 / scans
        interval = int(at) // 600
        heard = [
            Sighting(
                bytes(6),
                random.Random(f"{person}/{interval}").randbytes(20),
                at,
                (round(rng.gauss(-70 - person, 4)),),
            )
            for person in range(_PEOPLE)
        ]
        phone._diary.add(at, pack_page(heard, 280, True))
    phone._diary.fold(int(_NOW // 86400))  # as each check does


async def _row(client: httpx.AsyncClient, path: str) -> dict[str, object]:
    taken: list[float] = []
    size = 0
    for _ in range(11):
        began = time.perf_counter()
        answer = await client.get(path)
        taken.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        size = len(answer.content)
    median = statistics.median(taken[1:])
    return {
        "asked": path,
        "kB": round(size / 1000, 1),
        "first ms": round(taken[0], 1),
        "then ms": round(median, 1),
        "limit ms": _LIMIT_MS,
        "first / limit": taken[0] / _LIMIT_MS,
    }
