"""The second factor: set up before anything else, asked for at each sign-in, good once."""

import asyncio
import re
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import text

from bluezone.clock import ManualClock
from bluezone.server.config import SecondFactor, Settings
from bluezone.server.context import Services
from bluezone.server.people import rules, second_factor
from tests.server.conftest import PASSWORD, AddStaff, SignInAs
from tests.server.people.conftest import SignInHere, form_token, post

on_one_store = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SETUP = "/staff/account/second-factor"
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890", RFC 6238, appendix B


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """As in production, with a limit on idling."""
    return replace(settings, second_factor=SecondFactor.REQUIRED, session_idle_seconds=3600)


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_standard(at: int, code: str) -> None:
    assert second_factor.code_at(RFC_SECRET, at) == code


async def sign_in(client: httpx.AsyncClient, name: str = "lan") -> httpx.Response:
    return await post(client, "/staff/sign-in", page="/staff/sign-in", name=name, password=PASSWORD)


def secret_on(page: httpx.Response) -> str:
    found = re.search(r'<code class="words">([A-Z2-7 ]+)</code>', page.text)
    assert found, page.text
    return found.group(1).replace(" ", "")


def offer_on(page: httpx.Response) -> str:
    found = re.search(r'name="offered" value="([^"]+)"', page.text)
    assert found, page.text
    return found.group(1)


async def enrolled(client: httpx.AsyncClient, services: Services) -> tuple[str, list[str]]:
    """Sign in as lan for the first time. Returns the secret and the recovery codes."""
    await sign_in(client)
    page = await client.get(SETUP)
    secret = secret_on(page)
    done = await post(
        client,
        SETUP,
        page=SETUP,
        offered=offer_on(page),
        code=second_factor.code_at(secret, services.now),
    )
    assert done.status_code == 200, done.text
    codes = re.findall(r"<code>([A-Z2-7-]{19})</code>", done.text)
    assert len(codes) == second_factor.RECOVERY_CODES
    return secret, codes


async def code_step(client: httpx.AsyncClient, code: str) -> httpx.Response:
    return await post(client, "/staff/sign-in/code", page="/staff/sign-in/code", code=code)


@on_one_store
async def test_without_one_there_is_only_the_page_that_sets_it_up(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff
) -> None:
    await add_staff("lan")
    assert (await sign_in(client)).headers["location"] == SETUP
    for path in ("/staff", "/staff/inbox", "/staff/account", "/staff/sign-in/code"):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, SETUP)
    token = client.cookies["bluezone_session"]
    program = await client.get("/v1/staff/inbox", headers={"Authorization": f"Bearer {token}"})
    assert (program.status_code, program.json()["error"]) == (403, "second-factor-missing")
    asked = await client.post("/v1/staff/session", json={"name": "lan", "password": PASSWORD})
    assert (asked.status_code, asked.json()["error"]) == (403, "second-factor-missing")

    page = await client.get(SETUP)
    wrong = await post(client, SETUP, page=SETUP, offered=offer_on(page), code="000000")
    assert wrong.status_code == 422
    assert secret_on(wrong) == secret_on(page)  # a slip of the finger needs no new picture
    await enrolled(client, services)
    assert client.cookies["bluezone_session"] != token
    assert (await client.get("/staff")).status_code == 200
    client.cookies.set("bluezone_session", token)
    assert (await client.get("/staff")).headers["location"] == "/staff/sign-in"


async def test_the_code_is_asked_after_the_password_and_counts_once(
    client: httpx.AsyncClient, services: Services, clock: ManualClock, add_staff: AddStaff
) -> None:
    await add_staff("lan")
    secret, _codes = await enrolled(client, services)
    used = second_factor.code_at(secret, services.now)
    client.cookies.clear()
    assert (await sign_in(client)).headers["location"] == "/staff/sign-in/code"
    half = client.cookies["bluezone_session"]
    assert (await client.get("/staff")).headers["location"] == "/staff/sign-in/code"
    assert (await client.get(SETUP)).headers["location"] == "/staff/sign-in/code"
    assert (await code_step(client, used)).status_code == 401  # it set the factor up
    clock.advance(30)
    fresh = second_factor.code_at(secret, services.now)
    done = await code_step(client, f" {fresh[:3]} {fresh[3:]} ")
    assert done.headers["location"] == "/staff"
    assert client.cookies["bluezone_session"] != half
    assert (await client.get("/staff/sign-in/code")).headers["location"] == "/staff"

    body = {"name": "lan", "password": PASSWORD}
    missing = await client.post("/v1/staff/session", json=body)
    assert (missing.status_code, missing.json()["error"]) == (401, "code-missing")
    again = await client.post("/v1/staff/session", json={**body, "otp": fresh})
    assert (again.status_code, again.json()["error"]) == (401, "wrong-code")
    clock.advance(30)
    code = second_factor.code_at(secret, services.now + 30)  # a phone that is 30 s fast
    assert (await client.post("/v1/staff/session", json={**body, "otp": code})).status_code == 200
    older = second_factor.code_at(secret, services.now)  # an older one counts no more
    refused = await client.post("/v1/staff/session", json={**body, "otp": older})
    assert refused.status_code == 401
    clock.advance(90)
    for drift in (-60, 60):
        late = second_factor.code_at(secret, services.now + drift)
        refused = await client.post("/v1/staff/session", json={**body, "otp": late})
        assert refused.status_code == 401, drift


async def test_of_two_with_the_same_code_at_once_one_gets_in(
    client: httpx.AsyncClient, services: Services, clock: ManualClock, add_staff: AddStaff
) -> None:
    await add_staff("lan")
    secret, _codes = await enrolled(client, services)
    clock.advance(30)
    body = {"name": "lan", "password": PASSWORD, "otp": second_factor.code_at(secret, services.now)}
    answers = await asyncio.gather(
        *(client.post("/v1/staff/session", json=body) for _number in range(4))
    )
    assert sorted(one.status_code for one in answers) == [200, 401, 401, 401]


@on_one_store
async def test_guessing_codes_locks_and_the_password_does_not_unlock(
    client: httpx.AsyncClient, services: Services, clock: ManualClock, add_staff: AddStaff
) -> None:
    await add_staff("lan")
    secret, _codes = await enrolled(client, services)
    clock.advance(30)
    body = {"name": "lan", "password": PASSWORD}
    for number in range(rules.FREE_FAILURES):
        answer = await client.post("/v1/staff/session", json={**body, "otp": f"00000{number}"})
        assert answer.status_code == 401
    right = {**body, "otp": second_factor.code_at(secret, services.now)}
    locked = await client.post("/v1/staff/session", json=right)
    assert (locked.status_code, locked.json()["error"]) == (429, "locked")
    clock.advance(int(locked.headers["retry-after"]))
    right["otp"] = second_factor.code_at(secret, services.now)
    assert (await client.post("/v1/staff/session", json=right)).status_code == 200


async def test_a_recovery_code_opens_once(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff
) -> None:
    await add_staff("lan")
    _secret, codes = await enrolled(client, services)
    body = {"name": "lan", "password": PASSWORD}
    typed = codes[0].lower().replace("-", " ")
    assert (await client.post("/v1/staff/session", json={**body, "otp": typed})).is_success
    again = await client.post("/v1/staff/session", json={**body, "otp": typed})
    assert again.status_code == 401
    page = await client.get("/staff/account")
    assert "còn 7 mã khôi phục" in page.text


@on_one_store
async def test_a_new_one_needs_the_old_one(
    client: httpx.AsyncClient, services: Services, clock: ManualClock, add_staff: AddStaff
) -> None:
    await add_staff("lan")
    secret, codes = await enrolled(client, services)
    clock.advance(60)
    page = await client.get(SETUP)
    fresh = secret_on(page)
    form = {"offered": offer_on(page), "code": second_factor.code_at(fresh, services.now)}
    refused = await post(client, SETUP, page=SETUP, **form, present="123456")
    assert refused.status_code == 401
    present = second_factor.code_at(secret, services.now)
    assert (await post(client, SETUP, page=SETUP, **form, present=present)).status_code == 200
    clock.advance(30)
    body = {"name": "lan", "password": PASSWORD}
    for old in (second_factor.code_at(secret, services.now), codes[0]):
        refused = await client.post("/v1/staff/session", json={**body, "otp": old})
        assert refused.status_code == 401
    code = second_factor.code_at(fresh, services.now)
    assert (await client.post("/v1/staff/session", json={**body, "otp": code})).is_success


