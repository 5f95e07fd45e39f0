"""A health worker at a browser, and a case to add contacts to."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
import pytest
from sqlalchemy import insert, select

from bluezone.server.cases.tables import Case
from bluezone.server.contacts import service
from bluezone.server.contacts.deriving import rederive
from bluezone.server.contacts.service import RankRow
from bluezone.server.context import Services
from bluezone.server.register import service as register
from bluezone.server.register.rules import Details
from bluezone.server.register.service import Register
from tests.server.conftest import BA_DINH, AddStaff, SignInAs
from tests.server.contacts.graph import case_values


@dataclass
class Worker:
    """Reads pages and posts their forms."""

    client: httpx.AsyncClient
    cookie: str

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path, headers={"Cookie": self.cookie})

    async def post(self, path: str, page: str, **fields: object) -> httpx.Response:
        """Post a form as it stands on `page`, by its token."""
        token = re.search(r'name="form_token" value="([^"]+)"', (await self.get(page)).text)
        assert token
        return await self.client.post(
            path, headers={"Cookie": self.cookie}, data={"form_token": token[1], **fields}
        )


WorkerNamed = Callable[..., Awaitable[Worker]]


@pytest.fixture
def worker(client: httpx.AsyncClient, add_staff: AddStaff, bearer: SignInAs) -> WorkerNamed:
    """A health worker of a unit, signed in."""

    async def named(name: str, unit: str = BA_DINH) -> Worker:
        await add_staff(name, unit=unit)
        token = (await bearer(name))["Authorization"].removeprefix("Bearer ")
        return Worker(client, f"bluezone_session={token}")

    return named


@dataclass
class World:
    """People and cases put straight into the database."""

    services: Services

    async def person(self, name: str, unit: str = BA_DINH, **details: str) -> int:
        opened = Register.open(self.services.settings.secrets_folder)
        async with self.services.database.transaction() as session:
            given = Details(name=name, **details)  # type: ignore[arg-type]
            person = await register.add(session, opened, given, unit=unit, now=self.services.now)
        return person.id

    async def case(self, name: str, unit: str = BA_DINH, since: str = "2021-01-10") -> Case:
        """An active case, infectious since a day."""
        person = await self.person(name, unit)
        async with self.services.database.transaction() as session:
            values = case_values(person, person, since, None) | {"unit": unit}
            await session.execute(insert(Case), [values])
            await rederive(session, [person], self.services.now)
            case = await session.scalar(select(Case).where(Case.person_id == person))
        assert case is not None
        return case

    async def close(self, case: Case) -> None:
        async with self.services.database.transaction() as session:
            row = await session.get(Case, case.id)
            assert row is not None
            row.closed_at, row.status = self.services.now, "closed"
            await session.flush()
            await rederive(session, [row.person_id], self.services.now)

    async def ranks(self) -> dict[str, RankRow]:
        """By name."""
        opened = Register.open(self.services.settings.secrets_folder)
        async with self.services.database.read() as session:
            ids = range(1, 100)
            ranks = await service.ranks_of(session, ids)
            details = await register.details_unscoped(session, opened, ranks)
        return {details[person].name: row for person, row in ranks.items()}


@pytest.fixture
def world(services: Services) -> World:
    return World(services)
