"""The risk configuration as a signed, versioned JSON document (docs/risk.md, "Configuration").

Its form is the published one of Corona-Warn-App with a few keys of the Exposure
Notification framework; configurations of both systems are read as they stand.
"""

import json
import math
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from bluezone.protocol.daily_summaries import (
    MAX_WEIGHT,
    is_daily_summaries,
    read_daily_summaries,
    read_data_mapping,
    read_weights,
)
from bluezone.protocol.deployment import TAG_CONFIGURATION
from bluezone.protocol.envelope import MAX_DOCUMENT_BYTES, EnvelopeError, parse, seal, verify
from bluezone.protocol.json_reader import JsonError, Node, spelling
from bluezone.protocol.keys import ReportType
from bluezone.protocol.risk_model import (
    DEFAULT_CONFIGURATION,
    Attenuation,
    AttenuationFilter,
    AttenuationWeight,
    ClosenessBy,
    LevelEncoding,
    LevelRange,
    Range,
    RiskConfiguration,
    RiskLevel,
    Weights,
)
from bluezone.protocol.trust import Role, Trust

__all__ = [
    "DEFAULT_CONFIGURATION",
    "ConfigurationError",
    "RiskConfiguration",
    "encode_configuration",
    "parse_configuration",
    "read_configuration",
    "seal_configuration",
]

FORMAT: Final = (1, 0)  # another major is another document; a later minor only adds top-level keys
_MAX_VERSION: Final = 2**53 - 1
_WRAPPERS: Final = (
    "defaultRiskCalculationConfiguration",  # Corona-Warn-App's file of test cases
    "riskCalculationParameters",  # its app configuration
    "dailySummariesConfig",
    "DailySummariesConfig",
)
_WEIGHTS: Final = "minutesAtAttenuationWeights"
_WINDOW_LEVELS: Final = "normalizedTimePerEWToRiskLevelMapping"
_DAY_LEVELS: Final = "normalizedTimePerDayToRiskLevelMapping"
_REPORT_TYPE_OFFSETS: Final = {
    "reportTypeOffsetRecursive": ReportType.RECURSIVE,
    "reportTypeOffsetSelfReport": ReportType.SELF_REPORT,
    "reportTypeOffsetConfirmedClinicalDiagnosis": ReportType.CONFIRMED_CLINICAL_DIAGNOSIS,
    "reportTypeOffsetConfirmedTest": ReportType.CONFIRMED_TEST,
}
_KEYS: Final = (
    "format",
    "version",
    "attenuation",
    "closeness",
    "minutesAtAttenuationFilters",
    _WEIGHTS,
    "trlFilters",
    "trlEncoding",
    "transmissionRiskValueMapping",
    "transmissionRiskLevelMultiplier",
    "reportTypeWeights",
    "infectiousnessWeights",
    _WINDOW_LEVELS,
    _DAY_LEVELS,
    "daysSinceOnsetToInfectiousness",
    "infectiousnessWhenDaysSinceOnsetMissing",
    "reportTypeWhenMissing",
    "minimumWindowMinutes",
    "daysSinceExposureThreshold",
    "dayMinutesDecimals",
)


class ConfigurationError(EnvelopeError):
    """A risk configuration is refused; where its JSON is at fault, the path is named."""