@on_one_store
async def test_an_offer_is_for_its_account_and_a_quarter_of_an_hour(
    client: httpx.AsyncClient, services: Services, clock: ManualClock, add_staff: AddStaff
) -> None:
    await add_staff("lan")
    await sign_in(client)
    page = await client.get(SETUP)
    secret = secret_on(page)
    foreign = second_factor.offer(services, 9, "minh")
    for offered in ("", "AAAA", "ấ", foreign.sealed):
        code = second_factor.code_at(foreign.secret, services.now)
        refused = await post(client, SETUP, page=SETUP, offered=offered, code=code)
        assert refused.status_code == 422, offered
    clock.advance(15 * 60)
    await sign_in(client)  # the half session has ended by now, too
    late = await client.post(
        SETUP,
        data={
            "form_token": await form_token(client, SETUP),
            "offered": offer_on(page),
            "code": second_factor.code_at(secret, services.now),
        },
    )
    assert late.status_code == 422


async def test_neither_secret_nor_recovery_code_is_on_the_disk(
    client: httpx.AsyncClient, services: Services, add_staff: AddStaff
) -> None:
    await add_staff("lan")
    secret, codes = await enrolled(client, services)
    async with services.database.read() as session:
        kept = [
            str(row)
            for table in ("staff_second_factors", "staff_recovery_codes", "staff_sessions")
            for row in await session.execute(text(f"SELECT * FROM {table}"))  # noqa: S608
        ]
    assert len(kept) >= 1 + len(codes)
    for row in kept:
        assert secret not in row
        assert not any(code in row or code.replace("-", "") in row for code in codes)


@on_one_store
async def test_a_session_that_nobody_uses_ends(
    client: httpx.AsyncClient,
    services: Services,
    clock: ManualClock,
    add_staff: AddStaff,
    browser_of: SignInHere,
) -> None:
    await add_staff("lan")
    await browser_of("lan")
    for _number in range(3):
        clock.advance(3500)
        assert (await client.get("/staff")).status_code == 200
    clock.advance(3600)
    assert (await client.get("/staff")).headers["location"] == "/staff/sign-in"


async def test_own_sessions_are_listed_and_end(
    client: httpx.AsyncClient,
    add_staff: AddStaff,
    bearer: SignInAs,
    browser_of: SignInHere,
) -> None:
    await add_staff("lan")
    await add_staff("minh")
    other = await bearer("lan")
    somebody = await bearer("minh")
    await browser_of("lan")
    page = await client.get("/staff/account")
    assert page.text.count('name="named"') == 1  # the other one; this one is signed out of above
    named = re.findall(r'name="named" value="([0-9a-f]+)"', page.text)
    await post(client, "/staff/account/sessions", named=named[0])
    assert (await client.get("/v1/staff/inbox", headers=other)).status_code == 401
    assert (await client.get("/staff")).status_code == 200
    other = await bearer("lan")
    left = await post(client, "/staff/account/sessions")
    assert left.headers["location"] == "/staff/sign-in"
    assert any("bluezone_drafts_" in one for one in left.headers.get_list("set-cookie"))
    assert (await client.get("/v1/staff/inbox", headers=other)).status_code == 401
    assert (await client.get("/v1/staff/inbox", headers=somebody)).status_code == 200


@on_one_store
async def test_a_password_is_changed_with_the_old_one_and_ends_other_sessions(
    client: httpx.AsyncClient,
    add_staff: AddStaff,
    bearer: SignInAs,
    browser_of: SignInHere,
) -> None:
    await add_staff("lan")
    other = await bearer("lan")
    await browser_of("lan")
    new = "năm con gà chạy vòng"
    path = "/staff/account/password"
    for present, fresh, again, said in (
        ("wrong", new, new, "Mật khẩu hiện tại không đúng"),
        (PASSWORD, "short", "short", "Mật khẩu có từ 12"),
        (PASSWORD, new, new + "x", "Hai mật khẩu không giống nhau"),
    ):
        refused = await post(client, path, present=present, fresh=fresh, again=again)
        assert refused.status_code in (401, 422)
        assert said in refused.text
    done = await post(client, path, present=PASSWORD, fresh=new, again=new)
    assert done.headers["location"] == "/staff/account?done=password"
    assert (await client.get("/staff")).status_code == 200
    assert (await client.get("/v1/staff/inbox", headers=other)).status_code == 401
    old = await client.post("/v1/staff/session", json={"name": "lan", "password": PASSWORD})
    assert old.status_code == 401
    fresh_one = await client.post("/v1/staff/session", json={"name": "lan", "password": new})
    assert fresh_one.json()["error"] == "second-factor-missing"
