"""A report: the one-time code becomes a permission, then the keys go out (docs/protocol.md,
"Upload").

Everything needed to go on is kept sealed before each leg, so a phone that dies in between
sends exactly the same again, and the service answers exactly the same.
"""

import datetime as dt
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from bluezone.clock import Clock
from bluezone.phone.identity import Identity
from bluezone.phone.ledger import LedgeredService
from bluezone.phone.sealing import Entropy
from bluezone.phone.service import ServiceError, ServiceFault
from bluezone.phone.store import Store
from bluezone.protocol import blind_rsa
from bluezone.protocol.deployment import (
    CODE_DIGITS,
    RETENTION_DAYS,
    ROLLING_PERIOD,
    UPLOAD_KEY_SLOTS,
)
from bluezone.protocol.handover import About
from bluezone.protocol.intervals import DAY_SECONDS, day_number, vietnam_day
from bluezone.protocol.keys import KEY_BYTES, DiagnosisKey, ReportType, TemporaryExposureKey
from bluezone.protocol.trust import Role, Trust, TrustError
from bluezone.protocol.unprintable import Unprintable
from bluezone.protocol.upload import (
    KeyUpload,
    PermissionAnswer,
    PermissionRequest,
    UploadedKey,
    encode_permission_request,
    encode_upload,
    upload_digest,
)
from bluezone.web.catalogue import DEFAULT_LANGUAGE, _, translate

PERMISSION_PATH: Final = "/v1/permission"
UPLOAD_PATH: Final = "/v1/keys"
_PENDING: Final = "report"
_REPORTED: Final = "reported"
_RECEIPT: Final = "report-receipt"
_OWED: Final = "report-diary"
# Between the legs, in seconds: long enough that two requests a moment apart do not name each
# other by their order among everybody's, short enough to keep the app open for.
_PAUSE: Final = (5.0, 30.0)
# Another process of this phone may be in the middle of it for as long as this.
RESUME_AFTER_SECONDS: Final = 180.0

# What a report says of the first symptoms: what the health worker recorded, nothing, or an ISO day.
ONSET_RECORDED: Final = "recorded"
ONSET_NONE: Final = "none"
_OLDEST_ONSET_DAYS: Final = RETENTION_DAYS

CONSENT: Final = _(
    "You are about to report a confirmed infection.\n"
    "What is sent: the random keys that this phone broadcast in the last {days} days, {keys} at"
    " most. No name, no number, no place, and not who was near you.\n"
    "To whom: the national service. After checking your code it publishes the keys, so that"
    " other phones can find out by themselves whether they were near yours.\n"
    "What others can learn: somebody who was near you at a time when few others were may guess"
    " that it was you. Somebody who recorded Bluetooth signals in several places can find out where"
    " your phone was on each of these days.\n"
    "Why: so that the people who were near you are warned. It cannot be taken back."
)


class Step(Enum):
    """How far a report is."""

    PERMISSION = "permission"  # the code is being exchanged
    PAUSE = "pause"  # so that the two messages cannot be told to belong together
    KEYS = "keys"
    DIARY = "diary"  # handed over besides, if the owner chose that


class ReportFault(Enum):
    """Why a report cannot be made; the value is the sentence for the owner."""

    NO_CONSENT = _("Nothing was sent, because you did not agree.")
    ONSET_WRONG = _("The first day of symptoms must be a day of the last {days} days.")
    CODE_MALFORMED = _("A code has {digits} digits. Please check what you typed.")
    NO_TRUST = _(
        "The phone has not been able to make sure that it talks to the national service. Check"
        " the internet connection and try again. Nothing was sent."
    )
    NOT_PERMITTED = _(
        "The service's permission for your keys is not valid, so they were not sent. Please ask"
        " the health worker for a new code."
    )


