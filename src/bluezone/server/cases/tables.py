"""What is kept of cases: their course, the results behind it, what was merged."""

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.server.people.scope import UnitPath
from bluezone.storage.database import Base


class Case(Base):
    """One illness of one person. Days are ISO days of the Vietnamese calendar."""

    __tablename__ = "cases"
    __table_args__ = (
        Index(None, "unit", "status", "reported_on"),
        Index("ix_cases_onset", "unit", "onset"),
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
    infectious_from: Mapped[str | None]
    infectious_until: Mapped[str | None]
    rule_version: Mapped[int]
    source: Mapped[str]  # cases.rules.CaseSource
    created_at: Mapped[int]
    updated_at: Mapped[int] = mapped_column(index=True)
    revision: Mapped[int]
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("cases.id"), index=True)


class CaseEvent(Base):
    """One line of a case's course; `note` is sealed, `facts` is JSON without personal data."""

    __tablename__ = "case_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), index=True)
    at: Mapped[int]
    kind: Mapped[str]
    account_id: Mapped[int]
    account_name: Mapped[str]
    facts: Mapped[str]
    note: Mapped[bytes | None] = mapped_column(LargeBinary)


class LabResult(Base):
    """One sample's result. The same sample of the same laboratory comes once."""

    __tablename__ = "lab_results"
    __table_args__ = (
        UniqueConstraint("laboratory", "sample"),
        Index(None, "unit", "reported_at"),
        Index(None, "laboratory", "reported_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    laboratory: Mapped[str]  # the account's name: whose result it is
    sample: Mapped[str]
    unit: Mapped[str] = mapped_column(UnitPath)  # where the person lives
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id"), index=True)
    case_id: Mapped[int | None] = mapped_column(ForeignKey("cases.id"), index=True)
    sampled_on: Mapped[str]
    method: Mapped[str]  # cases.rules.Method
    result: Mapped[str]  # cases.rules.Result
    reported_at: Mapped[int]


class Merge(Base):
    """Two records that were one. `undo` (sealed) is what they were before, for as long as kept."""

    __tablename__ = "merges"

    id: Mapped[int] = mapped_column(primary_key=True)
    kept: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"), index=True)
    merged: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"), index=True)
    at: Mapped[int]
    account_id: Mapped[int]
    account_name: Mapped[str]
    undo: Mapped[bytes] = mapped_column(LargeBinary)
    undone_at: Mapped[int | None]
