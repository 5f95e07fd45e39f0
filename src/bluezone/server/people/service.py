"""The verbs of accounts and sessions. None commits: the caller's transaction does."""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.context import Services
from bluezone.server.people import rules
from bluezone.server.people.rules import Grant, Staff, StaffRole, Stage
from bluezone.server.people.scope import Scope, is_within
from bluezone.server.people.tables import (
    SignInFailures,
    StaffAccount,
    StaffGrant,
    StaffInvitation,
    StaffSession,
)
from bluezone.server.places.units import ancestors
from bluezone.storage.database import upsert
from bluezone.storage.lease import Lease

USED_EVERY_SECONDS: Final = 60  # how finely a session's last use is written down
_NAME_CHARACTERS: Final = 16  # of a token's hash: names a session to its owner


async def add_account(
    session: AsyncSession, *, name: str, password_hash: str, grant: Grant, now: int
) -> StaffAccount:
    """Make an account. Raises AccountError for an unusable or taken name."""
    name = rules.normal_name(name)
    rules.check_name(name)
    statement = (
        upsert(session, StaffAccount)
        .values(name=name, unit=grant.unit, password_hash=password_hash, created_at=now)
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


@dataclass(frozen=True, slots=True)
class Colleague:
    """A health worker and a unit (path) that the role was granted for."""

    account_id: int
    name: str
    unit: str


async def health_workers(
    session: AsyncSession, *, within: Scope, covering: str = "", limit: int = 200
) -> list[Colleague]:
    """Health workers of the units within a scope, by name; `covering`: and those above a unit."""
    above = [one.path for one in ancestors(covering)] if covering else []
    rows = await session.execute(
        select(StaffAccount.id, StaffAccount.name, StaffGrant.unit)
        .join(StaffGrant, StaffGrant.account_id == StaffAccount.id)
        .where(
            StaffGrant.role == StaffRole.HEALTH_WORKER.value,
            or_(within.of(StaffGrant.unit), StaffGrant.unit.in_(above)),
        )
        .order_by(StaffAccount.name)
        .limit(limit)
    )
    return [Colleague(row.id, row.name, row.unit) for row in rows]


async def health_worker_named(session: AsyncSession, name: str, unit: str) -> Colleague | None:
    """The account of that name, if it is a health worker's for the whole of a unit (path)."""
    account = await find_account(session, name)
    if account is None:
        return None
    units = await session.scalars(
        select(StaffGrant.unit).where(
            StaffGrant.account_id == account.id,
            StaffGrant.role == StaffRole.HEALTH_WORKER.value,
        )
    )
    for granted in units:
        if is_within(unit, granted):
            return Colleague(account.id, account.name, granted)
    return None


async def grants_of(session: AsyncSession, account_id: int) -> tuple[Grant, ...]:
    """What was granted to an account, the first first."""
    rows = await session.scalars(
        select(StaffGrant).where(StaffGrant.account_id == account_id).order_by(StaffGrant.id)
    )
    return tuple(Grant(StaffRole(row.role), row.unit) for row in rows)


# --- tries of a password or a code ------------------------------------------------------
async def begin_sign_in(session: AsyncSession, name: str, now: int) -> int:
    """Count a try against `name` before its password is looked at: see `begin_try`."""
    return await begin_try(session, tries_of_name(name), now)


async def begin_try(session: AsyncSession, subject: str, now: int) -> int:
    """Count a try before it is looked at, so that a hundred guesses at once are a hundred failures.

    Returns the seconds for which the subject is locked: 0 when the try may be looked at.
    """
    row: SignInFailures | None = await session.scalar(
        upsert(session, SignInFailures)
        .values(name_hash=subject, failures=0, locked_until=0)
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


async def forgive(session: AsyncSession, subject: str) -> None:
    """After a right try: the failures before it are forgotten."""
    await session.execute(delete(SignInFailures).where(SignInFailures.name_hash == subject))


async def locked_until(session: AsyncSession, subjects: Iterable[str], now: int) -> dict[str, int]:
    """Those of the subjects that are locked now, and until when."""
    rows = await session.scalars(
        select(SignInFailures).where(
            SignInFailures.name_hash.in_(list(subjects)), SignInFailures.locked_until > now
        )
    )
    return {row.name_hash: row.locked_until for row in rows}


def tries_of_name(name: str) -> str:
    """What tries of a name's password are counted under."""
    return _hash(rules.normal_name(name))


def tries_of_account(what: str, account_id: int) -> str:
    """What tries of an account's code or old password are counted under. No name hashes to it."""
    return hashlib.sha256(b"\xff" + f"{what} {account_id}".encode()).hexdigest()


# --- sessions ----------------------------------------------------------------------------
async def find_account(session: AsyncSession, name: str) -> StaffAccount | None:
    """The account of that name, in any spelling of it, if it has not ended."""
    if "\0" in name:  # PostgreSQL has no such text, and would fail
        return None
    return await session.scalar(
        select(StaffAccount).where(
            StaffAccount.name == rules.normal_name(name), StaffAccount.ended_at.is_(None)
        )
    )


async def open_session(
    session: AsyncSession,
    account: StaffAccount,
    now: int,
    seconds: int,
    stage: Stage = Stage.OPEN,
) -> tuple[str, int]:
    """After a right password: forget the failures. Returns a fresh token and when it expires."""
    await forgive(session, tries_of_name(account.name))
    if stage is Stage.OPEN:
        await session.execute(
            update(StaffAccount).where(StaffAccount.id == account.id).values(last_sign_in_at=now)
        )
    token = secrets.token_urlsafe(32)
    expires_at = now + (seconds if stage is Stage.OPEN else rules.UNFINISHED_SECONDS)
    session.add(
        StaffSession(
            token_hash=_hash(token),
            account_id=account.id,
            stage=stage.value,
            opened_at=now,
            used_at=now,
            expires_at=expires_at,
        )
    )
    return token, expires_at


async def staff_of(
    session: AsyncSession, token: str, now: int, idle_seconds: int
) -> tuple[Staff, int] | None:
    """Who holds `token`, and when it was last used, if it is that of a session that goes on."""
    rows = await session.execute(
        select(
            StaffAccount.id,
            StaffAccount.name,
            StaffGrant.role,
            StaffGrant.unit,
            StaffSession.stage,
            StaffSession.used_at,
        )
        .join(StaffSession, StaffSession.account_id == StaffAccount.id)
        .join(StaffGrant, StaffGrant.account_id == StaffAccount.id)
        .where(
            StaffSession.token_hash == _hash(token),
            StaffSession.expires_at > now,
            StaffSession.used_at > now - idle_seconds,
            StaffAccount.ended_at.is_(None),
        )
        .order_by(StaffGrant.id)
    )
    found = rows.all()
    if not found:  # no session, or no grant is left: nothing to do here
        return None
    first = found[0]
    grants = tuple(Grant(StaffRole(row.role), row.unit) for row in found)
    staff = Staff(first.id, first.name, grants, stage=Stage(first.stage))
    return staff, first.used_at


async def mark_used(session: AsyncSession, token: str, now: int) -> None:
    """The session behind `token` goes on."""
    await session.execute(
        update(StaffSession).where(StaffSession.token_hash == _hash(token)).values(used_at=now)
    )


async def close_session(session: AsyncSession, token: str) -> None:
    """Sign out."""
    await session.execute(delete(StaffSession).where(StaffSession.token_hash == _hash(token)))


async def sessions_of(
    session: AsyncSession, account_id: int, now: int, idle_seconds: int
) -> Sequence[StaffSession]:
    """The sessions of an account that go on, the last used first."""
    rows = await session.scalars(
        select(StaffSession)
        .where(
            StaffSession.account_id == account_id,
            StaffSession.expires_at > now,
            StaffSession.used_at > now - idle_seconds,
        )
        .order_by(StaffSession.used_at.desc(), StaffSession.token_hash)
    )
    return rows.all()


async def close_sessions(
    session: AsyncSession, account_id: int, *, named: str = "", but: str = ""
) -> None:
    """End sessions of an account: all, the one `named` (`session_name`), or all `but` a token's."""
    statement = delete(StaffSession).where(StaffSession.account_id == account_id)
    if named:
        statement = statement.where(StaffSession.token_hash.startswith(named, autoescape=True))
    if but:
        statement = statement.where(StaffSession.token_hash != _hash(but))
    await session.execute(statement)


def session_name(row: StaffSession) -> str:
    """What a session is called in a form: enough of its hash to tell it from others."""
    return row.token_hash[:_NAME_CHARACTERS]


def is_session(row: StaffSession, token: str) -> bool:
    """Whether this is the session behind `token`."""
    return row.token_hash == _hash(token)


async def forget_expired(services: Services, lease: Lease) -> None:
    """Retention: expired sessions and invitations at once, failed sign-ins after a day."""
    now = services.now
    idle_since = now - services.settings.session_idle_seconds
    async with services.database.transaction() as session:
        await lease.confirm(session)
        await session.execute(
            delete(StaffSession).where(
                (StaffSession.expires_at <= now) | (StaffSession.used_at <= idle_since)
            )
        )
        await session.execute(delete(StaffInvitation).where(StaffInvitation.expires_at <= now))
        await session.execute(
            delete(SignInFailures).where(
                SignInFailures.locked_until <= now - rules.FAILURES_KEPT_SECONDS
            )
        )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
