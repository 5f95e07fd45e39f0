"""What really happened: who was within two metres of whom, for how long, on which day.

Computed from true positions at every move, and from nothing that a radio heard. Minutes
are added up by Vietnamese days, midnight to midnight, as the risk rule does; the UTC day is
kept apart within them, because it decides whether the key of the time is an infectious one.
"""

from collections.abc import Collection, Mapping
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bluezone.protocol.deployment import VIETNAM_UTC_OFFSET_SECONDS

CLOSE_METRES: Final = 2.0
CLOSE_SECONDS: Final = 15 * 60
NEAR_METRES: Final = 4.0
_DAY: Final = 86400

# The infectious UTC days (days since 1970-01-01) of each case.
Traced = Mapping[int, Collection[int]]


class Nearness(IntEnum):
    """What is counted of each pair of people. The last two tell why a warning went wrong."""

    CLOSE = 0  # within CLOSE_METRES in the same space
    NEAR = 1  # within NEAR_METRES in the same space
    TOGETHER = 2  # in the same space


class Truth:
    """Seconds that each pair of people spent close, near, and in one space, by day."""

    def __init__(self, people: int, now: float) -> None:
        self.positions: NDArray[np.float64] = np.zeros((people, 2))
        self.spaces: NDArray[np.int64] = np.arange(-people, 0)  # nobody is anywhere yet
        self._pairs: NDArray[np.bool_] = np.zeros((len(Nearness), people, people), bool)
        self._since: NDArray[np.float64] = np.full((people, people), now, float)
        self._seconds: dict[tuple[int, int], NDArray[np.float64]] = {}  # by local and UTC day
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
            local_day, utc_day = _days(self._now)
            end = min((utc_day + 1) * _DAY, (local_day + 1) * _DAY - VIETNAM_UTC_OFFSET_SECONDS)
            if now < end:
                self._now = now
            else:
                self._settle_all(end)

    def close_contacts(self, traced: Traced) -> set[int]:
        """Who spent 15 minutes within two metres of the cases, added up in one day."""
        contacts = np.flatnonzero(self.most(Nearness.CLOSE, traced) >= CLOSE_SECONDS)
        return {int(person) for person in contacts} - set(traced)

    def most(self, nearness: Nearness, traced: Traced) -> NDArray[np.float64]:
        """The most seconds that each person spent so with all cases in one of their days."""
        self._settle_all(self._now)
        by_day: dict[int, NDArray[np.float64]] = {}
        for (local_day, utc_day), table in self._seconds.items():
            rows = [case for case, days in traced.items() if utc_day in days]
            known = by_day.get(local_day, 0.0)
            by_day[local_day] = known + table[nearness, rows].sum(axis=0)
        return np.max(list(by_day.values()), axis=0)  # type: ignore[no-any-return]

    def _table(self) -> NDArray[np.float64]:
        day = _days(self._now)
        if day not in self._seconds:
            self._seconds[day] = np.zeros(self._pairs.shape)
        return self._seconds[day]

    def _settle(self, person: int) -> None:
        """Book a person's time since the last settlement; `now` lies in the same day."""
        passed = self._pairs[:, person, :] * (self._now - self._since[person])
        table = self._table()
        table[:, person, :] += passed
        table[:, :, person] += passed
        self._since[person, :] = self._now
        self._since[:, person] = self._now

    def _settle_all(self, until: float) -> None:
        """Book everybody's time up to `until`, at the latest the end of the current day."""
        self._table()[:] += self._pairs * (until - self._since)
        self._since[:] = until
        self._now = until


def _days(now: float) -> tuple[int, int]:
    return int((now + VIETNAM_UTC_OFFSET_SECONDS) // _DAY), int(now // _DAY)
