"""What the checks have found: key files seen, exposure windows, and the warnings given."""

from collections.abc import Sequence

from bluezone.phone.explanation import ExposureWarning
from bluezone.phone.store import Store
from bluezone.protocol.deployment import ROLLING_PERIOD
from bluezone.protocol.exposure import ExposureWindow
from bluezone.protocol.index import IndexedFile
from bluezone.protocol.intervals import day_number
from bluezone.protocol.keys import TemporaryExposureKey
from bluezone.protocol.unprintable import Unprintable


class _Matched(Unprintable, frozen=True):
    """A published key that was heard here."""

    key: bytes
    rolling_start: int
    rolling_period: int


class Exposures:
    """The outcome of every check, kept as long as the diary."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def unread(self, files: Sequence[IndexedFile]) -> list[IndexedFile]:
        """Files that are neither read nor refused for good, in their order."""
        settled = {
            (name, sha256)
            for name, sha256 in self._store.execute("SELECT name, sha256 FROM key_file WHERE final")
        }
        return [file for file in files if (file.name, file.sha256) not in settled]

    def accept(
        self,
        file: IndexedFile,
        day: int,
        windows: Sequence[ExposureWindow],
        keys: int,
        matched: Sequence[TemporaryExposureKey] = (),
    ) -> None:
        """Settle a file of so many `keys` with what it showed: both or neither is kept.

        `matched` are its keys that were heard here, for a claim that its owner may send.
        """
        with self._store.transaction():
            if not self.unread([file]):  # another process of this phone has just read it
                return
            self._settle(file, day, None, final=True, keys=keys)
            for window in windows:
                day = window.local_day  # as their warning, so that they are forgotten with it
                self._store.execute(
                    "INSERT INTO exposure_window (day, sealed) VALUES (?, ?)",
                    (day, self._store.seal(window, f"window:{day}")),
                )
            for tek in matched:
                day = tek.rolling_start // ROLLING_PERIOD
                kept = _Matched(tek.key, tek.rolling_start, tek.rolling_period)
                self._store.execute(
                    "INSERT INTO matched_key (day, sealed) VALUES (?, ?)",
                    (day, self._store.seal(kept, f"matched:{day}")),
                )

    def refuse(self, file: IndexedFile, day: int, fault: str, *, final: bool) -> None:
        """Remember why a file was refused.

        `final`: its content is what the signed index promises, so it never gets better.
        Otherwise it was lost or changed on its way, and the next check asks again.
        """
        self._settle(file, day, fault, final=final)

    def compared(self) -> tuple[int, int]:
        """How many files and keys were compared in the traced period."""
        rows = self._store.execute(
            "SELECT count(*), coalesce(sum(keys), 0) FROM key_file WHERE fault IS NULL"
        )
        return int(rows[0][0]), int(rows[0][1])

    def refused(self) -> dict[str, str]:
        """The refused files and their faults."""
        rows = self._store.execute("SELECT name, fault FROM key_file WHERE fault IS NOT NULL")
        return {name: fault for name, fault in rows}

    def windows(self) -> list[ExposureWindow]:
        """All exposure windows of the traced period."""
        return [
            self._store.open(sealed, f"window:{day}", ExposureWindow)
            for day, sealed in self._store.execute(
                "SELECT day, sealed FROM exposure_window ORDER BY id"
            )
        ]

    def matched(self) -> list[TemporaryExposureKey]:
        """The published keys that were heard here, oldest day first. Raises StoreError."""
        found: list[TemporaryExposureKey] = []
        for day, sealed in self._store.execute(
            "SELECT day, sealed FROM matched_key ORDER BY day, id"
        ):
            kept = self._store.open(sealed, f"matched:{day}", _Matched)
            tek = TemporaryExposureKey(kept.key, kept.rolling_start, kept.rolling_period)
            if tek not in found:
                found.append(tek)
        return found

    def warnings(self) -> list[ExposureWarning]:
        """The warnings given, oldest day first."""
        return [
            self._store.open(sealed, f"warning:{day}", ExposureWarning)
            for day, sealed in self._store.execute("SELECT day, sealed FROM warning ORDER BY day")
        ]

    def warn(self, warning: ExposureWarning) -> None:
        """Keep a warning; a later one of the same day replaces it."""
        day = day_number(warning.day)
        self._store.execute(
            "INSERT OR REPLACE INTO warning (day, sealed) VALUES (?, ?)",
            (day, self._store.seal(warning, f"warning:{day}")),
        )

    def forget_found(self) -> None:
        """Delete windows and warnings; files stay read, so they do not come back."""
        with self._store.transaction():
            self._store.execute("DELETE FROM exposure_window")
            self._store.execute("DELETE FROM warning")
            self._store.execute("DELETE FROM matched_key")

    def forget_before(self, day: int) -> int:
        """Delete what earlier days showed, and files that left the index long ago."""
        gone = 0
        for table in ("exposure_window", "warning", "key_file", "matched_key"):
            where = f"FROM {table} WHERE day < ?"
            gone += self._store.execute(f"SELECT count(*) {where}", (day,))[0][0]
            self._store.execute(f"DELETE {where}", (day,))
        return gone

    def _settle(
        self, file: IndexedFile, day: int, fault: str | None, *, final: bool, keys: int = 0
    ) -> None:
        self._store.execute(
            "INSERT OR REPLACE INTO key_file (name, sha256, fault, final, day, keys)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (file.name, file.sha256, fault, final, day, keys),
        )
