"""Unusual looking: what is counted, and from how many on somebody should ask why.

None of this proves anything. An outbreak makes a day's work look like copying, and who looks after
a relative by duty looks like who is curious. So nobody is locked out by a rule; a person who knows
the unit asks, and writes down what they heard.
"""

import datetime as dt
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from bluezone.protocol.intervals import vietnam_time
from bluezone.server.audit.rules import Purpose

RULES_KIND: Final = "looking"
_HOUR: Final = 3600
WINDOW_SECONDS: Final = 7 * 24 * _HOUR  # the longest that a rule looks back


class Unusual(StrEnum):
    """Why somebody is asked."""

    MANY = "many-persons"  # different people within an hour
    NO_REASON = "without-reason"  # people for whom the own unit has neither case nor task
    HOTLINE = "hotline"  # the same, said to be callers
    NIGHT = "night"
    NAMESAKE = "same-name"  # people called as the account is
    ONE_PERSON = "one-person"  # one person again and again
    EMPTY_SEARCHES = "empty-searches"  # in a row: trying out who is known here


class Answer(StrEnum):
    """What came of asking."""

    EXPLAINED = "explained"
    WARNED = "warned"
    PASSED_ON = "passed-on"


class LookingRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """More than so many are told. Version 0; the rulebook may hold later ones."""

    persons_an_hour: int = 60
    without_reason_a_day: int = 5
    callers_a_day: int = 80
    night_from: int = 22  # hours of the Vietnamese day
    night_until: int = 5
    persons_a_night: int = 20
    namesakes_a_day: int = 0
    hours_with_one_person: int = 12  # within a week, each hour counted once
    empty_searches: int = 8


SHIPPED: Final = LookingRules()


@dataclass(frozen=True, slots=True)
class Look:
    """One account opened one person's record."""

    at: int
    person: int
    purpose: str
    has_reason: bool  # a case or task of the account's unit
    is_namesake: bool


@dataclass(frozen=True, slots=True)
class Search:
    """One account searched for people."""

    at: int
    found: int


@dataclass(frozen=True, slots=True)
class Found:
    """A rule's number was passed: the most that was counted, in what time."""

    rule: Unusual
    day: str  # ISO, Vietnamese calendar, of the last
    count: int
    first_at: int
    last_at: int


def unusual(
    looks: Sequence[Look], searches: Sequence[Search], rules: LookingRules, since: int
) -> list[Found]:
    """What is unusual in one account's looks and searches, of what ended after `since`.

    Both oldest first, over WINDOW_SECONDS before. At most one for each rule and day.
    """
    groups = (
        _most(Unusual.MANY, rules.persons_an_hour, _sliding(looks, _HOUR)),
        _daily(
            Unusual.NO_REASON,
            (one for one in looks if not one.has_reason and one.purpose != Purpose.HOTLINE),
            rules.without_reason_a_day,
        ),
        _daily(
            Unusual.HOTLINE,
            (one for one in looks if not one.has_reason and one.purpose == Purpose.HOTLINE),
            rules.callers_a_day,
        ),
        _daily(
            Unusual.NIGHT,
            (one for one in looks if _is_night(one.at, rules)),
            rules.persons_a_night,
            # A night belongs to the day on which it began.
            lambda at: _day(at - rules.night_until * _HOUR),
        ),
        _daily(Unusual.NAMESAKE, (one for one in looks if one.is_namesake), rules.namesakes_a_day),
        _one_person(looks, rules.hours_with_one_person),
        _empty(searches, rules.empty_searches),
    )
    best: dict[tuple[Unusual, str], Found] = {}
    for one in (one for group in groups for one in group if one.last_at > since):
        known = best.get((one.rule, one.day))
        if known is None or one.count > known.count:
            best[one.rule, one.day] = one
    return list(best.values())


def _sliding(looks: Sequence[Look], seconds: int) -> Iterator[tuple[int, int, int]]:
    """At each look: how many different people since `seconds` before, the first time, the last."""
    window: deque[Look] = deque()
    people: Counter[int] = Counter()
    for one in looks:
        window.append(one)
        people[one.person] += 1
        while window[0].at <= one.at - seconds:
            gone = window.popleft()
            people[gone.person] -= 1
            if not people[gone.person]:
                del people[gone.person]
        yield len(people), window[0].at, one.at


def _most(rule: Unusual, limit: int, counted: Iterable[tuple[int, int, int]]) -> Iterator[Found]:
    for count, first, last in counted:
        if count > limit:
            yield Found(rule, _day(last), count, first, last)


def _daily(
    rule: Unusual,
    looks: Iterable[Look],
    limit: int,
    day_of: Callable[[int], str] | None = None,
) -> Iterator[Found]:
    by_day: dict[str, list[Look]] = {}
    for one in looks:
        by_day.setdefault((day_of or _day)(one.at), []).append(one)
    for day, ones in by_day.items():
        count = len({one.person for one in ones})
        if count > limit:
            yield Found(rule, day, count, ones[0].at, ones[-1].at)


def _one_person(looks: Sequence[Look], limit: int) -> Iterator[Found]:
    hours: dict[int, dict[int, int]] = {}
    for one in looks:
        mine = hours.setdefault(one.person, {})
        mine.setdefault(one.at // _HOUR, one.at)
        since = (one.at - WINDOW_SECONDS) // _HOUR
        recent = [at for hour, at in mine.items() if hour > since]
        if len(recent) > limit:
            yield Found(Unusual.ONE_PERSON, _day(one.at), len(recent), min(recent), one.at)


def _empty(searches: Sequence[Search], limit: int) -> Iterator[Found]:
    row: list[Search] = []
    for one in searches:
        # A pause of an hour is another question.
        if one.found or (row and one.at > row[-1].at + _HOUR):
            row = []
        if not one.found:
            row.append(one)
        if len(row) > limit:
            yield Found(Unusual.EMPTY_SEARCHES, _day(one.at), len(row), row[0].at, one.at)


def _is_night(at: int, rules: LookingRules) -> bool:
    hour = vietnam_time(at).hour
    if rules.night_from > rules.night_until:
        return hour >= rules.night_from or hour < rules.night_until
    return rules.night_from <= hour < rules.night_until


def _day(at: int) -> str:
    day: dt.date = vietnam_time(at).date()
    return day.isoformat()
