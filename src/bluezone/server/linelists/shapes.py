"""CSV as other tools import it: SORMAS and Go.Data. Their columns, their words for our values.

SORMAS: the columns of its import templates for cases and contacts (a property's path is a column;
the template of cases has a first line that names the entity of each column), in the form that its
own import tests use: sormas-ui/src/test/resources/sormas_import_test_success.csv and
sormas_contact_import_test.csv of SORMAS-Foundation/SORMAS-Project; its English locale reads days as
11/20/2018. Go.Data: the names of the importable fields of its models case and contact
(common/models/case.js of WorldHealthOrganization/GoDataSource-API) and the fields that its import
of contacts requires; whoever imports maps them by these names. Regions and locations are ours, and
must exist in the other system under the same names.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bluezone.server.linelists.lines import Line, name_parts
from bluezone.server.places.units import Level, ancestors, path_of
from bluezone.server.spreadsheets import Cell


@dataclass(frozen=True, slots=True)
class Shape:
    """Lines before the rows, and how a line becomes a row."""

    heads: tuple[tuple[str, ...], ...]
    row: Callable[[Line, str | None, str | None], list[Cell]]


_SORMAS_CASE: Final = (
    "disease", "externalID", "person.firstName", "person.lastName", "person.sex",
    "person.birthdateDD", "person.birthdateMM", "person.birthdateYYYY", "person.phone",
    "person.address.street", "reportDate", "responsibleRegion", "responsibleDistrict",
    "responsibleCommunity", "caseClassification", "outcome", "outcomeDate", "symptoms.onsetDate",
)  # fmt: skip
_SORMAS_CONTACT: Final = (
    "caseIdExternalSystem", "caseOrEventInformation", "disease", "reportDateTime", "region",
    "district", "lastContactDate", "person.firstName", "person.lastName", "person.sex",
    "person.birthdateDD", "person.birthdateMM", "person.birthdateYYYY", "person.phone",
)  # fmt: skip
_GO_DATA_PERSON: Final = (
    "visualId", "firstName", "middleName", "lastName", "gender", "dob", "dateOfReporting",
    "addresses[].typeId", "addresses[].locationId", "addresses[].addressLine1",
    "addresses[].phoneNumber", "documents[].type", "documents[].number",
)  # fmt: skip
_GO_DATA_CASE: Final = (
    *_GO_DATA_PERSON, "classification", "dateOfOnset", "outcomeId", "dateOfOutcome",
)  # fmt: skip
_GO_DATA_CONTACT: Final = (
    *_GO_DATA_PERSON, "relationship.persons[].id", "relationship.contactDate",
    "relationship.certaintyLevelId",
)  # fmt: skip
_REFERENCE: Final = "LNG_REFERENCE_DATA_CATEGORY_"
_SORMAS_STATUS: Final = {
    "suspected": "SUSPECT",
    "probable": "PROBABLE",
    "confirmed": "CONFIRMED",
    "closed": "CONFIRMED",
    "discarded": "NO_CASE",
}
_SORMAS_OUTCOME: Final = {"recovered": "RECOVERED", "died": "DECEASED", "lost": "UNKNOWN"}
_GO_DATA_STATUS: Final = {
    "suspected": "SUSPECT",
    "probable": "PROBABLE",
    "confirmed": "CONFIRMED",
    "closed": "CONFIRMED",
    "discarded": "NOT_A_CASE_DISCARDED",
}
_GO_DATA_OUTCOME: Final = {"recovered": "RECOVERED", "died": "DECEASED"}


def _sormas_case(line: Line, _source: str | None, _day: str | None) -> list[Cell]:
    cells = line.cells
    first, last = _sormas_name(line, str(cells["reference"]))
    region, district, community = _places(line)
    return [
        "CORONAVIRUS", cells["reference"], first, last, _sex(line), *_birth(line), _phone(line),
        line.details.address if line.details else "", _american(cells["reported_on"]), region,
        district, community, _SORMAS_STATUS.get(str(cells["status"]), "NOT_CLASSIFIED"),
        _SORMAS_OUTCOME.get(str(cells["outcome"]), "NO_OUTCOME"), _american(cells["outcome_on"]),
        _american(cells["onset"]),
    ]  # fmt: skip


def _sormas_contact(line: Line, source: str | None, day: str | None) -> list[Cell]:
    cells = line.cells
    first, last = _sormas_name(line, f"#{line.person_id}")
    region, district, _community = _places(line)
    return [
        source, "", "CORONAVIRUS", _american(str(cells["known_at"])[:10]), region, district,
        _american(day or cells["last_day"]), first, last, _sex(line), *_birth(line), _phone(line),
    ]  # fmt: skip


def _go_data_person(line: Line, visual_id: str, reported: Cell) -> list[Cell]:
    details = line.details
    family, middle, given = name_parts(details.name) if details else ("", "", visual_id)
    sex = {"female": "FEMALE", "male": "MALE"}.get(str(details.sex) if details else "")
    birth = details.birth if details and len(details.birth) > 4 else ""
    commune = str(line.cells["unit_name"]).partition(",")[0]
    return [
        visual_id, given, middle, family, f"{_REFERENCE}GENDER_{sex}" if sex else "", birth,
        reported, f"{_REFERENCE}ADDRESS_TYPE_USUAL_PLACE_OF_RESIDENCE", commune,
        details.address if details else "", _phone(line),
        f"{_REFERENCE}DOCUMENT_TYPE_NATIONAL_ID_CARD" if details and details.identity else "",
        details.identity if details else "",
    ]  # fmt: skip


def _go_data_case(line: Line, _source: str | None, _day: str | None) -> list[Cell]:
    cells = line.cells
    status = _GO_DATA_STATUS.get(str(cells["status"]), "SUSPECT")
    outcome = _GO_DATA_OUTCOME.get(str(cells["outcome"]))
    return [
        *_go_data_person(line, str(cells["reference"]), cells["reported_on"]),
        f"{_REFERENCE}CASE_CLASSIFICATION_{status}",
        cells["onset"],
        f"{_REFERENCE}OUTCOME_{outcome}" if outcome else "",
        cells["outcome_on"],
    ]


def _go_data_contact(line: Line, source: str | None, day: str | None) -> list[Cell]:
    known_on = str(line.cells["known_at"])[:10]
    return [
        *_go_data_person(line, f"#{line.person_id}", known_on),
        source,
        day or line.cells["last_day"],
        f"{_REFERENCE}CERTAINTY_LEVEL_1_LOW",
    ]


SORMAS_CASES: Final = Shape((("CaseData",) * len(_SORMAS_CASE), _SORMAS_CASE), _sormas_case)
SORMAS_CONTACTS: Final = Shape((_SORMAS_CONTACT,), _sormas_contact)
GO_DATA_CASES: Final = Shape((_GO_DATA_CASE,), _go_data_case)
GO_DATA_CONTACTS: Final = Shape((_GO_DATA_CONTACT,), _go_data_contact)


def _sormas_name(line: Line, otherwise: str) -> tuple[str, str]:
    """First and last name; without personal data the reference, for both must be given."""
    if line.details is None:
        return otherwise, "-"
    family, middle, given = name_parts(line.details.name)
    return f"{middle} {given}".strip(), family or "-"


def _sex(line: Line) -> str:
    known = {"female": "FEMALE", "male": "MALE", "other": "OTHER"}
    return known.get(str(line.details.sex) if line.details else "", "UNKNOWN")


def _birth(line: Line) -> tuple[str, str, str]:
    birth = line.details.birth if line.details else ""
    if len(birth) > 4:
        return birth[8:10], birth[5:7], birth[:4]
    return "", "", birth


def _phone(line: Line) -> str:
    return line.details.phone if line.details else ""


def _places(line: Line) -> tuple[str, str, str]:
    """Province, area and commune of a line's unit."""
    path = path_of(str(line.cells["unit"]))
    names = {one.level: one.name for one in ancestors(path)} if path else {}
    return names.get(Level.PROVINCE, ""), names.get(Level.AREA, ""), names.get(Level.COMMUNE, "")


def _american(day: Cell) -> str:
    """2018-11-20 as 11/20/2018."""
    text = str(day) if day else ""
    return f"{text[5:7]}/{text[8:10]}/{text[:4]}" if text else ""
