"""A town lives: people walk, phones run, somebody tests positive, warnings arrive."""

import asyncio
import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import httpx
import numpy as np

from bluezone.clock import LoopClock, WallClock
from bluezone.phone import ExposureWarning, Service
from bluezone.protocol.configuration import DEFAULT_CONFIGURATION
from bluezone.protocol.exposure import Infectiousness
from bluezone.protocol.intervals import interval_number, interval_start, vietnam_day
from bluezone.protocol.trust import Pins
from bluezone.town.days import Move, live
from bluezone.town.messages import Order, Positive, Report, Step
from bluezone.town.people import Residents
from bluezone.town.places import Kind
from bluezone.town.plan import BEGINS, DAY, HOUR, MONDAY, Plan
from bluezone.town.portal import sample_result
from bluezone.town.quarters import Quarters
from bluezone.town.releases import Releases
from bluezone.town.scene import Event, Frame, Scene, Stage
from bluezone.town.service import HealthAuthority, ServiceProcess
from bluezone.town.time import InFlight, VirtualTimeLoop
from bluezone.town.truth import Nearness, Truth
from bluezone.town.verdict import Contact, Verdict
from bluezone.town.wire import Wire
from bluezone.town.witness import Witness

_ONSET_DAYS_BEFORE: Final = 2  # people are tested two days after they fall ill
_AFTER_A_CASE: Final = 8 * HOUR  # embargo, export and checks of one confirmed late
_BLOCK_METRES: Final = 500.0  # between blocks: no radio reaches that far
_FRAME_SECONDS: Final = 0.09  # real time between two pictures
# How long the quarters live by themselves (virtual seconds), and the service's clock stands
# still. Longer stretches waste less waiting for the slowest quarter.
_STRETCH: Final = 120.0
_LEAST_STRETCHES: Final = 20  # in a real second, where somebody wants to see it slowly
# Phones turn their beacons when an interval begins: all quarters must hear of it at once.
_AFTER_TURNING: Final = 0.01


@dataclass(slots=True)
class _Case:
    confirmed_at: float
    days: list[int] = field(default_factory=list)  # infectious UTC days


