"""Invitations: a link that works once, for three days, as long as whoever invited may still."""

import httpx
import pytest
from sqlalchemy import select, text

from bluezone.clock import ManualClock
from bluezone.server.context import Services
from bluezone.server.people import second_factor
from bluezone.server.people.rules import INVITATION_SECONDS, StaffRole
from bluezone.server.people.service import staff_of
from bluezone.server.people.tables import StaffInvitation, StaffSession
from tests.server.conftest import BA_DINH, PASSWORD, AddStaff, SignInAs
from tests.server.people.conftest import account_id, form_token, post

on_one_store = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HANOI = "vn.01"
NEW = "năm con gà chạy vòng"
INVITE = {"name": " Minh@HN.example ", "role": "health-worker", "unit": "00004"}


@pytest.fixture
async def quan(add_staff: AddStaff, bearer: SignInAs) -> dict[str, str]:
    """The administrator of Hà Nội."""
    await add_staff("quan", StaffRole.ADMIN, HANOI)
    return await bearer("quan")


async def link(client: httpx.AsyncClient, quan: dict[str, str], **fields: str) -> str:
    made = await client.post(
        "/v1/staff/account-invitations", headers=quan, json={**INVITE, **fields}
    )
    assert made.status_code == 200, made.text
    return str(made.json()["link"])


async def join(client: httpx.AsyncClient, link: str, password: str = NEW) -> httpx.Response:
    client.cookies.clear()
    return await post(
        client,
        "/staff/join",
        page="/staff/join",
        invitation=link,
        step="password",
        fresh=password,
        again=password,
    )


async def look(client: httpx.AsyncClient, link: str) -> httpx.Response:
    client.cookies.clear()
    return await post(client, "/staff/join", page="/staff/join", invitation=link)


async def test_a_link_makes_an_account_once(
    client: httpx.AsyncClient, services: Services, quan: dict[str, str]
) -> None:
    made = await link(client, quan)
    address, token = made.split("#")
    assert address == "http://127.0.0.1/staff/join"
    async with services.database.read() as session:
        kept = str((await session.execute(text("SELECT * FROM staff_invitations"))).all())
    assert token not in kept
    shown = await look(client, token)
    for word in ("minh@hn.example", "Cán bộ y tế", "Phường Ba Đình, Thành phố Hà Nội", "quan"):
        assert word in shown.text
    weak = await join(client, made, "short")
    assert (weak.status_code, token in weak.text) == (422, True)
    joined = await join(client, made)
    assert joined.headers["location"] == "/staff"
    async with services.database.read() as session:
        found = await staff_of(session, client.cookies["bluezone_session"], services.now, 60)
        assert found is not None
        staff, _used_at = found
    assert (staff.name, staff.unit) == ("minh@hn.example", BA_DINH)
    again = await join(client, made)
    assert again.status_code == 404
    assert "Lời mời này không có hiệu lực" in again.text
    answer = await client.post(
        "/v1/staff/session", json={"name": "minh@hn.example", "password": NEW}
    )
    assert answer.status_code == 200


@on_one_store
async def test_what_is_no_invitation_is_told_alike(
    client: httpx.AsyncClient, services: Services, clock: ManualClock, quan: dict[str, str]
) -> None:
    made = await link(client, quan)
    other = await client.post(
        "/v1/staff/account-invitations", headers=quan, json={**INVITE, "name": "hoa"}
    )
    number = other.json()["invitation"]["id"]
    path = f"/v1/staff/account-invitations/{number}/withdraw"
    assert (await client.post(path, headers=quan)).status_code == 204
    assert (await client.post(path, headers=quan)).status_code == 404
    for wrong in (other.json()["link"], "", "#", "x" * 300, "\0"):
        assert (await look(client, wrong)).status_code == 404, wrong
    clock.advance(INVITATION_SECONDS)
    assert (await look(client, made)).status_code == 404
    assert (await join(client, made)).status_code == 404
    await link(client, quan)  # the name is free again


@on_one_store
async def test_an_invitation_does_not_outlive_the_right_to_invite(
    client: httpx.AsyncClient,
    services: Services,
    add_staff: AddStaff,
    bearer: SignInAs,
    quan: dict[str, str],
) -> None:
    await add_staff("boss", StaffRole.ADMIN, "vn")
    boss = await bearer("boss")
    made = await link(client, quan)
    number = await account_id(services, "quan")
    grant = {"role": "admin", "unit": "01"}
    path = f"/v1/staff/accounts/{number}/grants"
    assert (await client.post(f"{path}/take", headers=boss, json=grant)).status_code == 204
    assert (await look(client, made)).status_code == 404
    assert (await join(client, made)).status_code == 404
    assert (await client.post(path, headers=boss, json=grant)).status_code == 204
    assert (await look(client, made)).status_code == 200
    ended = await client.post(f"/v1/staff/accounts/{number}/end", headers=boss)
    assert ended.status_code == 200
    async with services.database.read() as session:
        assert (await session.scalars(select(StaffInvitation))).all() == []


