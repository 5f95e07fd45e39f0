"""Messages between a reporting phone and the service (docs/protocol.md, "Upload").

Leg 1, `POST /v1/permission`: the one-time code is exchanged for a blind signature over a
digest of the keys. Leg 2, `POST /v1/keys`, on a fresh connection: the keys with the
unblinded signature. The service that publishes cannot tell which code they came from.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from bluezone.protocol.deployment import TAG_UPLOAD, UPLOAD_BODY_BYTES, UPLOAD_KEY_SLOTS
from bluezone.protocol.envelope import bytes_to_sign
from bluezone.protocol.keys import DiagnosisKey
from bluezone.protocol.unprintable import Unprintable


class PermissionRequest(Unprintable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Leg 1. Chaff carries `chaff=True`, a random code and random blinded messages.

    The phone cannot know which report type the code stands for, and each type has its own
    permission key, so it blinds the digest once for every valid permission key, by key id;
    the service signs the one that belongs to the code. The JSON body is padded to
    UPLOAD_BODY_BYTES exactly.
    """

    code: str  # CODE_DIGITS decimal digits
    blinded_messages: dict[str, bytes]  # key id -> as many bytes as that key's modulus
    chaff: bool = False
    padding: str = ""


class PermissionAnswer(Unprintable, frozen=True, kw_only=True):
    """The blind signature, and what the health worker recorded with the code."""

    blind_signature: bytes
    key_id: str  # which of the blinded messages was signed
    report_type: int
    symptom_onset: str | None  # ISO day, Vietnamese calendar
    padding: str = ""


class UploadedKey(Unprintable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of the 30 slots; an unused slot holds random bytes and `rolling_period` 0."""

    key: bytes
    rolling_start: int
    rolling_period: int
    days_since_onset: int | None = None


class KeyUpload(Unprintable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Leg 2. The JSON body is padded to UPLOAD_BODY_BYTES exactly."""

    keys: list[UploadedKey]
    report_type: int
    permission_key_id: str
    permission_prefix: bytes  # the 32 random bytes of RFC 9474's prepared message
    permission_signature: bytes
    chaff: bool = False
    padding: str = ""


class UploadAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The same size and content for real keys and chaff."""

    status: str = "accepted"
    padding: str = ""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Any error of the JSON interface: `error` names the reason, `message` says it to a person."""

    error: str
    message: dict[str, str]  # by language: "vi", "en"


def upload_digest(keys: Sequence[DiagnosisKey]) -> bytes:
    """32 bytes that bind a permission to these keys, whatever their order.

    SHA-256 over the domain tag and, for each key sorted by its bytes: key, rolling start,
    rolling period, all length-prefixed. The report type is asserted by the permission key
    that signed; the onset is not bound, for the phone learns it only with the signature.
    """
    parts: list[bytes] = []
    for row in sorted(keys, key=lambda row: row.tek):
        parts += [
            row.tek.key,
            row.tek.rolling_start.to_bytes(4, "big"),
            row.tek.rolling_period.to_bytes(2, "big"),
        ]
    return hashlib.sha256(bytes_to_sign(TAG_UPLOAD, *parts)).digest()


def encode_permission_request(request: PermissionRequest) -> bytes:
    """JSON of exactly UPLOAD_BODY_BYTES. ValueError if there are too many permission keys."""
    return _padded(request)


def encode_upload(upload: KeyUpload) -> bytes:
    """JSON of exactly UPLOAD_BODY_BYTES. ValueError unless it has all its slots."""
    if len(upload.keys) != UPLOAD_KEY_SLOTS:
        raise ValueError(f"an upload has {UPLOAD_KEY_SLOTS} slots, not {len(upload.keys)}")
    return _padded(upload)


def _padded(message: PermissionRequest | KeyUpload) -> bytes:
    bare = msgspec.json.encode(msgspec.structs.replace(message, padding=""))
    missing = UPLOAD_BODY_BYTES - len(bare)
    if missing < 0:
        raise ValueError(f"the body needs {len(bare)} bytes, more than {UPLOAD_BODY_BYTES}")
    return msgspec.json.encode(msgspec.structs.replace(message, padding="0" * missing))
