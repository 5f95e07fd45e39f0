"""Worklists, call sheets and teams as pages: who sees what, and nothing typed is lost."""

import re

import httpx
import pytest
from sqlalchemy import func, select

from bluezone.server.audit.tables import AuditEntry
from bluezone.server.context import Services
from bluezone.server.people.rules import StaffRole
from bluezone.server.work.tables import Task, TaskEvent
from tests.server.conftest import BA_DINH, LIEN_CHIEU, NGOC_HA, NOON, AddStaff
from tests.server.work.conftest import AddPerson, DeskOf, Worker

FORM = "form-0123456789abcdef"


async def task_ids(services: Services) -> list[int]:
    async with services.database.read() as session:
        return list(await session.scalars(select(Task.id).order_by(Task.id)))


async def state(services: Services, task: int) -> tuple[str, str | None, str | None]:
    async with services.database.read() as session:
        row = await session.get(Task, task)
        assert row
        return row.state, row.outcome, row.assignee_name


async def test_a_day_from_the_list_over_the_sheet_to_the_next_step(
    services: Services, add_person: AddPerson, worker: Worker, desk: DeskOf
) -> None:
    await worker()
    head = await add_person()
    await add_person("Nguyễn Văn Ba", rank=2, household=head, phone="")
    lan, (call, second) = await desk("lan"), await task_ids(services)
    assert "You have nothing to do." in (await lan.get("/staff/tasks")).text
    unit = await lan.get("/staff/tasks?view=unit")
    assert "Trần Thị Lan" in unit.text
    sent = await lan.post(
        "/staff/tasks/assign", view="unit", to="me", tasks=[f"{call}.0", f"{second}.0"]
    )
    assert sent.headers["location"] == "/staff/tasks?view=unit&given=2&changed=0"
    assert "2 tasks assigned." in (await lan.get(sent.headers["location"])).text
    mine = await lan.get("/staff/tasks?kind=call&due=later")
    assert mine.text.count("<li>") == 2

    sheet = await lan.get(f"/staff/tasks/{call}")
    assert 'href="tel:+84901234567"' in sheet.text
    assert "We never ask for a password" in sheet.text
    assert "không bao giờ hỏi mật khẩu" in sheet.text
    assert "until 03/02/2021" in sheet.text
    assert "Nguyễn Văn Ba" in sheet.text
    assert "→ Test by 08:00 21/01" in sheet.text, "nobody is tested at night"
    fields = {"seen": "1", "form": FORM, "note": "sốt <b>\r\nho", "symptoms": ["fever", "cough"]}
    sent = await lan.post(f"/staff/tasks/{call}", outcome="reached", **fields)
    assert sent.headers["location"] == f"/staff/tasks?recorded={call}"
    assert "Recorded: call, has symptoms." in (await lan.get(sent.headers["location"])).text
    again = await lan.post(f"/staff/tasks/{call}", outcome="reached", **fields)
    assert again.status_code == 303
    shown = (await lan.get(f"/staff/tasks/{call}")).text
    assert "sốt &lt;b&gt;\nho" in shown
    assert "This task is over." in shown
    assert len(await task_ids(services)) == 3, "a test, once"
    async with services.database.read() as session:
        looks = await session.scalar(
            select(func.count())
            .select_from(AuditEntry)
            .where(
                AuditEntry.action == "look",
                AuditEntry.subject == f"person:{head}",
                AuditEntry.purpose == "task",
            )
        )
        assert looks == 2, "each opening of the sheet"
        listed = await session.scalars(select(AuditEntry.detail).where(AuditEntry.action == "list"))
        assert any(str(head) in one.split() for one in listed)


