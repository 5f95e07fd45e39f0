"""What somebody typed into the form of a case: read like a row of a list, each fault beside its
field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.cases import rules
from bluezone.server.cases.rules import CaseStatus, Course, CourseError
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.places.naming import commune_named
from bluezone.server.register.cells import YES_NO, CellError, Cells
from bluezone.server.register.files import EXCEL_EPOCH
from bluezone.server.register.rules import Details
from bluezone.web.catalogue import _

COURSE_FIELDS: Final = ("status", "has_symptoms", "reported_on", "onset", "sampled_on")
_DAYS: Final = ("reported_on", "onset", "sampled_on")


@dataclass(slots=True)
class Intake:
    """A form as it was understood; with `problems`, by field, it cannot be taken."""

    details: Details | None = None
    unit: str = ""
    course: Course | None = None
    note: str = ""
    problems: dict[str, Refused] = field(default_factory=dict)


def read_intake(texts: Mapping[str, str], staff: Staff, now: int) -> Intake:
    """Everything about a new case; all faults at once."""
    intake = Intake(note=texts.get("case_note", "").strip()[:500])
    cells = _cells(texts, now)
    try:
        intake.details = cells.details()
    except CellError as error:
        intake.problems[error.column] = error
    try:
        intake.unit = commune_named(texts.get("commune", "")).path
        if not staff.scope.covers(intake.unit):
            raise Refused(
                422,
                "commune-not-yours",
                _("This commune is not in your units. Ask those who work there to take it down."),
            )
    except Refused as refused:
        intake.problems["commune"] = refused
    try:
        blank = Course(status=CaseStatus.SUSPECTED, reported_on=vietnam_day(now))
        intake.course = read_course(texts, blank, now)
        birth = intake.details.birth if intake.details else ""
        rules.check_course(intake.course, vietnam_day(now), birth)
    except CourseError as error:
        intake.problems[error.field] = error
    return intake


def read_course(texts: Mapping[str, str], before: Course, now: int) -> Course:
    """The course that a form gives a case; its outcome stays as it was. Raises CourseError."""
    cells = _cells(texts, now)
    try:
        days = {name: cells.day(name) for name in _DAYS}
        symptoms = cells.choice("has_symptoms", YES_NO)
    except CellError as error:
        raise CourseError(error.column, error.message, **error.values) from None
    status = texts.get("status", "")
    if status not in {one.value for one in rules.OPEN} | {before.status.value}:
        raise CourseError("status", _("Please choose a status from the list."))
    reported = days.pop("reported_on")
    if reported is None:
        raise CourseError("reported_on", _("Please give the day of the report."))
    return msgspec.structs.replace(
        before,
        status=CaseStatus(status),
        has_symptoms=symptoms,
        reported_on=reported,
        **days,
    )


def _cells(texts: Mapping[str, str], now: int) -> Cells:
    trimmed = {name: text.strip() for name, text in texts.items()}
    return Cells(0, trimmed, vietnam_day(now), EXCEL_EPOCH)
