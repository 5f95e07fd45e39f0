"""`bluezone server audit|retention|keys rotate-…`: what shows that the service can be trusted."""

from collections.abc import Callable
from pathlib import Path

import click

from bluezone.commands.key_files import read_file
from bluezone.commands.server_running import (
    database_option,
    home_option,
    run_with_services,
)
from bluezone.protocol.envelope import MAX_DOCUMENT_BYTES
from bluezone.protocol.trust import Trust, read_certificates
from bluezone.server.audit.verification import (
    Anchor,
    AuditBroken,
    Checked,
    make_anchor,
    published,
    read_anchor,
    verify_all,
)
from bluezone.server.config import SettingError
from bluezone.server.context import Services
from bluezone.server.holdings.report import Finding, look_for_old
from bluezone.server.keys import TRUST_OBJECT, load_pins
from bluezone.server.logging import configure_logging
from bluezone.server.rotation import service as rotation
from bluezone.server.rotation.columns import KEYS, SEARCH_KEY
from bluezone.server.rotation.jobs import JOB
from bluezone.server.rotation.tables import KeyRotation
from bluezone.storage.lease import Lease
from bluezone.storage.objects import write_atomically

_TOLD_EVERY = 100_000  # entries of a long chain


# --- audit -----------------------------------------------------------------------------
@click.group()
def audit() -> None:
    """The record of who did and saw what: verify it, keep its anchors."""


@audit.command("verify")
@click.option(
    "--anchor",
    "anchor_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An anchor kept elsewhere: finds a chain that was rewritten as a whole.",
)
@home_option
@database_option
def audit_verify(anchor_file: Path | None, home: Path | None, database: str | None) -> None:
    """Go through every entry of every chain. Exit code 1 names the first break of each."""
    found: list[Checked] = []

    async def work(services: Services) -> None:
        anchors = await published(services.objects)
        if anchor_file is not None:
            anchors.append(await _read_anchor(services, anchor_file))
        found.extend(await verify_all(services.database, anchors, _Told()))

    run_with_services(work, home=home, database=database)
    for one in found:
        state = "BROKEN" if one.broken else "unbroken"
        click.echo(f"chain {one.chain}: {one.entries} entries, {state}")
    breaks = [one.broken for one in found if one.broken]
    if breaks:
        raise click.ClickException("\n       ".join(one.sentence for one in breaks))
    entries = sum(one.entries for one in found)
    against = f", and fit {anchor_file}" if anchor_file else ""
    click.echo(f"{entries} entries in {len(found)} chains are unbroken{against}.")


@audit.command("anchor")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@home_option
@database_option
def audit_anchor(file: Path, home: Path | None, database: str | None) -> None:
    """Verify all chains, sign where they end, and write that to FILE: keep it elsewhere."""
    broken: list[str] = []

    async def work(services: Services) -> None:
        try:
            document = await make_anchor(services, progress=_Told())
        except AuditBroken as error:
            broken.extend(one.sentence for one in error.breaks)
        else:
            write_atomically(file, document)

    run_with_services(work, home=home, database=database)
    if broken:
        raise click.ClickException("nothing was signed: " + "; ".join(broken))
    click.echo(f"Signed and written to {file}. Keep it where this machine cannot write.")


class _Told:
    """Says how far the verification of a long chain has come."""

    def __init__(self) -> None:
        self._last = ("", 0)

    def __call__(self, chain: str, done: int, entries: int) -> None:
        step = (chain, done // _TOLD_EVERY)
        if step != self._last and step[1]:
            self._last = step
            click.echo(f"chain {chain}: {done} of {entries} entries ...", err=True)


async def _read_anchor(services: Services, file: Path) -> Anchor:
    pins = load_pins(services.settings.home)
    trust: Trust = read_certificates(await services.objects.get(TRUST_OBJECT), pins)
    return read_anchor(read_file(file, MAX_DOCUMENT_BYTES + 1), trust)


# --- rotation --------------------------------------------------------------------------
@click.command("rotate-sealing")
@click.argument("names", nargs=-1, metavar=f"[{'|'.join(KEYS)}]...")
@home_option
@database_option
def rotate_sealing(names: tuple[str, ...], home: Path | None, database: str | None) -> None:
    """Put fresh keys in the place of those that personal data are sealed with; all, or NAMES.

    Running services need no restart. All rows are sealed anew here and now; the old keys are
    deleted an hour later, by the service's job `key-rotation`. May be interrupted and repeated.
    """
    _rotate(lambda _services: rotation.key_files(names), home, database)


@click.command("rotate-search")
@home_option
@database_option
def rotate_search(home: Path | None, database: str | None) -> None:
    """Put a fresh key in the place of the one that people are found by, and hash all anew.

    Searches find everybody meanwhile. The old key is deleted an hour later, as for sealing.
    """
    _rotate(lambda _services: [SEARCH_KEY], home, database)


def _rotate(
    files: Callable[[Services], list[str]], home: Path | None, database: str | None
) -> None:
    async def work(services: Services) -> None:
        wanted = files(services)
        configure_logging(services.clock)
        lease = Lease(services.database, services.clock, f"job:{JOB}")
        if not await lease.acquire():
            raise SettingError("another process is at it; please try again in two minutes")
        try:
            under_way = rotation.under_way(services.settings.secrets_folder)
            for file in wanted:
                if file in under_way:
                    click.echo(f"{file}: the last rotation has not ended; it goes on.")
                else:
                    await rotation.begin(services, lease, file)
            await rotation.carry_on(services, lease, _told_rows)
        finally:
            await lease.release()
        for file in rotation.under_way(services.settings.secrets_folder):
            click.echo(f"{file}.old is kept for an hour: the job {JOB} deletes it.")

    run_with_services(work, home=home, database=database)


def _told_rows(state: KeyRotation) -> None:
    click.echo(f"{state.name}: {state.done} rows anew ...", err=True)


# --- retention -------------------------------------------------------------------------
@click.group()
def retention() -> None:
    """What is deleted when, and whether it is gone."""


@retention.command("report")
@home_option
@database_option
def retention_report(home: Path | None, database: str | None) -> None:
    """Look into every table for what should be gone. Exit code 1 if anything is."""
    found: list[Finding] = []

    async def work(services: Services) -> None:
        found.extend(await look_for_old(services))

    run_with_services(work, home=home, database=database)
    for one in found:
        click.echo(one.sentence)
    late = [one for one in found if one.too_old]
    if late:
        names = ", ".join(one.what for one in late)
        raise click.ClickException(f"older than the rule allows: {names}")
    click.echo("Nothing is older than its rule allows.")
