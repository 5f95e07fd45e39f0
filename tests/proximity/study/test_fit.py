"""The fit finds again what recordings were made with."""

import math
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bluezone.proximity import SHIPPED, Parameters, estimate
from bluezone.proximity.study.fit import fit
from bluezone.proximity.study.pairs import pairs_of
from bluezone.proximity.study.readers import read
from bluezone.proximity.study.recordings import Recording, RecordingError
from tests.proximity.simulated import (
    AT_ONE_METRE_DB,
    FORMS,
    MODELS,
    SLOPE_DB,
    Results,
    crowd,
    write_results,
    write_static,
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A handful of people for ten minutes."""
    path = tmp_path_factory.mktemp("small") / "set" / "queue.sqlite"
    (one,) = read(write_results(path, crowd(6, people=4, minutes=10).results()))
    return one


def test_two_metres_sound_as_they_were_made_to(fitted: Parameters) -> None:
    """Attenuation at the border that matters: what near and far are told apart by."""
    found = fitted.attenuation_db + fitted.slope_db * (math.log10(2) - fitted.typical_distance)
    assert found == pytest.approx(AT_ONE_METRE_DB + SLOPE_DB * math.log10(2), abs=1.5)
    assert 12 < fitted.slope_db < 28


@pytest.mark.parametrize("model", MODELS)
def test_models_get_their_offsets(fitted: Parameters, model: str) -> None:
    sends, receives = MODELS[model]
    assert fitted.models[model].sends_db == pytest.approx(sends, abs=1.6)
    assert fitted.models[model].receives_db == pytest.approx(receives, abs=1.6)


def test_the_spread_over_models_is_that_of_the_models(fitted: Parameters) -> None:
    assert fitted.sends_sd_db == pytest.approx(np.std([s for s, _ in MODELS.values()]), abs=1.2)
    assert fitted.receives_sd_db == pytest.approx(np.std([r for _, r in MODELS.values()]), abs=1.2)


def test_a_fit_says_on_what_and_when(fitted: Parameters) -> None:
    assert fitted.fitted_on == ("simulated/canteen", "simulated/train")
    assert fitted.fitted_at == "2021-02-03"


def surprise(recording: Recording, parameters: Parameters) -> float:
    """Mean log loss of what is said of each beacon of known distance."""
    losses = []
    for pair in pairs_of(recording):
        close = estimate(pair.levels, pair.own, pair.peer, parameters).close[pair.beacon_moment]
        known = np.isfinite(pair.beacon_distance)
        said = np.clip(close[known], 1e-6, 1 - 1e-6)
        losses.append(-np.log(np.where(pair.beacon_distance[known] <= 2, said, 1 - said)))
    return float(np.mean(np.concatenate(losses)))


def test_what_was_fitted_tells_more_of_a_new_crowd_than_numbers_from_elsewhere(
    fitted: Parameters, unseen: Recording
) -> None:
    elsewhere = surprise(unseen, SHIPPED)
    assert surprise(unseen, fitted) < 0.8 * elsewhere
    # And the spreads have their part in it, not only the models and the level.
    doubting = replace(fitted, pair_db=8.0, shadow_db=8.0)
    assert surprise(unseen, fitted) < surprise(unseen, doubting)


def test_every_number_is_finite_and_survives_the_file(fitted: Parameters) -> None:
    assert all(math.isfinite(v) for v in astuple(fitted) if isinstance(v, float))
    assert Parameters.from_json(fitted.as_json()) == fitted


def test_a_fit_repeats_exactly_and_tells_its_steps(small: Recording) -> None:
    told: list[str] = []
    assert fit([small], told.append) == fit([small])
    assert told[0] == "6 pairs of 1 recordings"
    assert told[1].startswith("fitting: step 1 ")


def test_phones_of_unknown_models_teach_the_rest(small: Recording) -> None:
    nameless = replace(small, phones=tuple(replace(p, model=None) for p in small.phones))
    found = fit([nameless])
    assert found.models == {}
    assert (found.sends_sd_db, found.receives_sd_db) == (0, 0)
    assert 45 < found.attenuation_db < 70


def test_carriages_are_learned_from_marks(small: Recording, tmp_path: Path) -> None:
    found = fit([small, *read(write_static(tmp_path / "static.csv"))])
    assert found.carriage_db == {
        "hand": pytest.approx(-3, abs=0.6),
        "pocket": pytest.approx(4, abs=0.6),
        "bag": pytest.approx(-1, abs=0.6),
    }
    assert replace(found, carriage_db={}) == fit([small])


# --- what can be fitted on -----------------------------------------------------------------
def with_distances(change: Callable[[float], Any]) -> Results:
    rows = crowd(6, people=4, minutes=10).results()
    return [(*row[:7], change(row[7]) if (row[7] or -1) >= 0 else row[7]) for row in rows]


@pytest.mark.parametrize(
    "change",
    [lambda d: 3.0 + d, lambda d: min(d, 1.5), lambda _: None, lambda _: -1.0],
    ids=["only far", "only near", "no truth", "truth of -1"],
)
def test_near_and_far_must_both_be_known(tmp_path: Path, change: Callable[[float], Any]) -> None:
    recordings = read(write_results(tmp_path / "x.sqlite", with_distances(change)))
    with pytest.raises(RecordingError, match="true distances below and above 2 m"):
        fit(recordings)


def test_phones_on_marks_alone_teach_no_distances(tmp_path: Path) -> None:
    recordings = [one for write in FORMS.values() for one in read(write(tmp_path / "x.csv"))]
    with pytest.raises(RecordingError, match="people who move freely"):
        fit(recordings)


def test_people_who_all_come_near_and_go_away_can_be_fitted_on(tmp_path: Path) -> None:
    """Every pair has both: near and far need not be different people."""
    rows = crowd(6, people=4, minutes=10).results()
    half = rows[len(rows) // 2][4]
    rows = [(*row[:7], 1.0 if row[4] < half else 4.0) for row in rows]
    assert fit(read(write_results(tmp_path / "x.sqlite", rows))).slope_db > 0


def test_people_who_touch_can_be_fitted_on(tmp_path: Path) -> None:
    rows = with_distances(lambda d: 0.0 if d < 1.5 else d)
    found = fit(read(write_results(tmp_path / "x.sqlite", rows)))
    assert all(math.isfinite(value) for value in astuple(found) if isinstance(value, float))
    assert 40 < found.attenuation_db < 75
