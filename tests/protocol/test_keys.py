"""Key derivation against the published vectors of the specification and the library's HKDF."""

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

# google/exposure-notifications-internals (Apache-2.0), TestVectors.java, EN v1.2.
_TEK = TemporaryExposureKey(bytes.fromhex("75c734c6dd1a782de7a965da5eb93125"), 2642976)
_RPIK = "185ad91db69ec7dd048960f1f3ba6175"
_AEMK = "d57c46af7a1d83965b9bed8bd152936a"
_METADATA = bytes.fromhex("40080000")
_ADVERTISED = {
    0: ("8be6cd371c5c891604bfbe49df845096", "72033874"),
    1: ("3c9a1de5dd6b02afa7fded7b570b3e56", "c29211b1"),
    2: ("243ffe9a3b08bded3094bac8630bb8ad", "6adfad03"),
    4: ("b3b85a69ebaec78db739852d1f34e0fa", "5668c474"),
    7: ("9888ca7e6738ec4bc6e420b20f878b3a", "9f84a9a6"),
}


def test_the_specifications_vectors() -> None:
    assert rolling_proximity_identifier_key(_TEK.key).hex() == _RPIK
    assert associated_encrypted_metadata_key(_TEK.key).hex() == _AEMK
    identifiers = rolling_proximity_identifiers(_TEK)
    assert len(identifiers) == 144 * 16
    for i, (rpi, aem) in _ADVERTISED.items():
        assert identifiers[16 * i : 16 * i + 16].hex() == rpi
        assert crypt_metadata(bytes.fromhex(_AEMK), bytes.fromhex(rpi), _METADATA).hex() == aem


@given(st.binary(min_size=16, max_size=16))
def test_two_hmacs_are_the_librarys_hkdf(key: bytes) -> None:
    expected = HKDF(hashes.SHA256(), 16, None, b"EN-RPIK").derive(key)
    assert rolling_proximity_identifier_key(key) == expected


def test_a_key_never_prints_itself() -> None:
    assert _TEK.key.hex() not in repr(_TEK)
