"""Where the people of a forest are drawn: time to the right, each generation below the one before.

A tidy tree with one axis given: the column of a person is their day, so only rows are to be found.
Whoever has nobody below them is put right under their source, one row for several days; a branch
keeps its shape and moves up until it touches what is already there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bluezone.server.situation.graph import Forest, View

_STACKED_AT_MOST: Final = 3  # of one day, a little to the right of each other


@dataclass(frozen=True, slots=True)
class Spot:
    """A column (days since 1970), the step to the right within it, and a row from 0."""

    day: int
    step: int
    row: int


@dataclass(slots=True)
class _Branch:
    """Rows of people relative to the branch's own first row, and its outline by day."""

    rows: dict[int, int]
    top: dict[int, int]
    bottom: dict[int, int]

    def cover(self, first: int, last: int, row: int) -> None:
        for day in range(min(first, last), max(first, last) + 1):
            self.top[day] = min(self.top.get(day, row), row)
            self.bottom[day] = max(self.bottom.get(day, row), row)

    def take(self, other: "_Branch", offset: int) -> None:
        for person, row in other.rows.items():
            self.rows[person] = row + offset
        for day, row in other.top.items():
            self.top[day] = min(self.top.get(day, row + offset), row + offset)
        for day, row in other.bottom.items():
            self.bottom[day] = max(self.bottom.get(day, row + offset), row + offset)

    def room_for(self, other: "_Branch", at_least: int) -> int:
        """The first offset at which `other` lies below everything here."""
        offset = at_least
        for day, row in other.top.items():
            below = self.bottom.get(day)
            if below is not None:
                offset = max(offset, below + 1 - row)
        return offset


def lay_out(forest: Forest, view: View) -> dict[int, Spot]:
    """A spot for everybody shown."""
    branches: dict[int, _Branch] = {}
    for root in view.roots:
        for one in reversed(_shown(forest, view, root)):
            branches[one] = _branch(forest, view, one, branches)
    whole = _Branch({}, {}, {})
    for root in view.roots:
        branch = branches[root]
        whole.take(branch, whole.room_for(branch, 0))
    steps = _steps(forest, view.roots, view)
    return {
        person: Spot(forest.nodes[person].day, steps[person], row)
        for person, row in whole.rows.items()
    }


def _branch(forest: Forest, view: View, one: int, branches: dict[int, _Branch]) -> _Branch:
    day = forest.nodes[one].day
    branch = _Branch({one: 0}, {day: 0}, {day: 0})
    children = [child for child in forest.children.get(one, ()) if child in view.shown]
    leaves = {child for child in children if not _has_shown_children(forest, view, child)}
    under_day: dict[int, int] = {}
    for leaf in filter(leaves.__contains__, children):
        leaf_day = forest.nodes[leaf].day
        row = under_day[leaf_day] = under_day.get(leaf_day, 0) + 1
        branch.rows[leaf] = row
        branch.cover(day, leaf_day, row)
    least = 1
    for child in children:
        if child in leaves:
            continue
        below = branches[child]
        below.cover(day, forest.nodes[child].day, 0)  # the line that leads to it
        offset = branch.room_for(below, least)
        branch.take(below, offset)
    return branch


def _has_shown_children(forest: Forest, view: View, one: int) -> bool:
    return any(child in view.shown for child in forest.children.get(one, ()))


def _shown(forest: Forest, view: View, root: int) -> list[int]:
    """Root and shown descendants, parents first."""
    found = [root]
    for one in found:
        found.extend(child for child in forest.children.get(one, ()) if child in view.shown)
    return found


def _steps(forest: Forest, roots: Iterable[int], view: View) -> Mapping[int, int]:
    steps: dict[int, int] = {}
    for root in roots:
        for one in _shown(forest, view, root):
            parent = forest.parent.get(one)
            same_day = (
                parent in steps
                and parent is not None
                and forest.nodes[parent].day == forest.nodes[one].day
            )
            steps[one] = min(steps[parent] + 1, _STACKED_AT_MOST) if same_day and parent else 0
    return steps
