"""`bluezone radio`: one virtual radio that several phone processes on this machine share."""

import asyncio

import click

from bluezone.clock import Clock, WallClock
from bluezone.radio.air import Air, AirStatistics
from bluezone.radio.interface import RadioError
from bluezone.radio.link import AirLink
from bluezone.radio.shared import SharedRadio


@click.command()
@click.option(
    "--listen",
    default="127.0.0.1:9100",
    show_default=True,
    metavar="HOST:PORT",
    help="Loopback address to listen on; port 0 takes a free one.",
)
@click.option(
    "--spacing",
    type=click.FloatRange(0.2, 1000.0),
    default=1.0,
    show_default=True,
    help="Metres between one phone and the next; they stand in a line.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Fixes shadows and fading."
)
@click.option(
    "--every",
    type=click.FloatRange(0.1, 3600.0),
    default=5.0,
    show_default=True,
    help="Seconds between two lines of figures.",
)
def command(listen: str, spacing: float, seed: int, every: float) -> None:
    """Run a radio that several phones on this machine share.

    A phone process joins with `--radio tcp-client:HOST:PORT`, hears the others with the
    physics of docs/air.md, and leaves by closing its connection. The radio speaks plain
    HCI, so any Bluetooth stack may join, not only ours. Stop with Ctrl-C.
    """
    host, colon, digits = listen.rpartition(":")
    if not colon or not digits.isdecimal():
        raise click.BadParameter(f"{listen!r} is not HOST:PORT", param_hint="--listen")
    try:
        asyncio.run(_run(WallClock(), host.strip("[]"), int(digits), spacing, seed, every))
    except RadioError as fault:
        raise click.ClickException(str(fault)) from fault
    except KeyboardInterrupt:
        click.echo("radio off")


async def _run(clock: Clock, host: str, port: int, spacing: float, seed: int, every: float) -> None:
    link = AirLink(Air(clock, seed=seed))
    radio = SharedRadio(link, spacing, click.echo)
    port = await radio.listen(host, port)
    click.echo(f"radio on tcp-client:{host}:{port}")
    try:
        while True:
            link.air.statistics = AirStatistics()
            await clock.sleep(every)
            if radio.phones:
                click.echo(_figures(radio.phones, link.air.statistics, every))
    finally:
        await radio.close()


def _figures(phones: int, statistics: AirStatistics, seconds: float) -> str:
    line = (
        f"{phones} on the air: {statistics.delivered / seconds:.0f} packets/s heard, "
        f"{statistics.faded / seconds:.0f}/s faded or collided"
    )
    if statistics.dropped:
        line += (
            f"; {statistics.dropped / seconds:.0f}/s dropped because this computer or a phone "
            f"is behind (by up to {statistics.worst_lag:.2f} s)"
        )
    return line
