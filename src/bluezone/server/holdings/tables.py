"""Codes with which people ask what is held about them. Neither code nor number is readable."""

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.storage.database import Base


class CitizenCode(Base):
    """A code given to one person; it opens with their telephone number, once."""

    __tablename__ = "citizen_codes"
    __table_args__ = (Index(None, "issued_by", "issued_at"), Index(None, "expires_at"))

    code_mac: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    number_mac: Mapped[bytes] = mapped_column(LargeBinary)  # over the code too
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"), index=True)
    issued_by: Mapped[int]  # people owns the table
    issued_at: Mapped[int]
    expires_at: Mapped[int]
    tries: Mapped[int]
