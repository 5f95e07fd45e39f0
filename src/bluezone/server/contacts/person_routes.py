"""A person's record: who they are, their rank and why, whom they met, what else is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_time
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.cases import service as cases
from bluezone.server.cases.tables import Case, LabResult
from bluezone.server.contacts import decisions, forms, rules, service, visits
from bluezone.server.contacts.decisions import Decision
from bluezone.server.contacts.deriving import take_turn
from bluezone.server.contacts.rules import KnownBy, PlaceKind
from bluezone.server.contacts.service import RankRow
from bluezone.server.contacts.showing import Met, Shown, Step, exposures_of, shown, why
from bluezone.server.contacts.tables import PlaceVisited, Visit
from bluezone.server.contacts.words import WORDS
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.pages import page, sentence
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Register
from bluezone.server.register.tables import Person
from bluezone.server.work import lists as work
from bluezone.server.work.rules import KIND_WORDS
from bluezone.server.work.tables import Task

_REVISION: Final = "seen"

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Record:
    """All that the page of a person shows of contacts."""

    person: Person
    details: Details
    rank: RankRow | None
    follow_up_until: str | None
    followed: int
    path: list[Step]
    decided: list[Decision]
    exposed_to: list[Met]
    exposed: list[Met]
    people: dict[int, Shown]
    visits: list[tuple[Visit, PlaceVisited]]
    cases: list[Case]
    tasks: list[Task]
    results: Sequence[LabResult]

    @property
    def decision(self) -> Decision | None:
        """The one that counts now."""
        return next((one for one in self.decided if one.row.ended_at is None), None)

    @property
    def has_phones(self) -> bool:
        return any(one.exposure.known_by == KnownBy.PHONE for one in self.exposed_to)


async def record_of(
    session: AsyncSession, services: Services, staff: Staff, person_id: int, purpose: Purpose
) -> Record:
    """Open a person's record: written to the audit. Raises Refused (404, 429)."""
    person, details = await register.look(session, services, staff, person_id, purpose)
    _version, rule = await service.rules_in_use(session)
    rank = (await service.ranks_of(session, [person.id])).get(person.id)
    path = await why(session, person.id)
    exposed_to = await exposures_of(session, services, person.id, as_source=False, removed=None)
    exposed = await exposures_of(session, services, person.id, as_source=True)
    others = {one.exposure.source_id for one in exposed_to}
    others |= {one.exposure.exposed_id for one in exposed}
    others |= {step.exposure.source_id for step in path}
    people = await shown(
        session, services, staff, {one for one in others if one is not None},
        subject=f"person:{person.id}", purpose=purpose,
    )  # fmt: skip
    return Record(
        person,
        details,
        rank,
        rules.follow_up_until(rank.last_exposed_on, rule) if rank else None,
        rule.followed,
        path,
        await decisions.decisions_on(session, services, person.id),
        exposed_to,
        exposed,
        people,
        await visits.visits_of(session, person.id),
        await cases.cases_of_person(session, staff.scope, person.id),
        await work.of_person(session, staff.scope, person.id),
        await cases.results_of_person(session, staff.scope, person.id),
    )


@router.get("/staff/people/{person_id}")
@allows(StaffRole.HEALTH_WORKER)
async def person_page(
    request: Request, services: Parts, staff: SignedIn, person_id: int, purpose: str = ""
) -> Response:
    return await _page(request, services, staff, person_id, purpose=purpose)


@router.get("/staff/people/{person_id}/edit")
@allows(StaffRole.HEALTH_WORKER)
async def edit_page(request: Request, services: Parts, staff: SignedIn, person_id: int) -> Response:
    async with services.database.transaction() as session:
        person, details = await register.look(session, services, staff, person_id, Purpose.QUALITY)
    fields = {name: str(getattr(details, name)) for name in forms.DETAIL_FIELDS}
    fields |= {"unit": person.unit.rpartition(".")[2], _REVISION: str(person.revision)}
    return _edit(request, person, fields)


