"""What two phones heard of each other: attenuations in order of time, cleaned."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

# A phone that stands still is seen by many packets a minute, and they err alike.
BIN_SECONDS: Final = 60.0
# What a reading stands for is the time since the last one, never more than this
# (the same bound as an exposure window's scan instance has).
_MAX_SECONDS_PER_BIN: Final = 300.0
# Beyond these no phone sends or hears; a reading outside is a fault of the recording.
_POSSIBLE_DB: Final = (-20.0, 140.0)


@dataclass(frozen=True, slots=True)
class Levels:
    """Readings of one pair in order of time; all arrays have shape (N,).

    `time` in seconds, `attenuation` in dB (power sent minus mean level received), `packets`
    that the mean is over, `own`: heard by this phone (else by the peer, of this phone).
    `moment` numbers the distinct moments 0..M-1 that the readings belong to: readings of
    both phones in one minute share it. `moment_time` and `seconds` have shape (M,): when each
    moment was and how long it stands for.
    """

    time: Floats
    attenuation: Floats
    packets: Floats
    own: Bools
    moment: Ints
    moment_time: Floats
    seconds: Floats

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def of_scans(
        cls, time: ArrayLike, attenuation: ArrayLike, seconds: ArrayLike, packets: ArrayLike = 1
    ) -> "Levels":
        """One phone's scans, each a mean over `packets` that stands for `seconds`.

        The order is free; a time that comes twice keeps its first reading; readings that
        cannot be (NaN, no time) are dropped.
        """
        t, a, s, n = _arrays(time, attenuation, seconds, packets)
        good = possible(t, a) & np.isfinite(s) & ~np.isnan(n)
        t, a, s, n = t[good], a[good], s[good], n[good]
        t, first = np.unique(t, return_index=True)
        moment = np.arange(len(t), dtype=np.int64)
        s = np.clip(s[first], 0.0, _MAX_SECONDS_PER_BIN)
        return cls(t, a[first], n[first], np.ones(len(t), bool), moment, t, s)

    @classmethod
    def of_packets(cls, time: ArrayLike, attenuation: ArrayLike, own: ArrayLike = True) -> "Levels":
        """Single packets of one or both phones, put into minutes.

        The order is free; packets that cannot be (NaN, no time) are dropped.
        """
        t, a, mine = _arrays(time, attenuation, own)
        good = possible(t, a)
        packets = np.stack((t[good], mine[good], a[good]), axis=1)
        if not len(packets):
            return cls.of_scans([], [], [])
        minute = np.floor(packets[:, 0] / BIN_SECONDS)
        keys, index, counts = np.unique(
            2 * minute + packets[:, 1], return_inverse=True, return_counts=True
        )
        minutes, moment = np.unique(np.floor(keys / 2), return_inverse=True)
        moment_time = (minutes + 0.5) * BIN_SECONDS
        gap = np.diff(moment_time, prepend=moment_time[0] - BIN_SECONDS)
        return cls(
            time=np.bincount(index, packets[:, 0]) / counts,
            attenuation=np.bincount(index, packets[:, 2]) / counts,
            packets=counts.astype(np.float64),
            own=keys % 2 > 0,
            moment=moment.astype(np.int64),
            moment_time=moment_time,
            seconds=np.minimum(gap, _MAX_SECONDS_PER_BIN),
        )

    def between(self, first: int, last: int) -> "Levels":
        """The readings of moments `first` to `last`, without the last."""
        rows = (self.moment >= first) & (self.moment < last)
        return Levels(
            self.time[rows],
            self.attenuation[rows],
            self.packets[rows],
            self.own[rows],
            self.moment[rows] - first,
            self.moment_time[first:last],
            self.seconds[first:last],
        )


def _arrays(*columns: Any) -> list[Floats]:
    made = [np.atleast_1d(np.asarray(column, np.float64)) for column in columns]
    return [np.broadcast_to(column, made[0].shape) for column in made]


def possible(time: Floats, attenuation: Floats) -> Bools:
    """Which readings can be: a time, and an attenuation within what phones send and hear."""
    least, most = _POSSIBLE_DB
    with np.errstate(invalid="ignore"):
        return np.isfinite(time) & (attenuation >= least) & (attenuation <= most)
