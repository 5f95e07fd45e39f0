"""What is kept of hand-overs. Who handed over what is sealed; beside it only state and times."""

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.server.people.scope import UnitPath
from bluezone.storage.database import Base


class Handover(Base):
    """One hand-over in the inbox of `unit`. `id` is the hash of a secret on the phone."""

    __tablename__ = "handovers"
    __table_args__ = (
        Index(None, "unit", "state", "received_at"),
        Index(None, "reference"),
        Index(None, "received_at"),
    )

    id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    kind: Mapped[str]
    reference: Mapped[str]
    unit: Mapped[str] = mapped_column(UnitPath)
    state: Mapped[str]
    revision: Mapped[int]  # grows with every change of state: of two who decide, one is told
    received_at: Mapped[int]
    updated_at: Mapped[int]
    # A MAC of the message, so that it may be sent again; with the key, not in the database.
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Of a diary: the code it came under, for one diary only.
    code_mac: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)


class HandoverContent(Base):
    """What was handed over, sealed. Withdrawn, its row is gone."""

    __tablename__ = "handover_contents"

    handover: Mapped[bytes] = mapped_column(
        LargeBinary, ForeignKey("handovers.id", ondelete="CASCADE"), primary_key=True
    )
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class HandoverDecision(Base):
    """Who decided what, when; what they wrote to the person is sealed."""

    __tablename__ = "handover_decisions"

    id: Mapped[int] = mapped_column(primary_key=True)
    handover: Mapped[bytes] = mapped_column(
        LargeBinary, ForeignKey("handovers.id", ondelete="CASCADE"), index=True
    )
    state: Mapped[str]
    at: Mapped[int]
    account_id: Mapped[int]  # people owns the table
    account_name: Mapped[str]
    message: Mapped[bytes | None] = mapped_column(LargeBinary)
