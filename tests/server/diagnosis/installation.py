"""A whole service on a manual clock, a health worker, and a reporting phone."""

import hashlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
from sqlalchemy import select

from bluezone.clock import ManualClock
from bluezone.protocol import blind_rsa
from bluezone.protocol.deployment import ROLLING_PERIOD, UPLOAD_KEY_SLOTS
from bluezone.protocol.exports import read_export
from bluezone.protocol.index import Index, read_index
from bluezone.protocol.intervals import interval_number
from bluezone.protocol.keys import DiagnosisKey, ReportType, TemporaryExposureKey
from bluezone.protocol.trust import Role, Trust, read_certificates
from bluezone.protocol.upload import (
    KeyUpload,
    PermissionAnswer,
    PermissionRequest,
    UploadedKey,
    encode_permission_request,
    encode_upload,
    upload_digest,
)
from bluezone.server import keys as role_keys
from bluezone.server.app import create_app, open_services
from bluezone.server.config import SecondFactor, Settings
from bluezone.server.context import Services
from bluezone.server.diagnosis.tables import ExportBatch, PublishedKey
from bluezone.server.people import service as people
from bluezone.server.people.rules import Grant, StaffRole
from bluezone.server.tables import metadata
from bluezone.storage.lease import Lease
from tests.server.conftest import BA_DINH, LIEN_CHIEU, PASSWORD

__all__ = ["PASSWORD"]

NOON = 1_611_144_000  # 2021-01-20T12:00:00Z, on the export grid


@dataclass
class Report:
    """What a phone holds between the legs."""

    keys: list[DiagnosisKey]
    prefix: bytes
    blinded: dict[str, bytes]
    inverses: dict[str, bytes]
    answer: PermissionAnswer | None = None

    def request(self, code: str) -> bytes:
        return encode_permission_request(
            PermissionRequest(code=code, blinded_messages=self.blinded)
        )


