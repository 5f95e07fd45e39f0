"""The lines of a list, a page at a time: each page is read on its own, so memory stays bounded and
no transaction waits for a slow download. A record that changes meanwhile is as it was when its
page was read; none comes twice and none that was there all the time is left out."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_time
from bluezone.server.cases import queries as cases
from bluezone.server.cases.queries import ResultRow
from bluezone.server.contacts import queries as contacts
from bluezone.server.contacts import service as contact_ranks
from bluezone.server.contacts.service import RankRow
from bluezone.server.context import Services
from bluezone.server.linelists.rules import Column, List
from bluezone.server.people.scope import Scope
from bluezone.server.places.units import full_name
from bluezone.server.register import queries as register
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Register
from bluezone.server.selection import Selection
from bluezone.server.spreadsheets import Cell
from bluezone.server.work import queries as work

PAGE: Final = 2000
_CALLS: Final = ("call", "visit")
_SPOKEN_TO: Final = ("reached", "symptoms", "met")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what is not personal by column, whom it is about, and their details if asked.

    `case_id`: of a line of cases.
    """

    cells: Mapping[str, Cell]
    person_id: int
    details: Details | None = None
    case_id: int | None = None


@dataclass(frozen=True, slots=True)
class _Page:
    lines: list[Line]
    last: int  # the id that the next page begins after
    is_full: bool


async def lines(
    services: Services, kind: List, selection: Selection, *, with_details: bool
) -> AsyncIterator[list[Line]]:
    """Pages of lines within the selection. `with_details`: what `Register` has of each person."""
    read = {
        List.CASES: _cases,
        List.CONTACTS: _contacts,
        List.EXPOSURES: _exposures,
        List.RESULTS: _results,
        List.TASKS: _tasks,
    }[kind]
    book = Register.open(services.settings.secrets_folder) if with_details else None
    after = 0
    while True:
        async with services.database.read() as session:
            page = await read(session, selection, after)
            found = page.lines
            if book is not None:
                details = await register.details_of(
                    session, selection.scope, book, (line.person_id for line in found)
                )
                found = [
                    Line(line.cells, line.person_id, details.get(line.person_id), line.case_id)
                    for line in found
                ]
        if found:
            yield found
        if not page.is_full:
            return
        after = page.last


def cells_of(line: Line, columns: Iterable[Column]) -> list[Cell]:
    """The cells of a line in the order of the columns."""
    details = line.details
    return [
        (str(getattr(details, column.key)) if details is not None else None)
        if column.is_personal
        else line.cells[column.key]
        for column in columns
    ]


async def _cases(session: AsyncSession, selection: Selection, after: int) -> _Page:
    rows = await cases.cases_after(
        session, selection.scope, selection.first, selection.last, after=after, at_most=PAGE
    )
    found = [
        Line(
            {
                "reference": row.reference,
                "person": row.person_id,
                "status": row.status,
                "onset": row.onset,
                "has_symptoms": row.has_symptoms,
                "reported_on": row.reported_on,
                "sampled_on": row.sampled_on,
                "confirmed_at": _time(row.confirmed_at),
                "code_issued_at": _time(row.code_issued_at),
                "infectious_from": row.infectious_from,
                "infectious_until": row.infectious_until,
                "outcome": row.outcome,
                "outcome_on": row.outcome_on,
                "known_through": row.source,
                **_unit(row.unit),
            },
            row.person_id,
            case_id=row.id,
        )
        for row in rows
    ]
    return _Page(found, rows[-1].id if rows else after, len(rows) == PAGE)


async def _contacts(session: AsyncSession, selection: Selection, after: int) -> _Page:
    scope = selection.scope
    rows = await contacts.contacts_after(
        session, scope, selection.first, selection.last, after=after, at_most=PAGE
    )
    people = [row.person_id for row in rows]
    units = await register.units_of(session, people)
    ranks = await contact_ranks.ranks_of(session, people)
    known = {row.person_id: row.known_at for row in rows}
    spoken_to = await work.closed_since(session, scope, known, _CALLS, _SPOKEN_TO)
    sampled = await cases.sampled_since(session, scope, people, selection.first)
    found = [
        Line(
            {
                "person": row.person_id,
                "rank": _rank(ranks.get(row.person_id)),
                "first_day": row.first_day,
                "last_day": row.last_day,
                "exposures": row.exposures,
                "known_at": _time(row.known_at),
                "spoken_to_at": _time(next(iter(spoken_to.get(row.person_id, ())), None)),
                "sampled_on": sampled.get(row.person_id),
                **_unit(units[row.person_id]),
            },
            row.person_id,
        )
        for row in rows
    ]
    return _Page(found, rows[-1].person_id if rows else after, len(rows) == PAGE)


