"""Which keys may sign what: an offline root certifies role keys (docs/protocol.md, "Trust")."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bluezone.protocol.deployment import TAG_CERTIFICATE
from bluezone.protocol.envelope import EnvelopeError, parse, read_payload, seal, verify

VERSION: Final = 1
_MAX_TIME: Final = 2**40  # far beyond any date; keeps arithmetic on hostile input small
_Time = Annotated[int, msgspec.Meta(ge=0, le=_MAX_TIME)]


class TrustError(EnvelopeError):
    """The trust document, or a key looked up in it, cannot be relied on."""


class Role(StrEnum):
    """What a key may sign; a key of one role never speaks for another."""

    EXPORT = "export"  # key files and their index
    CONFIGURATION = "configuration"  # the risk model
    PERMISSION = "permission"  # blind signatures over uploads, one key per report type
    ANNOUNCEMENTS = "announcements"
    AUDIT = "audit"  # the ends of the chains of the audit
    GATE = "gate"
    TOKENS = "tokens"  # blind signatures over heartbeat tokens


RSA_ROLES: Final = frozenset({Role.PERMISSION, Role.TOKENS})  # blind signatures (RFC 9474)


@dataclass(frozen=True, slots=True)
class RoleCertificate:
    """One role key: `public_key` is DER SubjectPublicKeyInfo, times are Unix seconds."""

    role: Role
    key_id: str
    public_key: bytes
    not_before: int
    not_after: int


class _Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: str  # not `Role`: a later service may certify roles this phone does not know
    key_id: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    public_key: Annotated[bytes, msgspec.Meta(max_length=1024)]
    not_before: _Time
    not_after: _Time


class _Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    sequence: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    certificates: Annotated[list[_Certificate], msgspec.Meta(max_length=1000)]


RolePublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


def encode_public_key(public_key: RolePublicKey) -> bytes:
    """DER SubjectPublicKeyInfo, the form every document of the system carries."""
    return public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def key_id(public_key: RolePublicKey) -> str:
    """Hex of the first 8 bytes of the SHA-256 of the key's SubjectPublicKeyInfo."""
    return hashlib.sha256(encode_public_key(public_key)).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Pins:
    """The root keys a phone is delivered with, by root id: the current one and the next."""

    roots: Mapping[str, ec.EllipticCurvePublicKey]

    @classmethod
    def from_pem(cls, *pems: bytes) -> "Pins":
        """Pins of PEM public keys. Raises TrustError unless each is an ECDSA P-256 key."""
        keys: list[ec.EllipticCurvePublicKey] = []
        for pem in pems:
            try:
                key = serialization.load_pem_public_key(pem)
            except (ValueError, UnsupportedAlgorithm) as error:
                raise TrustError("a pinned root key is not a public key in PEM") from error
            if not (isinstance(key, ec.EllipticCurvePublicKey) and _is_p256(key)):
                raise TrustError("a pinned root key is not an ECDSA P-256 key")
            keys.append(key)
        return cls({key_id(key): key for key in keys})


@dataclass(frozen=True, slots=True)
class Trust:
    """A verified trust document: the role keys of this country's service at one time."""

    sequence: int
    certificates: tuple[RoleCertificate, ...]
    _keys: Mapping[tuple[Role, str], tuple[RoleCertificate, RolePublicKey]]

    def ec_key(self, role: Role, key_id: str, now: float) -> ec.EllipticCurvePublicKey:
        """The signing key of `role`, valid at `now` (Unix seconds). Raises TrustError."""
        key = self._key(role, key_id, now)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise TrustError(f"the {role} key {key_id!r} does not make ECDSA signatures")
        return key

    def rsa_key(self, role: Role, key_id: str, now: float) -> rsa.RSAPublicKey:
        """The blind-signature key of `role`, valid at `now` (Unix seconds). Raises TrustError."""
        key = self._key(role, key_id, now)
        if not isinstance(key, rsa.RSAPublicKey):
            raise TrustError(f"the {role} key {key_id!r} does not make blind signatures")
        return key

    def ec_keys(self, role: Role, now: float) -> dict[str, ec.EllipticCurvePublicKey]:
        """All ECDSA keys of `role` valid at `now`, by key id: what a reader of files pins."""
        return {
            key_id: key
            for key_id, key in self._valid(role, now)
            if isinstance(key, ec.EllipticCurvePublicKey)
        }

    def rsa_keys(self, role: Role, now: float) -> dict[str, rsa.RSAPublicKey]:
        """All blind-signature keys of `role` valid at `now`, by key id."""
        return {
            key_id: key
            for key_id, key in self._valid(role, now)
            if isinstance(key, rsa.RSAPublicKey)
        }

    def _valid(self, role: Role, now: float) -> Iterator[tuple[str, RolePublicKey]]:
        for (owner, key_id), (certificate, key) in self._keys.items():
            if owner is role and certificate.not_before <= now <= certificate.not_after:
                yield key_id, key

    def _key(self, role: Role, key_id: str, now: float) -> RolePublicKey:
        found = self._keys.get((role, key_id))
        if found is None:
            raise TrustError(f"no {role} key {key_id!r} is certified")
        certificate, key = found
        if now < certificate.not_before:
            raise TrustError(f"the {role} key {key_id!r} is not valid yet")
        if now > certificate.not_after:
            raise TrustError(f"the {role} key {key_id!r} has expired")
        return key


