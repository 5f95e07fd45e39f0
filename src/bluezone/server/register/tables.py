"""What is kept of people. Who they are is sealed; beside it only the unit they belong to."""

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.server.people.scope import UnitPath
from bluezone.storage.database import Base

_MERGED = text("merged_into IS NOT NULL")


class Person(Base):
    """A case, a contact, or both. `unit` is where they live: who works there sees the record."""

    __tablename__ = "persons"
    __table_args__ = (
        Index(None, "unit", "id"),
        # Of the few: over all, it would tempt SQLite to begin with everybody who is not merged.
        Index(
            "ix_persons_merged_into", "merged_into", sqlite_where=_MERGED, postgresql_where=_MERGED
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    unit: Mapped[str] = mapped_column(UnitPath)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)  # register.rules.Details
    created_at: Mapped[int]
    updated_at: Mapped[int] = mapped_column(index=True)
    revision: Mapped[int]  # grows with every change: of two who edit, one is told
    # Whoever answers for the household: of a child, whom to call.
    household: Mapped[int | None] = mapped_column(ForeignKey("persons.id"), index=True)
    # The record that this one turned out to double. It stays, so that a merge can be undone.
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("persons.id"))


class PersonToken(Base):
    """A keyed hash of something a person is looked up by (register.rules.Token)."""

    __tablename__ = "person_tokens"
    __table_args__ = ({"sqlite_with_rowid": False},)

    mac: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    person_id: Mapped[int] = mapped_column(
        ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    kind: Mapped[int] = mapped_column(SmallInteger)


class PersonPair(Base):
    """Two records that may be of one person, found when one of them was written."""

    __tablename__ = "person_pairs"
    __table_args__ = (Index(None, "state", "one_id"),)

    one_id: Mapped[int] = mapped_column(  # the older record
        ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True
    )
    other_id: Mapped[int] = mapped_column(
        ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    score: Mapped[float]  # register.rules.Likeness
    state: Mapped[str]  # register.rules.PairState
    at: Mapped[int]
    account_name: Mapped[str | None]  # who decided


class Merge(Base):
    """Two records that were one. `undo` (sealed) is what they were before, for as long as kept."""

    __tablename__ = "merges"

    id: Mapped[int] = mapped_column(primary_key=True)
    kept: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"), index=True)
    merged: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"), index=True)
    at: Mapped[int] = mapped_column(index=True)
    account_id: Mapped[int]
    account_name: Mapped[str]
    undo: Mapped[bytes] = mapped_column(LargeBinary)
    undone_at: Mapped[int | None]


class ImportFile(Base):
    """A file between its check and its import: sealed, and gone after a day."""

    __tablename__ = "import_files"

    id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # 16 random bytes
    account_id: Mapped[int]
    kind: Mapped[str]  # what the rows are: register.importing.Shape
    sealed: Mapped[bytes] = mapped_column(LargeBinary)  # compressed, with what the check found
    created_at: Mapped[int] = mapped_column(index=True)
    done_at: Mapped[int | None]
    outcome: Mapped[str]  # JSON: what the import did
