"""Pairs whose answer is known, beside two oracles: conditioning written plainly, and sampling."""

import math
from dataclasses import replace
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bluezone.proximity import (
    SHIPPED,
    UNKNOWN,
    Carriage,
    Estimate,
    ExposureClass,
    Handset,
    Levels,
    estimate,
)
from bluezone.proximity.parameters import ModelOffsets, Parameters

STRONG, MIDDLE, WEAK = 42.0, 56.0, 80.0
NAN = float("nan")

# Not what ships: the rules below hold for any numbers.
OURS = Parameters(
    typical_distance=0.35,
    distance_between=0.22,
    distance_within=0.14,
    distance_seconds=200.0,
    attenuation_db=57.0,
    slope_db=18.0,
    pair_db=2.5,
    direction_db=1.5,
    shadow_db=3.0,
    shadow_seconds=80.0,
    minute_db=2.0,
    packet_db=3.0,
    diary_attenuation_db=57.0,
    sends_sd_db=2.0,
    receives_sd_db=1.5,
    models={"Usual": ModelOffsets(0.0, 0.0), "Deaf": ModelOffsets(3.0, 4.0)},
    carriage_db={"pocket": 3.0, "hand": -2.0, "bag": 1.0},
)
USUAL = Handset("Usual")


def steady(
    attenuation: float, minutes: float, *, every: float = 10.0, start: float = 0.0, own: bool = True
) -> Levels:
    time = start + np.arange(0, minutes * 60, every)
    return Levels.of_packets(time, np.full(len(time), attenuation), own)


def scans(attenuation: float, minutes: float, every: float) -> Levels:
    time = np.arange(every, minutes * 60 + 1, every)
    return Levels.of_scans(time, np.full(len(time), attenuation), every, packets=4)


def width(answer: Estimate) -> float:
    return answer.interval[1] - answer.interval[0]


# --- known answers -------------------------------------------------------------------------
def test_an_hour_of_strong_signal_is_an_hour_close_and_certain() -> None:
    answer = estimate(steady(STRONG, 60))
    assert np.all(answer.close > 0.95)
    assert answer.close_minutes == pytest.approx(60, abs=1.5)
    assert answer.interval[0] > 55
    assert answer.exposure is ExposureClass.CERTAIN


def test_an_hour_of_weak_signal_is_not_close() -> None:
    answer = estimate(steady(WEAK, 60))
    assert np.all(answer.close < 0.02)
    assert answer.close_minutes < 1
    assert answer.exposure is ExposureClass.NOT_CLOSE


def test_ten_minutes_are_no_exposure_however_strong() -> None:
    answer = estimate(steady(STRONG, 10))
    assert answer.close_minutes > 9
    assert answer.exposure is ExposureClass.NOT_CLOSE


def test_who_comes_near_half_way_was_close_for_about_half_the_time() -> None:
    time = np.arange(0, 3600, 10.0)
    answer = estimate(Levels.of_packets(time, np.where(time < 1800, 72.0, 46.0)))
    assert 25 < answer.close_minutes < 35
    assert np.all(answer.close[:25] < 0.3)
    assert np.all(answer.close[35:] > 0.8)


def test_nothing_heard_is_no_minute() -> None:
    answer = estimate(Levels.of_packets([], []))
    assert answer.close.shape == (0,)
    assert (answer.close_minutes, answer.interval, answer.exposure_probability) == (0, (0, 0), 0)
    assert answer.exposure is ExposureClass.NOT_CLOSE


def test_one_packet_says_a_little() -> None:
    strong, weak = (estimate(Levels.of_packets([5], [level])) for level in (STRONG, WEAK))
    assert strong.close.shape == (1,)
    assert weak.close[0] < 0.2 < 0.7 < strong.close[0] < 1
    assert strong.close_minutes <= 1
    assert strong.exposure is ExposureClass.NOT_CLOSE


def test_what_counts_as_close_can_be_asked() -> None:
    levels = steady(MIDDLE, 30)
    answers = [estimate(levels, metres=metres) for metres in (0.5, 1.0, 1.5, 2.0, 4.0, 50.0)]
    assert all(np.all(a.close < b.close) for a, b in pairwise(answers))
    assert answers[-1].close_minutes == pytest.approx(30, abs=0.1)


