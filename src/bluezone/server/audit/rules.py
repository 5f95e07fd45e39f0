"""What is written down, and how the entries of a chain hold together."""

import hashlib
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import Final

from bluezone.protocol.envelope import bytes_to_sign
from bluezone.server.errors import Refused
from bluezone.server.places.units import NATION
from bluezone.web.catalogue import _

_TAG: Final = b"BZ1-AUDIT"
FIRST: Final = bytes(32)  # what the first entry of a chain follows
# Longer than any record of a person is kept (holdings.rules), so that whoever asks who looked
# is told for as long as there was something to see.
KEPT_SECONDS: Final = 7 * 365 * 24 * 3600


class Action(StrEnum):
    """What somebody did."""

    LOOK = "look"  # saw a record
    LIST = "list"  # saw several, by a search or a worklist
    EXPORT = "export"
    ADD = "add"
    CHANGE = "change"
    IMPORT = "import"
    MERGE = "merge"
    UNDO = "undo"
    DELETE = "delete"
    ASSIGN = "assign"
    GRANT = "grant"
    SIGN_IN = "sign-in"
    RULE = "rule"


class Purpose(StrEnum):
    """Why a person's record was opened: chosen by whoever opens it, or given by the page."""

    CASE = "case"  # looking after a case
    TRACING = "tracing"  # finding and following contacts
    TASK = "task"  # a task of a worklist
    LABORATORY = "laboratory"
    HOTLINE = "hotline"  # the person called
    QUALITY = "quality"  # duplicates, corrections
    REPORT = "report"
    CITIZEN = "citizen"  # the person asked what is held about them
    ADMINISTRATION = "administration"
    AUDIT = "audit"  # going through what others did


# What somebody who opens a person's record may say of themselves; the others are said by pages.
CHOSEN: Final = (
    Purpose.CASE,
    Purpose.TRACING,
    Purpose.TASK,
    Purpose.HOTLINE,
    Purpose.QUALITY,
    Purpose.CITIZEN,
)


def purpose_chosen(text: str) -> Purpose:
    """The purpose that the reader chose (`audit/purpose.html`). Raises Refused (422)."""
    if text not in CHOSEN:
        raise Refused(422, "purpose-missing", _("Please say what you open this record for."))
    return Purpose(text)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, before it has its place in a chain."""

    at: int
    account_id: int
    account_name: str
    unit: str
    action: str
    subject: str
    purpose: str
    detail: str


def chain_of(unit: str) -> str:
    """The chain that the entries of a unit's staff go to: its province's, else the nation's."""
    parts = unit.split(".")
    return parts[1] if len(parts) > 1 else NATION


def digest(chain: str, sequence: int, entry: Entry, previous: bytes) -> bytes:
    """SHA-256 over every field and the digest before: 32 bytes."""
    fields = (chain, sequence, *astuple(entry))
    return hashlib.sha256(
        bytes_to_sign(_TAG, previous, *(str(one).encode() for one in fields))
    ).digest()
