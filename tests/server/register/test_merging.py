"""Doubles: made one with all that they had, made two again exactly, or told apart for good."""

import asyncio
import re
from typing import Any

import pytest
from sqlalchemy import select

from bluezone.server.cases.tables import Case
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.scope import EVERYWHERE
from bluezone.server.register import merging
from bluezone.server.register import service as register
from bluezone.server.register.service import Register
from bluezone.server.register.tables import Merge, Person
from tests.server.cases.conftest import Browser, SignIn, form
from tests.server.conftest import NGOC_HA

HANDLES = re.compile(r"/staff/duplicates/(\d+)/(\d+)")


async def two_records(lan: Browser) -> tuple[str, str]:
    """Two records of one person with an open case each; their ids."""
    await lan.post("/staff/cases/new", form(status="suspected", occupation="Giáo viên"))
    other = form(name="Nguyen Van An", phone="0901234567", birth="1990", onset="2021-01-16",
                 workplace="Chợ Ngọc Hà", same_as="new")  # fmt: skip
    await lan.post("/staff/cases/new", other)
    found = HANDLES.search((await lan.get("/staff/duplicates")).text)
    assert found
    return found[1], found[2]


async def everything(services: Services) -> dict[str, Any]:
    """What a merge and its undo must leave alike, however often."""
    own = Register.open(services.settings.secrets_folder)
    async with services.database.read() as session:
        people = {
            row.id: (row.unit, own.details(row), row.merged_into, row.household)
            for row in await session.scalars(select(Person).order_by(Person.id))
        }
        cases = {
            row.id: (row.person_id, row.merged_into, row.status, row.onset)
            for row in await session.scalars(select(Case).order_by(Case.id))
        }
    return {"people": people, "cases": cases}


async def decide(lan: Browser, one: str, other: str, **fields: str) -> Any:
    page = (await lan.get(f"/staff/duplicates/{one}/{other}")).text
    seen = {
        name: re.search(rf'name="{name}" value="(\d+)"', page)
        for name in ("one_seen", "other_seen")
    }
    given = {name: found[1] for name, found in seen.items() if found}
    return await lan.post(f"/staff/duplicates/{one}/{other}", {**given, **fields})


async def test_two_records_become_one_and_two_again(services: Services, sign_in: SignIn) -> None:
    lan = await sign_in()
    one, other = await two_records(lan)
    before = await everything(services)
    merged = await decide(lan, one, other, decision="merge", keep=one)
    assert merged.status_code == 303, merged.text
    after = await everything(services)
    assert after["people"][int(other)][2] == int(one)
    kept = after["people"][int(one)][1]
    assert (kept.occupation, kept.workplace) == ("Giáo viên", "Chợ Ngọc Hà")
    assert {row[0] for row in after["cases"].values()} == {int(one)}
    # Of two open cases the surer one stays, and the other leads to it.
    (hidden, stays) = sorted(after["cases"].items(), key=lambda item: item[1][1] is None)
    assert (hidden[1][1], stays[1][2]) == (stays[0], "confirmed")
    assert f'/staff/cases/{hidden[0]}"' not in (await lan.get("/staff/cases")).text
    assert (await lan.get(f"/staff/cases/{hidden[0]}")).status_code == 200

    async with services.database.transaction() as session:
        merge = await session.scalar(select(Merge))
        assert merge is not None
        assert "Giáo".encode() not in merge.undo
    undone = await lan.post(f"/staff/duplicates/merges/{merge.id}/undo")
    assert undone.status_code == 303, undone.text
    assert await everything(services) == before
    assert (await lan.post(f"/staff/duplicates/merges/{merge.id}/undo")).status_code == 409
    # And once more, the other way round.
    assert (await decide(lan, one, other, decision="merge", keep=other)).status_code == 303
    async with services.database.read() as session:
        last = await session.scalar(select(Merge.id).order_by(Merge.id.desc()).limit(1))
    assert (await lan.post(f"/staff/duplicates/merges/{last}/undo")).status_code == 303
    assert await everything(services) == before


