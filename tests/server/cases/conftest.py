"""Staff at work on cases: signed in on pages, with forms that carry their token."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest

from bluezone.server.context import Services
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.people.service import find_account, open_session, staff_of
from tests.server.conftest import BA_DINH, AddStaff

TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')
HERE = "Ba Đình, Hà Nội"


class Browser:
    """A signed-in browser without a screen."""

    def __init__(self, client: httpx.AsyncClient, staff: Staff) -> None:
        self.client = client
        self.staff = staff

    async def get(self, address: str) -> httpx.Response:
        return await self.client.get(address)

    async def post(
        self, address: str, fields: Mapping[str, Any] | None = None, **given: Any
    ) -> httpx.Response:
        start = await self.client.get("/staff")
        found = TOKEN.search(start.text)
        assert found
        return await self.client.post(
            address, data={"form_token": found[1], **(fields or {})}, **given
        )


SignIn = Callable[..., Awaitable[Browser]]


@pytest.fixture
def sign_in(client: httpx.AsyncClient, services: Services, add_staff: AddStaff) -> SignIn:
    """Make an account and sign in with it; the client is that person's browser from then on."""

    async def sign(
        name: str = "lan", role: StaffRole = StaffRole.HEALTH_WORKER, unit: str = BA_DINH
    ) -> Browser:
        await add_staff(name, role, unit)
        async with services.database.transaction() as session:
            account = await find_account(session, name)
            assert account is not None
            token, _ = await open_session(session, account, services.now, 400 * 86400)
        async with services.database.read() as session:
            found = await staff_of(
                session, token, services.now, services.settings.session_idle_seconds
            )
        assert found is not None
        staff, _session = found
        client.cookies.set("bluezone_session", token)
        return Browser(client, staff.acting_as(frozenset({role})))

    return sign


def form(**changes: str) -> dict[str, str]:
    """The form of a new case."""
    return {
        "name": "Nguyễn Văn An",
        "phone": "0901234567",
        "birth": "17/5/1990",
        "sex": "male",
        "commune": HERE,
        "status": "confirmed",
        "has_symptoms": "yes",
        "onset": "2021-01-17",
        "sampled_on": "2021-01-18",
        "reported_on": "2021-01-20",
        **changes,
    }
