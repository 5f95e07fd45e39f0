"""Temporary exposure keys and what is derived from them (EN Cryptography Specification v1.2)."""

import hmac
from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bluezone.protocol.deployment import ROLLING_PERIOD
from bluezone.protocol.intervals import interval_start

KEY_BYTES = 16
_ZERO_SALT = bytes(32)


class ReportType(IntEnum):
    """Why a key was published (`TemporaryExposureKey.ReportType` of the export format)."""

    UNKNOWN = 0
    CONFIRMED_TEST = 1
    CONFIRMED_CLINICAL_DIAGNOSIS = 2
    SELF_REPORT = 3
    RECURSIVE = 4
    REVOKED = 5


@dataclass(frozen=True, slots=True, order=True)
class TemporaryExposureKey:
    """A random 16-byte key, valid for `rolling_period` intervals from `rolling_start`.

    `rolling_start` is an interval number; a full day's key starts at 00:00 UTC and has
    a rolling period of 144.
    """

    key: bytes
    rolling_start: int
    rolling_period: int = ROLLING_PERIOD

    def __repr__(self) -> str:  # a key must never reach a log
        return f"TemporaryExposureKey(<hidden>, {self.rolling_start}, {self.rolling_period})"

    @property
    def rolling_end(self) -> int:
        """First interval after the key's period."""
        return self.rolling_start + self.rolling_period

    @property
    def end_time(self) -> int:
        """Unix time at which the last identifier of this key stops being broadcast."""
        return interval_start(self.rolling_end)


@dataclass(frozen=True, slots=True)
class DiagnosisKey:
    """A temporary exposure key as published for a case.

    `days_since_onset` counts from symptom onset to the day of the key (negative before
    onset); None where no onset is known.
    """

    tek: TemporaryExposureKey
    report_type: ReportType = ReportType.CONFIRMED_TEST
    days_since_onset: int | None = None


def _hkdf16(key: bytes, info: bytes) -> bytes:
    # HKDF-SHA256 (RFC 5869) without salt and with 16 bytes of output is two one-shot HMACs.
    return hmac.digest(hmac.digest(_ZERO_SALT, key, "sha256"), info + b"\x01", "sha256")[:16]


def rolling_proximity_identifier_key(tek: bytes) -> bytes:
    """RPIK: 16 bytes, HKDF-SHA256 with info `EN-RPIK`."""
    return _hkdf16(tek, b"EN-RPIK")


def associated_encrypted_metadata_key(tek: bytes) -> bytes:
    """AEMK: 16 bytes, HKDF-SHA256 with info `EN-AEMK`."""
    return _hkdf16(tek, b"EN-AEMK")


def padded_intervals(first_interval: int, count: int) -> bytes:
    """`count` AES blocks `EN-RPI` + six zero bytes + little-endian interval number."""
    prefix = b"EN-RPI" + bytes(6)
    return b"".join(
        prefix + number.to_bytes(4, "little")
        for number in range(first_interval, first_interval + count)
    )


def rolling_proximity_identifiers(tek: TemporaryExposureKey) -> bytes:
    """All identifiers of a key, joined: 16 bytes for each interval of its period."""
    cipher = Cipher(algorithms.AES(rolling_proximity_identifier_key(tek.key)), modes.ECB())  # noqa: S305 - the specification's construction
    return cipher.encryptor().update(padded_intervals(tek.rolling_start, tek.rolling_period))


def crypt_metadata(aem_key: bytes, rpi: bytes, metadata: bytes) -> bytes:
    """Encrypt or decrypt the 4 bytes of metadata: AES-128-CTR with the identifier as counter."""
    return Cipher(algorithms.AES(aem_key), modes.CTR(rpi)).encryptor().update(metadata)
