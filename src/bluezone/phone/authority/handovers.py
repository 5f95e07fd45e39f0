"""Hand-overs: details or a diary that the owner chose to send (docs/protocol.md, "Hand-over").

What is sent is kept until the service has it, so a phone that dies sends the same again.
"""

import os
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from bluezone.clock import Clock
from bluezone.phone.explanation import ExposureWarning
from bluezone.phone.ledger import LedgeredService
from bluezone.phone.sealing import Entropy
from bluezone.phone.service import ServiceError, ServiceFault
from bluezone.phone.store import Store
from bluezone.protocol.deployment import RETENTION_DAYS
from bluezone.protocol.handover import (
    KEPT_DAYS,
    SECRET_BYTES,
    About,
    ContactDetails,
    ExposureDay,
    HandedDiary,
    HandoverAnswer,
    HandoverSecret,
    HandoverState,
    handover_id,
    reference,
)
from bluezone.protocol.intervals import DAY_SECONDS
from bluezone.protocol.keys import TemporaryExposureKey
from bluezone.protocol.phone_number import NumberReceipt
from bluezone.protocol.sightings import ScanRecords
from bluezone.protocol.unprintable import Unprintable
from bluezone.protocol.upload import UploadedKey

_KEPT: Final = "handovers"
_PATHS: Final = {"details": "/v1/handovers/details", "diary": "/v1/handovers/diary"}


class Handover(Unprintable, frozen=True, kw_only=True):
    """One of them, as the phone keeps it. `unsent` is the message that has not arrived yet."""

    secret: bytes
    kind: Literal["details", "diary"]
    sent_at: float
    updated_at: float
    state: HandoverState = HandoverState.RECEIVED
    message: dict[str, str] = msgspec.field(default_factory=dict)
    unsent: bytes = b""

    @property
    def reference(self) -> str:
        """What its owner reads out on the telephone."""
        return reference(handover_id(self.secret))


class Handovers:
    """Sends, asks what became of it, takes back."""

    def __init__(
        self, store: Store, service: LedgeredService, clock: Clock, entropy: Entropy = os.urandom
    ) -> None:
        self._store = store
        self._service = service
        self._clock = clock
        self._entropy = entropy

    def all(self) -> list[Handover]:
        """What has been sent, newest first; not what never arrived. Raises StoreError."""
        return [one for one in self._kept() if not one.unsent]

    async def send_details(self, details: ContactDetails) -> Handover:
        """Send `details` as previewed; its id is replaced by a fresh one, unless the very same
        is still on its way. Raises ServiceError, StoreError."""
        return await self._send("details", details)

    async def send_diary(self, diary: HandedDiary) -> Handover:
        """Send a diary. Raises ServiceError, StoreError."""
        return await self._send("diary", diary)

    async def resume(self) -> None:
        """Send what has not arrived yet. Raises ServiceError, StoreError."""
        for one in self._kept():
            if one.unsent:
                await self._deliver(one)

    async def refresh(self) -> list[Handover]:
        """Ask what became of each; those that changed. Raises ServiceError, StoreError."""
        changed: list[Handover] = []
        for one in self.all():
            if one.state is HandoverState.WITHDRAWN:
                continue
            answer = await self._ask("/v1/handovers/status", one)
            if answer is None:  # its time is over there
                self._put([other for other in self._kept() if other.secret != one.secret])
                continue
            if (answer.state, answer.message) != (one.state, one.message):
                changed.append(self._keep(_updated(one, answer)))
        return changed

    async def withdraw(self, name: str) -> None:
        """Take back the one with this reference. LookupError; raises ServiceError, StoreError."""
        one = next((one for one in self.all() if one.reference == name), None)
        if one is None:
            raise LookupError(name)
        answer = await self._ask("/v1/handovers/withdraw", one)
        now = int(self._clock.now())
        gone = HandoverAnswer(reference=name, state=HandoverState.WITHDRAWN, updated_at=now)
        self._keep(_updated(one, answer or gone))

    def forget_before(self, day: int) -> int:
        """Delete those sent on UTC days so early that the service has forgotten them, too.

        `day` is the first day of the diary. Returns how many.
        """
        kept = self._kept()
        oldest = (day - (KEPT_DAYS - RETENTION_DAYS)) * DAY_SECONDS
        young = [one for one in kept if one.sent_at >= oldest]
        if len(young) < len(kept):
            self._put(young)
        return len(kept) - len(young)

    async def _send(
        self, kind: Literal["details", "diary"], message: ContactDetails | HandedDiary
    ) -> Handover:
        for one in self._kept():
            if one.unsent and one.kind == kind and _same(one, message):
                return await self._deliver(one)
        secret = self._entropy(SECRET_BYTES)
        body = msgspec.json.encode(msgspec.structs.replace(message, handover=handover_id(secret)))
        now = self._clock.now()
        one = Handover(secret=secret, kind=kind, sent_at=now, updated_at=now, unsent=body)
        # An earlier one of this kind that never arrived is not wanted any more.
        others = [other for other in self._kept() if not (other.unsent and other.kind == kind)]
        self._put([one, *others])
        return await self._deliver(one)

    async def _deliver(self, one: Handover) -> Handover:
        try:
            answer = _read(await self._service.send(_PATHS[one.kind], one.unsent))
        except ServiceError as error:
            if error.final:
                self._put([other for other in self._kept() if other.secret != one.secret])
            raise
        arrived = msgspec.structs.replace(one, unsent=b"", sent_at=self._clock.now())
        return self._keep(_updated(arrived, answer))

    async def _ask(self, path: str, one: Handover) -> HandoverAnswer | None:
        question = msgspec.json.encode(HandoverSecret(secret=one.secret))
        try:
            return _read(await self._service.send(path, question))
        except ServiceError as error:
            if error.fault is ServiceFault.MISSING:
                return None
            raise

    def _kept(self) -> list[Handover]:
        return self._store.load(_KEPT, list[Handover]) or []

    def _put(self, handovers: Sequence[Handover]) -> None:
        self._store.save(_KEPT, list(handovers))

    def _keep(self, one: Handover) -> Handover:
        self._put([one if other.secret == one.secret else other for other in self._kept()])
        return one


