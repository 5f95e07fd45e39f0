"""The phone's SQLite file: sealed values, one writer at a time, and faults said by name."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from bluezone.phone.notices import Notice
from bluezone.phone.sealing import Sealer, UnsealError
from bluezone.web.catalogue import DEFAULT_LANGUAGE, _, translate

T = TypeVar("T")

_VERSION: Final = 4
# `day` is a day number (UTC, but Vietnamese of windows and warnings), left readable so that
# retention works without unsealing; everything that says where a person was or whom they met
# is sealed.
_FIRST: Final = """
CREATE TABLE scan (id INTEGER PRIMARY KEY, day INTEGER NOT NULL, sealed BLOB NOT NULL);
CREATE INDEX scan_by_day ON scan (day);
CREATE TABLE tek (rolling_start INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE key_file (
    name TEXT PRIMARY KEY, sha256 TEXT NOT NULL, fault TEXT, final INTEGER NOT NULL,
    day INTEGER NOT NULL
);
CREATE TABLE exposure_window (id INTEGER PRIMARY KEY, day INTEGER NOT NULL, sealed BLOB NOT NULL);
CREATE TABLE warning (day INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE state (name TEXT PRIMARY KEY, sealed BLOB NOT NULL);
"""
_SECOND: Final = """
CREATE TABLE exchange (id INTEGER PRIMARY KEY, day INTEGER NOT NULL, sealed BLOB NOT NULL);
CREATE TABLE told (id INTEGER PRIMARY KEY, day INTEGER NOT NULL, sealed BLOB NOT NULL);
ALTER TABLE key_file ADD COLUMN keys INTEGER NOT NULL DEFAULT 0;
"""
# A file holds the scans of one day and a page for each day before: less to look through than
# an index is to keep at every scan.
_THIRD: Final = "DROP INDEX scan_by_day"
# Days of both are UTC: that of a commitment, and that of a published key which was heard here.
_FOURTH: Final = """
CREATE TABLE commitment (day INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE matched_key (id INTEGER PRIMARY KEY, day INTEGER NOT NULL, sealed BLOB NOT NULL)
"""
_STEPS: Final = (_FIRST, _SECOND, _THIRD, _FOURTH)  # from one version of the file to the next
_BUSY_SECONDS: Final = 5.0
_KEY_CHECK: Final = "key-check"


class StoreFault(Enum):
    """What is wrong with the file: what the phone does next depends on it."""

    FULL = "full"  # no room, or the disk refuses to write
    DAMAGED = "damaged"  # not a diary, broken pages, or sealed with another key
    BUSY = "busy"  # another process has held it for longer than we wait
    CLOSED = "closed"  # everything was deleted, or a damaged file put aside, meanwhile
    NEWER = "newer"  # written by a later version of the app


_SENTENCES: Final = {
    StoreFault.FULL: Notice.DISK_FULL.value,
    StoreFault.DAMAGED: _("The diary is damaged. It is put aside when the phone starts again."),
    StoreFault.BUSY: _("Another program holds the diary. Try again in a moment."),
    StoreFault.CLOSED: _("What was kept has been deleted or put aside meanwhile."),
    StoreFault.NEWER: _("The diary was written by a newer version of this app. Update the app."),
}


class StoreError(Exception):
    """The phone's file cannot be used; `fault` says why."""

    def __init__(self, fault: StoreFault, detail: str) -> None:
        super().__init__(f"the diary file is unusable ({fault.value}): {detail}")
        self.fault = fault

    def text(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What to tell the owner."""
        return translate(_SENTENCES[self.fault], language)


# Primary result codes, https://sqlite.org/rescode.html
_FAULTS: Final = {
    sqlite3.SQLITE_BUSY: StoreFault.BUSY,
    sqlite3.SQLITE_LOCKED: StoreFault.BUSY,
    sqlite3.SQLITE_CORRUPT: StoreFault.DAMAGED,
    sqlite3.SQLITE_NOTADB: StoreFault.DAMAGED,
}


def _said(error: sqlite3.Error) -> StoreError:
    if isinstance(error, sqlite3.ProgrammingError):
        return StoreError(StoreFault.CLOSED, str(error))
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF
    # Whatever else stops a write (no room, no right, a dying disk) is for the person to mend.
    return StoreError(_FAULTS.get(code, StoreFault.FULL), str(error))


class Store:
    """One connection. A committed statement survives the end of the process at any moment."""

    def __init__(self, path: Path, sealer: Sealer) -> None:
        """Open or make the file. Raises StoreError."""
        self.sealer = sealer
        self._depth = 0
        with suppress(OSError):  # SQLite says better what is wrong
            # Made here for its owner alone; SQLite gives its log the same mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
        except sqlite3.Error as error:
            raise _said(error) from error
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        self.execute("PRAGMA journal_mode = WAL")
        self.execute("PRAGMA synchronous = NORMAL")
        self.execute("PRAGMA secure_delete = ON")  # what retention deletes is overwritten
        with self.transaction():
            version = self.execute("PRAGMA user_version")[0][0]
            if version > _VERSION:
                raise StoreError(StoreFault.NEWER, f"version {version}; update this app")
            for step in _STEPS[version:]:
                for statement in step.split(";"):
                    self.execute(statement)
            self.execute(f"PRAGMA user_version = {_VERSION}")
            if version == 0:
                self.save(_KEY_CHECK, True)
        if self.execute("PRAGMA quick_check(1)") != [("ok",)]:
            raise StoreError(StoreFault.DAMAGED, "its pages do not fit together")
        if self.load(_KEY_CHECK, bool) is not True:
            raise StoreError(StoreFault.DAMAGED, "it has lost its key check")

    def execute(self, sql: str, arguments: tuple[object, ...] = ()) -> list[Any]:
        """Run one statement and return its rows. Raises StoreError."""
        try:
            return self._connection.execute(sql, arguments).fetchall()
        except sqlite3.Error as error:
            raise _said(error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. May be nested; the outermost one commits. Raises StoreError."""
        if self._depth == 0:
            self.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
            if self._depth == 1:
                self.execute("COMMIT")
        except BaseException:
            if self._depth == 1:
                with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    self._connection.execute("ROLLBACK")
            raise
        finally:
            self._depth -= 1

    def load(self, name: str, kind: type[T]) -> T | None:
        """The sealed value kept under `name`, or None. Raises StoreError."""
        rows = self.execute("SELECT sealed FROM state WHERE name = ?", (name,))
        return self.open(rows[0][0], f"state:{name}", kind) if rows else None

    def save(self, name: str, value: object) -> None:
        """Keep `value` (anything msgspec can encode) sealed under `name`. Raises StoreError."""
        self.execute(
            "INSERT OR REPLACE INTO state (name, sealed) VALUES (?, ?)",
            (name, self.seal(value, f"state:{name}")),
        )

    def drop(self, name: str) -> None:
        """Forget the value kept under `name`. Raises StoreError."""
        self.execute("DELETE FROM state WHERE name = ?", (name,))

    def seal(self, value: object, place: str) -> bytes:
        """`value` as sealed MessagePack."""
        return self.sealer.seal(msgspec.msgpack.encode(value), place.encode())

    def open(self, sealed: bytes, place: str, kind: type[T]) -> T:
        """A value sealed by `seal`. Raises StoreError (DAMAGED)."""
        try:
            return msgspec.msgpack.decode(self.sealer.unseal(sealed, place.encode()), type=kind)
        except (UnsealError, msgspec.DecodeError) as error:
            raise StoreError(StoreFault.DAMAGED, str(error)) from error

    def wipe(self) -> None:
        """Delete everything that is kept; the file and its key stay. Raises StoreError."""
        with self.transaction():
            for (table,) in self.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"):
                self.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            self.save(_KEY_CHECK, True)
        self.forget_deleted()

    def forget_deleted(self) -> None:
        """Empty the write-ahead log, which still holds what was deleted. Raises StoreError."""
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Release the file."""
        self._connection.close()


def set_aside(path: Path) -> Path:
    """Rename a damaged file (with its write-ahead log) to `.damaged-N`; return the new path."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):  # the file last: until it moves, this can be repeated
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside
