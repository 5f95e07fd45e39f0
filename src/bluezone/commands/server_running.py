"""How a command of `bluezone server` finds its settings and runs: what all of them share."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from bluezone.clock import Clock, WallClock
from bluezone.clock.driven import ClockFile, ClockFileError, DrivenClock
from bluezone.protocol.configuration import ConfigurationError
from bluezone.protocol.trust import TrustError
from bluezone.server import installation
from bluezone.server.app import open_services
from bluezone.server.audit.verification import AnchorError
from bluezone.server.config import Environment, SettingError, Settings, load_settings
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.keys import KeyUnavailable
from bluezone.server.migrations import upgrade
from bluezone.server.people.rules import AccountError
from bluezone.server.places.rules import StationListError
from bluezone.storage.database import DatabaseUrlError, StorageUnavailable
from bluezone.web.catalogue import translate

_EXPLAINED = (
    SettingError,
    ClockFileError,
    DatabaseUrlError,
    KeyUnavailable,
    TrustError,
    ConfigurationError,
    AccountError,
    StationListError,
    AnchorError,
    installation.InstallationError,
)

home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the installation (or BLUEZONE_HOME).",
)
database_option = click.option(
    "--database", help="Database URL (or BLUEZONE_DATABASE); default: a SQLite file in the home."
)
clock_file_option = click.option(
    "--clock-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Let another process drive the time (or BLUEZONE_CLOCK_FILE; for"
    " BLUEZONE_ENVIRONMENT=demo only).",
)


def run_with_services(
    work: Callable[[Services], Awaitable[None]], clock_file: Path | None = None, **given: Any
) -> None:
    """Run `work` with the parts of the service, its tables up to date."""

    async def opened(settings: Settings, clock: Clock) -> None:
        services = await open_services(settings, clock)
        try:
            await upgrade(services.database)
            await work(services)
        finally:
            await services.database.dispose()

    run(opened, clock_file, **given)


def _clock(settings: Settings) -> WallClock | DrivenClock:
    if not settings.clock_file:
        return WallClock()
    if settings.environment is not Environment.DEMO:
        raise SettingError(
            "a clock file lets another process set the time at which keys are published, "
            "so it is refused here; only BLUEZONE_ENVIRONMENT=demo allows it"
        )
    return DrivenClock(ClockFile(Path(settings.clock_file)))


def run(
    work: Callable[[Settings, Clock], Awaitable[None]],
    clock_file: Path | None = None,
    **given: Any,
) -> Settings:
    """Run `work`; what an operator can put right is said in one sentence."""
    try:
        named = str(clock_file) if clock_file else None
        settings = load_settings(os.environ, clock_file=named, **given)
        clock = _clock(settings)

        async def main() -> None:
            await work(settings, clock)

        try:
            asyncio.run(main())
        finally:
            if isinstance(clock, DrivenClock):
                clock.release()
    except _EXPLAINED as error:
        raise click.ClickException(str(error)) from error
    except Refused as refused:
        raise click.ClickException(translate(refused.message, "en", **refused.values)) from refused
    except StorageUnavailable as error:
        raise click.ClickException(
            f"the database cannot be used ({error}): is it running, and is its disk full?"
        ) from error
    return settings
