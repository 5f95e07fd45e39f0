"""Cases on pages: taken down, shown, changed by two at once, closed, given a code."""

import asyncio
import re

import pytest
from sqlalchemy import select

from bluezone.clock import ManualClock
from bluezone.server.audit.service import LISTS_BY_ACCOUNT, LOOKS_BY_ACCOUNT
from bluezone.server.audit.tables import AuditEntry
from bluezone.server.cases.routes import TAKEN_BY_ACCOUNT
from bluezone.server.cases.tables import Case, CaseEvent
from bluezone.server.context import Services
from bluezone.server.diagnosis.tables import Code
from bluezone.server.messaging import service as messaging
from bluezone.server.people.rules import StaffRole
from bluezone.server.register.tables import Person
from tests.server.cases.conftest import SignIn, form
from tests.server.conftest import LIEN_CHIEU, NGOC_HA

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def test_a_case_is_taken_down_changed_closed_and_opened_again(
    services: Services, sign_in: SignIn
) -> None:
    lan = await sign_in()
    assert "chưa có ca bệnh nào" in (await lan.get("/staff/cases")).text
    opened = await lan.post("/staff/cases/new", form())
    assert opened.status_code == 303, opened.text
    address = opened.headers["location"].partition("?")[0]
    shown = (await lan.get(opened.headers["location"])).text
    assert "Nguyễn Văn An" in shown
    assert "15/01/2021" in shown  # two days before onset
    assert "27/01/2021" in shown  # ten days after
    assert "11042/BYT-DP" in shown
    listed = await lan.get("/staff/cases?status=confirmed&reported_from=2021-01-20")
    assert "Nguyễn Văn An" in listed.text
    assert "Nguyễn Văn An" not in (await lan.get("/staff/cases?onset_until=2021-01-16")).text

    changed = await lan.post(
        f"{address}/change", {**form(onset="2021-01-16"), "seen": "0", "note": "Nhớ lại"}
    )
    assert changed.status_code == 303, changed.text
    shown = (await lan.get(address)).text
    assert "17/01/2021 → 16/01/2021" in shown
    assert "Nhớ lại" in shown

    refused = await lan.post(
        f"{address}/close", {"seen": "1", "outcome": "died", "outcome_on": "2021-01-15"}
    )
    assert refused.status_code == 422
    assert "không thể khởi phát sau khi người bệnh đã tử vong" in refused.text
    closed = await lan.post(
        f"{address}/close", {"seen": "1", "outcome": "recovered", "outcome_on": "2021-01-20"}
    )
    assert closed.status_code == 303, closed.text
    assert "khỏi bệnh" in (await lan.get(address)).text
    # Only the verb that looks for another open case opens one again.
    past = await lan.post(f"{address}/change", {**form(onset="2021-01-16"), "seen": "2"})
    assert past.status_code == 422
    again = await lan.post(f"{address}/reopen", {"seen": "2", "note": "Tái dương tính"})
    assert again.status_code == 303, again.text
    async with services.database.read() as session:
        case = await session.scalar(select(Case))
        assert case is not None
        assert (case.status, case.outcome, case.closed_at) == ("confirmed", None, None)
        looks = await session.scalars(
            select(AuditEntry.purpose).where(AuditEntry.subject == f"person:{case.person_id}")
        )
        assert set(looks) == {"case"}
        notes = [note for note in await session.scalars(select(CaseEvent.note)) if note]
        assert len(notes) == 2
        assert all("Nhớ".encode() not in note for note in notes)


@sqlite
async def test_nobody_reads_the_register_page_by_page(services: Services, sign_in: SignIn) -> None:
    lan = await sign_in()
    await lan.post("/staff/cases/new", form())
    assert (await lan.get("/staff/cases")).status_code == 200
    for _ in range(LISTS_BY_ACCOUNT.burst):
        services.limits.count(LISTS_BY_ACCOUNT, str(lan.staff.account_id))
    answer = await lan.get("/staff/cases")
    assert (answer.status_code, "Quá nhiều yêu cầu" in answer.text) == (429, True)
    assert (await lan.get("/staff")).status_code == 200