def details_of(
    *,
    name: str,
    phone_number: str,
    receipt: NumberReceipt | None,
    commune: str,
    about: About,
    warnings: Sequence[ExposureWarning],
    note: str,
    language: str,
) -> ContactDetails:
    """The message, complete but for its id. A receipt of another number is left out."""
    proof = receipt if receipt is not None and receipt.phone_number == phone_number else None
    return ContactDetails(
        handover=bytes(32),
        name=name.strip(),
        phone_number=phone_number,
        number_receipt=proof.receipt if proof else b"",
        number_verified_at=proof.verified_at if proof else 0,
        commune=commune,
        about=about,
        days=tuple(
            ExposureDay(
                warning.day.isoformat(),
                tuple(part.value for part in warning.parts),
                min(warning.minutes, 1440),  # of before such minutes were counted once
                warning.certainty.name.lower(),
            )
            for warning in warnings
        ),
        note=note.strip(),
        language=language,
    )


def diary_of(
    code: str, about: About, keys: Sequence[TemporaryExposureKey], records: ScanRecords
) -> HandedDiary:
    """The message, complete but for its id."""
    return HandedDiary(
        handover=bytes(32),
        code=code,
        about=about,
        keys=[
            UploadedKey(
                key=tek.key, rolling_start=tek.rolling_start, rolling_period=tek.rolling_period
            )
            for tek in keys
        ],
        records=records.tobytes(),
    )


def _same(one: Handover, message: ContactDetails | HandedDiary) -> bool:
    known = msgspec.json.decode(one.unsent, type=type(message))
    return msgspec.structs.replace(message, handover=known.handover) == known


def _updated(one: Handover, answer: HandoverAnswer) -> Handover:
    return msgspec.structs.replace(
        one, state=answer.state, message=answer.message, updated_at=float(answer.updated_at)
    )


def _read(body: bytes) -> HandoverAnswer:
    try:
        return msgspec.json.decode(body, type=HandoverAnswer)
    except msgspec.DecodeError as error:
        raise ServiceError(ServiceFault.NOT_UNDERSTOOD, "a hand-over's answer") from error
