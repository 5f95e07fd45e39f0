"""Seals what a phone keeps: AES-256-GCM under a key from the keyring, or from a 0600 file.

A sealed value is a 12-byte nonce, then ciphertext and tag (NIST SP 800-38D). Every value is
bound to the place it belongs to, so that no row can stand in for another.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

import keyring
import keyring.backend
import keyring.errors
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bluezone.web.catalogue import DEFAULT_LANGUAGE, _, translate

Entropy = Callable[[int], bytes]

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_KEYRING_SERVICE: Final = "bluezone-diary"
_IN_KEYRING: Final = b"keyring\n"


class KeyPlace(Enum):
    """Where the diary's key is kept, so that the person can be told."""

    KEYRING = "keyring"
    FILE = "file"


class KeyUnavailableError(Exception):
    """The diary's key exists but cannot be had now; nothing may be set aside for that."""

    def text(self, language: str = DEFAULT_LANGUAGE) -> str:
        """What to tell the owner."""
        return translate(
            _(
                "The key of the diary is in this device's keyring, and the keyring does not give"
                " it. Unlock the keyring and start again; the diary is untouched."
            ),
            language,
        )


class UnsealError(Exception):
    """A sealed value was damaged, moved, or sealed with another key."""


class Sealer:
    """Seals and unseals bytes under one key."""

    def __init__(self, key: bytes, entropy: Entropy = os.urandom) -> None:
        self._cipher = AESGCM(key)
        self._entropy = entropy

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """`plain` sealed for `place`: 28 bytes longer."""
        nonce = self._entropy(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, place)

    def unseal(self, sealed: bytes, place: bytes) -> bytes:
        """What was sealed for `place`. Raises UnsealError."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place)
        except (InvalidTag, ValueError) as error:
            where = place.split(b":")[0].decode(errors="replace")
            raise UnsealError(f"a sealed {where} is damaged or has another key") from error


@dataclass(frozen=True, slots=True)
class DiaryKey:
    """The 32-byte key and where it is kept. `made_now`: no key was there before."""

    key: bytes
    place: KeyPlace
    made_now: bool

    def __repr__(self) -> str:  # a key must never reach a log
        return f"DiaryKey(<hidden>, {self.place}, made_now={self.made_now})"


def system_keyring() -> keyring.backend.KeyringBackend | None:
    """The operating system's keyring, or None where there is none."""
    backend = keyring.get_keyring()
    # The `fail` and `null` backends say by a priority of zero or less that they keep nothing.
    return backend if backend.priority > 0 else None


def diary_key(
    home: Path, ring: keyring.backend.KeyringBackend | None, entropy: Entropy = os.urandom
) -> DiaryKey:
    """The key of the diary in `home`, made at first use.

    `home/diary.key` holds either the key or the word that it is in the keyring, so a keyring
    that is locked today is never mistaken for a lost key. Raises KeyUnavailableError.
    """
    path = home / "diary.key"
    account = str(home.resolve())
    for _attempt in range(2):  # a second time if another process makes the key at this very moment
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            key = entropy(KEY_BYTES)
            place = KeyPlace.KEYRING if ring and _keep(ring, account, key) else KeyPlace.FILE
            with contextlib.suppress(FileExistsError):
                _create(path, _IN_KEYRING if place is KeyPlace.KEYRING else key)
                return DiaryKey(key, place, made_now=True)
            continue
        if content == _IN_KEYRING:
            return _fetch(ring, account, entropy)
        if len(content) == KEY_BYTES:
            return DiaryKey(content, KeyPlace.FILE, made_now=False)
        # Cut short or scribbled over. Set aside like a diary: someone may still repair it.
        _set_aside(path)
    raise KeyUnavailableError(f"{path} changes while it is read: is another phone starting there?")


def forget_key(home: Path, ring: keyring.backend.KeyringBackend | None) -> None:
    """Delete the key wherever it is; what it sealed can never be read again."""
    if ring is not None:
        with contextlib.suppress(keyring.errors.KeyringError):
            ring.delete_password(_KEYRING_SERVICE, str(home.resolve()))
    (home / "diary.key").unlink(missing_ok=True)


def _keep(ring: keyring.backend.KeyringBackend, account: str, key: bytes) -> bool:
    try:
        ring.set_password(_KEYRING_SERVICE, account, key.hex())
        return bool(ring.get_password(_KEYRING_SERVICE, account) == key.hex())
    except keyring.errors.KeyringError:
        return False


def _fetch(ring: keyring.backend.KeyringBackend | None, account: str, entropy: Entropy) -> DiaryKey:
    try:
        kept = ring.get_password(_KEYRING_SERVICE, account) if ring is not None else None
    except keyring.errors.KeyringError as error:
        raise KeyUnavailableError(f"the keyring does not give the diary's key: {error}") from error
    if ring is None:
        raise KeyUnavailableError("the diary's key is in a keyring that is not there now")
    if kept is not None and len(kept) == 2 * KEY_BYTES:
        return DiaryKey(bytes.fromhex(kept), KeyPlace.KEYRING, made_now=False)
    key = entropy(KEY_BYTES)  # the keyring has lost it: a new diary needs a new key
    if not _keep(ring, account, key):
        raise KeyUnavailableError("the keyring keeps nothing: unlock it and start again")
    return DiaryKey(key, KeyPlace.KEYRING, made_now=True)


def _create(path: Path, content: bytes) -> None:
    # Complete or absent: written under another name, then linked, which refuses to replace.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _set_aside(path: Path) -> None:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)
