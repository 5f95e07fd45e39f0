"""Contact history: how many people were near on each day, for how long, how close.

An identifier lives for ten minutes, so counting identifiers counts one companion six times an
hour (in 2020 four times). Identifiers of successive intervals whose levels fit are joined into
one contact. That is an estimate, hence the two bounds beside it: as many as were heard in one
interval were certainly different people, and nobody can have been more than one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from bluezone.phone.diary import Diary
from bluezone.phone.tracer import NEAR_DBM
from bluezone.protocol.deployment import RETENTION_DAYS, VIETNAM_UTC_OFFSET_SECONDS
from bluezone.protocol.intervals import (
    DAY_SECONDS,
    interval_number,
    utc_day_number,
    vietnam_day_number,
)
from bluezone.protocol.sightings import ScanRecords

# A companion who was not heard for two intervals may still be the same one.
_MOST_INTERVALS_APART: Final = 3
# Two at one table: turning round and a hand on the phone take 20 dB. Further apart is somebody
# else; among several that could be meant, the nearest in level is.
_MOST_DB_APART: Final = 25.0
_MIDDLE_DBM: Final = -84


@dataclass(frozen=True, slots=True)
class Contact:
    """One person as far as identifiers can be joined; times are Unix seconds."""

    start: float
    end: float
    seconds: float  # that scans stand for
    level: float  # dBm, mean over scans

    @property
    def closeness(self) -> Literal["near", "middle", "far"]:
        """A word for the level. The sender's power is unknown, so it is no measurement."""
        if self.level >= NEAR_DBM:
            return "near"
        return "middle" if self.level >= _MIDDLE_DBM else "far"


@dataclass(frozen=True, slots=True)
class HistoryDay:
    """One Vietnamese day (number since 1970-01-01). `least` <= len(contacts) <= `most`."""

    day: int
    contacts: tuple[Contact, ...]
    least: int
    most: int
    seconds: float  # during which anybody was heard
    near_seconds: float  # during which somebody was near


class History:
    """The diary by Vietnamese days. What a finished day holds is worked out once."""

    def __init__(self, diary: Diary) -> None:
        self._diary = diary
        self._known: dict[int, tuple[int, HistoryDay]] = {}  # day -> (records, result)

    def days(self, now: float, count: int = RETENTION_DAYS) -> list[HistoryDay]:
        """The last `count` days, newest first, empty ones too. Raises StoreError."""
        today = vietnam_day_number(now)
        first = today - count + 1
        # A Vietnamese day begins at 17:00 UTC of the day before.
        records = self._diary.records(first - 1, utc_day_number(now))
        day_of = (records["time"].astype(np.int64) + VIETNAM_UTC_OFFSET_SECONDS) // DAY_SECONDS
        order = np.argsort(day_of, kind="stable")
        bounds = np.searchsorted(day_of[order], np.arange(first, today + 2))
        result: list[HistoryDay] = []
        for place, day in enumerate(range(first, today + 1)):
            of_day = records[order[bounds[place] : bounds[place + 1]]]
            known = self._known.get(day)
            if known is None or known[0] != len(of_day):
                known = self._known[day] = len(of_day), summarise(day, of_day)
            result.append(known[1])
        oldest = today - RETENTION_DAYS
        self._known = {day: known for day, known in self._known.items() if day > oldest}
        return result[::-1]

    def forget(self, day: int) -> None:
        """Delete what was heard on a Vietnamese day. Raises StoreError."""
        start = day * DAY_SECONDS - VIETNAM_UTC_OFFSET_SECONDS
        self._diary.forget_between(start, start + DAY_SECONDS)

    def forget_all(self) -> None:
        """Delete all that was heard. Raises StoreError."""
        self._diary.forget_between(0, 2**32)


@dataclass(slots=True)
class _Chain:
    interval: int  # of its last identifier
    level: float  # of its last identifier
    start: float
    end: float
    seconds: float
    weighted: float  # level x seconds


