"""Nightly commitments, and the claims that open them (docs/protocol.md, "Commitment", "Claim").

Only with its owner's consent, and at a random moment after the key day has ended: 32 random-looking
bytes that are joined to nothing. What is needed to open them stays here for as long as the diary.
"""

import os
import random
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import Final

import msgspec
import numpy as np

from bluezone.clock import Clock
from bluezone.phone.diary import Diary
from bluezone.phone.explanation import ExposureWarning
from bluezone.phone.identity import Identity
from bluezone.phone.ledger import LedgeredService
from bluezone.phone.sealing import Entropy
from bluezone.phone.service import ServiceError
from bluezone.phone.settings import load_settings
from bluezone.phone.store import Store, StoreError, StoreFault
from bluezone.protocol.claim import (
    MAX_CLAIM_BYTES,
    MAX_CLAIM_DAYS,
    MAX_CLAIM_LEAVES,
    MAX_CLAIMED_KEYS,
    Claim,
    ClaimedDay,
)
from bluezone.protocol.commitment import (
    SECRET_BYTES,
    CommittedDay,
    NightlyCommitment,
    OpenedLeaf,
    key_content,
    sighting_contents,
)
from bluezone.protocol.deployment import (
    COMMITMENT_SPREAD_SECONDS,
    RETENTION_DAYS,
    ROLLING_PERIOD,
)
from bluezone.protocol.intervals import DAY_SECONDS, day_number, utc_day_number, vietnam_day_number
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.keys import DiagnosisKey, TemporaryExposureKey
from bluezone.protocol.matching import find_matches
from bluezone.protocol.sightings import ScanRecords
from bluezone.protocol.unprintable import Unprintable

COMMITMENTS_PATH: Final = "/v1/commitments"
# Who opts in is noticed within this time; until then nothing is planned.
_LONGEST_WAIT_SECONDS: Final = 3600.0
_LEAST_WAIT_SECONDS: Final = 1.0
_STORE_RETRY_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = (300.0, 3600.0)
_PUT: Final = "INSERT OR REPLACE INTO commitment (day, sealed) VALUES (?, ?)"
# A leaf's fields around its content, and JSON's own characters.
_LEAF_OVERHEAD_BYTES: Final = 900


class _Kept(Unprintable, frozen=True, kw_only=True):
    """One day's commitment: planned, then `tree` packed, then sent or given up."""

    secret: bytes
    due_at: float
    tree: bytes = b""
    commitment: bytes = b""
    sent_at: float = 0.0
    settled: bool = False  # sent, or there is nothing to send


class CommitmentEntry(msgspec.Struct, frozen=True):
    """A commitment for its owner to read. `sent_at` is None while it waits."""

    day: int  # UTC days since 1970-01-01
    commitment: str  # hex; empty before its day is over
    sent_at: float | None


