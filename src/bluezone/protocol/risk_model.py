"""What the risk model is made of, and our numbers for it (docs/risk.md, "Model")."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from bluezone.protocol.exposure import Infectiousness, ScanInstance
from bluezone.protocol.keys import ReportType


class RiskLevel(IntEnum):
    """What a person is told: nothing, that something was there, or that it was close contact."""

    NONE = 0
    LOW = 1
    HIGH = 2


class Attenuation(IntEnum):
    """Which reading of a scan instance is compared with the attenuation ranges."""

    MINIMUM = 0  # the strongest packet: Corona-Warn-App, but for its first release
    TYPICAL = 1  # the mean of the packets: the Exposure Notification framework, and our default

    def of(self, scan: ScanInstance) -> float:
        """That reading, in dB."""
        if self is Attenuation.MINIMUM:
            return scan.min_attenuation
        return scan.typical_attenuation


class ClosenessBy(IntEnum):
    """What decides how much of a scan's time counts as close."""

    WEIGHTS = 0  # the attenuation ranges of the configuration: what other systems publish
    ESTIMATE = 1  # the judge that the reader brings, where it brings one; ours


@dataclass(frozen=True, slots=True)
class Range:
    """An interval of numbers; both ends belong to it unless they are exclusive."""

    least: float = -math.inf
    most: float = math.inf
    least_exclusive: bool = False
    most_exclusive: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.least if self.least_exclusive else value >= self.least
        below = value < self.most if self.most_exclusive else value <= self.most
        return above and below


@dataclass(frozen=True, slots=True)
class AttenuationFilter:
    """Drops a window whose minutes at an attenuation (dB) lie in a range."""

    attenuation: Range
    drop_if_minutes: Range


@dataclass(frozen=True, slots=True)
class AttenuationWeight:
    """What a minute at an attenuation (dB) counts for. The first range that fits is used."""

    attenuation: Range
    weight: float


@dataclass(frozen=True, slots=True)
class LevelRange:
    """The level of so many normalised minutes. The first range that fits is used."""

    minutes: Range
    level: RiskLevel


@dataclass(frozen=True, slots=True)
class TransmissionRisk:
    """How much a minute near this kind of key counts.

    `level` groups windows of one kind (for filters and for counting encounters), `value`
    multiplies their minutes.
    """

    level: int
    value: float


@dataclass(frozen=True, slots=True)
class Weights:
    """Report type times infectiousness (`DailySummariesConfig`); absent kinds weigh nothing."""

    report_type: Mapping[ReportType, float]
    infectiousness: Mapping[Infectiousness, float]

    def risk(self, report_type: ReportType, infectiousness: Infectiousness) -> TransmissionRisk:
        """The level is a mere label here: a different one for each pair of kinds."""
        return TransmissionRisk(
            len(Infectiousness) * report_type + infectiousness,
            self.report_type.get(report_type, 0.0) * self.infectiousness.get(infectiousness, 0.0),
        )


@dataclass(frozen=True, slots=True)
class LevelEncoding:
    """Offsets that add up to a transmission risk level, and its value (Corona-Warn-App).

    `value_by_level` maps a level to its value (0 if absent); where it is None, the value is
    the level times `multiplier`, as the first releases had it.
    """

    report_type: Mapping[ReportType, int]
    standard: int
    high: int
    value_by_level: Mapping[int, float] | None
    multiplier: float = 0.0

    def risk(self, report_type: ReportType, infectiousness: Infectiousness) -> TransmissionRisk:
        """As published, an infectiousness of none is encoded like standard."""
        level = self.report_type.get(report_type, 0)
        level += self.high if infectiousness is Infectiousness.HIGH else self.standard
        if self.value_by_level is None:
            return TransmissionRisk(level, level * self.multiplier)
        return TransmissionRisk(level, self.value_by_level.get(level, 0.0))


