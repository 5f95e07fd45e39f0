"""Retention: rows of every table of people's go in time, it is written down, and looked for."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.clock import ManualClock
from bluezone.protocol.intervals import VIETNAM
from bluezone.server.audit.tables import AuditEntry
from bluezone.server.context import Services
from bluezone.server.holdings import report, retention
from bluezone.server.holdings.report import GO_WITH, STAY, TIMED, look_for_old
from bluezone.server.holdings.rules import (
    SHIPPED,
    Category,
    Ending,
    RetentionRules,
    deletion_digest,
    keeping,
)
from bluezone.server.people.rules import Grant, Staff, StaffRole
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Register
from bluezone.server.register.tables import Person
from bluezone.server.rulebook import service as rulebook
from bluezone.server.tables import metadata
from bluezone.storage.lease import Lease
from tests.server.conftest import BA_DINH, NOON, RunJob

DAY = 86_400
TODAY = dt.datetime.fromtimestamp(NOON, VIETNAM).date()


def test_every_table_is_looked_into_or_said_to_hold_nobody() -> None:
    named = [*(one.table for one in TIMED), *GO_WITH, *STAY, "persons", "diagnosis_keys"]
    assert len(named) == len(set(named))
    assert set(named) == set(metadata.tables)
    for name, parent in GO_WITH.items():
        keys = [key.column.table.name for key in metadata.tables[name].foreign_keys]
        assert parent in keys, f"{name} does not refer to {parent}"


def test_whatever_refers_to_a_person_is_known_to_the_report() -> None:
    for table in metadata.tables.values():
        if any(key.column.table.name == "persons" for key in table.foreign_keys):
            assert table.name in {*GO_WITH, "persons", "citizen_codes"}, table.name


@given(
    st.lists(
        st.builds(Ending, st.sampled_from(list(Category)), st.integers(0, 10**10), st.booleans()),
        min_size=1,
    )
)
def test_the_last_ending_and_the_weightiest_category_count(endings: list[Ending]) -> None:
    kept = keeping(endings, SHIPPED)
    assert kept.until == max(one.at for one in endings) + SHIPPED.days(kept.category) * DAY
    order = list(Category)
    assert all(order.index(one.category) <= order.index(kept.category) for one in endings)
    more = keeping([*endings, Ending(Category.OTHER, 0)], SHIPPED)
    assert more.until >= kept.until


# What others read must be words they know.
_WORDS = {
    "exposures": {
        "known_by": "interview",
        "nearness": "same-room",
        "setting": "household",
        "relation": "",
    },
    "cases": {
        "status": "confirmed",
        "infectious_from": "2021-01-01",
        "infectious_until": "2021-02-01",
    },
}


class Town:
    """Rows of people with everything that can be kept of them, each as old as it is told to be."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.keys = Register.open(services.settings.secrets_folder)
        self._made = 0

    async def person(self, days: int, **values: Any) -> int:
        """Somebody entered so many days ago."""
        at = NOON - days * DAY
        async with self.services.database.transaction() as session:
            row = await register.add(
                session,
                self.keys,
                Details(name="Trần Thị Lan", phone="+84901234567"),
                unit=BA_DINH,
                now=at,
            )
            for name, value in values.items():
                setattr(row, name, value)
        return row.id

    async def row(self, table: str, **values: Any) -> Any:
        """A row, with something in every column that needs it."""
        of = metadata.tables[table]
        filled: dict[str, Any] = {}
        values = {**_WORDS.get(table, {}), **values}
        for column in of.columns:
            if column.name in values:
                filled[column.name] = values[column.name]
            elif column.nullable or column is of.autoincrement_column:
                continue
            elif column.foreign_keys:
                [key] = column.foreign_keys
                parent = key.column.table.name
                filled[column.name] = (
                    await self.person(0) if parent == "persons" else await self.row(parent)
                )
            else:
                filled[column.name] = self._unlike(column.type.python_type)
        if "unit" in of.columns:
            filled["unit"] = BA_DINH
        async with self.services.database.transaction() as session:
            done = await session.execute(insert(of).values(filled))
            return done.inserted_primary_key[0]

    def _unlike(self, kind: type) -> Any:
        """A value that no other row has, where that can matter."""
        self._made += 1
        values: dict[type, Any] = {str: f"x{self._made}", bytes: b"x%d" % self._made}
        return values.get(kind, kind(0))

    async def everything(self, days: int, source: int) -> int:
        """A case that closed so many days ago, with rows in each table."""
        at = NOON - days * DAY
        day = (TODAY - dt.timedelta(days=days)).isoformat()
        person = await self.person(days)
        merged = await self.person(days, merged_into=person, household=person)
        case = await self.row(
            "cases", reference=f"C{person}", person_id=person, closed_at=at, updated_at=at
        )
        await self.row(
            "cases",
            reference=f"M{person}",
            person_id=merged,
            closed_at=at,
            updated_at=at,
            merged_into=case,
        )
        await self.row("case_events", case_id=case)
        await self.row(
            "lab_results", sample=f"S{person}", person_id=merged, case_id=case, reported_at=at
        )
        await self.row("merges", kept=person, merged=merged)
        await self.row("case_diaries", case_id=case)
        await self.row("rank_seeds", person_id=person)
        place = await self.row("places_visited", kind="market")
        await self.row("visits", place_id=place, person_id=person, end_at=at)
        await self.row("exposures", source_id=source, exposed_id=person, day=day, place_id=place)
        await self.row("exposures", source_id=merged, exposed_id=source, day=day)
        await self.row("ranks", person_id=person, rank=0, at=NOON, last_exposed_on=day)
        await self.row("rank_overrides", person_id=person, rank=1, at=at)
        task = await self.row("tasks", person_id=person, state="done", due_at=at, closed_at=at)
        event = await self.row("task_events", task_id=task)
        await self.row("task_handovers", task_id=task, event_id=event)
        await self.row(
            "citizen_codes",
            code_mac=str(person).encode(),
            person_id=person,
            issued_at=NOON,
            expires_at=NOON + 60,
        )
        return person