async def test_a_neighbour_sees_no_task_and_a_lead_sees_what_is_below(
    services: Services, add_person: AddPerson, worker: Worker, add_staff: AddStaff, desk: DeskOf
) -> None:
    for name, unit in (("lan", BA_DINH), ("hoa", NGOC_HA), ("tinh", "vn.01")):
        await worker(name, unit)
    await add_staff("quan", StaffRole.ADMIN)
    await add_person()
    (call,) = await task_ids(services)
    hoa, tinh, quan = [await desk(name) for name in ("hoa", "tinh", "quan")]
    for path in (f"/staff/tasks/{call}", f"/staff/tasks/{call + 1}", "/staff/tasks/abc"):
        answer = await hoa.get(path)
        assert answer.status_code == 404
        assert "There is no such task in your units." in answer.text
    assert "Trần" not in (await hoa.get("/staff/tasks?view=unit")).text
    assert (await hoa.get(f"/staff/tasks?view=unit&unit={BA_DINH}")).status_code == 404
    for verb, more in (
        ("", {"outcome": "reached", "form": FORM}),
        ("/take", {}),
        ("/cancel", {"reason": "không cần"}),
        ("/hand-over", {"unit": "00008", "reason": "cho tôi"}),
    ):
        answer = await hoa.post(f"/staff/tasks/{call}{verb}", seen="0", **more)
        assert answer.status_code == 404, verb
    answer = await hoa.post("/staff/tasks/assign", view="unit", to="me", tasks=[f"{call}.0"])
    assert answer.status_code == 404
    assert await state(services, call) == ("open", None, None)
    assert (await quan.get("/staff/tasks")).status_code == 403
    whole = await tinh.get("/staff/tasks?view=unit")
    assert "view=unit&amp;unit=vn.01.001" in whole.text
    assert (
        "Trần Thị Lan" in (await tinh.get("/staff/tasks?view=unit&unit=vn.01.001&kind=call")).text
    )


async def test_the_slower_of_two_is_told_and_loses_nothing(
    services: Services, add_person: AddPerson, worker: Worker, desk: DeskOf
) -> None:
    await worker()
    await worker("binh")
    await add_person()
    (call,) = await task_ids(services)
    lan, binh = await desk("lan"), await desk("binh")
    entry = {"seen": "0", "outcome": "no-answer", "note": "gọi ba lần", "household": "mẹ"}
    await lan.post(f"/staff/tasks/{call}", **(entry | {"form": FORM, "outcome": "refused"}))
    told = await binh.post(f"/staff/tasks/{call}", **(entry | {"form": f"{FORM}-b"}))
    assert told.status_code == 409
    assert "lan has completed this task meanwhile" in told.text
    assert "gọi ba lần</textarea>" in told.text
    assert 'name="household" maxlength="300" value="mẹ"' in told.text
    assert f'name="form" value="{FORM}-b"' in told.text
    as_json = await binh.post(
        f"/staff/tasks/{call}", accept="application/json", **(entry | {"form": f"{FORM}-b"})
    )
    assert as_json.status_code == 409
    assert as_json.json()["message"]["vi"].startswith("lan vừa hoàn thành")
    fields = {
        name: value for name, value in re.findall(r'name="(seen|also)" value="(\w+)"', told.text)
    }
    added = await binh.post(f"/staff/tasks/{call}", **(entry | fields | {"form": f"{FORM}-b"}))
    assert added.status_code == 303
    assert (await state(services, call))[1] == "refused"
    shown = (await lan.get(f"/staff/tasks/{call}")).text
    assert "binh: recorded as well: No answer" in shown
    assert "gọi ba lần" in shown


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_wrong_in_a_form_is_said_and_the_rest_stays(
    services: Services, add_person: AddPerson, worker: Worker, desk: DeskOf
) -> None:
    await worker()
    person = await add_person()
    (call,) = await task_ids(services)
    lan = await desk("lan")
    entry = {"seen": "0", "form": FORM, "note": "giữ lại", "outcome": "reached"}
    for change, said in (
        ({"outcome": "sampled"}, "Please press the button"),
        ({"outcome": ""}, "Please press the button"),
        ({"note": "x" * 2001}, "A text is too long"),
        ({"form": "1"}, "The form has no number"),
        ({"next": "dance"}, "There is no such kind of task."),
        ({"next": "visit", "when": "2021-13-01"}, "This is not a day and a time."),
        ({"next": "visit", "when": "2031-01-01T08:00"}, "at most 60 days ahead"),
        ({"symptoms": ["hunger"]}, "A text is too long"),
    ):
        answer = await lan.post(f"/staff/tasks/{call}", **(entry | change))
        assert answer.status_code == 422, change
        assert said in answer.text, change
        if "note" not in change:
            assert "giữ lại</textarea>" in answer.text
    assert await state(services, call) == ("open", None, None)
    for verb, fields, said in (
        ("hand-over", {"unit": "99999", "reason": "đi xa"}, "There is no unit 99999"),
        ("hand-over", {"unit": "00008", "reason": "đi xa"}, "No health worker looks after"),
        ("cancel", {"reason": " "}, "Please say why it is not needed."),
    ):
        answer = await lan.post(f"/staff/tasks/{call}/{verb}", seen="0", **fields)
        assert answer.status_code == 422
        assert said in answer.text
    answer = await lan.post(
        "/staff/tasks/assign", view="unit", to="", name="ai đó", tasks=[f"{call}.0"]
    )
    assert "There is no health worker of this name" in answer.text
    assert f'value="{call}.0" aria-label="Trần Thị Lan, Call" checked' in answer.text
    answer = await lan.post(
        "/staff/tasks/new", person=str(person), kind="visit", when="", note="hỏi thăm"
    )
    assert answer.status_code == 422
    assert "hỏi thăm</textarea>" in answer.text
    made = await lan.post(
        "/staff/tasks/new",
        person=str(person),
        kind="visit",
        when="2021-01-21T09:00",
        note="hỏi thăm",
    )
    assert "hỏi thăm" in (await lan.get(made.headers["location"])).text


