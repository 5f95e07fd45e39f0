"""Bars, distributions and intervals as SVG: the same drawing for a page and for a file.

In a file, which may leave the staff it was drawn for, counts from 1 to 4 carry a star.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bluezone.server.situation import svg
from bluezone.server.situation.statistics import Spread, round_steps, weekly_mean
from bluezone.web.catalogue import _, translate

SMALL: Final = 5  # counts below this may point at somebody
_PLOT_HEIGHT: Final = 200
_LEFT: Final = 44
_TOP: Final = 34
_BOTTOM: Final = 40
_NOTE_HEIGHT: Final = 18
_LEGEND_WIDTH: Final = 310.0


@dataclass(frozen=True, slots=True)
class Series:
    """A name in the reader's language, and a count for each day or class."""

    name: str
    counts: Sequence[int]


def is_small(count: int) -> bool:
    """Whether a count may point at somebody."""
    return 0 < count < SMALL


def curve(
    title: str, first: dt.date, stacked: Sequence[Series], language: str, *, marks: bool
) -> str:
    """Bars by day, stacked, with the mean of seven days as a line. `marks`: star what is small."""
    days = len(stacked[0].counts)
    totals = [sum(series.counts[at] for series in stacked) for at in range(days)]
    step = max(9.0, min(24.0, 640 / days))
    steps = round_steps(max(totals, default=0))
    legend, high = _legend(stacked, language)
    plot = _Plot(_LEFT, _TOP + high, days * step, steps[-1])
    parts = [svg.hatches(), plot.axis(steps), legend]
    for at in range(days):
        base = 0
        date = first + dt.timedelta(days=at)
        for number, series in enumerate(stacked):
            count = series.counts[at]
            if not count:
                continue
            top = plot.y(base + count)
            parts.append(
                svg.rect(
                    plot.left + at * step + 1, top, step - 2, plot.y(base) - top,
                    svg.FILLS[number], title=f"{date:%d/%m/%Y}: {series.name} {count}",
                )
            )  # fmt: skip
            base += count
        if marks and is_small(totals[at]):
            parts.append(_star(plot.left + (at + 0.5) * step, plot.y(base) - 2))
        if at % max(1, round(70 / step)) == 0:
            x = plot.left + at * step
            parts.append(svg.line(x, plot.bottom, x, plot.bottom + 5, stroke=svg.QUIET))
            parts.append(svg.text(x, plot.bottom + 18, f"{date:%d/%m}"))
    points = [
        f"{svg.number(plot.left + (at + 0.5) * step)},{svg.number(plot.y(mean))}"
        for at, mean in enumerate(weekly_mean(totals))
        if mean is not None
    ]
    if len(points) > 1:
        parts.append(
            f'<polyline points="{" ".join(points)}" fill="none" stroke="{svg.INK}"'
            ' stroke-width="2.2"/>'
        )
    return _finished(
        title, max(plot.right + 16, _LEGEND_WIDTH), plot.bottom + _BOTTOM, parts, language, marks
    )


def histogram(
    title: str,
    classes: Sequence[str],
    counts: Sequence[int],
    spread: Spread | None,
    place_of: Sequence[float],
    language: str,
    *,
    marks: bool,
) -> str:
    """Bars by class, and above them the quartiles. `place_of`: the values where classes begin."""
    step = 280 / len(classes)
    steps = round_steps(max(counts, default=0))
    plot = _Plot(34, _TOP + 18, len(classes) * step, steps[-1])
    parts = [svg.hatches(), plot.axis(steps)]
    for at, (name, count) in enumerate(zip(classes, counts, strict=True)):
        x = plot.left + at * step
        if count:
            top = plot.y(count)
            parts.append(
                svg.rect(
                    x + 3, top, step - 6, plot.bottom - top, svg.FILLS[0], title=f"{name}: {count}"
                )
            )
            star = "*" if marks and is_small(count) else ""
            parts.append(
                svg.text(x + step / 2, top - 3, f"{count}{star}", size=11, anchor="middle")
            )
        parts.append(svg.text(x + step / 2, plot.bottom + 16, name, size=9, anchor="middle"))
    if spread is not None:
        low, middle, high = (
            plot.left + step * _class_place(value, place_of)
            for value in (spread.first, spread.median, spread.third)
        )
        y = _TOP + 2
        parts.append(
            svg.rect(low, y - 6, max(1.0, high - low), 12, "url(#hatch-2)", stroke=svg.INK)
        )
        parts.append(svg.line(middle, y - 8, middle, y + 8, stroke=svg.INK, width=3))
    return _finished(title, plot.right + 6, plot.bottom + _BOTTOM, parts, language, marks)


