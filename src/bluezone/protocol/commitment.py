"""A phone's nightly commitment to one key day (docs/protocol.md, "Commitment").

A Merkle tree of fixed depth over what the phone broadcast and heard on one UTC day. Leaves lie
at random places under salts of their own, and whatever of the tree is empty is random bytes
instead, so neither the root nor an opened leaf tells what else there is, or how much.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec
import numpy as np

from bluezone.protocol.beacon import RPI_BYTES
from bluezone.protocol.deployment import (
    COMMITMENT_DEPTH,
    ROLLING_PERIOD,
    TAG_COMMITMENT,
    TAG_COMMITMENT_LEAF,
    TAG_COMMITMENT_NODE,
)
from bluezone.protocol.envelope import bytes_to_sign
from bluezone.protocol.intervals import utc_day_number
from bluezone.protocol.keys import KEY_BYTES, TemporaryExposureKey
from bluezone.protocol.sightings import SCAN_RECORD, ScanRecords
from bluezone.protocol.unprintable import Unprintable

HASH_BYTES: Final = 32
SALT_BYTES: Final = 32
SECRET_BYTES: Final = 32
PATH_BYTES: Final = COMMITMENT_DEPTH * HASH_BYTES
_PLACES: Final = 1 << COMMITMENT_DEPTH
# Half of the places, so that a free one is found at once. No crowd has more identifiers a day.
MAX_LEAVES: Final = _PLACES // 2
MAX_POWERS: Final = 8
# A scan every ten seconds for the ten minutes of an identifier, and as much again.
MAX_RECORDS_PER_LEAF: Final = 128
MAX_CONTENT_BYTES: Final = 1 + MAX_RECORDS_PER_LEAF * SCAN_RECORD.itemsize

MAX_COMMITMENT_BODY_BYTES: Final = 256

_KEY: Final = b"\x01"
_SIGHTING: Final = b"\x02"
_KEY_HEAD: Final = 1 + KEY_BYTES + 4 + 2 + 1
# Known to the phone alone: another implementation may draw these in its own way.
_TAG_SALT: Final = b"BZ1-COMMITMENT-SALT"
_TAG_PLACE: Final = b"BZ1-COMMITMENT-PLACE"
_TAG_EMPTY: Final = b"BZ1-COMMITMENT-EMPTY"
_PACKED: Final = np.dtype([("place", ">u2"), ("hash", f"V{HASH_BYTES}")])


class CommitmentError(ValueError):
    """A leaf or its opening is malformed; the text says what about it."""


class OpenedLeaf(Unprintable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One leaf with what proves that it was committed to.

    `path` holds the 16 neighbours from the leaf up to the root. `salt` and `path` are empty for
    what was never committed: it is said, and proves nothing.
    """

    content: Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_CONTENT_BYTES)]
    place: Annotated[int, msgspec.Meta(ge=0, lt=_PLACES)] = 0
    salt: Annotated[bytes, msgspec.Meta(max_length=SALT_BYTES)] = b""
    path: Annotated[bytes, msgspec.Meta(max_length=PATH_BYTES)] = b""


