"""Administrators: accounts of the own subtree, grants no wider than one's own, an end for good."""

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from bluezone.server.audit.tables import AuditEntry
from bluezone.server.context import Services
from bluezone.server.linelists import reports, searching
from bluezone.server.linelists.rules import By, Every, List, Search, Wanted
from bluezone.server.linelists.tables import ReportSchedule, SavedSearch
from bluezone.server.people import administration, rules
from bluezone.server.people.rules import OPERATOR, Grant, Staff, StaffRole
from bluezone.server.people.service import Colleague, grants_of
from bluezone.server.people.tables import StaffAccount, StaffGrant
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details
from bluezone.server.work import teams
from bluezone.server.work.tables import Task, TaskEvent, TeamMember
from tests.server.conftest import (
    BA_DINH,
    LIEN_CHIEU,
    NGOC_HA,
    NOON,
    PASSWORD,
    AddStaff,
    SignInAs,
)
from tests.server.people.conftest import SignInHere, account_id, post

on_one_store = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ADMIN, WORKER = StaffRole.ADMIN, StaffRole.HEALTH_WORKER
HANOI, AREA, NATION = "vn.01", "vn.01.001", "vn"


def admin_of(unit: str) -> Staff:
    return Staff(1, "quan", (Grant(ADMIN, unit),)).acting_as(frozenset({ADMIN}))


@pytest.mark.parametrize(
    ("unit", "grant", "may"),
    [
        (BA_DINH, Grant(WORKER, BA_DINH), True),
        (BA_DINH, Grant(WORKER, NGOC_HA), False),
        (BA_DINH, Grant(WORKER, AREA), False),
        (BA_DINH, Grant(ADMIN, BA_DINH), False),  # one of the same unit
        (AREA, Grant(ADMIN, BA_DINH), True),
        (AREA, Grant(ADMIN, AREA), False),
        (HANOI, Grant(ADMIN, AREA), True),
        (HANOI, Grant(ADMIN, HANOI), False),
        (HANOI, Grant(StaffRole.AUDITOR, HANOI), True),
        (HANOI, Grant(WORKER, "vn.010"), False),  # a path that only begins alike
        (NATION, Grant(ADMIN, HANOI), True),
        (NATION, Grant(ADMIN, NATION), False),  # the operator's
        (NATION, Grant(WORKER, NATION), True),
    ],
)
def test_who_may_give_what(unit: str, grant: Grant, may: bool) -> None:
    assert rules.may_give(admin_of(unit), grant) is may
    assert rules.may_give(OPERATOR, grant)
    health_worker = Staff(1, "lan", (Grant(WORKER, unit),))
    assert not rules.may_give(health_worker, grant)


_PATHS = st.sampled_from([NATION, HANOI, AREA, BA_DINH, NGOC_HA, "vn.48", "vn.48.490", LIEN_CHIEU])
_GRANTS = st.builds(Grant, st.sampled_from(StaffRole), _PATHS)


@given(_PATHS, _GRANTS)
def test_nobody_gives_more_than_they_administer(unit: str, grant: Grant) -> None:
    giver = admin_of(unit)
    if rules.may_give(giver, grant):
        assert giver.scope.covers(grant.unit)
        assert grant.role is not ADMIN or grant.unit != unit


async def grants(services: Services, name: str) -> set[str]:
    async with services.database.read() as session:
        account = await session.scalar(select(StaffAccount).where(StaffAccount.name == name))
        assert account is not None
        found = await grants_of(session, account.id)
    return {administration.describe(one) for one in found}


