"""Telephone numbers and the proof that one is its owner's (docs/protocol.md, "Telephone number").

`POST /v1/phone-numbers` sends a code to a number, `POST /v1/phone-numbers/confirm` exchanges
it for a receipt. The service keeps neither: the receipt is its MAC over number and time, held
by the phone alone and shown when its owner asks to be called.
"""

import re
from typing import Annotated, Final

import msgspec

from bluezone.protocol.unprintable import Unprintable

OTP_DIGITS: Final = 6
OTP_TTL_SECONDS: Final = 10 * 60
OTP_TRIES: Final = 5

_Number = Annotated[str, msgspec.Meta(max_length=20)]
_SEPARATORS: Final = re.compile(r"[\s().\-\u2013\u00a0]")
_MOBILE: Final = re.compile(r"\+84[35789]\d{8}")  # circular 22/2014/TT-BTTTT, after 2018
_FOREIGN: Final = re.compile(r"\+(?!84)[1-9]\d{7,14}")  # E.164


class NumberRequest(Unprintable, frozen=True, forbid_unknown_fields=True):
    """Please send a code to this number."""

    phone_number: _Number
    language: Annotated[str, msgspec.Meta(max_length=5)] = "vi"


class NumberRequested(msgspec.Struct, frozen=True):
    """The same for every number that can exist."""

    expires_at: int


class NumberConfirmation(Unprintable, frozen=True, forbid_unknown_fields=True):
    """The code that arrived."""

    phone_number: _Number
    code: Annotated[str, msgspec.Meta(max_length=20)]


class NumberReceipt(Unprintable, frozen=True):
    """Proof, to the service alone, that the number was confirmed at `verified_at`."""

    phone_number: str
    verified_at: int
    receipt: bytes


def normal(text: str) -> str:
    """A mobile number as typed, in E.164 (`+84901234567`). ValueError if it cannot be one."""
    number = _SEPARATORS.sub("", text)
    if number.startswith("00"):
        number = "+" + number[2:]
    elif number.startswith("0"):
        number = "+84" + number[1:]
    elif number.startswith("84"):
        number = "+" + number
    if number.startswith("+840"):  # written with both prefixes
        number = "+84" + number[4:]
    if not (number.isascii() and (_MOBILE.fullmatch(number) or _FOREIGN.fullmatch(number))):
        raise ValueError("not a mobile telephone number")
    return number
