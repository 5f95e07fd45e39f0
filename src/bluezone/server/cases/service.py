"""What is known of cases: found, listed, counted, opened to be shown. Nothing is written here.

What changes a case is in `changing`: ranks and tasks follow it, and they read from here.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.cases import rules
from bluezone.server.cases.rules import CaseStatus, Course, Outcome
from bluezone.server.cases.tables import Case, CaseEvent, LabResult
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.scope import EVERYWHERE, Scope
from bluezone.server.register.service import Register
from bluezone.server.rulebook import service as rulebook
from bluezone.web.catalogue import _

PAGE_ROWS: Final = 50
_AT_ONCE: Final = 500  # values of one statement
NOTE: Final = b"case-note"
OPEN_STATUSES: Final = sorted(one.value for one in rules.OPEN)
_INDEX: Final = sorted(one.value for one in rules.INDEX)
_ACTIVE: Final = (Case.status.in_(_INDEX), Case.merged_into.is_(None))
# What an event says of fields: name to (before, after). Never personal data.
Facts = dict[str, tuple[str | bool | None, str | bool | None]]
DAYS: Final = ("reported_on", "onset", "sampled_on", "outcome_on")


class EventKind(StrEnum):
    """What a line of a case's course tells."""

    OPENED = "opened"
    CHANGED = "changed"
    RESULT = "result"
    CODE = "code"  # a one-time code was issued; never which
    RULE = "rule"  # the infectious period was counted anew, by another version of the rule
    LOOKED = "looked"  # somebody has looked at a contradiction, and left the case as it is


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a case's course, opened."""

    at: int
    kind: EventKind
    account_name: str
    revision: int
    facts: Facts
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which cases a list shows; everything empty: all."""

    statuses: frozenset[CaseStatus] = frozenset()
    unit: str = ""  # a path: this unit and below
    reported_from: str = ""  # ISO days, both inclusive
    reported_until: str = ""
    onset_from: str = ""
    onset_until: str = ""
    to_decide: bool = False


# --- reading -----------------------------------------------------------------------------
async def case_of(session: AsyncSession, scope: Scope, case_id: int) -> Case:
    """The case of an id, the kept one of a merge. Raises Refused (404), also beyond scope."""
    case = await session.get(Case, case_id, populate_existing=True)
    while case is not None and case.merged_into is not None:
        case = await session.get(Case, case.merged_into, populate_existing=True)
    if case is None or not scope.covers(case.unit):
        raise Refused(404, "case-unknown", _("There is no such case in your units."))
    return case


async def case_named(session: AsyncSession, scope: Scope, reference: str) -> Case | None:
    """The case of a reference, as somebody typed it."""
    case: Case | None = await session.scalar(
        select(Case).where(
            Case.reference == rules.typed_reference(reference.replace("\0", "")),
            scope.of(Case.unit),
        )
    )
    return case


async def cases_named(
    session: AsyncSession, scope: Scope, references: Iterable[str]
) -> dict[str, Case]:
    """The cases of these references (`rules.typed_reference`) that are within scope."""
    wanted = sorted({one.replace("\0", "") for one in references})
    found: dict[str, Case] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        rows = await session.scalars(
            select(Case).where(
                Case.reference.in_(wanted[start : start + _AT_ONCE]), scope.of(Case.unit)
            )
        )
        found.update({case.reference: case for case in rows})
    return found


async def cases_of_person(session: AsyncSession, scope: Scope, person_id: int) -> list[Case]:
    """All cases of a person within scope, the newest first."""
    rows = await session.scalars(
        select(Case)
        .where(Case.person_id == person_id, Case.merged_into.is_(None), scope.of(Case.unit))
        .order_by(Case.reported_on.desc(), Case.id.desc())
    )
    return list(rows)


async def open_cases(session: AsyncSession, person_ids: Iterable[int]) -> dict[int, Case]:
    """The open case of each of these people who has one."""
    return await _newest(session, person_ids, OPEN_STATUSES)


@dataclass(frozen=True, slots=True)
class Infectious:
    """When an active case could infect others: ISO days, both included; no `until`: still."""

    since: str
    until: str | None
    onset: str | None


async def active_cases(
    session: AsyncSession, person_ids: Iterable[int] | None = None
) -> dict[int, Infectious]:
    """Who of these (None: of everybody) is an active case, probable or confirmed."""
    query = select(Case.person_id, Case.infectious_from, Case.infectious_until, Case.onset).where(
        *_ACTIVE
    )
    parts = [query]
    if person_ids is not None:
        wanted = sorted(set(person_ids))
        parts = [
            query.where(Case.person_id.in_(wanted[start : start + _AT_ONCE]))
            for start in range(0, len(wanted), _AT_ONCE)
        ]
    found: dict[int, Infectious] = {}
    for part in parts:
        for person, since, until, onset in await session.execute(part):
            one = Infectious(since, until, onset)
            if (other := found.get(person)) is not None:  # to be merged; until then the wider
                one = Infectious(
                    min(since, other.since), max(until, other.until or ""), onset or other.onset
                )
            found[person] = one
    return found


async def active_within(
    session: AsyncSession, scope: Scope, since: str, until: str, at_most: int = 200
) -> list[tuple[Case, str, str | None]]:
    """Active cases within scope that were infectious between two ISO days, and from when to when;
    the latest reports."""
    rows = await session.scalars(
        select(Case)
        .where(
            scope.of(Case.unit),
            *_ACTIVE,
            Case.infectious_from <= until,
            Case.infectious_until >= since,
        )
        .order_by(Case.reported_on.desc(), Case.id.desc())
        .limit(at_most)
    )
    return [(case, case.infectious_from, case.infectious_until) for case in rows]


async def last_cases(session: AsyncSession, person_ids: Iterable[int]) -> dict[int, Case]:
    """The newest case of each of these people, open or not."""
    return await _newest(session, person_ids, [one.value for one in CaseStatus])


async def _newest(
    session: AsyncSession, person_ids: Iterable[int], statuses: list[str]
) -> dict[int, Case]:
    wanted = sorted(set(person_ids))
    found: dict[int, Case] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        rows = await session.scalars(
            select(Case)
            .where(
                Case.person_id.in_(wanted[start : start + _AT_ONCE]),
                Case.status.in_(statuses),
                Case.merged_into.is_(None),
            )
            .order_by(Case.reported_on, Case.id)
        )
        found.update({case.person_id: case for case in rows})
    return found


@dataclass(frozen=True, slots=True)
class CasePage:
    """Some cases, the latest report first, and what asks for the next ones ("": the end)."""

    cases: list[Case]
    after: str


async def cases_in(
    session: AsyncSession, scope: Scope, filters: Filters, after: str = ""
) -> CasePage:
    """The cases within scope that pass, PAGE_ROWS at a time; `after` is of the page before."""
    conditions = _conditions(scope, filters)
    if after:
        day, _dot, number = after.partition(".")
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            raise Refused(400, "page-unknown", _("There is nothing at this address."))
        conditions.append(
            or_(Case.reported_on < day, and_(Case.reported_on == day, Case.id < int(number)))
        )
    rows = list(
        await session.scalars(
            select(Case)
            .where(*conditions)
            .order_by(Case.reported_on.desc(), Case.id.desc())
            .limit(PAGE_ROWS + 1)
        )
    )
    last = rows[PAGE_ROWS - 1] if len(rows) > PAGE_ROWS else None
    return CasePage(rows[:PAGE_ROWS], f"{last.reported_on}.{last.id}" if last else "")


async def count_by_status(
    session: AsyncSession, scope: Scope, filters: Filters
) -> dict[CaseStatus, int]:
    """How many cases pass, by status; the filter's own statuses do not count."""
    rows = await session.execute(
        select(Case.status, func.count())
        .where(*_conditions(scope, replace(filters, statuses=frozenset())))
        .group_by(Case.status)
    )
    found = {CaseStatus(status): number for status, number in rows}
    return {status: found.get(status, 0) for status in CaseStatus}


