"""What is kept of searches and reports: what was asked for, and reports until they are too old."""

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.server.people.scope import UnitPath
from bluezone.storage.database import Base


class SavedSearch(Base):
    """A search somebody saved. What was typed is sealed: it may be a name."""

    __tablename__ = "saved_searches"
    __table_args__ = (UniqueConstraint("account_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int]
    name: Mapped[str]
    asked: Mapped[bytes] = mapped_column(LargeBinary)  # linelists.rules.Search
    created_at: Mapped[int]


class ReportSchedule(Base):
    """A list that somebody wants made every day or week."""

    __tablename__ = "report_schedules"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(index=True)
    name: Mapped[str]
    every: Mapped[str]  # linelists.rules.Every
    asked: Mapped[str]  # linelists.rules.Wanted as JSON, without unit and period
    unit: Mapped[str | None] = mapped_column(UnitPath)  # none: all of one's own
    reason: Mapped[bytes] = mapped_column(LargeBinary)  # sealed
    created_at: Mapped[int]


class Report(Base):
    """A list that was made. Its content is in parts."""

    __tablename__ = "reports"
    __table_args__ = (
        UniqueConstraint("schedule_id", "first_day"),
        Index(None, "made_at"),
        Index(None, "account_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    schedule_id: Mapped[int] = mapped_column(ForeignKey("report_schedules.id"))
    account_id: Mapped[int]
    name: Mapped[str]
    first_day: Mapped[str]
    last_day: Mapped[str]
    units: Mapped[str]  # paths, comma separated: all must still be granted at download
    form: Mapped[str]  # linelists.rules.Form
    is_personal: Mapped[bool]
    size: Mapped[int]  # bytes
    made_at: Mapped[int]


class ReportPart(Base):
    """A stretch of a report, sealed for its place."""

    __tablename__ = "report_parts"

    report_id: Mapped[int] = mapped_column(
        ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True
    )
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
