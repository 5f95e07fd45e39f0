"""A small outbreak in the tables, and whoever looks at it."""

import httpx
import pytest

from bluezone.server.context import Services
from bluezone.server.people.service import find_account, open_session
from tests.server.conftest import AddStaff
from tests.server.situation.outbreak import Outbreak, build


@pytest.fixture
async def outbreak(services: Services) -> Outbreak:
    return await build(services, cases=24, contacts_per_case=2)


class Reader:
    """A member of staff at a browser: a cookie, and the form token of the last page."""

    def __init__(self, client: httpx.AsyncClient, cookie: str) -> None:
        self._client, self._headers = client, {"Cookie": f"bluezone_session={cookie}"}
        self._token = ""

    async def get(self, path: str, status: int = 200) -> httpx.Response:
        answer = await self._client.get(path, headers=self._headers)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[-600:]}"
        if 'name="form_token" value="' in answer.text:
            self._token = answer.text.split('name="form_token" value="')[1].split('"')[0]
        return answer

    async def post(self, path: str, status: int = 200, **fields: object) -> httpx.Response:
        data = {"form_token": self._token, **fields}
        answer = await self._client.post(path, headers=self._headers, data=data)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[-600:]}"
        return answer


@pytest.fixture
def reader(services: Services, client: httpx.AsyncClient, add_staff: AddStaff):  # type: ignore[no-untyped-def]
    """Sign somebody in: `await reader("lan", unit="vn.01")`."""

    async def sign_in(name: str, unit: str = "") -> Reader:
        await add_staff(name, unit=unit)
        async with services.database.transaction() as session:
            account = await find_account(session, name)
            assert account is not None
            token, _until = await open_session(session, account, services.now, 400 * 86400)
        one = Reader(client, token)
        await one.get("/staff")
        return one

    return sign_in
