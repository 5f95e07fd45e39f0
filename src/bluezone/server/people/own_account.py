"""Somebody's own account: what they may do where, password, second factor, sessions."""

from collections.abc import Sequence
from typing import Annotated, Final

import segno
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_time
from bluezone.server import drafts, forms
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.pages import page, sentence
from bluezone.server.people import rules, second_factor, service, signing_in
from bluezone.server.people.passwords import hash_password
from bluezone.server.people.routes import signed_out
from bluezone.server.people.rules import AccountError, Staff, StaffRole, Stage
from bluezone.server.people.tables import StaffAccount
from bluezone.web.catalogue import _

router = APIRouter()


@router.get("/staff/account")
@allows(*StaffRole)
async def account_page(
    request: Request, services: Parts, staff: SignedIn, done: str = ""
) -> Response:
    return await _account_page(request, services, staff, done=done)


@router.post("/staff/account/password")
@allows(*StaffRole)
async def change_password(
    request: Request,
    services: Parts,
    staff: SignedIn,
    present: Annotated[str, Form()] = "",
    fresh: Annotated[str, Form()] = "",
    again: Annotated[str, Form()] = "",
) -> Response:
    """The other sessions end: somebody else may know the old password."""
    try:
        check_new_password(fresh, again, staff.name)
        await signing_in.check_password(services, staff.account_id, present)
    except Refused as refused:
        return await _account_page(request, services, staff, refused=refused)
    password_hash = await hash_password(fresh)
    async with services.database.transaction() as session:
        account = await session.get(StaffAccount, staff.account_id)
        assert account is not None  # noqa: S101 - they are signed in
        account.password_hash = password_hash
        await service.close_sessions(
            session, staff.account_id, but=request.cookies[forms.SESSION_COOKIE]
        )
        await _record(session, services, staff, "password changed, other sessions ended")
    return RedirectResponse("/staff/account?done=password", 303)


@router.post("/staff/account/sessions")
@allows(*StaffRole)
async def end_session(
    request: Request, services: Parts, staff: SignedIn, named: Annotated[str, Form()] = ""
) -> Response:
    """Sign out one of the own sessions, or (without `named`) all of them."""
    async with services.database.transaction() as session:
        await service.close_sessions(session, staff.account_id, named=named)
        await _record(session, services, staff, "own session ended" if named else "signed out")
    if not named:
        response = signed_out(RedirectResponse("/staff/sign-in", 303))
        drafts.forget(response, staff)
        return response
    return RedirectResponse("/staff/account?done=session", 303)


@router.get("/staff/account/second-factor")
@allows(*StaffRole, stages=[Stage.ENROL, Stage.OPEN])
async def second_factor_page(request: Request, services: Parts, staff: SignedIn) -> Response:
    return await _enrolment_page(request, services, staff)


@router.post("/staff/account/second-factor")
@allows(*StaffRole, stages=[Stage.ENROL, Stage.OPEN])
async def enrol(
    request: Request,
    services: Parts,
    staff: SignedIn,
    offered: Annotated[str, Form()] = "",
    code: Annotated[str, Form()] = "",
    present: Annotated[str, Form()] = "",
) -> Response:
    """Take the new second factor; one that is there already has to agree (`present`)."""
    offer: second_factor.Offer | None = None
    try:
        offer = second_factor.offered_again(services, staff.account_id, staff.name, offered)
        step = second_factor.check_offered(services, offer, code)
        async with services.database.read() as session:
            had_one = await second_factor.enrolled_at(session, staff.account_id) is not None
        if had_one:
            await signing_in.check_code(services, staff.account_id, present)
        async with services.database.transaction() as session:
            codes = await second_factor.enrol(session, services, staff.account_id, offer, step)
            await service.close_sessions(
                session, staff.account_id, but=request.cookies[forms.SESSION_COOKIE]
            )
            await _record(session, services, staff, "second factor set up")
    except Refused as refused:
        return await _enrolment_page(request, services, staff, offer=offer, refused=refused)
    return await _recovery_page(request, services, staff, codes)


