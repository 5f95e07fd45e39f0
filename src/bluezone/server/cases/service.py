"""The verbs of cases: open, change, close, reopen, list. None commits."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.cases import rules
from bluezone.server.cases.rules import CaseSource, CaseStatus, Course, Outcome
from bluezone.server.cases.tables import Case, CaseEvent, LabResult
from bluezone.server.contacts import service as contacts
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import EVERYWHERE, Scope
from bluezone.server.register import service as register
from bluezone.server.register.service import Register
from bluezone.server.register.tables import Person
from bluezone.server.rulebook import service as rulebook
from bluezone.server.work import service as work
from bluezone.web.catalogue import _

PAGE_ROWS: Final = 50
_AT_ONCE: Final = 500  # values of one statement
_NOTE: Final = b"case-note"
_OPEN: Final = [one.value for one in rules.OPEN]
_INDEX: Final = sorted(one.value for one in rules.INDEX)
# What an event says of fields: name to (before, after). Never personal data.
Facts = dict[str, tuple[str | bool | None, str | bool | None]]
_DAYS: Final = ("reported_on", "onset", "sampled_on", "outcome_on")


class EventKind(StrEnum):
    """What a line of a case's course tells."""

    OPENED = "opened"
    CHANGED = "changed"
    RESULT = "result"
    CODE = "code"  # a one-time code was issued; never which
    RULE = "rule"  # the infectious period was counted anew, by another version of the rule
    LOOKED = "looked"  # somebody has looked at a contradiction, and left the case as it is
    PERSON = "person"  # the case went to another record of the same person


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a case's course, opened."""

    at: int
    kind: EventKind
    account_name: str
    revision: int
    facts: Facts
    note: str


class CaseChanged(Refused):
    """Somebody else changed the case in between; `changes` says what."""

    def __init__(self, changes: Sequence[Change]) -> None:
        super().__init__(
            409,
            "case-changed",
            _(
                "Somebody else has changed this case since you opened it. Nothing was saved; what"
                " you typed is still here. Look at what changed, then save again."
            ),
        )
        self.changes = tuple(changes)


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


# --- opening -----------------------------------------------------------------------------
async def open_case(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    person: Person,
    course: Course,
    *,
    source: CaseSource,
    note: str = "",
) -> Case:
    """A new case of a person. Raises CourseError; Refused (409): there is an open one."""
    known = await open_cases(session, [person.id])
    if person.id in known:
        raise Refused(
            409,
            "case-open",
            _("This person has an open case already: {reference}."),
            reference=known[person.id].reference,
        )
    (case,) = await open_many(session, services, staff, [(person, course)], source=source)
    if note:
        await _note_to_last(session, services, case, note)
    return case


async def open_many(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    courses: Sequence[tuple[Person, Course]],
    *,
    source: CaseSource,
) -> list[Case]:
    """New cases of people without an open one, in the order given. Raises CourseError."""
    now = services.now
    today = vietnam_day(now)
    details = Register.open(services.settings.secrets_folder).details
    rules_of: dict[dt.date, tuple[int, rules.InfectiousRule]] = {}
    rows = []
    for person, course in courses:
        rules.check_course(course, today, details(person).birth)
        if course.reported_on not in rules_of:
            rules_of[course.reported_on] = await _infectious_rule(session, course)
        version, rule = rules_of[course.reported_on]
        period = rules.infectious_period(course, rule)
        rows.append(
            Case(
                reference=rules.new_reference(),
                person_id=person.id,
                unit=person.unit,
                confirmed_at=now if course.status is CaseStatus.CONFIRMED else None,
                code_issued_at=None,
                closed_at=None if course.status in rules.OPEN else now,
                infectious_from=period.first.isoformat(),
                infectious_until=period.last.isoformat(),
                rule_version=version,
                to_decide=False,
                source=source.value,
                created_at=now,
                updated_at=now,
                revision=0,
                merged_into=None,
                **_columns(course),
            )
        )
    await _make_references_new(session, rows)
    session.add_all(rows)
    await session.flush()
    for case in rows:
        facts: Facts = {"status": (None, case.status)}
        _event(session, case, EventKind.OPENED, staff, now, facts=facts)
    await session.flush()
    await _tell(session, {case.person_id for case in rows}, now)
    return rows


