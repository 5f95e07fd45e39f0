"""What really happened: who was within two metres of whom, for how long, on which day.

Computed from true positions at every move, and from nothing that a radio heard. A day
here is the UTC day, 07:00 to 07:00 in Vietnam, because that is the day of a key and so the
day over which the risk rule adds up minutes.
"""

from collections.abc import Collection, Iterable
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

CLOSE_METRES: Final = 2.0
CLOSE_SECONDS: Final = 15 * 60
NEAR_METRES: Final = 4.0
_DAY: Final = 86400


class Nearness(IntEnum):
    """What is counted of each pair of people. The last two tell why a warning went wrong."""

    CLOSE = 0  # within CLOSE_METRES in the same space
    NEAR = 1  # within NEAR_METRES in the same space
    TOGETHER = 2  # in the same space


class Truth:
    """Seconds that each pair of people spent close, near, and in one space, by UTC day."""

    def __init__(self, people: int, now: float) -> None:
        self.positions: NDArray[np.float64] = np.zeros((people, 2))
        self.spaces: NDArray[np.int64] = np.arange(-people, 0)  # nobody is anywhere yet
        self._pairs: NDArray[np.bool_] = np.zeros((len(Nearness), people, people), bool)
        self._since: NDArray[np.float64] = np.full((people, people), now)
        self._seconds: dict[int, NDArray[np.float64]] = {}
        self._now = now

    def move(self, person: int, space: int, x: float, y: float) -> None:
        """From now on (see `advance`) a person is there."""
        self._settle(person)
        self.positions[person] = x, y
        self.spaces[person] = space
        together = self.spaces == space
        together[person] = False
        distance = np.hypot(*(self.positions - self.positions[person]).T)
        row = np.stack(
            [together & (distance <= r) for r in (CLOSE_METRES, NEAR_METRES)] + [together]
        )
        self._pairs[:, person, :] = row
        self._pairs[:, :, person] = row

    def advance(self, now: float) -> None:
        """Let time pass to `now` (Unix seconds) with everybody where they are."""
        while self._now < now:
            midnight = (self._now // _DAY + 1) * _DAY
            if now < midnight:
                self._now = now
            else:
                self._settle_all(midnight)

    def seconds(self, nearness: Nearness, day: int) -> NDArray[np.float64]:
        """(people, people) seconds so far in a UTC day (days since 1970)."""
        self._settle_all(self._now)
        table: NDArray[np.float64] = self._table(day)[nearness]
        return table

    def close_contacts(self, cases: Collection[int], days: Iterable[int]) -> set[int]:
        """Who spent 15 minutes within two metres of the cases, added up in one of the days."""
        contacts: set[int] = set()
        for day in days:
            seconds = self.seconds(Nearness.CLOSE, day)[sorted(cases)].sum(axis=0)
            contacts.update(int(row) for row in np.flatnonzero(seconds >= CLOSE_SECONDS))
        return contacts - set(cases)

    def most(
        self, nearness: Nearness, person: int, cases: Collection[int], days: Iterable[int]
    ) -> float:
        """The most seconds that a person spent so with the cases in one of the days."""
        rows = sorted(cases)
        return max(
            (float(self.seconds(nearness, day)[rows, person].sum()) for day in days), default=0.0
        )

    def _table(self, day: int) -> NDArray[np.float64]:
        if day not in self._seconds:
            self._seconds[day] = np.zeros(self._pairs.shape)
        return self._seconds[day]

    def _settle(self, person: int) -> None:
        """Book a person's time since the last settlement; `now` lies in the same day."""
        passed = self._pairs[:, person, :] * (self._now - self._since[person])
        table = self._table(int(self._now // _DAY))
        table[:, person, :] += passed
        table[:, :, person] += passed
        self._since[person, :] = self._now
        self._since[:, person] = self._now

    def _settle_all(self, until: float) -> None:
        """Book everybody's time up to `until`, at the latest the end of the current day."""
        self._table(int(self._now // _DAY))[:] += self._pairs * (until - self._since)
        self._since[:] = until
        self._now = until
