"""A town lives: people walk, phones run, somebody tests positive, warnings arrive."""

import asyncio
import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import numpy as np

from bluezone.clock import LoopClock, WallClock
from bluezone.phone import ExposureWarning, Phone, Service
from bluezone.phone.authority.handovers import details_of
from bluezone.phone.report import Sharing
from bluezone.protocol.configuration import DEFAULT_CONFIGURATION
from bluezone.protocol.exposure import Infectiousness
from bluezone.protocol.handover import About
from bluezone.protocol.intervals import vietnam_day
from bluezone.protocol.trust import Pins
from bluezone.radio.air import Air, Position
from bluezone.radio.direct import DirectRadio
from bluezone.town.days import Move, live
from bluezone.town.people import Residents, settle
from bluezone.town.places import Kind
from bluezone.town.portal import commune_of, phone_number, sample_result
from bluezone.town.releases import Releases
from bluezone.town.scene import Event, Frame, Scene, Stage
from bluezone.town.service import HealthAuthority, ServiceProcess
from bluezone.town.time import InFlight, VirtualTimeLoop
from bluezone.town.truth import Nearness, Truth
from bluezone.town.verdict import Contact, Verdict
from bluezone.town.wire import Wire
from bluezone.town.witness import Witness, WitnessedRadio

