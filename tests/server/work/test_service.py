"""Work on both stores: made once, given out fairly, recorded once, handed on, and stopped."""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Sequence

import pytest
from sqlalchemy import select

from bluezone.clock import ManualClock
from bluezone.server.contacts.tables import Rank
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import EVERYWHERE
from bluezone.server.people.service import Colleague
from bluezone.server.work import lists, records, service, teams
from bluezone.server.work.rules import Answers, Symptom, TaskKind, TaskOutcome, at_hour
from bluezone.server.work.service import Choice, Entry, Recorded, Seen
from bluezone.server.work.tables import Task, TaskEvent, Team
from tests.server.conftest import BA_DINH, LIEN_CHIEU, NGOC_HA, NOON, RunJob
from tests.server.work.conftest import TODAY, AddPerson, Worker, set_rank

FORM = "form-0123456789abcdef"


async def tasks(services: Services, person_id: int | None = None) -> list[Task]:
    async with services.database.read() as session:
        query = select(Task).order_by(Task.id)
        if person_id is not None:
            query = query.where(Task.person_id == person_id)
        return list(await session.scalars(query))


async def standing(services: Services, person_id: int) -> list[tuple[str, str, str | None]]:
    return [(one.kind, one.state, one.outcome) for one in await tasks(services, person_id)]


async def events(services: Services, task_id: int) -> list[str]:
    async with services.database.read() as session:
        return [one.kind for one in reversed(await lists.history(session, task_id))]


async def finish(
    services: Services, staff: Staff, task: Task, outcome: TaskOutcome, **more: object
) -> Recorded:
    entry = Entry(outcome, **({"form": f"form-{task.id:016}-{task.revision}"} | more))  # type: ignore[arg-type]
    async with services.database.transaction() as session:
        return await service.done(session, services, staff, Seen(task.id, task.revision), entry)


async def make_team(
    services: Services, staff: Staff, members: Sequence[Staff], *, automatic: bool = False
) -> Team:
    async with services.database.transaction() as session:
        team = await teams.make(
            session, staff, unit=BA_DINH, name="Tổ 1", automatic=automatic, now=services.now
        )
        for one in members:
            await teams.add_member(session, team, Colleague(one.account_id, one.name, one.unit))
    return team


async def test_what_the_rules_want_is_made_once_and_stops_when_the_rank_goes(
    services: Services, add_person: AddPerson
) -> None:
    person = await add_person()
    assert await standing(services, person) == [("call", "open", None)]
    assert await set_rank(services, person, 1, TODAY) == 0
    assert await set_rank(services, person, None, None) == 1
    assert await standing(services, person) == [("call", "cancelled", "not-needed")]
    await set_rank(services, person, 1, TODAY)
    assert await standing(services, person) == [("call", "open", None)]
    await set_rank(services, person, 0, TODAY)
    assert await standing(services, person) == [
        ("call", "cancelled", "not-needed"),
        ("interview", "open", None),
    ]
    (call, _interview) = await tasks(services, person)
    assert await events(services, call.id) == [
        *("made", "cancelled", "reopened", "cancelled"),
    ]


async def test_planned_twice_at_once_it_is_made_once(
    services: Services, add_person: AddPerson
) -> None:
    person = await add_person(rank=3)
    async with services.database.transaction() as session:
        found = await session.get(Rank, person)
        assert found
        found.rank = found.shown = 1

    async def plan() -> None:
        async with services.database.transaction() as session:
            await service.follow_up(session, services.now, [person])

    await asyncio.gather(*(plan() for _ in range(5)))
    assert await standing(services, person) == [("call", "open", None)]


async def test_the_hourly_job_makes_the_tasks_of_each_day_until_the_end(
    services: Services,
    clock: ManualClock,
    add_person: AddPerson,
    worker: Worker,
    run_job: RunJob,
) -> None:
    lan, person = await worker(), await add_person()
    (call,) = await tasks(services)
    await finish(services, lan, call, TaskOutcome.REACHED)
    first = dt.date(2021, 1, 20)
    for day in range(21):
        for hour in (0, 12):
            clock.set(max(NOON, at_hour(first + dt.timedelta(days=day), hour)))
            await run_job("make-tasks")
            await run_job("make-tasks")
    made = Counter(one.kind for one in await tasks(services, person))
    assert made == {"call": 1, "test": 3, "quarantine-check": 14}
    assert {one.outcome for one in await tasks(services, person) if one.kind != "call"} == {
        "missed"
    }


