"""A claim: proof of encounters, added to a warned person's details (docs/protocol.md, "Claim").

It opens the leaves that match the published keys behind the warning, and the leaves of this
phone's own keys of those days; nothing else of the days.
"""

from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from bluezone.protocol.commitment import (
    CommitmentError,
    KeyLeaf,
    OpenedLeaf,
    opened_commitment,
    read_content,
)
from bluezone.protocol.deployment import RETENTION_DAYS
from bluezone.protocol.keys import KEY_BYTES
from bluezone.protocol.sightings import SCAN_RECORD, ScanRecords
from bluezone.protocol.unprintable import Unprintable

# The traced fortnight, the day that runs, and a key day more at the other end.
MAX_CLAIM_DAYS: Final = RETENTION_DAYS + 2
# Ten minutes each: more than two nights and days beside one person. In base64 some 400 KB.
MAX_CLAIM_LEAVES: Final = 400
MAX_CLAIMED_KEYS: Final = 64
MAX_CLAIM_BYTES: Final = 768 * 1024

_Key = Annotated[bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]


class ClaimedDay(Unprintable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is opened of one UTC day (since 1970-01-01)."""

    day: Annotated[int, msgspec.Meta(ge=0, lt=2**16)]
    leaves: Annotated[list[OpenedLeaf], msgspec.Meta(max_length=MAX_CLAIM_LEAVES)]


class Claim(Unprintable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`published` are the keys that the warning came from, `days` what this phone opens."""

    published: Annotated[list[_Key], msgspec.Meta(min_length=1, max_length=MAX_CLAIMED_KEYS)]
    days: Annotated[list[ClaimedDay], msgspec.Meta(min_length=1, max_length=MAX_CLAIM_DAYS)]


@dataclass(frozen=True, slots=True)
class ReadDay:
    """One day of a claim, taken apart. `commitment` is None if nothing of it was committed to.

    `committed` has shape (N,) beside the N `records`: whether that record leads to it.
    """

    day: int
    commitment: bytes | None = field(repr=False)
    keys: tuple[KeyLeaf, ...] = field(repr=False)
    records: ScanRecords = field(repr=False)
    committed: NDArray[np.bool_] = field(repr=False)


def read_claim(claim: Claim) -> list[ReadDay]:
    """The days of a claim, every opening followed up to its root. Raises CommitmentError.

    Whether a commitment was received, and when, is for the service to look up.
    """
    days = [one.day for one in claim.days]
    if days != sorted(set(days)):
        raise CommitmentError("the days of a claim are not distinct and in order")
    if sum(len(one.leaves) for one in claim.days) > MAX_CLAIM_LEAVES:
        raise CommitmentError(f"a claim opens {MAX_CLAIM_LEAVES} leaves at most")
    return [_read_day(one) for one in claim.days]


def _read_day(claimed: ClaimedDay) -> ReadDay:
    keys: list[KeyLeaf] = []
    pieces: list[ScanRecords] = [np.zeros(0, SCAN_RECORD)]
    committed: list[NDArray[np.bool_]] = [np.zeros(0, np.bool_)]
    commitments: set[bytes] = set()
    for leaf in claimed.leaves:
        is_open = bool(leaf.salt or leaf.path)
        if is_open:
            commitments.add(opened_commitment(claimed.day, leaf))
        said = read_content(leaf.content, claimed.day)
        if isinstance(said, KeyLeaf):
            keys.append(said)
        else:
            pieces.append(said.records)
            committed.append(np.full(len(said.records), is_open))
    if len(commitments) > 1:
        raise CommitmentError("the leaves of one day lead to different commitments")
    return ReadDay(
        claimed.day,
        next(iter(commitments), None),
        tuple(keys),
        np.concatenate(pieces),
        np.concatenate(committed),
    )
