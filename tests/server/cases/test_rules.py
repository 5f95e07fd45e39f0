"""What a case can be: every impossible course is refused, every period holds its anchor."""

import datetime as dt
import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluezone.server.cases.rules import (
    FIRST_DAY,
    OPEN,
    CaseStatus,
    Course,
    CourseError,
    Finding,
    InfectiousRule,
    LaboratoryRule,
    Method,
    Outcome,
    Result,
    Verdict,
    check_course,
    check_transition,
    infectious_period,
    judge,
    new_reference,
    typed_reference,
)

TODAY = dt.date(2021, 1, 20)
DAY = dt.timedelta(days=1)
days = st.dates(FIRST_DAY - 30 * DAY, TODAY + 30 * DAY)
courses = st.builds(
    Course,
    status=st.sampled_from(CaseStatus),
    reported_on=days,
    has_symptoms=st.none() | st.booleans(),
    onset=st.none() | days,
    sampled_on=st.none() | days,
    outcome=st.none() | st.sampled_from(Outcome),
    outcome_on=st.none() | days,
)
rules = st.builds(
    InfectiousRule,
    before_onset=st.integers(0, 60),
    after_onset=st.integers(0, 60),
    before_sample=st.integers(0, 60),
    after_sample=st.integers(0, 60),
)


@given(courses, st.none() | days)
def test_what_passes_could_have_happened(course: Course, birth: dt.date | None) -> None:
    try:
        check_course(course, TODAY, birth.isoformat() if birth else "")
    except CourseError as error:
        faulty = error.field
    else:
        faulty = ""
    if faulty:
        assert faulty in Course.__struct_fields__
        return
    told = [course.reported_on, course.onset, course.sampled_on, course.outcome_on]
    for day in filter(None, told):
        assert FIRST_DAY <= day <= TODAY
        assert birth is None or day >= birth
    assert (course.outcome is not None) == (course.status is CaseStatus.CLOSED)
    if course.onset and course.outcome_on:
        assert course.onset <= course.outcome_on
    assert not (course.onset and course.has_symptoms is False)


BORN = "1990"
SOUND = Course(status=CaseStatus.CONFIRMED, reported_on=TODAY, onset=TODAY - 3 * DAY)
DEAD = {"status": CaseStatus.CLOSED, "outcome": Outcome.DIED}


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"onset": TODAY + DAY}, "onset", "future"),
        ({"sampled_on": dt.date(1989, 1, 1)}, "sampled_on", "before the epidemic"),
        ({**DEAD, "outcome_on": TODAY - 4 * DAY}, "outcome_on", "after the person died"),
        (
            {
                "status": CaseStatus.CLOSED,
                "outcome": Outcome.RECOVERED,
                "outcome_on": TODAY - 9 * DAY,
            },
            "outcome_on",
            "before the first symptoms",
        ),
        ({"has_symptoms": False}, "onset", "Without symptoms"),
        ({"outcome": Outcome.DIED, "outcome_on": TODAY}, "outcome", "closed case has"),
        (DEAD, "outcome_on", "day of the outcome"),
    ],
)
def test_what_is_impossible_is_said_in_words(
    changes: dict[str, object], field: str, words: str
) -> None:
    check_course(SOUND, TODAY, BORN)
    with pytest.raises(CourseError) as refused:
        check_course(msgspec.structs.replace(SOUND, **changes), TODAY, BORN)
    assert refused.value.field == field
    assert words in refused.value.message


def test_a_sample_before_birth_is_none() -> None:
    with pytest.raises(CourseError, match=r"case-(reported_on|onset)"):
        check_course(SOUND, TODAY, (TODAY - DAY).isoformat())
    check_course(SOUND, TODAY, "2021")  # the year alone: it may have been on its first day


