"""`bluezone phone`: a phone in a terminal, on any radio, with any service of ours."""

import asyncio
import os
import signal
import unicodedata
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from bluezone.clock import Clock, WallClock
from bluezone.clock.driven import ClockFile, ClockFileError, DrivenClock
from bluezone.commands import phone_install
from bluezone.phone.explanation import ExposureWarning
from bluezone.phone.exposure_check import Check
from bluezone.phone.home import Home, PhoneRunningError
from bluezone.phone.notices import Notice
from bluezone.phone.phone import Phone, Status
from bluezone.phone.report import CONSENT, ReportError, typed_code
from bluezone.phone.sealing import KeyPlace, KeyUnavailableError
from bluezone.phone.service import Service, ServiceError
from bluezone.phone.store import StoreError
from bluezone.protocol.deployment import RETENTION_DAYS, UPLOAD_KEY_SLOTS
from bluezone.protocol.intervals import vietnam_time
from bluezone.protocol.trust import Pins, TrustError
from bluezone.proximity import SHIPPED
from bluezone.radio.absent import AbsentRadio
from bluezone.radio.interface import Radio, RadioError
from bluezone.radio.open import AUTO, KeptOpenRadio
from bluezone.web.catalogue import DEFAULT_LANGUAGE, LANGUAGES, _, translate

T = TypeVar("T")
Verb = Callable[..., None]

_NO_RADIO: Final = AbsentRadio("this command uses no radio")
# Whatever language is shown: people type the one they think in, and often without its accents.
_YES: Final = frozenset({"y", "yes", "c", "có", "co"})
_NO: Final = frozenset({"", "n", "no", "k", "không", "khong"})


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `run` was told, for the other verbs: `phone.json` in the phone's folder."""

    service: str
    pins: list[str]  # PEM
    clock_file: str | None = None  # of a rehearsal


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
def run(
    home: Path,
    language: str,
    address: str | None,
    pins: tuple[Path, ...],
    clock_file: Path | None,
    spec: str,
    scan_every: float | None,
    model: str | None,
) -> None:
    """Notice others, check for exposures and warn, until Ctrl-C."""
    if model is not None and model not in SHIPPED.models:
        known = ", ".join(sorted(SHIPPED.models))
        click.echo(f"{model}: no calibrated model, counts as average; known: {known}", err=True)
    settings, clock = _settings(home, address, pins, clock_file)
    screen = _Screen(language, clock)

    async def work() -> None:
        radio = await KeptOpenRadio.open(spec, clock)
        async with _opened(
            home,
            settings,
            clock,
            radio,
            scan_every=scan_every,
            model=model,
            on_scan=screen.scanned,
            on_check=screen.checked,
            on_warning=screen.warned,
        ) as phone:
            screen.phone = phone
            screen.say(_key_notice(phone.status()).text(language))
            watching = asyncio.create_task(screen.watch())
            keeping = asyncio.create_task(radio.keep())
            try:
                await phone.run()
            finally:
                watching.cancel()
                keeping.cancel()
                await radio.close()

    # Who stops a background program says SIGTERM: it ends as on Ctrl-C, its radio silent.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with suppress(KeyboardInterrupt):
        _run(work(), language)


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
    settings, _clock_of_it = _settings(home, address, pins, clock_file)
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

    settings, clock = _settings(home)

    async def work() -> None:
        async with _opened(home, settings, clock, _NO_RADIO) as phone:
            state = phone.status()
            click.echo(_key_notice(state).text(language))
            for notice in state.notices:
                click.echo(notice.text(language))
            say(
                _("Days with encounters in the diary: {days} (kept for {kept})."),
                days=len(phone.diary_days()),
                kept=RETENTION_DAYS,
            )
            if state.checked_at:
                say(_("Last check: {time}."), time=_time(state.checked_at))
                say(_("Next check: {time}."), time=_time(state.next_check_at))
            else:
                say(_("Not checked for exposures yet."))
            for name, fault in phone.refused_files().items():
                say(_("Key file {name} was refused: {fault}."), name=name, fault=fault)
            if state.reported_at:
                say(_("This phone reported an infection: {time}."), time=_time(state.reported_at))
            say(_("Warnings: {count}."), count=state.warnings)

    _run(work(), language)


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
    settings, clock = _settings(home, address, pins, clock_file)
    screen = _Screen(language, clock)

    async def work() -> bool:
        async with _opened(home, settings, clock, _NO_RADIO, on_check=screen.checked) as phone:
            done = await phone.check()
            screen.all_warnings(phone.warnings())
            return done.error is None

    if not _run(work(), language):
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
    settings, clock = _settings(home, address, pins, clock_file)
    try:
        typed_code(code)  # before anybody agrees to anything
    except ReportError as error:
        raise click.ClickException(error.text(language)) from error
    click.echo(translate(CONSENT, language, days=RETENTION_DAYS, keys=UPLOAD_KEY_SLOTS))
    agreed = yes or _agrees(translate(_("Do you agree?"), language), language)

    async def work() -> None:
        async with _opened(home, settings, clock, _NO_RADIO) as phone:
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

    _run(work(), language)