async def test_what_was_handed_over_is_read_there_and_only_named_here(
    services: Services, add_person: AddPerson, worker: Worker, desk: DeskOf
) -> None:
    await worker()
    await worker("hoa", LIEN_CHIEU)
    await add_person()
    (call,) = await task_ids(services)
    lan, hoa = await desk("lan"), await desk("hoa")
    sent = await lan.post(
        f"/staff/tasks/{call}/hand-over", seen="0", unit="20197", reason="đang ở đó"
    )
    given = (await lan.get(sent.headers["location"])).text
    assert "Phường Liên Chiểu" in given
    shown = (await lan.get(f"/staff/tasks/{call}")).text
    assert "đang ở đó" in shown
    assert "Trần Thị Lan" not in shown
    there = (await hoa.get(f"/staff/tasks/{call}")).text
    assert "Trần Thị Lan" in there
    assert f'value="{BA_DINH}"' in there, "the way back is filled in"
    await hoa.post(f"/staff/tasks/{call}/hand-over", seen="1", unit=BA_DINH, reason="đã về")
    assert "Trần Thị Lan" in (await lan.get(f"/staff/tasks/{call}")).text
    assert "Trần Thị Lan" not in (await hoa.get(f"/staff/tasks/{call}")).text


async def test_a_team_is_made_and_its_tasks_go_round(
    services: Services, add_person: AddPerson, worker: Worker, desk: DeskOf
) -> None:
    for name in ("lan", "binh"):
        await worker(name)
    await worker("hoa", NGOC_HA)
    lan = await desk("lan")
    for fields, said in (
        ({"name": "x", "unit": "00004"}, "2 to 60 characters"),
        ({"name": "Tổ 1", "unit": "00008"}, "This unit is not one of yours."),
    ):
        assert said in (await lan.post("/staff/teams", **fields)).text
    made = await lan.post("/staff/teams", name="Tổ 1", unit="00004", automatic="yes")
    assert made.status_code == 303
    assert (
        "There is a team of this name already."
        in (await lan.post("/staff/teams", name="Tổ 1", unit="00004")).text
    )
    (team,) = re.findall(r'action="/staff/teams/(\d+)"', (await lan.get("/staff/teams")).text)[:1]
    for name in ("lan", "binh"):
        await lan.post(f"/staff/teams/{team}", act="add", name=name)
    refused = await lan.post(f"/staff/teams/{team}", act="add", name="hoa")
    assert "There is no health worker of this name" in refused.text
    for _ in range(4):
        await add_person()
    shown = (await lan.get(f"/staff/tasks?view=team&team={team}")).text
    assert shown.count("<li>") == 4
    assert (await (await desk("hoa")).get("/staff/teams")).text.count("Tổ 1") == 0
    await lan.post(f"/staff/teams/{team}", act="end")
    assert "There is no team yet." in (await lan.get("/staff/teams")).text
    assert {(await state(services, one))[2] for one in await task_ids(services)} == {"lan", "binh"}