def of_people() -> list[str]:
    """The tables whose rows go with a person."""
    found = {"persons"}
    for _ in GO_WITH:
        found |= {name for name, parent in GO_WITH.items() if parent in found}
    return sorted(found | {"citizen_codes"})


async def left(services: Services) -> dict[str, int]:
    async with services.database.read() as session:
        return {
            name: await session.scalar(select(func.count()).select_from(metadata.tables[name])) or 0
            for name in of_people()
        }


async def too_old(services: Services) -> list[str]:
    return [one.what for one in await look_for_old(services) if one.too_old]


class _MergingLease(Lease):
    """Somebody merges two records just before the job deletes one of them."""

    def __init__(self, services: Services, kept: int, merged: int) -> None:
        super().__init__(services.database, services.clock, "retention")
        self._kept, self._merged = kept, merged

    async def confirm(self, session: AsyncSession) -> None:
        row = await session.get(Person, self._merged)
        if row is not None:
            row.merged_into = self._kept
            await session.flush()


async def test_a_record_that_is_merged_meanwhile_stays_with_the_other(services: Services) -> None:
    town = Town(services)
    old, young = await town.person(2000), await town.person(1)
    await retention.forget_old(services, _MergingLease(services, young, old))
    assert (await left(services))["persons"] == 2


