"""What the town's page shows: written by the town, read by the page from another thread."""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from bluezone.town.people import Residents
from bluezone.town.places import Kind, Point, Space
from bluezone.town.time import Pace


class Stage(StrEnum):
    """How far the town has come."""

    STARTING = "starting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class Event(msgspec.Struct, frozen=True):
    """Something that happened to somebody at `time` (Unix seconds)."""

    time: float
    kind: str  # confirmed | released | warned
    person: int


class Frame(msgspec.Struct, kw_only=True):
    """One picture of the town.

    `people` holds (space, x, y in metres) person by person, `hears` pairs of people whose
    phones heard each other in their last scans, `contacts` the true close contacts.
    """

    stage: Stage
    now: float
    people: list[tuple[int, float, float]]
    hears: list[tuple[int, int]]
    cases: list[int]
    warned: list[int]
    contacts: list[int]
    events: list[Event]
    verdict: dict[str, object] | None = None


class Scene:
    """The latest frame and the unchanging world, as JSON, and what the page may ask for.

    Whole byte strings are swapped, so no lock is needed between the threads.
    """

    def __init__(self, pace: Pace, *, is_watched: bool = True) -> None:
        """Unless it `is_watched`, nobody need paint what happens between two events."""
        self.pace = pace
        self.is_watched = is_watched
        self.world = b"{}"
        self.frame = b""
        self.confirm: Callable[[int], None] | None = None
        self.show(Stage.STARTING)

    def describe(self, residents: Residents, begins: float, ends: float) -> None:
        """Say who lives where, and from when to when (Unix seconds)."""
        self.world = msgspec.json.encode(
            {
                "begins": begins,
                "ends": ends,
                "people": [(person.name, person.age) for person in residents.people],
                "spaces": [
                    {
                        "kind": space.kind,
                        "number": int(number)
                        if (number := space.name.split("-")[-1]).isdigit()
                        else 1,
                        "width": space.width,
                        "depth": space.depth,
                        "block": space.block,
                        "origin": space.origin,
                        "furniture": space.own or _tables(space),
                    }
                    for space in residents.spaces
                ],
            }
        )

    def show(self, frame: Frame | Stage) -> None:
        """Put up the next picture; only a stage while there are no people to show."""
        shown: object = frame if isinstance(frame, Frame) else {"stage": frame}
        self.frame = msgspec.json.encode(shown)

    def picture(self) -> bytes:
        """The latest frame and the pace of this moment, which no frame follows while paused."""
        return msgspec.json.encode(
            {
                "speed": self.pace.speed,
                "paused": self.pace.paused,
                "frame": msgspec.Raw(self.frame),
            }
        )


def _tables(space: Space) -> list[Point]:
    """The middle of every four chairs, where a table stands."""
    if space.kind not in (Kind.CAFE, Kind.CANTEEN):
        return []
    tables = [space.shared[start : start + 4] for start in range(0, len(space.shared), 4)]
    return [(sum(x for x, _ in four) / 4, sum(y for _, y in four) / 4) for four in tables]
