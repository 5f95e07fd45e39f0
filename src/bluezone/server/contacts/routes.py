"""Contacts of a case, one by one and a household at a time; the line list and its figures."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.bodies import json_answer
from bluezone.server.cases import service as cases
from bluezone.server.cases.tables import Case
from bluezone.server.contacts import forms, lists, service
from bluezone.server.contacts.deriving import take_turn
from bluezone.server.contacts.lists import Figures, Filters
from bluezone.server.contacts.showing import case_section, shown
from bluezone.server.contacts.words import WORDS
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.limits import Rule
from bluezone.server.pages import page, sentence
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.places.units import NATION, unit_named
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Candidate
from bluezone.web.catalogue import _

CHANGES_BY_ACCOUNT: Final = Rule("contacts changed by account", 600, 3600)

router = APIRouter()


# --- a case's contacts -----------------------------------------------------------------
@router.get("/staff/cases/{case_id}/contacts")
@allows(StaffRole.HEALTH_WORKER)
async def contacts_page(
    request: Request, services: Parts, staff: SignedIn, case_id: int, added: int = 0
) -> Response:
    async with services.database.transaction() as session:
        case = await cases.case_of(session, staff.scope, case_id)
        contacts = await case_section(session, services, staff, case_id)
    return page(
        request,
        "contacts/case_contacts.html",
        case=case,
        added=max(0, min(added, 99)),
        **contacts,
    )


@router.get("/staff/cases/{case_id}/contacts/new")
@allows(StaffRole.HEALTH_WORKER)
async def new_contact_page(
    request: Request, services: Parts, staff: SignedIn, case_id: int
) -> Response:
    return await _form(request, services, staff, case_id, {})


@router.post("/staff/cases/{case_id}/contacts/new")
@allows(StaffRole.HEALTH_WORKER)
async def add_contact(request: Request, services: Parts, staff: SignedIn, case_id: int) -> Response:
    fields = forms.typed(await request.form())
    services.limits.spend(CHANGES_BY_ACCOUNT, str(staff.account_id))
    try:
        async with services.database.transaction() as session:
            await take_turn(session)
            case = await cases.case_of(session, staff.scope, case_id)
            choice = await _add(session, services, staff, case, fields)
            if choice.candidates:
                raise _Choose(choice)
    except _Choose as choose:
        candidates = choose.choice.candidates
        return await _form(request, services, staff, case_id, fields, candidates=candidates)
    except Refused as refused:
        if refused.status_code == 404:
            raise
        return await _form(request, services, staff, case_id, fields, refused)
    number = 1 + len(forms.household_rows(fields))
    return RedirectResponse(f"/staff/cases/{case_id}/contacts?added={number}", 303)


class _Choose(Exception):  # noqa: N818
    """Nothing is kept until the worker has said who is meant."""

    def __init__(self, choice: forms.PersonChoice) -> None:
        self.choice = choice


async def _add(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    case: Case,
    fields: dict[str, str],
) -> forms.PersonChoice:
    meeting = forms.meeting_of(fields, services.now)
    unit = forms.unit_of(fields.get("unit", ""))
    choice = await forms.chosen_person(session, services, staff, fields, unit)
    if choice.person_id is None:
        return choice
    members = await forms.household_members(
        session, services, staff, rows := forms.household_rows(fields),
        unit=unit, address=fields.get("address", ""),
    )  # fmt: skip
    given = [meeting.exposure(case.person_id, choice.person_id)]
    for (_number, row), member in zip(rows, members, strict=True):
        own = forms.meeting_of({**fields, "relation": row["relation"]}, services.now)
        given.append(own.exposure(case.person_id, member))
    await service.add_exposures(session, services, staff, given)
    return choice


async def _form(
    request: Request,
    services: Services,
    staff: Staff,
    case_id: int,
    fields: dict[str, str],
    refused: Refused | None = None,
    candidates: Sequence[tuple[Candidate, Details]] = (),
) -> Response:
    async with services.database.transaction() as session:
        case = await cases.case_of(session, staff.scope, case_id)
        if candidates:
            await audit.record(
                session, services, staff, Action.LIST, subject=f"case:{case.id}",
                purpose=Purpose.TRACING, detail=f"persons={len(candidates)}",
            )  # fmt: skip
    fields = {"unit": case.unit.rpartition(".")[2], **fields}
    return page(
        request,
        "contacts/new_contact.html",
        refused.status_code if refused else 200,
        case=case,
        fields=fields,
        problem=sentence(request, refused) if refused else "",
        problem_field=forms.problem_of(refused) if refused else "",
        candidates=candidates,
        more_rows=range(1, forms.MORE_ROWS + 1),
        words=WORDS,
        today=vietnam_day(services.now),
        first_day=vietnam_day(services.now) - dt.timedelta(days=service.OLDEST_DAYS),
    )


@router.post("/staff/exposures/{exposure_id}/remove")
@allows(StaffRole.HEALTH_WORKER)
async def remove(
    request: Request,
    services: Parts,
    staff: SignedIn,
    exposure_id: int,
    reason: Annotated[str, Form()] = "",
    seen: Annotated[int, Form()] = -1,
    back: Annotated[str, Form()] = "",
) -> Response:
    async with services.database.transaction() as session:
        await take_turn(session)
        await service.remove_exposure(
            session, services, staff, exposure_id, reason=reason, seen=seen
        )
    return RedirectResponse(_back(back), 303)


@router.post("/staff/exposures/{exposure_id}/restore")
@allows(StaffRole.HEALTH_WORKER)
async def restore(
    services: Parts,
    staff: SignedIn,
    exposure_id: int,
    seen: Annotated[int, Form()] = -1,
    back: Annotated[str, Form()] = "",
) -> Response:
    async with services.database.transaction() as session:
        await take_turn(session)
        await service.restore_exposure(session, services, staff, exposure_id, seen=seen)
    return RedirectResponse(_back(back), 303)


def _back(given: str) -> str:
    """Where a form came from; never beyond this service's own pages."""
    kind, _slash, number = given.partition("/")
    if number.isascii() and number.isdigit() and len(number) < 19:
        if kind == "case":
            return f"/staff/cases/{number}/contacts"
        if kind == "person":
            return f"/staff/people/{number}"
    return "/staff/contacts"


