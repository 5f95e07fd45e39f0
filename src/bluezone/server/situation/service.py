"""The verbs of the situation: what is asked of the other duties, put together. Nothing is written.

No name is read here: a picture shows cases and contacts without names unless `names` is asked.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.cases import queries as cases
from bluezone.server.cases.queries import CaseRow
from bluezone.server.contacts import queries as contacts
from bluezone.server.contacts import service as contact_ranks
from bluezone.server.contacts.lists import figures
from bluezone.server.contacts.queries import ContactRow, ExposureRow
from bluezone.server.contacts.service import RankRow
from bluezone.server.people.scope import Scope
from bluezone.server.places import units
from bluezone.server.register import queries as register
from bluezone.server.register.service import Register
from bluezone.server.selection import Selection, narrowed
from bluezone.server.situation.charts import Series
from bluezone.server.situation.graph import Forest, Kind, Link, Node, day_number, grow
from bluezone.server.situation.map_picture import Circle
from bluezone.server.situation.statistics import summed_up, wilson
from bluezone.server.work import queries as work

# Whoever falls ill in a period was exposed in it or within this time before.
LOOK_BACK_DAYS: Final = 14
MOST_LINKS: Final = 40_000
MOST_CASES: Final = 40_000
STATUSES: Final = ("confirmed", "probable", "suspected", "closed")  # as stacked, from below
# The end of a follow-up, and the time in which illness after an exposure counts as caused by it.
FOLLOW_UP_DAYS: Final = 14
REACHED_WITHIN_SECONDS: Final = 24 * 3600
_CALLS: Final = ("call", "visit")
_CHECKS: Final = ("call", "visit", "quarantine-check")
_SPOKEN_TO: Final = ("reached", "symptoms", "met")
_AT_ONCE: Final = 5000


# --- chains ----------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Chains:
    """The forest of a selection; `are_cut`: there were more cases, or exposures, than are read."""

    forest: Forest
    are_cut: bool


async def chains(session: AsyncSession, selection: Selection) -> Chains:
    """Cases of the selection, whom they met and who met them."""
    scope = selection.scope
    dated = await cases.cases_between(
        session, scope, selection.first, selection.last, at_most=MOST_CASES + 1
    )
    are_cut = len(dated) > MOST_CASES
    # The latest last: of somebody who was ill twice it is the one that counts below.
    found = [case for case in reversed(dated[:MOST_CASES]) if case.status != "discarded"]
    since = (selection.since - timedelta(days=LOOK_BACK_DAYS)).isoformat()
    rows = await contacts.exposures_between(session, scope, since, selection.last, MOST_LINKS + 1)
    are_cut = are_cut or len(rows) > MOST_LINKS
    rows = rows[:MOST_LINKS]
    of_person = {case.person_id: case for case in found}
    people = set(of_person) | _people_of(rows)
    at = await register.units_of(session, people)
    visible = {person for person in people if person in at and scope.covers(at[person])}
    of_person |= await cases.cases_of(session, scope, visible - set(of_person), but="discarded")
    ranks = await contact_ranks.ranks_of(session, visible - set(of_person))
    links = [_link(row) for row in rows]
    nodes = _nodes(people, at, visible, of_person, ranks, links)
    # In a thread: it takes seconds, and phones are waiting for answers meanwhile.
    return Chains(await asyncio.to_thread(grow, nodes, links), are_cut)


def _people_of(rows: Iterable[ExposureRow]) -> set[int]:
    found: set[int] = set()
    for row in rows:
        found.add(row.exposed_id)
        if row.source_id is not None:
            found.add(row.source_id)
    return found


def _link(row: ExposureRow) -> Link:
    return Link(
        row.id,
        row.source_id,
        row.exposed_id,
        day_number(row.day),
        row.setting,
        row.place,
        row.known_by,
    )


def _nodes(
    people: Iterable[int],
    at: Mapping[int, str],
    visible: set[int],
    of_person: Mapping[int, CaseRow],
    ranks: Mapping[int, RankRow],
    links: Iterable[Link],
) -> list[Node]:
    first_met: dict[int, int] = {}
    infected: set[int] = set()
    met_case: set[int] = set()
    for link in links:
        for person in (link.source, link.exposed):
            if person is not None:
                first_met[person] = min(first_met.get(person, link.day), link.day)
        if link.source is not None:
            infected.add(link.source)
            # Of who is not seen nothing is told, but that they are somebody's source.
            if link.source in of_person or link.source not in visible:
                met_case.add(link.exposed)
        else:
            met_case.add(link.exposed)  # a phone met the key of a case
    nodes = []
    for person in sorted(people):
        case = of_person.get(person)
        if person not in visible:
            # One of the unit's cases may live elsewhere by now, and have met nobody.
            day = first_met[person] if case is None else first_met.get(person, day_number(case.day))
            nodes.append(Node(person, Kind.ELSEWHERE, day, is_case=person in infected))
        elif case is not None:
            nodes.append(
                Node(person, _kind(case), day_number(case.day), at[person], case.reference)
            )
        else:
            rank = ranks[person].rank if person in ranks else None
            near = rank == 1 if rank is not None else person in met_case
            kind = Kind.CONTACT if near else Kind.FARTHER
            nodes.append(Node(person, kind, first_met[person], at[person], is_case=False))
    return nodes


def _kind(case: CaseRow) -> Kind:
    if case.outcome == "died":
        return Kind.DEAD
    if case.status == "closed":
        return Kind.OVER
    return Kind.CONFIRMED if case.status == "confirmed" else Kind.POSSIBLE


async def names(
    session: AsyncSession, scope: Scope, book: Register, people: Iterable[int]
) -> dict[int, str]:
    """The names of those of these people who are within scope. The caller audits it."""
    found = await register.details_of(session, scope, book, people)
    return {person: details.name for person, details in found.items()}


# --- map -------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Map:
    """The units below the chosen one with their cases, and the cases of all of them."""

    circles: tuple[Circle, ...]
    total: int


async def cases_by_place(session: AsyncSession, selection: Selection, own: Scope) -> Map:
    """Cases of a period in the units one level below the chosen one, or in one's own units."""
    counts = await cases.counts_by_unit(
        session, selection.scope, selection.first, selection.last, STATUSES
    )
    totals = summed_up(counts)
    shown = _units_of_map(selection, own)
    circles = tuple(
        Circle(one.code, one.name, one.latitude, one.longitude, totals.get(one.path, 0))
        for one in shown
    )
    return Map(circles, sum(counts.values()))


