"""What the town and its quarters tell each other, over a pipe between their processes."""

from dataclasses import dataclass, field
from pathlib import Path

from bluezone.phone import ExposureWarning
from bluezone.radio.air import Broadcast, Position
from bluezone.town.plan import Plan


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a quarter is told first. The `share`-th of `shares` has every `shares`-th person."""

    plan: Plan
    share: int
    shares: int
    service_url: str
    root: bytes = field(repr=False)  # the public root key (PEM) that the phones pin
    folder: Path  # keeps the phones' diaries


@dataclass(frozen=True, slots=True)
class Step:
    """A person is somewhere else from `time` (Unix seconds) on; metres on the air's map."""

    time: float
    person: int
    position: Position
    space: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A person's phone has begun to broadcast this."""

    person: int
    broadcast: Broadcast


@dataclass(frozen=True, slots=True)
class Positive:
    """A person has tested positive, and their phone reports with this one-time code."""

    person: int
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Order:
    """Live on until loop time `until`; what happened elsewhere, and what happens meanwhile."""

    until: float
    steps: list[Step]
    sent: list[Sent]  # in all quarters, during the last stretch
    positive: list[Positive]


@dataclass(slots=True)
class Report:
    """What happened in a quarter during one stretch; the counts are since the beginning."""

    sent: list[Sent] = field(default_factory=list)
    heard: list[tuple[int, tuple[bytes, ...]]] = field(default_factory=list)  # payloads, by scan
    warned: list[tuple[int, ExposureWarning]] = field(default_factory=list)
    packets_offered: int = 0
    packets_delivered: int = 0
    requests: int = 0

    def begin_anew(self) -> None:
        """Forget what was reported: the next stretch begins."""
        self.sent.clear()
        self.heard.clear()
        self.warned.clear()


@dataclass(frozen=True, slots=True)
class Failed:
    """A quarter can't go on; `stalled` if the service didn't answer, else what broke and where."""

    stalled: str
    trace: str
