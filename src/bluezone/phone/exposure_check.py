"""The exposure check: fetch what is new, check every signature, match, judge, explain.

docs/protocol.md, "Trust", "Index", "Key files". Nothing about this phone is sent: every
phone asks for the same files.
"""

import datetime as dt
import hashlib
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, TypeVar

import msgspec
import numpy as np

from bluezone.clock import Clock
from bluezone.phone.diary import Diary, day_number
from bluezone.phone.explanation import ExposureWarning, explain
from bluezone.phone.exposures import EPOCH_DAY, Exposures
from bluezone.phone.identity import Identity
from bluezone.phone.service import Service, ServiceError, ServiceFault
from bluezone.phone.store import Store
from bluezone.protocol.configuration import (
    DEFAULT_CONFIGURATION,
    RiskConfiguration,
    read_configuration,
)
from bluezone.protocol.deployment import (
    INTERVAL_SECONDS,
    REPLAY_TOLERANCE_SECONDS,
)
from bluezone.protocol.envelope import EnvelopeError
from bluezone.protocol.exports import Export, ExportError, read_export
from bluezone.protocol.exposure import ExposureWindow
from bluezone.protocol.index import Index, IndexedFile, IndexFault, IndexRefused, read_index
from bluezone.protocol.key_table import KeyTable
from bluezone.protocol.matching import Matches, find_matches
from bluezone.protocol.risk import Judge, RiskLevel, score
from bluezone.protocol.sightings import ScanRecords
from bluezone.protocol.trust import Pins, Role, Trust, read_certificates
from bluezone.protocol.windows import exposure_windows
from bluezone.web.catalogue import DEFAULT_LANGUAGE, _, translate

T = TypeVar("T")

MAX_DOCUMENT_BYTES: Final = 1024 * 1024
# Role keys and risk numbers change a few times a year; a withdrawn key must be gone in a day.
DOCUMENTS_SECONDS: Final = 24 * 3600
_FIRST_RETRY_SECONDS: Final = 60.0
_LONGEST_RETRY_SECONDS: Final = 6 * 3600.0
_LEAST_WAIT_SECONDS: Final = 60.0


class Problem(Enum):
    """Why a check could not be finished; the value is the sentence for the owner."""

    TRUST_REFUSED = _(
        "The service could not prove who it is, so nothing was taken from it. If this lasts,"
        " update the app."
    )
    CONFIGURATION_REFUSED = _(
        "The rules for judging encounters that the service sent are not valid. The phone goes on"
        " with the rules it has."
    )
    INDEX_REFUSED = _(
        "The list of key files is not properly signed and was refused. Earlier results stay valid."
    )
    INDEX_EXPIRED = _(
        "The list of key files has expired. Check date and time of this phone; if they are right,"
        " someone may be holding back newer lists."
    )
    INDEX_ROLLED_BACK = _(
        "The service sent a list of key files that is older than one it sent before. It was"
        " refused."
    )


