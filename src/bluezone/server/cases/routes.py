"""Cases on pages: the list, a new one, one case with its course, and its one-time code."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day, vietnam_time
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.audit.service import LOOKS_BY_ACCOUNT
from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.cases import changing, codes, rules, service
from bluezone.server.cases.changing import CaseChanged
from bluezone.server.cases.codes import Way
from bluezone.server.cases.intake import COURSE_FIELDS, Intake, read_course, read_intake
from bluezone.server.cases.rules import CaseSource, CaseStatus, CourseError, Outcome
from bluezone.server.cases.service import Filters
from bluezone.server.cases.tables import Case
from bluezone.server.contacts.deriving import take_turn
from bluezone.server.contacts.showing import case_section
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.limits import Rule
from bluezone.server.messaging import service as messaging
from bluezone.server.pages import page, sentence
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.people.scope import EVERYWHERE
from bluezone.server.places import units
from bluezone.server.places.units import Unit
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Candidate, Register
from bluezone.server.register.tables import Person
from bluezone.web.catalogue import _

TAKEN_BY_ACCOUNT: Final = Rule("cases taken down by account", 600, 3600)
_DOUBLES_SHOWN: Final = 5
_MAX_NOTE: Final = 500
_DONE: Final = {
    "opened": _("Done: the case is open."),
    "changed": _("Done: the case is changed."),
    "closed": _("Done: the case is closed. You can open it again below."),
    "reopened": _("Done: the case is open again."),
    "looked": _("Done: the case stays as it is."),
}
_Text = Annotated[str, Form()]

router = APIRouter()


# --- the list ----------------------------------------------------------------------------
@router.get("/staff/cases")
@allows(StaffRole.HEALTH_WORKER)
async def list_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    status: Annotated[list[str] | None, Query()] = None,
    unit: str = "",
    reported_from: str = "",
    reported_until: str = "",
    onset_from: str = "",
    onset_until: str = "",
    decide: str = "",
    reference: str = "",
    after: str = "",
) -> Response:
    texts = {
        "reported_from": reported_from,
        "reported_until": reported_until,
        "onset_from": onset_from,
        "onset_until": onset_until,
    }
    days = {name: _day(text) for name, text in texts.items()}
    filters = Filters(
        statuses=frozenset(one for one in CaseStatus if one.value in (status or [])),
        unit=_within(staff, unit),
        to_decide=bool(decide),
        **days,
    )
    async with services.database.transaction() as session:
        if reference.strip():
            found = await service.case_named(session, staff.scope, reference)
            if found is not None:
                return RedirectResponse(f"/staff/cases/{found.id}", 303)
        shown = await service.cases_in(session, staff.scope, filters, after)
        counts = await service.count_by_status(session, staff.scope, filters)
        people = await register.people(session, [one.person_id for one in shown.cases])
        opened = Register.open(services.settings.secrets_folder).details
        names = {person_id: opened(person) for person_id, person in people.items()}
        if shown.cases:
            await audit.record(
                session,
                services,
                staff,
                Action.LIST,
                purpose=Purpose.CASE,
                detail=f"cases: {len(shown.cases)}",
            )
    return page(
        request,
        "cases/list.html",
        cases=[(one, names[one.person_id]) for one in shown.cases],
        after=shown.after,
        counts=counts,
        filters=filters,
        reference=reference,
        reference_unknown=bool(reference.strip()),
        units=_choices(staff, filters.unit),
        wrong_days=[name for name, text in texts.items() if text and not days[name]],
        asked=str(request.query_params),
    )


def _day(text: str) -> str:
    """An ISO day, or nothing: an address is not typed by hand."""
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        return ""


def _within(staff: Staff, code: str) -> str:
    """The path of a unit that somebody chose, if they may see it."""
    if not code:
        return ""
    path = units.unit_named(code).path
    if not staff.scope.covers(path):
        raise Refused(404, "unit-not-yours", _("There is no such unit among yours."))
    return path


def _choices(staff: Staff, chosen: str) -> list[Unit]:
    """Units to choose from: the way up to one's own, and what lies directly below."""
    above = [one for one in units.ancestors(chosen) if staff.scope.covers(one.path)]
    below = [
        one for path in ([chosen] if chosen else staff.scope.units) for one in units.children(path)
    ]
    return [*above, *below]


# --- a new case --------------------------------------------------------------------------
@router.get("/staff/cases/new")
@allows(StaffRole.HEALTH_WORKER)
async def new_page(request: Request, services: Parts, staff: SignedIn) -> Response:
    today = vietnam_day(services.now).isoformat()
    texts = {"reported_on": today, "status": CaseStatus.SUSPECTED.value}
    if units.level_of(staff.unit) is units.Level.COMMUNE:
        texts["commune"] = units.full_name(staff.unit)
    return _new_page(request, services, texts)


