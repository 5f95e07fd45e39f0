"""The two legs of an upload, and the health worker's one-time codes (docs/protocol.md, "Upload").

Both legs are plain routes: they are hot, and chaff from every phone goes through them.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final, TypeVar

import msgspec
from fastapi import APIRouter, Form, Request, Response

from bluezone.protocol import blind_rsa
from bluezone.protocol.deployment import RETENTION_DAYS, UPLOAD_BODY_BYTES
from bluezone.protocol.intervals import vietnam_time
from bluezone.protocol.keys import ReportType
from bluezone.protocol.unprintable import Unprintable
from bluezone.protocol.upload import KeyUpload, PermissionAnswer, PermissionRequest, UploadAnswer
from bluezone.server.authorisation import SignedIn, allows, public
from bluezone.server.bodies import json_answer, read_json
from bluezone.server.context import Parts, Services, services_of
from bluezone.server.diagnosis import rules, service
from bluezone.server.diagnosis.guessing import GUESSES
from bluezone.server.diagnosis.intake import Intake, key_rows, new_chain
from bluezone.server.diagnosis.pepper import code_pepper
from bluezone.server.diagnosis.pictures import qr
from bluezone.server.errors import Refused
from bluezone.server.pages import page, sentence
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.web.catalogue import _

ANSWER_BYTES: Final = 1024
_JITTER: Final = 0.5  # of answer_seconds
# The field of the form that a refusal is about; any other is about the whole form.
_FIELDS: Final = {
    "report-type-unknown": "report_type",
    "onset-malformed": "symptom_onset",
    "onset-out-of-range": "symptom_onset",
}

_T = TypeVar("_T")

router = APIRouter()


# --- a phone reports -------------------------------------------------------------------
@public
async def permission(request: Request) -> Response:
    """`POST /v1/permission`: PermissionRequest → PermissionAnswer."""
    services = services_of(request)
    async with _evenly(services):
        message = await _read(request, PermissionRequest)
        if message.chaff:
            return _answer(_chaff_permission(services))
        return _answer(await _exchange(services, message, request.client and request.client.host))


async def _exchange(
    services: Services, message: PermissionRequest, host: str | None
) -> PermissionAnswer:
    limits, pepper = services.limits, code_pepper(services.settings.secrets_folder)
    GUESSES.require(limits, host)
    try:
        async with services.database.read() as session:
            grant = await service.find_grant(session, message, services.keys, pepper, services.now)
    except Refused as refused:
        if refused.status_code == 403:
            GUESSES.spend(limits, host)
        raise
    GUESSES.require(limits, host)
    try:
        # Before the code is marked: a message that cannot be signed must not use it up.
        signature = blind_rsa.blind_sign(grant.key.private_key, grant.blinded_message)
    except blind_rsa.BlindSignatureError:
        raise Refused(
            422, "blinded-message-malformed", _("The app sent a malformed request.")
        ) from None
    async with services.database.transaction() as session:
        await service.take_grant(session, grant)
    return PermissionAnswer(
        blind_signature=signature,
        key_id=grant.key.key_id,
        report_type=grant.key.report_type,
        symptom_onset=grant.symptom_onset,
    )


def _chaff_permission(services: Services) -> PermissionAnswer:
    """The work and the size of a real answer, with random bytes for a signature."""
    key = services.keys.permission(ReportType.CONFIRMED_TEST, services.now)
    size = key.private_key.key_size // 8
    blind_rsa.blind_sign(key.private_key, b"\0" + os.urandom(size - 1))
    return PermissionAnswer(
        blind_signature=os.urandom(size),
        key_id=key.key_id,
        report_type=key.report_type,
        symptom_onset=None,
    )


@public
async def keys(request: Request) -> Response:
    """`POST /v1/keys`: KeyUpload → UploadAnswer, once the keys are durable."""
    services = services_of(request)
    async with _evenly(services):
        upload = await _read(request, KeyUpload)
        if not upload.chaff:
            now = services.now
            real = rules.check_upload(upload, now)
            service.check_permission(upload, real, services.keys.permissions(now))
            period = services.settings.export_period_seconds
            await _intake(request).store(key_rows(real, now, period, new_chain()))
            services.metrics.uploads.inc()
        return _answer(UploadAnswer())


router.add_route("/v1/permission", permission, methods=["POST"])
router.add_route("/v1/keys", keys, methods=["POST"])


@asynccontextmanager
async def _evenly(services: Services) -> AsyncIterator[None]:
    """Leave no sooner than a fixed time after entering, plus a random part.

    Work and refusals end within it, so chaff and reports take equally long as seen from the
    network. That observer lives in real time, hence not on the service's clock.
    """
    loop = asyncio.get_running_loop()
    leave_at = loop.time() + services.settings.answer_seconds * (1 + _JITTER * random.random())
    try:
        yield
    finally:
        await asyncio.sleep(max(0.0, leave_at - loop.time()))  # noqa: TID251 - see above


async def _read(request: Request, kind: type[_T]) -> _T:
    if len(await request.body()) != UPLOAD_BODY_BYTES:
        raise Refused(
            400,
            "body-size",
            _("The request must have exactly {bytes} bytes."),
            bytes=UPLOAD_BODY_BYTES,
        )
    return await read_json(request, kind)


def _answer(answer: PermissionAnswer | UploadAnswer) -> Response:
    missing = ANSWER_BYTES - len(msgspec.json.encode(answer))
    return json_answer(msgspec.structs.replace(answer, padding="0" * missing))


def _intake(request: Request) -> Intake:
    state = request.app.state
    if not hasattr(state, "intake"):
        state.intake = Intake(services_of(request).database)
    intake: Intake = state.intake
    return intake


# --- a health worker issues a code -----------------------------------------------------
class CodeRequest(msgspec.Struct, frozen=True):
    """What a program of a health unit sends; the unit is that of the account."""

    report_type: str  # a name in rules.REPORT_TYPES
    symptom_onset: str | None = None  # ISO day, Vietnamese calendar


class CodeAnswer(Unprintable, frozen=True):
    """The code's digits and the Unix time at which it expires."""

    code: str
    expires_at: int