async def test_rows_of_every_table_go_and_those_of_others_stay(
    services: Services, run_job: RunJob
) -> None:
    town = Town(services)
    source = await town.everything(100, await town.person(0))  # a case, kept
    before = await left(services)
    old = await town.everything(5 * 365 + 20, source)
    with_old = await left(services)
    assert [name for name in before if with_old[name] <= before[name]] == []
    async with services.database.read() as session:
        sealed = await session.scalar(
            select(metadata.tables["persons"].c.sealed).where(
                metadata.tables["persons"].c.id == old
            )
        )
    assert await too_old(services) == ["persons (case)"]
    assert not services.database.is_sqlite or (sealed and sealed in _on_disk(services))

    await run_job("retention")
    assert await left(services) == before
    assert await too_old(services) == []
    async with services.database.read() as session:
        [entry] = await session.scalars(select(AuditEntry).where(AuditEntry.action == "delete"))
        assert await session.get(register.Person, source) is not None
    assert entry.subject == "retention:case"
    digest = deletion_digest(Category.CASE, "2021-01-20", [old])
    assert entry.detail == f"count=1 day=2021-01-20 sha256={digest}"
    assert sealed
    if services.database.is_sqlite:
        assert sealed not in _on_disk(services)


def _on_disk(services: Services) -> bytes:
    """SQLite's file and its log."""
    path = Path(services.database.url.database or "")
    log = path.with_name(f"{path.name}-wal")
    return path.read_bytes() + (log.read_bytes() if log.exists() else b"")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("what", "days"),
    [
        ("other", 90),
        ("far-contact", 14),
        ("contact", 90),
        ("case", 5 * 365),
        ("abandoned", 5 * 365),
    ],
)
async def test_each_category_has_its_days(
    services: Services, clock: ManualClock, run_job: RunJob, what: str, days: int
) -> None:
    town = Town(services)
    person = await town.person(0)
    over = NOON
    if what in ("contact", "far-contact"):
        source = await town.person(0)
        if what == "contact":
            await town.row("cases", reference="S", person_id=source, updated_at=NOON)
        else:
            await town.row("tasks", person_id=source, due_at=NOON + 1000 * DAY)
        await town.row("exposures", source_id=source, exposed_id=person, day=TODAY.isoformat())
        midnight = dt.datetime.combine(TODAY + dt.timedelta(days=15), dt.time(), VIETNAM)
        over = int(midnight.timestamp())
    if what == "case":
        await town.row("cases", reference="P", person_id=person, closed_at=NOON)
    if what == "abandoned":
        await town.row("cases", reference="P", person_id=person, updated_at=NOON)
        over = NOON + 365 * DAY

    async def there() -> bool:
        await run_job("retention")
        async with services.database.read() as session:
            return await session.get(register.Person, person) is not None

    clock.set(over + days * DAY - 1)
    assert await there()
    clock.set(over + days * DAY + report.SLACK_SECONDS + DAY)
    assert any(name.startswith("persons") for name in await too_old(services))
    assert not await there()
    assert await too_old(services) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_work_that_goes_on_keeps_a_record_and_a_later_rule_counts(
    services: Services, clock: ManualClock, run_job: RunJob
) -> None:
    town = Town(services)
    person = await town.person(400)
    task = await town.row("tasks", person_id=person, due_at=NOON + 5 * DAY)
    await run_job("retention")
    assert (await left(services))["persons"] == 1
    staff = Staff(1, "root", (Grant(StaffRole.ADMIN, "vn"),))
    async with services.database.transaction() as session:
        await session.execute(
            update(metadata.tables["tasks"]).values(closed_at=NOON).where(text(f"id = {task}"))
        )
        await rulebook.add_version(
            session,
            staff,
            "retention",
            RetentionRules(other_days=30),
            valid_from="2021-01-21",
            reason="Quyết định 1",
            now=NOON,
        )
    clock.advance(29 * DAY)
    await run_job("retention")
    assert (await left(services))["persons"] == 1
    clock.advance(DAY)
    await run_job("retention")
    assert await left(services) == dict.fromkeys(await left(services), 0)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_report_finds_what_a_job_forgot(services: Services, clock: ManualClock) -> None:
    town = Town(services)
    for one in TIMED:
        await town.row(one.table, **{one.column: 0})
    await town.row("diagnosis_keys", key=b"k", rolling_start=0)
    found = await too_old(services)
    assert sorted(found) == sorted([*(one.table for one in TIMED), "diagnosis_keys"])