@router.post("/staff/cases/new")
@allows(StaffRole.HEALTH_WORKER)
async def open_on_page(request: Request, services: Parts, staff: SignedIn) -> Response:
    """Open a case. Who looks like a stored person is shown first, with a choice to make."""
    form = await request.form()
    texts = {name: value for name, value in form.items() if isinstance(value, str)}
    intake = read_intake(texts, staff, services.now)
    if intake.problems:
        return _new_page(request, services, texts, intake=intake)
    assert intake.details is not None and intake.course is not None  # noqa: S101, PT018
    own = Register.open(services.settings.secrets_folder)
    try:
        services.limits.spend(TAKEN_BY_ACCOUNT, str(staff.account_id))
        async with services.database.transaction() as session:
            await take_turn(session)
            (alike,) = await register.candidates(session, own, [(intake.details, intake.unit)])
            person = await _chosen(session, own, services, staff, intake, alike, texts)
            if person is None:
                doubles = await _doubles(session, services, staff, alike)
                hidden = any(not staff.scope.covers(one.unit) for one in alike)
                # To be told that somebody is known elsewhere is an answer about them, too.
                await audit.record(
                    session, services, staff, Action.LIST, purpose=Purpose.CASE,
                    detail=f"persons alike: {len(doubles)}{', and elsewhere' if hidden else ''}",
                )  # fmt: skip
                return _new_page(
                    request, services, texts, intake=intake, doubles=doubles, elsewhere=hidden
                )
            case = await changing.open_case(
                session,
                services,
                staff,
                person,
                intake.course,
                source=CaseSource.INTAKE,
                note=intake.note,
            )
            await audit.record(
                session,
                services,
                staff,
                Action.ADD,
                subject=f"case:{case.id}",
                purpose=Purpose.CASE,
            )
    except Refused as refused:
        field = refused.field if isinstance(refused, CourseError) else "form"
        problems = {field: sentence(request, refused)}
        return _new_page(request, services, texts, status=refused.status_code, problems=problems)
    return RedirectResponse(f"/staff/cases/{case.id}?done=opened", 303)


async def _chosen(
    session: AsyncSession,
    own: Register,
    services: Services,
    staff: Staff,
    intake: Intake,
    alike: list[Candidate],
    texts: Mapping[str, str],
) -> Person | None:
    """Whom the case is about; None: it is not clear yet, and somebody has to choose."""
    choice = texts.get("same_as", "")
    if choice.isascii() and choice.isdigit() and len(choice) < 19:
        return await register.get(session, staff.scope, int(choice))
    if alike and choice != "new":
        return None
    assert intake.details is not None  # noqa: S101 - no problem was found
    (person,) = await register.add_many(
        session,
        own,
        [(intake.details, intake.unit)],
        now=services.now,
        alike=[alike],
    )
    return person


async def _doubles(
    session: AsyncSession, services: Services, staff: Staff, alike: list[Candidate]
) -> list[dict[str, Any]]:
    shown = []
    mine = [one for one in alike if staff.scope.covers(one.unit)][:_DOUBLES_SHOWN]
    open_cases = await service.open_cases(session, [one.person_id for one in mine])
    for one in mine:
        person, details = await register.look(
            session, services, staff, one.person_id, Purpose.QUALITY
        )
        shown.append(
            {
                "person": person,
                "details": details,
                "reasons": one.likeness.reasons,
                "case": open_cases.get(person.id),
            }
        )
    return shown


def _new_page(
    request: Request,
    services: Services,
    texts: Mapping[str, str],
    *,
    intake: Intake | None = None,
    problems: Mapping[str, str] | None = None,
    doubles: list[dict[str, Any]] | None = None,
    elsewhere: bool = False,
    status: int = 200,
) -> Response:
    if intake is not None and intake.problems:
        status = 422
        problems = {name: sentence(request, one) for name, one in intake.problems.items()}
    return page(
        request,
        "cases/new.html",
        status,
        texts=texts,
        problems=problems or {},
        doubles=doubles or [],
        elsewhere=elsewhere,
        ask=bool(doubles) or elsewhere,
        today=vietnam_day(services.now).isoformat(),
        statuses=[one.value for one in (CaseStatus.SUSPECTED, CaseStatus.PROBABLE)]
        + [CaseStatus.CONFIRMED.value],
    )


# --- one case ----------------------------------------------------------------------------
@router.get("/staff/cases/{case_id:int}")
@allows(StaffRole.HEALTH_WORKER)
async def case_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    case_id: int,
    done: str = "",
    purpose: str = "case",
) -> Response:
    return await _case_page(request, services, staff, case_id, done=done, purpose=purpose)


