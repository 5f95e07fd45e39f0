"""How long what is kept, and the codes with which people ask: decisions without a database.

The days are a proposal. docs/privacy.md names the laws that we read, and a lawyer has to confirm
both before anybody relies on them.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from bluezone.protocol.deployment import CODE_TTL_SECONDS
from bluezone.protocol.envelope import bytes_to_sign

RULES_KIND: Final = "retention"
DAY_SECONDS: Final = 24 * 3600
# The longest incubation that is followed up: an exposure is over when this has passed.
FOLLOW_UP_DAYS: Final = 14
# Nobody closed it, and nobody has touched it for so long: then it is over.
ABANDONED_DAYS: Final = 365
CODE_SECONDS: Final = CODE_TTL_SECONDS
CODE_TRIES: Final = 5
CODES_BY_WORKER: Final = 60  # within an hour
CODES_BY_PERSON: Final = 5  # within a day


class Category(StrEnum):
    """Why somebody is in the register; of several the last here counts."""

    OTHER = "other"  # entered, and nothing came of it
    FAR_CONTACT = "far-contact"  # never the contact of a case (F2 and beyond)
    CONTACT = "contact"  # of a case (F1)
    CASE = "case"


_ORDER: Final = tuple(Category)


class RetentionRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days from when everything about a person was over. Version 0; the rulebook has later ones."""

    other_days: int = 90
    far_contact_days: int = 14
    contact_days: int = 90
    case_days: int = 5 * 365

    def days(self, category: Category) -> int:
        """How long records of this category are kept."""
        return {
            Category.OTHER: self.other_days,
            Category.FAR_CONTACT: self.far_contact_days,
            Category.CONTACT: self.contact_days,
            Category.CASE: self.case_days,
        }[category]


SHIPPED: Final = RetentionRules()


@dataclass(frozen=True, slots=True)
class Ending:
    """When what one duty holds of a person is over (Unix time; may lie ahead)."""

    category: Category
    at: int
    is_open: bool = False  # somebody still works on it, so `at` moves


@dataclass(frozen=True, slots=True)
class Keeping:
    """Until when everything of a person is kept."""

    category: Category
    until: int
    is_open: bool


def keeping(endings: Iterable[Ending], rules: RetentionRules) -> Keeping:
    """What all duties say together; at least one says something."""
    found = list(endings)
    category = max((one.category for one in found), key=_ORDER.index)
    until = max(one.at for one in found) + rules.days(category) * DAY_SECONDS
    return Keeping(category, until, any(one.is_open for one in found))


def deletion_digest(category: Category, day: str, people: Iterable[int]) -> str:
    """Stands for who was deleted without naming them: hex of 32 bytes.

    Who restores an old copy can show with it that the same people are to be deleted again.
    """
    numbers = (str(one).encode() for one in sorted(people))
    return hashlib.sha256(
        bytes_to_sign(b"BZ1-DELETION", category.encode(), day.encode(), *numbers)
    ).hexdigest()


class Kind(StrEnum):
    """A kind of data, as it is explained to the person."""

    DETAILS = "details"
    ILLNESS = "illness"
    LABORATORY = "laboratory"
    EXPOSED = "exposed"
    MET = "met"
    PLACES = "places"
    RANK = "rank"
    FOLLOW_UP = "follow-up"


@dataclass(frozen=True, slots=True)
class Held:
    """What one duty holds of a person: never whom else it concerns."""

    kind: Kind
    since: int  # Unix time of the oldest
    count: int | None = None  # None: the number itself would tell of others
    fields: tuple[str, ...] = ()  # of details: which are filled in


def code_mac(code: str, pepper: bytes) -> bytes:
    """What is stored of a code: 32 bytes, worthless without the pepper."""
    return hmac.digest(pepper, bytes_to_sign(b"BZ1-CITIZEN-CODE", code.encode()), "sha256")


def number_mac(number: str, code: str, pepper: bytes) -> bytes:
    """What is stored of the number that belongs to a code: 32 bytes."""
    message = bytes_to_sign(b"BZ1-CITIZEN-NUMBER", number.encode(), code.encode())
    return hmac.digest(pepper, message, "sha256")
