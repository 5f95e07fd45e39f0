"""The verbs of the search: by person, by place and time, by case; saved searches. None commits."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import VIETNAM
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Purpose
from bluezone.server.cases import queries as cases
from bluezone.server.cases.queries import CaseRow
from bluezone.server.contacts import queries as contacts
from bluezone.server.contacts.queries import VisitRow
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.linelists.rules import By, Search
from bluezone.server.linelists.tables import SavedSearch
from bluezone.server.people.rules import Staff
from bluezone.server.register import queries as register
from bluezone.server.register import service as book
from bluezone.server.register.rules import Details, plain
from bluezone.server.register.service import Register
from bluezone.server.sealing import Sealer
from bluezone.web.catalogue import _

FOUND_AT_MOST: Final = book.FOUND_AT_MOST
SAVED_DAYS: Final = 90
SAVED_AT_MOST: Final = 50
MAX_NAME: Final = 60
_PLACE: Final = b"saved-search"
_DECODER: Final = msgspec.msgpack.Decoder(Search)


@dataclass(frozen=True, slots=True)
class Found:
    """A person found; `case` is their latest, `visit` why they were found by a place."""

    person_id: int
    unit: str
    details: Details
    case: CaseRow | None
    visit: VisitRow | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """What a search found; `is_cut`: perhaps there is more."""

    found: Sequence[Found]
    is_cut: bool


async def search(
    session: AsyncSession, services: Services, staff: Staff, asked: Search, purpose: Purpose
) -> Results:
    """People within the staff member's scope; written to the audit. Raises Refused (422)."""
    register_keys = Register.open(services.settings.secrets_folder)
    visits: dict[int, VisitRow] = {}
    if asked.by is By.PERSON:
        people = await book.find(session, register_keys, staff.scope, asked.text)
        ids = [person.id for person in people]
        at_most = FOUND_AT_MOST
    elif asked.by is By.CASE:
        reference = _reference(asked.text)
        case = await cases.case_referred_to(session, staff.scope, reference)
        ids, at_most = ([case.person_id] if case else []), FOUND_AT_MOST
    else:
        since, until = _times(asked)
        name = plain(asked.text)
        if not name:
            raise Refused(422, "search-text", _("Please type the name of a place, or part of it."))
        at_most = 4 * FOUND_AT_MOST
        rows = await contacts.visits_overlapping(session, staff.scope, name, since, until, at_most)
        for row in rows:
            visits.setdefault(row.person_id, row)
        ids = list(visits)
    details = await register.details_of(session, staff.scope, register_keys, ids)
    units = await register.units_of(session, details)
    ill = await cases.cases_of(session, staff.scope, details)
    found = [
        Found(one, units[one], details[one], ill.get(one), visits.get(one))
        for one in ids
        if one in details
    ]
    await audit.record_search(
        session,
        services,
        staff,
        purpose,
        by=asked.by.value,
        found=len(found),
        subject=f"person:{found[0].person_id}" if len(found) == 1 else "",
    )
    return Results(found, len(ids) >= at_most)


def _reference(text: str) -> str:
    letters = "".join(one for one in text.upper() if one.isalnum())
    return f"{letters[:4]}-{letters[4:]}" if len(letters) == 8 else text.strip().upper()


def _times(asked: Search) -> tuple[int, int]:
    try:
        since = dt.datetime.fromisoformat(asked.since).replace(tzinfo=VIETNAM)
        until = dt.datetime.fromisoformat(asked.until).replace(tzinfo=VIETNAM)
    except ValueError:
        raise Refused(422, "search-time", _("Please give both times, with day and hour.")) from None
    if until <= since:
        raise Refused(422, "search-time", _("The second time must be after the first."))
    return int(since.timestamp()), int(until.timestamp())


# --- saved -----------------------------------------------------------------------------
async def save(
    session: AsyncSession, services: Services, staff: Staff, name: str, asked: Search
) -> None:
    """Keep a search under a name of its account's own. Raises Refused (422, 409)."""
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise Refused(422, "search-name", _("Please give the search a name of at most 60 letters."))
    mine = SavedSearch.account_id == staff.account_id
    if await session.scalar(select(SavedSearch.id).where(mine, SavedSearch.name == name)):
        raise Refused(409, "search-name", _("You have a search of this name. Choose another name."))
    count = await session.scalar(select(func.count()).select_from(SavedSearch).where(mine)) or 0
    if count >= SAVED_AT_MOST:
        raise Refused(409, "search-count", _("You have many saved searches. Delete some first."))
    session.add(
        SavedSearch(
            account_id=staff.account_id,
            name=name,
            asked=_sealer(services.settings.secrets_folder).seal(
                msgspec.msgpack.encode(asked), _PLACE, _account(staff)
            ),
            created_at=services.now,
        )
    )


async def saved(session: AsyncSession, staff: Staff) -> list[tuple[int, str]]:
    """(id, name) of one's own searches, by name."""
    rows = await session.execute(
        select(SavedSearch.id, SavedSearch.name)
        .where(SavedSearch.account_id == staff.account_id)
        .order_by(SavedSearch.name)
    )
    return [(row[0], row[1]) for row in rows]


async def opened(session: AsyncSession, services: Services, staff: Staff, search_id: int) -> Search:
    """One's own saved search. Raises Refused (404)."""
    row = await session.get(SavedSearch, search_id)
    if row is None or row.account_id != staff.account_id:
        raise Refused(404, "search-unknown", _("There is no such saved search of yours."))
    sealer = _sealer(services.settings.secrets_folder)
    return _DECODER.decode(sealer.open(row.asked, _PLACE, _account(staff)))


async def forget(session: AsyncSession, staff: Staff, search_id: int) -> None:
    """Delete one's own saved search, if it is there."""
    await session.execute(
        delete(SavedSearch).where(
            SavedSearch.id == search_id, SavedSearch.account_id == staff.account_id
        )
    )


async def forget_old(session: AsyncSession, now: int) -> None:
    """Retention: what was typed may be a name, and must not outlive the records of its person."""
    oldest = now - SAVED_DAYS * 24 * 3600
    await session.execute(delete(SavedSearch).where(SavedSearch.created_at <= oldest))


def _account(staff: Staff) -> bytes:
    return str(staff.account_id).encode()


def _sealer(secrets_folder: Path) -> Sealer:
    return Sealer(secrets_folder, "searches")
