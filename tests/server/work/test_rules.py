"""What the rules want: the same whenever they are asked, nothing for whom it does not concern."""

import datetime as dt
from dataclasses import dataclass, field, replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bluezone.protocol.intervals import vietnam_day, vietnam_time
from bluezone.server.work.follow_up import Followed, FollowUp, Made, plan
from bluezone.server.work.rules import (
    KIND_WORDS,
    OUTCOME_WORDS,
    OUTCOMES,
    Answers,
    NextSteps,
    Stop,
    Symptom,
    TaskKind,
    TaskOutcome,
    TaskState,
    at_hour,
    before_night,
    by_day,
    is_failed_try,
    next_step,
    outcome_of,
)
from bluezone.web.catalogue import translate

DAY = dt.date(2021, 1, 20)
MORNING = at_hour(DAY, 9)
F1 = Followed(1, DAY, 14)
RULES = FollowUp()
STEPS = NextSteps()
times = st.integers(MORNING, MORNING + 10 * 86400)


def wanted(person: Followed, now: int, *made: Made) -> list[tuple[str, str, str]]:
    found = plan(RULES, person, made, now)
    return [
        (one.kind.value, one.occasion, vietnam_time(one.due_at).strftime("%d %H:%M"))
        for one in found.make
    ]


def test_a_new_contact_is_called_within_a_day_and_one_of_theirs_within_two() -> None:
    assert wanted(F1, MORNING) == [("call", "F1:2021-01-20", "21 09:00")]
    assert wanted(replace(F1, rank=2), MORNING) == [("call", "F2:2021-01-20", "22 09:00")]
    assert wanted(replace(F1, rank=3), MORNING) == []


def test_a_new_case_is_interviewed_within_a_day_and_once_in_an_illness() -> None:
    case = Followed(0, None, 14)
    assert wanted(case, MORNING) == [("interview", "2021-01-20", "21 09:00")]
    done = Made(1, TaskKind.INTERVIEW, "interview", "2021-01-01", TaskState.DONE, DAY)
    assert wanted(case, MORNING, done) == []
    old = replace(done, occasion="2020-10-01")
    assert len(wanted(case, MORNING, old)) == 1


def test_who_is_found_late_is_tested_once_and_checked_after_the_call() -> None:
    now = at_hour(DAY + dt.timedelta(days=8), 10)
    assert [one[0] for one in wanted(F1, now)] == ["call", "test"]
    assert [one[1] for one in wanted(F1, now) if one[0] == "test"] == ["2021-01-27"]
    call = Made(1, TaskKind.CALL, "call", "F1:2021-01-20", TaskState.OPEN, DAY)
    assert [one[0] for one in wanted(F1, now, call)] == ["test"]
    called = replace(call, state=TaskState.DONE, closed_on=vietnam_day(now))
    assert [one[0] for one in wanted(F1, now, called)] == ["test"]
    assert "quarantine-check" in [one[0] for one in wanted(F1, now + 86400, called)]


def test_what_was_cancelled_by_hand_stays_cancelled_and_by_rule_comes_again() -> None:
    by_hand = Made(
        1, TaskKind.CALL, "call", "F1:2021-01-20", TaskState.CANCELLED, DAY, stop=Stop.BY_HAND
    )
    assert not plan(RULES, F1, [by_hand], MORNING)
    by_rule = replace(by_hand, stop=Stop.NOT_NEEDED)
    assert [one[0] for one in plan(RULES, F1, [by_rule], MORNING).reopen] == [1]


def test_another_dutys_task_is_not_stopped() -> None:
    asked = Made(1, TaskKind.CHECK_EVIDENCE, "evidence", "ab12", TaskState.OPEN, DAY)
    assert not plan(RULES, Followed(None, None, 14), [asked], MORNING)


def test_a_changed_rule_counts() -> None:
    stricter = msgspec.json.decode(
        b'{"first_call_hours": {"1": 4}, "checked_ranks": [1, 2]}', type=FollowUp
    )
    (call,) = plan(stricter, F1, [], MORNING).make
    assert call.due_at == MORNING + 4 * 3600
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"test_days": [-1]}', type=FollowUp)


@given(st.integers(0, 2**31))
def test_nobody_is_called_at_night_and_nothing_moves_by_more_than_a_night(at: int) -> None:
    for moved in (by_day(at), before_night(at)):
        local = vietnam_time(moved)
        assert 8 <= local.hour < 20 or (local.hour, local.minute) == (20, 0)
        assert abs(moved - at) <= 12 * 3600
    assert before_night(at) <= at <= by_day(at)


# --- outcomes ----------------------------------------------------------------------------
def test_no_answer_comes_again_after_two_hours_and_the_third_time_somebody_goes() -> None:
    steps = [
        next_step(STEPS, TaskKind.CALL, TaskOutcome.NO_ANSWER, tries=tries, now=MORNING)
        for tries in range(3)
    ]
    assert [(one.kind, one.again) for one in steps if one] == [
        (TaskKind.CALL, True),
        (TaskKind.CALL, True),
        (TaskKind.VISIT, False),
    ]
    assert steps[0]
    assert steps[0].due_at == MORNING + 7200


