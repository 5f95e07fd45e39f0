"""The spaces of a town: rooms, a bus, a market, a park, with places to be in metres."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a space is for."""

    HOME = "home"
    OFFICE = "office"
    SCHOOL = "school"
    MARKET = "market"
    CANTEEN = "canteen"
    CAFE = "cafe"
    BUS = "bus"
    PARK = "park"
    HOSPITAL = "hospital"


Point = tuple[float, float]
_WALL: Final = 0.3  # metres


@dataclass(frozen=True, slots=True)
class Space:
    """A room (or bus, market, park) of `width` x `depth` metres.

    `own` are the places that belong to one person each (beds, desks); `shared` are those
    that people take as they come (chairs, stalls, corners). Spaces of one `block` stand wall
    to wall, each with its `origin` in the block's own metres; blocks are out of each other's
    radio range.
    """

    name: str  # unique: the space a radio is in
    kind: Kind
    width: float
    depth: float
    own: tuple[Point, ...]
    shared: tuple[Point, ...]
    block: int = 0
    origin: Point = (0.0, 0.0)


def build(spaces: Iterable[Space], block: int, columns: int, in_a_block: int) -> list[Space]:
    """Put `spaces` wall to wall, `in_a_block` to a block in rows of `columns`, from `block` on."""
    built = []
    for index, space in enumerate(spaces):
        row, column = divmod(index % in_a_block, columns)
        origin = (column * (space.width + _WALL), row * (space.depth + _WALL))
        built.append(replace(space, block=block + index // in_a_block, origin=origin))
    return built


def _grid(xs: Iterable[float], ys: Iterable[float]) -> tuple[Point, ...]:
    ys = tuple(ys)
    return tuple((x, y) for x in xs for y in ys)


def _around(centre: Point, radius: float, chairs: int) -> tuple[Point, ...]:
    """Chairs around a table."""
    turns = [2 * math.pi * (index + 0.5) / chairs for index in range(chairs)]
    return tuple(
        (centre[0] + radius * math.cos(turn), centre[1] + radius * math.sin(turn)) for turn in turns
    )


def home(number: int) -> Space:
    """A family's house: beds in pairs at one end, then corners and the table."""
    beds = _grid((0.8, 3.6), (0.9, 1.7)) + _grid((0.8, 3.6), (4.1,))
    corners: tuple[Point, ...] = ((6.0, 0.7), (8.4, 0.8), (8.4, 4.4), (5.4, 4.4))
    return Space(f"home-{number}", Kind.HOME, 9, 5, beds, _around((7.0, 2.6), 0.75, 6) + corners)


def office(number: int) -> Space:
    """A room of four desks, two facing two, and a corner for tea."""
    desks = _grid((1.4, 5.0), (1.2, 2.6))
    return Space(f"office-{number}", Kind.OFFICE, 6.5, 4.5, desks, ((3.0, 3.8), (3.8, 3.9)))


def school(number: int) -> Space:
    """A classroom of twelve desks in pairs, and the corridor where pupils play."""
    desks = _grid((1.5, 2.2, 4.8, 5.5), (1.5, 2.9, 4.3))
    return Space(f"school-{number}", Kind.SCHOOL, 7, 7, desks, _grid((1.5, 3.5, 5.5), (5.8, 6.4)))


def market(number: int) -> Space:
    """Sellers behind their stalls, buyers in the lanes between."""
    sellers = _grid((2.0, 8.0, 14.0, 20.0), (2.0, 6.0, 10.0))
    lanes = _grid((3.2, 5.0, 6.8, 9.2, 11.0, 12.8, 15.2, 17.0, 18.8), (1.6, 4.0, 6.4, 8.0, 10.4))
    return Space(f"market-{number}", Kind.MARKET, 22, 12, sellers, lanes)


def tables(name: str, kind: Kind, columns: int, rows: int) -> Space:
    """A room of tables with four chairs each: `shared` lists them table by table."""
    centres = [
        (1.8 + 3.2 * column, 1.6 + 3.0 * row) for row in range(rows) for column in range(columns)
    ]
    chairs = tuple(chair for centre in centres for chair in _around(centre, 0.65, 4))
    return Space(name, kind, 3.2 * columns + 0.4, 3.0 * rows + 0.2, (), chairs)


def bus(number: int) -> Space:
    """Two pairs of seats on either side of the aisle, eight rows."""
    seats = _grid([1.2 + 0.85 * row for row in range(8)], (0.35, 0.8, 1.7, 2.15))
    return Space(f"bus-{number}", Kind.BUS, 8.5, 2.5, (), seats)


def park(number: int) -> Space:
    """Paths and benches under the trees."""
    return Space(
        f"park-{number}", Kind.PARK, 22, 9, (), _grid((2, 5, 8, 11, 14, 17, 20), (1.5, 4.5, 7.5))
    )


def hospital() -> Space:
    """Where a confirmed case stays from then on, alone in a room."""
    return Space("hospital", Kind.HOSPITAL, 5, 4, (), ((2.5, 2.0),))
