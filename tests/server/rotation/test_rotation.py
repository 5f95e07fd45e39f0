"""New keys for what is sealed: nothing forgotten, nothing lost, also by who dies in the middle."""

import asyncio
import subprocess
import sys

import pytest
from sqlalchemy import LargeBinary, select, text

from bluezone.clock import ManualClock
from bluezone.server.cases.tables import Case, CaseEvent
from bluezone.server.context import Services
from bluezone.server.keys import KeyUnavailable
from bluezone.server.linelists.tables import ReportSchedule
from bluezone.server.messaging.rules import Message
from bluezone.server.messaging.rules import Purpose as MessagePurpose
from bluezone.server.messaging.service import outbox, outbox_sealer, put
from bluezone.server.people.scope import EVERYWHERE
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Register
from bluezone.server.register.tables import Person
from bluezone.server.rotation import service as rotation
from bluezone.server.rotation.columns import NOT_SEALED, SEALED, SEARCH_KEY
from bluezone.server.rotation.jobs import JOB
from bluezone.server.rotation.tables import KeyRotation
from bluezone.server.sealing import Sealer
from bluezone.server.secret_files import old_key
from bluezone.server.tables import metadata
from bluezone.storage.lease import Lease
from tests.server.conftest import BA_DINH, NOON, RunJob
from tests.server.isolation import make_world

AT_ONCE = 50
PEOPLE = 130  # three batches


def test_every_column_of_bytes_is_sealed_and_listed_or_said_not_to_be() -> None:
    columns = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    sealed = [one.name for one in SEALED]
    assert len(sealed) == len(set(sealed))
    assert set(sealed) & set(NOT_SEALED) == set()
    assert columns - set(sealed) - set(NOT_SEALED) == set(), "sealed? with which key?"
    assert set(sealed) | set(NOT_SEALED) <= columns
    for one in SEALED:
        table = metadata.tables[one.table]
        assert all(part in table.c for part in one.place if isinstance(part, str))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "_AT_ONCE", AT_ONCE)


def details(number: int) -> Details:
    return Details(name="Trần Thị Lan", phone=f"+8490{number:07}")


async def fill(services: Services, people: int = PEOPLE) -> list[Person]:
    keys = Register.open(services.settings.secrets_folder)
    rows = [(details(number), BA_DINH) for number in range(people)]
    async with services.database.transaction() as session:
        found = await register.add_many(session, keys, rows, now=NOON)
        sealer = outbox_sealer(services.settings.secrets_folder)
        message = Message("+84901234567", "Xin chào", MessagePurpose.NUMBER_CODE)
        await put(session, sealer, message, NOON)
        case = Case(
            reference="A",
            person_id=found[0].id,
            unit=BA_DINH,
            status="confirmed",
            reported_on="2021-01-20",
            infectious_from="2021-01-18",
            infectious_until="2021-01-30",
            rule_version=0,
            source="report",
            created_at=NOON,
            updated_at=NOON,
            revision=0,
        )
        session.add(case)
        await session.flush()
        note = keys.sealer.seal("Sốt từ hôm qua".encode(), b"case-note", str(case.id).encode())
        session.add(
            CaseEvent(
                case_id=case.id,
                at=NOON,
                kind="changed",
                revision=0,
                account_id=1,
                account_name="lan",
                facts="{}",
                note=note,
            )
        )
    return found


async def begin(services: Services, *files: str) -> None:
    lease = Lease(services.database, services.clock, f"job:{JOB}")
    assert await lease.acquire()
    try:
        for file in files:
            await rotation.begin(services, lease, file)
    finally:
        await lease.release()


async def all_open(services: Services, current: bool) -> None:
    """Every person opens; with `current`, each with the new key alone."""
    keys = Register.open(services.settings.secrets_folder)
    async with services.database.read() as session:
        rows = (await session.scalars(select(Person).order_by(Person.id))).all()
        assert len(rows) == PEOPLE
        for number, row in enumerate(rows):
            assert keys.details(row) == details(number)
            place = (b"person", str(row.id).encode())
            assert not current or keys.sealer.is_current(row.sealed, *place)
        note = await session.scalar(select(CaseEvent.note))
        case = await session.scalar(select(Case.id))
        assert note is not None
        opened = keys.sealer.open(note, b"case-note", str(case).encode())
        assert opened.decode() == "Sốt từ hôm qua"
        [kept] = await outbox(session, outbox_sealer(services.settings.secrets_folder))
        assert kept.message.text == "Xin chào"


