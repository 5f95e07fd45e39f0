"""How a beacon weakens between two phones: the virtual air's physics (docs/air.md).

Every slow influence is a function of (seed, who, time), never of the order in which the
program happened to ask, so a town replays exactly.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_QUANTILES: Final = 4096
_NORMAL: Final[Floats] = np.array(
    [NormalDist().inv_cdf((i + 0.5) / _QUANTILES) for i in range(_QUANTILES)]
)


@dataclass(frozen=True, slots=True)
class AirPhysics:
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

    def path_loss(self, distance: Floats) -> Floats:
        """Median loss over `distance` metres, without bodies and walls."""
        near = np.log10(np.maximum(distance, self.nearest_m))
        beyond = np.log10(np.maximum(distance / self.recorded_m, 1.0))
        steeper = self.far_exponent - self.exponent
        loss: Floats = self.loss_at_1_m + 10.0 * (self.exponent * near + steeper * beyond)
        return loss

    def reach(self, loss: float) -> float:
        """Metres at which the median loss is `loss` (dB); the inverse of `path_loss`."""
        over = loss - float(self.path_loss(np.array(self.recorded_m)))
        exponent = self.far_exponent if over > 0.0 else self.exponent
        return self.recorded_m * float(10.0 ** (over / (10.0 * exponent)))

    def pair_offset(self, noise: Floats) -> Floats:
        """Gain in dB of N pairs from standard normal noise: N meetings, N shadows, N sways."""
        offset: Floats = np.array(
            (self.meeting_db, self.shadowing_db, self.sway_db)
        ) @ noise.reshape(3, -1)
        return offset

    def carrying_loss(self, noise: Floats) -> Floats:
        """Loss by pocket or bag, from standard normal noise of each carrier."""
        in_hand = min(int(self.in_hand * _QUANTILES), _QUANTILES - 1)
        loss: Floats = self.carried_db * (noise > _NORMAL[in_hand])
        return loss

    def body_loss(self, angle: Floats) -> Floats:
        """Loss by one carrier's body; `angle` (radians) from the phone's open side."""
        loss: Floats = 0.5 * self.body_db * (1.0 - np.cos(angle))
        return loss

    def fading(self, direct: Floats, across: Floats) -> Floats:
        """Gain of packets in dB from two standard normal draws each; mean power is 0 dB."""
        spread = math.sqrt(0.5 / (self.rician_k + 1.0))
        line_of_sight = math.sqrt(self.rician_k / (self.rician_k + 1.0))
        power = (line_of_sight + spread * direct) ** 2 + (spread * across) ** 2
        return np.asarray(10.0 * np.log10(np.maximum(power, 1e-9)), np.float64)

    def packet_fading(self, draw: Callable[[], float]) -> float:
        """Gain of one packet in dB; `draw` gives standard normal numbers."""
        spread = math.sqrt(0.5 / (self.rician_k + 1.0))
        line_of_sight = math.sqrt(self.rician_k / (self.rician_k + 1.0))
        power = (line_of_sight + spread * draw()) ** 2 + (spread * draw()) ** 2
        return 10.0 * math.log10(max(power, 1e-9))

    def survival(self, levels: Floats, mean_interval: float) -> Floats:
        """Chance that a packet at each of `levels` (dBm, one receiver) is not destroyed.

        Every advertiser sends once per `mean_interval` on each channel; a packet is lost
        when another one not weaker by `capture_db` overlaps it (pure ALOHA).
        """
        ranked = np.sort(levels)
        rivals = len(levels) - np.searchsorted(ranked, levels - self.capture_db) - 1
        load = 2.0 * self.airtime_seconds / mean_interval
        chance: Floats = (1.0 - self.packet_loss) * np.exp(-load * rivals)
        return chance


def scramble(words: Words) -> Words:
    """A good hash of each 64-bit word (the finaliser of SplitMix64)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def uniform(words: Words) -> Floats:
    """Each hashed word as a number in [0, 1)."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(words: Words) -> Floats:
    """Each hashed word as a standard normal number (4,096 steps, within ±3.7)."""
    return _NORMAL[(words >> np.uint64(52)).astype(np.intp)]


def drift(keys: Words, steps: Floats) -> Floats:
    """Smooth standard normal noise of each key at `steps` (time in coherence times).

    Independent values at whole steps, joined so that the variance is one everywhere: two
    moments less than one step apart are alike, two steps apart independent.
    """
    whole = np.floor(steps)
    knots = keys + whole.astype(np.uint64) * _GOLDEN
    ends = normal(scramble(np.stack((knots, knots + _GOLDEN))))
    angle = (steps - whole) * (math.pi / 2)
    noise: Floats = np.cos(angle) * ends[0] + np.sin(angle) * ends[1]
    return noise
