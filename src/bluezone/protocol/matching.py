"""Which published keys broadcast which sighted identifiers (EN Cryptography Specification v1.2,
"RPI" and the tolerance of the Exposure Notification Bluetooth Specification)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bluezone.protocol.deployment import INTERVAL_SECONDS, REPLAY_TOLERANCE_SECONDS
from bluezone.protocol.kernel import Prefilter, find_candidates
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.sightings import ScanRecords


@dataclass(frozen=True, slots=True)
class Matches:
    """N pairs of a key and a record of it, ordered by key row, then record row.

    `key_row` and `record_row` have shape (N,) and index the tables that were matched.
    """

    key_row: NDArray[np.intp]
    record_row: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.key_row)


def find_matches(keys: KeyTable, records: ScanRecords) -> Matches:
    """Every record whose identifier one of `keys` broadcast at about that time.

    A record matches when all 16 bytes are equal, its time lies in
    [start - 2 h, end + 2 h) of the identifier's ten-minute interval, and its clock was
    trusted. The end is open because a key may be released at that very second, and from
    then on anyone can broadcast its identifiers.
    """
    trusted = np.flatnonzero(records["trusted_clock"])
    seconds = records["time"][trusted].astype(np.int64)
    rows = _rows_near(keys, np.sort(seconds))
    head, tail = _halves(records["rpi"][trusted])
    order = np.argsort(head)
    head, tail, seconds, trusted = head[order], tail[order], seconds[order], trusted[order]

    found = find_candidates(
        keys.key[rows], keys.rolling_start[rows], keys.rolling_period[rows], Prefilter.of(head)
    )
    found = found[np.argsort(_halves(found["rpi"])[0])]  # neighbours share a cache line
    candidate_head, candidate_tail = _halves(found["rpi"])
    first = np.searchsorted(head, candidate_head, "left")
    count = np.searchsorted(head, candidate_head, "right") - first
    # One row for each record that shares a candidate's first eight bytes.
    candidate = np.repeat(np.arange(len(found)), count)
    record = np.arange(len(candidate)) + np.repeat(first - np.cumsum(count) + count, count)

    into = seconds[record] - found["interval"][candidate].astype(np.int64) * INTERVAL_SECONDS
    match = (
        (tail[record] == candidate_tail[candidate])
        & (into >= -REPLAY_TOLERANCE_SECONDS)
        & (into < INTERVAL_SECONDS + REPLAY_TOLERANCE_SECONDS)
    )
    key_row = rows[found["key_row"][candidate[match]]]
    record_row = trusted[record[match]]
    by_key = np.lexsort((record_row, key_row))
    return Matches(key_row[by_key], record_row[by_key])


def _rows_near(keys: KeyTable, times: NDArray[np.int64]) -> NDArray[np.intp]:
    """Rows of the keys that were in use, give or take the tolerance, at one of the sorted `times`.

    The others cannot match, so they are not worth deriving.
    """
    # An export holds many keys but few different validities.
    validity = keys.rolling_start.astype(np.int64) << 16 | keys.rolling_period
    distinct, which = np.unique(validity, return_inverse=True)
    start = (distinct >> 16) * INTERVAL_SECONDS
    end = start + (distinct & 0xFFFF) * INTERVAL_SECONDS
    first = np.searchsorted(times, start - REPLAY_TOLERANCE_SECONDS)
    last = np.searchsorted(times, end + REPLAY_TOLERANCE_SECONDS)
    return np.flatnonzero((last > first)[which])


def _halves(identifiers: NDArray[np.void]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The first and the last eight bytes of N identifiers as little-endian numbers."""
    pairs = np.ascontiguousarray(identifiers).view("<u8").reshape(-1, 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy()
