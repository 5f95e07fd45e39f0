"""The verbs of administrators: find accounts, give and take grants, end accounts. None commits.

An administrator sees the accounts that work in the subtree they administer or have a grant there,
and gives and takes only what `rules.may_give` says. Everything is written to the audit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.linelists import reports
from bluezone.server.people import rules, second_factor, service
from bluezone.server.people.rules import OPERATOR, Grant, Staff, StaffRole
from bluezone.server.people.scope import Scope
from bluezone.server.people.tables import (
    SecondFactor,
    StaffAccount,
    StaffGrant,
    StaffInvitation,
)
from bluezone.server.places.units import unit_named
from bluezone.server.work import service as work
from bluezone.storage.database import upsert
from bluezone.web.catalogue import _

SHOWN: Final = 100


class State(StrEnum):
    """Which accounts a list is of."""

    IN_USE = "in-use"
    UNUSED = "unused"  # never signed in, or without a role
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Account:
    """An account as an administrator sees it: with the grants that lie in their own scope."""

    id: int
    name: str
    unit: str
    created_at: int
    last_sign_in_at: int | None
    ended_at: int | None
    enrolled: bool  # has a second factor
    locked_until: int | None
    grants: tuple[Grant, ...]
    has_grants_elsewhere: bool


async def accounts(
    session: AsyncSession,
    scope: Scope,
    *,
    text: str = "",
    state: State = State.IN_USE,
    after: str = "",
    now: int,
) -> list[Account]:
    """Accounts within scope by name, those after the name `after`; at most SHOWN.

    `text`: a part of the name.
    """
    used = StaffAccount.last_sign_in_at.is_not(None) & exists().where(
        StaffGrant.account_id == StaffAccount.id
    )
    which: dict[State, ColumnElement[bool]] = {
        State.IN_USE: StaffAccount.ended_at.is_(None) & used,
        State.UNUSED: StaffAccount.ended_at.is_(None) & ~used,
        State.ENDED: StaffAccount.ended_at.is_not(None),
    }
    wanted = rules.normal_name(text)
    if "\0" in wanted or "\0" in after:  # PostgreSQL has no such text, and would fail
        return []
    statement = (
        select(StaffAccount)
        .where(_within(scope), which[state], StaffAccount.name > after)
        .order_by(StaffAccount.name)
        .limit(SHOWN)
    )
    if wanted:
        statement = statement.where(StaffAccount.name.contains(wanted, autoescape=True))
    return await _shown(session, scope, (await session.scalars(statement)).all(), now)


async def account(session: AsyncSession, scope: Scope, account_id: int, now: int) -> Account:
    """One account within scope. Raises Refused (404)."""
    row = await _row(session, scope, account_id)
    (found,) = await _shown(session, scope, [row], now)
    return found


async def give(
    session: AsyncSession, services: Services, staff: Staff, account_id: int, grant: Grant
) -> None:
    """Give a grant; one that is there already stays. Raises Refused (403, 404, 409)."""
    row = await _changeable(session, staff, account_id)
    if row.ended_at is not None:
        raise Refused(
            409, "account-ended", _("This account has ended. Invite the person under a new name.")
        )
    _check_may_give(staff, grant)
    given = await session.scalar(
        upsert(session, StaffGrant)
        .values(account_id=account_id, role=grant.role.value, unit=grant.unit)
        .on_conflict_do_nothing()
        .returning(StaffGrant.id)
    )
    if given is None:
        return
    await _settle_unit(session, row)
    await _record(session, services, staff, account_id, f"+{describe(grant)}")


async def take(
    session: AsyncSession, services: Services, staff: Staff, account_id: int, grant: Grant
) -> None:
    """Take a grant away, at once. Raises Refused (403, 404)."""
    row = await _changeable(session, staff, account_id)
    _check_may_give(staff, grant)
    taken = await session.scalar(
        delete(StaffGrant)
        .where(
            StaffGrant.account_id == account_id,
            StaffGrant.role == grant.role.value,
            StaffGrant.unit == grant.unit,
        )
        .returning(StaffGrant.id)
    )
    if taken is None:
        raise Refused(404, "grant-unknown", _("The account does not have this role there."))
    await _settle_unit(session, row)
    await _record(session, services, staff, account_id, f"-{describe(grant)}")


async def end_sessions(
    session: AsyncSession, services: Services, staff: Staff, account_id: int
) -> None:
    """Sign somebody out everywhere. Raises Refused (403, 404)."""
    await _manageable(session, staff, account_id)
    await service.close_sessions(session, account_id)
    await _record(session, services, staff, account_id, "sessions ended")


async def end(session: AsyncSession, services: Services, staff: Staff, account_id: int) -> int:
    """Off-boarding: no sessions, no grants, no way in, open tasks handed back; all at once.

    The name stays, for the audit names it. Returns how many tasks went back to their units.
    Raises Refused (403, 404), also (409) if it has ended before.
    """
    row = await _manageable(session, staff, account_id)
    if row.ended_at is not None:
        raise Refused(409, "account-ended", _("This account has ended already."))
    row.ended_at, row.password_hash = services.now, ""
    await service.close_sessions(session, account_id)
    await session.execute(delete(StaffGrant).where(StaffGrant.account_id == account_id))
    await session.execute(delete(StaffInvitation).where(StaffInvitation.account_id == account_id))
    await session.execute(
        delete(StaffInvitation).where(StaffInvitation.invited_by_id == account_id)
    )
    await second_factor.forget(session, account_id)
    await reports.forget_account(session, account_id)
    released = await work.release_tasks_of(session, account_id, services.now)
    await audit.record(
        session,
        services,
        staff,
        Action.DELETE,
        subject=f"account:{account_id}",
        purpose=Purpose.ADMINISTRATION,
        detail=f"account ended, {released} open tasks handed back",
    )
    return released


async def reset(
    session: AsyncSession, services: Services, staff: Staff, account_id: int, password_hash: str
) -> None:
    """Another password, no second factor, no session. Raises Refused (403, 404)."""
    row = await _manageable(session, staff, account_id)
    await renew_access(session, row, password_hash)
    await _record(session, services, staff, account_id, "password and second factor reset")


async def renew_access(session: AsyncSession, row: StaffAccount, password_hash: str) -> None:
    """Put another password in the place of everything that an account signed in with before."""
    row.password_hash = password_hash
    await second_factor.forget(session, row.id)
    await service.close_sessions(session, row.id)
    await service.forgive(session, service.tries_of_account(second_factor.TRIES, row.id))


async def number_of(session: AsyncSession, name: str) -> int:
    """The number of an account that has not ended. Raises Refused (404)."""
    found = await service.find_account(session, name)
    if found is None:
        raise _unknown()
    return found.id


async def record_made(session: AsyncSession, services: Services, row: StaffAccount) -> None:
    """Write down that the operator made an account."""
    grants = await service.grants_of(session, row.id)
    detail = f"account made, +{', +'.join(describe(one) for one in grants)}"
    await _record(session, services, OPERATOR, row.id, detail)


def parsed_grant(role: str, unit: str) -> Grant:
    """A grant as somebody typed it. Raises Refused (422)."""
    try:
        wanted = StaffRole(role)
    except ValueError:
        raise Refused(
            422,
            "role-unknown",
            _("There is no role {role}. There are: {roles}."),
            role=role[:32],
            roles=", ".join(StaffRole),
        ) from None
    return Grant(wanted, unit_named(unit.strip()).path)


def describe(grant: Grant) -> str:
    """A grant in the audit's words: role and code of the unit."""
    return f"{grant.role} {grant.unit.rpartition('.')[2]}"


