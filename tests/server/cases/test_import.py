"""Lists of cases: checked, shown, imported in one piece or not at all."""

import asyncio
import io
import re
from typing import Any

import openpyxl
import pytest
from sqlalchemy import func, select

from bluezone.clock import ManualClock
from bluezone.server.audit.tables import AuditEntry
from bluezone.server.cases.tables import Case
from bluezone.server.contacts import service as contacts
from bluezone.server.contacts.tables import Exposure
from bluezone.server.context import Services
from bluezone.server.people.rules import StaffRole
from bluezone.server.register import importing, rules
from bluezone.server.register.import_pages import CHECKS_BY_ACCOUNT
from bluezone.server.register.tables import ImportFile, Person, PersonPair
from tests.server.cases.conftest import Browser, SignIn, form
from tests.server.conftest import BA_DINH, NGOC_HA, RunJob

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LIST = """DANH SÁCH CA BỆNH
Họ và tên,SĐT,Năm sinh,Giới tính,Phường,Phân loại,Ngày khởi phát,Ngày báo cáo,Lạ
Nguyễn Văn An,901234567,1990,Nam,"Ba Đình, Hà Nội",F0,17/1/2021,18/1/2021,x
nguyen van an,0901234567,1990,nam,00004,xác định,17/1/2021,18/1/2021,x
Trần Thị Bích,,1985,Nữ,"Phúc Xá, Ba Đình, Hà Nội",nghi ngờ,,,
=HYPERLINK("http://x"),,1970,,00004,,,,
Lê Văn Cường,0912,1970,Nam,00004,F0,,,
Phạm Dung,,2000,Nữ,"Thành Công, Ba Đình, Hà Nội",F0,,,
Hoàng Văn Em,,1960,Nam,00004,F0,21/1/2021,,
Vũ Thị Giang,,1960,Nữ,Liên Chiểu Đà Nẵng,F0,,,
"""


