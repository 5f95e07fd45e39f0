"""A service put together from its real parts, on a clock that the test moves."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import httpx
import pytest
import structlog
import uvicorn
from playwright.async_api import Browser, async_playwright

from bluezone.clock import ManualClock
from bluezone.server import installation
from bluezone.server.app import all_jobs, create_app, open_services
from bluezone.server.config import SecondFactor, Settings
from bluezone.server.context import Services
from bluezone.server.jobs import Scheduler
from bluezone.server.people.passwords import hash_password
from bluezone.server.people.rules import Grant, StaffRole
from bluezone.server.people.service import add_account, find_account, open_session
from bluezone.server.places.rules import StationRow
from bluezone.server.places.service import replace_stations
from bluezone.server.places.units import NATION

BA_DINH = "vn.01.001.00004"
NGOC_HA = "vn.01.001.00008"  # its neighbour, in the same area
LIEN_CHIEU = "vn.48.490.20197"
NOON = 1_611_144_000  # 2021-01-20 12:00 UTC
PASSWORD = "bốn con trâu qua cầu"


@asynccontextmanager
async def serving(services: Services) -> AsyncIterator[tuple[str, int]]:
    """The application behind a real socket; yields its host and port."""
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(services), port=0, log_config=None, access_log=False, lifespan="off"
        )
    )
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells no other way
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    await running


@pytest.fixture
async def served(services: Services) -> AsyncIterator[str]:
    """Address of the application behind a real socket."""
    async with serving(services) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium without a screen."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield chromium
        await chromium.close()


class AddStaff(Protocol):
    async def __call__(
        self, name: str, role: StaffRole = StaffRole.HEALTH_WORKER, unit: str = ""
    ) -> None: ...


SignInAs = Callable[[str], Awaitable[dict[str, str]]]


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """structlog's default draws every exception with its locals, which takes seconds."""
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    yield
    structlog.reset_defaults()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation made at NOON, to copy: RSA keys take their time."""
    home = tmp_path_factory.mktemp("installed") / "home"
    asyncio.run(installation.create(Settings(home=home), ManualClock(NOON)))
    return home


@pytest.fixture
def home(installed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(installed, tmp_path / "home"))


@pytest.fixture
def settings(home: Path, database_url: str) -> Settings:
    """Passwords alone sign in, and tests may move the clock by months: what the tests of these
    things switch on."""
    return Settings(
        home=home,
        database=database_url,
        second_factor=SecondFactor.OPTIONAL,
        session_idle_seconds=400 * 86400,
    )


@pytest.fixture
async def services(settings: Settings, clock: ManualClock) -> AsyncIterator[Services]:
    opened = await open_services(settings, clock)
    yield opened
    await opened.database.dispose()


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the whole application, as from this machine."""
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as opened:
        yield opened


@pytest.fixture(scope="session")
def password_hash() -> str:
    """That of PASSWORD: hashing is slow on purpose, so once for all tests."""
    return asyncio.run(hash_password(PASSWORD))


@pytest.fixture
def add_staff(services: Services, password_hash: str) -> AddStaff:
    """Make an account with PASSWORD: of BA_DINH, an administrator of the nation."""

    async def add(name: str, role: StaffRole = StaffRole.HEALTH_WORKER, unit: str = "") -> None:
        async with services.database.transaction() as session:
            await add_account(
                session,
                name=name,
                password_hash=password_hash,
                grant=Grant(role, unit or (NATION if role is StaffRole.ADMIN else BA_DINH)),
                now=services.now,
            )

    return add


@pytest.fixture
def bearer(services: Services) -> SignInAs:
    """The header of a program that has signed in as this account."""

    async def header(name: str) -> dict[str, str]:
        async with services.database.transaction() as session:
            account = await find_account(session, name)
            assert account is not None
            token, _ = await open_session(session, account, services.now, 400 * 86400)
        return {"Authorization": f"Bearer {token}"}

    return header


RunJob = Callable[[str], Awaitable[None]]


@pytest.fixture
def run_job(services: Services) -> RunJob:
    """Do one of the service's jobs now, by its name."""

    async def run(name: str) -> None:
        assert await Scheduler(services, all_jobs(services.settings)).run_once(name)

    return run


@pytest.fixture
async def stations(services: Services) -> None:
    """A list of one health station: that of commune 00004, whose requests go to BA_DINH."""
    row = StationRow("00004", "Trạm y tế Ba Đình", "024 3845 0000", "1 Ngọc Hà", "00004")
    async with services.database.transaction() as session:
        await replace_stations(session, services, [row])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mount(folder, "size=2m")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot mount here: {error.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def mount(folder: Path, options: str) -> None:
    """Mount a file system in memory, or change the size of one."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True, text=True)