# --- the line list and what phones found -------------------------------------------------
@router.get("/staff/contacts")
@allows(StaffRole.HEALTH_WORKER)
async def list_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    rank: str = "1",
    unit: str = "",
    known_by: str = "",
    follow_up: str = "",
    since: str = "",
    until: str = "",
    after: str = "",
) -> Response:
    today = vietnam_day(services.now)
    problem: Refused | None = None
    try:
        path = _unit_within(staff, unit)
        first, last = lists.checked_period(since, until, services.now)
    except Refused as refused:
        if refused.status_code == 404:
            raise
        problem, path = refused, _home(staff)
        first, last = lists.checked_period("", "", services.now)
    async with services.database.transaction() as session:
        version, rule = await service.rules_in_use(session)
        filters = Filters(_rank_of(rank, rule.followed), path, known_by, follow_up)
        found = await lists.contacts_in(session, staff.scope, filters, rule, today, after)
        figures, below = await lists.figures(session, path, first, last)
        people = await shown(
            session, services, staff, [one.person_id for one in found.lines],
            subject=f"unit:{path}",
        )  # fmt: skip
    return page(
        request,
        "contacts/list.html",
        problem.status_code if problem else 200,
        problem=sentence(request, problem) if problem else "",
        found=found,
        people=people,
        filters=filters,
        unit_code=path.rpartition(".")[2],
        figures=figures,
        below=below,
        since=first,
        until=last,
        ranks=range(rule.followed + 1),
        rule_version=version,
        words=WORDS,
        today=today.isoformat(),
    )


class FiguresAnswer(msgspec.Struct, frozen=True):
    """How many F1 contacts became known in a period, and how many only phones found."""

    unit: str  # code
    name: str
    since: str
    until: str
    f1: int
    only_phones: int
    phones_too: int
    below: list[dict[str, object]]


@router.get("/v1/staff/contacts/figures")
@allows(StaffRole.HEALTH_WORKER)
async def figures_answer(
    services: Parts, staff: SignedIn, unit: str = "", since: str = "", until: str = ""
) -> Response:
    path = _unit_within(staff, unit)
    first, last = lists.checked_period(since, until, services.now)
    async with services.database.read() as session:
        own, below = await lists.figures(session, path, first, last)
    return json_answer(
        FiguresAnswer(
            unit=_code(own), name=own.name, since=first, until=last, f1=own.f1,
            only_phones=own.only_phones, phones_too=own.phones_too,
            below=[
                {"unit": _code(one), "name": one.name, "f1": one.f1,
                 "only_phones": one.only_phones, "phones_too": one.phones_too}
                for one in below
            ],
        )
    )  # fmt: skip


def _code(one: Figures) -> str:
    return one.unit.rpartition(".")[2]


def _home(staff: Staff) -> str:
    return staff.scope.units[0] if staff.scope.units else NATION


def _unit_within(staff: Staff, code: str) -> str:
    """The path of a unit within scope; of nothing, one's own. Raises Refused (404, 422)."""
    if not code.strip():
        return _home(staff)
    found = unit_named(code.strip()).path
    if not staff.scope.covers(found):
        raise Refused(404, "unit-not-yours", _("There is no such unit among yours."))
    return found


def _rank_of(text: str, followed: int) -> int:
    return int(text) if text in {str(one) for one in range(followed + 1)} else 1