async def test_grants_count_at_once_and_are_written_down(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff, bearer: SignInAs
) -> None:
    await add_staff("quan", ADMIN, HANOI)
    await add_staff("lan", WORKER, BA_DINH)
    quan, lan = await bearer("quan"), await bearer("lan")
    number = await account_id(services, "lan")
    path = f"/v1/staff/accounts/{number}/grants"
    for _number in range(2):  # a grant that is there stays
        answer = await client.post(path, headers=quan, json={"role": "admin", "unit": "00008"})
        assert answer.status_code == 204, answer.text
    assert await grants(services, "lan") == {"health-worker 00004", "admin 00008"}
    seen = await client.get("/v1/staff/accounts", headers=lan)
    assert [one["name"] for one in seen.json()["accounts"]] == ["lan"]  # of NGOC_HA: itself alone
    taken = await client.post(f"{path}/take", headers=quan, json={"role": "admin", "unit": NGOC_HA})
    assert taken.status_code == 204
    assert (await client.get("/v1/staff/accounts", headers=lan)).status_code == 403
    again = await client.post(f"{path}/take", headers=quan, json={"role": "admin", "unit": NGOC_HA})
    assert (again.status_code, again.json()["error"]) == (404, "grant-unknown")
    async with services.database.read() as session:
        entries = (
            await session.scalars(
                select(AuditEntry)
                .where(AuditEntry.subject == f"account:{number}")
                .order_by(AuditEntry.sequence)
            )
        ).all()
    assert [(one.account_name, one.action, one.detail) for one in entries] == [
        ("quan", "grant", "+admin 00008"),
        ("quan", "grant", "-admin 00008"),
    ]


@on_one_store
async def test_beyond_the_own_subtree_there_is_nothing(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff, bearer: SignInAs
) -> None:
    await add_staff("quan", ADMIN, AREA)
    await add_staff("lan", WORKER, BA_DINH)
    await add_staff("hoa", WORKER, LIEN_CHIEU)
    quan = await bearer("quan")
    own = await account_id(services, "lan")
    for code in ("20197", "01", "vn", "vn.01.002"):
        answer = await client.post(
            f"/v1/staff/accounts/{own}/grants",
            headers=quan,
            json={"role": "health-worker", "unit": code},
        )
        assert answer.status_code in (403, 422), code
    foreign, unknown = await account_id(services, "hoa"), 10**6
    for what in ("", "/grants", "/grants/take", "/end-sessions", "/end", "/renew"):
        answers = [
            await client.request(
                "POST" if what else "GET",
                f"/v1/staff/accounts/{number}{what}",
                headers=quan,
                json={"role": "health-worker", "unit": "00004"},
            )
            for number in (foreign, unknown)
        ]
        assert [one.status_code for one in answers] == [404, 404], what
        assert answers[0].content == answers[1].content
    assert await grants(services, "hoa") == {"health-worker 20197"}


@on_one_store
async def test_nobody_changes_their_own_account(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff, bearer: SignInAs
) -> None:
    await add_staff("quan", ADMIN, NATION)
    quan = await bearer("quan")
    number = await account_id(services, "quan")
    for what in ("grants", "grants/take", "end-sessions", "end", "renew"):
        answer = await client.post(
            f"/v1/staff/accounts/{number}/{what}",
            headers=quan,
            json={"role": "health-worker", "unit": "vn"},
        )
        assert (answer.status_code, answer.json()["error"]) == (403, "own-account"), what
    assert await grants(services, "quan") == {"admin vn"}


@on_one_store
async def test_an_account_that_reaches_further_is_ended_from_further_up(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff, bearer: SignInAs
) -> None:
    await add_staff("quan", ADMIN, HANOI)
    await add_staff("boss", ADMIN, NATION)
    await add_staff("lan", WORKER, BA_DINH)
    number = await account_id(services, "lan")
    boss, quan = await bearer("boss"), await bearer("quan")
    await client.post(
        f"/v1/staff/accounts/{number}/grants",
        headers=boss,
        json={"role": "laboratory", "unit": "48"},
    )
    shown = (await client.get(f"/v1/staff/accounts/{number}", headers=quan)).json()["account"]
    assert shown["grants"] == [{"role": "health-worker", "unit": BA_DINH}]
    assert shown["has_grants_elsewhere"] is True
    for what in ("end", "renew", "end-sessions"):
        answer = await client.post(f"/v1/staff/accounts/{number}/{what}", headers=quan)
        assert (answer.status_code, answer.json()["error"]) == (403, "account-beyond")
    taken = await client.post(
        f"/v1/staff/accounts/{number}/grants/take",
        headers=quan,
        json={"role": "health-worker", "unit": "00004"},
    )
    assert taken.status_code == 204
    assert await grants(services, "lan") == {"laboratory 48"}
    assert (await client.get(f"/v1/staff/accounts/{number}", headers=quan)).status_code == 404


