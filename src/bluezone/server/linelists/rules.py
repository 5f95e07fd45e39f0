"""Which lists there are, which columns they have, and which of these are personal. Pure."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from bluezone.protocol.unprintable import Unprintable
from bluezone.server.errors import Refused
from bluezone.web.catalogue import _

MIN_REASON_LETTERS: Final = 10
TOO_LONG: Final = _(
    "An Excel sheet holds at most {rows} lines. Choose a shorter time or a smaller unit, or CSV."
)
KEPT_DAYS: Final = 30


class List(StrEnum):
    """What a line of the list is."""

    CASES = "cases"
    CONTACTS = "contacts"
    EXPOSURES = "exposures"
    RESULTS = "results"
    TASKS = "tasks"


class Form(StrEnum):
    """How a list is written."""

    CSV = "csv"
    EXCEL_CSV = "csv-excel"  # with the mark by which Excel knows UTF-8
    XLSX = "xlsx"
    FHIR = "fhir"
    SORMAS = "sormas"
    GO_DATA = "go-data"


class Every(StrEnum):
    """How often a scheduled report is made: of the day, or of the week (Monday on), before."""

    DAY = "day"
    WEEK = "week"


LIST_WORDS: Final = {
    List.CASES: _("Cases"),
    List.CONTACTS: _("Contacts"),
    List.EXPOSURES: _("Exposures"),
    List.RESULTS: _("Laboratory results"),
    List.TASKS: _("Tasks"),
}
FORM_WORDS: Final = {
    Form.CSV: _("CSV"),
    Form.EXCEL_CSV: _("CSV for Excel"),
    Form.XLSX: _("Excel workbook (XLSX)"),
    Form.FHIR: _("FHIR R4 bundle (JSON)"),
    Form.SORMAS: _("CSV for SORMAS"),
    Form.GO_DATA: _("CSV for Go.Data"),
}
EVERY_WORDS: Final = {Every.DAY: _("every day"), Every.WEEK: _("every week")}
ENDINGS: Final = {
    Form.CSV: "csv", Form.EXCEL_CSV: "csv", Form.XLSX: "xlsx", Form.FHIR: "json",
    Form.SORMAS: "csv", Form.GO_DATA: "csv",
}  # fmt: skip
MEDIA: Final = {
    Form.CSV: "text/csv; charset=utf-8",
    Form.EXCEL_CSV: "text/csv; charset=utf-8",
    Form.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Form.FHIR: "application/fhir+json",
    Form.SORMAS: "text/csv; charset=utf-8",
    Form.GO_DATA: "text/csv; charset=utf-8",
}
# Forms whose columns others have laid down: the choice of columns does not apply.
FIXED: Final = {
    Form.FHIR: frozenset({List.CASES, List.CONTACTS, List.RESULTS}),
    Form.SORMAS: frozenset({List.CASES, List.CONTACTS}),
    Form.GO_DATA: frozenset({List.CASES, List.CONTACTS}),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key in programs, its head for people (a catalogue message)."""

    key: str
    head: str
    is_personal: bool = False


