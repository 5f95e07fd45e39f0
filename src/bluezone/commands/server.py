"""`bluezone server …`: run and look after the national service."""

import signal
import socket
from pathlib import Path

import click
import uvicorn
from fastapi import FastAPI

from bluezone.clock import Clock
from bluezone.commands import server_staff, server_trust
from bluezone.commands.server_running import (
    clock_file_option as _clock_file,
)
from bluezone.commands.server_running import (
    database_option as _database,
)
from bluezone.commands.server_running import (
    home_option as _home,
)
from bluezone.commands.server_running import (
    run as _run,
)
from bluezone.commands.server_running import (
    run_with_services as _run_with_services,
)
from bluezone.protocol.configuration import parse_configuration
from bluezone.server import installation
from bluezone.server.app import all_jobs, create_app, open_services
from bluezone.server.config import SettingError, Settings
from bluezone.server.configuration import publish_configuration
from bluezone.server.context import Services
from bluezone.server.jobs import Scheduler
from bluezone.server.logging import configure_logging
from bluezone.server.migrations import upgrade
from bluezone.server.news import service as announced
from bluezone.server.news.rules import read_text
from bluezone.server.people import service
from bluezone.server.places import service as places
from bluezone.server.places.rules import (
    StationRow,
    read_stations,
    write_stations,
)
from bluezone.server.places.units import path_of, unit_named
from bluezone.web.connections import PromptConnection

_OPERATOR = "operator"  # whoever has a shell on the machine has no account there
_STOP_SECONDS = 10  # for requests under way when the service is told to stop


@click.group()
def command() -> None:
    """Run and look after the national service."""


@command.command()
@_home
@_database
@_clock_file
def init(home: Path | None, database: str | None, clock_file: Path | None) -> None:
    """Make an installation: root and role keys, trust.json, configuration, database."""
    settings = _run(installation.create, clock_file, home=home, database=database)
    click.echo(
        f"Installation made in {settings.home}.\n"
        f"Take {settings.home / 'root.pem'} offline now: whoever has it can replace every key.\n"
        f"Phones pin {settings.home / 'root-public.pem'}.\n"
        f"Next: bluezone server staff add NAME --unit CODE --home {settings.home}"
    )


@command.command()
@_home
@_database
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; keep to this machine, behind a proxy with TLS.",
)
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one and logs it.",
)
@_clock_file
def run(
    home: Path | None, database: str | None, host: str, port: int, clock_file: Path | None
) -> None:
    """Serve until told to stop (SIGINT, SIGTERM)."""

    async def work(settings: Settings, clock: Clock) -> None:
        configure_logging(clock)
        # First: uvicorn would find a port in use only after the jobs have begun.
        with listen(host, port) as listener:
            services = await open_services(settings, clock)
            await upgrade(services.database)
            app = create_app(services, Scheduler(services, all_jobs(settings)))
            for stop in (signal.SIGINT, signal.SIGTERM):
                # uvicorn stops gracefully, then raises the signal again: by then all is done.
                signal.signal(stop, lambda *_: None)
            await _server(app, settings).serve([listener])

    _run(work, clock_file, home=home, database=database)


def _server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=PromptConnection,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,  # requests.py logs without addresses and queries
            server_header=False,
            forwarded_allow_ips=settings.trusted_proxies,
            limit_concurrency=settings.max_connections,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections. Raises ClickException, one sentence, if it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host} port {port}: {error.strerror}; "
            "choose another --host or --port"
        ) from error
    # Connections inherit it. asyncio sets it only on sockets that name their protocol, which
    # these do not, and without it the body of an answer waits 40 ms for the client's ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@command.group()
def jobs() -> None:
    """Periodic work: export, retention, renewals. `run` does it by itself."""


@jobs.command("run")
@click.argument("name")
@_home
@_database
def jobs_run(name: str, home: Path | None, database: str | None) -> None:
    """Do the job NAME (such as `export`) once, now, due or not."""

    async def work(services: Services) -> None:
        known = all_jobs(services.settings)
        if name not in {job.name for job in known}:
            names = ", ".join(job.name for job in known)
            raise SettingError(f"there is no job {name!r}; there are {names}")
        configure_logging(services.clock)
        if not await Scheduler(services, known).run_once(name):
            raise SettingError(
                f"job {name} was not done: the log above says why; if it says nothing, "
                "another process is doing it"
            )

    _run_with_services(work, home=home, database=database)
    click.echo(f"Job {name} done.")


@command.group()
def keys() -> None:
    """Role keys and the trust document."""


@keys.command("rotate")
@_home
@click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="The offline root key, root.pem.",
)
@click.option(
    "--compromised",
    is_flag=True,
    help="Withdraw all present keys; the new ones count at once. Phones refuse what is published.",
)
def keys_rotate(home: Path | None, root: Path, compromised: bool) -> None:
    """Make the next role keys and certify them with the root. Restart the service afterwards."""

    async def work(settings: Settings, clock: Clock) -> None:
        await installation.rotate_keys(settings, clock, root, compromised=compromised)

    _run(work, home=home)
    click.echo("New role keys made and certified. Restart the service, take root.pem offline.")


