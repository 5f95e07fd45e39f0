"""The virtual air: where phones are, what they send, and how loudly each hears the others."""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bluezone.clock import Clock
from bluezone.protocol.deployment import ADVERTISING_INTERVAL_SECONDS
from bluezone.radio import physics as law
from bluezone.radio.physics import AirPhysics, Floats, Words

# The Link Layer adds a random delay of up to 10 ms to every advertising interval, so that
# two phones do not collide for ever (Core Specification, Vol 6, Part B, 4.4.2.2.1).
ADV_DELAY_SECONDS: Final = 0.010
MEAN_INTERVAL_SECONDS: Final = ADVERTISING_INTERVAL_SECONDS + ADV_DELAY_SECONDS / 2
# Neighbours this far below the floor are kept: the offsets of a pair may lift them above it
# when no pocket and no body takes it back.
_MARGIN_DB: Final = 8.0

Position = tuple[float, float]


@dataclass(slots=True)
class AirStatistics:
    """What happened to packets that were sent while somebody in range listened."""

    offered: int = 0
    delivered: int = 0
    faded: int = 0  # too weak, collided or disturbed: the air's doing
    dropped: int = 0  # this computer was behind: not physics
    worst_lag: float = 0.0  # seconds by which the latest packet or window was late

    @property
    def overloaded(self) -> bool:
        """More than one packet in a hundred was dropped for want of computing time."""
        return self.dropped > 0.01 * self.offered


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One beacon under one address, on the air since `start` (Unix time)."""

    address: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    start: float


class Station:
    """One radio on the air. Made by `Air.join`."""

    __slots__ = (
        "_air",
        "_neighbours",
        "current",
        "ended",
        "index",
        "listening_since",
        "position",
        "receiving_db",
        "rng",
        "sent_dbm",
        "serial",
        "space",
        "tx_power",
        "word",
    )

    def __init__(
        self, air: "Air", serial: int, position: Position, space: str, tx_power: int
    ) -> None:
        self._air = air
        self.serial = serial
        self.index = 0  # its row in the air's arrays
        self.position = position
        self.space = space
        self.tx_power = tx_power
        self.current: Broadcast | None = None
        self.ended: list[tuple[Broadcast, float]] = []  # with the time each ended
        self.listening_since: float | None = None
        # Draws of one receiver depend only on its own history, not on who ran first.
        self.rng = np.random.Generator(np.random.SFC64((air.seed, serial)))
        # The word its noise is made of; two further hashes of it say how this device differs
        # from its model, sending and receiving.
        self.word = np.uint64(law.device_word(np.uint64(air.seed), np.uint64(serial)))
        sending, receiving = law.device_offsets(air.physics, self.word)
        self.sent_dbm = tx_power + sending
        self.receiving_db = receiving
        self._neighbours: Neighbours | None = None

    def move(self, position: Position, space: str) -> None:
        """Be somewhere else from now on (metres on the one map of this air)."""
        if (position, space) != (self.position, self.space):
            self.position, self.space = position, space
            self._air.moved(self)

    def broadcast(self, address: bytes, payload: bytes) -> None:
        """Replace what is on the air, address and payload in the same instant."""
        self.relay(Broadcast(address, payload, self._air.clock.now()))

    def relay(self, broadcast: Broadcast) -> None:
        """Replace what is on the air by what another process has sent from here."""
        self._end_current(broadcast.start)
        self.current = broadcast

    def silence(self) -> None:
        """Stop sending. What was sent stays known while somebody's window may cover it."""
        self._end_current(self._air.clock.now())

    def _end_current(self, now: float) -> None:
        oldest = self._air.oldest_window() if self.ended else 0.0
        self.ended = [pair for pair in self.ended if pair[1] > oldest]
        if self.current is not None:
            self._air.last_stop = max(self._air.last_stop, now)
            self.ended.append((self.current, now))
            self.current = None

    def leave(self) -> None:
        """Be gone; leaving twice is fine."""
        self._air.left(self)

    def neighbours(self) -> "Neighbours":
        """Who may be heard from here; computed again only after somebody in range moved."""
        if self._neighbours is None or self._air.is_stale(self):
            self._neighbours = self._air.survey(self)
        return self._neighbours


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The slow part of hearing: geometry as of the last move. Arrays have a row for each."""

    stations: list[Station]
    # Level without bodies, pockets and offsets of pairs (dBm), and direction towards each
    # (radians); words that noise is made of: whose neighbours they are, and their own.
    signals: tuple[Floats, Floats, np.uint64, Words]


class Air:
    """All radios that may hear each other, on one map in metres.

    `space` names a room, bus or market: phones in different spaces have a wall between
    them. `seed` fixes every random influence.
    """

    def __init__(self, clock: Clock, physics: AirPhysics | None = None, seed: int = 0) -> None:
        self.clock = clock
        self.physics = physics or AirPhysics()
        self.seed = seed % 2**64
        self.statistics = AirStatistics()
        self.last_stop = -math.inf  # Unix time at which a broadcast ended last
        self.version = 0  # changes when somebody joins, moves or leaves
        self.stations: list[Station] = []
        self._joined = 0
        self._spaces: dict[str, int] = {}
        self._rebuild()

    def join(self, position: Position, space: str = "", tx_power: int | None = None) -> Station:
        """A new radio. The order of joining is part of what a seed repeats."""
        power = self.physics.tx_power_dbm if tx_power is None else tx_power
        station = Station(self, self._joined, position, space, power)
        self._joined += 1
        self.stations.append(station)
        self._rebuild()
        return station

    def moved(self, station: Station) -> None:
        """Take over a station's new place; who could hear it before or can now looks again."""
        self._look_again_around(station.index)
        self._xy[station.index] = station.position
        self._space[station.index] = self._space_number(station.space)
        self._look_again_around(station.index)
        self.version += 1

    def _look_again_around(self, index: int) -> None:
        offset = self._xy - self._xy[index]
        reach = np.where(self._space == self._space[index], self._reach, self._reach_through_wall)
        self._stale |= np.hypot(offset[:, 0], offset[:, 1]) < reach

    def is_stale(self, station: Station) -> bool:
        """Whether somebody in range of `station` has moved since its last `survey`."""
        return bool(self._stale[station.index])

    def left(self, station: Station) -> None:
        """Forget a station."""
        if station in self.stations:
            self.stations.remove(station)
            self._rebuild()

    def oldest_window(self) -> float:
        """Unix time from which on somebody is still listening (infinite: nobody is)."""
        return min(
            (s.listening_since for s in self.stations if s.listening_since is not None),
            default=math.inf,
        )

    def survey(self, station: Station) -> Neighbours:
        """The neighbours of `station` and what distance and walls leave of their signal."""
        me = station.index
        self._stale[me] = False
        rows, base, bearing = law.survey(
            self.physics, me, self._xy, self._space, self._sent, self._received, _MARGIN_DB
        )
        stations = [self.stations[row] for row in rows.tolist()]
        return Neighbours(stations, (base, bearing, self._word[me], self._word[rows]))

    def levels(self, neighbours: Neighbours, time: float) -> Floats:
        """Level (dBm) of each neighbour at Unix `time`, before the fading of each packet."""
        return law.levels(self.physics, *neighbours.signals, float(time))

    def _space_number(self, space: str) -> int:
        return self._spaces.setdefault(space, len(self._spaces))

    def _rebuild(self) -> None:
        for index, station in enumerate(self.stations):
            station.index = index
        self._xy = np.array([s.position for s in self.stations], np.float64).reshape(-1, 2)
        self._space = np.array([self._space_number(s.space) for s in self.stations], np.int64)
        self._word = np.array([s.word for s in self.stations], np.uint64)
        self._sent = np.array([s.sent_dbm for s in self.stations], np.float64)
        self._received = np.array([s.receiving_db for s in self.stations], np.float64)
        # Metres beyond which nobody hears anybody in the same space, and in another.
        strongest = max(self._sent, default=0.0) + max(self._received, default=0.0)
        budget = strongest + _MARGIN_DB - self.physics.floor_dbm
        self._reach = law.reach(self.physics, budget)
        self._reach_through_wall = law.reach(self.physics, budget - self.physics.wall_db)
        self._stale = np.ones(len(self.stations), np.bool_)
        self.version += 1
