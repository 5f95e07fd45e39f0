"""Windows as JSON: the spellings of published files, and no crash on anything else."""

import contextlib
import datetime as dt
import json

from hypothesis import given
from hypothesis import strategies as st

from bluezone.protocol.configuration import DEFAULT_CONFIGURATION
from bluezone.protocol.exposure import ExposureWindow, Infectiousness, ScanInstance
from bluezone.protocol.exposure_json import read_windows
from bluezone.protocol.intervals import day_number
from bluezone.protocol.json_reader import JsonError, Node
from bluezone.protocol.keys import ReportType

TODAY = day_number(dt.date(2021, 2, 1))


def read(*windows: object) -> list[ExposureWindow]:
    return read_windows(Node(list(windows)), DEFAULT_CONFIGURATION, TODAY)


def test_spellings_of_one_window() -> None:
    expected = ExposureWindow(
        TODAY - 1,
        ReportType.CONFIRMED_CLINICAL_DIAGNOSIS,
        Infectiousness.HIGH,
        (ScanInstance(60, 50, 300),),
        calibration_confidence=3,
    )
    scan = {"typicalAttenuation": 60, "minAttenuation": 50, "secondsSinceLastScan": 300}
    framework = {
        "typicalAttenuationDb": 60,
        "minAttenuationDb": 50,
        "secondsSinceLastScan": 300,
    }
    same = read(
        {
            "ageInDays": 1,
            "reportType": 2,
            "infectiousness": 2,
            "calibrationConfidence": 3,
            "scanInstances": [scan],
        },
        {
            "date": "2021-01-31T00:00:00Z",
            "reportType": "CONFIRMED_CLINICAL_DIAGNOSIS",
            "daysSinceOnset": 0,
            "calibrationConfidence": "HIGH",
            "scanInstances": [framework],
        },
        {
            "dateMillisSinceEpoch": (TODAY - 1) * 86_400_000,
            "reportType": "confirmedClinicalDiagnosis",
            "infectiousness": "high",
            "calibrationConfidence": "high",
            "scanInstances": [scan],
        },
    )
    assert same == [expected] * 3


def test_one_attenuation_stands_for_both() -> None:
    scans = [
        {"minAttenuation": 50, "secondsSinceLastScan": 60},
        {"typicalAttenuation": 50, "secondsSinceLastScan": 60},
    ]
    assert set(read({"day": 1, "scanInstances": scans})[0].scan_instances) == {
        ScanInstance(50, 50, 60)
    }


keys = st.sampled_from(
    [
        "exposureWindows",
        "scanInstances",
        "day",
        "ageInDays",
        "reportType",
        "encounter",
        "minAttenuation",
        "secondsSinceLastScan",
        "infectiousness",
    ]
)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=15,
    )
)
def test_any_json_is_read_or_refused(document: object) -> None:
    with contextlib.suppress(JsonError):
        read_windows(Node.parse(json.dumps(document).encode()), DEFAULT_CONFIGURATION, TODAY)
