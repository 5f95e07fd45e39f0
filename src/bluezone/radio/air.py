"""The virtual air: where phones are, what they send, and how loudly each hears the others."""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bluezone.clock import Clock
from bluezone.protocol.deployment import ADVERTISING_INTERVAL_SECONDS
from bluezone.radio.physics import AirPhysics, Floats, Words, drift, normal, scramble, uniform

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
        "rng",
        "serial",
        "space",
        "tx_power",
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
        self._neighbours: Neighbours | None = None

    def move(self, position: Position, space: str) -> None:
        """Be somewhere else from now on (metres on the one map of this air)."""
        if (position, space) != (self.position, self.space):
            self.position, self.space = position, space
            self._air.moved(self)

    def broadcast(self, address: bytes, payload: bytes) -> None:
        """Replace what is on the air, address and payload in the same instant."""
        self.silence()
        self.current = Broadcast(address, payload, self._air.clock.now())

    def silence(self) -> None:
        """Stop sending. What was sent stays known while somebody's window may cover it."""
        oldest = self._air.oldest_window() if self.ended else 0.0
        self.ended = [pair for pair in self.ended if pair[1] > oldest]
        if self.current is not None:
            self.ended.append((self.current, self._air.clock.now()))
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
    base: Floats  # level without bodies, pockets and offsets of pairs, dBm
    bearing: Floats  # direction towards each, radians
    keys: Words  # what drifts: 3 N of pairs, then bodies and hands of N people and the listener
    rates: Floats  # coherence times per second of each key
    phases: Floats  # so that not everybody turns at the same moment


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
        for place in (self._xy[station.index].copy(), station.position):
            offset = self._xy - place
            self._stale |= np.hypot(offset[:, 0], offset[:, 1]) < self._reach
        self._stale[station.index] = True
        self._xy[station.index] = station.position
        self._space[station.index] = self._space_number(station.space)
        self.version += 1

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
        physics, me = self.physics, station.index
        self._stale[me] = False
        offset = self._xy - self._xy[me]
        base = (
            self._sent
            + self._received[me]
            - physics.path_loss(np.hypot(offset[:, 0], offset[:, 1]))
            - physics.wall_db * (self._space != self._space[me])
        )
        audible = base > physics.floor_dbm - _MARGIN_DB
        audible[me] = False
        rows: NDArray[np.intp] = np.flatnonzero(audible)
        mine, theirs = self._word[me], self._word[rows]
        # Exclusive or is symmetric: both directions of a pair share their offsets.
        pair, people = scramble(mine ^ theirs), np.append(theirs, mine)
        keys = np.concatenate(
            (pair, pair + np.uint64(1), pair + np.uint64(2), people, people + np.uint64(3))
        )
        pairs, carriers = len(rows), len(rows) + 1
        seconds = (
            physics.meeting_seconds,
            physics.shadowing_seconds,
            physics.sway_seconds,
            physics.turning_seconds,
            physics.carrying_seconds,
        )
        rates = 1.0 / np.repeat(seconds, (pairs, pairs, pairs, carriers, carriers))
        return Neighbours(
            [self.stations[row] for row in rows.tolist()],
            base[rows],
            np.arctan2(offset[rows, 1], offset[rows, 0]),
            keys,
            rates,
            uniform(scramble(~keys)),
        )

    def levels(self, neighbours: Neighbours, time: float) -> Floats:
        """Level (dBm) of each neighbour at Unix `time`, before the fading of each packet."""
        physics, bodies = self.physics, 3 * len(neighbours.base)
        hands = bodies + len(neighbours.base) + 1
        noise = drift(neighbours.keys, time * neighbours.rates + neighbours.phases)
        facing = math.pi * (noise[bodies:hands] + 2.0 * neighbours.phases[bodies:hands])
        carried = physics.carrying_loss(noise[hands:])
        mine = physics.body_loss(facing[-1] - neighbours.bearing) + carried[-1]
        theirs = physics.body_loss(facing[:-1] - neighbours.bearing - math.pi) + carried[:-1]
        levels: Floats = neighbours.base + physics.pair_offset(noise[:bodies]) - mine - theirs
        return levels

    def _space_number(self, space: str) -> int:
        return self._spaces.setdefault(space, len(self._spaces))

    def _rebuild(self) -> None:
        for index, station in enumerate(self.stations):
            station.index = index
        self._xy = np.array([s.position for s in self.stations], np.float64).reshape(-1, 2)
        self._space = np.array([self._space_number(s.space) for s in self.stations], np.int64)
        serials = np.array([s.serial for s in self.stations], np.uint64)
        seed = np.array([self.seed], np.uint64)
        self._word = scramble(scramble(seed) ^ scramble(serials + np.uint64(1)))
        power = np.array([s.tx_power for s in self.stations], np.float64)
        # Two further hashes of the same word: how each device differs, sending and receiving.
        sending, receiving = (
            normal(scramble(self._word + np.uint64(1))),
            normal(scramble(self._word + np.uint64(2))),
        )
        self._sent = power + self.physics.device_db * sending
        self._received = self.physics.device_db * receiving
        # Metres beyond which nobody hears anybody.
        budget = max(self._sent, default=0.0) + max(self._received, default=0.0)
        self._reach = self.physics.reach(budget + _MARGIN_DB - self.physics.floor_dbm)
        self._stale = np.ones(len(self.stations), np.bool_)
        self.version += 1