def _units_of_map(selection: Selection, own: Scope) -> list[units.Unit]:
    tops = (selection.unit,) if selection.unit else own.units
    if len(tops) != 1:
        return [one for top in tops if (one := units.unit(top)) is not None]
    below = [one for one in units.children(tops[0]) if narrowed(own, one.path).units]
    here = units.unit(tops[0])
    return below or ([here] if here is not None else [])


# --- curve -----------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Curve:
    """Cases by day and status; status names are those of the table."""

    series: tuple[Series, ...]
    without_onset: int  # reported in the period, onset not known
    without_symptoms: int  # reported in the period, ill without a symptom

    @property
    def total(self) -> int:
        return sum(sum(series.counts) for series in self.series)


async def curve(session: AsyncSession, selection: Selection, *, by_onset: bool) -> Curve:
    """The epidemic curve of a selection, by day of onset or of report."""
    counts = await cases.counts_by_day(
        session, selection.scope, selection.first, selection.last, by_onset=by_onset
    )
    missing = await cases.reported_without_onset(
        session, selection.scope, selection.first, selection.last
    )
    days = [
        (selection.since + timedelta(days=at)).isoformat()
        for at in range((selection.until - selection.since).days + 1)
    ]
    series = tuple(
        Series(status, [counts.get((day, status), 0) for day in days]) for status in STATUSES
    )
    return Curve(series, missing[False], missing[True])


# --- delays ----------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Delay:
    """The times one step took (in `unit`: "days" or "hours"), and how many cannot be said."""

    name: str  # key of routes' words
    unit: str
    values: tuple[float, ...]
    missing: int
    backwards: int  # the end before the beginning: one of the two is wrong


async def delays(session: AsyncSession, selection: Selection) -> list[Delay]:
    """From onset to sample, result and code, and from knowing of a contact to the first talk."""
    onset_to_sample, sample_to_result, result_to_code = [], [], []
    last = 0
    while True:
        page = await cases.cases_after(
            session, selection.scope, selection.first, selection.last, after=last, at_most=_AT_ONCE
        )
        found = [case for case in page if case.status != "discarded"]
        resulted = await _first_positives(session, selection, found)
        for case in found:
            sampled_on, reported_at = resulted.get(case.id, (case.sampled_on, None))
            if case.has_symptoms is not False:
                onset_to_sample.append(_days(case.onset, sampled_on))
            reported_on = vietnam_day(reported_at).isoformat() if reported_at is not None else None
            sample_to_result.append(_days(sampled_on, reported_on))
            result_to_code.append(_hours(reported_at or case.confirmed_at, case.code_issued_at))
        if len(page) < _AT_ONCE:
            break
        last = page[-1].id
    known = {one.person_id: one.known_at for one in await _contacts(session, selection)}
    spoken_to = await work.closed_since(session, selection.scope, known, _CALLS, _SPOKEN_TO)
    first_call = [
        _hours(known_at, spoken_to[person][0] if person in spoken_to else None)
        for person, known_at in known.items()
    ]
    return [
        _delay("onset-sample", "days", onset_to_sample),
        _delay("sample-result", "days", sample_to_result),
        _delay("result-code", "hours", result_to_code),
        _delay("contact-call", "hours", first_call),
    ]


