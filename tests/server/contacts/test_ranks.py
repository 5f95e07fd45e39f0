"""F-ranks: what the rule says, and that a change leads to the same as deriving everything."""

import asyncio
import itertools
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.cases.service import Infectious
from bluezone.server.cases.tables import Case
from bluezone.server.contacts import deriving, rules
from bluezone.server.contacts.deriving import Change, rederive, rederive_all
from bluezone.server.contacts.rules import (
    Confirmation,
    Criterion,
    Edge,
    KnownBy,
    Nearness,
    RankRules,
    Setting,
    check_rules,
    derive,
)
from bluezone.server.contacts.tables import Exposure
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Grant, Staff, StaffRole
from bluezone.server.rulebook import service as rulebook
from bluezone.storage.database import Database
from bluezone.storage.lease import Lease
from tests.server.conftest import BA_DINH
from tests.server.contacts.graph import (
    RandomGraph,
    add_people,
    case_values,
    day,
    exposure_values,
    right_ranks,
    stored_ranks,
)

SHIPPED = rules.SHIPPED
CASE = {1: Infectious(day(3), None, day(5))}


def edge(source: int | None, exposed: int, on: int, **others: object) -> Edge:
    given = Edge(
        source=source, exposed=exposed, day=day(on), id=1, known_by="interview",
        nearness="two-metres", minutes=60, setting="other", confirmation=None,
    )  # fmt: skip
    return given._replace(**others)  # type: ignore[arg-type]


def ranks(
    *edges: Edge, cases: dict[int, Infectious] = CASE, rule: RankRules = SHIPPED
) -> dict[int, int]:
    found = derive((one._replace(id=n) for n, one in enumerate(edges)), cases, rule)
    return {person: one.rank for person, one in found.items()}


def test_a_chain_is_followed_as_far_as_the_rule_says() -> None:
    chain = [edge(n, n + 1, 3 + n) for n in range(1, 6)]
    assert ranks(*chain) == {1: 0, 2: 1, 3: 2, 4: 3}
    assert ranks(*chain, rule=RankRules(followed=1)) == {1: 0, 2: 1}


def test_what_came_before_the_source_could_be_infectious_does_not_count() -> None:
    assert ranks(edge(1, 2, 2)) == {1: 0}  # before the case's infectious period
    assert ranks(edge(1, 2, 3)) == {1: 0, 2: 1}
    ended = {1: Infectious(day(3), day(6), None)}
    assert ranks(edge(1, 2, 6), cases=ended) == {1: 0, 2: 1}
    assert ranks(edge(1, 2, 7), cases=ended) == {1: 0}
    # 2 met 3 before it met the case: 3 is nobody's contact; on the same day it may have been after.
    assert ranks(edge(1, 2, 8), edge(2, 3, 7)) == {1: 0, 2: 1}
    assert ranks(edge(1, 2, 8), edge(2, 3, 8)) == {1: 0, 2: 1, 3: 2}
    late = RankRules(days_until_infectious=2)
    assert ranks(edge(1, 2, 8), edge(2, 3, 9), rule=late) == {1: 0, 2: 1}
    assert ranks(edge(1, 2, 8), edge(2, 3, 10), rule=late) == {1: 0, 2: 1, 3: 2}


def test_of_two_paths_the_lower_rank_counts_and_a_longer_one_may_still_carry_on() -> None:
    both = [edge(1, 2, 4), edge(2, 3, 5), edge(1, 3, 9)]
    assert ranks(*both) == {1: 0, 2: 1, 3: 1}
    # 3 is F1 by day 9, but was F2 by day 5: whoever it met on day 6 is F3.
    assert ranks(*both, edge(3, 4, 6)) == {1: 0, 2: 1, 3: 1, 4: 3}
    found = derive([one._replace(id=n) for n, one in enumerate(both)], CASE, SHIPPED)
    assert (found[3].exposure_id, found[3].last_exposed_on) == (2, day(9))