def parse_configuration(data: bytes) -> RiskConfiguration:
    """Read a configuration in any form that docs/risk.md lists. Raises ConfigurationError."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise ConfigurationError(
            f"a configuration of {len(data)} bytes; {MAX_DOCUMENT_BYTES} at most"
        )
    try:
        file = Node.parse(data)
        node = next((file[wrapper] for wrapper in _WRAPPERS if wrapper in file), file)
        if is_daily_summaries(node):
            return read_daily_summaries(node, file)
        if _WEIGHTS not in node and "format" not in node:
            node.fail(
                "not a risk configuration: neither minutesAtAttenuationWeights (ours and"
                " Corona-Warn-App's) nor attenuationBucketThresholdDb (DailySummariesConfig)"
            )
        return _read(node)
    except JsonError as error:
        raise ConfigurationError(f"the configuration is refused: {error}") from error


def seal_configuration(
    configuration: RiskConfiguration, key_id: str, key: ec.EllipticCurvePrivateKey
) -> bytes:
    """The signed document. Raises ConfigurationError if no phone would accept its content."""
    payload = encode_configuration(configuration)
    _parse_payload(payload)
    return seal(TAG_CONFIGURATION, payload, key_id, key)


def read_configuration(
    document: bytes, trust: Trust, now: float, min_version: int = 0
) -> RiskConfiguration:
    """Check a signed configuration.

    `now` (Unix seconds) is the later of the phone's clock and the last signed server time.
    `min_version` is the version of the last one accepted; an older one is refused, the
    same one again is fine. Raises ConfigurationError.
    """
    try:
        envelope = parse(document)
        key = trust.ec_key(Role.CONFIGURATION, envelope.key_id, now)
        payload = verify(TAG_CONFIGURATION, envelope, key)
    except EnvelopeError as error:
        raise ConfigurationError(f"the configuration is refused: {error}") from error
    configuration = _parse_payload(payload)
    if configuration.version < min_version:
        raise ConfigurationError(
            f"the configuration is refused: version {configuration.version} is older than"
            f" {min_version}, already accepted"
        )
    return configuration


def _parse_payload(payload: bytes) -> RiskConfiguration:
    """As `parse_configuration`, but only our own form, with a format and a version."""
    try:
        node = Node.parse(payload)
        node["format"]
        node["version"].integer(1, _MAX_VERSION)
        return _read(node)
    except JsonError as error:
        raise ConfigurationError(f"the configuration is refused: {error}") from error


def _read(node: Node) -> RiskConfiguration:
    if not _is_later_minor(node):
        node.only(_KEYS)
    fields: dict[str, Any] = read_data_mapping(node)
    if (version := node.get("version")) is not None:
        fields["version"] = version.integer(0, _MAX_VERSION)
    if (attenuation := node.get("attenuation")) is not None:
        fields["attenuation"] = attenuation.member_of(Attenuation)
    if (closeness := node.get("closeness")) is not None:
        fields["closeness"] = closeness.member_of(ClosenessBy)
    if (minutes := node.get("minimumWindowMinutes")) is not None:
        fields["minimum_window_minutes"] = minutes.number(0, 1440)
    if (days := node.get("daysSinceExposureThreshold")) is not None:
        fields["days_since_exposure"] = days.integer(1, 10_000)
    if (decimals := node.get("dayMinutesDecimals")) is not None:
        fields["day_minutes_decimals"] = decimals.integer(0, 9)
    return RiskConfiguration(
        attenuation_filters=tuple(
            AttenuationFilter(_range(row["attenuationRange"]), _range(row["dropIfMinutesInRange"]))
            for row in _rows(node.get("minutesAtAttenuationFilters"))
        ),
        attenuation_weights=tuple(
            AttenuationWeight(_range(row["attenuationRange"]), row["weight"].number(0, MAX_WEIGHT))
            for row in _rows(node[_WEIGHTS])
        ),
        transmission_risk_filters=tuple(
            _range(row["dropIfTrlInRange"]) for row in _rows(node.get("trlFilters"))
        ),
        transmission_risk=_transmission_risk(node),
        window_levels=_levels(node[_WINDOW_LEVELS]),
        day_levels=_levels(node[_DAY_LEVELS]),
        **fields,
    )


def _is_later_minor(node: Node) -> bool:
    found = node.get("format")
    if found is None:
        return False
    major, _, minor = found.text().partition(".")
    if not (major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()):
        found.fail(f"expected a text like '1.0', found {found.value[:20]!r}")
    if len(major) > 6 or len(minor) > 6 or int(major) != FORMAT[0]:
        found.fail(f"it has format {found.value[:20]}; this reader knows {FORMAT[0]}.x")
    return int(minor) > FORMAT[1]


def _rows(node: Node | None) -> list[Node]:
    return [] if node is None else node.items()


def _range(node: Node) -> Range:
    node.only(("min", "max", "minExclusive", "maxExclusive"))
    least, most = node.get("min"), node.get("max")
    least_exclusive, most_exclusive = node.get("minExclusive"), node.get("maxExclusive")
    found = Range(
        -math.inf if least is None else least.number(),
        math.inf if most is None else most.number(),
        least_exclusive is not None and least_exclusive.boolean(),
        most_exclusive is not None and most_exclusive.boolean(),
    )
    exclusive = found.least_exclusive or found.most_exclusive
    if found.least > found.most or (found.least == found.most and exclusive):
        node.fail("no number lies in this range")
    return found


def _levels(node: Node) -> tuple[LevelRange, ...]:
    levels = tuple(
        LevelRange(_range(row["normalizedTimeRange"]), row["riskLevel"].member_of(RiskLevel))
        for row in node.items()
    )
    return levels if levels else node.fail("no level at all: nobody would ever be warned")


def _transmission_risk(node: Node) -> Weights | LevelEncoding:
    encoding = node.get("trlEncoding")
    if encoding is None:
        if "reportTypeWeights" not in node and "infectiousnessWeights" not in node:
            node.fail("neither trlEncoding nor reportTypeWeights and infectiousnessWeights")
        return read_weights(node)
    if "reportTypeWeights" in node or "infectiousnessWeights" in node:
        encoding.fail("given beside reportTypeWeights or infectiousnessWeights; choose one")
    encoding.only(
        ("infectiousnessOffsetStandard", "infectiousnessOffsetHigh", *_REPORT_TYPE_OFFSETS)
    )
    mapping, multiplier = (
        node.get("transmissionRiskValueMapping"),
        node.get("transmissionRiskLevelMultiplier"),
    )
    if mapping is None and multiplier is None:
        node.fail("neither transmissionRiskValueMapping nor transmissionRiskLevelMultiplier")
    return LevelEncoding(
        report_type={kind: _offset(encoding, name) for name, kind in _REPORT_TYPE_OFFSETS.items()},
        standard=_offset(encoding, "infectiousnessOffsetStandard"),
        high=_offset(encoding, "infectiousnessOffsetHigh"),
        value_by_level=None
        if mapping is None
        else {
            row["transmissionRiskLevel"].integer(0, 1000): row["transmissionRiskValue"].number(
                0, MAX_WEIGHT
            )
            for row in reversed(mapping.items())  # the first row for a level is the one used
        },
        multiplier=0.0 if multiplier is None else multiplier.number(0, MAX_WEIGHT),
    )


def _offset(encoding: Node, name: str) -> int:
    # An offset of zero is left out by tools that print protobuf messages as JSON.
    found = encoding.get(name)
    return 0 if found is None else found.integer(0, 100)


def encode_configuration(configuration: RiskConfiguration) -> bytes:
    """The configuration in our own form: indented JSON, UTF-8. What this writes reads equal."""
    document: dict[str, Any] = {
        "format": f"{FORMAT[0]}.{FORMAT[1]}",
        "version": configuration.version,
        "attenuation": spelling(configuration.attenuation),
        "closeness": spelling(configuration.closeness),
        _WEIGHTS: [
            {"attenuationRange": _encode_range(row.attenuation), "weight": row.weight}
            for row in configuration.attenuation_weights
        ],
        "minutesAtAttenuationFilters": [
            {
                "attenuationRange": _encode_range(row.attenuation),
                "dropIfMinutesInRange": _encode_range(row.drop_if_minutes),
            }
            for row in configuration.attenuation_filters
        ],
        "trlFilters": [
            {"dropIfTrlInRange": _encode_range(row)}
            for row in configuration.transmission_risk_filters
        ],
        **_encode_transmission_risk(configuration.transmission_risk),
        _WINDOW_LEVELS: _encode_levels(configuration.window_levels),
        _DAY_LEVELS: _encode_levels(configuration.day_levels),
        "daysSinceOnsetToInfectiousness": {
            str(day): spelling(value)
            for day, value in sorted(configuration.infectiousness_by_day.items())
        },
        "infectiousnessWhenDaysSinceOnsetMissing": spelling(
            configuration.infectiousness_when_missing
        ),
        "minimumWindowMinutes": configuration.minimum_window_minutes,
        "dayMinutesDecimals": configuration.day_minutes_decimals,
    }
    if configuration.report_type_when_missing is not None:
        document["reportTypeWhenMissing"] = spelling(configuration.report_type_when_missing)
    if configuration.days_since_exposure is not None:
        document["daysSinceExposureThreshold"] = configuration.days_since_exposure
    return json.dumps(document, indent=2, allow_nan=False).encode()


def _encode_range(found: Range) -> dict[str, Any]:
    encoded: dict[str, Any] = {}
    if found.least > -math.inf:
        encoded["min"] = found.least
    if found.most < math.inf:
        encoded["max"] = found.most
    if found.least_exclusive:
        encoded["minExclusive"] = True
    if found.most_exclusive:
        encoded["maxExclusive"] = True
    return encoded


def _encode_levels(levels: tuple[LevelRange, ...]) -> list[dict[str, Any]]:
    return [
        {"normalizedTimeRange": _encode_range(row.minutes), "riskLevel": spelling(row.level)}
        for row in levels
    ]


def _encode_transmission_risk(risk: Weights | LevelEncoding) -> dict[str, Any]:
    if isinstance(risk, Weights):
        return {
            "reportTypeWeights": {spelling(kind): w for kind, w in risk.report_type.items()},
            "infectiousnessWeights": {spelling(kind): w for kind, w in risk.infectiousness.items()},
        }
    offsets = {name: risk.report_type.get(kind, 0) for name, kind in _REPORT_TYPE_OFFSETS.items()}
    encoding = {
        "infectiousnessOffsetStandard": risk.standard,
        "infectiousnessOffsetHigh": risk.high,
        **offsets,
    }
    if risk.value_by_level is None:
        return {"trlEncoding": encoding, "transmissionRiskLevelMultiplier": risk.multiplier}
    values = [
        {"transmissionRiskLevel": level, "transmissionRiskValue": value}
        for level, value in sorted(risk.value_by_level.items())
    ]
    return {"trlEncoding": encoding, "transmissionRiskValueMapping": values}