async def _make_references_new(session: AsyncSession, rows: Sequence[Case]) -> None:
    """Of 378 thousand million references two may be drawn alike."""
    while rows:
        taken: set[str] = set()
        for start in range(0, len(rows), _AT_ONCE):
            wanted = [case.reference for case in rows[start : start + _AT_ONCE]]
            taken.update(
                await session.scalars(select(Case.reference).where(Case.reference.in_(wanted)))
            )
        again = []
        for case in rows:
            if case.reference in taken:
                again.append(case)
            taken.add(case.reference)
        for case in again:
            case.reference = rules.new_reference()
        rows = again


# --- changing ----------------------------------------------------------------------------
async def change_case(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    case_id: int,
    course: Course,
    *,
    seen: int,
    note: str = "",
) -> Case:
    """Give a case another course, from what it was at revision `seen`.

    Raises CourseError (422), CaseChanged (409), Refused (404, also beyond scope).
    """
    case = await case_of(session, staff.scope, case_id)
    before = course_of(case)
    rules.check_transition(before.status, course.status)
    person = await register.get(session, EVERYWHERE, case.person_id)
    birth = Register.open(services.settings.secrets_folder).details(person).birth
    rules.check_course(course, vietnam_day(services.now), birth)
    await _write(session, services, staff, case, course, seen=seen, note=note)
    return case


async def close_case(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    case_id: int,
    *,
    outcome: Outcome | None,
    on: dt.date | None,
    seen: int,
    note: str = "",
) -> Case:
    """End a case: with an outcome, or without one as not this illness. Raises as change_case."""
    case = await case_of(session, staff.scope, case_id)
    before = course_of(case)
    if before.status not in rules.OPEN:
        raise rules.CourseError("status", _("This case is over already."))
    course = msgspec.structs.replace(
        before,
        status=CaseStatus.CLOSED if outcome else CaseStatus.DISCARDED,
        outcome=outcome,
        outcome_on=on if outcome else None,
    )
    return await change_case(session, services, staff, case_id, course, seen=seen, note=note)


async def reopen_case(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    case_id: int,
    *,
    seen: int,
    note: str = "",
) -> Case:
    """Make an ended case what it was before it ended.

    Raises as change_case; Refused (409) if the person has another open case.
    """
    case = await case_of(session, staff.scope, case_id)
    if CaseStatus(case.status) in rules.OPEN:
        raise rules.CourseError("status", _("This case is open."))
    other = (await open_cases(session, [case.person_id])).get(case.person_id)
    if other is not None:
        raise Refused(
            409,
            "case-open",
            _("This person has an open case already: {reference}."),
            reference=other.reference,
        )
    course = msgspec.structs.replace(
        course_of(case), status=await _status_before(session, case), outcome=None, outcome_on=None
    )
    return await change_case(session, services, staff, case_id, course, seen=seen, note=note)


async def _status_before(session: AsyncSession, case: Case) -> CaseStatus:
    """What the case was before it ended."""
    events = await session.scalars(
        select(CaseEvent.facts).where(CaseEvent.case_id == case.id).order_by(CaseEvent.id.desc())
    )
    for facts in events:
        before, after = _facts(facts).get("status", (None, None))
        if after == case.status and before is not None:
            return CaseStatus(str(before))
    return CaseStatus.CONFIRMED  # it was closed when it was taken down


