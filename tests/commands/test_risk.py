"""`bluezone risk` from files to JSON, and its refusals."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bluezone.cli import main

SUITES = json.loads((Path(__file__).parents[1] / "vectors/risk_published.json").read_text("utf-8"))[
    "suites"
]
SCANS = [
    {"typicalAttenuation": 50, "secondsSinceLastScan": 300},
    {"typicalAttenuation": 58, "secondsSinceLastScan": 300},
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(run("--print-default"), "utf-8")
    return path


BY_WEIGHTS = ("--closeness", "weights")


def run(*arguments: str | Path, fails: bool = False) -> str:
    result = CliRunner().invoke(main, ["risk", *map(str, arguments)])
    assert result.exit_code == (1 if fails else 0), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), "utf-8")
    return path


def test_scores_windows_by_the_weights_of_the_default_configuration(
    config: Path, tmp_path: Path
) -> None:
    windows = [
        {"day": "2021-01-31", "reportType": "confirmedTest", "scanInstances": SCANS * 2},
        {"day": 18657, "reportType": 1, "daysSinceOnset": -5, "scanInstances": SCANS},
        {"dateMillisSinceEpoch": 1611964800000, "reportType": 4, "scanInstances": SCANS},
    ]
    output = json.loads(
        run(config, write(tmp_path / "w.json", windows), *BY_WEIGHTS, "--today", "2021-02-01")
    )
    assert output == {
        "level": "high",
        "days": [
            {
                "day": "2021-01-31",
                "ageInDays": 1,
                "level": "high",
                "minutes": 15.0,
                "minimumDistinctEncounters": {"low": 0, "high": 1},
                "encounters": None,
            }
        ],
        "windows": [
            scored("2021-01-31", "high", 15.0, 15.0, 4, 1.0, None),
            scored("2021-01-30", "none", 0.0, 7.5, 3, 0.0, "noRiskLevel"),
            scored("2021-01-30", "none", 0.0, 7.5, 13, 0.0, "noRiskLevel"),
        ],
        "mostRecentDay": {"low": None, "high": "2021-01-31"},
        "numberOfDays": {"low": 0, "high": 1},
        "minimumDistinctEncounters": {"low": 0, "high": 1},
    }


def scored(
    day: str,
    level: str,
    minutes: float,
    weighted: float,
    kind: int,
    value: float,
    dropped: str | None,
) -> dict[str, Any]:
    return {
        "day": day,
        "level": level,
        "minutes": minutes,
        "weightedMinutes": weighted,
        "transmissionRiskLevel": kind,
        "transmissionRiskValue": value,
        "dropped": dropped,
    }


def test_a_published_file_serves_as_both_arguments(tmp_path: Path) -> None:
    file = write(tmp_path / "cases.json", SUITES[0]["file"])
    cases = json.loads(run(file, file, "--attenuation", "typical"))["cases"]
    expected = SUITES[0]["file"]["testCases"]
    assert [case["description"] for case in cases] == [case["description"] for case in expected]
    encounters = [case["minimumDistinctEncounters"]["high"] for case in cases]
    assert encounters[-10:] == [
        case["expTotalMinimumDistinctEncountersWithHighRisk"] for case in expected[-10:]
    ]


def test_the_attenuation_option_overrides_the_configuration(config: Path, tmp_path: Path) -> None:
    scan = {"minAttenuation": 50, "typicalAttenuation": 70, "secondsSinceLastScan": 900}
    window = {"ageInDays": 1, "reportType": 1, "infectiousness": "high", "scanInstances": [scan]}
    windows = write(tmp_path / "w.json", {"exposureWindows": [window]})
    assert json.loads(run(config, windows, *BY_WEIGHTS))["level"] == "none"
    minimum = run(config, windows, *BY_WEIGHTS, "--attenuation", "minimum")
    assert json.loads(minimum)["level"] == "high"


def test_by_default_the_estimator_counts_minutes_by_their_probability(
    config: Path, tmp_path: Path
) -> None:
    def minutes(attenuation: int) -> float:
        scans = [{"typicalAttenuation": attenuation, "secondsSinceLastScan": 300}] * 6
        window = {"ageInDays": 1, "reportType": 1, "infectiousness": "high", "scanInstances": scans}
        windows = write(tmp_path / "w.json", [window])
        return float(json.loads(run(config, windows))["windows"][0]["minutes"])

    assert 25 < minutes(45) <= 30
    assert 10 < minutes(58) < 20, "at the level of two metres it is about even"
    assert minutes(75) < 3


WINDOW: dict[str, Any] = {"day": "2021-01-31", "reportType": 1, "scanInstances": SCANS}


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ({}, "$: the key 'exposureWindows' is missing"),
        ([{**WINDOW, "day": None}], "$[0]: no day is given"),
        ([WINDOW, {**WINDOW, "day": "31/01/2021"}], "$[1].day: '31/01/2021' is not a day"),
        ([{"ageInDays": -1, "scanInstances": []}], "$[0].ageInDays: -1 is outside 0"),
        ([{**WINDOW, "reportType": "rumour"}], "$[0].reportType: 'rumour' is none of"),
        ([{**WINDOW, "infectiousness": 3}], "$[0].infectiousness: the number 3 is none of"),
        ([{**WINDOW, "scanInstances": [{}]}], "$[0].scanInstances[0]: no attenuation is given"),
        (
            [{**WINDOW, "scanInstances": [{"minAttenuation": 50}]}],
            "$[0].scanInstances[0]: the key 'secondsSinceLastScan' is missing",
        ),
        ({"testCases": [{"exposureWindows": []}]}, "$.testCases[0]: the key 'description'"),
        ("text", "$: expected an object, found 'text'"),
    ],
)
def test_faults_in_windows_name_the_file_and_the_path(
    config: Path, tmp_path: Path, windows: object, message: str
) -> None:
    file = write(tmp_path / "w.json", windows)
    output = run(config, file, fails=True)
    assert output.startswith(f"Error: {file}: ")
    assert message in output


def test_faults_of_files(config: Path, tmp_path: Path) -> None:
    missing, binary = tmp_path / "missing.json", tmp_path / "binary.json"
    binary.write_bytes(b"\x80\x00")
    windows = write(tmp_path / "w.json", [])
    assert f"{missing}: No such file" in run(missing, windows, fails=True)
    assert f"{missing}: No such file" in run(config, missing, fails=True)
    assert f"{tmp_path}: Is a directory" in run(config, tmp_path, fails=True)
    assert f"{binary}: the configuration is refused: $: not JSON" in run(
        binary, windows, fails=True
    )
    assert f"{binary}: $: not JSON" in run(config, binary, fails=True)


def test_help_teaches_with_an_example_that_works(tmp_path: Path, config: Path) -> None:
    text = run("--help")
    example = text[text.index("[{") : text.index("]}]") + 3]
    windows = tmp_path / "windows.json"
    windows.write_text(example, "utf-8")
    assert json.loads(run(config, windows))["level"] == "low"
