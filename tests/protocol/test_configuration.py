"""Risk configurations: published forms, clear refusals, signatures and roll-back."""

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given
from hypothesis import strategies as st

from bluezone.protocol.configuration import (
    DEFAULT_CONFIGURATION,
    ConfigurationError,
    encode_configuration,
    parse_configuration,
    read_configuration,
    seal_configuration,
)
from bluezone.protocol.deployment import TAG_CONFIGURATION, TAG_INDEX
from bluezone.protocol.envelope import MAX_DOCUMENT_BYTES, seal
from bluezone.protocol.exposure import Infectiousness
from bluezone.protocol.keys import ReportType
from bluezone.protocol.risk_model import (
    Attenuation,
    AttenuationFilter,
    AttenuationWeight,
    LevelEncoding,
    LevelRange,
    Range,
    RiskConfiguration,
    RiskLevel,
    Weights,
)
from bluezone.protocol.trust import (
    Pins,
    Role,
    RoleCertificate,
    Trust,
    encode_public_key,
    issue_certificates,
    key_id,
    read_certificates,
)

NOW = 1_611_000_000
YEAR = 365 * 24 * 3600


def published() -> dict[str, Any]:
    """55/63 dB with weights 1 and 0.5, as Corona-Warn-App published them."""
    return {
        "minutesAtAttenuationWeights": [
            {"attenuationRange": {"min": 0, "max": 55, "maxExclusive": True}, "weight": 1},
            {"attenuationRange": {"min": 55, "max": 63, "maxExclusive": True}, "weight": 0.5},
        ],
        "normalizedTimePerEWToRiskLevelMapping": [
            {"normalizedTimeRange": {"min": 0, "max": 15, "maxExclusive": True}, "riskLevel": 1},
            {"normalizedTimeRange": {"min": 15, "max": 9999}, "riskLevel": 2},
        ],
        "normalizedTimePerDayToRiskLevelMapping": [
            {"normalizedTimeRange": {"min": 15, "max": 9999}, "riskLevel": "HIGH"},
        ],
        "trlEncoding": {
            "infectiousnessOffsetStandard": 1,
            "infectiousnessOffsetHigh": 2,
            "reportTypeOffsetConfirmedTest": 6,
        },
        "transmissionRiskValueMapping": [
            {"transmissionRiskLevel": 7, "transmissionRiskValue": 1.4},
            {"transmissionRiskLevel": 8, "transmissionRiskValue": 1.6},
        ],
    }


def refusal(document: object) -> str:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(data)
    return str(caught.value)


def test_reads_the_published_form() -> None:
    configuration = parse_configuration(json.dumps(published()).encode())
    assert configuration.attenuation is Attenuation.MINIMUM
    assert configuration.attenuation_weights == (
        AttenuationWeight(Range(0, 55, most_exclusive=True), 1.0),
        AttenuationWeight(Range(55, 63, most_exclusive=True), 0.5),
    )
    assert configuration.day_levels == (LevelRange(Range(15, 9999), RiskLevel.HIGH),)
    risk = configuration.transmission_risk.risk(ReportType.CONFIRMED_TEST, Infectiousness.HIGH)
    assert (risk.level, risk.value) == (8, 1.6)
    weak = configuration.transmission_risk.risk(ReportType.SELF_REPORT, Infectiousness.HIGH)
    assert (weak.level, weak.value) == (2, 0.0)


def test_the_first_value_of_a_level_is_the_one_used() -> None:
    document = published()
    document["transmissionRiskValueMapping"] += [
        {"transmissionRiskLevel": 8, "transmissionRiskValue": 0}
    ]
    risk = parse_configuration(json.dumps(document).encode()).transmission_risk
    assert risk.risk(ReportType.CONFIRMED_TEST, Infectiousness.HIGH).value == 1.6


