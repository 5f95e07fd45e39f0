"""Ranks, derived: of the few whom a change touches, or of everybody when the rule changes.

A derivation goes step by step from the cases outwards, as `rules.derive` does. After a change only
those are looked at whose own exposures or whose sources have changed; whose outcome stays the same
is where it ends. Two derivations at a time could each miss what the other has not committed, so
whoever derives holds the one row of `rank_state` until the transaction ends: call it last.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.cases import service as cases
from bluezone.server.cases.service import Infectious
from bluezone.server.contacts import rules
from bluezone.server.contacts.rules import Arrivals, Derived, Edge, RankRules
from bluezone.server.contacts.tables import Exposure, Rank, RankOverride, RankSeed, RankState
from bluezone.server.context import Services
from bluezone.server.register import service as register
from bluezone.server.rulebook import service as rulebook
from bluezone.server.work import service as work
from bluezone.storage.database import upsert
from bluezone.storage.lease import Lease

_AT_ONCE: Final = 500  # values of one statement
_PEOPLE_AT_ONCE: Final = 2000  # of one transaction while all are derived anew
_EDGE: Final = (
    Exposure.id,
    Exposure.source_id,
    Exposure.exposed_id,
    Exposure.day,
    Exposure.known_by,
    Exposure.nearness,
    Exposure.minutes,
    Exposure.setting,
    Exposure.confirmation,
)
_STANDS: Final = Exposure.removed_at.is_(None)


@dataclass(frozen=True, slots=True)
class Change:
    """A person's derived rank before and after."""

    before: int | None
    after: int | None


async def rederive(session: AsyncSession, person_ids: Iterable[int], now: int) -> dict[int, Change]:
    """Derive anew after something changed at these people: an exposure of theirs was added or
    removed (those exposed), a case of theirs opened, closed or has another infectious period, or
    they moved to another unit.

    Returns whose rank is another now; what there is to do for them follows it. Call it last in a
    transaction.
    """
    seeds = set(person_ids)
    if not seeds:
        return {}
    state = await take_turn(session)
    rule = await rulebook.of_version(session, rules.RANKS, rules.SHIPPED, state.rule_version)
    await session.flush()
    found = _Round(session, rule)
    await found.derive(seeds)
    changes = await _write(session, found.outcomes(), now)
    if state.is_renewing:
        await _remember(session, seeds | set(changes))
    await session.flush()
    await work.follow_up(session, now, changes)
    return changes


async def rederive_all(services: Services, lease: Lease) -> None:
    """Derive everybody's rank by the rule in force, in batches, while others go on working.

    It reads one snapshot and writes the outcome piece by piece. Whom somebody else touches in the
    meantime is noted, and derived once more at the end.
    """
    day = vietnam_day(services.now).isoformat()
    async with services.database.transaction() as session:
        state = await take_turn(session)
        state.is_renewing = True
        await session.execute(delete(RankSeed))
        version, rule = await rulebook.in_force(session, rules.RANKS, rules.SHIPPED, day)
    async with services.database.read() as session:
        found = await _everybody(session, rule)
    for part in _parts(sorted(found), _PEOPLE_AT_ONCE):
        async with services.database.transaction() as session:
            await lease.confirm(session)
            await take_turn(session)
            await _write(session, {person: found[person] for person in part}, services.now)
    last: int | None = 0
    while last is not None:
        last = await _clear_others(services, lease, found, last)
    async with services.database.transaction() as session:
        await lease.confirm(session)
        state = await take_turn(session)
        seeds = set(await session.scalars(select(RankSeed.person_id)))
        again = _Round(session, rule)
        await again.derive(seeds, is_all_suspect=True)
        await _write(session, again.outcomes(), services.now)
        await session.execute(delete(RankSeed))
        state.rule_version, state.is_renewing = version, False


