"""What is kept of cases: their course, and the results behind it."""

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.server.people.scope import UnitPath
from bluezone.storage.database import Base

_TO_DECIDE = text("to_decide")
_MERGED = text("merged_into IS NOT NULL")  # the few, see register.tables


class Case(Base):
    """One illness of one person. Days are ISO days of the Vietnamese calendar."""

    __tablename__ = "cases"
    __table_args__ = (
        Index(None, "unit", "status", "reported_on"),
        Index("ix_cases_onset", "unit", "onset"),
        # The list, newest first: of the nation, and of a unit.
        Index(None, "reported_on", "id"),
        Index("ix_cases_list", "unit", "reported_on", "id"),
        Index(
            "ix_cases_merged_into", "merged_into", sqlite_where=_MERGED, postgresql_where=_MERGED
        ),
        Index("ix_cases_to_decide", "unit", sqlite_where=_TO_DECIDE, postgresql_where=_TO_DECIDE),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(unique=True)  # read out on the telephone
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id"), index=True)
    unit: Mapped[str] = mapped_column(UnitPath)  # who is responsible
    status: Mapped[str]  # cases.rules.CaseStatus
    onset: Mapped[str | None]  # first symptom; none: unknown, or no symptoms
    has_symptoms: Mapped[bool | None]
    reported_on: Mapped[str]
    sampled_on: Mapped[str | None]
    confirmed_at: Mapped[int | None]
    code_issued_at: Mapped[int | None]
    closed_at: Mapped[int | None]
    outcome: Mapped[str | None]  # cases.rules.Outcome
    outcome_on: Mapped[str | None]
    # By the rule of this version, so that a changed rule finds whom it concerns.
    infectious_from: Mapped[str]
    infectious_until: Mapped[str]
    rule_version: Mapped[int]
    # A result contradicts the status or was corrected, and nobody has looked at it yet.
    to_decide: Mapped[bool] = mapped_column(default=False)
    source: Mapped[str]  # cases.rules.CaseSource
    created_at: Mapped[int]
    updated_at: Mapped[int] = mapped_column(index=True)
    revision: Mapped[int]  # grows with every change: of two who edit, one is told
    # The open case of the same person that this one turned out to double.
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("cases.id"))


class CaseEvent(Base):
    """One line of a case's course; `note` is sealed, `facts` is JSON without personal data."""

    __tablename__ = "case_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), index=True)
    at: Mapped[int]
    kind: Mapped[str]  # cases.service.EventKind
    revision: Mapped[int]  # of the case, after it
    account_id: Mapped[int]  # 0: the service itself
    account_name: Mapped[str]
    facts: Mapped[str]
    note: Mapped[bytes | None] = mapped_column(LargeBinary)


class LabResult(Base):
    """One sample's result. The same sample of the same laboratory comes once; a correction is a
    further version of it, and the last version counts."""

    __tablename__ = "lab_results"
    __table_args__ = (
        UniqueConstraint("laboratory", "sample", "version"),
        Index(None, "unit", "reported_at"),
        Index("ix_lab_results_list", "laboratory", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    laboratory: Mapped[str]  # the account's name: whose result it is
    sample: Mapped[str]
    version: Mapped[int] = mapped_column(
        SmallInteger, default=1
    )  # 1, then one more for each correction
    unit: Mapped[str] = mapped_column(UnitPath)  # where the person lives
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id"), index=True)
    case_id: Mapped[int | None] = mapped_column(ForeignKey("cases.id"), index=True)
    sampled_on: Mapped[str]
    method: Mapped[str]  # cases.rules.Method
    result: Mapped[str]  # cases.rules.Result
    verdict: Mapped[str] = mapped_column(default="noted")  # cases.rules.Verdict
    reported_at: Mapped[int]
    superseded: Mapped[bool] = mapped_column(default=False)  # a later version counts
