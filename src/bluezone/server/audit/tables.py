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
    detail: Mapped[str]  # without personal data
    previous: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[bytes] = mapped_column(LargeBinary)


class AuditHead(Base):
    """The last entry of a chain: whoever appends holds this row."""

    __tablename__ = "audit_heads"

    chain: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    digest: Mapped[bytes] = mapped_column(LargeBinary)
