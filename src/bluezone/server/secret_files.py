"""Secrets of 32 bytes beside the role keys: what a thief of the database alone does not have."""

import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from bluezone.server.keys import KeyUnavailable

SECRET_BYTES: Final = 32


@cache
def secret_file(path: Path) -> bytes:
    """The secret in this file, made on first use. Raises KeyUnavailable.

    All processes of an installation share it.
    """
    try:
        if not path.exists():
            _make(path)
        secret = path.read_bytes()
    except OSError as error:
        raise KeyUnavailable(f"{path} cannot be read or made: {error.strerror}") from error
    if len(secret) != SECRET_BYTES:
        raise KeyUnavailable(f"{path} has {len(secret)} bytes, not {SECRET_BYTES}: remove it")
    return secret


def _make(path: Path) -> None:
    """Linked into place when whole: of two processes starting at once, one wins."""
    descriptor, fresh = tempfile.mkstemp(dir=path.parent)  # readable by its owner alone
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        os.unlink(fresh)
