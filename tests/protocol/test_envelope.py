"""Signed documents: only the very bytes that were signed, by the very key, for that purpose."""

import base64
import json

import hypothesis.strategies as st
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given

from bluezone.protocol.envelope import (
    MAX_DOCUMENT_BYTES,
    EnvelopeError,
    bytes_to_sign,
    parse,
    read_payload,
    seal,
    verify,
)

_KEY = ec.derive_private_key(7, ec.SECP256R1())
_parts = st.lists(st.binary(max_size=20), max_size=5)


@given(_parts, _parts)
def test_no_two_messages_share_bytes_to_sign(one: list[bytes], other: list[bytes]) -> None:
    assert (bytes_to_sign(b"T", *one) == bytes_to_sign(b"T", *other)) == (one == other)


def test_bytes_to_sign_are_length_prefixed() -> None:
    assert bytes_to_sign(b"BZ1-X", b"ab", b"").hex() == "00000005425a312d58000000026162" + "00" * 4


@given(st.binary(max_size=200), st.text(max_size=20).filter(lambda s: s.isprintable()))
def test_what_is_sealed_is_read_back(payload: bytes, key_id: str) -> None:
    envelope = parse(seal(b"T", payload, key_id, _KEY))
    assert envelope.key_id == key_id
    assert verify(b"T", envelope, _KEY.public_key()) == payload


def test_a_signature_fits_one_purpose_one_key_and_one_content() -> None:
    envelope = parse(seal(b"BZ1-INDEX", b"payload", "e1", _KEY))
    stranger = ec.derive_private_key(8, ec.SECP256R1())
    with pytest.raises(EnvelopeError, match="'e1' does not match"):
        verify(b"BZ1-CERTIFICATE", envelope, _KEY.public_key())
    with pytest.raises(EnvelopeError, match="does not match"):
        verify(b"BZ1-INDEX", envelope, stranger.public_key())
    for changed in (
        msgspec.structs.replace(envelope, payload=b"payloae"),
        msgspec.structs.replace(envelope, key_id="e2"),
        msgspec.structs.replace(envelope, signature=b""),
        msgspec.structs.replace(envelope, signature=b"not DER"),
        msgspec.structs.replace(envelope, signature=envelope.signature + b"\x00"),
    ):
        with pytest.raises(EnvelopeError, match="does not match"):
            verify(b"BZ1-INDEX", changed, _KEY.public_key())


@given(st.binary(max_size=200))
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(EnvelopeError):
        parse(junk)


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b"[]",
        b'{"key_id":1,"payload":"","signature":""}',
        b'{"key_id":"e1","payload":"@@@@","signature":""}',
        b'{"key_id":"e1","payload":"","signature":"","more":1}',
        b'{"key_id":"e1","payload":' + b"[" * 100_000,
        b'{"key_id":"\\ud800","payload":"","signature":""}',
    ],
)
def test_other_documents_are_refused(document: bytes) -> None:
    with pytest.raises(EnvelopeError, match="not a signed document"):
        parse(document)


def test_an_oversized_document_is_not_parsed() -> None:
    with pytest.raises(EnvelopeError, match="at most"):
        parse(b" " * (MAX_DOCUMENT_BYTES + 1))


class _Form(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    name: str


def test_the_version_is_judged_before_the_rest() -> None:
    assert read_payload(b'{"version":1,"name":"x"}', _Form, 1).name == "x"
    with pytest.raises(EnvelopeError, match="version 2; this reader knows version 1"):
        read_payload(b'{"version":2,"quite":"different"}', _Form, 1)
    for payload in (b"", b"{}", b'{"version":"1"}', b'{"version":1}', b'{"x":' + b"[" * 100_000):
        with pytest.raises(EnvelopeError, match="malformed"):
            read_payload(payload, _Form, 1)


def test_the_form_on_the_wire() -> None:
    document = json.loads(seal(b"T", b"payload", "e1", _KEY))
    assert set(document) == {"key_id", "payload", "signature"}
    assert base64.b64decode(document["payload"]) == b"payload"
