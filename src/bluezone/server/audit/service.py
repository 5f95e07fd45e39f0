"""The verbs of the audit: write down, read. None commits: entry and deed are one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Final

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.audit import rules
from bluezone.server.audit.rules import Action, Entry, Purpose
from bluezone.server.audit.tables import AuditEntry, AuditHead
from bluezone.server.context import Services
from bluezone.server.limits import Rule
from bluezone.server.people.rules import Grant, Staff, StaffRole
from bluezone.server.people.scope import Scope
from bluezone.server.places.units import NATION
from bluezone.storage.database import before_commit, upsert

# A day's work in an hour; whoever wants more is copying.
LOOKS_BY_ACCOUNT: Final = Rule("looks by account", 300, 3600)
# A list shows a page of people: nobody needs one every four seconds for an hour.
LISTS_BY_ACCOUNT: Final = Rule("lists by account", 1000, 3600)
_LIMITED: Final = {
    Action.LOOK: LOOKS_BY_ACCOUNT,
    Action.EXPORT: LOOKS_BY_ACCOUNT,
    Action.LIST: LISTS_BY_ACCOUNT,
}
# Who acts when nobody does: jobs, and the page on which a citizen reads.
SERVICE: Final = Staff(0, "service", (Grant(StaffRole.ADMIN, NATION),))
_LOOKS_SHOWN: Final = 100
_PENDING: Final = "audit entries"  # in a session's `info`


async def record(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    action: Action,
    *,
    subject: str = "",
    purpose: Purpose,
    detail: str = "",
) -> None:
    """Append to the chain of the staff member's province, in the caller's transaction.

    `subject` names a record ("person:17"), `detail` says more without personal data (the reason of
    an export stands there as it is typed; the form asks for no names). It is written at the end of
    the transaction: who appends holds the chain's head, which everybody of the province needs.
    Raises Refused (429) for an account that looks at, lists or exports too much.
    """
    if action in _LIMITED and staff.account_id != SERVICE.account_id:
        services.limits.spend(_LIMITED[action], str(staff.account_id))
    entry = Entry(
        at=services.now,
        account_id=staff.account_id,
        account_name=staff.name,
        unit=staff.unit,
        action=action.value,
        subject=subject,
        purpose=purpose.value,
        detail=detail,
    )
    pending: list[tuple[str, Entry]] = session.info.setdefault(_PENDING, [])
    pending.append((rules.chain_of(staff.unit), entry))
    before_commit(session, _PENDING, partial(_append, session, services))


async def record_search(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    purpose: Purpose,
    *,
    by: str,
    found: int,
    subject: str = "",
) -> None:
    """Write a search for people down: `by` what, and how many it showed; not what was typed.

    `subject`: the one person that it showed, if it was one. Searches that find nobody, one after
    the other, are how somebody tries out who is known here.
    """
    await record(
        session,
        services,
        staff,
        Action.LIST,
        subject=subject,
        purpose=purpose,
        detail=f"{SEARCH}{by} {FOUND}{found}",
    )


SEARCH: Final = "search by "
FOUND: Final = "found="


async def _append(session: AsyncSession, services: Services) -> None:
    """Write what was recorded, chain by chain in one order: of two who do, neither has to fail."""
    by_chain: dict[str, list[Entry]] = {}
    for chain, entry in session.info.pop(_PENDING):
        by_chain.setdefault(chain, []).append(entry)
    for chain, recorded in sorted(by_chain.items()):
        await session.execute(
            upsert(session, AuditHead)
            .values(chain=chain, sequence=0, digest=rules.FIRST)
            .on_conflict_do_nothing()
        )
        head = await session.scalar(
            select(AuditHead)
            .where(AuditHead.chain == chain)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        assert head is not None  # noqa: S101 - just made, if it was not there
        now = services.now  # in a chain time never goes back
        for entry in (replace(one, at=now) for one in recorded):
            sequence, previous = head.sequence + 1, head.digest
            digest = rules.digest(chain, sequence, entry, previous)
            session.add(
                AuditEntry(
                    chain=chain,
                    sequence=sequence,
                    previous=previous,
                    digest=digest,
                    **asdict(entry),
                )
            )
            head.sequence, head.digest = sequence, digest
    await session.flush()


# --- reading ---------------------------------------------------------------------------
async def looks_at(session: AsyncSession, subject: str) -> Sequence[AuditEntry]:
    """Who opened or exported one record, newest first, at most 100."""
    rows = await session.scalars(
        select(AuditEntry)
        .where(
            AuditEntry.subject == subject,
            AuditEntry.action.in_(one.value for one in _LIMITED),
        )
        .order_by(AuditEntry.at.desc(), AuditEntry.chain.desc(), AuditEntry.sequence.desc())
        .limit(_LOOKS_SHOWN)
    )
    return rows.all()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for; what is empty does not count. Times are Unix seconds."""

    account: str = ""  # name or number
    action: str = ""
    purpose: str = ""
    subject: str = ""
    since: int | None = None
    until: int | None = None  # not included


async def entries(
    session: AsyncSession,
    scope: Scope,
    wanted: Wanted,
    *,
    before: tuple[int, str, int] | None = None,
    limit: int,
) -> Sequence[AuditEntry]:
    """Entries of accounts that work within scope, newest first.

    `before`: time, chain and sequence of the last entry already seen.
    """
    place = tuple_(AuditEntry.at, AuditEntry.chain, AuditEntry.sequence)
    conditions = [scope.of(AuditEntry.unit), *_conditions(wanted)]
    if before is not None:
        conditions.append(place < before)
    rows = await session.scalars(
        select(AuditEntry)
        .where(*conditions)
        .order_by(AuditEntry.at.desc(), AuditEntry.chain.desc(), AuditEntry.sequence.desc())
        .limit(limit)
    )
    return rows.all()


async def count(session: AsyncSession, scope: Scope, wanted: Wanted) -> int:
    """How many entries `entries` would go through."""
    found = await session.scalar(
        select(func.count())
        .select_from(AuditEntry)
        .where(scope.of(AuditEntry.unit), *_conditions(wanted))
    )
    return found or 0


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.account.isascii() and wanted.account.isdigit() and len(wanted.account) < 19:
        conditions.append(AuditEntry.account_id == int(wanted.account))
    elif wanted.account:
        conditions.append(AuditEntry.account_name == wanted.account)
    for column, value in (
        (AuditEntry.action, wanted.action),
        (AuditEntry.purpose, wanted.purpose),
        (AuditEntry.subject, wanted.subject),
    ):
        if value:
            conditions.append(column == value)
    if wanted.since is not None:
        conditions.append(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(AuditEntry.at < wanted.until)
    return conditions
