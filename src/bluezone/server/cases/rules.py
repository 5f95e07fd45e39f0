"""Which course of an illness is possible, how long it is infectious, what a result changes."""

import datetime as dt
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

from bluezone.server.errors import Refused
from bluezone.web.catalogue import _

# Read out on the telephone: without letters and digits that sound or look alike.
_ALPHABET: Final = "2345679ACDEFHJKLMNPQRTUVWXYZ"
_REFERENCE_LETTERS: Final = 8
# The first known cases fell ill in December 2019; what is older is a slip of the hand.
FIRST_DAY: Final = dt.date(2019, 12, 1)


class CaseStatus(StrEnum):
    """How sure it is, and whether it goes on."""

    SUSPECTED = "suspected"
    PROBABLE = "probable"
    CONFIRMED = "confirmed"
    DISCARDED = "discarded"  # it was not this illness
    CLOSED = "closed"  # it was, and is over


class Outcome(StrEnum):
    """How a case ended."""

    RECOVERED = "recovered"
    DIED = "died"
    MOVED = "moved"  # looked after by somebody outside this register
    LOST = "lost"  # nobody can be found any more


class CaseSource(StrEnum):
    """How a case became known."""

    INTAKE = "intake"  # taken down by a health worker
    IMPORT = "import"
    LABORATORY = "laboratory"


class Method(StrEnum):
    """How a sample was examined."""

    PCR = "pcr"
    ANTIGEN = "antigen"
    ANTIBODY = "antibody"
    OTHER = "other"


class Result(StrEnum):
    """What the laboratory found."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    INCONCLUSIVE = "inconclusive"


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an illness. Days are of the Vietnamese calendar."""

    status: CaseStatus
    reported_on: dt.date
    has_symptoms: bool | None = None  # None: not asked
    onset: dt.date | None = None  # first symptom
    sampled_on: dt.date | None = None
    outcome: Outcome | None = None
    outcome_on: dt.date | None = None


OPEN: Final = frozenset({CaseStatus.SUSPECTED, CaseStatus.PROBABLE, CaseStatus.CONFIRMED})
# Whose contacts count: a suspicion alone puts nobody into quarantine.
INDEX: Final = frozenset({CaseStatus.PROBABLE, CaseStatus.CONFIRMED})

_ALLOWED: Final = {
    CaseStatus.SUSPECTED: {CaseStatus.PROBABLE, CaseStatus.CONFIRMED, CaseStatus.DISCARDED},
    CaseStatus.PROBABLE: {
        CaseStatus.SUSPECTED,
        CaseStatus.CONFIRMED,
        CaseStatus.DISCARDED,
        CaseStatus.CLOSED,
    },
    CaseStatus.CONFIRMED: {CaseStatus.DISCARDED, CaseStatus.CLOSED},
    # Opened again, a case is what it was before.
    CaseStatus.DISCARDED: OPEN,
    CaseStatus.CLOSED: OPEN,
}


class CourseError(Refused):
    """This cannot be what happened; `field` says what to look at."""

    def __init__(self, field: str, message: str, **values: Any) -> None:
        super().__init__(422, f"case-{field}", message, **values)
        self.field = field


def check_course(course: Course, today: dt.date, birth: str = "") -> None:
    """Refuse what cannot have happened. `birth`: ISO day, year alone, or unknown.

    Raises CourseError.
    """
    days = {
        "reported_on": course.reported_on,
        "onset": course.onset,
        "sampled_on": course.sampled_on,
        "outcome_on": course.outcome_on,
    }
    for field, day in days.items():
        if day is not None and day > today:
            raise CourseError(field, _("This day is in the future."))
        if day is not None and day < FIRST_DAY:
            raise CourseError(field, _("This day is before the epidemic. Please check the year."))
        if day is not None and birth and day < _first_day_of_life(birth):
            raise CourseError(field, _("This day is before the person was born."))
    if course.has_symptoms is False and course.onset:
        raise CourseError("onset", _("Without symptoms there is no day on which they began."))
    _check_end(course)


def _check_end(course: Course) -> None:
    if (course.outcome is not None) != (course.status is CaseStatus.CLOSED):
        raise CourseError("outcome", _("A closed case has an outcome, and an open one has none."))
    if course.outcome is None:
        if course.outcome_on is not None:
            raise CourseError("outcome_on", _("There is a day of the outcome without an outcome."))
        return
    if course.outcome_on is None:
        raise CourseError("outcome_on", _("Please give the day of the outcome."))
    if course.onset and course.onset > course.outcome_on:
        raise CourseError(
            "outcome_on",
            _("Symptoms cannot have begun after the person died.")
            if course.outcome is Outcome.DIED
            else _("The outcome cannot be before the first symptoms."),
        )
    # A sample may be taken of somebody who has died; nobody is sampled as a case after recovery.
    if (
        course.sampled_on
        and course.outcome is Outcome.RECOVERED
        and course.sampled_on > course.outcome_on
    ):
        raise CourseError("outcome_on", _("The recovery cannot be before the positive sample."))


def _first_day_of_life(birth: str) -> dt.date:
    return dt.date.fromisoformat(birth if len(birth) > 4 else f"{birth}-01-01")


def check_transition(before: CaseStatus, after: CaseStatus) -> None:
    """Refuse a step that a case cannot take. Raises CourseError."""
    if before is after or after in _ALLOWED[before]:
        return
    messages = {
        CaseStatus.CONFIRMED: _(
            "A confirmed case does not become less sure again. If it was a mistake, discard it."
        ),
        CaseStatus.SUSPECTED: _(
            "A suspicion is not closed with an outcome: confirm it, or discard it."
        ),
    }
    over = _("This case is over. Open it again first.")
    raise CourseError("status", messages.get(before, over))