def test_symptoms_lead_to_a_test_today() -> None:
    for kind in (TaskKind.CALL, TaskKind.VISIT, TaskKind.QUARANTINE_CHECK):
        step = next_step(STEPS, kind, TaskOutcome.SYMPTOMS, tries=0, now=MORNING)
        assert step
        assert (step.kind, vietnam_day(step.due_at)) == (TaskKind.TEST, DAY)


def test_ticked_symptoms_count_whichever_button_was_met() -> None:
    ill = Answers(symptoms=(Symptom.FEVER,))
    assert outcome_of(TaskOutcome.REACHED, ill) is TaskOutcome.SYMPTOMS
    assert outcome_of(TaskOutcome.NO_ANSWER, ill) is TaskOutcome.NO_ANSWER
    assert outcome_of(TaskOutcome.REACHED, Answers(note="x")) is TaskOutcome.REACHED


@given(st.sampled_from(TaskKind), times, st.integers(1, 20))
def test_who_meets_nobody_comes_to_an_end(kind: TaskKind, now: int, tries: int) -> None:
    steps, failed, done = NextSteps(tries=tries), 0, 0
    while done < 4 * tries + 1:
        nobody = next((one for one in OUTCOMES[kind] if is_failed_try(kind, one)), None)
        if nobody is None:
            return
        step = next_step(steps, kind, nobody, tries=failed, now=now)
        done += 1
        if step is None:
            return
        assert step.due_at > now
        failed = failed + 1 if step.again else 0
        assert step.again == (step.kind is kind)
        kind, now = step.kind, step.due_at
    raise AssertionError("tries without end")


@pytest.mark.parametrize("kind", TaskKind)
def test_every_outcome_has_words_and_a_step_of_another_kind_is_a_new_task(kind: TaskKind) -> None:
    assert translate(KIND_WORDS[kind]) != KIND_WORDS[kind]
    for outcome in OUTCOMES[kind]:
        assert translate(OUTCOME_WORDS[outcome]) != OUTCOME_WORDS[outcome]
        step = next_step(STEPS, kind, outcome, tries=99, now=MORNING)
        assert step is None or not step.again


# --- over weeks --------------------------------------------------------------------------
@dataclass
class World:
    """One person's tasks as the service keeps them, without the service."""

    person: Followed = field(default_factory=lambda: Followed(None, None, 14))
    now: int = MORNING
    made: list[Made] = field(default_factory=list)

    def replan(self) -> None:
        found = plan(RULES, self.person, self.made, self.now)
        for task_id, stop in found.stop:
            self.set(task_id, state=TaskState.CANCELLED, stop=stop, closed_on=self.today)
        for task_id, _due in found.reopen:
            self.set(task_id, state=TaskState.OPEN, stop=None, closed_on=None)
        for one in found.make:
            assert one.due_at > self.now
            self.made.append(
                Made(
                    len(self.made),
                    one.kind,
                    one.kind.value,
                    one.occasion,
                    TaskState.OPEN,
                    self.today,
                )
            )

    def set(self, task_id: int, **values: object) -> None:
        self.made[task_id] = replace(self.made[task_id], **values)  # type: ignore[arg-type]

    @property
    def today(self) -> dt.date:
        return vietnam_day(self.now)

    @property
    def open(self) -> list[Made]:
        return [one for one in self.made if one.state is TaskState.OPEN]


class Weeks(RuleBasedStateMachine):
    """Ranks come and go, workers work or do not, hours pass."""

    world: World

    @initialize()
    def begin(self) -> None:
        self.world = World()

    @rule(rank=st.sampled_from([None, 0, 1, 2, 3]), days=st.integers(0, 20))
    def a_rank_changes(self, rank: int | None, days: int) -> None:
        day = self.world.today - dt.timedelta(days=days) if rank else None
        self.world.person = Followed(rank, day, 14)

    @rule(hours=st.integers(1, 60))
    def time_passes(self, hours: int) -> None:
        self.world.now += hours * 3600

    @rule(pick=st.integers(0, 9), state=st.sampled_from([TaskState.DONE, TaskState.CANCELLED]))
    def somebody_works(self, pick: int, state: TaskState) -> None:
        if self.world.open:
            one = self.world.open[pick % len(self.world.open)]
            stop = Stop.BY_HAND if state is TaskState.CANCELLED else None
            self.world.set(one.id, state=state, stop=stop, closed_on=self.world.today)

    @invariant()
    def the_rules_are_kept(self) -> None:
        world = self.world
        world.replan()
        assert not plan(RULES, world.person, world.made, world.now), "again changes nothing"
        keys = [(one.rule, one.occasion) for one in world.made]
        assert len(keys) == len(set(keys)), "an occasion has one task"
        kinds = [one.kind for one in world.open]
        assert len(kinds) == len(set(kinds)), "one open task of a kind"
        rank = world.person.rank
        if rank is None:
            assert kinds == []
        elif rank == 0:
            assert set(kinds) <= {TaskKind.INTERVIEW}
        else:
            assert TaskKind.INTERVIEW not in kinds
        last = world.person.last_exposed_on
        if last and (world.today - last).days > 14 + RULES.late_test_days:
            assert kinds == []


TestWeeks = Weeks.TestCase
