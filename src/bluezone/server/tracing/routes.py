"""Hand-overs, from the phone's side (docs/protocol.md, "Hand-over")."""

from typing import Final

import msgspec
from fastapi import APIRouter, Request, Response

from bluezone.protocol.handover import (
    MAX_DETAILS_BYTES,
    MAX_DIARY_BYTES,
    ContactDetails,
    HandedDiary,
    HandoverAnswer,
    HandoverSecret,
    HandoverState,
    handover_id,
)
from bluezone.server.authorisation import public
from bluezone.server.bodies import BodyLimit, json_answer, read_json
from bluezone.server.contacts import service as contacts
from bluezone.server.contacts.deriving import take_turn
from bluezone.server.context import Parts, Services
from bluezone.server.diagnosis import service as diagnosis
from bluezone.server.diagnosis.guessing import GUESSES
from bluezone.server.diagnosis.pepper import code_pepper
from bluezone.server.errors import Refused
from bluezone.server.evidence import service as evidence
from bluezone.server.evidence.rules import check_claim
from bluezone.server.limits import Budget, Rule, client_subject
from bluezone.server.places import service as places
from bluezone.server.sealing import Sealer
from bluezone.server.tracing import rules, service

# Mobile networks put thousands of people behind one address; a person sends one.
DETAILS: Final = Budget(
    Rule("details by address", 60, 3600),
    Rule("details", 20_000, 3600),  # more than the country's tracers could call
    beyond=Rule("details by network", 1, 3600),
)
# Megabytes each: these bound what fills the disk.
DIARIES: Final = Budget(
    Rule("diaries by address", 20, 3600),
    Rule("diaries", 2_000, 3600),
    beyond=Rule("diaries by network", 1, 3600),
)
# A secret of 16 bytes is not guessed; this bounds the work alone.
QUESTIONS: Final = Rule("hand-over questions by address", 1_200, 3600)

# A diary is five megabytes at most, over a mobile network; 16 of them at a time are 80 MB.
BODY_LIMITS: Final = {
    # Proof of encounters makes them larger: 64 of them at a time are 50 MB.
    "/v1/handovers/details": BodyLimit(MAX_DETAILS_BYTES, 60.0, at_once=64, at_once_by_client=8),
    "/v1/handovers/diary": BodyLimit(MAX_DIARY_BYTES, 120.0, at_once=16, at_once_by_client=2),
}

_WITHDRAWN: Final = "withdrawn"  # what a contact made of the hand-over is taken back for

router = APIRouter()


@router.post("/v1/handovers/details")
@public
async def details(request: Request, services: Parts) -> Response:
    """ContactDetails → HandoverAnswer, once they are durable."""
    DETAILS.spend(services.limits, _host(request))
    content = await read_json(request, ContactDetails)
    rules.check_details(content)
    claim = content.claim
    if claim is not None:
        check_claim(claim)
    folder = services.settings.secrets_folder
    sealer, digest = service.inbox_sealer(folder), service.message_digest(folder, content)
    async with services.database.transaction() as session:
        unit = await places.unit_of_commune(session, content.commune)
        answer = await service.receive(
            session,
            sealer,
            msgspec.structs.replace(content, claim=None),  # kept apart, and not for as long
            digest,
            unit=unit,
            code_mac=None,
            now=services.now,
        )
        if claim is not None and answer.state is not HandoverState.WITHDRAWN:
            await evidence.keep_claim(session, folder, content.handover, claim, services.now)
    return json_answer(answer)


@router.post("/v1/handovers/diary")
@public
async def diary(request: Request, services: Parts) -> Response:
    """HandedDiary → HandoverAnswer, once it is durable."""
    DIARIES.spend(services.limits, _host(request))
    GUESSES.require(services.limits, _host(request))
    content = await read_json(request, HandedDiary)
    rules.check_diary(content)
    return json_answer(await _receive_diary(services, content, _host(request)))


async def _receive_diary(
    services: Services, content: HandedDiary, host: str | None
) -> HandoverAnswer:
    folder = services.settings.secrets_folder
    sealer, digest = service.inbox_sealer(folder), service.message_digest(folder, content)
    async with services.database.read() as session:
        # First: who lost the answer asks again, and the code may be too old by then.
        answer = await service.known(session, sealer, content.handover, digest)
        if answer is not None:
            return answer
        try:
            code = await diagnosis.unit_of_code(
                session, content.code, code_pepper(folder), services.now
            )
        except Refused as refused:
            if refused.status_code == 403:
                GUESSES.spend(services.limits, host)
            raise
    GUESSES.require(services.limits, host)
    async with services.database.transaction() as session:
        answer = await service.receive(
            session,
            sealer,
            content,
            digest,
            unit=code.unit,
            code_mac=code.mac,
            now=services.now,
        )
        await evidence.remember_diary(
            session, folder, content.handover, {one.key for one in content.keys}
        )
    return answer


@router.post("/v1/handovers/status")
@public
async def status(request: Request, services: Parts) -> Response:
    """HandoverSecret → HandoverAnswer."""
    handover = await _asked(request, services)
    async with services.database.read() as session:
        answer = await service.state_of(session, _sealer(services), handover)
    return json_answer(answer)


@router.post("/v1/handovers/withdraw")
@public
async def withdraw(request: Request, services: Parts) -> Response:
    """HandoverSecret → HandoverAnswer, once the content is gone."""
    handover = await _asked(request, services)
    async with services.database.transaction() as session:
        answer = await service.withdraw(session, _sealer(services), handover, services.now)
        await take_turn(session)
        await contacts.remove_exposures_of(session, services, handover, by="", reason=_WITHDRAWN)
        await evidence.forget(session, handover)
    await services.database.forget_deleted()
    return json_answer(answer)


async def _asked(request: Request, services: Services) -> bytes:
    services.limits.spend(QUESTIONS, client_subject(_host(request)))
    return handover_id((await read_json(request, HandoverSecret)).secret)


def _sealer(services: Services) -> Sealer:
    return service.inbox_sealer(services.settings.secrets_folder)


def _host(request: Request) -> str | None:
    return request.client.host if request.client else None
