"""Peers whose beacon has to be read by GATT: whom to connect to, when, and what was learned.

Connecting costs both batteries, and an address is free to invent: so few connections,
fewer to who failed, and none to who is known already.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from bluezone.clock import Clock
from bluezone.protocol.intervals import interval_number

# A connection keeps the radio busy for a tenth of a second and up to two when the peer does
# not answer: six a minute are at most a fifth of the time, and enough for a crowded bus, for
# an identifier lives ten minutes.
MAX_READS_PER_MINUTE: Final = 6
READ_SECONDS: Final = 2.0  # an honest peer needs some 0.3 s
_FIRST_BACK_OFF: Final = 30.0  # doubled with every further failure
_LONGEST_BACK_OFF: Final = 600.0  # by then an honest peer has another address
_MAX_KNOWN: Final = 512  # addresses remembered; the oldest is forgotten


@dataclass(slots=True)
class _Peer:
    payload: bytes = field(default=b"", repr=False)
    read_at: float = 0.0
    failures: int = 0
    not_before: float = 0.0


class Peers:
    """The memory of one radio; addresses are whatever its back end calls an advertiser."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[bytes, _Peer] = {}
        self._reads: deque[float] = deque()

    def beacon_of(self, address: bytes, heard_at: float) -> bytes | None:
        """What was read at `address`: since it was heard, or in these ten minutes."""
        peer = self._known.get(address)
        if peer is None or not peer.payload:
            return None
        turned = interval_number(peer.read_at) != interval_number(self._clock.now())
        return None if turned and peer.read_at < heard_at else peer.payload

    def may_read(self, address: bytes) -> bool:
        """Whether to connect to `address` now."""
        now = self._clock.now()
        while self._reads and not 0.0 <= now - self._reads[0] < 60.0:
            self._reads.popleft()
        if len(self._reads) >= MAX_READS_PER_MINUTE or self.beacon_of(address, now):
            return False
        peer = self._known.get(address)
        # A clock that was set back must not keep anybody waiting.
        return peer is None or not 0.0 < peer.not_before - now <= _LONGEST_BACK_OFF

    def begin(self, address: bytes) -> None:
        """A connection is attempted: it counts, however it ends."""
        self._reads.append(self._clock.now())
        peer = self._known.pop(address, None)
        if len(self._known) >= _MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[address] = peer or _Peer()

    def learned(self, address: bytes, payload: bytes) -> None:
        """The peer gave its beacon."""
        self._known[address] = _Peer(payload, self._clock.now())

    def failed(self, address: bytes) -> None:
        """The peer did not answer, or not with a beacon."""
        peer = self._known.setdefault(address, _Peer())
        wait = min(_FIRST_BACK_OFF * 2.0**peer.failures, _LONGEST_BACK_OFF)
        peer.failures += 1
        peer.not_before = self._clock.now() + wait
