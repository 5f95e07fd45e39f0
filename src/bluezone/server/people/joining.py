"""Joining: what the link of an invitation opens, and the account that comes of it.

The secret is in the link's fragment, which no browser sends; the page's script moves it into the
form, so that it is in bodies alone: no log, no history, no Referer.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request, Response

from bluezone.protocol.intervals import vietnam_time
from bluezone.server import forms
from bluezone.server.authorisation import public
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.limits import Rule, client_subject
from bluezone.server.pages import page, sentence
from bluezone.server.people import invitations
from bluezone.server.people.own_account import check_new_password
from bluezone.server.people.passwords import hash_password
from bluezone.server.people.routes import enter
from bluezone.server.people.rules import Stage
from bluezone.server.people.tables import StaffInvitation

# A training room joins behind one address; each step is one, and a typing mistake one more.
JOINS: Final = Rule("joining by address", 120, 3600)

router = APIRouter()


@router.get("/staff/join")
@public
async def join_page(request: Request) -> Response:
    return page(request, "people/join.html", problem="")


@router.post("/staff/join")
@public
async def join(
    request: Request,
    services: Parts,
    invitation: Annotated[str, Form()] = "",
    step: Annotated[str, Form()] = "",
    fresh: Annotated[str, Form()] = "",
    again: Annotated[str, Form()] = "",
) -> Response:
    """Show what the invitation is for and ask for a password; in the `step` after it: join."""
    await forms.check(request)
    token = invitation.strip().rpartition("#")[2]  # whole links are pasted, too
    try:
        services.limits.spend(JOINS, client_subject(request.client and request.client.host))
        async with services.database.read() as session:
            row = await invitations.find(session, token, services.now)
    except Refused as refused:
        return page(
            request, "people/join.html", refused.status_code, problem=sentence(request, refused)
        )
    if step != "password":
        return _password_page(request, services, row, token)
    try:
        check_new_password(fresh, again, row.name)
    except Refused as refused:
        return _password_page(request, services, row, token, refused)
    password_hash = await hash_password(fresh)
    async with services.database.transaction() as session:
        account = await invitations.accept(session, services, token, password_hash)
    required = services.settings.second_factor_required
    return await enter(request, services, account, Stage.ENROL if required else Stage.OPEN)


def _password_page(
    request: Request,
    services: Services,
    row: StaffInvitation,
    token: str,
    refused: Refused | None = None,
) -> Response:
    return page(
        request,
        "people/join_password.html",
        refused.status_code if refused else 200,
        problem=sentence(request, refused) if refused else "",
        problem_field="again" if refused and refused.error == "password-differs" else "fresh",
        row=row,
        invitation=token,
        expires=vietnam_time(row.expires_at),
        second_factor_follows=services.settings.second_factor_required,
    )