class Town:
    """People and truth, leading the quarters in which the phones are, and the real service."""

    def __init__(
        self,
        plan: Plan,
        loop: VirtualTimeLoop,
        service: ServiceProcess,
        quarters: Quarters,
        scene: Scene,
    ) -> None:
        self._plan = plan
        self._loop = loop
        self._service = service
        self._quarters = quarters
        self._scene = scene
        self._clock = LoopClock(loop, BEGINS)
        self._wall = WallClock()
        loop.drive(service.clock_file, BEGINS, service.check)
        loop.lead(self._reach, self._live_to)
        self.residents: Residents = plan.settle()
        self.truth = Truth(plan.people, BEGINS)
        self._witness = Witness(plan.people)
        self._client = Service(service.url, transport=self._transport)
        self._releases = Releases(self._client, Pins.from_pem(service.root), self._witness)
        self._authority = HealthAuthority(service, self._transport)
        self._moves = self._all_moves()
        self._next_move = next(self._moves)
        self._steps: list[Step] = []  # of whom the quarters don't know yet
        self._positive: list[Positive] = []  # likewise
        self._reports: list[Report] = []  # of the last stretch
        self._cases: dict[int, _Case] = {}
        self._warnings: dict[int, list[ExposureWarning]] = {}
        self._events: list[Event] = []
        self._shown_at = 0.0
        self._group: asyncio.TaskGroup | None = None
        scene.describe(self.residents, BEGINS, plan.ends)

    def _transport(self) -> httpx.AsyncBaseTransport:
        return InFlight(self._loop, Wire())

    # --- living -------------------------------------------------------------------------

    async def live(self) -> Verdict:
        """Live through all days. Raises StalledError, ServiceFailed, QuarterFailed."""
        began = self._wall.now()
        self._take(self._quarters.begin(self._plan, self._service))
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._scene.confirm = self._confirm_from_page
                following = group.create_task(self._follow_releases())
                await self._until_the_end()
                self._scene.confirm = None
                following.cancel()
        finally:
            self._group = None
            await self._client.close()
        self._quarters.end()
        verdict = self._verdict(self._wall.now() - began)
        self._show(Stage.FINISHED, verdict)
        return verdict

    async def _until_the_end(self) -> None:
        await self._clock.sleep(self._plan.confirmed_at - self._clock.now())
        if not self._cases:
            await self.confirm(self._plan.index_case(self.residents))
        while self._clock.now() < self._end():
            await self._clock.sleep(self._end() - self._clock.now())

    def _end(self) -> float:
        latest = max((case.confirmed_at for case in self._cases.values()), default=0.0)
        return max(self._plan.ends, latest + _AFTER_A_CASE)

    # --- from stretch to stretch ----------------------------------------------------------

    def _reach(self, now: float) -> float:
        """Until when (loop time) the quarters may live by themselves, from `now` on."""
        turning = interval_start(interval_number(BEGINS + now - _AFTER_TURNING) + 1) - BEGINS
        speed = self._scene.pace.speed
        longest = _STRETCH if speed is None else min(_STRETCH, speed / _LEAST_STRETCHES)
        return min(now + longest, turning + _AFTER_TURNING)

    def _live_to(self, until: float) -> None:
        """Let all quarters live until loop time `until`, and everybody walk meanwhile."""
        moves = []
        while self._next_move[0] <= BEGINS + until:
            if self._next_move[1].person not in self._cases:
                moves.append(self._next_move)
            self._next_move = next(self._moves)
        order = Order(
            until,
            self._steps + [self._step(time, move) for time, move in moves],
            [sent for report in self._reports for sent in report.sent],
            self._positive,
        )
        self._steps, self._positive = [], []

        def walk() -> None:
            for time, move in moves:
                self.truth.advance(time)
                self.truth.move(move.person, move.space, move.x, move.y)

        self._service.check()
        self._take(self._quarters.live_to(order, self._service.check, walk))

    def _take(self, reports: list[Report]) -> None:
        self._reports = reports
        self._witness.take(reports)
        for report in reports:
            for person, warning in report.warned:
                self._warned(person, warning)
        if self._scene.is_watched and self._wall.now() - self._shown_at >= _FRAME_SECONDS:
            self._show(Stage.RUNNING)

    # --- moving -------------------------------------------------------------------------

    def _all_moves(self) -> Iterator[tuple[float, Move]]:
        for day in itertools.count():
            rng = np.random.default_rng((self._plan.seed, 2, day))
            midnight = MONDAY + day * DAY
            for move in live(self.residents, day % 7, rng):
                yield midnight + move.time, move

    def _step(self, time: float, move: Move) -> Step:
        place = self.residents.spaces[move.space]
        x, y = place.block * _BLOCK_METRES + place.origin[0] + move.x, place.origin[1] + move.y
        return Step(time, move.person, (x, y), place.name)

    # --- a case -------------------------------------------------------------------------

    def _confirm_from_page(self, person: int) -> None:
        """Called by the page's thread. LookupError for somebody who does not live here."""
        if not 0 <= person < self._plan.people:
            raise LookupError(person)
        self._loop.call_soon_threadsafe(self._begin_confirm, person)

    def _begin_confirm(self, person: int) -> None:
        if self._group is not None:
            self._group.create_task(self.confirm(person))

    async def confirm(self, person: int) -> None:
        """A person tests positive: result, code, report with diary, and to hospital, alone."""
        if person in self._cases:
            return
        now = self._clock.now()
        onset = vietnam_day(now) - dt.timedelta(days=_ONSET_DAYS_BEFORE)
        self._cases[person] = _Case(now, _infectious_days(onset, now))
        self._note(now, "confirmed", person)
        self.truth.advance(now)
        (hospital,) = self.residents.spaces_of(Kind.HOSPITAL)
        x, y = self.residents.spaces[hospital].shared[0]
        self.truth.move(person, hospital, x, y)
        self._steps.append(self._step(now, Move(0.0, person, hospital, x, y)))
        resident = self.residents.people[person]
        await self._authority.hand_in(sample_result(resident, vietnam_day(now)))
        code = await self._authority.issue_code(onset.isoformat())
        self._positive.append(Positive(person, code))

    async def _follow_releases(self) -> None:
        while True:
            known = {case for case, _ in self._releases.by_day}
            next_at = await self._releases.look(self._cases, self._clock.now())
            for case in sorted({case for case, _ in self._releases.by_day} - known):
                self._note(self._clock.now(), "released", case)
            await self._clock.sleep(max(60.0, next_at + 1 - self._clock.now()))

    def _warned(self, person: int, warning: ExposureWarning) -> None:
        self._warnings.setdefault(person, []).append(warning)
        if len(self._warnings[person]) == 1 and person not in self._cases:
            self._note(float(warning.noticed_at), "warned", person)

    def _note(self, time: float, kind: str, person: int) -> None:
        self._events.append(Event(time, kind, person))
        self._show(Stage.RUNNING)

    # --- showing and judging --------------------------------------------------------------

    def _show(self, stage: Stage, verdict: Verdict | None = None) -> None:
        self._shown_at = self._wall.now()
        self.truth.advance(self._clock.now())
        places = zip(
            self.truth.spaces.tolist(), self.truth.positions.round(2).tolist(), strict=True
        )
        self._scene.show(
            Frame(
                stage=stage,
                now=self._clock.now(),
                people=[(space, x, y) for space, (x, y) in places],
                hears=[pair for pair in self._witness.pairs() if self._near(*pair)],
                cases=sorted(self._cases),
                warned=sorted(set(self._warnings) - set(self._cases)),
                contacts=sorted(self.truth.close_contacts(self._traced())),
                events=self._events,
                verdict=verdict.as_json() if verdict else None,
            )
        )

    def _near(self, one: int, other: int) -> bool:
        """Whether two people are in one block now: who has left since is not drawn as heard."""
        spaces = self.residents.spaces
        return (
            spaces[int(self.truth.spaces[one])].block == spaces[int(self.truth.spaces[other])].block
        )

    def _traced(self) -> dict[int, list[int]]:
        return {number: case.days for number, case in self._cases.items()}

    def _verdict(self, wall_seconds: float) -> Verdict:
        self.truth.advance(self._clock.now())
        people = self.residents.people
        return Verdict(
            people=self._plan.people,
            days=self._plan.days,
            seed=self._plan.seed,
            cases=tuple(people[case].name for case in sorted(self._cases)),
            contacts=tuple(self._contacts()),
            scans=self._witness.scans,
            packets=sum(report.packets_offered for report in self._reports),
            packets_heard=sum(report.packets_delivered for report in self._reports),
            requests=self._loop.requests_made + sum(one.requests for one in self._reports),
            wall_seconds=wall_seconds,
        )

    def _contacts(self) -> Iterator[Contact]:
        minutes = {
            nearness: self.truth.most(nearness, self._traced()) / 60 for nearness in Nearness
        }
        confirmed_at = min(case.confirmed_at for case in self._cases.values())
        for person in self.residents.people:
            if person.number in self._cases:
                continue
            warnings = self._warnings.get(person.number, ())
            warned_at = min((float(one.noticed_at) for one in warnings), default=None)
            yield Contact(
                number=person.number,
                name=person.name,
                minutes_close=float(minutes[Nearness.CLOSE][person.number]),
                minutes_near=float(minutes[Nearness.NEAR][person.number]),
                minutes_together=float(minutes[Nearness.TOGETHER][person.number]),
                confirmed_at=confirmed_at,
                released_at=self._releases.before(warned_at),
                warned_at=warned_at,
            )


def _infectious_days(onset: dt.date, until: float) -> list[int]:
    """UTC days up to `until` on which the configuration calls the case infectious."""
    onset_day = (onset - dt.date(1970, 1, 1)).days
    first, last = BEGINS // DAY, int(until // DAY)
    return [
        day
        for day in range(first, last + 1)
        if DEFAULT_CONFIGURATION.infectiousness(day - onset_day) is not Infectiousness.NONE
    ]