async def course(session: AsyncSession, services: Services, case: Case) -> list[Change]:
    """Everything that happened to a case, oldest first."""
    rows = await session.scalars(
        select(CaseEvent).where(CaseEvent.case_id == case.id).order_by(CaseEvent.id)
    )
    return [_opened(services, row) for row in rows]


async def infectious_rule(session: AsyncSession, case: Case) -> rules.InfectiousRule:
    """The rule by which the infectious period of a case was counted."""
    return (await infectious_rule_of(session, course_of(case)))[1]


async def changes_since(
    session: AsyncSession, services: Services, case: Case, revision: int
) -> list[Change]:
    """What happened to a case after a revision."""
    return [one for one in await course(session, services, case) if one.revision > revision]


async def results_of(session: AsyncSession, case: Case) -> list[LabResult]:
    """The results of a case, also those that were corrected, by sample and version."""
    rows = await session.scalars(
        select(LabResult)
        .where(LabResult.case_id == case.id)
        .order_by(LabResult.sampled_on, LabResult.sample, LabResult.version)
    )
    return list(rows)


async def results_of_person(
    session: AsyncSession, scope: Scope, person_id: int
) -> Sequence[LabResult]:
    """The results within scope that count of a person, with a case or without, by day."""
    rows = await session.scalars(
        select(LabResult)
        .where(
            scope.of(LabResult.unit),
            LabResult.person_id == person_id,
            LabResult.superseded.is_(False),
        )
        .order_by(LabResult.sampled_on, LabResult.sample)
    )
    return rows.all()


