"""The signed list of key files that are out now (docs/protocol.md, "Index")."""

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from bluezone.protocol.deployment import MAX_EXPORT_BYTES, TAG_INDEX
from bluezone.protocol.envelope import EnvelopeError, parse, read_payload, seal, verify
from bluezone.protocol.trust import Role, Trust, TrustError

VERSION: Final = 1
_Time = Annotated[int, msgspec.Meta(ge=0, le=2**40)]


class IndexFault(StrEnum):
    """Why an index is refused: what the phone does next depends on it."""

    MALFORMED = "malformed"
    SIGNATURE = "signature"  # not by a certified export key
    EXPIRED = "expired"  # held back by someone, or the phone's clock runs ahead
    ROLLED_BACK = "rolled-back"  # older than one already accepted


class IndexRefused(EnvelopeError):  # noqa: N818 - said as the protocol says it
    """The index cannot be used; `fault` says why. The last accepted one stays in force."""

    def __init__(self, fault: IndexFault, detail: str) -> None:
        super().__init__(f"the index is refused ({fault}): {detail}")
        self.fault = fault


class IndexedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One immutable key file: its name, the SHA-256 (hex) and size (bytes) of its zip."""

    # No separator can appear in a name: it becomes part of an address and of a file path.
    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.zip\Z")]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    size: Annotated[int, msgspec.Meta(gt=0, le=MAX_EXPORT_BYTES)]
    released_at: _Time


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the service has published; times are Unix seconds.

    `sequence` grows with every index. `next_at` is when the next one is due, and
    `spread_seconds` how long after that phones may ask, each at its own random moment.
    """

    sequence: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    issued_at: _Time
    expires_at: _Time
    next_at: _Time
    spread_seconds: Annotated[int, msgspec.Meta(ge=0, le=24 * 3600)]
    files: Annotated[tuple[IndexedFile, ...], msgspec.Meta(max_length=10_000)]
    version: int = VERSION


def seal_index(index: Index, key_id: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The signed index. Raises IndexRefused if no phone would accept its content."""
    payload = msgspec.json.encode(index)
    _read_payload(payload)
    return seal(TAG_INDEX, payload, key_id, key)


def read_index(document: bytes, trust: Trust, now: float, *, last_sequence: int) -> Index:
    """Check an index.

    `now` (Unix seconds) is the later of the phone's clock and the last signed server time,
    so that a clock set back does not make an old index good. `last_sequence` is that of
    the last index accepted; the same one again is fine. Raises IndexRefused.
    """
    try:
        envelope = parse(document)
    except EnvelopeError as error:
        raise IndexRefused(IndexFault.MALFORMED, str(error)) from error
    try:
        # Content before signature, for the time alone: a phone whose clock stands before
        # the key's first day may still use it, and an expired key is judged by the later time.
        issued_at = _read_payload(envelope.payload).issued_at
        key = trust.ec_key(Role.EXPORT, envelope.key_id, max(now, issued_at))
        index = _read_payload(verify(TAG_INDEX, envelope, key))
    except IndexRefused:
        raise
    except (TrustError, EnvelopeError) as error:
        raise IndexRefused(IndexFault.SIGNATURE, str(error)) from error
    if index.sequence < last_sequence:
        raise IndexRefused(
            IndexFault.ROLLED_BACK,
            f"sequence {index.sequence} after {last_sequence} was already accepted",
        )
    if now > index.expires_at:
        raise IndexRefused(
            IndexFault.EXPIRED,
            f"it expired {now - index.expires_at:.0f} s ago; if a newer one does not come,"
            " check this device's clock and network",
        )
    return index


def _read_payload(payload: bytes) -> Index:
    try:
        index = read_payload(payload, Index, VERSION)
    except EnvelopeError as error:
        raise IndexRefused(IndexFault.MALFORMED, str(error)) from error
    if index.expires_at < index.issued_at:
        raise IndexRefused(IndexFault.MALFORMED, "it expires before it was issued")
    names = {file.name for file in index.files}
    if len(names) != len(index.files):
        raise IndexRefused(IndexFault.MALFORMED, "it lists a file twice")
    return index