async def _case_page(
    request: Request,
    services: Services,
    staff: Staff,
    case_id: int,
    *,
    done: str = "",
    purpose: str = "case",
    refused: Refused | None = None,
    template: str = "cases/case.html",
    **values: Any,
) -> Response:
    """One case; the look at its person is written down with its purpose, whatever is shown."""
    why = Purpose(purpose) if purpose in set(Purpose) else Purpose.CASE
    async with services.database.transaction() as session:
        case = await service.case_of(session, staff.scope, case_id)
        person, details = await _look(session, services, staff, case, why)
        course = service.course_of(case)
        rule = await service.infectious_rule(session, case)
        if template == "cases/case.html":
            values |= await case_section(session, services, staff, case.id)
        return page(
            request,
            template,
            refused.status_code if refused else 200,
            case=case,
            person=person,
            details=details,
            course=course,
            history=[
                (one, vietnam_time(one.at)) for one in await service.course(session, services, case)
            ],
            results=await service.results_of(session, case),
            others=[
                one
                for one in await service.cases_of_person(session, staff.scope, person.id)
                if one.id != case.id
            ],
            is_open=course.status in rules.OPEN,
            anchor=rules.infectious_period(course, rule).anchor.value,
            rule=rule,
            done=_DONE.get(done, ""),
            problem=sentence(request, refused) if refused else "",
            problem_field=refused.field if isinstance(refused, CourseError) else "",
            changes=[
                (one, vietnam_time(one.at))
                for one in (refused.changes if isinstance(refused, CaseChanged) else ())
            ],
            code_at=vietnam_time(case.code_issued_at) if case.code_issued_at else None,
            today=vietnam_day(services.now).isoformat(),
            **values,
        )


async def _look(
    session: AsyncSession, services: Services, staff: Staff, case: Case, purpose: Purpose
) -> tuple[Person, Details]:
    """The person of a case that one may see, who may have moved to another unit since."""
    person = await register.get(session, EVERYWHERE, case.person_id)
    await audit.record(
        session, services, staff, Action.LOOK, subject=f"person:{person.id}", purpose=purpose
    )
    return person, Register.open(services.settings.secrets_folder).details(person)


@router.get("/staff/cases/{case_id:int}/change")
@allows(StaffRole.HEALTH_WORKER)
async def change_page(request: Request, services: Parts, staff: SignedIn, case_id: int) -> Response:
    return await _form_page(request, services, staff, case_id, "cases/change.html")


@router.post("/staff/cases/{case_id:int}/change")
@allows(StaffRole.HEALTH_WORKER)
async def change_on_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    case_id: int,
    seen: Annotated[int, Form()] = -1,
    note: _Text = "",
) -> Response:
    form = await request.form()
    texts = {name: value for name, value in form.items() if isinstance(value, str)}
    try:
        async with services.database.transaction() as session:
            before = service.course_of(await service.case_of(session, staff.scope, case_id))
            course = read_course(texts, before, services.now)
            await changing.change_case(
                session, services, staff, case_id, course, seen=seen, note=_note(note)
            )
            await _changed(session, services, staff, case_id)
    except Refused as refused:
        return await _form_page(
            request, services, staff, case_id, "cases/change.html", refused=refused, texts=texts
        )
    return RedirectResponse(f"/staff/cases/{case_id}?done=changed", 303)


@router.get("/staff/cases/{case_id:int}/close")
@allows(StaffRole.HEALTH_WORKER)
async def close_page(request: Request, services: Parts, staff: SignedIn, case_id: int) -> Response:
    """What closing means, before it is done."""
    return await _form_page(request, services, staff, case_id, "cases/close.html")


@router.post("/staff/cases/{case_id:int}/close")
@allows(StaffRole.HEALTH_WORKER)
async def close_on_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    case_id: int,
    outcome: _Text = "",
    outcome_on: _Text = "",
    note: _Text = "",
    seen: Annotated[int, Form()] = -1,
) -> Response:
    try:
        if outcome != CaseStatus.DISCARDED.value and outcome not in set(Outcome):
            raise CourseError("outcome", _("Please choose how the case ended."))
        ended = None if outcome == CaseStatus.DISCARDED.value else Outcome(outcome)
        day = _day(outcome_on)
        async with services.database.transaction() as session:
            await changing.close_case(
                session,
                services,
                staff,
                case_id,
                outcome=ended,
                on=dt.date.fromisoformat(day) if day else None,
                seen=seen,
                note=_note(note),
            )
            await _changed(session, services, staff, case_id)
    except Refused as refused:
        texts = {"outcome": outcome, "outcome_on": outcome_on, "note": note}
        return await _form_page(
            request, services, staff, case_id, "cases/close.html", refused=refused, texts=texts
        )
    return RedirectResponse(f"/staff/cases/{case_id}?done=closed", 303)


