"""Accounts, from the administrators' side: pages for people, the same as JSON for programs."""

from typing import Annotated, Final

import msgspec
import segno
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup

from bluezone.protocol.intervals import vietnam_time
from bluezone.protocol.unprintable import Unprintable
from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.bodies import json_answer, read_json
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.limits import Rule
from bluezone.server.pages import page, sentence
from bluezone.server.people import administration, invitations, rules, service
from bluezone.server.people.administration import Account, State
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.people.tables import StaffInvitation
from bluezone.server.places.units import Level, Unit, children, level_of, unit
from bluezone.web.catalogue import _

# A stolen administrator's account must not fill the country with accounts overnight.
CHANGES_BY_ACCOUNT: Final = Rule("account changes by account", 300, 3600)
_SUGGESTED: Final = 300  # units that a form offers by name

router = APIRouter()


# --- as JSON ---------------------------------------------------------------------------
class GrantBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A role on a unit: its code, or its path."""

    role: str
    unit: str


class InviteBody(Unprintable, frozen=True, forbid_unknown_fields=True):
    """Whom a program invites."""

    name: str
    role: str
    unit: str


class ShownGrant(msgspec.Struct, frozen=True):
    """A role on a unit (path)."""

    role: str
    unit: str


class ShownSession(msgspec.Struct, frozen=True):
    """A session that goes on. Unix seconds."""

    opened_at: int
    used_at: int
    expires_at: int


class ShownAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account, with the grants within the asker's own scope. Unix seconds."""

    id: int
    name: str
    unit: str
    created_at: int
    last_sign_in_at: int | None
    ended_at: int | None
    has_second_factor: bool
    locked_until: int | None
    grants: list[ShownGrant]
    has_grants_elsewhere: bool


class AccountsAnswer(msgspec.Struct, frozen=True):
    """At most 100 accounts by name; ask again with `after` the last name."""

    accounts: list[ShownAccount]


class AccountAnswer(msgspec.Struct, frozen=True):
    """One account and its sessions."""

    account: ShownAccount
    sessions: list[ShownSession]


class ShownInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation that counts; `account`: it gives this account a new password."""

    id: int
    name: str
    role: str
    unit: str
    account: int | None
    invited_by: str
    created_at: int
    expires_at: int


class InvitationsAnswer(msgspec.Struct, frozen=True):
    """Invitations by name."""

    invitations: list[ShownInvitation]


class MadeInvitation(Unprintable, frozen=True):
    """An invitation and its link, which is told this once."""

    invitation: ShownInvitation
    link: str


class EndedAnswer(msgspec.Struct, frozen=True):
    """How many open tasks went back to their units."""

    released_tasks: int


@router.get("/v1/staff/accounts")
@allows(StaffRole.ADMIN)
async def accounts(
    services: Parts, staff: SignedIn, text: str = "", state: str = "in-use", after: str = ""
) -> Response:
    rows = await _accounts(services, staff, text, _state(state), after)
    return json_answer(AccountsAnswer([_account(row) for row in rows]))


@router.get("/v1/staff/accounts/{account_id}")
@allows(StaffRole.ADMIN)
async def account(services: Parts, staff: SignedIn, account_id: int) -> Response:
    async with services.database.read() as session:
        found = await administration.account(session, staff.scope, account_id, services.now)
        sessions = await service.sessions_of(
            session, account_id, services.now, services.settings.session_idle_seconds
        )
    return json_answer(
        AccountAnswer(
            _account(found),
            [ShownSession(row.opened_at, row.used_at, row.expires_at) for row in sessions],
        )
    )


@router.post("/v1/staff/accounts/{account_id}/grants")
@allows(StaffRole.ADMIN)
async def give(request: Request, services: Parts, staff: SignedIn, account_id: int) -> Response:
    body = await read_json(request, GrantBody)
    await _give(services, staff, account_id, body.role, body.unit)
    return _done()


@router.post("/v1/staff/accounts/{account_id}/grants/take")
@allows(StaffRole.ADMIN)
async def take(request: Request, services: Parts, staff: SignedIn, account_id: int) -> Response:
    body = await read_json(request, GrantBody)
    await _take(services, staff, account_id, body.role, body.unit)
    return _done()


@router.post("/v1/staff/accounts/{account_id}/end-sessions")
@allows(StaffRole.ADMIN)
async def end_sessions(services: Parts, staff: SignedIn, account_id: int) -> Response:
    await _end_sessions(services, staff, account_id)
    return _done()


@router.post("/v1/staff/accounts/{account_id}/end")
@allows(StaffRole.ADMIN)
async def end(services: Parts, staff: SignedIn, account_id: int) -> Response:
    return json_answer(EndedAnswer(await _end(services, staff, account_id)))


@router.post("/v1/staff/accounts/{account_id}/renew")
@allows(StaffRole.ADMIN)
async def renew(request: Request, services: Parts, staff: SignedIn, account_id: int) -> Response:
    row, token = await _renew(services, staff, account_id)
    return json_answer(MadeInvitation(_invitation(row), _link(request, token)))


@router.get("/v1/staff/account-invitations")
@allows(StaffRole.ADMIN)
async def open_invitations(services: Parts, staff: SignedIn) -> Response:
    async with services.database.read() as session:
        rows = await invitations.invitations(session, staff.scope, services.now)
    return json_answer(InvitationsAnswer([_invitation(row) for row in rows]))


@router.post("/v1/staff/account-invitations")
@allows(StaffRole.ADMIN)
async def invite(request: Request, services: Parts, staff: SignedIn) -> Response:
    body = await read_json(request, InviteBody)
    row, token = await _invite(services, staff, body.name, body.role, body.unit)
    return json_answer(MadeInvitation(_invitation(row), _link(request, token)))


@router.post("/v1/staff/account-invitations/{invitation_id}/withdraw")
@allows(StaffRole.ADMIN)
async def withdraw(services: Parts, staff: SignedIn, invitation_id: int) -> Response:
    await _withdraw(services, staff, invitation_id)
    return _done()


# --- as pages --------------------------------------------------------------------------
@router.get("/staff/accounts")
@allows(StaffRole.ADMIN)
async def accounts_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    text: str = "",
    state: str = "in-use",
    after: str = "",
    done: str = "",
) -> Response:
    chosen = _state(state)
    rows = await _accounts(services, staff, text, chosen, after)
    async with services.database.read() as session:
        invited = await invitations.invitations(session, staff.scope, services.now)
    return page(
        request,
        "people/accounts.html",
        done=done,
        text=text,
        chosen=chosen.value,
        states=[one.value for one in State],
        accounts=[(row, _time(row.last_sign_in_at)) for row in rows],
        next_after=rows[-1].name if len(rows) == administration.SHOWN else "",
        invitations=[(row, vietnam_time(row.expires_at)) for row in invited],
        now=services.now,
    )


@router.get("/staff/accounts/invite")
@allows(StaffRole.ADMIN)
async def invite_page(request: Request, staff: SignedIn) -> Response:
    return _invite_page(request, staff)


@router.post("/staff/accounts/invite")
@allows(StaffRole.ADMIN)
async def invite_on_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    name: Annotated[str, Form()] = "",
    role: Annotated[str, Form()] = "",
    unit_code: Annotated[str, Form(alias="unit")] = "",
) -> Response:
    try:
        row, token = await _invite(services, staff, name, role, unit_code)
    except Refused as refused:
        return _invite_page(request, staff, refused, name=name, role=role, unit_code=unit_code)
    return _link_page(request, row, token)


@router.post("/staff/accounts/invitations/{invitation_id}/withdraw")
@allows(StaffRole.ADMIN)
async def withdraw_on_page(services: Parts, staff: SignedIn, invitation_id: int) -> Response:
    await _withdraw(services, staff, invitation_id)
    return RedirectResponse("/staff/accounts?done=withdrawn", 303)


@router.get("/staff/accounts/{account_id}")
@allows(StaffRole.ADMIN)
async def account_page(
    request: Request, services: Parts, staff: SignedIn, account_id: int, done: str = ""
) -> Response:
    return await _account_page(request, services, staff, account_id, done=done)


@router.post("/staff/accounts/{account_id}/grants")
@allows(StaffRole.ADMIN)
async def give_on_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    account_id: int,
    role: Annotated[str, Form()] = "",
    unit_code: Annotated[str, Form(alias="unit")] = "",
) -> Response:
    try:
        await _give(services, staff, account_id, role, unit_code)
    except Refused as refused:
        return await _account_page(
            request, services, staff, account_id, refused=refused, role=role, unit_code=unit_code
        )
    return RedirectResponse(f"/staff/accounts/{account_id}?done=given", 303)


@router.post("/staff/accounts/{account_id}/grants/take")
@allows(StaffRole.ADMIN)
async def take_on_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    account_id: int,
    role: Annotated[str, Form()] = "",
    unit_code: Annotated[str, Form(alias="unit")] = "",
) -> Response:
    try:
        await _take(services, staff, account_id, role, unit_code)
    except Refused as refused:
        return await _account_page(request, services, staff, account_id, refused=refused)
    own = f"/staff/accounts/{account_id}"
    async with services.database.read() as session:
        try:
            await administration.account(session, staff.scope, account_id, services.now)
        except Refused:  # that was their last role here: the account is another unit's now
            own = "/staff/accounts"
    return RedirectResponse(f"{own}?done=taken", 303)


@router.post("/staff/accounts/{account_id}/end-sessions")
@allows(StaffRole.ADMIN)
async def end_sessions_on_page(
    request: Request, services: Parts, staff: SignedIn, account_id: int
) -> Response:
    try:
        await _end_sessions(services, staff, account_id)
    except Refused as refused:
        return await _account_page(request, services, staff, account_id, refused=refused)
    return RedirectResponse(f"/staff/accounts/{account_id}?done=sessions", 303)


@router.post("/staff/accounts/{account_id}/renew")
@allows(StaffRole.ADMIN)
async def renew_on_page(
    request: Request, services: Parts, staff: SignedIn, account_id: int
) -> Response:
    try:
        row, token = await _renew(services, staff, account_id)
    except Refused as refused:
        return await _account_page(request, services, staff, account_id, refused=refused)
    return _link_page(request, row, token)


@router.post("/staff/accounts/{account_id}/end")
@allows(StaffRole.ADMIN)
async def end_on_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    account_id: int,
    sure: Annotated[str, Form()] = "",
) -> Response:
    try:
        if not sure:
            raise Refused(422, "not-sure", _("Please tick the box if this person really leaves."))
        await _end(services, staff, account_id)
    except Refused as refused:
        return await _account_page(request, services, staff, account_id, refused=refused)
    return RedirectResponse(f"/staff/accounts/{account_id}?done=ended", 303)


# --- what both do ----------------------------------------------------------------------
async def _accounts(
    services: Services, staff: Staff, text: str, state: State, after: str
) -> list[Account]:
    async with services.database.read() as session:
        return await administration.accounts(
            session, staff.scope, text=text, state=state, after=after, now=services.now
        )


async def _give(services: Services, staff: Staff, account_id: int, role: str, code: str) -> None:
    _spend(services, staff)
    async with services.database.transaction() as session:
        # First whether there is such an account for them: that is told before anything else.
        await administration.account(session, staff.scope, account_id, services.now)
        grant = administration.parsed_grant(role, code)
        await administration.give(session, services, staff, account_id, grant)


async def _take(services: Services, staff: Staff, account_id: int, role: str, code: str) -> None:
    _spend(services, staff)
    async with services.database.transaction() as session:
        await administration.account(session, staff.scope, account_id, services.now)
        grant = administration.parsed_grant(role, code)
        await administration.take(session, services, staff, account_id, grant)


async def _end_sessions(services: Services, staff: Staff, account_id: int) -> None:
    _spend(services, staff)
    async with services.database.transaction() as session:
        await administration.end_sessions(session, services, staff, account_id)


async def _end(services: Services, staff: Staff, account_id: int) -> int:
    _spend(services, staff)
    async with services.database.transaction() as session:
        return await administration.end(session, services, staff, account_id)


async def _invite(
    services: Services, staff: Staff, name: str, role: str, code: str
) -> tuple[StaffInvitation, str]:
    _spend(services, staff)
    grant = administration.parsed_grant(role, code)
    async with services.database.transaction() as session:
        return await invitations.invite(session, services, staff, name, grant)


async def _renew(services: Services, staff: Staff, account_id: int) -> tuple[StaffInvitation, str]:
    _spend(services, staff)
    async with services.database.transaction() as session:
        return await invitations.renew(session, services, staff, account_id)


async def _withdraw(services: Services, staff: Staff, invitation_id: int) -> None:
    _spend(services, staff)
    async with services.database.transaction() as session:
        await invitations.withdraw(session, services, staff, invitation_id)


def _spend(services: Services, staff: Staff) -> None:
    services.limits.spend(CHANGES_BY_ACCOUNT, str(staff.account_id))


def _state(name: str) -> State:
    try:
        return State(name)
    except ValueError:
        raise Refused(400, "state-unknown", _("There is no such state of an account.")) from None


def _account(row: Account) -> ShownAccount:
    return ShownAccount(
        id=row.id,
        name=row.name,
        unit=row.unit,
        created_at=row.created_at,
        last_sign_in_at=row.last_sign_in_at,
        ended_at=row.ended_at,
        has_second_factor=row.enrolled,
        locked_until=row.locked_until,
        grants=[ShownGrant(one.role.value, one.unit) for one in row.grants],
        has_grants_elsewhere=row.has_grants_elsewhere,
    )


def _invitation(row: StaffInvitation) -> ShownInvitation:
    return ShownInvitation(
        id=row.id,
        name=row.name,
        role=row.role,
        unit=row.unit,
        account=row.account_id,
        invited_by=row.invited_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def _link(request: Request, token: str) -> str:
    return f"{request.base_url}staff/join#{token}"


def _done() -> Response:
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


def _invite_page(
    request: Request,
    staff: Staff,
    refused: Refused | None = None,
    *,
    name: str = "",
    role: str = StaffRole.HEALTH_WORKER.value,
    unit_code: str = "",
) -> Response:
    own = staff.scope.units[0].rpartition(".")[2]
    return page(
        request,
        "people/invite.html",
        refused.status_code if refused else 200,
        problem=sentence(request, refused) if refused else "",
        problem_field=_field(refused),
        name=name[:64],
        role=role,
        unit_code=unit_code or own,
        roles=[one.value for one in StaffRole],
        units=_suggested(staff),
        days=rules.INVITATION_SECONDS // 86400,
    )


def _link_page(request: Request, row: StaffInvitation, token: str) -> Response:
    link = _link(request, token)
    return page(
        request,
        "people/invited.html",
        row=row,
        link=link,
        picture=Markup(segno.make(link, error="m").svg_inline(scale=5, border=4)),  # noqa: S704 - an address of ours
        expires=vietnam_time(row.expires_at),
    )


async def _account_page(
    request: Request,
    services: Services,
    staff: Staff,
    account_id: int,
    *,
    done: str = "",
    refused: Refused | None = None,
    role: str = StaffRole.HEALTH_WORKER.value,
    unit_code: str = "",
) -> Response:
    async with services.database.read() as session:
        found = await administration.account(session, staff.scope, account_id, services.now)
        everything = await service.grants_of(session, account_id)
        sessions = await service.sessions_of(
            session, account_id, services.now, services.settings.session_idle_seconds
        )
    is_own = account_id == staff.account_id
    return page(
        request,
        "people/account.html",
        refused.status_code if refused else 200,
        problem=sentence(request, refused) if refused else "",
        problem_field=_field(refused),
        done=done,
        account=found,
        is_own=is_own,
        created=vietnam_time(found.created_at),
        last_sign_in=_time(found.last_sign_in_at),
        ended=_time(found.ended_at),
        locked=_time(found.locked_until),
        grants=[
            (one, one.unit.rpartition(".")[2], not is_own and rules.may_give(staff, one))
            for one in found.grants
        ],
        sessions=[(vietnam_time(row.opened_at), vietnam_time(row.used_at)) for row in sessions],
        manageable=not is_own and administration.may_manage(staff, everything, found.unit),
        role=role,
        unit_code=unit_code or found.unit.rpartition(".")[2],
        roles=[one.value for one in StaffRole],
        units=_suggested(staff),
    )


def _field(refused: Refused | None) -> str:
    """Which field of a form a refusal is about."""
    if refused is None:
        return ""
    return {
        "unit-unknown": "unit",
        "grant-beyond": "unit",
        "role-unknown": "role",
        "name-unusable": "name",
        "name-taken": "name",
        "invitation-open": "name",
        "not-sure": "sure",
    }.get(refused.error, "other")


def _suggested(staff: Staff) -> list[Unit]:
    """Units that a form offers: those administered and what is below, as far as a list helps."""
    found = [one for path in staff.scope.units if (one := unit(path)) is not None]
    for path in staff.scope.units:
        below = list(children(path))
        if level_of(path) is not Level.NATION:
            below += [two for one in children(path) for two in children(one.path)]
        found += below
    return found[:_SUGGESTED]


def _time(seconds: int | None) -> object:
    return vietnam_time(seconds) if seconds is not None else None
