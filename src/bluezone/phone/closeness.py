"""How close the phones of exposure windows were: the proximity estimator as judge of risk.

A key's windows of one day are judged together: what the signal was before and after tells more
of a scan than the scan itself.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from bluezone.protocol.exposure import ExposureWindow
from bluezone.proximity import UNKNOWN, Estimate, ExposureClass, Handset, Levels, estimate

# A scan of four seconds hears a beacon every 250 ms, and loses some of them.
_PACKETS_PER_SCAN: Final = 10
_MOST_KNOWN: Final = 1000
# Windows of one encounter in other systems' files say no time: as if days apart.
_APART_SECONDS: Final = 86400.0


class Closeness:
    """Judges windows; `own` tells what is known of this phone."""

    def __init__(self, own: Handset = UNKNOWN) -> None:
        self._own = own
        # Every check asks again about the same windows.
        self._known: dict[tuple[ExposureWindow, ...], Estimate] = {}

    def judge(self, windows: Sequence[ExposureWindow]) -> list[list[float]]:
        """For each window, what part of each scan counts as within 2 m.

        The probability of it, scaled so that a key's minutes are those it exceeds as likely as
        not: summed as they are, small chances of a long night next door would warn.
        """
        weights: list[list[float]] = [[] for _ in windows]
        for numbers, times, found in self._estimates(windows):
            scale = found.median_minutes / found.close_minutes if found.close_minutes else 0.0
            close = dict(zip(found.time.tolist(), (found.close * scale).tolist(), strict=True))
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
            of_one = tuple(windows[number] for number in numbers)
            times = [_times(window, place) for place, window in enumerate(of_one)]
            found = self._known.get(of_one)
            if found is None:
                scans = [scan for window in of_one for scan in window.scan_instances]
                levels = Levels.of_scans(
                    np.concatenate([np.array(of_window, np.float64) for of_window in times]),
                    [scan.typical_attenuation for scan in scans],
                    [scan.seconds_since_last_scan for scan in scans],
                    np.full(len(scans), _PACKETS_PER_SCAN),
                )
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                found = self._known[of_one] = estimate(levels, self._own)
            yield numbers, times, found


def _times(window: ExposureWindow, place: int) -> list[float]:
    since = place * _APART_SECONDS
    times: list[float] = []
    for scan in window.scan_instances:
        since += max(scan.seconds_since_last_scan, 1)
        times.append(float(since if scan.time is None else scan.time))
    return times
