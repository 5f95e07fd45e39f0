"""What kinds of task there are, how one can end, and what follows from that. Pure."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from bluezone.protocol.intervals import VIETNAM, vietnam_time
from bluezone.protocol.unprintable import Unprintable
from bluezone.web.catalogue import _

HOUR: Final = 3600
DAY_BEGINS: Final = 8  # by the clock in Vietnam: nobody is called at night
DAY_ENDS: Final = 20


class TaskKind(StrEnum):
    """What there is to do."""

    INTERVIEW = "interview"  # a new case: onset, household, whom they met
    CALL = "call"  # a contact, for the first time
    TEST = "test"
    VISIT = "visit"
    QUARANTINE_CHECK = "quarantine-check"
    CHECK_EVIDENCE = "check-evidence"  # what a phone says of a contact


class TaskState(StrEnum):
    """Where a task stands."""

    OPEN = "open"
    DONE = "done"
    CANCELLED = "cancelled"


class TaskOutcome(StrEnum):
    """How somebody's try went."""

    REACHED = "reached"  # spoken to, and well
    SYMPTOMS = "symptoms"  # spoken to or met, and ill
    NO_ANSWER = "no-answer"
    WRONG_NUMBER = "wrong-number"
    REFUSED = "refused"
    SAMPLED = "sampled"
    NOT_THERE = "not-there"
    MET = "met"  # at home, and well
    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not-confirmed"


class Stop(StrEnum):
    """Why a task was cancelled."""

    NOT_NEEDED = "not-needed"  # by rule: the rank went, the person became a case
    MISSED = "missed"  # by rule: its day is over
    DOUBLE = "double"  # two records of one person were merged
    BY_HAND = "by-hand"


class EventKind(StrEnum):
    """What a line of a task's history says."""

    MADE = "made"
    ASSIGNED = "assigned"
    TAKEN = "taken"
    RELEASED = "released"  # the assignee left
    TRIED = "tried"  # an outcome after which the same task comes again
    DONE = "done"
    ALSO = "also"  # an outcome beside the one that a colleague recorded before
    CANCELLED = "cancelled"
    REOPENED = "reopened"
    HANDED_OVER = "handed-over"
    MOVED = "moved"  # to the record that was kept of two


class Symptom(StrEnum):
    """What is asked about on the call sheet."""

    FEVER = "fever"
    COUGH = "cough"
    SORE_THROAT = "sore-throat"
    BREATHLESS = "breathless"
    TASTE_OR_SMELL = "taste-or-smell"


# The first is the usual one: it comes first under the thumb.
OUTCOMES: Final[dict[TaskKind, tuple[TaskOutcome, ...]]] = {
    TaskKind.INTERVIEW: (
        TaskOutcome.REACHED,
        TaskOutcome.NO_ANSWER,
        TaskOutcome.WRONG_NUMBER,
        TaskOutcome.REFUSED,
    ),
    TaskKind.CALL: (
        TaskOutcome.REACHED,
        TaskOutcome.SYMPTOMS,
        TaskOutcome.NO_ANSWER,
        TaskOutcome.WRONG_NUMBER,
        TaskOutcome.REFUSED,
    ),
    TaskKind.TEST: (TaskOutcome.SAMPLED, TaskOutcome.NOT_THERE, TaskOutcome.REFUSED),
    TaskKind.VISIT: (
        TaskOutcome.MET,
        TaskOutcome.SYMPTOMS,
        TaskOutcome.NOT_THERE,
        TaskOutcome.REFUSED,
    ),
    TaskKind.QUARANTINE_CHECK: (
        TaskOutcome.REACHED,
        TaskOutcome.SYMPTOMS,
        TaskOutcome.NO_ANSWER,
        TaskOutcome.NOT_THERE,
        TaskOutcome.REFUSED,
    ),
    TaskKind.CHECK_EVIDENCE: (TaskOutcome.CONFIRMED, TaskOutcome.NOT_CONFIRMED),
}
_WELL: Final = (TaskOutcome.REACHED, TaskOutcome.MET)