@pytest.mark.parametrize(
    "wrapper", ["defaultRiskCalculationConfiguration", "riskCalculationParameters"]
)
def test_finds_the_configuration_inside_a_published_file(wrapper: str) -> None:
    bare = parse_configuration(json.dumps(published()).encode())
    file = {"__comment__": "generated", wrapper: published(), "testCases": []}
    assert parse_configuration(json.dumps(file).encode()) == bare


def daily_summaries(**changes: object) -> bytes:
    document = {
        "attenuationBucketThresholdDb": [30, 50, 60],
        "attenuationBucketWeights": [1.5, 1.0, 0.5, 0],
        "reportTypeWeights": {"ConfirmedTest": 1.0, "CONFIRMED_CLINICAL_DIAGNOSIS": 0.5, "3": 0},
        "infectiousnessWeights": {"Standard": 1.0, "High": 2.0},
        "daysSinceOnsetToInfectiousness": {"-2": "STANDARD", "-1": "HIGH", "0": 2, "5": 1},
        "infectiousnessWhenDaysSinceOnsetMissing": "STANDARD",
        "reportTypeWhenMissing": 1,
        "minimumWindowScore": 60,
        "daysSinceExposureThreshold": 10,
        "availableCountries": ["DE"],
    }
    return json.dumps({**document, **changes}).encode()


def test_reads_daily_summaries() -> None:
    configuration = parse_configuration(daily_summaries())
    assert configuration.attenuation is Attenuation.TYPICAL
    weights = {
        level: next(
            row.weight for row in configuration.attenuation_weights if level in row.attenuation
        )
        for level in (0, 30, 31, 50, 60, 61, 200)
    }
    assert weights == {0: 1.5, 30: 1.5, 31: 1.0, 50: 1.0, 60: 0.5, 61: 0.0, 200: 0.0}
    risk = configuration.transmission_risk.risk(
        ReportType.CONFIRMED_CLINICAL_DIAGNOSIS, Infectiousness.HIGH
    )
    assert risk.value == 1.0
    assert configuration.infectiousness(-2) is Infectiousness.STANDARD
    assert configuration.infectiousness(0) is Infectiousness.HIGH
    assert configuration.infectiousness(1) is Infectiousness.NONE
    assert configuration.report_type_when_missing is ReportType.CONFIRMED_TEST
    assert configuration.minimum_window_minutes == 1.0
    assert configuration.days_since_exposure == 10
    assert configuration.day_levels[0] == LevelRange(Range(15), RiskLevel.HIGH)


def test_daily_summaries_in_order_and_with_a_threshold() -> None:
    configuration = parse_configuration(
        daily_summaries(
            reportTypeWeights=[1, 0.5, 0, 0],
            infectiousnessWeights=[1, 1.5],
            daysSinceOnsetToInfectiousness=[[-2, 1], [0, 2]],
            minimumDailyScore=600,
            daysSinceExposureThreshold=0,
        )
    )
    assert configuration.transmission_risk == Weights(
        dict(zip(list(ReportType)[1:5], [1.0, 0.5, 0.0, 0.0], strict=True)),
        {Infectiousness.STANDARD: 1.0, Infectiousness.HIGH: 1.5},
    )
    assert configuration.infectiousness(0) is Infectiousness.HIGH
    assert configuration.day_levels[0].minutes == Range(10)
    assert configuration.days_since_exposure is None


@pytest.mark.parametrize(
    ("given_threshold", "minutes"),
    [({}, 15), ({"triggerThresholdWeightedDuration": 10}, 10), ({"minimumDailyScore": 300}, 5)],
)
def test_the_threshold_may_stand_beside_the_daily_summaries(
    given_threshold: dict[str, int], minutes: int
) -> None:
    file = {"DailySummariesConfig": json.loads(daily_summaries()), **given_threshold}
    configuration = parse_configuration(json.dumps(file).encode())
    assert configuration.day_levels[0].minutes == Range(minutes)


