"""What the diagnosis duty keeps: codes on one side, keys for publication on the other.

No column joins the two: a key row holds no code, no staff member and no time finer than
the export grid.
"""

from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.storage.database import Base


class Code(Base):
    """A one-time code, known by its MAC; exchanged once `blinded_digest` is set."""

    __tablename__ = "diagnosis_codes"
    __table_args__ = (
        Index(None, "issued_by", "issued_at"),
        Index(None, "unit", "issued_at"),
        Index(None, "expires_at"),
    )

    mac: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    report_type: Mapped[int]
    symptom_onset: Mapped[str | None]  # ISO day, Vietnamese calendar
    issued_by: Mapped[int]  # staff member; people owns the table
    unit: Mapped[str]
    issued_at: Mapped[int]
    expires_at: Mapped[int]
    # The same phone may ask again for the answer it lost; any other message is refused.
    key_id: Mapped[str | None]
    blinded_digest: Mapped[bytes | None] = mapped_column(LargeBinary)


class PublishedKey(Base):
    """A diagnosis key, waiting (`batch_id` NULL) or in a batch of files.

    Real and synthetic users look alike here. `chain` is a random number that holds a
    phone's keys together until its first file is planned (padding imitates whole
    phones), then it is erased; the store's own log and dead rows remember it for longer.
    """

    __tablename__ = "diagnosis_keys"
    __table_args__ = (
        Index("ix_diagnosis_keys_due", "batch_id", "release_at"),
        Index(None, "rolling_start"),
        Index(
            "ix_diagnosis_keys_chain",
            "chain",
            sqlite_where=text("chain IS NOT NULL"),
            postgresql_where=text("chain IS NOT NULL"),
        ),
        # No hidden row number that would keep the order of arrival.
        {"sqlite_with_rowid": False},
    )

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    rolling_start: Mapped[int]
    rolling_period: Mapped[int]
    report_type: Mapped[int]
    days_since_onset: Mapped[int | None]
    release_at: Mapped[int]
    chain: Mapped[int | None]
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("export_batches.id"))


class ExportBatch(Base):
    """The keys released at `end` (Unix time, on the export grid); done once its files are out."""

    __tablename__ = "export_batches"

    id: Mapped[int] = mapped_column(primary_key=True)
    start: Mapped[int]
    end: Mapped[int]
    done: Mapped[bool]


class ExportFile(Base):
    """A published file, listed in the index until it is retired."""

    __tablename__ = "export_files"
    __table_args__ = (Index(None, "released_at"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("export_batches.id"))
    sha256: Mapped[str]
    size: Mapped[int]
    released_at: Mapped[int]


class IndexState(Base):
    """The sequence number of the last index (one row)."""

    __tablename__ = "export_index"

    id: Mapped[int] = mapped_column(primary_key=True)
    sequence: Mapped[int]
