"""How a town's people spend their days: who is where, when, to the metre and the minute.

A day is drawn at once from its own seed, so a person's way through the town does not
depend on what phones or the service do. All hours are Vietnamese local time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bluezone.town.people import Person, Residents
from bluezone.town.places import Kind, Point, Space

_MINUTE = 60.0
_STEP = 20.0  # seconds: moves happen on this grid, so that several share one step
_UNSTEADY = 0.12  # metres, standard deviation: nobody sits on the exact same spot twice
_SUNDAY = 6


@dataclass(frozen=True, slots=True, order=True)
class Move:
    """At `time` (seconds after the day's local midnight) a person is somewhere else."""

    time: float
    person: int
    space: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class _Stay:
    """From `start` (minutes after midnight) somebody is in `space`, in the given way."""

    start: float
    space: int
    manner: str  # own | table | home | wander | seat
    seat: int = 0


def live(residents: Residents, weekday: int, rng: np.random.Generator) -> list[Move]:
    """Every move of one day (weekday 0 is Monday), in order of time.

    The day begins with everybody in bed at midnight and ends with them there.
    """
    return sorted(_Day(residents, weekday, rng).moves())


class _Day:
    def __init__(self, residents: Residents, weekday: int, rng: np.random.Generator) -> None:
        self._residents = residents
        self._weekday = weekday
        self._rng = rng
        self._market = residents.spaces_of(Kind.MARKET)[0]
        self._park = residents.spaces_of(Kind.PARK)[0]
        self._outings = self._draw_outings()
        # A seat on the bus, a chair at lunch: shuffled each day, and nobody has the same.
        self._seat = rng.permutation(len(residents.people))

    def moves(self) -> Iterator[Move]:
        for person in self._residents.people:
            stays = sorted(self._stays(person), key=lambda stay: stay.start)
            ends = [stay.start for stay in stays[1:]] + [24 * 60.0]
            for stay, end in zip(stays, ends, strict=True):
                space = self._residents.spaces[stay.space]
                for minute, (x, y) in self._within(person, stay, space, end):
                    x, y = self._steady(space, x, y)
                    time = round(minute * _MINUTE / _STEP) * _STEP
                    yield Move(time, person.number, stay.space, x, y)

    def _steady(self, space: Space, x: float, y: float) -> Point:
        dx, dy = self._rng.normal(0, _UNSTEADY, 2)
        return (
            float(np.clip(x + dx, 0.1, space.width - 0.1)),
            float(np.clip(y + dy, 0.1, space.depth - 0.1)),
        )

    # --- where ------------------------------------------------------------------------

    def _stays(self, person: Person) -> Iterator[_Stay]:
        """A person's day, from bed to bed."""
        yield _Stay(0, person.home, "own")
        yield _Stay(self._about(345 if person.age >= 60 else 370, 12), person.home, "home")
        if person.work is not None and self._works_today(person):
            yield from self._working_day(person)
        else:
            yield from self._free_day(person)
        if outing := self._outings.get(person.number):
            start, space, seat, length = outing
            manner = "wander" if space == self._park else "seat"
            yield _Stay(start, space, manner, seat)
            yield _Stay(start + length, person.home, "home")
        yield _Stay(self._about(1325, 20), person.home, "own")

    def _works_today(self, person: Person) -> bool:
        if person.work == self._market:
            return True
        return self._weekday < (5 if person.is_pupil else _SUNDAY)

    def _working_day(self, person: Person) -> Iterator[_Stay]:
        assert person.work is not None  # noqa: S101 - asked before
        selling = person.work == self._market
        begin = self._about(300 if selling else 455, 6)
        if person.bus is not None:
            yield _Stay(begin - 28, person.bus, "seat", int(self._seat[person.number]))
        yield _Stay(begin, person.work, "own")
        if selling:
            yield _Stay(self._about(690, 20), person.home, "home")
            return
        if person.is_pupil:
            yield _Stay(self._about(690, 4), person.home, "home")
            yield _Stay(self._about(805, 5), person.work, "own")
            yield _Stay(self._about(990, 6), person.home, "home")
            return
        if self._rng.random() < 0.75:
            yield _Stay(self._about(705, 5), person.canteen, "table", person.work)
        else:
            yield _Stay(self._about(705, 5), person.home, "home")
        yield _Stay(self._about(775, 6), person.work, "own")
        leave = self._about(1010 if self._weekday < 5 else 930, 12)
        if person.bus is not None:
            yield _Stay(leave, person.bus, "seat", int(self._seat[-1 - person.number]))
            leave += 28
        if self._rng.random() < 0.3:
            yield _Stay(leave, self._market, "wander")
            leave += float(self._rng.uniform(10, 30))
        yield _Stay(leave, person.home, "home")

    def _free_day(self, person: Person) -> Iterator[_Stay]:
        if self._rng.random() < 0.55:
            start = self._about(400, 20)
            yield _Stay(start, self._market, "wander")
            yield _Stay(start + float(self._rng.uniform(20, 50)), person.home, "home")
        if self._rng.random() < 0.35:
            start = self._about(930, 40)
            yield _Stay(start, self._park, "wander")
            yield _Stay(start + float(self._rng.uniform(30, 80)), person.home, "home")

    def _draw_outings(self) -> dict[int, tuple[float, int, int, float]]:
        """Evenings with friends: person -> (start, space, chair or -1, minutes)."""
        outings: dict[int, tuple[float, int, int, float]] = {}
        table = 0
        share = 0.12 if self._weekday < 5 else 0.25
        for person in self._residents.people:
            if self._rng.random() >= share or person.number in outings:
                continue
            group = [person.number, *(f for f in person.friends if f not in outings)]
            start, length = self._about(1180, 20), float(self._rng.uniform(50, 110))
            in_cafe = person.age >= 18 and self._rng.random() < 0.75
            space = person.cafe if in_cafe else self._park
            tables = len(self._residents.spaces[space].shared) // 4
            for chair, number in enumerate(group[:4]):
                late = float(self._rng.uniform(0, 8))
                outings[number] = (start + late, space, 4 * (table % tables) + chair, length - late)
            table += 1
        return outings

    def _about(self, minute: float, spread: float) -> float:
        return float(np.clip(self._rng.normal(minute, spread), minute - 45, minute + 45))

    # --- within a space ---------------------------------------------------------------

    def _within(
        self, person: Person, stay: _Stay, space: Space, end: float
    ) -> Iterator[tuple[float, Point]]:
        """(minute, place) of a person's moves while they are in a space."""
        if stay.manner == "own":
            place = person.bed if space.kind is Kind.HOME else person.desk
            seat = space.own[place % len(space.own)]
            if space.kind is Kind.HOME:
                yield stay.start, seat
            else:
                yield from self._at_work(stay.start, end, seat, space)
        elif stay.manner == "home":
            yield from self._mingle(stay.start, end, space, lambda: self._rng.uniform(12, 60))
        elif stay.manner == "wander":
            yield from self._mingle(stay.start, end, space, lambda: self._rng.uniform(1.5, 6))
        elif stay.manner == "table":  # with the colleagues of one's room
            tables = len(space.shared) // 4
            yield stay.start, space.shared[4 * (stay.seat % tables) + person.desk % 4]
        else:
            yield stay.start, space.shared[stay.seat % len(space.shared)]

    def _at_work(
        self, start: float, end: float, seat: Point, space: Space
    ) -> Iterator[tuple[float, Point]]:
        """Mostly at one's desk; now and then beside a colleague, at the tea corner, at play."""
        minute = start
        while minute < end:
            yield minute, seat
            minute += float(self._rng.uniform(35, 100))
            if minute >= end:
                return
            if space.shared and self._rng.random() < 0.5:
                x, y = space.shared[self._rng.integers(len(space.shared))]
            else:
                x, y = space.own[self._rng.integers(len(space.own))]
                y += 0.7
            yield minute, (x, y)
            minute += float(self._rng.uniform(3, 12))

    def _mingle(
        self, start: float, end: float, space: Space, length: Callable[[], float]
    ) -> Iterator[tuple[float, Point]]:
        """From one shared place to another."""
        minute = start
        while minute < end:
            yield minute, space.shared[self._rng.integers(len(space.shared))]
            minute += float(length())
