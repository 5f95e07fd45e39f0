"""The audit: entries in chains, one chain for each province and one for the nation."""

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.server.people.scope import UnitPath
from bluezone.storage.database import Base


class AuditEntry(Base):
    """One thing done or seen. `digest` covers every field and `previous`."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index(None, "subject", "at"),
        Index(None, "account_id", "at"),
        Index(None, "unit", "at"),
        Index(None, "at"),
    )

    chain: Mapped[str] = mapped_column(primary_key=True)  # two digits of a province, or vn
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[int]
    account_id: Mapped[int]  # people owns the table; 0: the service itself
    account_name: Mapped[str]
    unit: Mapped[str] = mapped_column(UnitPath)  # where the account works
    action: Mapped[str]  # audit.rules.Action
    subject: Mapped[str]  # "person:17", "handover:ab12..", or empty
    purpose: Mapped[str]  # audit.rules.Purpose
    detail: Mapped[str]  # without personal data, but for what somebody types as a reason
    previous: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[bytes] = mapped_column(LargeBinary)


class AuditHead(Base):
    """The last entry of a chain: whoever appends holds this row."""

    __tablename__ = "audit_heads"

    chain: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    digest: Mapped[bytes] = mapped_column(LargeBinary)


class AuditStart(Base):
    """The last entry that retention deleted: what the first kept one of a chain follows."""

    __tablename__ = "audit_starts"

    chain: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    digest: Mapped[bytes] = mapped_column(LargeBinary)


class AuditCheck(Base):
    """What the last verification of a chain found; `fault` is empty when nothing is wrong."""

    __tablename__ = "audit_checks"

    chain: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[int]
    entries: Mapped[int]
    fault: Mapped[str]  # audit.verification.Fault
    sequence: Mapped[int]  # of the entry where the chain breaks


class LookAlert(Base):
    """Looking that a rule calls unusual: at most one for each rule, account and day."""

    __tablename__ = "look_alerts"
    __table_args__ = (Index(None, "unit", "last_at"), Index(None, "last_at"))

    rule: Mapped[str] = mapped_column(primary_key=True)  # audit.looking.Unusual
    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    day: Mapped[str] = mapped_column(primary_key=True)  # ISO, Vietnamese calendar
    account_name: Mapped[str]
    unit: Mapped[str] = mapped_column(UnitPath)  # where the account works
    count: Mapped[int]  # what the rule counted, at its highest
    first_at: Mapped[int]
    last_at: Mapped[int]
    rule_version: Mapped[int]
    acknowledged_at: Mapped[int | None]
    acknowledged_by: Mapped[str | None]  # account name
    answer: Mapped[str | None]  # audit.looking.Answer
    word: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed: people write names here


class LookingState(Base):
    """Up to when looks have been gone through (one row)."""

    __tablename__ = "looking_state"

    id: Mapped[int] = mapped_column(primary_key=True)
    until: Mapped[int]
