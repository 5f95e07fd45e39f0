"""The `bluezone` command: names every verb and loads only the one that is called."""

import importlib

import click

_COMMANDS = {
    "demo": "A virtual town, live: one person tests positive, the right phones warn.",
    "phone": "Run a phone: notice others, check for exposures, report a positive test.",
    "radio": "Run a radio that several phones on this machine share.",
    "server": "Run and look after the national service.",
    "export": "Look into published key files.",
    "match": "Match seen identifiers against published key files.",
    "proximity": "Fit and judge the estimator of who was within 2 m.",
    "risk": "Score exposure windows with a risk configuration.",
}


class _Verbs(click.Group):
    """Loads `bluezone.commands.<verb>` on demand: `export inspect` needs no web framework."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"bluezone.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_Verbs)
@click.version_option(package_name="bluezone")
def main() -> None:
    """Bluezone: phones notice each other over Bluetooth; the right ones warn their owners."""
