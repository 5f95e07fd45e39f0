"""The sums behind the pictures: pure, and small enough to check by hand."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_Z95: Final = 1.959964  # of the normal distribution, two-sided 95 %


@dataclass(frozen=True, slots=True)
class Spread:
    """How values lie: their number, quartiles and ninetieth percentile (of the same unit)."""

    count: int
    first: float
    median: float
    third: float
    ninetieth: float


def spread(values: Sequence[float]) -> Spread | None:
    """The spread of values, linear between two of them; None without any."""
    if not values:
        return None
    ordered = sorted(values)
    if len(ordered) == 1:
        only = ordered[0]
        return Spread(1, only, only, only, only)
    first, median, third = statistics.quantiles(ordered, n=4, method="inclusive")
    ninetieth = statistics.quantiles(ordered, n=10, method="inclusive")[8]
    return Spread(len(ordered), first, median, third, ninetieth)


def wilson(found: int, of: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson 1927); (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    share, z2 = found / of, _Z95 * _Z95
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z95 * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    # At the ends it touches 0 or 1 but for the last digits.
    return max(0.0, middle - half), min(1.0, middle + half)


def weekly_mean(counts: Sequence[float], days: int = 7) -> list[float | None]:
    """The mean of each day and those before it; None until there are `days` of them."""
    return [
        sum(counts[at - days + 1 : at + 1]) / days if at >= days - 1 else None
        for at in range(len(counts))
    ]


def binned(values: Iterable[float], edges: Sequence[float]) -> list[int]:
    """How many values lie in [edges[i], edges[i + 1]), the last bin without an end."""
    counts = [0] * len(edges)
    for value in values:
        for at in range(len(edges) - 1, -1, -1):
            if value >= edges[at]:
                counts[at] += 1
                break
    return counts


def summed_up(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts of units (paths), each added to every unit above it too."""
    totals: dict[str, int] = {}
    for path, count in counts.items():
        parts = path.split(".")
        for depth in range(1, len(parts) + 1):
            above = ".".join(parts[:depth])
            totals[above] = totals.get(above, 0) + count
    return totals


def round_steps(most: float, about: int = 4) -> list[int]:
    """Round numbers for an axis: from 0 in equal steps to at least `most`."""
    if most <= 0:
        return [0, 1]
    step = 1
    while most / step > about:
        step = step * 2 if str(step)[0] in "15" else step // 2 * 5
    return list(range(0, math.ceil(most / step) * step + 1, step))
