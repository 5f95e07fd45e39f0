"""Line lists on both stores: what is in them, in every form, and who gets nothing."""

import csv
import io
import itertools
import json
import uuid
import zipfile
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
import openpyxl
import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from bluezone.server.audit.tables import AuditEntry
from bluezone.server.cases.tables import Case
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.linelists import fhir
from bluezone.server.linelists.rules import COLUMNS, FIXED, Form, List, Wanted, plan
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Register
from bluezone.server.register.tables import Person
from bluezone.server.spreadsheets import csv_line, harmless
from tests.server.conftest import BA_DINH, AddStaff, SignInAs
from tests.server.situation.conftest import Reader
from tests.server.situation.outbreak import Outbreak

Ask = Callable[..., Awaitable[httpx.Response]]
PERIOD = {"since": "2020-11-01", "until": "2021-01-20"}
REASON = "danh sách đi thăm nhà"
LISTS = list(List)


@pytest.fixture
def ask(client: httpx.AsyncClient, add_staff: AddStaff, bearer: SignInAs) -> Ask:
    """Ask for a list as a program of a unit; each unit has its account."""
    known: set[str] = set()

    async def post(of: str, status: int = 200, **wanted: Any) -> httpx.Response:
        name = "u" + of.replace(".", "")
        if name not in known:
            await add_staff(name, unit=of)
            known.add(name)
        answer = await client.post(
            "/v1/staff/exports", json=PERIOD | wanted, headers=await bearer(name)
        )
        assert answer.status_code == status, answer.text[:400]
        return answer

    return post


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


async def test_a_list_has_everybody_of_the_scope_and_a_neighbour_gets_an_empty_one(
    services: Services, outbreak: Outbreak, ask: Ask
) -> None:
    for kind in LISTS:
        await check_list(outbreak, ask, kind)
    async with services.database.read() as session:
        entries = list(await session.scalars(select(AuditEntry.detail)))
    for kind in LISTS:
        assert any(kind.value in detail for detail in entries)


async def check_list(outbreak: Outbreak, ask: Ask, kind: List) -> None:
    everything = rows(await ask("vn", list=kind))
    mine = rows(await ask(BA_DINH, list=kind))
    assert 0 < len(mine) < len(everything)
    if kind is not List.EXPOSURES:  # there the other side may be elsewhere, and has no unit
        assert {row["unit"] for row in mine} == {"00004"}
    if kind is List.CASES:
        assert len(everything) == len(outbreak.cases)
    if kind is List.RESULTS:  # of a corrected one the correction alone
        assert len({row["sample"] for row in everything}) == len(everything)
        assert not any(row["result"] == "inconclusive" for row in everything)
    for form in Form:
        if form not in FIXED or kind in FIXED[form]:
            nothing = await ask("vn.79", list=kind, form=form)
            assert not any(one in nothing.text for one in outbreak.reference_of.values())
            if form is Form.CSV:
                assert rows(nothing) == []
            if form is Form.FHIR:
                kinds = {one["resource"]["resourceType"] for one in nothing.json()["entry"]}
                assert kinds <= {"Group"}
    await ask("vn.79", 404, list=kind, unit="00004")


async def test_personal_columns_need_a_reason_and_are_written_down(
    services: Services, outbreak: Outbreak, ask: Ask
) -> None:
    refused = await ask(BA_DINH, 422, list="cases", columns=["reference", "name"])
    assert refused.json()["error"] == "export-reason"
    found = rows(
        await ask(BA_DINH, list="cases", columns=["name", "phone", "person"], reason=REASON)
    )
    assert list(found[0]) == ["person", "name", "phone"]  # in the list's own order
    for row in found:
        assert row["name"] == outbreak.name_of[int(row["person"])]
    async with services.database.read() as session:
        entry = (await session.scalars(select(AuditEntry))).one()
    assert entry.action == "export"
    assert f"personal: name,phone; reason: {REASON}" in entry.detail
    assert outbreak.name_of[outbreak.cases[0]] not in entry.detail