async def renew(services: Services, lease: Lease) -> None:
    """The job: derive everybody's rank once another version of the rule is in force."""
    day = vietnam_day(services.now).isoformat()
    async with services.database.read() as session:
        version, _rule = await rulebook.in_force(session, rules.RANKS, rules.SHIPPED, day)
        state = await session.get(RankState, 1)
    if state is not None and (state.is_renewing or state.rule_version != version):
        await rederive_all(services, lease)


# --- a few -----------------------------------------------------------------------------
@dataclass
class _Round:
    """One derivation: what was read for it and what it has found so far."""

    session: AsyncSession
    rule: RankRules
    cases: dict[int, Infectious] = field(default_factory=dict)
    stored: dict[int, tuple[int | None, Arrivals]] = field(default_factory=dict)
    incoming: dict[int, list[Edge]] = field(default_factory=dict)
    fresh: dict[tuple[int, int], str] = field(default_factory=dict)  # (person, steps): day
    touched: set[int] = field(default_factory=set)

    async def derive(self, seeds: set[int], *, is_all_suspect: bool = False) -> None:
        """Go through the steps. `is_all_suspect`: what is stored of the seeds may be wrong
        without differing from what comes out, so those behind them are looked at in any case."""
        await self._read_people(seeds)
        changed = {one for one in seeds if one in self.cases or self._was_case(one)}
        self.touched |= seeds
        for step in range(1, self.rule.followed + 1):
            behind = await self._exposed_to(changed | seeds if is_all_suspect else changed)
            dirty = seeds | changed | behind
            await self._read_incoming(dirty)
            changed = set()
            for person in dirty:
                day = self._day_in(person, step)
                if day != self._stored_day(person, step):
                    changed.add(person)
                self.fresh[person, step] = day
            self.touched |= dirty

    def outcomes(self) -> dict[int, Derived | None]:
        """What came out for everybody touched."""
        return {person: self._outcome(person) for person in self.touched}

    def _outcome(self, person: int) -> Derived | None:
        if person in self.cases:
            return Derived(0, None, None, ("",) * self.rule.followed)
        arrivals = tuple(self._reached(person, step + 1) for step in range(self.rule.followed))
        rank = rules.rank_of(arrivals)
        if rank is None:
            return None
        return rules.derived(arrivals, self._giving(person, rank))

    def _day_in(self, person: int, step: int) -> str:
        if person in self.cases:
            return ""
        before = self._reached(person, step - 1) if step > 1 else ""
        return rules.arrival(self._giving(person, step), before)

    def _giving(self, person: int, step: int) -> list[Edge]:
        def reached(source: int) -> str:
            return self._reached(source, step - 1)

        return rules.giving(self.incoming[person], step, self.cases, reached, self.rule)

    def _reached(self, person: int, steps: int) -> str:
        if person in self.cases:
            return ""
        day = self.fresh.get((person, steps))
        return self._stored_day(person, steps) if day is None else day

    def _stored_day(self, person: int, steps: int) -> str:
        row = self.stored.get(person)
        return row[1][steps - 1] if row else ""

    def _was_case(self, person: int) -> bool:
        return person in self.stored and self.stored[person][0] == 0

    async def _exposed_to(self, sources: Collection[int]) -> set[int]:
        found: set[int] = set()
        for part in _parts(sources):
            found.update(
                await self.session.scalars(
                    select(Exposure.exposed_id).where(Exposure.source_id.in_(part), _STANDS)
                )
            )
        return found

    async def _read_incoming(self, people: Iterable[int]) -> None:
        missing = [person for person in people if person not in self.incoming]
        self.incoming.update((person, []) for person in missing)
        sources: set[int] = set()
        for part in _parts(missing):
            rows = await self.session.execute(
                select(*_EDGE).where(Exposure.exposed_id.in_(part), _STANDS)
            )
            for edge in map(Edge._make, rows):
                self.incoming[edge.exposed].append(edge)
                if edge.source is not None:
                    sources.add(edge.source)
        await self._read_people(sources.union(missing))

    async def _read_people(self, people: Iterable[int]) -> None:
        missing = [person for person in people if person not in self.stored]
        for part in _parts(missing):
            self.stored.update((person, (None, ("",) * self.rule.followed)) for person in part)
            rows = await self.session.execute(
                select(Rank.person_id, Rank.rank, Rank.arrivals).where(Rank.person_id.in_(part))
            )
            for person, rank, arrivals in rows:
                self.stored[person] = (rank, rules.unpacked(arrivals, self.rule.followed))
        self.cases.update(await cases.active_cases(self.session, missing))


