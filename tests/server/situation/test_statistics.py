"""The sums of the pictures, against values worked out by hand or published."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluezone.server.situation.statistics import (
    binned,
    round_steps,
    spread,
    summed_up,
    weekly_mean,
    wilson,
)


def test_wilson_is_that_of_the_tables() -> None:
    """Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29."""
    for found, of, low, high in (
        (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718),
    ):  # fmt: skip
        assert wilson(found, of) == pytest.approx((low, high), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_quartiles_lie_between_the_values() -> None:
    lies = spread([4, 1, 3, 2])
    assert lies is not None
    assert (lies.first, lies.median, lies.third) == (1.75, 2.5, 3.25)
    assert spread([]) is None
    assert spread([3.0]) is not None


def test_a_mean_of_seven_days_needs_seven() -> None:
    assert weekly_mean([7, 0, 0, 0, 0, 0, 0, 7]) == [None] * 6 + [1.0, 1.0]


def test_counts_reach_every_unit_above() -> None:
    totals = summed_up({"vn.01.001.00004": 2, "vn.01.001.00008": 3, "vn.48.490.20197": 5})
    assert (totals["vn"], totals["vn.01"], totals["vn.01.001"], totals["vn.48"]) == (10, 5, 5, 5)


@given(st.lists(st.floats(0, 1000), max_size=50), st.integers(0, 10**6))
def test_bins_lose_nothing_and_axes_reach_the_top(values: list[float], most: int) -> None:
    assert sum(binned(values, (0.0, 1.0, 5.0))) == len(values)
    steps = round_steps(most)
    assert steps[0] == 0
    assert steps[-1] >= most
    assert len(steps) <= 7
