"""The keys to this phone's own pages: a link that opens once, the cookie and token it gives."""

import hashlib
import hmac
import secrets
from typing import Final

import msgspec

from bluezone.clock import Clock
from bluezone.phone.store import Store

_COOKIE: Final = "pages-cookie"
_TOKEN: Final = "pages-token"  # noqa: S105 - the name of one
_KEY: Final = "pages-key"
_PORT: Final = "pages-port"
_KEY_SECONDS: Final = 3600.0


class _Key(msgspec.Struct, frozen=True):
    sha256: bytes
    made_at: float


class PageKeys:
    """Cookie and token of this phone's pages, and the keys of links that give them; kept sealed."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        # Also here: a diary that is found damaged can no longer be asked.
        self._known: dict[str, str] = {}
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
        for name, secret in self._known.items():
            other._store.save(name, secret)
        if self._port is not None:
            other.served_at(self._port)

    def served_at(self, port: int) -> None:
        """Remember where the pages are, for who opens them from another process."""
        self._store.save(_PORT, port)
        self._port = port

    def served_no_more(self) -> None:
        """Forget where the pages were: another program may be there next."""
        self._store.drop(_PORT)
        self._port = None

    @property
    def unused(self) -> bool:
        """Whether a link waits for being used."""
        return self._store.load(_KEY, _Key) is not None

    @property
    def port(self) -> int | None:
        """Where the pages are, if they are served."""
        return self._store.load(_PORT, int)

    def link(self, port: int) -> str:
        """An address that opens the pages once, within an hour."""
        return f"http://127.0.0.1:{port}/open?key={self.new()}"

    def cookie(self) -> str:
        """The secret that the browser sends by itself: to every port of this address, though."""
        return self._secret(_COOKIE)

    def token(self) -> str:
        """The secret that the pages keep by their origin, port included, and send themselves."""
        return self._secret(_TOKEN)

    def _secret(self, name: str) -> str:
        if name not in self._known:
            secret = self._store.load(name, str)
            if secret is None:
                secret = secrets.token_urlsafe(32)
                self._store.save(name, secret)
            self._known[name] = secret
        return self._known[name]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