# --- infectious period -------------------------------------------------------------------
INFECTIOUS_KIND: Final = "infectious-period"
_Days = Annotated[int, msgspec.Meta(ge=0, le=60)]


class InfectiousRule(msgspec.Struct, frozen=True, kw_only=True):
    """From when to when a case is taken for infectious, in days around an anchor.

    The anchor is the onset, without symptoms the day of the sample, without both the report.
    """

    before_onset: _Days = 2
    after_onset: _Days = 10
    before_sample: _Days = 2
    after_sample: _Days = 10
    source: str = (
        "Bộ Y tế, 11042/BYT-DP (29/12/2021); WHO, Criteria for releasing COVID-19 patients"
        " from isolation (17/06/2020)"
    )


SHIPPED_INFECTIOUS: Final = InfectiousRule()


class Anchor(StrEnum):
    """What the infectious period is counted from."""

    ONSET = "onset"
    SAMPLE = "sample"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class InfectiousPeriod:
    """First and last day, and what they were counted from."""

    first: dt.date
    last: dt.date
    anchor: Anchor


def infectious_period(course: Course, rule: InfectiousRule) -> InfectiousPeriod:
    """When the person could infect others, as far as is known. Death ends it."""
    if course.onset:
        anchor, day = Anchor.ONSET, course.onset
        before, after = rule.before_onset, rule.after_onset
    else:
        anchor = Anchor.SAMPLE if course.sampled_on else Anchor.REPORT
        day = course.sampled_on or course.reported_on
        before, after = rule.before_sample, rule.after_sample
    last = day + dt.timedelta(days=after)
    if course.outcome is Outcome.DIED and course.outcome_on:
        last = min(last, course.outcome_on)
    first = min(day - dt.timedelta(days=before), last)
    return InfectiousPeriod(first, last, anchor)


# --- results -----------------------------------------------------------------------------
LABORATORY_KIND: Final = "laboratory"


class LaboratoryRule(msgspec.Struct, frozen=True, kw_only=True):
    """Which methods decide. Any other positive makes a case probable, any other negative nothing.

    An antigen test misses some of the ill, so it discards nobody.
    """

    confirming: frozenset[Method] = frozenset({Method.PCR})
    discarding: frozenset[Method] = frozenset({Method.PCR})
    suggesting: frozenset[Method] = frozenset({Method.ANTIGEN, Method.OTHER})
    # A later positive of somebody whose case ended so recently belongs to the same illness.
    same_illness_days: int = 90
    source: str = "Bộ Y tế, 3638/QĐ-BYT (30/07/2021)"


SHIPPED_LABORATORY: Final = LaboratoryRule()


@dataclass(frozen=True, slots=True)
class Finding:
    """One result that is in force, as far as a decision needs it."""

    method: Method
    result: Result


class Verdict(StrEnum):
    """What a new result means for a person."""

    OPENS = "opens"  # nobody knew: a new case
    STRENGTHENS = "strengthens"  # an open case becomes probable or confirmed
    DISCARDS = "discards"  # a suspicion is over
    ATTACHED = "attached"  # kept with the case, which stays as it is
    CONTRADICTS = "contradicts"  # kept, and somebody has to decide
    NOTED = "noted"  # a person without a case


def status_of_positive(method: Method, rule: LaboratoryRule) -> CaseStatus | None:
    """What a positive result by this method makes of a person; None: nothing by itself."""
    if method in rule.confirming:
        return CaseStatus.CONFIRMED
    return CaseStatus.PROBABLE if method in rule.suggesting else None


def judge(
    new: Finding, status: CaseStatus | None, others: Iterable[Finding], rule: LaboratoryRule
) -> tuple[Verdict, CaseStatus | None]:
    """What a new result does to the case of a person, and the status it has then.

    `status`: of the open case, None without one. `others`: the results the case has already.
    """
    if new.result is Result.POSITIVE:
        found = status_of_positive(new.method, rule)
        if found is None:
            return (Verdict.ATTACHED if status else Verdict.NOTED), status
        if status is None:
            return Verdict.OPENS, found
        surer = {CaseStatus.SUSPECTED: 0, CaseStatus.PROBABLE: 1, CaseStatus.CONFIRMED: 2}
        if surer[found] > surer[status]:
            return Verdict.STRENGTHENS, found
        return Verdict.ATTACHED, status
    if status is None:
        return Verdict.NOTED, None
    if new.result is Result.NEGATIVE and new.method in rule.discarding:
        positive = any(one.result is Result.POSITIVE for one in others)
        if status is CaseStatus.SUSPECTED and not positive:
            return Verdict.DISCARDS, CaseStatus.DISCARDED
        if not positive or status is not CaseStatus.CONFIRMED:
            # Of a confirmed case with its positive a negative is how it ends, and expected.
            return Verdict.CONTRADICTS, status
    return Verdict.ATTACHED, status


# --- references --------------------------------------------------------------------------
def new_reference() -> str:
    """A name for a case that says nothing of it: "7K3M-92QD"."""
    letters = "".join(secrets.choice(_ALPHABET) for _letter in range(_REFERENCE_LETTERS))
    return f"{letters[:4]}-{letters[4:]}"


def typed_reference(text: str) -> str:
    """A reference as somebody typed or read it."""
    letters = "".join(one for one in text.upper() if one.isalnum())
    if len(letters) != _REFERENCE_LETTERS:
        return text.strip().upper()
    return f"{letters[:4]}-{letters[4:]}"
