"""The real service as its own process on a driven clock, and those who sign in to it."""

import asyncio
import contextlib
import math
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from bluezone.clock import ManualClock, WallClock
from bluezone.clock.driven import ClockFile
from bluezone.server import installation
from bluezone.server.config import Settings
from bluezone.town.portal import LABORATORY, WORKER, make_accounts

_START_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05


class ServiceFailed(Exception):  # noqa: N818 - what happened, not a kind of error
    """The service's process did not do what it was started for; its log says why."""


@dataclass(frozen=True, slots=True)
class ServiceProcess:
    """`bluezone server run` in a folder of its own, with accounts that have one password."""

    home: Path
    url: str
    clock_file: ClockFile
    process: subprocess.Popen[bytes]
    password: str

    @property
    def log(self) -> Path:
        """What the process wrote."""
        return self.home.parent / "service.log"

    @property
    def root(self) -> bytes:
        """The public root key (PEM) that the phones pin."""
        return (self.home / "root-public.pem").read_bytes()

    async def keep_time(self) -> None:
        """Let its clock go on at the pace of the wall, until cancelled. Raises ServiceFailed."""
        wall, file = WallClock(), self.clock_file
        ahead = file.now - wall.now()
        while True:
            self.check()
            file.now = min(ahead + wall.now(), file.horizon)
            await wall.sleep(_POLL_SECONDS)

    def check(self, seconds: float = 0.0) -> None:
        """Raise ServiceFailed if the process has ended, or does so within `seconds`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        if self.process.returncode is not None:
            raise _failed(self.log, f"the service ended with status {self.process.returncode}")

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.clock_file.close()


def start_service(folder: Path, now: float) -> ServiceProcess:
    """Make an installation in `folder` and run it on a clock that stands at `now`.

    Returns when it answers and its first jobs are done. Raises ServiceFailed.
    """
    home = folder / "service"
    clock_path = folder / "clock"
    clock_file = ClockFile.create(clock_path, now)
    password = secrets.token_urlsafe(18)
    port = _free_port()
    asyncio.run(installation.create(Settings(home=home), ManualClock(now)))
    with (folder / "service.log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "bluezone", "server", "run"),
                *("--port", str(port), "--home", str(home), "--clock-file", str(clock_path)),
            ],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the town, which then stops the service
        )
    service = ServiceProcess(home, f"http://127.0.0.1:{port}", clock_file, process, password)
    try:
        asyncio.run(make_accounts(home, password, now))  # while the service starts
        _wait_until_ready(service)
    except BaseException:
        service.stop()
        raise
    return service


def _wait_until_ready(service: ServiceProcess) -> None:
    clock = WallClock()
    deadline = clock.now() + _START_SECONDS
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        while clock.now() < deadline:
            with contextlib.suppress(httpx.TransportError):
                ready = all(
                    client.get(path).is_success for path in ("/health/ready", "/v1/index.json")
                )
                # Once its first round of jobs is done it says until when time may go on; before,
                # the town would run ahead of it.
                if ready and math.isfinite(service.clock_file.horizon):
                    return
            with contextlib.suppress(subprocess.TimeoutExpired):
                service.process.wait(_POLL_SECONDS)
            service.check()
    raise _failed(service.log, f"the service was not ready within {_START_SECONDS:.0f} s")


def _environment() -> dict[str, str]:
    # Settings of a real installation on this machine are none of the town's business.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BLUEZONE_")}
    # Nobody observes the network between two processes of one machine.
    return {**kept, "BLUEZONE_ENVIRONMENT": "demo", "BLUEZONE_ANSWER_SECONDS": "0"}


def _failed(log: Path, what: str) -> ServiceFailed:
    last = log.read_text(errors="replace").strip().splitlines()[-5:]
    return ServiceFailed("\n  ".join([f"{what}; the last lines of its log:", *last]))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class HealthAuthority:
    """The laboratory hands in a positive sample, a health worker issues the one-time code."""

    def __init__(
        self, service: ServiceProcess, transport: Callable[[], httpx.AsyncBaseTransport]
    ) -> None:
        self._service = service
        self._transport = transport
        # One person after the other: the service refuses many sign-ins at a time.
        self._busy = asyncio.Lock()

    async def hand_in(self, result: dict[str, object]) -> None:
        """A sample's result (portal.sample_result), which opens the case. Raises ServiceFailed."""
        async with self._busy, self._client() as client:
            token = await self._sign_in(client, LABORATORY)
            await _post(client, "/v1/staff/results", result, token)

    async def issue_code(self, symptom_onset: str) -> str:
        """A code for a confirmed test; `symptom_onset` is an ISO day. Raises ServiceFailed."""
        test = {"report_type": "confirmed-test", "symptom_onset": symptom_onset}
        async with self._busy, self._client() as client:
            token = await self._sign_in(client, WORKER)
            return str((await _post(client, "/v1/staff/codes", test, token))["code"])

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._service.url, transport=self._transport())

    async def _sign_in(self, client: httpx.AsyncClient, name: str) -> str:
        account = {"name": name, "password": self._service.password}
        return str((await _post(client, "/v1/staff/session", account))["token"])


async def _post(
    client: httpx.AsyncClient, path: str, body: Mapping[str, object], token: str = ""
) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = await client.post(path, json=body, headers=headers)
    if not answer.is_success:
        raise ServiceFailed(f"{path} answered {answer.status_code}: {answer.text[:300]}")
    content: dict[str, object] = answer.json()
    return content
