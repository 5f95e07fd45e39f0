"""The judgement itself is judged: it sees what is better, and would see a leak."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bluezone.proximity import SHIPPED, UNKNOWN, Parameters
from bluezone.proximity.study.evaluate import (
    BOTH,
    ONE,
    RULE,
    SINGLE,
    Beacons,
    Judged,
    judge,
    report,
)
from bluezone.proximity.study.fit import fit
from bluezone.proximity.study.metrics import Ranking
from bluezone.proximity.study.pairs import pairs_of
from bluezone.proximity.study.readers import read
from bluezone.proximity.study.recordings import Recording, recording
from bluezone.proximity.study.tables import text
from tests.proximity.simulated import crowd, shuffled_between_pairs, write_human, write_results


def judged_all(one: Recording, parameters: Parameters = SHIPPED) -> list[Judged]:
    return [judge(pair, parameters) for pair in pairs_of(one)]


@pytest.fixture(scope="module")
def judged(unseen: Recording, fitted: Parameters) -> list[Judged]:
    """A scenario that the fit has not seen."""
    return judged_all(unseen, fitted)


@pytest.fixture(scope="module")
def part(judged: list[Judged]) -> dict:
    """What is reported of it."""
    return report(judged, 50)["simulated"]


def test_context_is_better_than_single_beacons(part: dict) -> None:
    auc = part["metrics"]["AUC 2 m"]
    assert auc[BOTH]["value"] > auc[SINGLE]["value"] + 0.02
    assert auc[ONE]["value"] > auc[SINGLE]["value"]
    assert auc[BOTH]["lead"][0] > 0
    precision = part["metrics"]["precision at recall 0.516 (2 m)"]
    assert precision[BOTH]["value"] > precision[SINGLE]["value"]
    brier = {scorer: row["Brier"] for scorer, row in part["all"]["by"].items()}
    assert brier[BOTH] < brier[ONE] + 0.002 < brier[SINGLE] + 0.002
    assert brier[BOTH] < brier[RULE]


def test_probabilities_come_true(part: dict) -> None:
    assert part["all"]["by"][BOTH]["ECE"] < 0.06
    assert part["exposures"]["mean absolute error of minutes"] < 4
    assert part["exposures"]["interval holds the truth"] > 0.7


def test_values_lie_in_their_intervals(part: dict) -> None:
    for row in part["metrics"].values():
        for value in row.values():
            if "interval" in value:
                low, high = value["interval"]
                assert low - 0.02 <= value["value"] <= high + 0.02


def test_a_report_is_json_and_text(part: dict) -> None:
    assert json.loads(json.dumps(part)) == part
    lines = text({"simulated": part})
    for word in ("== simulated: 66 pairs", BOTH, "AUC 2 m", "exposures (15 min", "by scenario"):
        assert word in lines


def test_every_beacon_of_known_distance_counts_once(
    judged: list[Judged], unseen: Recording
) -> None:
    beacons = Beacons.of(judged)
    assert len(beacons.distance) == np.sum(np.isfinite(unseen.distance))
    assert len(np.unique(beacons.cluster)) == len(judged)
    assert all(len(p) == len(beacons.distance) for p in beacons.probability.values())
    assert all(np.all((p >= 0) & (p <= 1)) for p in beacons.probability.values())


# --- leaks ---------------------------------------------------------------------------------
def test_what_is_said_does_not_depend_on_the_truth(
    judged: list[Judged], unseen: Recording, fitted: Parameters
) -> None:
    blind = replace(unseen, distance=np.full(len(unseen.distance), np.nan))
    for seeing, unseeing in zip(judged[:10], pairs_of(blind)[:10], strict=True):
        other = judge(unseeing, fitted)
        assert other.both.close.tolist() == seeing.both.close.tolist()
        for key, said in seeing.beacon_probability.items():
            assert other.beacon_probability[key].tolist() == said.tolist()


def shuffled(judged: list[Judged], seed: int) -> list[Judged]:
    """What was said of each pair, beside the true distances of another one."""
    order = np.random.default_rng(seed).permutation(len(judged))
    made = []
    for one, number in zip(judged, order, strict=True):
        distance = judged[number].pair.beacon_distance
        distance = np.resize(distance, len(one.pair.beacon_distance))
        made.append(replace(one, pair=replace(one.pair, beacon_distance=distance)))
    return made


def auc(beacons: Beacons, score: np.ndarray) -> float:
    return Ranking(score, beacons.distance <= 2).auc(np.ones(len(score)))


def test_with_distances_shuffled_between_pairs_only_chance_is_left(judged: list[Judged]) -> None:
    found = {BOTH: [], ONE: [], SINGLE: []}
    for seed in range(40):
        beacons = Beacons.of(shuffled(judged, seed))
        for scorer, values in found.items():
            values.append(auc(beacons, beacons.probability[scorer, 2.0]))
    for values in found.values():
        assert np.mean(values) == pytest.approx(0.5, abs=0.03)
        assert max(values) < 0.75


def test_a_score_that_remembers_pairs_would_be_noticed(judged: list[Judged]) -> None:
    """One bit of truth a pair, told to the score, is far from chance on shuffled distances."""
    beacons = Beacons.of(shuffled(judged, 0))
    near = np.bincount(beacons.cluster, beacons.distance <= 2) / np.bincount(beacons.cluster)
    assert auc(beacons, (near > 0.3)[beacons.cluster].astype(float)) > 0.8


def test_a_fit_to_shuffled_distances_finds_nothing_to_rely_on(tmp_path: Path) -> None:
    """It says of everybody about how many were near, instead of remembering who was."""
    rows = shuffled_between_pairs(crowd(21, people=6, minutes=15), 21).results()
    (one,) = read(write_results(tmp_path / "one.sqlite", rows))
    (two,) = read(write_results(tmp_path / "two.sqlite", crowd(22, people=6, minutes=15).results()))
    beacons = Beacons.of(shuffled(judged_all(two, fit([one])), 1))
    near = float(np.mean(beacons.distance <= 2))
    said = beacons.probability[BOTH, 2.0]
    assert abs(float(np.mean(said)) - near) < 0.15
    assert float(np.std(said)) < 0.3


# --- the published rule --------------------------------------------------------------------
def alternating(attenuation: float, every: float) -> Judged:
    """Both phones scan every so many seconds, at moments of their own, for an hour."""
    time = np.arange(0.5, 3600, every / 2)
    receiver = np.arange(len(time)) % 2
    rows = recording(
        collection="c",
        scenario="s",
        session="s",
        columns={
            "time": time,
            "rssi": np.full(len(time), -29.0 - attenuation),
            "receiver": receiver,
            "sender": 1 - receiver,
        },
        phones=[UNKNOWN] * 2,
    )
    (one,) = judged_all(rows)
    return one


@pytest.mark.parametrize("every", [60, 120, 240, 300])
def test_the_rule_counts_all_the_time_however_scans_fall(every: float) -> None:
    """Each phone counts the time since its own last scan."""
    assert alternating(50, every).rule_minutes == pytest.approx(60, abs=every / 60 + 0.1)
    assert alternating(60, every).rule_minutes == pytest.approx(30, abs=every / 60 + 0.1)
    assert alternating(64, every).rule_minutes == 0


# --- without truth, with little truth ------------------------------------------------------
def test_without_truth_there_are_predictions_only(tmp_path: Path) -> None:
    rows = crowd(8, people=4, minutes=20).results(truth=False)
    (one,) = read(write_results(tmp_path / "set" / "day.sqlite", rows))
    found = report(judged_all(one), 10)["set"]
    assert set(found) == {"pairs", "without truth"}
    said = found["without truth"]["day"]
    assert said["pairs"] == 6
    assert sum(said["pairs by exposure class"].values()) == 6
    assert 0 <= said["expected close minutes (median)"] <= 20
    assert "no truth in day, predictions only: 6 pairs" in text({"set": found})


def test_collections_and_scenarios_are_told_apart(tmp_path: Path) -> None:
    found = []
    for name, truth in (("a/one", True), ("a/two", True), ("a/three", False), ("b/one", True)):
        rows = crowd(9, people=3, minutes=6).results(truth=truth)
        (one,) = read(write_results(tmp_path / f"{name}.sqlite", rows))
        found += judged_all(one)
    parts = report(found, 10)
    assert list(parts) == ["a", "b"]
    assert list(parts["a"]["scenarios"]) == ["one", "two"]
    assert list(parts["a"]["without truth"]) == ["three"]
    assert parts["a"]["pairs"] == 9
    assert text(parts)


@pytest.mark.parametrize("distance", [1.0, 5.0])
def test_where_all_are_near_or_all_are_far_no_ranking_is_reported(
    tmp_path: Path, distance: float
) -> None:
    rows = [(*row[:7], distance) for row in crowd(9, people=3, minutes=6).results()]
    (one,) = read(write_results(tmp_path / "set" / "x.sqlite", rows))
    found = report(judged_all(one), 10)["set"]
    assert found["metrics"] == {}
    assert found["all"]["within 2 m"] == (distance < 2)
    assert text({"set": found})


def test_phones_on_marks_get_no_intervals_and_no_exposures(tmp_path: Path) -> None:
    recordings = read(write_human(tmp_path / "marks" / "humanHP.csv"))
    found = report([one for rows in recordings for one in judged_all(rows)])["marks"]
    assert "exposures" not in found
    assert "interval" not in found["metrics"]["AUC 2 m"][BOTH]
    assert found["metrics"]["AUC 2 m"][BOTH]["value"] > 0.9
