"""Writing a list in the form asked for, as a stream of bytes."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from bluezone.protocol.intervals import vietnam_time
from bluezone.server.cases import queries as cases
from bluezone.server.contacts import queries as contacts
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.linelists import fhir, rules, shapes
from bluezone.server.linelists.lines import Line, cells_of, lines, references, result_line
from bluezone.server.linelists.rules import Form, List, Plan
from bluezone.server.linelists.shapes import Shape
from bluezone.server.linelists.words import word
from bluezone.server.register import queries as register
from bluezone.server.selection import Selection
from bluezone.server.spreadsheets import MOST_ROWS, Cell, csv_bytes, csv_line, xlsx_bytes
from bluezone.web.catalogue import translate

_SHAPES = {
    (Form.SORMAS, List.CASES): shapes.SORMAS_CASES,
    (Form.SORMAS, List.CONTACTS): shapes.SORMAS_CONTACTS,
    (Form.GO_DATA, List.CASES): shapes.GO_DATA_CASES,
    (Form.GO_DATA, List.CONTACTS): shapes.GO_DATA_CONTACTS,
}


@dataclass(frozen=True, slots=True)
class Meeting:
    """A contact with one source: its reference (None: not to be named), first and last day."""

    source_id: int | None
    source: str | None
    first: str
    last: str


def content(
    services: Services, plan: Plan, selection: Selection, language: str | None
) -> AsyncIterator[bytes]:
    """The list in bytes. `language`: of heads and words for people; None: keys, for programs."""
    if plan.form is Form.FHIR:
        made_at = vietnam_time(services.now).isoformat()
        return fhir.bundle(_resources(services, plan, selection), made_at)
    shape = _SHAPES.get((plan.form, plan.list))
    if shape is not None:
        return _shaped(services, plan, selection, shape)
    heads = [
        translate(column.head, language) if language else column.key for column in plan.columns
    ]
    pages = _cells(services, plan, selection, language)
    if plan.form is Form.XLSX:
        name = rules.LIST_WORDS[plan.list]
        return xlsx_bytes(translate(name, language) if language else name, heads, pages)
    return csv_bytes(heads, pages, mark=plan.form is Form.EXCEL_CSV)


async def check_size(services: Services, plan: Plan, selection: Selection) -> None:
    """Refuse (422) a list that a sheet cannot hold, before its first byte is out."""
    if plan.form is not Form.XLSX:
        return
    count = 0
    async for page in lines(services, plan.list, selection, with_details=False):
        count += len(page)
        if count >= MOST_ROWS:
            raise Refused(422, "export-size", rules.TOO_LONG, rows=MOST_ROWS - 1)


async def _cells(
    services: Services, plan: Plan, selection: Selection, language: str | None
) -> AsyncIterator[Sequence[Sequence[Cell]]]:
    async for page in lines(services, plan.list, selection, with_details=plan.is_personal):
        rows = [cells_of(line, plan.columns) for line in page]
        if language:
            for row in rows:
                row[:] = [word(cell, language) if isinstance(cell, str) else cell for cell in row]
        yield rows


async def _shaped(
    services: Services, plan: Plan, selection: Selection, shape: Shape
) -> AsyncIterator[bytes]:
    yield "".join(csv_line(head) for head in shape.heads).encode()
    async for page in lines(services, plan.list, selection, with_details=plan.is_personal):
        rows: list[list[Cell]] = []
        if plan.list is List.CONTACTS:
            met = await _meetings(services, selection, page)
            for line in page:
                for one in met.get(line.person_id) or [Meeting(None, None, "", "")]:
                    rows.append(shape.row(line, one.source, one.last or None))
        else:
            rows = [shape.row(line, None, None) for line in page]
        yield "".join(map(csv_line, rows)).encode()


async def _meetings(
    services: Services, selection: Selection, page: Sequence[Line]
) -> dict[int, list[Meeting]]:
    """Whom the people of a page met; sources that are not within scope have no reference."""
    async with services.database.read() as session:
        rows = await contacts.meetings_of(
            session,
            selection.scope,
            (line.person_id for line in page),
            selection.first,
            selection.last,
        )
        sources = {source for _exposed, source, _first, _last in rows}
        units = await register.units_of(session, sources)
        names = await references(session, selection.scope, sources)
    found: dict[int, list[Meeting]] = {}
    for exposed, source, first, last in rows:
        if selection.scope.covers(units[source]):
            one = Meeting(source, names.get(source, f"#{source}"), first, last)
        else:
            one = Meeting(None, None, first, last)
        found.setdefault(exposed, []).append(one)
    return found


async def _resources(
    services: Services, plan: Plan, selection: Selection
) -> AsyncIterator[Iterable[dict[str, Any]]]:
    """Resources page by page, each page made while it is read; each Patient of a bundle once."""
    given: set[int] = set()
    members: list[int] = []

    def patients(page: Sequence[Line]) -> Iterator[dict[str, Any]]:
        for line in page:
            if line.person_id not in given:
                given.add(line.person_id)
                yield fhir.patient(line)

    def contacts_of(
        page: Sequence[Line], met: Mapping[int, Sequence[Meeting]]
    ) -> Iterator[dict[str, Any]]:
        for line in page:
            members.append(line.person_id)
            known = {
                one.source_id: one
                for one in met.get(line.person_id, ())
                if one.source_id is not None
            }
            yield fhir.linked(fhir.patient(line), known, line.person_id)
            for source, one in known.items():
                yield fhir.related_person(line, source, one.first, one.last)

    async for page in lines(services, plan.list, selection, with_details=plan.is_personal):
        if plan.list is List.CASES:
            yield chain(patients(page), map(fhir.condition, page))
            yield map(fhir.observation, await _results(services, selection, page))
        elif plan.list is List.RESULTS:
            yield chain(patients(page), map(fhir.observation, page))
        else:
            yield contacts_of(page, await _meetings(services, selection, page))
    if plan.list is List.CONTACTS:
        yield [fhir.group(members, f"contacts {selection.first} {selection.last}")]


async def _results(services: Services, selection: Selection, page: Sequence[Line]) -> list[Line]:
    async with services.database.read() as session:
        rows = await cases.results_of_cases(
            session, selection.scope, (one.case_id for one in page if one.case_id is not None)
        )
    return [result_line(row) for row in rows]
