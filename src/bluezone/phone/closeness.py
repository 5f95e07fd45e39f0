"""How close the phones of exposure windows were: the proximity estimator as judge of risk.

A key's windows of one day are judged together: what the signal was before and after tells more
of a scan than the scan itself.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from bluezone.phone.diary import Diary
from bluezone.protocol.deployment import INTERVAL_SECONDS
from bluezone.protocol.exposure import ExposureWindow
from bluezone.protocol.intervals import utc_day_number
from bluezone.proximity import UNKNOWN, Estimate, ExposureClass, Handset, Levels, estimate

# A scan of four seconds hears a beacon every 250 ms, and loses some of them.
_PACKETS_PER_SCAN: Final = 10
# Windows of other systems say no time: each is judged for itself, as if days apart.
_APART_SECONDS: Final = 86400.0
# So many identifiers heard beside the peer's make a crowd like those of the recordings.
_CROWD: Final = 4


class Closeness:
    """Judges windows; `own_during(first, last)` tells what is known of this phone (Unix times)."""

    def __init__(self, own_during: Callable[[float, float], Handset] = lambda *_: UNKNOWN) -> None:
        self._own_during = own_during

    def judge(self, windows: Sequence[ExposureWindow]) -> list[list[float]]:
        """For each window, what part of each scan counts as within 2 m.

        The probability of it, scaled so that a key's minutes are those it exceeds as likely as
        not: summed as they are, small chances of a long night next door would warn.
        """
        weights: list[list[float]] = [[] for _ in windows]
        for numbers, times, found in self._estimates(windows):
            scale = found.median_minutes / found.close_minutes if found.close_minutes else 0.0
            counted = np.minimum(found.close * scale, 1.0)
            close = dict(zip(found.time.tolist(), counted.tolist(), strict=True))
            for number, of_window in zip(numbers, times, strict=True):
                weights[number] = [close.get(time, 0.0) for time in of_window]
        return weights

    def exposure_class(self, windows: Sequence[ExposureWindow]) -> ExposureClass:
        """How surely the windows of one day hold 15 minutes within 2 m of one phone."""
        return max(
            (found.exposure for _, _, found in self._estimates(windows)),
            default=ExposureClass.NOT_CLOSE,
        )

    def _estimates(
        self, windows: Sequence[ExposureWindow]
    ) -> Iterator[tuple[list[int], list[list[float]], Estimate]]:
        """(numbers of the windows, times of their scans, estimate) of each key."""
        of_key: dict[tuple[int, int], list[int]] = {}
        for number, window in enumerate(windows):
            key = (0, number) if window.encounter is None else (1, window.encounter)
            of_key.setdefault(key, []).append(number)
        for numbers in of_key.values():
            times = [_times(windows[number], place) for place, number in enumerate(numbers)]
            scans = [scan for number in numbers for scan in windows[number].scan_instances]
            levels = Levels.of_scans(
                np.concatenate([np.array(of_window, np.float64) for of_window in times]),
                [scan.typical_attenuation for scan in scans],
                [scan.seconds_since_last_scan for scan in scans],
                np.full(len(scans), _PACKETS_PER_SCAN),
            )
            own = UNKNOWN
            if len(levels) and all(scan.time is not None for scan in scans):
                own = self._own_during(float(levels.time[0]), float(levels.time[-1]))
            yield numbers, times, estimate(levels, own)


def learned_from(
    diary: Diary, tx_power: Callable[[], int], model: str | None = None
) -> Callable[[float, float], Handset]:
    """What is known of this phone: its model, and by its own diary, does it hear a crowd weakly?

    The senders' power is sealed until their keys are published, so all are taken to send as
    this phone does (`tx_power`, dBm). With fewer than four others about the diary tells nothing.
    """

    def own_during(first: float, last: float) -> Handset:
        records = diary.records(utc_day_number(first), utc_day_number(last))
        heard = records[(records["time"] >= first) & (records["time"] <= last)]
        intervals = max(1.0, (last - first) / INTERVAL_SECONDS)
        if len(np.unique(heard["rpi"])) < _CROWD * intervals:
            return Handset(model)
        level = float(np.median(heard["rssi_mean"].astype(np.float64))) / 100
        return Handset(model, diary_attenuation=tx_power() - level)

    return own_during


def _times(window: ExposureWindow, place: int) -> list[float]:
    since = place * _APART_SECONDS
    times: list[float] = []
    for scan in window.scan_instances:
        since += max(scan.seconds_since_last_scan, 1)
        times.append(float(since if scan.time is None else scan.time))
    return times
