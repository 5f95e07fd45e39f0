"""The configuration objects of the Exposure Notification framework, as JSON.

`DiagnosisKeysDataMapping` says what a key means, `DailySummariesConfig` what a minute near
it weighs (Google, "Exposure Notifications API"; Apple, `ENExposureConfiguration`).
"""

from itertools import pairwise
from typing import Any, Final, TypeVar

from bluezone.protocol.exposure import Infectiousness
from bluezone.protocol.json_reader import Node
from bluezone.protocol.keys import ReportType
from bluezone.protocol.risk_model import (
    CLOSE_CONTACT_MINUTES,
    Attenuation,
    AttenuationWeight,
    LevelRange,
    Range,
    RiskConfiguration,
    RiskLevel,
    Weights,
)

MAX_DAYS_SINCE_ONSET: Final = 14
MAX_WEIGHT: Final = 100.0
# "attenuationDurationThresholds" is Apple's name for the same numbers.
_THRESHOLDS: Final = ("attenuationBucketThresholdDb", "attenuationDurationThresholds")
_REPORT_TYPES: Final = (
    ReportType.CONFIRMED_TEST,
    ReportType.CONFIRMED_CLINICAL_DIAGNOSIS,
    ReportType.SELF_REPORT,
    ReportType.RECURSIVE,
)
_Kind = TypeVar("_Kind", ReportType, Infectiousness)


def is_daily_summaries(node: Node) -> bool:
    """Whether an object has the keys of a `DailySummariesConfig`."""
    return any(name in node for name in _THRESHOLDS)


def read_daily_summaries(node: Node, file: Node) -> RiskConfiguration:
    """A `DailySummariesConfig`, its scores in seconds; keys of other objects are passed over.

    The framework sums up days but leaves the threshold to each app: `minimumDailyScore`
    (seconds) or `triggerThresholdWeightedDuration` (minutes) if given, here or beside it in
    the `file` (the same node where there is no wrapper), else 15 minutes.
    """
    score, duration = (
        node.get(name) or file.get(name)
        for name in ("minimumDailyScore", "triggerThresholdWeightedDuration")
    )
    threshold = CLOSE_CONTACT_MINUTES
    if score is not None:
        threshold = score.number(0) / 60
    elif duration is not None:
        threshold = duration.number(0)
    levels = (
        LevelRange(Range(threshold), RiskLevel.HIGH),
        LevelRange(Range(0, least_exclusive=True), RiskLevel.LOW),
    )
    minimum = node.get("minimumWindowScore")
    age = node.get("daysSinceExposureThreshold")
    days = 0 if age is None else age.integer(0, 10_000)
    return RiskConfiguration(
        attenuation=Attenuation.TYPICAL,
        attenuation_weights=_buckets(node),
        transmission_risk=read_weights(node),
        window_levels=levels,
        day_levels=levels,
        minimum_window_minutes=0.0 if minimum is None else minimum.number(0) / 60,
        days_since_exposure=days or None,  # the framework's 0 is "no limit"
        **read_data_mapping(node),
    )


def _buckets(node: Node) -> tuple[AttenuationWeight, ...]:
    """N thresholds make N + 1 buckets; a threshold belongs to the bucket below it."""
    listed = next(found for name in _THRESHOLDS if (found := node.get(name)) is not None)
    thresholds = [threshold.number(-100, 255) for threshold in listed.items()]
    if any(right <= left for left, right in pairwise(thresholds)):
        listed.fail("the thresholds do not ascend")
    weights = node["attenuationBucketWeights"]
    values = [weight.number(0, MAX_WEIGHT) for weight in weights.items()]
    if len(values) != len(thresholds) + 1:
        weights.fail(
            f"{len(thresholds)} thresholds make {len(thresholds) + 1} buckets, not {len(values)}"
        )
    ranges = [Range(most=threshold) for threshold in thresholds]
    return tuple(
        AttenuationWeight(fits, value)
        for fits, value in zip([*ranges, Range()], values, strict=True)
    )


def read_weights(node: Node) -> Weights:
    """`reportTypeWeights` and `infectiousnessWeights`: by name or number, or in order.

    A list of report types is [confirmed test, clinical diagnosis, self-report, recursive],
    or six by number from 0; one of infectiousness [standard, high], or three from none.
    """
    return Weights(
        report_type=_weights(node["reportTypeWeights"], ReportType, _REPORT_TYPES),
        infectiousness=_weights(
            node["infectiousnessWeights"],
            Infectiousness,
            (Infectiousness.STANDARD, Infectiousness.HIGH),
        ),
    )


def _weights(node: Node, kind: type[_Kind], order: tuple[_Kind, ...]) -> dict[_Kind, float]:
    if isinstance(node.value, dict):
        rows = [
            (Node(name, value.path).member_of(kind), value)
            for name, value in node.members().items()
        ]
    else:
        items = node.items()
        kinds = next((row for row in (order, tuple(kind)) if len(row) == len(items)), None)
        if kinds is None:
            node.fail(f"expected {len(order)} or {len(kind)} weights, found {len(items)}")
        rows = list(zip(kinds, items, strict=True))
    return {row: value.number(0, MAX_WEIGHT) for row, value in rows}


def read_data_mapping(node: Node) -> dict[str, Any]:
    """The fields of `RiskConfiguration` that `DiagnosisKeysDataMapping` sets, where given."""
    fields: dict[str, Any] = {}
    if (table := node.get("daysSinceOnsetToInfectiousness")) is not None:
        fields["infectiousness_by_day"] = _infectiousness_table(table)
    if (missing := node.get("infectiousnessWhenDaysSinceOnsetMissing")) is not None:
        fields["infectiousness_when_missing"] = missing.member_of(Infectiousness)
    if (report := node.get("reportTypeWhenMissing")) is not None:
        fields["report_type_when_missing"] = report.member_of(ReportType)
    return fields


def _infectiousness_table(node: Node) -> dict[int, Infectiousness]:
    """By day: an object, a list of pairs, of objects, or of 29 values from day -14 to 14."""
    rows: list[tuple[Node, Node]] = []
    if isinstance(node.value, dict):
        for name, value in node.members().items():
            day = int(name) if name.lstrip("-").isdigit() and len(name) < 4 else None
            rows.append((Node(day, value.path), value))
    elif all(isinstance(item.value, int | str) for item in node.items()):
        values = node.items()
        if len(values) != 2 * MAX_DAYS_SINCE_ONSET + 1:
            node.fail(f"expected 29 values, for days -14 to 14, found {len(values)}")
        rows = [(Node(i - MAX_DAYS_SINCE_ONSET, v.path), v) for i, v in enumerate(values)]
    else:
        for item in node.items():
            if isinstance(item.value, list):
                pair = item.items()
                if len(pair) != 2:
                    item.fail("expected [day, infectiousness]")
                rows.append((pair[0], pair[1]))
            else:
                rows.append((item["daysSinceOnsetOfSymptoms"], item["infectiousness"]))
    return {
        day.integer(-MAX_DAYS_SINCE_ONSET, MAX_DAYS_SINCE_ONSET): value.member_of(Infectiousness)
        for day, value in rows
    }
