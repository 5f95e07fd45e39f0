"""Phones around the real service, in the test's own process and on its clock."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import httpx
import msgspec
import pytest

from bluezone.clock import ManualClock
from bluezone.phone.phone import Phone
from bluezone.phone.service import Service
from bluezone.protocol.trust import Pins
from bluezone.radio.air import Air
from bluezone.radio.direct import DirectRadio
from bluezone.server import keys as role_keys
from bluezone.server.app import create_app
from bluezone.server.people.passwords import hash_password
from tests.server.diagnosis import installation


@pytest.fixture(scope="session")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Role keys of a day before, and their trust document: RSA keys take their time."""
    roles = tmp_path_factory.mktemp("national") / "roles"
    for folder in ("secrets", "public"):
        (roles / folder).mkdir(mode=0o700, parents=True)
    root = role_keys.new_root()
    start = installation.NOON - 86400
    certificates = role_keys.make_role_keys(roles / "secrets", start, start)
    (roles / "public" / role_keys.TRUST_OBJECT).write_bytes(
        role_keys.certify(certificates, 1, root)
    )
    role_keys.save_public_key(roles / role_keys.ROOT_PUBLIC, root.public_key())
    return roles


@pytest.fixture(scope="session")
def password_hash() -> str:
    return asyncio.run(hash_password(installation.PASSWORD))


@pytest.fixture
async def national(
    tmp_path: Path, roles: Path, password_hash: str, sqlite_template: Path
) -> AsyncIterator[installation.Service]:
    database = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'service.sqlite')}"
    async with installation.running(
        tmp_path / "service", roles, database, password_hash
    ) as service:
        yield service


class Street:
    """Phones around the service, on its clock."""

    def __init__(self, national: installation.Service, folder: Path) -> None:
        self.clock: ManualClock = national.clock
        self.air = Air(self.clock, seed=2)
        self.app = create_app(national.services)
        self.national = national
        self.folder = folder
        self.phones: list[Phone] = []
        self.requests: list[httpx.Request] = []
        self.instead: dict[str, bytes] = {}  # path -> what comes instead of the service's answer
        self.refusing: dict[str, tuple[int, str]] = {}  # path -> status and reason instead
        self.losing = ""  # path whose answers are lost on their way back

    def phone(self, name: str, x: float) -> Phone:
        self.phones.append(
            Phone(
                self.folder / name,
                DirectRadio(self.air, (x, 0.0), "bus"),
                Service("https://bluezone.example", transport=lambda: _Network(self)),
                Pins.from_pem((self.national.home / role_keys.ROOT_PUBLIC).read_bytes()),
                self.clock,
                rng=Random(name),
                use_keyring=False,
            )
        )
        return self.phones[-1]

    async def ride_together(self, minutes: int, *phones: Phone) -> None:
        for _ in range(minutes // 4):
            for phone in phones:
                await phone._tracer.turn_beacon()
            for phone in phones:
                await phone._tracer.scan()
            self.clock.advance(240 - 4 * len(phones))


class _Network(httpx.AsyncBaseTransport):
    """Between a phone and the service: sees requests, may lose or replace an answer."""

    def __init__(self, street: Street) -> None:
        self._street = street
        self._service = httpx.ASGITransport(street.app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self._street.requests.append(request)
        path = request.url.path
        if path in self._street.instead:
            return httpx.Response(200, stream=httpx.ByteStream(self._street.instead[path]))
        if path in self._street.refusing:
            status, reason = self._street.refusing[path]
            body = msgspec.json.encode({"error": reason, "message": {}}) if reason else b""
            return httpx.Response(status, stream=httpx.ByteStream(body))
        answer = await self._service.handle_async_request(request)
        if path == self._street.losing:
            raise httpx.ReadError("the network went away", request=request)
        return answer