class CheckError(Exception):
    """The check stopped early; what was found before stays."""

    def __init__(self, problem: Problem, detail: str) -> None:
        super().__init__(f"{problem.name.lower()}: {detail}")
        self.problem = problem

    def text(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What to tell the owner."""
        return translate(self.problem.value, language)


class CheckState(msgspec.Struct, kw_only=True):
    """What one check leaves for the next; times are Unix seconds, by the phone's clock
    except for `server_time`, the latest signed time of the service."""

    server_time: int = 0
    trust_sequence: int = 0
    configuration_version: int = 0
    index_sequence: int = 0
    documents_at: float = 0.0
    checked_at: float = 0.0
    next_at: float = 0.0
    failures: int = 0


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


class _Document(msgspec.Struct, frozen=True):
    body: bytes
    etag: str | None


class ExposureCheck:
    """Checks whenever it is told to; `CheckState.next_at` says when it wants to be told."""

    def __init__(
        self,
        store: Store,
        diary: Diary,
        identity: Identity,
        service: Service,
        pins: Pins,
        clock: Clock,
        rng: random.Random,
        *,
        judge: Judge | None = None,
        on_warning: Callable[[ExposureWarning], None] | None = None,
    ) -> None:
        self._store = store
        self._diary = diary
        self._identity = identity
        self._service = service
        self._pins = pins
        self._clock = clock
        self._rng = rng
        self._judge = judge
        self._on_warning = on_warning
        self.exposures = Exposures(store)
        self.state = store.load("check", CheckState) or CheckState()
        self._trust: Trust | None = None
        self._configuration: RiskConfiguration | None = None
        self.low_risk_days = 0

    @property
    def signed_now(self) -> float:
        """The later of the phone's clock and the last signed server time."""
        return max(self._clock.now(), self.state.server_time)

    @property
    def trust(self) -> Trust | None:
        """The role keys of the last trust document that was accepted, if there is one."""
        if self._trust is None and (document := self._kept("trust")):
            with suppress(EnvelopeError):  # an update of the app may have pinned other roots
                self._trust = read_certificates(
                    document.body, self._pins, self.state.trust_sequence
                )
        return self._trust

    def doubt_documents(self) -> None:
        """Fetch trust and configuration anew at the next check."""
        self.state.documents_at = 0.0

    async def run(self) -> Check:
        """One check. Faults of service and network are in the result; raises StoreError."""
        # Another process of this phone may have checked since.
        self.state = self._store.load("check", CheckState) or self.state
        try:
            check = await self._check()
        except (ServiceError, CheckError) as error:
            self.state.failures += 1
            wait = min(
                _LONGEST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** min(self.state.failures, 10)
            )
            # All phones fail at the same moment: they must not come back at the same moment.
            check = self._finished(wait * self._rng.uniform(0.5, 1.0), error=error)
        check = replace(check, warnings=self._judge_all())
        self.state.checked_at, self.state.next_at = check.at, check.next_at
        self._store.save("check", self.state)
        return check

    async def _check(self) -> Check:
        now = self._clock.now()
        error: ServiceError | CheckError | None = None
        trust = self.trust
        if trust is None or not 0 <= now - self.state.documents_at < DOCUMENTS_SECONDS:
            trust = await self._refresh_trust()
            error = await self._refresh_configuration(trust)
            self.state.documents_at = now if error is None else 0.0
        index, trust = await self._fetch_index(trust)
        read, keys, refused = 0, 0, []
        records = _Days(self._diary)
        self._diary.fold(day_number(now))
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
                self.exposures.accept(file, _release_day(file), self._find(export.keys, records))
                read, keys = read + 1, keys + len(export.keys)
                continue
            self.exposures.refuse(file, _release_day(file), fault, final=final)
            refused.append((file.name, fault))
        self.state.failures = 0
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

    # --- signed documents ---------------------------------------------------------------
    async def _refresh_trust(self) -> Trust:
        document = await self._fetch_document("trust", "/v1/trust.json")
        try:
            trust = read_certificates(document.body, self._pins, self.state.trust_sequence)
        except EnvelopeError as error:
            raise CheckError(Problem.TRUST_REFUSED, str(error)) from error
        self._trust = trust
        self.state.trust_sequence = trust.sequence
        self._store.save("trust", document)
        return trust

    async def _refresh_configuration(self, trust: Trust) -> ServiceError | CheckError | None:
        """The phone can go on with the rules it has, so a fault is returned, not raised."""
        try:
            document = await self._fetch_document("configuration", "/v1/configuration.json")
            configuration = self._read_configuration(document, trust)
        except ServiceError as error:
            return error
        except EnvelopeError as error:
            return CheckError(Problem.CONFIGURATION_REFUSED, str(error))
        self._configuration = configuration
        self.state.configuration_version = configuration.version
        self._store.save("configuration", document)
        return None

    def _read_configuration(self, document: _Document, trust: Trust) -> RiskConfiguration:
        return read_configuration(
            document.body, trust, self.signed_now, self.state.configuration_version
        )

    async def _fetch_index(self, trust: Trust) -> tuple[Index, Trust]:
        """The index, and the trust document that it was checked with in the end."""
        document = await self._fetch_document("index", "/v1/index.json")
        try:
            index = self._read_index(document, trust)
        except IndexRefused as error:
            if error.fault is not IndexFault.SIGNATURE:
                raise _index_error(error) from error
            trust = await self._refresh_trust()  # perhaps by a key certified an hour ago
            try:
                index = self._read_index(document, trust)
            except IndexRefused as again:
                raise _index_error(again) from again
        self.state.index_sequence = index.sequence
        self.state.server_time = max(self.state.server_time, index.issued_at)
        self._store.save("index", document)
        return index, trust

    def _read_index(self, document: _Document, trust: Trust) -> Index:
        return read_index(
            document.body, trust, self.signed_now, last_sequence=self.state.index_sequence
        )

    async def _fetch_document(self, name: str, path: str) -> _Document:
        known = self._kept(name)
        fetched = await self._service.fetch(path, MAX_DOCUMENT_BYTES, known.etag if known else None)
        if fetched.body is None and known is not None:
            return known
        return _Document(fetched.body or b"", fetched.etag)

    def _kept(self, name: str) -> _Document | None:
        return self._store.load(name, _Document)

    # --- key files ----------------------------------------------------------------------
    async def _fetch_export(self, file: IndexedFile, trust: Trust) -> Export:
        fetched = await self._service.fetch(f"/v1/exports/{file.name}", file.size)
        data = fetched.body or b""
        if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
            fault = f"{len(data)} of {file.size} bytes arrived, or they are not those of the index"
            raise _RefusedFile(fault, final=False)
        try:
            return read_export(data, file.name, trust.ec_keys(Role.EXPORT, self.signed_now))
        except ExportError as error:
            raise _RefusedFile(error.fault, final=True) from error

    def _find(self, keys: KeyTable, records: "_Days") -> list[ExposureWindow]:
        if not len(keys):
            return []
        heard = records.near(keys)
        matches = self._of_others(keys, find_matches(keys, heard))
        if not len(matches):
            return []
        known = [window.encounter or 0 for window in self.exposures.windows()]
        return exposure_windows(
            keys,
            heard,
            matches,
            self.configuration.infectiousness,
            first_encounter=max(known, default=-1) + 1,
        )

    def _of_others(self, keys: KeyTable, matches: Matches) -> Matches:
        """Without this phone's own keys: an echo of its own beacon is nobody's presence."""
        if not len(matches):
            return matches
        own = {tek.key for tek in self._identity.keys(self._clock.now())}
        others = np.array([keys.key[row].tobytes() not in own for row in matches.key_row], bool)
        return Matches(matches.key_row[others], matches.record_row[others])

    # --- judgement ----------------------------------------------------------------------
    @property
    def configuration(self) -> RiskConfiguration:
        """The accepted configuration; before there is one, the one built in."""
        if self._configuration is None:
            document = self._kept("configuration")
            if document is None or self.trust is None:
                return DEFAULT_CONFIGURATION
            try:
                self._configuration = self._read_configuration(document, self.trust)
            except EnvelopeError:  # its key has expired since
                return DEFAULT_CONFIGURATION
        return self._configuration

    def _judge_all(self) -> tuple[ExposureWarning, ...]:
        """Judge all windows together (a day may span files); return the new warnings."""
        windows = self.exposures.windows()
        if not windows:
            return ()
        today = day_number(self._clock.now())
        result = score(windows, self.configuration, self._judge, today=today)
        given = {warning.day for warning in self.exposures.warnings()}
        new: list[ExposureWarning] = []
        self.low_risk_days = 0
        for day in result.days:
            self.low_risk_days += day.level is RiskLevel.LOW
            if day.level is not RiskLevel.HIGH:
                continue
            counted = [
                row.window
                for row in result.windows
                if row.dropped is None and row.window.local_day == day.day
            ]
            date = EPOCH_DAY + dt.timedelta(days=day.day)
            warning = explain(date, counted, self._clock.now())
            self.exposures.warn(warning)
            if date not in given:
                new.append(warning)
                if self._on_warning is not None:
                    self._on_warning(warning)
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
        first = day_number(int(start.min()) * INTERVAL_SECONDS - REPLAY_TOLERANCE_SECONDS)
        last = day_number(int(end.max()) * INTERVAL_SECONDS + REPLAY_TOLERANCE_SECONDS)
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
    return day_number(file.released_at)


def _index_error(error: IndexRefused) -> CheckError:
    problem = {
        IndexFault.EXPIRED: Problem.INDEX_EXPIRED,
        IndexFault.ROLLED_BACK: Problem.INDEX_ROLLED_BACK,
    }.get(error.fault, Problem.INDEX_REFUSED)
    return CheckError(problem, str(error))
