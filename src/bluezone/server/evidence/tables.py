"""What is kept of commitments and claims. Nothing tells who sent a commitment."""

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.storage.database import Base


class Commitment(Base):
    """32 bytes of some phone and the hour (Unix time) in which they first came."""

    __tablename__ = "evidence_commitments"
    # No hidden row number that would keep the order of arrival.
    __table_args__ = ({"sqlite_with_rowid": False},)

    commitment: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    hour: Mapped[int] = mapped_column(index=True)


class DiaryKey(Base):
    """Which diary came with which key, by a MAC: a claim finds the diaries that it is about."""

    __tablename__ = "evidence_diary_keys"

    mac: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    diary: Mapped[bytes] = mapped_column(
        LargeBinary, ForeignKey("handovers.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class EvidenceClaim(Base):
    """The claim of a hand-over, sealed until it is checked; then it is deleted."""

    __tablename__ = "evidence_claims"

    handover: Mapped[bytes] = mapped_column(
        LargeBinary, ForeignKey("handovers.id", ondelete="CASCADE"), primary_key=True
    )
    received_at: Mapped[int]
    checked_at: Mapped[int | None] = mapped_column(index=True)
    claim: Mapped[bytes | None] = mapped_column(LargeBinary)


class EvidenceVerdict(Base):
    """What the check of a claim against one case found, sealed. Gone with either hand-over."""

    __tablename__ = "evidence_verdicts"

    id: Mapped[int] = mapped_column(primary_key=True)
    handover: Mapped[bytes] = mapped_column(
        LargeBinary, ForeignKey("handovers.id", ondelete="CASCADE"), index=True
    )
    diary: Mapped[bytes | None] = mapped_column(
        LargeBinary, ForeignKey("handovers.id", ondelete="CASCADE"), index=True
    )
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class UsedEvidence(Base):
    """A MAC of a key or commitment that served a claim, and its UTC day; nothing says whose."""

    __tablename__ = "evidence_used"
    __table_args__ = ({"sqlite_with_rowid": False},)

    mac: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    day: Mapped[int] = mapped_column(index=True)
