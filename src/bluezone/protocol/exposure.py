"""Exposure windows and scan instances (the terms of the Exposure Notification API v2)."""

from dataclasses import dataclass
from enum import IntEnum

from bluezone.protocol.intervals import vietnam_day_number
from bluezone.protocol.keys import ReportType

MAX_WINDOW_SECONDS = 30 * 60
MAX_SECONDS_PER_SCAN = 300  # a scan never stands for more than this, however long the gap was


class Infectiousness(IntEnum):
    """How infectious a case was on the day of the key."""

    NONE = 0
    STANDARD = 1
    HIGH = 2


@dataclass(frozen=True, slots=True)
class ScanInstance:
    """One scan window in which the case's phone was heard.

    Attenuations in dB (transmit power minus received level): `typical_attenuation` from the
    mean level, `min_attenuation` from the strongest packet. `seconds_since_last_scan` is
    the time this scan stands for. `time` is its Unix time where known (a file of windows
    from another system has none).
    """

    typical_attenuation: float
    min_attenuation: float
    seconds_since_last_scan: int
    time: int | None = None


@dataclass(frozen=True, slots=True)
class ExposureWindow:
    """At most 30 minutes near one diagnosis key.

    `day` counts days since 1970-01-01 (UTC), the day of the key. `encounter` tells
    windows of different keys apart without being the key: a number local to the phone.
    """

    day: int
    report_type: ReportType
    infectiousness: Infectiousness
    scan_instances: tuple[ScanInstance, ...]
    calibration_confidence: int = 0
    encounter: int | None = None

    @property
    def seconds(self) -> int:
        """Time the window's scans stand for."""
        return sum(scan.seconds_since_last_scan for scan in self.scan_instances)

    @property
    def local_day(self) -> int:
        """Days since 1970-01-01 to the Vietnamese day on which the window began.

        Keys turn at 07:00 in Vietnam, when people breakfast and ride to work together;
        minutes are added up from midnight to midnight instead. Where the scans have no
        times, as in files of other systems, it is the day of the key.
        """
        times = [scan.time for scan in self.scan_instances if scan.time is not None]
        return vietnam_day_number(min(times)) if times else self.day
