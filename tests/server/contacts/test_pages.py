"""The pages of contacts: entering, places, decisions, what a neighbour sees."""

import asyncio
import html
import re

import pytest
from sqlalchemy import insert, select

from bluezone.server.audit.tables import AuditEntry
from bluezone.server.cases.tables import Case
from bluezone.server.contacts import showing
from bluezone.server.contacts.deriving import rederive
from bluezone.server.contacts.tables import Exposure, Visit
from bluezone.server.context import Services
from tests.server.conftest import BA_DINH, LIEN_CHIEU, NGOC_HA
from tests.server.contacts.conftest import WorkerNamed, World
from tests.server.contacts.graph import case_values

MET = {
    "unit": "00004", "day": "2021-01-15", "minutes": "", "setting": "household",
    "nearness": "same-room",
}  # fmt: skip
VI = "?language=vi"


def problem(text: str) -> str:
    found = re.search(r'class="bad" role="alert"[^>]*>([^<]+)<', text)
    return html.unescape(found[1]) if found else ""


async def test_a_household_is_entered_at_once_and_ranked(
    worker: WorkerNamed, world: World, services: Services
) -> None:
    lan = await worker("lan")
    case = await world.case("Phạm Văn Ba")
    path = f"/staff/cases/{case.id}/contacts/new"
    answer = await lan.post(
        path, path, **MET, name="Lê Thị Tư", relation="spouse", note="Ngủ chung phòng",
        name_1="Phạm Thị Năm", relation_1="child", birth_1="2010", name_3="Phạm Văn Sáu",
    )  # fmt: skip
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].endswith("?added=3")
    ranks = await world.ranks()
    assert {name: row.rank for name, row in ranks.items()} == {
        "Phạm Văn Ba": 0, "Lê Thị Tư": 1, "Phạm Thị Năm": 1, "Phạm Văn Sáu": 1,
    }  # fmt: skip
    page = html.unescape((await lan.get(f"/staff/cases/{case.id}/contacts")).text)
    for word in ("Lê Thị Tư", "vợ hoặc chồng", "Ngủ chung phòng", "F1"):
        assert word in page
    # The same form again: no second meeting, and the person is asked about, not doubled.
    again = await lan.post(path, path, **MET, name="lê thị tư")
    assert again.status_code == 200
    chosen = re.search(r'name="person" value="(\d+)"', again.text)
    assert chosen
    answer = await lan.post(
        path, path, **MET, name="lê thị tư", relation="spouse", person=chosen[1]
    )
    assert answer.status_code == 303
    async with services.database.read() as session:
        assert len((await session.scalars(select(Exposure))).all()) == 3
        note = (await session.scalars(select(Exposure.note))).first()
        assert note is not None
        assert "Ngủ".encode() not in note
    await world.close(case)
    assert await world.ranks() == {}


async def test_bad_input_is_said_beside_its_field_and_loses_nothing(
    worker: WorkerNamed, world: World
) -> None:
    lan = await worker("lan")
    case = await world.case("Phạm Văn Ba")
    path = f"/staff/cases/{case.id}/contacts/new"

    async def refused(**changes: str) -> str:
        answer = await lan.post(path, path, **{**MET, "name": "Lê Thị Tư", **changes})
        assert answer.status_code == 422
        assert 'value="Lê Thị Tư"' in answer.text or "name" in changes
        return problem(answer.text)

    assert "tương lai" in await refused(day="2021-01-22")
    assert "90 ngày" in await refused(day="2020-01-15")
    assert "phút" in await refused(minutes="1441")
    assert "gần" in await refused(nearness="")
    assert "chữ cái" in await refused(name="12")
    # Sealed with a longer name, the record would never open again, nor any list it is in.
    assert "120 ký tự" in await refused(name="Lê Thị Tư " * 13)
    assert "5 chữ số" in await refused(unit="Ba Đình")
    assert await refused(unit="99999")
    # The last night of all calendars has no morning after.
    visit = f"/staff/people/{case.person_id}"
    times = {"day": "9999-12-31", "start": "10:00", "end": "08:00"}
    late = await lan.post(f"{visit}/visits", visit, **times, place="Chợ", kind="market")
    assert late.status_code == 422
    # The case's own record as its contact.
    own = str(case.person_id)
    answer = await lan.post(path, path, **MET, name="Phạm Văn Ba", person=own)
    assert answer.status_code == 422
    assert "chính mình" in problem(answer.text)
    assert {row.rank for row in (await world.ranks()).values()} == {0}


