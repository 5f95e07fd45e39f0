"""Secrets of 32 bytes beside the role keys: what a thief of the database alone does not have."""

import os
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from bluezone.server.keys import KeyUnavailable
from bluezone.storage.objects import write_atomically

SECRET_BYTES: Final = 32


def secret_file(path: Path) -> bytes:
    """The secret in this file, made on first use. Raises KeyUnavailable.

    All processes of an installation share it, and see at once when it is replaced.
    """
    try:
        if not path.exists():
            _make(path)
        status = path.stat()
        secret = _read(path, status.st_ino, status.st_mtime_ns)
    except OSError as error:
        raise KeyUnavailable(f"{path} cannot be read or made: {error.strerror}") from error
    if len(secret) != SECRET_BYTES:
        raise KeyUnavailable(f"{path} has {len(secret)} bytes, not {SECRET_BYTES}: remove it")
    return secret


def old_key(path: Path) -> Path:
    """Where the secret before a rotation is kept."""
    return path.with_name(f"{path.name}.old")


def replace_secret(path: Path) -> None:
    """Put a fresh secret in the place of this one, which is kept as `old_key`.

    May be repeated after a crash. Raises KeyUnavailable while an older one is still kept: what it
    sealed would be lost. The caller sees to it that nobody does this at the same time.
    """
    present, kept = secret_file(path), old_key(path)
    try:
        if not kept.exists():
            write_atomically(kept, present, mode=0o600)
        elif kept.read_bytes() != present:
            raise KeyUnavailable(f"{kept} is still needed: the last rotation has not ended yet")
        write_atomically(path, os.urandom(SECRET_BYTES), mode=0o600)
    except OSError as error:
        raise KeyUnavailable(f"{path} cannot be replaced: {error.strerror}") from error


@lru_cache(maxsize=256)
def _read(path: Path, _inode: int, _changed_ns: int) -> bytes:
    return path.read_bytes()


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
