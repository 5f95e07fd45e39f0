"""The signed index: current, by a certified key, never an older one."""

import json
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given

from bluezone.protocol.deployment import MAX_EXPORT_BYTES, TAG_CONFIGURATION, TAG_INDEX
from bluezone.protocol.envelope import seal
from bluezone.protocol.index import (
    Index,
    IndexedFile,
    IndexFault,
    IndexRefused,
    read_index,
    seal_index,
)
from bluezone.protocol.trust import (
    Pins,
    Role,
    RoleCertificate,
    encode_public_key,
    issue_certificates,
    key_id,
    read_certificates,
)

_ROOT = ec.derive_private_key(1, ec.SECP256R1())
_EXPORT = ec.derive_private_key(3, ec.SECP256R1())
_GATE = ec.derive_private_key(4, ec.SECP256R1())
_ROOT_ID = key_id(_ROOT.public_key())
_DAY = 86_400
_ISSUED = 18_646 * _DAY

_TRUST = read_certificates(
    issue_certificates(
        [
            RoleCertificate(role, name, encode_public_key(key.public_key()), start, end)
            for role, name, key, start, end in (
                (Role.EXPORT, "e1", _EXPORT, _ISSUED - _DAY, _ISSUED + 30 * _DAY),
                (Role.EXPORT, "old", _EXPORT, 0, _ISSUED - _DAY),
                (Role.GATE, "g1", _GATE, 0, _ISSUED + 30 * _DAY),
            )
        ],
        1,
        _ROOT,
        _ROOT_ID,
    ),
    Pins({_ROOT_ID: _ROOT.public_key()}),
)
_INDEX = Index(
    sequence=7,
    issued_at=_ISSUED,
    expires_at=_ISSUED + _DAY,
    next_at=_ISSUED + 3600,
    spread_seconds=600,
    files=(IndexedFile("2021-01-15-07-1.zip", "ab" * 32, 1234, _ISSUED),),
)

_files = st.builds(
    IndexedFile,
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.zip", fullmatch=True),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    st.integers(1, MAX_EXPORT_BYTES),
    st.integers(0, 2**40),
)
_indexes = st.builds(
    Index,
    st.integers(0, 2**53 - 1),
    st.just(_ISSUED),
    st.integers(_ISSUED, 2**40),
    st.integers(0, 2**40),
    st.integers(0, _DAY),
    st.lists(_files, max_size=5, unique_by=lambda file: file.name).map(tuple),
)


def _refusal(document: bytes, now: float = _ISSUED, last: int = 0) -> IndexRefused:
    with pytest.raises(IndexRefused) as caught:
        read_index(document, _TRUST, now, last_sequence=last)
    return caught.value


@given(_indexes)
def test_what_is_sealed_is_read_back(index: Index) -> None:
    document = seal_index(index, "e1", _EXPORT)
    assert read_index(document, _TRUST, _ISSUED, last_sequence=index.sequence) == index


def test_an_older_index_is_refused() -> None:
    document = seal_index(_INDEX, "e1", _EXPORT)
    assert read_index(document, _TRUST, _ISSUED, last_sequence=7) == _INDEX
    assert _refusal(document, last=8).fault is IndexFault.ROLLED_BACK


def test_an_expired_index_is_refused() -> None:
    document = seal_index(_INDEX, "e1", _EXPORT)
    assert read_index(document, _TRUST, _INDEX.expires_at, last_sequence=0) == _INDEX
    refusal = _refusal(document, now=_INDEX.expires_at + 60)
    assert refusal.fault is IndexFault.EXPIRED
    assert "60 s ago" in str(refusal)


def test_a_phone_whose_clock_is_behind_can_still_read() -> None:
    document = seal_index(_INDEX, "e1", _EXPORT)
    assert read_index(document, _TRUST, _ISSUED - 9 * _DAY, last_sequence=0) == _INDEX


def test_a_key_that_has_expired_signs_nothing_new() -> None:
    """Not even for a phone whose clock is set back to the key's days."""
    document = seal_index(_INDEX, "old", _EXPORT)
    for now in (_ISSUED, _ISSUED - 9 * _DAY):
        refusal = _refusal(document, now=now)
        assert refusal.fault is IndexFault.SIGNATURE
        assert "has expired" in str(refusal)


@pytest.mark.parametrize(
    "document",
    [
        seal_index(_INDEX, "e1", ec.derive_private_key(9, ec.SECP256R1())),
        seal_index(_INDEX, "e2", _EXPORT),
        seal_index(_INDEX, "g1", _GATE),  # a key of another role
        seal(TAG_CONFIGURATION, msgspec.json.encode(_INDEX), "e1", _EXPORT),
    ],
    ids=["stranger", "uncertified", "other role", "other purpose"],
)
def test_a_signature_that_does_not_count(document: bytes) -> None:
    assert _refusal(document).fault is IndexFault.SIGNATURE


def _with(**changes: Any) -> bytes:
    content = msgspec.to_builtins(_INDEX) | changes
    return seal(TAG_INDEX, json.dumps(content).encode(), "e1", _EXPORT)


def _with_file(**changes: Any) -> bytes:
    return _with(files=[msgspec.to_builtins(_INDEX.files[0]) | changes])


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff\xfe",
        b"{}",
        seal_index(_INDEX, "e1", _EXPORT)[:-10],
        _with(version=2),
        _with(version=None),
        _with(sequence=-1),
        _with(sequence="7"),
        _with(spread_seconds=10**9),
        _with(expires_at=_ISSUED - 1),
        _with(files=None),
        _with(files=[msgspec.to_builtins(_INDEX.files[0])] * 2),
        _with(unknown=1),
        _with_file(name="../../etc/passwd"),
        _with_file(name="a/b.zip"),
        _with_file(name=".zip"),
        _with_file(name="a.zip\n"),
        _with_file(sha256="AB" * 32),
        _with_file(sha256="ab"),
        _with_file(size=0),
        _with_file(size=MAX_EXPORT_BYTES + 1),
    ],
)
def test_a_malformed_index_is_refused(document: bytes) -> None:
    assert _refusal(document).fault is IndexFault.MALFORMED


def test_the_service_cannot_seal_what_phones_would_refuse() -> None:
    with pytest.raises(IndexRefused, match="before it was issued"):
        seal_index(msgspec.structs.replace(_INDEX, expires_at=_ISSUED - 1), "e1", _EXPORT)


@given(st.binary(max_size=200))
def test_junk_is_refused(junk: bytes) -> None:
    assert _refusal(junk).fault is IndexFault.MALFORMED
    assert _refusal(seal(TAG_INDEX, junk, "e1", _EXPORT)).fault is IndexFault.MALFORMED
