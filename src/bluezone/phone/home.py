"""The folder of one phone: its diary, its key, and the lock that keeps a second phone out."""

import fcntl
import html
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bluezone.phone.sealing import (
    DiaryKey,
    Entropy,
    Sealer,
    diary_key,
    forget_key,
    system_keyring,
)
from bluezone.phone.store import Store, StoreError, StoreFault, set_aside
from bluezone.web.catalogue import DEFAULT_LANGUAGE, _, translate

_OPENING: Final = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={link}">
<title>Bluezone</title>
<a href="{link}">Bluezone</a>
"""
# Files that `forget` deletes, with whatever was set aside: a phone's folder may lie inside
# somebody's own, so nothing else is touched.
_OURS: Final = ("diary.sqlite*", "diary.key*", ".diary.key.*", "phone.json", "open.html")


class PhoneRunningError(Exception):
    """Another process is this phone at the moment."""

    def text(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What to tell the owner."""
        return translate(
            _("This phone is running in another window. Stop it there first."), language
        )


class Home:
    """A folder that only its owner can enter. Made if it is not there; OSError if it cannot be."""

    def __init__(self, path: Path, *, use_keyring: bool = True) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._ring = system_keyring() if use_keyring else None

    @property
    def diary(self) -> Path:
        """The SQLite file."""
        return self.path / "diary.sqlite"

    @property
    def opening(self) -> Path:
        """The file that `write_opening` writes."""
        return self.path / "open.html"

    def write_opening(self, link: str) -> None:
        """A file for a browser that goes on to `link`: a command line is everybody's to read.

        Raises OSError.
        """
        self.opening.unlink(missing_ok=True)
        file = os.open(self.opening, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as page:
            page.write(_OPENING.format(link=html.escape(link)))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only running phone here. Raises PhoneRunningError."""
        with (self.path / "phone.lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise PhoneRunningError("another process holds this phone's lock") from error
            yield

    @property
    def is_running(self) -> bool:
        """Whether some process is this phone at the moment."""
        try:
            with self.lock():
                return False
        except PhoneRunningError:
            return True

    def open_store(self, entropy: Entropy) -> tuple[Store, DiaryKey, Path | None]:
        """The store, its key, and where a damaged diary was put aside, if one was.

        Raises StoreError (unless it is damage), KeyUnavailableError, PhoneRunningError, OSError.
        """
        key = diary_key(self.path, self._ring, entropy)
        try:
            return Store(self.diary, Sealer(key.key, entropy)), key, None
        except StoreError as error:
            if error.fault is not StoreFault.DAMAGED:
                raise
        with self.lock():  # never from under a phone that is running
            return self.begin_anew(entropy)

    def begin_anew(self, entropy: Entropy) -> tuple[Store, DiaryKey, Path | None]:
        """As `open_store`, with the diary of now put aside. The caller holds the lock."""
        aside = set_aside(self.diary)
        key = diary_key(self.path, self._ring, entropy)
        return Store(self.diary, Sealer(key.key, entropy)), key, aside

    def forget_diary(self) -> None:
        """Delete the file itself, where it cannot be emptied and overwritten."""
        for path in self.path.glob("diary.sqlite*"):
            path.unlink(missing_ok=True)

    def forget_aside(self) -> None:
        """Delete damaged diaries that were put aside."""
        for path in self.path.glob("diary.sqlite*.damaged-*"):
            path.unlink(missing_ok=True)

    def forget(self) -> int:
        """Delete diary, keys and settings for good; return how many files went.

        Raises PhoneRunningError.
        """
        with self.lock():
            forget_key(self.path, self._ring)
            ours = [path for pattern in _OURS for path in self.path.glob(pattern)]
            for path in ours:
                path.unlink(missing_ok=True)
        (self.path / "phone.lock").unlink(missing_ok=True)
        return len(ours)
