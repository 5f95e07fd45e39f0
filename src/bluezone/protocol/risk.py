"""The v2 risk model: exposure windows and a configuration in, levels by day out (docs/risk.md).

The steps and their order are those of Corona-Warn-App's specification ("Exposure Windows"),
which it tested on both platforms against one set of cases; we pass the same cases.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from bluezone.protocol.configuration import RiskConfiguration
from bluezone.protocol.exposure import ExposureWindow, ScanInstance
from bluezone.protocol.keys import ReportType
from bluezone.protocol.risk_model import ClosenessBy, LevelRange, RiskLevel, TransmissionRisk

__all__ = ["DayRisk", "DropReason", "Judge", "RiskLevel", "RiskResult", "WindowRisk", "score"]

# For each window, weights for its scan instances, one each, 0 or more: how much of their time
# counts as close. Stands in for the attenuation ranges where the configuration asks for it.
# It is given all windows at once, for those of one key explain each other.
Judge = Callable[[Sequence[ExposureWindow]], Sequence[Sequence[float]]]

# 3 x 1.2 minutes are 3.5999999999999996 in floating point: dust that must not decide a level.
_DUST_DECIMALS = 9
_SUM_DUST_DECIMALS = 6  # many windows' dust, before a half is rounded up


class DropReason(StrEnum):
    """Why a window counts for nothing."""

    REPORT_TYPE = "reportType"  # revoked, or of a kind that is not known
    TOO_OLD = "daysSinceExposure"
    MINUTES_AT_ATTENUATION = "minutesAtAttenuation"
    TRANSMISSION_RISK_LEVEL = "transmissionRiskLevel"
    TOO_SHORT = "minimumWindow"
    NO_LEVEL = "noRiskLevel"  # its minutes lie in no range of the configuration


@dataclass(frozen=True, slots=True)
class WindowRisk:
    """One window, scored.

    `weighted_minutes` is its time weighted by closeness, `minutes` that times the
    transmission risk value ("normalised time"). The level is NONE when it was dropped.
    """

    window: ExposureWindow
    level: RiskLevel
    minutes: float
    weighted_minutes: float
    transmission_risk: TransmissionRisk
    dropped: DropReason | None = None


@dataclass(frozen=True, slots=True)
class DayRisk:
    """One day (days since 1970-01-01; see `ExposureWindow.local_day`) on which windows counted.

    `minutes` is rounded as the configuration says. `minimum_encounters` counts windows by
    level, those of one kind and calibration confidence once: all that can be said where
    keys are not told apart. `encounters` counts keys by the level that each would have
    caused alone; None if a window of the day does not say which key it is of.
    """

    day: int
    level: RiskLevel
    minutes: float
    minimum_encounters: Mapping[RiskLevel, int]
    encounters: Mapping[RiskLevel, int] | None


@dataclass(frozen=True, slots=True)
class RiskResult:
    """All windows as they were given, and the days in order."""

    windows: tuple[WindowRisk, ...]
    days: tuple[DayRisk, ...]

    @property
    def level(self) -> RiskLevel:
        """The highest level of any day."""
        return max((day.level for day in self.days), default=RiskLevel.NONE)

    def most_recent_day(self, level: RiskLevel) -> int | None:
        """The last day of exactly this level."""
        return max((day.day for day in self.days if day.level is level), default=None)

    def number_of_days(self, level: RiskLevel) -> int:
        """Days of exactly this level."""
        return sum(day.level is level for day in self.days)

    def minimum_encounters(self, level: RiskLevel) -> int:
        """Distinct encounters of this level at least, over all days that have a level."""
        return sum(day.minimum_encounters[level] for day in self.days if day.level)


def score(
    windows: Iterable[ExposureWindow],
    configuration: RiskConfiguration,
    judge: Judge | None = None,
    *,
    today: int | None = None,
) -> RiskResult:
    """Score windows, in any order.

    `judge` replaces the attenuation weights (not the filters) if the configuration leaves
    closeness to an estimate. `today` (days since
    1970-01-01) is needed only to drop days older than the configuration allows; without it
    none are. ValueError if the judge's answer does not fit the windows.
    """
    given = tuple(windows)
    oldest = -math.inf
    if today is not None and configuration.days_since_exposure is not None:
        oldest = today - configuration.days_since_exposure
    if judge is not None and configuration.closeness is ClosenessBy.ESTIMATE:
        weights = _judged(given, judge)
    else:
        weights = [
            [
                _attenuation_weight(configuration.attenuation.of(scan), configuration)
                for scan in window.scan_instances
            ]
            for window in given
        ]
    scored = tuple(
        _score_window(window, configuration, of_window, oldest)
        for window, of_window in zip(given, weights, strict=True)
    )
    counting = sorted((row for row in scored if row.dropped is None), key=_day)
    days = tuple(
        _score_day(day, list(rows), configuration) for day, rows in groupby(counting, _day)
    )
    return RiskResult(scored, days)


def _day(row: WindowRisk) -> int:
    return row.window.local_day


def _score_window(
    window: ExposureWindow,
    configuration: RiskConfiguration,
    weights: Sequence[float],
    oldest: float,
) -> WindowRisk:
    report_type = window.report_type
    if report_type is ReportType.UNKNOWN and configuration.report_type_when_missing:
        report_type = configuration.report_type_when_missing
    risk = configuration.transmission_risk.risk(report_type, window.infectiousness)
    weighted = _weighted_minutes(window, weights)
    minutes = round(weighted * risk.value, _DUST_DECIMALS)
    level = _level(minutes, configuration.window_levels)

    dropped: DropReason | None = None
    if report_type in (ReportType.UNKNOWN, ReportType.REVOKED):
        dropped = DropReason.REPORT_TYPE
    elif window.local_day < oldest:
        dropped = DropReason.TOO_OLD
    elif _is_filtered(window, configuration):
        dropped = DropReason.MINUTES_AT_ATTENUATION
    elif any(risk.level in levels for levels in configuration.transmission_risk_filters):
        dropped = DropReason.TRANSMISSION_RISK_LEVEL
    elif minutes < configuration.minimum_window_minutes:
        dropped = DropReason.TOO_SHORT
    elif level is RiskLevel.NONE:
        dropped = DropReason.NO_LEVEL
    return WindowRisk(
        window, level if dropped is None else RiskLevel.NONE, minutes, weighted, risk, dropped
    )


def _seconds(scan: ScanInstance) -> int:
    return max(0, scan.seconds_since_last_scan)  # negative after a clock was set back


def _is_filtered(window: ExposureWindow, configuration: RiskConfiguration) -> bool:
    return any(
        sum(
            _seconds(scan)
            for scan in window.scan_instances
            if configuration.attenuation.of(scan) in rule.attenuation
        )
        / 60
        in rule.drop_if_minutes
        for rule in configuration.attenuation_filters
    )


def _judged(windows: Sequence[ExposureWindow], judge: Judge) -> Sequence[Sequence[float]]:
    answer = judge(windows)
    if len(answer) != len(windows):
        raise ValueError(f"the judge gave {len(answer)} answers for {len(windows)} windows")
    for window, weights in zip(windows, answer, strict=True):
        scans = len(window.scan_instances)
        if len(weights) != scans:
            raise ValueError(f"the judge gave {len(weights)} weights for {scans} scans")
        if not all(0 <= weight < math.inf for weight in weights):
            raise ValueError("the judge gave a weight that is not a number from 0 up")
    return answer


def _weighted_minutes(window: ExposureWindow, weights: Sequence[float]) -> float:
    # Exact summation: the order of the scans and of the windows cannot change a level.
    scans = window.scan_instances
    return math.fsum(_seconds(s) * w for s, w in zip(scans, weights, strict=True)) / 60


def _attenuation_weight(attenuation: float, configuration: RiskConfiguration) -> float:
    return next(
        (row.weight for row in configuration.attenuation_weights if attenuation in row.attenuation),
        0.0,
    )


def _level(minutes: float, levels: Sequence[LevelRange]) -> RiskLevel:
    return next((row.level for row in levels if minutes in row.minutes), RiskLevel.NONE)


def _score_day(day: int, rows: Sequence[WindowRisk], configuration: RiskConfiguration) -> DayRisk:
    minutes = _day_minutes(rows, configuration)
    kinds = {
        (row.level, row.transmission_risk.level, row.window.calibration_confidence) for row in rows
    }
    return DayRisk(
        day=day,
        level=_level(minutes, configuration.day_levels),
        minutes=minutes,
        minimum_encounters={
            level: sum(kind[0] is level for kind in kinds)
            for level in (RiskLevel.LOW, RiskLevel.HIGH)
        },
        encounters=_encounters(rows, configuration),
    )


def _encounters(
    rows: Sequence[WindowRisk], configuration: RiskConfiguration
) -> dict[RiskLevel, int] | None:
    rows_by_key: dict[int, list[WindowRisk]] = {}
    for row in rows:
        if row.window.encounter is None:
            return None
        rows_by_key.setdefault(row.window.encounter, []).append(row)
    levels = [
        _level(_day_minutes(alone, configuration), configuration.day_levels)
        for alone in rows_by_key.values()
    ]
    return {level: levels.count(level) for level in (RiskLevel.LOW, RiskLevel.HIGH)}


def _day_minutes(rows: Iterable[WindowRisk], configuration: RiskConfiguration) -> float:
    """Sum, rounded half up: a day of 14.999999 minutes is one of 15."""
    shift = 10.0**configuration.day_minutes_decimals
    shifted = round(math.fsum(row.minutes for row in rows) * shift, _SUM_DUST_DECIMALS)
    return math.floor(shifted + 0.5) / shift
