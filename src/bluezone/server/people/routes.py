"""Signing in and out: pages for people, a bearer token for programs."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from bluezone.protocol.unprintable import Unprintable
from bluezone.server import drafts, forms
from bluezone.server.authorisation import SignedIn, allows, public
from bluezone.server.bodies import json_answer, read_json
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.jobs import Job
from bluezone.server.pages import page, sentence
from bluezone.server.people import service, signing_in
from bluezone.server.people.rules import StaffRole, Stage
from bluezone.server.people.tables import StaffAccount
from bluezone.web.catalogue import _

router = APIRouter()
jobs = [Job("forget-expired-sessions", 3600, service.forget_expired)]
_NEXT = {
    Stage.CODE: "/staff/sign-in/code",
    Stage.ENROL: "/staff/account/second-factor",
    Stage.OPEN: "/staff",
}


class SignIn(Unprintable, frozen=True, forbid_unknown_fields=True):
    """What a program sends to sign in. `otp`: a code of the second factor, where there is one."""

    name: str
    password: str
    otp: str = ""


class SessionAnswer(Unprintable, frozen=True):
    """A bearer token and the Unix time at which it expires, also when it is used."""

    token: str
    expires_at: int


@router.get("/")
@public
async def front_door(_request: Request) -> Response:
    """Whoever types the bare address in a browser is staff."""
    return RedirectResponse("/staff", 303)


@router.get("/staff/sign-in")
@public
async def sign_in_page(request: Request) -> Response:
    return page(request, "people/sign_in.html", name="", problem="")


@router.post("/staff/sign-in")
@public
async def sign_in(
    request: Request,
    services: Parts,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
) -> Response:
    await forms.check(request)
    try:
        account, stage = await signing_in.by_password(request, services, name, password)
    except Refused as refused:
        return page(
            request,
            "people/sign_in.html",
            refused.status_code,
            name=name[:64],
            problem=sentence(request, refused),
        )
    return await enter(request, services, account, stage)


@router.get("/staff/sign-in/code")
@allows(*StaffRole, stages=[Stage.CODE])
async def code_page(request: Request) -> Response:
    return page(request, "people/code.html", problem="")


@router.post("/staff/sign-in/code")
@allows(*StaffRole, stages=[Stage.CODE])
async def check_code(
    request: Request, services: Parts, staff: SignedIn, code: Annotated[str, Form()] = ""
) -> Response:
    try:
        await signing_in.check_code(services, staff.account_id, code)
    except Refused as refused:
        return page(
            request, "people/code.html", refused.status_code, problem=sentence(request, refused)
        )
    async with services.database.read() as session:
        account = await session.get(StaffAccount, staff.account_id)
    assert account is not None  # noqa: S101 - it has just been signed in with
    return await enter(request, services, account, Stage.OPEN)


@router.post("/staff/sign-out")
@allows(*StaffRole, stages=Stage)
async def sign_out(request: Request, services: Parts, staff: SignedIn) -> Response:
    async with services.database.transaction() as session:
        await service.close_session(session, request.cookies[forms.SESSION_COOKIE])
    response = signed_out(RedirectResponse("/staff/sign-in", 303))
    drafts.forget(response, staff)
    return response


@router.get("/staff")
@allows(*StaffRole)
async def start_page(request: Request) -> Response:
    return page(request, "people/start.html")


@router.post("/v1/staff/session")
@public
async def open_session(request: Request, services: Parts) -> Response:
    body = await read_json(request, SignIn)
    account, stage = await signing_in.by_password(request, services, body.name, body.password)
    if stage is Stage.ENROL:
        raise Refused(
            403,
            "second-factor-missing",
            _("Please sign in at /staff in a browser once, and set up the second factor there."),
        )
    if stage is Stage.CODE:
        if not body.otp:
            raise Refused(401, "code-missing", _("Please type the code of your app first."))
        await signing_in.check_code(services, account.id, body.otp)
    token, expires_at = await signing_in.open_session(services, account, Stage.OPEN)
    return json_answer(SessionAnswer(token, expires_at))


async def enter(
    request: Request, services: Services, account: StaffAccount, stage: Stage
) -> Response:
    """Open a session at a stage in this browser, and lead on to where that stage begins.

    The token is always a fresh one: an earlier stage's may have been planted by somebody else.
    """
    token, expires_at = await signing_in.open_session(
        services, account, stage, replaces=request.cookies.get(forms.SESSION_COOKIE, "")
    )
    response = RedirectResponse(_NEXT[stage], 303)
    forms.set_cookie(request, response, forms.SESSION_COOKIE, token, expires_at - services.now)
    return response


def signed_out(response: Response) -> Response:
    """Take the session's cookie out of the browser."""
    response.delete_cookie(forms.SESSION_COOKIE, path="/", httponly=True, samesite="strict")
    return response