def summarise(day: int, records: ScanRecords) -> HistoryDay:
    """Join the identifiers of one day's `records` (shape (N,)) into contacts."""
    if not len(records):
        return HistoryDay(day, (), 0, 0, 0.0, 0.0)
    # As two words: sorting bytes that numpy does not know as a number is slow.
    words = np.ascontiguousarray(records["rpi"]).view(np.uint64).reshape(-1, 2)
    identifiers, member = np.unique(words[:, 0] ^ words[:, 1], return_inverse=True)
    time = records["time"].astype(np.float64)
    since = records["since_last_scan"].astype(np.float64)
    level = records["rssi_mean"] / 100.0
    count = len(identifiers)
    start, end = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(start, member, time - since)
    np.maximum.at(end, member, time)
    first = np.full(count, np.inf)
    np.minimum.at(first, member, time)
    seconds = np.bincount(member, since, count)
    mean = np.bincount(member, level * since, count) / np.maximum(seconds, 1e-9)
    contacts, least = _join(first, start, end, seconds, mean)
    return HistoryDay(
        day,
        tuple(contacts),
        least,
        count,
        _covered(time, since),
        _covered(time[level >= NEAR_DBM], since[level >= NEAR_DBM]),
    )


def _join(
    first: "np.ndarray",
    start: "np.ndarray",
    end: "np.ndarray",
    seconds: "np.ndarray",
    mean: "np.ndarray",
) -> tuple[list[Contact], int]:
    by_interval: dict[int, list[int]] = {}
    for row, heard in enumerate(first.tolist()):
        by_interval.setdefault(interval_number(heard), []).append(row)
    open_chains: list[_Chain] = []
    chains: list[_Chain] = []
    for interval in sorted(by_interval):
        rows = by_interval[interval]
        open_chains = [
            chain for chain in open_chains if interval - chain.interval <= _MOST_INTERVALS_APART
        ]
        for row, chain in _pairs(rows, open_chains, mean):
            made = chain or _Chain(interval, 0.0, float(start[row]), 0.0, 0.0, 0.0)
            if chain is None:
                chains.append(made)
                open_chains.append(made)
            made.interval, made.level = interval, float(mean[row])
            made.end = max(made.end, float(end[row]))
            made.seconds += float(seconds[row])
            made.weighted += float(mean[row] * seconds[row])
    contacts = [
        Contact(chain.start, chain.end, chain.seconds, chain.weighted / max(chain.seconds, 1e-9))
        for chain in chains
    ]
    return contacts, max(len(rows) for rows in by_interval.values())


def _pairs(
    rows: Sequence[int], chains: Sequence[_Chain], mean: "np.ndarray"
) -> list[tuple[int, _Chain | None]]:
    """Each identifier of an interval with the chain that it goes on with, the likest first."""
    if not chains:
        return [(row, None) for row in rows]
    levels = np.array([chain.level for chain in chains])
    apart = np.abs(mean[rows][:, None] - levels)
    likest = np.argsort(apart, axis=None, kind="stable")
    likest = likest[: np.count_nonzero(apart <= _MOST_DB_APART)]
    of_row: list[_Chain | None] = [None] * len(rows)
    free = [True] * len(chains)
    left = min(len(rows), len(chains))
    row_of, chain_of = np.divmod(likest, len(chains))
    for row, chain in zip(row_of.tolist(), chain_of.tolist(), strict=True):
        if free[chain] and of_row[row] is None:
            of_row[row], free[chain] = chains[chain], False
            left -= 1
            if not left:
                break
    return list(zip(rows, of_row, strict=True))


def _covered(time: "np.ndarray", since: "np.ndarray") -> float:
    """Seconds of the union of [time - since, time]."""
    if not len(time):
        return 0.0
    order = np.argsort(time)
    ends, starts = time[order], (time - since)[order]
    before = np.concatenate(([-np.inf], np.maximum.accumulate(ends)[:-1]))
    return float(np.sum(ends - np.maximum(starts, np.minimum(before, ends))))