@router.post("/staff/cases/{case_id:int}/reopen")
@allows(StaffRole.HEALTH_WORKER)
async def reopen_on_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    case_id: int,
    note: _Text = "",
    seen: Annotated[int, Form()] = -1,
) -> Response:
    try:
        async with services.database.transaction() as session:
            await changing.reopen_case(
                session, services, staff, case_id, seen=seen, note=_note(note)
            )
            await _changed(session, services, staff, case_id)
    except Refused as refused:
        return await _refused_case(request, services, staff, case_id, refused)
    return RedirectResponse(f"/staff/cases/{case_id}?done=reopened", 303)


@router.post("/staff/cases/{case_id:int}/looked")
@allows(StaffRole.HEALTH_WORKER)
async def looked_on_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    case_id: int,
    note: _Text = "",
    seen: Annotated[int, Form()] = -1,
) -> Response:
    """Somebody has looked at what contradicts, and leaves the case as it is."""
    try:
        async with services.database.transaction() as session:
            await changing.mark_looked_at(
                session, services, staff, case_id, seen=seen, note=_note(note)
            )
            await _changed(session, services, staff, case_id)
    except Refused as refused:
        return await _refused_case(request, services, staff, case_id, refused)
    return RedirectResponse(f"/staff/cases/{case_id}?done=looked", 303)


@router.post("/staff/cases/{case_id:int}/code")
@allows(StaffRole.HEALTH_WORKER)
async def code_on_page(
    request: Request, services: Parts, staff: SignedIn, case_id: int, way: _Text = ""
) -> Response:
    """A one-time code for the case. Shown in the answer itself: it is not kept anywhere."""
    # The page with the code is a look at the person: refused after the code was made, it is lost.
    services.limits.require(LOOKS_BY_ACCOUNT, str(staff.account_id))
    try:
        chosen = codes.way_named(way)
        async with services.database.transaction() as session:
            case = await service.case_of(session, staff.scope, case_id)
            person = await register.get(session, EVERYWHERE, case.person_id)
            details = Register.open(services.settings.secrets_folder).details(person)
            issued = await codes.issue(session, services, staff, case, details, chosen)
            await _changed(session, services, staff, case_id)
    except Refused as refused:
        return await _refused_case(request, services, staff, case_id, refused)
    services.metrics.codes_issued.inc()
    sent = True
    if issued.message is not None:
        sent = await messaging.deliver(services, issued.number, issued.message) is not None
    return await _case_page(
        request,
        services,
        staff,
        case_id,
        template="cases/slip.html" if chosen is Way.SLIP else "cases/code.html",
        issued=issued,
        way=chosen.value,
        sent=sent,
        expires=vietnam_time(issued.expires_at),
    )


async def _refused_case(
    request: Request, services: Services, staff: Staff, case_id: int, refused: Refused
) -> Response:
    if refused.status_code == 404:
        raise refused
    return await _case_page(request, services, staff, case_id, refused=refused)


async def _form_page(
    request: Request,
    services: Services,
    staff: Staff,
    case_id: int,
    template: str,
    *,
    refused: Refused | None = None,
    texts: Mapping[str, str] | None = None,
) -> Response:
    """A form about one case; what was typed into it stays."""
    if refused is not None and refused.status_code == 404:
        raise refused
    async with services.database.read() as session:
        case = await service.case_of(session, staff.scope, case_id)
    stored = msgspec.to_builtins(service.course_of(case))
    yes_no = {None: "", True: "yes", False: "no"}
    filled = {name: stored[name] or "" for name in COURSE_FIELDS if name != "has_symptoms"}
    filled["has_symptoms"] = yes_no[case.has_symptoms]
    return await _case_page(
        request,
        services,
        staff,
        case_id,
        refused=refused,
        template=template,
        texts={**filled, "note": "", **(texts or {})},
        statuses=[
            one.value
            for one in CaseStatus
            if one in rules.OPEN and (one.value == case.status or _may(case, one))
        ],
        outcomes=[one.value for one in Outcome],
        may_close=_may(case, CaseStatus.CLOSED),
        may_discard=_may(case, CaseStatus.DISCARDED),
    )


def _may(case: Case, after: CaseStatus) -> bool:
    try:
        rules.check_transition(CaseStatus(case.status), after)
    except CourseError:
        return False
    return True


async def _changed(session: AsyncSession, services: Services, staff: Staff, case_id: int) -> None:
    await audit.record(
        session,
        services,
        staff,
        Action.CHANGE,
        subject=f"case:{case_id}",
        purpose=Purpose.CASE,
    )


def _note(text: str) -> str:
    note = text.strip()
    if len(note) > _MAX_NOTE or "\0" in note:
        raise CourseError(
            "note", _("A note may have {characters} characters at most."), characters=_MAX_NOTE
        )
    return note
