"""Padding users against users as phones report them: no field, alone or together, tells them."""

import random
from collections import Counter
from collections.abc import Callable, Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from bluezone.protocol.deployment import ROLLING_PERIOD
from bluezone.protocol.intervals import interval_number
from bluezone.protocol.keys import DiagnosisKey, ReportType, TemporaryExposureKey
from bluezone.protocol.padding import MIN_TEMPLATES, synthetic_users

_NOON = 18_646 * 86_400 + 12 * 3600  # a day in January 2021


def _reported(report_time: float, rng: random.Random) -> list[DiagnosisKey]:
    """The keys a phone uploads: full days, then today's, ended by the report."""
    end = interval_number(report_time) + 1
    today = (end - 1) // ROLLING_PERIOD
    onset = rng.choice([None, *range(today - 9, today)])
    report_type = rng.choice(
        [ReportType.CONFIRMED_TEST] * 9 + [ReportType.CONFIRMED_CLINICAL_DIAGNOSIS]
    )
    first = today - rng.choice([3, 8, 14, 14, 14])
    return [
        DiagnosisKey(
            TemporaryExposureKey(
                rng.randbytes(16),
                day * ROLLING_PERIOD,
                end - today * ROLLING_PERIOD if day == today else ROLLING_PERIOD,
            ),
            report_type,
            None if onset is None else day - onset,
        )
        for day in range(first, today + 1)
    ]


def _hour_of_reports(count: int, now: float, rng: random.Random) -> list[list[DiagnosisKey]]:
    return [_reported(now - rng.random() * 3600, rng) for _ in range(count)]


def _assert_as_a_phone_reports(user: Sequence[DiagnosisKey], now: float) -> None:
    """What the service demands of an upload, and phones never do otherwise."""
    starts = [row.tek.rolling_start for row in user]
    assert starts == sorted(set(starts))
    assert all(start % ROLLING_PERIOD == 0 for start in starts)
    assert all(row.tek.rolling_period == ROLLING_PERIOD for row in user[:-1])
    assert 1 <= user[-1].tek.rolling_period <= ROLLING_PERIOD
    assert user[-1].tek.rolling_end <= interval_number(now) + 1
    assert len({row.report_type for row in user}) == 1
    onsets = {
        None
        if row.days_since_onset is None
        else row.tek.rolling_start // ROLLING_PERIOD - row.days_since_onset
        for row in user
    }
    assert len(onsets) == 1, "days since onset must count from one day along the chain"


@settings(max_examples=60)
@given(
    st.integers(0, 2**32),
    st.integers(0, 40),
    st.integers(1, 600),
    st.integers(0, 86_399),
)
def test_every_synthetic_user_could_be_a_phone(
    seed: int, reports: int, wanted: int, time_of_day: int
) -> None:
    rng = random.Random(seed)
    now = _NOON - _NOON % 86_400 + time_of_day + 0.5
    real = _hour_of_reports(reports, now, rng)
    users = synthetic_users(real, wanted, now, rng)
    for user in users:
        _assert_as_a_phone_reports(user, now)
    count = sum(map(len, users))
    assert wanted <= count < wanted + 15
    keys = [row.tek.key for user in [*real, *users] for row in user]
    assert len(set(keys)) == len(keys)


def test_the_built_in_users_are_varied_and_end_within_the_window() -> None:
    users = synthetic_users([], 3000, _NOON, random.Random(1))
    sizes = Counter(map(len, users))
    assert set(sizes) == set(range(1, 16))
    assert 0.5 < sizes[15] / len(users) < 0.75
    ends = Counter(user[-1].tek.rolling_end for user in users)
    last = interval_number(_NOON) + 1
    assert set(ends) == set(range(last - 6, last))  # _NOON is the very end of an interval
    onset_known = sum(user[0].days_since_onset is not None for user in users) / len(users)
    assert 0.5 < onset_known < 0.9


