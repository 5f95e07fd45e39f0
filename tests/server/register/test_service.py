"""The register on both stores: found within scope only, compared, changed by one at a time."""

import pytest
from sqlalchemy import func, select, text

from bluezone.server.audit.rules import Purpose
from bluezone.server.audit.service import LOOKS_BY_ACCOUNT
from bluezone.server.audit.tables import AuditEntry
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.keys import KeyUnavailable
from bluezone.server.people.rules import Grant, Staff, StaffRole
from bluezone.server.people.scope import EVERYWHERE, Scope
from bluezone.server.register import service
from bluezone.server.register.rules import SAME, Details
from bluezone.server.register.service import Register
from bluezone.server.register.tables import Person, PersonToken
from tests.server.conftest import BA_DINH, LIEN_CHIEU, NGOC_HA, NOON

LAN = Details(name="Trần Thị Lan", phone="+84901234567", identity="001090012345", birth="1990")
STAFF = Staff(1, "hoa", (Grant(StaffRole.HEALTH_WORKER, BA_DINH),), Scope((BA_DINH,)))


@pytest.fixture
def register(services: Services) -> Register:
    return Register.open(services.settings.secrets_folder)


async def add(services: Services, register: Register, *people: tuple[Details, str]) -> list[Person]:
    async with services.database.transaction() as session:
        return await service.add_many(session, register, people, now=NOON)


async def found(services: Services, register: Register, scope: Scope, typed: str) -> list[str]:
    async with services.database.read() as session:
        rows = await service.find(session, register, scope, typed)
        return [f"{register.details(row).name} {row.unit[-5:]}" for row in rows]


async def test_people_are_found_within_scope_alone(services: Services, register: Register) -> None:
    other = Details(name="Lê Thị Lan")
    await add(services, register, (LAN, BA_DINH), (LAN, LIEN_CHIEU), (other, NGOC_HA))
    hanoi = Scope(("vn.01",))
    for typed in ("tran thi lan", "Thị  LAN", "0901234567", "001090012345"):
        assert "Trần Thị Lan 00004" in await found(services, register, hanoi, typed)
        assert "Trần Thị Lan 20197" not in await found(services, register, hanoi, typed)
    assert await found(services, register, hanoi, "LÂN") == [
        "Lê Thị Lan 00008",
        "Trần Thị Lan 00004",
    ]
    assert await found(services, register, Scope((BA_DINH,)), "lan") == ["Trần Thị Lan 00004"]
    assert len(await found(services, register, EVERYWHERE, "tran thi lan")) == 2
    assert await found(services, register, Scope(()), "lan") == []
    assert await found(services, register, EVERYWHERE, "tran van lan") == []


async def test_the_database_names_nobody(services: Services, register: Register) -> None:
    await add(services, register, (LAN, BA_DINH))
    async with services.database.read() as session:
        row = (await session.execute(text("SELECT * FROM persons"))).one()
        macs = (await session.scalars(select(PersonToken.mac))).all()
    told = repr(row) + repr(macs)
    for secret in ("Lan", "901234567", "001090012345", "1990"):
        assert secret not in told


async def test_details_open_in_their_own_row_alone(services: Services, register: Register) -> None:
    """Who can write the database and not read it must not exchange two people."""
    one, other = await add(services, register, (LAN, BA_DINH), (Details(name="Lê Văn An"), BA_DINH))
    one.sealed, other.sealed = other.sealed, one.sealed
    for row in (one, other):
        with pytest.raises(KeyUnavailable):
            register.details(row)


async def test_candidates_come_likeliest_first_from_everywhere_asked(
    services: Services, register: Register
) -> None:
    rows = await add(
        services,
        register,
        (LAN, BA_DINH),
        (Details(name="tran thi lan", birth="1990"), BA_DINH),
        (Details(name="Trần Thị Lan", birth="1955"), BA_DINH),  # another one
        (LAN, LIEN_CHIEU),
    )
    new = Details(name="TRAN THI LAN", phone="+84901234567", birth="1990")
    async with services.database.read() as session:
        everywhere = await service.candidates(
            session, register, [(new, BA_DINH), (Details(name="Ai Đó"), BA_DINH)]
        )
        [here] = await service.candidates(session, register, [(new, BA_DINH)], Scope((BA_DINH,)))
    assert [one.person_id for one in everywhere[0]] == [rows[0].id, rows[3].id, rows[1].id]
    assert everywhere[0][0].likeness.score >= SAME
    assert everywhere[1] == []
    assert [one.person_id for one in here] == [rows[0].id, rows[1].id]


async def test_of_two_who_change_a_record_the_second_is_told(
    services: Services, register: Register
) -> None:
    [row] = await add(services, register, (LAN, BA_DINH))
    renamed = Details(name="Trần Thị Lành")

    async def change(details: Details, unit: str) -> None:
        async with services.database.transaction() as session:
            person = await service.get(session, EVERYWHERE, row.id)
            await service.change(session, register, person, details, unit=unit, seen=0, now=NOON)

    await change(renamed, NGOC_HA)
    with pytest.raises(Refused) as refused:
        await change(LAN, BA_DINH)
    assert (refused.value.status_code, refused.value.error) == (409, "person-changed")
    assert await found(services, register, EVERYWHERE, "thi lanh") == ["Trần Thị Lành 00008"]
    for gone in ("0901234567", "tran thi lan"):  # nothing leads to what it was before
        assert await found(services, register, EVERYWHERE, gone) == []
    async with services.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(PersonToken)) == 5


async def test_a_look_is_written_down_and_others_records_do_not_exist(
    services: Services, register: Register
) -> None:
    mine, other = await add(services, register, (LAN, BA_DINH), (LAN, LIEN_CHIEU))
    async with services.database.transaction() as session:
        _row, details = await service.look(session, services, STAFF, mine.id, Purpose.CASE)
    assert details == LAN
    errors = []
    for unknown in (other.id, 10**9):
        with pytest.raises(Refused) as refused:
            async with services.database.transaction() as session:
                await service.look(session, services, STAFF, unknown, Purpose.CASE)
        errors.append((refused.value.status_code, refused.value.error, refused.value.message))
    assert errors[0] == errors[1]
    assert errors[0][:2] == (404, "person-unknown")
    async with services.database.read() as session:
        [entry] = await session.scalars(select(AuditEntry))
    assert (entry.account_name, entry.action, entry.subject, entry.purpose) == (
        "hoa",
        "look",
        f"person:{mine.id}",
        "case",
    )
    for _ in range(LOOKS_BY_ACCOUNT.burst):
        services.limits.count(LOOKS_BY_ACCOUNT, "1")
    with pytest.raises(Refused) as refused:
        async with services.database.transaction() as session:
            await service.look(session, services, STAFF, mine.id, Purpose.CASE)
    assert refused.value.status_code == 429


async def test_a_merged_record_leads_to_the_kept_one(
    services: Services, register: Register
) -> None:
    kept, merged = await add(services, register, (LAN, BA_DINH), (LAN, BA_DINH))
    async with services.database.transaction() as session:
        row = await session.get(Person, merged.id)
        assert row is not None
        row.merged_into = kept.id
    async with services.database.read() as session:
        assert (await service.get(session, EVERYWHERE, merged.id)).id == kept.id
    assert len(await found(services, register, EVERYWHERE, "tran thi lan")) == 1
