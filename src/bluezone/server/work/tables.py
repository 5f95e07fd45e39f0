"""What is kept of work: teams, tasks, and what became of them."""

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.server.people.scope import UnitPath
from bluezone.storage.database import Base

_OPEN = text("state = 'open'")


class Team(Base):
    """People of a unit who share a list."""

    __tablename__ = "teams"
    __table_args__ = (UniqueConstraint("unit", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    unit: Mapped[str] = mapped_column(UnitPath)
    name: Mapped[str]
    created_at: Mapped[int]
    ended_at: Mapped[int | None]


class TeamMember(Base):
    """An account (of people) in a team; `last_assigned_at` makes the round-robin go round."""

    __tablename__ = "team_members"

    team_id: Mapped[int] = mapped_column(
        ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True
    )
    account_id: Mapped[int] = mapped_column(primary_key=True, index=True)
    account_name: Mapped[str]
    last_assigned_at: Mapped[int]


class Task(Base):
    """One thing to do for one person by a time. A rule makes the same task once (`made_by`)."""

    __tablename__ = "tasks"
    __table_args__ = (
        # The worklists: what is open in a unit, for somebody, for a team, by due time.
        Index("ix_tasks_open_unit", "unit", "due_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index(
            "ix_tasks_open_assignee",
            "assignee_id",
            "due_at",
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
        Index(
            "ix_tasks_open_team", "team_id", "due_at", sqlite_where=_OPEN, postgresql_where=_OPEN
        ),
        Index(None, "person_id"),
        Index(None, "closed_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]  # work.rules.TaskKind: call, test, visit, quarantine-check, ...
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    unit: Mapped[str] = mapped_column(UnitPath)
    team_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id"))
    assignee_id: Mapped[int | None]  # an account of people
    assignee_name: Mapped[str | None]
    state: Mapped[str]  # work.rules.TaskState
    due_at: Mapped[int]
    made_by: Mapped[str | None] = mapped_column(unique=True)  # rule and occasion; none: by hand
    created_at: Mapped[int]
    closed_at: Mapped[int | None]
    outcome: Mapped[str | None]  # work.rules.TaskOutcome
    revision: Mapped[int]


class TaskEvent(Base):
    """One line of a task's history: made, assigned, tried, handed over, done."""

    __tablename__ = "task_events"
    __table_args__ = (UniqueConstraint("form"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    at: Mapped[int]
    kind: Mapped[str]
    account_id: Mapped[int]
    account_name: Mapped[str]
    facts: Mapped[str]  # JSON without personal data
    note: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed
    form: Mapped[str | None]  # the number a form drew, so that one sent twice counts once