@sqlite
async def test_of_two_who_change_one_case_the_second_is_told_and_loses_nothing(
    sign_in: SignIn,
) -> None:
    lan = await sign_in()
    address = (await lan.post("/staff/cases/new", form())).headers["location"].partition("?")[0]
    first = await lan.post(f"{address}/change", {**form(onset="2021-01-15"), "seen": "0"})
    assert first.status_code == 303
    second = await lan.post(
        f"{address}/change",
        {**form(sampled_on="2021-01-19"), "seen": "0", "note": "Ghi chú dài của tôi"},
    )
    assert second.status_code == 409
    assert "17/01/2021 → 15/01/2021" in second.text  # what changed
    assert "Ghi chú dài của tôi" in second.text
    assert 'value="2021-01-19"' in second.text
    assert 'name="seen" value="1"' in second.text  # saving again is on top of that change
    third = await lan.post(f"{address}/change", {**form(sampled_on="2021-01-19"), "seen": "1"})
    assert third.status_code == 303


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "123"}, "ít nhất một chữ cái"),
        ({"phone": "0123"}, "không phải là số điện thoại di động"),
        ({"onset": "2021-01-21"}, "ở tương lai"),
        ({"onset": "1989-01-21"}, "trước khi có dịch"),
        ({"birth": "2021-01-19"}, "trước khi người này ra đời"),
        ({"has_symptoms": "no"}, "không có ngày khởi phát"),
        ({"commune": "Thành Công, Ba Đình, Hà Nội"}, "00025 Phường Giảng Võ"),
        ({"commune": "Tân Lập"}, "Tỉnh Quảng Trị"),
        ({"commune": "Liên Chiểu, Đà Nẵng"}, "không thuộc đơn vị"),
        ({"commune": "=1+1"}, "Không có xã"),
        ({"reported_on": ""}, "ngày báo cáo"),
        ({"status": "closed"}, "trong danh sách"),
    ],
)
@sqlite
async def test_what_cannot_be_is_said_beside_its_field(
    services: Services, sign_in: SignIn, changes: dict[str, str], sentence: str
) -> None:
    lan = await sign_in()
    answer = await lan.post("/staff/cases/new", form(**changes))
    assert answer.status_code == 422
    assert sentence in answer.text
    assert 'role="alert"' in answer.text
    async with services.database.read() as session:
        assert await session.scalar(select(Person.id)) is None


async def test_a_likely_double_is_shown_before_a_second_record_is_made(
    services: Services, sign_in: SignIn
) -> None:
    lan = await sign_in()
    first = await lan.post("/staff/cases/new", form())
    await lan.post(
        f"{first.headers['location'].partition('?')[0]}/close",
        {"seen": "0", "outcome": "recovered", "outcome_on": "2021-01-19"},
    )
    twice = form(name="nguyen van an", onset="2021-01-19", sampled_on="", birth="1990")
    asked = await lan.post("/staff/cases/new", twice)
    assert asked.status_code == 200
    assert "cùng số điện thoại" in asked.text
    found = re.search(r'id="same-(\d+)"', asked.text)
    assert found
    taken = await lan.post("/staff/cases/new", {**twice, "same_as": found[1]})
    assert taken.status_code == 303, taken.text
    third = await lan.post("/staff/cases/new", {**twice, "same_as": found[1]})
    assert third.status_code == 409
    assert "đã có ca bệnh đang mở" in third.text
    other = await lan.post("/staff/cases/new", {**twice, "same_as": "new"})
    assert other.status_code == 303
    async with services.database.read() as session:
        assert len(list(await session.scalars(select(Person)))) == 2
        assert len(list(await session.scalars(select(Case)))) == 3
    assert "nguyen van an" in (await lan.get("/staff/duplicates")).text


@sqlite
async def test_a_code_is_given_by_screen_sms_and_slip_and_kept_by_no_case(
    services: Services, sign_in: SignIn, clock: ManualClock
) -> None:
    lan = await sign_in()
    address = (await lan.post("/staff/cases/new", form())).headers["location"].partition("?")[0]
    for way in ("screen", "sms", "slip"):
        answer = await lan.post(f"{address}/code", {"way": way})
        assert answer.status_code == 200, answer.text
        code = re.search(r"\d{4}-\d{4}-\d{4}", answer.text)
        assert (code is None) == (way == "sms")
        if way == "slip":
            assert "Nguyễn Văn An" not in answer.text
    async with services.database.transaction() as session:
        sealer = messaging.outbox_sealer(services.settings.secrets_folder)
        (message,) = await messaging.outbox(session, sealer)
        assert message.message.to == "+84901234567"
        assert re.search(r"\d{4}-\d{4}-\d{4}", message.message.text)
        assert len(list(await session.scalars(select(Code)))) == 3
        case = await session.scalar(select(Case))
        assert case is not None
        assert case.code_issued_at == services.now
        kept = [str(vars(row)) for row in await session.scalars(select(CaseEvent))]
        assert code is None or not any(code[0] in row for row in kept)
    assert not re.search(r"\d{4}-\d{4}-\d{4}", (await lan.get(address)).text)
    assert (await lan.post(f"{address}/code", {"way": "pigeon"})).status_code == 400

    # A suspicion warns nobody.
    suspected = form(name="Trần Thị Bích", phone="", status="suspected", birth="")
    address = (await lan.post("/staff/cases/new", suspected)).headers["location"].partition("?")[0]
    assert (await lan.post(f"{address}/code", {"way": "screen"})).status_code == 409


