"""The exposure check: fetch what is new, check every signature, match, judge, explain.

docs/protocol.md, "Trust", "Index", "Key files". Nothing about this phone is sent: every
phone asks for the same files.
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bluezone.clock import Clock
from bluezone.phone.closeness import Closeness
from bluezone.phone.diary import Diary
from bluezone.phone.documents import CheckError, SignedDocuments
from bluezone.phone.explanation import ExposureWarning, explain
from bluezone.phone.exposures import Exposures
from bluezone.phone.identity import Identity
from bluezone.phone.ledger import LedgeredService
from bluezone.phone.service import ServiceError, ServiceFault
from bluezone.phone.store import Store
from bluezone.protocol.deployment import INTERVAL_SECONDS, REPLAY_TOLERANCE_SECONDS
from bluezone.protocol.exports import Export, ExportError, read_export
from bluezone.protocol.exposure import ExposureWindow
from bluezone.protocol.index import IndexedFile
from bluezone.protocol.intervals import day_date, utc_day_number, vietnam_day_number
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.keys import TemporaryExposureKey
from bluezone.protocol.matching import Matches, find_matches
from bluezone.protocol.risk import RiskLevel, score
from bluezone.protocol.sightings import ScanRecords
from bluezone.protocol.trust import Pins, Role, Trust
from bluezone.protocol.windows import exposure_windows
from bluezone.web.catalogue import LANGUAGES

_FIRST_RETRY_SECONDS: Final = 60.0
_LONGEST_RETRY_SECONDS: Final = 6 * 3600.0
_LEAST_WAIT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Check:
    """One finished check. `refused` holds (file name, fault) of this check's files.

    `error` is set if it stopped early or went on with older documents.
    """

    at: float
    next_at: float
    files: int = 0
    keys: int = 0
    refused: tuple[tuple[str, str], ...] = ()
    warnings: tuple[ExposureWarning, ...] = ()
    error: ServiceError | CheckError | None = None


class ExposureCheck:
    """Checks whenever it is told to; `CheckState.next_at` says when it wants to be told."""

    def __init__(
        self,
        store: Store,
        diary: Diary,
        identity: Identity,
        service: LedgeredService,
        pins: Pins,
        clock: Clock,
        rng: random.Random,
        closeness: Closeness,
        *,
        on_warning: Callable[[ExposureWarning], None] | None = None,
    ) -> None:
        self._store = store
        self._diary = diary
        self._identity = identity
        self._service = service
        self._clock = clock
        self._rng = rng
        self._closeness = closeness
        self._on_warning = on_warning
        self.exposures = Exposures(store)
        self.documents = SignedDocuments(store, service, pins, clock)
        self.low_risk_days = 0
        self._folded_day: int | None = None

    async def run(self) -> Check:
        """One check. Faults of service and network are in the result; raises StoreError."""
        self.documents.reload()
        state = self.documents.state
        try:
            check = await self._check()
        except (ServiceError, CheckError) as error:
            state.failures += 1
            wait = min(_LONGEST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** min(state.failures, 10))
            # All phones fail at the same moment: they must not come back at the same moment.
            check = self._finished(wait * self._rng.uniform(0.5, 1.0), error=error)
        check = replace(check, warnings=self._judge_all())
        state.checked_at, state.next_at = check.at, check.next_at
        state.error = None
        if check.error is None:
            state.succeeded_at = check.at
        else:
            state.error = {language: check.error.text(language) for language in LANGUAGES}
        self.documents.save()
        return check

    async def _check(self) -> Check:
        now = self._clock.now()
        error: ServiceError | CheckError | None = None
        documents = self.documents
        trust = documents.trust
        if trust is None or documents.due:
            trust = await documents.refresh_trust()
            error = await documents.refresh_configuration(trust)
            documents.state.documents_at = now if error is None else 0.0
        index, trust = await documents.fetch_index(trust)
        read, keys, refused = 0, 0, []
        records = _Days(self._diary)
        today = utc_day_number(now)
        if today != self._folded_day:
            self._diary.fold(today)
            self._folded_day = today
        for file in self.exposures.unread(index.files):
            try:
                export = await self._fetch_export(file, trust)
            except ServiceError as lost:
                if lost.fault not in (ServiceFault.MISSING, ServiceFault.TOO_LARGE):
                    raise  # the network: the rest of the files would fail as well
                fault, final = f"the service does not give it ({lost})", False
            except _RefusedFile as refusal:
                fault, final = refusal.fault, refusal.final
            else:
                found, matched = self._find(export.keys, records)
                self.exposures.accept(file, _release_day(file), found, len(export.keys), matched)
                read, keys = read + 1, keys + len(export.keys)
                continue
            self.exposures.refuse(file, _release_day(file), fault, final=final)
            refused.append((file.name, fault))
        documents.state.failures = 0
        # How long after it was issued the next index is due, even on a phone whose clock is off.
        due = min(max(0, index.next_at - now), max(0, index.next_at - index.issued_at))
        return self._finished(
            max(_LEAST_WAIT_SECONDS, due + self._rng.uniform(0, index.spread_seconds)),
            files=read,
            keys=keys,
            refused=tuple(refused),
            error=error,
        )

    def _finished(
        self,
        wait: float,
        *,
        files: int = 0,
        keys: int = 0,
        refused: tuple[tuple[str, str], ...] = (),
        error: ServiceError | CheckError | None = None,
    ) -> Check:
        now = self._clock.now()
        return Check(now, now + wait, files, keys, refused, error=error)

    # --- key files ----------------------------------------------------------------------
    async def _fetch_export(self, file: IndexedFile, trust: Trust) -> Export:
        fetched = await self._service.fetch(f"/v1/exports/{file.name}", file.size)
        data = fetched.body or b""
        if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
            fault = f"{len(data)} of {file.size} bytes arrived, or they are not those of the index"
            raise _RefusedFile(fault, final=False)
        try:
            return read_export(
                data, file.name, trust.ec_keys(Role.EXPORT, self.documents.signed_now)
            )
        except ExportError as error:
            raise _RefusedFile(error.fault, final=True) from error

    def _find(
        self, keys: KeyTable, records: "_Days"
    ) -> tuple[list[ExposureWindow], list[TemporaryExposureKey]]:
        """The windows near these keys, and which keys were heard at all."""
        if not len(keys):
            return [], []
        heard = records.near(keys)
        matches = self._of_others(keys, find_matches(keys, heard))
        if not len(matches):
            return [], []
        known = [window.encounter or 0 for window in self.exposures.windows()]
        windows = exposure_windows(
            keys,
            heard,
            matches,
            self.documents.configuration.infectiousness,
            first_encounter=max(known, default=-1) + 1,
        )
        return windows, [keys[row].tek for row in np.unique(matches.key_row).tolist()]

    def _of_others(self, keys: KeyTable, matches: Matches) -> Matches:
        """Without this phone's own keys: an echo of its own beacon is nobody's presence."""
        if not len(matches):
            return matches
        own = {tek.key for tek in self._identity.keys(self._clock.now())}
        others = np.array([keys.key[row].tobytes() not in own for row in matches.key_row], bool)
        return Matches(matches.key_row[others], matches.record_row[others])

    # --- judgement ----------------------------------------------------------------------
    def _judge_all(self) -> tuple[ExposureWarning, ...]:
        """Judge all windows together (a day may span files); return the new warnings."""
        now = self._clock.now()
        result = score(
            self.exposures.windows(),
            self.documents.configuration,
            self._closeness.judge,
            today=vietnam_day_number(now),
        )
        self.low_risk_days = result.number_of_days(RiskLevel.LOW)
        given = {warning.day: warning for warning in self.exposures.warnings()}
        new: list[ExposureWarning] = []
        for day in result.days:
            if day.level is not RiskLevel.HIGH:
                continue
            counted = [
                row.window
                for row in result.windows
                if row.dropped is None and row.window.local_day == day.day
            ]
            date = day_date(day.day)
            before = given.get(date)
            noticed_at = before.noticed_at if before else now
            certainty = self._closeness.exposure_class(counted)
            warning = explain(date, counted, noticed_at, certainty)
            if before is None:
                new.append(warning)
                if self._on_warning is not None:
                    # Before it is kept: a phone killed here tells its owner twice, not never.
                    self._on_warning(warning)
            if warning != before:
                self.exposures.warn(warning)
        return tuple(new)


class _RefusedFile(Exception):  # noqa: N818 - a file, not an error of ours
    def __init__(self, fault: str, *, final: bool) -> None:
        super().__init__(fault)
        self.fault = fault
        self.final = final


class _Days:
    """The diary during one check: the days that a file's keys cover, unsealed once."""

    def __init__(self, diary: Diary) -> None:
        self._diary = diary
        self._range: tuple[int, int] | None = None
        self._records: ScanRecords | None = None

    def near(self, keys: KeyTable) -> ScanRecords:
        start = keys.rolling_start.astype(np.int64)
        end = start + keys.rolling_period
        first = utc_day_number(int(start.min()) * INTERVAL_SECONDS - REPLAY_TOLERANCE_SECONDS)
        last = utc_day_number(int(end.max()) * INTERVAL_SECONDS + REPLAY_TOLERANCE_SECONDS)
        if (
            self._range is None
            or self._records is None
            or not (self._range[0] <= first and last <= self._range[1])
        ):
            if self._range is not None:
                first, last = min(first, self._range[0]), max(last, self._range[1])
            self._range = first, last
            self._records = self._diary.records(first, last)
        return self._records


def _release_day(file: IndexedFile) -> int:
    return utc_day_number(file.released_at)