_PERSON: Final = (
    Column("name", _("Full name"), is_personal=True),
    Column("phone", _("Telephone"), is_personal=True),
    Column("identity", _("Identity number"), is_personal=True),
    Column("birth", _("Born"), is_personal=True),
    Column("sex", _("Sex"), is_personal=True),
    Column("address", _("Address"), is_personal=True),
    Column("occupation", _("Occupation"), is_personal=True),
)
_UNIT: Final = (Column("unit", _("Unit's code")), Column("unit_name", _("Unit")))
_WHO: Final = Column("person", _("Person's number"))
COLUMNS: Final[dict[List, tuple[Column, ...]]] = {
    List.CASES: (
        Column("reference", _("Reference")),
        _WHO,
        Column("status", _("Status")),
        Column("onset", _("Onset")),
        Column("has_symptoms", _("Has symptoms")),
        Column("reported_on", _("Reported")),
        Column("sampled_on", _("Sampled")),
        Column("confirmed_at", _("Confirmed")),
        Column("code_issued_at", _("Code issued")),
        Column("infectious_from", _("Infectious from")),
        Column("infectious_until", _("Infectious until")),
        Column("outcome", _("Outcome")),
        Column("outcome_on", _("Day of outcome")),
        Column("known_through", _("Known through")),
        *_UNIT,
        *_PERSON,
    ),
    List.CONTACTS: (
        _WHO,
        Column("rank", _("Rank")),
        Column("first_day", _("First exposed")),
        Column("last_day", _("Last exposed")),
        Column("exposures", _("Exposures")),
        Column("known_at", _("Known since")),
        Column("spoken_to_at", _("First spoken to")),
        Column("sampled_on", _("Last sampled")),
        *_UNIT,
        *_PERSON,
    ),
    List.EXPOSURES: (
        Column("exposure", _("Exposure's number")),
        Column("day", _("Day")),
        Column("source", _("Source")),
        Column("exposed", _("Exposed")),
        Column("setting", _("Setting")),
        Column("place", _("Place")),
        Column("minutes", _("Minutes")),
        Column("nearness", _("Nearness")),
        Column("known_by", _("Known by")),
        Column("confirmation", _("Confirmation")),
        Column("known_at", _("Known since")),
        *_UNIT,
        *_PERSON,  # of the exposed
    ),
    List.RESULTS: (
        Column("sample", _("Sample")),
        Column("laboratory", _("Laboratory")),
        _WHO,
        Column("reference", _("Reference")),
        Column("sampled_on", _("Sampled")),
        Column("method", _("Method")),
        Column("result", _("Result")),
        Column("reported_at", _("Reported")),
        *_UNIT,
        *_PERSON,
    ),
    List.TASKS: (
        Column("task", _("Task's number")),
        Column("kind", _("Kind")),
        _WHO,
        Column("state", _("State")),
        Column("due_at", _("Due")),
        Column("assignee", _("Assigned to")),
        Column("created_at", _("Made")),
        Column("closed_at", _("Ended")),
        Column("outcome", _("Outcome")),
        *_UNIT,
        *_PERSON,
    ),
}


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for, by a form or by a program. Without `columns`: all that are not personal.

    Personal columns, and names in the forms of other systems, need a `reason`.
    """

    list: List
    form: Form = Form.CSV
    columns: Annotated[tuple[str, ...], msgspec.Meta(max_length=60)] = ()
    personal: bool = False  # in forms with fixed columns: with what tells who it is
    unit: Annotated[str, msgspec.Meta(max_length=32)] = ""
    since: Annotated[str, msgspec.Meta(max_length=10)] = ""
    until: Annotated[str, msgspec.Meta(max_length=10)] = ""
    reason: Annotated[str, msgspec.Meta(max_length=300)] = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked wish: the columns in the list's own order, and whether any is personal."""

    list: List
    form: Form
    columns: tuple[Column, ...]
    is_personal: bool
    reason: str


def plan(wanted: Wanted) -> Plan:
    """Raises Refused (422): a form that this list has not, no such column, no reason."""
    columns = COLUMNS[wanted.list]
    fixed = FIXED.get(wanted.form)
    if fixed is not None and wanted.list not in fixed:
        raise Refused(
            422, "export-form", _("This list is not written in this form. Choose another.")
        )
    unknown = set(wanted.columns) - {column.key for column in columns}
    if unknown:
        raise Refused(
            422,
            "export-column",
            _("This list has no column {name}."),
            name=sorted(unknown)[0][:40],
        )
    if fixed is None:
        chosen = tuple(
            column
            for column in columns
            if (column.key in wanted.columns if wanted.columns else not column.is_personal)
        )
        is_personal = any(column.is_personal for column in chosen)
    else:
        chosen, is_personal = (), wanted.personal
    reason = " ".join(wanted.reason.split())
    if is_personal and len(reason) < MIN_REASON_LETTERS:
        raise Refused(
            422,
            "export-reason",
            _("Please say in a few words what the personal columns are needed for."),
        )
    if "\0" in reason or not reason.isprintable():
        raise Refused(422, "export-reason", _("The text has characters that cannot be shown."))
    return Plan(wanted.list, wanted.form, chosen, is_personal, reason if is_personal else "")


def last_period(every: Every, today: dt.date) -> tuple[dt.date, dt.date]:
    """The first and last day of what a report made on `today` is about."""
    if every is Every.DAY:
        return today - dt.timedelta(days=1), today - dt.timedelta(days=1)
    monday = today - dt.timedelta(days=today.weekday() + 7)
    return monday, monday + dt.timedelta(days=6)


# --- searches --------------------------------------------------------------------------
class By(StrEnum):
    """What is searched by."""

    PERSON = "person"
    PLACE = "place"
    CASE = "case"


_Line = Annotated[str, msgspec.Meta(max_length=120)]


class Search(Unprintable, frozen=True, kw_only=True):
    """What was typed into the search page. Times as a browser sends them: 2021-01-20T14:05."""

    by: By
    text: _Line = ""
    since: Annotated[str, msgspec.Meta(max_length=16)] = ""
    until: Annotated[str, msgspec.Meta(max_length=16)] = ""
