"""Hand-overs: details or a diary that the owner chose to send (docs/protocol.md, "Hand-over").

What is sent is kept until the service has it, so a phone that dies sends the same again, but for
a day only: nobody expects later what they asked for then. Until then its owner sees it waiting.
What is not wanted any more may have arrived without an answer, so its secret is kept until the
service has withdrawn it.
"""

import os
from collections.abc import Callable, Collection, Sequence
from typing import Final, Literal

import msgspec

from bluezone.clock import Clock
from bluezone.phone.explanation import ExposureWarning, WhoKnows
from bluezone.phone.ledger import LedgeredService
from bluezone.phone.sealing import Entropy
from bluezone.phone.service import ServiceError, ServiceFault
from bluezone.phone.store import Store
from bluezone.phone.told import Kind, Messages, Told
from bluezone.protocol.claim import Claim
from bluezone.protocol.commitment import MAX_POWERS
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
from bluezone.web.catalogue import _, in_all_languages

_KEPT: Final = "handovers"
_UNWANTED: Final = "handovers-unwanted"
_TRIED_SECONDS: Final = 24 * 3600.0
_GONE: Final = "handover-unknown"  # the service's name for it; a proxy's 404 says nothing
# A decision seldom changes, and every question tells that this address handed something over.
_DECIDED: Final = frozenset({HandoverState.CONFIRMED, HandoverState.CLEARED})
_ASK_DECIDED_SECONDS: Final = 24 * 3600.0
_LATE: Final = _(
    "What you wanted to send to the health authority could not be sent for a day. It is not sent"
    " any more: send it again if you still want to."
)
_REFUSED: Final = _(
    "What you wanted to send to the health authority was refused, so it was not sent. Send it"
    " again if you still want to."
)
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
    ask_at: float = 0.0  # not before, unless the owner asks

    @property
    def reference(self) -> str:
        """What its owner reads out on the telephone."""
        return reference(handover_id(self.secret))


class _Unwanted(Unprintable, frozen=True):
    """May have arrived at the service, and is to be withdrawn there."""

    secret: bytes
    since: float


