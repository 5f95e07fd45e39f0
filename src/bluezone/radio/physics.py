"""How a beacon weakens between two phones: the virtual air's physics (docs/air.md).

Every slow influence is a function of (seed, who, time), never of the order in which the
program happened to ask, so a town replays exactly.

The laws are compiled: a town's scan is a dozen neighbours, for whom sixty calls of numpy take
ten times as long as the sums. A law calls no law of another file: machine code that is kept on
disk is only made anew after a change of its own file.
"""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, Final, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Words = NDArray[np.uint64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_QUANTILES: Final = 4096
_NORMAL: Final[Floats] = np.array(
    [NormalDist().inv_cdf((i + 0.5) / _QUANTILES) for i in range(_QUANTILES)]
)

_Law = TypeVar("_Law", bound=Callable[..., Any])


def _compiled(law: _Law) -> _Law:
    """`law` as machine code, kept on disk where a folder for it can be written."""
    try:
        return cast(_Law, numba.njit(cache=True, error_model="numpy")(law))
    except RuntimeError:  # no such folder: compiled at each start
        return cast(_Law, numba.njit(error_model="numpy")(law))


class AirPhysics(NamedTuple):
    """Constants of the virtual air. Levels in dBm, losses in dB, times in seconds.

    Sources and reasons for each value are in docs/air.md.
    """

    # Phones in hands, their open sides to each other. The one number fitted to a published
    # table: recordings do not say what their phones radiated.
    loss_at_1_m: float = 35.0
    # Rooms with people in them: reflections fill in, so levels say little of distance ...
    exponent: float = 1.3
    # ... as far as anybody recorded. Beyond, offices as the ITU has them (P.1238).
    recorded_m: float = 5.0
    far_exponent: float = 3.0
    # Closer than this, phones are in each other's near field and the law has no meaning.
    nearest_m: float = 0.2
    # Three offsets of a pair, the same in both directions: how this meeting of these two
    # differs from others (lasts an hour), where exactly they sit and what stands around
    # (minutes), and how they sway (seconds).
    meeting_db: float = 3.5
    meeting_seconds: float = 3600.0
    shadowing_db: float = 3.0
    shadowing_seconds: float = 180.0
    sway_db: float = 4.0
    sway_seconds: float = 5.0
    # A body between its phone and the peer takes this much; people turn, but rarely: the
    # error of a pair is an offset that outlasts the quarter of an hour that counts.
    body_db: float = 8.0
    turning_seconds: float = 600.0
    # A phone in a pocket or a bag loses this much against one in a hand.
    carried_db: float = 8.0
    carrying_seconds: float = 3600.0
    in_hand: float = 1 / 3  # share of the time
    # Models differ, sending and receiving, and nobody has calibrated them.
    device_db: float = 3.0
    # Reflections change with the advertising channel and the last centimetre: each packet
    # fades by itself around one dominant path (Rician, ratio of path to reflections).
    rician_k: float = 3.0
    # One inner brick wall with its door; phones further apart than that are out of range.
    wall_db: float = 12.0
    # Weakest level a phone's receiver still decodes.
    floor_dbm: float = -95.0
    # What a phone radiates, antenna included.
    tx_power_dbm: int = -8
    # Packets lost to Wi-Fi and other strangers, whatever the level.
    packet_loss: float = 0.04
    # A beacon occupies its channel for 47 bytes at 1 Mbit/s; two that overlap destroy the
    # weaker one, and both unless one is this much stronger.
    airtime_seconds: float = 376e-6
    capture_db: float = 8.0


class Window(NamedTuple):
    """How one receiver spends one scan; seconds."""

    seconds: float
    listen_every: float
    listen_for: float
    sent_every: float  # by each advertiser, plus a random delay
    delay: float


class Received(NamedTuple):
    """What arrived in one window, broadcast by broadcast."""

    counts: Integers  # packets of each
    first: Floats  # time of the first packet of each, from the window's start
    rssi: Integers  # of all packets, in dBm
    offered: int  # packets sent while the receiver listened


# --- hashes and noise ---------------------------------------------------------------------


@_compiled
def scramble(word: np.uint64) -> np.uint64:
    """A good hash of a 64-bit word (the finaliser of SplitMix64)."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@_compiled
def uniform(word: np.uint64) -> float:
    """A hashed word as a number in [0, 1)."""
    return np.float64(word >> np.uint64(11)) * 2.0**-53


@_compiled
def normal(word: np.uint64) -> float:
    """A hashed word as a standard normal number (4,096 steps, within ±3.7)."""
    value: float = _NORMAL[word >> np.uint64(52)]
    return value


@_compiled
def drift(key: np.uint64, step: float) -> float:
    """Smooth standard normal noise of a key at `step` (time in coherence times).

    Independent values at whole steps, joined so that the variance is one everywhere: two
    moments less than one step apart are alike, two steps apart independent.
    """
    whole = math.floor(step)
    knot = key + np.uint64(whole) * _GOLDEN
    angle = (step - whole) * (math.pi / 2)
    return math.cos(angle) * normal(scramble(knot)) + math.sin(angle) * normal(
        scramble(knot + _GOLDEN)
    )


@_compiled
def phase(key: np.uint64) -> float:
    """A number in [0, 1) of a key, so that not everybody turns at the same moment."""
    return uniform(scramble(~key))


@_compiled
def influence(key: np.uint64, time: float, seconds: float) -> float:
    """Noise of `key` at Unix `time` that stays alike for `seconds`."""
    return drift(key, time * (1.0 / seconds) + phase(key))


@_compiled
def device_word(seed: np.uint64, serial: np.uint64) -> np.uint64:
    """The word of one station, of which all its noise is made."""
    return scramble(scramble(seed) ^ scramble(serial + np.uint64(1)))


# --- one signal ---------------------------------------------------------------------------


@_compiled
def device_offsets(physics: AirPhysics, word: np.uint64) -> tuple[float, float]:
    """Gain in dB by which the device of `word` differs, sending and receiving."""
    sending = normal(scramble(word + np.uint64(1)))
    receiving = normal(scramble(word + np.uint64(2)))
    return physics.device_db * sending, physics.device_db * receiving


@_compiled
def path_loss(physics: AirPhysics, distance: float) -> float:
    """Median loss over `distance` metres, without bodies and walls."""
    near = math.log10(max(distance, physics.nearest_m))
    beyond = math.log10(max(distance / physics.recorded_m, 1.0))
    steeper = physics.far_exponent - physics.exponent
    return physics.loss_at_1_m + 10.0 * (physics.exponent * near + steeper * beyond)


def reach(physics: AirPhysics, loss: float) -> float:
    """Metres at which the median loss is `loss` (dB); the inverse of `path_loss`."""
    over = loss - path_loss(physics, physics.recorded_m)
    exponent = physics.far_exponent if over > 0.0 else physics.exponent
    return physics.recorded_m * float(10.0 ** (over / (10.0 * exponent)))


@_compiled
def pair_offset(physics: AirPhysics, pair: np.uint64, time: float) -> float:
    """Gain in dB of a pair, the same in both directions: meeting, shadowing and sway."""
    return (
        physics.meeting_db * influence(pair, time, physics.meeting_seconds)
        + physics.shadowing_db * influence(pair + np.uint64(1), time, physics.shadowing_seconds)
        + physics.sway_db * influence(pair + np.uint64(2), time, physics.sway_seconds)
    )


@_compiled
def carrying_loss(physics: AirPhysics, noise: float) -> float:
    """Loss by pocket or bag, from standard normal noise of the carrier."""
    in_hand = min(int(physics.in_hand * _QUANTILES), _QUANTILES - 1)
    return physics.carried_db if noise > _NORMAL[in_hand] else 0.0


@_compiled
def body_loss(physics: AirPhysics, angle: float) -> float:
    """Loss by one carrier's body; `angle` (radians) from the phone's open side."""
    return 0.5 * physics.body_db * (1.0 - math.cos(angle))


@_compiled
def carrier_loss(physics: AirPhysics, person: np.uint64, bearing: float, time: float) -> float:
    """Loss by one carrier's body and pocket towards `bearing` (radians on the map)."""
    turn = influence(person, time, physics.turning_seconds)
    facing = math.pi * (turn + 2.0 * phase(person))
    carried = influence(person + np.uint64(3), time, physics.carrying_seconds)
    return body_loss(physics, facing - bearing) + carrying_loss(physics, carried)


@_compiled
def fading(rician_k: float, direct: float, across: float) -> float:
    """Gain of a packet in dB from two standard normal draws; mean power is 0 dB."""
    spread = math.sqrt(0.5 / (rician_k + 1.0))
    line_of_sight = math.sqrt(rician_k / (rician_k + 1.0))
    power = (line_of_sight + spread * direct) ** 2 + (spread * across) ** 2
    return 10.0 * math.log10(max(power, 1e-9))


# --- all signals at one receiver ----------------------------------------------------------


@_compiled
def survey(
    physics: AirPhysics,
    me: int,
    places: Floats,
    spaces: Integers,
    sent: Floats,
    received: Floats,
    margin: float,
) -> tuple[Integers, Floats, Floats]:
    """Whom row `me` may hear: their rows, and of each the level that distance and walls leave
    (dBm) and the bearing (radians). `margin` (dB) below the receiver's floor is kept.
    """
    rows = np.empty(len(sent), np.int64)
    base = np.empty(len(sent))
    bearing = np.empty(len(sent))
    found = 0
    for row in range(len(sent)):
        if row == me:
            continue
        east = places[row, 0] - places[me, 0]
        north = places[row, 1] - places[me, 1]
        level = sent[row] + received[me] - path_loss(physics, math.hypot(east, north))
        if spaces[row] != spaces[me]:
            level -= physics.wall_db
        if level > physics.floor_dbm - margin:
            rows[found], base[found], bearing[found] = row, level, math.atan2(north, east)
            found += 1
    return rows[:found].copy(), base[:found].copy(), bearing[:found].copy()


@_compiled
def levels(
    physics: AirPhysics, base: Floats, bearing: Floats, me: np.uint64, people: Words, time: float
) -> Floats:
    """Level (dBm) of each of `people` at Unix `time`, before the fading of each packet.

    `base` and `bearing` are those of `survey`; `me` and `people` are words of their own.
    """
    result = np.empty(len(base))
    for row in range(len(base)):
        # Exclusive or is symmetric: both directions of a pair share their offsets.
        pair = scramble(me ^ people[row])
        result[row] = (
            base[row]
            + pair_offset(physics, pair, time)
            - carrier_loss(physics, me, bearing[row], time)
            - carrier_loss(physics, people[row], bearing[row] + math.pi, time)
        )
    return result


@_compiled
def survival(physics: AirPhysics, levels: Floats, mean_interval: float) -> Floats:
    """Chance that a packet at each of `levels` (dBm, one receiver) is not destroyed.

    Every advertiser sends once per `mean_interval` on each channel; a packet is lost
    when another one not weaker by `capture_db` overlaps it (pure ALOHA).
    """
    load = 2.0 * physics.airtime_seconds / mean_interval
    chance = np.empty(len(levels))
    for row in range(len(levels)):
        weakest = levels[row] - physics.capture_db
        rivals = -1  # itself
        for level in levels:
            rivals += level >= weakest
        chance[row] = (1.0 - physics.packet_loss) * math.exp(-load * rivals)
    return chance


@_compiled
def receive(
    physics: AirPhysics,
    window: Window,
    level: Floats,
    begin: Floats,
    end: Floats,
    uniforms: Floats,
    phases: Floats,
    normals: Floats,
) -> Received:
    """Which packets of broadcasts at `level` (dBm) arrive in a window, and how strong.

    `begin` and `end` are seconds from the window's start. A broadcast that began earlier is
    met at a random point of its interval, a new one sends its first packet at once. `phases`
    holds a random number for each broadcast, `uniforms` and `normals` two for each packet
    that it may send in the window.
    """
    broadcasts, most = uniforms.shape[1], uniforms.shape[2]
    mean_interval = window.sent_every + window.delay / 2
    chance = survival(physics, level, mean_interval)
    counts = np.zeros(broadcasts, np.int64)
    first = np.zeros(broadcasts)
    rssi = np.empty(broadcasts * most, np.int64)
    offered = arrived = 0
    for row in range(broadcasts):
        last = min(end[row], window.seconds)
        time = begin[row]
        for turn in range(most):
            if turn:
                time += window.sent_every + window.delay * uniforms[0, row, turn]
            elif time < 0.0:
                time = mean_interval * phases[row]
            if time >= last:
                break
            if time % window.listen_every >= window.listen_for:
                continue
            offered += 1
            strength = np.rint(
                level[row] + fading(physics.rician_k, normals[0, row, turn], normals[1, row, turn])
            )
            if strength >= physics.floor_dbm and uniforms[1, row, turn] < chance[row]:
                if not counts[row]:
                    first[row] = time
                counts[row] += 1
                rssi[arrived] = np.int64(strength)
                arrived += 1
    return Received(counts, first, rssi[:arrived].copy(), offered)


@_compiled
def hear(
    physics: AirPhysics,
    window: Window,
    start: float,
    neighbours: tuple[Floats, Floats, np.uint64, Words],
    row: Integers,
    began: Floats,
    stopped: Floats,
    draws: tuple[Floats, Floats, Floats],
) -> Received:
    """`receive` of broadcasts that neighbours began and stopped at Unix times.

    `neighbours` is what `levels` takes, `row` the sender of each broadcast among them; `draws`
    are the `uniforms`, `phases` and `normals` of `receive`. `start` is the window's, in Unix
    time. One call from Python instead of two: handing over the arguments is most of either.
    """
    base, bearing, me, people = neighbours
    uniforms, phases, normals = draws
    level = levels(physics, base, bearing, me, people, start + window.seconds / 2)[row]
    return receive(
        physics, window, level, began - start, stopped - start, uniforms, phases, normals
    )