def _class_place(value: float, begins: Sequence[float]) -> float:
    """Where a value lies on the axis of classes, in classes."""
    for at in range(len(begins) - 1, -1, -1):
        if value >= begins[at]:
            wide = begins[at + 1] - begins[at] if at + 1 < len(begins) else begins[-1]
            return at + min(1.0, (value - begins[at]) / wide if wide else 0.0)
    return 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, and for a rate the ends of its interval (0 to 1)."""

    name: str
    found: int
    of: int
    low: float | None = None
    high: float | None = None


def shares(title: str, rows: Sequence[Share], language: str, *, marks: bool) -> str:
    """Proportions as bars, or where there is an interval as a point with it."""
    left, wide, high = 10.0, 292.0, 44.0
    top = _TOP if marks else 12.0
    bottom = top + len(rows) * high
    parts = [svg.hatches()]
    most = 1.0
    if rows and all(row.high is not None for row in rows):
        largest = max(row.high or 0.0 for row in rows)
        most = next(end for end in (0.1, 0.2, 0.4, 0.6, 0.8, 1.0) if end >= largest - 1e-9)
    for part in range(5):
        x = left + wide * part / 4
        parts.append(svg.line(x, top, x, bottom))
        anchor = ("start", "middle", "middle", "middle", "end")[part]
        parts.append(svg.text(x, bottom + 16, f"{100 * most * part / 4:g} %", anchor=anchor))
    for at, row in enumerate(rows):
        y = top + at * high + 30
        parts.append(svg.text(left, y - 14, row.name, halo=True))
        if not row.of:
            parts.append(svg.text(left + wide, y - 14, "–", anchor="end", fill=svg.QUIET))
            continue
        share = row.found / row.of
        star = "*" if marks and (is_small(row.found) or is_small(row.of)) else ""
        says = f"{row.found}/{row.of} ({100 * share:.0f} %){star}"
        x = left + wide * share / most
        if row.low is None or row.high is None:
            parts.append(svg.rect(left, y - 8, wide, 14, "#eef2f6"))
            parts.append(svg.rect(left, y - 8, x - left, 14, svg.FILLS[0], title=says))
        else:
            ends = (left + wide * row.low / most, left + wide * row.high / most)
            parts.append(svg.line(ends[0], y - 1, ends[1], y - 1, stroke=svg.INK, width=2.5))
            parts.append(
                f'<circle cx="{svg.number(x)}" cy="{svg.number(y - 1)}" r="5" fill="#155fb8"/>'
            )
        parts.append(svg.text(left + wide, y - 14, says, anchor="end", halo=True))
    return _finished(title, left + wide + 12, bottom + 26, parts, language, marks)


@dataclass(frozen=True, slots=True)
class _Plot:
    left: float
    top: float
    width: float
    most: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + _PLOT_HEIGHT

    def y(self, value: float) -> float:
        return self.bottom - _PLOT_HEIGHT * value / self.most

    def axis(self, steps: Sequence[int]) -> str:
        return "".join(
            svg.line(self.left, self.y(step), self.right, self.y(step))
            + svg.text(self.left - 6, self.y(step) + 4, step, anchor="end", fill=svg.QUIET)
            for step in steps
        )


def _legend(stacked: Sequence[Series], language: str) -> tuple[str, float]:
    """The series and the line, in rows as wide as a phone; and how high these are."""
    parts, x, y = [], 10.0, float(_TOP)
    mean = translate(_("mean of 7 days"), language)
    for number, name in enumerate([*(series.name for series in stacked), mean]):
        wide = 30 + 7 * len(name)
        if x > 10 and x + wide > _LEGEND_WIDTH:
            x, y = 10.0, y + 20
        if number < len(stacked):
            parts.append(svg.rect(x, y - 8, 13, 13, svg.FILLS[number], stroke=svg.QUIET))
        else:
            parts.append(svg.line(x - 2, y - 2, x + 14, y - 2, stroke=svg.INK, width=2.2))
        parts.append(svg.text(x + 18, y + 3, name))
        x += wide
    return "".join(parts), y - _TOP + 18


def _star(x: float, y: float) -> str:
    return svg.text(x, y, "*", size=12, anchor="middle", bold=True)


def _finished(
    title: str, width: float, height: float, parts: Sequence[str], language: str, marks: bool
) -> str:
    body = list(parts)
    if marks:  # a page has its own heading
        body.append(svg.text(8, 18, title, size=14, bold=True))
        width = max(width, 16 + 9.5 * len(title))
        note = translate(_("* fewer than 5: it may point at somebody"), language)
        body.append(svg.text(8, height + 8, note, size=11, fill=svg.QUIET))
        height += _NOTE_HEIGHT
    return svg.document(width, height, "".join(body), title=title)