@given(courses, rules)
def test_the_infectious_period_lies_around_its_anchor(course: Course, rule: InfectiousRule) -> None:
    period = infectious_period(course, rule)
    assert period.first <= period.last
    anchor = course.onset or course.sampled_on or course.reported_on
    before = rule.before_onset if course.onset else rule.before_sample
    after = rule.after_onset if course.onset else rule.after_sample
    assert period.last <= anchor + after * DAY
    if course.outcome is Outcome.DIED and course.outcome_on:
        assert period.last <= course.outcome_on
    else:
        assert (period.first, period.last) == (anchor - before * DAY, anchor + after * DAY)


def test_transitions() -> None:
    allowed = {
        (one, other)
        for one, other in itertools.product(CaseStatus, CaseStatus)
        if not _refused(one, other)
    }
    assert (CaseStatus.SUSPECTED, CaseStatus.CLOSED) not in allowed
    assert (CaseStatus.CONFIRMED, CaseStatus.SUSPECTED) not in allowed
    assert (CaseStatus.CLOSED, CaseStatus.DISCARDED) not in allowed
    for over, still in itertools.product((CaseStatus.CLOSED, CaseStatus.DISCARDED), OPEN):
        assert (over, still) in allowed  # a mistake can be taken back


def _refused(before: CaseStatus, after: CaseStatus) -> bool:
    try:
        check_transition(before, after)
    except CourseError:
        return True
    return False


findings = st.builds(Finding, st.sampled_from(Method), st.sampled_from(Result))


@given(findings, st.none() | st.sampled_from(sorted(OPEN)), st.lists(findings, max_size=4))
def test_a_result_never_weakens_what_is_known(
    new: Finding, status: CaseStatus | None, others: list[Finding]
) -> None:
    verdict, after = judge(new, status, others, LaboratoryRule())
    if verdict in (Verdict.ATTACHED, Verdict.CONTRADICTS, Verdict.NOTED):
        assert after == status
    if verdict is Verdict.DISCARDS:
        assert status is CaseStatus.SUSPECTED
        assert not any(one.result is Result.POSITIVE for one in others)
    if verdict is Verdict.OPENS:
        assert status is None
        assert new.result is Result.POSITIVE
    if status is CaseStatus.CONFIRMED:
        assert after is CaseStatus.CONFIRMED


POSITIVE, NEGATIVE = Finding(Method.PCR, Result.POSITIVE), Finding(Method.PCR, Result.NEGATIVE)
QUICK = Finding(Method.ANTIGEN, Result.NEGATIVE)


@pytest.mark.parametrize(
    ("new", "status", "others", "verdict", "after"),
    [
        (POSITIVE, None, [], Verdict.OPENS, CaseStatus.CONFIRMED),
        (POSITIVE, CaseStatus.SUSPECTED, [], Verdict.STRENGTHENS, CaseStatus.CONFIRMED),
        (NEGATIVE, CaseStatus.SUSPECTED, [], Verdict.DISCARDS, CaseStatus.DISCARDED),
        (NEGATIVE, CaseStatus.SUSPECTED, [POSITIVE], Verdict.CONTRADICTS, CaseStatus.SUSPECTED),
        (NEGATIVE, CaseStatus.CONFIRMED, [POSITIVE], Verdict.ATTACHED, CaseStatus.CONFIRMED),
        (NEGATIVE, CaseStatus.CONFIRMED, [], Verdict.CONTRADICTS, CaseStatus.CONFIRMED),
        (QUICK, CaseStatus.SUSPECTED, [], Verdict.ATTACHED, CaseStatus.SUSPECTED),
        (NEGATIVE, None, [], Verdict.NOTED, None),
    ],
)
def test_what_a_result_means(
    new: Finding,
    status: CaseStatus | None,
    others: list[Finding],
    verdict: Verdict,
    after: CaseStatus | None,
) -> None:
    assert judge(new, status, others, LaboratoryRule()) == (verdict, after)


def test_references_survive_the_telephone() -> None:
    drawn = {new_reference() for _number in range(1000)}
    assert len(drawn) == 1000
    for one in drawn:
        assert typed_reference(one.lower().replace("-", " ")) == one
        assert not set(one) & set("0O1I8B")