_DAY: Final = 86400
_HOUR: Final = 3600
# Monday 18 January 2021, 00:00 in Vietnam: a fixed date, so that a seed repeats.
_MONDAY: Final = 1_610_902_800
BEGINS: Final = _MONDAY + 5 * _HOUR  # before anybody leaves home
_CONFIRMED_HOUR: Final = 18  # on the last day but one, so that a night and a day remain
_CONFIRMED_HOUR_OF_ONE_DAY: Final = 14
_ONSET_DAYS_BEFORE: Final = 2  # people are tested two days after they fall ill
_AFTER_A_CASE: Final = 8 * _HOUR  # embargo, export and checks of one confirmed late
_ASK_TO_BE_CALLED: Final = 4  # all of the warned but every fourth
_COMMITS_NIGHTLY: Final = 8  # every eighth home; each night costs the town 0.1 s a phone
_THINKS_SECONDS: Final = 20 * 60.0
_BLOCK_METRES: Final = 500.0  # between blocks: no radio reaches that far
_FRAME_SECONDS: Final = 0.09  # real time between two pictures
_TICK: Final = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What town to build, and for how long it lives."""

    people: int = 100
    days: int = 7
    seed: int = 1

    @property
    def ends(self) -> float:
        """Unix time at which it ends, unless somebody was confirmed shortly before."""
        return float(BEGINS + self.days * _DAY)

    @property
    def confirmed_at(self) -> float:
        """Unix time at which somebody is confirmed if nobody has been until then."""
        if self.days == 1:
            return float(_MONDAY + _CONFIRMED_HOUR_OF_ONE_DAY * _HOUR)
        return float(_MONDAY + (self.days - 2) * _DAY + _CONFIRMED_HOUR * _HOUR)


@dataclass(slots=True)
class _Case:
    confirmed_at: float
    days: list[int] = field(default_factory=list)  # infectious UTC days


class Town:
    """People, phones, air and truth on one virtual-time loop, beside the real service."""

    def __init__(
        self, plan: Plan, loop: VirtualTimeLoop, service: ServiceProcess, folder: Path, scene: Scene
    ) -> None:
        """`folder` keeps the phones' diaries."""
        self._plan = plan
        self._loop = loop
        self._service = service
        self._scene = scene
        self._clock = LoopClock(loop, BEGINS)
        self._wall = WallClock()
        loop.drive(service.clock_file, BEGINS, service.check)
        self.residents: Residents = settle(plan.people, np.random.default_rng((plan.seed, 0)))
        self.truth = Truth(plan.people, BEGINS)
        self.air = Air(self._clock, seed=plan.seed)
        self._witness = Witness(plan.people, self._clock)
        client = Service(service.url, transport=self._transport)
        pins = Pins.from_pem(service.root)
        self._releases = Releases(client, pins, self._witness)
        self._radios = [
            WitnessedRadio(person.number, DirectRadio(self.air), self._witness)
            for person in self.residents.people
        ]
        self._phones = [
            self._open_phone(number, folder / f"phone-{number}", client, pins)
            for number in range(plan.people)
        ]
        self._client = client
        self._authority = HealthAuthority(service, self._transport)
        self._cases: dict[int, _Case] = {}
        self._warnings: dict[int, list[ExposureWarning]] = {}
        self._events: list[Event] = []
        self._shown_at = 0.0
        self._group: asyncio.TaskGroup | None = None
        scene.describe(self.residents, BEGINS, plan.ends)

    def _transport(self) -> httpx.AsyncBaseTransport:
        return InFlight(self._loop, Wire())

    def _open_phone(self, number: int, home: Path, client: Service, pins: Pins) -> Phone:
        def warned(warning: ExposureWarning) -> None:
            self._warned(number, warning)

        phone = Phone(
            home,
            self._radios[number],
            client,
            pins,
            self._clock,
            rng=random.Random(f"{self._plan.seed}/{number}"),
            # Repeatable keys are for a town alone: a real phone asks its operating system.
            entropy=random.Random(f"{self._plan.seed}/{number}/keys").randbytes,
            use_keyring=False,
            on_warning=warned,
        )
        if self._commits(number):
            phone.commit_nightly(True)
        return phone

    def _commits(self, person: int) -> bool:
        """Whether somebody agreed to nightly commitments: some homes did, the seed's case's too."""
        homes = [self.residents.people[one].home for one in (person, self._somebody())]
        return homes[0] % _COMMITS_NIGHTLY == homes[1] % _COMMITS_NIGHTLY

    # --- living -------------------------------------------------------------------------

    async def live(self) -> Verdict:
        """Live through all days. Raises StalledError, ServiceFailed and what breaks a phone."""
        began = self._wall.now()
        moves = self._moves()
        next_move = next(moves)
        while next_move[0] <= BEGINS:
            self._move(next_move[1])
            next_move = next(moves)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._scene.confirm = self._confirm_from_page
                running = [group.create_task(phone.run()) for phone in self._phones]
                running.append(group.create_task(self._walk(next_move, moves)))
                running.append(group.create_task(self._follow_releases()))
                running.append(group.create_task(self._tick()))
                await self._until_the_end()
                self._scene.confirm = None
                for task in running:
                    task.cancel()
        finally:
            self._group = None
            for phone in self._phones:
                await phone.close()
            await self._client.close()
        verdict = self._verdict(self._wall.now() - began)
        self._show(Stage.FINISHED, verdict)
        return verdict

    async def _until_the_end(self) -> None:
        await self._clock.sleep(self._plan.confirmed_at - self._clock.now())
        if not self._cases:
            await self.confirm(self._somebody())
        while self._clock.now() < self._end():
            await self._clock.sleep(self._end() - self._clock.now())

    def _end(self) -> float:
        latest = max((case.confirmed_at for case in self._cases.values()), default=0.0)
        return max(self._plan.ends, latest + _AFTER_A_CASE)

    def _somebody(self) -> int:
        """Who tests positive if the page chose nobody: an adult who works."""
        rng = np.random.default_rng((self._plan.seed, 1))
        people = self.residents.people
        adults = [p.number for p in people if p.work is not None and not p.is_pupil]
        return int(rng.choice(adults or [person.number for person in people]))

    # --- moving -------------------------------------------------------------------------

    def _moves(self) -> Iterator[tuple[float, Move]]:
        day = 0
        while True:
            rng = np.random.default_rng((self._plan.seed, 2, day))
            midnight = _MONDAY + day * _DAY
            for move in live(self.residents, day % 7, rng):
                yield midnight + move.time, move
            day += 1

    async def _walk(
        self, next_move: tuple[float, Move], moves: Iterator[tuple[float, Move]]
    ) -> None:
        while True:
            await self._clock.sleep(next_move[0] - self._clock.now())
            self.truth.advance(next_move[0])
            while next_move[0] <= self._clock.now():
                self._move(next_move[1])
                next_move = next(moves)

    def _move(self, move: Move) -> None:
        if move.person not in self._cases:
            self._place(move.person, move.space, move.x, move.y)

    def _place(self, person: int, space: int, x: float, y: float) -> None:
        self.truth.move(person, space, x, y)
        place = self.residents.spaces[space]
        position: Position = (
            place.block * _BLOCK_METRES + place.origin[0] + x,
            place.origin[1] + y,
        )
        self._radios[person].move(position, place.name)

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
        self._place(person, hospital, *self.residents.spaces[hospital].shared[0])
        resident = self.residents.people[person]
        await self._authority.hand_in(sample_result(resident, vietnam_day(now)))
        code = await self._authority.issue_code(onset.isoformat())
        await self._phones[person].report(code, consent=True, sharing=Sharing(diary=True))
        await self._phones[person].hand_over_owed()

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
            self._note(self._clock.now(), "warned", person)
            if self._group is not None and person % _ASK_TO_BE_CALLED:
                self._group.create_task(self._ask_to_be_called(person))

    async def _ask_to_be_called(self, person: int) -> None:
        """Somebody thinks it over, and sends what the portal's inbox shows."""
        await self._clock.sleep(_THINKS_SECONDS)
        resident, phone = self.residents.people[person], self._phones[person]
        await phone.handovers.send_details(
            details_of(
                name=resident.name,
                phone_number=phone_number(resident),
                receipt=None,
                commune=commune_of(resident),
                about=About.SELF,
                warnings=phone.warnings(),
                note="",
                language="vi",
                claim=phone.claim() if self._commits(person) else None,
            )
        )

    def _note(self, time: float, kind: str, person: int) -> None:
        self._events.append(Event(time, kind, person))
        self._show(Stage.RUNNING)

    # --- showing and judging --------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            self._service.check()
            if self._scene.is_watched and self._wall.now() - self._shown_at >= _FRAME_SECONDS:
                self._show(Stage.RUNNING)
            await self._clock.sleep(_TICK)

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
        statistics = self.air.statistics
        return Verdict(
            people=self._plan.people,
            days=self._plan.days,
            seed=self._plan.seed,
            cases=tuple(people[case].name for case in sorted(self._cases)),
            contacts=tuple(self._contacts()),
            scans=self._witness.scans,
            packets=statistics.offered,
            packets_heard=statistics.delivered,
            requests=self._loop.requests_made,
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
    first, last = BEGINS // _DAY, int(until // _DAY)
    return [
        day
        for day in range(first, last + 1)
        if DEFAULT_CONFIGURATION.infectiousness(day - onset_day) is not Infectiousness.NONE
    ]