async def test_who_leaves_has_nothing_any_more(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff, bearer: SignInAs
) -> None:
    await add_staff("quan", ADMIN, HANOI)
    await add_staff("lan", WORKER, BA_DINH)
    number = await account_id(services, "lan")
    lan, quan = await bearer("lan"), await bearer("quan")
    keys = register.Register.open(services.settings.secrets_folder)
    async with services.database.transaction() as session:
        person = await register.add(
            session, keys, Details(name="Trần Thị Bình"), unit=BA_DINH, now=NOON
        )
        session.add(_task(person.id, number))
        session.add(_task(person.id, number, state="done"))
        session.add(_task(person.id, number + 1))
        worker = Staff(number, "lan", (Grant(WORKER, BA_DINH),)).acting_as(frozenset({WORKER}))
        team = await teams.make(
            session, worker, unit=BA_DINH, name="Đội một", automatic=False, now=NOON
        )
        await teams.add_member(session, team, Colleague(number, "lan", BA_DINH))
        # What was sought is a name, and nobody else could ever delete it.
        await searching.save(session, services, worker, "x", Search(by=By.PERSON, text="Bình"))
        wanted = Wanted(list=List.CASES)
        await reports.schedule(session, services, worker, wanted, Every.DAY, None)
    ended = await client.post(f"/v1/staff/accounts/{number}/end", headers=quan)
    assert ended.json() == {"released_tasks": 1}
    assert (await client.get("/v1/staff/inbox", headers=lan)).status_code == 401
    sign_in = await client.post("/v1/staff/session", json={"name": "lan", "password": PASSWORD})
    assert sign_in.status_code == 401
    assert await grants(services, "lan") == set()
    async with services.database.read() as session:
        tasks = (await session.scalars(select(Task).order_by(Task.id))).all()
        assert [(one.state, one.assignee_id) for one in tasks] == [
            ("open", None),
            ("done", number),
            ("open", number + 1),
        ]
        for gone in (TeamMember, SavedSearch, ReportSchedule):
            assert (await session.scalars(select(gone))).all() == []
        events = (await session.scalars(select(TaskEvent))).all()
        assert [(one.task_id, one.kind) for one in events] == [(tasks[0].id, "released")]
        entry = (
            await session.scalars(select(AuditEntry).order_by(AuditEntry.sequence.desc()))
        ).first()
        assert entry is not None
        assert (entry.action, entry.subject) == ("delete", f"account:{number}")
    # The administrator still finds whom the audit names; nobody gives an ended account anything.
    for state, names in (("ended", ["lan"]), ("in-use", ["quan"]), ("unused", [])):
        seen = await client.get(f"/v1/staff/accounts?state={state}", headers=quan)
        assert [one["name"] for one in seen.json()["accounts"]] == names, state
    for what, status in (("end", 409), ("renew", 409), ("grants", 409)):
        answer = await client.post(
            f"/v1/staff/accounts/{number}/{what}",
            headers=quan,
            json={"role": "health-worker", "unit": "00004"},
        )
        assert answer.status_code == status, what


def _task(person: int, assignee: int, state: str = "open") -> Task:
    return Task(
        kind="call",
        person_id=person,
        unit=BA_DINH,
        team_id=None,
        assignee_id=assignee,
        assignee_name="x",
        state=state,
        due_at=NOON,
        made_by=None,
        created_at=NOON,
        closed_at=None,
        outcome=None,
        tries=0,
        revision=0,
    )


