"""What is kept of contacts: exposures (the only edges), places, and the ranks derived from them."""

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger
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
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("persons.id"))
    exposed_id: Mapped[int] = mapped_column(ForeignKey("persons.id"))
    known_by: Mapped[str]  # contacts.rules.KnownBy: interview, place, phone
    day: Mapped[str]  # ISO, Vietnamese calendar
    start_at: Mapped[int | None]  # Unix seconds, to the hour where a phone said it
    minutes: Mapped[int | None]
    nearness: Mapped[str]  # contacts.rules.Nearness
    confirmation: Mapped[str | None]  # of a phone's: both sides, one side, claim only
    flags: Mapped[str]  # of a phone's: words, comma separated
    setting: Mapped[str]  # contacts.rules.Setting: household, work, ...
    place_id: Mapped[int | None] = mapped_column(ForeignKey("places_visited.id"))
    note: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed
    created_at: Mapped[int]
    account_id: Mapped[int]
    account_name: Mapped[str]
    revision: Mapped[int]
    removed_at: Mapped[int | None]  # taken back with a reason, kept for the history


class PlaceVisited(Base):
    """A market, a ward of a hospital, a bus: somewhere people say they were."""

    __tablename__ = "places_visited"
    __table_args__ = (Index(None, "unit", "search_name"),)

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
    """The F-rank of a person as derived: 0 for an active case, else one more than the nearest."""

    __tablename__ = "ranks"
    __table_args__ = (Index(None, "rank"), Index(None, "rule_version"))

    person_id: Mapped[int] = mapped_column(
        ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True
    )
    rank: Mapped[int] = mapped_column(SmallInteger)
    exposure_id: Mapped[int | None]  # by which it came; none for a case
    last_exposed_on: Mapped[str | None]
    rule_version: Mapped[int]
    at: Mapped[int]


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
