"""Versions of rules, as JSON; version 0 of each kind is in the code of the duty that uses it."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.storage.database import Base


class RuleVersion(Base):
    """A rule as it is valid from a Vietnamese day until a later version begins."""

    __tablename__ = "rule_versions"
    __table_args__ = (Index(None, "kind", "valid_from"),)

    kind: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    valid_from: Mapped[str]
    content: Mapped[str]
    reason: Mapped[str]  # the decree or decision behind it
    at: Mapped[int]
    account_name: Mapped[str]
