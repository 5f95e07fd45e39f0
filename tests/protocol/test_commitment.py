"""Commitments: what was committed to opens, nothing else does, and an opening tells no more."""

import dataclasses

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluezone.protocol.claim import MAX_CLAIM_LEAVES, Claim, ClaimedDay, read_claim
from bluezone.protocol.commitment import (
    MAX_LEAVES,
    PATH_BYTES,
    CommitmentError,
    CommittedDay,
    KeyLeaf,
    OpenedLeaf,
    SightingLeaf,
    key_content,
    opened_commitment,
    read_content,
    sighting_contents,
)
from bluezone.protocol.keys import TemporaryExposureKey
from bluezone.protocol.sightings import SCAN_RECORD, ScanRecords

DAY = 18_647
SECRET = bytes(range(32))
_START = DAY * 144

records = st.lists(
    st.tuples(
        st.binary(min_size=1, max_size=1),
        st.integers(0, 86_399),
        st.integers(0, 300),
        st.integers(-12_000, 0),
    ),
    min_size=1,
    max_size=40,
)
contents = st.lists(st.binary(min_size=1, max_size=70), min_size=1, max_size=60, unique=True)
keys = st.builds(
    TemporaryExposureKey,
    st.binary(min_size=16, max_size=16),
    st.integers(0, 143).map(lambda at: _START + at),
    st.just(1),
)
powers = st.sets(st.integers(-127, 127), max_size=8)


def heard(rows: list[tuple[bytes, int, int, int]]) -> ScanRecords:
    made = np.zeros(len(rows), SCAN_RECORD)
    for record, (rpi, second, since, level) in zip(made, rows, strict=True):
        record["rpi"] = np.void(rpi * 16)
        record["time"] = DAY * 86_400 + second
        record["since_last_scan"], record["rssi_mean"] = since, level
        record["trusted_clock"] = True
    return made


@given(contents)
@settings(max_examples=40)
def test_whatever_was_committed_to_opens_and_nothing_else(leaves: list[bytes]) -> None:
    tree = CommittedDay.of(DAY, SECRET, leaves)
    kept = CommittedDay.unpack(DAY, SECRET, tree.packed())
    opened = kept.open([*leaves, b"invented"])
    assert [leaf.content for leaf in opened] == leaves
    commitment = tree.commitment()
    assert len(commitment) == 32
    assert all(opened_commitment(DAY, leaf) == commitment for leaf in opened)
    assert opened_commitment(DAY + 1, opened[0]) != commitment


@given(contents, st.data())
@settings(max_examples=40)
def test_an_opening_that_is_changed_anywhere_leads_elsewhere(
    leaves: list[bytes], data: st.DataObject
) -> None:
    tree = CommittedDay.of(DAY, SECRET, leaves)
    leaf = tree.open([data.draw(st.sampled_from(leaves))])[0]
    name = data.draw(st.sampled_from(["content", "salt", "path", "place"]))
    if name == "place":
        changed = msgspec.structs.replace(
            leaf, place=leaf.place ^ 1 << data.draw(st.integers(0, 15))
        )
    else:
        value = bytearray(getattr(leaf, name))
        value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
        changed = msgspec.structs.replace(leaf, **{name: bytes(value)})
    assert opened_commitment(DAY, changed) != tree.commitment()


def test_an_opening_has_one_size_and_one_kind_of_place_however_many_were_met() -> None:
    alone, crowd = [b"the one"], [f"leaf {n}".encode() for n in range(3000)]
    places: dict[int, list[int]] = {}
    for leaves in (alone, crowd):
        for number in range(40):
            tree = CommittedDay.of(DAY, bytes([number]) * 32, leaves)
            (leaf,) = tree.open([leaves[0]])
            assert len(leaf.path) == PATH_BYTES
            places.setdefault(len(leaves), []).append(leaf.place)
    # Uniform over 65,536 places: forty of them have a mean within four standard errors.
    for found in places.values():
        assert len(set(found)) > 30
        assert abs(np.mean(found) - 32_768) < 4 * 65_536 / 12**0.5 / 40**0.5


def test_what_stands_beside_a_lonely_leaf_looks_like_what_stands_beside_others() -> None:
    """Empty places are no constant: they differ between places, levels and days."""
    (leaf,) = CommittedDay.of(DAY, SECRET, [b"the one"]).open([b"the one"])
    nodes = [leaf.path[at : at + 32] for at in range(0, PATH_BYTES, 32)]
    (other,) = CommittedDay.of(DAY, bytes(32), [b"the one"]).open([b"the one"])
    assert len(set(nodes)) == 16
    assert not set(nodes) & {other.path[at : at + 32] for at in range(0, PATH_BYTES, 32)}
    assert leaf.salt != other.salt


def test_an_unopened_leaf_cannot_be_tried_out() -> None:
    """The hash of a leaf that somebody guesses stands nowhere in another leaf's path."""
    first, second = b"mine", b"guessed"
    tree = CommittedDay.of(DAY, SECRET, [first, second])
    (opened,) = tree.open([first])
    again = CommittedDay.of(DAY, SECRET, [second])
    (known,) = again.open([second])
    guess = OpenedLeaf(content=second, place=known.place, salt=opened.salt, path=opened.path)
    assert opened_commitment(DAY, guess) != tree.commitment()
    assert opened.salt != known.salt


