"""Signed documents: bytes, the role key that signed them, and an ECDSA P-256 signature.

The signature covers `tag`, then each part behind its big-endian 32-bit length, so no two
different messages share bytes-to-sign (docs/protocol.md, "Bytes to sign").
"""

import base64
from typing import Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

MAX_DOCUMENT_BYTES: Final = 4 * 1024 * 1024

_ECDSA = ec.ECDSA(hashes.SHA256())
_Content = TypeVar("_Content")


class EnvelopeError(ValueError):
    """A signed document is malformed or not signed by the expected key."""


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """JSON on the wire: `{"key_id", "payload", "signature"}`, the last two in base64."""

    key_id: str
    payload: bytes
    signature: bytes


class _Version(msgspec.Struct, frozen=True):
    version: int


def bytes_to_sign(tag: bytes, *parts: bytes) -> bytes:
    """`tag` and `parts`, each behind its length as a big-endian uint32."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in (tag, *parts))


def seal(tag: bytes, payload: bytes, key_id: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The signed document as JSON bytes."""
    signature = key.sign(bytes_to_sign(tag, key_id.encode(), payload), _ECDSA)
    return msgspec.json.encode(
        {
            "key_id": key_id,
            "payload": base64.b64encode(payload).decode(),
            "signature": base64.b64encode(signature).decode(),
        }
    )


def parse(document: bytes) -> Envelope:
    """Read the JSON without trusting it yet. Raises EnvelopeError."""
    if len(document) > MAX_DOCUMENT_BYTES:
        raise EnvelopeError(f"a document of {len(document)} bytes; {MAX_DOCUMENT_BYTES} at most")
    try:
        return msgspec.json.decode(document, type=Envelope)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise EnvelopeError(f"not a signed document: {error}") from error


def verify(tag: bytes, envelope: Envelope, key: ec.EllipticCurvePublicKey) -> bytes:
    """The payload, once its signature has been checked. Raises EnvelopeError."""
    message = bytes_to_sign(tag, envelope.key_id.encode(), envelope.payload)
    try:
        key.verify(envelope.signature, message, _ECDSA)
    except InvalidSignature as error:
        raise EnvelopeError(f"the signature of key {envelope.key_id!r} does not match") from error
    return envelope.payload


def read_payload(payload: bytes, form: type[_Content], version: int) -> _Content:
    """The JSON `payload` as a `form` whose field `version` is `version`. Raises EnvelopeError.

    The version is looked at first: a document of another version may look quite different.
    """
    try:
        found = msgspec.json.decode(payload, type=_Version).version
        if found != version:
            raise EnvelopeError(f"it has version {found}; this reader knows version {version}")
        return msgspec.json.decode(payload, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeError(f"it is malformed: {error}") from error
