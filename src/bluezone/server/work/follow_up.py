"""Which tasks the rules want of somebody, by rank and last exposure. Pure.

Planned again whenever something changes and every hour: what is there already stays, what is no
longer wanted is stopped, what somebody cancelled by hand stays cancelled.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from bluezone.protocol.intervals import vietnam_day, vietnam_time
from bluezone.server.work.rules import (
    DAY_ENDS,
    HOUR,
    Stop,
    TaskKind,
    TaskState,
    at_hour,
    before_night,
    by_day,
)

CASE: Final = 0  # the rank of an active case
NEXT_OF_CASE: Final = "next-of-case"
NEXT_OF_CONTACT: Final = "next-of-contact"
_ONE_ILLNESS_DAYS: Final = 90  # positive again within this time is the same illness
_SOON: Final = 2 * HOUR
_CHECK: Final = TaskKind.QUARANTINE_CHECK
# Tasks that other duties asked for are theirs to stop.
_OWN: Final = frozenset(
    one.value for one in (TaskKind.INTERVIEW, TaskKind.CALL, TaskKind.TEST, _CHECK)
)

_Ranks = frozenset[int]
_Days = Annotated[int, msgspec.Meta(ge=0, le=60)]


class FollowUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rule `follow-up`, version 0: what a case and a contact are owed. Ours to judge, to be
    replaced by what the Ministry decrees."""

    interview_hours: Annotated[int, msgspec.Meta(ge=1, le=168)] = 24
    # By rank; ranks that are not named are not called.
    first_call_hours: dict[int, Annotated[int, msgspec.Meta(ge=1, le=336)]] = msgspec.field(
        default_factory=lambda: {1: 24, 2: 48}
    )
    tested_ranks: _Ranks = frozenset({1})
    test_days: tuple[_Days, ...] = (1, 7, 14)  # after the last exposure
    tests_apart_days: _Days = 2  # one that near counts for the day
    late_test_days: _Days = 3  # after the end of the follow-up
    checked_ranks: _Ranks = frozenset({1})
    by_hour: Annotated[int, msgspec.Meta(ge=9, le=20)] = 18  # tests and checks of a day


@dataclass(frozen=True, slots=True)
class Followed:
    """Somebody as they stand; `rank` None: neither case nor contact.

    `days`: how long a follow-up lasts, by the rules of ranks.
    """

    rank: int | None
    last_exposed_on: dt.date | None
    days: int


@dataclass(frozen=True, slots=True)
class Made:
    """A task that a rule made. `rule` and `occasion` are its `made_by` without the person."""

    id: int
    kind: TaskKind
    rule: str
    occasion: str
    state: TaskState
    made_on: dt.date
    closed_on: dt.date | None = None
    stop: Stop | None = None  # of a cancelled one


