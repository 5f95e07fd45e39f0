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


class PermissionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Leg 1. Chaff carries `chaff=True`, a random code and a random blinded message."""

    code: str  # CODE_DIGITS decimal digits
    blinded_message: bytes  # as long as the modulus of the permission key
    chaff: bool = False
    padding: str = ""


class PermissionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The blind signature, and what the health worker recorded with the code."""

    blind_signature: bytes
    key_id: str
    report_type: int
    symptom_onset: str | None  # ISO day, Vietnamese calendar
    padding: str = ""


class UploadedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of the 30 slots; an unused slot holds random bytes and `rolling_period` 0."""

    key: bytes
    rolling_start: int
    rolling_period: int
    days_since_onset: int | None = None


class KeyUpload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
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
    rolling period, report type, days since onset (empty where unknown), all
    length-prefixed.
    """
    parts: list[bytes] = []
    for row in sorted(keys, key=lambda row: row.tek):
        onset = row.days_since_onset
        parts += [
            row.tek.key,
            row.tek.rolling_start.to_bytes(4, "big"),
            row.tek.rolling_period.to_bytes(2, "big"),
            int(row.report_type).to_bytes(1, "big"),
            b"" if onset is None else onset.to_bytes(2, "big", signed=True),
        ]
    return hashlib.sha256(bytes_to_sign(TAG_UPLOAD, *parts)).digest()


def encode_upload(upload: KeyUpload) -> bytes:
    """JSON of exactly UPLOAD_BODY_BYTES. ValueError unless it has all its slots."""
    if len(upload.keys) != UPLOAD_KEY_SLOTS:
        raise ValueError(f"an upload has {UPLOAD_KEY_SLOTS} slots, not {len(upload.keys)}")
    bare = msgspec.json.encode(msgspec.structs.replace(upload, padding=""))
    missing = UPLOAD_BODY_BYTES - len(bare)
    if missing < 0:
        raise ValueError(f"the upload needs {len(bare)} bytes, more than {UPLOAD_BODY_BYTES}")
    return msgspec.json.encode(msgspec.structs.replace(upload, padding="0" * missing))
