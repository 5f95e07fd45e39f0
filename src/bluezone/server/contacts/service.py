"""The verbs of contacts: exposures, ranks, decisions against the rule. None commits."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.contacts.deriving import Change, rederive, rederive_all
from bluezone.server.contacts.ranks import RankRow, ranked_since, ranks_of, rules_in_use
from bluezone.server.contacts.rules import (
    KnownBy,
    Nearness,
    PhoneEvidence,
    Relation,
    Setting,
)
from bluezone.server.contacts.tables import Exposure, RankOverride, Visit
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import Scope
from bluezone.server.register import service as register
from bluezone.server.register.service import Register
from bluezone.web.catalogue import _

__all__ = [
    "Change", "RankRow", "ranked_since", "ranks_of", "rederive", "rederive_all", "rules_in_use",
]  # fmt: skip

MAX_NOTE: Final = 500
# What is longer ago than this explains no illness of today; mostly it is a wrong year.
OLDEST_DAYS: Final = 90
_AT_ONCE: Final = 500  # values of one statement
NOTE: Final = b"exposure-note"
REMOVED: Final = b"exposure-removed"


class ContactError(Refused):
    """A field is not usable; `field` says which."""

    def __init__(self, field: str, message: str, **values: Any) -> None:
        super().__init__(422, f"contact-{field}", message, **values)
        self.field = field


# --- exposures -------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class NewExposure:
    """An exposure as somebody says it was; days are ISO days of the Vietnamese calendar."""

    source_id: int | None
    exposed_id: int
    known_by: KnownBy
    day: str
    nearness: Nearness
    setting: Setting
    minutes: int | None = None
    relation: Relation = Relation.UNKNOWN
    start_at: int | None = None
    place_id: int | None = None
    note: str = field(default="", repr=False)
    evidence: PhoneEvidence | None = None
    handover: bytes | None = None


def checked_day(text: str, now: int) -> str:
    """The ISO day of a form. Raises ContactError."""
    today = vietnam_day(now)
    try:
        day = dt.date.fromisoformat(text.strip())
    except ValueError:
        raise ContactError("day", _("Please give the day of the meeting.")) from None
    if day > today:
        raise ContactError("day", _("This day is in the future."))
    if day < today - dt.timedelta(days=OLDEST_DAYS):
        raise ContactError(
            "day",
            _("This day is more than {days} days ago. Please check the year."),
            days=OLDEST_DAYS,
        )
    return day.isoformat()


def checked_minutes(text: str) -> int | None:
    """Minutes of a form, None if it is empty. Raises ContactError."""
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 5 and int(text) <= 1440):
        raise ContactError("minutes", _("Minutes are a number from 0 to 1440."))
    return int(text)


async def add_exposures(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    given: Sequence[NewExposure],
    *,
    audited: bool = False,
) -> list[Exposure]:
    """Add exposures and derive the ranks behind them; one that is there already stays as it is.

    `audited`: the caller writes one entry for all of them, as for a whole list.
    Raises ContactError (422): somebody would be a contact of themselves.
    """
    now = services.now
    for one in given:
        if one.source_id == one.exposed_id:
            raise ContactError(
                "person", _("This is the same person: nobody is a contact of themselves.")
            )
        if len(one.note) > MAX_NOTE or "\0" in one.note:
            raise ContactError(
                "note",
                _("A note may have {characters} characters at most."),
                characters=MAX_NOTE,
            )
    known = await _known(session, given)
    rows: list[Exposure] = []
    added: dict[Exposure, str] = {}
    for one in given:
        key = _key(_columns(one))
        if key not in known:
            row = Exposure(**_columns(one), created_at=now, account_id=staff.account_id,
                           account_name=staff.name, revision=0)  # fmt: skip
            session.add(row)
            known[key], added[row] = row, one.note
        rows.append(known[key])
    await session.flush()
    for row, note in added.items():
        if note:
            row.note = sealed(services, note, NOTE, row.id)
    await rederive(session, {row.exposed_id for row in added}, now)
    about = [row.exposed_id if row.source_id is None else row.source_id for row in added]
    for person, number in [] if audited else sorted(Counter(about).items()):
        await audit.record(
            session, services, staff, Action.ADD, subject=f"person:{person}",
            purpose=Purpose.TRACING, detail=f"exposures={number}",
        )  # fmt: skip
    return rows


_COMPARED: Final = (
    *("source_id", "exposed_id", "known_by", "day", "start_at", "place_id", "handover"),
    *("setting", "minutes", "nearness"),
)


def _key(columns: Mapping[str, Any]) -> tuple[Any, ...]:
    """A form sent twice, or a colleague's entry, is no second meeting."""
    return tuple(columns.get(name) for name in _COMPARED)


