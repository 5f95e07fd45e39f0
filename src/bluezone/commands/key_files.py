"""Files named on the command line that more than one command reads."""

from pathlib import Path

import click
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    load_der_public_key,
    load_pem_public_key,
)

from bluezone.protocol.deployment import MAX_EXPORT_BYTES
from bluezone.protocol.exports import Export, read_export

_MAX_PUBLIC_KEY_BYTES = 64 * 1024


def read_file(path: Path, most: int = -1) -> bytes:
    """The first `most` bytes of a file (-1: all). ClickException if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error


def read_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """The ECDSA P-256 key in a PEM or DER file. ClickException if there is none."""
    data = read_file(path, _MAX_PUBLIC_KEY_BYTES)
    load = load_pem_public_key if b"-----BEGIN" in data else load_der_public_key
    try:
        key = load(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise click.ClickException(f"{path}: not a public key in PEM or DER") from error
    if not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        raise click.ClickException(f"{path}: not an ECDSA P-256 key")
    return key


def read_key_file(path: Path, name: str, key: ec.EllipticCurvePublicKey | None) -> Export:
    """The key file at `path`, called `name` in errors; with a key, it must have signed it.

    Raises ExportError, ClickException.
    """
    # One byte more than a phone takes, so that the reader sees it is too large.
    return read_export(read_file(path, MAX_EXPORT_BYTES + 1), name, key)