@router.post("/staff/people/{person_id}/edit")
@allows(StaffRole.HEALTH_WORKER)
async def edit(request: Request, services: Parts, staff: SignedIn, person_id: int) -> Response:
    """Somebody else's change in between is a 409 that keeps what was typed, and shows theirs."""
    fields = forms.typed(await request.form())
    opened = Register.open(services.settings.secrets_folder)
    async with services.database.read() as session:
        person = await register.get(session, staff.scope, person_id)
    before = opened.details(person)
    try:
        details = forms.details_of(fields, services, before)
        unit = forms.unit_of(fields.get("unit", ""))
        async with services.database.transaction() as session:
            await take_turn(session)
            person = await register.get(session, staff.scope, person_id)
            await register.change(
                session, opened, person, details, unit=unit, seen=_number(fields.get(_REVISION)),
                now=services.now,
            )  # fmt: skip
            await service.rederive(session, [person.id], services.now)  # perhaps of another unit
            changed = [
                name
                for name in forms.DETAIL_FIELDS
                if getattr(before, name) != getattr(details, name)
            ]
            await audit.record(
                session, services, staff, Action.CHANGE, subject=f"person:{person.id}",
                purpose=Purpose.QUALITY, detail=",".join(changed),
            )  # fmt: skip
    except Refused as refused:
        if refused.status_code == 404:
            raise
        theirs: dict[str, str] = {}
        async with services.database.transaction() as session:
            person, now = await register.look(session, services, staff, person_id, Purpose.QUALITY)
        if refused.status_code == 409:
            theirs = {
                name: str(getattr(now, name))
                for name in forms.DETAIL_FIELDS
                if str(getattr(now, name)) != fields.get(name, "")
            }
            fields = {**fields, _REVISION: str(person.revision)}
        return _edit(request, person, fields, refused, theirs)
    if not staff.scope.covers(unit):  # the record has gone to another unit's register
        return RedirectResponse("/staff/contacts", 303)
    return RedirectResponse(f"/staff/people/{person.id}", 303)


@router.post("/staff/people/{person_id}/rank")
@allows(StaffRole.HEALTH_WORKER)
async def decide_rank(
    request: Request,
    services: Parts,
    staff: SignedIn,
    person_id: int,
    rank: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    """`rank`: a number, "none", or "rule" to let the rule count again."""
    try:
        async with services.database.transaction() as session:
            await take_turn(session)
            if rank == "rule":
                await decisions.end_override(session, services, staff, person_id)
            else:
                await decisions.override(
                    session, services, staff, person_id,
                    rank=None if rank == "none" else _number(rank), reason=reason,
                )  # fmt: skip
    except Refused as refused:
        if refused.status_code == 404:
            raise
        return await _page(
            request, services, staff, person_id, refused, {"rank": rank, "reason": reason}
        )
    return RedirectResponse(f"/staff/people/{person_id}", 303)


@router.post("/staff/people/{person_id}/visits")
@allows(StaffRole.HEALTH_WORKER)
async def add_visit(request: Request, services: Parts, staff: SignedIn, person_id: int) -> Response:
    fields = forms.typed(await request.form())
    try:
        async with services.database.transaction() as session:
            await register.get(session, staff.scope, person_id)
            start, end = visits.checked_time(
                fields.get("day", ""), fields.get("start", ""), fields.get("end", ""), services.now
            )
            place = await visits.add_place(
                session, unit=forms.unit_of(fields.get("unit", "")), name=fields.get("place", ""),
                kind=place_kind(fields.get("kind", "")), now=services.now,
            )  # fmt: skip
            await visits.add_visit(
                session, services, staff, person_id=person_id, place=place, start_at=start,
                end_at=end,
            )  # fmt: skip
    except Refused as refused:
        if refused.status_code == 404:
            raise
        return await _page(request, services, staff, person_id, refused, fields)
    return RedirectResponse(f"/staff/people/{person_id}", 303)


@router.post("/staff/visits/{visit_id}/remove")
@allows(StaffRole.HEALTH_WORKER)
async def remove_visit(services: Parts, staff: SignedIn, visit_id: int) -> Response:
    async with services.database.transaction() as session:
        row = await visits.remove_visit(session, services, staff, visit_id)
    return RedirectResponse(f"/staff/people/{row.person_id}", 303)


async def _page(
    request: Request,
    services: Services,
    staff: Staff,
    person_id: int,
    refused: Refused | None = None,
    fields: dict[str, str] | None = None,
    *,
    purpose: str = "",
) -> Response:
    why_opened = next((one for one in WORDS.purposes if one.value == purpose), Purpose.TRACING)
    async with services.database.transaction() as session:
        record = await record_of(session, services, staff, person_id, why_opened)
    return page(
        request,
        "contacts/person.html",
        refused.status_code if refused else 200,
        record=record,
        task_words=KIND_WORDS,
        purpose=why_opened,
        problem=sentence(request, refused) if refused else "",
        problem_field=forms.problem_of(refused) if refused else "",
        fields=fields or {},
        words=WORDS,
        vietnam_time=vietnam_time,
    )


def _edit(
    request: Request,
    person: Person,
    fields: dict[str, str],
    refused: Refused | None = None,
    theirs: dict[str, str] | None = None,
) -> Response:
    return page(
        request,
        "contacts/edit_person.html",
        refused.status_code if refused else 200,
        person=person,
        fields=fields,
        theirs=theirs or {},
        problem=sentence(request, refused) if refused else "",
        problem_field=forms.problem_of(refused) if refused else "",
    )


def place_kind(text: str) -> PlaceKind:
    """The kind of a form; anything else is another place."""
    return PlaceKind(text) if text in set(PlaceKind) else PlaceKind.OTHER


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else -1
