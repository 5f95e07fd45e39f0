"""Results of laboratories: each counts once, opens or ends cases, and is never overwritten."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec
from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.cases import changing, rules, service
from bluezone.server.cases.rules import (
    CaseSource,
    CaseStatus,
    Course,
    CourseError,
    Finding,
    LaboratoryRule,
    Method,
    Result,
    Verdict,
)
from bluezone.server.cases.service import Facts
from bluezone.server.cases.tables import Case, LabResult
from bluezone.server.context import Services
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import EVERYWHERE
from bluezone.server.register import service as register
from bluezone.server.register.rules import ALIKE, Details, likeness
from bluezone.server.register.service import Register
from bluezone.server.register.tables import Person
from bluezone.server.rulebook import service as rulebook
from bluezone.web.catalogue import _

RESULTS_SHOWN: Final = 50
SAMPLE_LETTERS: Final = 60
_AT_ONCE: Final = 400


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What a laboratory says of one sample."""

    sample: str
    sampled_on: dt.date
    method: Method
    result: Result
    correction: bool = False  # takes the place of what was said before of this sample


class Receipt(StrEnum):
    """What became of a sample that was handed in. It tells nothing of the person."""

    TAKEN = "taken"
    KNOWN = "known"  # it had come before, word for word
    CORRECTED = "corrected"
    DIFFERS = "differs"  # something else was said before, and this is not marked a correction
    OTHER_PERSON = "other-person"  # the sample was said to be somebody else's


def check_sample(sample: Sample, today: dt.date, birth: str) -> Sample:
    """The sample in its normal form. Raises CourseError."""
    name = " ".join(sample.sample.split())
    if not 1 <= len(name) <= SAMPLE_LETTERS or not name.isprintable():
        raise CourseError(
            "sample",
            _("Please give the number of the sample, with at most {limit} characters."),
            limit=SAMPLE_LETTERS,
        )
    found = Course(status=CaseStatus.SUSPECTED, reported_on=today, sampled_on=sample.sampled_on)
    rules.check_course(found, today, birth)
    return msgspec.structs.replace(sample, sample=name)


async def known_samples(
    session: AsyncSession, laboratory: str, samples: Sequence[str]
) -> dict[str, LabResult]:
    """What counts of these samples of a laboratory so far."""
    found: dict[str, LabResult] = {}
    for start in range(0, len(samples), _AT_ONCE):
        rows = await session.scalars(
            select(LabResult).where(
                tuple_(LabResult.laboratory, LabResult.sample).in_(
                    [(laboratory, one) for one in samples[start : start + _AT_ONCE]]
                ),
                LabResult.superseded.is_(False),
            )
        )
        found.update({row.sample: row for row in rows})
    return found


def receipt_of(before: LabResult | None, sample: Sample, person_id: int | None) -> Receipt:
    """What becomes of a sample, given what counts of it so far. `person_id`: None, a new one."""
    if before is None:
        return Receipt.TAKEN
    same_person = person_id == before.person_id
    said = (before.sampled_on, before.method, before.result)
    if said == (sample.sampled_on.isoformat(), sample.method.value, sample.result.value):
        return Receipt.KNOWN if same_person else Receipt.OTHER_PERSON
    if not same_person:
        return Receipt.OTHER_PERSON
    return Receipt.CORRECTED if sample.correction else Receipt.DIFFERS


async def take_results(
    session: AsyncSession, services: Services, staff: Staff, rows: Sequence[tuple[int, Sample]]
) -> None:
    """Take checked results of these people in this order, each once.

    Of whoever repeats one nothing changes.
    """
    rule = await _rule_of_today(session, services)
    noted = await _noted(session, staff, rule, rows)
    session.add_all(
        _row(services, staff, person, sample, None)
        for (_id, sample), person in zip(rows, noted, strict=True)
        if person is not None
    )
    await session.flush()
    for (person_id, sample), person in zip(rows, noted, strict=True):
        if person is None:
            await _take_result(session, services, staff, rule, person_id, sample)


async def _noted(
    session: AsyncSession, staff: Staff, rule: LaboratoryRule, rows: Sequence[tuple[int, Sample]]
) -> list[Person | None]:
    """For each row its person, if all that becomes of it is that it is noted.

    So it is with nearly all of a mass test, which can be written down together: it's the person's
    only row and the sample's, they have no open case, and the rule opens none.
    """
    known = await known_samples(session, staff.name, [sample.sample for _id, sample in rows])
    people = await register.people(session, [person_id for person_id, _sample in rows])
    cases = await service.open_cases(session, people)
    of_person = Counter(person_id for person_id, _sample in rows)
    of_sample = Counter(sample.sample for _id, sample in rows)
    found: list[Person | None] = []
    for person_id, sample in rows:
        verdict, _status = rules.judge(Finding(sample.method, sample.result), None, (), rule)
        is_alone = of_person[person_id] == of_sample[sample.sample] == 1
        person = people[person_id]
        plain = is_alone and verdict is Verdict.NOTED and person.merged_into is None
        is_new = sample.sample not in known and person_id not in cases
        found.append(person if plain and is_new else None)
    return found


