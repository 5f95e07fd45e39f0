"""Signing in: the right password opens, guessing locks, nothing tells names apart."""

import asyncio
import re

import httpx
import pytest
from sqlalchemy import func, select, text

from bluezone.clock import ManualClock
from bluezone.server.context import Services
from bluezone.server.people import passwords, rules
from bluezone.server.people.rules import Grant, StaffRole
from bluezone.server.people.service import add_account, forget_expired
from bluezone.server.people.tables import SignInFailures, StaffSession
from bluezone.server.places.units import NATION
from bluezone.storage.lease import Lease
from tests.conftest import SHIPPED_HASHER
from tests.server.conftest import PASSWORD, AddStaff


async def _try(client: httpx.AsyncClient, name: str, password: str) -> httpx.Response:
    return await client.post("/v1/staff/session", json={"name": name, "password": password})


async def _form(client: httpx.AsyncClient, path: str) -> str:
    page = await client.get(path)
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    assert found, page.text
    return found.group(1)


async def test_in_and_out_by_page(client: httpx.AsyncClient, add_staff: AddStaff) -> None:
    await add_staff("lan", StaffRole.HEALTH_WORKER)
    form = {"form_token": await _form(client, "/staff/sign-in"), "name": " LAN "}
    wrong = await client.post("/staff/sign-in", data={**form, "password": "x"})
    assert wrong.status_code == 401
    assert "Tên đăng nhập hoặc mật khẩu không đúng." in wrong.text
    answer = await client.post("/staff/sign-in", data={**form, "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/staff")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    start = await client.get("/staff")
    assert "lan · Phường Ba Đình, Thành phố Hà Nội" in start.text
    token = client.cookies["bluezone_session"]
    signed_out = await client.post(
        "/staff/sign-out", data={"form_token": await _form(client, "/staff")}
    )
    assert signed_out.headers["location"] == "/staff/sign-in"
    client.cookies.set("bluezone_session", token)  # a copy of the cookie is worth nothing now
    assert (await client.get("/staff")).status_code == 303


@pytest.mark.parametrize("token", ["", "0" * 64, None])
async def test_a_form_from_elsewhere_is_refused(
    client: httpx.AsyncClient, add_staff: AddStaff, token: str | None
) -> None:
    await add_staff("lan", StaffRole.HEALTH_WORKER)
    await client.get("/staff/sign-in")
    form = {"name": "lan", "password": PASSWORD}
    answer = await client.post(
        "/staff/sign-in", data=form if token is None else {**form, "form_token": token}
    )
    assert answer.status_code == 403
    assert "bluezone_session" not in client.cookies
    session = (await _try(client, "lan", PASSWORD)).json()["token"]
    client.cookies.set("bluezone_session", session)
    answer = await client.post("/staff/sign-out", data={"form_token": token or "x"})
    assert answer.status_code == 403
    assert (await client.get("/staff")).status_code == 200


async def test_cookies_are_secure_except_on_this_machine_without_tls(
    services: Services, client: httpx.AsyncClient
) -> None:
    plain = await client.get("/staff/sign-in")
    assert "Secure" not in plain.headers["set-cookie"]
    for address in ("https://127.0.0.1", "http://service.example", "https://service.example"):
        client.cookies.clear()
        page = await client.get(f"{address}/staff/sign-in")
        assert "Secure" in page.headers["set-cookie"], address


async def test_names_cannot_be_told_apart(client: httpx.AsyncClient, add_staff: AddStaff) -> None:
    await add_staff("lan", StaffRole.HEALTH_WORKER)
    for number in range(8):
        known = await _try(client, "lan", f"wrong {number}")
        unknown = await _try(client, "nobody", f"wrong {number}")
        assert (known.status_code, known.content) == (unknown.status_code, unknown.content)


async def test_an_unknown_name_costs_a_full_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []

    class Hasher:
        def hash(self, _password: str) -> str:
            return "nobody's"

        def verify(self, password_hash: str, _password: str) -> bool:
            verified.append(password_hash)
            return True

    monkeypatch.setattr(passwords, "_HASHER", Hasher())
    passwords._nobodys_hash.cache_clear()
    assert await passwords.verify_password("somebody's", "x")
    assert not await passwords.verify_password(None, "x")
    assert verified == ["somebody's", "nobody's"]
    passwords._nobodys_hash.cache_clear()


async def test_a_hash_takes_the_memory_and_the_turns_of_rfc_9106(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords, "_HASHER", SHIPPED_HASHER)
    kept = await passwords.hash_password(PASSWORD)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")  # 64 MiB
    assert await passwords.verify_password(kept, PASSWORD)
    assert not await passwords.verify_password(kept, "not the password")


async def test_guessing_locks_the_name_for_longer_and_longer(
    client: httpx.AsyncClient, clock: ManualClock, add_staff: AddStaff
) -> None:
    await add_staff("lan", StaffRole.HEALTH_WORKER)
    for _ in range(rules.FREE_FAILURES):
        assert (await _try(client, "lan", "wrong")).status_code == 401
    waits = []
    for _ in range(3):
        locked = await _try(client, "lan", PASSWORD)  # even the right one
        assert (locked.status_code, locked.json()["error"]) == (429, "locked")
        waits.append(int(locked.headers["retry-after"]))
        clock.advance(waits[-1])
        assert (await _try(client, "lan", "wrong")).status_code == 401
    assert waits == [30, 60, 120]
    clock.advance(rules.LONGEST_LOCK_SECONDS)
    assert (await _try(client, "lan", PASSWORD)).status_code == 200
    assert (await _try(client, "lan", "wrong")).status_code == 401  # counted from one again
    assert (await _try(client, "lan", PASSWORD)).status_code == 200


async def test_guesses_at_the_same_time_are_all_counted(
    client: httpx.AsyncClient, add_staff: AddStaff
) -> None:
    await add_staff("lan", StaffRole.HEALTH_WORKER)
    answers = await asyncio.gather(*(_try(client, "lan", "wrong") for _ in range(12)))
    tried = [answer for answer in answers if answer.status_code == 401]
    assert len(tried) == rules.FREE_FAILURES


async def test_many_names_from_one_address_are_stopped(client: httpx.AsyncClient) -> None:
    statuses = []
    for number in range(31):  # too long to be looked up: the limit comes first all the same
        statuses.append((await _try(client, "x" * 65 + str(number), "y")).status_code)
    assert statuses == [401] * 30 + [429]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"name": 1, "password": "x"}', b'{"name": "x"}', b"\xff"]
)
async def test_bodies_that_are_no_sign_in(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/v1/staff/session", content=body)
    assert answer.status_code == 400
    assert set(answer.json()["message"]) == {"vi", "en"}


async def test_tokens_and_passwords_are_not_kept(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff
) -> None:
    await add_staff("lan", StaffRole.HEALTH_WORKER)
    token = (await _try(client, "lan", PASSWORD)).json()["token"]
    async with services.database.read() as session:
        kept = [
            str(row)
            for table in ("staff_accounts", "staff_sessions", "sign_in_failures")
            for row in await session.execute(text(f"SELECT * FROM {table}"))  # noqa: S608
        ]
    assert any("argon2id" in row for row in kept)
    assert not any(token in row or PASSWORD in row for row in kept)


async def test_a_name_is_taken_once(services: Services, add_staff: AddStaff) -> None:
    await add_staff("lan", StaffRole.HEALTH_WORKER)
    with pytest.raises(rules.AccountError, match="exists already"):
        async with services.database.transaction() as session:
            await add_account(
                session, name="Lan", password_hash="", grant=Grant(StaffRole.ADMIN, NATION), now=0
            )


async def test_what_has_expired_is_forgotten(
    client: httpx.AsyncClient, services: Services, clock: ManualClock, add_staff: AddStaff
) -> None:
    await add_staff("lan", StaffRole.HEALTH_WORKER)
    await _try(client, "lan", PASSWORD)
    await _try(client, "lan", "wrong")

    async def left() -> tuple[int | None, int | None]:
        lease = Lease(services.database, clock, "job")
        await lease.acquire()
        await forget_expired(services, lease)
        async with services.database.read() as session:
            return (
                await session.scalar(select(func.count()).select_from(StaffSession)),
                await session.scalar(select(func.count()).select_from(SignInFailures)),
            )

    assert await left() == (1, 1)
    clock.advance(services.settings.session_seconds)
    assert await left() == (0, 1)
    clock.advance(rules.FAILURES_KEPT_SECONDS)
    assert await left() == (0, 0)
