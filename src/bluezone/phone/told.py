"""What the phone told its owner, to be read again: one row for each message, kept for 14 days."""

from contextlib import suppress
from enum import StrEnum

import msgspec

from bluezone.phone.store import Store, StoreError
from bluezone.protocol.intervals import utc_day_number


class Kind(StrEnum):
    """What a message is about."""

    EXPOSURE = "exposure"
    BLUETOOTH = "bluetooth"  # off for an hour
    CHECK = "check"  # no successful look for exposures for a day
    NEWS = "news"
    HEALTH_STAFF = "health-staff"  # what became of a hand-over


class Told(msgspec.Struct, frozen=True):
    """One message, in every language.

    `shown` says that it was brought to its owner outside the pages; at night it waits for that.
    """

    kind: Kind
    time: float
    text: dict[str, str]
    read: bool = False
    shown: bool = True


class Messages:
    """The messages so far."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, told: Told) -> None:
        """Keep one. Raises StoreError."""
        day = utc_day_number(told.time)
        self._store.execute(
            "INSERT INTO told (day, sealed) VALUES (?, ?)",
            (day, self._store.seal(told, f"told:{day}")),
        )

    def all(self) -> list[tuple[int, Told]]:
        """(number, message), newest first. Raises StoreError.

        A damaged row is passed over: it must not silence the others.
        """
        found: list[tuple[int, Told]] = []
        for number, day, sealed in self._store.execute(
            "SELECT id, day, sealed FROM told ORDER BY id DESC"
        ):
            with suppress(StoreError):
                found.append((number, self._store.open(sealed, f"told:{day}", Told)))
        return found

    def unshown(self) -> list[tuple[int, Told]]:
        """Those that are still to be shown, oldest first. Raises StoreError."""
        return [(number, told) for number, told in reversed(self.all()) if not told.shown]

    def mark_shown(self, number: int, told: Told) -> None:
        """Raises StoreError."""
        self._change(number, msgspec.structs.replace(told, shown=True))

    def take_back(self, kind: Kind) -> None:
        """Delete what was not shown yet of a kind: it is mended. Raises StoreError."""
        for number, told in self.unshown():
            if told.kind is kind:
                self._store.execute("DELETE FROM told WHERE id = ?", (number,))

    def mark_read(self) -> None:
        """All of them. Raises StoreError."""
        with self._store.transaction():
            for number, told in self.all():
                if not told.read:
                    self._change(number, msgspec.structs.replace(told, read=True))

    def _change(self, number: int, told: Told) -> None:
        self._store.execute(
            "UPDATE told SET sealed = ? WHERE id = ?",
            (self._store.seal(told, f"told:{utc_day_number(told.time)}"), number),
        )

    def forget(self, kind: Kind) -> None:
        """Delete all messages of one kind. Raises StoreError."""
        with self._store.transaction():
            for number, told in self.all():
                if told.kind is kind:
                    self._store.execute("DELETE FROM told WHERE id = ?", (number,))

    def forget_before(self, day: int) -> int:
        """Delete the messages of all UTC days before `day`; return how many."""
        gone = self._store.execute("SELECT count(*) FROM told WHERE day < ?", (day,))[0][0]
        self._store.execute("DELETE FROM told WHERE day < ?", (day,))
        return int(gone)