@dataclass(frozen=True, slots=True)
class RiskConfiguration:
    """Every number of the risk model; docs/risk.md says why ours are what they are.

    `version` grows with each published configuration; 0 marks one that is not ours.
    `infectiousness_by_day` maps days since symptom onset to infectiousness; other days are
    not infectious. `report_type_when_missing` stands in for keys that have none; without it
    they are dropped. `minimum_window_minutes` drops windows of fewer normalised minutes,
    `days_since_exposure` those of days longer ago (None: none).
    `day_minutes_decimals` is how the minutes of a day are rounded before its level is read.
    """

    attenuation_weights: tuple[AttenuationWeight, ...]
    transmission_risk: Weights | LevelEncoding
    window_levels: tuple[LevelRange, ...]
    day_levels: tuple[LevelRange, ...]
    attenuation: Attenuation = Attenuation.MINIMUM
    closeness: ClosenessBy = ClosenessBy.WEIGHTS
    attenuation_filters: tuple[AttenuationFilter, ...] = ()
    transmission_risk_filters: tuple[Range, ...] = ()
    infectiousness_by_day: Mapping[int, Infectiousness] = field(
        default_factory=lambda: DEFAULT_INFECTIOUSNESS
    )
    infectiousness_when_missing: Infectiousness = Infectiousness.STANDARD
    report_type_when_missing: ReportType | None = None
    minimum_window_minutes: float = 0.0
    days_since_exposure: int | None = None
    day_minutes_decimals: int = 1
    version: int = 0

    def infectiousness(self, days_since_onset: int | None) -> Infectiousness:
        """How infectious a case was that many days after symptom onset (None: unknown)."""
        if days_since_onset is None:
            return self.infectiousness_when_missing
        return self.infectiousness_by_day.get(days_since_onset, Infectiousness.NONE)


# Two days before symptoms to ten days after, most around onset: the table in the
# published interface of Koronavilkku (Finland).
DEFAULT_INFECTIOUSNESS: Final[Mapping[int, Infectiousness]] = MappingProxyType(
    {-2: Infectiousness.STANDARD}
    | dict.fromkeys(range(-1, 4), Infectiousness.HIGH)
    | dict.fromkeys(range(4, 11), Infectiousness.STANDARD)
)

CLOSE_CONTACT_MINUTES: Final = 15.0  # within 2 m, added up over a day
REPORTABLE_MINUTES: Final = 5.0
_BELOW_CLOSE_CONTACT: Final = Range(0, CLOSE_CONTACT_MINUTES, True, True)
_CLOSE_CONTACT: Final = LevelRange(Range(CLOSE_CONTACT_MINUTES), RiskLevel.HIGH)

DEFAULT_CONFIGURATION: Final = RiskConfiguration(
    version=1,
    attenuation=Attenuation.TYPICAL,
    closeness=ClosenessBy.ESTIMATE,
    attenuation_weights=(
        # No lower end: phones that understate their power make small or negative readings.
        AttenuationWeight(Range(most=55, most_exclusive=True), 1.0),
        AttenuationWeight(Range(55, 63, most_exclusive=True), 0.5),
    ),
    transmission_risk=Weights(
        # A person who only thinks to be ill, or is a contact, does not alarm others.
        report_type={
            ReportType.CONFIRMED_TEST: 1.0,
            ReportType.CONFIRMED_CLINICAL_DIAGNOSIS: 1.0,
        },
        # The definition of a close contact knows no degrees of infectiousness.
        infectiousness={Infectiousness.STANDARD: 1.0, Infectiousness.HIGH: 1.0},
    ),
    window_levels=(LevelRange(_BELOW_CLOSE_CONTACT, RiskLevel.LOW), _CLOSE_CONTACT),
    day_levels=(
        LevelRange(
            Range(REPORTABLE_MINUTES, CLOSE_CONTACT_MINUTES, most_exclusive=True), RiskLevel.LOW
        ),
        _CLOSE_CONTACT,
    ),
)