def test_too_few_and_too_many_leaves_are_refused() -> None:
    for leaves in ([], [str(n).encode() for n in range(MAX_LEAVES + 1)]):
        with pytest.raises(ValueError, match="committed"):
            CommittedDay.of(DAY, SECRET, leaves)
    with pytest.raises(ValueError, match="committed"):
        CommittedDay.of(DAY, b"short", [b"x"])


# --- what the leaves say -------------------------------------------------------------------
@given(keys, powers)
def test_a_key_leaf_reads_back(tek: TemporaryExposureKey, said: set[int]) -> None:
    assert read_content(key_content(tek, said), DAY) == KeyLeaf(tek, tuple(sorted(said)))


@given(records)
def test_sightings_read_back_by_identifier(rows: list[tuple[bytes, int, int, int]]) -> None:
    table = heard(rows)
    read = [read_content(content, DAY) for content in sighting_contents(table)]
    assert all(isinstance(leaf, SightingLeaf) for leaf in read)
    found = [row.tobytes() for leaf in read for row in leaf.records]  # type: ignore[union-attr]
    assert sorted(found) == sorted({row.tobytes() for row in table})
    assert len(read) == len({rpi for rpi, *_ in rows})


@given(st.binary(max_size=120))
def test_strangers_bytes_are_read_or_refused_by_name(content: bytes) -> None:
    try:
        read = read_content(content, DAY)
    except CommitmentError:
        return
    if isinstance(read, KeyLeaf):
        assert key_content(read.tek, read.powers) == content
    else:
        assert sighting_contents(read.records) == [content]


def _two(first: int, second: int) -> bytes:
    return heard([(b"a", first, 240, -6000), (b"a", second, 240, -6000)]).tobytes()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "neither"),
        (b"\x03" + bytes(32), "neither"),
        (key_content(TemporaryExposureKey(bytes(16), _START), [-8])[:-1], "another length"),
        (key_content(TemporaryExposureKey(bytes(16), _START + 1), [-8]), "not of its day"),
        (key_content(TemporaryExposureKey(bytes(16), _START - 144), [-8]), "not of its day"),
        (key_content(TemporaryExposureKey(bytes(16), _START, 0), [-8]), "not of its day"),
        (key_content(TemporaryExposureKey(bytes(16), _START), [1, 2])[:-2] + b"\2\1", "in order"),
        (b"\x02", "cut off"),
        (b"\x02" + bytes(31), "cut off"),
        (b"\x02" + _two(300, 60), "in order"),
        (b"\x02" + _two(60, 60), "in order"),
        (b"\x02" + heard([(b"a", 1, 1, 0), (b"b", 1, 1, 0)]).tobytes(), "two identifiers"),
        (b"\x02" + heard([(b"a", 86_400, 1, 0)]).tobytes(), "not of its day"),
        (b"\x02" + heard([(b"a", 1, 1, 0)]).tobytes()[:-1] + b"\1", "no phone writes"),
    ],
)
def test_what_no_phone_commits_to_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(CommitmentError, match=why):
        read_content(content, DAY)


# --- claims -----------------------------------------------------------------------------------
def _claim(*days: ClaimedDay) -> Claim:
    return Claim(published=[bytes(16)], days=list(days))


def test_a_claim_tells_what_was_committed_to() -> None:
    key = key_content(TemporaryExposureKey(bytes(16), _START), [-8])
    first, second = sighting_contents(heard([(b"a", 1, 1, 0), (b"a", 2, 1, 0), (b"b", 1, 1, 0)]))
    tree = CommittedDay.of(DAY, SECRET, [key, first])
    leaves = [*tree.open([key, first]), OpenedLeaf(content=second)]
    (day,) = read_claim(_claim(ClaimedDay(day=DAY, leaves=leaves)))
    assert day.commitment == tree.commitment()
    assert [leaf.powers for leaf in day.keys] == [(-8,)]
    assert day.committed.tolist() == [True, True, False]
    assert "hidden" in repr(leaves[0])
    assert dataclasses.fields(day)[1].repr is False


def test_a_claim_that_does_not_hold_together_is_refused() -> None:
    contents = sighting_contents(heard([(b"a", 1, 1, 0), (b"b", 1, 1, 0)]))
    one, other = (
        CommittedDay.of(DAY, bytes([n]) * 32, [content]).open([content])[0]
        for n, content in enumerate(contents)
    )
    bare = OpenedLeaf(content=contents[0])
    many = ClaimedDay(day=DAY, leaves=[bare] * MAX_CLAIM_LEAVES)
    short = msgspec.structs.replace(one, path=one.path[:-32])
    for days, why in (
        ([ClaimedDay(day=DAY, leaves=[one, other])], "different commitments"),
        ([ClaimedDay(day=DAY, leaves=[short])], "an opening has"),
        ([ClaimedDay(day=DAY, leaves=[one])] * 2, "in order"),
        ([many, ClaimedDay(day=DAY + 1, leaves=[bare])], "leaves at most"),
        ([ClaimedDay(day=DAY + 1, leaves=[bare])], "not of its day"),
    ):
        with pytest.raises(CommitmentError, match=why):
            read_claim(_claim(*days))
