"""The verbs of staff accounts. None commits: the caller's transaction does."""

import hashlib
import secrets
from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.context import Services
from bluezone.server.people import rules
from bluezone.server.people.rules import Grant, Staff, StaffRole
from bluezone.server.people.scope import Scope
from bluezone.server.people.tables import (
    SignInFailures,
    StaffAccount,
    StaffGrant,
    StaffSession,
)
from bluezone.storage.database import upsert
from bluezone.storage.lease import Lease


async def add_account(
    session: AsyncSession, *, name: str, password_hash: str, grant: Grant, now: int
) -> StaffAccount:
    """Make an account. Raises AccountError for an unusable or taken name."""
    name = rules.normal_name(name)
    rules.check_name(name)
    statement = (
        upsert(session, StaffAccount)
        .values(name=name, password_hash=password_hash, created_at=now)
        .on_conflict_do_nothing(index_elements=[StaffAccount.name])
    )
    account: StaffAccount | None = await session.scalar(statement.returning(StaffAccount))
    if account is None:
        raise rules.AccountError(rules.NAME_TAKEN)
    session.add(StaffGrant(account_id=account.id, role=grant.role.value, unit=grant.unit))
    return account


async def units_without_staff(session: AsyncSession, units: Iterable[str]) -> list[str]:
    """Those of `units` (paths) whose records no health worker sees, sorted."""
    staffed = await session.scalars(
        select(StaffGrant.unit).where(StaffGrant.role == StaffRole.HEALTH_WORKER.value).distinct()
    )
    seen = Scope.over(staffed)
    return sorted({unit for unit in units if not seen.covers(unit)})


async def grants_of(session: AsyncSession, account_id: int) -> tuple[Grant, ...]:
    """What was granted to an account, the first first."""
    rows = await session.scalars(
        select(StaffGrant).where(StaffGrant.account_id == account_id).order_by(StaffGrant.id)
    )
    return tuple(Grant(StaffRole(row.role), row.unit) for row in rows)


async def begin_sign_in(session: AsyncSession, name: str, now: int) -> int:
    """Count a try against `name` before its password is looked at.

    Counted first, so that a hundred guesses at once are a hundred failures. Returns the
    seconds for which the name is locked: 0 when the password may be tried.
    """
    name_hash = _hash(rules.normal_name(name))
    row: SignInFailures | None = await session.scalar(
        upsert(session, SignInFailures)
        .values(name_hash=name_hash, failures=0, locked_until=0)
        # Without a change in it, PostgreSQL would neither lock nor return the row.
        .on_conflict_do_update(
            index_elements=[SignInFailures.name_hash],
            set_={"failures": SignInFailures.failures},
        )
        .returning(SignInFailures)
    )
    assert row is not None  # noqa: S101 - an upsert returns its row
    if row.locked_until > now:
        return row.locked_until - now
    row.failures += 1
    # Below the lock this is only the time from which the row may be forgotten.
    row.locked_until = now + rules.lock_seconds(row.failures)
    return 0


async def find_account(session: AsyncSession, name: str) -> StaffAccount | None:
    """The account of that name, in any spelling of it."""
    if "\0" in name:  # PostgreSQL has no such text, and would fail
        return None
    return await session.scalar(
        select(StaffAccount).where(StaffAccount.name == rules.normal_name(name))
    )


async def open_session(
    session: AsyncSession, account: StaffAccount, now: int, seconds: int
) -> tuple[str, int]:
    """After a right password: forget the failures. Returns a fresh token and when it expires."""
    await session.execute(
        delete(SignInFailures).where(SignInFailures.name_hash == _hash(account.name))
    )
    token = secrets.token_urlsafe(32)
    expires_at = now + seconds
    session.add(StaffSession(token_hash=_hash(token), account_id=account.id, expires_at=expires_at))
    return token, expires_at


async def staff_of(session: AsyncSession, token: str, now: int) -> Staff | None:
    """Who holds `token`, if it is a session's and has not expired."""
    rows = await session.execute(
        select(StaffAccount.id, StaffAccount.name, StaffGrant.role, StaffGrant.unit)
        .join(StaffSession, StaffSession.account_id == StaffAccount.id)
        .join(StaffGrant, StaffGrant.account_id == StaffAccount.id)
        .where(StaffSession.token_hash == _hash(token), StaffSession.expires_at > now)
        .order_by(StaffGrant.id)
    )
    found = rows.all()
    if not found:  # no session, or no grant is left: nothing to do here
        return None
    grants = tuple(Grant(StaffRole(row.role), row.unit) for row in found)
    return Staff(found[0].id, found[0].name, grants)


async def close_session(session: AsyncSession, token: str) -> None:
    """Sign out."""
    await session.execute(delete(StaffSession).where(StaffSession.token_hash == _hash(token)))


async def forget_expired(services: Services, lease: Lease) -> None:
    """Retention: expired sessions at once, failed sign-ins after a day."""
    now = services.now
    async with services.database.transaction() as session:
        await lease.confirm(session)
        await session.execute(delete(StaffSession).where(StaffSession.expires_at <= now))
        await session.execute(
            delete(SignInFailures).where(
                SignInFailures.locked_until <= now - rules.FAILURES_KEPT_SECONDS
            )
        )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
