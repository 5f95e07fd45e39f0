"""The private role keys of the service: made, certified by the offline root, found when needed."""

import datetime as dt
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bluezone.protocol import blind_rsa
from bluezone.protocol.intervals import utc_day
from bluezone.protocol.keys import ReportType
from bluezone.protocol.trust import (
    Pins,
    Role,
    RoleCertificate,
    Trust,
    encode_public_key,
    issue_certificates,
    key_id,
)
from bluezone.storage.objects import write_atomically

ROOT_PRIVATE: Final = "root.pem"
ROOT_PUBLIC: Final = "root-public.pem"
TRUST_OBJECT: Final = "trust.json"
VALID_DAYS: Final = 400
# A new key is certified this long before it is used, so that phones hold it by then.
LEAD_SECONDS: Final = 7 * 24 * 3600
# What a health worker may assert; each has its own permission key.
REPORT_TYPES: Final = (ReportType.CONFIRMED_TEST, ReportType.CONFIRMED_CLINICAL_DIAGNOSIS)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class KeyUnavailable(Exception):  # noqa: N818
    """A role has no usable key; the operator must make, restore or protect one."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An ECDSA P-256 key that is valid now."""

    key_id: str
    private_key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class PermissionKey:
    """The RSA key that permits uploads of one report type."""

    key_id: str
    report_type: ReportType
    private_key: rsa.RSAPrivateKey


class RoleKeys:
    """Private keys with their certificates. A running process keeps those it started with."""

    def __init__(self, held: Iterable[tuple[RoleCertificate, PrivateKey]]) -> None:
        self._held = sorted(held, key=lambda row: row[0].not_before, reverse=True)

    @classmethod
    def open(cls, folder: Path, trust: Trust) -> "RoleKeys":
        """The keys in `folder` (`<key id>.pem`) that `trust` certifies.

        Raises KeyUnavailable for a file that others can read or that is not its
        certificate's key. A certified key without a file is somebody else's or retired.
        """
        held: list[tuple[RoleCertificate, PrivateKey]] = []
        for certificate in trust.certificates:
            path = folder / f"{certificate.key_id}.pem"
            if path.exists():
                key = load_private_key(path)
                if encode_public_key(key.public_key()) != certificate.public_key:
                    raise KeyUnavailable(f"{path} is not the key that trust.json certifies")
                held.append((certificate, key))
        return cls(held)

    def signing(self, role: Role, now: float) -> SigningKey:
        """The newest valid key of a signing role. Raises KeyUnavailable."""
        for certificate, key in self._valid(role, now):
            if isinstance(key, ec.EllipticCurvePrivateKey):
                return SigningKey(certificate.key_id, key)
        raise KeyUnavailable(
            f"no {role} key is valid now: run `bluezone server keys complete --root root.pem`,"
            " then restart the service"
        )

    def permission(self, report_type: ReportType, now: float) -> PermissionKey:
        """The newest valid permission key of a report type. Raises KeyUnavailable."""
        for key in self.permissions(now):
            if key.report_type is report_type:
                return key
        raise KeyUnavailable(
            f"no permission key for {report_type.name} is valid now: run `bluezone server keys"
            " complete --root root.pem`, then restart the service"
        )

    def permissions(self, now: float) -> list[PermissionKey]:
        """All valid permission keys, newest first."""
        found: list[PermissionKey] = []
        for certificate, key in self._valid(Role.PERMISSION, now):
            report_type = permitted_report_type(certificate.key_id)
            if isinstance(key, rsa.RSAPrivateKey) and report_type is not None:
                found.append(PermissionKey(certificate.key_id, report_type, key))
        return found

    def _valid(self, role: Role, now: float) -> list[tuple[RoleCertificate, PrivateKey]]:
        return [
            (certificate, key)
            for certificate, key in self._held
            if certificate.role is role and certificate.not_before <= now <= certificate.not_after
        ]


def permitted_report_type(permission_key_id: str) -> ReportType | None:
    """The report type a permission key asserts: its id is `permission-<type>-<day>-<hash>`."""
    for report_type in REPORT_TYPES:
        if permission_key_id.startswith(f"{_permission_name(report_type)}-"):
            return report_type
    return None


def _permission_name(report_type: ReportType) -> str:
    return f"{Role.PERMISSION}-{report_type.name.lower().replace('_', '-')}"


def _makers() -> dict[tuple[Role, str], Callable[[], PrivateKey]]:
    """What the service signs with today, by role and by the beginning of the key's id."""
    makers: dict[tuple[Role, str], Callable[[], PrivateKey]] = {
        (role, role.value): _new_ec_key
        for role in (Role.EXPORT, Role.CONFIGURATION, Role.ANNOUNCEMENTS, Role.AUDIT)
    }
    for report_type in REPORT_TYPES:
        makers[Role.PERMISSION, _permission_name(report_type)] = _new_rsa_key
    return makers


def make_role_keys(
    folder: Path, now: int, not_before: int, present: Iterable[RoleCertificate] = ()
) -> list[RoleCertificate]:
    """A fresh key for everything the service signs with, and their certificates.

    With `present` certificates, only for what none of these is for.
    """
    there = [(certificate.role, certificate.key_id) for certificate in present]
    certificates = []
    for (role, name), make in _makers().items():
        if any(role is owner and one.startswith(f"{name}-") for owner, one in there):
            continue
        key = make()
        identity = f"{name}-{utc_day(now)}-{key_id(key.public_key())[:8]}"
        save_private_key(folder / f"{identity}.pem", key)
        certificates.append(
            RoleCertificate(
                role,
                identity,
                encode_public_key(key.public_key()),
                not_before,
                now + int(dt.timedelta(days=VALID_DAYS).total_seconds()),
            )
        )
    return certificates


def new_root() -> ec.EllipticCurvePrivateKey:
    """A root key. It signs trust documents and belongs offline."""
    return _new_ec_key()


def certify(
    certificates: Iterable[RoleCertificate], sequence: int, root: ec.EllipticCurvePrivateKey
) -> bytes:
    """The trust document signed by `root`."""
    return issue_certificates(certificates, sequence, root, key_id(root.public_key()))


def load_pins(home: Path) -> Pins:
    """The root that phones of this installation pin. Raises KeyUnavailable."""
    try:
        return Pins.from_pem((home / ROOT_PUBLIC).read_bytes())
    except FileNotFoundError:
        raise KeyUnavailable(
            f"{home / ROOT_PUBLIC} is missing: run `bluezone server init --home {home}`"
        ) from None


def save_private_key(path: Path, key: PrivateKey) -> None:
    """PEM (PKCS 8), readable by its owner alone."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_atomically(path, pem, mode=0o600)


def save_public_key(path: Path, key: ec.EllipticCurvePublicKey) -> None:
    """PEM (SubjectPublicKeyInfo)."""
    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_atomically(path, pem)


def load_private_key(path: Path) -> PrivateKey:
    """Read a PEM key. Raises KeyUnavailable if others could read it, or if it is none of ours."""
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyUnavailable(f"others can read {path}: chmod 600 it, and consider rotating it")
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyUnavailable(f"{path} is not a readable PEM private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise KeyUnavailable(f"{path} is neither an elliptic curve nor an RSA key")
    return key


def _new_ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _new_rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=blind_rsa.KEY_BITS)
