"""What others ask of many cases at once: one query each, scope first, nothing written.

A case is dated by its onset, or where that is not known by the day it was reported.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.cases.tables import Case, LabResult
from bluezone.server.people.scope import Scope
from bluezone.server.register.queries import in_parts


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case as lists and pictures need it. Days are ISO days, times Unix seconds."""

    id: int
    reference: str
    person_id: int
    unit: str
    status: str
    onset: str | None
    has_symptoms: bool | None
    reported_on: str
    sampled_on: str | None
    confirmed_at: int | None
    code_issued_at: int | None
    closed_at: int | None
    outcome: str | None
    outcome_on: str | None
    infectious_from: str | None
    infectious_until: str | None
    source: str

    @property
    def day(self) -> str:
        """The ISO day by which it counts."""
        return self.onset or self.reported_on


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One laboratory result, as last corrected."""

    id: int
    laboratory: str
    sample: str
    unit: str
    person_id: int
    case_id: int | None
    reference: str | None  # of the case
    sampled_on: str
    method: str
    result: str
    reported_at: int


_CASE = [
    getattr(Case, name) for name in CaseRow.__dataclass_fields__
]  # the columns are named alike
_DATED: ColumnElement[str] = func.coalesce(Case.onset, Case.reported_on)


def _cases(*conditions: ColumnElement[bool]) -> Any:
    return select(*_CASE).where(Case.merged_into.is_(None), *conditions)


async def cases_between(
    session: AsyncSession, scope: Scope, since: str, until: str, *, at_most: int
) -> list[CaseRow]:
    """Cases of units within scope dated from one ISO day to another, both included: the latest."""
    rows = await session.execute(
        _cases(scope.of(Case.unit), _DATED.between(since, until))
        .order_by(_DATED.desc(), Case.id.desc())
        .limit(at_most)
    )
    return [CaseRow(*row) for row in rows]


async def cases_after(
    session: AsyncSession, scope: Scope, since: str, until: str, *, after: int, at_most: int
) -> list[CaseRow]:
    """The same a page at a time: the first ones with an id above `after`."""
    rows = await session.execute(
        _cases(scope.of(Case.unit), _DATED.between(since, until), Case.id > after)
        .order_by(Case.id)
        .limit(at_most)
    )
    return [CaseRow(*row) for row in rows]


async def cases_of(
    session: AsyncSession, scope: Scope, persons: Iterable[int], *, but: str = ""
) -> dict[int, CaseRow]:
    """The latest case within scope, of another status than `but`, of each who has one."""
    found: dict[int, CaseRow] = {}
    for some in in_parts(persons):
        rows = await session.execute(
            _cases(scope.of(Case.unit), Case.person_id.in_(some), Case.status != but).order_by(
                _DATED, Case.id
            )
        )
        found.update((case.person_id, case) for case in (CaseRow(*row) for row in rows))
    return found


async def case_referred_to(session: AsyncSession, scope: Scope, reference: str) -> CaseRow | None:
    """The case of that reference, if it is within scope; of a merged one, the case it became."""
    found = await session.scalar(select(Case).where(Case.reference == reference))
    while found is not None and found.merged_into is not None:
        found = await session.get(Case, found.merged_into)
    if found is None or not scope.covers(found.unit):
        return None
    return CaseRow(*(getattr(found, name) for name in CaseRow.__dataclass_fields__))


async def counts_by_unit(
    session: AsyncSession, scope: Scope, since: str, until: str, statuses: Iterable[str]
) -> dict[str, int]:
    """How many cases of these statuses each unit (path) has in a period."""
    rows = await session.execute(
        select(Case.unit, func.count())
        .where(
            Case.merged_into.is_(None),
            scope.of(Case.unit),
            _DATED.between(since, until),
            Case.status.in_(list(statuses)),
        )
        .group_by(Case.unit)
    )
    return {row[0]: row[1] for row in rows}


async def counts_by_day(
    session: AsyncSession, scope: Scope, since: str, until: str, *, by_onset: bool
) -> dict[tuple[str, str], int]:
    """Cases by (ISO day, status). By onset, those whose onset is not known are not in it."""
    day = Case.onset if by_onset else Case.reported_on
    rows = await session.execute(
        select(day, Case.status, func.count())
        .where(Case.merged_into.is_(None), scope.of(Case.unit), day.between(since, until))
        .group_by(day, Case.status)
    )
    return {(row[0] or "", row[1]): row[2] for row in rows}


async def reported_without_onset(
    session: AsyncSession, scope: Scope, since: str, until: str
) -> dict[bool, int]:
    """Cases reported in a period without a day of onset: True, without symptoms; False, unknown.

    Not of those that were something else.
    """
    rows = await session.execute(
        select(Case.has_symptoms, func.count())
        .where(
            Case.merged_into.is_(None),
            Case.status != "discarded",
            scope.of(Case.unit),
            Case.reported_on.between(since, until),
            Case.onset.is_(None),
        )
        .group_by(Case.has_symptoms)
    )
    found = {True: 0, False: 0}
    for has_symptoms, count in rows:
        found[has_symptoms is False] += count
    return found


_RESULT: Any = (
    select(
        LabResult.id,
        LabResult.laboratory,
        LabResult.sample,
        LabResult.unit,
        LabResult.person_id,
        LabResult.case_id,
        Case.reference,
        LabResult.sampled_on,
        LabResult.method,
        LabResult.result,
        LabResult.reported_at,
    )
    .outerjoin(Case, Case.id == LabResult.case_id)
    .where(LabResult.superseded.is_(False))
)


async def results_after(
    session: AsyncSession, scope: Scope, since: str, until: str, *, after: int, at_most: int
) -> list[ResultRow]:
    """Results within scope of samples taken in a period: the first with an id above `after`."""
    rows = await session.execute(
        _RESULT.where(
            scope.of(LabResult.unit),
            LabResult.sampled_on.between(since, until),
            LabResult.id > after,
        )
        .order_by(LabResult.id)
        .limit(at_most)
    )
    return [ResultRow(*row) for row in rows]


async def results_of_cases(
    session: AsyncSession, scope: Scope, cases: Iterable[int]
) -> list[ResultRow]:
    """The results within scope that belong to these cases, by id."""
    found: list[ResultRow] = []
    for some in in_parts(cases):
        rows = await session.execute(
            _RESULT.where(scope.of(LabResult.unit), LabResult.case_id.in_(some)).order_by(
                LabResult.id
            )
        )
        found += [ResultRow(*row) for row in rows]
    return found


async def sampled_since(
    session: AsyncSession, scope: Scope, persons: Iterable[int], since: str
) -> dict[int, str]:
    """The last ISO day, not before `since`, on which each of these people was sampled."""
    found: dict[int, str] = {}
    for some in in_parts(persons):
        rows = await session.execute(
            select(LabResult.person_id, func.max(LabResult.sampled_on))
            .where(
                scope.of(LabResult.unit),
                LabResult.person_id.in_(some),
                LabResult.superseded.is_(False),
                LabResult.sampled_on >= since,
            )
            .group_by(LabResult.person_id)
        )
        found.update((row[0], row[1]) for row in rows)
    return found
