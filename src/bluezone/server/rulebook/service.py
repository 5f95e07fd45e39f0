"""The verbs of the rulebook: which version of a rule counts. None commits.

A duty declares its rules as a msgspec struct and hands in version 0, as shipped.
"""

from typing import TypeVar

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.people.rules import Staff
from bluezone.server.rulebook.tables import RuleVersion

_Rules = TypeVar("_Rules", bound=msgspec.Struct)


async def in_force(
    session: AsyncSession, kind: str, shipped: _Rules, day: str
) -> tuple[int, _Rules]:
    """The version of a kind that is valid on an ISO day, and its content."""
    row = await session.scalar(
        select(RuleVersion)
        .where(RuleVersion.kind == kind, RuleVersion.valid_from <= day)
        .order_by(RuleVersion.valid_from.desc(), RuleVersion.version.desc())
        .limit(1)
    )
    if row is None:
        return 0, shipped
    return row.version, msgspec.json.decode(row.content, type=type(shipped))


async def add_version(
    session: AsyncSession,
    staff: Staff,
    kind: str,
    content: msgspec.Struct,
    *,
    valid_from: str,
    reason: str,
    now: int,
) -> int:
    """A new version, valid from an ISO day. Returns its number."""
    last = await session.scalar(
        select(func.max(RuleVersion.version)).where(RuleVersion.kind == kind)
    )
    version = (last or 0) + 1
    session.add(
        RuleVersion(
            kind=kind,
            version=version,
            valid_from=valid_from,
            content=msgspec.json.encode(content).decode(),
            reason=reason,
            at=now,
            account_name=staff.name,
        )
    )
    return version


async def of_version(session: AsyncSession, kind: str, shipped: _Rules, version: int) -> _Rules:
    """The content of one version of a kind, in force or not. Raises KeyError for an unknown one."""
    if version == 0:
        return shipped
    row = await session.get(RuleVersion, (kind, version))
    if row is None:
        raise KeyError(version)
    return msgspec.json.decode(row.content, type=type(shipped))
