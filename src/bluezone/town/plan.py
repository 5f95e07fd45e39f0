"""What town is built, and what its parts must agree on without asking each other."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from bluezone.town.people import Residents, settle

DAY: Final = 86400
HOUR: Final = 3600
# Monday 18 January 2021, 00:00 in Vietnam: a fixed date, so that a seed repeats.
MONDAY: Final = 1_610_902_800
BEGINS: Final = MONDAY + 5 * HOUR  # before anybody leaves home
_CONFIRMED_HOUR: Final = 18  # on the last day but one, so that a night and a day remain
_CONFIRMED_HOUR_OF_ONE_DAY: Final = 14
_COMMITS_NIGHTLY: Final = 8  # every eighth home; each night costs the town 0.1 s a phone


@dataclass(frozen=True, slots=True)
class Plan:
    """What town to build, and for how long it lives."""

    people: int = 100
    days: int = 7
    seed: int = 1

    @property
    def ends(self) -> float:
        """Unix time at which it ends, unless somebody was confirmed shortly before."""
        return float(BEGINS + self.days * DAY)

    @property
    def confirmed_at(self) -> float:
        """Unix time at which somebody is confirmed if nobody has been until then."""
        if self.days == 1:
            return float(MONDAY + _CONFIRMED_HOUR_OF_ONE_DAY * HOUR)
        return float(MONDAY + (self.days - 2) * DAY + _CONFIRMED_HOUR * HOUR)

    def settle(self) -> Residents:
        """Who lives there, and where."""
        return settle(self.people, np.random.default_rng((self.seed, 0)))

    def index_case(self, residents: Residents) -> int:
        """Who tests positive if the page chose nobody: an adult who works."""
        rng = np.random.default_rng((self.seed, 1))
        people = residents.people
        adults = [p.number for p in people if p.work is not None and not p.is_pupil]
        return int(rng.choice(adults or [person.number for person in people]))

    def commits_nightly(self, residents: Residents, person: int) -> bool:
        """Whether somebody agreed to nightly commitments: some homes did, the case's too."""
        homes = [residents.people[one].home for one in (person, self.index_case(residents))]
        return homes[0] % _COMMITS_NIGHTLY == homes[1] % _COMMITS_NIGHTLY
