"""Processes that die by SIGKILL, for real: during the export, and with uploads under way."""

import asyncio
import os
import random
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from sqlalchemy import select

from bluezone.clock import WallClock
from bluezone.protocol.deployment import ROLLING_PERIOD
from bluezone.protocol.intervals import interval_number
from bluezone.protocol.keys import DiagnosisKey, ReportType, TemporaryExposureKey
from bluezone.protocol.upload import KeyUpload, encode_upload, upload_digest
from bluezone.server import installation
from bluezone.server.app import open_services
from bluezone.server.config import Settings
from bluezone.server.diagnosis.tables import PublishedKey
from bluezone.server.downloads import EXPORTS
from bluezone.server.keys import PermissionKey
from bluezone.storage.database import Database
from tests.server.diagnosis.installation import Service, slots


async def test_exports_killed_at_every_step_lose_and_repeat_no_key(service: Service) -> None:
    start = int(service.clock.now())
    done = await asyncio.to_thread(
        subprocess.run,
        [
            sys.executable,
            *("-m", "tests.server.diagnosis.mortal", str(service.home)),
            *(service.services.settings.database, str(start)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    deaths = int(done.stdout.splitlines()[-1])
    assert deaths >= 8
    service.clock.set(start + (deaths + 1) * 3600)
    counted = Counter(one.tek.key for keys in await service.published() for one in keys)
    assert set(counted.values()) == {1}
    due = {
        key
        for key, row in (await service.stored()).items()
        if row.release_at <= service.clock.now()
    }
    assert set(counted) == due
    assert len(due) >= 3 * (deaths + 1)
    files = await service.services.objects.list(EXPORTS)
    assert len(files) == len((await service.index()).files)


# --- uploads under way -----------------------------------------------------------------
@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("upload") / "home"
    asyncio.run(installation.create(Settings(home=home), WallClock()))
    return home


@contextmanager
def server_process(home: Path, database_url: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            Path(sys.executable).parent / "bluezone",
            *("server", "run", "--home", str(home), "--database", database_url),
            *("--port", str(port)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


async def ready(client: httpx.AsyncClient) -> None:
    for _ in range(600):
        try:
            if (await client.get("/health/live")).status_code == 200:
                return
        except httpx.TransportError:
            await asyncio.sleep(0.05)
    raise AssertionError("the service did not start")


def permitted_upload(permission: PermissionKey) -> tuple[set[bytes], bytes]:
    """Keys and the body that uploads them: what both legs would have given a phone."""
    day = interval_number(WallClock().now()) // ROLLING_PERIOD
    keys = [
        DiagnosisKey(TemporaryExposureKey(os.urandom(16), one * ROLLING_PERIOD))
        for one in range(day - 14, day)
    ]
    prefix = os.urandom(32)
    signature = permission.private_key.sign(
        prefix + upload_digest(keys),
        padding.PSS(padding.MGF1(hashes.SHA384()), 48),
        hashes.SHA384(),
    )
    upload = KeyUpload(
        keys=slots(keys),
        report_type=ReportType.CONFIRMED_TEST,
        permission_key_id=permission.key_id,
        permission_prefix=prefix,
        permission_signature=signature,
    )
    return {one.tek.key for one in keys}, encode_upload(upload)


async def kept(database_url: str) -> set[bytes]:
    database = Database(database_url)
    async with database.read() as session:
        keys = set(await session.scalars(select(PublishedKey.key)))
    await database.dispose()
    return keys


async def test_killed_with_uploads_under_way_it_keeps_each_whole_or_not_at_all(
    installed: Path, database_url: str
) -> None:
    parts = await open_services(Settings(home=installed, database=database_url), WallClock())
    permission = parts.keys.permission(ReportType.CONFIRMED_TEST, parts.now)
    await parts.database.dispose()
    uploads = [permitted_upload(permission) for _ in range(25)]

    with server_process(installed, database_url) as (url, process):
        async with httpx.AsyncClient(base_url=url) as client:
            await ready(client)
            sent = [asyncio.create_task(client.post("/v1/keys", content=one)) for _, one in uploads]
            await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(random.uniform(0, 0.03))
            process.kill()
            answers = await asyncio.gather(*sent, return_exceptions=True)

    after_death = await kept(database_url)
    for (keys, _), answer in zip(uploads, answers, strict=True):
        assert keys <= after_death or not keys & after_death, "half an upload was kept"
        if isinstance(answer, httpx.Response):
            assert answer.status_code == 200
            assert keys <= after_death, "an answered upload was lost"

    with server_process(installed, database_url) as (url, _process):
        async with httpx.AsyncClient(base_url=url) as client:
            await ready(client)
            again = [client.post("/v1/keys", content=body) for _, body in uploads]
            assert {one.status_code for one in await asyncio.gather(*again)} == {200}
    assert set().union(*(keys for keys, _ in uploads)) <= await kept(database_url)
