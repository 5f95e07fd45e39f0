"""What `bluezone phone` keeps of how a phone was started, and opens a phone by it."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from bluezone.clock import Clock, WallClock
from bluezone.clock.driven import ClockFile, ClockFileError, DrivenClock
from bluezone.phone.app.running import PortUnusableError
from bluezone.phone.home import PhoneRunningError
from bluezone.phone.phone import Phone
from bluezone.phone.report import ReportError
from bluezone.phone.sealing import KeyUnavailableError
from bluezone.phone.service import Service, ServiceError
from bluezone.phone.store import StoreError
from bluezone.protocol.trust import Pins, TrustError
from bluezone.radio.interface import Radio, RadioError

T = TypeVar("T")


class PhoneSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `run` was told, for the other verbs: `phone.json` in the phone's folder."""

    service: str
    pins: list[str]  # PEM
    clock_file: str | None = None  # of a rehearsal


@asynccontextmanager
async def opened(
    home: Path, settings: PhoneSettings, clock: Clock, radio: Radio, **options: Any
) -> AsyncIterator[Phone]:
    service = Service(settings.service)
    pins = Pins.from_pem(*(pem.encode() for pem in settings.pins))
    try:
        phone = Phone(home, radio, service, pins, clock, **options)
        try:
            yield phone
        finally:
            await phone.close()
    finally:
        await service.close()


def phone_settings(
    home: Path,
    address: str | None = None,
    pins: tuple[Path, ...] = (),
    clock_file: Path | None = None,
) -> tuple[PhoneSettings, Clock]:
    """The given settings over the kept ones, kept for next time, and the phone's time.

    Raises ClickException.
    """
    path = home / "phone.json"
    kept: PhoneSettings | None = None
    try:
        if path.exists():
            kept = msgspec.json.decode(path.read_bytes(), type=PhoneSettings)
        address = address or (kept.service if kept else None)
        pems = [pin.read_text("utf-8", errors="replace") for pin in pins] or (
            kept.pins if kept else []
        )
        if address is None or not pems:
            raise click.ClickException(
                f"There is no phone in {home} yet: give --service ADDRESS and --pin"
                " root-public.pem once."
            )
        Service(address)
        Pins.from_pem(*(pem.encode() for pem in pems))
        named = str(clock_file) if clock_file else None
        if kept and named not in (None, kept.clock_file):
            raise click.ClickException(
                f"The phone in {home} lives by another time already, and a diary cannot hold two:"
                " take another --home."
            )
        settings = PhoneSettings(address, pems, kept.clock_file if kept else named)
        clock = _clock(settings)
        if settings != kept:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(msgspec.json.encode(settings))
    except msgspec.DecodeError as error:
        raise click.ClickException(
            f"{path} is damaged: {error}. Delete it and start again."
        ) from error
    except (ClockFileError, TrustError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{home} cannot be used: {error}") from error
    return settings, clock


def _clock(settings: PhoneSettings) -> Clock:
    if settings.clock_file is None:
        return WallClock()
    if os.environ.get("BLUEZONE_ENVIRONMENT") != "demo":
        raise click.ClickException(
            "a clock file lets another process set the time by which this phone broadcasts and"
            " warns, so it is refused here; only BLUEZONE_ENVIRONMENT=demo allows it"
        )
    return DrivenClock(ClockFile(Path(settings.clock_file)), holds_driver=False)


def run_or_explain(work: Coroutine[Any, Any, T], language: str) -> T:
    try:
        return asyncio.run(work)
    except (
        KeyUnavailableError,
        PhoneRunningError,
        PortUnusableError,
        ReportError,
        ServiceError,
        StoreError,
    ) as error:
        raise click.ClickException(error.text(language)) from error
    except RadioError as error:
        raise click.ClickException(f"the radio cannot be used: {error}") from error
    except OSError as error:
        raise click.ClickException(f"the phone's folder cannot be used: {error}") from error