async def test_beyond_the_own_units_nothing_is_shown_but_province_and_rank(
    worker: WorkerNamed, world: World
) -> None:
    lan, hoa = await worker("lan"), await worker("hoa", NGOC_HA)
    case = await world.case("Phạm Văn Ba")
    known = await world.person("Đỗ Thị Xa", LIEN_CHIEU, phone="+84905000111", birth="1980-02-03")
    path = f"/staff/cases/{case.id}/contacts/new"
    # Somebody in another province's register: taken from there without a word about them.
    far = {
        **MET,
        "unit": "20197",
        "name": "đỗ thị xa",
        "phone": "0905000111",
        "birth": "1980-02-03",
    }
    assert (await lan.post(path, path, **far)).status_code == 303
    page = html.unescape((await lan.get(f"/staff/cases/{case.id}/contacts")).text)
    assert "một người ở Thành phố Đà Nẵng" in page
    assert "F1" in page
    assert "Xa" not in page
    assert (await lan.get(f"/staff/people/{known}")).status_code == 404
    ranks = await world.ranks()
    assert ranks["Đỗ Thị Xa"].rank == 1
    # A neighbour sees neither the case's contacts nor the record nor the exposure.
    for own in (f"/staff/cases/{case.id}/contacts", path, f"/staff/people/{case.person_id}"):
        missing = await hoa.get(own)
        assert missing.status_code == 404
    answer = await hoa.post("/staff/exposures/1/remove", "/staff/places", reason="x", seen=0)
    assert answer.status_code == 404
    # Where the contact lives, the case is a person in a province.
    tam = await worker("tam", LIEN_CHIEU)
    page = html.unescape((await tam.get(f"/staff/people/{known}")).text)
    assert "một người ở Thành phố Hà Nội" in page
    assert "Phạm" not in page


async def test_an_exposure_is_taken_back_with_a_reason_and_restored(
    worker: WorkerNamed, world: World, services: Services
) -> None:
    lan = await worker("lan")
    case = await world.case("Phạm Văn Ba")
    path = f"/staff/cases/{case.id}/contacts/new"
    await lan.post(path, path, **MET, name="Lê Thị Tư")
    back = {"back": f"case/{case.id}"}
    own = f"/staff/cases/{case.id}/contacts"
    refused = await lan.post("/staff/exposures/1/remove", own, seen=0, reason=" ", **back)
    assert refused.status_code == 422
    done = await lan.post("/staff/exposures/1/remove", own, seen=0, reason="Nhầm ngày", **back)
    assert done.headers["location"] == own
    assert set(await world.ranks()) == {"Phạm Văn Ba"}
    stale = await lan.post("/staff/exposures/1/remove", own, seen=0, reason="x", **back)
    assert stale.status_code == 409
    assert "Nhầm ngày" in html.unescape((await lan.get(own)).text)
    await lan.post("/staff/exposures/1/restore", own, seen=1, **back)
    assert (await world.ranks())["Lê Thị Tư"].rank == 1
    async with services.database.read() as session:
        actions = list(await session.scalars(select(AuditEntry.action)))
    assert actions.count("delete") == actions.count("undo") == 1


async def test_a_rank_decided_by_hand_stands_beside_the_derived_one(
    worker: WorkerNamed, world: World
) -> None:
    lan = await worker("lan")
    case = await world.case("Phạm Văn Ba")
    path = f"/staff/cases/{case.id}/contacts/new"
    await lan.post(path, path, **MET, name="Lê Thị Tư")
    person = case.person_id + 1
    own = f"/staff/people/{person}"
    page = html.unescape((await lan.get(own)).text)
    assert "F0:" in page  # the path: from the case
    assert "15/01/2021" in page
    assert "29/01/2021" in page  # followed for 14 days
    refused = await lan.post(f"{own}/rank", own, rank="none", reason="")
    assert refused.status_code == 422
    await lan.post(f"{own}/rank", own, rank="none", reason="Đã tiêm đủ liều")
    row = (await world.ranks())["Lê Thị Tư"]
    assert (row.rank, row.derived) == (None, 1)
    page = html.unescape((await lan.get(own)).text)
    assert "Đã tiêm đủ liều" in page
    assert "theo quy tắc là F1" in page
    assert "Lê Thị Tư" not in html.unescape((await lan.get("/staff/contacts?rank=1")).text)
    await lan.post(f"{own}/rank", own, rank="2", reason="Chỉ gặp qua cửa kính")
    assert "Lê Thị Tư" in html.unescape((await lan.get("/staff/contacts?rank=2")).text)
    await lan.post(f"{own}/rank", own, rank="rule")
    assert (await world.ranks())["Lê Thị Tư"].rank == 1


