"""The search on both stores: by person, place and case, within scope, written down, saved."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select

from bluezone.clock import ManualClock
from bluezone.protocol.intervals import vietnam_time
from bluezone.server.audit.tables import AuditEntry
from bluezone.server.contacts.tables import PlaceVisited, Visit
from bluezone.server.context import Services
from bluezone.server.linelists.tables import SavedSearch
from bluezone.server.register.rules import plain
from tests.server.conftest import BA_DINH, NGOC_HA, RunJob
from tests.server.situation.conftest import Reader
from tests.server.situation.outbreak import Outbreak

SignIn = Callable[..., Awaitable[Reader]]
WHY = {"purpose": "tracing"}


def mine(outbreak: Outbreak, unit: str = BA_DINH) -> list[int]:
    return [one for one in outbreak.people if outbreak.unit_of[one] == unit]


async def test_by_name_without_accents_within_scope_and_written_down(
    services: Services, outbreak: Outbreak, reader: SignIn
) -> None:
    lan = await reader("lan", unit=BA_DINH)
    hoa = await reader("hoa", unit=NGOC_HA)
    await lan.get("/staff/search")
    await hoa.get("/staff/search")
    person = mine(outbreak)[0]
    typed = plain(outbreak.name_of[person]).upper()
    page = await lan.post("/staff/search", by="person", text=typed, **WHY)
    assert f'href="/staff/people/{person}"' in page.text
    assert outbreak.name_of[person] in page.text
    other = await hoa.post("/staff/search", by="person", text=typed, **WHY)
    assert f"/staff/people/{person}" not in other.text
    async with services.database.read() as session:
        entries = list(await session.scalars(select(AuditEntry)))
    assert [(entry.action, entry.purpose) for entry in entries] == [("list", "tracing")] * 2
    assert not any(plain(typed) in plain(entry.detail) for entry in entries)


async def test_by_reference(outbreak: Outbreak, reader: SignIn) -> None:
    lan = await reader("lan", unit=BA_DINH)
    await lan.get("/staff/search")
    for person, reference in outbreak.reference_of.items():
        typed = reference.lower().replace("-", " ")
        page = await lan.post("/staff/search", by="case", text=typed, **WHY)
        within = outbreak.unit_of[person] == BA_DINH
        assert (f'href="/staff/people/{person}"' in page.text) is within
        if not within:  # as for a reference that nobody has
            nobody = await lan.post("/staff/search", by="case", text="2222-2222", **WHY)
            shown = page.text.partition("<main")[2].replace(typed, "2222-2222")
            assert shown == nobody.text.partition("<main")[2]


async def test_by_place_and_time(services: Services, outbreak: Outbreak, reader: SignIn) -> None:
    async with services.database.read() as session:
        visits = (
            await session.execute(
                select(Visit.person_id, Visit.start_at, Visit.end_at, PlaceVisited.search_name)
                .join(PlaceVisited, PlaceVisited.id == Visit.place_id)
                .order_by(Visit.id)
            )
        ).all()
    lan = await reader("lan", unit=BA_DINH)
    await lan.get("/staff/search")
    one = next(row for row in visits if outbreak.unit_of[row.person_id] == BA_DINH)

    async def found(name: str, since: int, until: int) -> set[int]:
        times = [f"{vietnam_time(at):%Y-%m-%dT%H:%M}" for at in (since, until)]
        page = await lan.post(
            "/staff/search", by="place", text=name, since=times[0], until=times[1], **WHY
        )
        return {int(part.split('"')[0]) for part in page.text.split('href="/staff/people/')[1:]}

    def expected(name: str, since: int, until: int) -> set[int]:
        return {
            row.person_id
            for row in visits
            if name in row.search_name and row.start_at < until and row.end_at > since
            and outbreak.unit_of[row.person_id] == BA_DINH
        }  # fmt: skip

    word = one.search_name.split()[-1]
    for since, until in (
        (one.start_at - 600, one.start_at + 600),
        (one.end_at, one.end_at + 3600),
        (one.start_at - 40 * 86400, one.end_at + 40 * 86400),
    ):
        assert await found(word, since, until) == expected(word, since, until)
    assert await found("100%", one.start_at - 9 * 86400, one.end_at) == set()
    for since, until in (("", ""), ("2021-01-02T10:00", "2021-01-02T10:00")):
        page = await lan.post(
            "/staff/search", 422, by="place", text=word, since=since, until=until, **WHY
        )
        assert 'role="alert"' in page.text
        assert f'value="{word}"' in page.text


async def test_searches_are_saved_sealed_for_one_alone(
    services: Services, outbreak: Outbreak, reader: SignIn
) -> None:
    lan = await reader("lan", unit=BA_DINH)
    hoa = await reader("hoa", unit=BA_DINH)
    await lan.get("/staff/search")
    await hoa.get("/staff/search")
    person = mine(outbreak)[0]
    name = outbreak.name_of[person]
    await lan.post("/staff/search", by="person", text=name, save_as="  Người  đó ", **WHY)
    await lan.post("/staff/search", 409, by="person", text=name, save_as="Người đó", **WHY)
    async with services.database.read() as session:
        row = (await session.scalars(select(SavedSearch))).one()
    assert name.encode() not in row.asked
    again = await lan.post(f"/staff/search/saved/{row.id}", **WHY)
    assert f'href="/staff/people/{person}"' in again.text
    assert "Người đó" not in (await hoa.get("/staff/search")).text
    await hoa.post(f"/staff/search/saved/{row.id}", 404, **WHY)
    await hoa.post(f"/staff/search/saved/{row.id}/delete", 303)
    await lan.post(f"/staff/search/saved/{row.id}", **WHY)
    await lan.post(f"/staff/search/saved/{row.id}/delete", 303)
    await lan.post(f"/staff/search/saved/{row.id}", 404, **WHY)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_saved_search_is_gone_after_ninety_days(
    services: Services,
    clock: ManualClock,
    outbreak: Outbreak,
    reader: SignIn,
    run_job: RunJob,
) -> None:
    lan = await reader("lan", unit=BA_DINH)
    await lan.get("/staff/search")
    name = outbreak.name_of[mine(outbreak)[0]]
    await lan.post("/staff/search", by="person", text=name, save_as="Người đó", **WHY)
    for days, left in ((89, 1), (1, 0)):
        clock.advance(days * 86400)
        await run_job("linelists-retention")
        async with services.database.read() as session:
            assert len((await session.scalars(select(SavedSearch))).all()) == left


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_without_a_purpose_nobody_is_shown(
    services: Services, outbreak: Outbreak, reader: SignIn
) -> None:
    lan = await reader("lan", unit=BA_DINH)
    await lan.get("/staff/search")
    name = outbreak.name_of[mine(outbreak)[0]]
    page = await lan.post("/staff/search", 422, by="person", text=name)
    assert "/staff/people/" not in page.text
    assert f'value="{name}"' in page.text
