"""What the town and its quarters tell each other, over a pipe between their processes."""

from collections.abc import Sequence
from typing import Final

import msgspec

from bluezone.phone import ExposureWarning
from bluezone.radio.air import Broadcast, Position
from bluezone.town.plan import Plan


class Beginning(msgspec.Struct, frozen=True):
    """What a quarter is told first. The `share`-th of `shares` has every `shares`-th person."""

    plan: Plan
    share: int
    shares: int
    service_url: str
    root: bytes  # the public root key (PEM) that the phones pin
    folder: str  # keeps the phones' diaries


class Step(msgspec.Struct, frozen=True, array_like=True):
    """A person is somewhere else from `time` (Unix seconds) on; metres on the air's map."""

    time: float
    person: int
    position: Position
    space: str


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """A person's phone has begun to broadcast this."""

    person: int
    broadcast: Broadcast


class Positive(msgspec.Struct, frozen=True):
    """A person has tested positive, and their phone reports with this one-time code."""

    person: int
    code: str


class Order(msgspec.Struct, frozen=True):
    """Live on until loop time `until`; what happened elsewhere, and what happens meanwhile.

    Without `until` it is the last one.
    """

    until: float | None
    steps: Sequence[Step] = ()
    sent: Sequence[Sent] = ()  # in all quarters, during the last stretch
    positive: Sequence[Positive] = ()


class Report(msgspec.Struct, tag=True):
    """What happened in a quarter during one stretch; the counts are since the beginning."""

    sent: list[Sent] = []
    heard: list[tuple[int, list[bytes]]] = []  # who, and the payloads of one scan
    warned: list[tuple[int, ExposureWarning]] = []
    packets_offered: int = 0
    packets_delivered: int = 0
    requests: int = 0

    def begin_anew(self) -> None:
        """Forget what was reported: the next stretch begins."""
        self.sent.clear()
        self.heard.clear()
        self.warned.clear()


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A quarter can't go on; `stalled` if the service didn't answer, else what broke and where."""

    stalled: str
    trace: str


encode: Final = msgspec.msgpack.Encoder().encode
read_beginning: Final = msgspec.msgpack.Decoder(Beginning).decode
read_order: Final = msgspec.msgpack.Decoder(Order).decode
read_report: Final = msgspec.msgpack.Decoder(Report | Failed).decode