async def test_somebody_of_another_unit_is_not_named_in_an_exposure(
    outbreak: Outbreak, ask: Ask
) -> None:
    columns = ["source", "exposed", "unit", "name"]
    found = rows(await ask(BA_DINH, list="exposures", columns=columns, reason=REASON))
    elsewhere = [row for row in found if row["exposed"] == "?"]
    assert elsewhere
    assert all(row["name"] == row["unit"] == "" for row in elsewhere)
    others = {outbreak.reference_of[one] for one in outbreak.reference_of
              if outbreak.unit_of[one] != BA_DINH}  # fmt: skip
    assert not others & {row["source"] for row in found} | others & {
        row["exposed"] for row in found
    }


async def test_a_formula_in_a_name_runs_nowhere(
    services: Services, outbreak: Outbreak, ask: Ask
) -> None:
    evil = '=HYPERLINK("http://x","<b>&")'
    person = next(one for one in outbreak.cases if outbreak.unit_of[one] == BA_DINH)
    register = Register.open(services.settings.secrets_folder)
    async with services.database.transaction() as session:
        sealed = register.sealed(person, Details(name=evil, phone="+84901234567"))
        await session.execute(update(Person).where(Person.id == person).values(sealed=sealed))
    wanted = {"list": "cases", "columns": ["name", "phone"], "reason": REASON}
    found = rows(await ask(BA_DINH, **wanted))
    assert {"name": f"'{evil}", "phone": "+84901234567"} in found
    book = await ask(BA_DINH, form="xlsx", **wanted)
    sheet = openpyxl.load_workbook(io.BytesIO(book.content)).worksheets[0]
    cells = {cell.value: cell.data_type for row in sheet.iter_rows() for cell in row}
    assert cells[evil] in ("s", "inlineStr")
    assert sheet.max_row == len(found) + 1
    with zipfile.ZipFile(io.BytesIO(book.content)) as archive:
        assert archive.testzip() is None
        assert "<f>" not in archive.read("xl/worksheets/sheet1.xml").decode()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_excel_gets_its_mark(outbreak: Outbreak, ask: Ask) -> None:
    assert not (await ask("vn", list="cases")).content.startswith(b"\xef\xbb\xbf")
    marked = (await ask("vn", list="cases", form="csv-excel")).content
    assert marked.startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_fhir_is_valid_and_its_references_lead_somewhere(
    outbreak: Outbreak, ask: Ask
) -> None:
    for kind, personal in itertools.product(sorted(FIXED[Form.FHIR]), (False, True)):
        answer = await ask("vn", list=kind, form="fhir", personal=personal, reason=REASON)
        Bundle.model_validate(answer.json())
        entries = answer.json()["entry"]
        urls = {one["fullUrl"] for one in entries}
        assert len(urls) == len(entries)
        text = json.dumps([one["resource"] for one in entries])
        led = {part.split('"')[0] for part in text.split('"reference": "')[1:]}
        missing = led - urls
        # Only who was met outside the list's own people may be missing: cases, as sources.
        assert not missing or kind in (List.CONTACTS, List.RESULTS)
        named = any(name in answer.text for name in outbreak.name_of.values())
        assert named is personal


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_fhir_gives_the_results_of_each_of_a_persons_cases(
    services: Services, outbreak: Outbreak, ask: Ask
) -> None:
    wanted = {"list": "cases", "form": "fhir"}
    before = _observations(await ask("vn", **wanted))
    async with services.database.transaction() as session:
        first = (await session.scalars(select(Case).order_by(Case.id))).first()
        assert first is not None
        again = {
            name: getattr(first, name)
            for name in Case.__mapper__.column_attrs.keys()  # noqa: SIM118 - no mapping
            if name != "id"
        }
        session.add(Case(**again | {"reference": "HN-2021-99999", "onset": "2021-01-19"}))
    assert _observations(await ask("vn", **wanted)) == before


def _observations(answer: httpx.Response) -> list[str]:
    resources = [one["resource"] for one in answer.json()["entry"]]
    return sorted(one["id"] for one in resources if one["resourceType"] == "Observation")


