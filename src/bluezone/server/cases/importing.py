"""Lists of cases and of results: what their columns are called, and what becomes of a row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.cases import changing, laboratory, rules, service
from bluezone.server.cases.laboratory import Receipt, Sample
from bluezone.server.cases.rules import (
    CaseSource,
    CaseStatus,
    Course,
    CourseError,
    Method,
    Outcome,
    Result,
)
from bluezone.server.context import Services
from bluezone.server.people.rules import Staff
from bluezone.server.register import importing
from bluezone.server.register import service as register
from bluezone.server.register.cells import YES_NO, CellError, Cells
from bluezone.server.register.importing import PERSON_COLUMNS, Column, Ready, Shape
from bluezone.server.register.rules import Details
from bluezone.web.catalogue import _

_STATUSES: Final = {
    "xac dinh": CaseStatus.CONFIRMED,
    "duong tinh": CaseStatus.CONFIRMED,
    "f0": CaseStatus.CONFIRMED,
    "confirmed": CaseStatus.CONFIRMED,
    "positive": CaseStatus.CONFIRMED,
    "co the": CaseStatus.PROBABLE,
    "probable": CaseStatus.PROBABLE,
    "nghi ngo": CaseStatus.SUSPECTED,
    "nghi nhiem": CaseStatus.SUSPECTED,
    "suspected": CaseStatus.SUSPECTED,
}
_OUTCOMES: Final = {
    "khoi": Outcome.RECOVERED,
    "khoi benh": Outcome.RECOVERED,
    "recovered": Outcome.RECOVERED,
    "tu vong": Outcome.DIED,
    "chet": Outcome.DIED,
    "died": Outcome.DIED,
    "chuyen di": Outcome.MOVED,
    "moved": Outcome.MOVED,
    "mat dau": Outcome.LOST,
    "lost": Outcome.LOST,
}
_METHODS: Final = {
    "pcr": Method.PCR,
    "rt pcr": Method.PCR,
    "realtime rt pcr": Method.PCR,
    "test nhanh": Method.ANTIGEN,
    "khang nguyen": Method.ANTIGEN,
    "antigen": Method.ANTIGEN,
    "ag": Method.ANTIGEN,
    "khang the": Method.ANTIBODY,
    "antibody": Method.ANTIBODY,
    "khac": Method.OTHER,
    "other": Method.OTHER,
}
_RESULTS: Final = {
    "duong tinh": Result.POSITIVE,
    "duong": Result.POSITIVE,
    "positive": Result.POSITIVE,
    "pos": Result.POSITIVE,
    "am tinh": Result.NEGATIVE,
    "am": Result.NEGATIVE,
    "negative": Result.NEGATIVE,
    "neg": Result.NEGATIVE,
    "khong xac dinh": Result.INCONCLUSIVE,
    "nghi ngo": Result.INCONCLUSIVE,
    "inconclusive": Result.INCONCLUSIVE,
}
_SAMPLED: Final = Column(
    "sampled_on",
    _("Day of the sample"),
    "ngay lay mau; ngay lay benh pham; sampled on; sample date; date of sample",
)


# --- cases -------------------------------------------------------------------------------
def _read_case(cells: Cells, details: Details) -> Course:
    outcome = cells.choice("outcome", _OUTCOMES)
    status = cells.choice("status", _STATUSES) or CaseStatus.SUSPECTED
    course = Course(
        status=CaseStatus.CLOSED if outcome else status,
        reported_on=cells.day("reported_on") or cells.today,
        has_symptoms=cells.choice("has_symptoms", YES_NO),
        onset=cells.day("onset"),
        sampled_on=cells.day("sampled_on"),
        outcome=outcome,
        outcome_on=cells.day("outcome_on"),
    )
    try:
        rules.check_course(course, cells.today, details.birth)
    except CourseError as error:
        raise CellError(error.field, error.message, **error.values) from None
    return course


async def _recognise_cases(
    session: AsyncSession, _services: Services, staff: Staff, ready: Sequence[Ready[Course]]
) -> Mapping[int, int]:
    """Who looks alike and has a case that went just like this one is the same person.

    Not without the name: a family has one telephone, and falls ill together.
    """
    open_rows = [one for one in ready if one.same is None]
    ids = {other.person_id for one in open_rows for other in one.alike}
    courses = {
        person_id: service.course_of(case)
        for person_id, case in (await service.last_cases(session, ids)).items()
    }
    return {
        one.row.number: other.person_id
        for one in open_rows
        for other in reversed(one.alike)  # so that the likeliest is the one that counts
        if other.likeness.same_name
        and staff.scope.covers(other.unit)
        and _same_illness(courses.get(other.person_id), one.row.content)
    }


def _same_illness(there: Course | None, here: Course) -> bool:
    """Whether a row tells of an illness that is known.

    A list without days of report is given that on which it is handed in, so where another day
    tells, this one does not count.
    """
    if there is None or (there.onset, there.sampled_on) != (here.onset, here.sampled_on):
        return False
    return bool(here.onset or here.sampled_on) or there.reported_on == here.reported_on


async def _apply_cases(
    session: AsyncSession, services: Services, staff: Staff, ready: Sequence[Ready[Course]]
) -> Mapping[str, int]:
    ids, fresh = await importing.people_of(session, services, ready)
    people = await register.people(session, ids)
    taken = set(await service.open_cases(session, ids))
    # A list that is handed in again opens no illness a second time that is over.
    last = await service.last_cases(session, set(ids) - taken)
    over = {person_id: service.course_of(case) for person_id, case in last.items()}
    courses = []
    for one, person_id in zip(ready, ids, strict=True):
        course = one.row.content
        before = over.get(person_id)
        is_over = before is not None and before.status is CaseStatus.CLOSED
        if person_id in taken or (is_over and _same_illness(before, course)):
            continue
        taken.add(person_id)
        courses.append((people[person_id], course))
    await changing.open_many(session, services, staff, courses, source=CaseSource.IMPORT)
    return {
        _("new cases"): len(courses),
        _("new people"): fresh,
        _("had a case already, left as it is"): len(ready) - len(courses),
    }


CASES: Final = Shape(
    kind="cases",
    columns=(
        *PERSON_COLUMNS,
        Column("status", _("Status"), "phan loai; tinh trang; loai ca; status; classification"),
        Column("reported_on", _("Day of the report"), "ngay bao cao; ngay cong bo; reported on"),
        Column("has_symptoms", _("Symptoms"), "trieu chung; co trieu chung; symptoms"),
        Column(
            "onset",
            _("First symptoms"),
            "ngay khoi phat; khoi phat; ngay phat benh; onset; onset date; date of onset",
        ),
        _SAMPLED,
        Column("outcome", _("Outcome"), "ket qua dieu tri; ket cuc; outcome"),
        Column(
            "outcome_on",
            _("Day of the outcome"),
            "ngay ra vien; ngay khoi; ngay tu vong; ngay ket thuc; outcome date",
        ),
    ),
    read=_read_case,
    apply=_apply_cases,
    recognise=_recognise_cases,
)


# --- results -----------------------------------------------------------------------------
def _read_result(cells: Cells, details: Details) -> Sample:
    sampled_on = cells.day("sampled_on")
    method, result = cells.choice("method", _METHODS), cells.choice("result", _RESULTS)
    for column, value in (("sampled_on", sampled_on), ("result", result)):
        if value is None:
            raise CellError(column, _("Please fill in this cell."))
    assert sampled_on is not None and result is not None  # noqa: S101, PT018 - just seen
    sample = Sample(
        sample=cells.text("sample"),
        sampled_on=sampled_on,
        method=method or Method.PCR,
        result=result,
        correction=cells.choice("correction", YES_NO) or False,
    )
    try:
        return laboratory.check_sample(sample, cells.today, details.birth)
    except CourseError as error:
        raise CellError(error.field, error.message, **error.values) from None


async def _verify_results(
    session: AsyncSession, services: Services, staff: Staff, ready: Sequence[Ready[Sample]]
) -> Mapping[int, CellError]:
    against: dict[int, CellError] = {}
    found = await _receipts(session, services, staff, ready)
    for one, (_person, receipt) in zip(ready, found, strict=True):
        if receipt in REFUSED:
            against[one.row.number] = CellError("sample", REFUSED[receipt])
    return against


REFUSED: Final = {
    Receipt.DIFFERS: _(
        "Another result of this sample is here already. If this one corrects it, say so."
    ),
    Receipt.OTHER_PERSON: _("This sample was handed in before, for another person."),
}


async def _receipts(
    session: AsyncSession, services: Services, staff: Staff, ready: Sequence[Ready[Sample]]
) -> list[tuple[int | None, Receipt]]:
    """Whose each row is (None: somebody new), and what would become of it."""
    rows = [(one.row.details, one.row.unit, one.row.content) for one in ready]
    known = await laboratory.known_samples(
        session, staff.name, [sample.sample for *_person, sample in rows]
    )
    persons = await laboratory.persons_of_known(session, services, known, rows)
    found = []
    for one in ready:
        sample = one.row.content
        person = persons.get(sample.sample, one.same)
        before = known.get(sample.sample)
        found.append((person, laboratory.receipt_of(before, sample, person)))
    return found


async def hand_in(
    session: AsyncSession, services: Services, staff: Staff, ready: Sequence[Ready[Sample]]
) -> list[Receipt]:
    """Take results of people, found or made, each once. Of what is refused nothing is kept."""
    found = await _receipts(session, services, staff, ready)
    taken = [
        replace(one, same=person)
        for one, (person, receipt) in zip(ready, found, strict=True)
        if receipt not in REFUSED
    ]
    ids, _fresh = await importing.people_of(session, services, taken)
    rows = [(person, one.row.content) for person, one in zip(ids, taken, strict=True)]
    # In the order in which the samples were taken: an illness is told forwards.
    rows.sort(key=lambda row: row[1].sampled_on)
    await laboratory.take_results(session, services, staff, rows)
    return [receipt for _person, receipt in found]


async def _apply_results(
    session: AsyncSession, services: Services, staff: Staff, ready: Sequence[Ready[Sample]]
) -> Mapping[str, int]:
    receipts = await hand_in(session, services, staff, ready)
    return {
        _("results taken"): receipts.count(Receipt.TAKEN),
        _("results corrected"): receipts.count(Receipt.CORRECTED),
        _("results that were here already"): receipts.count(Receipt.KNOWN),
    }


RESULTS: Final = Shape(
    kind="results",
    columns=(
        Column(
            "sample",
            _("Number of the sample"),
            "ma mau; so mau; ma benh pham; ma so mau; sample; sample id; specimen",
            required=True,
        ),
        *PERSON_COLUMNS,
        replace(_SAMPLED, required=True),
        Column("method", _("Method"), "phuong phap; loai xet nghiem; method; test"),
        Column(
            "result", _("Result"), "ket qua; ket qua xet nghiem; result; test result", required=True
        ),
        Column("correction", _("Correction"), "dinh chinh; correction"),
    ),
    read=_read_result,
    apply=_apply_results,
    verify=_verify_results,
    once=False,
    anywhere=True,
)


def ready_rows(
    rows: Sequence[tuple[Details, str, Sample]], alike: Sequence[Sequence[register.Candidate]]
) -> list[Ready[Sample]]:
    """What a program handed in, as rows numbered from 1; two of one person know of each other."""
    seen: dict[tuple[int, str], list[importing.Row[Sample]]] = {}
    return [
        importing.ready_row(
            importing.met_before(RESULTS, importing.Row(number, details, unit, sample), seen), found
        )
        for number, ((details, unit, sample), found) in enumerate(zip(rows, alike, strict=True), 1)
    ]
