"""What of contacts is shown to whom: people in lists, the path behind a rank, a case's contacts.

Somebody beyond the reader's units is a person in a province with a rank, and nothing more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import func, not_, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.cases import service as cases
from bluezone.server.contacts import rules
from bluezone.server.contacts.phones import diaries_of
from bluezone.server.contacts.rules import Edge, KnownBy
from bluezone.server.contacts.service import (
    NOTE,
    REMOVED,
    RankRow,
    opened,
    ranks_of,
    rules_in_use,
)
from bluezone.server.contacts.tables import CaseDiary, Exposure, PlaceVisited, Rank
from bluezone.server.contacts.words import WORDS
from bluezone.server.context import Services
from bluezone.server.people.rules import Staff
from bluezone.server.places.units import Level, ancestors
from bluezone.server.register import service as register
from bluezone.server.register.service import Register

_AT_ONCE: Final = 500  # values of one statement
LISTED: Final = 500  # exposures on one page


@dataclass(frozen=True, slots=True)
class Shown:
    """Somebody in a list. Beyond the reader's scope there is no name, only the province."""

    person_id: int
    unit: str
    name: str | None = field(repr=False)
    phone: str = field(repr=False)
    rank: RankRow | None

    @property
    def province(self) -> str:
        found = [one for one in ancestors(self.unit) if one.level is Level.PROVINCE]
        return found[0].name if found else "Việt Nam"


async def shown(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    person_ids: Iterable[int],
    *,
    subject: str,
    purpose: Purpose = Purpose.TRACING,
) -> dict[int, Shown]:
    """These people as `staff` may see them; that names were shown is written to the audit."""
    wanted = sorted(set(person_ids))
    units: dict[int, str] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        units.update(await register.unmerged_units_of(session, wanted[start : start + _AT_ONCE]))
    near = [person for person, unit in units.items() if staff.scope.covers(unit)]
    details = {}
    for start in range(0, len(near), _AT_ONCE):
        details.update(
            await register.details_unscoped(
                session,
                Register.open(services.settings.secrets_folder),
                near[start : start + _AT_ONCE],
            )
        )
    ranks = await ranks_of(session, wanted)
    if near:
        await audit.record(
            session, services, staff, Action.LIST, subject=subject, purpose=purpose,
            detail=f"persons={len(near)}",
        )  # fmt: skip
    return {
        person: Shown(
            person,
            unit,
            details[person].name if person in details else None,
            details[person].phone if person in details else "",
            ranks.get(person),
        )
        for person, unit in units.items()
    }


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the path from a case to a person: the exposure, and who was met."""

    exposure: Exposure
    rank: int  # of the exposed, by this step


async def why(session: AsyncSession, person_id: int) -> list[Step]:
    """The path that gives a person their rank, from the case on; empty for a case and for nobody.

    Told from the exposures as they are, so it ends where one of them no longer counts.
    """
    row = await session.get(Rank, person_id)
    if row is None or not row.rank or row.exposure_id is None:
        return []
    _version, rule = await rules_in_use(session)
    exposure = await session.get(Exposure, row.exposure_id)
    path: list[Step] = []
    for rank in range(row.rank, 0, -1):
        if exposure is None:
            return []
        path.append(Step(exposure, rank))
        if rank > 1:
            exposure = await _step_before(session, exposure, rank - 1, rule)
    return path[::-1]


async def _step_before(
    session: AsyncSession, exposure: Exposure, rank: int, rule: rules.RankRules
) -> Exposure | None:
    """The exposure that made the source of `exposure` F`rank` (or less) by that day."""
    rows = await session.scalars(
        select(Exposure)
        .where(
            Exposure.exposed_id == exposure.source_id,
            Exposure.removed_at.is_(None),
            Exposure.day <= exposure.day,
        )
        .order_by(Exposure.day, Exposure.id)
    )
    incoming = {row.id: row for row in rows}
    edges = [edge_of(row) for row in incoming.values()]
    sources = {edge.source for edge in edges if edge.source is not None}
    ill = await cases.active_cases(session, sources)
    arrivals = {
        person: rules.unpacked(text, rule.followed)
        for person, text in await session.execute(
            select(Rank.person_id, Rank.arrivals).where(Rank.person_id.in_(sources))
        )
    }

    def reached(person: int) -> str:
        days = arrivals.get(person)
        return days[rank - 2] if days and rank > 1 and person not in ill else ""

    given = rules.giving(edges, rank, ill, reached, rule)
    return incoming[given[0].id] if given else None


def edge_of(row: Exposure) -> Edge:
    """An exposure as the rule sees it."""
    return Edge(
        row.id,
        row.source_id,
        row.exposed_id,
        row.day,
        row.known_by,
        row.nearness,
        row.minutes,
        row.setting,
        row.confirmation,
    )


@dataclass(frozen=True, slots=True)
class Met:
    """An exposure as a person's record or a case lists it, opened."""

    exposure: Exposure
    place: str
    note: str = field(repr=False)
    removed_why: str = field(repr=False)

    @property
    def band(self) -> list[str]:
        return [one for one in self.exposure.band.split(",") if one]

    @property
    def flags(self) -> list[str]:
        return [one for one in self.exposure.flags.split(",") if one]


async def exposures_of(
    session: AsyncSession,
    services: Services,
    person_id: int,
    *,
    as_source: bool,
    removed: bool | None = False,
) -> list[Met]:
    """Whom a person exposed, or to whom they were exposed; the latest LISTED, the last day first.

    `removed`: what was taken back; None: that, too.
    """
    column = Exposure.source_id if as_source else Exposure.exposed_id
    query = (
        select(Exposure, PlaceVisited.name)
        .outerjoin(PlaceVisited, PlaceVisited.id == Exposure.place_id)
        .where(column == person_id)
    )
    if removed is not None:
        is_there = Exposure.removed_at.is_(None)
        query = query.where(not_(is_there) if removed else is_there)
    rows = await session.execute(
        query.order_by(Exposure.day.desc(), Exposure.id.desc()).limit(LISTED)
    )
    return [
        Met(
            row,
            place or "",
            opened(services, row.note, NOTE, row.id),
            opened(services, row.removed_why, REMOVED, row.id),
        )
        for row, place in rows
    ]


# --- a case's contacts -----------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class CaseContacts:
    """What `contacts/case_section.html` shows: whom a case exposed; `count` may be more."""

    case_id: int
    count: int
    met: list[Met]
    removed: list[Met]
    people: dict[int, Shown]
    diaries: list[CaseDiary]

    @property
    def has_phones(self) -> bool:
        return any(one.exposure.known_by == KnownBy.PHONE for one in self.met)


async def case_section(
    session: AsyncSession, services: Services, staff: Staff, case_id: int
) -> dict[str, Any]:
    """What a page needs to include `contacts/case_section.html`. Raises Refused (404).

    Writes to the audit that names were shown: it needs a transaction, not a read.
    """
    case = await cases.case_of(session, staff.scope, case_id)
    met = await exposures_of(session, services, case.person_id, as_source=True)
    removed = await exposures_of(session, services, case.person_id, as_source=True, removed=True)
    people = await shown(
        session, services, staff, {one.exposure.exposed_id for one in (*met, *removed)},
        subject=f"case:{case.id}",
    )  # fmt: skip
    count = await session.scalar(
        select(func.count())
        .select_from(Exposure)
        .where(Exposure.source_id == case.person_id, Exposure.removed_at.is_(None))
    )
    contacts = CaseContacts(
        case.id,
        count or 0,
        met,
        removed,
        people,
        await diaries_of(session, [case.id]),
    )
    return {"contacts": contacts, "words": WORDS}
