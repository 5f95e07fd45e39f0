"""What a citizen can ask: a page for everybody, and the code that a health worker gives for it."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request, Response

from bluezone.protocol.intervals import vietnam_time
from bluezone.protocol.phone_number import normal
from bluezone.protocol.unprintable import Unprintable
from bluezone.server import forms
from bluezone.server.authorisation import SignedIn, allows, public
from bluezone.server.bodies import json_answer
from bluezone.server.context import Parts, Services
from bluezone.server.diagnosis.rules import shown_code, typed_code
from bluezone.server.errors import EXPECTED_ERRORS, Refused, as_refused
from bluezone.server.holdings import service
from bluezone.server.holdings.service import Holdings
from bluezone.server.limits import Budget, Rule
from bluezone.server.pages import page, sentence
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.places.units import full_name
from bluezone.web.catalogue import _

# Twelve digits, one hour, and the number besides: a guess needs both.
WRONG_ASKINGS: Final = Budget(
    Rule("wrong citizen codes by address", 10, 3600),
    Rule("wrong citizen codes", 10_000, 3600),
    beyond=Rule("wrong citizen codes by network", 1, 3600),
)
_FIELDS: Final = {"code-malformed": "code", "number-malformed": "number"}

router = APIRouter()


# --- a health worker gives a code ------------------------------------------------------
class CitizenCodeAnswer(Unprintable, frozen=True):
    """The code's digits and the Unix time at which it expires."""

    code: str
    expires_at: int


@router.post("/v1/staff/people/{person}/citizen-code")
@allows(StaffRole.HEALTH_WORKER, StaffRole.HOTLINE)
async def issue(services: Parts, staff: SignedIn, person: str) -> Response:
    issued = await _issue(services, staff, person)
    return json_answer(CitizenCodeAnswer(issued.code, issued.expires_at))


@router.post("/staff/people/{person}/citizen-code")
@allows(StaffRole.HEALTH_WORKER, StaffRole.HOTLINE)
async def issue_on_page(
    request: Request, services: Parts, staff: SignedIn, person: str
) -> Response:
    """Shown in the answer itself: a code that could be fetched again would have to be kept."""
    try:
        issued = await _issue(services, staff, person)
    except Refused as refused:
        if refused.status_code == 404:
            raise
        return page(
            request,
            "holdings/code.html",
            refused.status_code,
            problem=sentence(request, refused),
            person=person,
            code="",
            expires=None,
        )
    return page(
        request,
        "holdings/code.html",
        problem="",
        person=person,
        code=shown_code(issued.code),
        expires=vietnam_time(issued.expires_at),
    )


async def _issue(services: Services, staff: Staff, person: str) -> service.IssuedCode:
    number = int(person) if person.isascii() and person.isdecimal() and len(person) < 18 else 0
    async with services.database.transaction() as session:
        return await service.issue_code(session, services, staff, number)


# --- a citizen asks --------------------------------------------------------------------
@router.get("/toi")
@public
async def ask_page(request: Request) -> Response:
    return _ask(request)


@router.post("/toi")
@public
async def answer(
    request: Request,
    services: Parts,
    code: Annotated[str, Form()] = "",
    number: Annotated[str, Form()] = "",
) -> Response:
    """The answer to the form is the page itself: no address leads to it a second time."""
    try:
        await forms.check(request)
        found = await _open(services, request.client and request.client.host, code, number)
    except EXPECTED_ERRORS as error:
        return _ask(request, as_refused(error), code[:20], number[:20])
    return page(
        request,
        "holdings/answer.html",
        unit=full_name(found.unit),
        held=[(one, vietnam_time(one.since).date()) for one in found.held],
        keeping=found.keeping,
        until=vietnam_time(found.keeping.until).date(),
        looks=[(one, _day(one.day), full_name(one.unit)) for one in found.looks],
        asked=vietnam_time(services.now),
    )


async def _open(services: Services, host: str | None, code: str, number: str) -> Holdings:
    limits = services.limits
    WRONG_ASKINGS.require(limits, host)
    digits = typed_code(code)
    try:
        whose = normal(number)
    except ValueError:
        raise Refused(
            400,
            "number-malformed",
            _("This is not a mobile telephone number. Please check what you typed."),
        ) from None
    folder = services.settings.secrets_folder
    async with services.database.transaction() as session:
        person = await service.use_code(session, folder, digits, whose, services.now)
    if person is None:
        WRONG_ASKINGS.spend(limits, host)
        raise Refused(
            403,
            "citizen-code-wrong",
            _(
                "Code and telephone number do not fit, or the code was used or is too old. Please"
                " check both, or ask for a new code."
            ),
        )
    # Of a volley of guesses the others have been counted by now.
    WRONG_ASKINGS.require(limits, host)
    async with services.database.transaction() as session:
        return await service.holdings(session, services, person)


def _ask(
    request: Request, refused: Refused | None = None, code: str = "", number: str = ""
) -> Response:
    response = page(
        request,
        "holdings/ask.html",
        refused.status_code if refused else 200,
        problem=sentence(request, refused) if refused else "",
        field=_FIELDS.get(refused.error, "") if refused else "",
        code=code,
        number=number,
    )
    if refused and refused.headers:
        response.headers.update(refused.headers)
    return response


def _day(day: str) -> str:
    year, month, date = day.split("-")
    return f"{date}/{month}/{year}"
