"""A service with an outbreak in it, for the benchmarks of the portal: SQLite in a folder."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn

from bluezone.clock import ManualClock
from bluezone.server import installation
from bluezone.server.app import create_app, open_services
from bluezone.server.config import Settings
from bluezone.server.context import Services
from bluezone.server.migrations import upgrade
from bluezone.server.people.passwords import hash_password
from bluezone.server.people.rules import Grant, StaffRole
from bluezone.server.people.service import add_account, find_account, open_session
from tests.server.situation.outbreak import COMMUNES, Outbreak, build

_NOW = 1_611_144_000.0  # 2021-01-20 12:00 UTC


@asynccontextmanager
async def outbreak(
    *, cases: int, contacts_per_case: float, communes: Sequence[str] = COMMUNES, clusters: int = 3
) -> AsyncIterator[tuple[Services, Outbreak, str]]:
    """The services, what was built, and the session of somebody who sees the whole country."""
    with tempfile.TemporaryDirectory() as folder:
        settings, clock = Settings(home=Path(folder) / "home"), ManualClock(_NOW)
        await installation.create(settings, clock)
        services = await open_services(settings, clock)
        await upgrade(services.database)
        built = await build(
            services,
            cases=cases,
            contacts_per_case=contacts_per_case,
            communes=communes,
            clusters=clusters,
        )
        async with services.database.transaction() as session:
            await add_account(
                session,
                name="lan",
                password_hash=await hash_password("bốn con trâu qua cầu"),
                grant=Grant(StaffRole.HEALTH_WORKER, "vn"),
                now=services.now,
            )
        async with services.database.transaction() as session:
            account = await find_account(session, "lan")
            assert account is not None
            token, _until = await open_session(session, account, services.now, 86_400)
        yield services, built, token
        await services.database.dispose()


@asynccontextmanager
async def served(services: Services) -> AsyncIterator[str]:
    """The service behind a socket of this machine; yields its address."""
    config = uvicorn.Config(
        create_app(services), port=0, log_config=None, access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells no other way
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()
    yield f"http://{host}:{port}"
    server.should_exit = True
    await running
