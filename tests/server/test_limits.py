"""Limits hold for any rule and any pattern of calls, and one subscriber is one subject."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluezone.clock import ManualClock
from bluezone.server import limits
from bluezone.server.errors import Refused
from bluezone.server.limits import Budget, Limits, Rule, client_subject


@given(
    burst=st.integers(1, 20),
    seconds=st.integers(1, 600),
    gaps=st.lists(st.floats(0, 60), max_size=150),
)
def test_never_more_than_twice_the_burst_in_a_window(
    burst: int, seconds: int, gaps: list[float]
) -> None:
    clock = ManualClock(1e9)
    limiter, rule, passed = Limits(clock), Rule("r", burst, seconds), []
    for gap in gaps:
        clock.advance(gap)
        try:
            limiter.spend(rule, "x")
        except Refused:
            pass
        else:
            passed.append(clock.now())
    for start in passed:
        assert sum(start <= at < start + seconds for at in passed) <= 2 * burst


def test_a_full_burst_passes_and_waiting_as_told_helps() -> None:
    clock = ManualClock(1e9)
    limiter, rule = Limits(clock), Rule("r", 5, 60)
    for _ in range(5):
        limiter.spend(rule, "x")
    with pytest.raises(Refused) as refused:
        limiter.spend(rule, "x")
    assert refused.value.status_code == 429
    limiter.spend(rule, "y")
    limiter.spend(Rule("other", 1, 60), "x")
    clock.advance(int((refused.value.headers or {})["Retry-After"]))
    limiter.spend(rule, "x")


def test_requiring_does_not_count() -> None:
    limiter, rule = Limits(ManualClock(1e9)), Rule("r", 1, 60)
    for _ in range(9):
        limiter.require(rule)
    limiter.spend(rule)
    with pytest.raises(Refused):
        limiter.require(rule)


def test_a_flood_of_subjects_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MAX_SUBJECTS", 100)
    limiter, rule = Limits(ManualClock(1e9)), Rule("r", 1, 60)
    for number in range(1000):
        limiter.spend(rule, str(number))
        assert len(limiter._empty_at) <= 100


@pytest.mark.parametrize(
    ("host", "subject"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        (None, "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_subjects(host: str | None, subject: str) -> None:
    assert client_subject(host) == subject


def test_a_spent_budget_leaves_every_network_a_little() -> None:
    counted = Limits(ManualClock(0))
    budget = Budget(Rule("mine", 3, 60), Rule("all", 5, 60), beyond=Rule("beyond", 1, 60))
    for _ in range(3):
        budget.spend(counted, "203.0.113.1")
    with pytest.raises(Refused):
        budget.spend(counted, "203.0.113.1")
    for number in range(2, 4):
        budget.spend(counted, f"203.0.113.{number}")
    # Now all together have spent theirs. Who has done nothing yet may still do one thing.
    budget.spend(counted, "2001:db8:1::1")
    for same_subscriber in ("2001:db8:1::1", "2001:db8:1:2::1", "203.0.113.2"):
        with pytest.raises(Refused):
            budget.spend(counted, same_subscriber)
    budget.spend(counted, "2001:db8:2::1")
