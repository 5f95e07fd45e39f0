"""Units as circles at their coordinates, as large as they have cases. No tiles, nothing fetched."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from bluezone.server.situation import svg
from bluezone.server.situation.charts import is_small
from bluezone.web.catalogue import _, translate

_SIDE: Final = 560.0
_MARGIN: Final = 60.0
_LARGEST: Final = 34.0  # radius
_SMALLEST: Final = 5.0
_MOST_LABELS: Final = 45


@dataclass(frozen=True, slots=True)
class Circle:
    """A unit, its position in degrees and what is counted there; `code` as in an address."""

    code: str
    name: str
    latitude: float
    longitude: float
    cases: int


def draw(
    title: str,
    circles: Sequence[Circle],
    language: str,
    *,
    link: Callable[[Circle], str] | None,
    marks: bool,
) -> str:
    """The circles in their bounding box, on a grid of degrees. `link`: where a click leads."""
    place = _Projection(circles)
    most = max((one.cases for one in circles), default=0)
    ordered = sorted(circles, key=lambda one: (-one.cases, one.code))
    parts = [place.grid()]
    labelled = {one.code for one in ordered[:_MOST_LABELS]}
    taken: list[tuple[float, float, float, float]] = []
    for one in ordered:
        x, y = place.of(one)
        # By area, so that twice the cases look like twice as much.
        radius = _SMALLEST + (_LARGEST - _SMALLEST) * math.sqrt(one.cases / most) if most else 4.0
        star = "*" if marks and is_small(one.cases) else ""
        says = f"{one.name}: {one.cases}{star}"
        fill = '"#a61b1b" fill-opacity="0.45"' if one.cases else '"none" stroke-dasharray="2 2"'
        shape = (
            f"<title>{escape(says)}</title>"
            f'<circle cx="{svg.number(x)}" cy="{svg.number(y)}" r="{svg.number(radius)}"'
            f' fill={fill} stroke="#17212e"/>'
        )
        if one.cases:
            shape += svg.text(x, y + 4, f"{one.cases}{star}", anchor="middle", bold=True)
        if one.code in labelled and _is_free(one.name, x, y + radius + 12, taken):
            shape += svg.text(x, y + radius + 12, one.name, size=11, anchor="middle", halo=True)
        address = link(one) if link else ""
        parts.append(f'<a href="{escape(address)}">{shape}</a>' if address else f"<g>{shape}</g>")
    if not circles:
        parts.append(
            svg.text(place.width / 2, 80, translate(_("No unit."), language), anchor="middle")
        )
    height = place.height + 30
    if marks:
        parts.insert(0, svg.text(8, 20, title, size=14, bold=True))
        note = translate(_("* fewer than 5: it may point at somebody"), language)
        parts.append(svg.text(8, height - 8, note, size=11, fill=svg.QUIET))
    return svg.document(
        place.width, height, "".join(parts), title=title, role="group" if link else "img"
    )


def _is_free(name: str, x: float, y: float, taken: list[tuple[float, float, float, float]]) -> bool:
    """Whether a name can stand here without covering another; then the place is taken."""
    half = 3.2 * len(name)
    box = (x - half, y - 10, x + half, y + 3)
    for left, top, right, bottom in taken:
        if box[0] < right and box[2] > left and box[1] < bottom and box[3] > top:
            return False
    taken.append(box)
    return True


class _Projection:
    """Degrees to points: a degree of longitude is as short as it is at the middle latitude."""

    def __init__(self, circles: Sequence[Circle]) -> None:
        latitudes = [one.latitude for one in circles] or [16.0]
        longitudes = [one.longitude for one in circles] or [106.0]
        self._squeeze = math.cos(math.radians((min(latitudes) + max(latitudes)) / 2))
        self._west, self._north = min(longitudes), max(latitudes)
        self._east, self._south = max(longitudes), min(latitudes)
        wide = (self._east - self._west) * self._squeeze
        high = self._north - self._south
        room = _SIDE - 2 * _MARGIN
        self._scale = room / max(wide, high * 0.8, 0.02)
        self.width = max(320.0, wide * self._scale + 2 * _MARGIN)
        self._shift = (self.width - wide * self._scale) / 2
        self.height = max(220.0, high * self._scale + 2 * _MARGIN)
        self._down = (self.height - high * self._scale) / 2

    def of(self, one: Circle) -> tuple[float, float]:
        return self._point(one.latitude, one.longitude)

    def _point(self, latitude: float, longitude: float) -> tuple[float, float]:
        x = self._shift + (longitude - self._west) * self._squeeze * self._scale
        return x, self._down + (self._north - latitude) * self._scale

    def grid(self) -> str:
        span = max(self._east - self._west, self._north - self._south, 0.01)
        step = next(
            one for one in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if span / one < 7
        )
        parts = []
        for at in range(math.floor(self._south / step), math.ceil(self._north / step) + 1):
            _x, y = self._point(at * step, self._west)
            if 30 <= y <= self.height:
                parts.append(svg.line(0, y, self.width, y, stroke="#e7ecf1"))
                parts.append(svg.text(4, y - 3, f"{at * step:g}° N", size=10, fill=svg.QUIET))
        for at in range(math.floor(self._west / step), math.ceil(self._east / step) + 1):
            x, _y = self._point(self._north, at * step)
            if 0 <= x <= self.width:
                parts.append(svg.line(x, 30, x, self.height, stroke="#e7ecf1"))
                parts.append(
                    svg.text(x + 3, self.height - 4, f"{at * step:g}° E", size=10, fill=svg.QUIET)
                )
        return "".join(parts)
