"""Results: each counts once, opens and ends cases, contradicts aloud, and is one laboratory's."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from bluezone.server.cases.tables import Case, LabResult
from bluezone.server.context import Services
from bluezone.server.people.rules import StaffRole
from bluezone.server.register.tables import Person
from tests.server.cases.conftest import SignIn, form
from tests.server.conftest import AddStaff, SignInAs

PERSON = {
    "name": "Nguyễn Văn An",
    "phone": "0901234567",
    "birth": "1990-05-17",
    "commune": "Ba Đình, Hà Nội",
}


def result(sample: str = "M1", **changes: Any) -> dict[str, Any]:
    return {
        "sample": sample,
        "person": PERSON,
        "sampled_on": "2021-01-18",
        "method": "pcr",
        "result": "positive",
        **changes,
    }


@pytest.fixture
async def lab(add_staff: AddStaff, bearer: SignInAs, client: httpx.AsyncClient) -> Any:
    """Hands results in, and returns what became of each."""
    await add_staff("lab-hanoi", StaffRole.LABORATORY, "vn.01")
    headers = await bearer("lab-hanoi")

    async def send(*results: dict[str, Any]) -> list[str]:
        answer = await client.post("/v1/staff/results", headers=headers, json=list(results))
        assert answer.status_code == 200, answer.text
        return [one["receipt"] for one in answer.json()["results"]]

    return send


async def stored(services: Services) -> tuple[list[Case], list[LabResult], int]:
    async with services.database.read() as session:
        cases = list(await session.scalars(select(Case).order_by(Case.id)))
        results = list(await session.scalars(select(LabResult).order_by(LabResult.id)))
        people = len(list(await session.scalars(select(Person.id))))
    return cases, results, people


async def test_results_open_confirm_and_correct_and_are_never_overwritten(
    services: Services, lab: Any, sign_in: SignIn
) -> None:
    assert await lab(result()) == ["taken"]
    assert await lab(result()) == ["known"]  # sent again after a lost answer
    cases, results, people = await stored(services)
    assert (len(cases), len(results), people) == (1, 1, 1)
    assert (cases[0].status, cases[0].sampled_on) == ("confirmed", "2021-01-18")
    assert cases[0].infectious_from == "2021-01-16"  # two days before the sample

    # The same sample says something else: nothing changes, the laboratory is told.
    assert await lab(result(result="negative")) == ["differs"]
    stranger = {**PERSON, "name": "Trần Thị Bích", "phone": "", "birth": "1985"}
    assert await lab(result(person=stranger)) == ["other-person"]
    assert (await stored(services))[1:] == (results, 1) or len((await stored(services))[1]) == 1

    # Marked as a correction it is kept beside the first, and somebody has to decide.
    assert await lab(result(result="negative", correction=True)) == ["corrected"]
    cases, results, _people = await stored(services)
    assert [(one.version, one.result, one.superseded) for one in results] == [
        (1, "positive", True),
        (2, "negative", False),
    ]
    assert (cases[0].status, cases[0].to_decide) == ("confirmed", True)
    lan = await sign_in()
    shown = (await lan.get(f"/staff/cases/{cases[0].id}")).text
    assert "mâu thuẫn với ca này" in shown
    assert "<s>dương tính</s>" in shown
    assert cases[0].reference in (await lan.get("/staff/cases?decide=1")).text
    looked = await lan.post(
        f"/staff/cases/{cases[0].id}/looked", {"seen": str(cases[0].revision), "note": "Đã gọi"}
    )
    assert looked.status_code == 303
    assert cases[0].reference not in (await lan.get("/staff/cases?decide=1")).text


async def test_two_samples_of_somebody_new_are_one_person_and_one_case(
    services: Services, lab: Any
) -> None:
    assert await lab(result("M1"), result("M2", method="antigen")) == ["taken", "taken"]
    cases, results, people = await stored(services)
    assert (len(cases), len(results), people) == (1, 2, 1)


async def test_what_comes_together_becomes_what_it_would_one_by_one(
    services: Services, lab: Any, sign_in: SignIn
) -> None:
    """Most of a mass test are noted in one piece; who has a case, or gets one, is no part of it."""
    lan = await sign_in()
    await lan.post("/staff/cases/new", form(status="suspected", sampled_on=""))
    others = [
        {**PERSON, "name": name, "phone": f"09070000{at:02}", "birth": f"19{60 + at}"}
        for at, name in enumerate(("Lê Thị Ba", "Vũ Văn Sáu", "Bùi Thị Tám", "Hồ Văn Mười"))
    ]
    assert await lab(result("N0", person=others[0], result="negative")) == ["taken"]
    assert await lab(
        result("M1", result="negative"),  # discards the suspicion
        result("N0", person=others[0], result="negative"),
        result("N1", person=others[1], result="negative"),
        result("N2", person=others[2]),
        result("N3", person=others[3]),
        # The day after the other: noted before it, this would contradict nothing.
        result("N4", person=others[3], result="negative", sampled_on="2021-01-19"),
        result("N5", person=others[1], method="antibody", sampled_on="2021-01-17"),
    ) == ["taken", "known", *["taken"] * 5]
    cases, results, people = await stored(services)
    assert people == 5
    assert [one.status for one in cases] == ["discarded", "confirmed", "confirmed"]
    assert {one.sample: one.verdict for one in results} == {
        "M1": "discards",
        "N0": "noted",
        "N1": "noted",
        "N2": "opens",
        "N3": "opens",
        "N4": "attached",
        "N5": "noted",
    }


async def test_a_negative_ends_a_suspicion_and_contradicts_a_positive(
    services: Services, lab: Any, sign_in: SignIn
) -> None:
    lan = await sign_in()
    await lan.post("/staff/cases/new", form(status="suspected", sampled_on=""))
    # An antigen test discards nobody; the PCR of the next day does.
    assert await lab(result("M1", method="antigen", result="negative")) == ["taken"]
    assert (await stored(services))[0][0].status == "suspected"
    assert await lab(result("M2", result="negative", sampled_on="2021-01-19")) == ["taken"]
    cases, results, people = await stored(services)
    assert (cases[0].status, people) == ("discarded", 1)
    assert [one.verdict for one in results] == ["attached", "discards"]
    # A later positive is a case of its own, and the negative after it no surprise.
    assert await lab(
        result("M4", result="negative", sampled_on="2021-01-20"),
        result("M3", sampled_on="2021-01-20"),
    ) == ["taken", "taken"]
    cases, results, _people = await stored(services)
    assert [one.status for one in cases] == ["discarded", "confirmed"]


async def test_a_file_of_results_and_the_list_of_one_laboratory(
    services: Services, sign_in: SignIn, lab: Any
) -> None:
    await lab(result("KHAC-1"))
    mai = await sign_in("lab-mai", StaffRole.LABORATORY, "vn.01")
    file = (
        "Mã mẫu;Họ tên;SĐT;Năm sinh;Phường;Ngày lấy mẫu;Phương pháp;Kết quả\n"
        "A1;Nguyễn Văn An;901234567;1990;Ba Đình, Hà Nội;18/1/2021;PCR;Dương tính\n"
        "A2;Nguyễn Văn An;901234567;1990;Ba Đình, Hà Nội;19/1/2021;PCR;âm tính\n"
        "A3;Lê Thị Hoa;;1980;Liên Chiểu, Đà Nẵng;19/1/2021;test nhanh;DUONG TINH\n"
        "A4;Lê Thị Hoa;;1980;Liên Chiểu, Đà Nẵng;;PCR;âm tính\n"
        "A5;Phan Sáu;;1980;00004;19/1/2021;PCR;có thể\n"
    )
    answer = await mai.post("/staff/results/file", files={"file": ("kq.csv", file.encode())})
    assert answer.status_code == 303, answer.text
    address = answer.headers["location"]
    shown = (await mai.get(address)).text
    assert "Vui lòng điền ô này" in shown
    assert "Không hiểu có thể" in shown
    assert (await mai.post(address)).status_code == 303
    assert "<strong>3</strong> kết quả đã nhận" in (await mai.get(address)).text
    cases, _results, people = await stored(services)
    assert people == 2
    assert sorted((one.unit, one.status) for one in cases) == [
        ("vn.01.001.00004", "confirmed"),
        ("vn.48.490.20197", "probable"),
    ]
    listed = (await mai.get("/staff/results")).text
    assert "A1" in listed
    assert "KHAC-1" not in listed
    assert "Nguyễn Văn An" not in listed
    assert (
        "KHAC-1" not in (await mai.get("/staff/results?sample=KHAC-1")).text.partition("<table")[2]
    )
    assert (await mai.get("/staff/cases")).status_code == 403


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"sampled_on": "2021-01-21"}, 422, "case-sampled_on"),
        ({"sampled_on": "1990-01-01"}, 422, "case-sampled_on"),
        ({"sample": "  "}, 422, "case-sample"),
        ({"method": "look"}, 400, "wrong-form"),
        ({"person": {**PERSON, "commune": "Tân Lập"}}, 422, "commune-ambiguous"),
        ({"person": {**PERSON, "phone": "12"}}, 422, "person-phone"),
        ({"person": {**PERSON, "birth": "2021-01-19"}}, 422, "case-sampled_on"),
    ],
)
async def test_a_result_that_cannot_be_is_refused_with_all_that_came_with_it(
    services: Services,
    add_staff: AddStaff,
    bearer: SignInAs,
    client: httpx.AsyncClient,
    changes: dict[str, Any],
    status: int,
    error: str,
) -> None:
    await add_staff("lab", StaffRole.LABORATORY, "vn.01")
    headers = await bearer("lab")
    body = [result("M1"), {**result("M2"), **changes}]
    answer = await client.post("/v1/staff/results", headers=headers, json=body)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert (await stored(services))[2] == 0


async def test_what_arrives_five_times_at_once_is_one_result_one_person_one_case(
    services: Services, lab: Any
) -> None:
    """A program that lost its line sends everything again before the first answer is there."""
    receipts = await asyncio.gather(*(lab(result()) for _again in range(5)))
    assert sorted(receipts) == [["known"]] * 4 + [["taken"]]
    cases, results, people = await stored(services)
    assert (len(cases), len(results), people) == (1, 1, 1)
