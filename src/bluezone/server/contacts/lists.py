"""The line list of contacts, and how many of them only phones found."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import VIETNAM, vietnam_day
from bluezone.server.contacts import rules
from bluezone.server.contacts.rules import KnownBy, RankRules
from bluezone.server.contacts.tables import Rank
from bluezone.server.errors import Refused
from bluezone.server.people.scope import Scope
from bluezone.server.places.units import NATION, full_name
from bluezone.server.register.tables import Person
from bluezone.web.catalogue import _

ROWS: Final = 50
_PHONE: Final = rules.KNOWN_BY_BITS[KnownBy.PHONE]


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list shows: F1 if nothing else is said."""

    rank: int = 1
    unit: str = NATION
    known_by: str = ""  # a KnownBy, or "only-phone"
    follow_up: str = ""  # "going-on", "over"


@dataclass(frozen=True, slots=True)
class Line:
    """One contact of the list."""

    person_id: int
    unit: str
    rank: int
    derived: int | None
    last_exposed_on: str | None
    follow_up_until: str | None
    known_by: tuple[KnownBy, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Some of the list, and what asks for the next ones ("": the end)."""

    lines: list[Line]
    after: str


async def contacts_in(
    session: AsyncSession,
    scope: Scope,
    filters: Filters,
    rule: RankRules,
    today: dt.date,
    after: str = "",
) -> Lines:
    """Contacts within scope that pass, the last exposure first, ROWS at a time."""
    conditions = [
        Rank.shown == filters.rank,
        *_within(scope, filters.unit),
        *_known_by(filters.known_by),
    ]
    first_day = (today - dt.timedelta(days=rule.follow_up_days)).isoformat()
    if filters.follow_up == "going-on":
        conditions.append(Rank.last_exposed_on >= first_day)
    elif filters.follow_up == "over":
        conditions.append(or_(Rank.last_exposed_on < first_day, Rank.last_exposed_on.is_(None)))
    # Who has the rank by decision alone may have no day: "" sorts them last on both stores.
    day = func.coalesce(Rank.last_exposed_on, "")
    if after:
        conditions.append(_behind(day, after))
    rows = (
        await session.execute(
            select(
                Rank.person_id, Person.unit, Rank.shown, Rank.rank, Rank.last_exposed_on,
                Rank.known_by,
            )
            .join(Person, Person.id == Rank.person_id)
            .where(*conditions)
            .order_by(day.desc(), Rank.person_id.desc())
            .limit(ROWS + 1)
        )
    ).all()  # fmt: skip
    lines = [
        Line(
            row.person_id,
            row.unit,
            row.shown,
            row.rank,
            row.last_exposed_on,
            rules.follow_up_until(row.last_exposed_on, rule),
            tuple(one for one, bit in rules.KNOWN_BY_BITS.items() if row.known_by & bit),
        )
        for row in rows[:ROWS]
    ]
    last = lines[-1] if len(rows) > ROWS else None
    return Lines(lines, f"{last.last_exposed_on or ''}.{last.person_id}" if last else "")


def _behind(day: ColumnElement[str], after: str) -> ColumnElement[bool]:
    last_day, _dot, number = after.partition(".")
    if not (number.isascii() and number.isdigit() and len(number) < 19) or "\0" in last_day:
        raise Refused(400, "page-unknown", _("There is nothing at this address."))
    return or_(day < last_day, and_(day == last_day, Rank.person_id < int(number)))


def _within(scope: Scope, unit: str) -> list[ColumnElement[bool]]:
    narrowed = [] if unit == NATION else [Scope((unit,)).of(Person.unit)]
    # Of the whole nation nothing is left out, and the list's own index serves.
    return narrowed if scope.covers(NATION) else [scope.of(Person.unit), *narrowed]


def _known_by(wanted: str) -> list[ColumnElement[bool]]:
    if wanted == "only-phone":
        return [Rank.known_by == _PHONE]
    bits = {one.value: bit for one, bit in rules.KNOWN_BY_BITS.items()}
    return [Rank.known_by.bitwise_and(bits[wanted]) != 0] if wanted in bits else []


# --- what phones found -------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Figures:
    """F1 contacts of a unit (path) that became known in a period, by who knew of them."""

    unit: str
    name: str
    f1: int
    only_phones: int  # nobody but a phone knew of them: Vietnam's "1,391" of August 2020
    phones_too: int


async def figures(
    session: AsyncSession, unit: str, since: str, until: str
) -> tuple[Figures, list[Figures]]:
    """Of a unit (whoever asks must have it in scope), and of each directly below it that has any.

    `since` and `until`: Vietnamese days (ISO), both included, on which somebody became known.
    """
    rows = await session.execute(
        select(Rank.unit, Rank.known_by, func.count())
        .where(
            Rank.rank == 1,
            Rank.found_at.between(_start(since), _start(until) + 86_399),
            *([] if unit == NATION else [Scope((unit,)).of(Rank.unit)]),
        )
        .group_by(Rank.unit, Rank.known_by)
    )
    own: Counter[int] = Counter()
    below: dict[str, Counter[int]] = {}
    depth = unit.count(".") + 2
    for path, known_by, number in rows:
        own[known_by] += number
        parts = path.split(".")
        if len(parts) >= depth:
            below.setdefault(".".join(parts[:depth]), Counter())[known_by] += number
    return _figures(unit, own), [_figures(path, below[path]) for path in sorted(below)]


def _figures(unit: str, counted: Counter[int]) -> Figures:
    return Figures(
        unit,
        full_name(unit),
        counted.total(),
        counted[_PHONE],
        sum(number for bits, number in counted.items() if bits & _PHONE and bits != _PHONE),
    )


def _start(day: str) -> int:
    date = dt.date.fromisoformat(day)
    return int(dt.datetime.combine(date, dt.time(), VIETNAM).timestamp())


def checked_period(since: str, until: str, now: int) -> tuple[str, str]:
    """A period of a form; empty: the last 14 days. Raises Refused (422)."""
    today = vietnam_day(now)
    try:
        last = dt.date.fromisoformat(until) if until else today
        first = dt.date.fromisoformat(since) if since else last - dt.timedelta(days=13)
    except (ValueError, OverflowError):
        raise Refused(422, "period-wrong", _("A day is written such as 2021-01-20.")) from None
    if first > last:
        raise Refused(422, "period-wrong", _("The period ends before it begins."))
    return first.isoformat(), last.isoformat()
