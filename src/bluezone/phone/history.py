"""Contact history: how many people were near on each day, for how long, how close.

An identifier lives for ten minutes, so counting identifiers counts one companion six times an
hour (in 2020 four times). Identifiers of successive intervals whose levels fit are joined into
one contact. That is an estimate, hence the two bounds beside it: whose identifiers were heard
during the same minutes were certainly different people (one person's follow each other, however
wrong the clock that turns them), and nobody can have been more than one.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from bluezone.phone.diary import Diary
from bluezone.phone.tracer import NEAR_DBM
from bluezone.protocol.deployment import (
    INTERVAL_SECONDS,
    RETENTION_DAYS,
    VIETNAM_UTC_OFFSET_SECONDS,
)
from bluezone.protocol.intervals import (
    DAY_SECONDS,
    utc_day_number,
    vietnam_day_number,
)
from bluezone.protocol.sightings import ScanRecords

# A companion who was not heard for two intervals may still be the same one.
_MOST_SECONDS_APART: Final = 3 * INTERVAL_SECONDS
# A scan takes four seconds; an identifier that turns during one is heard beside its successor.
_ONE_SCAN_SECONDS: Final = 10.0
# So many possible pairs are weighed one by one; beyond, identifiers are invented or a crowd, and
# the order of levels must do: 1,000 in each scan would take minutes.
_MOST_PAIRS_WEIGHED: Final = 40_000
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
        self._diary.forget_all()


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
    return HistoryDay(
        day,
        _contacts(_join(first, end, mean), start, end, seconds, mean),
        _least(first, end),
        count,
        _covered(time, since),
        _covered(time[level >= NEAR_DBM], since[level >= NEAR_DBM]),
    )


def _contacts(
    chain_of: "np.ndarray",
    start: "np.ndarray",
    end: "np.ndarray",
    seconds: "np.ndarray",
    mean: "np.ndarray",
) -> tuple[Contact, ...]:
    count = int(chain_of.max()) + 1
    starts, ends = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(starts, chain_of, start)
    np.maximum.at(ends, chain_of, end)
    stood = np.bincount(chain_of, seconds, count)
    levels = np.bincount(chain_of, mean * seconds, count) / np.maximum(stood, 1e-9)
    return tuple(
        Contact(*one)
        for one in zip(starts.tolist(), ends.tolist(), stood.tolist(), levels.tolist(), strict=True)
    )


def _least(first: "np.ndarray", last: "np.ndarray") -> int:
    """As many people as there were for certain, by when each identifier was heard.

    Nobody's two identifiers are heard side by side for longer than the scan in which they turn;
    in that scan, two may be one person's.
    """
    beside = _at_once(first + _ONE_SCAN_SECONDS, last)
    return max(beside, (_at_once(first, last) + 1) // 2)


def _at_once(starts: "np.ndarray", ends: "np.ndarray") -> int:
    """The most intervals [start, end] that share a moment."""
    there = starts <= ends
    if not there.any():
        return 0
    begun, over = np.sort(starts[there]), np.sort(ends[there])
    here = np.searchsorted(begun, begun, side="right") - np.searchsorted(over, begun, side="left")
    return int(here.max())


def _join(first: "np.ndarray", last: "np.ndarray", mean: "np.ndarray") -> "np.ndarray":
    """The chain of each identifier, numbered from 0.

    Scan by scan, those heard for the first time go on with chains that have fallen silent:
    when in our intervals that is does not matter, for the other's clock may be minutes off.
    """
    count = len(first)
    chain_of = np.empty(count, np.int64)
    # Of each chain: the level of its last identifier, when it was last heard, and whether that
    # identifier was heard for long enough to be one that turned in the scan of its successor.
    level, silent, settled = np.empty(count), np.empty(count), np.zeros(count, bool)
    open_chains = np.empty(0, np.int64)
    made = 0
    order = np.argsort(first, kind="stable")
    sorted_first = first[order]
    place = 0
    while place < count:
        now = float(sorted_first[place])
        after = int(np.searchsorted(sorted_first, now + _ONE_SCAN_SECONDS))
        rows = order[place:after]
        place = after
        open_chains = open_chains[now - silent[open_chains] <= _MOST_SECONDS_APART]
        heard_since = silent[open_chains] - now
        free = open_chains[
            (heard_since < 0) | (settled[open_chains] & (heard_since < _ONE_SCAN_SECONDS))
        ]
        goes_on = _pairs(mean[rows], level[free])
        chains = np.empty(len(rows), np.int64)
        joined = goes_on >= 0
        chains[joined] = free[goes_on[joined]]
        begun = np.arange(made, made + len(rows) - np.count_nonzero(joined))
        chains[~joined] = begun
        made += len(begun)
        silent[begun] = -np.inf
        open_chains = np.concatenate((open_chains, begun))
        chain_of[rows] = chains
        level[chains] = mean[rows]
        # Two that turned within one scan each would let three share a moment.
        settled[chains] = (last[rows] - first[rows] > 2 * _ONE_SCAN_SECONDS) & (
            last[rows] > silent[chains]
        )
        silent[chains] = np.maximum(silent[chains], last[rows])
    return chain_of


def _pairs(levels: "np.ndarray", chains: "np.ndarray") -> "np.ndarray":
    """For each level the place of the chain that it goes on with, the likest first, or -1."""
    if len(levels) * len(chains) > _MOST_PAIRS_WEIGHED:
        return _pairs_in_order(levels, chains)
    of_row = np.full(len(levels), -1, np.int64)
    if not len(chains):
        return of_row
    apart = np.abs(levels[:, None] - chains)
    likest = np.argsort(apart, axis=None, kind="stable")
    likest = likest[: np.count_nonzero(apart <= _MOST_DB_APART)]
    free = [True] * len(chains)
    left = min(len(levels), len(chains))
    row_of, chain_of = np.divmod(likest, len(chains))
    for row, chain in zip(row_of.tolist(), chain_of.tolist(), strict=True):
        if free[chain] and of_row[row] < 0:
            of_row[row], free[chain] = chain, False
            left -= 1
            if not left:
                break
    return of_row


def _pairs_in_order(levels: "np.ndarray", chains: "np.ndarray") -> "np.ndarray":
    """As `_pairs`, the faintest with the faintest that fits: n log n."""
    of_row = np.full(len(levels), -1, np.int64)
    rows, others = np.argsort(levels, kind="stable"), np.argsort(chains, kind="stable")
    ours, theirs = levels[rows].tolist(), chains[others].tolist()
    row = chain = 0
    while row < len(ours) and chain < len(theirs):
        apart = ours[row] - theirs[chain]
        if abs(apart) <= _MOST_DB_APART:
            of_row[rows[row]] = others[chain]
            row, chain = row + 1, chain + 1
        elif apart < 0:
            row += 1
        else:
            chain += 1
    return of_row


def _covered(time: "np.ndarray", since: "np.ndarray") -> float:
    """Seconds of the union of [time - since, time]."""
    if not len(time):
        return 0.0
    order = np.argsort(time)
    ends, starts = time[order], (time - since)[order]
    before = np.concatenate(([-np.inf], np.maximum.accumulate(ends)[:-1]))
    return float(np.sum(ends - np.maximum(starts, np.minimum(before, ends))))
