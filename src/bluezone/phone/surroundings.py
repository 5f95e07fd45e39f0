"""Scan around: who is nearby at this moment, for as long as somebody looks at it.

Listening without pause costs battery, so it ends by itself when nobody asks any more. What is
heard here is shown and forgotten; the diary goes on at its own pace.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Final

from bluezone.clock import Clock
from bluezone.phone.tracer import NEAR_DBM
from bluezone.radio.interface import Radio, RadioError, Sighting

_WINDOW_SECONDS: Final = 2.0
_LOOKING_SECONDS: Final = 15.0  # real ones: who asks is a page that somebody looks at
FADE_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 2.0
# Levels of the last windows: one window wavers, and a person walks out of reach in ten seconds.
_LEVELS: Final = 24


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A phone heard lately. `mask` is not enough to recognise it by elsewhere."""

    mask: str
    near: bool
    level: int  # dBm, the median of the last windows
    age: float  # seconds since it was last heard


class Surroundings:
    """Listens while it is asked. `wall` is real time, `clock` the phone's."""

    def __init__(self, radio: Radio, clock: Clock, wall: Clock) -> None:
        self._radio = radio
        self._clock = clock
        self._wall = wall
        self._asked_at = float("-inf")
        self._listening: asyncio.Task[None] | None = None
        self._heard: dict[bytes, tuple[float, list[int]]] = {}

    @property
    def listening(self) -> bool:
        """Whether it listens at the moment."""
        return self._listening is not None and not self._listening.done()

    def look(self, own: bytes) -> list[Neighbour]:
        """Go on listening; who has been heard within 30 s, the strongest first.

        `own` is this phone's own beacon of now, which an echo may bring back.
        """
        self._asked_at = self._wall.now()
        if not self.listening:
            self._listening = asyncio.create_task(self._listen())
        now = self._clock.now()
        self._heard = {
            payload: (at, levels)
            for payload, (at, levels) in self._heard.items()
            if 0 <= now - at <= FADE_SECONDS and payload != own
        }
        found = [
            Neighbour(mask(payload), level >= NEAR_DBM, level, now - at)
            for payload, (at, levels) in self._heard.items()
            for level in (round(median(levels)),)
        ]
        return sorted(found, key=lambda one: one.level, reverse=True)

    async def close(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    async def _listen(self) -> None:
        while self._wall.now() - self._asked_at < _LOOKING_SECONDS:
            try:
                for sighting in await self._radio.scan(_WINDOW_SECONDS):
                    self._take(sighting)
            except RadioError:
                await self._wall.sleep(_RETRY_SECONDS)

    def _take(self, sighting: Sighting) -> None:
        if sighting.rssi:
            _, levels = self._heard.get(sighting.payload, (0.0, []))
            kept = [*levels, *sighting.rssi][-_LEVELS:]
            self._heard[sighting.payload] = self._clock.now(), kept


def mask(payload: bytes) -> str:
    """The first three digits of an identifier: enough to tell rows apart on one screen."""
    return payload[:2].hex()[:3].upper() + "•••"