async def _first_positives(
    session: AsyncSession, selection: Selection, found: Sequence[CaseRow]
) -> dict[int, tuple[str, int]]:
    """Of each case that has one, the positive result reported first: sampled on, reported at."""
    first: dict[int, tuple[str, int]] = {}
    for result in await cases.results_of_cases(
        session, selection.scope, (case.id for case in found)
    ):
        if result.result == "positive" and result.case_id is not None:
            before = first.get(result.case_id)
            if before is None or result.reported_at < before[1]:
                first[result.case_id] = (result.sampled_on, result.reported_at)
    return first


def _days(begin: str | None, end: str | None) -> float | None:
    if begin is None or end is None:
        return None
    return float((date.fromisoformat(end) - date.fromisoformat(begin)).days)


def _hours(begin: int | None, end: int | None) -> float | None:
    return None if begin is None or end is None else (end - begin) / 3600


def _delay(name: str, unit: str, values: Iterable[float | None]) -> Delay:
    everything = list(values)
    known = [value for value in everything if value is not None]
    return Delay(
        name,
        unit,
        tuple(value for value in known if value >= 0),
        len(everything) - len(known),
        sum(value < 0 for value in known),
    )


# --- coverage --------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Coverage:
    """Of the contacts of a period: how many were reached, tested, followed to the end."""

    contacts: int
    reached: int  # within 24 hours of being known
    tested: int  # since the first exposure
    finished: int  # their follow-up is over
    followed: int  # of these: spoken to on the last days of it


async def coverage(session: AsyncSession, selection: Selection, today: date) -> Coverage:
    """How far the follow-up of the contacts of a period has come."""
    scope = selection.scope
    found = await _contacts(session, selection)
    known = {one.person_id: one.known_at for one in found}
    called = await work.closed_since(session, scope, known, _CALLS, _SPOKEN_TO)
    checked = await work.closed_since(session, scope, known, _CHECKS, _SPOKEN_TO)
    sampled = await cases.sampled_since(session, scope, known, selection.first)
    reached = tested = finished = followed = 0
    for one in found:
        latest = one.known_at + REACHED_WITHIN_SECONDS
        reached += any(at <= latest for at in called.get(one.person_id, ()))
        tested += sampled.get(one.person_id, "") >= one.first_day
        end = date.fromisoformat(one.last_day) + timedelta(days=FOLLOW_UP_DAYS)
        if end < today:
            finished += 1
            # Within a day of the end: who is called on the last morning is done.
            last_days = (end - timedelta(days=1), end + timedelta(days=1))
            followed += any(
                last_days[0] <= vietnam_day(at) <= last_days[1]
                for at in checked.get(one.person_id, ())
            )
    return Coverage(len(found), reached, tested, finished, followed)


@dataclass(frozen=True, slots=True)
class KnownBy:
    """F1 contacts who became known in a period, by whose word."""

    only_phones: int  # nobody but a phone knew of them
    phones_too: int
    no_phones: int


async def known_by(session: AsyncSession, selection: Selection) -> KnownBy:
    """What only phones found, of all units of a selection together."""
    found = [
        (await figures(session, path, selection.first, selection.last))[0]
        for path in selection.scope.units
    ]
    only = sum(one.only_phones for one in found)
    too = sum(one.phones_too for one in found)
    return KnownBy(only, too, sum(one.f1 for one in found) - only - too)


@dataclass(frozen=True, slots=True)
class AttackRate:
    """Of those exposed in a setting, how many fell ill within two weeks; 95 % interval."""

    setting: str
    ill: int
    exposed: int
    low: float
    high: float


async def attack_rates(session: AsyncSession, selection: Selection) -> list[AttackRate]:
    """The secondary attack rate by setting. A person counts once in each setting."""
    rows = await contacts.exposed_in_settings(
        session, selection.scope, selection.first, selection.last
    )
    ill = await cases.cases_of(
        session, selection.scope, {person for person, _s, _d in rows}, but="discarded"
    )
    exposed: dict[str, int] = {}
    infected: dict[str, int] = {}
    for person, setting, day in rows:
        case = ill.get(person)
        after = _days(day, case.day) if case is not None else None
        if after is not None and after < 1:
            continue  # was ill already: nobody's secondary case
        exposed[setting] = exposed.get(setting, 0) + 1
        if (
            case is not None
            and after is not None
            and after <= FOLLOW_UP_DAYS
            and case.status in ("confirmed", "probable", "closed")
        ):
            infected[setting] = infected.get(setting, 0) + 1
    return [
        AttackRate(
            setting, infected.get(setting, 0), count, *wilson(infected.get(setting, 0), count)
        )
        for setting, count in sorted(exposed.items(), key=lambda item: (-item[1], item[0]))
    ]


async def _contacts(session: AsyncSession, selection: Selection) -> list[ContactRow]:
    found: list[ContactRow] = []
    while True:
        some = await contacts.contacts_after(
            session,
            selection.scope,
            selection.first,
            selection.last,
            after=found[-1].person_id if found else 0,
            at_most=_AT_ONCE,
        )
        found += some
        if len(some) < _AT_ONCE:
            return found
