"""`bluezone server staff …`: accounts, from the service's own machine.

Whoever has a shell there may give everything; the audit calls them "operator".
"""

import sys
from pathlib import Path

import click

from bluezone.commands.server_running import (
    clock_file_option,
    database_option,
    home_option,
    run_with_services,
)
from bluezone.protocol.intervals import vietnam_time
from bluezone.server.context import Services
from bluezone.server.people import administration, rules, service
from bluezone.server.people.administration import State
from bluezone.server.people.passwords import hash_password
from bluezone.server.people.rules import OPERATOR, Grant, StaffRole
from bluezone.server.people.scope import Scope
from bluezone.server.places.units import NATION, full_name, unit_named

_unit = click.option(
    "--unit",
    required=True,
    help="The unit: vn, two digits of a province, three of an area, five of a commune.",
)
_ROLES = click.Choice([role.value for role in StaffRole])
_password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input."
)


@click.group()
def staff() -> None:
    """Accounts of health workers and administrators."""


@staff.command("add")
@click.argument("name")
@_unit
@click.option("--role", type=_ROLES, default=StaffRole.HEALTH_WORKER.value, show_default=True)
@_password_stdin
@home_option
@database_option
@clock_file_option
def add(
    name: str,
    unit: str,
    role: str,
    password_stdin: bool,
    home: Path | None,
    database: str | None,
    clock_file: Path | None,
) -> None:
    """Make the account NAME; asks for its password.

    The person sets the second factor up at the first sign-in.
    """
    password = _password(password_stdin)
    where = unit_named(NATION)

    async def work(services: Services) -> None:
        nonlocal where
        where = unit_named(unit)
        rules.check_password(password, rules.normal_name(name))
        password_hash = await hash_password(password)
        async with services.database.transaction() as session:
            account = await service.add_account(
                session,
                name=name,
                password_hash=password_hash,
                grant=Grant(StaffRole(role), where.path),
                now=services.now,
            )
            await administration.record_made(session, services, account)

    run_with_services(work, clock_file, home=home, database=database)
    click.echo(
        f"Account {rules.normal_name(name)} ({role}, unit {unit}: {full_name(where.path)}) made."
    )


@staff.command("grant")
@click.argument("name")
@click.option("--role", type=_ROLES, required=True)
@_unit
@home_option
@database_option
@clock_file_option
def grant(
    name: str,
    role: str,
    unit: str,
    home: Path | None,
    database: str | None,
    clock_file: Path | None,
) -> None:
    """Give the account NAME a role in a unit and everything below it, besides those it has."""

    async def work(services: Services) -> None:
        wanted = administration.parsed_grant(role, unit)
        async with services.database.transaction() as session:
            number = await administration.number_of(session, name)
            await administration.give(session, services, OPERATOR, number, wanted)

    run_with_services(work, clock_file, home=home, database=database)
    click.echo(f"{rules.normal_name(name)} is now {role} of {unit}.")


@staff.command("revoke")
@click.argument("name")
@click.option("--role", type=_ROLES, required=True)
@_unit
@home_option
@database_option
@clock_file_option
def revoke(
    name: str,
    role: str,
    unit: str,
    home: Path | None,
    database: str | None,
    clock_file: Path | None,
) -> None:
    """Take a role in a unit away from the account NAME, at once."""

    async def work(services: Services) -> None:
        taken = administration.parsed_grant(role, unit)
        async with services.database.transaction() as session:
            number = await administration.number_of(session, name)
            await administration.take(session, services, OPERATOR, number, taken)

    run_with_services(work, clock_file, home=home, database=database)
    click.echo(f"{rules.normal_name(name)} is no longer {role} of {unit}.")


@staff.command("list")
@click.option("--unit", default=NATION, help="Only accounts of this unit and those below it.")
@click.option(
    "--state",
    type=click.Choice([state.value for state in State]),
    default=State.IN_USE.value,
    show_default=True,
    help="unused: never signed in, or without a role.",
)
@home_option
@database_option
def list_accounts(unit: str, state: str, home: Path | None, database: str | None) -> None:
    """Show accounts by name: roles with their units, last sign-in, second factor."""
    found = 0

    async def work(services: Services) -> None:
        nonlocal found
        scope, after = Scope((unit_named(unit).path,)), ""
        async with services.database.read() as session:
            while True:
                rows = await administration.accounts(
                    session, scope, state=State(state), after=after, now=services.now
                )
                for row in rows:
                    roles = ", ".join(administration.describe(one) for one in row.grants) or "-"
                    seen = row.last_sign_in_at
                    last = f"{vietnam_time(seen):%Y-%m-%d %H:%M}" if seen else "never"
                    factor = "yes" if row.enrolled else "no"
                    click.echo(f"{row.name}  {roles}  last sign-in {last}  second factor {factor}")
                found += len(rows)
                if len(rows) < administration.SHOWN:
                    return
                after = rows[-1].name

    run_with_services(work, home=home, database=database)
    if not found:
        click.echo("No such account.")


@staff.command("end")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@home_option
@database_option
@clock_file_option
def end(
    name: str, yes: bool, home: Path | None, database: str | None, clock_file: Path | None
) -> None:
    """End the account NAME: no sessions, no roles, open tasks back to their units. For good."""
    if not yes:
        click.confirm(f"End the account {name}? This cannot be undone.", abort=True)
    released = 0

    async def work(services: Services) -> None:
        nonlocal released
        async with services.database.transaction() as session:
            number = await administration.number_of(session, name)
            released = await administration.end(session, services, OPERATOR, number)

    run_with_services(work, clock_file, home=home, database=database)
    click.echo(f"Account {rules.normal_name(name)} has ended; open tasks handed back: {released}.")


@staff.command("reset")
@click.argument("name")
@_password_stdin
@home_option
@database_option
@clock_file_option
def reset(
    name: str,
    password_stdin: bool,
    home: Path | None,
    database: str | None,
    clock_file: Path | None,
) -> None:
    """Give the account NAME a new password, and let it set up the second factor anew.

    For an administrator whom no other administrator can give a new link.
    """
    password = _password(password_stdin)

    async def work(services: Services) -> None:
        rules.check_password(password, rules.normal_name(name))
        password_hash = await hash_password(password)
        async with services.database.transaction() as session:
            number = await administration.number_of(session, name)
            await administration.reset(session, services, OPERATOR, number, password_hash)

    run_with_services(work, clock_file, home=home, database=database)
    click.echo(f"Account {rules.normal_name(name)} has a new password and no second factor.")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