async def mark_looked_at(
    session: AsyncSession, services: Services, staff: Staff, case_id: int, *, seen: int, note: str
) -> Case:
    """Somebody has looked at what contradicts a case, and leaves it as it is."""
    case = await case_of(session, staff.scope, case_id)
    course = course_of(case)
    await _write(
        session, services, staff, case, course, seen=seen, note=note, kind=EventKind.LOOKED
    )
    return case


async def note_code(session: AsyncSession, services: Services, staff: Staff, case: Case) -> None:
    """Note that a one-time code was issued, and when; never which."""
    case.code_issued_at = services.now
    case.updated_at = services.now
    _event(session, case, EventKind.CODE, staff, services.now)
    await session.flush()


async def apply_result(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    case: Case,
    course: Course,
    *,
    to_decide: bool,
    facts: Facts,
) -> None:
    """What a laboratory's result does to a case; `facts` tells of the result itself."""
    await _write(
        session,
        services,
        staff,
        case,
        course,
        seen=case.revision,
        kind=EventKind.RESULT,
        to_decide=to_decide or case.to_decide,
        more=facts,
    )


async def _write(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    case: Case,
    course: Course,
    *,
    seen: int,
    note: str = "",
    kind: EventKind = EventKind.CHANGED,
    to_decide: bool = False,
    more: Facts | None = None,
) -> None:
    now = services.now
    version, rule = await _infectious_rule(session, course)
    period = rules.infectious_period(course, rule)
    before = course_of(case)
    values = _columns(course)
    facts = {
        name: (getattr(case, name), value)
        for name, value in values.items()
        if getattr(case, name) != value
    }
    first, last = period.first.isoformat(), period.last.isoformat()
    for name, value in (("infectious_from", first), ("infectious_until", last)):
        if getattr(case, name) != value:
            facts[name] = (getattr(case, name), value)
    ended = None if course.status in rules.OPEN else case.closed_at or now
    confirmed_at = case.confirmed_at
    if course.status is CaseStatus.CONFIRMED and confirmed_at is None:
        confirmed_at = now
    changed = await session.scalar(
        update(Case)
        .where(Case.id == case.id, Case.revision == seen)
        .values(
            **values,
            closed_at=ended,
            confirmed_at=confirmed_at,
            infectious_from=first,
            infectious_until=last,
            rule_version=version,
            to_decide=to_decide,
            updated_at=now,
            revision=Case.revision + 1,
        )
        .returning(Case.id)
    )
    if changed is None:
        raise CaseChanged(await changes_since(session, services, case, seen))
    await session.refresh(case)
    sealed = _sealed(services, case.id, note) if note else None
    _event(session, case, kind, staff, now, facts={**facts, **(more or {})}, note=sealed)
    await session.flush()
    if before != course:
        await _tell(session, {case.person_id}, now)


async def _tell(session: AsyncSession, person_ids: set[int], now: int) -> None:
    """Who is an active case has changed: ranks and tasks follow."""
    if person_ids:
        changed = await contacts.rederive(session, sorted(person_ids), now)
        await work.follow_up(session, now, sorted(person_ids.union(changed)))


async def recompute_periods(
    session: AsyncSession, services: Services, staff: Staff, reported_on: str
) -> int:
    """After a new version of the rule: the open cases reported on a day that another one decided.

    Returns how many were changed.
    """
    day = dt.date.fromisoformat(reported_on)
    probe = Course(status=CaseStatus.SUSPECTED, reported_on=day)
    version, _rule = await _infectious_rule(session, probe)
    rows = list(
        await session.scalars(
            select(Case)
            .where(
                Case.reported_on == reported_on,
                Case.rule_version != version,
                Case.status.in_(_OPEN),
            )
            .order_by(Case.id)
            .limit(_AT_ONCE)
        )
    )
    for case in rows:
        await _write(
            session,
            services,
            staff,
            case,
            course_of(case),
            seen=case.revision,
            kind=EventKind.RULE,
            to_decide=case.to_decide,
        )
    await _tell(session, {case.person_id for case in rows}, services.now)
    return len(rows)


