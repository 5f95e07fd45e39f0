"""`bluezone radio`: one virtual radio that several phone processes on this machine share."""

import asyncio
import math
from dataclasses import dataclass
from pathlib import Path

import click

from bluezone.clock import Clock, LoopClock, WallClock
from bluezone.clock.driven import ClockFile, ClockFileError
from bluezone.protocol.intervals import vietnam_time
from bluezone.radio.air import Air, AirStatistics
from bluezone.radio.interface import RadioError
from bluezone.radio.link import AirLink
from bluezone.radio.physics import AirPhysics
from bluezone.radio.shared import SharedRadio
from bluezone.town.time import Pace, StalledError, VirtualTimeLoop

_TICK_SECONDS = 0.005  # real: how smoothly the time of a rehearsal passes
_REHEARSAL_SPEED = 60.0
# Who tries two phones has one meeting to show, and a town's air calls one in ten at 0.5 m far.
# So here phones of one model lie on tables, where nobody turns or sways or has pockets, with
# antennas off their best direction (4 dB each).
_ON_TABLES = AirPhysics(
    loss_at_1_m=AirPhysics().loss_at_1_m + 8.0,
    meeting_db=0.0,
    sway_db=0.0,
    body_db=0.0,
    carried_db=0.0,
    device_db=0.0,
)


@dataclass(frozen=True, slots=True)
class _Plan:
    host: str
    port: int
    gaps: tuple[float, ...]
    seed: int
    every: float  # real seconds


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
    "gaps",
    type=click.FloatRange(0.2, 1000.0),
    multiple=True,
    default=(1.0,),
    show_default=True,
    help="Metres between one phone and the next; they stand in a line. Repeat it to give each"
    " gap its own; the last one holds for all that follow.",
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
@click.option(
    "--clock-file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="BLUEZONE_CLOCK_FILE",
    help="For rehearsals: make this file, or go on with it, and drive the time of everybody who"
    " was given it too (or BLUEZONE_CLOCK_FILE).",
)
@click.option(
    "--speed",
    type=click.FloatRange(1.0, 1000.0),
    help=f"Of a rehearsal's time; needs a clock file.  [default: {_REHEARSAL_SPEED:g}]",
)
def command(
    listen: str,
    gaps: tuple[float, ...],
    seed: int,
    every: float,
    clock_file: Path | None,
    speed: float | None,
) -> None:
    """Run a radio that several phones on this machine share.

    A phone process joins with `--radio tcp-client:HOST:PORT`, hears the others as phones
    that lie on tables (docs/air.md), and leaves by closing its connection. The radio speaks
    plain HCI, so any Bluetooth stack may join, not only ours. Stop with Ctrl-C.
    """
    host, colon, digits = listen.rpartition(":")
    if not colon or not digits.isdecimal():
        raise click.BadParameter(f"{listen!r} is not HOST:PORT", param_hint="--listen")
    if speed is not None and clock_file is None:
        raise click.BadParameter(
            "only a rehearsal's time can pass faster: give --clock-file FILE", param_hint="--speed"
        )
    plan = _Plan(host.strip("[]"), int(digits), gaps, seed, every)
    try:
        if clock_file is None:
            asyncio.run(_run(WallClock(), plan))
        else:
            _rehearse(clock_file, plan, speed or _REHEARSAL_SPEED)
    except (RadioError, ClockFileError, StalledError) as fault:
        raise click.ClickException(str(fault)) from fault
    except KeyboardInterrupt:
        click.echo("radio off")


def _rehearse(path: Path, plan: _Plan, speed: float) -> None:
    """Run on time that passes `speed` times as fast, and hand it to others through `path`."""
    file = _clock_file(path)
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(Pace(speed))) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualTimeLoop)  # noqa: S101 - its own factory
        # Whole seconds: sums of loop time and epoch are then exact, and a sleeper's due time
        # is reached, not missed by the last bit.
        epoch = math.ceil(file.now)
        file.horizon = math.inf  # a service that was killed holds nobody any more
        loop.drive(file, epoch)
        click.echo(
            f"rehearsal: {path} stands at {vietnam_time(epoch):%Y-%m-%d %H:%M:%S} (UTC+7) and"
            f" passes {speed:g} times as fast"
        )
        runner.run(_run(LoopClock(loop, epoch), plan, speed))


def _clock_file(path: Path) -> ClockFile:
    if path.exists():
        return ClockFile(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return ClockFile.create(path, math.floor(WallClock().now()))
    except OSError as fault:
        raise ClockFileError(f"{path} cannot be made: {fault}") from fault


async def _run(clock: Clock, plan: _Plan, speed: float | None = None) -> None:
    link = AirLink(Air(clock, _ON_TABLES, seed=plan.seed))
    radio = SharedRadio(link, plan.gaps, click.echo)
    port = await radio.listen(plan.host, plan.port)
    click.echo(f"radio on tcp-client:{plan.host}:{port}")
    async with asyncio.TaskGroup() as group:
        if speed is not None:
            group.create_task(_tick(clock, speed * _TICK_SECONDS))
        try:
            await _report(clock, radio, plan.every, speed)
        finally:
            await radio.close()


async def _tick(clock: Clock, seconds: float) -> None:
    """Keep time moving in small steps where no phone does: it jumps from timer to timer."""
    while True:
        await clock.sleep(seconds)


async def _report(clock: Clock, radio: SharedRadio, every: float, speed: float | None) -> None:
    wall = WallClock()
    while True:
        statistics = radio.link.air.statistics = AirStatistics()
        began = wall.now(), clock.now()
        await clock.sleep(every * (speed or 1.0))
        if not radio.phones:
            continue
        passed = clock.now() - began[1]
        line = _figures(radio.phones, statistics, passed)
        if speed is not None:
            pace = passed / (wall.now() - began[0])
            line += f"; {vietnam_time(clock.now()):%H:%M}, {pace:.0f} times as fast"
        click.echo(line)


def _figures(phones: int, statistics: AirStatistics, seconds: float) -> str:
    line = (
        f"{phones} on the air: {statistics.delivered / seconds:.1f} packets/s heard, "
        f"{statistics.faded / seconds:.1f}/s faded or collided"
    )
    if statistics.dropped:
        line += (
            f"; {statistics.dropped / seconds:.1f}/s dropped because this computer or a phone "
            f"is behind (by up to {statistics.worst_lag:.2f} s)"
        )
    return line