@command.command()
@_common
def warnings(home: Path, language: str) -> None:
    """Print the warnings of the last fourteen days, with what to do."""

    settings, clock = _settings(home)

    async def work() -> None:
        async with _opened(home, settings, clock, _NO_RADIO) as phone:
            _Screen(language, clock).all_warnings(phone.warnings())

    _run(work(), language)


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
    if not (yes or _agrees(translate(question, language, home=home), language)):
        raise click.Abort
    try:
        count = Home(home).forget()
    except PhoneRunningError as error:
        raise click.ClickException(error.text(language)) from error
    except OSError as error:
        raise click.ClickException(f"{home} cannot be deleted: {error}") from error
    click.echo(translate(_("{count} files were deleted."), language, count=count))


def _agrees(question: str, language: str) -> bool:
    """The answer to `question`; nothing typed is a no, and what is neither is asked again."""
    while True:
        asked = f"{question} {translate(_('[y/N]'), language)}"
        answer = click.prompt(asked, default="", show_default=False)
        word = unicodedata.normalize("NFC", answer).strip().lower()
        if word in _YES or word in _NO:
            return word in _YES
        click.echo(translate(_("Please answer yes or no."), language))


class _Screen:
    """What `run` and `check` print: counts and sentences, never an identifier."""

    def __init__(self, language: str, clock: Clock) -> None:
        self._language = language
        self._clock = clock
        self._wall = WallClock()  # people read at their own speed, in a rehearsal too
        self._nearby: tuple[int, int] = (0, 0)
        self._notices: tuple[Notice, ...] = ()
        self.phone: Phone | None = None

    def say(self, text: str) -> None:
        click.echo(f"{vietnam_time(self._clock.now()):%H:%M:%S}  {text}")

    def scanned(self, _count: int) -> None:
        scan = self.phone.status().last_scan if self.phone else None
        if scan is None or (scan.new == 0 and (scan.heard, scan.near) == self._nearby):
            return
        self._nearby = scan.heard, scan.near
        self.say(
            translate(
                _("Phones nearby: {heard} ({near} near, {far} far)."),
                self._language,
                heard=scan.heard,
                near=scan.near,
                far=scan.heard - scan.near,
            )
        )

    def checked(self, done: Check) -> None:
        for name, fault in done.refused:
            message = _("Key file {name} was refused: {fault}.")
            self.say(translate(message, self._language, name=name, fault=fault))
        if done.error is not None:
            self.say(done.error.text(self._language))
            if not done.files:
                message = _("Next check: {time}.")
                self.say(translate(message, self._language, time=_time(done.next_at)))
                return
        self.say(
            translate(
                _("Checked for exposures: {files} new files, {keys} keys. Next check: {time}."),
                self._language,
                files=done.files,
                keys=done.keys,
                time=_time(done.next_at),
            )
        )

    def warned(self, warning: ExposureWarning) -> None:
        self.say(warning.text(self._language))
        self.say(warning.advice(self._language))

    def all_warnings(self, given: list[ExposureWarning]) -> None:
        for warning in given:
            click.echo(warning.text(self._language))
        if given:
            click.echo(given[-1].advice(self._language))
        else:
            click.echo(translate(_("No warnings."), self._language))

    async def watch(self) -> None:
        """Say what changes in the phone's own state."""
        while True:
            if self.phone is not None:
                notices = self.phone.status().notices
                for notice in notices:
                    if notice not in self._notices:
                        self.say(notice.text(self._language))
                if self._notices and not notices:
                    self.say(translate(_("Everything is in order again."), self._language))
                self._notices = notices
            await self._wall.sleep(1.0)


