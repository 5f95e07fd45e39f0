"""Two who write on PostgreSQL never wait for each other: one waits, and both are served."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.people.service import Colleague
from bluezone.server.work import service, teams
from bluezone.server.work.rules import TaskKind, TaskOutcome
from bluezone.server.work.service import Choice, Entry, Seen
from bluezone.server.work.tables import Task, Team
from tests.server.conftest import BA_DINH, NGOC_HA
from tests.server.work.conftest import AddPerson, Worker

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]
PEOPLE = 4
Verb = Callable[[AsyncSession], Awaitable[object]]


async def open_tasks(services: Services, kind: str) -> list[Seen]:
    async with services.database.read() as session:
        rows = await session.scalars(
            select(Task).where(Task.kind == kind, Task.state == "open").order_by(Task.id)
        )
        return [Seen(one.id, one.revision) for one in rows]


async def make_team(services: Services, member: Staff) -> Team:
    async with services.database.transaction() as session:
        team = await teams.make(
            session, member, unit=BA_DINH, name="Tổ 1", automatic=True, now=services.now
        )
        await teams.add_member(session, team, as_colleague(member))
    return team


def as_colleague(staff: Staff) -> Colleague:
    return Colleague(staff.account_id, staff.name, staff.unit)


async def all_at_once(services: Services, *verbs: Verb) -> list[object]:
    """Each in a transaction of its own. A colleague may be faster (409); PostgreSQL ends nobody."""

    async def do(verb: Verb) -> object:
        try:
            async with services.database.transaction() as session:
                return await verb(session)
        except Refused as refused:
            return refused.status_code

    async with asyncio.TaskGroup() as group:
        doing = [group.create_task(do(one)) for one in verbs]
    return [one.result() for one in doing]


async def test_tasks_that_were_ticked_in_different_orders(
    services: Services, add_person: AddPerson, worker: Worker
) -> None:
    lan = await worker()
    for _ in range(PEOPLE):
        await add_person()
    ticked = await open_tasks(services, "call")
    assign = partial(service.assign, services=services, staff=lan, to=as_colleague(lan))
    given = await all_at_once(
        services, *(partial(assign, tasks=ticked[::way]) for way in (1, -1, 1, -1))
    )
    assert sorted(given) == [(0, PEOPLE)] * 3 + [(PEOPLE, 0)]


async def test_handed_over_to_a_team_while_tasks_go_round_it(
    services: Services, add_person: AddPerson, worker: Worker
) -> None:
    lan, binh = await worker("lan"), await worker("binh", NGOC_HA)
    for unit in (BA_DINH, NGOC_HA):
        for _ in range(PEOPLE):
            await add_person(unit=unit)
    calls = await open_tasks(services, "call")
    team = await make_team(services, lan)
    assign = partial(service.assign, services=services, staff=lan, to=team)
    hand_over = partial(
        service.hand_over, services=services, staff=binh, to_unit="00004", reason="moved"
    )
    verbs: list[Verb] = []
    for here, there in zip(calls[:PEOPLE], calls[PEOPLE:], strict=True):
        verbs += [partial(assign, tasks=[here]), partial(hand_over, seen=there)]
    assert 409 not in await all_at_once(services, *verbs)


@pytest.mark.parametrize("meanwhile", ["done too", "assigned"])
async def test_done_when_what_follows_is_there_already(
    services: Services, add_person: AddPerson, worker: Worker, meanwhile: str
) -> None:
    lan = await worker()
    later, sooner = services.now + 9 * 86400, services.now + 3600
    for _ in range(PEOPLE):
        person = await add_person()
        async with services.database.transaction() as session:
            await service.add(
                session,
                services,
                lan,
                kind=TaskKind.VISIT,
                person_id=person,
                due_at=later,
                note="",
            )
    done = partial(service.done, services=services, staff=lan)
    assign = partial(service.assign, services=services, staff=lan, to=as_colleague(lan))
    verbs: list[Verb] = []
    for call, visit in zip(
        await open_tasks(services, "call"), await open_tasks(services, "visit"), strict=True
    ):
        form = f"form-of-{call.id:010}"
        to_visit = Entry(TaskOutcome.REACHED, form, choice=Choice(TaskKind.VISIT, sooner))
        to_call = Entry(TaskOutcome.MET, f"{form}-too", choice=Choice(TaskKind.CALL, sooner))
        verbs.append(partial(done, seen=call, entry=to_visit))
        if meanwhile == "assigned":
            verbs.append(partial(assign, tasks=[visit]))
        else:
            verbs.append(partial(done, seen=visit, entry=to_call))
    found = await all_at_once(services, *verbs)
    assert len([one for one in found if one != 409]) >= PEOPLE


@pytest.mark.parametrize("what", ["a worker leaves", "the team ends"])
async def test_what_ends_while_tasks_go_round(
    services: Services, add_person: AddPerson, worker: Worker, what: str
) -> None:
    lan, binh = await worker("lan"), await worker("binh")
    team = await make_team(services, lan)
    async with services.database.transaction() as session:
        await teams.add_member(session, team, as_colleague(binh))
    for _ in range(2 * PEOPLE):  # round the team, as it is automatic
        await add_person()
    calls = await open_tasks(services, "call")
    assign = partial(service.assign, services=services, staff=lan, to=team)
    ending: Verb = partial(teams.end, team=team, now=services.now)
    if what == "a worker leaves":
        ending = partial(service.release_tasks_of, account_id=binh.account_id, now=services.now)
    verbs: list[Verb] = [partial(assign, tasks=calls[start::3]) for start in range(3)]
    found = await all_at_once(services, verbs[0], ending, *verbs[1:])
    assert len(found) == 4
