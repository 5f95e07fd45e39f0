"""The verbs that change cases: open, change, close, reopen, take in a result. None commits.

Ranks of contacts and tasks follow every change of who is an active case.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.cases import rules
from bluezone.server.cases.rules import CaseSource, CaseStatus, Course, Outcome
from bluezone.server.cases.service import (
    DAYS,
    NOTE,
    OPEN_STATUSES,
    Change,
    EventKind,
    Facts,
    case_of,
    changes_since,
    course_of,
    facts_of,
    infectious_rule_of,
    open_cases,
)
from bluezone.server.cases.tables import Case, CaseEvent
from bluezone.server.contacts import service as contacts
from bluezone.server.contacts.deriving import take_turn
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import EVERYWHERE
from bluezone.server.register import service as register
from bluezone.server.register.service import Register
from bluezone.server.register.tables import Person
from bluezone.server.work import service as work
from bluezone.web.catalogue import _

_AT_ONCE: Final = 500  # values of one statement


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
    await take_turn(session)  # of two who open one at once, one is told
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
            rules_of[course.reported_on] = await infectious_rule_of(session, course)
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
    """Give an open case another course, from what it was at revision `seen`.

    Raises CourseError (422), CaseChanged (409), Refused (404, also beyond scope).
    """
    case = await case_of(session, staff.scope, case_id)
    if course_of(case).status not in rules.OPEN:  # reopen_case looks whether there is another
        raise rules.CourseError("status", _("This case is over already."))
    return await _change(session, services, staff, case, course, seen=seen, note=note)


async def _change(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    case: Case,
    course: Course,
    *,
    seen: int,
    note: str,
) -> Case:
    await take_turn(session)  # before the case itself is held, as everybody does
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
    return await _change(session, services, staff, case, course, seen=seen, note=note)


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
    await take_turn(session)
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
    return await _change(session, services, staff, case, course, seen=seen, note=note)


async def _status_before(session: AsyncSession, case: Case) -> CaseStatus:
    """What the case was before it ended."""
    events = await session.scalars(
        select(CaseEvent.facts).where(CaseEvent.case_id == case.id).order_by(CaseEvent.id.desc())
    )
    for facts in events:
        before, after = facts_of(facts).get("status", (None, None))
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
    version, rule = await infectious_rule_of(session, course)
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
    await take_turn(session)
    day = dt.date.fromisoformat(reported_on)
    probe = Course(status=CaseStatus.SUSPECTED, reported_on=day)
    version, _rule = await infectious_rule_of(session, probe)
    rows = list(
        await session.scalars(
            select(Case)
            .where(
                Case.reported_on == reported_on,
                Case.rule_version != version,
                Case.status.in_(OPEN_STATUSES),
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
        select(Case.reported_on, Case.rule_version).where(Case.status.in_(OPEN_STATUSES)).distinct()
    )
    return [(day, version) for day, version in rows]


# --- rows ---------------------------------------------------------------------------------
def _columns(course: Course) -> dict[str, str | bool | None]:
    days = {name: getattr(course, name) for name in DAYS}
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


def _sealed(services: Services, case_id: int, note: str) -> bytes:
    sealer = Register.open(services.settings.secrets_folder).sealer
    return sealer.seal(note.encode(), NOTE, str(case_id).encode())