def issue_certificates(
    certificates: Iterable[RoleCertificate],
    sequence: int,
    root_key: ec.EllipticCurvePrivateKey,
    root_id: str,
) -> bytes:
    """The signed trust document. Raises TrustError if no phone would accept its content."""
    rows = [
        _Certificate(row.role.value, row.key_id, row.public_key, row.not_before, row.not_after)
        for row in certificates
    ]
    payload = msgspec.json.encode(_Payload(VERSION, sequence, rows))
    _read_payload(payload)
    return seal(TAG_CERTIFICATE, payload, root_id, root_key)


def read_certificates(document: bytes, pins: Pins, min_sequence: int = 0) -> Trust:
    """Check a trust document against the pinned roots.

    `min_sequence` is the sequence of the last document accepted: an older one could bring
    back a withdrawn key. Raises TrustError.
    """
    try:
        envelope = parse(document)
        root = pins.roots.get(envelope.key_id)
        if root is None:
            raise TrustError(f"signed by root {envelope.key_id!r}, which is not pinned")
        payload = verify(TAG_CERTIFICATE, envelope, root)
    except TrustError:
        raise
    except EnvelopeError as error:
        raise TrustError(f"the trust document is refused: {error}") from error
    trust = _read_payload(payload)
    if trust.sequence < min_sequence:
        raise TrustError(
            f"trust document {trust.sequence} is older than {min_sequence}, already accepted"
        )
    return trust


def _read_payload(payload: bytes) -> Trust:
    try:
        content = read_payload(payload, _Payload, VERSION)
    except EnvelopeError as error:
        raise TrustError(f"the trust document is refused: {error}") from error
    keys: dict[tuple[Role, str], tuple[RoleCertificate, RolePublicKey]] = {}
    known = set(Role)
    for row in content.certificates:
        if row.role not in known:
            continue
        role = Role(row.role)
        if (role, row.key_id) in keys:
            raise TrustError(f"the {role} key {row.key_id!r} is certified twice")
        if row.not_after < row.not_before:
            raise TrustError(f"the {role} key {row.key_id!r} expires before it is valid")
        certificate = RoleCertificate(
            role, row.key_id, row.public_key, row.not_before, row.not_after
        )
        keys[role, row.key_id] = certificate, _load_public_key(certificate)
    return Trust(content.sequence, tuple(certificate for certificate, _ in keys.values()), keys)


def _load_public_key(certificate: RoleCertificate) -> RolePublicKey:
    name = f"the {certificate.role} key {certificate.key_id!r}"
    try:
        key = serialization.load_der_public_key(certificate.public_key)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(f"{name} is not a DER public key") from error
    if certificate.role in RSA_ROLES:
        if not (isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 4096):
            raise TrustError(f"{name} is not an RSA key of 2048 to 4096 bits")
        return key
    if not (isinstance(key, ec.EllipticCurvePublicKey) and _is_p256(key)):
        raise TrustError(f"{name} is not an ECDSA P-256 key")
    return key


def _is_p256(key: ec.EllipticCurvePublicKey) -> bool:
    return isinstance(key.curve, ec.SECP256R1)