@pytest.mark.parametrize(
    ("probability", "kind"),
    [
        (0.0, "NOT_CLOSE"),
        (0.49, "NOT_CLOSE"),
        (0.5, "PROBABLE"),
        (0.74, "PROBABLE"),
        (0.75, "LIKELY"),
        (0.94, "LIKELY"),
        (0.95, "CERTAIN"),
        (1.0, "CERTAIN"),
    ],
)
def test_classes_begin_at_their_probability(probability: float, kind: str) -> None:
    assert ExposureClass.of(probability) is ExposureClass[kind]


# --- more and less evidence ----------------------------------------------------------------
@pytest.mark.parametrize("level", [54.0, MIDDLE, 58.0])
def test_more_minutes_of_the_same_level_never_make_the_answer_relatively_wider(
    level: float,
) -> None:
    relative = [width(estimate(steady(level, minutes))) / minutes for minutes in (15, 30, 60, 120)]
    # 200 draws know a width to a few per cent.
    assert all(b <= a * 1.1 for a, b in pairwise(relative)), relative
    assert relative[-1] < relative[0]


@pytest.mark.parametrize("every", [180.0, 240.0, 300.0])
def test_one_scan_in_minutes_gives_a_like_answer_and_a_wider_interval(every: float) -> None:
    dense_width = sparse_width = 0.0
    for level in (52.0, 54.0, 56.0, 58.0, 60.0):
        dense = estimate(steady(level, 60), USUAL, USUAL, OURS)
        sparse = estimate(scans(level, 60, every), USUAL, USUAL, OURS)
        assert sparse.close_minutes == pytest.approx(dense.close_minutes, abs=6)
        dense_width, sparse_width = dense_width + width(dense), sparse_width + width(sparse)
    assert sparse_width > dense_width
    assert estimate(scans(STRONG, 60, every)).exposure is ExposureClass.CERTAIN
    assert estimate(scans(WEAK, 60, every)).exposure is ExposureClass.NOT_CLOSE


def test_what_both_phones_heard_narrows_the_interval() -> None:
    time = np.tile(np.arange(0, 3600, 10.0), 2)
    own = np.repeat([True, False], 360)
    one, two = steady(MIDDLE, 60), Levels.of_packets(time, np.full(720, MIDDLE), own)
    assert width(estimate(two)) < width(estimate(one))


def test_it_does_not_matter_which_of_the_two_heard() -> None:
    mine, theirs = steady(MIDDLE, 30), steady(MIDDLE, 30, own=False)
    deaf, usual = Handset("Deaf"), USUAL
    assert np.allclose(
        estimate(mine, usual, deaf, OURS).close, estimate(theirs, deaf, usual, OURS).close
    )


@pytest.mark.parametrize(
    ("own", "peer"),
    [
        (Handset("Deaf"), USUAL),
        (USUAL, Handset("Deaf")),
        (Handset("Usual", Carriage.POCKET), USUAL),
        (USUAL, Handset("Usual", Carriage.BAG)),
        (Handset("Usual", diary_attenuation=63.0), USUAL),
    ],
)
def test_a_reason_for_weak_levels_brings_people_nearer(own: Handset, peer: Handset) -> None:
    levels = steady(58, 40)
    without, known = estimate(levels, USUAL, USUAL, OURS), estimate(levels, own, peer, OURS)
    assert np.all(known.close > without.close)
    assert known.close_minutes > without.close_minutes
    assert known.exposure_probability >= without.exposure_probability


@pytest.mark.parametrize(
    "own", [Handset("Usual", Carriage.HAND), Handset("Usual", diary_attenuation=50.0)]
)
def test_a_reason_for_strong_levels_takes_people_apart(own: Handset) -> None:
    levels = steady(58, 40)
    assert np.all(
        estimate(levels, own, USUAL, OURS).close < estimate(levels, USUAL, USUAL, OURS).close
    )


def test_unknown_models_make_the_answer_less_sure() -> None:
    for level in (50.0, MIDDLE):
        levels = steady(level, 60)
        known, unknown = (estimate(levels, h, h, OURS) for h in (USUAL, UNKNOWN))
        assert width(unknown) > width(known)
    strong = steady(50.0, 60)
    assert (
        estimate(strong, parameters=OURS).close[30] < estimate(strong, USUAL, USUAL, OURS).close[30]
    )


# --- meetings ------------------------------------------------------------------------------
def both(one: Levels, other: Levels) -> Levels:
    return Levels.of_packets(
        np.concatenate((one.time, other.time)), np.concatenate((one.attenuation, other.attenuation))
    )


def test_after_half_an_hour_apart_the_pair_is_judged_anew() -> None:
    first, second = steady(STRONG, 20, every=60), steady(60, 20, every=60, start=20 * 60 + 1860)
    answer = estimate(both(first, second))
    assert np.allclose(answer.close[:20], estimate(first).close)
    assert np.allclose(answer.close[20:], estimate(second).close)