async def _known(
    session: AsyncSession, given: Sequence[NewExposure]
) -> dict[tuple[Any, ...], Exposure]:
    """What is known already of the meetings of these people, by `_key`."""
    exposed = sorted({one.exposed_id for one in given})
    found: dict[tuple[Any, ...], Exposure] = {}
    for start in range(0, len(exposed), _AT_ONCE):
        rows = await session.scalars(
            select(Exposure).where(
                Exposure.exposed_id.in_(exposed[start : start + _AT_ONCE]),
                Exposure.removed_at.is_(None),
            )
        )
        for row in rows:
            found.setdefault(_key({name: getattr(row, name) for name in _COMPARED}), row)
    return found


def _columns(one: NewExposure) -> dict[str, Any]:
    evidence = one.evidence
    return {
        "source_id": one.source_id,
        "exposed_id": one.exposed_id,
        "known_by": one.known_by.value,
        "day": one.day,
        "start_at": one.start_at,
        "minutes": one.minutes,
        "nearness": one.nearness.value,
        "setting": one.setting.value,
        "relation": one.relation.value,
        "place_id": one.place_id,
        "confirmation": evidence.verdict.value if evidence else None,
        "band": ",".join(evidence.band) if evidence else "",
        "certainty": evidence.certainty if evidence else "",
        "flags": ",".join(evidence.flags) if evidence else "",
        "handover": one.handover,
    }


async def add_phone_evidence(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    *,
    exposed_id: int,
    handover: bytes,
    evidence: Sequence[tuple[int | None, PhoneEvidence]],
) -> list[Exposure]:
    """What phones say about one person, from a hand-over: (source, if known; a meeting) each.

    Said again for a day (now checked against a diary, now with a known source), it takes the place
    of what was said before. Raises ContactError.
    """
    if any(source == exposed_id for source, _one in evidence):
        raise ContactError(
            "person", _("This is the same person: nobody is a contact of themselves.")
        )
    rows = await session.scalars(
        select(Exposure)
        .where(
            Exposure.handover == handover,
            Exposure.exposed_id == exposed_id,
            Exposure.removed_at.is_(None),
        )
        .order_by(Exposure.id)
    )
    before = list(rows)
    given = [_of_phone(exposed_id, source, handover, one) for source, one in evidence]
    kept: list[Exposure] = []
    # First what was said of the same source, then what was said of the same day.
    for compared in (("day", "source_id"), ("day",)):
        for one in list(given):
            columns = _columns(one)
            row = next(
                (
                    row
                    for row in before
                    if all(getattr(row, name) == columns[name] for name in compared)
                ),
                None,
            )
            if row is not None:
                for name, value in columns.items():
                    setattr(row, name, value)
                row.revision += 1
                before.remove(row)
                given.remove(one)
                kept.append(row)
    await session.flush()
    added = await add_exposures(session, services, staff, given)
    await rederive(session, [exposed_id], services.now)
    return [*kept, *added]


def _of_phone(
    exposed_id: int, source_id: int | None, handover: bytes, one: PhoneEvidence
) -> NewExposure:
    return NewExposure(
        source_id=source_id,
        exposed_id=exposed_id,
        known_by=KnownBy.PHONE,
        day=one.day,
        nearness=one.nearness,
        minutes=one.minutes,
        setting=Setting.OTHER,
        evidence=one,
        handover=handover,
    )


async def remove_exposures_of(
    session: AsyncSession, services: Services, handover: bytes, *, by: str, reason: str
) -> None:
    """Take back what a hand-over said: it was cleared, or the person has withdrawn it."""
    rows = await session.scalars(
        update(Exposure)
        .where(Exposure.handover == handover, Exposure.removed_at.is_(None))
        .values(removed_at=services.now, removed_by=by, revision=Exposure.revision + 1)
        .returning(Exposure)
    )
    found = list(rows)
    for row in found:
        row.removed_why = sealed(services, reason, REMOVED, row.id)
    await session.flush()
    await rederive(session, {row.exposed_id for row in found}, services.now)


async def exposure_within(session: AsyncSession, scope: Scope, exposure_id: int) -> Exposure:
    """An exposure whose source or exposed person is within scope. Raises Refused (404)."""
    row = await session.get(Exposure, exposure_id)
    if row is not None:
        ends = [one for one in (row.source_id, row.exposed_id) if one is not None]
        units = await register.unmerged_units_of(session, ends)
        if any(scope.covers(unit) for unit in units.values()):
            return row
    raise Refused(404, "exposure-unknown", _("There is no such contact in your units."))


