"""The transmission chains as a picture: time to the right, every person a link, edges between them.

A person is told from another by shape as well as colour, and pointing at one, or coming to it by
keyboard, says who, where, when, in which setting and generation.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

from bluezone.server.places.units import full_name
from bluezone.server.situation import svg
from bluezone.server.situation.graph import CASES, Forest, Kind, Link, Node, View
from bluezone.server.situation.layout import Spot, lay_out
from bluezone.server.situation.svg import number
from bluezone.server.situation.words import KIND_WORDS, SETTING_WORDS, said
from bluezone.web.catalogue import _, translate

DAY_WIDTH: Final = 30
NAMED_DAY_WIDTH: Final = 120
ROW_HEIGHT: Final = 26
CARDS_AT_MOST: Final = 600  # for more, the browser shows the title: a card is eight elements
_STEP: Final = 8
_TOP: Final = 96  # a card above the first row has room
_AXIS: Final = 34
_LEFT: Final = 40
_RIGHT: Final = 230  # a card beside the last day has room
_EPOCH: Final = dt.date(1970, 1, 1)
_NAME_LETTERS: Final = 16

_SHAPES: Final = {
    Kind.CONFIRMED: '<circle r="7" fill="#a61b1b" stroke="#fff"/>',
    Kind.POSSIBLE: '<circle r="6.2" fill="#fff" stroke="#a61b1b" stroke-width="2.4"/>',
    Kind.OVER: '<circle r="7" fill="#7d8a99" stroke="#fff"/>'
    '<path d="M-3 0L-1 2.4L3.2-2.6" fill="none" stroke="#fff" stroke-width="1.6"/>',
    Kind.DEAD: '<rect x="-6.5" y="-6.5" width="13" height="13" fill="#17212e" stroke="#fff"/>'
    '<path d="M-3-3L3 3M3-3L-3 3" stroke="#fff" stroke-width="1.6"/>',
    Kind.CONTACT: '<path d="M0-7L7 0L0 7L-7 0Z" fill="#155fb8" stroke="#fff"/>',
    Kind.FARTHER: '<path d="M0-6L6.4 5H-6.4Z" fill="#8fb8e8" stroke="#155fb8"/>',
    Kind.ELSEWHERE: '<rect x="-6" y="-6" width="12" height="12" fill="#fff" stroke="#52606f"'
    ' stroke-dasharray="3 2"/><text y="4" font-size="10" text-anchor="middle"'
    ' fill="#52606f">?</text>',
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """The picture in two parts that scroll together, the days apart, and how big it is."""

    axis: str
    body: str
    width: int
    height: int

    def whole(self, title: str) -> str:
        """Both parts in one document, for a file."""
        moved = f'<g transform="translate(0 {_AXIS})">{self.body}</g>'
        return svg.document(
            self.width, self.height + _AXIS, _symbols() + self.axis + moved, title=title
        )


def draw(
    forest: Forest,
    view: View,
    language: str,
    *,
    names: Mapping[int, str],
    fold: Callable[[int, bool], str] | None,
) -> Drawn:
    """Draw what is shown. `fold(person, is_folded)`: the address that folds or unfolds them.

    Without `fold` (a file) there are no links at all. `names` by person; empty: nobody's name.
    """
    spots = lay_out(forest, view)
    painter = _Painter(forest, view, language, names, fold, spots)
    return painter.drawn()


def page_parts(drawn: Drawn, title: str, zoom: float) -> tuple[str, str]:
    """The axis and the chains as two documents for a page."""
    axis = svg.document(drawn.width, _AXIS, drawn.axis, title=title, zoom=zoom)
    body = svg.document(
        drawn.width, drawn.height, _symbols() + drawn.body, title=title, zoom=zoom, role="group"
    )
    return axis, body


def symbol(kind: Kind) -> str:
    """The shape of a kind alone, for a legend."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="18" height="18" viewBox="-9 -9 18 18"'
        f' aria-hidden="true">{_SHAPES[kind]}</svg>'
    )


def _symbols() -> str:
    return "<defs>" + "".join(
        f'<g id="k-{kind.value}">{shape}</g>' for kind, shape in _SHAPES.items()
    ) + "</defs>"  # fmt: skip