@given(st.integers(0), st.integers(0))
def test_fhir_ids_are_name_based_and_never_change(source: int, exposed: int) -> None:
    space = uuid.UUID("7b0d7c0e-5d0b-5a34-9e0e-0d0c7a9a4e11")
    expected = uuid.uuid5(space, f"related:{source}/{exposed}")
    assert fhir.related_id(source, exposed) == str(expected)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_shapes_of_other_tools(outbreak: Outbreak, ask: Ask) -> None:
    answer = await ask("vn", list="cases", form="sormas", personal=True, reason=REASON)
    entity, head, *lines = csv.reader(io.StringIO(answer.text))
    assert set(entity) == {"CaseData"}
    by_reference = {line[head.index("externalID")]: dict(zip(head, line, strict=True))
                    for line in lines}  # fmt: skip
    for person, reference in outbreak.reference_of.items():
        row = by_reference[reference]
        name = f"{row['person.lastName']} {row['person.firstName']}"
        assert name == outbreak.name_of[person]
        month, day, year = row["reportDate"].split("/")
        assert (int(month) <= 12, len(day), len(year)) == (True, 2, 4)
    met = rows(await ask("vn", list="contacts", form="sormas"))
    assert {row["caseIdExternalSystem"] for row in met} & set(outbreak.reference_of.values())
    assert not any(name in str(met) for name in outbreak.name_of.values())
    data = rows(await ask("vn", list="contacts", form="go-data", personal=True, reason=REASON))
    assert {"firstName", "dateOfReporting", "relationship.persons[].id"} <= set(data[0])
    assert all(row["firstName"] and row["dateOfReporting"] for row in data)
    await ask("vn", 422, list="tasks", form="sormas")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_wrong_wish_is_said(outbreak: Outbreak, ask: Ask, reader: Any) -> None:
    for wanted, error in (
        ({"list": "cases", "columns": ["no-such"]}, "export-column"),
        ({"list": "cases", "since": "2021-01-20", "until": "2021-01-01"}, "period"),
    ):
        assert (await ask("vn", 422, **wanted)).json()["error"] == error
    await ask("vn", 400, list="nothing")
    lan: Reader = await reader("lan", unit=BA_DINH)
    await lan.get("/staff/exports")
    page = await lan.post(
        "/staff/exports", 422, kind="cases", column=["reference", "name"], reason="x", **PERIOD
    )
    assert 'value="name" checked' in page.text
    assert 'value="x"' in page.text
    file = await lan.post("/staff/exports", kind="cases", form="csv-excel", **PERIOD)
    assert "Tình trạng" in file.text.splitlines()[0]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("=1+1", "'=1+1"),
        (" @x", "' @x"),
        ("＝1+1", "'＝1+1"),
        ("An;=1+1", "An;'=1+1"),
        ("An\t=1", "An\t'=1"),
        ("+84901234567", "+84901234567"),
        ("Lê - Tư", "Lê - Tư"),
    ],
)
def test_what_a_spreadsheet_would_run_is_text(text: str, made: str) -> None:
    assert harmless(text) == made


@given(st.text(max_size=20))
def test_no_cell_runs_and_none_is_lost(text: str) -> None:
    made = harmless(text)
    assert made.replace("'", "") == text.replace("'", "")
    if made[:1] in ("=", "@", "\t", "\r", "\n"):
        raise AssertionError(made)
    (back,) = next(csv.reader(io.StringIO(csv_line([text]), newline="")), [""])
    assert back == made


@given(st.sampled_from(LISTS), st.sampled_from(list(Form)), st.booleans())
def test_nothing_personal_without_a_reason(kind: List, form: Form, personal: bool) -> None:
    every = tuple(column.key for column in COLUMNS[kind])
    for columns in ((), every):
        wanted = Wanted(list=kind, form=form, personal=personal, columns=columns)
        try:
            made = plan(wanted)
        except Refused as refused:
            if refused.status_code != 422:
                raise
        else:
            assert not made.is_personal
            assert not any(column.is_personal for column in made.columns)
    assert msgspec.json.decode(msgspec.json.encode(wanted), type=Wanted) == wanted
