"""Who infected whom, as far as is known: exposures become a forest, without a cycle.

Every person has at most one place in the forest, below the source that fits best; their other
exposures stay as side edges. Cases are ordered by their day (then by id), and only a source that
comes before can be above, so what goes round in a circle breaks where it is least likely. Whoever
is no case hangs below whom they met, nearest to a case first.
"""

import datetime as dt
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

# The usual time from infection to the first symptom: of several sources of a case, the one met
# nearest to so many days before is shown above it. A convention of the picture, not a finding.
USUAL_INCUBATION_DAYS: Final = 5


class Kind(StrEnum):
    """What a person is in the picture."""

    CONFIRMED = "confirmed"
    POSSIBLE = "possible"  # a suspected or probable case
    OVER = "over"  # a case that is closed
    DEAD = "dead"
    CONTACT = "contact"  # exposed to a case
    FARTHER = "farther"  # exposed to a contact
    ELSEWHERE = "elsewhere"  # of units that the viewer does not see


CASES: Final = frozenset({Kind.CONFIRMED, Kind.POSSIBLE, Kind.OVER, Kind.DEAD})


@dataclass(frozen=True, slots=True)
class Node:
    """A person: `day` is days since 1970 (of the onset, report or first exposure)."""

    id: int
    kind: Kind
    day: int
    unit: str | None = None  # none: not for the viewer
    label: str = ""  # a case's reference
    is_case: bool = True  # an unseen person too may be a case


@dataclass(frozen=True, slots=True)
class Link:
    """One exposure; `source` none: nobody knows."""

    id: int
    source: int | None
    exposed: int
    day: int
    setting: str
    place: str | None
    known_by: str


@dataclass(slots=True)
class Forest:
    """The trees, biggest cluster first. Every id is a node's."""

    nodes: dict[int, Node]
    parent: dict[int, int] = field(default_factory=dict)
    above: dict[int, Link] = field(default_factory=dict)  # the exposure to the parent
    children: dict[int, list[int]] = field(default_factory=dict)
    side: list[Link] = field(default_factory=list)
    generation: dict[int, int] = field(default_factory=dict)
    below: dict[int, int] = field(default_factory=dict)  # how many descendants
    clusters: list[list[int]] = field(default_factory=list)  # of roots

    def size(self, cluster: list[int]) -> int:
        """How many people a cluster has."""
        return sum(1 + self.below[root] for root in cluster)

    def subtree(self, root: int) -> list[int]:
        """The root and everybody below, parents first."""
        found = [root]
        for one in found:
            found.extend(self.children.get(one, ()))
        return found


def grow(nodes: Iterable[Node], links: Iterable[Link]) -> Forest:
    """The forest of these people and exposures; links to somebody unknown are left out."""
    forest = Forest({node.id: node for node in nodes})
    usable = [
        link
        for link in links
        if link.exposed in forest.nodes
        and (link.source is None or link.source in forest.nodes)
        and link.source != link.exposed
    ]
    chosen = _choose_for_cases(forest.nodes, usable)
    _choose_for_contacts(forest.nodes, usable, chosen)
    for exposed, link in chosen.items():
        assert link.source is not None  # noqa: S101 - only links with a source are chosen
        forest.parent[exposed], forest.above[exposed] = link.source, link
        forest.children.setdefault(link.source, []).append(exposed)
    taken = {link.id for link in chosen.values()}
    pairs = {(link.source, link.exposed) for link in chosen.values()}
    for link in usable:
        pair = (link.source, link.exposed)
        # Two meetings of one pair are one line.
        if link.source is not None and link.id not in taken and pair not in pairs:
            pairs.add(pair)
            forest.side.append(link)
    for siblings in forest.children.values():
        siblings.sort(key=lambda one: (forest.nodes[one].day, one))
    _number(forest)
    forest.clusters = _clusters(forest, usable)
    return forest


