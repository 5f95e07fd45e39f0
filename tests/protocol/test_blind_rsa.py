"""RFC 9474: the published vectors, and what must hold for any message and key."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluezone.protocol import blind_rsa
from bluezone.protocol.blind_rsa import (
    BlindSignatureError,
    blind,
    blind_sign,
    finalize,
    prepare,
    verify,
)

VECTOR = json.loads((Path(__file__).parents[1] / "vectors/blind_rsa.json").read_text("utf-8"))
few = settings(max_examples=10, suppress_health_check=list(HealthCheck))


def octets(name: str) -> bytes:
    return bytes.fromhex(VECTOR[name])


def private_key(p: int, q: int) -> rsa.RSAPrivateKey:
    exponent = 65537
    d = pow(exponent, -1, (p - 1) * (q - 1))
    return rsa.RSAPrivateNumbers(
        p,
        q,
        d,
        rsa.rsa_crt_dmp1(d, p),
        rsa.rsa_crt_dmq1(d, q),
        rsa.rsa_crt_iqmp(p, q),
        rsa.RSAPublicNumbers(exponent, p * q),
    ).private_key()


@pytest.fixture(scope="module")
def published_key() -> rsa.RSAPrivateKey:
    return private_key(int(VECTOR["p"], 16), int(VECTOR["q"], 16))


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, blind_rsa.KEY_BITS)


@pytest.fixture(scope="module")
def other_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, blind_rsa.KEY_BITS)


def replay(*chunks: bytes) -> Callable[[int], bytes]:
    """A source of randomness that returns the given bytes, in order."""
    left = list(chunks)

    def random(size: int) -> bytes:
        chunk = left.pop(0)
        assert len(chunk) == size
        return chunk

    return random


def test_published_vector_step_by_step(published_key: rsa.RSAPrivateKey) -> None:
    public = published_key.public_key()
    modulus = public.public_numbers().n
    factor = pow(int(VECTOR["inv"], 16), -1, modulus).to_bytes(512, "big")

    prepared = prepare(octets("msg"), replay(octets("msg_prefix")))
    assert prepared == octets("msg_prefix") + octets("msg")
    blinded, inverse = blind(public, prepared, replay(octets("salt"), factor))
    assert inverse == octets("inv")
    assert blinded == octets("blinded_msg")
    blind_signature = blind_sign(published_key, blinded)
    assert blind_signature == octets("blind_sig")
    signature = finalize(public, prepared, blind_signature, inverse)
    assert signature == octets("sig")
    verify(public, prepared, signature)


@few
@given(message=st.binary(max_size=200))
def test_any_message_can_be_signed_blindly(key: rsa.RSAPrivateKey, message: bytes) -> None:
    public = key.public_key()
    prepared = prepare(message)
    blinded, inverse = blind(public, prepared)
    signature = finalize(public, prepared, blind_sign(key, blinded), inverse)
    verify(public, prepared, signature)
    with pytest.raises(BlindSignatureError, match="does not match"):
        verify(public, prepared + b"x", signature)


def test_what_the_signer_sees_never_repeats(key: rsa.RSAPrivateKey) -> None:
    prepared = prepare(b"the same message")
    seen = {blind(key.public_key(), prepared)[0] for _ in range(20)}
    assert len(seen) == 20


@few
@given(bit=st.integers(0, blind_rsa.KEY_BITS - 1))
def test_a_changed_answer_of_the_signer_is_refused(key: rsa.RSAPrivateKey, bit: int) -> None:
    public = key.public_key()
    prepared = prepare(b"message")
    blinded, inverse = blind(public, prepared)
    answer = bytearray(blind_sign(key, blinded))
    answer[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BlindSignatureError):
        finalize(public, prepared, bytes(answer), inverse)


def test_a_signature_of_another_key_is_refused(
    key: rsa.RSAPrivateKey, other_key: rsa.RSAPrivateKey
) -> None:
    prepared = prepare(b"message")
    blinded, inverse = blind(other_key.public_key(), prepared)
    try:
        answer = blind_sign(key, blinded)
    except BlindSignatureError:  # the other modulus may be the larger one
        return
    with pytest.raises(BlindSignatureError):
        finalize(other_key.public_key(), prepared, answer, inverse)


@pytest.mark.parametrize("size", [0, 1, 255, 257, 10_000])
def test_a_blinded_message_of_the_wrong_length_is_refused(
    key: rsa.RSAPrivateKey, size: int
) -> None:
    with pytest.raises(BlindSignatureError, match=f"blinded message has {size} bytes"):
        blind_sign(key, b"\x01" * size)


def test_a_blinded_message_beyond_the_modulus_is_refused(key: rsa.RSAPrivateKey) -> None:
    modulus = key.public_key().public_numbers().n
    for number in (modulus, modulus + 1, 2**2048 - 1):
        with pytest.raises(BlindSignatureError, match="not smaller than the modulus"):
            blind_sign(key, number.to_bytes(256, "big"))


def test_a_message_that_shares_a_factor_with_the_modulus_is_refused(
    published_key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = published_key.private_numbers().p
    monkeypatch.setattr(blind_rsa, "_emsa_pss_encode", lambda *_: p.to_bytes(512, "big"))
    with pytest.raises(BlindSignatureError, match="shares a factor"):
        blind(published_key.public_key(), b"message")


def test_a_faulty_computation_never_leaves_the_signer(key: rsa.RSAPrivateKey) -> None:
    right = key.private_numbers()
    wrong = rsa.RSAPrivateNumbers(
        right.p, right.q, right.d, right.dmp1, right.dmq1 + 2, right.iqmp, right.public_numbers
    )

    class FaultyKey:
        """What a bit flipped in memory does to a private key."""

        def private_numbers(self) -> rsa.RSAPrivateNumbers:
            return wrong

    blinded, _ = blind(key.public_key(), prepare(b"message"))
    with pytest.raises(BlindSignatureError, match="withheld"):
        blind_sign(FaultyKey(), blinded)  # type: ignore[arg-type]


def test_blinding_factors_are_drawn_again_until_they_fit(key: rsa.RSAPrivateKey) -> None:
    numbers = key.private_numbers()
    good = (7).to_bytes(256, "big")
    unfit = [
        bytes(256),
        numbers.public_numbers.n.to_bytes(256, "big"),
        numbers.p.to_bytes(256, "big"),
    ]
    _, inverse = blind(key.public_key(), b"message", replay(bytes(48), *unfit, good))
    assert int.from_bytes(inverse, "big") * 7 % numbers.public_numbers.n == 1


def test_a_key_too_short_for_the_encoding_is_refused() -> None:
    with pytest.raises(BlindSignatureError, match="768 bits is too short"):
        blind_rsa._emsa_pss_encode(b"message", 767, bytes(48))
