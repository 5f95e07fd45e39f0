"""The verbs of cases. None commits."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.cases.tables import Case

_AT_ONCE = 500  # values of one statement


@dataclass(frozen=True, slots=True)
class Infectious:
    """When an active case could infect others: ISO days, both included; no `until`: still."""

    since: str
    until: str | None
    onset: str | None


async def active_cases(
    session: AsyncSession, person_ids: Iterable[int] | None = None
) -> dict[int, Infectious]:
    """Who of these (None: of everybody) is an active confirmed or probable case."""
    query = select(
        Case.person_id, Case.infectious_from, Case.infectious_until, Case.onset, Case.reported_on
    ).where(
        Case.closed_at.is_(None),
        Case.merged_into.is_(None),
        Case.status.in_(("confirmed", "probable")),
    )
    wanted = None if person_ids is None else sorted(set(person_ids))
    parts = (
        [query]
        if wanted is None
        else [
            query.where(Case.person_id.in_(wanted[start : start + _AT_ONCE]))
            for start in range(0, len(wanted), _AT_ONCE)
        ]
    )
    found: dict[int, Infectious] = {}
    for part in parts:
        for person, since, until, onset, reported in await session.execute(part):
            one = Infectious(since or onset or reported, until, onset)
            # Two cases of one person at a time are a mistake to merge; until then the wider counts.
            if person in found:
                one = Infectious(
                    min(one.since, found[person].since),
                    None
                    if None in (one.until, found[person].until)
                    else max(one.until or "", found[person].until or ""),
                    one.onset or found[person].onset,
                )
            found[person] = one
    return found
