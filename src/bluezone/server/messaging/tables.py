"""What is kept of messages: each for a day, and a code until it is used. No number is readable."""

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.storage.database import Base


class OutboxMessage(Base):
    """A message on its way. To whom and what it says is sealed (`sealed`)."""

    __tablename__ = "outbox_messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[bytes] = mapped_column(LargeBinary)  # random: what `sealed` is bound to
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    purpose: Mapped[str]
    state: Mapped[str]
    created_at: Mapped[int] = mapped_column(index=True)
    sent_at: Mapped[int | None]


class NumberCode(Base):
    """A code that went to a telephone number; both are MACs under the pepper."""

    __tablename__ = "number_codes"

    number_mac: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    code_mac: Mapped[bytes] = mapped_column(LargeBinary)
    tries: Mapped[int]
    expires_at: Mapped[int] = mapped_column(index=True)