@dataclass
class Service:
    """The service under test and what phones and staff do with it."""

    services: Services
    clock: ManualClock
    trust: Trust
    client: httpx.AsyncClient
    home: Path
    index_sequence: int = 0
    token: str = field(default="", repr=False)

    def from_address(self, address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(create_app(self.services), client=(address, 40000))
        return httpx.AsyncClient(transport=transport, base_url="https://service.test")

    # --- staff
    async def sign_in(self, name: str = "lan") -> str:
        async with self.services.database.transaction() as session:
            account = await people.find_account(session, name)
            assert account is not None
            token, _ = await people.open_session(session, account, self.services.now, 90 * 86400)
            return token

    async def issue(self, **body: Any) -> httpx.Response:
        self.token = self.token or await self.sign_in()
        return await self.client.post(
            "/v1/staff/codes",
            json={"report_type": "confirmed-test", "symptom_onset": None, **body},
            headers={"Authorization": f"Bearer {self.token}"},
        )

    async def code(self, **body: Any) -> str:
        response = await self.issue(**body)
        assert response.status_code == 200, response.text
        code: str = response.json()["code"]
        return code

    # --- phone
    def keys(
        self, days: int = 14, onset: int | None = None, today: bool = True
    ) -> list[DiagnosisKey]:
        """A phone's keys: `days` full ones, and today's, cut at the end of the present interval."""
        present = interval_number(self.clock.now())
        day = present // ROLLING_PERIOD
        rows = [
            TemporaryExposureKey(os.urandom(16), one * ROLLING_PERIOD)
            for one in range(day - days, day)
        ]
        if today:
            start = day * ROLLING_PERIOD
            rows.append(TemporaryExposureKey(os.urandom(16), start, present + 1 - start))
        return [
            DiagnosisKey(
                tek,
                ReportType.CONFIRMED_TEST,
                None if onset is None else tek.rolling_start // ROLLING_PERIOD - onset,
            )
            for tek in rows
        ]

    def prepare(self, keys: Sequence[DiagnosisKey]) -> Report:
        prepared = blind_rsa.prepare(upload_digest(keys))
        blinded, inverses = {}, {}
        for certificate in self.trust.certificates:
            if certificate.role is Role.PERMISSION:
                name = certificate.key_id
                key = self.trust.rsa_key(Role.PERMISSION, name, self.clock.now())
                blinded[name], inverses[name] = blind_rsa.blind(key, prepared)
        return Report(list(keys), prepared[: blind_rsa.PREFIX_BYTES], blinded, inverses)

    async def ask(
        self, report: Report, code: str, client: httpx.AsyncClient | None = None
    ) -> httpx.Response:
        response = await (client or self.client).post(
            "/v1/permission", content=report.request(code)
        )
        if response.status_code == 200:
            report.answer = msgspec.json.decode(response.content, type=PermissionAnswer)
        return response

    def upload(self, report: Report, **changes: Any) -> KeyUpload:
        answer = report.answer
        assert answer is not None
        key = self.trust.rsa_key(Role.PERMISSION, answer.key_id, self.clock.now())
        signature = blind_rsa.finalize(
            key,
            report.prefix + upload_digest(report.keys),
            answer.blind_signature,
            report.inverses[answer.key_id],
        )
        upload = KeyUpload(
            keys=slots(report.keys),
            report_type=answer.report_type,
            permission_key_id=answer.key_id,
            permission_prefix=report.prefix,
            permission_signature=signature,
        )
        return msgspec.structs.replace(upload, **changes)

    async def send(self, upload: KeyUpload) -> httpx.Response:
        return await self.client.post("/v1/keys", content=encode_upload(upload))

    async def report(self, keys: Sequence[DiagnosisKey]) -> Report:
        """Both legs, as they go when all goes well."""
        report = self.prepare(keys)
        assert (await self.ask(report, await self.code())).status_code == 200
        response = await self.send(self.upload(report))
        assert response.status_code == 200, response.text
        return report

    # --- publication
    def lease(self, name: str) -> Lease:
        return Lease(self.services.database, self.clock, name)

    async def run(
        self, job: Callable[[Services, Lease], Any], services: Services | None = None
    ) -> Any:
        lease = self.lease("job:test")
        assert await lease.acquire()
        try:
            return await job(services or self.services, lease)
        finally:
            await lease.release()

    async def index(self) -> Index:
        document = (await self.client.get("/v1/index.json")).content
        index = read_index(
            document, self.trust, self.clock.now(), last_sequence=self.index_sequence
        )
        self.index_sequence = index.sequence
        return index

    async def published(self) -> list[list[DiagnosisKey]]:
        """The keys of every file that a phone would find, each checked as a phone does."""
        pinned = self.trust.ec_keys(Role.EXPORT, self.clock.now())
        files = []
        for file in (await self.index()).files:
            data = (await self.client.get(f"/v1/exports/{file.name}")).content
            assert hashlib.sha256(data).hexdigest() == file.sha256
            assert len(data) == file.size
            files.append(list(read_export(data, file.name, pinned).keys))
        return files

    async def stored(self) -> dict[bytes, PublishedKey]:
        async with self.services.database.read() as session:
            return {row.key: row for row in await session.scalars(select(PublishedKey))}

    async def batches(self) -> list[ExportBatch]:
        async with self.services.database.read() as session:
            return list(await session.scalars(select(ExportBatch).order_by(ExportBatch.id)))


def slots(keys: Sequence[DiagnosisKey]) -> list[UploadedKey]:
    """Thirty slots, the unused ones filled with noise."""
    real = [
        UploadedKey(
            key=one.tek.key,
            rolling_start=one.tek.rolling_start,
            rolling_period=one.tek.rolling_period,
            days_since_onset=one.days_since_onset,
        )
        for one in keys
    ]
    unused = [
        UploadedKey(key=os.urandom(16), rolling_start=0, rolling_period=0)
        for _ in range(UPLOAD_KEY_SLOTS - len(real))
    ]
    return real + unused


@asynccontextmanager
async def running(
    home: Path, role_home: Path, database_url: str, password_hash: str, **settings: Any
) -> AsyncIterator[Service]:
    _copy_keys(role_home, home)
    chosen = Settings(
        home=home,
        database=database_url,
        **{
            "answer_seconds": 0.0,
            "export_minimum_keys": 200,
            "second_factor": SecondFactor.OPTIONAL,
            "session_idle_seconds": 400 * 86400,
            **settings,
        },
    )
    clock = ManualClock(NOON + 17 * 60)
    services = await open_services(chosen, clock)
    trust = read_certificates(
        await services.objects.get(role_keys.TRUST_OBJECT), role_keys.load_pins(home)
    )

    async with services.database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    async with services.database.transaction() as session:
        for name, unit in (("lan", BA_DINH), ("minh", BA_DINH), ("hoa", LIEN_CHIEU)):
            if await people.find_account(session, name) is None:
                await people.add_account(
                    session,
                    name=name,
                    password_hash=password_hash,
                    grant=Grant(StaffRole.HEALTH_WORKER, unit),
                    now=int(clock.now()),
                )
    transport = httpx.ASGITransport(create_app(services), client=("203.0.113.5", 40000))
    async with httpx.AsyncClient(transport=transport, base_url="https://service.test") as client:
        yield Service(services, clock, trust, client, home)
    await services.database.dispose()


def _copy_keys(role_home: Path, home: Path) -> None:
    for path in role_home.rglob("*.*"):
        target = home / path.relative_to(role_home)
        if path.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            target.write_bytes(path.read_bytes())
            target.chmod(0o600)