async def _exposures(session: AsyncSession, selection: Selection, after: int) -> _Page:
    scope = selection.scope
    rows = await contacts.exposures_after(
        session, scope, selection.first, selection.last, after=after, at_most=PAGE
    )
    people = {row.exposed_id for row in rows} | {
        row.source_id for row in rows if row.source_id is not None
    }
    units = await register.units_of(session, people)
    names = await references(session, scope, people)

    def called(person: int | None) -> str | None:
        if person is None:
            return None
        if not scope.covers(units[person]):
            return "?"
        return names.get(person, f"#{person}")

    found = [
        Line(
            {
                "exposure": row.id,
                "day": row.day,
                "source": called(row.source_id),
                "exposed": called(row.exposed_id),
                "setting": row.setting,
                # A place that only the other unit's people named is theirs.
                "place": row.place,
                "minutes": row.minutes,
                "nearness": row.nearness,
                "known_by": row.known_by,
                "confirmation": row.confirmation,
                "known_at": _time(row.created_at),
                **(
                    _unit(units[row.exposed_id])
                    if scope.covers(units[row.exposed_id])
                    else {"unit": None, "unit_name": None}
                ),
            },
            row.exposed_id,
        )
        for row in rows
    ]
    return _Page(found, rows[-1].id if rows else after, len(rows) == PAGE)


async def references(session: AsyncSession, scope: Scope, people: Iterable[int]) -> dict[int, str]:
    """The reference of the case of each of these people who has one within scope."""
    found = await cases.cases_of(session, scope, people)
    return {person: case.reference for person, case in found.items()}


async def _results(session: AsyncSession, selection: Selection, after: int) -> _Page:
    rows = await cases.results_after(
        session, selection.scope, selection.first, selection.last, after=after, at_most=PAGE
    )
    found = [result_line(row) for row in rows]
    return _Page(found, rows[-1].id if rows else after, len(rows) == PAGE)


def result_line(row: ResultRow) -> Line:
    """The line of one laboratory result."""
    return Line(
        {
            "sample": row.sample,
            "laboratory": row.laboratory,
            "person": row.person_id,
            "reference": row.reference,
            "sampled_on": row.sampled_on,
            "method": row.method,
            "result": row.result,
            "reported_at": _time(row.reported_at),
            **_unit(row.unit),
        },
        row.person_id,
    )


async def _tasks(session: AsyncSession, selection: Selection, after: int) -> _Page:
    since, until = selection.times
    rows = await work.tasks_after(session, selection.scope, since, until, after=after, at_most=PAGE)
    found = [
        Line(
            {
                "task": row.id,
                "kind": row.kind,
                "person": row.person_id,
                "state": row.state,
                "due_at": _time(row.due_at),
                "assignee": row.assignee,
                "created_at": _time(row.created_at),
                "closed_at": _time(row.closed_at),
                "outcome": row.outcome,
                **_unit(row.unit),
            },
            row.person_id,
        )
        for row in rows
    ]
    return _Page(found, rows[-1].id if rows else after, len(rows) == PAGE)


def _rank(row: RankRow | None) -> str | None:
    return None if row is None or row.rank is None else f"F{row.rank}"


def _unit(path: str) -> dict[str, Cell]:
    return {"unit": path.rpartition(".")[2], "unit_name": _full_name(path)}


_NAMES: Final[dict[str, str]] = {}  # of units: a few thousand, the same for as long as we run


def _full_name(path: str) -> str:
    if path not in _NAMES:
        _NAMES[path] = full_name(path)
    return _NAMES[path]


def _time(at: int | None) -> str | None:
    return vietnam_time(at).isoformat(" ")[:16] if at is not None else None


def name_parts(name: str) -> tuple[str, str, str]:
    """Family, middle and given name of a Vietnamese name; one word alone is the given name."""
    words: Sequence[str] = name.split()
    if len(words) < 2:
        return "", "", name
    return words[0], " ".join(words[1:-1]), words[-1]
