"""Codes for telephone numbers and their receipts: decisions without database or network."""

import hmac
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bluezone.protocol.envelope import bytes_to_sign
from bluezone.protocol.phone_number import OTP_DIGITS, OTP_TTL_SECONDS
from bluezone.web.catalogue import DEFAULT_LANGUAGE, LANGUAGES, _, translate

# A code is worthless after minutes; a day is enough to see what went wrong.
MESSAGE_KEPT_SECONDS: Final = 24 * 3600

_CODE_TAG: Final = b"BZ1-NUMBER-CODE"
_NUMBER_TAG: Final = b"BZ1-NUMBER"
_RECEIPT_TAG: Final = b"BZ1-NUMBER-RECEIPT"
_BETWEEN_DIGITS: Final = re.compile(r"[\s.\u2013-]")
# One SMS in Vietnamese letters has 70 characters (3GPP TS 23.038, UCS-2).
_CODE_TEXT: Final = _("Bluezone: {code} is your code for {minutes} minutes. Give it to nobody.")

_REPORT_TEXT: Final = _(
    "Bluezone: code {code}, works once, until {until}. In the app: report a positive test."
)


class Purpose(StrEnum):
    """What a message is for."""

    NUMBER_CODE = "number-code"
    REPORT_CODE = "report-code"


class MessageState(StrEnum):
    """What became of a message."""

    WAITING = "waiting"
    KEPT = "kept"  # no carrier is connected: it is read in the outbox
    SENT = "sent"


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one telephone (E.164)."""

    to: str = field(repr=False)
    text: str = field(repr=False)
    purpose: Purpose


def new_number_code() -> str:
    """OTP_DIGITS random decimal digits."""
    return f"{secrets.randbelow(10**OTP_DIGITS):0{OTP_DIGITS}d}"


def typed_number_code(text: str) -> str:
    """The digits as somebody typed them."""
    return _BETWEEN_DIGITS.sub("", text)


def number_code_message(number: str, code: str, language: str) -> Message:
    """What goes to the number; Vietnamese unless the language is one of ours."""
    text = translate(
        _CODE_TEXT,
        language if language in LANGUAGES else DEFAULT_LANGUAGE,
        code=code,
        minutes=OTP_TTL_SECONDS // 60,
    )
    return Message(number, text, Purpose.NUMBER_CODE)


def report_code_message(number: str, code: str, until: str, language: str) -> Message:
    """The one-time code of a case (as shown, with its hour of expiry), to the case's telephone."""
    text = translate(
        _REPORT_TEXT,
        language if language in LANGUAGES else DEFAULT_LANGUAGE,
        code=code,
        until=until,
    )
    return Message(number, text, Purpose.REPORT_CODE)


def number_mac(number: str, pepper: bytes) -> bytes:
    """What is stored of a number while a code is on its way to it."""
    return hmac.digest(pepper, bytes_to_sign(_NUMBER_TAG, number.encode()), "sha256")


def number_code_mac(number: str, code: str, pepper: bytes) -> bytes:
    """What is stored of a code: bound to its number, worthless without the pepper."""
    message = bytes_to_sign(_CODE_TAG, number.encode(), code.encode())
    return hmac.digest(pepper, message, "sha256")


def receipt(number: str, verified_at: int, key: bytes) -> bytes:
    """Proof to this service that somebody confirmed `number` at `verified_at`: 32 bytes."""
    message = bytes_to_sign(_RECEIPT_TAG, number.encode(), verified_at.to_bytes(8, "big"))
    return hmac.digest(key, message, "sha256")


def is_receipt(given: bytes, number: str, verified_at: int, key: bytes) -> bool:
    """Whether `given` is the receipt of this number and time."""
    return hmac.compare_digest(given, receipt(number, verified_at, key))
