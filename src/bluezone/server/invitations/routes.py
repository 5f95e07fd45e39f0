"""Invitations (docs/protocol.md, "Invitation"): counted for phones, explained to people."""

from typing import Final

from fastapi import APIRouter, Request, Response

from bluezone.protocol.invitation import (
    InvitationCount,
    InvitationSecret,
    Invited,
    invitation_code,
    typed_invitation,
)
from bluezone.server.authorisation import public
from bluezone.server.bodies import json_answer, read_json
from bluezone.server.context import Parts
from bluezone.server.invitations import service
from bluezone.server.jobs import Job
from bluezone.server.limits import Budget, Rule, client_subject
from bluezone.server.pages import public_page

# A phone says it once; a school may install behind one address.
INVITED: Final = Budget(
    Rule("invited by address", 60, 3600),
    Rule("invited", 200_000, 3600),  # five million a day
    beyond=Rule("invited by network", 1, 3600),
)
QUESTIONS: Final = Rule("invitation questions by address", 600, 3600)

router = APIRouter()
jobs = [Job("invitations-retention", 24 * 3600, service.forget_old)]


@router.post("/v1/invitations")
@public
async def invited(request: Request, services: Parts) -> Response:
    """Invited → 204, whether anybody ever gave that code away or not."""
    INVITED.spend(services.limits, request.client and request.client.host)
    body = await read_json(request, Invited)
    async with services.database.transaction() as session:
        await service.count_one(session, body.invitation, services.now)
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


@router.post("/v1/invitations/count")
@public
async def count(request: Request, services: Parts) -> Response:
    """InvitationSecret → InvitationCount."""
    services.limits.spend(QUESTIONS, client_subject(request.client and request.client.host))
    body = await read_json(request, InvitationSecret)
    async with services.database.read() as session:
        found = await service.installed(session, invitation_code(body.secret))
    return json_answer(InvitationCount(found))


@router.get("/moi/{code}")
@public
async def invitation_page(request: Request, code: str) -> Response:
    """What a link in an invitation opens. It asks no database, so that it says nothing of codes."""
    try:
        shown = typed_invitation(code)
    except ValueError:
        return public_page(request, "invitations/invitation.html", 404, code="")
    return public_page(request, "invitations/invitation.html", code=shown)