@keys.command("complete")
@_home
@click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="The offline root key, root.pem.",
)
def keys_complete(home: Path | None, root: Path) -> None:
    """Make keys, valid at once, for roles that have none now: after an update that needs one."""
    made: list[str] = []

    async def work(settings: Settings, clock: Clock) -> None:
        made.extend(await installation.complete_keys(settings, clock, root))

    _run(work, home=home)
    if made:
        click.echo(f"Made and certified: {', '.join(made)}. Restart the service.")
    else:
        click.echo("Every role has a key; nothing was changed.")


@command.group()
def stations() -> None:
    """The list of health stations: whom a warned person calls, and who gets their requests."""


@stations.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_home
@_database
@_clock_file
def stations_import(
    file: Path, home: Path | None, database: str | None, clock_file: Path | None
) -> None:
    """Replace the whole list by FILE, and publish it. A bad line leaves everything as it is.

    FILE is CSV (UTF-8) with the columns commune, name, phone, address and unit: the commune's
    five-digit code, and the code of the health unit whose staff get its requests.
    """
    content = file.read_bytes()
    rows: list[StationRow] = []
    orphans: list[str] = []

    async def work(services: Services) -> None:
        rows.extend(read_stations(content))
        async with services.database.transaction() as session:
            await places.replace_stations(session, services, rows)
            units = (path_of(row.unit or row.commune) for row in rows)
            orphans.extend(await service.units_without_staff(session, filter(None, units)))

    _run_with_services(work, clock_file, home=home, database=database)
    click.echo(f"{len(rows)} health stations imported and published.")
    if orphans:
        codes = [unit_named(path).code for path in orphans[:10]]
        shown = ", ".join(codes) + (", ..." if len(orphans) > 10 else "")
        click.echo(
            f"Nobody would see the requests to {len(orphans)} of the units, for no health"
            f" worker has an account there or above: {shown}"
        )


@stations.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_home
@_database
def stations_export(file: Path, home: Path | None, database: str | None) -> None:
    """Write the present list to FILE, as CSV that `import` reads."""
    rows: list[StationRow] = []

    async def work(services: Services) -> None:
        async with services.database.read() as session:
            rows.extend(await places.stations(session))

    _run_with_services(work, home=home, database=database)
    file.write_bytes(write_stations(rows))
    click.echo(f"{len(rows)} health stations written to {file}.")


@command.group()
def news() -> None:
    """News that every phone shows."""


@news.command("publish")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--yes", is_flag=True, help="Do not show it and ask first.")
@_home
@_database
@_clock_file
def news_publish(
    file: Path, yes: bool, home: Path | None, database: str | None, clock_file: Path | None
) -> None:
    """Sign the news in FILE and put it on every phone.

    FILE is JSON: {"title": {"vi": ..., "en": ...}, "body": {"vi": ..., "en": ...},
    "important": false}. Paragraphs are set off by empty lines.
    """
    try:
        text = read_text(file.read_bytes())
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if not yes:
        for title, body in ((text.title_vi, text.body_vi), (text.title_en, text.body_en)):
            click.echo(f"{title}\n\n{body}\n")
        click.confirm("Put this on every phone in the country?", abort=True)
    identity = ""

    async def work(services: Services) -> None:
        nonlocal identity
        async with services.database.transaction() as session:
            item = await announced.write(session, text, by=_OPERATOR, now=services.now)
            identity = item.id
            await announced.publish(
                session,
                services,
                identity,
                by=_OPERATOR,
                seen=item.written_at,
                now=services.now,
            )

    _run_with_services(work, clock_file, home=home, database=database)
    click.echo(f"Published as {identity}.")


@news.command("list")
@_home
@_database
def news_list(home: Path | None, database: str | None) -> None:
    """Show all news, newest first, with their names."""

    async def work(services: Services) -> None:
        async with services.database.read() as session:
            for item in await announced.items(session):
                click.echo(f"{item.id}  {item.state:9}  {item.title_vi}")

    _run_with_services(work, home=home, database=database)


@news.command("withdraw")
@click.argument("name")
@_home
@_database
@_clock_file
def news_withdraw(
    name: str, home: Path | None, database: str | None, clock_file: Path | None
) -> None:
    """Take the news NAME off every phone."""

    async def work(services: Services) -> None:
        async with services.database.transaction() as session:
            await announced.withdraw(session, services, name, now=services.now)

    _run_with_services(work, clock_file, home=home, database=database)
    click.echo(f"Withdrawn: {name}.")


@command.group()
def configuration() -> None:
    """The risk configuration that phones use."""


@configuration.command("publish")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_home
def configuration_publish(file: Path, home: Path | None) -> None:
    """Check, sign and publish the risk configuration in FILE (JSON)."""
    version = 0
    content = file.read_bytes()

    async def work(services: Services) -> None:
        nonlocal version
        found = parse_configuration(content)
        version = await publish_configuration(services.objects, services.keys, services.now, found)

    _run_with_services(work, home=home)
    click.echo(f"Published as version {version}.")


command.add_command(server_staff.staff)
command.add_command(server_trust.audit)
command.add_command(server_trust.retention)
keys.add_command(server_trust.rotate_sealing)
keys.add_command(server_trust.rotate_search)