# --- everybody -------------------------------------------------------------------------
async def _everybody(session: AsyncSession, rule: RankRules) -> dict[int, Derived]:
    """All ranks, from the cases outwards: only exposures of who was reached are read."""
    ill = await cases.active_cases(session)
    reached: dict[int, list[str]] = {}
    by_rank: dict[int, tuple[int, str, int, str]] = {}  # rank, first day, its exposure, last day
    sources: Collection[int] = ill
    for step in range(1, rule.followed + 1):
        now_reached: dict[int, str] = {}

        def before(person: int, steps: int = step - 1) -> str:
            days = reached.get(person)
            return days[steps - 1] if days and steps else ""

        async for edges in _edges_from(session, sources, with_open=step == 1):
            for edge in rules.giving(edges, step, ill, before, rule):
                person = edge.exposed
                if person in ill:
                    continue
                if not (known := now_reached.get(person)) or edge.day < known:
                    now_reached[person] = edge.day
                rank, day, exposure, last = by_rank.get(person, (step, edge.day, edge.id, edge.day))
                if rank == step:
                    first = min((day, exposure), (edge.day, edge.id))
                    by_rank[person] = (step, *first, max(last, edge.day))
        for person in now_reached:
            reached.setdefault(person, [""] * (step - 1))
        for person, days in reached.items():
            earlier = days[-1] if days else ""
            days.append(min(filter(None, (earlier, now_reached.get(person, ""))), default=""))
        sources = reached
    found = {person: Derived(0, None, None, ("",) * rule.followed) for person in ill}
    for person, (rank, _day, exposure, last) in by_rank.items():
        found[person] = Derived(rank, exposure, last, tuple(reached[person]))
    return found


async def _edges_from(
    session: AsyncSession, sources: Iterable[int], *, with_open: bool
) -> AsyncIterator[list[Edge]]:
    queries = [
        select(*_EDGE).where(Exposure.source_id.in_(part), _STANDS) for part in _parts(sources)
    ]
    if with_open:
        queries.append(select(*_EDGE).where(Exposure.source_id.is_(None), _STANDS))
    for query in queries:
        yield [Edge._make(row) for row in await session.execute(query)]


async def _clear_others(
    services: Services, lease: Lease, found: Mapping[int, Derived], after: int
) -> int | None:
    """Take the rank from the next people who have none any more. Returns how far it came."""
    async with services.database.transaction() as session:
        await lease.confirm(session)
        await take_turn(session)
        ids = list(
            await session.scalars(
                select(Rank.person_id)
                .where(Rank.person_id > after)
                .order_by(Rank.person_id)
                .limit(_PEOPLE_AT_ONCE)
            )
        )
        await _write(session, {one: None for one in ids if one not in found}, services.now)
        return ids[-1] if ids else None