@dataclass(frozen=True, slots=True)
class Wanted:
    """A task that should exist."""

    kind: TaskKind
    occasion: str
    due_at: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done so that the tasks are as the rules want them."""

    make: tuple[Wanted, ...] = ()
    reopen: tuple[tuple[int, int], ...] = ()  # id, when due
    stop: tuple[tuple[int, Stop], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.make or self.reopen or self.stop)


def plan(rules: FollowUp, person: Followed, made: Sequence[Made], now: int) -> Plan:
    """What to make, to open again and to stop at `now` (Unix seconds)."""
    today = vietnam_day(now)
    # Merged records can have the same occasion twice: then the one that lasts counts.
    known = {
        (one.kind, one.occasion): one
        for one in sorted(made, key=lambda one: one.state is not TaskState.CANCELLED)
        if one.rule in _OWN and one.stop is not Stop.DOUBLE
    }
    asked = [
        *_interview(rules, person, made, now, today),
        *_call(rules, person, made, now, today),
        *_test(rules, person, made, now, today),
    ]
    if not any(_told_today(known.get((one.kind, one.occasion)), one, today) for one in asked):
        asked += _check(rules, person, made, now, today)
    wanted = {(one.kind, one.occasion): one for one in asked}
    stops = []
    for one in made:
        if one.state is not TaskState.OPEN:
            continue
        if one.rule in _OWN and (one.kind, one.occasion) not in wanted:
            stops.append((one.id, _why(rules, one, person)))
        elif one.rule in (NEXT_OF_CASE, NEXT_OF_CONTACT) and _is_over(one.rule, person):
            stops.append((one.id, Stop.NOT_NEEDED))
    make, reopen = [], []
    for key, want in wanted.items():
        there = known.get(key)
        if there is None:
            make.append(want)
        elif there.state is TaskState.CANCELLED and there.stop is not Stop.BY_HAND:
            reopen.append((there.id, want.due_at))
    return Plan(tuple(make), tuple(reopen), tuple(stops))


def _interview(
    rules: FollowUp, person: Followed, made: Sequence[Made], now: int, today: dt.date
) -> Iterator[Wanted]:
    if person.rank != CASE:
        return
    due_at = _within(rules.interview_hours, now)
    for one in _lasting(made, TaskKind.INTERVIEW):
        if (today - dt.date.fromisoformat(one.occasion)).days <= _ONE_ILLNESS_DAYS:
            yield Wanted(TaskKind.INTERVIEW, one.occasion, due_at)
            return
    yield Wanted(TaskKind.INTERVIEW, today.isoformat(), due_at)


def _call(
    rules: FollowUp, person: Followed, made: Sequence[Made], now: int, today: dt.date
) -> Iterator[Wanted]:
    rank, last = person.rank, person.last_exposed_on
    if rank is None or rank == CASE or last is None or rank not in rules.first_call_hours:
        return
    if (today - last).days > person.days:
        return
    due_at = _within(rules.first_call_hours[rank], now)
    for one in _lasting(made, TaskKind.CALL):
        its_rank, its_day = _rank_and_day(one.occasion)
        if abs((last - its_day).days) > person.days:
            continue
        if its_rank == rank or (its_rank < rank and one.state is TaskState.DONE):
            # Called already, or about to be: a later exposure is no reason to call once more.
            yield Wanted(TaskKind.CALL, one.occasion, due_at)
            return
    yield Wanted(TaskKind.CALL, f"F{rank}:{last.isoformat()}", due_at)


def _test(
    rules: FollowUp, person: Followed, made: Sequence[Made], now: int, today: dt.date
) -> Iterator[Wanted]:
    last = person.last_exposed_on
    if person.rank not in rules.tested_ranks or last is None or person.rank == CASE:
        return
    if (today - last).days > person.days + rules.late_test_days:
        return
    targets = [last + dt.timedelta(days=days) for days in rules.test_days]
    target = max((day for day in targets if day <= today), default=None)
    if target is None:
        return
    due_at = _by_hour(rules, target, now)
    near = target - dt.timedelta(days=rules.tests_apart_days)
    for one in _lasting(made, TaskKind.TEST):
        if near < dt.date.fromisoformat(one.occasion) <= today:
            yield Wanted(TaskKind.TEST, one.occasion, due_at)
            return
    other = any(
        one.kind is TaskKind.TEST
        and one.rule != TaskKind.TEST.value
        and one.state is not TaskState.CANCELLED
        and near < one.made_on
        for one in made
    )
    if not other and (today - last).days <= person.days:
        yield Wanted(TaskKind.TEST, target.isoformat(), due_at)


def _check(
    rules: FollowUp, person: Followed, made: Sequence[Made], now: int, today: dt.date
) -> Iterator[Wanted]:
    last = person.last_exposed_on
    if person.rank not in rules.checked_ranks or last is None or person.rank == CASE:
        return
    if not 0 < (today - last).days <= person.days:
        return
    known = any(one.occasion == today.isoformat() for one in made if one.kind is _CHECK)
    if vietnam_time(now).hour >= DAY_ENDS and not known:
        return  # too late for today
    yield Wanted(_CHECK, today.isoformat(), _by_hour(rules, today, now))


def _told_today(there: Made | None, want: Wanted, today: dt.date) -> bool:
    """Who is called for the first time is told and asked all that a check would ask."""
    if want.kind is not TaskKind.CALL:
        return False
    if there is None or there.state is TaskState.OPEN or there.closed_on == today:
        return True
    return there.state is TaskState.CANCELLED and there.stop is not Stop.BY_HAND


def _lasting(made: Iterable[Made], kind: TaskKind) -> Iterator[Made]:
    """Those of a kind that the rules made and did not stop, the latest first."""
    mine = [
        one
        for one in made
        if one.kind is kind
        and one.rule == kind.value
        and (one.state is not TaskState.CANCELLED or one.stop is Stop.BY_HAND)
    ]
    return iter(sorted(mine, key=lambda one: (one.state is TaskState.OPEN, one.id), reverse=True))


def _is_over(rule: str, person: Followed) -> bool:
    if rule == NEXT_OF_CASE:
        return person.rank != CASE
    return person.rank is None or person.rank == CASE


def _why(rules: FollowUp, one: Made, person: Followed) -> Stop:
    still = {
        TaskKind.TEST: person.rank in rules.tested_ranks,
        TaskKind.QUARANTINE_CHECK: person.rank in rules.checked_ranks,
    }
    is_case = person.rank == CASE
    return Stop.MISSED if still.get(one.kind) and not is_case else Stop.NOT_NEEDED


def _rank_and_day(occasion: str) -> tuple[int, dt.date]:
    rank, _colon, day = occasion.removeprefix("F").partition(":")
    return int(rank), dt.date.fromisoformat(day)


def _by_hour(rules: FollowUp, day: dt.date, now: int) -> int:
    """The hour of a day by which its work is done; found late, within two hours."""
    due_at = at_hour(day, rules.by_hour)
    return due_at if due_at > now else by_day(now + _SOON)


def _within(hours: int, now: int) -> int:
    """At most so many hours from now, and not in the night."""
    due_at = before_night(now + hours * HOUR)
    return due_at if due_at > now else by_day(now + hours * HOUR)