@sqlite
async def test_no_code_is_made_that_could_not_be_shown(
    services: Services, sign_in: SignIn, clock: ManualClock
) -> None:
    lan = await sign_in()
    address = (await lan.post("/staff/cases/new", form())).headers["location"].partition("?")[0]
    for _ in range(LOOKS_BY_ACCOUNT.burst):
        services.limits.count(LOOKS_BY_ACCOUNT, str(lan.staff.account_id))
    for way in ("screen", "sms", "slip"):
        answer = await lan.post(f"{address}/code", {"way": way})
        assert (answer.status_code, "Quá nhiều yêu cầu" in answer.text) == (429, True)
    async with services.database.read() as session:
        assert list(await session.scalars(select(Code))) == []
        assert await session.scalar(select(Case.code_issued_at)) is None
        sealer = messaging.outbox_sealer(services.settings.secrets_folder)
        assert list(await messaging.outbox(session, sealer)) == []
    clock.advance(LOOKS_BY_ACCOUNT.seconds)
    assert (await lan.post(f"{address}/code", {"way": "screen"})).status_code == 200


@sqlite
async def test_a_neighbour_sees_nothing_of_a_case(services: Services, sign_in: SignIn) -> None:
    lan = await sign_in()
    address = (await lan.post("/staff/cases/new", form())).headers["location"].partition("?")[0]
    async with services.database.read() as session:
        reference = await session.scalar(select(Case.reference))
    for name, unit in (("hoa", NGOC_HA), ("minh", LIEN_CHIEU)):
        other = await sign_in(name, unit=unit)
        assert (await other.get(address)).status_code == 404
        assert (await other.get(f"{address}/change")).status_code == 404
        for verb in ("change", "close", "reopen", "looked", "code"):
            assert (await other.post(f"{address}/{verb}", form())).status_code == 404, verb
        listed = (await other.get(f"/staff/cases?reference={reference}")).text
        assert "Nguyễn Văn An" not in listed
        assert (await other.get("/staff/cases?unit=00004")).status_code == 404
    area = await sign_in("tu", unit="vn.01.001")
    assert (await area.get(address)).status_code == 200
    lab = await sign_in("lab", StaffRole.LABORATORY, "vn.01")
    assert (await lab.get(address)).status_code == 403


async def test_a_long_list_is_read_page_by_page(services: Services, sign_in: SignIn) -> None:
    lan = await sign_in()
    names = [f"Người {chr(65 + at // 26)}{chr(65 + at % 26)}" for at in range(60)]
    for name in names:
        one = form(name=name, phone="", birth="", same_as="new")
        assert (await lan.post("/staff/cases/new", one)).status_code == 303
    seen: list[str] = []
    address = "/staff/cases"
    while True:
        text = (await lan.get(address)).text
        seen += re.findall(r"Người [A-Z]{2}", text)
        more = re.search(r'href="([^"]+)" rel="next"', text)
        if more is None:
            break
        address = more[1].replace("&amp;", "&")
    assert seen == names[::-1]


async def test_of_two_who_open_a_case_of_one_person_at_once_one_is_told(
    services: Services, sign_in: SignIn
) -> None:
    """Two open cases of one person would stay until somebody merged them by hand."""
    lan = await sign_in()
    await lan.post("/staff/cases/new", form())
    address = (await lan.get("/staff/cases")).text
    found = re.search(r"/staff/cases/(\d+)", address)
    assert found
    ended = {"seen": "0", "outcome": "recovered", "outcome_on": "2021-01-20"}
    assert (await lan.post(f"/staff/cases/{found[1]}/close", ended)).status_code == 303
    async with services.database.read() as session:
        person = await session.scalar(select(Person.id))
    again = form(same_as=str(person))
    answers = await asyncio.gather(*(lan.post("/staff/cases/new", again) for _each in range(4)))
    assert sorted(one.status_code for one in answers) == [303, 409, 409, 409]


@sqlite
async def test_to_ask_whether_somebody_is_known_elsewhere_is_written_down_and_limited(
    services: Services, sign_in: SignIn
) -> None:
    """The form of a new case says that a name is in a register that one does not see, and keeps
    nothing until somebody chooses: asked so, it was a search that left no trace."""
    hoa = await sign_in("hoa", unit=NGOC_HA)
    there = form(commune="Ngọc Hà, Ba Đình, Hà Nội")
    assert (await hoa.post("/staff/cases/new", there)).status_code == 303
    lan = await sign_in()
    asked = await lan.post("/staff/cases/new", form())
    assert asked.status_code == 200
    async with services.database.read() as session:
        details = list(await session.scalars(select(AuditEntry.detail)))
    assert details[-1] == "persons alike: 0, and elsewhere"
    for _each in range(TAKEN_BY_ACCOUNT.burst):
        services.limits.count(TAKEN_BY_ACCOUNT, str(lan.staff.account_id))
    assert (await lan.post("/staff/cases/new", form())).status_code == 429
