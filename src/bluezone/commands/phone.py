"""`bluezone phone`: a phone in a terminal, on any radio, with any service of ours."""

import asyncio
import shlex
import signal
import sys
import webbrowser
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import click

from bluezone.clock import WallClock
from bluezone.commands import phone_install
from bluezone.commands.phone_screen import Screen, agrees, key_notice, time_words
from bluezone.commands.phone_settings import opened, phone_settings, run_or_explain
from bluezone.phone.app.running import pages_of
from bluezone.phone.desktop import notify as notify_on_desktop
from bluezone.phone.explanation import ExposureWarning
from bluezone.phone.home import Home, PhoneRunningError
from bluezone.phone.page_keys import PageKeys
from bluezone.phone.report import CONSENT, ReportError, typed_code
from bluezone.protocol.deployment import RETENTION_DAYS, UPLOAD_KEY_SLOTS
from bluezone.protocol.trust import Pins
from bluezone.proximity import SHIPPED
from bluezone.radio.absent import AbsentRadio
from bluezone.radio.open import AUTO, KeptOpenRadio
from bluezone.web.catalogue import DEFAULT_LANGUAGE, LANGUAGES, _, translate

Verb = Callable[..., None]

# A browser that is slow to start gets a minute.
_OPENING_TIMES, _OPENING_SECONDS = 240, 0.25
_NO_RADIO: Final = AbsentRadio("this command uses no radio")


@click.group()
def command() -> None:
    """Be a phone: notice others over Bluetooth, check for exposures, report a positive test.

    A phone lives in a folder (--home). `run` keeps it going; the other verbs work beside it in
    another terminal and need neither address nor radio once `run` has been told.

    \b
      bluezone phone run --home ~/phone1 --service http://127.0.0.1:8000 \\
          --pin server/root-public.pem --radio tcp-client:127.0.0.1:9100
      bluezone phone report 1234-5678-9012 --home ~/phone1
    """


def _common(verb: Verb) -> Verb:
    for option in (
        click.option(
            "--language",
            type=click.Choice(LANGUAGES),
            default=DEFAULT_LANGUAGE,
            show_default=True,
            help="Of what is printed.",
        ),
        click.option(
            "--home",
            type=click.Path(file_okay=False, path_type=Path),
            default=Path.home() / ".bluezone" / "phone",
            help="The phone's folder.  [default: ~/.bluezone/phone]",
        ),
    ):
        verb = option(verb)
    return verb


def _connected(verb: Verb) -> Verb:
    for option in (
        click.option(
            "--clock-file",
            type=click.Path(path_type=Path, dir_okay=False, resolve_path=True),
            envvar="BLUEZONE_CLOCK_FILE",
            help="Live by the time of a rehearsal (or BLUEZONE_CLOCK_FILE; for"
            " BLUEZONE_ENVIRONMENT=demo only).",
        ),
        click.option(
            "--pin",
            "pins",
            multiple=True,
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="PEM of the service's root public key; repeat for the next one.",
        ),
        click.option("--service", "address", help="Address of the service."),
    ):
        verb = option(verb)
    return _common(verb)


def _running(verb: Verb) -> Verb:
    for option in (
        click.option(
            "--model",
            help="This phone's model, as SM-A405FN: known ones send and hear at calibrated levels.",
        ),
        click.option(
            "--scan-every",
            type=click.FloatRange(5.0, 600.0),
            help="Seconds from scan to scan, for demonstrations; without it the phone decides.",
        ),
        click.option(
            "--radio",
            "spec",
            default=AUTO,
            show_default=True,
            help="auto (this computer's own), bluez:hci0, bleak (listens only), usb:0,"
            " hci-socket:0, serial:/dev/ttyACM0,1000000, tcp-client:127.0.0.1:9100, ..."
            " (docs/radio.md)",
        ),
    ):
        verb = option(verb)
    return _connected(verb)


