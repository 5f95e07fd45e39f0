"""What the forms of contacts hold as it was typed, and what becomes of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.contacts.rules import KnownBy, Nearness, Relation, Setting
from bluezone.server.contacts.service import (
    ContactError,
    NewExposure,
    checked_day,
    checked_minutes,
)
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import EVERYWHERE
from bluezone.server.places.units import path_of, resolve
from bluezone.server.register import rules as register_rules
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details, DetailsError, Sex, check_details
from bluezone.server.register.service import Candidate, Register
from bluezone.web.catalogue import _

MORE_ROWS: Final = 4  # of a household, entered at once
_NEW: Final = "new"
_ROW: Final = ("name", "birth", "phone", "relation")

Typed = Mapping[str, str]
DETAIL_FIELDS: Final = (
    "name",
    "phone",
    "identity",
    "birth",
    "sex",
    "address",
    "occupation",
    "workplace",
)


def typed(form: Mapping[str, object]) -> dict[str, str]:
    """The text fields of a form, each once, none endless."""
    return {name: value[:2000] for name, value in form.items() if isinstance(value, str)}


def details_of(fields: Typed, services: Services, before: Details | None = None) -> Details:
    """The details of a form in their normal form; what it has no field for stays as it was.

    Raises DetailsError.
    """
    values = {name: fields[name] for name in DETAIL_FIELDS if name in fields and name != "sex"}
    values = {name: value[:300] for name, value in values.items()}
    sex = fields.get("sex", "")
    if before is None:
        before = Details(name="")
    given = {name: getattr(before, name) for name in Details.__struct_fields__} | values
    given["sex"] = Sex(sex) if sex in set(Sex) else Sex.UNKNOWN
    return check_details(Details(**given), vietnam_day(services.now))


def unit_of(text: str) -> str:
    """The path of the unit of a code, old codes resolved. Raises ContactError, Refused (422)."""
    code = text.strip()
    if not re.fullmatch(r"vn|\d{2,5}", code):
        raise ContactError(
            "unit", _("Please give the code of the commune, five digits such as 00004.")
        )
    return path_of(code) or resolve(code).path


@dataclass
class PersonChoice:
    """Who is meant: somebody found, or somebody new; `candidates` if the worker must choose."""

    person_id: int | None
    candidates: list[tuple[Candidate, Details]] = field(default_factory=list)


async def chosen_person(
    session: AsyncSession, services: Services, staff: Staff, fields: Typed, unit: str
) -> PersonChoice:
    """The person of a form. `person` in it is an id, "new", or empty: not chosen yet.

    Somebody alike within scope has to be chosen or denied. Who is surely in another unit's
    register already is taken from there, unseen. Raises DetailsError, Refused (404).
    """
    chosen = fields.get("person", "")
    if chosen.isascii() and chosen.isdigit() and len(chosen) < 19:
        return PersonChoice((await register.get(session, staff.scope, int(chosen))).id)
    details = details_of(fields, services)
    opened = Register.open(services.settings.secrets_folder)
    (found,) = await register.candidates(session, opened, [(details, unit)], EVERYWHERE)
    near = [one for one in found if staff.scope.covers(one.unit)]
    far = [one for one in found if not staff.scope.covers(one.unit)]
    if near and chosen != _NEW:
        known = await register.details_unscoped(session, opened, [one.person_id for one in near])
        return PersonChoice(None, [(one, known[one.person_id]) for one in near])
    if far and far[0].likeness.score >= register_rules.SAME:
        return PersonChoice(far[0].person_id)
    person = await register.add(session, opened, details, unit=unit, now=services.now)
    return PersonChoice(person.id)


@dataclass(frozen=True, slots=True)
class Meeting:
    """How two people met, checked."""

    day: str
    minutes: int | None
    nearness: Nearness
    setting: Setting
    relation: Relation
    note: str = field(repr=False)

    def exposure(self, source_id: int, exposed_id: int) -> NewExposure:
        return NewExposure(
            source_id=source_id,
            exposed_id=exposed_id,
            known_by=KnownBy.INTERVIEW,
            day=self.day,
            minutes=self.minutes,
            nearness=self.nearness,
            setting=self.setting,
            relation=self.relation,
            note=self.note,
        )


def meeting_of(fields: Typed, now: int) -> Meeting:
    """The meeting of a form. Raises ContactError."""
    try:
        nearness = Nearness(fields.get("nearness", ""))
    except ValueError:
        raise ContactError("nearness", _("Please say how near they were.")) from None
    try:
        setting = Setting(fields.get("setting", ""))
    except ValueError:
        raise ContactError("setting", _("Please say where they met.")) from None
    relation = fields.get("relation", "")
    return Meeting(
        checked_day(fields.get("day", ""), now),
        checked_minutes(fields.get("minutes", "")),
        nearness,
        setting,
        Relation(relation) if relation in set(Relation) else Relation.UNKNOWN,
        fields.get("note", "").replace("\r\n", "\n").strip(),
    )


def household_rows(fields: Typed) -> list[tuple[int, dict[str, str]]]:
    """The further members of a household that were filled in, with the numbers of their rows."""
    rows = (
        (number, {name: fields.get(f"{name}_{number}", "") for name in _ROW})
        for number in range(1, MORE_ROWS + 1)
    )
    return [(number, one) for number, one in rows if any(map(str.strip, one.values()))]


async def household_members(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    rows: Sequence[tuple[int, Typed]],
    *,
    unit: str,
    address: str,
) -> list[int]:
    """Records of further members of a household; who is surely known already is taken.

    Raises DetailsError.
    """
    opened = Register.open(services.settings.secrets_folder)
    people = []
    for number, one in rows:
        try:
            people.append((details_of({**one, "address": address}, services), unit))
        except DetailsError as error:
            error.field = f"{error.field}_{number}"  # of that row of the form
            raise
    found = await register.candidates(session, opened, people, EVERYWHERE)
    ids: list[int] = []
    for (details, own_unit), alike in zip(people, found, strict=True):
        if alike and alike[0].likeness.score >= register_rules.SAME:
            ids.append(alike[0].person_id)
            continue
        row = await register.add(session, opened, details, unit=own_unit, now=services.now)
        ids.append(row.id)
    return ids


def problem_of(refused: Refused) -> str:
    """The field that a refusal is about, "" for the whole form."""
    return str(getattr(refused, "field", "")) or (
        "unit" if refused.error in ("unit-unknown", "unit-divided") else ""
    )