async def test_all_rows_come_under_the_new_key_and_the_old_one_goes(
    services: Services, clock: ManualClock, run_job: RunJob
) -> None:
    people = await fill(services)
    secrets = services.settings.secrets_folder
    late = Register.open(secrets)
    before = {
        name: (secrets / name).read_bytes()
        for name in rotation.key_files()
        if (secrets / name).exists()
    }
    await begin(services, *rotation.key_files())
    await all_open(services, current=False)
    with pytest.raises(KeyUnavailable, match="is still needed"):
        await begin(services, "register-key")
    await run_job(JOB)
    await all_open(services, current=True)
    for name, secret in before.items():
        assert (secrets / name).read_bytes() != secret
        assert old_key(secrets / name).read_bytes() == secret
        assert old_key(secrets / name).stat().st_mode & 0o077 == 0
    # A request that began before the rotation ends after the pass: its row is found by the next.
    async with services.database.transaction() as session:
        row = await session.get(Person, people[0].id)
        assert row is not None
        row.sealed = late.sealed(row.id, details(0))
    clock.advance(rotation.GRACE_SECONDS)
    await run_job(JOB)
    assert old_key(secrets / "register-key").exists()
    assert not old_key(secrets / "outbox-key").exists()
    clock.advance(3600)
    await run_job(JOB)
    assert rotation.under_way(secrets) == []
    await all_open(services, current=True)
    async with services.database.read() as session:
        assert (await session.scalars(select(KeyRotation))).all() == []


async def test_a_row_that_opens_with_neither_key_keeps_the_old_one(
    services: Services, clock: ManualClock, run_job: RunJob
) -> None:
    await fill(services)
    async with services.database.transaction() as session:
        await session.execute(
            text(
                "UPDATE persons SET sealed = case_events.note"
                " FROM case_events WHERE persons.id = 70"
            )
        )
    await begin(services, "register-key")
    await run_job(JOB)
    clock.advance(2 * rotation.GRACE_SECONDS)
    await run_job(JOB)
    assert rotation.under_way(services.settings.secrets_folder) == ["register-key"]
    async with services.database.read() as session:
        state = await session.get(KeyRotation, "register-key")
    assert state is not None
    assert (state.done, state.unreadable) == (PEOPLE, 1)  # all others, and the note of a case


async def test_who_dies_in_the_middle_is_followed_by_one_who_goes_on(
    services: Services, clock: ManualClock, run_job: RunJob
) -> None:
    people = await fill(services)
    await begin(services, "register-key", SEARCH_KEY)
    # Before the first commit; after it; in the second key's second batch. There are two steps to
    # a batch, three batches of people, and one of each other column.
    left = 2 + sum(one.key == "register" for one in SEALED) - 1
    steps = ("1", "2", str(2 * left + 3))
    done = await asyncio.to_thread(
        subprocess.run,
        [
            *(sys.executable, "-m", "tests.server.rotation.mortal", str(services.settings.home)),
            *(services.settings.database, str(services.now), str(AT_ONCE), *steps),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = dict(line.split() for line in done.stdout.splitlines())
    assert rows["register-key"] == str(PEOPLE + 1)  # each went on where the one before stopped
    assert 0 < int(rows[SEARCH_KEY]) < PEOPLE
    await all_open(services, current=True)
    for number in (0, 70, PEOPLE - 1):
        assert await found(services, number) == [people[number].id]
    clock.advance(900)
    await run_job(JOB)
    clock.advance(2 * rotation.GRACE_SECONDS)
    await run_job(JOB)
    assert rotation.under_way(services.settings.secrets_folder) == []
    await all_open(services, current=True)
    for number in (0, 70, PEOPLE - 1):
        assert await found(services, number) == [people[number].id]


async def found(services: Services, number: int) -> list[int]:
    """The ids of whom a search and a comparison find by telephone number."""
    keys = Register.open(services.settings.secrets_folder)
    async with services.database.read() as session:
        rows = await register.find(session, keys, EVERYWHERE, details(number).phone)
        [alike] = await register.candidates(session, keys, [(details(number), BA_DINH)])
    assert alike[0].person_id == rows[0].id
    return [row.id for row in rows]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_the_duties_seal_themselves_opens_as_the_list_says(
    services: Services, clock: ManualClock, run_job: RunJob
) -> None:
    """Rows that every duty wrote by its own verbs: none may open with neither key."""
    await make_world(services)
    async with services.database.transaction() as session:
        schedule = await session.scalar(select(ReportSchedule))
        assert schedule is not None  # which that world fills in by itself
        place = (b"report-reason", str(schedule.account_id).encode())
        schedule.reason = Sealer(services.settings.secrets_folder, "reports").seal(b"x", *place)
    sealed = await _sealed(services)
    for column in ("persons.sealed", "handover_contents.sealed", "merges.undo"):
        assert sealed[column], f"nothing to rotate in {column}"
    await begin(services, *rotation.key_files())
    await run_job(JOB)
    clock.advance(2 * rotation.GRACE_SECONDS)
    await run_job(JOB)
    assert rotation.under_way(services.settings.secrets_folder) == []
    after = await _sealed(services)
    assert {name: len(rows) for name, rows in after.items()} == {
        name: len(rows) for name, rows in sealed.items()
    }
    assert all(set(after[name]).isdisjoint(rows) for name, rows in sealed.items())


async def _sealed(services: Services) -> dict[str, list[bytes]]:
    async with services.database.read() as session:
        return {
            one.name: [
                value
                for value in await session.scalars(select(metadata.tables[one.table].c[one.column]))
                if value
            ]
            for one in SEALED
        }