# --- the store -------------------------------------------------------------------------
async def take_turn(session: AsyncSession) -> RankState:
    """Wait until nobody else derives, and keep others waiting until this transaction ends.

    A transaction that writes to the audit before it derives calls this first: all take the two
    locks in this order, so no two wait for each other.
    """
    await session.execute(
        upsert(session, RankState)
        .values(id=1, rule_version=0, is_renewing=False)
        .on_conflict_do_nothing()
    )
    state = await session.scalar(
        select(RankState)
        .where(RankState.id == 1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    assert state is not None  # noqa: S101 - just made, if it was not there
    return state


async def _remember(session: AsyncSession, people: Iterable[int]) -> None:
    for part in _parts(people):
        await session.execute(
            upsert(session, RankSeed)
            .values([{"person_id": person} for person in part])
            .on_conflict_do_nothing()
        )


async def _write(
    session: AsyncSession, outcomes: Mapping[int, Derived | None], now: int
) -> dict[int, Change]:
    """Store what differs. Returns whose derived rank is another now."""
    changes: dict[int, Change] = {}
    for part in _parts(outcomes):
        stored = {
            row.person_id: row
            for row in await session.execute(
                select(*Rank.__table__.columns).where(Rank.person_id.in_(part))
            )
        }
        overrides = await _overrides(session, part)
        known = await _known(session, part)
        units = await register.unmerged_units_of(session, part)
        values: list[dict[str, Any]] = []
        gone: list[int] = []
        for person in part:
            outcome, row = outcomes[person], stored.get(person)
            before, after = row.rank if row else None, outcome.rank if outcome else None
            if before != after:
                changes[person] = Change(before, after)
            if person not in units or (outcome is None and person not in overrides):
                if row is not None:
                    gone.append(person)
                continue
            value = {
                **_values(person, outcome, overrides, known),
                "unit": units[person],
            }
            if row is None or any(row._mapping[name] != one for name, one in value.items()):
                values.append({**value, "at": now})
        if gone:
            await session.execute(delete(Rank).where(Rank.person_id.in_(gone)))
        if values:
            replaced = [one["person_id"] for one in values if one["person_id"] in stored]
            if replaced:
                await session.execute(delete(Rank).where(Rank.person_id.in_(replaced)))
            await session.execute(insert(Rank), values)
    return changes


def _values(
    person: int,
    outcome: Derived | None,
    overrides: Mapping[int, int | None],
    known: Mapping[int, tuple[int, int]],
) -> dict[str, Any]:
    rank = outcome.rank if outcome else None
    bits, found_at = known.get(person, (0, None))
    return {
        "person_id": person,
        "rank": rank,
        # Whoever became a case is one, whatever was decided of them as a contact.
        "shown": rank if rank == 0 else overrides.get(person, rank),
        "exposure_id": outcome.exposure_id if outcome else None,
        "last_exposed_on": outcome.last_exposed_on if outcome else None,
        "listed_on": (outcome.last_exposed_on or "") if outcome else "",
        "arrivals": rules.packed(outcome.arrivals) if outcome else "",
        "known_by": bits,
        "found_at": found_at,
    }


async def _overrides(session: AsyncSession, people: Sequence[int]) -> dict[int, int | None]:
    rows = await session.execute(
        select(RankOverride.person_id, RankOverride.rank)
        .where(RankOverride.person_id.in_(people), RankOverride.ended_at.is_(None))
        .order_by(RankOverride.id)
    )
    return {person: rank for person, rank in rows}


async def _known(session: AsyncSession, people: Sequence[int]) -> dict[int, tuple[int, int]]:
    """By which words these people's exposures are known, and when the first came in."""
    rows = await session.execute(
        select(Exposure.exposed_id, Exposure.known_by, func.min(Exposure.created_at))
        .where(Exposure.exposed_id.in_(people), _STANDS)
        .group_by(Exposure.exposed_id, Exposure.known_by)
    )
    found: dict[int, tuple[int, int]] = {}
    for person, known_by, since in rows:
        bits, first = found.get(person, (0, since))
        bit = rules.KNOWN_BY_BITS[rules.KnownBy(known_by)]
        found[person] = (bits | bit, min(first, since))
    return found


def _parts(people: Iterable[int], size: int = _AT_ONCE) -> Iterator[list[int]]:
    # In order, so that two transactions never wait for each other's rows.
    ordered = sorted(people)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]
