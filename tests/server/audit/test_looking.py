"""Unusual looking: what is told, and above all what is not."""

from hypothesis import given
from hypothesis import strategies as st

from bluezone.protocol.intervals import vietnam_time
from bluezone.server.audit.looking import (
    Look,
    LookingRules,
    Search,
    Unusual,
    unusual,
)

MORNING = 1_611_104_400  # 2021-01-20 08:00 in Vietnam
RULES = LookingRules()
HOUR = 3600


def looks(
    people: range | list[int],
    *,
    start: int = MORNING,
    apart: int = 30,
    reason: bool = True,
    namesake: bool = False,
    purpose: str = "tracing",
) -> list[Look]:
    return [
        Look(start + number * apart, person, purpose, reason, namesake)
        for number, person in enumerate(people)
    ]


def told(seen: list[Look], searches: list[Search] | None = None, since: int = 0) -> dict[str, int]:
    return {one.rule: one.count for one in unusual(seen, searches or [], RULES, since)}


def test_a_day_of_work_is_not_told() -> None:
    """Sixty contacts called in a morning, each opened twice, a few of them of another unit."""
    day = [
        one for person in range(60) for one in looks([person, person], start=MORNING + 300 * person)
    ]
    day += looks(range(100, 105), reason=False, start=MORNING + 5 * HOUR)
    assert told(sorted(day, key=lambda one: one.at)) == {}


def test_many_people_within_an_hour() -> None:
    assert told(looks(range(61), apart=58)) == {"many-persons": 61}
    assert told(looks(range(61), apart=61)) == {}
    assert told(looks([1] * 500, apart=5)) == {}  # one person, however often


def test_people_without_reason_and_callers_who_are_many() -> None:
    assert told(looks(range(6), reason=False)) == {"without-reason": 6}
    assert told(looks(range(6), reason=False, purpose="hotline")) == {}
    many = looks(range(81), reason=False, purpose="hotline", apart=120)
    assert told(many) == {"hotline": 81}
    # Five on each of two days are no ten.
    two_days = looks(range(5), reason=False) + looks(
        range(5, 10), reason=False, start=MORNING + 24 * HOUR
    )
    assert told(two_days) == {}


def test_a_night_is_one_across_midnight() -> None:
    late = MORNING + 15 * HOUR  # 23:00
    assert vietnam_time(late).hour == 23
    assert told(looks(range(21), start=late, apart=600)) == {"night": 21}  # until 02:20
    [found] = unusual(looks(range(21), start=late, apart=600), [], RULES, 0)
    assert found.day == "2021-01-20"
    assert told(looks(range(20), start=late, apart=600)) == {}


def test_ones_own_name_and_one_person_again_and_again() -> None:
    assert told(looks([7], namesake=True)) == {"same-name": 1}
    assert told(looks([7] * 13, apart=HOUR)) == {"one-person": 13}
    assert told(looks([7] * 13, apart=HOUR // 2)) == {}  # in seven hours
    assert told(looks([7] * 13, apart=15 * HOUR)) == {}  # in more than a week


def test_searches_that_find_nobody() -> None:
    nobody = [Search(MORNING + n * 20, 0) for n in range(9)]
    assert told([], nobody) == {"empty-searches": 9}
    found = [*nobody[:5], Search(MORNING + 110, 3), *nobody[5:]]
    found.sort(key=lambda one: one.at)
    assert told([], found) == {}
    pauses = [Search(MORNING + n * 2 * HOUR, 0) for n in range(30)]
    assert told([], pauses) == {}


def test_what_was_told_before_is_not_told_again() -> None:
    seen = looks(range(70), apart=10)
    assert told(seen, since=seen[-1].at) == {}
    assert told(seen, since=seen[-2].at) == {"many-persons": 70}


@given(
    st.lists(
        st.builds(
            Look,
            st.integers(MORNING, MORNING + 7 * 24 * HOUR),
            st.integers(1, 80),
            st.sampled_from(["tracing", "hotline", "case"]),
            st.booleans(),
            st.booleans(),
        ),
        max_size=150,
    ).map(lambda seen: sorted(seen, key=lambda one: one.at))
)
def test_whatever_comes_each_rule_is_told_once_a_day_and_counts_what_happened(
    seen: list[Look],
) -> None:
    found = unusual(seen, [], RULES, 0)
    assert len({(one.rule, one.day) for one in found}) == len(found)
    people = len({one.person for one in seen})
    for one in found:
        assert one.first_at <= one.last_at
        if one.rule is not Unusual.ONE_PERSON:
            assert one.count <= people
