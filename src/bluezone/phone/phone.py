"""The phone: one object for the tracer, the exposure check, reports and decoys of one person."""

import asyncio
import os
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from bluezone.clock import Clock, WallClock
from bluezone.phone.authority.announcements import Announcements
from bluezone.phone.authority.commitments import CommitmentEntry, Commitments
from bluezone.phone.authority.handovers import Handover, Handovers, diary_of
from bluezone.phone.authority.invitation import Invitations
from bluezone.phone.authority.telephone import Telephone
from bluezone.phone.chaff import Chaff
from bluezone.phone.closeness import Closeness
from bluezone.phone.diary import Diary
from bluezone.phone.explanation import ExposureWarning
from bluezone.phone.exposure_check import Check, ExposureCheck
from bluezone.phone.history import History
from bluezone.phone.home import Home
from bluezone.phone.identity import Identity
from bluezone.phone.ledger import Exchange, LedgeredService
from bluezone.phone.notices import Notice
from bluezone.phone.page_keys import PageKeys
from bluezone.phone.report import (
    Receipt,
    Reporter,
    ReportError,
    ReportFault,
    Sharing,
    Step,
    typed_code,
)
from bluezone.phone.sealing import DiaryKey, Entropy, KeyPlace
from bluezone.phone.service import Service, ServiceError
from bluezone.phone.settings import Settings, load_settings, save_settings
from bluezone.phone.store import Store, StoreError, StoreFault
from bluezone.phone.surroundings import Neighbour, Surroundings, mask
from bluezone.phone.told import Kind, Messages, Told
from bluezone.phone.tracer import Scan, Tracer
from bluezone.protocol.claim import Claim
from bluezone.protocol.deployment import RETENTION_DAYS
from bluezone.protocol.exposure import ExposureWindow
from bluezone.protocol.handover import MAX_DIARY_RECORDS, About
from bluezone.protocol.intervals import utc_day_number
from bluezone.protocol.keys import TemporaryExposureKey
from bluezone.protocol.phone_number import NumberReceipt
from bluezone.protocol.trust import Pins, Trust
from bluezone.proximity import Handset
from bluezone.radio.interface import Radio, RadioError, RadioState

# A first check within half a minute; phones that start together do not ask together.
_FIRST_CHECK_SECONDS: Final = 30.0
# Whatever an index says or a clock does, a phone looks at least this often.
_LONGEST_WAIT_SECONDS: Final = 6 * 3600.0
_STORE_RETRY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Status:
    """A phone at a glance; times are Unix seconds, None or 0.0 where nothing has happened."""

    notices: tuple[Notice, ...]
    key_place: KeyPlace
    scans: int
    last_scan: Scan | None
    checked_at: float
    next_check_at: float
    warnings: int
    low_risk_days: int
    reported_at: float | None
    set_aside: Path | None
    running: bool  # noticing others at this moment
    radio: RadioState
    succeeded_at: float  # the last check without an error
    check_error: dict[str, str] | None  # of the last check, by language


class Heard(msgspec.Struct, frozen=True):
    """One identifier in one scan, as its owner may take it along."""

    identifier: str
    metadata: str
    time: int
    stands_for_seconds: int
    mean_level_dbm: float
    packets: int


class Everything(msgspec.Struct, frozen=True, kw_only=True):
    """All that a phone keeps. Whoever has `own_keys` can tell where this phone was heard."""

    settings: Settings
    telephone: NumberReceipt | None
    own_keys: list[TemporaryExposureKey]
    heard: list[Heard]
    warnings: list[ExposureWarning]
    exposure_windows: list[ExposureWindow]
    reported_at: float | None
    handovers: list[Handover]
    commitments: list[CommitmentEntry]
    messages: list[Told]
    exchanges: list[Exchange]


