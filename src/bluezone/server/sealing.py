"""Personal data at rest: AES-256-GCM under a key outside the database, bound to its place."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bluezone.protocol.envelope import bytes_to_sign
from bluezone.server.keys import KeyUnavailable
from bluezone.server.secret_files import secret_file

_NONCE_BYTES: Final = 12


class Sealer:
    """Seals the values of one kind; the key is the file `NAME-key` in the secrets folder.

    Raises KeyUnavailable. A value opens only at the place it was sealed for, so rows cannot
    be exchanged by somebody who can write the database and not read it. After a rotation
    the key before, `NAME-key.old`, still opens until all rows are sealed anew.
    """

    def __init__(self, secrets_folder: Path, name: str) -> None:
        self._path = secrets_folder / f"{name}-key"
        self._cipher = AESGCM(secret_file(self._path))
        old = old_key(self._path)
        self._before = AESGCM(secret_file(old)) if old.exists() else None

    def seal(self, content: bytes, *place: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, bytes_to_sign(*place))

    def open(self, sealed: bytes, *place: bytes) -> bytes:
        """Raises KeyUnavailable for what this key has not sealed for this place."""
        nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        for cipher in filter(None, (self._cipher, self._before)):
            with suppress(InvalidTag, ValueError):
                return cipher.decrypt(nonce, content, bytes_to_sign(*place))
        raise KeyUnavailable(
            f"a row does not open with {self._path}: was the file, or the row, exchanged?"
        )


def old_key(path: Path) -> Path:
    """Where the key before a rotation is kept."""
    return path.with_name(f"{path.name}.old")