async def test_the_list_is_searched_and_goes_on(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff, bearer: SignInAs
) -> None:
    await add_staff("quan", ADMIN, HANOI)
    async with services.database.transaction() as session:
        for number in range(administration.SHOWN + 5):
            session.add(
                StaffAccount(
                    name=f"lan{number:03}", unit=BA_DINH, password_hash="x", created_at=NOON
                )
            )
    quan = await bearer("quan")

    async def names(query: str) -> list[str]:
        answer = await client.get(f"/v1/staff/accounts?state=unused&{query}", headers=quan)
        assert answer.status_code == 200
        return [one["name"] for one in answer.json()["accounts"]]

    first = await names("")
    assert len(first) == administration.SHOWN
    assert await names(f"after={first[-1]}") == [f"lan{n}" for n in range(100, 105)]
    assert await names("text=AN10") == [f"lan{n}" for n in range(100, 105)]
    for nothing in ("text=%25", "text=_an", "text=%00", "after=%00"):
        assert await names(nothing) == [], nothing
    strange = await client.get("/v1/staff/accounts?state=x", headers=quan)
    assert strange.status_code == 400


@on_one_store
async def test_what_is_wrong_is_said_on_the_page_and_loses_nothing(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff, browser_of: SignInHere
) -> None:
    await add_staff("quan", ADMIN, HANOI)
    await add_staff("lan", WORKER, BA_DINH)
    await browser_of("quan")
    number = await account_id(services, "lan")
    page = f"/staff/accounts/{number}"
    for unit, said in (("99999", "Không có đơn vị 99999"), ("20197", "trong các đơn vị bạn quản")):
        refused = await post(client, f"{page}/grants", role="laboratory", unit=unit)
        assert said in refused.text
        assert f'value="{unit}"' in refused.text
        assert '<option value="laboratory" selected>' in refused.text
    unsure = await post(client, f"{page}/end")
    assert unsure.status_code == 422
    assert "đánh dấu vào ô xác nhận" in unsure.text
    assert await grants(services, "lan") == {"health-worker 00004"}
    sure = await post(client, f"{page}/end", sure="yes")
    assert sure.headers["location"] == f"{page}?done=ended"
    assert "Xong: tài khoản đã chấm dứt" in (await client.get(f"{page}?done=ended")).text
    own = await client.get(f"/staff/accounts/{await account_id(services, 'quan')}")
    assert "vai trò do người quản trị khác thay đổi" in own.text
    assert "/grants" not in own.text


@on_one_store
async def test_who_takes_the_last_role_here_comes_back_to_a_page_that_is_there(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff, browser_of: SignInHere
) -> None:
    await add_staff("quan", ADMIN, HANOI)
    await add_staff("lan", WORKER, BA_DINH)
    number = await account_id(services, "lan")
    page = f"/staff/accounts/{number}"
    async with services.database.transaction() as session:
        for role, unit in (("laboratory", LIEN_CHIEU), ("auditor", NGOC_HA)):
            session.add(StaffGrant(account_id=number, role=role, unit=unit))
    await browser_of("quan")
    for role, unit, back in (
        ("auditor", NGOC_HA, page),
        ("health-worker", BA_DINH, "/staff/accounts"),  # the account is Đà Nẵng's now
    ):
        taken = await post(client, f"{page}/grants/take", role=role, unit=unit)
        assert (taken.status_code, taken.headers["location"]) == (303, f"{back}?done=taken")
        assert (await client.get(taken.headers["location"])).status_code == 200
    assert await grants(services, "lan") == {"laboratory 20197"}


@on_one_store
async def test_an_account_without_a_role_is_told_so(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff
) -> None:
    await add_staff("lan")
    async with services.database.transaction() as session:
        await session.execute(text("DELETE FROM staff_grants"))
    answer = await client.post("/v1/staff/session", json={"name": "lan", "password": PASSWORD})
    assert (answer.status_code, answer.json()["error"]) == (403, "no-role")
    wrong = await client.post("/v1/staff/session", json={"name": "lan", "password": "x"})
    assert msgspec.json.decode(wrong.content)["error"] == "wrong-name-or-password"
