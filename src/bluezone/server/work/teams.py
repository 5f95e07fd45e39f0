"""Teams: who is in them, and whose turn it is. None of the verbs commits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import Scope, is_within
from bluezone.server.people.service import Colleague
from bluezone.server.places.units import ancestors
from bluezone.server.work import locks
from bluezone.server.work.tables import Task, Team, TeamMember
from bluezone.storage.database import upsert
from bluezone.web.catalogue import _


@dataclass(frozen=True, slots=True)
class TeamRow:
    """A team with its members, by name, and how many tasks it has open."""

    team: Team
    members: tuple[TeamMember, ...]
    open_tasks: int = 0


async def of_scope(session: AsyncSession, scope: Scope, *, limit: int = 200) -> list[TeamRow]:
    """The teams of the units within a scope, by unit and name."""
    teams = list(
        await session.scalars(
            select(Team)
            .where(scope.of(Team.unit), Team.ended_at.is_(None))
            .order_by(Team.unit, Team.name)
            .limit(limit)
        )
    )
    return await _with_members(session, teams)


async def of_member(session: AsyncSession, account_id: int) -> list[Team]:
    """The teams that an account is in."""
    rows = await session.scalars(
        select(Team)
        .join(TeamMember, TeamMember.team_id == Team.id)
        .where(TeamMember.account_id == account_id, Team.ended_at.is_(None))
        .order_by(Team.name)
    )
    return list(rows)


async def get(session: AsyncSession, scope: Scope, team_id: int) -> Team:
    """A team of a unit within scope that has not ended. Raises Refused (404)."""
    team = await session.get(Team, team_id)
    if team is None or team.ended_at is not None or not scope.covers(team.unit):
        raise Refused(404, "team-unknown", _("There is no such team in your units."))
    return team


async def make(
    session: AsyncSession, staff: Staff, *, unit: str, name: str, automatic: bool, now: int
) -> Team:
    """A team of a unit (path) within the staff member's scope. Raises Refused: 422, 409."""
    name = " ".join(name.split())
    if not 2 <= len(name) <= 60 or not name.isprintable():
        raise Refused(422, "team-name", _("A team's name has 2 to 60 characters."))
    if not staff.scope.covers(unit):
        raise Refused(422, "team-unit", _("This unit is not one of yours."))
    values = {"automatic": automatic, "created_at": now, "ended_at": None}
    team: Team | None = await session.scalar(
        upsert(session, Team)
        .values(unit=unit, name=name, **values)
        # The name of a team that has ended may be used again: it is that team again.
        .on_conflict_do_update(
            index_elements=[Team.unit, Team.name],
            set_=values,
            where=Team.ended_at.is_not(None),
        )
        .returning(Team)
    )
    if team is None:
        raise Refused(409, "team-exists", _("There is a team of this name already."))
    return team


async def set_automatic(session: AsyncSession, team: Team, automatic: bool) -> None:
    """Whether new tasks of its unit go round the team by themselves."""
    await session.execute(update(Team).where(Team.id == team.id).values(automatic=automatic))


async def end(session: AsyncSession, team: Team, now: int) -> None:
    """The team is no more; its open tasks stay with whoever has them."""
    await locks.hold_tasks(session, Task.team_id == team.id, Task.closed_at.is_(None))
    await session.execute(
        update(Team).where(Team.id == team.id).values(ended_at=now, automatic=False)
    )
    await session.execute(delete(TeamMember).where(TeamMember.team_id == team.id))
    await session.execute(
        update(Task)
        .where(Task.team_id == team.id, Task.closed_at.is_(None))
        .values(team_id=None, revision=Task.revision + 1)
    )


async def add_member(session: AsyncSession, team: Team, colleague: Colleague) -> None:
    """Somebody whose grant covers the team's unit joins, and is the last whose turn it is."""
    if not is_within(team.unit, colleague.unit):
        raise not_for_unit()
    await locks.hold_team(session, team.id)
    last = await session.scalar(
        select(func.max(TeamMember.turn)).where(TeamMember.team_id == team.id)
    )
    await session.execute(
        upsert(session, TeamMember)
        .values(
            team_id=team.id,
            account_id=colleague.account_id,
            account_name=colleague.name,
            turn=last or 0,
        )
        .on_conflict_do_nothing()
    )


async def remove_member(session: AsyncSession, team: Team, account_id: int) -> None:
    """Somebody leaves; what they have to do they keep."""
    await locks.hold_team(session, team.id)
    await session.execute(
        delete(TeamMember).where(TeamMember.team_id == team.id, TeamMember.account_id == account_id)
    )


async def forget_member(session: AsyncSession, account_id: int) -> None:
    """An account leaves every team."""
    mine = select(TeamMember.team_id).where(TeamMember.account_id == account_id)
    for team_id in await session.scalars(mine.order_by(TeamMember.team_id)):
        await locks.hold_team(session, team_id)
    await session.execute(delete(TeamMember).where(TeamMember.account_id == account_id))


async def whose_turn(
    session: AsyncSession, team_id: int, usual: Sequence[int | None]
) -> list[TeamMember]:
    """A member for each of so many tasks, whoever had none for longest first; [] without members.

    `usual`: for each task the account that looks after the person already, which gets it if it is
    a member. Holds the team until the transaction ends, so that two who assign at once go on
    where the other stopped.
    """
    await locks.hold_team(session, team_id)
    members = list(
        await session.scalars(
            select(TeamMember)
            .where(TeamMember.team_id == team_id)
            .execution_options(populate_existing=True)
        )
    )
    if not members:
        return []
    by_account = {one.account_id: one for one in members}
    last = max(one.turn for one in members)
    chosen = []
    for account in usual:
        member = by_account.get(account or 0) or min(
            members, key=lambda one: (one.turn, one.account_id)
        )
        last += 1
        member.turn = last
        chosen.append(member)
    await session.flush()
    return chosen


async def automatic_for(session: AsyncSession, units: Iterable[str]) -> Mapping[str, int]:
    """For units (paths) the automatic team that takes what is new there, the nearest one."""
    wanted = set(units)
    above = {one.path for unit in wanted for one in ancestors(unit)}
    rows = await session.execute(
        select(Team.id, Team.unit)
        .where(Team.unit.in_(above), Team.automatic, Team.ended_at.is_(None))
        .order_by(Team.id)
    )
    team_of = {row.unit: row.id for row in rows}
    return {
        unit: near
        for unit in wanted
        if (
            near := next(
                (team_of[one.path] for one in reversed(ancestors(unit)) if one.path in team_of),
                None,
            )
        )
    }


def not_for_unit() -> Refused:
    """An account that would not see the task."""
    return Refused(
        422,
        "no-such-worker",
        _("There is no health worker of this name whose area covers the unit."),
    )


async def _with_members(session: AsyncSession, teams: Sequence[Team]) -> list[TeamRow]:
    ids = [one.id for one in teams]
    members: dict[int, list[TeamMember]] = {}
    for one in await session.scalars(
        select(TeamMember).where(TeamMember.team_id.in_(ids)).order_by(TeamMember.account_name)
    ):
        members.setdefault(one.team_id, []).append(one)
    counts = await session.execute(
        select(Task.team_id, func.count())
        .where(Task.team_id.in_(ids), Task.state == "open")
        .group_by(Task.team_id)
    )
    open_tasks = {row[0]: row[1] for row in counts}
    return [
        TeamRow(one, tuple(members.get(one.id, ())), open_tasks.get(one.id, 0)) for one in teams
    ]
