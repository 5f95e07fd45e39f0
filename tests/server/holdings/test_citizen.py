"""What a citizen can ask: by a code that opens once, with the number, and about nobody else."""

import asyncio
import re

import httpx
import pytest
from sqlalchemy import select, text

from bluezone.clock import ManualClock
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.audit.tables import AuditEntry
from bluezone.server.context import Services
from bluezone.server.forms import SESSION_COOKIE
from bluezone.server.holdings.routes import WRONG_ASKINGS
from bluezone.server.holdings.rules import CODE_SECONDS, CODE_TRIES
from bluezone.server.people.rules import Grant, Staff, StaffRole
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Register
from tests.server.conftest import BA_DINH, LIEN_CHIEU, NGOC_HA, NOON, AddStaff, SignInAs
from tests.server.holdings.test_retention import Town

NUMBER = "0901 234 567"
Headers = dict[str, str]


@pytest.fixture
async def lan(add_staff: AddStaff, bearer: SignInAs) -> Headers:
    await add_staff("lan")
    return await bearer("lan")


@pytest.fixture
async def person(services: Services) -> int:
    """A contact with everything around them: a case that exposed them, a visit, a task."""
    town = Town(services)
    source = await town.person(3)
    async with services.database.transaction() as session:
        row = await session.get(register.Person, source)
        assert row is not None
        row.sealed = town.keys.sealed(row.id, Details(name="Phạm Văn Nguồn"))
    contact = await town.person(2)
    await town.row("cases", reference="S", person_id=source, updated_at=NOON)
    await town.row(
        "exposures", source_id=source, exposed_id=contact, day="2021-01-19", created_at=NOON
    )
    await town.row(
        "exposures", source_id=contact, exposed_id=source, day="2021-01-19", created_at=NOON
    )
    task = await town.row("tasks", person_id=contact, due_at=NOON, created_at=NOON)
    hoa = Staff(9, "hoa.bi.mat", (Grant(StaffRole.HEALTH_WORKER, NGOC_HA),))
    async with services.database.transaction() as session:
        for subject in (f"person:{contact}", f"person:{contact}", f"task:{task}"):
            await audit.record(
                session, services, hoa, Action.LOOK, subject=subject, purpose=Purpose.TASK
            )
    return contact


async def issue(client: httpx.AsyncClient, person: int, headers: Headers) -> httpx.Response:
    return await client.post(f"/v1/staff/people/{person}/citizen-code", headers=headers)


async def ask(
    client: httpx.AsyncClient, code: str, number: str = NUMBER, language: str = "en"
) -> httpx.Response:
    client.cookies.set("bluezone_language", language)
    page = await client.get("/toi")
    token = re.search(r'name="form_token" value="(\w+)"', page.text)
    assert token
    body = {"form_token": token[1], "code": code, "number": number}
    return await client.post("/toi", data=body)


async def test_a_person_sees_what_is_held_and_nothing_about_others(
    client: httpx.AsyncClient, services: Services, person: int, lan: Headers
) -> None:
    issued = await issue(client, person, lan)
    assert issued.status_code == 200
    assert issued.json()["expires_at"] == NOON + CODE_SECONDS
    code = issued.json()["code"]
    answer = await ask(client, f"{code[:4]} {code[4:8]}-{code[8:]}", "+84901234567")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    main = answer.text.partition("<main")[2]
    for there in (
        "full name, telephone number",
        "That you were near a case or a contact",
        "Whom you may have been near",
        "Held since 18/01/2021",
        "Phường Ngọc Hà, Thành phố Hà Nội, a task of the worklist (3 times)",
        "Until 04/05/2021",  # the 19th, 14 days of follow-up, 90 days
        "Phường Ba Đình",
    ):
        assert there in main, there
    for hidden in ("Nguồn", "hoa.bi.mat", "901234567", "Trần Thị Lan", code):
        assert hidden not in main, hidden
    # Once.
    again = await ask(client, code)
    assert again.status_code == 403
    assert "Code and telephone number do not fit" in again.text
    async with services.database.read() as session:
        entries = (
            await session.scalars(
                select(AuditEntry).where(AuditEntry.purpose == "citizen").order_by(AuditEntry.at)
            )
        ).all()
    assert {(one.account_name, one.action, one.subject) for one in entries} == {
        ("lan", "add", f"person:{person}"),
        ("service", "look", f"person:{person}"),
    }


async def test_a_code_opens_with_its_number_in_its_hour_and_a_few_tries(
    client: httpx.AsyncClient, services: Services, clock: ManualClock, person: int, lan: Headers
) -> None:
    first = (await issue(client, person, lan)).json()["code"]
    second = (await issue(client, person, lan)).json()["code"]
    assert (await ask(client, first)).status_code == 403  # replaced
    for _ in range(CODE_TRIES - 1):
        assert (await ask(client, second, "0901234568")).status_code == 403
    late = NOON + CODE_SECONDS
    clock.set(late)
    assert (await ask(client, second)).status_code == 403
    third = (await issue(client, person, lan)).json()["code"]
    services.limits._empty_at.clear()
    for _ in range(CODE_TRIES):
        assert (await ask(client, third, "0901234568")).status_code == 403
    assert (await ask(client, third)).status_code == 403  # the right one, too late
    fourth = (await issue(client, person, lan)).json()["code"]
    assert (await ask(client, fourth)).status_code == 200