class ReportError(Exception):
    """The report was not made, and why."""

    def __init__(self, fault: ReportFault) -> None:
        super().__init__(fault.name.lower())
        self.fault = fault

    def text(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What to tell the owner."""
        return translate(self.fault.value, language, digits=CODE_DIGITS, days=_OLDEST_ONSET_DAYS)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was sent: how many keys, under which report type, when (Unix time)."""

    keys: int
    report_type: ReportType
    sent_at: float


class Sharing(msgspec.Struct, frozen=True):
    """What the owner chose to share besides the keys; `onset` is ONSET_RECORDED, ONSET_NONE or
    an ISO day."""

    onset: str = ONSET_RECORDED
    diary: bool = False
    about: About = About.SELF


class OwedDiary(Unprintable, frozen=True):
    """The keys are out, and the diary that was promised with them is not yet."""

    code: str
    about: About


class _Blinded(Unprintable, frozen=True):
    prepared: bytes
    blinded_message: bytes
    inverse: bytes


class _Permission(Unprintable, frozen=True):
    key_id: str
    prefix: bytes
    signature: bytes
    report_type: int
    symptom_onset: str | None


class _Pending(Unprintable, frozen=True):
    """A report under way, as it is kept between its steps."""

    code: str
    teks: list[TemporaryExposureKey]
    filler: bytes  # the keys of unused slots: the same body must be sent again after a crash
    blinded: dict[str, _Blinded]  # by permission key id
    touched_at: float
    permission: _Permission | None = None
    sharing: Sharing = Sharing()
    tried: bool = False  # the upload may have left: it can only be repeated as it was


class Reporter:
    """Makes reports, and goes on with one that was interrupted."""

    def __init__(
        self,
        store: Store,
        identity: Identity,
        service: LedgeredService,
        clock: Clock,
        rng: random.Random,
        entropy: Entropy = os.urandom,
    ) -> None:
        self._store = store
        self._identity = identity
        self._service = service
        self._clock = clock
        self._rng = rng
        self._entropy = entropy

    def reported_at(self) -> float | None:
        """When this phone last reported (Unix time), or None."""
        return self._store.load(_REPORTED, float)

    def receipt(self) -> Receipt | None:
        """What the last report sent, or None. Raises StoreError."""
        return self._store.load(_RECEIPT, Receipt)

    def owed(self) -> OwedDiary | None:
        """A diary that was promised with a report and has not been begun. Raises StoreError."""
        return self._store.load(_OWED, OwedDiary)

    def settle(self) -> None:
        """The owed diary is on its way, or refused. Raises StoreError."""
        self._store.drop(_OWED)

    def forget_before(self, day: int) -> int:
        """Forget that this phone reported, if it did on an earlier UTC day."""
        reported_at = self.reported_at()
        if reported_at is None or reported_at >= day * DAY_SECONDS:
            return 0
        with self._store.transaction():
            for name in (_REPORTED, _RECEIPT):
                self._store.drop(name)
        return 1

    async def report(
        self,
        code: str,
        trust: Trust,
        sharing: Sharing = Sharing(),  # noqa: B008 - it cannot change
        on_step: Callable[[Step], None] = lambda _: None,
    ) -> Receipt:
        """Both legs for a code of digits. Raises ReportError, ServiceError, StoreError.

        After a ServiceError that is not final, the same call goes on where it stopped.
        `on_step` hears how far it is.
        """
        check_onset(sharing.onset, self._clock.now())
        pending = self._store.load(_PENDING, _Pending)
        if pending is None or (pending.permission is None and pending.code != code):
            pending = self._begin(code, trust, sharing)
        elif not pending.tried:
            # Signed are the keys alone: what else was chosen may still be corrected.
            pending = msgspec.structs.replace(pending, sharing=sharing)
            self._store.save(_PENDING, pending)
        return await self._finish(pending, trust, on_step)

    def reported_keys(self) -> list[TemporaryExposureKey]:
        """The keys that reports have published, as they are, newest last. Raises StoreError."""
        return self._identity.reported()

    async def resume(self, trust: Trust) -> Receipt | None:
        """Go on with a report that nobody is working on; None if there is none."""
        pending = self._store.load(_PENDING, _Pending)
        if pending is None or 0 <= self._clock.now() - pending.touched_at < RESUME_AFTER_SECONDS:
            return None
        return await self._finish(pending, trust)

    def _begin(self, code: str, trust: Trust, sharing: Sharing) -> _Pending:
        now = self._clock.now()
        permission_keys = trust.rsa_keys(Role.PERMISSION, now)
        if not permission_keys:
            raise ReportError(ReportFault.NO_TRUST)
        with self._store.transaction():
            # Today's key ends with this interval, and the next beacon has a new one: so today's
            # contacts are warned today, and nobody can replay what is still on the air.
            self._identity.truncate(now)
            teks = self._identity.reportable(now)
            digest = upload_digest([DiagnosisKey(tek) for tek in teks])
            blinded: dict[str, _Blinded] = {}
            for key_id, key in permission_keys.items():
                prepared = blind_rsa.prepare(digest, self._entropy)
                blinded[key_id] = _Blinded(prepared, *blind_rsa.blind(key, prepared, self._entropy))
            filler = self._entropy(KEY_BYTES * (UPLOAD_KEY_SLOTS - len(teks)))
            pending = _Pending(code, teks, filler, blinded, now, sharing=sharing)
            self._store.save(_PENDING, pending)
        return pending

    async def _finish(
        self, pending: _Pending, trust: Trust, on_step: Callable[[Step], None] = lambda _: None
    ) -> Receipt:
        permission = pending.permission
        try:
            if permission is None:
                on_step(Step.PERMISSION)
                permission = await self._ask_permission(pending, trust)
                on_step(Step.PAUSE)
                await self._clock.sleep(pause(self._rng))
            on_step(Step.KEYS)
            return await self._upload(pending, permission)
        except (ReportError, ServiceError) as error:
            if isinstance(error, ReportError) or error.final:
                with self._store.transaction():
                    if permission is None:
                        self._identity.restore(self._clock.now())
                    else:  # the keys left the phone, and a refusal proves nothing
                        self._identity.mark_reported(pending.teks)
                    self._store.drop(_PENDING)
            raise

    async def _ask_permission(self, pending: _Pending, trust: Trust) -> _Permission:
        request = PermissionRequest(
            code=pending.code,
            blinded_messages={
                key_id: blinded.blinded_message for key_id, blinded in pending.blinded.items()
            },
        )
        body = await self._service.send(PERMISSION_PATH, encode_permission_request(request))
        try:
            answer = msgspec.json.decode(body, type=PermissionAnswer)
            ReportType(answer.report_type)
            if answer.symptom_onset is not None:
                dt.date.fromisoformat(answer.symptom_onset)
        except ValueError as error:  # msgspec's errors are ValueErrors too
            raise ServiceError(ServiceFault.NOT_UNDERSTOOD, "the permission") from error
        blinded = pending.blinded.get(answer.key_id)
        if blinded is None:
            raise ReportError(ReportFault.NOT_PERMITTED)
        try:
            key = trust.rsa_key(Role.PERMISSION, answer.key_id, pending.touched_at)
            signature = blind_rsa.finalize(
                key, blinded.prepared, answer.blind_signature, blinded.inverse
            )
        except (TrustError, blind_rsa.BlindSignatureError) as error:
            raise ReportError(ReportFault.NOT_PERMITTED) from error
        permission = _Permission(
            answer.key_id,
            blinded.prepared[: blind_rsa.PREFIX_BYTES],
            signature,
            answer.report_type,
            answer.symptom_onset,
        )
        granted = msgspec.structs.replace(
            pending, permission=permission, touched_at=self._clock.now()
        )
        self._store.save(_PENDING, granted)
        return permission

    async def _upload(self, pending: _Pending, permission: _Permission) -> Receipt:
        wished = pending.sharing.onset
        onset = {ONSET_RECORDED: permission.symptom_onset, ONSET_NONE: None}.get(wished, wished)
        slots = [
            UploadedKey(
                key=tek.key,
                rolling_start=tek.rolling_start,
                rolling_period=tek.rolling_period,
                days_since_onset=_days_since(onset, tek),
            )
            for tek in pending.teks
        ]
        upload = KeyUpload(
            keys=slots + unused_slots(pending.filler),
            report_type=permission.report_type,
            permission_key_id=permission.key_id,
            permission_prefix=permission.prefix,
            permission_signature=permission.signature,
        )
        tried = msgspec.structs.replace(
            pending, permission=permission, tried=True, touched_at=self._clock.now()
        )
        self._store.save(_PENDING, tried)
        await self._service.send(UPLOAD_PATH, encode_upload(upload))
        now = self._clock.now()
        receipt = Receipt(len(pending.teks), ReportType(permission.report_type), now)
        with self._store.transaction():
            self._identity.mark_reported(pending.teks)
            self._store.save(_REPORTED, now)
            self._store.save(_RECEIPT, receipt)
            if pending.sharing.diary:
                self._store.save(_OWED, OwedDiary(pending.code, pending.sharing.about))
            self._store.drop(_PENDING)
        return receipt


def check_onset(onset: str, now: float) -> None:
    """Raises ReportError unless it is ONSET_RECORDED, ONSET_NONE or an ISO day lately."""
    if onset in (ONSET_RECORDED, ONSET_NONE):
        return
    try:
        age = vietnam_day(now) - dt.date.fromisoformat(onset)
    except ValueError:
        raise ReportError(ReportFault.ONSET_WRONG) from None
    if not 0 <= age.days <= _OLDEST_ONSET_DAYS:
        raise ReportError(ReportFault.ONSET_WRONG)


def typed_code(text: str) -> str:
    """The digits of a code as somebody typed it. Raises ReportError."""
    digits = "".join(character for character in text if character not in " -.\u2013\u00a0")
    if len(digits) != CODE_DIGITS or not (digits.isascii() and digits.isdigit()):
        raise ReportError(ReportFault.CODE_MALFORMED)
    return digits


def pause(rng: random.Random) -> float:
    """Seconds between the legs, of a report and of chaff alike."""
    return rng.uniform(*_PAUSE)


def unused_slots(filler: bytes) -> list[UploadedKey]:
    """A slot for each 16 bytes: looks like a key, is none."""
    return [
        UploadedKey(key=filler[at : at + KEY_BYTES], rolling_start=0, rolling_period=0)
        for at in range(0, len(filler), KEY_BYTES)
    ]


def _days_since(onset: str | None, tek: TemporaryExposureKey) -> int | None:
    if onset is None:
        return None
    return tek.rolling_start // ROLLING_PERIOD - day_number(dt.date.fromisoformat(onset))
