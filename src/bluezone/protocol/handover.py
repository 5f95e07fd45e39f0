"""What a person chooses to hand to the health authority (docs/protocol.md, "Hand-over").

A warned person sends details to be called back (`POST /v1/handovers/details`); a case may add
the diary (`POST /v1/handovers/diary`). The phone draws a secret and sends only its hash, the
`handover` id: so the same message may be sent again after a crash and is kept once, and nobody
but this phone can ask for its state (`POST /v1/handovers/status`) or take it back
(`POST /v1/handovers/withdraw`).
"""

import base64
import hashlib
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from bluezone.protocol.claim import MAX_CLAIM_BYTES, Claim
from bluezone.protocol.commitment import MAX_POWERS
from bluezone.protocol.unprintable import Unprintable
from bluezone.protocol.upload import UploadedKey

SECRET_BYTES: Final = 16
ID_BYTES: Final = 32
# The fortnight in which a contact can fall ill, and as long again for calls that nobody
# answers and decisions that are changed. Then service and phone both forget.
KEPT_DAYS: Final = 30
MAX_DETAILS_BYTES: Final = 16 * 1024 + MAX_CLAIM_BYTES
# Fourteen very busy days; 32 bytes each, and in base64 the size below.
MAX_DIARY_RECORDS: Final = 100_000
MAX_DIARY_BYTES: Final = 5 * 1024 * 1024

_Short = Annotated[str, msgspec.Meta(max_length=120)]
_Iso = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}\Z")]
_Power = Annotated[int, msgspec.Meta(ge=-127, le=127)]
_Id = Annotated[bytes, msgspec.Meta(min_length=ID_BYTES, max_length=ID_BYTES)]


class About(StrEnum):
    """Whose health this is about; phones are shared in families."""

    SELF = "self"
    CHILD = "child"
    RELATIVE = "relative"


class HandoverState(StrEnum):
    """What health staff have made of a hand-over."""

    RECEIVED = "received"
    CONFIRMED = "confirmed"  # a contact, in the judgement of a person
    CLEARED = "cleared"  # no contact that matters
    WITHDRAWN = "withdrawn"  # taken back; the content is deleted


class ExposureDay(Unprintable, frozen=True, forbid_unknown_fields=True):
    """One Vietnamese day of a warning, in the words that its owner has read."""

    day: _Iso
    parts: Annotated[tuple[_Short, ...], msgspec.Meta(max_length=5)]  # phone's PartOfDay values
    minutes: Annotated[int, msgspec.Meta(ge=0, le=1440)]
    certainty: _Short  # proximity's ExposureClass value


class ContactDetails(Unprintable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A warned person asks to be called back. Every field but the id may be left empty."""

    handover: _Id
    name: _Short = ""
    phone_number: Annotated[str, msgspec.Meta(max_length=20)] = ""  # as `phone_number.normal`
    number_receipt: Annotated[bytes, msgspec.Meta(max_length=64)] = b""  # see phone_number
    number_verified_at: Annotated[int, msgspec.Meta(ge=0, le=2**40)] = 0
    commune: Annotated[str, msgspec.Meta(pattern=r"^(\d{5})?\Z")] = ""
    about: About = About.SELF
    days: Annotated[tuple[ExposureDay, ...], msgspec.Meta(max_length=15)] = ()
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""
    language: Annotated[str, msgspec.Meta(max_length=5)] = "vi"
    claim: Claim | None = None  # proof of the encounters, under a consent of its own


class HandedDiary(Unprintable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A case's diary for assisted tracing, under the one-time code of the report.

    `keys` are a copy of this phone's keys for the tracers alone; `records` are packed
    `SCAN_RECORD`s (`bluezone.protocol.sightings`). `powers` (dBm) are all that its beacons said
    in the time of these keys.
    """

    handover: _Id
    code: Annotated[str, msgspec.Meta(max_length=20)]
    about: About = About.SELF
    keys: Annotated[list[UploadedKey], msgspec.Meta(max_length=30)]
    records: bytes
    powers: Annotated[list[_Power], msgspec.Meta(max_length=MAX_POWERS)] = msgspec.field(
        default_factory=list
    )


class HandoverSecret(Unprintable, frozen=True, forbid_unknown_fields=True):
    """Asks for the state of a hand-over, or withdraws it."""

    secret: Annotated[bytes, msgspec.Meta(min_length=SECRET_BYTES, max_length=SECRET_BYTES)]


class HandoverAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a hand-over; `message` is what staff have to say, by language."""

    reference: str
    state: HandoverState
    updated_at: int
    message: dict[str, str] = msgspec.field(default_factory=dict)


def handover_id(secret: bytes) -> bytes:
    """The id of the hand-over whose `secret` (16 bytes) only its phone knows."""
    return hashlib.sha256(secret).digest()


def reference(handover: bytes) -> str:
    """What a person reads out on the telephone: 40 bits of the id, such as `7K3M-92QD`."""
    word = base64.b32encode(handover[:5]).decode()
    return f"{word[:4]}-{word[4:]}"