def test_cycles_end_and_nobody_is_a_contact_of_themselves() -> None:
    assert ranks(edge(1, 2, 4), edge(2, 1, 5), edge(2, 2, 5), edge(2, 3, 5), edge(3, 2, 5)) == {
        1: 0, 2: 1, 3: 2,
    }  # fmt: skip
    assert ranks(edge(1, 1, 5)) == {1: 0}


def test_a_case_passes_on_by_its_own_illness_alone() -> None:
    cases = {1: Infectious(day(0), None, None), 2: Infectious(day(8), None, None)}
    assert ranks(edge(1, 2, 1), edge(2, 3, 7), cases=cases) == {1: 0, 2: 0}
    assert ranks(edge(1, 2, 1), edge(2, 3, 8), cases=cases) == {1: 0, 2: 0, 3: 1}


@pytest.mark.parametrize(
    ("changes", "rank"),
    [
        ({"minutes": 14}, None),
        ({"minutes": None}, 1),
        ({"nearness": "same-room"}, None),
        ({"nearness": "same-room", "setting": "household", "minutes": 1}, 1),
        ({"nearness": "unknown", "setting": "household", "minutes": None}, 1),
        ({"nearness": "farther", "setting": "household"}, None),
        ({"nearness": "same-room", "setting": "transport", "minutes": 5}, 1),
        ({"nearness": "unknown", "setting": "transport"}, None),
        ({"known_by": "phone", "confirmation": "claim-only"}, 1),
        ({"source": None, "known_by": "phone", "confirmation": "claim-only"}, 1),
    ],
)
def test_which_exposures_are_enough_for_f1(changes: dict[str, object], rank: int | None) -> None:
    assert ranks(edge(1, 2, 5)._replace(**changes)).get(2) == rank  # type: ignore[arg-type]


def test_an_f2_needs_more_than_the_word_of_one_phone() -> None:
    def by(confirmation: Confirmation) -> dict[int, int]:
        heard = edge(2, 3, 6, known_by=KnownBy.PHONE, confirmation=confirmation)
        return ranks(edge(1, 2, 5), heard)

    assert by(Confirmation.CLAIM_ONLY) == {1: 0, 2: 1}
    assert by(Confirmation.ONE_SIDE) == by(Confirmation.BOTH_SIDES) == {1: 0, 2: 1, 3: 2}
    closed = RankRules(follow_open_source=False)
    claim = edge(None, 2, 5, known_by="phone", confirmation="claim-only")
    assert ranks(claim, rule=closed) == {1: 0}


def test_a_rule_must_not_get_looser() -> None:
    check_rules(SHIPPED)
    for looser in (
        Criterion(minutes=5),
        Criterion(nearness=tuple(Nearness)),
        Criterion(enough={Setting.WORK: (Nearness.TOUCH,)}),
    ):
        with pytest.raises(Refused):
            check_rules(RankRules(criteria=(Criterion(), looser)))


_PERSON = st.integers(1, 6)
_EDGES = st.lists(
    st.builds(
        edge,
        st.one_of(_PERSON, st.none()),
        _PERSON,
        st.integers(0, 8),
        minutes=st.sampled_from([None, 5, 60]),
        nearness=st.sampled_from(["two-metres", "same-room"]),
        setting=st.sampled_from(["household", "other"]),
        confirmation=st.sampled_from([None, "claim-only", "both-sides"]),
    ),
    max_size=9,
)


@given(edges=_EDGES, cases=st.dictionaries(_PERSON, st.integers(0, 8), max_size=3))
def test_a_rank_is_the_length_of_the_shortest_path_through_time(
    edges: list[Edge], cases: dict[int, int]
) -> None:
    """Against all paths there are, walked one by one."""
    ill = {person: Infectious(day(since), day(since + 3), None) for person, since in cases.items()}
    expected = dict.fromkeys(ill, 0)
    for length in range(1, SHIPPED.followed + 1):
        for path in itertools.product(edges, repeat=length):
            if _is_path(path, ill) and path[-1].exposed not in expected:
                expected[path[-1].exposed] = length
    assert ranks(*edges, cases=ill) == expected