async def _rule_of_today(session: AsyncSession, services: Services) -> LaboratoryRule:
    day = vietnam_day(services.now).isoformat()
    _version, rule = await rulebook.in_force(
        session, rules.LABORATORY_KIND, rules.SHIPPED_LABORATORY, day
    )
    return rule


def _row(
    services: Services, staff: Staff, person: Person, sample: Sample, before: LabResult | None
) -> LabResult:
    return LabResult(
        laboratory=staff.name,
        sample=sample.sample,
        version=before.version + 1 if before else 1,
        unit=person.unit,
        person_id=person.id,
        case_id=before.case_id if before else None,
        sampled_on=sample.sampled_on.isoformat(),
        method=sample.method.value,
        result=sample.result.value,
        verdict=Verdict.NOTED.value,
        reported_at=services.now,
        superseded=False,
    )


async def _take_result(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    rule: LaboratoryRule,
    person_id: int,
    sample: Sample,
) -> None:
    before = (await known_samples(session, staff.name, [sample.sample])).get(sample.sample)
    if receipt_of(before, sample, person_id) not in (Receipt.TAKEN, Receipt.CORRECTED):
        return
    person = await register.get(session, EVERYWHERE, person_id)
    row = _row(services, staff, person, sample, before)
    if before is not None:
        before.superseded = True
        await session.flush()
    session.add(row)
    await session.flush()
    if before is None:
        await _judge(session, services, staff, rule, row, sample)
    else:
        await _correct(session, services, staff, rule, row, before, sample)


async def persons_of_known(
    session: AsyncSession,
    services: Services,
    known: Mapping[str, LabResult],
    rows: Sequence[tuple[Details, str, Sample]],
) -> dict[str, int | None]:
    """For samples that came before (`known`): their person, None if a row is of somebody else.

    A sample tells whose it is better than a name does: what is alike is the same person.
    """
    people = await register.people(session, [row.person_id for row in known.values()])
    open_details = Register.open(services.settings.secrets_folder).details
    found: dict[str, int | None] = {}
    for details, unit, sample in rows:
        before = known.get(sample.sample)
        if before is None:
            continue
        person = people[before.person_id]
        how = likeness(details, open_details(person), same_commune=unit == person.unit)
        found[sample.sample] = person.id if how.score >= ALIKE else None
    return found


async def _judge(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    rule: LaboratoryRule,
    row: LabResult,
    sample: Sample,
) -> None:
    """What a new result does to the case of its person, or makes of one without."""
    case = (await service.open_cases(session, [row.person_id])).get(row.person_id)
    others = await _findings(session, case) if case else []
    status = CaseStatus(case.status) if case else None
    verdict, after = rules.judge(Finding(sample.method, sample.result), status, others, rule)
    if case is None and verdict is Verdict.OPENS:
        over = await _just_over(session, row, rule, sample)
        if over is not None:
            # Of an illness that is over a late positive opens no second one: somebody decides.
            case, verdict, after = over, Verdict.CONTRADICTS, CaseStatus(over.status)
    row.verdict = verdict.value
    if case is None:
        if verdict is Verdict.OPENS and after is not None:
            person = await register.get(session, EVERYWHERE, row.person_id)
            today = vietnam_day(services.now)
            course = Course(status=after, reported_on=today, sampled_on=sample.sampled_on)
            case = await changing.open_case(
                session, services, staff, person, course, source=CaseSource.LABORATORY
            )
            row.case_id = case.id
        await session.flush()
        return
    row.case_id = case.id
    await session.flush()
    course = service.course_of(case)
    if after is not None:
        course = msgspec.structs.replace(course, status=after)
    first = sample.result is Result.POSITIVE and verdict is not Verdict.CONTRADICTS
    if first and (course.sampled_on is None or sample.sampled_on < course.sampled_on):
        course = msgspec.structs.replace(course, sampled_on=sample.sampled_on)
    await changing.apply_result(
        session,
        services,
        staff,
        case,
        course,
        to_decide=verdict is Verdict.CONTRADICTS,
        facts=_facts(row),
    )


async def _just_over(
    session: AsyncSession, row: LabResult, rule: LaboratoryRule, sample: Sample
) -> Case | None:
    """The person's case that ended so recently that this sample belongs to the same illness."""
    case = (await service.last_cases(session, [row.person_id])).get(row.person_id)
    if case is None or case.status != CaseStatus.CLOSED.value or case.outcome_on is None:
        return None
    apart = sample.sampled_on - dt.date.fromisoformat(case.outcome_on)
    return case if apart.days <= rule.same_illness_days else None


