"""The estimator's numbers: what ships, the file's form, and refusals of damaged files."""

import json
from dataclasses import replace
from typing import Any

import pytest

from bluezone.proximity import SHIPPED, Parameters
from bluezone.proximity.parameters import ModelOffsets


def test_what_ships_is_fitted_and_says_on_what_and_when() -> None:
    assert SHIPPED.fitted_on
    assert SHIPPED.fitted_at
    assert 1 < 10**SHIPPED.typical_distance < 4
    assert 10 < SHIPPED.slope_db < 30


def test_what_is_written_reads_back_the_same() -> None:
    numbers = replace(
        SHIPPED,
        models={"Điện thoại": ModelOffsets(1.5, -2.5)},
        carriage_db={"bag": 1.0},
        fitted_on=("here/there",),
    )
    assert Parameters.from_json(numbers.as_json()) == numbers
    assert Parameters.from_json(SHIPPED.as_json()) == SHIPPED
    assert "Điện thoại" in numbers.as_json()


def test_what_a_fit_need_not_find_may_be_missing() -> None:
    values = json.loads(SHIPPED.as_json())
    for name in ("models", "carriage_db", "fitted_on", "fitted_at", "diary_weight"):
        del values[name]
    numbers = Parameters.from_json(json.dumps(values))
    assert numbers.models == {}
    assert numbers.slope_db == SHIPPED.slope_db


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"text"'])
def test_a_file_that_holds_no_parameters_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not parameters of the estimator"):
        Parameters.from_json(text)


def test_a_missing_number_is_named() -> None:
    values = json.loads(SHIPPED.as_json())
    del values["shadow_db"]
    with pytest.raises(ValueError, match="shadow_db"):
        Parameters.from_json(json.dumps(values))


MODEL = {"sends_db": 1.0, "receives_db": 2.0}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"slope": 15}, "slope"),
        ({"slope_db": 0}, "slope_db"),
        ({"slope_db": -3}, "slope_db"),
        ({"slope_db": "steep"}, "slope_db"),
        ({"slope_db": True}, "slope_db"),
        ({"slope_db": float("nan")}, "slope_db"),
        ({"slope_db": float("inf")}, "slope_db"),
        ({"pair_db": None}, "pair_db"),
        ({"typical_distance": "near"}, "typical_distance"),
        ({"attenuation_db": None}, "attenuation_db"),
        ({"attenuation_db": float("nan")}, "attenuation_db"),
        ({"shadow_db": [3]}, "shadow_db"),
        ({"shadow_db": -1}, "shadow_db"),
        ({"sends_sd_db": "wide"}, "sends_sd_db"),
        ({"diary_bound_db": -8}, "diary_bound_db"),
        ({"models": []}, "models"),
        ({"models": {"A": MODEL | {"sends_db": "loud"}}}, "sends_db"),
        ({"models": {"A": {"sends_db": 1.0}}}, "receives_db"),
        ({"models": {"A": MODEL | {"colour": 1}}}, "colour"),
        ({"models": {"A": None}}, "A"),
        ({"carriage_db": {"bag": "heavy"}}, "carriage_db"),
        ({"carriage_db": 3}, "carriage_db"),
        ({"fitted_on": 5}, "fitted_on"),
    ],
)
def test_what_is_no_parameter_or_no_number_is_named(change: dict[str, Any], named: str) -> None:
    values = json.loads(SHIPPED.as_json()) | change
    with pytest.raises(ValueError, match=named):
        Parameters.from_json(json.dumps(values))