def _is_path(path: tuple[Edge, ...], ill: dict[int, Infectious]) -> bool:
    first = path[0]
    if first.source is not None:
        case = ill.get(first.source)
        if case is None or not case.since <= first.day <= (case.until or ""):
            return False
    return all(
        rules.counts(one, rank, SHIPPED) and one.source != one.exposed and one.exposed not in ill
        for rank, one in enumerate(path, 1)
    ) and all(
        before.exposed == after.source and before.day <= after.day
        for before, after in itertools.pairwise(path)
    )


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_a_change_leads_to_the_ranks_that_deriving_everything_does(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    path = tmp_path_factory.mktemp("graph") / "service.db"
    shutil.copy(sqlite_template, path)

    async def run() -> None:
        database = Database(f"sqlite:///{path}")
        await _walk(database, random.Random(seed), 30)
        await database.dispose()

    asyncio.run(run())
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_the_same_on_postgresql(database: Database) -> None:
    await _walk(database, random.Random(7), 60)


async def _walk(database: Database, rng: random.Random, changes: int) -> None:
    async with database.transaction() as session:
        graph = RandomGraph(rng, await add_people(session, [BA_DINH] * 12))
    for _ in range(changes):
        async with database.transaction() as session:
            await graph.change(session)
        async with database.read() as session:
            assert await stored_ranks(session) == await right_ranks(session), graph.done


async def test_a_new_rule_ranks_everybody_while_others_go_on_working(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deriving, "_PEOPLE_AT_ONCE", 3)
    staff = Staff(1, "lan", (Grant(StaffRole.HEALTH_WORKER, BA_DINH),))
    for seed in range(6):
        async with services.database.transaction() as session:
            graph = RandomGraph(random.Random(seed), await add_people(session, [BA_DINH] * 12))
            graph.cases = seed * 1000
            for _ in range(30):
                await graph.change(session)
            await rulebook.add_version(
                session, staff, rules.RANKS,
                RankRules(followed=seed % 4 + 1, days_until_infectious=1),
                valid_from="2021-01-01", reason="QĐ 1", now=services.now,
            )  # fmt: skip
        lease = _BusyLease(services, graph)
        await rederive_all(services, lease)
        assert lease.turns > 4
        async with services.database.read() as session:
            assert await stored_ranks(session) == await right_ranks(session)


class _BusyLease(Lease):
    """Each time the job asks for it, somebody changes something first."""

    def __init__(self, services: Services, graph: RandomGraph) -> None:
        super().__init__(services.database, services.clock, "busy")
        self._graph, self.turns = graph, 0

    async def confirm(self, session: AsyncSession) -> None:
        self.turns += 1
        await self._graph.change(session)


async def test_only_those_behind_a_change_are_read(database: Database) -> None:
    """A change says whose rank is another; where nothing changes, it goes no further."""
    async with database.transaction() as session:
        one, two, three, far = await add_people(session, [BA_DINH] * 4)
        await session.execute(insert(Case), [case_values(1, one, day(3), None)])
        rows = [exposure_values(one, two, day(4)), exposure_values(two, three, day(5))]
        await session.execute(insert(Exposure), [*rows, exposure_values(three, far, day(5))])
        assert await rederive(session, [one, two, three, far], 0) == {
            one: Change(None, 0), two: Change(None, 1), three: Change(None, 2),
            far: Change(None, 3),
        }  # fmt: skip
        await session.execute(insert(Exposure), [exposure_values(one, three, day(6))])
        assert await rederive(session, [three], 0) == {three: Change(2, 1)}
        case = await session.scalar(select(Case))
        assert case is not None
        case.closed_at = 1
        assert await rederive(session, [one], 0) == {
            one: Change(0, None), two: Change(1, None), three: Change(1, None),
            far: Change(3, None),
        }  # fmt: skip