async def test_of_two_who_ask_at_once_one_is_shown_it(
    client: httpx.AsyncClient, person: int, lan: Headers
) -> None:
    code = (await issue(client, person, lan)).json()["code"]
    page = await client.get("/toi")
    token = re.search(r'name="form_token" value="(\w+)"', page.text)
    assert token
    body = {"form_token": token[1], "code": code, "number": NUMBER}
    answers = await asyncio.gather(*(client.post("/toi", data=body) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 403, 403, 403]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_wrong_input_is_said_beside_its_field_and_forged_forms_do_nothing(
    client: httpx.AsyncClient, person: int, lan: Headers
) -> None:
    code = (await issue(client, person, lan)).json()["code"]
    short = await ask(client, "123")
    assert short.status_code == 400
    assert 'aria-describedby="code-problem"' in short.text
    assert 'value="123"' in short.text
    wrong = await ask(client, code, "12")
    assert wrong.status_code == 400
    assert 'aria-describedby="number-problem"' in wrong.text
    forged = await client.post("/toi", data={"code": code, "number": NUMBER})
    assert forged.status_code == 403
    assert (await ask(client, code)).status_code == 200  # none of these was a try


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_guessing_is_stopped_by_address(
    client: httpx.AsyncClient, person: int, lan: Headers
) -> None:
    code = (await issue(client, person, lan)).json()["code"]
    for number in range(WRONG_ASKINGS.by_client.burst):
        assert (await ask(client, f"{number:012}")).status_code == 403
    stopped = await ask(client, code)
    assert stopped.status_code == 429
    assert "Retry-After" in stopped.headers


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_volley_of_guesses_is_stopped_too(
    client: httpx.AsyncClient, person: int, lan: Headers
) -> None:
    """A limit that is looked at before the search and paid after it lets a volley through."""
    code = (await issue(client, person, lan)).json()["code"]
    volley = [f"{number:012}" for number in range(40)]
    answers = await asyncio.gather(*(ask(client, digits) for digits in [*volley, code]))
    assert answers[-1].status_code == 429


async def test_only_who_sees_a_record_gives_a_code_for_it(
    client: httpx.AsyncClient,
    services: Services,
    add_staff: AddStaff,
    bearer: SignInAs,
    person: int,
    lan: Headers,
) -> None:
    await add_staff("xa", unit=LIEN_CHIEU)
    await add_staff("soat", StaffRole.AUDITOR)
    await add_staff("nong", StaffRole.HOTLINE)
    unknown = await issue(client, 999_999, lan)
    elsewhere = await issue(client, person, await bearer("xa"))
    assert unknown.status_code == elsewhere.status_code == 404
    assert unknown.content == elsewhere.content
    assert (await issue(client, person, await bearer("soat"))).status_code == 403
    assert (await issue(client, person, await bearer("nong"))).status_code == 200
    for name in ("x", "0", "-1", "9" * 30, "1e3"):
        address = f"/v1/staff/people/{name}/citizen-code"
        assert (await client.post(address, headers=lan)).status_code == 404
    async with services.database.transaction() as session:
        keys = Register.open(services.settings.secrets_folder)
        bare = await register.add(session, keys, Details(name="An"), unit=BA_DINH, now=NOON)
    without = await issue(client, bare.id, lan)
    assert (without.status_code, without.json()["error"]) == (422, "citizen-no-phone")
    for _ in range(5):
        last = await issue(client, person, lan)
    assert last.status_code == 429


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_table_holds_neither_code_nor_number(
    client: httpx.AsyncClient, services: Services, person: int, lan: Headers
) -> None:
    code = (await issue(client, person, lan)).json()["code"]
    async with services.database.read() as session:
        rows = (await session.execute(text("SELECT * FROM citizen_codes"))).all()
    assert code not in repr(rows)
    assert code.encode() not in b"".join(row.code_mac + row.number_mac for row in rows)
    assert "901234567" not in repr(rows)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_health_worker_gives_the_code_on_a_page(
    client: httpx.AsyncClient, person: int, lan: Headers
) -> None:
    token = lan["Authorization"].removeprefix("Bearer ")
    browser = {"Cookie": f"{SESSION_COOKIE}={token}; bluezone_language=en"}
    page = await client.get("/staff", headers=browser)
    form_token = re.search(r'name="form_token" value="(\w+)"', page.text)
    assert form_token
    address = f"/staff/people/{person}/citizen-code"
    refused = await client.post(address, headers=browser)
    assert refused.status_code == 403
    shown = await client.post(address, headers=browser, data={"form_token": form_token[1]})
    code = re.search(r'id="code">([\d-]+)<', shown.text)
    assert code
    client.cookies.clear()
    assert (await ask(client, code[1])).status_code == 200