class Handovers:
    """Sends, asks what became of it, takes back."""

    def __init__(
        self, store: Store, service: LedgeredService, clock: Clock, entropy: Entropy = os.urandom
    ) -> None:
        self._store = store
        self._service = service
        self._clock = clock
        self._entropy = entropy
        self._messages = Messages(store)
        self._dropped: set[bytes] = set()  # by this process: one may be on its way

    def all(self) -> list[Handover]:
        """What has been sent or is still waiting, newest first. Raises StoreError."""
        return self._kept()

    def who_knows(self, warning: ExposureWarning) -> WhoKnows:
        """Whether the owner sent details since `warning` was noticed. Raises StoreError.

        What is still on its way counts: it may have arrived without an answer.
        """
        sent = [
            one.state
            for one in self._kept()
            if one.kind == "details" and one.sent_at >= warning.noticed_at
        ]
        if not sent:
            return WhoKnows.NOBODY
        withdrawn = all(state is HandoverState.WITHDRAWN for state in sent)
        return WhoKnows.WITHDRAWN if withdrawn else WhoKnows.AUTHORITY

    async def send_details(self, details: ContactDetails) -> Handover:
        """Send `details` as previewed; its id is replaced by a fresh one, unless the very same
        is still on its way. Raises ServiceError, StoreError."""
        return await self._send("details", details)

    async def send_diary(self, diary: HandedDiary) -> Handover:
        """Send a diary. Raises ServiceError, StoreError."""
        return await self._send("diary", diary)

    async def resume(self) -> None:
        """Withdraw what is not wanted, send what has not arrived. Raises ServiceError, StoreError.

        One that fails does not keep the others waiting. What is given up or refused for good is
        told to its owner, who is not looking.
        """
        faults = await self._withdraw_unwanted()
        for one in self._kept():
            if not one.unsent or not self._still(one):  # withdrawn while another was sent
                continue
            if abs(self._clock.now() - one.sent_at) >= _TRIED_SECONDS:
                with self._store.transaction():
                    self._drop(one, unwanted=True)
                    self._tell(_LATE)
                continue
            try:
                await self._deliver(one)
            except ServiceError as error:
                if error.final:
                    self._unwant(one)  # an earlier try may have arrived
                    self._tell(_REFUSED)
                faults.append(error)
        if faults:
            raise faults[0]

    async def refresh(
        self, changed: Callable[[Handover], None] = lambda _: None, *, due_only: bool = False
    ) -> None:
        """Ask what became of each; `changed` hears of each change as it is kept.

        `due_only` leaves out what was decided and asked for within about a day.
        Raises ServiceError, StoreError.
        """
        for one in self._kept():
            if one.unsent or one.state is HandoverState.WITHDRAWN:
                continue
            wait = one.ask_at - self._clock.now()
            if due_only and 0 < wait <= 2 * _ASK_DECIDED_SECONDS:  # more: the clock was set back
                continue
            answer = await self._ask("/v1/handovers/status", one)
            if answer is None:  # its time is over there
                self._drop(one)
                continue
            asked = msgspec.structs.replace(_updated(one, answer), ask_at=self._ask_at(answer))
            now_kept = self._still(one)
            if now_kept is None or now_kept.state is HandoverState.WITHDRAWN:
                continue  # by its owner, during the question
            # Together: a change that is kept and not told would never be told.
            with self._store.transaction():
                self._keep(asked)
                if (answer.state, answer.message) != (one.state, one.message):
                    changed(asked)

    async def withdraw(self, name: str) -> None:
        """Take back the one with this reference. LookupError; raises ServiceError, StoreError."""
        one = next((one for one in self.all() if one.reference == name), None)
        if one is None:
            raise LookupError(name)
        if one.unsent:
            self._drop(one, unwanted=True)
            await self._withdraw_unwanted()  # what fails is tried again by `resume`
            return
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
                return await self._deliver(
                    self._keep(msgspec.structs.replace(one, sent_at=self._clock.now()))
                )
        secret = self._entropy(SECRET_BYTES)
        body = msgspec.json.encode(msgspec.structs.replace(message, handover=handover_id(secret)))
        now = self._clock.now()
        one = Handover(secret=secret, kind=kind, sent_at=now, updated_at=now, unsent=body)
        with self._store.transaction():
            for other in self._kept():
                if other.unsent and other.kind == kind:
                    self._drop(other, unwanted=True)  # this one is sent in its place
            self._put([one, *self._kept()])
        return await self._deliver(one)

    async def _deliver(self, one: Handover) -> Handover:
        try:
            answer = _read(await self._service.send(_PATHS[one.kind], one.unsent))
        except ServiceError as error:
            if error.final:
                self._drop(one)
            raise
        if one.secret in self._dropped:  # withdrawn while it was on its way
            self._unwant(one)
        arrived = msgspec.structs.replace(one, unsent=b"", sent_at=self._clock.now())
        return self._keep(_updated(arrived, answer))

    async def _ask(self, path: str, one: "Handover | _Unwanted") -> HandoverAnswer | None:
        """None once the service has nothing of it any more."""
        question = msgspec.json.encode(HandoverSecret(secret=one.secret))
        try:
            return _read(await self._service.send(path, question))
        except ServiceError as error:
            if error.fault is ServiceFault.MISSING and error.reason == _GONE:
                return None
            raise

    async def _withdraw_unwanted(self) -> list[ServiceError]:
        faults: list[ServiceError] = []
        for one in self._unwanted():
            over = abs(self._clock.now() - one.since) >= KEPT_DAYS * DAY_SECONDS
            try:
                if not over:
                    await self._ask("/v1/handovers/withdraw", one)
            except ServiceError as error:
                faults.append(error)
            else:
                left = [other for other in self._unwanted() if other.secret != one.secret]
                self._store.save(_UNWANTED, left)
        return faults

    def _unwanted(self) -> list[_Unwanted]:
        return self._store.load(_UNWANTED, list[_Unwanted]) or []

    def _unwant(self, one: Handover) -> None:
        others = [other for other in self._unwanted() if other.secret != one.secret]
        self._store.save(_UNWANTED, [*others, _Unwanted(one.secret, self._clock.now())])

    def _drop(self, one: Handover, *, unwanted: bool = False) -> None:
        with self._store.transaction():
            if unwanted:
                self._dropped.add(one.secret)
                self._unwant(one)
            self._put([other for other in self._kept() if other.secret != one.secret])

    def _tell(self, message: str) -> None:
        text = in_all_languages(message)
        self._messages.add(Told(Kind.HEALTH_STAFF, self._clock.now(), text, shown=False))

    def _ask_at(self, answer: HandoverAnswer) -> float:
        """When to ask again; not at the same hour each day, by which a phone could be known."""
        if answer.state not in _DECIDED:
            return 0.0
        jitter = 1 + self._entropy(1)[0] / 512
        return self._clock.now() + _ASK_DECIDED_SECONDS * jitter

    def _still(self, one: Handover) -> Handover | None:
        return next((other for other in self._kept() if other.secret == one.secret), None)

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
    claim: Claim | None = None,
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
        claim=claim,
    )


def diary_of(
    code: str,
    about: About,
    keys: Sequence[TemporaryExposureKey],
    records: ScanRecords,
    powers: Collection[int] = (),
) -> HandedDiary:
    """The message, complete but for its id; `powers` (dBm) are those of these keys' beacons."""
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
        powers=sorted(powers)[-MAX_POWERS:],
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