def beyond() -> Refused:
    """What somebody is told who may not give or take this."""
    return Refused(
        403,
        "grant-beyond",
        _(
            "You give and take roles in the units that you administer; administrators are made by"
            " the unit above theirs."
        ),
    )


def may_manage(staff: Staff, grants: Sequence[Grant], unit: str) -> bool:
    """Whether `staff` may do to an account what concerns all of it. Without a grant, its unit
    counts."""
    if not grants:
        return staff.holds(StaffRole.ADMIN, unit)
    return rules.may_manage(staff, grants)


async def manageable(session: AsyncSession, staff: Staff, account_id: int) -> StaffAccount:
    """An account of which every grant is within the administrator's reach. Raises Refused."""
    return await _manageable(session, staff, account_id)


async def _manageable(session: AsyncSession, staff: Staff, account_id: int) -> StaffAccount:
    row = await _changeable(session, staff, account_id)
    if not may_manage(staff, await service.grants_of(session, account_id), row.unit):
        raise Refused(
            403,
            "account-beyond",
            _(
                "This account also has roles beyond what you may give, so an administrator further"
                " up has to do this. You can take its roles in your units."
            ),
        )
    return row


async def _changeable(session: AsyncSession, staff: Staff, account_id: int) -> StaffAccount:
    row = await _row(session, staff.scope, account_id)
    if row.id == staff.account_id:
        raise Refused(403, "own-account", _("Nobody changes the roles of their own account."))
    return row