async def days_of_open_cases(session: AsyncSession) -> list[tuple[str, int]]:
    """The days on which open cases were reported, with the versions of the rule behind them."""
    rows = await session.execute(
        select(Case.reported_on, Case.rule_version).where(Case.status.in_(_OPEN)).distinct()
    )
    return [(day, version) for day, version in rows]


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
    return await _newest(session, person_ids, _OPEN)


@dataclass(frozen=True, slots=True)
class Infectious:
    """When an active case could infect others: ISO days, both included."""

    since: str
    until: str
    onset: str | None


async def active_cases(
    session: AsyncSession, person_ids: Iterable[int] | None = None
) -> dict[int, Infectious]:
    """Who of these (None: of everybody) is an active case, probable or confirmed."""
    query = select(Case.person_id, Case.infectious_from, Case.infectious_until, Case.onset).where(
        Case.status.in_(_INDEX), Case.merged_into.is_(None)
    )
    parts = [query]
    if person_ids is not None:
        wanted = sorted(set(person_ids))
        parts = [
            query.where(Case.person_id.in_(wanted[start : start + _AT_ONCE]))
            for start in range(0, len(wanted), _AT_ONCE)
        ]
    return {
        person: Infectious(since, until, onset)
        for part in parts
        for person, since, until, onset in await session.execute(part)
    }


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
    return (await _infectious_rule(session, course_of(case)))[1]


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


def course_of(case: Case) -> Course:
    """A stored case as the rules see it."""
    days = {name: getattr(case, name) for name in _DAYS}
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


# --- rows --------------------------------------------------------------------------------
async def _infectious_rule(
    session: AsyncSession, course: Course
) -> tuple[int, rules.InfectiousRule]:
    """What was in force on the day of the report: a new rule changes nothing decided before it."""
    return await rulebook.in_force(
        session, rules.INFECTIOUS_KIND, rules.SHIPPED_INFECTIOUS, course.reported_on.isoformat()
    )


def _columns(course: Course) -> dict[str, str | bool | None]:
    days = {name: getattr(course, name) for name in _DAYS}
    return {
        "status": course.status.value,
        "has_symptoms": True if course.onset else course.has_symptoms,
        "outcome": course.outcome.value if course.outcome else None,
        **{name: day.isoformat() if day else None for name, day in days.items()},
    }


def _event(
    session: AsyncSession,
    case: Case,
    kind: EventKind,
    staff: Staff,
    now: int,
    *,
    facts: Facts | None = None,
    note: bytes | None = None,
) -> None:
    session.add(
        CaseEvent(
            case_id=case.id,
            at=now,
            kind=kind.value,
            revision=case.revision,
            account_id=staff.account_id,
            account_name=staff.name,
            facts=msgspec.json.encode(facts or {}).decode(),
            note=note,
        )
    )


async def _note_to_last(session: AsyncSession, services: Services, case: Case, note: str) -> None:
    event = await session.scalar(
        select(CaseEvent).where(CaseEvent.case_id == case.id).order_by(CaseEvent.id.desc()).limit(1)
    )
    if event is not None:
        event.note = _sealed(services, case.id, note)
        await session.flush()


def _facts(text: str) -> Facts:
    return msgspec.json.decode(text, type=Facts)


def _sealed(services: Services, case_id: int, note: str) -> bytes:
    sealer = Register.open(services.settings.secrets_folder).sealer
    return sealer.seal(note.encode(), _NOTE, str(case_id).encode())


def _opened(services: Services, row: CaseEvent) -> Change:
    note = b""
    if row.note is not None:
        sealer = Register.open(services.settings.secrets_folder).sealer
        note = sealer.open(row.note, _NOTE, str(row.case_id).encode())
    return Change(
        row.at,
        EventKind(row.kind),
        row.account_name,
        row.revision,
        _facts(row.facts),
        note.decode(),
    )
