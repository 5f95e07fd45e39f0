"""A quarter of the town: some of its people's phones, in a process of its own.

`python -m bluezone.town.quarter FD` is started by the town (`town/quarters.py`) with its end of a
pipe. All quarters live through the same stretch of time at once; between two stretches each
learns what the others' phones have begun to broadcast.
"""

import asyncio
import gc
import math
import random
import sys
import traceback
from collections.abc import Coroutine
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from bluezone.clock import LoopClock
from bluezone.phone import ExposureWarning, Phone, Service
from bluezone.phone.authority.handovers import details_of
from bluezone.phone.report import Sharing
from bluezone.protocol.handover import About
from bluezone.protocol.trust import Pins
from bluezone.radio.air import Air, Station
from bluezone.radio.direct import DirectRadio, make_ready
from bluezone.town.messages import (
    Beginning,
    Failed,
    Report,
    encode,
    read_beginning,
    read_order,
)
from bluezone.town.plan import BEGINS
from bluezone.town.time import InFlight, StalledError, VirtualTimeLoop
from bluezone.town.wire import Wire
from bluezone.town.witness import WitnessedRadio

_ASK_TO_BE_CALLED: Final = 4  # all of the warned but every fourth
_THINKS_SECONDS: Final = 20 * 60.0


class Quarter:
    """Phones on the whole town's air, which follow the town's time."""

    def __init__(self, beginning: Beginning, loop: VirtualTimeLoop, town: Connection) -> None:
        """Opens the phones. Raises what a phone raises."""
        self._plan = plan = beginning.plan
        self._loop = loop
        self._town = town
        self._clock = LoopClock(loop, BEGINS)
        self._residents = plan.settle()
        self._air = Air(self._clock, seed=plan.seed)
        self._report = Report()
        self._radios: dict[int, WitnessedRadio] = {}
        self._elsewhere: dict[int, Station] = {}  # people whose phones live in other quarters
        for person in range(plan.people):  # the order of joining is part of what a seed repeats
            if person % beginning.shares == beginning.share:
                radio = WitnessedRadio(person, DirectRadio(self._air), self._report)
                self._radios[person] = radio
            else:
                self._elsewhere[person] = self._air.join((0.0, 0.0))
        self._client = Service(beginning.service_url, transport=lambda: InFlight(loop, Wire()))
        pins = Pins.from_pem(beginning.root)
        self._phones = {
            person: self._open_phone(person, Path(beginning.folder, f"phone-{person}"), pins)
            for person in self._radios
        }
        self._warned: set[int] = set()
        self._positive: set[int] = set()
        self._group: asyncio.TaskGroup | None = None
        self._ended = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    def _open_phone(self, person: int, home: Path, pins: Pins) -> Phone:
        def warned(warning: ExposureWarning) -> None:
            self._take_warning(person, warning)

        phone = Phone(
            home,
            self._radios[person],
            self._client,
            pins,
            self._clock,
            rng=random.Random(f"{self._plan.seed}/{person}"),
            # Repeatable keys are for a town alone: a real phone asks its operating system.
            entropy=random.Random(f"{self._plan.seed}/{person}/keys").randbytes,
            use_keyring=False,
            on_warning=warned,
        )
        if self._commits(person):
            phone.commit_nightly(True)
        return phone

    def _commits(self, person: int) -> bool:
        return self._plan.commits_nightly(self._residents, person)

    async def live(self) -> None:
        """Live until the town ends it. Raises StalledError and what breaks a phone."""
        self._loop.follow(self._next_stretch)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for phone in self._phones.values():
                    self._begin(phone.run())
                await self._ended.wait()
                for task in self._running:
                    task.cancel()
        finally:
            for phone in self._phones.values():
                await phone.close()
            await self._client.close()

    def _begin(self, doing: Coroutine[None, None, None]) -> None:
        assert self._group is not None  # noqa: S101 - called while the quarter lives
        task = self._group.create_task(doing)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _next_stretch(self) -> float:
        """Report, and take the next order; returns until when (loop time) to live on."""
        report, statistics = self._report, self._air.statistics
        report.packets_offered = statistics.offered
        report.packets_delivered = statistics.delivered
        report.requests = self._loop.requests_made
        self._town.send_bytes(encode(report))
        report.begin_anew()
        order = read_order(self._town.recv_bytes())
        for sent in order.sent:
            if sent.person in self._elsewhere:
                self._elsewhere[sent.person].relay(sent.broadcast)
        for step in order.steps:
            mover = self._radios.get(step.person) or self._elsewhere[step.person]
            self._loop.call_at(step.time - BEGINS, mover.move, step.position, step.space)
        for positive in order.positive:
            self._positive.add(positive.person)
            if positive.person in self._phones:
                self._begin(self._tell_of(positive.person, positive.code))
        if order.until is None:
            self._ended.set()
            return math.inf
        return order.until

    async def _tell_of(self, person: int, code: str) -> None:
        """Somebody's phone publishes its keys and hands over its diary."""
        phone = self._phones[person]
        await phone.report(code, consent=True, sharing=Sharing(diary=True))
        await phone.hand_over_owed()

    def _take_warning(self, person: int, warning: ExposureWarning) -> None:
        self._report.warned.append((person, warning))
        if person not in self._warned | self._positive and person % _ASK_TO_BE_CALLED:
            self._begin(self._ask_to_be_called(person))
        self._warned.add(person)

    async def _ask_to_be_called(self, person: int) -> None:
        """Somebody thinks it over, and sends what the portal's inbox shows."""
        await self._clock.sleep(_THINKS_SECONDS)
        resident, phone = self._residents.people[person], self._phones[person]
        await phone.handovers.send_details(
            details_of(
                name=resident.name,
                phone_number=resident.phone_number,
                receipt=None,
                commune=resident.commune,
                about=About.SELF,
                warnings=phone.warnings(),
                note="",
                language="vi",
                claim=phone.claim() if self._commits(person) else None,
            )
        )


def main(town: Connection) -> None:
    """Live as the town orders; what can't be mended is told to it."""
    try:
        make_ready()
        beginning = read_beginning(town.recv_bytes())
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, VirtualTimeLoop)  # noqa: S101 - its own factory
            quarter = Quarter(beginning, loop, town)
            gc.freeze()  # what stands now stays: no collection need walk through it again
            runner.run(quarter.live())
    except (EOFError, ConnectionError):
        return  # the town has gone, and its diaries with it
    except StalledError as error:
        town.send_bytes(encode(Failed(str(error), "")))
    except Exception:  # whatever it is, the town ends and says so
        town.send_bytes(encode(Failed("", traceback.format_exc())))


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