def test_within_half_an_hour_the_pair_is_the_same_meeting() -> None:
    first, second = steady(STRONG, 20, every=60), steady(60, 20, every=60, start=20 * 60 + 1500)
    answer = estimate(both(first, second))
    assert np.all(answer.close[:20] < estimate(first).close)
    assert np.all(answer.close[20:] > estimate(second).close)


def test_a_day_together_is_answered_too() -> None:
    answer = estimate(steady(STRONG, 16 * 60, every=60))
    assert answer.close_minutes == pytest.approx(16 * 60, rel=0.03)
    assert answer.exposure is ExposureClass.CERTAIN


# --- always --------------------------------------------------------------------------------
handsets = st.builds(
    Handset,
    st.sampled_from([None, "Usual", "Deaf", "SM-A405FN", "?"]),
    st.sampled_from([None, *Carriage]),
    st.none() | st.floats(30, 90),
)
readings = st.lists(
    st.tuples(st.floats(0, 4 * 3600), st.floats(15, 110), st.booleans()), min_size=1, max_size=25
)
numbers = st.sampled_from([SHIPPED, OURS])
Rows = list[tuple[float, float, bool]]


def packets(rows: Rows, weaker: float = 0.0) -> Levels:
    time, attenuation, own = zip(*rows, strict=True)
    return Levels.of_packets(time, np.array(attenuation) + weaker, own)


def as_scans(rows: Rows, weaker: float = 0.0) -> Levels:
    time, attenuation, _ = zip(*rows, strict=True)
    return Levels.of_scans(time, np.array(attenuation) + weaker, 200.0)


@given(readings, handsets, handsets, numbers, st.sampled_from([packets, as_scans]))
def test_probabilities_and_minutes_are_possible(
    rows: Rows, own: Handset, peer: Handset, parameters: Parameters, form: object
) -> None:
    levels = form(rows)
    answer = estimate(levels, own, peer, parameters)
    spent = float(np.sum(levels.seconds)) / 60
    low, high = answer.interval
    assert answer.close.shape == answer.time.shape == answer.seconds.shape
    assert np.all((answer.close >= 0) & (answer.close <= 1))
    assert 0 <= low <= high <= spent + 1e-9
    assert 0 <= answer.close_minutes <= spent + 1e-9
    assert 0 <= answer.exposure_probability <= 1
    if spent < 15:
        assert answer.exposure_probability == 0
    # A tenth of the draws lies beyond either end; 0.15 is what 200 of them may err.
    assert answer.close_minutes <= 0.1 * spent + 0.9 * high + 0.15 * spent + 1e-6
    assert answer.close_minutes >= 0.9 * low - 0.15 * spent - 1e-6


@given(
    readings,
    st.floats(0.01, 25),
    handsets,
    handsets,
    numbers,
    st.sampled_from([packets, as_scans]),
)
def test_weaker_readings_never_raise_a_probability(
    rows: Rows, weaker: float, own: Handset, peer: Handset, parameters: Parameters, form: object
) -> None:
    before = estimate(form(rows), own, peer, parameters)
    after = estimate(form(rows, weaker), own, peer, parameters)
    assert np.all(after.close <= before.close + 1e-9)
    assert after.close_minutes <= before.close_minutes + 1e-9
    assert after.exposure_probability <= before.exposure_probability + 1e-9
    assert after.interval[0] <= before.interval[0] + 1e-9
    assert after.interval[1] <= before.interval[1] + 1e-9


@given(readings, handsets, handsets)
def test_an_estimate_repeats_exactly_in_any_order_of_packets(
    rows: Rows, own: Handset, peer: Handset
) -> None:
    once, again = (estimate(packets(rows), own, peer) for _ in range(2))
    assert once.close.tolist() == again.close.tolist()
    assert (once.interval, once.exposure_probability, once.close_minutes) == (
        again.interval,
        again.exposure_probability,
        again.close_minutes,
    )
    turned = estimate(packets(rows[::-1]), own, peer)
    assert np.allclose(turned.close, once.close, atol=1e-7)


@given(readings)
def test_faults_among_the_readings_change_nothing(rows: Rows) -> None:
    faults = [(NAN, 40.0, True), (100.0, NAN, True), (100.0, -148.0, False), (1e3, 200.0, True)]
    assert estimate(packets(rows + faults)).close.tolist() == estimate(packets(rows)).close.tolist()