async def test_of_many_contacts_all_are_counted_and_the_latest_listed(
    worker: WorkerNamed, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lan = await worker("lan")
    case = await world.case("Phạm Văn Ba")
    path = f"/staff/cases/{case.id}/contacts/new"
    await lan.post(path, path, **MET, name="Lê Thị Tư", name_1="Phạm Năm", name_2="Phạm Sáu")
    monkeypatch.setattr(showing, "LISTED", 2)
    page = html.unescape((await lan.get(f"/staff/cases/{case.id}")).text)
    assert "Người tiếp xúc với ca bệnh này (3)" in page
    assert "chỉ có 2 lần mới nhất" in page
    assert sum(name in page for name in ("Lê Thị Tư", "Phạm Năm", "Phạm Sáu")) == 2


async def test_a_contact_who_became_a_case_is_one_whatever_was_decided_before(
    worker: WorkerNamed, world: World, services: Services
) -> None:
    lan = await worker("lan")
    case = await world.case("Phạm Văn Ba")
    path = f"/staff/cases/{case.id}/contacts/new"
    await lan.post(path, path, **MET, name="Lê Thị Tư")
    person = case.person_id + 1
    own = f"/staff/people/{person}"
    await lan.post(f"{own}/rank", own, rank="none", reason="Đã tiêm đủ liều")
    async with services.database.transaction() as session:
        values = case_values(person, person, "2021-01-16", None) | {"unit": BA_DINH}
        await session.execute(insert(Case), [values])
        await rederive(session, [person], services.now)
    assert (await world.ranks())["Lê Thị Tư"].rank == 0


async def test_who_was_at_the_market_on_the_third_between_8_and_10(
    worker: WorkerNamed, world: World, services: Services
) -> None:
    lan = await worker("lan")
    case = await world.case("Phạm Văn Ba", since="2021-01-01")
    people = {
        "Lê Tư": await world.person("Lê Tư", NGOC_HA),
        "Vũ Năm": await world.person("Vũ Năm"),
        "Bùi Sáu": await world.person("Bùi Sáu"),
    }
    hoa = await worker("hoa", NGOC_HA)
    at = {"place": "Chợ Châu Long", "kind": "market", "unit": "00004", "day": "2021-01-03"}

    async def visit(who: int, start: str, end: str, by: str = "") -> None:
        one = hoa if by else lan
        own = f"/staff/people/{who}"
        answer = await one.post(f"{own}/visits", own, **at, start=start, end=end)
        assert answer.status_code == 303, problem(answer.text)

    await visit(case.person_id, "08:30", "09:30")
    await visit(people["Lê Tư"], "09:00", "11:00", by="hoa")
    await visit(people["Vũ Năm"], "09:10", "09:20")
    await visit(people["Bùi Sáu"], "10:00", "10:30")
    own = "/staff/places/1"
    page = html.unescape((await lan.get(f"{own}?day=2021-01-03&start=08:00&end=10:00")).text)
    assert "60 phút" in page
    assert "10 phút" in page
    assert "Bùi Sáu" not in page  # came as the window closed
    assert "Lê Tư" not in page  # lives in the neighbour's commune
    assert "một người ở Thành phố Hà Nội" in page
    assert (await hoa.get(own)).status_code == 404
    window = {"day": "2021-01-03", "start": "08:00", "end": "12:00", "nearness": "two-metres"}
    refused = await lan.post(f"{own}/contacts", own, **window, source=0, chosen=[1])
    assert refused.status_code == 422
    chosen = [*people.values(), case.person_id]
    done = await lan.post(f"{own}/contacts", own, **window, source=case.person_id, chosen=chosen)
    assert done.headers["location"].endswith("made=2")
    async with services.database.read() as session:
        rows = (await session.scalars(select(Exposure).order_by(Exposure.exposed_id))).all()
        assert len((await session.scalars(select(Visit))).all()) == 4
    assert [(row.exposed_id, row.minutes, row.known_by) for row in rows] == [
        (people["Lê Tư"], 30, "place"), (people["Vũ Năm"], 10, "place"),
    ]  # fmt: skip
    ranks = await world.ranks()
    assert ranks["Lê Tư"].rank == 1
    assert "Vũ Năm" not in ranks  # ten minutes in a market are not enough


async def test_of_two_who_edit_one_is_told_and_keeps_what_was_typed(
    worker: WorkerNamed, world: World
) -> None:
    lan = await worker("lan")
    person = await world.person("Lê Tư", phone="+84901234567")
    own = f"/staff/people/{person}/edit"
    first = {"name": "Lê Thị Tư", "phone": "0901234567", "unit": "00004", "seen": "0"}
    assert (await lan.post(own, own, **first)).status_code == 303
    late = await lan.post(own, own, **{**first, "name": "Lê Tứ", "address": "5 Quán Thánh"})
    assert late.status_code == 409
    page = html.unescape(late.text)
    assert 'value="5 Quán Thánh"' in page
    assert 'value="Lê Tứ"' in page
    assert "Lê Thị Tư" in page  # theirs, beside the field
    seen = re.search(r'name="seen" value="(\d+)"', late.text)
    assert seen
    again = {**first, "name": "Lê Tứ", "address": "5 Quán Thánh", "seen": seen[1]}
    assert (await lan.post(own, own, **again)).status_code == 303
    assert "5 Quán Thánh" in html.unescape((await lan.get(f"/staff/people/{person}")).text)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_many_add_at_the_same_time_and_every_rank_is_right(
    worker: WorkerNamed, world: World
) -> None:
    """Each adds one link of a chain: whoever comes last must see what all others did."""
    lan = await worker("lan")
    cases = [await world.case(f"Ca {name}") for name in ("Một", "Hai", "Ba")]
    paths = [f"/staff/cases/{case.id}/contacts/new" for case in cases]
    answers = await asyncio.gather(
        *(
            lan.post(path, path, **MET, name=f"Người {letter * 3}", person="new")
            for path in paths
            for letter in "ABC"
        )
    )
    assert {answer.status_code for answer in answers} == {303}
    ranks = await world.ranks()
    assert sum(row.rank == 1 for row in ranks.values()) + sum(
        row.rank == 0 for row in ranks.values()
    ) == len(ranks)