async def remove_exposure(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    exposure_id: int,
    *,
    reason: str,
    seen: int,
) -> Exposure:
    """Take an exposure back; it stays in the history, and can be restored.

    Raises Refused: 404 beyond scope, 409 changed since, 422 without a reason.
    """
    row = await exposure_within(session, staff.scope, exposure_id)
    why = sealed(services, checked_reason(reason), REMOVED, row.id)
    await _change_exposure(
        session, services, staff, row, seen, removed_at=services.now, removed_by=staff.name,
        removed_why=why,
    )  # fmt: skip
    return row


async def restore_exposure(
    session: AsyncSession, services: Services, staff: Staff, exposure_id: int, *, seen: int
) -> Exposure:
    """Undo a removal. Raises Refused: 404, 409."""
    row = await exposure_within(session, staff.scope, exposure_id)
    await _change_exposure(
        session, services, staff, row, seen, removed_at=None, removed_by=None, removed_why=None
    )
    return row


async def _change_exposure(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    row: Exposure,
    seen: int,
    **values: object,
) -> None:
    changed = await session.scalar(
        update(Exposure)
        .where(Exposure.id == row.id, Exposure.revision == seen)
        .values(revision=Exposure.revision + 1, **values)
        .returning(Exposure.id)
    )
    if changed is None:
        raise Refused(
            409,
            "exposure-changed",
            _("Somebody else has changed this contact since you opened it. Please look again."),
        )
    await session.refresh(row)
    await rederive(session, [row.exposed_id], services.now)
    action = Action.UNDO if row.removed_at is None else Action.DELETE
    await audit.record(
        session, services, staff, action, subject=f"person:{row.exposed_id}",
        purpose=Purpose.TRACING, detail=f"exposure={row.id}",
    )  # fmt: skip


# --- merged records --------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Moved:
    """What a merge took from one record to another, by ids: enough to take it back."""

    as_source: tuple[int, ...]
    as_exposed: tuple[int, ...]
    visits: tuple[int, ...]
    overrides: tuple[int, ...]


async def move_person(session: AsyncSession, merged: int, kept: int, now: int) -> Moved:
    """Give everything of one record to another: the two were one person."""
    moved = Moved(
        await _move(session, Exposure.source_id, merged, kept),
        await _move(session, Exposure.exposed_id, merged, kept),
        await _move(session, Visit.person_id, merged, kept),
        await _move(session, RankOverride.person_id, merged, kept),
    )
    await _moved(session, moved, {merged, kept}, now)
    return moved


async def move_back(session: AsyncSession, moved: Moved, merged: int, kept: int, now: int) -> None:
    """Undo `move_person`: what came to the kept record since then stays there."""
    for column, ids in (
        (Exposure.source_id, moved.as_source),
        (Exposure.exposed_id, moved.as_exposed),
        (Visit.person_id, moved.visits),
        (RankOverride.person_id, moved.overrides),
    ):
        for start in range(0, len(ids), _AT_ONCE):
            table = column.class_
            await session.execute(
                update(table)
                .where(table.id.in_(ids[start : start + _AT_ONCE]), column == kept)
                .values({column.key: merged})
            )
    await _moved(session, moved, {merged, kept}, now)


async def _move(
    session: AsyncSession, column: InstrumentedAttribute[Any], merged: int, kept: int
) -> tuple[int, ...]:
    table = column.class_
    rows = await session.scalars(
        update(table).where(column == merged).values({column.key: kept}).returning(table.id)
    )
    return tuple(rows)


async def _moved(session: AsyncSession, moved: Moved, people: set[int], now: int) -> None:
    exposed = set(people)
    for start in range(0, len(moved.as_source), _AT_ONCE):
        exposed.update(
            await session.scalars(
                select(Exposure.exposed_id).where(
                    Exposure.id.in_(moved.as_source[start : start + _AT_ONCE])
                )
            )
        )
    await rederive(session, exposed, now)


# --- sealing ---------------------------------------------------------------------------
def sealed(services: Services, text: str, tag: bytes, row_id: int) -> bytes:
    """A note of a row; each tag and row is a place of its own."""
    sealer = Register.open(services.settings.secrets_folder).sealer
    return sealer.seal(text.encode(), tag, str(row_id).encode())


def opened(services: Services, content: bytes | None, tag: bytes, row_id: int) -> str:
    """What `sealed` sealed; empty for nothing."""
    if content is None:
        return ""
    sealer = Register.open(services.settings.secrets_folder).sealer
    return sealer.open(content, tag, str(row_id).encode()).decode()


def checked_reason(text: str) -> str:
    """Raises ContactError."""
    text = text.strip()
    if not text or len(text) > MAX_NOTE or "\0" in text:
        raise ContactError(
            "reason",
            _("Please give a reason, of {characters} characters at most."),
            characters=MAX_NOTE,
        )
    return text
