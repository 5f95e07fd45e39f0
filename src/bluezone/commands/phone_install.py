"""What `bluezone phone install` and `uninstall` do."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from bluezone.phone.background import BackgroundProgram, background_program, run
from bluezone.web.catalogue import _, translate


def program(arguments: Sequence[str] = ()) -> BackgroundProgram:
    """`bluezone phone run` with `arguments`, as this system starts it."""
    script = Path(sys.executable).with_name("bluezone.exe" if os.name == "nt" else "bluezone")
    command = [str(script), "phone", "run", *arguments]
    try:
        return background_program(sys.platform, command, os.environ, Path.home())
    except ValueError as fault:
        raise click.ClickException(str(fault)) from fault


def install(starting: BackgroundProgram, language: str) -> None:
    """Write the file, start the phone, and say what was done and what was not."""

    def say(message: str, **values: object) -> None:
        click.echo(translate(message, language, **values))

    try:
        starting.write()
    except OSError as fault:
        raise click.ClickException(f"{starting.path} cannot be written: {fault}") from fault
    if starting.tested and run(starting.start):
        say(
            _("Bluezone runs in the background now, and whenever you log in ({path})."),
            path=starting.path,
        )
        return
    say(_("{path} was written. To start Bluezone now and whenever you log in:"), path=starting.path)
    for command in starting.start:
        click.echo("  " + subprocess.list2cmdline(command))
    if not starting.tested:
        say(
            _(
                "We could not try this on {system}. Please look after a restart whether"
                " Bluezone runs."
            ),
            system=starting.system,
        )


def uninstall(starting: BackgroundProgram, language: str) -> None:
    """End the phone, delete the file; the diary stays."""
    if starting.path.exists():
        run(starting.end)  # it may not be running
    try:
        removed = starting.remove()
    except OSError as fault:
        raise click.ClickException(f"{starting.path} cannot be deleted: {fault}") from fault
    message = (
        _(
            "Bluezone no longer starts when you log in. Its diary is kept; `bluezone phone"
            " forget` deletes it."
        )
        if removed
        else _("Bluezone does not start when you log in; there is nothing to remove.")
    )
    click.echo(translate(message, language))
