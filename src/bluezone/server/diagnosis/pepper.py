"""The secret that makes a stolen table of codes worthless: 32 bytes in the secrets folder."""

import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from bluezone.server.keys import KeyUnavailable

_FILE: Final = "code-pepper"
_BYTES: Final = 32


@cache
def code_pepper(secrets_folder: Path) -> bytes:
    """The pepper of this installation, made on first use. Raises KeyUnavailable.

    Twelve digits can be tried out in minutes by whoever holds the table, so the MAC of a
    code needs a key that is not in the database. All processes of an installation share it;
    a new one makes the codes of the last hour worthless and harms nothing else.
    """
    path = secrets_folder / _FILE
    try:
        if not path.exists():
            _make(path)
        pepper = path.read_bytes()
    except OSError as error:
        raise KeyUnavailable(f"{path} cannot be read or made: {error.strerror}") from error
    if len(pepper) != _BYTES:
        raise KeyUnavailable(f"{path} has {len(pepper)} bytes, not {_BYTES}: remove it")
    return pepper


def _make(path: Path) -> None:
    """Linked into place when whole: of two processes starting at once, one wins."""
    descriptor, fresh = tempfile.mkstemp(dir=path.parent)  # readable by its owner alone
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        os.unlink(fresh)
