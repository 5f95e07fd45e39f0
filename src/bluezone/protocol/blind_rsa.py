"""RSA blind signatures, variant RSABSSA-SHA384-PSS-Randomized (RFC 9474).

The signer learns nothing about what it signs, and nobody can tell which of its answers a
finished signature came from. A finished signature is an ordinary RSASSA-PSS signature.
"""

import hashlib
import math
import os
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

PREFIX_BYTES: Final = 32
KEY_BITS: Final = 2048
_HASH_BYTES = 48  # SHA-384
_SALT_BYTES = 48
_PSS = padding.PSS(padding.MGF1(hashes.SHA384()), _SALT_BYTES)

Random = Callable[[int], bytes]


class BlindSignatureError(ValueError):
    """A message or signature is not acceptable; the text says whose side it came from."""


def prepare(message: bytes, random: Random = os.urandom) -> bytes:
    """`message` behind 32 fresh random bytes (PrepareRandomize, section 4.1)."""
    return random(PREFIX_BYTES) + message


def blind(
    public_key: rsa.RSAPublicKey, prepared: bytes, random: Random = os.urandom
) -> tuple[bytes, bytes]:
    """What the signer gets to see, and what undoes the blinding (section 4.2).

    Returns `(blinded_message, inverse)`, both as long as the modulus. `inverse` is secret
    until the signature is finished. Raises BlindSignatureError in the freak case that the
    message shares a factor with the modulus: prepare it again.
    """
    numbers = public_key.public_numbers()
    modulus = numbers.n
    encoded = _emsa_pss_encode(prepared, modulus.bit_length() - 1, random(_SALT_BYTES))
    message = int.from_bytes(encoded, "big")
    if math.gcd(message, modulus) != 1:
        raise BlindSignatureError("the message shares a factor with the modulus; prepare it again")
    factor, inverse = _random_unit(modulus, random)
    blinded = message * pow(factor, numbers.e, modulus) % modulus
    size = _modulus_bytes(modulus)
    return blinded.to_bytes(size, "big"), inverse.to_bytes(size, "big")


def blind_sign(private_key: rsa.RSAPrivateKey, blinded_message: bytes) -> bytes:
    """The signer's part (section 4.3): as long as the modulus.

    Raises BlindSignatureError if the client sent something that is no residue of the
    modulus, or if this machine computed wrongly: a faulty CRT result must never leave it,
    because one is enough to factor the key.
    """
    private = private_key.private_numbers()
    modulus, exponent = private.public_numbers.n, private.public_numbers.e
    message = _residue(blinded_message, modulus, "the client's blinded message")
    # CPython's pow is not constant-time, so what is raised to the private exponent is
    # first multiplied by something the client cannot know (section 8.1).
    factor, inverse = _random_unit(modulus, os.urandom)
    masked = message * pow(factor, exponent, modulus) % modulus
    in_p = pow(masked, private.dmp1, private.p)
    in_q = pow(masked, private.dmq1, private.q)
    root = in_q + (in_p - in_q) * private.iqmp % private.p * private.q
    signature = root * inverse % modulus
    if pow(signature, exponent, modulus) != message:
        raise BlindSignatureError("the signer computed a wrong signature and withheld it")
    return signature.to_bytes(_modulus_bytes(modulus), "big")


def finalize(
    public_key: rsa.RSAPublicKey, prepared: bytes, blind_signature: bytes, inverse: bytes
) -> bytes:
    """The finished signature over `prepared` (section 4.4): as long as the modulus.

    Raises BlindSignatureError if the signer's answer does not yield a valid one.
    """
    modulus = public_key.public_numbers().n
    blinded = _residue(blind_signature, modulus, "the signer's blind signature")
    unblinding = _residue(inverse, modulus, "the inverse")
    size = _modulus_bytes(modulus)
    signature = (blinded * unblinding % modulus).to_bytes(size, "big")
    verify(public_key, prepared, signature)
    return signature


def verify(public_key: rsa.RSAPublicKey, prepared: bytes, signature: bytes) -> None:
    """Return if `signature` is valid for `prepared`; BlindSignatureError if not."""
    try:
        public_key.verify(signature, prepared, _PSS, hashes.SHA384())
    except InvalidSignature as error:
        raise BlindSignatureError("the signature does not match the message and key") from error


def _modulus_bytes(modulus: int) -> int:
    return (modulus.bit_length() + 7) // 8


def _residue(data: bytes, modulus: int, name: str) -> int:
    size = _modulus_bytes(modulus)
    if len(data) != size:
        raise BlindSignatureError(f"{name} has {len(data)} bytes, the key needs {size}")
    number = int.from_bytes(data, "big")
    if number >= modulus:
        raise BlindSignatureError(f"{name} is not smaller than the modulus")
    return number


def _random_unit(modulus: int, random: Random) -> tuple[int, int]:
    """A uniform invertible residue and its inverse, by rejection."""
    size = _modulus_bytes(modulus)
    surplus = size * 8 - modulus.bit_length()
    while True:
        number = int.from_bytes(random(size), "big") >> surplus
        if not 0 < number < modulus:
            continue
        try:
            return number, pow(number, -1, modulus)
        except ValueError:  # shares a factor with the modulus: as likely as guessing the key
            continue


def _mgf1(seed: bytes, length: int) -> bytes:
    """Mask of `length` bytes (RFC 8017, B.2.1)."""
    blocks = range(-(-length // _HASH_BYTES))
    mask = b"".join(hashlib.sha384(seed + block.to_bytes(4, "big")).digest() for block in blocks)
    return mask[:length]


def _emsa_pss_encode(message: bytes, bits: int, salt: bytes) -> bytes:
    """EMSA-PSS with SHA-384 (RFC 8017, 9.1.1). `cryptography` offers it only with signing."""
    length = -(-bits // 8)
    padding_bytes = length - len(salt) - _HASH_BYTES - 2
    if padding_bytes < 0:
        raise BlindSignatureError(f"a key of {bits + 1} bits is too short for SHA-384 with a salt")
    digest = hashlib.sha384(bytes(8) + hashlib.sha384(message).digest() + salt).digest()
    block = bytes(padding_bytes) + b"\x01" + salt
    mask = _mgf1(digest, len(block))
    masked = bytearray(left ^ right for left, right in zip(block, mask, strict=True))
    masked[0] &= 0xFF >> (8 * length - bits)
    return bytes(masked) + digest + b"\xbc"