async def hand_in(browser: Browser, content: bytes, name: str = "ca.csv") -> str:
    answer = await browser.post(
        "/staff/cases/import", files={"file": (name, content, "application/octet-stream")}
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def counted(services: Services) -> tuple[int, int]:
    async with services.database.read() as session:
        people = await session.scalar(select(func.count()).select_from(Person))
        cases = await session.scalar(select(func.count()).select_from(Case))
    return people or 0, cases or 0


async def test_a_list_is_checked_shown_and_taken_once(services: Services, sign_in: SignIn) -> None:
    lan = await sign_in(unit="vn.01.001")  # an area: two communes are hers, the third is not
    address = await hand_in(lan, LIST.encode("utf-16"))
    shown = (await lan.get(address)).text
    assert re.search(r'id="rows">8<', shown)
    assert re.search(r'id="good">2<', shown)
    for words in (
        "Trùng người với dòng 3",
        "0912 không phải là số điện thoại di động",
        "00025 Phường Giảng Võ",
        "ở tương lai",
        "không thuộc đơn vị của bạn",
        "Không có xã, phường Liên Chiểu Đà Nẵng",
    ):
        assert words in shown, words
    assert await counted(services) == (0, 0)
    problems = await lan.get(f"{address}/problems.csv")
    assert problems.content.startswith("\ufeff".encode())
    assert "Lê Văn Cường" in problems.text
    assert "Nguyễn Văn An" not in problems.text

    first, second = await asyncio.gather(lan.post(address), lan.post(address))  # pressed twice
    assert (first.status_code, second.status_code) == (303, 303)
    done = (await lan.get(address)).text
    assert "<strong>2</strong> ca bệnh mới" in done
    assert await counted(services) == (2, 2)
    again = await hand_in(lan, LIST.encode())
    assert re.search(r'id="known">2<', (await lan.get(again)).text)
    await lan.post(again)
    assert await counted(services) == (2, 2)  # the list again makes nobody twice
    assert "đã có ca bệnh, giữ nguyên" in (await lan.get(again)).text
    async with services.database.read() as session:
        kept = await session.scalar(select(Case).where(Case.onset == "2021-01-17"))
        assert kept is not None
        assert (kept.status, kept.source, kept.unit) == ("confirmed", "import", BA_DINH)


@sqlite
async def test_a_list_of_illnesses_that_are_over_opens_them_once(
    services: Services, sign_in: SignIn, clock: ManualClock
) -> None:
    """Without a column of symptoms, and without one of days of report: today is not theirs."""
    lan = await sign_in()
    list_ = (
        "Họ tên,SĐT,Năm sinh,Phường,Phân loại,Ngày khởi phát,Kết cục,Ngày khỏi\n"
        'Nguyễn Văn An,901234567,1990,"Ba Đình, Hà Nội",F0,2/1/2021,khỏi,16/1/2021\n'
    )
    for _day in range(2):
        address = await hand_in(lan, list_.encode())
        assert (await lan.post(address)).status_code == 303
        assert await counted(services) == (1, 1)
        clock.advance(86400)


async def test_an_import_that_is_cut_off_leaves_nothing(
    services: Services, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    lan = await sign_in()
    names = "".join(f"Người Số {chr(65 + at % 26)}{chr(65 + at // 26)}\n" for at in range(600))
    address = await hand_in(lan, f"Họ tên\n{names}".encode())
    real, calls = importing.people_of, []

    async def dies(*given: object) -> list[int]:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("the power is gone")
        return await real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(importing, "people_of", dies)
    assert (await lan.post(address)).status_code == 500
    assert len(calls) == 3
    assert await counted(services) == (0, 0)
    monkeypatch.undo()
    assert (await lan.post(address)).status_code == 303  # the file is still there
    assert await counted(services) == (600, 600)


@sqlite
async def test_excel_days_and_columns_that_somebody_has_to_name(
    services: Services, sign_in: SignIn
) -> None:
    lan = await sign_in()
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Bệnh nhân", "Phát bệnh", "Điện thoại"])
    sheet.append(["Nguyễn Văn An", 44213, 901234567])
    out = io.BytesIO()
    book.save(out)
    address = await hand_in(lan, out.getvalue(), "ca.xlsx")
    shown = (await lan.get(address)).text
    assert "Không tìm thấy cột" in shown
    await lan.post(
        f"{address}/columns", {"column_0": "name", "column_1": "onset", "column_2": "phone"}
    )
    assert re.search(r'id="good">1<', (await lan.get(address)).text)
    await lan.post(address)
    async with services.database.read() as session:
        assert await session.scalar(select(Case.onset)) == "2021-01-17"


@sqlite
async def test_a_known_person_elsewhere_is_counted_and_not_shown(
    services: Services, sign_in: SignIn
) -> None:
    hoa = await sign_in("hoa", unit=NGOC_HA)
    there = form(commune="Ngọc Hà, Ba Đình, Hà Nội", phone="0901234567")
    assert (await hoa.post("/staff/cases/new", there)).status_code == 303
    lan = await sign_in()
    address = await hand_in(
        lan, "Họ tên,SĐT,Ngày sinh\nNguyễn Văn An,0901234567,17/5/1990\n".encode()
    )
    shown = (await lan.get(address)).text
    assert "đơn vị bạn không xem được" in shown
    assert "Ngọc Hà" not in shown
    # So a list of one row is a question about somebody: written down, and not asked without end.
    async with services.database.read() as session:
        entries = list(await session.scalars(select(AuditEntry.detail)))
    assert "cases checked: 1 rows, 0 known, 1 elsewhere" in entries
    for _each in range(CHECKS_BY_ACCOUNT.burst - 1):
        services.limits.count(CHECKS_BY_ACCOUNT, str(lan.staff.account_id))
    again = await lan.post("/staff/cases/import", files={"file": ("x.csv", b"name\nAn\n")})
    assert again.status_code == 429
    assert (await hoa.client.get(address)).status_code == 200  # still lan's browser
    minh = await sign_in("minh")
    assert (await minh.get(address)).status_code == 404  # a colleague's file is not mine
    lab = await sign_in("lab", StaffRole.LABORATORY)
    assert (await lab.get("/staff/cases/import")).status_code == 403


@sqlite
async def test_a_laboratory_is_not_told_who_is_known(sign_in: SignIn) -> None:
    """It sees its own results and nobody's record: whoever handed in names with an invented
    sample, and looked at what the check counted, would learn who is a case or a contact."""
    lan = await sign_in()
    assert (await lan.post("/staff/cases/new", form())).status_code == 303
    lab = await sign_in("lab", StaffRole.LABORATORY)
    list_ = "Mã mẫu,Họ tên,SĐT,Ngày sinh,Ngày lấy mẫu,Kết quả\n"
    known = "M1,Nguyễn Văn An,0901234567,17/5/1990,18/1/2021,âm tính\n"
    shown = []
    for row in (known, known.replace("Nguyễn Văn An,0901234567", "Lê Thị Ba,0907654321")):
        file = {"file": ("x.csv", (list_ + row).encode(), "text/csv")}
        answer = await lab.post("/staff/results/file", files=file)
        text = (await lab.get(answer.headers["location"])).text
        assert 'id="good">1<' in text
        shown.append(re.sub(r"[0-9a-f]{32,}", "", text))
    assert shown[0] == shown[1]


@sqlite
async def test_a_file_without_a_list_is_refused_where_it_was_chosen(
    services: Services, sign_in: SignIn, run_job: RunJob, clock: object
) -> None:
    lan = await sign_in()
    for content, words in ((b"", "chọn một tệp"), (b",,,\n", "rỗng"), (b"PK\x03\x04", "bị hỏng")):
        answer = await lan.post("/staff/cases/import", files={"file": ("a.csv", content)})
        assert answer.status_code == 422
        assert words in answer.text
    await hand_in(lan, "Họ tên\nNguyễn Văn An\n".encode())
    async with services.database.read() as session:
        (kept,) = await session.scalars(select(ImportFile))
        assert b"Nguy" not in kept.sealed
    clock.set(services.now + 2 * 86400)  # type: ignore[attr-defined]
    await run_job("import-files-retention")
    async with services.database.read() as session:
        assert await session.scalar(select(ImportFile.id)) is None


async def test_a_list_of_contacts_finds_who_is_known_and_refuses_oneself(
    services: Services, sign_in: SignIn
) -> None:
    lan = await sign_in()
    await lan.post("/staff/cases/new", form())
    async with services.database.read() as session:
        reference = await session.scalar(select(Case.reference))
    file = (
        "Họ tên,SĐT,Năm sinh,Xã,Mã ca bệnh,Ngày tiếp xúc,Hoàn cảnh,Số phút\n"
        f"Lê Thị Hoa,0912345678,1980,00004,{reference},18/1/2021,gia đình,60\n"
        f"le thi hoa,912345678,1980,00004,{reference.lower()},19/1/2021,gia đình,60\n"  # type: ignore[union-attr]
        f'Phan Sáu,,1970,"Liên Chiểu, Đà Nẵng",{reference},18/1/2021,,\n'
        f"nguyen van an,0901234567,1990,00004,{reference},18/1/2021,,\n"  # the case itself
        "Vũ Bảy,,1970,00004,9999-9999,18/1/2021,,\n"
        f"Đỗ Tám,,1970,00004,{reference},18/1/2020,,\n"
    )
    for faulty in ("00001440000", "9" * 5000):
        line = f"Hồ Chín,,1970,00004,{reference},18/1/2021,,{faulty}\n"
        answer = await lan.post(
            "/staff/contacts/import", files={"file": ("tx.csv", (file + line).encode())}
        )
        assert "1440" in (await lan.get(answer.headers["location"])).text
    for found in (2, 0):  # and once more: nothing new
        answer = await lan.post("/staff/contacts/import", files={"file": ("tx.csv", file.encode())})
        assert answer.status_code == 303, answer.text
        address = answer.headers["location"]
        shown = (await lan.get(address)).text
        for words in (
            "không ai tiếp xúc với chính mình",
            "không có ca bệnh 9999-9999",
            "kiểm tra năm",
        ):
            assert words in shown, words
        assert re.search(r'id="good">3<', shown)
        assert (await lan.post(address)).status_code == 303
        assert f"<strong>{found}</strong> người mới" in (await lan.get(address)).text
    async with services.database.read() as session:
        case = await session.scalar(select(Case))
        assert case is not None
        ranks = await contacts.ranks_of(session, range(1, 10))
        met = await session.scalars(
            select(Exposure.exposed_id).where(Exposure.source_id == case.person_id)
        )
        assert len(list(met)) == 3  # one of them on two days
    assert sorted(row.rank for row in ranks.values() if row.rank is not None) == [0, 1]


@sqlite
async def test_a_couple_with_one_telephone_is_two_contacts(
    services: Services, sign_in: SignIn
) -> None:
    """Taken for her husband, who met the case on the same day, she would be followed by nobody."""
    lan = await sign_in()
    await lan.post("/staff/cases/new", form())
    async with services.database.read() as session:
        reference = await session.scalar(select(Case.reference))
    for name in ("Lê Văn Hoà", "Trần Thị Mai"):
        list_ = (
            "Họ tên,SĐT,Năm sinh,Xã,Mã ca bệnh,Ngày tiếp xúc\n"
            f"{name},0912345678,1980,00004,{reference},18/1/2021\n"
        )
        file = {"file": ("tx.csv", list_.encode())}
        address = (await lan.post("/staff/contacts/import", files=file)).headers["location"]
        assert (await lan.post(address)).status_code == 303
        assert "<strong>1</strong> người mới" in (await lan.get(address)).text


@sqlite
async def test_the_telephone_of_a_factory_in_every_row_takes_no_hours(
    services: Services, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows compared with all others, and with all who are stored: fifty thousand rows that
    share a number are a thousand million comparisons, and as many pairs to look at."""
    lan = await sign_in()
    compared = 0
    likeness = rules.likeness

    def counting(*given: Any, **named: Any) -> Any:
        nonlocal compared
        compared += 1
        return likeness(*given, **named)

    monkeypatch.setattr(rules, "likeness", counting)
    for number in range(2):
        words = [f"{chr(97 + at % 26)}{chr(97 + at // 26)}x{number * 'y'}" for at in range(300)]
        list_ = "Họ tên,SĐT,Năm sinh\n"
        list_ += "".join(f"Công Nhân {word},0901234567,1990\n" for word in words)
        address = await hand_in(lan, list_.encode())
        assert (await lan.post(address)).status_code == 303
    assert (await counted(services))[0] == 600
    assert compared < 600 * 4 * rules.SHARED_AT_MOST
    async with services.database.read() as session:
        pairs = await session.scalar(select(func.count()).select_from(PersonPair))
    assert 0 < (pairs or 0) <= 600 * rules.SHARED_AT_MOST
