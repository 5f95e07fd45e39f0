"""Decisions about staff: roles, names, passwords, lockout."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bluezone.web.catalogue import _

MIN_PASSWORD_CHARACTERS: Final = 12
MAX_PASSWORD_CHARACTERS: Final = 200  # hashing megabytes would be an attack
FREE_FAILURES: Final = 5
FIRST_LOCK_SECONDS: Final = 30
LONGEST_LOCK_SECONDS: Final = 15 * 60  # longer would hand attackers a way to shut people out
FAILURES_KEPT_SECONDS: Final = 24 * 3600

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")
_UNIT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
# NIST SP 800-63B, 5.1.1.2: length and a list of the expected, no rules of composition.
_EXPECTED: Final = (
    "password",
    "matkhau",
    "bluezone",
    "qwerty",
    "vietnam",
    "covid",
    "123456",
    "abcdef",
    "iloveyou",
    "admin",
)


class StaffRole(StrEnum):
    """What an account may do."""

    HEALTH_WORKER = "health-worker"  # issues codes to confirmed cases
    ADMIN = "admin"  # looks after accounts


@dataclass(frozen=True, slots=True)
class Staff:
    """A signed-in member of staff."""

    account_id: int
    name: str
    role: StaffRole
    unit: str


NAME_TAKEN: Final = _("An account of this name exists already.")


class AccountError(ValueError):
    """An account cannot be made like this; `message` is a catalogue message."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def normal_name(text: str) -> str:
    """A name as it is kept and compared."""
    return text.strip().lower()


def check_name(name: str) -> None:
    """Raises AccountError unless `name` (normalised) can be an account's."""
    if not _NAME.fullmatch(name):
        raise AccountError(
            _("A name has 2 to 64 characters: letters a-z, digits, dot, hyphen, underscore, @.")
        )


def check_unit(unit: str) -> None:
    """Raises AccountError unless `unit` can be the code of a health unit."""
    if not _UNIT.fullmatch(unit):
        raise AccountError(
            _("A unit code has 1 to 32 characters: letters, digits, dot, hyphen, underscore.")
        )


def check_password(password: str, name: str) -> None:
    """Raises AccountError if a guesser would try `password` early."""
    if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise AccountError(_("A password has 12 to 200 characters; several words are fine."))
    plain = password.lower()
    # What is left without the expected parts must still be worth guessing.
    for part in (*_EXPECTED, name, *name.split("@")):
        plain = plain.replace(part, "")
    if len(set(plain)) < 6 or len(plain) < 8:
        raise AccountError(
            _("This password is easy to guess. Take several unrelated words, or a longer phrase.")
        )


def lock_seconds(failures: int) -> int:
    """How long a name is locked after so many failures in a row."""
    if failures < FREE_FAILURES:
        return 0
    doublings = min(failures - FREE_FAILURES, 16)
    return int(min(FIRST_LOCK_SECONDS * 2**doublings, LONGEST_LOCK_SECONDS))
