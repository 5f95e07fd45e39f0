"""The keys to this phone's own pages: a link that opens once, and the cookie it gives."""

import hashlib
import hmac
import secrets
from typing import Final

import msgspec

from bluezone.clock import Clock
from bluezone.phone.store import Store

_COOKIE: Final = "pages-cookie"
_KEY: Final = "pages-key"
_PORT: Final = "pages-port"
_KEY_SECONDS: Final = 3600.0


class _Key(msgspec.Struct, frozen=True):
    sha256: bytes
    made_at: float


class PageKeys:
    """The cookie of this phone's pages, and the keys of links that give it; kept sealed."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        # Also here: a diary that is found damaged can no longer be asked.
        self._cookie: str | None = None
        self._port: int | None = None

    def new(self) -> str:
        """A key for one link; an earlier one that was not used stops working."""
        key = secrets.token_urlsafe(24)
        self._store.save(_KEY, _Key(_digest(key), self._clock.now()))
        return key

    def use(self, key: str) -> bool:
        """Whether `key` opens. It opens once, within an hour."""
        with self._store.transaction():
            kept = self._store.load(_KEY, _Key)
            if kept is None or not hmac.compare_digest(kept.sha256, _digest(key)):
                return False
            self._store.drop(_KEY)
        return 0 <= self._clock.now() - kept.made_at < _KEY_SECONDS

    def carry_to(self, other: "PageKeys") -> None:
        """Let `other`, on a new store, open to who can open this. Needs the old store no more."""
        if self._cookie is not None:
            other._store.save(_COOKIE, self._cookie)
        if self._port is not None:
            other.served_at(self._port)

    def served_at(self, port: int) -> None:
        """Remember where the pages are, for who opens them from another process."""
        self._store.save(_PORT, port)
        self._port = port

    @property
    def port(self) -> int | None:
        """Where the pages are or were last."""
        return self._store.load(_PORT, int)

    def link(self, port: int) -> str:
        """An address that opens the pages once, within an hour."""
        return f"http://127.0.0.1:{port}/open?key={self.new()}"

    def cookie(self) -> str:
        """The secret that the browser keeps."""
        if self._cookie is None:
            secret = self._store.load(_COOKIE, str)
            if secret is None:
                secret = secrets.token_urlsafe(32)
                self._store.save(_COOKIE, secret)
            self._cookie = secret
        return self._cookie


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
