"""The verbs of cases. None commits."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.cases.tables import Case
from bluezone.server.errors import Refused
from bluezone.server.people.scope import Scope
from bluezone.web.catalogue import _

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


async def case_of(session: AsyncSession, scope: Scope, case_id: int) -> Case:
    """The case of an id. Raises Refused (404), also beyond scope."""
    case = await session.get(Case, case_id, populate_existing=True)
    if case is None or not scope.covers(case.unit):
        raise Refused(404, "case-unknown", _("There is no such case in your units."))
    return case


async def cases_of_person(session: AsyncSession, scope: Scope, person_id: int) -> list[Case]:
    """All cases of a person within scope, the newest first."""
    rows = await session.scalars(
        select(Case)
        .where(Case.person_id == person_id, scope.of(Case.unit))
        .order_by(Case.reported_on.desc(), Case.id.desc())
    )
    return list(rows)


async def active_within(
    session: AsyncSession, scope: Scope, since: str, until: str, at_most: int = 200
) -> list[tuple[Case, str, str | None]]:
    """Active cases within scope that were infectious between two ISO days, and from when to when;
    the latest reports."""
    first = func.coalesce(Case.infectious_from, Case.onset, Case.reported_on)
    rows = await session.execute(
        select(Case, first, Case.infectious_until)
        .where(
            scope.of(Case.unit),
            Case.closed_at.is_(None),
            Case.status.in_(("confirmed", "probable")),
            first <= until,
            or_(Case.infectious_until.is_(None), Case.infectious_until >= since),
        )
        .order_by(Case.reported_on.desc(), Case.id.desc())
        .limit(at_most)
    )
    return [(row[0], row[1], row[2]) for row in rows]
