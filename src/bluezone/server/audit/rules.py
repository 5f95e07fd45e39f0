"""What is written down, and how the entries of a chain hold together."""

import hashlib
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import Final

from bluezone.protocol.envelope import bytes_to_sign
from bluezone.server.places.units import NATION

_TAG: Final = b"BZ1-AUDIT"
FIRST: Final = bytes(32)  # what the first entry of a chain follows


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
