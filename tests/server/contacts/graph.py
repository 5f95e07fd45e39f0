"""A graph of people in a database, changed at random, and what its ranks must be."""

import datetime as dt
import random
from dataclasses import dataclass, field

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.cases.service import active_cases
from bluezone.server.cases.tables import Case
from bluezone.server.contacts.deriving import rederive, rules_in_use
from bluezone.server.contacts.rules import (
    Confirmation,
    Derived,
    Edge,
    KnownBy,
    Nearness,
    Setting,
    derive,
    unpacked,
)
from bluezone.server.contacts.tables import Exposure, Rank
from bluezone.server.register.tables import Person

FIRST = dt.date(2021, 1, 4)


def day(number: int) -> str:
    """A day of the test's fortnight."""
    return (FIRST + dt.timedelta(days=number)).isoformat()


async def add_people(session: AsyncSession, units: list[str]) -> list[int]:
    """People without details."""
    rows = [
        Person(
            unit=unit, sealed=b"", created_at=0, updated_at=0, revision=0, household=None,
            merged_into=None,
        )
        for unit in units
    ]  # fmt: skip
    session.add_all(rows)
    await session.flush()
    return [row.id for row in rows]


def case_values(number: int, person: int, since: str, until: str | None) -> dict[str, object]:
    """An active case."""
    return {
        "reference": f"BN{number}", "person_id": person, "unit": "vn.01.001.00004",
        "status": "confirmed", "reported_on": since, "infectious_from": since,
        "infectious_until": until or "9999-12-31", "rule_version": 0, "source": "manual",
        "created_at": 0, "updated_at": 0, "revision": 0,
    }  # fmt: skip


def exposure_values(
    source: int | None, exposed: int, on: str, **others: object
) -> dict[str, object]:
    """An hour within two metres."""
    return {
        "source_id": source, "exposed_id": exposed, "known_by": KnownBy.INTERVIEW.value, "day": on,
        "minutes": 60, "nearness": Nearness.TWO_METRES.value, "setting": Setting.OTHER.value,
        "relation": "", "confirmation": None, "band": "", "certainty": "", "flags": "",
        "created_at": 0, "account_id": 1, "account_name": "lan", "revision": 0, **others,
    }  # fmt: skip


@dataclass
class RandomGraph:
    """Changes itself, and has what is touched derived anew."""

    rng: random.Random
    people: list[int]
    cases: int = 0
    done: list[str] = field(default_factory=list)

    async def change(self, session: AsyncSession) -> None:
        """One change, and the ranks after it."""
        verb = self.rng.choices(
            [self._expose, self._remove, self._open, self._close, self._move], [8, 3, 3, 2, 1]
        )[0]
        touched = await verb(session)
        self.done.append(f"{verb.__name__} {touched}")
        await rederive(session, touched, 0)

    async def _expose(self, session: AsyncSession) -> list[int]:
        rows = []
        for _ in range(self.rng.choice([1, 1, 3])):
            phone = self.rng.random() < 0.3
            source = None if phone and self.rng.random() < 0.3 else self.rng.choice(self.people)
            rows.append(
                exposure_values(
                    source,
                    self.rng.choice(self.people),  # at times the same: it must not count
                    day(self.rng.randrange(14)),
                    known_by=(KnownBy.PHONE if phone else KnownBy.INTERVIEW).value,
                    confirmation=self.rng.choice(list(Confirmation)).value if phone else None,
                    minutes=self.rng.choice([None, 5, 30]),
                    nearness=self.rng.choice(list(Nearness)).value,
                    setting=self.rng.choice(list(Setting)).value,
                )
            )
        await session.execute(insert(Exposure), rows)
        return [row["exposed_id"] for row in rows]  # type: ignore[misc]

    async def _remove(self, session: AsyncSession) -> list[int]:
        stand = (await session.scalars(select(Exposure).where(Exposure.removed_at.is_(None)))).all()
        if not stand:
            return []
        one = self.rng.choice(stand)
        one.removed_at = 1
        return [one.exposed_id]

    async def _open(self, session: AsyncSession) -> list[int]:
        person, since = self.rng.choice(self.people), self.rng.randrange(14)
        if person in await active_cases(session, [person]):
            return []
        self.cases += 1
        until = None if self.rng.random() < 0.5 else day(since + 5)
        await session.execute(insert(Case), [case_values(self.cases, person, day(since), until)])
        return [person]

    async def _close(self, session: AsyncSession) -> list[int]:
        ill = sorted(await active_cases(session))
        if not ill:
            return []
        person = self.rng.choice(ill)
        await session.execute(
            update(Case).where(Case.person_id == person).values(closed_at=1, status="closed")
        )
        return [person]

    async def _move(self, session: AsyncSession) -> list[int]:
        """Another onset came to be known."""
        ill = sorted(await active_cases(session))
        if not ill:
            return []
        person = self.rng.choice(ill)
        await session.execute(
            update(Case)
            .where(Case.person_id == person, Case.closed_at.is_(None))
            .values(infectious_from=day(self.rng.randrange(14)), infectious_until=None)
        )
        return [person]


async def stored_ranks(session: AsyncSession) -> dict[int, Derived]:
    """What is kept."""
    _version, rule = await rules_in_use(session)
    return {
        row.person_id: Derived(
            row.rank,
            row.exposure_id,
            row.last_exposed_on,
            unpacked(row.arrivals, rule.followed),
        )
        for row in await session.scalars(select(Rank).execution_options(populate_existing=True))
        if row.rank is not None
    }


async def right_ranks(session: AsyncSession) -> dict[int, Derived]:
    """What comes out of nothing."""
    _version, rule = await rules_in_use(session)
    columns = [getattr(Exposure, {"source": "source_id", "exposed": "exposed_id"}.get(name, name))
               for name in Edge._fields]  # fmt: skip
    rows = await session.execute(select(*columns).where(Exposure.removed_at.is_(None)))
    return derive(map(Edge._make, rows), await active_cases(session), rule)