async def test_programs_do_the_same_as_json(
    services: Services,
    client: httpx.AsyncClient,
    add_person: AddPerson,
    worker: Worker,
    bearer: object,
) -> None:
    await worker()
    await worker("hoa", NGOC_HA)
    person = await add_person()
    (call,) = await task_ids(services)
    lan = await bearer("lan")  # type: ignore[operator]
    hoa = await bearer("hoa")  # type: ignore[operator]
    listed = (await client.get("/v1/staff/tasks?view=unit", headers=lan)).json()
    assert [(one["task"], one["kind"], one["person"]) for one in listed["tasks"]] == [
        (call, "call", person)
    ]
    assert listed["next"] == ""
    opened = (await client.get(f"/v1/staff/tasks/{call}", headers=lan)).json()
    assert opened["person"]["name"] == "Trần Thị Lan"
    assert opened["outcomes"][0]["outcome"] == "reached"
    body = {"seen": 0, "form": FORM, "outcome": "no-answer", "answers": {"note": "máy bận"}}
    for _ in range(2):
        answer = await client.post(f"/v1/staff/tasks/{call}/entries", json=body, headers=lan)
        assert answer.status_code == 200
    assert answer.json()["again"] is True
    opened = (await client.get(f"/v1/staff/tasks/{call}", headers=lan)).json()
    assert opened["task"]["tries"] == 1
    assert opened["history"][0]["answers"]["note"] == "máy bận"
    for method, path, json in (
        ("GET", f"/v1/staff/tasks/{call}", None),
        ("POST", f"/v1/staff/tasks/{call}/entries", body),
        ("POST", f"/v1/staff/tasks/{call}/take", {"seen": 1}),
        ("POST", f"/v1/staff/tasks/{call}/cancel", {"seen": 1, "reason": "không"}),
        ("POST", f"/v1/staff/tasks/{call}/hand-over", {"seen": 1, "unit": "00008", "reason": "ừm"}),
        ("POST", "/v1/staff/tasks/assign", {"tasks": [{"task": call, "seen": 1}], "to": "hoa"}),
    ):
        answer = await client.request(method, path, json=json, headers=hoa)
        assert answer.status_code == 404, path
    answer = await client.post(f"/v1/staff/tasks/{call}/take", json={"seen": 0}, headers=lan)
    assert answer.status_code == 409
    answer = await client.post(f"/v1/staff/tasks/{call}/take", json={"seen": 1}, headers=lan)
    assert answer.status_code == 204
    assert (await client.get(f"/v1/staff/tasks?person={person}", headers=lan)).json()["tasks"]
    assert (await client.get(f"/v1/staff/tasks?person={person}", headers=hoa)).json()["tasks"] == []
    async with services.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(TaskEvent)) == 3
    assert services.now == NOON