async def test_a_link_gives_no_password_to_an_account_without_a_role(
    client: httpx.AsyncClient,
    services: Services,
    add_staff: AddStaff,
    bearer: SignInAs,
    quan: dict[str, str],
) -> None:
    """An administrator who has lost the office could keep a way in, for when there is a role
    again; and the page broke over an account of no unit."""
    await add_staff("lan")
    path = f"/v1/staff/accounts/{await account_id(services, 'lan')}"
    made = (await client.post(f"{path}/renew", headers=quan)).json()["link"]
    grant = {"role": "health-worker", "unit": "00004"}
    assert (await client.post(f"{path}/grants/take", headers=quan, json=grant)).status_code == 204
    assert (await look(client, made)).status_code == 404
    assert (await join(client, made)).status_code == 404


@on_one_store
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"name": "quan"}, 409),
        ({"name": "ấ"}, 422),
        ({"role": "king"}, 422),
        ({"role": "admin", "unit": "01"}, 403),  # of the own unit
        ({"unit": "48"}, 403),
        ({"unit": "99999"}, 422),
    ],
)
async def test_what_nobody_can_be_invited_to(
    client: httpx.AsyncClient, quan: dict[str, str], fields: dict[str, str], status: int
) -> None:
    answer = await client.post(
        "/v1/staff/account-invitations", headers=quan, json={**INVITE, **fields}
    )
    assert answer.status_code == status
    assert set(answer.json()["message"]) == {"vi", "en"}


async def test_a_name_has_one_open_link(client: httpx.AsyncClient, quan: dict[str, str]) -> None:
    await link(client, quan)
    again = await client.post("/v1/staff/account-invitations", headers=quan, json=INVITE)
    assert (again.status_code, again.json()["error"]) == (409, "invitation-open")


async def test_who_forgot_everything_gets_in_by_a_new_link(
    client: httpx.AsyncClient,
    services: Services,
    clock: ManualClock,
    add_staff: AddStaff,
    bearer: SignInAs,
    quan: dict[str, str],
) -> None:
    await add_staff("lan")
    lan = await bearer("lan")
    number = await account_id(services, "lan")
    offered = second_factor.offer(services, number, "lan")
    step = services.now // second_factor.STEP_SECONDS
    async with services.database.transaction() as session:
        await second_factor.enrol(session, services, number, offered, step)
    links = []
    for _number in range(2):  # the second takes the place of the first
        answer = await client.post(f"/v1/staff/accounts/{number}/renew", headers=quan)
        links.append(answer.json()["link"])
    assert (await client.get("/v1/staff/inbox", headers=lan)).status_code == 200
    assert (await join(client, links[0])).status_code == 404
    assert (await join(client, links[1])).headers["location"] == "/staff"
    assert (await client.get("/v1/staff/inbox", headers=lan)).status_code == 401
    old = await client.post("/v1/staff/session", json={"name": "lan", "password": PASSWORD})
    assert old.status_code == 401
    new = await client.post("/v1/staff/session", json={"name": "lan", "password": NEW})
    assert new.status_code == 200  # the factor of the lost phone is asked for no more
    async with services.database.read() as session:
        assert len((await session.scalars(select(StaffSession))).all()) == 3  # quan, lan twice


@on_one_store
async def test_trying_links_is_stopped(client: httpx.AsyncClient, quan: dict[str, str]) -> None:
    token = await form_token(client, "/staff/join")
    statuses = {
        (
            await client.post(
                "/staff/join", data={"form_token": token, "invitation": f"guess{number}"}
            )
        ).status_code
        for number in range(121)
    }
    assert statuses == {404, 429}


@on_one_store
async def test_a_form_from_elsewhere_joins_nobody(
    client: httpx.AsyncClient, quan: dict[str, str]
) -> None:
    made = await link(client, quan)
    client.cookies.clear()
    answer = await client.post(
        "/staff/join", data={"invitation": made, "step": "password", "fresh": NEW, "again": NEW}
    )
    assert answer.status_code == 403
    assert (await look(client, made)).status_code == 200
