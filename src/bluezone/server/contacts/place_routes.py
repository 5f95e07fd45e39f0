"""Places: who said they were at the market on the 3rd between 8 and 10."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from bluezone.protocol.intervals import vietnam_day, vietnam_time
from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.contacts import forms, visits
from bluezone.server.contacts.deriving import take_turn
from bluezone.server.contacts.person_routes import place_kind
from bluezone.server.contacts.rules import Nearness
from bluezone.server.contacts.service import ContactError
from bluezone.server.contacts.showing import shown
from bluezone.server.contacts.words import WORDS
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.pages import page, sentence
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.web.catalogue import _

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Window:
    """The time asked about, as it was typed."""

    day: str
    start: str = "00:00"
    end: str = "23:59"


@router.get("/staff/places")
@allows(StaffRole.HEALTH_WORKER)
async def places_page(
    request: Request, services: Parts, staff: SignedIn, name: str = ""
) -> Response:
    return await _places(request, services, staff, name[:120])


@router.post("/staff/places")
@allows(StaffRole.HEALTH_WORKER)
async def add_place(request: Request, services: Parts, staff: SignedIn) -> Response:
    fields = forms.typed(await request.form())
    try:
        unit = forms.unit_of(fields.get("unit", ""))
        if not staff.scope.covers(unit):
            raise ContactError("unit", _("There is no such unit among yours."))
        async with services.database.transaction() as session:
            row = await visits.add_place(
                session, unit=unit, name=fields.get("place", ""),
                kind=place_kind(fields.get("kind", "")), address=fields.get("address", ""),
                now=services.now,
            )  # fmt: skip
    except Refused as refused:
        return await _places(request, services, staff, "", refused, fields)
    return RedirectResponse(f"/staff/places/{row.id}", 303)


@router.get("/staff/places/{place_id}")
@allows(StaffRole.HEALTH_WORKER)
async def place_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    place_id: int,
    day: str = "",
    start: str = "00:00",
    end: str = "23:59",
    made: int = 0,
) -> Response:
    window = Window(day or vietnam_day(services.now).isoformat(), start, end)
    return await _place(request, services, staff, place_id, window, made=max(0, min(made, 999)))


@router.post("/staff/places/{place_id}/contacts")
@allows(StaffRole.HEALTH_WORKER)
async def make_contacts(
    request: Request,
    services: Parts,
    staff: SignedIn,
    place_id: int,
    chosen: Annotated[list[int], Form()] = [],  # noqa: B006 - FastAPI copies it
    source: Annotated[int, Form()] = 0,
    nearness: Annotated[str, Form()] = "",
    day: Annotated[str, Form()] = "",
    start: Annotated[str, Form()] = "",
    end: Annotated[str, Form()] = "",
) -> Response:
    window = Window(day, start, end)
    try:
        if nearness not in set(Nearness):
            raise ContactError("nearness", _("Please say how near they were."))
        if not source:
            raise ContactError("source", _("Please choose whom the others were exposed to."))
        since, until = visits.checked_time(day, start, end, services.now)
        async with services.database.transaction() as session:
            await take_turn(session)
            place = await visits.place_within(session, staff.scope, place_id)
            rows = await visits.make_contacts(
                session, services, staff, place, source_id=source, chosen=chosen,
                nearness=Nearness(nearness), since=since, until=until,
            )  # fmt: skip
    except Refused as refused:
        if refused.status_code == 404:
            raise
        return await _place(request, services, staff, place_id, window, refused)
    return RedirectResponse(
        f"/staff/places/{place_id}?day={day}&start={start}&end={end}&made={len(rows)}", 303
    )


async def _places(
    request: Request,
    services: Services,
    staff: Staff,
    name: str,
    refused: Refused | None = None,
    fields: dict[str, str] | None = None,
) -> Response:
    async with services.database.read() as session:
        rows = await visits.places_within(session, staff.scope, name)
    return page(
        request,
        "contacts/places.html",
        refused.status_code if refused else 200,
        rows=rows,
        name=name,
        full=len(rows) == visits.SHOWN,
        fields=fields or {"unit": staff.unit.rpartition(".")[2]},
        problem=sentence(request, refused) if refused else "",
        problem_field=forms.problem_of(refused) if refused else "",
        words=WORDS,
    )


async def _place(
    request: Request,
    services: Services,
    staff: Staff,
    place_id: int,
    window: Window,
    refused: Refused | None = None,
    *,
    made: int = 0,
) -> Response:
    async with services.database.transaction() as session:
        place = await visits.place_within(session, staff.scope, place_id)
        present = []
        try:
            since, until = visits.checked_time(window.day, window.start, window.end, services.now)
            present = await visits.present(session, place, since, until)
        except ContactError as error:
            refused = refused or error
        people = await shown(
            session, services, staff, {one.visit.person_id for one in present},
            subject=f"place:{place.id}",
        )  # fmt: skip
    return page(
        request,
        "contacts/place.html",
        refused.status_code if refused else 200,
        place=place,
        window=window,
        present=present,
        people=people,
        made=made,
        today=vietnam_day(services.now).isoformat(),
        problem=sentence(request, refused) if refused else "",
        problem_field=forms.problem_of(refused) if refused else "",
        words=WORDS,
        vietnam_time=vietnam_time,
    )