KIND_WORDS: Final[dict[TaskKind, str]] = {
    TaskKind.INTERVIEW: _("Interview"),
    TaskKind.CALL: _("Call"),
    TaskKind.TEST: _("Test"),
    TaskKind.VISIT: _("Visit"),
    TaskKind.QUARANTINE_CHECK: _("Quarantine check"),
    TaskKind.CHECK_EVIDENCE: _("Check evidence"),
}
OUTCOME_WORDS: Final[dict[TaskOutcome, str]] = {
    TaskOutcome.REACHED: _("Reached, is well"),
    TaskOutcome.SYMPTOMS: _("Has symptoms"),
    TaskOutcome.NO_ANSWER: _("No answer"),
    TaskOutcome.WRONG_NUMBER: _("Wrong number"),
    TaskOutcome.REFUSED: _("Refuses"),
    TaskOutcome.SAMPLED: _("Sample taken"),
    TaskOutcome.NOT_THERE: _("Not there"),
    TaskOutcome.MET: _("Met, is well"),
    TaskOutcome.CONFIRMED: _("Evidence holds"),
    TaskOutcome.NOT_CONFIRMED: _("Evidence does not hold"),
}
STOP_WORDS: Final[dict[Stop, str]] = {
    Stop.NOT_NEEDED: _("no longer needed"),
    Stop.MISSED: _("missed: its day is over"),
    Stop.DOUBLE: _("double: two records were one person"),
    Stop.BY_HAND: _("cancelled by hand"),
}
SYMPTOM_WORDS: Final[dict[Symptom, str]] = {
    Symptom.FEVER: _("fever"),
    Symptom.COUGH: _("cough"),
    Symptom.SORE_THROAT: _("sore throat"),
    Symptom.BREATHLESS: _("short of breath"),
    Symptom.TASTE_OR_SMELL: _("no taste or smell"),
}
EVENT_WORDS: Final[dict[EventKind, str]] = {
    EventKind.MADE: _("made"),
    EventKind.ASSIGNED: _("assigned"),
    EventKind.TAKEN: _("taken"),
    EventKind.RELEASED: _("free again: the colleague has left"),
    EventKind.TRIED: _("tried"),
    EventKind.DONE: _("done"),
    EventKind.ALSO: _("recorded as well"),
    EventKind.CANCELLED: _("cancelled"),
    EventKind.REOPENED: _("open again"),
    EventKind.HANDED_OVER: _("handed over"),
    EventKind.MOVED: _("moved to the record that was kept"),
}


class Answers(Unprintable, frozen=True, kw_only=True):
    """What a person said and a worker wrote; kept sealed."""

    symptoms: tuple[Symptom, ...] = ()
    household: Annotated[str, msgspec.Meta(max_length=300)] = ""  # who else lives there
    staying: Annotated[str, msgspec.Meta(max_length=300)] = ""  # where the person stays
    note: Annotated[str, msgspec.Meta(max_length=2000)] = ""

    def __bool__(self) -> bool:
        return bool(self.symptoms or self.household or self.staying or self.note)


def outcome_of(outcome: TaskOutcome, answers: Answers) -> TaskOutcome:
    """What was found: symptoms that were ticked count, whichever button the thumb met."""
    return TaskOutcome.SYMPTOMS if answers.symptoms and outcome in _WELL else outcome


class NextSteps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rule `next-steps`, version 0: what follows from an outcome."""

    tries: Annotated[int, msgspec.Meta(ge=1, le=20)] = 3  # of one task, then another way
    retry_minutes: Annotated[int, msgspec.Meta(ge=10, le=1440)] = 120
    visit_hours: Annotated[int, msgspec.Meta(ge=1, le=168)] = 24
    test_hours: Annotated[int, msgspec.Meta(ge=1, le=168)] = 4


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next. `again`: the same task once more, else a new one."""

    kind: TaskKind
    due_at: int
    again: bool = False