_FIELDS: dict[str, Callable[[DiagnosisKey], object]] = {
    "rolling start": lambda row: row.tek.rolling_start,
    "rolling period": lambda row: row.tek.rolling_period,
    "report type": lambda row: row.report_type,
    "days since onset": lambda row: row.days_since_onset,
    "first byte of the key": lambda row: row.tek.key[0] // 16,
    "all fields together": lambda row: (
        row.tek.rolling_start,
        row.tek.rolling_period == ROLLING_PERIOD,
        row.report_type,
        row.days_since_onset,
    ),
}


def _distance(real: Counter[object], synthetic: Counter[object]) -> float:
    """Total variation distance of two samples: how much better than a guess one could tell."""
    total_real, total_synthetic = real.total(), synthetic.total()
    values = real.keys() | synthetic.keys()
    return sum(abs(real[v] / total_real - synthetic[v] / total_synthetic) for v in values) / 2


@pytest.mark.parametrize("field", _FIELDS)
def test_no_field_tells_synthetic_keys_from_real_ones(field: str) -> None:
    rng = random.Random(field)
    real = _hour_of_reports(3000, _NOON, rng)
    other_real = _hour_of_reports(3000, _NOON, rng)
    synthetic = synthetic_users(real, sum(map(len, real)), _NOON, rng)

    def sample(users: list[list[DiagnosisKey]]) -> Counter[object]:
        return Counter(_FIELDS[field](row) for user in users for row in user)

    chance = _distance(sample(real), sample(other_real))  # two samples of people differ too
    assert _distance(sample(real), sample(synthetic)) < 1.5 * chance + 0.01


def test_padding_drawn_otherwise_would_be_told() -> None:
    """The statistic above has teeth: single random full-day keys fail it."""
    rng = random.Random(3)
    real = _hour_of_reports(300, _NOON, rng)
    periods = Counter(row.tek.rolling_period for user in real for row in user)
    full_days: Counter[int] = Counter({ROLLING_PERIOD: 1000})
    assert _distance(Counter(periods), Counter(full_days)) > 0.05


def test_an_unusual_person_has_lookalikes() -> None:
    """One real report in the hour: everything about it but the time comes again in padding."""
    rng = random.Random(5)
    unusual = _reported(_NOON - 600, rng)[-2:]
    unusual = [
        DiagnosisKey(row.tek, ReportType.CONFIRMED_CLINICAL_DIAGNOSIS, 12 + i)
        for i, row in enumerate(unusual)
    ]
    users = synthetic_users([unusual], 20 * MIN_TEMPLATES * 15, _NOON, rng)
    lookalikes = [
        user
        for user in users
        if [row.days_since_onset for row in user] == [12, 13]
        and user[0].report_type == unusual[0].report_type
    ]
    assert len(lookalikes) >= 20
    assert len({user[-1].tek.rolling_period for user in lookalikes}) > 3


def test_a_report_just_after_the_key_day_turns_moves_whole_chains() -> None:
    rng = random.Random(7)
    midnight = _NOON - _NOON % 86_400
    real = _hour_of_reports(40, midnight + 1200, rng)
    users = synthetic_users(real, 2000, midnight + 1200, rng)
    last_days = {(user[-1].tek.rolling_end - 1) // ROLLING_PERIOD for user in users}
    assert len(last_days) == 2
    for user in users:
        _assert_as_a_phone_reports(user, midnight + 1200)


def test_a_report_that_waited_for_the_network_is_imitated_where_it_is() -> None:
    rng = random.Random(9)
    late = _reported(_NOON - 9 * 3600, rng)
    users = synthetic_users([late], 3000, _NOON, rng)
    early = [user for user in users if user[-1].tek.rolling_end < interval_number(_NOON) - 6]
    assert len(early) >= len(users) // MIN_TEMPLATES
    ends = {user[-1].tek.rolling_end - late[-1].tek.rolling_end for user in early}
    assert ends <= set(range(-6, 7))
    assert len(ends) > 3


def test_nothing_wanted_is_nothing_made() -> None:
    assert synthetic_users([], 0, _NOON, random.Random(1)) == []