async def test_undo_after_later_edits_keeps_what_came_since_or_refuses(
    services: Services, sign_in: SignIn
) -> None:
    lan = await sign_in()
    one, other = await two_records(lan)
    await decide(lan, one, other, decision="merge", keep=one)
    async with services.database.read() as session:
        merge = await session.scalar(select(Merge.id))
        open_case = await session.scalar(
            select(Case).where(Case.merged_into.is_(None), Case.person_id == int(one))
        )
    assert open_case is not None
    # The case goes on: that is no reason to refuse, and is not lost.
    changed = await lan.post(
        f"/staff/cases/{open_case.id}/change",
        {**form(onset="2021-01-15"), "seen": str(open_case.revision)},
    )
    assert changed.status_code == 303, changed.text
    own = Register.open(services.settings.secrets_folder)
    async with services.database.transaction() as session:
        person = await register.get(session, lan.staff.scope, int(one))
        details = own.details(person)
        await register.change(
            session, own, person, details, unit=person.unit, seen=person.revision, now=services.now
        )
    refused = await lan.post(f"/staff/duplicates/merges/{merge}/undo")
    assert refused.status_code == 409
    assert "đã được sửa sau khi gộp" in refused.text
    assert (await everything(services))["people"][int(other)][2] == int(one)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_undo_leaves_a_case_as_it_was_changed_since(
    services: Services, sign_in: SignIn
) -> None:
    lan = await sign_in()
    one, other = await two_records(lan)
    await decide(lan, one, other, decision="merge", keep=one)
    async with services.database.read() as session:
        stays = await session.scalar(select(Case).where(Case.merged_into.is_(None)))
    assert stays is not None
    await lan.post(
        f"/staff/cases/{stays.id}/change",
        {**form(onset="2021-01-15"), "seen": str(stays.revision)},
    )
    assert (await lan.post("/staff/duplicates/merges/1/undo")).status_code == 303
    after = (await everything(services))["cases"]
    assert after[stays.id] == (int(other), None, "confirmed", "2021-01-15")
    assert sorted(row[0] for row in after.values()) == sorted((int(one), int(other)))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_told_apart_is_remembered_and_a_stale_look_is_refused(
    services: Services, sign_in: SignIn
) -> None:
    lan = await sign_in()
    one, other = await two_records(lan)
    stale = await lan.post(
        f"/staff/duplicates/{one}/{other}",
        {"decision": "merge", "keep": one, "one_seen": "7", "other_seen": "0"},
    )
    assert stale.status_code == 409
    assert (await decide(lan, one, one, decision="merge")).status_code == 422
    hoa = await sign_in("hoa", unit=NGOC_HA)
    assert (await hoa.get(f"/staff/duplicates/{one}/{other}")).status_code == 404
    assert not HANDLES.search((await hoa.get("/staff/duplicates")).text)
    refused = await hoa.post(f"/staff/duplicates/{one}/{other}", {"decision": "apart"})
    assert refused.status_code == 404
    lan = await sign_in("lan2")
    assert (await decide(lan, one, other, decision="apart")).status_code == 303
    assert not HANDLES.search((await lan.get("/staff/duplicates")).text)
    own = Register.open(services.settings.secrets_folder)
    async with services.database.transaction() as session:
        person = await register.get(session, lan.staff.scope, int(one))
        await register.change(
            session, own, person, own.details(person), unit=person.unit, seen=0, now=services.now
        )
    assert not HANDLES.search((await lan.get("/staff/duplicates")).text)  # nobody is asked again


async def test_two_records_never_lead_to_each_other(services: Services, sign_in: SignIn) -> None:
    """Merged both ways at once, by whoever guesses the revision that the first merge leaves, each
    would lead to the other, and whoever opens one would never come to an end."""
    lan = await sign_in()
    one, other = map(int, await two_records(lan))
    async with services.database.read() as session:
        rows = await register.people(session, [one, other])
    seen = {number: row.revision for number, row in rows.items()}

    async def merge(kept: int, merged: int, later: int) -> None:
        async with services.database.transaction() as session:
            await merging.merge(
                session, services, lan.staff, kept_id=kept, merged_id=merged,
                kept_seen=seen[kept] + later, merged_seen=seen[merged] + later,
            )  # fmt: skip
            await asyncio.sleep(0.3)

    first = asyncio.create_task(merge(one, other, 0))
    await asyncio.sleep(0.1)
    with pytest.raises(Refused) as refused:
        await merge(other, one, 1)
    assert refused.value.status_code in (409, 422)
    await first
    async with services.database.read() as session:
        assert (await register.get(session, EVERYWHERE, other)).id == one