@command.command()
@_running
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Of the phone's pages; 0: any free one.  [default: 8460, or any if it is taken]",
)
@click.option("--no-pages", is_flag=True, help="Only this terminal; needs --yes the first time.")
@click.option("--yes", is_flag=True, help="Agree here to what the app does, not on its pages.")
def run(
    home: Path,
    language: str,
    address: str | None,
    pins: tuple[Path, ...],
    clock_file: Path | None,
    spec: str,
    scan_every: float | None,
    model: str | None,
    port: int | None,
    no_pages: bool,
    yes: bool,
) -> None:
    """Notice others, check for exposures and warn, until Ctrl-C.

    The app itself is on pages that this phone serves to this computer alone: the link that is
    printed in a terminal opens them, and so does `open`. Nothing begins before its owner has
    agreed, there or with --yes.
    """
    if model is not None and model not in SHIPPED.models:
        known = ", ".join(sorted(SHIPPED.models))
        click.echo(f"{model}: no calibrated model, counts as average; known: {known}", err=True)
    settings, clock = phone_settings(home, address, pins, clock_file)
    screen = Screen(language, clock)
    listeners: list[Callable[[ExposureWarning], None]] = [screen.warned]

    def warned(warning: ExposureWarning) -> None:
        for listener in listeners:
            listener(warning)

    async def notify(text: dict[str, str], urgent: bool) -> None:
        # The owner's choice on the pages, where the option only knows of this terminal.
        said = text[screen.phone.settings.language if screen.phone else language]
        await notify_on_desktop("Bluezone", said, urgent)
        if not urgent:  # what is urgent has been said already
            screen.say(said)

    async def work() -> None:
        radio = await KeptOpenRadio.open(spec, clock)
        async with opened(
            home,
            settings,
            clock,
            radio,
            scan_every=scan_every,
            model=model,
            on_scan=screen.scanned,
            on_check=screen.checked,
            on_warning=warned,
            needs_consent=True,
        ) as phone:
            if Home(home).is_running:  # before its pages, their key and their port are touched
                raise PhoneRunningError
            screen.phone = phone
            screen.say(key_notice(phone.status()).text(language))
            with suppress(OSError):  # of an `open` that was ended
                Home(home).opening.unlink(missing_ok=True)
            if yes:
                if not phone.active:
                    phone.choose(language=language)
                phone.begin()
            elif no_pages and not phone.active:
                raise click.ClickException(
                    translate(_("Without pages the first start needs --yes."), language)
                )
            async with AsyncExitStack() as stack:
                if not no_pages:
                    pages = await stack.enter_async_context(
                        pages_of(
                            phone,
                            clock=clock,
                            home=home,
                            pins=Pins.from_pem(*(pem.encode() for pem in settings.pins)),
                            service=settings.service,
                            capabilities=lambda: radio.capabilities,
                            port=port,
                            notify=notify,
                        )
                    )
                    listeners.append(pages.warned)
                    if sys.stdout.isatty():
                        screen.say(translate(_("The app: {link}"), language, link=pages.link()))
                    else:  # a log is no place for a key
                        command = f"bluezone phone open --home {shlex.quote(str(home))}"
                        message = _("The app opens by the command: {command}")
                        screen.say(translate(message, language, command=command))
                watching = asyncio.create_task(screen.watch())
                keeping = asyncio.create_task(radio.keep())
                try:
                    await phone.run()
                finally:
                    watching.cancel()
                    keeping.cancel()
                    await radio.close()

    # Who stops a background program says SIGTERM: it ends as on Ctrl-C, its radio silent. A shell
    # starts such a program with Ctrl-C ignored, which would ignore this as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with suppress(KeyboardInterrupt):
        run_or_explain(work(), language)


@command.command("open")
@click.option("--print", "only_print", is_flag=True, help="Only print the link.")
@_common
def open_pages(only_print: bool, home: Path, language: str) -> None:
    """Open the app of a running phone in the browser, by a link that works once."""
    settings, clock = phone_settings(home)

    async def work() -> None:
        async with opened(home, settings, clock, _NO_RADIO) as phone:
            port = phone.page_keys.port
            if port is None or not Home(home).is_running:
                raise click.ClickException(
                    translate(
                        _("This phone is not running. Start it first: bluezone phone run"), language
                    )
                )
            link = phone.page_keys.link(port)
            if only_print or sys.stdout.isatty():
                click.echo(link)
            if not only_print:
                await _open_in_browser(Home(home), link, phone.page_keys)

    with suppress(KeyboardInterrupt):
        run_or_explain(work(), language)


async def _open_in_browser(home: Home, link: str, keys: PageKeys) -> None:
    """By a file that is gone as soon as its link was used: every user sees command lines."""
    home.write_opening(link)
    try:
        if webbrowser.open(home.opening.resolve().as_uri()):
            wall = WallClock()  # a browser starts at its own speed, in a rehearsal too
            for _time in range(_OPENING_TIMES):
                if not keys.unused:
                    break
                await wall.sleep(_OPENING_SECONDS)
    finally:
        home.opening.unlink(missing_ok=True)


@command.command()
@click.option(
    "--print", "show", is_flag=True, help="Show what would be written, and write nothing."
)
@_running
def install(
    show: bool,
    home: Path,
    language: str,
    address: str | None,
    pins: tuple[Path, ...],
    clock_file: Path | None,
    spec: str,
    scan_every: float | None,
    model: str | None,
) -> None:
    """Keep this phone running in the background: `run` with these options, from now on and
    from every login on.

    Writes a systemd user unit on Linux, a launchd agent on macOS, a start-up entry on Windows.
    """
    settings, _clock_of_it = phone_settings(home, address, pins, clock_file)
    if settings.clock_file is not None:
        raise click.ClickException("a phone of a rehearsal ends with it and is not installed")
    arguments = ["--home", str(home.resolve()), "--language", language, "--radio", spec]
    if scan_every is not None:
        arguments += ["--scan-every", f"{scan_every:g}"]
    if model is not None:
        arguments += ["--model", model]
    starting = phone_install.program(arguments)
    if show:
        click.echo(f"# {starting.path}")
        click.echo(starting.content.decode())
    else:
        phone_install.install(starting, language)


