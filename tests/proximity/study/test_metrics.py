"""Metrics beside their definitions, counted by hand over all pairs and thresholds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluezone.proximity.study import metrics
from bluezone.proximity.study.metrics import Ranking

Rows = list[tuple[float, bool, int]]
# Few different scores, so that ties are common.
rows = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), st.booleans(), st.integers(0, 3)),
    min_size=1,
    max_size=25,
)
both_kinds = rows.filter(lambda r: total(r, near=True) > 0 and total(r, near=False) > 0)


def total(table: Rows, *, near: bool) -> int:
    return sum(weight for _, is_near, weight in table if is_near == near)


def columns(table: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    score, near, weight = zip(*table, strict=True)
    return np.array(score), np.array(near, bool), np.array(weight, float)


def ranking(table: Rows) -> tuple[Ranking, np.ndarray]:
    score, near, weight = columns(table)
    return Ranking(score, near), weight


def rates(table: Rows, threshold: float) -> tuple[float, float]:
    """(share of the near, share of the far) with at least that score."""
    found, wrong = (
        sum(w for s, is_near, w in table if is_near == near and s >= threshold)
        for near in (True, False)
    )
    return found / total(table, near=True), wrong / total(table, near=False)


def thresholds(table: Rows) -> list[float]:
    return [math.inf, *sorted({score for score, _, _ in table}, reverse=True)]


@given(both_kinds)
def test_auc_is_the_chance_that_a_near_one_comes_before_a_far_one(table: Rows) -> None:
    won = 0.0
    for score, near, weight in table:
        for other, other_near, other_weight in table:
            if near and not other_near:
                won += weight * other_weight * ((score > other) + 0.5 * (score == other))
    expected = won / (total(table, near=True) * total(table, near=False))
    made, weight = ranking(table)
    assert made.auc(weight) == pytest.approx(expected)


@given(both_kinds, st.floats(0.01, 1.0))
def test_precision_is_that_of_the_best_scores_that_find_so_many(table: Rows, recall: float) -> None:
    wanted, found, wrong = recall * total(table, near=True), 0.0, 0.0
    for score in thresholds(table)[1:]:
        near, far = (
            sum(w for s, is_near, w in table if s == score and is_near == kind)
            for kind in (True, False)
        )
        part = min(1.0, (wanted - found) / near) if near else 1.0
        found, wrong = found + part * near, wrong + part * far
        if found >= wanted - 1e-12:
            break
    made, weight = ranking(table)
    assert made.precision(weight, recall) == pytest.approx(found / (found + wrong))


@given(both_kinds, st.integers(0, 997).map(lambda part: part / 997))
def test_recall_is_that_of_the_lowest_threshold_with_no_more_false_ones(
    table: Rows, allowed: float
) -> None:
    expected = max(
        found
        for found, wrong in (rates(table, threshold) for threshold in thresholds(table))
        if wrong <= allowed + 1e-9  # as the product: a rate that is met is not exceeded
    )
    made, weight = ranking(table)
    assert made.recall(weight, allowed) == pytest.approx(expected)


@given(both_kinds)
def test_least_ndcf_is_that_of_the_best_threshold(table: Rows) -> None:
    expected = min(
        1 - found + wrong for found, wrong in (rates(table, t) for t in thresholds(table))
    )
    made, weight = ranking(table)
    assert made.least_ndcf(weight) == pytest.approx(expected)


@given(both_kinds, st.sampled_from([0.0, 0.2, 0.5, 2.0]))
def test_ndcf_of_decisions_is_misses_and_false_alarms(table: Rows, threshold: float) -> None:
    found, wrong = rates(table, threshold)
    score, near, weight = columns(table)
    assert metrics.ndcf(score >= threshold, near, weight) == pytest.approx(1 - found + wrong)


@given(rows.filter(lambda r: sum(w for *_, w in r) > 0))
def test_brier_is_the_mean_squared_error(table: Rows) -> None:
    expected = sum(w * (s - n) ** 2 for s, n, w in table) / sum(w for *_, w in table)
    assert metrics.brier(*columns(table)) == pytest.approx(expected)


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.booleans(), st.integers(0, 3)), min_size=1, max_size=30
    ).filter(lambda r: sum(w for *_, w in r) > 0)
)
def test_calibration_error_compares_what_was_said_in_each_tenth_with_what_was_true(
    table: Rows,
) -> None:
    error = 0.0
    for step in range(10):
        inside = [row for row in table if min(int(row[0] * 10), 9) == step]
        error += abs(sum(w * (s - n) for s, n, w in inside))
    expected = error / sum(w for *_, w in table)
    assert metrics.calibration_error(*columns(table)) == pytest.approx(expected, abs=1e-12)
    said, true, held = metrics.reliability(*columns(table))
    assert np.sum(held) == sum(w for *_, w in table)
    assert np.all((true >= 0) & (true <= 1 + 1e-12))
    assert np.all(np.diff(said) > 0)


def test_who_says_what_comes_true_has_no_calibration_error() -> None:
    said = np.repeat([0.25, 0.75], 400)
    near = np.tile([True, False, False, False], 100).tolist() + [True, True, True, False] * 100
    assert metrics.calibration_error(said, np.array(near), np.ones(800)) == pytest.approx(0)


@given(both_kinds)
def test_a_weight_counts_as_so_many_rows(table: Rows) -> None:
    repeated = [(score, near, 1) for score, near, weight in table for _ in range(weight)]
    (one, weight), (other, ones) = ranking(table), ranking(repeated)
    assert one.auc(weight) == pytest.approx(other.auc(ones))
    assert one.precision(weight, 0.5) == pytest.approx(other.precision(ones, 0.5))
    assert one.recall(weight, 0.1) == pytest.approx(other.recall(ones, 0.1))
    assert one.least_ndcf(weight) == pytest.approx(other.least_ndcf(ones))


@given(both_kinds)
def test_the_area_under_the_curve_is_the_auc(table: Rows) -> None:
    score, near, _ = columns(table)
    if near.all() or not near.any():
        return
    made = Ranking(score, near)
    false, true = made.curve()
    assert (false[0], true[0]) == (0, 0)
    assert (false[-1], true[-1]) == (1, 1)
    assert np.trapezoid(true, false) == pytest.approx(made.auc(np.ones(len(near))))


@pytest.mark.parametrize("near", [True, False])
def test_of_one_kind_only_nothing_can_be_said(near: bool) -> None:
    made, ones = Ranking(np.array([0.2, 0.8]), np.array([near, near])), np.ones(2)
    assert math.isnan(made.auc(ones))
    assert math.isnan(made.least_ndcf(ones))
    if not near:
        assert math.isnan(made.recall(ones, 0.13))
        assert math.isnan(made.precision(ones, 0.5))


def test_a_bootstrap_draws_whole_clusters() -> None:
    cluster = np.array([0, 0, 0, 1, 2, 2, 3])
    drawn = metrics.resampled(cluster, 200)
    assert len(drawn) == 200
    for weight in drawn:
        of_clusters = [set(weight[cluster == number].tolist()) for number in range(4)]
        assert all(len(weights) == 1 for weights in of_clusters)
        assert sum(weights.pop() for weights in of_clusters) == 4
    assert len({tuple(weight) for weight in drawn}) > 30
    assert np.mean(drawn) == pytest.approx(1, abs=0.1)


def test_a_bootstrap_repeats_exactly() -> None:
    cluster = np.array([0, 1, 2])
    one, other = (np.array(metrics.resampled(cluster, 5)) for _ in range(2))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, np.array(metrics.resampled(cluster, 5, seed=1)))
