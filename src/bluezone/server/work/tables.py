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
    # New tasks of the unit and below go round this team by themselves.
    automatic: Mapped[bool]
    created_at: Mapped[int]
    ended_at: Mapped[int | None]


class TeamMember(Base):
    """An account (of people) in a team; `turn` makes the round-robin go round."""

    __tablename__ = "team_members"

    team_id: Mapped[int] = mapped_column(
        ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True
    )
    account_id: Mapped[int] = mapped_column(primary_key=True, index=True)
    account_name: Mapped[str]
    turn: Mapped[int]  # grows with each task given: whose is smallest is next


class Task(Base):
    """One thing to do for one person by a time. A rule makes the same task once (`made_by`)."""

    __tablename__ = "tasks"
    __table_args__ = (
        # The worklists: what is open in a unit, for somebody, for a team, by due time.
        # With all that is counted, so that counting reads nothing else.
        Index(
            "ix_tasks_open_unit",
            "unit",
            "kind",
            "due_at",
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
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
        # The lists of whoever leads: walked by due time, over many units.
        Index("ix_tasks_open_due", "due_at", "id", sqlite_where=_OPEN, postgresql_where=_OPEN),
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
    made_by: Mapped[str | None] = mapped_column(unique=True)  # rule:person:occasion; none: by hand
    created_at: Mapped[int]
    closed_at: Mapped[int | None]
    outcome: Mapped[str | None]  # work.rules.TaskOutcome; of a cancelled one work.rules.Stop
    tries: Mapped[int]  # at which nobody was met or spoken to
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


class TaskHandover(Base):
    """A task went from one unit to another: what the unit that gave it away still sees."""

    __tablename__ = "task_handovers"
    __table_args__ = (Index(None, "from_unit", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("task_events.id", ondelete="CASCADE"))
    from_unit: Mapped[str] = mapped_column(UnitPath)
    to_unit: Mapped[str] = mapped_column(UnitPath)
    at: Mapped[int]
