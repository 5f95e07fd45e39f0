"""What the tests of accounts share: pages as a browser without pictures sees them."""

import re
from collections.abc import Awaitable, Callable

import httpx
import pytest

from bluezone.server.context import Services
from bluezone.server.people.service import find_account
from tests.server.conftest import SignInAs

SignInHere = Callable[[str], Awaitable[None]]


async def form_token(client: httpx.AsyncClient, path: str) -> str:
    """The hidden field of the forms of a page."""
    page = await client.get(path)
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    assert found, page.text
    return found.group(1)


async def post(
    client: httpx.AsyncClient, path: str, *, page: str = "/staff", **fields: str
) -> httpx.Response:
    """Send a form of the page `page`."""
    return await client.post(path, data={"form_token": await form_token(client, page), **fields})


async def account_id(services: Services, name: str) -> int:
    async with services.database.read() as session:
        found = await find_account(session, name)
    assert found is not None
    return found.id


@pytest.fixture
def browser_of(client: httpx.AsyncClient, bearer: SignInAs) -> SignInHere:
    """Make the client a browser in which this account is signed in."""

    async def sign_in(name: str) -> None:
        token = (await bearer(name))["Authorization"].removeprefix("Bearer ")
        client.cookies.set("bluezone_session", token)

    return sign_in