@command.command()
@_common
def uninstall(home: Path, language: str) -> None:
    """Undo `install`: end the background program and start it no more. The diary is kept."""
    phone_install.uninstall(phone_install.program(), language)


@command.command()
@_common
def status(home: Path, language: str) -> None:
    """Say how the phone is: its diary, its last check, its warnings."""

    def say(message: str, **values: object) -> None:
        click.echo(translate(message, language, **values))

    settings, clock = phone_settings(home)

    async def work() -> None:
        async with opened(home, settings, clock, _NO_RADIO) as phone:
            state = phone.status()
            click.echo(key_notice(state).text(language))
            for notice in state.notices:
                click.echo(notice.text(language))
            say(
                _("Days with encounters in the diary: {days} (kept for {kept})."),
                days=len(phone.diary_days()),
                kept=RETENTION_DAYS,
            )
            if state.checked_at:
                say(_("Last check: {time}."), time=time_words(state.checked_at))
                say(_("Next check: {time}."), time=time_words(state.next_check_at))
            else:
                say(_("Not checked for exposures yet."))
            for name, fault in phone.refused_files().items():
                say(_("Key file {name} was refused: {fault}."), name=name, fault=fault)
            if state.reported_at:
                say(
                    _("This phone reported an infection: {time}."),
                    time=time_words(state.reported_at),
                )
            say(_("Warnings: {count}."), count=state.warnings)

    run_or_explain(work(), language)


@command.command()
@_connected
def check(
    home: Path,
    language: str,
    address: str | None,
    pins: tuple[Path, ...],
    clock_file: Path | None,
) -> None:
    """Look for exposures now, without waiting for the next round."""
    settings, clock = phone_settings(home, address, pins, clock_file)
    screen = Screen(language, clock)

    async def work() -> bool:
        async with opened(home, settings, clock, _NO_RADIO, on_check=screen.checked) as phone:
            done = await phone.check()
            screen.all_warnings(phone)
            return done.error is None

    if not run_or_explain(work(), language):
        raise SystemExit(1)


@command.command()
@click.argument("code")
@click.option("--yes", is_flag=True, help="Agree without being asked.")
@_connected
def report(
    code: str,
    yes: bool,
    home: Path,
    language: str,
    address: str | None,
    pins: tuple[Path, ...],
    clock_file: Path | None,
) -> None:
    """Report a positive test with the one-time CODE of a health worker."""
    settings, clock = phone_settings(home, address, pins, clock_file)
    try:
        typed_code(code)  # before anybody agrees to anything
    except ReportError as error:
        raise click.ClickException(error.text(language)) from error
    click.echo(translate(CONSENT, language, days=RETENTION_DAYS, keys=UPLOAD_KEY_SLOTS))
    agreed = yes or agrees(translate(_("Do you agree?"), language), language)

    async def work() -> None:
        async with opened(home, settings, clock, _NO_RADIO) as phone:
            if agreed:
                click.echo(translate(_("Sending; this takes up to half a minute."), language))
            receipt = await phone.report(code, agreed)
            click.echo(
                translate(
                    _(
                        "Thank you. Keys sent: {keys}. The phones that were near yours will"
                        " find out by themselves, at the earliest in two hours."
                    ),
                    language,
                    keys=receipt.keys,
                )
            )

    run_or_explain(work(), language)


@command.command()
@_common
def warnings(home: Path, language: str) -> None:
    """Print the warnings of the last fourteen days, with what to do."""

    settings, clock = phone_settings(home)

    async def work() -> None:
        async with opened(home, settings, clock, _NO_RADIO) as phone:
            Screen(language, clock).all_warnings(phone)

    run_or_explain(work(), language)


@command.command()
@click.option("--yes", is_flag=True, help="Delete without being asked.")
@_common
def forget(yes: bool, home: Path, language: str) -> None:
    """Delete everything this phone has kept, for good."""
    question = _("Delete the diary, its key and all warnings in {home} for good?")
    if not home.is_dir():
        raise click.ClickException(
            translate(_("There is no phone in {home}."), language, home=home)
        )
    if not (yes or agrees(translate(question, language, home=home), language)):
        raise click.Abort
    try:
        count = Home(home).forget()
    except PhoneRunningError as error:
        raise click.ClickException(error.text(language)) from error
    except OSError as error:
        raise click.ClickException(f"{home} cannot be deleted: {error}") from error
    click.echo(translate(_("{count} files were deleted."), language, count=count))
