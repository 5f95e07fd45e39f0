"""Proving a telephone number, and the outbox (docs/protocol.md, "Telephone number")."""

from typing import Final

from fastapi import APIRouter, Request, Response

from bluezone.protocol.intervals import vietnam_time
from bluezone.protocol.phone_number import (
    OTP_TTL_SECONDS,
    NumberConfirmation,
    NumberReceipt,
    NumberRequest,
    NumberRequested,
    normal,
)
from bluezone.protocol.unprintable import Unprintable
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action
from bluezone.server.audit.rules import Purpose as LookPurpose
from bluezone.server.authorisation import SignedIn, allows, public
from bluezone.server.bodies import json_answer, read_json
from bluezone.server.context import Parts, Services
from bluezone.server.diagnosis.pepper import code_pepper
from bluezone.server.errors import Refused
from bluezone.server.jobs import Job
from bluezone.server.limits import Budget, Rule, client_subject
from bluezone.server.messaging import rules, service
from bluezone.server.messaging.service import KeptMessage
from bluezone.server.pages import page
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.web.catalogue import _

# Mobile networks put thousands of people behind one address, and each asks once.
REQUESTS_BY_ADDRESS: Final = Rule("number codes by address", 60, 3600)
# Whose telephone it is must not be woken by strangers all night, nor be guessed at.
REQUESTS_BY_NUMBER: Final = Rule("number codes by number", 3, 3600)
REQUESTS_BY_NUMBER_A_DAY: Final = Rule("number codes by number and day", 6, 24 * 3600)
# Each code allows five tries of a million; this stops trying many numbers.
WRONG_NUMBER_CODES: Final = Budget(
    Rule("wrong number codes by address", 20, 3600),
    Rule("wrong number codes", 20_000, 3600),
    beyond=Rule("wrong number codes by network", 1, 3600),
)

# Abroad there are numbers that earn by the message; a stranger could have us pay them.
_VIETNAM: Final = "+84"

router = APIRouter()
jobs = [Job("messaging-retention", 3600, service.forget_old)]


# --- a phone proves its number ----------------------------------------------------------
@router.post("/v1/phone-numbers")
@public
async def request_code(request: Request, services: Parts) -> Response:
    """NumberRequest → NumberRequested. The same answer whether a message goes out or not."""
    body = await read_json(request, NumberRequest)
    number = _normal(body.phone_number)
    if not number.startswith(_VIETNAM):
        raise Refused(
            400, "number-foreign", _("Codes are sent to Vietnamese mobile numbers (+84) only.")
        )
    limits, now = services.limits, services.now
    limits.spend(REQUESTS_BY_ADDRESS, client_subject(request.client and request.client.host))
    pepper = code_pepper(services.settings.secrets_folder)
    # In the memory of limits too a number is no number.
    subject = rules.number_mac(number, pepper).hex()
    full = limits.full(REQUESTS_BY_NUMBER, subject) or limits.full(
        REQUESTS_BY_NUMBER_A_DAY, subject
    )
    if not full:  # else silence: a refusal would tell that somebody else asked for this number
        limits.spend(_all_together(services))
        limits.count(REQUESTS_BY_NUMBER, subject)
        limits.count(REQUESTS_BY_NUMBER_A_DAY, subject)
        await _send_code(services, number, body.language, pepper, now)
    return json_answer(NumberRequested(now + OTP_TTL_SECONDS))


async def _send_code(
    services: Services, number: str, language: str, pepper: bytes, now: int
) -> None:
    sealer = service.outbox_sealer(services.settings.secrets_folder)
    async with services.database.transaction() as session:
        code = await service.new_code(session, number, pepper, now)
        message = rules.number_code_message(number, code, language)
        place = await service.put(session, sealer, message, now)
    await service.deliver(services, place, message)


@router.post("/v1/phone-numbers/confirm")
@public
async def confirm_code(request: Request, services: Parts) -> Response:
    """NumberConfirmation → NumberReceipt; the code is used up."""
    body = await read_json(request, NumberConfirmation)
    number, code = _normal(body.phone_number), rules.typed_number_code(body.code)
    limits, now = services.limits, services.now
    host = request.client.host if request.client else None
    WRONG_NUMBER_CODES.require(limits, host)
    secrets_folder = services.settings.secrets_folder
    async with services.database.transaction() as session:
        right = await service.use_code(session, number, code, code_pepper(secrets_folder), now)
    if not right:
        WRONG_NUMBER_CODES.spend(limits, host)
        raise Refused(
            403,
            "number-code-wrong",
            _("This code is wrong, used or too old. Please check it, or ask for a new one."),
        )
    made = rules.receipt(number, now, service.receipt_key(secrets_folder))
    return json_answer(NumberReceipt(phone_number=number, verified_at=now, receipt=made))


def _normal(text: str) -> str:
    try:
        return normal(text)
    except ValueError:
        raise Refused(
            400,
            "number-malformed",
            _("This is not a mobile telephone number. Please check what you typed."),
        ) from None


def _all_together(services: Services) -> Rule:
    return Rule("number codes", services.settings.number_codes_per_hour, 3600)


# --- the outbox ------------------------------------------------------------------------
class OutboxEntry(Unprintable, frozen=True):
    """One message of the outbox."""

    to: str
    text: str
    purpose: str
    state: str
    created_at: int
    sent_at: int | None


class OutboxAnswer(Unprintable, frozen=True):
    """The last messages, newest first."""

    messages: list[OutboxEntry]


@router.get("/staff/outbox")
@allows(StaffRole.ADMIN, nationwide=True)
async def outbox_page(request: Request, services: Parts, staff: SignedIn) -> Response:
    kept = await _outbox(services, staff)
    return page(
        request,
        "messaging/outbox.html",
        messages=[(one, vietnam_time(one.created_at)) for one in kept],
    )


@router.get("/v1/staff/outbox")
@allows(StaffRole.ADMIN, nationwide=True)
async def outbox(services: Parts, staff: SignedIn) -> Response:
    return json_answer(
        OutboxAnswer(
            [
                OutboxEntry(
                    to=one.message.to,
                    text=one.message.text,
                    purpose=one.message.purpose.value,
                    state=one.state.value,
                    created_at=one.created_at,
                    sent_at=one.sent_at,
                )
                for one in await _outbox(services, staff)
            ]
        )
    )


async def _outbox(services: Services, staff: Staff) -> list[KeptMessage]:
    async with services.database.transaction() as session:
        await audit.record(
            session,
            services,
            staff,
            Action.LOOK,
            subject="outbox",
            purpose=LookPurpose.ADMINISTRATION,
        )
        sealer = service.outbox_sealer(services.settings.secrets_folder)
        return list(await service.outbox(session, sealer))