async def test_an_entry_is_kept_sealed_and_counts_once_however_often_it_is_sent(
    services: Services, add_person: AddPerson, worker: Worker
) -> None:
    lan, person = await worker(), await add_person()
    (call,) = await tasks(services)
    ill = Answers(symptoms=(Symptom.FEVER,), note="sốt từ hôm qua")
    sent = [
        finish(services, lan, call, TaskOutcome.REACHED, form=FORM, answers=ill) for _ in range(4)
    ]
    recorded = await asyncio.gather(*sent)
    assert sorted(one.again for one in recorded) == [False, True, True, True]
    assert await standing(services, person) == [
        ("call", "done", "symptoms"),
        ("test", "open", None),
    ]
    async with services.database.read() as session:
        (event,) = await session.scalars(select(TaskEvent).where(TaskEvent.form == FORM))
        assert event.note
        assert "sốt".encode() not in event.note
        key = records.sealer(services.settings.secrets_folder)
        assert records.answers_of(key, event) == ill
    with pytest.raises(Refused, match="form-unknown"):
        await finish(services, await worker("binh"), call, TaskOutcome.REACHED, form=FORM)


async def test_of_two_on_one_task_one_is_told_who_was_faster_and_can_add_theirs(
    services: Services, add_person: AddPerson, worker: Worker
) -> None:
    lan, binh, person = await worker(), await worker("binh"), await add_person()
    (call,) = await tasks(services)

    async def attempt(staff: Staff, form: str) -> Recorded | Refused:
        try:
            return await finish(services, staff, call, TaskOutcome.SYMPTOMS, form=form)
        except Refused as refused:
            return refused

    answers = await asyncio.gather(attempt(lan, f"{FORM}-a"), attempt(binh, f"{FORM}-b"))
    (told,) = (one for one in answers if isinstance(one, Refused))
    assert told.status_code == 409
    assert told.values["name"] in ("lan", "binh")
    slower = binh if told.values["name"] == "lan" else lan
    late = await finish(services, slower, call, TaskOutcome.NO_ANSWER, form=f"{FORM}-c", also=True)
    assert late.task.outcome == "symptoms"
    assert await events(services, call.id) == ["made", "done", "also"]
    assert [one[0] for one in await standing(services, person)] == ["call", "test"]


async def test_no_answer_comes_again_and_at_last_somebody_goes(
    services: Services, add_person: AddPerson, worker: Worker
) -> None:
    lan, person = await worker(), await add_person()
    for again in (True, True, False):
        task = (await tasks(services, person))[0]
        recorded = await finish(services, lan, task, TaskOutcome.NO_ANSWER)
        assert recorded.step
        assert recorded.step.again is again
    assert await standing(services, person) == [
        ("call", "done", "no-answer"),
        ("visit", "open", None),
    ]
    (_call, visit) = await tasks(services, person)
    assert visit.assignee_name == "lan"
    await set_rank(services, person, None, None)
    assert (await standing(services, person))[1] == ("visit", "cancelled", "not-needed")


async def test_the_proposed_step_can_be_changed(
    services: Services, add_person: AddPerson, worker: Worker
) -> None:
    lan, person = await worker(), await add_person()
    (call,) = await tasks(services)
    when = NOON + 3 * 86400
    await finish(services, lan, call, TaskOutcome.SYMPTOMS, choice=Choice(TaskKind.VISIT, when))
    (_call, visit) = await tasks(services, person)
    assert (visit.kind, visit.due_at) == ("visit", when)
    await finish(services, lan, visit, TaskOutcome.SYMPTOMS, choice=Choice(None))
    assert len(await tasks(services, person)) == 2
    with pytest.raises(Refused, match="outcome-unknown"):
        await finish(services, lan, visit, TaskOutcome.SAMPLED, form=FORM)


async def test_a_team_gets_its_tasks_in_turn_even_from_two_who_assign_at_once(
    services: Services, add_person: AddPerson, worker: Worker
) -> None:
    members = [await worker(name) for name in ("lan", "binh", "cuc")]
    team = await make_team(services, members[0], members)
    for _ in range(10):
        await add_person()
    seen = [Seen(one.id, one.revision) for one in await tasks(services)]

    async def assign(mine: Sequence[Seen]) -> tuple[int, int]:
        async with services.database.transaction() as session:
            return await service.assign(session, services, members[0], mine, team)

    await asyncio.gather(*(assign(seen[start::5]) for start in range(5)))
    shares = Counter(one.assignee_name for one in await tasks(services))
    assert sorted(shares.values()) == [3, 3, 4]
    assert await assign(seen[:2]) == (0, 2), "changed since they were seen"