def check_new_password(fresh: str, again: str, name: str) -> None:
    """Raises Refused (422) unless `fresh`, typed twice, can be the password of that account."""
    try:
        rules.check_password(fresh, name)
    except AccountError as error:
        raise Refused(422, "password-weak", error.message) from None
    if fresh != again:
        raise Refused(422, "password-differs", _("The two passwords are not the same."))


async def _account_page(
    request: Request,
    services: Services,
    staff: Staff,
    *,
    done: str = "",
    refused: Refused | None = None,
) -> Response:
    idle_seconds = services.settings.session_idle_seconds
    async with services.database.read() as session:
        rows = await service.sessions_of(session, staff.account_id, services.now, idle_seconds)
        enrolled = await second_factor.enrolled_at(session, staff.account_id)
        codes_left = await second_factor.recovery_codes_left(session, staff.account_id)
    token = request.cookies[forms.SESSION_COOKIE]
    return page(
        request,
        "people/own_account.html",
        refused.status_code if refused else 200,
        problem=sentence(request, refused) if refused else "",
        problem_field=_FIELDS.get(refused.error, "fresh") if refused else "",
        done=done,
        grants=staff.grants,
        enrolled=enrolled and vietnam_time(enrolled),
        codes_left=codes_left,
        sessions=[
            {
                "name": service.session_name(row),
                "opened": vietnam_time(row.opened_at),
                "used": vietnam_time(row.used_at),
                "is_this": service.is_session(row, token),
            }
            for row in rows
        ],
        idle_minutes=idle_seconds // 60,
    )


_FIELDS: Final = {"wrong-password": "present", "locked": "present", "password-differs": "again"}


async def _enrolment_page(
    request: Request,
    services: Services,
    staff: Staff,
    *,
    offer: second_factor.Offer | None = None,
    refused: Refused | None = None,
) -> Response:
    async with services.database.read() as session:
        enrolled = await second_factor.enrolled_at(session, staff.account_id)
    shown = offer or second_factor.offer(services, staff.account_id, staff.name)
    return page(
        request,
        "people/second_factor.html",
        refused.status_code if refused else 200,
        layout=_layout(staff),
        problem=sentence(request, refused) if refused else "",
        problem_field="present" if refused and refused.status_code in (401, 429) else "code",
        secret=" ".join(_fours(shown.secret)),
        picture=Markup(segno.make(shown.address, error="m").svg_inline(scale=5, border=4)),  # noqa: S704 - base32 and a checked name
        offered=shown.sealed,
        enrolled=enrolled and vietnam_time(enrolled),
    )


async def _recovery_page(
    request: Request, services: Services, staff: Staff, codes: Sequence[str]
) -> Response:
    """The codes, this once. A session that waited for them is opened, under a fresh token."""
    if staff.stage is Stage.OPEN:
        return page(request, "people/recovery_codes.html", codes=codes)
    async with services.database.read() as session:
        account = await session.get(StaffAccount, staff.account_id)
    assert account is not None  # noqa: S101 - they are signed in
    token, expires_at = await signing_in.open_session(
        services, account, Stage.OPEN, replaces=request.cookies[forms.SESSION_COOKIE]
    )
    forms.adopt_session(request, token)
    response = page(request, "people/recovery_codes.html", codes=codes)
    forms.set_cookie(request, response, forms.SESSION_COOKIE, token, expires_at - services.now)
    return response


def _layout(staff: Staff) -> str:
    return "people/staff.html" if staff.stage is Stage.OPEN else "people/unfinished.html"


def _fours(text: str) -> list[str]:
    return [text[start : start + 4] for start in range(0, len(text), 4)]


async def _record(session: AsyncSession, services: Services, staff: Staff, detail: str) -> None:
    await audit.record(
        session,
        services,
        staff,
        Action.CHANGE,
        subject=f"account:{staff.account_id}",
        purpose=Purpose.ADMINISTRATION,
        detail=detail,
    )