def test_scans_at_a_time_that_stands_twice_are_answered() -> None:
    time, level = [0, 240, 240, 480, 480], [STRONG, STRONG, WEAK, STRONG, WEAK]
    answer = estimate(Levels.of_scans(time, level, 240))
    assert np.array_equal(
        answer.close, estimate(Levels.of_scans([0, 240, 480], STRONG * np.ones(3), 240)).close
    )


def test_scans_a_moment_apart_are_answered() -> None:
    time = np.arange(40) * 0.001
    answer = estimate(Levels.of_scans(time, np.full(40, STRONG), 1))
    assert np.all(np.isfinite(answer.close))
    assert np.all(answer.close > 0.8)


# --- oracles -------------------------------------------------------------------------------
CASES: dict[str, tuple[Rows, Handset, Handset]] = {
    "one packet": ([(10, 50, True)], UNKNOWN, UNKNOWN),
    "a few minutes": (
        [(10, 50, True), (15, 52, True), (70, 61, True), (200, 48, True), (330, 55, True)],
        UNKNOWN,
        USUAL,
    ),
    "both ways": (
        [(10, 58, True), (20, 51, False), (75, 60, True), (80, 66, False), (90, 62, False)]
        + [(60.0 * n + 5, 55.0 + n % 4, n % 3 > 0) for n in range(3, 30)],
        Handset("Deaf", Carriage.POCKET),
        Handset(None, Carriage.HAND, diary_attenuation=64.0),
    ),
}


def plain_posterior(
    levels: Levels, own: Handset, peer: Handset, p: Parameters
) -> tuple[np.ndarray, np.ndarray]:
    """Condition one big normal distribution, entry by entry: distances first, readings after."""
    moments, readings = len(levels.moment_time), len(levels)
    size = moments + readings
    when = [*levels.moment_time, *(levels.moment_time[m] for m in levels.moment)]
    mean, joint = np.zeros(size), np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            lag = abs(when[i] - when[j])
            covariance = p.distance_between**2 + p.distance_within**2 * math.exp(
                -lag / p.distance_seconds
            )
            for k in (i, j):
                covariance *= p.slope_db if k >= moments else 1.0
            if i >= moments and j >= moments:
                a, b = i - moments, j - moments
                covariance += p.pair_db**2 + p.shadow_db**2 * math.exp(-lag / p.shadow_seconds)
                if levels.own[a] == levels.own[b]:
                    receiver, sender = (own, peer) if levels.own[a] else (peer, own)
                    covariance += p.direction_db**2
                    covariance += 0 if receiver.model in p.models else p.receives_sd_db**2
                    covariance += 0 if sender.model in p.models else p.sends_sd_db**2
                if a == b:
                    covariance += p.minute_db**2 + p.packet_db**2 / levels.packets[a]
            joint[i, j] = covariance
    mean[:moments] = p.typical_distance
    for a in range(readings):
        receiver, sender = (own, peer) if levels.own[a] else (peer, own)
        mean[moments + a] = p.attenuation_db + plain_offset(receiver, sender, p)
    inverse = np.linalg.inv(joint[moments:, moments:])
    across = joint[:moments, moments:]
    return (
        mean[:moments] + across @ inverse @ (levels.attenuation - mean[moments:]),
        joint[:moments, :moments] - across @ inverse @ across.T,
    )


def plain_offset(receiver: Handset, sender: Handset, p: Parameters) -> float:
    nothing = ModelOffsets(0.0, 0.0)
    hears = p.models.get(str(receiver.model), nothing).receives_db
    offset = hears + p.models.get(str(sender.model), nothing).sends_db
    offset += sum(p.carriage_db[h.carriage] for h in (receiver, sender) if h.carriage)
    if receiver.diary_attenuation is not None:
        excess = receiver.diary_attenuation - hears - p.diary_attenuation_db
        offset += p.diary_weight * max(-p.diary_bound_db, min(p.diary_bound_db, excess))
    return offset


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Levels, Handset, Handset]:
    rows, own, peer = CASES[request.param]
    return packets(rows), own, peer


def test_probabilities_are_those_of_one_big_normal_distribution(
    case: tuple[Levels, Handset, Handset],
) -> None:
    levels, own, peer = case
    mean, covariance = plain_posterior(levels, own, peer, OURS)
    for metres in (1.0, 2.0, 3.0):
        expected = [
            NormalDist(m, math.sqrt(v)).cdf(math.log10(metres))
            for m, v in zip(mean, np.diag(covariance), strict=True)
        ]
        answer = estimate(levels, own, peer, OURS, metres=metres)
        assert np.allclose(answer.close, expected, atol=1e-9)
        assert answer.close_minutes == pytest.approx(levels.seconds @ expected / 60)


