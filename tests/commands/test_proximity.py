"""`bluezone proximity` from recordings to numbers, tables and pictures, and its refusals."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bluezone.cli import main
from bluezone.proximity import SHIPPED, Parameters
from tests.proximity.simulated import crowd, write_csv, write_human, write_results, write_static


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two scenarios."""
    folder = tmp_path_factory.mktemp("recordings") / "town"
    for seed, name in ((31, "lunch"), (32, "train")):
        write_results(folder / f"{name}.sqlite", crowd(seed, people=6, minutes=20).results())
    return folder


@pytest.fixture(scope="module")
def fitted(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `fit --out` writes."""
    path = tmp_path_factory.mktemp("fitted") / "parameters.json"
    run("fit", recordings, "--out", path)
    return path


def invoke(*arguments: str | Path, status: int) -> Result:
    result = CliRunner().invoke(main, ["proximity", *map(str, arguments)])
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def run(*arguments: str | Path) -> str:
    return invoke(*arguments, status=0).stdout


def refused(*arguments: str | Path, status: int = 1) -> str:
    result = invoke(*arguments, status=status)
    assert result.stdout == ""
    return result.stderr


def evaluated(*arguments: str | Path) -> dict[str, Any]:
    return json.loads(run("evaluate", "--json", *arguments), parse_constant=pytest.fail)


# --- fit -----------------------------------------------------------------------------------
def test_fit_writes_what_evaluate_reads(fitted: Path, recordings: Path) -> None:
    parameters = Parameters.from_json(fitted.read_text("utf-8"))
    assert parameters.fitted_on == ("town/lunch", "town/train")
    assert set(parameters.models) == {"Alpha", "Beta", "Gamma"}
    ours = evaluated("--frozen", "--parameters", fitted, recordings)["town"]["all"]["by"]
    shipped = evaluated("--frozen", recordings)["town"]["all"]["by"]
    assert ours["both diaries"]["Brier"] < shipped["both diaries"]["Brier"]


def test_fit_prints_parameters_and_nothing_else(tmp_path: Path) -> None:
    file = write_results(tmp_path / "x.sqlite", crowd(5, people=4, minutes=6).results())
    result = invoke("fit", file, status=0)
    assert Parameters.from_json(result.stdout).slope_db > 0
    assert "6 pairs of 1 recordings" in result.stderr


def test_fit_refuses_recordings_that_teach_no_distance(tmp_path: Path) -> None:
    message = refused("fit", write_human(tmp_path / "humanHH.csv.gz"))
    assert "Error: to fit, recordings of people who move freely" in message


def test_fit_says_that_it_cannot_write(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "missing" / "parameters.json"
    assert f"{out}: No such file or directory" in refused("fit", recordings, "--out", out)


# --- evaluate ------------------------------------------------------------------------------
def test_evaluate_frozen_reports_every_metric(recordings: Path) -> None:
    part = evaluated("--frozen", recordings)["town"]
    assert part["pairs"] == 30
    assert {
        "AUC 2 m",
        "AUC 1.5 m",
        "precision at recall 0.516 (2 m)",
        "precision at recall 0.573 (1.5 m)",
        "least nDCF 2 m",
        "nDCF as it stands 2 m",
    } <= set(part["metrics"])
    assert set(part["metrics"]["AUC 2 m"]) == {"both diaries", "one diary", "single beacons"}
    assert set(part["all"]["by"]["one diary"]) == {"AUC", "Brier", "ECE"}
    assert part["exposures"]["pairs"] == 30
    assert list(part["scenarios"]) == ["lunch", "train"]


def test_one_file_can_be_judged_and_repeats_exactly(recordings: Path) -> None:
    file = recordings / "lunch.sqlite"
    once = run("evaluate", "--frozen", file)
    assert once == run("evaluate", "--frozen", file)
    assert once.startswith("== town: 15 pairs\n")
    assert "lunch" in once


def test_a_file_without_truth_gets_predictions(tmp_path: Path) -> None:
    rows = crowd(5, people=4, minutes=6).results(truth=False)
    path = write_results(tmp_path / "new" / "day.sqlite", rows)
    assert "no truth in day, predictions only: 6 pairs" in run("evaluate", "--frozen", path)
    assert set(evaluated("--frozen", path)["new"]) == {"pairs", "without truth"}


def test_each_scenario_is_judged_by_what_the_other_taught(recordings: Path) -> None:
    result = invoke("evaluate", "--json", recordings, status=0)
    assert json.loads(result.stdout)["town"]["metrics"]["AUC 2 m"]["both diaries"]["value"] > 0.8
    assert "held out: lunch" in result.stderr
    assert "held out: train" in result.stderr


def test_pairs_and_marks_can_be_held_out(tmp_path: Path) -> None:
    free = tmp_path / "free"
    write_results(free / "x.sqlite", crowd(5, people=5, minutes=6).results())
    marks = write_static(tmp_path / "marks" / "static.csv.gz")
    result = invoke("evaluate", "--split", "pair", "--json", free, marks, status=0)
    assert set(json.loads(result.stdout)) == {"free", "marks"}
    assert "held out: pairs 5 of 5" in result.stderr
    assert "held out: phones on marks" in result.stderr


def test_thinned_recordings_are_judged_on_what_scans_would_hear(recordings: Path) -> None:
    dense = evaluated("--frozen", recordings)["town"]
    sparse = evaluated("--frozen", "--scan-every", "240", recordings)["town"]
    assert sparse["all"]["beacons"] < 0.1 * dense["all"]["beacons"]
    assert sparse["metrics"]["AUC 2 m"]["both diaries"]["value"] > 0.7


def test_models_can_be_ignored(fitted: Path, recordings: Path) -> None:
    known, ignored = (
        evaluated("--frozen", "--parameters", fitted, *more, recordings)["town"]["all"]["by"]
        for more in ((), ("--ignore-models",))
    )
    assert known["both diaries"]["Brier"] < ignored["both diaries"]["Brier"]
    assert known["55/63 dB rule"] == ignored["55/63 dB rule"]


def test_pictures_of_every_collection_are_drawn_alike_twice(
    recordings: Path, tmp_path: Path
) -> None:
    one, two, several = tmp_path / "one", tmp_path / "two", tmp_path / "several"
    file = recordings / "lunch.sqlite"
    for folder in (one, two):
        run("evaluate", "--frozen", "--pictures", folder, file)
    for name in ("roc.svg", "reliability.svg"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    marks = write_human(tmp_path / "marks" / "humanHH.csv")
    run("evaluate", "--frozen", "--pictures", several, file, marks)
    assert sorted(str(path.relative_to(several)) for path in several.rglob("*.svg")) == [
        f"{collection}/{name}.svg"
        for collection in ("marks", "town")
        for name in ("reliability", "roc")
    ]


def test_pictures_that_cannot_be_written_are_an_error(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "pictures"
    file = recordings / "lunch.sqlite"
    assert f"{folder}: Not a directory" in refused(
        "evaluate", "--frozen", "--pictures", folder, file
    )


def test_what_is_left_out_and_skipped_is_said(tmp_path: Path) -> None:
    rows = crowd(5, people=3, minutes=4).results()
    rows += [(*rows[0][:5], 127, *rows[0][6:]), ("a", "Alpha", "a", "Alpha", 1.5, -40, -20, 0.0)]
    write_results(tmp_path / "set" / "x.sqlite", rows)
    prices = write_csv(tmp_path / "set" / "prices.csv", "fruit,price", [("mango", 3)])
    (tmp_path / "set" / "README.md").write_text("words")
    said = invoke("evaluate", "--frozen", tmp_path, status=0).stderr
    assert f"skipped {prices}: not a recording" in said
    assert "README" not in said
    assert "left out 1 rows: a phone that hears itself" in said
    assert "left out 1 rows: no level" in said


# --- refusals ------------------------------------------------------------------------------
def test_a_random_split_is_refused_with_the_reason(recordings: Path) -> None:
    message = refused("evaluate", "--split", "random", recordings, status=2)
    assert "Error: a random split of packets or minutes is refused" in message
    assert "Split by scenario, session, pair." in message


def test_one_scenario_cannot_be_split(recordings: Path) -> None:
    message = refused("evaluate", recordings / "lunch.sqlite")
    assert "Error: there is only one scenario to split by" in message
    assert "--frozen" in message


def test_parameters_go_with_frozen(recordings: Path, fitted: Path) -> None:
    message = refused("evaluate", "--parameters", fitted, recordings, status=2)
    assert "--parameters goes with --frozen" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "these are not parameters"),
        (b"\xff\xfe", "can't decode"),
        (b"[]", "these are not parameters"),
        (SHIPPED.as_json().replace('"slope_db"', '"slope"').encode(), "slope"),
        (SHIPPED.as_json().replace('"slope_db": ', '"slope_db": -').encode(), "slope_db must be"),
    ],
)
def test_a_damaged_file_of_parameters_is_named(
    recordings: Path, tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "parameters.json"
    path.write_bytes(content)
    said = refused("evaluate", "--frozen", "--parameters", path, recordings)
    assert f"Error: {path}: " in said
    assert message in said


def test_a_recording_of_nobody_who_heard_another_is_an_error(tmp_path: Path) -> None:
    rows = [("a", "Alpha", "a", "Alpha", 1000.5 * n, -40, -20, 0.0) for n in range(5)]
    path = write_results(tmp_path / "x.sqlite", rows)
    assert "no two phones heard each other" in refused("evaluate", "--frozen", path)


@pytest.mark.parametrize("verb", ["fit", "evaluate"])
def test_files_that_are_no_recordings_are_named(verb: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("words")
    assert f"Error: {path}: not a recording" in refused(verb, path)
    assert f"Error: there is no recording in {tmp_path}" in refused(verb, tmp_path)
    assert "does not exist" in refused(verb, tmp_path / "missing", status=2)
    assert "Missing argument" in refused(verb, status=2)


def test_scans_more_often_than_they_last_are_refused(recordings: Path) -> None:
    assert "--scan-every" in refused("evaluate", "--scan-every", "4", recordings, status=2)


def test_help_says_what_a_recording_is_and_gives_examples() -> None:
    assert "an SQLite file with a table `results`" in " ".join(run("--help").split())
    assert "bluezone proximity fit recordings/ --out parameters.json" in run("fit", "--help")
    text = " ".join(run("evaluate", "--help").split())
    for word in ("scenario, session, pair", "--frozen", "--scan-every", "new-day.sqlite"):
        assert word in text