class Commitments:
    """Plans, sends, opens, forgets."""

    def __init__(
        self,
        store: Store,
        diary: Diary,
        identity: Identity,
        service: LedgeredService,
        clock: Clock,
        rng: random.Random,
        entropy: Entropy = os.urandom,
    ) -> None:
        self._store = store
        self._diary = diary
        self._identity = identity
        self._service = service
        self._clock = clock
        self._rng = rng
        self._entropy = entropy

    async def run(self) -> None:
        """Send every night until cancelled. Raises StoreError for a damaged diary alone."""
        while True:
            try:
                await self._clock.sleep(self.next_wait())
                with suppress(ServiceError):  # it is tried again, at another moment
                    await self.send_due()
            except StoreError as error:
                if error.fault is StoreFault.DAMAGED:
                    raise
                await self._clock.sleep(_STORE_RETRY_SECONDS)

    # --- every night --------------------------------------------------------------------
    def next_wait(self) -> float:
        """Seconds until `send_due` has something to do, an hour at most. Raises StoreError."""
        now = self._clock.now()
        due = [kept.due_at for _day, kept in self._rows() if not kept.settled]
        wait = min(due, default=now + _LONGEST_WAIT_SECONDS) - now
        return min(_LONGEST_WAIT_SECONDS, max(_LEAST_WAIT_SECONDS, wait))

    async def send_due(self) -> None:
        """Plan the days since consent, and send what is due. Raises ServiceError, StoreError.

        A day that was missed is sent later, at a moment of its own, as long as keys of it can
        still become public.
        """
        since = load_settings(self._store).commitments_since
        if since is None:
            return
        now = self._clock.now()
        self._plan(since, now)
        faults: list[ServiceError] = []
        for day, kept in self._rows():
            over = now >= (day + 1) * DAY_SECONDS
            if kept.settled or not over or kept.due_at > now:
                continue
            if not self._could_count(day, now):
                self._change(day, settled=True)
                continue
            try:
                await self._send(day, kept)
            except ServiceError as error:
                again = self._clock.now() + self._rng.uniform(*_RETRY_SECONDS)
                self._change(day, due_at=again, settled=error.final)
                faults.append(error)
        if faults:
            raise faults[0]

    def _plan(self, since: float, now: float) -> None:
        today = utc_day_number(now)
        first = max(utc_day_number(since), today - RETENTION_DAYS)
        planned = {day for day, _kept in self._rows()}
        for day in range(first, today + 1):
            if day in planned:
                continue
            end = (day + 1) * DAY_SECONDS
            due = max(now, float(end)) + self._rng.uniform(0, COMMITMENT_SPREAD_SECONDS)
            self._put(day, _Kept(secret=self._entropy(SECRET_BYTES), due_at=due))

    @staticmethod
    def _could_count(day: int, now: float) -> bool:
        """Whether a key of `day` can become public after `now`: reports hold fourteen days."""
        return day >= utc_day_number(now) - RETENTION_DAYS

    async def _send(self, day: int, kept: _Kept) -> None:
        commitment = kept.commitment
        if not commitment:  # a phone that dies after this sends the same again
            contents = self._contents(day)
            if not contents:
                self._change(day, settled=True)
                return
            tree = CommittedDay.of(day, kept.secret, contents)
            commitment = tree.commitment()
            self._change(day, tree=tree.packed(), commitment=commitment)
        body = msgspec.json.encode(NightlyCommitment(commitment))
        await self._service.send(COMMITMENTS_PATH, body)
        self._change(day, sent_at=self._clock.now(), settled=True)

    def _contents(self, day: int) -> list[bytes]:
        return [*self._key_contents(day), *sighting_contents(self._records(day))]

    def _key_contents(self, day: int) -> list[bytes]:
        return [key_content(tek, self._identity.powers(tek)) for tek in self._identity.of_day(day)]

    def _records(self, day: int) -> ScanRecords:
        """What was heard on a UTC day. A page of the diary lies under the day of its scan's end."""
        near = self._diary.records(day - 1, day + 1)
        of_day: ScanRecords = near[near["time"] // DAY_SECONDS == day]
        return of_day

    # --- a claim --------------------------------------------------------------------------
    def claim(
        self, heard: Sequence[TemporaryExposureKey], warnings: Sequence[ExposureWarning]
    ) -> Claim | None:
        """What proves the encounters that `warnings` came from; `heard` are published keys.

        None where the diary holds none of them any more. What was not committed to is said
        without proof. The same question gets the same claim. Raises StoreError.
        """
        key_days = {day for warning in warnings for day in warning.key_days}
        matched = [tek for tek in heard if tek.rolling_start // ROLLING_PERIOD in key_days]
        found = self._matching(matched, {day_number(warning.day) for warning in warnings})
        if not found:
            return None
        committed = dict(self._rows())
        keys = {day: self._key_contents(day) for day in found}
        room = MAX_CLAIM_LEAVES - sum(map(len, keys.values()))
        days: list[ClaimedDay] = []
        for day in sorted(found)[-MAX_CLAIM_DAYS:]:
            records = self._records(day)
            theirs = np.array([rpi in found[day] for rpi in records["rpi"].tolist()], np.bool_)
            chosen = _within(
                sighting_contents(records[theirs])[: room // len(found)],
                MAX_CLAIM_BYTES // len(found),
            )
            leaves = self._opened(day, [*keys[day], *chosen], committed.get(day))
            days.append(ClaimedDay(day=day, leaves=leaves))
        published = [tek.key for tek in matched]
        return Claim(published=published[-MAX_CLAIMED_KEYS:], days=days)

    def _matching(
        self, matched: Sequence[TemporaryExposureKey], vietnam_days: Collection[int]
    ) -> dict[int, set[bytes]]:
        """By UTC day, the identifiers of `matched` that were heard on these Vietnamese days."""
        found: dict[int, set[bytes]] = {}
        if not matched or not vietnam_days:
            return found
        records = self._diary.records(min(vietnam_days) - 1, max(vietnam_days) + 1)
        rows = find_matches(KeyTable.of(map(DiagnosisKey, matched)), records).record_row
        for record in records[np.unique(rows)]:
            time = int(record["time"])
            if vietnam_day_number(time) in vietnam_days:
                found.setdefault(utc_day_number(time), set()).add(record["rpi"].tobytes())
        return found

    def _opened(self, day: int, contents: list[bytes], kept: _Kept | None) -> list[OpenedLeaf]:
        opened: list[OpenedLeaf] = []
        if kept is not None and kept.sent_at:
            opened = CommittedDay.unpack(day, kept.secret, kept.tree).open(contents)
        proven = {leaf.content for leaf in opened}
        return [*opened, *(OpenedLeaf(content=one) for one in contents if one not in proven)]

    # --- keeping and forgetting -------------------------------------------------------------
    def entries(self) -> list[CommitmentEntry]:
        """What was committed to, oldest day first. Raises StoreError."""
        return [
            CommitmentEntry(day, kept.commitment.hex(), kept.sent_at or None)
            for day, kept in self._rows()
        ]

    def forget_all(self) -> None:
        """Delete salts and all that opens a commitment. Raises StoreError."""
        self._store.execute("DELETE FROM commitment")
        self._store.forget_deleted()

    def forget_before(self, day: int) -> int:
        """Delete those of all UTC days before `day`; return how many."""
        where = "FROM commitment WHERE day < ?"
        gone = self._store.execute(f"SELECT count(*) {where}", (day,))[0][0]
        self._store.execute(f"DELETE {where}", (day,))
        return int(gone)

    def _rows(self) -> list[tuple[int, _Kept]]:
        return [
            (day, self._store.open(sealed, f"commitment:{day}", _Kept))
            for day, sealed in self._store.execute(
                "SELECT day, sealed FROM commitment ORDER BY day"
            )
        ]

    def _put(self, day: int, kept: _Kept) -> None:
        self._store.execute(_PUT, (day, self._store.seal(kept, f"commitment:{day}")))

    def _change(self, day: int, **changed: object) -> None:
        """Not if its owner has withdrawn consent meanwhile: it must not come back."""
        kept = dict(self._rows()).get(day)
        if kept is not None:
            self._put(day, msgspec.structs.replace(kept, **changed))


def _within(contents: Iterable[bytes], most_bytes: int) -> list[bytes]:
    """The first of `contents` whose openings fit into `most_bytes` of JSON."""
    chosen: list[bytes] = []
    for content in contents:
        most_bytes -= _LEAF_OVERHEAD_BYTES + len(content) * 4 // 3
        if most_bytes < 0:
            break
        chosen.append(content)
    return chosen