def test_intervals_and_exposures_are_those_of_many_draws(
    case: tuple[Levels, Handset, Handset],
) -> None:
    levels, own, peer = case
    mean, covariance = plain_posterior(levels, own, peer, OURS)
    drawn = np.random.default_rng(7).multivariate_normal(mean, covariance, 20_000)
    minutes = (drawn <= math.log10(2)) @ levels.seconds / 60
    answer = estimate(levels, own, peer, OURS)
    assert answer.exposure_probability == pytest.approx(np.mean(minutes >= 15), abs=0.09)
    # The ends lie where 10 % do: within what 200 draws can tell.
    assert np.quantile(minutes, 0.03) <= answer.interval[0] <= np.quantile(minutes, 0.2)
    assert np.quantile(minutes, 0.8) <= answer.interval[1] <= np.quantile(minutes, 0.97)


def test_a_world_that_is_played_out_agrees() -> None:
    """Draw distances and every influence, and keep the draws that sound like what was heard."""
    rng, p, count = np.random.default_rng(11), OURS, 1_500_000
    heard = ((True, 50.0), (False, 55.0))  # in one minute, one packet each way
    distance = rng.normal(
        p.typical_distance, math.hypot(p.distance_between, p.distance_within), count
    )
    shared = rng.normal(0, p.pair_db, count) + rng.normal(0, p.shadow_db, count)
    alike = np.ones(count, bool)
    for _, level in heard:
        attenuation = p.attenuation_db + p.slope_db * (distance - p.typical_distance) + shared
        for spread in (p.direction_db, p.sends_sd_db, p.receives_sd_db, p.minute_db, p.packet_db):
            attenuation += rng.normal(0, spread, count)
        alike &= np.abs(attenuation - level) < 0.5
    expected = np.mean(distance[alike] <= math.log10(2))
    answer = estimate(Levels.of_packets([1, 2], [50.0, 55.0], [True, False]), parameters=p)
    assert answer.close[0] == pytest.approx(expected, abs=0.02)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Meetings drawn from the numbers themselves: 80 % intervals hold about 80 %."""
    rng, p = np.random.default_rng(5), OURS
    held, said, true = [], [], []
    time = np.arange(40) * 60.0 + 30
    lag = np.abs(time[:, None] - time[None, :])
    moves = p.distance_within**2 * np.exp(-lag / p.distance_seconds)
    turns = p.shadow_db**2 * np.exp(-lag / p.shadow_seconds)
    for _ in range(300):
        distance = p.typical_distance + rng.normal(0, p.distance_between)
        distance = distance + rng.multivariate_normal(np.zeros(40), moves)
        levels = p.attenuation_db + p.slope_db * (distance - p.typical_distance)
        levels += rng.normal(0, math.hypot(p.pair_db, p.direction_db))
        levels += rng.multivariate_normal(np.zeros(40), turns)
        levels += rng.normal(0, math.hypot(p.minute_db, p.packet_db), 40)
        answer = estimate(Levels.of_packets(time, levels), USUAL, USUAL, p)
        minutes = float(np.sum(distance <= math.log10(2)))
        held.append(answer.interval[0] <= minutes <= answer.interval[1])
        said.append(answer.exposure_probability)
        true.append(minutes >= 15)
    assert 0.74 <= np.mean(held) <= 0.93
    assert np.mean(said) == pytest.approx(np.mean(true), abs=0.05)


@settings(max_examples=20)
@given(readings, st.floats(-1e5, 1e5))
def test_when_a_meeting_was_does_not_matter(rows: Rows, later: float) -> None:
    later = 60.0 * round(later)
    moved = [(time + later, attenuation, own) for time, attenuation, own in rows]
    assume(all((t + later) // 60 == t // 60 + later // 60 for t, _, _ in rows))
    assert np.allclose(estimate(packets(moved)).close, estimate(packets(rows)).close, atol=1e-7)


def test_parameters_without_an_influence_do_without_it() -> None:
    """No direction, no shadow, no unknown models: still an answer."""
    bare = replace(OURS, direction_db=0.0, shadow_db=0.0, sends_sd_db=0.0, receives_sd_db=0.0)
    assert estimate(steady(STRONG, 60), parameters=bare).exposure is ExposureClass.CERTAIN
