"""The chain from a pinned root to a role key, and every way in which it must break."""

import base64
import json
from typing import Any

import hypothesis.strategies as st
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given

from bluezone.protocol.deployment import TAG_CERTIFICATE, TAG_INDEX
from bluezone.protocol.envelope import seal
from bluezone.protocol.trust import (
    Pins,
    Role,
    RoleCertificate,
    RolePublicKey,
    TrustError,
    encode_public_key,
    issue_certificates,
    key_id,
    read_certificates,
)

_ROOT = ec.derive_private_key(1, ec.SECP256R1())
_NEXT_ROOT = ec.derive_private_key(2, ec.SECP256R1())
_EXPORT = ec.derive_private_key(3, ec.SECP256R1())
_RSA = rsa.generate_private_key(65537, 2048)


def _pem(key: RolePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


_PINS = Pins.from_pem(_pem(_ROOT.public_key()), _pem(_NEXT_ROOT.public_key()))
_ROOT_ID = key_id(_ROOT.public_key())


def _certificate(
    role: Role = Role.EXPORT, name: str = "e1", key: RolePublicKey | None = None
) -> RoleCertificate:
    return RoleCertificate(role, name, encode_public_key(key or _EXPORT.public_key()), 1_000, 2_000)


def _document(*certificates: RoleCertificate, sequence: int = 5) -> bytes:
    return issue_certificates(certificates, sequence, _ROOT, _ROOT_ID)


def test_a_certified_key_is_found_for_its_role_id_and_time() -> None:
    document = _document(_certificate(), _certificate(Role.PERMISSION, "p1", _RSA.public_key()))
    trust = read_certificates(document, _PINS)
    assert trust.sequence == 5
    assert [c.role for c in trust.certificates] == [Role.EXPORT, Role.PERMISSION]
    for now in (1_000, 1_500, 2_000):
        assert trust.ec_key(Role.EXPORT, "e1", now) == _EXPORT.public_key()
    assert trust.rsa_key(Role.PERMISSION, "p1", 1_500) == _RSA.public_key()
    assert trust.ec_keys(Role.EXPORT, 1_500) == {"e1": _EXPORT.public_key()}
    assert trust.ec_keys(Role.EXPORT, 2_001) == {}
    assert trust.ec_keys(Role.CONFIGURATION, 1_500) == {}
    assert trust.rsa_keys(Role.PERMISSION, 1_500) == {"p1": _RSA.public_key()}
    assert trust.rsa_keys(Role.PERMISSION, 2_001) == {}


@pytest.mark.parametrize(
    ("role", "name", "now", "fault"),
    [
        (Role.EXPORT, "e1", 999, "not valid yet"),
        (Role.EXPORT, "e1", 2_001, "has expired"),
        (Role.EXPORT, "e2", 1_500, "no export key 'e2' is certified"),
        (Role.CONFIGURATION, "e1", 1_500, "no configuration key 'e1' is certified"),
        (Role.PERMISSION, "p1", 1_500, "does not make ECDSA signatures"),
    ],
)
def test_a_key_out_of_its_role_or_time(role: Role, name: str, now: int, fault: str) -> None:
    trust = read_certificates(
        _document(_certificate(), _certificate(Role.PERMISSION, "p1", _RSA.public_key())), _PINS
    )
    with pytest.raises(TrustError, match=fault):
        trust.ec_key(role, name, now)


def test_an_ecdsa_key_makes_no_blind_signatures() -> None:
    trust = read_certificates(_document(_certificate()), _PINS)
    with pytest.raises(TrustError, match="does not make blind signatures"):
        trust.rsa_key(Role.EXPORT, "e1", 1_500)


def test_the_next_root_may_sign_as_well() -> None:
    document = issue_certificates([_certificate()], 6, _NEXT_ROOT, key_id(_NEXT_ROOT.public_key()))
    assert read_certificates(document, _PINS, 5).sequence == 6


def test_an_older_document_cannot_bring_a_key_back() -> None:
    document = _document(_certificate(), sequence=5)
    assert read_certificates(document, _PINS, 5).sequence == 5
    with pytest.raises(TrustError, match="trust document 5 is older than 6"):
        read_certificates(document, _PINS, 6)


def test_a_stranger_cannot_certify() -> None:
    stranger = ec.derive_private_key(9, ec.SECP256R1())
    with pytest.raises(TrustError, match="is not pinned"):
        read_certificates(
            issue_certificates([_certificate()], 5, stranger, key_id(stranger.public_key())),
            _PINS,
        )
    with pytest.raises(TrustError, match="does not match"):
        read_certificates(issue_certificates([_certificate()], 5, stranger, _ROOT_ID), _PINS)


def test_the_root_signs_certificates_and_nothing_else() -> None:
    payload = base64.b64decode(json.loads(_document(_certificate()))["payload"])
    assert read_certificates(seal(TAG_CERTIFICATE, payload, _ROOT_ID, _ROOT), _PINS)
    with pytest.raises(TrustError, match="does not match"):
        read_certificates(seal(TAG_INDEX, payload, _ROOT_ID, _ROOT), _PINS)


def _payload(**changes: Any) -> dict[str, Any]:
    certificate = {
        "role": "export",
        "key_id": "e1",
        "public_key": base64.b64encode(encode_public_key(_EXPORT.public_key())).decode(),
        "not_before": 1_000,
        "not_after": 2_000,
    }
    certificate.update(changes)
    return {"version": 1, "sequence": 5, "certificates": [certificate]}


def _read(payload: object) -> object:
    data = json.dumps(payload).encode()
    return read_certificates(seal(TAG_CERTIFICATE, data, _ROOT_ID, _ROOT), _PINS)


def _b64(key: RolePublicKey) -> str:
    return base64.b64encode(encode_public_key(key)).decode()


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (_payload(public_key="AAAA"), "is not a DER public key"),
        (_payload(public_key=_b64(_RSA.public_key())), "is not an ECDSA P-256 key"),
        (
            _payload(public_key=_b64(ec.derive_private_key(3, ec.SECP384R1()).public_key())),
            "is not an ECDSA P-256 key",
        ),
        (_payload(role="permission"), "is not an RSA key of 2048 to 4096 bits"),
        (_payload(not_after=999), "expires before it is valid"),
        (_payload(not_before=-1), "malformed"),
        (_payload(not_after=2**70), "malformed"),
        (_payload(key_id=""), "malformed"),
        (_payload(extra=1), "malformed"),
        (_payload() | {"version": 2}, "version 2; this reader knows version 1"),
        (_payload() | {"sequence": -1}, "malformed"),
        (_payload() | {"certificates": _payload()["certificates"] * 2}, "certified twice"),
        ([], "malformed"),
    ],
)
def test_a_root_that_signs_nonsense_is_refused(payload: object, fault: str) -> None:
    with pytest.raises(TrustError, match=fault):
        _read(payload)


