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
from bluezone.server.limits import Rule, client_subject
from bluezone.server.pages import page, sentence
from bluezone.server.people import rules, service
from bluezone.server.people.passwords import verify_password
from bluezone.server.people.rules import StaffRole
from bluezone.web.catalogue import _

# A health unit may share one address; guessing one name is stopped by its lock, many by this.
SIGN_INS = Rule("sign-in", burst=30, seconds=60)

router = APIRouter()
jobs = [Job("forget-expired-sessions", 3600, service.forget_expired)]


class SignIn(Unprintable, frozen=True, forbid_unknown_fields=True):
    """What a program sends to sign in."""

    name: str
    password: str


class SessionAnswer(Unprintable, frozen=True):
    """A bearer token and the Unix time at which it expires."""

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
        token, expires_at = await _open_session(request, services, name, password)
    except Refused as refused:
        return page(
            request,
            "people/sign_in.html",
            refused.status_code,
            name=name[:64],
            problem=sentence(request, refused),
        )
    response = RedirectResponse("/staff", 303)
    forms.set_cookie(request, response, forms.SESSION_COOKIE, token, expires_at - services.now)
    return response


@router.post("/staff/sign-out")
@allows(*StaffRole)
async def sign_out(request: Request, services: Parts, staff: SignedIn) -> Response:
    async with services.database.transaction() as session:
        await service.close_session(session, request.cookies[forms.SESSION_COOKIE])
    response = RedirectResponse("/staff/sign-in", 303)
    response.delete_cookie(forms.SESSION_COOKIE, path="/", httponly=True, samesite="strict")
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
    token, expires_at = await _open_session(request, services, body.name, body.password)
    return json_answer(SessionAnswer(token, expires_at))


async def _open_session(
    request: Request, services: Services, name: str, password: str
) -> tuple[str, int]:
    """Check a name and a password. Raises Refused: 401 wrong, 429 locked or too many."""
    services.limits.spend(SIGN_INS, client_subject(request.client and request.client.host))
    if len(name) > 64 or len(password) > rules.MAX_PASSWORD_CHARACTERS:
        raise _wrong()
    async with services.database.transaction() as session:
        locked_seconds = await service.begin_sign_in(session, name, services.now)
    if locked_seconds:
        raise Refused(
            429,
            "locked",
            _("Too many failed sign-ins. Please try again in {seconds} seconds."),
            headers={"Retry-After": str(locked_seconds)},
            seconds=locked_seconds,
        )
    async with services.database.read() as session:
        account = await service.find_account(session, name)
    password_hash = account.password_hash if account else None
    if not await verify_password(password_hash, password) or account is None:
        raise _wrong()
    async with services.database.transaction() as session:
        return await service.open_session(
            session, account, services.now, services.settings.session_seconds
        )


def _wrong() -> Refused:
    return Refused(401, "wrong-name-or-password", _("The name or the password is wrong."))
