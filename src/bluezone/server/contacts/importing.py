"""Lists of contacts: whom a case met, row by row, beside the forms that ask for one at a time."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.cases import rules as case_rules
from bluezone.server.cases import service as cases
from bluezone.server.contacts.rules import KnownBy, Nearness, Setting
from bluezone.server.contacts.service import (
    OLDEST_DAYS,
    ContactError,
    NewExposure,
    add_exposures,
    checked_minutes,
)
from bluezone.server.contacts.tables import Exposure
from bluezone.server.context import Services
from bluezone.server.people.rules import Staff
from bluezone.server.register import importing
from bluezone.server.register.cells import CellError, Cells
from bluezone.server.register.importing import PERSON_COLUMNS, Column, Ready, Shape
from bluezone.server.register.rules import Details
from bluezone.web.catalogue import _

_SETTINGS: Final = {
    "gia dinh": Setting.HOUSEHOLD,
    "household": Setting.HOUSEHOLD,
    "noi lam viec": Setting.WORK,
    "cong ty": Setting.WORK,
    "work": Setting.WORK,
    "truong hoc": Setting.SCHOOL,
    "school": Setting.SCHOOL,
    "co so y te": Setting.HEALTH_CARE,
    "benh vien": Setting.HEALTH_CARE,
    "health care": Setting.HEALTH_CARE,
    "phuong tien": Setting.TRANSPORT,
    "transport": Setting.TRANSPORT,
    "gap go": Setting.SOCIAL,
    "social": Setting.SOCIAL,
    "khac": Setting.OTHER,
    "other": Setting.OTHER,
}
_NEARNESS: Final = {
    "cham": Nearness.TOUCH,
    "touch": Nearness.TOUCH,
    "duoi 2 m": Nearness.TWO_METRES,
    "duoi 2m": Nearness.TWO_METRES,
    "two metres": Nearness.TWO_METRES,
    "cung phong": Nearness.SAME_ROOM,
    "cung xe": Nearness.SAME_ROOM,
    "same room": Nearness.SAME_ROOM,
    "xa hon": Nearness.FARTHER,
    "farther": Nearness.FARTHER,
}


class ContactRow(msgspec.Struct, frozen=True):
    """What a row says beside the person."""

    reference: str  # of the index case
    day: dt.date
    setting: Setting
    nearness: Nearness
    minutes: int | None


def _read(cells: Cells, _details: Details) -> ContactRow:
    reference = case_rules.typed_reference(cells.text("reference"))
    day = cells.day("day")
    if not reference:
        raise CellError("reference", _("Please give the reference of the index case."))
    if day is None:
        raise CellError("day", _("Please give the day of the meeting."))
    if day > cells.today:
        raise CellError("day", _("This day is in the future."))
    if (cells.today - day).days > OLDEST_DAYS:
        raise CellError(
            "day", _("This day is more than {days} days ago. Check the year."), days=OLDEST_DAYS
        )
    return ContactRow(
        reference,
        day,
        cells.choice("setting", _SETTINGS) or Setting.OTHER,
        cells.choice("nearness", _NEARNESS) or Nearness.UNKNOWN,
        _minutes(cells),
    )


def _minutes(cells: Cells) -> int | None:
    try:
        return checked_minutes(cells.text("minutes"))
    except ContactError as error:
        raise CellError("minutes", error.message) from None


async def _verify(
    session: AsyncSession, _services: Services, staff: Staff, ready: Sequence[Ready[ContactRow]]
) -> Mapping[int, CellError]:
    known = await cases.cases_named(
        session, staff.scope, {one.row.content.reference for one in ready}
    )
    same = {one.row.number: one.same for one in ready}
    against: dict[int, CellError] = {}
    for one in ready:
        case = known.get(one.row.content.reference)
        if case is None:
            against[one.row.number] = CellError(
                "reference",
                _("There is no case {reference} in your units."),
                reference=one.row.content.reference[:20],
            )
        elif case.person_id in (one.same, same.get(one.row.first or 0)):
            against[one.row.number] = CellError(
                "name", _("This is the same person: nobody is a contact of themselves.")
            )
    return against


async def _recognise(
    session: AsyncSession, _services: Services, staff: Staff, ready: Sequence[Ready[ContactRow]]
) -> Mapping[int, int]:
    """Who looks alike and is known to have met this case on this day is the same person.

    Not without the name: a family has one telephone, and meets people together.
    """
    open_rows = [one for one in ready if one.same is None and one.alike]
    known = await cases.cases_named(
        session, staff.scope, {one.row.content.reference for one in open_rows}
    )
    sources = {case.person_id for case in known.values()}
    met = await _met_on(session, sources, {one.row.content.day for one in open_rows})
    found: dict[int, int] = {}
    for one in open_rows:
        case, day = known.get(one.row.content.reference), one.row.content.day.isoformat()
        for other in one.alike:
            if (
                case is not None
                and other.likeness.same_name
                and (case.person_id, other.person_id, day) in met
            ):
                found.setdefault(one.row.number, other.person_id)
    return found


async def _met_on(
    session: AsyncSession, sources: set[int], days: set[dt.date]
) -> set[tuple[int, int, str]]:
    """Who met these cases on these days, as is known: source, exposed, ISO day."""
    if not sources or not days:
        return set()
    rows = await session.execute(
        select(Exposure.source_id, Exposure.exposed_id, Exposure.day).where(
            Exposure.source_id.in_(sources),
            Exposure.day.in_(sorted(day.isoformat() for day in days)),
            Exposure.removed_at.is_(None),
        )
    )
    return {(source or 0, exposed, day) for source, exposed, day in rows}


async def _apply(
    session: AsyncSession, services: Services, staff: Staff, ready: Sequence[Ready[ContactRow]]
) -> Mapping[str, int]:
    ids, new = await importing.people_of(session, services, ready)
    known = await cases.cases_named(
        session, staff.scope, {one.row.content.reference for one in ready}
    )
    rows = await add_exposures(
        session,
        services,
        staff,
        [
            NewExposure(
                source_id=known[one.row.content.reference].person_id,
                exposed_id=person_id,
                known_by=KnownBy.INTERVIEW,
                day=one.row.content.day.isoformat(),
                nearness=one.row.content.nearness,
                setting=one.row.content.setting,
                minutes=one.row.content.minutes,
            )
            for one, person_id in zip(ready, ids, strict=True)
        ],
        audited=True,
    )
    fresh = len({row.id for row in rows if row.created_at == services.now})
    return {
        _("contacts"): fresh,
        _("new people"): new,
        _("contacts that were here already"): len(ready) - fresh,
    }


CONTACTS: Final = Shape(
    kind="contacts",
    columns=(
        *PERSON_COLUMNS,
        Column(
            "reference",
            _("Reference of the index case"),
            "ma ca benh; ca benh; f0; ma f0; tiep xuc voi; index case; case; case reference",
            required=True,
        ),
        Column(
            "day",
            _("Day of the meeting"),
            "ngay tiep xuc; ngay tiep xuc cuoi; day; date of contact; last contact",
            required=True,
        ),
        Column("setting", _("Where they met"), "hoan canh; noi tiep xuc; setting"),
        Column("nearness", _("How near"), "khoang cach; muc do; nearness; distance"),
        Column("minutes", _("Minutes"), "so phut; thoi gian; minutes; duration"),
    ),
    read=_read,
    apply=_apply,
    verify=_verify,
    recognise=_recognise,
    once=False,
    anywhere=True,
)
