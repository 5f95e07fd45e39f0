"""Key derivation against the published vectors of the specification and the library's HKDF."""

import json
from pathlib import Path

import hypothesis.strategies as st
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given

from bluezone.protocol.keys import (
    TemporaryExposureKey,
    associated_encrypted_metadata_key,
    crypt_metadata,
    rolling_proximity_identifier_key,
    rolling_proximity_identifiers,
)

_VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "google_en_crypto.json").read_text(encoding="utf-8")
)
_TEK = TemporaryExposureKey(bytes.fromhex(_VECTORS["tek"]), _VECTORS["rolling_start"])


def test_the_specifications_vectors() -> None:
    aem_key = associated_encrypted_metadata_key(_TEK.key)
    assert rolling_proximity_identifier_key(_TEK.key).hex() == _VECTORS["rpik"]
    assert aem_key.hex() == _VECTORS["aemk"]
    identifiers = rolling_proximity_identifiers(_TEK)
    metadata = bytes.fromhex(_VECTORS["metadata"])
    advertised = [
        [rpi.hex(), crypt_metadata(aem_key, rpi, metadata).hex()]
        for rpi in (identifiers[at : at + 16] for at in range(0, len(identifiers), 16))
    ]
    assert len(advertised) == 144
    assert advertised == _VECTORS["advertised"]


@given(st.integers(0, 143), st.integers(0, 144))
def test_a_shorter_key_broadcasts_a_part_of_the_days_identifiers(first: int, period: int) -> None:
    part = TemporaryExposureKey(_TEK.key, _TEK.rolling_start + first, min(period, 144 - first))
    day = rolling_proximity_identifiers(_TEK)
    assert rolling_proximity_identifiers(part) == day[16 * first : 16 * (first + period)]


@given(
    st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16), st.binary(max_size=4)
)
def test_metadata_decrypts_to_what_was_encrypted(key: bytes, rpi: bytes, metadata: bytes) -> None:
    assert crypt_metadata(key, rpi, crypt_metadata(key, rpi, metadata)) == metadata


@given(st.binary(min_size=16, max_size=16))
def test_two_hmacs_are_the_librarys_hkdf(key: bytes) -> None:
    expected = HKDF(hashes.SHA256(), 16, None, b"EN-RPIK").derive(key)
    assert rolling_proximity_identifier_key(key) == expected


def test_a_key_never_prints_itself() -> None:
    assert _TEK.key.hex() not in repr(_TEK)
