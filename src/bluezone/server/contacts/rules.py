"""Who is whose contact, and which F-rank follows: Vietnam's ranks of 2020/21 as data.

F0 is an active case. Who was exposed to a case while it was infectious is F1; who was exposed to
an F1 since that F1 was exposed is F2, and so on. Each rank asks how near and how long. Somebody
reached by two paths has the lower rank.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

import msgspec

from bluezone.server.cases.service import Infectious
from bluezone.server.errors import Refused
from bluezone.web.catalogue import _


class KnownBy(StrEnum):
    """By whose word an exposure is known."""

    INTERVIEW = "interview"
    PLACE = "place"  # both said that they were there
    PHONE = "phone"


KNOWN_BY_BITS: Final = {KnownBy.INTERVIEW: 1, KnownBy.PLACE: 2, KnownBy.PHONE: 4}


class Nearness(StrEnum):
    """How near they were, from the nearest."""

    TOUCH = "touch"  # a hug, a shared meal, care
    TWO_METRES = "two-metres"
    SAME_ROOM = "same-room"  # or the same vehicle
    FARTHER = "farther"
    UNKNOWN = "unknown"


class Setting(StrEnum):
    """Where people live together or meet."""

    HOUSEHOLD = "household"
    WORK = "work"
    SCHOOL = "school"
    HEALTH_CARE = "health-care"
    TRANSPORT = "transport"
    SOCIAL = "social"
    OTHER = "other"


class Relation(StrEnum):
    """What the contact is to the person they were exposed to."""

    UNKNOWN = ""
    SPOUSE = "spouse"
    PARENT = "parent"
    CHILD = "child"
    RELATIVE = "relative"
    HOUSEMATE = "housemate"
    FRIEND = "friend"
    NEIGHBOUR = "neighbour"
    COLLEAGUE = "colleague"
    CLASSMATE = "classmate"
    CUSTOMER = "customer"
    HEALTH_STAFF = "health-staff"
    PASSENGER = "passenger"
    STRANGER = "stranger"


class Confirmation(StrEnum):
    """What a phone's record rests on (protocol, "Confirmed from both sides")."""

    BOTH_SIDES = "both-sides"
    ONE_SIDE = "one-side"
    CLAIM_ONLY = "claim-only"


class PlaceKind(StrEnum):
    """What sort of place people were at."""

    MARKET = "market"
    SHOP = "shop"
    RESTAURANT = "restaurant"
    HEALTH_CARE = "health-care"
    SCHOOL = "school"
    WORKPLACE = "workplace"
    TRANSPORT = "transport"
    WORSHIP = "worship"
    ENTERTAINMENT = "entertainment"
    OTHER = "other"


PLACE_SETTINGS: Final = {
    PlaceKind.HEALTH_CARE: Setting.HEALTH_CARE,
    PlaceKind.SCHOOL: Setting.SCHOOL,
    PlaceKind.WORKPLACE: Setting.WORK,
    PlaceKind.TRANSPORT: Setting.TRANSPORT,
}


@dataclass(frozen=True, slots=True)
class PhoneEvidence:
    """What phones say of one meeting; days are Vietnamese, `band` holds parts of the day."""

    verdict: Confirmation
    day: str
    band: tuple[str, ...]
    minutes: int | None
    nearness: Nearness
    certainty: str  # a name of proximity's ExposureClass
    flags: tuple[str, ...] = ()


# --- the rule --------------------------------------------------------------------------
class Criterion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which exposures give a rank. Unknown minutes count as long enough: to err is to follow."""

    nearness: tuple[Nearness, ...] = (Nearness.TOUCH, Nearness.TWO_METRES)
    minutes: Annotated[int, msgspec.Meta(ge=0, le=1440)] = 15
    # In these settings so near is enough, however short.
    enough: dict[Setting, tuple[Nearness, ...]] = msgspec.field(
        default_factory=lambda: {
            Setting.HOUSEHOLD: (
                Nearness.TOUCH,
                Nearness.TWO_METRES,
                Nearness.SAME_ROOM,
                Nearness.UNKNOWN,
            ),
            Setting.TRANSPORT: (Nearness.TOUCH, Nearness.TWO_METRES, Nearness.SAME_ROOM),
        }
    )
    # Of what phones say, what counts.
    confirmations: tuple[Confirmation, ...] = (Confirmation.BOTH_SIDES, Confirmation.ONE_SIDE)


class RankRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Version 0, by the Ministry of Health's guides of 2020 and 2021 (decisions 3468 and 5053)."""

    followed: Annotated[int, msgspec.Meta(ge=1, le=6)] = 3  # F1 to F3
    # Of F1, F2, ...; the last one also of the ranks after it, none asking less than the one before.
    criteria: Annotated[tuple[Criterion, ...], msgspec.Meta(min_length=1)] = (
        Criterion(confirmations=tuple(Confirmation)),
        Criterion(),
    )
    # How long after the own exposure somebody can pass it on.
    days_until_infectious: Annotated[int, msgspec.Meta(ge=0, le=30)] = 0
    # A phone's record whose other side nobody has found makes an F1 by the phone's word.
    follow_open_source: bool = True
    follow_up_days: Annotated[int, msgspec.Meta(ge=1, le=60)] = 14

    def criterion(self, rank: int) -> Criterion:
        return self.criteria[min(rank, len(self.criteria)) - 1]


RANKS: Final = "ranks"  # the rulebook's name of this rule
SHIPPED: Final = RankRules()