@pytest.mark.parametrize(
    "table",
    [
        {"-1": 1, "0": "high"},
        [[-1, 1], [0, 2]],
        [
            {"daysSinceOnsetOfSymptoms": -1, "infectiousness": 1},
            {"daysSinceOnsetOfSymptoms": 0, "infectiousness": 2},
        ],
        [0] * 13 + [1, 2] + [0] * 14,
    ],
)
def test_infectiousness_tables_in_their_published_forms(table: object) -> None:
    configuration = parse_configuration(daily_summaries(daysSinceOnsetToInfectiousness=table))
    found = [configuration.infectiousness(day) for day in (-2, -1, 0, 1, 2000)]
    assert found == [0, 1, 2, 0, 0]


def test_default_infectiousness() -> None:
    found = {day: DEFAULT_CONFIGURATION.infectiousness(day) for day in range(-14, 15)}
    assert [day for day, value in found.items() if value] == list(range(-2, 11))
    assert [day for day, value in found.items() if value is Infectiousness.HIGH] == [-1, 0, 1, 2, 3]
    assert DEFAULT_CONFIGURATION.infectiousness(None) is Infectiousness.STANDARD


def change(path: list[str | int], value: object) -> dict[str, Any]:
    document: Any = published()
    place = document
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    result: dict[str, Any] = document
    return result


WEIGHTS = "minutesAtAttenuationWeights"
DAYS = "normalizedTimePerDayToRiskLevelMapping"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ([WEIGHTS, 1, "weight"], "x", f"$.{WEIGHTS}[1].weight: expected a number, found 'x'"),
        ([WEIGHTS, 1, "weight"], -1, f"$.{WEIGHTS}[1].weight: -1 is outside 0 to 100"),
        ([WEIGHTS, 1, "weight"], True, f"$.{WEIGHTS}[1].weight: expected a number"),
        ([WEIGHTS, 0, "weight"], ..., f"$.{WEIGHTS}[0]: the key 'weight' is missing"),
        ([WEIGHTS], {}, f"$.{WEIGHTS}: expected a list, found an object"),
        ([WEIGHTS, 0], 3, f"$.{WEIGHTS}[0]: expected an object, found the number 3"),
        (
            [WEIGHTS, 0, "attenuationRange", "max"],
            -5,
            f"$.{WEIGHTS}[0].attenuationRange: no number lies in this range",
        ),
        (
            [WEIGHTS, 0, "attenuationRange", "maxExclusiv"],
            True,
            f"$.{WEIGHTS}[0].attenuationRange.maxExclusiv: unknown key",
        ),
        ([DAYS], [], f"$.{DAYS}: no level at all"),
        ([DAYS, 0, "riskLevel"], "severe", f"$.{DAYS}[0].riskLevel: 'severe' is none of"),
        ([DAYS, 0, "riskLevel"], 7, f"$.{DAYS}[0].riskLevel: the number 7 is none of"),
        ([DAYS], ..., f"$: the key '{DAYS}' is missing"),
        (["trlEncoding"], ..., "$: neither trlEncoding nor reportTypeWeights"),
        (["reportTypeWeights"], {}, "$.trlEncoding: given beside reportTypeWeights"),
        (["transmissionRiskValueMapping"], ..., "$: neither transmissionRiskValueMapping nor"),
        (["minutesAtAttenuationWeight"], [], "$.minutesAtAttenuationWeight: unknown key"),
        (["version"], 1.5, "$.version: expected a whole number, found 1.5"),
        (["format"], "2.0", "$.format: it has format 2.0; this reader knows 1.x"),
        (["format"], "one", "$.format: expected a text like '1.0'"),
        (["daysSinceOnsetToInfectiousness"], {"15": 1}, "15 is outside -14 to 14"),
        (["daysSinceOnsetToInfectiousness"], {"soon": 1}, ".soon: expected a number, found null"),
    ],
)
def test_a_fault_is_named_with_its_path(path: list[str | int], value: object, message: str) -> None:
    assert message in refusal(change(path, value))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "$: not JSON"),
        (b"{", "$: not JSON"),
        (b"\xff\xfe", "$: not JSON"),
        (b"[1]", "$: not a risk configuration"),
        (b"{}", "$: not a risk configuration"),
        (b"null", "$: not a risk configuration"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": 1, "a": 2}', "the key 'a' is given twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"version": ' + b"1" * 5000 + b"}", "not JSON"),
        (b" " * (MAX_DOCUMENT_BYTES + 1), "at most"),
    ],
)
def test_what_is_no_configuration_is_refused(data: bytes, message: str) -> None:
    assert message in refusal(data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attenuationBucketThresholdDb": [50, 30, 60]}, "the thresholds do not ascend"),
        ({"attenuationBucketWeights": [1, 1]}, "3 thresholds make 4 buckets, not 2"),
        ({"reportTypeWeights": [1]}, "$.reportTypeWeights: expected 4 or 6 weights, found 1"),
        ({"reportTypeWeights": {"Rumour": 1}}, "$.reportTypeWeights.Rumour: 'Rumour' is none of"),
        ({"daysSinceOnsetToInfectiousness": [1, 2]}, "expected 29 values"),
        ({"daysSinceOnsetToInfectiousness": [[1, 2, 3]]}, "[0]: expected [day, infectiousness]"),
        ({"minimumWindowScore": "high"}, "$.minimumWindowScore: expected a number"),
    ],
)
def test_faults_in_daily_summaries(changes: dict[str, object], message: str) -> None:
    assert message in refusal(daily_summaries(**changes))