async def _correct(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    rule: LaboratoryRule,
    row: LabResult,
    before: LabResult,
    sample: Sample,
) -> None:
    """A corrected result takes nothing back by itself: the case asks for somebody to decide."""
    row.verdict = Verdict.CONTRADICTS.value
    if before.case_id is None:
        await _judge(session, services, staff, rule, row, sample)
        return
    case = await service.case_of(session, EVERYWHERE, before.case_id)
    row.case_id = case.id
    await session.flush()
    facts = _facts(row)
    facts["result"] = (before.result, row.result)
    await changing.apply_result(
        session, services, staff, case, service.course_of(case), to_decide=True, facts=facts
    )


async def _findings(session: AsyncSession, case: Case) -> list[Finding]:
    rows = await session.execute(
        select(LabResult.method, LabResult.result).where(
            LabResult.case_id == case.id, LabResult.superseded.is_(False)
        )
    )
    return [Finding(Method(method), Result(result)) for method, result in rows]


def _facts(row: LabResult) -> Facts:
    return {
        "result": (None, row.result),
        "method": (None, row.method),
        "sample": (None, row.sample),
        "verdict": (None, row.verdict),
    }


# --- a laboratory's own list ---------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ResultPage:
    """Some results, the latest first, and what asks for the next ones (0: the end)."""

    results: list[LabResult]
    before: int


async def own_results(
    session: AsyncSession, laboratory: str, *, before: int = 0, sample: str = ""
) -> ResultPage:
    """What a laboratory handed in, RESULTS_SHOWN at a time."""
    conditions = [LabResult.laboratory == laboratory]
    if before:
        conditions.append(LabResult.id < before)
    if sample:
        conditions.append(LabResult.sample == sample)
    rows = list(
        await session.scalars(
            select(LabResult)
            .where(*conditions)
            .order_by(LabResult.id.desc())
            .limit(RESULTS_SHOWN + 1)
        )
    )
    shown = rows[:RESULTS_SHOWN]
    return ResultPage(shown, shown[-1].id if len(rows) > RESULTS_SHOWN else 0)


# --- merged records ------------------------------------------------------------------------
class Moved(msgspec.Struct, frozen=True):
    """What a merge of two people took from one to the other: enough to take it back."""

    cases: list[int]
    results: list[int]
    doubled: int | None  # of the two open cases the one that gave way
    kept_case: int | None
    results_of_doubled: list[int]


async def move_person(session: AsyncSession, from_id: int, to_id: int, now: int) -> Moved:
    """Give the cases and results of one record to another: the two are one person.

    Of two open cases the less sure one gives way to the other, with its results.
    """
    mine = await service.open_cases(session, [from_id, to_id])
    cases = await _moved(session, Case, from_id, to_id)
    results = await _moved(session, LabResult, from_id, to_id)
    if len(mine) < 2:
        return Moved(cases, results, None, None, [])
    order = [CaseStatus.SUSPECTED, CaseStatus.PROBABLE, CaseStatus.CONFIRMED]
    gives_way, stays = sorted(
        (mine[from_id], mine[to_id]),
        key=lambda one: (order.index(CaseStatus(one.status)), one.person_id == to_id),
    )
    await session.execute(
        update(Case)
        .where(Case.id == gives_way.id)
        .values(merged_into=stays.id, updated_at=now, revision=Case.revision + 1)
    )
    doubled = await session.scalars(
        update(LabResult)
        .where(LabResult.case_id == gives_way.id)
        .values(case_id=stays.id)
        .returning(LabResult.id)
    )
    return Moved(cases, results, gives_way.id, stays.id, sorted(doubled))


async def _moved(
    session: AsyncSession, table: type[Case] | type[LabResult], from_id: int, to_id: int
) -> list[int]:
    rows = await session.scalars(
        update(table)
        .where(table.person_id == from_id)
        .values(person_id=to_id)
        .returning(table.id)
        .execution_options(synchronize_session="fetch")
    )
    return sorted(rows)


async def move_back(
    session: AsyncSession, moved: Moved, from_id: int, to_id: int, now: int
) -> None:
    """Undo `move_person`: what came to the kept record since then stays there."""
    for table, ids in ((Case, moved.cases), (LabResult, moved.results)):
        await session.execute(
            update(table)
            .where(table.id.in_(ids), table.person_id == to_id)
            .values(person_id=from_id)
        )
    if moved.doubled is not None:
        await session.execute(
            update(Case)
            .where(Case.id == moved.doubled, Case.merged_into == moved.kept_case)
            .values(merged_into=None, updated_at=now, revision=Case.revision + 1)
        )
        await session.execute(
            update(LabResult)
            .where(LabResult.id.in_(moved.results_of_doubled))
            .values(case_id=moved.doubled)
        )
