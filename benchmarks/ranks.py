"""F-ranks after one change among a million exposures, beside deriving all of them anew.

1,000,000 people, 1,000,000 exposures, 20,000 active cases: a case has 20 contacts on average, each
of them 10 more, and whatever is left meets at random. Each change is a transaction as the service
does it, the median of 200. Beside it the questions that the pages ask. SQLite in a temporary
folder; with DATABASE_URL, that (empty) database.
"""

import asyncio
import datetime as dt
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Final, cast

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.clock import ManualClock
from bluezone.server.cases.tables import Case
from bluezone.server.contacts import deriving, lists
from bluezone.server.contacts.deriving import rederive, rederive_all, take_turn
from bluezone.server.contacts.lists import Filters
from bluezone.server.contacts.rules import SHIPPED
from bluezone.server.contacts.tables import Exposure, Rank
from bluezone.server.context import Services
from bluezone.server.migrations import upgrade
from bluezone.server.people.scope import EVERYWHERE, Scope
from bluezone.server.places.units import NATION, Level, children, level_of
from bluezone.server.register.tables import Person
from bluezone.storage.database import Base, Database
from bluezone.storage.lease import Lease

_PEOPLE: Final = int(os.environ.get("BLUEZONE_BENCH_PEOPLE", "1000000"))
_EXPOSURES: Final = _PEOPLE
_CASES: Final = _PEOPLE // 50
_NOW: Final = 1_611_144_000
_FIRST: Final = dt.date(2021, 1, 4)
_ROWS: Final = 5_000
_LIMIT_MS: Final = 300.0


def measure() -> list[dict[str, object]]:
    """One row for each thing that is done; some minutes."""
    return asyncio.run(_measure())


async def _measure() -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(os.environ.get("DATABASE_URL", f"sqlite:///{folder}/bench.db"))
        await upgrade(database)
        rng = random.Random(1)
        await _fill(database, rng)
        # Only the clock and the database are asked for.
        parts = {"database": database, "clock": ManualClock(_NOW), "now": _NOW}
        services = cast(Services, type("Parts", (), parts))
        lease = Lease(database, services.clock, "ranks", seconds=3600)
        await lease.acquire()
        began = time.perf_counter()
        await rederive_all(services, lease)
        first = time.perf_counter() - began
        if not database.is_sqlite:
            async with database.engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                await connection.execute(text("VACUUM ANALYZE"))
        began = time.perf_counter()
        await rederive_all(services, lease)
        whole = time.perf_counter() - began
        began = time.perf_counter()
        async with database.read() as session:
            found = await deriving._everybody(session, SHIPPED)
        computed = time.perf_counter() - began
        rows = [
            _row("all anew, into an empty table", first * 1000, whole),
            _row("all anew, nothing differs", whole * 1000, whole),
            _row("all anew, without the store", computed * 1000, whole),
        ]
        changes = {
            "an exposure to a case is added": _add(
                rng, [one for one in found if not found[one].rank]
            ),
            "an exposure of anybody is added": _add(rng, range(1, _PEOPLE)),
            "an exposure is removed": _remove(rng),
            "a case closes": _close(rng),
        }
        for name, change in changes.items():
            rows.append(_row(name, await _median(database, change), whole))
        for name, ask in _questions(rng).items():
            rows.append({**_row(name, await _median(database, ask, 10, True), whole),
                         "limit ms": _LIMIT_MS})  # fmt: skip
        await database.dispose()
        return rows


def _row(name: str, milliseconds: float, whole: float) -> dict[str, object]:
    return {
        "done": name,
        "ms": round(milliseconds, 2),
        "all anew / this": whole * 1000 / milliseconds,
        "limit ms": None,
    }


_Deed = Callable[[AsyncSession], Awaitable[object]]


async def _median(
    database: Database, deed: _Deed, times: int = 200, is_reading: bool = False
) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        async with database.read() if is_reading else database.transaction() as session:
            await deed(session)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


# --- the changes -------------------------------------------------------------------------
def _add(rng: random.Random, sources: "range | list[int]") -> _Deed:
    async def change(session: AsyncSession) -> None:
        exposed = rng.randrange(1, _PEOPLE + 1)
        await session.execute(
            insert(Exposure), [_exposure(rng.choice(sources), exposed, rng.randrange(14))]
        )
        await rederive(session, [exposed], _NOW)

    return change


def _remove(rng: random.Random) -> _Deed:
    async def change(session: AsyncSession) -> None:
        row = await session.get(Exposure, rng.randrange(1, _EXPOSURES))
        assert row is not None
        row.removed_at = _NOW
        await rederive(session, [row.exposed_id], _NOW)

    return change