def test_a_later_minor_format_may_bring_keys_we_do_not_know() -> None:
    document = {**json.loads(encode_configuration(DEFAULT_CONFIGURATION)), "novelty": 1}
    assert "$.novelty: unknown key" in refusal(document)
    later = json.dumps({**document, "format": "1.7"}).encode()
    assert parse_configuration(later) == DEFAULT_CONFIGURATION


numbers = st.floats(-1000, 1000, allow_nan=False)
ranges = st.one_of(
    st.builds(
        lambda least, size, low, high: Range(least, least + 1 + size, low, high),
        numbers,
        st.floats(0, 1000),
        st.booleans(),
        st.booleans(),
    ),
    st.just(Range()),
)
weight = st.floats(0, 100)
levels = st.lists(
    st.builds(LevelRange, ranges, st.sampled_from(RiskLevel)), min_size=1, max_size=3
).map(tuple)
encodings = st.builds(
    LevelEncoding,
    st.fixed_dictionaries({kind: st.integers(0, 100) for kind in list(ReportType)[1:5]}),
    st.integers(0, 100),
    st.integers(0, 100),
    st.dictionaries(st.integers(0, 1000), weight, max_size=3),
) | st.builds(
    LevelEncoding,
    st.fixed_dictionaries({kind: st.integers(0, 100) for kind in list(ReportType)[1:5]}),
    st.integers(0, 100),
    st.integers(0, 100),
    st.none(),
    weight,
)
configurations = st.builds(
    RiskConfiguration,
    attenuation_weights=st.lists(st.builds(AttenuationWeight, ranges, weight), max_size=3).map(
        tuple
    ),
    transmission_risk=st.builds(
        Weights,
        st.dictionaries(st.sampled_from(ReportType), weight),
        st.dictionaries(st.sampled_from(Infectiousness), weight),
    )
    | encodings,
    window_levels=levels,
    day_levels=levels,
    attenuation=st.sampled_from(Attenuation),
    attenuation_filters=st.lists(st.builds(AttenuationFilter, ranges, ranges), max_size=2).map(
        tuple
    ),
    transmission_risk_filters=st.lists(ranges, max_size=2).map(tuple),
    infectiousness_by_day=st.dictionaries(
        st.integers(-14, 14), st.sampled_from(Infectiousness), max_size=5
    ),
    infectiousness_when_missing=st.sampled_from(Infectiousness),
    report_type_when_missing=st.none() | st.sampled_from(ReportType),
    minimum_window_minutes=st.floats(0, 1440),
    days_since_exposure=st.none() | st.integers(1, 10_000),
    day_minutes_decimals=st.integers(0, 9),
    version=st.integers(0, 2**53 - 1),
)


