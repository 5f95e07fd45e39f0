"""Places and who said they were there: the verbs. None commits."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, case, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from bluezone.protocol.intervals import VIETNAM, vietnam_day
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.contacts.rules import PLACE_SETTINGS, KnownBy, Nearness, PlaceKind, Setting
from bluezone.server.contacts.service import (
    OLDEST_DAYS,
    ContactError,
    NewExposure,
    add_exposures,
)
from bluezone.server.contacts.tables import Exposure, PlaceVisited, Visit
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import Scope
from bluezone.server.register import service as register
from bluezone.server.register.rules import plain
from bluezone.storage.database import upsert
from bluezone.web.catalogue import _

SHOWN: Final = 200
_LONGEST_VISIT: Final = 24 * 3600
_MAX_NAME: Final = 120
_Time = ColumnElement[int] | InstrumentedAttribute[int]


@dataclass(frozen=True, slots=True)
class Present:
    """Somebody who was there, and how long within the time asked about."""

    visit: Visit
    minutes: int


@dataclass(frozen=True, slots=True)
class Together:
    """Two visits that overlap: when the overlap began, and how long it was."""

    person_id: int
    start_at: int
    minutes: int


# --- places ----------------------------------------------------------------------------
async def add_place(
    session: AsyncSession, *, unit: str, name: str, kind: PlaceKind, address: str = "", now: int
) -> PlaceVisited:
    """The place of that name in a unit (path), made if it is not there. Raises ContactError."""
    name = " ".join(name.split())
    search_name = plain(name)
    if not search_name or len(name) > _MAX_NAME or not name.isprintable():
        raise ContactError("place", _("Please name the place, in at most 120 characters."))
    if len(address) > 300 or not address.isprintable():
        raise ContactError("address", _("The text has characters that cannot be shown."))
    await session.execute(
        upsert(session, PlaceVisited)
        .values(
            unit=unit,
            name=name,
            search_name=search_name,
            kind=kind.value,
            address=address.strip(),
            created_at=now,
        )
        .on_conflict_do_nothing()
    )
    row = await session.scalar(
        select(PlaceVisited).where(
            PlaceVisited.unit == unit, PlaceVisited.search_name == search_name
        )
    )
    assert row is not None  # noqa: S101 - just made, if it was not there
    return row


async def place_within(session: AsyncSession, scope: Scope, place_id: int) -> PlaceVisited:
    """Raises Refused (404), also beyond scope."""
    row = await session.get(PlaceVisited, place_id)
    if row is None or not scope.covers(row.unit):
        raise Refused(404, "place-unknown", _("There is no such place in your units."))
    return row


async def places_within(session: AsyncSession, scope: Scope, text: str = "") -> list[PlaceVisited]:
    """At most SHOWN places whose name holds `text` (with or without accents), by name."""
    query = select(PlaceVisited).where(scope.of(PlaceVisited.unit))
    if wanted := plain(text):
        query = query.where(PlaceVisited.search_name.contains(wanted, autoescape=True))
    rows = await session.scalars(
        query.order_by(PlaceVisited.search_name, PlaceVisited.id).limit(SHOWN)
    )
    return list(rows)


# --- visits ----------------------------------------------------------------------------
def checked_time(day: str, start: str, end: str, now: int) -> tuple[int, int]:
    """Unix seconds of a time on a Vietnamese day; an end before the start is on the next day.

    Raises ContactError.
    """
    try:
        date = dt.date.fromisoformat(day.strip())
        begin = dt.datetime.combine(date, dt.time.fromisoformat(start.strip()), VIETNAM)
        finish = dt.datetime.combine(date, dt.time.fromisoformat(end.strip()), VIETNAM)
        if finish < begin:
            finish += dt.timedelta(days=1)
    except (ValueError, OverflowError):
        raise ContactError(
            "time", _("Please give a day, and times such as 08:00 and 10:00.")
        ) from None
    if begin.timestamp() > now:
        raise ContactError("time", _("This time is in the future."))
    if date < vietnam_day(now) - dt.timedelta(days=OLDEST_DAYS):
        raise ContactError(
            "time",
            _("This day is more than {days} days ago. Please check the year."),
            days=OLDEST_DAYS,
        )
    return int(begin.timestamp()), int(finish.timestamp())


async def add_visit(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    *,
    person_id: int,
    place: PlaceVisited,
    start_at: int,
    end_at: int,
) -> Visit:
    """Somebody within scope was at a place; said twice, it is one visit. Raises Refused (404)."""
    person = await register.get(session, staff.scope, person_id)
    same = await session.scalar(
        select(Visit).where(
            Visit.place_id == place.id,
            Visit.person_id == person.id,
            Visit.start_at == start_at,
            Visit.end_at == end_at,
            Visit.removed_at.is_(None),
        )
    )
    if same is not None:
        return same
    row = Visit(
        place_id=place.id, person_id=person.id, start_at=start_at, end_at=end_at,
        created_at=services.now, account_id=staff.account_id, account_name=staff.name,
        removed_at=None,
    )  # fmt: skip
    session.add(row)
    await session.flush()
    await audit.record(
        session, services, staff, Action.ADD, subject=f"person:{person.id}",
        purpose=Purpose.TRACING, detail=f"visit={row.id} place={place.id}",
    )  # fmt: skip
    return row


async def remove_visit(
    session: AsyncSession, services: Services, staff: Staff, visit_id: int
) -> Visit:
    """Take a visit back. Raises Refused (404)."""
    row = await session.get(Visit, visit_id)
    if row is None:
        raise Refused(404, "visit-unknown", _("There is no such visit in your units."))
    person = await register.get(session, staff.scope, row.person_id)
    row.removed_at = services.now
    await session.flush()
    await audit.record(
        session, services, staff, Action.DELETE,
        subject=f"person:{person.id}", purpose=Purpose.TRACING, detail=f"visit={row.id}",
    )  # fmt: skip
    return row


async def visits_of(session: AsyncSession, person_id: int) -> list[tuple[Visit, PlaceVisited]]:
    """Where a person said they were, the latest first."""
    rows = await session.execute(
        select(Visit, PlaceVisited)
        .join(PlaceVisited, PlaceVisited.id == Visit.place_id)
        .where(Visit.person_id == person_id, Visit.removed_at.is_(None))
        .order_by(Visit.start_at.desc(), Visit.id.desc())
        .limit(SHOWN)
    )
    return [(visit, place) for visit, place in rows]


async def present(
    session: AsyncSession, place: PlaceVisited, since: int, until: int
) -> list[Present]:
    """Who said they were at a place between two Unix times, the longest first."""
    overlap = _least(Visit.end_at, until) - _most(Visit.start_at, since)
    rows = await session.execute(
        select(Visit, overlap / 60)
        .where(
            Visit.place_id == place.id,
            Visit.removed_at.is_(None),
            Visit.start_at < until,
            Visit.end_at > since,
            # An index serves this; no visit is longer.
            Visit.start_at > since - _LONGEST_VISIT,
        )
        .order_by(overlap.desc(), Visit.id)
        .limit(SHOWN)
    )
    return [Present(visit, int(minutes)) for visit, minutes in rows]


async def together(
    session: AsyncSession, place: PlaceVisited, source_id: int, since: int, until: int
) -> list[Together]:
    """Who was there at the same time as one of them, within a time; each overlap by itself."""
    mine, other = aliased(Visit), aliased(Visit)
    start = _most(_most(mine.start_at, other.start_at), since)
    minutes = _least(_least(mine.end_at, other.end_at), until) - start
    rows = await session.execute(
        select(other.person_id, start, minutes / 60)
        .join(mine, mine.place_id == other.place_id)
        .where(
            other.place_id == place.id,
            mine.person_id == source_id,
            other.person_id != source_id,
            mine.removed_at.is_(None),
            other.removed_at.is_(None),
            minutes > 0,
            mine.start_at.between(since - _LONGEST_VISIT, until),
            other.start_at.between(since - _LONGEST_VISIT, until),
        )
        .order_by(other.person_id, start)
    )
    return [Together(person, at, int(length)) for person, at, length in rows]


def _least(one: _Time, other: _Time | int) -> ColumnElement[int]:
    return case((one < other, one), else_=other)


def _most(one: _Time, other: _Time | int) -> ColumnElement[int]:
    return case((one > other, one), else_=other)


async def make_contacts(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    place: PlaceVisited,
    *,
    source_id: int,
    chosen: Iterable[int],
    nearness: Nearness,
    since: int,
    until: int,
) -> list[Exposure]:
    """Make contacts of those `chosen` who were there while `source_id` was.

    Raises ContactError (422): nobody chosen was.
    """
    wanted = set(chosen)
    given = [
        NewExposure(
            source_id=source_id,
            exposed_id=one.person_id,
            known_by=KnownBy.PLACE,
            day=vietnam_day(one.start_at).isoformat(),
            start_at=one.start_at,
            minutes=one.minutes,
            nearness=nearness,
            setting=PLACE_SETTINGS.get(PlaceKind(place.kind), Setting.SOCIAL),
            place_id=place.id,
        )
        for one in await together(session, place, source_id, since, until)
        if one.person_id in wanted
    ]
    if not given:
        raise ContactError(
            "chosen", _("Nobody you chose was there at the same time as the person you chose.")
        )
    return await add_exposures(session, services, staff, given)
