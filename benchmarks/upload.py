"""Key uploads a second through the real service over HTTP, each durable before its answer.

One server process (`bluezone server run`), 64 connections kept open, bodies with valid
permissions made beforehand, 14 keys each; fsync is on in both stores. Beside it in the
same run: chaff (the same body to the same route, which is HTTP and decoding alone: the
limit of the front) and the same rows committed without HTTP, permission or grouping, one
transaction an upload (what a plain handler would wait for). `ratio` is against that commit.
The even delay of answers is switched off: it is waiting, not work. The client runs on the
same machine and takes its share of the cores; CPU seconds are those of the server process.
"""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from bluezone.clock import WallClock
from bluezone.protocol.deployment import ROLLING_PERIOD, UPLOAD_KEY_SLOTS
from bluezone.protocol.intervals import interval_number
from bluezone.protocol.keys import DiagnosisKey, ReportType, TemporaryExposureKey
from bluezone.protocol.upload import KeyUpload, UploadedKey, encode_upload, upload_digest
from bluezone.server import installation
from bluezone.server.app import open_services
from bluezone.server.config import Settings
from bluezone.server.diagnosis.intake import key_rows, new_chain
from bluezone.server.diagnosis.tables import PublishedKey
from bluezone.server.keys import PermissionKey
from bluezone.server.migrations import upgrade
from bluezone.storage.database import Database, upsert
from tests.postgres import PostgresServer

_UPLOADS: Final = 1000
_COMMITS: Final = 150
_CONNECTIONS: Final = 64
_KEYS: Final = 14


def measure() -> list[dict[str, object]]:
    """Three rows for each store."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        permission = asyncio.run(_install(home))
        uploads = [_upload(permission) for _ in range(_UPLOADS)]
        rows = _store("SQLite", home, f"sqlite:///{folder}/upload.db", uploads)
        server = PostgresServer(options="")
        try:
            rows += _store("PostgreSQL", home, server.url(), uploads)
        finally:
            server.remove()
    return rows


async def _install(home: Path) -> PermissionKey:
    settings, clock = Settings(home=home), WallClock()
    await installation.create(settings, clock)
    services = await open_services(settings, clock)
    await services.database.dispose()
    return services.keys.permission(ReportType.CONFIRMED_TEST, clock.now())


def _store(
    name: str, home: Path, database_url: str, uploads: Sequence[KeyUpload]
) -> list[dict[str, object]]:
    commits = asyncio.run(_commit_alone(database_url))
    rows: list[dict[str, object]] = []
    with _server(home, database_url) as (port, pid):
        for what, chaff in (("upload", False), ("chaff", True)):
            bodies = [encode_upload(msgspec.structs.replace(one, chaff=chaff)) for one in uploads]
            before, started = _cpu_seconds(pid), time.perf_counter()
            asyncio.run(_send_all(port, bodies))
            seconds, cpu = time.perf_counter() - started, _cpu_seconds(pid) - before
            rows.append(_row(name, what, len(bodies) / seconds, len(bodies) / cpu, commits))
    return [*rows, _row(name, "commit alone", commits, None, commits)]


def _row(
    store: str, what: str, each_second: float, each_cpu_second: float | None, commits: float
) -> dict[str, object]:
    return {
        "store": store,
        "what": what,
        "per second": each_second,
        "per server CPU second": "-" if each_cpu_second is None else each_cpu_second,
        "ratio": each_second / commits,
    }


def _keys() -> list[DiagnosisKey]:
    today = interval_number(WallClock().now()) // ROLLING_PERIOD
    return [
        DiagnosisKey(TemporaryExposureKey(os.urandom(16), day * ROLLING_PERIOD))
        for day in range(today - _KEYS, today)
    ]


def _upload(permission: PermissionKey) -> KeyUpload:
    """What both legs would have given a phone: a finished blind signature is a plain PSS one."""
    keys, prefix = _keys(), os.urandom(32)
    signature = permission.private_key.sign(
        prefix + upload_digest(keys),
        padding.PSS(padding.MGF1(hashes.SHA384()), 48),
        hashes.SHA384(),
    )
    real = [
        UploadedKey(
            key=one.tek.key,
            rolling_start=one.tek.rolling_start,
            rolling_period=one.tek.rolling_period,
        )
        for one in keys
    ]
    unused = [
        UploadedKey(key=os.urandom(16), rolling_start=0, rolling_period=0)
        for _ in range(UPLOAD_KEY_SLOTS - _KEYS)
    ]
    return KeyUpload(
        keys=real + unused,
        report_type=ReportType.CONFIRMED_TEST,
        permission_key_id=permission.key_id,
        permission_prefix=prefix,
        permission_signature=signature,
    )


async def _commit_alone(database_url: str) -> float:
    database = Database(database_url)
    await upgrade(database)
    now = int(WallClock().now())
    uploads = [key_rows(_keys(), now, 3600, new_chain()) for _ in range(_COMMITS)]
    started = time.perf_counter()
    for rows in uploads:
        async with database.transaction() as session:
            await session.execute(upsert(session, PublishedKey).on_conflict_do_nothing(), rows)
    seconds = time.perf_counter() - started
    await database.dispose()
    return _COMMITS / seconds


@contextmanager
def _server(home: Path, database_url: str) -> Iterator[tuple[int, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = Path(sys.executable).parent / "bluezone"
    options = ("--home", str(home), "--database", database_url, "--port", str(port))
    process = subprocess.Popen(
        [command, "server", "run", *options],
        env={**os.environ, "BLUEZONE_ANSWER_SECONDS": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        asyncio.run(_ready(port, process))
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


async def _ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise RuntimeError("the service did not start")


async def _send_all(port: int, bodies: Sequence[bytes]) -> None:
    waiting = iter(bodies)

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in waiting:
            head = f"POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"an upload was refused: {answer.splitlines()[0].decode()}")
            length = next(
                line for line in answer.lower().splitlines() if line.startswith(b"content-length:")
            )
            await reader.readexactly(int(length.split(b":")[1]))
        writer.close()

    await asyncio.gather(*(client() for _ in range(_CONNECTIONS)))


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