@given(configurations)
@example(replace(DEFAULT_CONFIGURATION, version=2**53 - 1))
def test_what_is_written_reads_equal(configuration: RiskConfiguration) -> None:
    assert parse_configuration(encode_configuration(configuration)) == configuration


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*published(), "min", "weight"]), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_or_refused(document: object) -> None:
    with contextlib.suppress(ConfigurationError):
        parse_configuration(json.dumps(document).encode())


@pytest.fixture(scope="module")
def signer() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def trust(signer: ec.EllipticCurvePrivateKey) -> Trust:
    root = ec.generate_private_key(ec.SECP256R1())
    public = encode_public_key(signer.public_key())
    certificates = [
        RoleCertificate(role, name, public, NOW, NOW + YEAR)
        for role, name in ((Role.CONFIGURATION, "configuration-1"), (Role.EXPORT, "export-1"))
    ]
    root_id = key_id(root.public_key())
    document = issue_certificates(certificates, 1, root, root_id)
    return read_certificates(document, Pins({root_id: root.public_key()}))


def test_a_sealed_configuration_reads_equal(
    trust: Trust, signer: ec.EllipticCurvePrivateKey
) -> None:
    document = seal_configuration(DEFAULT_CONFIGURATION, "configuration-1", signer)
    assert read_configuration(document, trust, NOW, min_version=1) == DEFAULT_CONFIGURATION


def test_roll_back_is_refused(trust: Trust, signer: ec.EllipticCurvePrivateKey) -> None:
    document = seal_configuration(DEFAULT_CONFIGURATION, "configuration-1", signer)
    with pytest.raises(ConfigurationError, match="version 1 is older than 2"):
        read_configuration(document, trust, NOW, min_version=2)


def test_only_a_certified_configuration_key_counts(
    trust: Trust, signer: ec.EllipticCurvePrivateKey
) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    payload = encode_configuration(DEFAULT_CONFIGURATION)
    refused = {
        "does not match": seal_configuration(DEFAULT_CONFIGURATION, "configuration-1", stranger),
        "no configuration key 'export-1'": seal_configuration(
            DEFAULT_CONFIGURATION, "export-1", signer
        ),
        "the signature of key": seal(TAG_INDEX, payload, "configuration-1", signer),
        "not a signed document": payload,
    }
    for message, document in refused.items():
        with pytest.raises(ConfigurationError, match=message):
            read_configuration(document, trust, NOW)
    good = seal_configuration(DEFAULT_CONFIGURATION, "configuration-1", signer)
    for time, message in ((NOW - 1, "not valid yet"), (NOW + YEAR + 1, "expired")):
        with pytest.raises(ConfigurationError, match=message):
            read_configuration(good, trust, time)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (json.dumps(published()).encode(), "the key 'format' is missing"),
        (json.dumps({**published(), "format": "1.0"}).encode(), "the key 'version' is missing"),
        (json.dumps({"format": "2.0", "version": 9}).encode(), "format 2.0; this reader knows 1.x"),
        (json.dumps({**published(), "format": "1.0", "version": 0}).encode(), "outside 1 to"),
    ],
)
def test_a_signed_document_of_another_form_is_refused(
    trust: Trust, signer: ec.EllipticCurvePrivateKey, payload: bytes, message: str
) -> None:
    document = seal(TAG_CONFIGURATION, payload, "configuration-1", signer)
    with pytest.raises(ConfigurationError, match=message):
        read_configuration(document, trust, NOW)


def test_an_unusable_configuration_is_not_sealed(signer: ec.EllipticCurvePrivateKey) -> None:
    unversioned = parse_configuration(json.dumps(published()).encode())
    with pytest.raises(ConfigurationError, match=r"\$.version: 0 is outside 1"):
        seal_configuration(unversioned, "configuration-1", signer)