class _Painter:
    def __init__(
        self,
        forest: Forest,
        view: View,
        language: str,
        names: Mapping[int, str],
        fold: Callable[[int, bool], str] | None,
        spots: dict[int, Spot],
    ) -> None:
        self._forest, self._view, self._language = forest, view, language
        self._names, self._fold, self._spots = names, fold, spots
        days = [spot.day for spot in spots.values()]
        self._first = min(days, default=0)
        self._last = max(days, default=0)
        self._day_width = NAMED_DAY_WIDTH if names else DAY_WIDTH
        self._cards = fold is not None and len(spots) <= CARDS_AT_MOST
        self._places: dict[str, str] = {}
        rows = max((spot.row for spot in spots.values()), default=0) + 1
        self._height = _TOP + rows * ROW_HEIGHT
        self._width = _LEFT + (self._last - self._first + 1) * self._day_width + _RIGHT

    def drawn(self) -> Drawn:
        order = sorted(self._spots, key=lambda one: (self._spots[one].row, self._spots[one].day))
        body = [self._grid()]
        body += ['<g fill="none" stroke="#7d8a99">', *map(self._edge, order), "</g>"]
        body += map(self._side_edge, self._forest.side)
        body += map(self._person, order)
        return Drawn(self._axis(), "".join(body), self._width, self._height)

    # --- days --------------------------------------------------------------------------
    def _x(self, day: int) -> float:
        return _LEFT + (day - self._first + 0.5) * self._day_width

    def _at(self, person: int) -> tuple[float, float]:
        spot = self._spots[person]
        return self._x(spot.day) + spot.step * _STEP, _TOP + (spot.row + 0.5) * ROW_HEIGHT

    def _is_marked(self, day: int) -> bool:
        return bool(self._names) or (day - self._first) % 7 == 0

    def _grid(self) -> str:
        return "".join(
            svg.line(x, 0, x, self._height, stroke="#e7ecf1")
            for day in range(self._first, self._last + 1)
            if self._is_marked(day)
            for x in (_LEFT + (day - self._first) * self._day_width,)
        )

    def _axis(self) -> str:
        parts = [svg.line(0, _AXIS - 1, self._width, _AXIS - 1)]
        for day in range(self._first, self._last + 1):
            if self._is_marked(day):
                x = _LEFT + (day - self._first) * self._day_width
                date = _EPOCH + dt.timedelta(days=day)
                parts.append(svg.line(x, _AXIS - 8, x, _AXIS, stroke=svg.QUIET))
                parts.append(svg.text(x + 3, _AXIS - 12, f"{date:%d/%m/%Y}", size=12))
        return "".join(parts)

    # --- edges -------------------------------------------------------------------------
    def _edge(self, person: int) -> str:
        parent = self._forest.parent.get(person)
        if parent is None or parent not in self._spots:
            if self._forest.nodes[person].is_case:  # nobody knows from whom
                x, y = self._at(person)
                return (
                    f'<path d="M{number(x - 22)} {number(y)}H{number(x - 8)}"'
                    ' stroke-dasharray="2 3"/>'
                )
            return ""
        x0, y0 = self._at(parent)
        x1, y1 = self._at(person)
        if person in self._view.folded or self._forest.children.get(person):
            way = f"M{number(x0)} {number(y0)}V{number(y1)}H{number(x1)}"
        else:
            way = f"M{number(x0)} {number(y0)}L{number(x1)} {number(y1)}"
        phone = ' stroke="#155fb8" stroke-width="1.6"' if self._by_phone(person) else ""
        return f'<path d="{way}"{phone}/>'

    def _by_phone(self, person: int) -> bool:
        return self._forest.above[person].known_by == "phone"

    def _side_edge(self, link: Link) -> str:
        if link.source not in self._spots or link.exposed not in self._spots:
            return ""
        assert link.source is not None  # noqa: S101 - it is in the picture
        x0, y0 = self._at(link.source)
        x1, y1 = self._at(link.exposed)
        bend = (x0 + x1) / 2 + (24 if abs(x1 - x0) < 24 else 0)
        return (
            f'<path d="M{number(x0)} {number(y0)}Q{number(bend)} {number((y0 + y1) / 2)}'
            f' {number(x1)} {number(y1)}" fill="none" stroke="#b98a2f" stroke-dasharray="5 4"/>'
        )

    # --- people ------------------------------------------------------------------------
    def _person(self, person: int) -> str:
        node = self._forest.nodes[person]
        x, y = self._at(person)
        lines = self._lines(node)
        shape = (
            f'<use href="#k-{node.kind.value}" x="{number(x)}" y="{number(y)}"/>'
            f"{self._name(person, x, y)}"
        )
        title = f"<title>{escape(chr(10).join(lines))}</title>"
        if self._fold is None:
            return f"<g>{title}{shape}</g>{self._folded_mark(person, x, y)}"
        card = self._card(lines, x, y) if self._cards else ""
        if node.unit is None:
            return (
                f'<g tabindex="0" class="person">{title}{shape}</g>{card}{self._mark(person, x, y)}'
            )
        return (
            f'<a href="/staff/people/{person}" class="person">{title}{shape}</a>{card}'
            f"{self._mark(person, x, y)}"
        )

    def _name(self, person: int, x: float, y: float) -> str:
        name = self._names.get(person, "")
        if len(name) > _NAME_LETTERS:
            name = f"…{name[1 - _NAME_LETTERS :]}"  # the given name, which is last
        return svg.text(x + 10, y + 4, name, size=11) if name else ""

    def _lines(self, node: Node) -> list[str]:
        """What is said of a person: who, where, when, how they met it, which generation."""
        language = self._language
        first = said(KIND_WORDS, node.kind.value, language)
        if node.label:
            first = f"{node.label} · {first}"
        if node.id in self._names:
            first = f"{self._names[node.id]} · {first}"
        day = _EPOCH + dt.timedelta(days=node.day)
        when = (
            translate(_("Fell ill or was reported {day}"), language, day=f"{day:%d/%m/%Y}")
            if node.kind in CASES
            else translate(_("Exposed {day}"), language, day=f"{day:%d/%m/%Y}")
        )
        lines = [first, when]
        if node.unit is not None:
            lines.insert(1, self._place(node.unit))
        above = self._forest.above.get(node.id)
        if above is not None:
            met = said(SETTING_WORDS, above.setting, language)
            date = _EPOCH + dt.timedelta(days=above.day)
            lines.append(
                translate(
                    _("Met the source {day}: {setting}"),
                    language,
                    day=f"{date:%d/%m/%Y}",
                    setting=f"{met}, {above.place}" if above.place else met,
                )
            )
        elif node.is_case:
            lines.append(translate(_("Source unknown"), language))
        generation = self._forest.generation[node.id]
        lines.append(translate(_("Generation {number}"), language, number=generation))
        return lines

    def _place(self, unit: str) -> str:
        if unit not in self._places:
            self._places[unit] = full_name(unit)
        return self._places[unit]

    def _card(self, lines: list[str], x: float, y: float) -> str:
        """Shown by the style sheet while somebody points at the person drawn before it."""
        height = 8 + 15 * len(lines)
        width = 16 + 6.4 * max(map(len, lines))
        left = max(2.0, min(x + 8, self._width - width - 2))
        top = y - 10 - height
        rows = "".join(
            f'<tspan x="{number(left + 8)}" dy="15">{escape(one)}</tspan>' for one in lines
        )
        return (
            f'<g class="tip" aria-hidden="true"><rect x="{number(left)}" y="{number(top)}"'
            f' width="{number(width)}" height="{number(height)}" rx="4"/>'
            f'<text y="{number(top + 2)}" font-size="11">{rows}</text></g>'
        )

    def _mark(self, person: int, x: float, y: float) -> str:
        """The link that folds what is below a person, or unfolds it."""
        assert self._fold is not None  # noqa: S101 - asked only for a page
        hidden = self._view.folded.get(person)
        below = self._forest.below[person]
        # Where a few hang on somebody directly there is little to put away.
        if hidden is None and below < 3:
            return ""
        says = (
            translate(_("Show the {count} people below"), self._language, count=hidden)
            if hidden is not None
            else translate(_("Fold the {count} people below"), self._language, count=below)
        )
        sign = f"+{hidden}" if hidden is not None else "−"
        wide = 6 + 6.5 * len(sign)
        return (
            f'<a href="{escape(self._fold(person, hidden is not None))}" class="fold">'
            f"<title>{escape(says)}</title>"
            f'<rect x="{number(x + 8)}" y="{number(y - 1)}" width="{number(wide)}" height="13"'
            f' rx="3" fill="#fff" stroke="#155fb8"/><text x="{number(x + 8 + wide / 2)}"'
            f' y="{number(y + 9)}" font-size="10" text-anchor="middle" fill="#155fb8">{sign}'
            "</text></a>"
        )

    def _folded_mark(self, person: int, x: float, y: float) -> str:
        hidden = self._view.folded.get(person)
        return svg.text(x + 9, y + 4, f"+{hidden}", size=10, fill=svg.ACCENT) if hidden else ""
