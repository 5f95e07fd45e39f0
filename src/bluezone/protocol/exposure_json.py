"""Exposure windows as JSON, in the spellings of published files (docs/risk.md, "Windows")."""

import datetime as dt
from enum import IntEnum
from typing import Final

from bluezone.protocol.exposure import ExposureWindow, Infectiousness, ScanInstance
from bluezone.protocol.intervals import DAY_SECONDS, day_number
from bluezone.protocol.json_reader import Node
from bluezone.protocol.keys import ReportType
from bluezone.protocol.risk_model import RiskConfiguration

_MILLISECONDS_PER_DAY: Final = 1000 * DAY_SECONDS
_DAYS: Final = ("day", "date", "dateMillisSinceEpoch", "ageInDays")
_MAX_DAY: Final = 100_000  # the year 2243
_TYPICAL: Final = ("typicalAttenuation", "typicalAttenuationDb")
_MINIMUM: Final = ("minAttenuation", "minAttenuationDb", "minimumAttenuation")


class CalibrationConfidence(IntEnum):
    """How well a phone model's radio is known (Exposure Notification framework)."""

    LOWEST = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3


def read_windows(node: Node, configuration: RiskConfiguration, today: int) -> list[ExposureWindow]:
    """The windows in a list, or under `exposureWindows`. Raises JsonError.

    `today` (days since 1970-01-01) is what `ageInDays` counts back from.
    """
    if not isinstance(node.value, list):
        node = node["exposureWindows"]
    return [_window(window, configuration, today) for window in node.items()]


def _window(node: Node, configuration: RiskConfiguration, today: int) -> ExposureWindow:
    report_type = node.get("reportType")
    infectiousness = node.get("infectiousness")
    onset = node.get("daysSinceOnset", "daysSinceOnsetOfSymptoms")
    confidence = node.get("calibrationConfidence")
    encounter = node.get("encounter")
    return ExposureWindow(
        day=_day(node, today),
        report_type=ReportType.UNKNOWN
        if report_type is None
        else report_type.member_of(ReportType),
        infectiousness=configuration.infectiousness(
            None if onset is None else onset.integer(-10_000, 10_000)
        )
        if infectiousness is None
        else infectiousness.member_of(Infectiousness),
        scan_instances=tuple(_scan(scan) for scan in node["scanInstances"].items()),
        calibration_confidence=0
        if confidence is None
        else confidence.member_of(CalibrationConfidence),
        encounter=None if encounter is None else encounter.integer(0, 2**53),
    )


def _day(node: Node, today: int) -> int:
    found = next((day for name in _DAYS if (day := node.get(name)) is not None), None)
    if found is None:
        node.fail(f"no day is given; write one of {', '.join(_DAYS)}")
    if found.path.endswith(".ageInDays"):
        return today - found.integer(0, today)
    if isinstance(found.value, str):
        try:
            return day_number(dt.date.fromisoformat(found.value[:10]))
        except ValueError:
            found.fail(f"{found.value[:40]!r} is not a day like 2021-01-31")
    if found.path.endswith(".dateMillisSinceEpoch"):
        return found.integer(0, _MAX_DAY * _MILLISECONDS_PER_DAY) // _MILLISECONDS_PER_DAY
    return found.integer(0, _MAX_DAY)


def _scan(node: Node) -> ScanInstance:
    typical, minimum = node.get(*_TYPICAL), node.get(*_MINIMUM)
    either = typical or minimum
    if either is None:
        node.fail("no attenuation is given; write typicalAttenuation, minAttenuation or both")
    return ScanInstance(
        typical_attenuation=(typical or either).number(-200, 300),
        min_attenuation=(minimum or either).number(-200, 300),
        seconds_since_last_scan=node["secondsSinceLastScan"].integer(-(10**9), 10**9),
    )