def _check_may_give(staff: Staff, grant: Grant) -> None:
    if not rules.may_give(staff, grant):
        raise beyond()


async def _row(session: AsyncSession, scope: Scope, account_id: int) -> StaffAccount:
    row = await session.scalar(
        select(StaffAccount).where(StaffAccount.id == account_id, _within(scope))
    )
    if row is None:
        raise _unknown()
    return row


def _unknown() -> Refused:
    return Refused(404, "account-unknown", _("There is no such account in your units."))


def _within(scope: Scope) -> ColumnElement[bool]:
    return or_(
        scope.of(StaffAccount.unit),
        exists().where(StaffGrant.account_id == StaffAccount.id, scope.of(StaffGrant.unit)),
    )


async def _settle_unit(session: AsyncSession, row: StaffAccount) -> None:
    """The unit of an account is that of its first grant, and stays when none is left."""
    await session.flush()
    first = await session.scalar(
        select(StaffGrant.unit)
        .where(StaffGrant.account_id == row.id)
        .order_by(StaffGrant.id)
        .limit(1)
    )
    if first is not None and first != row.unit:
        await session.execute(
            update(StaffAccount).where(StaffAccount.id == row.id).values(unit=first)
        )


async def _shown(
    session: AsyncSession, scope: Scope, rows: Sequence[StaffAccount], now: int
) -> list[Account]:
    ids = [row.id for row in rows]
    granted: dict[int, list[Grant]] = {}
    for grant in await session.scalars(
        select(StaffGrant).where(StaffGrant.account_id.in_(ids)).order_by(StaffGrant.id)
    ):
        granted.setdefault(grant.account_id, []).append(Grant(StaffRole(grant.role), grant.unit))
    enrolled = set(
        await session.scalars(
            select(SecondFactor.account_id).where(SecondFactor.account_id.in_(ids))
        )
    )
    subject = {row.id: service.tries_of_name(row.name) for row in rows}
    locked = await service.locked_until(session, subject.values(), now)
    return [
        Account(
            id=row.id,
            name=row.name,
            unit=row.unit,
            created_at=row.created_at,
            last_sign_in_at=row.last_sign_in_at,
            ended_at=row.ended_at,
            enrolled=row.id in enrolled,
            locked_until=locked.get(subject[row.id]),
            grants=tuple(one for one in granted.get(row.id, []) if scope.covers(one.unit)),
            has_grants_elsewhere=any(not scope.covers(one.unit) for one in granted.get(row.id, [])),
        )
        for row in rows
    ]


async def _record(
    session: AsyncSession, services: Services, staff: Staff, account_id: int, detail: str
) -> None:
    await audit.record(
        session,
        services,
        staff,
        Action.GRANT,
        subject=f"account:{account_id}",
        purpose=Purpose.ADMINISTRATION,
        detail=detail,
    )
