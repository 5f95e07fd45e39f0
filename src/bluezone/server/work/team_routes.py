"""Teams, as a page."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.pages import page, sentence
from bluezone.server.people import service as people
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.places.units import unit_named
from bluezone.server.work import forms, teams
from bluezone.web.catalogue import _

router = APIRouter()


@router.get("/staff/teams")
@allows(StaffRole.HEALTH_WORKER)
async def teams_page(request: Request, services: Parts, staff: SignedIn) -> Response:
    return await _page(request, services, staff)


@router.post("/staff/teams")
@allows(StaffRole.HEALTH_WORKER)
async def make(
    request: Request,
    services: Parts,
    staff: SignedIn,
    name: Annotated[str, Form()] = "",
    unit: Annotated[str, Form()] = "",
    automatic: Annotated[str, Form()] = "",
) -> Response:
    try:
        path = unit_named(unit.strip()).path
        async with services.database.transaction() as session:
            await teams.make(
                session, staff, unit=path, name=name, automatic=bool(automatic), now=services.now
            )
    except Refused as refused:
        return await _page(request, services, staff, refused, name=name, unit=unit)
    return RedirectResponse("/staff/teams", 303)


@router.post("/staff/teams/{team}")
@allows(StaffRole.HEALTH_WORKER)
async def change(
    request: Request,
    services: Parts,
    staff: SignedIn,
    team: str,
    act: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    account: Annotated[str, Form()] = "",
) -> Response:
    """Add or take out a member, change how tasks come, end the team."""
    number = forms.task_id(team)
    try:
        async with services.database.transaction() as session:
            found = await teams.get(session, staff.scope, number)
            match act:
                case "add":
                    who = await people.health_worker_named(session, name, found.unit)
                    if who is None:
                        raise teams.not_for_unit()
                    await teams.add_member(session, found, who)
                case "remove":
                    await teams.remove_member(session, found, forms.task_id(account))
                case "automatic" | "by-hand":
                    await teams.set_automatic(session, found, act == "automatic")
                case "end":
                    await teams.end(session, found, services.now)
                case _:
                    raise Refused(422, "act-unknown", _("Nothing was changed."))
    except Refused as refused:
        if refused.status_code == 404:
            raise
        return await _page(request, services, staff, refused, about=number, name=name)
    return RedirectResponse("/staff/teams", 303)


async def _page(
    request: Request,
    services: Services,
    staff: Staff,
    refused: Refused | None = None,
    *,
    about: int = 0,
    name: str = "",
    unit: str = "",
) -> Response:
    async with services.database.read() as session:
        rows = await teams.of_scope(session, staff.scope)
    return page(
        request,
        "work/teams.html",
        refused.status_code if refused else 200,
        problem=sentence(request, refused) if refused else "",
        teams=rows,
        about=about,
        name=name[:64],
        unit=(unit or staff.scope.units[0].rpartition(".")[2])[:32],
    )
