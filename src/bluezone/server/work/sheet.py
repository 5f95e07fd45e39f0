"""The call sheet: everything a worker needs for one task, opened and written to the audit."""

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.audit.rules import Purpose
from bluezone.server.contacts import ranks as contacts
from bluezone.server.context import Services
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import EVERYWHERE
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details
from bluezone.server.register.tables import Person
from bluezone.server.work import lists, records, rules, service
from bluezone.server.work.rules import Answers, Step, TaskKind, TaskOutcome
from bluezone.server.work.tables import Task, TaskEvent
from bluezone.web.catalogue import _

SHOWN_OF_HOUSEHOLD: Final = 12

_HELLO: Final = (
    _("Hello, my name is {staff}. I am calling from the health service of {unit}."),
    _("Am I speaking with {person}? May we talk for a few minutes?"),
)
_SAFE: Final = (
    _(
        "We never ask for a password, a code from your bank, or money. Whoever does is not from"
        " us: hang up, and call your health station."
    ),
)
_ABOUT: Final[dict[TaskKind, tuple[str, ...]]] = {
    TaskKind.CALL: (
        _("You may have been near somebody who is ill. I may not say who that is."),
        _("How are you? Fever, cough, sore throat, short of breath, no taste or smell?"),
        _("Who else lives with you? Is anybody of them ill, old or pregnant?"),
        _("Where are you staying? Please stay there until {until}, and away from others."),
    ),
    TaskKind.INTERVIEW: (
        _("Your test was positive. How are you? When did you first feel ill, and how?"),
        _("Who lives with you? Whom did you meet since two days before that, where and when?"),
        _("Where have you been: work, school, market, hospital, on which bus or flight?"),
        _("Do you have the Bluezone app? With a code from us it can warn those you were near."),
    ),
    TaskKind.QUARANTINE_CHECK: (
        _("How are you today? Fever, cough, sore throat, short of breath, no taste or smell?"),
        _("Are you at the place we agreed on? Do you have food and medicine, or need help?"),
        _("Please stay there until {until}. How is everybody else in your home?"),
    ),
    TaskKind.TEST: (
        _("I would like to take a sample today. Where are you, and when does it suit you?"),
        _("How are you? Fever, cough, sore throat, short of breath, no taste or smell?"),
    ),
    TaskKind.VISIT: (
        _("We could not reach you by telephone, so I have come by. How is everybody here?"),
        _("Which number can we call you at? Where are you staying until {until}?"),
    ),
    TaskKind.CHECK_EVIDENCE: (
        _("A telephone noted that you may have been near somebody who is ill."),
        _("Where were you on that day? Was your telephone with you all the time?"),
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a task's history, opened."""

    event: TaskEvent
    facts: dict[str, Any]
    answers: Answers | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody of the same household, and what there is to do for them."""

    person: Person
    details: Details = field(repr=False)
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A task, opened. `steps`: what the rules propose after each outcome."""

    task: Task
    person: Person
    details: Details = field(repr=False)
    household: tuple[Member, ...]
    history: tuple[Line, ...]
    steps: dict[TaskOutcome, Step | None]
    rank: int | None
    until: dt.date | None  # the last day of the follow-up


async def open_sheet(
    session: AsyncSession, services: Services, staff: Staff, task_id: int
) -> Sheet:
    """A task of the staff member's units with whom it concerns. Raises Refused (404).

    The task is what gives the right to see the person, wherever they live: it may have been
    handed over. Each look is in the audit, those at the household too.
    """
    task = await service.get(session, staff.scope, task_id)
    sees = replace(staff, scope=EVERYWHERE)
    person, details = await register.look(session, services, sees, task.person_id, Purpose.TASK)
    others = (await register.household_of(session, person))[:SHOWN_OF_HOUSEHOLD]
    open_tasks = await lists.open_of(session, [one.id for one in others])
    household = []
    for one in others:
        _person, theirs = await register.look(session, services, sees, one.id, Purpose.TASK)
        household.append(Member(one, theirs, tuple(open_tasks.get(one.id, ()))))
    steps = await service.next_steps(session, services.now)
    kind = TaskKind(task.kind)
    rank = (await contacts.ranks_of(session, [person.id])).get(person.id)
    _version, ranked_by = await contacts.rules_in_use(session)
    last = dt.date.fromisoformat(rank.last_exposed_on) if rank and rank.last_exposed_on else None
    key = records.sealer(services.settings.secrets_folder)
    return Sheet(
        task=task,
        person=person,
        details=details,
        household=tuple(household),
        history=tuple(
            Line(one, msgspec.json.decode(one.facts), records.answers_of(key, one))
            for one in await lists.history(session, task.id)
        ),
        steps={
            one: rules.next_step(steps, kind, one, tries=task.tries, now=services.now)
            for one in rules.OUTCOMES[kind]
        },
        rank=rank.rank if rank else None,
        until=last + dt.timedelta(days=ranked_by.follow_up_days) if last else None,
    )


def script(kind: TaskKind) -> tuple[str, ...]:
    """What to say: catalogue messages with {staff}, {unit}, {person} and {until}."""
    return (*_HELLO, *_ABOUT[kind], *_SAFE)