def course_of(case: Case) -> Course:
    """A stored case as the rules see it."""
    days = {name: getattr(case, name) for name in DAYS}
    return Course(
        status=CaseStatus(case.status),
        has_symptoms=case.has_symptoms,
        outcome=Outcome(case.outcome) if case.outcome else None,
        **{name: day and dt.date.fromisoformat(day) for name, day in days.items()},
    )


def _conditions(scope: Scope, filters: Filters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [Case.merged_into.is_(None)]
    # Of the whole nation nothing is left out, and the list's own index serves.
    if not scope.covers(EVERYWHERE.units[0]):
        conditions.append(scope.of(Case.unit))
    if filters.unit and filters.unit not in EVERYWHERE.units:
        conditions.append(Scope((filters.unit,)).of(Case.unit))
    if filters.statuses:
        conditions.append(Case.status.in_(sorted(one.value for one in filters.statuses)))
    if filters.to_decide:
        conditions.append(Case.to_decide.is_(True))
    for column, first, last in (
        (Case.reported_on, filters.reported_from, filters.reported_until),
        (Case.onset, filters.onset_from, filters.onset_until),
    ):
        if first:
            conditions.append(column >= first)
        if last:
            conditions.append(column <= last)
    return conditions


async def infectious_rule_of(
    session: AsyncSession, course: Course
) -> tuple[int, rules.InfectiousRule]:
    """What was in force on the day of the report: a new rule changes nothing decided before it."""
    return await rulebook.in_force(
        session, rules.INFECTIOUS_KIND, rules.SHIPPED_INFECTIOUS, course.reported_on.isoformat()
    )


def facts_of(text: str) -> Facts:
    """What an event keeps, as written by `changing`."""
    return msgspec.json.decode(text, type=Facts)


def _opened(services: Services, row: CaseEvent) -> Change:
    note = b""
    if row.note is not None:
        sealer = Register.open(services.settings.secrets_folder).sealer
        note = sealer.open(row.note, NOTE, str(row.case_id).encode())
    return Change(
        row.at,
        EventKind(row.kind),
        row.account_name,
        row.revision,
        facts_of(row.facts),
        note.decode(),
    )