@router.post("/v1/staff/codes")
@allows(StaffRole.HEALTH_WORKER)
async def issue_code(request: Request, services: Parts, staff: SignedIn) -> Response:
    body = await read_json(request, CodeRequest)
    issued = await _issue(services, staff, body.report_type, body.symptom_onset)
    return json_answer(CodeAnswer(issued.code, issued.expires_at))


@router.get("/staff/codes")
@allows(StaffRole.HEALTH_WORKER)
async def codes_page(request: Request, services: Parts, staff: SignedIn) -> Response:
    return await _codes_page(request, services, staff)


@router.post("/staff/codes")
@allows(StaffRole.HEALTH_WORKER)
async def issue_code_on_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    report_type: Annotated[str, Form()] = "",
    symptom_onset: Annotated[str, Form()] = "",
) -> Response:
    try:
        issued = await _issue(services, staff, report_type, symptom_onset)
    except Refused as refused:
        return await _codes_page(
            request,
            services,
            staff,
            refused=refused,
            report_type=report_type,
            symptom_onset=symptom_onset,
        )
    # Shown in the answer itself: a code that could be fetched again would have to be kept.
    return await _codes_page(request, services, staff, issued=issued)


async def _issue(
    services: Services, staff: Staff, report_type: str, symptom_onset: str | None
) -> service.IssuedCode:
    settings, now = services.settings, services.now
    async with services.database.transaction() as session:
        issued = await service.issue_code(
            session,
            code_pepper(settings.secrets_folder),
            now,
            worker=staff.account_id,
            unit=staff.unit,
            report_type=rules.report_type_named(report_type),
            symptom_onset=rules.check_onset(symptom_onset, now),
            per_worker=settings.codes_per_worker_per_hour,
            per_unit=settings.codes_per_unit_per_hour,
        )
    services.metrics.codes_issued.inc()
    return issued


async def _codes_page(
    request: Request,
    services: Services,
    staff: Staff,
    *,
    issued: service.IssuedCode | None = None,
    refused: Refused | None = None,
    report_type: str = "",
    symptom_onset: str = "",
) -> Response:
    now = services.now
    async with services.database.read() as session:
        recent = await service.recent_codes(session, staff.account_id, now)
    return page(
        request,
        "diagnosis/codes.html",
        refused.status_code if refused else 200,
        problem=sentence(request, refused) if refused else "",
        problem_field=_FIELDS.get(refused.error, "") if refused else "",
        report_type=report_type,
        symptom_onset=symptom_onset,
        code=rules.shown_code(issued.code) if issued else "",
        link=(link := rules.code_link(issued.code)) if issued else "",
        picture=qr(link) if issued else "",
        expires=vietnam_time(issued.expires_at) if issued else None,
        recent=[(row, vietnam_time(row.issued_at)) for row in recent],
        now=now,
        first_day=vietnam_time(now - RETENTION_DAYS * 24 * 3600).date(),
        today=vietnam_time(now).date(),
    )