# Nobody was met or spoken to: the same once more, and after the last try the way beside it.
_NOBODY: Final[dict[tuple[TaskKind, TaskOutcome], TaskKind | None]] = {
    (TaskKind.INTERVIEW, TaskOutcome.NO_ANSWER): TaskKind.VISIT,
    (TaskKind.CALL, TaskOutcome.NO_ANSWER): TaskKind.VISIT,
    (TaskKind.QUARANTINE_CHECK, TaskOutcome.NO_ANSWER): TaskKind.VISIT,
    (TaskKind.TEST, TaskOutcome.NOT_THERE): TaskKind.VISIT,
    (TaskKind.VISIT, TaskOutcome.NOT_THERE): None,  # whoever leads decides
}
_OTHER_WAY: Final[dict[tuple[TaskKind, TaskOutcome], TaskKind]] = {
    (TaskKind.INTERVIEW, TaskOutcome.WRONG_NUMBER): TaskKind.VISIT,
    (TaskKind.INTERVIEW, TaskOutcome.REFUSED): TaskKind.VISIT,
    (TaskKind.CALL, TaskOutcome.SYMPTOMS): TaskKind.TEST,
    (TaskKind.CALL, TaskOutcome.WRONG_NUMBER): TaskKind.VISIT,
    (TaskKind.CALL, TaskOutcome.REFUSED): TaskKind.VISIT,
    (TaskKind.TEST, TaskOutcome.REFUSED): TaskKind.VISIT,
    (TaskKind.VISIT, TaskOutcome.SYMPTOMS): TaskKind.TEST,
    (TaskKind.QUARANTINE_CHECK, TaskOutcome.SYMPTOMS): TaskKind.TEST,
    (TaskKind.QUARANTINE_CHECK, TaskOutcome.NOT_THERE): TaskKind.VISIT,
    (TaskKind.QUARANTINE_CHECK, TaskOutcome.REFUSED): TaskKind.VISIT,
}


def next_step(
    rules: NextSteps, kind: TaskKind, outcome: TaskOutcome, *, tries: int, now: int
) -> Step | None:
    """What the rules propose after an outcome; `tries`: failed ones before this. None: nothing."""
    if (kind, outcome) in _NOBODY:
        if tries + 1 < rules.tries:
            return Step(kind, by_day(now + rules.retry_minutes * 60), again=True)
        other = _NOBODY[kind, outcome]
    else:
        other = _OTHER_WAY.get((kind, outcome))
    if other is None:
        return None
    return Step(other, usual_due(rules, other, now))


def usual_due(rules: NextSteps, kind: TaskKind, now: int) -> int:
    """By when a new task of a kind is usually wanted."""
    hours = rules.test_hours if kind is TaskKind.TEST else rules.visit_hours
    return by_day(now + hours * HOUR)


def is_failed_try(kind: TaskKind, outcome: TaskOutcome) -> bool:
    """Whether nobody was met or spoken to."""
    return (kind, outcome) in _NOBODY


def check_outcome(kind: TaskKind, name: str) -> TaskOutcome | None:
    """The outcome of that name, if a task of this kind can end so."""
    return next((one for one in OUTCOMES[kind] if one.value == name), None)


def by_day(at: int) -> int:
    """`at`, or when it falls into the night the following morning."""
    local = vietnam_time(at)
    if local.hour >= DAY_ENDS:
        local += dt.timedelta(days=1)
    elif local.hour >= DAY_BEGINS:
        return at
    return at_hour(local.date(), DAY_BEGINS)


def before_night(at: int) -> int:
    """`at`, or when it falls into the night the evening before: a deadline is kept awake."""
    local = vietnam_time(at)
    if local.hour < DAY_BEGINS:
        local -= dt.timedelta(days=1)
    elif local.hour < DAY_ENDS:
        return at
    return at_hour(local.date(), DAY_ENDS)


def at_hour(day: dt.date, hour: int) -> int:
    """Unix time of an hour of a Vietnamese day."""
    return int(dt.datetime.combine(day, dt.time(hour), VIETNAM).timestamp())


def day_begins(day: dt.date) -> int:
    """Unix time of the first second of a Vietnamese day."""
    return at_hour(day, 0)
