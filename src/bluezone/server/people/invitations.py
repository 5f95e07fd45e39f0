"""The verbs of invitations to an account: a link that works once, within three days. None commits.

The same link gives an account a new password: to whom has forgotten theirs, or lost the phone.
"""

import hashlib
import secrets
from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people import administration, rules, service
from bluezone.server.people.rules import INVITATION_SECONDS, AccountError, Grant, Staff, StaffRole
from bluezone.server.people.scope import Scope
from bluezone.server.people.tables import StaffAccount, StaffInvitation
from bluezone.storage.database import upsert
from bluezone.web.catalogue import _


async def invite(
    session: AsyncSession, services: Services, staff: Staff, name: str, grant: Grant
) -> tuple[StaffInvitation, str]:
    """Invite a person under a name. Returns the invitation and its secret, which is not kept.

    Raises Refused (403, 409, 422).
    """
    name = rules.normal_name(name)
    try:
        rules.check_name(name)
    except AccountError as error:
        raise Refused(422, "name-unusable", error.message) from None
    if not rules.may_give(staff, grant):
        raise administration.beyond()
    taken = await session.scalar(select(StaffAccount.id).where(StaffAccount.name == name))
    if taken is not None:
        raise Refused(409, "name-taken", rules.NAME_TAKEN)
    return await _make(session, services, staff, name, grant, None)


async def renew(
    session: AsyncSession, services: Services, staff: Staff, account_id: int
) -> tuple[StaffInvitation, str]:
    """A link with which a person sets a new password. Until it is used, nothing changes.

    Raises Refused (403, 404, 409).
    """
    row = await administration.manageable(session, staff, account_id)
    grants = await service.grants_of(session, account_id)
    if row.ended_at is not None or not grants:
        raise Refused(
            409, "account-ended", _("This account has no role, so nobody signs in with it.")
        )
    await session.execute(delete(StaffInvitation).where(StaffInvitation.account_id == account_id))
    return await _make(session, services, staff, row.name, grants[0], account_id)


async def withdraw(
    session: AsyncSession, services: Services, staff: Staff, invitation_id: int
) -> None:
    """An invitation counts no more. Raises Refused (403, 404)."""
    row = await session.get(StaffInvitation, invitation_id)
    if row is None or not staff.scope.covers(row.unit):
        raise Refused(404, "invitation-unknown", _("There is no such invitation in your units."))
    if not rules.may_give(staff, Grant(StaffRole(row.role), row.unit)):
        raise administration.beyond()
    await session.execute(delete(StaffInvitation).where(StaffInvitation.id == invitation_id))
    await _record(session, services, staff, row, "invitation withdrawn")


async def invitations(session: AsyncSession, scope: Scope, now: int) -> Sequence[StaffInvitation]:
    """Those that still count within scope, by name."""
    rows = await session.scalars(
        select(StaffInvitation)
        .where(scope.of(StaffInvitation.unit), StaffInvitation.expires_at > now)
        .order_by(StaffInvitation.name)
    )
    return rows.all()


async def find(session: AsyncSession, token: str, now: int) -> StaffInvitation:
    """The invitation of a secret. Raises Refused (404): used, withdrawn, expired, or none.

    So it is, too, when whoever invited may not give this any more.
    """
    row = await session.scalar(
        select(StaffInvitation).where(
            StaffInvitation.token_hash == _hash(token), StaffInvitation.expires_at > now
        )
    )
    if row is None or not await _still_stands(session, row):
        raise Refused(
            404,
            "invitation-unknown",
            _(
                "This invitation does not count: it was used, withdrawn, or is older than three"
                " days. Please ask whoever invited you for a new one."
            ),
        )
    return row


async def accept(
    session: AsyncSession, services: Services, token: str, password_hash: str
) -> StaffAccount:
    """Use an invitation up: make the account, or give it this password. Raises Refused (404, 409).

    A renewed account has no second factor any more, and no session.
    """
    row = await find(session, token, services.now)
    used = await session.scalar(
        delete(StaffInvitation).where(StaffInvitation.id == row.id).returning(StaffInvitation.id)
    )
    if used is None:  # somebody else was quicker
        await find(session, token, services.now)
    grant = Grant(StaffRole(row.role), row.unit)
    if row.account_id is None:
        try:
            account = await service.add_account(
                session,
                name=row.name,
                password_hash=password_hash,
                grant=grant,
                now=services.now,
            )
        except AccountError as error:
            raise Refused(409, "name-taken", error.message) from None
        await session.flush()
    else:
        found = await session.get(StaffAccount, row.account_id)
        assert found is not None  # noqa: S101 - the row goes with its account
        account = found
        await administration.renew_access(session, account, password_hash)
    grants = await service.grants_of(session, account.id)
    await audit.record(
        session,
        services,
        Staff(account.id, account.name, grants),
        Action.ADD if row.account_id is None else Action.CHANGE,
        subject=f"account:{account.id}",
        purpose=Purpose.ADMINISTRATION,
        detail=f"invitation of {row.invited_by} accepted",
    )
    return account


async def _make(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    name: str,
    grant: Grant,
    account_id: int | None,
) -> tuple[StaffInvitation, str]:
    now, token = services.now, secrets.token_urlsafe(24)
    await session.execute(
        delete(StaffInvitation).where(
            StaffInvitation.name == name, StaffInvitation.expires_at <= now
        )
    )
    row: StaffInvitation | None = await session.scalar(
        upsert(session, StaffInvitation)
        .values(
            token_hash=_hash(token),
            name=name,
            role=grant.role.value,
            unit=grant.unit,
            account_id=account_id,
            invited_by_id=staff.account_id,
            invited_by=staff.name,
            created_at=now,
            expires_at=now + INVITATION_SECONDS,
        )
        .on_conflict_do_nothing()
        .returning(StaffInvitation)
    )
    if row is None:
        raise Refused(
            409,
            "invitation-open",
            _("Somebody is invited under this name already. Withdraw that invitation first."),
        )
    await _record(session, services, staff, row, f"invited as {administration.describe(grant)}")
    return row, token


async def _still_stands(session: AsyncSession, row: StaffInvitation) -> bool:
    grants = await service.grants_of(session, row.invited_by_id)
    inviter = Staff(row.invited_by_id, row.invited_by, grants)
    if row.account_id is None:
        return rules.may_give(inviter, Grant(StaffRole(row.role), row.unit))
    theirs = await service.grants_of(session, row.account_id)
    # Anybody may manage all roles of an account that has none.
    return bool(theirs) and rules.may_manage(inviter, theirs)


async def _record(
    session: AsyncSession, services: Services, staff: Staff, row: StaffInvitation, detail: str
) -> None:
    subject = f"account:{row.account_id}" if row.account_id else f"invitation:{row.id}"
    await audit.record(
        session,
        services,
        staff,
        Action.GRANT,
        subject=subject,
        purpose=Purpose.ADMINISTRATION,
        detail=f"{row.name}: {detail}",
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
