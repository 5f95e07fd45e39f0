"""What is kept of contacts: exposures (the only edges), places, and the ranks derived from them."""

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.server.people.scope import UnitPath
from bluezone.storage.database import Base


class Exposure(Base):
    """`exposed` met `source` while `source` may have been infectious.

    One person can be exposed to another several times, by several sources of knowledge; each is a
    row. Nothing else says who is whose contact.
    """

    __tablename__ = "exposures"
    __table_args__ = (
        Index(None, "source_id", "day"),
        Index(None, "exposed_id", "day"),
        Index(None, "place_id"),
        Index(None, "created_at"),
        Index(None, "handover"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    # None: a phone does not tell whose keys it met, and nobody has found out yet.
    source_id: Mapped[int | None] = mapped_column(ForeignKey("persons.id"))
    exposed_id: Mapped[int] = mapped_column(ForeignKey("persons.id"))
    known_by: Mapped[str]  # contacts.rules.KnownBy: interview, place, phone
    day: Mapped[str]  # ISO, Vietnamese calendar
    start_at: Mapped[int | None]  # Unix seconds, where somebody knows it
    minutes: Mapped[int | None]
    nearness: Mapped[str]  # contacts.rules.Nearness
    setting: Mapped[str]  # contacts.rules.Setting: household, work, ...
    relation: Mapped[str]  # contacts.rules.Relation: what the exposed is to the source
    place_id: Mapped[int | None] = mapped_column(ForeignKey("places_visited.id"))
    # Of a phone's record (contacts.rules.PhoneEvidence), else empty.
    confirmation: Mapped[str | None]  # contacts.rules.Confirmation
    band: Mapped[str]  # parts of the day, comma separated
    certainty: Mapped[str]
    flags: Mapped[str]  # words, comma separated
    handover: Mapped[bytes | None] = mapped_column(LargeBinary)  # tracing's, which forgets it first
    note: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed
    created_at: Mapped[int]
    account_id: Mapped[int]
    account_name: Mapped[str]
    revision: Mapped[int]
    removed_at: Mapped[int | None]  # taken back, kept for the history
    removed_by: Mapped[str | None]  # account name
    removed_why: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed


class PlaceVisited(Base):
    """A market, a ward of a hospital, a bus: somewhere people say they were."""

    __tablename__ = "places_visited"
    __table_args__ = (UniqueConstraint("unit", "search_name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    unit: Mapped[str] = mapped_column(UnitPath)
    name: Mapped[str]
    search_name: Mapped[str]  # without accents, in lower case
    kind: Mapped[str]  # contacts.rules.PlaceKind
    address: Mapped[str]
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    created_at: Mapped[int]


class Visit(Base):
    """A person says, or was said, to have been at a place from one time to another."""

    __tablename__ = "visits"
    __table_args__ = (Index(None, "place_id", "start_at"), Index(None, "person_id", "start_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    place_id: Mapped[int] = mapped_column(ForeignKey("places_visited.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id"))
    start_at: Mapped[int]
    end_at: Mapped[int]
    created_at: Mapped[int]
    account_id: Mapped[int]
    account_name: Mapped[str]
    removed_at: Mapped[int | None]


class Rank(Base):
    """The F-rank of a person as derived: 0 for an active case, else one more than the nearest.

    There is a row for everybody who has a rank, by the rule or by somebody's decision.
    """

    __tablename__ = "ranks"
    __table_args__ = (
        Index("ix_ranks_shown", "shown", "last_exposed_on", "person_id"),
        # Holds all that the figures of a unit and a period ask for.
        Index("ix_ranks_figures", "rank", "unit", "found_at", "known_by"),
    )

    person_id: Mapped[int] = mapped_column(
        ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    unit: Mapped[str] = mapped_column(UnitPath)  # the person's, as of the last derivation
    rank: Mapped[int | None] = mapped_column(SmallInteger)  # as derived
    shown: Mapped[int | None] = mapped_column(SmallInteger)  # the override's, where there is one
    exposure_id: Mapped[int | None]  # by which the rank came; none for a case
    last_exposed_on: Mapped[str | None]  # ISO day of the last exposure that gives this rank
    # The earliest day reached in at most 1, 2, ... steps, comma separated; empty: not reached.
    arrivals: Mapped[str]
    # Of all exposures of this person that stand: which words knew of them (KNOWN_BY_BITS), and
    # when the first came in.
    known_by: Mapped[int] = mapped_column(SmallInteger)
    found_at: Mapped[int | None]
    at: Mapped[int]


class RankState(Base):
    """One row: the version of the rule that the ranks stand under. Whoever derives holds it."""

    __tablename__ = "rank_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rule_version: Mapped[int]
    is_renewing: Mapped[bool]  # all ranks are being derived anew


class RankSeed(Base):
    """Whose rank was touched while all are derived anew: derived once more at the end."""

    __tablename__ = "rank_seeds"

    person_id: Mapped[int] = mapped_column(
        ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )


class RankOverride(Base):
    """What somebody decided against the rule, and why (sealed)."""

    __tablename__ = "rank_overrides"

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"), index=True)
    rank: Mapped[int | None] = mapped_column(SmallInteger)  # none: no contact that matters
    reason: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[int]
    account_id: Mapped[int]
    account_name: Mapped[str]
    ended_at: Mapped[int | None]


class CaseDiary(Base):
    """A diary that a case handed over, and whose it is: said by a person, no code tells it."""

    __tablename__ = "case_diaries"

    handover: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # tracing's
    reference: Mapped[str]
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), index=True)
    at: Mapped[int]
    account_id: Mapped[int]
    account_name: Mapped[str]
