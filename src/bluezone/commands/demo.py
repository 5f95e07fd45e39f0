"""`bluezone demo`: a virtual town, live, and its verdict against the truth."""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import click

from bluezone.clock import WallClock
from bluezone.town.page import FASTEST, Page
from bluezone.town.plan import BEGINS, Plan
from bluezone.town.portal import ACCOUNTS
from bluezone.town.quarters import QuarterFailed, Quarters
from bluezone.town.scene import Scene, Stage
from bluezone.town.service import ServiceFailed, ServiceProcess, start_service
from bluezone.town.time import Pace, StalledError, VirtualTimeLoop
from bluezone.town.town import Town
from bluezone.town.verdict import Verdict
from bluezone.web.catalogue import LANGUAGES, _, translate

# Watchable: a week takes 101 seconds, where the machine manages.
_SPEED_WITH_PAGE = 6000.0
_DYING_SECONDS = 2.0
_MEMORY = "/dev/shm"  # noqa: S108 - of Linux; a folder of its own is made there
_BYTES_PER_PERSON = 8_000_000  # 4.7 MB after a week


@click.command()
@click.option("--people", default=100, show_default=True, type=click.IntRange(2, 1000))
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 14))
@click.option(
    "--speed",
    type=click.FloatRange(1, FASTEST),
    help="Simulated seconds per second; default 6000 with the page, as fast as possible without.",
)
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option("--headless", is_flag=True, help="No page: only the verdict.")
@click.option("--json", "as_json", is_flag=True, help="The last line is the verdict as JSON.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Of the page; 0: any free.")
@click.option("--no-open", is_flag=True, help="Do not open the page in a browser.")
@click.option(
    "--stay/--no-stay",
    default=None,
    help="Keep the health authority's portal open afterwards, until Ctrl-C; default: at a"
    " terminal, unless --headless.",
)
def command(
    people: int,
    days: int,
    speed: float | None,
    seed: int,
    headless: bool,
    as_json: bool,
    port: int,
    no_open: bool,
    stay: bool | None,
) -> None:
    """A virtual town, live: one person tests positive, the right phones warn.

    Real phones on a virtual air, the real service beside them in a process of its own, and
    time that passes as fast as this machine manages. In the end the warnings are set against
    what the simulation knows: who was within two metres for fifteen minutes.

    The case, and whoever asks to be called, are in the health authority's portal meanwhile; its
    address and accounts are printed.
    """
    if stay is None:
        stay = not headless and sys.stdout.isatty()
    pace = Pace(speed if headless or speed else _SPEED_WITH_PAGE)
    scene = Scene(pace, is_watched=not headless)
    # Ended by the system as by Ctrl-C: its service must not live on without it.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    began = WallClock().now()
    with ExitStack() as stack:
        if not headless:
            page = _serve(scene, port, stack)
            _say(_("The town is on the page {url}"), url=page.url)
            if not no_open:
                webbrowser.open(page.url)
        try:
            quarters = stack.enter_context(Quarters(people))
            service = stack.enter_context(_service(people))
            verdict = _live(Plan(people, days, seed), quarters, scene, service)
        except (ServiceFailed, StalledError, QuarterFailed, ExceptionGroup) as error:
            scene.show(Stage.FAILED)
            if explained := _explained(error):
                raise click.ClickException(str(explained)) from error
            raise
        if not headless:
            page.let_watchers_see_the_end()
        for language in LANGUAGES:
            click.echo(f"\n{verdict.text(language)}")
        if as_json:
            seconds = round(WallClock().now() - began, 1)
            click.echo("\n" + json.dumps({**verdict.as_json(), "command_seconds": seconds}))
        if stay:
            _say(_("The portal stays open on {url} until Ctrl-C."), url=service.url)
            with suppress(KeyboardInterrupt):
                asyncio.run(service.keep_time())


@contextmanager
def _service(people: int) -> Iterator[ServiceProcess]:
    """The service of a town, with its folder; prints who may sign in to its portal."""
    with tempfile.TemporaryDirectory(prefix="bluezone-town-", dir=_in_memory(people)) as name:
        _say(_("Starting the service and {people} phones …"), people=people)
        service = start_service(Path(name), BEGINS)
        try:
            _say(_("The health authority's portal is on {url}"), url=service.url)
            _say(_("The password of all its accounts is {password}"), password=service.password)
            for account, _role, unit, purpose in ACCOUNTS:
                texts = [translate(purpose, language) for language in LANGUAGES]
                print(f"  {account}  ({unit}: {' · '.join(texts)})", file=sys.stderr, flush=True)
            yield service
        finally:
            service.stop()


def _in_memory(people: int) -> str | None:
    """Where files are kept in memory, if a town's take little of it; else None.

    A town writes at every scan of every phone what nobody will read again: the disk would have a
    tenth of the time. Whoever set TMPDIR has chosen.
    """
    try:
        room = shutil.disk_usage(_MEMORY).free
    except OSError:
        return None
    is_ours = os.access(_MEMORY, os.W_OK) and "TMPDIR" not in os.environ
    return _MEMORY if is_ours and people * _BYTES_PER_PERSON < room / 4 else None


def _live(plan: Plan, quarters: Quarters, scene: Scene, service: ServiceProcess) -> Verdict:
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(scene.pace)) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualTimeLoop)  # noqa: S101 - its own factory
        town = Town(plan, loop, service, quarters, scene)
        _say(_("{days} days begin."), days=plan.days)
        try:
            return runner.run(town.live())
        except (QuarterFailed, ExceptionGroup):
            # A phone may meet a dead service first: sockets close before their process has ended.
            service.check(_DYING_SECONDS)
            raise


def _explained(error: Exception) -> Exception | None:
    """What is the service's fault in `error`, which may be a group of what failed at once."""
    if not isinstance(error, ExceptionGroup):
        return error if isinstance(error, ServiceFailed | StalledError) else None
    return next((found for one in error.exceptions if (found := _explained(one))), None)


def _serve(scene: Scene, port: int, stack: ExitStack) -> Page:
    try:
        page = Page(scene, port)
    except OSError as error:
        raise click.ClickException(
            f"port {port} of this machine is taken ({error.strerror}): choose another --port"
        ) from error
    stack.callback(page.close)
    return page


def _say(message: str, **values: object) -> None:
    """Progress goes to standard error, in both languages; the verdict alone to the output."""
    texts = [translate(message, language, **values) for language in LANGUAGES]
    print(" · ".join(texts), file=sys.stderr, flush=True)