def check_rules(rules: RankRules) -> None:
    """Raises Refused (422) if a rank asks less than the one before it.

    Then somebody could be F2 through an exposure that was not enough for F1.
    """
    for nearer, farther in zip(rules.criteria, rules.criteria[1:], strict=False):
        asks_no_less = (
            set(farther.nearness) <= set(nearer.nearness)
            and farther.minutes >= nearer.minutes
            and set(farther.confirmations) <= set(nearer.confirmations)
            and all(
                set(near) <= set(nearer.enough.get(setting, ()))
                for setting, near in farther.enough.items()
            )
        )
        if not asks_no_less:
            raise Refused(
                422, "rule-looser", _("A later rank must not ask less than the one before it.")
            )


class Edge(NamedTuple):
    """An exposure that stands, as the rule sees it."""

    id: int
    source: int | None
    exposed: int
    day: str
    known_by: str
    nearness: str
    minutes: int | None
    setting: str
    confirmation: str | None


# By steps from a case: the earliest day by which somebody was reached in at most 1, 2, ... of
# them, "" for not at all. ISO days compare as text. Cases have none: their own illness counts.
Arrivals = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Derived:
    """The rank of a person (0: an active case), and the exposure that gave it."""

    rank: int
    exposure_id: int | None
    last_exposed_on: str | None
    arrivals: Arrivals


def counts(edge: Edge, rank: int, rules: RankRules) -> bool:
    """Whether an exposure is near, long and sure enough to make somebody F`rank`."""
    asked = rules.criterion(rank)
    if edge.confirmation is not None and edge.confirmation not in asked.confirmations:
        return False
    if edge.nearness in asked.enough.get(Setting(edge.setting), ()):
        return True
    return edge.nearness in asked.nearness and (
        edge.minutes is None or edge.minutes >= asked.minutes
    )


def giving(
    edges: Iterable[Edge],
    rank: int,
    cases: Mapping[int, Infectious],
    reached: Callable[[int], str],
    rules: RankRules,
) -> list[Edge]:
    """Those of a person's exposures that make them F`rank`.

    `reached(source)`: the earliest day by which the source was reached in at most `rank` - 1
    steps, "" for not. What came before the source could be infectious does not count, nor an
    exposure to oneself (which a merge of two records may leave).
    """
    found = []
    for edge in edges:
        if edge.source == edge.exposed or not counts(edge, rank, rules):
            continue
        if edge.source is None:
            fits = rank == 1 and rules.follow_open_source
        elif (case := cases.get(edge.source)) is not None:
            fits = rank == 1 and case.since <= edge.day <= (case.until or edge.day)
        elif rank > 1 and (since := reached(edge.source)):
            fits = edge.day >= _later(since, rules.days_until_infectious)
        else:
            fits = False
        if fits:
            found.append(edge)
    return found


def arrival(given: Sequence[Edge], before: str) -> str:
    """The earliest day of the exposures of this step and of `before`, that of the step before."""
    return min((day for day in (before, *(edge.day for edge in given)) if day), default="")


def rank_of(arrivals: Arrivals) -> int | None:
    """The rank of who is no case."""
    return next((step for step, day in enumerate(arrivals, 1) if day), None)


def derived(arrivals: Arrivals, given: Sequence[Edge]) -> Derived | None:
    """The outcome for who is no case; `given`: the exposures that give the rank."""
    rank = rank_of(arrivals)
    if rank is None:
        return None
    first = min(given, key=lambda edge: (edge.day, edge.id))
    return Derived(rank, first.id, max(edge.day for edge in given), arrivals)


def derive(
    edges: Iterable[Edge], cases: Mapping[int, Infectious], rules: RankRules
) -> dict[int, Derived]:
    """The ranks of everybody, from nothing: what the steps of `service.rederive` must lead to."""
    incoming: dict[int, list[Edge]] = {}
    for edge in edges:
        incoming.setdefault(edge.exposed, []).append(edge)
    reached: dict[int, list[str]] = {person: [] for person in incoming}
    for step in range(1, rules.followed + 1):
        for person in incoming:
            if person in cases:
                continue
            given = giving(incoming[person], step, cases, _in_steps(reached, step - 1), rules)
            before = reached[person][-1] if step > 1 else ""
            reached[person].append(arrival(given, before))
    found = {person: Derived(0, None, None, ("",) * rules.followed) for person in cases}
    for person, days in reached.items():
        rank = None if person in cases else rank_of(tuple(days))
        if rank is not None:
            given = giving(incoming[person], rank, cases, _in_steps(reached, rank - 1), rules)
            outcome = derived(tuple(days), given)
            if outcome:
                found[person] = outcome
    return found


def _in_steps(reached: Mapping[int, Sequence[str]], steps: int) -> Callable[[int], str]:
    def day_of(person: int) -> str:
        days = reached.get(person, ())
        return days[steps - 1] if 0 < steps <= len(days) else ""

    return day_of


def _later(day: str, days: int) -> str:
    if not days:
        return day
    return (dt.date.fromisoformat(day) + dt.timedelta(days=days)).isoformat()


def follow_up_until(last_exposed_on: str | None, rules: RankRules) -> str | None:
    """The last day of a contact's follow-up."""
    return _later(last_exposed_on, rules.follow_up_days) if last_exposed_on else None


def packed(arrivals: Arrivals) -> str:
    """As the store keeps it."""
    return ",".join(arrivals)


def unpacked(text: str, followed: int) -> Arrivals:
    """From the store, where another version may have followed fewer or more ranks."""
    days = text.split(",") if text else []
    last = days[-1] if days else ""
    return tuple([*days, *[last] * followed][:followed])
