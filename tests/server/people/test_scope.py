"""Whose records somebody sees: the query and the object say the same, on both stores."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from bluezone.server.people.scope import EVERYWHERE, NOWHERE, Scope, is_within
from bluezone.server.people.tables import StaffAccount
from bluezone.server.places.units import NATION
from bluezone.storage.database import Database

# Neighbours in byte order of what divides paths (".") and of digits, and codes that begin alike.
_PARTS = st.sampled_from(["01", "010", "0", "1", "001", "00004", "9", "48"])
PATHS = st.lists(_PARTS, max_size=3).map(lambda parts: ".".join([NATION, *parts]))


@given(st.lists(PATHS, max_size=6), PATHS)
def test_a_scope_is_the_union_of_its_units(units: list[str], path: str) -> None:
    scope = Scope.over(units)
    assert scope.covers(path) == any(is_within(path, unit) for unit in units)
    # Nothing in it lies within another, so the query says no more than it must.
    assert not any(is_within(a, b) for a in scope.units for b in scope.units if a != b)
    assert Scope.over(reversed(units)) == scope


def test_the_ends_of_the_world() -> None:
    assert EVERYWHERE.covers(NATION)
    assert EVERYWHERE.covers("vn.01.001.00004")
    assert not NOWHERE.covers(NATION)
    assert not Scope(("vn.01",)).covers("vn.010")
    assert not Scope(("vn.01",)).covers("vn")


async def test_the_query_finds_what_the_scope_covers(database: Database) -> None:
    examples = 150 if database.is_sqlite else 25

    @settings(
        max_examples=examples,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.lists(PATHS, max_size=4), st.sets(PATHS, min_size=1, max_size=12))
    def collect(units: list[str], paths: set[str]) -> None:
        cases.append((units, sorted(paths)))

    cases: list[tuple[list[str], list[str]]] = []
    collect()
    for units, paths in cases:
        scope = Scope.over(units)
        async with database.transaction() as session:
            await session.execute(delete(StaffAccount))
            await session.execute(
                insert(StaffAccount),
                [
                    {"name": path, "unit": path, "password_hash": "", "created_at": 0}
                    for path in paths
                ],
            )
            found = await session.scalars(
                select(StaffAccount.unit).where(scope.of(StaffAccount.unit))
            )
            assert set(found) == {path for path in paths if scope.covers(path)}, units