class Phone:
    """One person's phone. Make it, `run` it, `close` it."""

    def __init__(
        self,
        home: Path,
        radio: Radio,
        service: Service,
        pins: Pins,
        clock: Clock,
        *,
        rng: random.Random | None = None,
        entropy: Entropy = os.urandom,
        use_keyring: bool = True,
        on_scan: Callable[[int], None] | None = None,
        on_check: Callable[[Check], None] | None = None,
        on_warning: Callable[[ExposureWarning], None] | None = None,
        scan_every: float | None = None,
        model: str | None = None,
        needs_consent: bool = False,
    ) -> None:
        """Open the phone that lives in the folder `home`, or make it.

        With `needs_consent` nothing is broadcast, heard or fetched before `begin`.

        `rng` moves moments, `entropy` makes keys and nonces; `scan_every` (seconds) fixes the
        period of scans for demonstrations; `model` (Android's Build.MODEL) calibrates levels.
        A damaged diary is put aside and said in `status`.
        Raises StoreError, KeyUnavailableError, PhoneRunningError, OSError.
        """
        self._home = Home(home, use_keyring=use_keyring)
        self._radio = radio
        self._service = service
        self._pins = pins
        self._clock = clock
        self._rng = rng or random.Random()
        self._entropy = entropy
        self._on_scan = on_scan
        self._on_check = on_check
        self._on_warning = on_warning
        self._scan_every = scan_every
        self._model = model
        self._needs_consent = needs_consent
        self._set_aside: Path | None = None
        self._surroundings = Surroundings(radio, clock, WallClock())
        self._tracing = False
        self._deleting = False
        self._switched = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._use(*self._home.open_store(entropy))

    def _use(self, store: Store, key: DiaryKey, aside: Path | None) -> None:
        self._key_place = key.place
        self._set_aside = aside or self._set_aside
        self._live_on(store)

    def _live_on(self, store: Store) -> None:
        self._store = store
        self._settings = load_settings(store)
        self._diary = Diary(store)
        self._identity = Identity(store, self._entropy)
        clock, entropy = self._clock, self._entropy
        self.ledger = LedgeredService(self._service, store, clock)
        self.history = History(self._diary)
        self.messages = Messages(store)
        self.announcements = Announcements(store, self.ledger, clock)
        self.handovers = Handovers(store, self.ledger, clock, entropy)
        self.telephone = Telephone(store, self.ledger)
        self.invitations = Invitations(store, self.ledger, clock, entropy)
        self.page_keys = PageKeys(store, clock)
        self._chaff = Chaff(self.ledger, clock, self._rng, entropy)
        self._reporter = Reporter(store, self._identity, self.ledger, clock, self._rng, entropy)
        self._checker = ExposureCheck(
            store,
            self._diary,
            self._identity,
            self.ledger,
            self._pins,
            clock,
            self._rng,
            Closeness(Handset(model=self._model)),
            on_warning=self._on_warning,
        )
        self.commitments = Commitments(
            store, self._diary, self._identity, self.ledger, clock, self._rng, entropy
        )
        self._tracer = Tracer(
            self._radio,
            self._identity,
            self._diary,
            clock,
            self._rng,
            server_time=lambda: self._checker.documents.state.server_time,
            on_scan=self._on_scan,
            saving=lambda: self._settings.battery == "saving",
            scan_every=self._scan_every,
            model=self._model,
        )
        self._warnings = self._checker.exposures.warnings()
        self._reported_at = self._reporter.reported_at()
        self._retained_day: int | None = None

    # --- running ------------------------------------------------------------------------
    async def run(self) -> None:
        """Trace, check and send decoys until cancelled. Raises PhoneRunningError.

        Before the owner has agreed, and once they have stopped, it only waits. A diary that
        turns out damaged on the way is put aside, and the phone goes on.
        """
        with self._home.lock():
            try:
                while True:
                    self._switched.clear()
                    if not self.active:
                        await self._switched.wait()
                    elif await self._run_until_damaged():
                        self._begin_anew()
            finally:
                await self._fall_silent()

    async def _run_until_damaged(self) -> bool:
        """Live; True once the diary is damaged, False once the owner has stopped."""
        damaged = False
        self._tracing = True
        self._idle.clear()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tracer.run())
                group.create_task(self._check_loop())
                group.create_task(self._chaff_loop())
                group.create_task(self.commitments.run())
                group.create_task(self._until_switched())
        except* _Switched:
            await self._fall_silent()
        except* StoreError as errors:
            if errors.split(_is_damage)[1] is not None:
                raise
            damaged = True
        finally:
            self._tracing = False
            self._idle.set()
        return damaged

    async def _until_switched(self) -> None:
        await self._switched.wait()
        raise _Switched

    async def _fall_silent(self) -> None:
        await self._surroundings.close()
        with suppress(RadioError):  # unplugged: it is silent already
            await self._radio.stop()

    def _begin_anew(self) -> None:
        settings, keys = self._settings, self.page_keys
        self._store.close()
        self._use(*self._home.begin_anew(self._entropy))
        # The owner has agreed, and may be looking at a page: neither was damaged.
        keys.carry_to(self.page_keys)
        save_settings(self._store, settings)
        self._settings = settings

    async def _check_loop(self) -> None:
        state = self._checker.documents.state
        wait = (
            state.next_at - self._clock.now()
            if state.checked_at
            else self._rng.uniform(0, _FIRST_CHECK_SECONDS)
        )
        while True:
            await self._clock.sleep(min(wait, _LONGEST_WAIT_SECONDS))
            try:
                wait = await self._check_once()
            except StoreError as error:
                if error.fault is StoreFault.DAMAGED:
                    raise
                self._tracer.notices.add(Notice.DISK_FULL)
                wait = _STORE_RETRY_SECONDS
            else:
                self._tracer.notices.discard(Notice.DISK_FULL)

    async def _check_once(self) -> float:
        check = await self.check()
        trust = self._checker.documents.trust
        if trust is not None:
            # Kept, or dropped for good: `status` shows whether it went out.
            with suppress(ServiceError, ReportError):
                if await self._reporter.resume(trust) is not None:
                    self._reported_at = self._reporter.reported_at()
            with suppress(ServiceError):
                await self.hand_over_owed()
                await self.handovers.resume()
        return check.next_at - self._clock.now()

    async def _chaff_loop(self) -> None:
        while True:
            await self._clock.sleep(self._chaff.next_wait())
            trust = self._checker.documents.trust
            if trust is not None:  # a report needs it too, and must not be told from a decoy
                await self._chaff.send(trust)

    # --- what the owner chooses ---------------------------------------------------------
    @property
    def settings(self) -> Settings:
        """What the owner chose."""
        return self._settings

    @property
    def active(self) -> bool:
        """Whether this phone may notice others: its owner agreed, and has not stopped."""
        agreed = self._settings.consented_at is not None or not self._needs_consent
        return agreed and self._settings.stopped_at is None and not self._deleting

    def choose(self, **chosen: Any) -> None:
        """Change settings by name. Raises StoreError."""
        was_active = self.active
        changed = msgspec.structs.replace(self._settings, **chosen)
        save_settings(self._store, changed)
        self._settings = changed
        if self.active is not was_active:
            self._switched.set()

    def commit_nightly(self, consent: bool) -> None:
        """The owner has agreed to nightly commitments, or withdraws that. Raises StoreError."""
        if not consent:
            self.choose(commitments_since=None)
            self.commitments.forget_all()
        elif self._settings.commitments_since is None:
            self.choose(commitments_since=self._clock.now())

    def claim(self) -> Claim | None:
        """Proof of what was warned of, if the diary still holds any. Raises StoreError."""
        return self.commitments.claim(self._checker.exposures.matched(), self.warnings())

    def begin(self) -> None:
        """The owner has agreed to what the app does. Raises StoreError."""
        self.choose(consented_at=self._clock.now(), stopped_at=None)

    async def delete_everything(self, *, stop: bool = False) -> None:
        """Delete all that is kept, and wait for `begin`; with `stop` say that it was stopped.

        Language and look stay. Raises StoreError, OSError.
        """
        self._deleting = True
        self._switched.set()
        try:
            await self._idle.wait()  # a beacon turned at this moment would make a new key
            self._delete(stop)
        finally:
            self._deleting = False
            self._switched.set()

    def _delete(self, stop: bool) -> None:
        look, keys = self._settings, self.page_keys
        full = False
        try:
            self._store.wipe()
        except StoreError:  # a full disk: who wants space must not be refused
            full = True
        # A check or an answer on its way must not write what it knew into the empty store.
        self._store.close()
        if full:
            self._home.forget_diary()
        self._home.forget_aside()
        self._set_aside = None
        store, _key, _aside = self._home.open_store(self._entropy)
        self._live_on(store)
        keys.carry_to(self.page_keys)  # its owner is looking at a page at this moment
        self._needs_consent = True
        self.choose(
            language=look.language,
            text_size=look.text_size,
            theme=look.theme,
            stopped_at=self._clock.now() if stop else None,
        )

    def forget_warnings(self) -> None:
        """Delete the warnings, and what they were found by. Raises StoreError."""
        self._checker.exposures.forget_found()
        self.messages.forget(Kind.EXPOSURE)
        self._store.forget_deleted()
        self._warnings = []

    def everything(self) -> Everything:
        """All that is kept, to take along. Raises StoreError."""
        now = self._clock.now()
        today = utc_day_number(now)
        return Everything(
            settings=self._settings,
            telephone=self.telephone.receipt(),
            own_keys=self._identity.keys(now),
            heard=[
                Heard(
                    identifier=row["rpi"].tobytes().hex(),
                    metadata=row["aem"].tobytes().hex(),
                    time=int(row["time"]),
                    stands_for_seconds=int(row["since_last_scan"]),
                    mean_level_dbm=int(row["rssi_mean"]) / 100,
                    packets=int(row["packets"]),
                )
                for row in self._diary.records(today - RETENTION_DAYS, today)
            ],
            warnings=list(self._warnings),
            exposure_windows=self._checker.exposures.windows(),
            reported_at=self._reported_at,
            handovers=self.handovers.all(),
            commitments=self.commitments.entries(),
            messages=[told for _number, told in self.messages.all()],
            exchanges=self.ledger.entries(),
        )

    def look_around(self) -> tuple[str, list[Neighbour]]:
        """This phone's own masked identifier, and who is nearby; listens while it is asked."""
        own = self._tracer.on_air
        if not self._tracing:
            return mask(own), []
        return mask(own), self._surroundings.look(own)

    @property
    def looking(self) -> bool:
        """Whether it listens without pause because somebody looks."""
        return self._surroundings.listening

    # --- what the owner asks for --------------------------------------------------------
    async def check(self) -> Check:
        """Look for exposures now. Faults of the service are in the result; raises StoreError."""
        self.retain()
        check = await self._checker.run()
        self._warnings = self._checker.exposures.warnings()
        if self._on_check is not None:
            self._on_check(check)
        return check

    async def report(
        self,
        code: str,
        consent: bool,
        *,
        sharing: Sharing = Sharing(),  # noqa: B008 - it cannot change
        on_step: Callable[[Step], None] = lambda _: None,
    ) -> Receipt:
        """Publish this phone's keys under a one-time code, if its owner agreed to CONSENT.

        The diary, if `sharing` says so, is owed then (`hand_over_owed`); `on_step` hears how far
        it is.

        Raises ReportError, ServiceError, StoreError, each with a `text` for the owner. After a
        failure of the network the same call goes on where it stopped.
        """
        if not consent:
            raise ReportError(ReportFault.NO_CONSENT)
        code = typed_code(code)  # what cannot be a code is said without asking anybody
        trust = await self.trust()
        try:
            receipt = await self._reporter.report(code, trust, sharing, on_step)
        except ServiceError as error:
            if error.reason == "permission-key-unknown":
                self._checker.documents.doubt_documents()
            raise
        self._reported_at = receipt.sent_at
        return receipt

    def reported_at(self) -> float | None:
        """When this phone last reported, whichever process did. Raises StoreError."""
        return self._reporter.reported_at()

    def receipt(self) -> Receipt | None:
        """What the last report sent, also one that went on in another process."""
        return self._reporter.receipt()

    async def hand_over_owed(self) -> Handover | None:
        """Send the diary that was promised with a report, if one was. Raises ServiceError."""
        owed = self._reporter.owed()
        if owed is None:
            return None
        try:
            return await self.hand_over_diary(owed.code, owed.about)
        finally:
            self._reporter.settle()  # from here on `handovers` goes on with it

    async def hand_over_diary(self, code: str, about: About) -> Handover:
        """Send diary and reported keys to the tracers, under the code of the report.

        Raises ReportError for a malformed code, ServiceError, StoreError.
        """
        today = utc_day_number(self._clock.now())
        records = self._diary.records(today - RETENTION_DAYS, today)
        keys = self._reporter.reported_keys()
        newest = records[-MAX_DIARY_RECORDS:]
        powers = {power for tek in keys for power in self._identity.powers(tek)}
        return await self.handovers.send_diary(
            diary_of(typed_code(code), about, keys, newest, powers)
        )

    def diary_records(self) -> int:
        """How many records `hand_over_diary` would send. Raises StoreError."""
        today = utc_day_number(self._clock.now())
        return min(MAX_DIARY_RECORDS, len(self._diary.records(today - RETENTION_DAYS, today)))

    def reportable_keys(self) -> int:
        """How many keys a report would publish now. Raises StoreError."""
        return len(self._identity.reportable(self._clock.now()))

    def compared(self) -> tuple[int, int]:
        """How many files and keys were compared with the diary in fourteen days."""
        return self._checker.exposures.compared()

    async def trust(self) -> Trust:
        """The role keys to believe, fetched if there are none yet. Raises ReportError."""
        if self._checker.documents.trust is None:
            await self.check()
        if self._checker.documents.trust is None:
            raise ReportError(ReportFault.NO_TRUST)
        return self._checker.documents.trust

    def warnings(self) -> list[ExposureWarning]:
        """Days of close contact with a confirmed case, oldest first, whichever process found
        them. Raises StoreError."""
        self._warnings = self._checker.exposures.warnings()
        return list(self._warnings)

    def status(self) -> Status:
        """How the phone is, from memory: cheap enough to ask at every step."""
        state = self._checker.documents.state
        notices = set(self._tracer.notices)
        if self._set_aside is not None:
            notices.add(Notice.DIARY_SET_ASIDE)
        if self._diary.damaged_pages:
            notices.add(Notice.DIARY_PAGE_DAMAGED)
        return Status(
            notices=tuple(notice for notice in Notice if notice in notices),
            key_place=self._key_place,
            scans=self._tracer.scans,
            last_scan=self._tracer.last_scan,
            checked_at=state.checked_at,
            next_check_at=state.next_at,
            warnings=len(self._warnings),
            low_risk_days=self._checker.low_risk_days,
            reported_at=self._reported_at,
            set_aside=self._set_aside,
            running=self._tracing and self._radio.state is RadioState.ON,
            radio=self._radio.state,
            succeeded_at=state.succeeded_at,
            check_error=state.error,
        )

    def diary_days(self) -> list[int]:
        """UTC day numbers of which the diary holds something, oldest first."""
        return self._diary.days()

    def refused_files(self) -> dict[str, str]:
        """Key files that were refused, and why."""
        return self._checker.exposures.refused()

    def retain(self) -> int:
        """Delete what is older than fourteen days; return how many entries went."""
        today = utc_day_number(self._clock.now())
        if today == self._retained_day:
            return 0
        first = today - RETENTION_DAYS
        parts = (
            self._diary,
            self._identity,
            self._checker.exposures,
            self.ledger,
            self.messages,
            self.handovers,
            self.commitments,
            self._reporter,
        )
        gone = sum(part.forget_before(first) for part in parts)
        if gone:
            self._store.forget_deleted()
        self._retained_day = today
        return gone

    async def close(self) -> None:
        """Close the diary. Radio and service belong to whoever made them."""
        self._store.close()


class _Switched(Exception):  # noqa: N818 - the owner began or stopped
    pass


def _is_damage(error: BaseException) -> bool:
    return isinstance(error, StoreError) and error.fault is StoreFault.DAMAGED
