"""Phones in one room on one core: what they hear, beside what a perfect computer would deliver.

Everybody sends four times a second and listens all the time, in real time. The air's own
losses are switched off, so whatever is missing was lost by the computer. Modes: `direct`
(a window computed at once), `HCI` (every packet an event, real HCI bytes, the phone's own
radio code on top), and the peer: Bumble's own virtual link under Bumble's own device,
which reports every packet twice (counted once here).
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from bumble.controller import Controller
from bumble.device import Advertisement, Device
from bumble.hci import Address
from bumble.host import Host
from bumble.link import LocalLink

from bluezone.clock import WallClock
from bluezone.protocol.beacon import encode_advertisement
from bluezone.radio.air import MEAN_INTERVAL_SECONDS, Air
from bluezone.radio.direct import DirectRadio, make_ready
from bluezone.radio.hci import HciRadio
from bluezone.radio.interface import Radio
from bluezone.radio.link import AirController, AirLink
from bluezone.radio.physics import AirPhysics

_SECONDS = 2.0
_STOCK_INTERVAL_MS = 250.0
_LOSSLESS = AirPhysics(packet_loss=0.0, airtime_seconds=0.0, floor_dbm=-126.0)
_CLOCK = WallClock()


class _Run(NamedTuple):
    delivered: int
    wall: float
    cpu: float


def measure() -> list[dict[str, object]]:
    """One row for each number of phones and mode; about a minute."""
    make_ready()
    rows = []
    for phones in (2, 10, 20, 50, 100, 200):
        rows.append(_row(phones, "direct", MEAN_INTERVAL_SECONDS, _direct))
        rows.append(_row(phones, "HCI", MEAN_INTERVAL_SECONDS, _hci))
        if phones <= 50:  # the stock link does not come back from more
            rows.append(_row(phones, "stock Bumble", _STOCK_INTERVAL_MS / 1e3, _stock))
    return rows


def _row(
    phones: int, mode: str, interval: float, run: Callable[[int], Awaitable[_Run]]
) -> dict[str, object]:
    async def once() -> _Run:
        return await run(phones)

    result = asyncio.run(once())
    delivered = result.delivered / result.wall
    ideal = phones * (phones - 1) / interval
    late = result.wall - _SECONDS
    # A 2 s window holds 8 packets of a neighbour, and one may fall across its edge.
    return {
        "phones": phones,
        "mode": mode,
        "delivered/s": round(delivered),
        "ideal/s": round(ideal),
        "delivered/ideal": delivered / ideal,
        "CPU %": round(100 * result.cpu / result.wall),
        "late ms": round(1e3 * late),
        "real time": "yes" if delivered > 0.85 * ideal and late < 0.1 * _SECONDS else "no",
    }


async def _direct(phones: int) -> _Run:
    air = Air(_CLOCK, _LOSSLESS)
    radios = [DirectRadio(air, _place(i, phones), "room") for i in range(phones)]
    return await _listen(radios, air)


async def _hci(phones: int) -> _Run:
    link = AirLink(Air(_CLOCK, _LOSSLESS))
    return await _listen(
        [
            await HciRadio.attach(AirController(link, _place(i, phones), "room"), _CLOCK)
            for i in range(phones)
        ],
        link.air,
    )


async def _listen(radios: Sequence[Radio], air: Air) -> _Run:
    async def one(radio: Radio, delay: float) -> int:
        await _CLOCK.sleep(delay)
        return sum(len(sighting.rssi) for sighting in await radio.scan(_SECONDS))

    stagger = MEAN_INTERVAL_SECONDS / len(radios)  # nobody starts in step
    for radio in radios:
        await radio.advertise(os.urandom(20))
        await _CLOCK.sleep(stagger)
    wall, cpu = time.perf_counter(), time.process_time()
    heard = await asyncio.gather(*(one(radio, i * stagger) for i, radio in enumerate(radios)))
    # Windows are as long as asked, and begin within one interval of each other.
    wall = time.perf_counter() - wall - stagger * (len(radios) - 1)
    return _Run(sum(heard), wall, time.process_time() - cpu)


async def _stock(phones: int) -> _Run:
    link = LocalLink()  # type: ignore[no-untyped-call]
    reports = 0

    def count(_: Advertisement) -> None:
        nonlocal reports
        reports += 1

    devices = []
    for i in range(phones):
        controller = Controller(f"C{i}", link=link)
        device = Device(
            name=f"phone {i}",
            address=Address.generate_private_address(),
            host=Host(controller, controller),
        )
        device.on("advertisement", count)
        await device.power_on()
        devices.append(device)
    for device in devices:
        await device.start_advertising(
            advertising_data=encode_advertisement(os.urandom(20)),
            advertising_interval_min=_STOCK_INTERVAL_MS,
            advertising_interval_max=_STOCK_INTERVAL_MS,
        )
    # Not by command: the first scanners would saturate the loop before the last has begun.
    for controller in link.controllers:
        controller.le_scan_enable = True
    wall, cpu = time.perf_counter(), time.process_time()
    await _CLOCK.sleep(_SECONDS)
    return _Run(reports // 2, time.perf_counter() - wall, time.process_time() - cpu)


def _place(i: int, phones: int) -> tuple[float, float]:
    side = int(phones**0.5) + 1
    return (0.5 * (i % side), 0.5 * (i // side))
