"""The forest of exposures and how it is drawn: a forest always, each person once."""

from hypothesis import given
from hypothesis import strategies as st

from bluezone.server.situation.graph import Forest, Kind, Link, Node, grow, view_of
from bluezone.server.situation.layout import lay_out


def case(person: int, day: int) -> Node:
    return Node(person, Kind.CONFIRMED, day, "vn.01.001.00004")


def contact(person: int, day: int) -> Node:
    return Node(person, Kind.CONTACT, day, "vn.01.001.00004", is_case=False)


def link(number: int, source: int | None, exposed: int, day: int = 0) -> Link:
    return Link(number, source, exposed, day, "household", None, "interview")


@st.composite
def outbreaks(draw: st.DrawFn) -> tuple[list[Node], list[Link]]:
    """People with any exposures among them: circles, doubles, strangers, oneself."""
    count = draw(st.integers(1, 25))
    nodes = [
        (case if draw(st.booleans()) else contact)(person, draw(st.integers(0, 30)))
        for person in range(1, count + 1)
    ]
    people = st.integers(1, count + 2)
    links = [
        link(number, draw(st.none() | people), draw(people), draw(st.integers(0, 30)))
        for number in range(draw(st.integers(0, 60)))
    ]
    return nodes, links


@given(outbreaks(), st.integers(1, 30), st.lists(st.integers(1, 25), max_size=5))
def test_it_is_a_forest_and_everybody_has_a_spot_of_their_own(
    outbreak: tuple[list[Node], list[Link]], at_most: int, folded: list[int]
) -> None:
    nodes, links = outbreak
    forest = grow(nodes, links)
    for person in forest.nodes:
        above, steps = person, 0
        while above in forest.parent:
            above, steps = forest.parent[above], steps + 1
            assert steps <= len(nodes)
        assert forest.generation[person] == steps
    assert sum(forest.size(cluster) for cluster in forest.clusters) == len(nodes)
    roots = [root for cluster in forest.clusters for root in cluster]
    everything = view_of(forest, roots, (), len(nodes))
    assert everything.shown == set(forest.nodes)
    view = view_of(forest, roots, folded, at_most)
    assert len(view.shown) <= at_most
    hidden = sum(view.folded.values())
    assert len(view.shown) + hidden + view.left_out == len(nodes)
    for drawn in (view, everything):
        spots = lay_out(forest, drawn)
        assert set(spots) == drawn.shown
        cells = [(spot.day, spot.row) for spot in spots.values()]
        assert len(set(cells)) == len(cells)
        for person, spot in spots.items():
            parent = forest.parent.get(person)
            assert spot.day == forest.nodes[person].day
            assert parent is None or parent not in spots or spots[parent].row < spot.row


def test_of_two_sources_the_likelier_is_above_and_the_other_beside() -> None:
    forest = grow(
        [case(1, 0), case(2, 3), case(3, 10)],
        [link(1, 1, 2, 0), link(2, 1, 3, 9), link(3, 2, 3, 5)],
    )
    assert forest.parent == {2: 1, 3: 2}
    assert [one.id for one in forest.side] == [2]
    assert forest.generation == {1: 0, 2: 1, 3: 2}


def test_a_circle_breaks_where_the_later_comes_back_to_the_earlier() -> None:
    forest = grow([case(1, 0), case(2, 4)], [link(1, 2, 1, 0), link(2, 1, 2, 0)])
    assert forest.parent == {2: 1}
    assert [one.id for one in forest.side] == [1]


def test_a_contact_of_a_contact_is_the_second_generation_after_the_case() -> None:
    forest = grow(
        [case(1, 0), contact(2, 1), contact(3, 2)],
        [link(1, 1, 2, 1), link(2, 2, 3, 2), link(3, None, 3, 2)],
    )
    assert forest.generation == {1: 0, 2: 1, 3: 2}


def test_a_big_cluster_folds_generation_by_generation() -> None:
    """Ten below the first, ten below each of these: with room for 15, the hundred are put away."""
    nodes = [case(1, 0)]
    links = []
    for child in range(2, 12):
        nodes.append(case(child, 5))
        links.append(link(child, 1, child, 1))
        for leaf in range(child * 10, child * 10 + 10):
            nodes.append(contact(leaf * 100, 6))
            links.append(link(leaf * 100, child, leaf * 100, 6))
    forest: Forest = grow(nodes, links)
    view = view_of(forest, [1], (), 15)
    assert view.shown == set(range(1, 12))
    assert view.folded == dict.fromkeys(range(2, 12), 10)
    assert view_of(forest, [1], [1], 999).folded == {1: 110}