def _choose_for_cases(nodes: Mapping[int, Node], links: Iterable[Link]) -> dict[int, Link]:
    best: dict[int, tuple[tuple[int, int, int], Link]] = {}
    for link in links:
        if link.source is None:
            continue
        source, exposed = nodes[link.source], nodes[link.exposed]
        if not (source.is_case and exposed.is_case):
            continue
        if (source.day, source.id) >= (exposed.day, exposed.id):
            continue
        days_before = exposed.day - link.day
        fit = (0 if days_before >= 0 else 1, abs(days_before - USUAL_INCUBATION_DAYS), link.id)
        if exposed.id not in best or fit < best[exposed.id][0]:
            best[exposed.id] = (fit, link)
    return {exposed: link for exposed, (_fit, link) in best.items()}


def _choose_for_contacts(
    nodes: Mapping[int, Node], links: Iterable[Link], chosen: dict[int, Link]
) -> None:
    """Steps outward from the cases; of several sources at the same step, the one met last."""
    outward: dict[int, list[Link]] = {}
    for link in links:
        if link.source is not None and not nodes[link.exposed].is_case:
            outward.setdefault(link.source, []).append(link)
    step = [node.id for node in nodes.values() if node.is_case]
    reached = set(step)
    while step:
        found: dict[int, Link] = {}
        for source in step:
            for link in outward.get(source, ()):
                before = found.get(link.exposed)
                if link.exposed not in reached and (
                    before is None or (link.day, link.id) > (before.day, before.id)
                ):
                    found[link.exposed] = link
        chosen.update(found)
        reached.update(found)
        step = sorted(found)


def _number(forest: Forest) -> None:
    roots = [one for one in forest.nodes if one not in forest.parent]
    order: list[int] = []
    waiting = deque((root, 0) for root in roots)
    while waiting:
        one, generation = waiting.popleft()
        forest.generation[one] = generation
        order.append(one)
        waiting.extend((child, generation + 1) for child in forest.children.get(one, ()))
    for one in reversed(order):
        forest.below[one] = sum(1 + forest.below[child] for child in forest.children.get(one, ()))


def _clusters(forest: Forest, links: Iterable[Link]) -> list[list[int]]:
    """Roots that any exposure joins, in lists; the biggest first, then the earliest."""
    leader = {one: one for one in forest.nodes}

    def find(one: int) -> int:
        while leader[one] != one:
            leader[one] = leader[leader[one]]
            one = leader[one]
        return one

    for link in links:
        if link.source is not None:
            leader[find(link.source)] = find(link.exposed)
    joined: dict[int, list[int]] = {}
    for one in forest.nodes:
        if one not in forest.parent:
            joined.setdefault(find(one), []).append(one)
    clusters = list(joined.values())
    for roots in clusters:
        roots.sort(key=lambda one: (-forest.below[one], forest.nodes[one].day, one))
    clusters.sort(key=lambda roots: (-forest.size(roots), forest.nodes[roots[0]].day, roots[0]))
    return clusters


@dataclass(frozen=True, slots=True)
class View:
    """What is drawn of a forest: the roots in order, who is shown, who stands for how many."""

    roots: tuple[int, ...]
    shown: frozenset[int]
    folded: Mapping[int, int]  # shown, with so many not shown below
    left_out: int  # people of whole trees for which there was no room


def view_of(forest: Forest, roots: Iterable[int], folded: Iterable[int], at_most: int) -> View:
    """What fits: generation by generation, until `at_most` people are shown; the rest is folded.

    `folded`: whose descendants the viewer has put away.
    """
    away = set(folded)
    wanted = list(roots)
    kept = wanted[:at_most]
    shown = set(kept)
    hidden: dict[int, int] = {}
    step = kept
    while step:
        following: list[int] = []
        for one in step:
            children = forest.children.get(one, ())
            if not children:
                continue
            if one in away or len(shown) + len(children) > at_most:
                hidden[one] = forest.below[one]
                continue
            shown.update(children)
            following.extend(children)
        step = following
    left_out = sum(1 + forest.below[one] for one in wanted[at_most:])
    return View(tuple(kept), frozenset(shown), hidden, left_out)


def day_number(iso_day: str) -> int:
    """Days since 1970 of an ISO day."""
    return dt.date.fromisoformat(iso_day).toordinal() - dt.date(1970, 1, 1).toordinal()