async def test_an_automatic_team_takes_what_is_new_and_keeps_whom_it_knows(
    services: Services, clock: ManualClock, add_person: AddPerson, worker: Worker, run_job: RunJob
) -> None:
    members = [await worker(name) for name in ("lan", "binh")]
    await make_team(services, members[0], members, automatic=True)
    persons = [await add_person() for _ in range(4)]
    calls = await tasks(services)
    assert Counter(one.assignee_name for one in calls) == {"lan": 2, "binh": 2}
    by_name = {one.name: one for one in members}
    for call in calls:
        await finish(services, by_name[call.assignee_name or ""], call, TaskOutcome.REACHED)
    clock.set(NOON + 86400)
    await run_job("make-tasks")
    for call, person in zip(calls, persons, strict=True):
        later = (await tasks(services, person))[1:]
        assert {one.assignee_name for one in later} == {call.assignee_name}
    async with services.database.transaction() as session:
        await service.release_tasks_of(session, by_name["lan"].account_id, services.now)
    assert {one.assignee_name for one in await tasks(services) if one.state == "open"} == {"binh"}


async def test_a_task_goes_to_another_unit_and_back_with_its_history(
    services: Services, add_person: AddPerson, worker: Worker
) -> None:
    lan, hoa = await worker(), await worker("hoa", LIEN_CHIEU)
    await add_person()
    (call,) = await tasks(services)
    async with services.database.transaction() as session:
        await service.hand_over(
            session,
            services,
            lan,
            Seen(call.id, call.revision),
            to_unit="20197",
            reason="đang ở Đà Nẵng",
        )
    async with services.database.read() as session:
        with pytest.raises(Refused, match="task-unknown"):
            await service.get(session, lan.scope, call.id)
        assert (await service.get(session, hoa.scope, call.id)).unit == LIEN_CHIEU
        (given,) = await lists.given_away(session, lan.scope)
        assert (given.handover.to_unit, given.task.id) == (LIEN_CHIEU, call.id)
        assert await lists.given_away(session, hoa.scope) == []
    async with services.database.transaction() as session:
        task = await service.get(session, hoa.scope, call.id)
        back = Seen(task.id, task.revision)
        await service.hand_over(session, services, hoa, back, to_unit=BA_DINH, reason="về rồi")
    async with services.database.read() as session:
        assert await service.get(session, lan.scope, call.id)
        assert await lists.given_away(session, lan.scope) == []
        assert len(await lists.given_away(session, hoa.scope)) == 1
    assert await events(services, call.id) == ["made", "handed-over", "handed-over"]
    for unit, reason, error in (
        (BA_DINH, "vì sao", "handover-unit"),
        ("20197", "", "handover-reason"),
        ("00008", "vì sao", "handover-nobody"),
        ("99999", "vì sao", "unit-unknown"),
    ):
        async with services.database.transaction() as session:
            task = await service.get(session, lan.scope, call.id)
            seen = Seen(task.id, task.revision)
            with pytest.raises(Refused, match=error):
                await service.hand_over(session, services, lan, seen, to_unit=unit, reason=reason)


async def test_two_records_that_were_one_have_one_list_and_the_merge_is_undone(
    services: Services, add_person: AddPerson
) -> None:
    kept, double = await add_person(), await add_person("Tran Thi Lan")
    async with services.database.transaction() as session:
        moved = await service.move_person(session, double, kept, services.now)
        await service.follow_up(session, services.now, [kept])
    assert await standing(services, kept) == [
        ("call", "open", None),
        ("call", "cancelled", "double"),
    ]
    async with services.database.transaction() as session:
        await service.move_back(session, moved, double, services.now)
        await service.follow_up(session, services.now, [kept, double])
    for person in (kept, double):
        assert await standing(services, person) == [("call", "open", None)]


async def test_pages_hold_everything_once_and_counts_agree(
    services: Services, add_person: AddPerson, worker: Worker
) -> None:
    lan = await worker()
    for unit in (BA_DINH, NGOC_HA, LIEN_CHIEU):
        for rank in (0, 1, 2):
            await add_person(rank=rank, last=None if rank == 0 else TODAY, unit=unit)
    async with services.database.read() as session:
        found, after = [], ""
        while True:
            rows, after = await lists.page(
                session, lists.Wish(EVERYWHERE), now=services.now, after=after, limit=2
            )
            found += rows
            if not after:
                break
        assert len({one.id for one in found}) == 9
        assert [(one.due_at, one.id) for one in found] == sorted(
            (one.due_at, one.id) for one in found
        )
        counted = await lists.counts(session, lists.Wish(EVERYWHERE), now=services.now, below="vn")
        assert {path: one.all for path, one in counted.by_unit.items()} == {"vn.01": 6, "vn.48": 3}
        assert counted.by_kind[TaskKind.CALL].all == 6
        mine, _after = await lists.page(session, lists.Wish(lan.scope), now=services.now)
        assert {one.unit for one in mine} == {BA_DINH}
        with pytest.raises(Refused, match="page-unknown"):
            await lists.page(session, lists.Wish(EVERYWHERE), now=services.now, after="x.1")