def _close(rng: random.Random) -> _Deed:
    async def change(session: AsyncSession) -> None:
        person = await session.scalar(
            update(Case)
            .where(Case.id == rng.randrange(1, _CASES))
            .values(closed_at=_NOW, status="closed")
            .returning(Case.person_id)
        )
        assert person is not None
        await rederive(session, [person], _NOW)

    return change


def _questions(rng: random.Random) -> dict[str, _Deed]:
    commune = rng.choice(_communes())
    province = ".".join(commune.split(".")[:2])
    today = dt.date(2021, 1, 20)

    def listed(unit: str) -> _Deed:
        scope = EVERYWHERE if unit == NATION else Scope((unit,))
        return lambda session: lists.contacts_in(session, scope, Filters(unit=unit), SHIPPED, today)

    def counted(unit: str) -> _Deed:
        return lambda session: lists.figures(session, unit, "2021-01-07", "2021-01-20")

    return {
        **{
            f"first page of F1, {level_of(one)}": listed(one) for one in (NATION, province, commune)
        },
        **{
            f"what phones found, {level_of(one)}": counted(one)
            for one in (NATION, province, commune)
        },
    }


# --- the country -------------------------------------------------------------------------
def _communes() -> list[str]:
    found, wave = [], [NATION]
    while wave:
        below = [child.path for one in wave for child in children(one)]
        found += [one for one in below if level_of(one) is Level.COMMUNE]
        wave = below
    return found


async def _fill(database: Database, rng: random.Random) -> None:
    communes = _communes()
    people = [
        {"id": one, "unit": communes[one * len(communes) // (_PEOPLE + 1)], "sealed": b"x" * 200,
         "created_at": 0, "updated_at": 0, "revision": 0}
        for one in range(1, _PEOPLE + 1)
    ]  # fmt: skip
    await _insert(database, Person, people)
    ill = rng.sample(range(1, _PEOPLE + 1), _CASES)
    days = {person: rng.randrange(10) for person in ill}
    await _insert(
        database,
        Case,
        [
            {"id": number, "reference": f"BN{number}", "person_id": person, "unit": NATION,
             "status": "confirmed", "reported_on": _day(days[person]),
             "infectious_from": _day(days[person]), "infectious_until": "9999-12-31",
             "rule_version": 0, "source": "intake", "created_at": 0, "updated_at": 0, "revision": 0}
            for number, person in enumerate(ill, 1)
        ],
    )  # fmt: skip
    exposures: list[dict[str, object]] = []
    near: list[tuple[int, int]] = []
    for person in ill:
        for _ in range(20):
            other, on = _neighbour(rng, person), rng.randrange(days[person], 14)
            near.append((other, on))
            exposures.append(_exposure(person, other, on))
    rng.shuffle(near)
    for person, on in near:
        if len(exposures) > _EXPOSURES * 9 // 10:
            break
        exposures += [
            _exposure(person, _neighbour(rng, person), rng.randrange(on, 14)) for _ in range(10)
        ]
    while len(exposures) < _EXPOSURES:
        person = rng.randrange(1, _PEOPLE + 1)
        exposures.append(_exposure(person, _neighbour(rng, person), rng.randrange(14)))
    await _insert(database, Exposure, exposures[:_EXPOSURES])
    async with database.transaction() as session:
        await take_turn(session)
        assert await session.scalar(select(Rank).limit(1)) is None


def _neighbour(rng: random.Random, person: int) -> int:
    """Mostly people of the same commune meet."""
    if rng.random() < 0.8:
        other = person + rng.randrange(-150, 150)
        if 1 <= other <= _PEOPLE and other != person:
            return other
    return rng.randrange(1, _PEOPLE + 1)


def _exposure(source: int, exposed: int, on: int) -> dict[str, object]:
    by_phone = (source + exposed) % 7 == 0
    return {
        "source_id": source, "exposed_id": exposed, "day": _day(on), "minutes": 30,
        "known_by": "phone" if by_phone else "interview", "nearness": "two-metres",
        "setting": "other", "relation": "", "confirmation": "both-sides" if by_phone else None,
        "band": "", "certainty": "", "flags": "", "created_at": _NOW - 86400 * (14 - on),
        "account_id": 1, "account_name": "bench", "revision": 0,
    }  # fmt: skip


def _day(number: int) -> str:
    return (_FIRST + dt.timedelta(days=number)).isoformat()


async def _insert(database: Database, table: type[Base], rows: list[dict[str, object]]) -> None:
    for start in range(0, len(rows), _ROWS):
        async with database.transaction() as session:
            await session.execute(insert(table), rows[start : start + _ROWS])
