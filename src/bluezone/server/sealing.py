"""Personal data at rest: AES-256-GCM under a key outside the database, bound to its place."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bluezone.protocol.envelope import bytes_to_sign
from bluezone.server.keys import KeyUnavailable
from bluezone.server.secret_files import old_key, secret_file

_NONCE_BYTES: Final = 12


class Sealer:
    """Seals the values of one kind; the key is the file `NAME-key` in the secrets folder.

    Raises KeyUnavailable. A value opens only at the place it was sealed for, so rows cannot
    be exchanged by somebody who can write the database and not read it. After a rotation
    the key before, `NAME-key.old`, still opens until all rows are sealed anew.

    Made for one request or one batch of work: it seals with the key that it found, and that key
    is kept for an hour after it was replaced (rotation.service).
    """

    def __init__(self, secrets_folder: Path, name: str) -> None:
        self._path = secrets_folder / f"{name}-key"
        self._load()

    def seal(self, content: bytes, *place: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, bytes_to_sign(*place))

    def open(self, sealed: bytes, *place: bytes) -> bytes:
        """Raises KeyUnavailable for what this key has not sealed for this place."""
        for _try in range(2):
            for cipher in filter(None, (self._cipher, self._before)):
                with suppress(InvalidTag, ValueError):
                    return _opened(cipher, sealed, place)
            self._load()  # somebody may have begun a rotation since
        raise KeyUnavailable(
            f"a row does not open with {self._path}: was the file, or the row, exchanged?"
        )

    def is_current(self, sealed: bytes, *place: bytes) -> bool:
        """Whether it opens with the present key, without the one before."""
        with suppress(InvalidTag, ValueError):
            _opened(self._cipher, sealed, place)
            return True
        return False

    def _load(self) -> None:
        self._cipher = AESGCM(secret_file(self._path))
        old = old_key(self._path)
        self._before = AESGCM(secret_file(old)) if old.exists() else None


def _opened(cipher: AESGCM, sealed: bytes, place: tuple[bytes, ...]) -> bytes:
    nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    return cipher.decrypt(nonce, content, bytes_to_sign(*place))
