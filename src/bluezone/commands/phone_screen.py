"""What `bluezone phone` prints and asks in a terminal."""

import unicodedata
from typing import Final

import click

from bluezone.clock import Clock, WallClock
from bluezone.phone.explanation import ExposureWarning
from bluezone.phone.exposure_check import Check
from bluezone.phone.notices import Notice
from bluezone.phone.phone import Phone, Status
from bluezone.phone.sealing import KeyPlace
from bluezone.protocol.intervals import vietnam_time
from bluezone.web.catalogue import _, translate

# Whatever language is shown: people type the one they think in, and often without its accents.
_YES: Final = frozenset({"y", "yes", "c", "có", "co"})
_NO: Final = frozenset({"", "n", "no", "k", "không", "khong"})


class Screen:
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
                self.say(translate(message, self._language, time=time_words(done.next_at)))
                return
        self.say(
            translate(
                _("Checked for exposures: {files} new files, {keys} keys. Next check: {time}."),
                self._language,
                files=done.files,
                keys=done.keys,
                time=time_words(done.next_at),
            )
        )

    def warned(self, warning: ExposureWarning) -> None:
        self.say(warning.text(self._language))
        self.say(warning.advice(self._language))

    def all_warnings(self, phone: Phone) -> None:
        given = phone.warnings()
        for warning in given:
            click.echo(warning.text(self._language))
        if given:
            newest = max(given, key=lambda warning: warning.noticed_at)
            click.echo(newest.advice(self._language, phone.handovers.who_knows(newest)))
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


def agrees(question: str, language: str) -> bool:
    """The answer to `question`; nothing typed is a no, and what is neither is asked again."""
    while True:
        asked = f"{question} {translate(_('[y/N]'), language)}"
        answer = click.prompt(asked, default="", show_default=False)
        word = unicodedata.normalize("NFC", answer).strip().lower()
        if word in _YES or word in _NO:
            return word in _YES
        click.echo(translate(_("Please answer yes or no."), language))


def key_notice(state: Status) -> Notice:
    """Where the diary's key is."""
    in_file = state.key_place is KeyPlace.FILE
    return Notice.KEY_IN_FILE if in_file else Notice.KEY_IN_KEYRING


def time_words(unix_time: float) -> str:
    """Day and minute in Vietnam."""
    return f"{vietnam_time(unix_time):%d/%m %H:%M}"