class NightlyCommitment(Unprintable, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/commitments`: the 32 bytes and nothing else, so all phones send alike."""

    commitment: Annotated[bytes, msgspec.Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]


class CommitmentAnswer(msgspec.Struct, frozen=True):
    """The same for a new one and for one that is known."""

    status: str = "accepted"


@dataclass(frozen=True, slots=True)
class KeyLeaf:
    """A key of the day, and every power (dBm) that its beacons said."""

    tek: TemporaryExposureKey
    powers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SightingLeaf:
    """All records of one identifier; at least one, in order of their bytes."""

    records: ScanRecords = field(repr=False)


# --- contents ----------------------------------------------------------------------------
def key_content(tek: TemporaryExposureKey, powers: Iterable[int]) -> bytes:
    """The leaf of a key. ValueError for more than MAX_POWERS powers, or one beyond ±127 dBm."""
    distinct = sorted(set(powers))
    if len(distinct) > MAX_POWERS or any(not -127 <= power <= 127 for power in distinct):
        raise ValueError(f"the powers {distinct} cannot be committed to")
    return b"".join(
        (
            _KEY,
            tek.key,
            tek.rolling_start.to_bytes(4, "big"),
            tek.rolling_period.to_bytes(2, "big"),
            bytes([len(distinct)]),
            *(power.to_bytes(1, "big", signed=True) for power in distinct),
        )
    )


def sighting_contents(records: ScanRecords) -> list[bytes]:
    """A leaf for each identifier in `records`, those with most records first.

    At most MAX_LEAVES less room for keys: what a flood of invented identifiers exceeds is left
    out, and they are heard once each.
    """
    of_identifier: dict[bytes, set[bytes]] = {}
    for record in records:
        of_identifier.setdefault(record["rpi"].tobytes(), set()).add(record.tobytes())
    most_first = sorted(of_identifier.values(), key=lambda one: (-len(one), min(one)))
    return [
        _SIGHTING + b"".join(sorted(one)[:MAX_RECORDS_PER_LEAF])
        for one in most_first[: MAX_LEAVES - ROLLING_PERIOD]
    ]


def read_content(content: bytes, day: int) -> KeyLeaf | SightingLeaf:
    """What a leaf of UTC day `day` says. Raises CommitmentError."""
    if content[:1] == _KEY:
        return _read_key(content, day)
    if content[:1] == _SIGHTING:
        return _read_sighting(content, day)
    raise CommitmentError("a leaf is neither a key nor a sighting")


def _read_key(content: bytes, day: int) -> KeyLeaf:
    if not _KEY_HEAD <= len(content) == _KEY_HEAD + content[_KEY_HEAD - 1 : _KEY_HEAD][0]:
        raise CommitmentError("the leaf of a key has another length than it says")
    numbers = content[1 + KEY_BYTES :]
    start, period = int.from_bytes(numbers[:4], "big"), int.from_bytes(numbers[4:6], "big")
    powers = tuple(
        int.from_bytes(content[at : at + 1], "big", signed=True)
        for at in range(_KEY_HEAD, len(content))
    )
    if len(powers) > MAX_POWERS or list(powers) != sorted(set(powers)) or -128 in powers:
        raise CommitmentError("the powers of a key are not distinct, in order and within ±127")
    first = day * ROLLING_PERIOD
    if not (period and first <= start and start + period <= first + ROLLING_PERIOD):
        raise CommitmentError("a key is not of its day")
    return KeyLeaf(TemporaryExposureKey(content[1 : 1 + KEY_BYTES], start, period), powers)


def _read_sighting(content: bytes, day: int) -> SightingLeaf:
    packed, size = content[1:], SCAN_RECORD.itemsize
    if not packed or len(packed) % size:
        raise CommitmentError("a sighting is cut off")
    rows = [packed[at : at + size] for at in range(0, len(packed), size)]
    if rows != sorted(set(rows)):
        raise CommitmentError("the records of a sighting are not distinct and in order")
    if len({row[:RPI_BYTES] for row in rows}) > 1:
        raise CommitmentError("a sighting holds two identifiers")
    if any(row[-1] or row[-2] > 1 for row in rows):
        raise CommitmentError("a sighting holds what no phone writes")
    records = np.frombuffer(packed, SCAN_RECORD)
    if any(utc_day_number(time) != day for time in records["time"].tolist()):
        raise CommitmentError("a sighting is not of its day")
    return SightingLeaf(records)


# --- the tree -----------------------------------------------------------------------------
def _leaf_hash(salt: bytes, content: bytes) -> bytes:
    return hashlib.sha256(bytes_to_sign(TAG_COMMITMENT_LEAF, salt, content)).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(bytes_to_sign(TAG_COMMITMENT_NODE, left, right)).digest()


def _commitment(day: int, root: bytes) -> bytes:
    return hashlib.sha256(bytes_to_sign(TAG_COMMITMENT, day.to_bytes(4, "big"), root)).digest()


@dataclass(frozen=True, slots=True)
class CommittedDay:
    """The tree of one UTC day, as its phone keeps it: `secret` and the hash at each taken place."""

    day: int
    secret: bytes = field(repr=False)
    hashes: Mapping[int, bytes] = field(repr=False)

    @classmethod
    def of(cls, day: int, secret: bytes, contents: Sequence[bytes]) -> "CommittedDay":
        """The tree over `contents`. ValueError if there is none, or more than MAX_LEAVES.

        `secret` is SECRET_BYTES at random, drawn for this day alone.
        """
        distinct = sorted(set(contents))
        if not 0 < len(distinct) <= MAX_LEAVES or len(secret) != SECRET_BYTES:
            raise ValueError(f"a day cannot be committed to with {len(distinct)} leaves")
        hashes: dict[int, bytes] = {}
        for content in distinct:
            drawn = 0
            while (place := _place(secret, content, drawn)) in hashes:
                drawn += 1
            hashes[place] = _leaf_hash(_salt(secret, content), content)
        return cls(day, secret, hashes)

    def packed(self) -> bytes:
        """The taken places and their hashes, 34 bytes each, by place."""
        return b"".join(
            place.to_bytes(2, "big") + self.hashes[place] for place in sorted(self.hashes)
        )

    @classmethod
    def unpack(cls, day: int, secret: bytes, packed: bytes) -> "CommittedDay":
        """The inverse of `packed`. ValueError for what it cannot have made."""
        rows = np.frombuffer(packed, _PACKED)
        places: list[int] = rows["place"].tolist()
        return cls(
            day,
            secret,
            {place: row.tobytes() for place, row in zip(places, rows["hash"], strict=True)},
        )

    def commitment(self) -> bytes:
        """The 32 bytes that the service gets."""
        (root,) = self._levels()[-1].values()
        return _commitment(self.day, root)

    def open(self, contents: Iterable[bytes]) -> list[OpenedLeaf]:
        """The openings of those `contents` that were committed to; the others are left out."""
        levels = self._levels()
        opened: list[OpenedLeaf] = []
        for content in contents:
            salt = _salt(self.secret, content)
            place = self._find(content, _leaf_hash(salt, content))
            if place is None:
                continue
            path = b"".join(
                self._node(levels[level], level, (place >> level) ^ 1)
                for level in range(COMMITMENT_DEPTH)
            )
            opened.append(OpenedLeaf(content=content, place=place, salt=salt, path=path))
        return opened

    def _find(self, content: bytes, wanted: bytes) -> int | None:
        drawn = 0
        while (found := self.hashes.get(place := _place(self.secret, content, drawn))) != wanted:
            if found is None:
                return None
            drawn += 1
        return place

    def _levels(self) -> list[dict[int, bytes]]:
        """What stands at each level from the leaves to the root, without what is empty."""
        levels = [dict(self.hashes)]
        for level in range(COMMITMENT_DEPTH):
            below = levels[-1]
            levels.append(
                {
                    at: _node_hash(
                        self._node(below, level, 2 * at), self._node(below, level, 2 * at + 1)
                    )
                    for at in {place >> 1 for place in below}
                }
            )
        return levels

    def _node(self, nodes: Mapping[int, bytes], level: int, at: int) -> bytes:
        return nodes.get(at) or _derived(
            self.secret, _TAG_EMPTY, bytes([level]), at.to_bytes(2, "big")
        )


def _derived(secret: bytes, tag: bytes, *parts: bytes) -> bytes:
    return hmac.digest(secret, bytes_to_sign(tag, *parts), "sha256")


def _salt(secret: bytes, content: bytes) -> bytes:
    return _derived(secret, _TAG_SALT, content)


def _place(secret: bytes, content: bytes, drawn: int) -> int:
    number = _derived(secret, _TAG_PLACE, content, drawn.to_bytes(4, "big"))
    return int.from_bytes(number[:2], "big")


# --- checking ------------------------------------------------------------------------------
def opened_commitment(day: int, leaf: OpenedLeaf) -> bytes:
    """The commitment to UTC day `day` that this leaf was part of, if there is one.

    Whoever checks looks whether it was received, and when. Raises CommitmentError.
    """
    if len(leaf.salt) != SALT_BYTES or len(leaf.path) != PATH_BYTES:
        raise CommitmentError(
            f"an opening has {SALT_BYTES} bytes of salt and {PATH_BYTES} of path, not"
            f" {len(leaf.salt)} and {len(leaf.path)}"
        )
    node = _leaf_hash(leaf.salt, leaf.content)
    for level in range(COMMITMENT_DEPTH):
        beside = leaf.path[level * HASH_BYTES : (level + 1) * HASH_BYTES]
        on_the_right = (leaf.place >> level) & 1
        node = _node_hash(beside, node) if on_the_right else _node_hash(node, beside)
    return _commitment(day, node)
