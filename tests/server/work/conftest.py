"""People with ranks, and health workers who look after them."""

import re
from collections.abc import Awaitable, Callable
from typing import Protocol

import httpx
import pytest

from bluezone.server.contacts.tables import Rank
from bluezone.server.context import Services
from bluezone.server.people import service as people
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details
from bluezone.server.work import service
from bluezone.storage.database import upsert
from tests.server.conftest import BA_DINH, AddStaff

TODAY = "2021-01-20"


class AddPerson(Protocol):
    async def __call__(
        self,
        name: str = "Trần Thị Lan",
        *,
        rank: int | None = 1,
        last: str | None = TODAY,
        unit: str = BA_DINH,
        phone: str = "+84901234567",
        household: int | None = None,
    ) -> int: ...


@pytest.fixture
def add_person(services: Services) -> AddPerson:
    """A person with a rank, followed up; returns the id."""

    async def add(
        name: str = "Trần Thị Lan",
        *,
        rank: int | None = 1,
        last: str | None = TODAY,
        unit: str = BA_DINH,
        phone: str = "+84901234567",
        household: int | None = None,
    ) -> int:
        key = register.Register.open(services.settings.secrets_folder)
        async with services.database.transaction() as session:
            person = await register.add(
                session,
                key,
                Details(name=name, phone=phone, address="12 Ngọc Hà"),
                unit=unit,
                now=services.now,
            )
            person.household = household
        await set_rank(services, person.id, rank, last)
        return person.id

    return add


async def set_rank(services: Services, person_id: int, rank: int | None, last: str | None) -> int:
    """What contacts does when a rank changes. Returns how many tasks changed."""
    async with services.database.transaction() as session:
        if rank is None:
            found = await session.get(Rank, person_id)
            await session.delete(found)
            await session.flush()
        else:
            values = {"rank": rank, "shown": rank, "last_exposed_on": last, "at": services.now}
            rest = {"unit": BA_DINH, "arrivals": "", "known_by": 0}
            values["listed_on"] = last or ""
            await session.execute(
                upsert(session, Rank)
                .values(person_id=person_id, **rest, **values)
                .on_conflict_do_update(index_elements=[Rank.person_id], set_=values)
            )
        return await service.follow_up(session, services.now, [person_id])


Worker = Callable[..., Awaitable[Staff]]


@pytest.fixture
def worker(services: Services, add_staff: AddStaff) -> Worker:
    """A health worker as the service sees one."""

    async def make(name: str = "lan", unit: str = BA_DINH) -> Staff:
        await add_staff(name, StaffRole.HEALTH_WORKER, unit)
        async with services.database.transaction() as session:
            account = await people.find_account(session, name)
            assert account
            token, _expires = await people.open_session(session, account, services.now, 400 * 86400)
        async with services.database.read() as session:
            found = await people.staff_of(session, token, services.now, 400 * 86400)
            assert found is not None
            staff = found[0]
        assert staff
        return staff.acting_as(frozenset({StaffRole.HEALTH_WORKER}))

    return make


class Desk:
    """A member of staff at a browser, without the browser."""

    def __init__(self, client: httpx.AsyncClient, token: str) -> None:
        self._client = client
        self._cookie = {"Cookie": f"bluezone_session={token}; bluezone_language=en"}

    async def get(self, path: str) -> httpx.Response:
        return await self._client.get(path, headers=self._cookie)

    async def post(self, path: str, accept: str = "text/html", **fields: object) -> httpx.Response:
        """Send a form with the token of this browser's pages."""
        shown = await self.get("/staff")
        found = re.search(r'name="form_token" value="(\w+)"', shown.text)
        assert found
        data = {"form_token": found[1], **fields}
        return await self._client.post(path, data=data, headers=self._cookie | {"Accept": accept})


DeskOf = Callable[[str], Awaitable[Desk]]


@pytest.fixture
def desk(services: Services, client: httpx.AsyncClient) -> DeskOf:
    """Somebody of that name signs in."""

    async def sign_in(name: str) -> Desk:
        async with services.database.transaction() as session:
            account = await people.find_account(session, name)
            assert account
            token, _expires = await people.open_session(session, account, services.now, 400 * 86400)
        return Desk(client, token)

    return sign_in
