"""Password hashing: argon2id, off the event loop, never more than two at a time."""

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

_HASHER: Final = PasswordHasher()  # RFC 9106, second recommended option: 64 MiB
# Each needs 64 MiB and a core: a flood of sign-ins must not take the machine with it.
_WORKERS: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")


async def hash_password(password: str) -> str:
    """The argon2id hash, with its parameters and salt."""
    return await asyncio.get_running_loop().run_in_executor(
        _WORKERS, _HASHER.hash, _normal(password)
    )


async def verify_password(password_hash: str | None, password: str) -> bool:
    """Whether `password` is right. None, an unknown name, takes as long and is False."""
    return await asyncio.get_running_loop().run_in_executor(
        _WORKERS, _verify, password_hash, _normal(password)
    )


def _verify(password_hash: str | None, password: str) -> bool:
    try:
        _HASHER.verify(password_hash or _nobodys_hash(), password)
    except VerificationError:
        return False
    return bool(password_hash)  # empty: an account that has none any more


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash("nobody")


def _normal(password: str) -> str:
    # Keyboards differ in how they compose Vietnamese letters (NIST SP 800-63B, 5.1.1.2).
    return unicodedata.normalize("NFKC", password)