def test_a_role_of_a_later_service_is_passed_over() -> None:
    payload = _payload()
    payload["certificates"] += [_payload(role="weather", public_key="AAAA")["certificates"][0]]
    trust = read_certificates(
        seal(TAG_CERTIFICATE, json.dumps(payload).encode(), _ROOT_ID, _ROOT), _PINS
    )
    assert [c.key_id for c in trust.certificates] == ["e1"]


def test_the_issuer_is_told_before_phones_are() -> None:
    with pytest.raises(TrustError, match="is not an ECDSA P-256 key"):
        _document(_certificate(key=_RSA.public_key()))
    with pytest.raises(TrustError, match="certified twice"):
        _document(_certificate(), _certificate())


@given(st.binary(max_size=200))
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(TrustError):
        read_certificates(junk, _PINS)
    with pytest.raises(TrustError):
        read_certificates(seal(TAG_CERTIFICATE, junk, _ROOT_ID, _ROOT), _PINS)


@pytest.mark.parametrize(
    "pem", [b"", b"junk", _pem(_RSA.public_key()), b"-----BEGIN PUBLIC KEY-----\nAAAA\n"]
)
def test_only_a_p256_root_can_be_pinned(pem: bytes) -> None:
    with pytest.raises(TrustError, match="pinned root key is not"):
        Pins.from_pem(pem)