@asynccontextmanager
async def _opened(
    home: Path, settings: _Settings, clock: Clock, radio: Radio, **options: Any
) -> AsyncIterator[Phone]:
    service = Service(settings.service)
    pins = Pins.from_pem(*(pem.encode() for pem in settings.pins))
    try:
        phone = Phone(home, radio, service, pins, clock, **options)
        try:
            yield phone
        finally:
            await phone.close()
    finally:
        await service.close()


def _settings(
    home: Path,
    address: str | None = None,
    pins: tuple[Path, ...] = (),
    clock_file: Path | None = None,
) -> tuple[_Settings, Clock]:
    """The given settings over the kept ones, kept for next time, and the phone's time.

    Raises ClickException.
    """
    path = home / "phone.json"
    kept: _Settings | None = None
    try:
        if path.exists():
            kept = msgspec.json.decode(path.read_bytes(), type=_Settings)
        address = address or (kept.service if kept else None)
        pems = [pin.read_text("utf-8", errors="replace") for pin in pins] or (
            kept.pins if kept else []
        )
        if address is None or not pems:
            raise click.ClickException(
                f"There is no phone in {home} yet: give --service ADDRESS and --pin"
                " root-public.pem once."
            )
        Service(address)
        Pins.from_pem(*(pem.encode() for pem in pems))
        named = str(clock_file) if clock_file else None
        if kept and named not in (None, kept.clock_file):
            raise click.ClickException(
                f"The phone in {home} lives by another time already, and a diary cannot hold two:"
                " take another --home."
            )
        settings = _Settings(address, pems, kept.clock_file if kept else named)
        clock = _clock(settings)
        if settings != kept:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(msgspec.json.encode(settings))
    except msgspec.DecodeError as error:
        raise click.ClickException(
            f"{path} is damaged: {error}. Delete it and start again."
        ) from error
    except (ClockFileError, TrustError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{home} cannot be used: {error}") from error
    return settings, clock


def _clock(settings: _Settings) -> Clock:
    if settings.clock_file is None:
        return WallClock()
    if os.environ.get("BLUEZONE_ENVIRONMENT") != "demo":
        raise click.ClickException(
            "a clock file lets another process set the time by which this phone broadcasts and"
            " warns, so it is refused here; only BLUEZONE_ENVIRONMENT=demo allows it"
        )
    return DrivenClock(ClockFile(Path(settings.clock_file)), holds_driver=False)


def _run(work: Coroutine[Any, Any, T], language: str) -> T:
    try:
        return asyncio.run(work)
    except (
        KeyUnavailableError,
        PhoneRunningError,
        ReportError,
        ServiceError,
        StoreError,
    ) as error:
        raise click.ClickException(error.text(language)) from error
    except RadioError as error:
        raise click.ClickException(f"the radio cannot be used: {error}") from error
    except OSError as error:
        raise click.ClickException(f"the phone's folder cannot be used: {error}") from error


def _key_notice(state: Status) -> Notice:
    in_file = state.key_place is KeyPlace.FILE
    return Notice.KEY_IN_FILE if in_file else Notice.KEY_IN_KEYRING


def _time(unix_time: float) -> str:
    return f"{vietnam_time(unix_time):%d/%m %H:%M}"
