"""The decision: which records count, and what they are called together."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluezone.protocol.beacon import encode_metadata
from bluezone.protocol.confirmation import (
    CaseKey,
    CaseSide,
    ClaimantKey,
    ClaimantSide,
    Encounter,
    Flag,
    Heard,
    Label,
    Nearness,
    confirm,
)
from bluezone.protocol.keys import (
    TemporaryExposureKey,
    associated_encrypted_metadata_key,
    crypt_metadata,
    rolling_proximity_identifiers,
)
from bluezone.protocol.sightings import SCAN_RECORD, ScanRecords

DAY = 18_647
MIDNIGHT = DAY * 86_400  # 07:00 in Vietnam
NOON = MIDNIGHT + 5 * 3600  # 12:00 in Vietnam
RELEASED = MIDNIGHT + 30 * 3600
POWER = -8


@dataclass
class Sender:
    """A phone's key of the day, by a clock that is `ahead` seconds."""

    tek: TemporaryExposureKey
    ahead: int = 0
    power: int = POWER

    def record(self, at: int, by_clock: int, level: float, *, bend: int = 0) -> np.void:
        """Its beacon of true time `at`, heard by a clock that says `by_clock`."""
        interval = (at + self.ahead) // 600
        place = (interval - self.tek.rolling_start) * 16
        rpi = rolling_proximity_identifiers(self.tek)[place : place + 16]
        aem_key = associated_encrypted_metadata_key(self.tek.key)
        aem = bytearray(crypt_metadata(aem_key, rpi, encode_metadata(self.power)))
        aem[1] ^= bend
        row = np.zeros(1, SCAN_RECORD)
        row["rpi"], row["aem"] = np.void(rpi), np.void(bytes(aem))
        row["time"], row["since_last_scan"] = by_clock, 240
        row["rssi_mean"], row["packets"], row["trusted_clock"] = round(100 * level), 10, True
        return row[0]


CASE = Sender(TemporaryExposureKey(b"c" * 16, DAY * 144))
CLAIMANT = Sender(TemporaryExposureKey(b"p" * 16, DAY * 144))


def _table(rows: Iterable[np.void]) -> ScanRecords:
    return np.array([row.tobytes() for row in rows], "V32").view(SCAN_RECORD).reshape(-1)


def heard(
    sender: Sender,
    listener: Sender,
    times: Iterable[int],
    *,
    level: float = -60.0,
    late: int = 0,
    bend: int = 0,
) -> ScanRecords:
    """What `listener` heard of `sender` at the true `times`; `late`: a relay holds it back."""
    return _table(sender.record(at, at + late + listener.ahead, level, bend=bend) for at in times)


SCANS = range(NOON, NOON + 3600, 240)
SCANS_OF_CASE = range(NOON + 100, NOON + 3600, 240)


def case_side(records: ScanRecords, sender: Sender = CASE, **changes: object) -> CaseSide:
    side = CaseSide(
        keys=(CaseKey(sender.tek, RELEASED),),
        powers=(sender.power,),
        records=records,
        received_at=RELEASED - 600,
    )
    return dataclasses.replace(side, **changes)  # type: ignore[arg-type]


def claimant_side(
    records: ScanRecords, sender: Sender = CLAIMANT, committed: int = RELEASED, **changes: object
) -> ClaimantSide:
    side = ClaimantSide(
        keys=(ClaimantKey(sender.tek, (sender.power,)),),
        records=records,
        committed=np.full(len(records), committed, np.int64),
        refused={},
        received_at=RELEASED + 7200,
    )
    return dataclasses.replace(side, **changes)  # type: ignore[arg-type]


def judge(own: Heard, peer: Heard) -> Nearness:
    return Nearness(float(len(own.time)), float(len(peer.time)), "likely")


def decide(case: CaseSide, claimant: ClaimantSide) -> Encounter:
    (one,) = confirm(case, claimant, judge)
    return one


HONEST = heard(CASE, CLAIMANT, SCANS), heard(CLAIMANT, CASE, SCANS_OF_CASE)
NOTHING = np.zeros(0, SCAN_RECORD)


def test_an_honest_pair_is_confirmed_from_both_sides() -> None:
    found = decide(case_side(HONEST[1]), claimant_side(HONEST[0]))
    assert found.label is Label.BOTH_SIDES
    assert found.flags == ()
    assert (found.day, found.parts) == ("2021-01-20", ("noon",))
    assert 55 <= found.minutes <= 65
    assert (found.claimant_scans, found.case_scans) == (15, 15)
    assert (found.claimant_attenuation, found.case_attenuation) == (52.0, 52.0)
    assert found.nearness == Nearness(15.0, 15.0, "likely"), "the judge gets both directions"
    assert "hidden" in repr(found)


def test_nothing_matches_and_nothing_is_said() -> None:
    stranger = Sender(TemporaryExposureKey(b"s" * 16, DAY * 144))
    assert confirm(case_side(NOTHING), claimant_side(NOTHING), judge) == []
    case = case_side(heard(stranger, CASE, SCANS))
    assert confirm(case, claimant_side(heard(stranger, CLAIMANT, SCANS)), judge) == []


@pytest.mark.parametrize(
    ("case", "claimant", "label", "flags"),
    [
        # One phone of the two.
        ({"records": NOTHING}, {}, Label.ONE_SIDE, ()),
        ({"records": NOTHING, "received_at": None}, {}, Label.ONE_SIDE, (Flag.NO_DIARY,)),
        ({}, {"records": NOTHING, "committed": NOTHING}, Label.ONE_SIDE, ()),
        # The claimant did not commit, or too late: the case's record alone.
        ({}, {"committed": 0}, Label.ONE_SIDE, (Flag.NOT_COMMITTED,)),
        ({}, {"committed": RELEASED + 1}, Label.ONE_SIDE, (Flag.COMMITTED_LATE,)),
        ({"keys": None}, {}, Label.ONE_SIDE, (Flag.RELEASE_UNKNOWN,)),
        # ... and nothing of the case.
        ({"records": NOTHING}, {"committed": 0}, Label.CLAIM_ONLY, (Flag.NOT_COMMITTED,)),
        (
            {"records": NOTHING},
            {"committed": RELEASED + 1},
            Label.CLAIM_ONLY,
            (Flag.COMMITTED_LATE,),
        ),
        # The diary came after the claim; or its keys were public.
        (
            {"received_at": RELEASED + 7200},
            {},
            Label.ONE_SIDE,
            (Flag.RECEIVED_LATE, Flag.DIARY_LATE),
        ),
        ({"received_at": RELEASED}, {}, Label.BOTH_SIDES, (Flag.DIARY_LATE,)),
        # What the sender did not commit to cannot be compared exactly.
        ({"powers": ()}, {}, Label.ONE_SIDE, (Flag.POWER_UNKNOWN,)),
        ({"powers": (POWER + 1,)}, {}, Label.ONE_SIDE, (Flag.METADATA_DIFFERS,)),
        # A refused day counts for nothing, in either direction.
        ({}, {"refused": {DAY: Flag.KEY_PUBLISHED}}, Label.CLAIM_ONLY, (Flag.KEY_PUBLISHED,)),
        ({}, {"refused": {DAY: Flag.ALREADY_CLAIMED}}, Label.CLAIM_ONLY, (Flag.ALREADY_CLAIMED,)),
        ({}, {"refused": {DAY + 1: Flag.ALREADY_CLAIMED}}, Label.BOTH_SIDES, ()),
    ],
)
def test_what_counts(
    case: dict[str, object], claimant: dict[str, object], label: Label, flags: tuple[Flag, ...]
) -> None:
    if case.get("keys", ...) is None:
        case = {"keys": (CaseKey(CASE.tek, None),)}
    if isinstance(committed := claimant.pop("committed", None), int):
        side = claimant_side(HONEST[0], committed=committed, **claimant)
    else:
        side = claimant_side(claimant.pop("records", HONEST[0]), **claimant)  # type: ignore[arg-type]
    found = decide(case_side(case.pop("records", HONEST[1]), **case), side)  # type: ignore[arg-type]
    assert (found.label, found.flags) == (label, flags)


@pytest.mark.parametrize(
    ("scans", "label"),
    [
        ([NOON], Label.ONE_SIDE),
        ([NOON, NOON + 179], Label.ONE_SIDE),
        ([NOON, NOON + 180], Label.BOTH_SIDES),
        ([NOON, NOON], Label.ONE_SIDE),
    ],
)
def test_each_direction_needs_two_scans_three_minutes_apart(scans: list[int], label: Label) -> None:
    found = decide(case_side(HONEST[1]), claimant_side(heard(CASE, CLAIMANT, scans)))
    assert found.label is label
    assert (Flag.FEW_SCANS in found.flags) is (label is Label.ONE_SIDE)


@pytest.mark.parametrize(("apart", "label"), [(600, Label.BOTH_SIDES), (601, Label.ONE_SIDE)])
def test_the_directions_lie_within_ten_minutes(apart: int, label: Label) -> None:
    first, second = (NOON, NOON + 240), (NOON + 240 + apart, NOON + 480 + apart)
    found = confirm(
        case_side(heard(CLAIMANT, CASE, [second[0], second[1]])),
        claimant_side(heard(CASE, CLAIMANT, [NOON + 240, *first, NOON + 60])),
        judge,
    )
    # Only the last of one and the first of the other are near each other.
    assert [one.label for one in found] == [Label.ONE_SIDE]
    middle = heard(CLAIMANT, CASE, [NOON + 240 + apart, NOON + 60 + apart])
    found = confirm(
        case_side(middle), claimant_side(heard(CASE, CLAIMANT, [NOON + 240, NOON + 60])), judge
    )
    assert [one.label for one in found] == [label]


@given(st.integers(-600, 600), st.integers(0, 599))
@settings(max_examples=60, deadline=None)
def test_one_clock_offset_is_found_whatever_it_is(ahead: int, start: int) -> None:
    fast = Sender(CLAIMANT.tek, ahead)
    scans = range(NOON + start, NOON + start + 3600, 240)
    found = decide(
        case_side(heard(fast, CASE, scans)),
        claimant_side(heard(CASE, fast, scans), fast),
    )
    assert found.label is Label.BOTH_SIDES
    assert found.claimant_scans == found.case_scans == 15
    # Two minutes are within the tolerance of an interval, so they need not be noticed.
    if abs(ahead) > 360:
        assert Flag.CLOCK_OFFSET in found.flags
    if abs(ahead) <= 120:
        assert Flag.CLOCK_OFFSET not in found.flags


@given(st.integers(840, 7000), st.integers(840, 7000))
@settings(max_examples=40, deadline=None)
def test_beacons_held_back_in_both_directions_are_not_confirmed(one: int, other: int) -> None:
    """Each delay looks like a clock that is off, but to opposite sides."""
    found = confirm(
        case_side(heard(CLAIMANT, CASE, SCANS_OF_CASE, late=one)),
        claimant_side(heard(CASE, CLAIMANT, SCANS, late=other)),
        judge,
    )
    assert all(meeting.label is Label.CLAIM_ONLY for meeting in found)


def test_held_back_less_than_a_clock_may_be_off_it_still_needs_two_offsets() -> None:
    late = 400
    found = decide(
        case_side(heard(CLAIMANT, CASE, SCANS_OF_CASE, late=late)),
        claimant_side(heard(CASE, CLAIMANT, SCANS, late=late)),
    )
    assert (found.label, found.flags) == (Label.CLAIM_ONLY, (Flag.CLOCKS_DISAGREE,))


def test_a_one_way_relay_is_one_side() -> None:
    """The claimant hears the case by wire; the case never hears the claimant."""
    found = decide(case_side(NOTHING), claimant_side(HONEST[0]))
    assert found.label is Label.ONE_SIDE
    assert found.case_attenuation is None


def test_a_late_replay_is_no_evidence_at_all() -> None:
    """Recorded at noon, sent again at two: it warns (the tolerance is two hours) and stops here."""
    found = decide(case_side(NOTHING), claimant_side(heard(CASE, CLAIMANT, SCANS, late=6000)))
    assert found.label is Label.CLAIM_ONLY
    assert found.claimant_scans == 0


def test_what_remains_a_live_relay_in_both_directions_is_confirmed() -> None:
    """Flagged only where its two amplifiers are unlike."""
    unlike = decide(
        case_side(heard(CLAIMANT, CASE, SCANS_OF_CASE, level=-85.0, late=1)),
        claimant_side(heard(CASE, CLAIMANT, SCANS, level=-60.0, late=1)),
    )
    assert unlike.label is Label.BOTH_SIDES
    assert unlike.flags == (Flag.ATTENUATION_DIFFERS,)
    alike = decide(
        case_side(heard(CLAIMANT, CASE, SCANS_OF_CASE, level=-70.0, late=1)),
        claimant_side(heard(CASE, CLAIMANT, SCANS, level=-60.0, late=1)),
    )
    assert (alike.label, alike.flags) == (Label.BOTH_SIDES, ())


def test_a_bent_beacon_does_not_count() -> None:
    bent = heard(CASE, CLAIMANT, SCANS, bend=0x0F)
    found = decide(case_side(HONEST[1]), claimant_side(bent))
    assert found.label is Label.ONE_SIDE
    assert (found.claimant_scans, found.flags) == (0, (Flag.METADATA_DIFFERS,))
    foreign = HONEST[0].copy()
    foreign["aem"] = [np.void(bytes([aem[0] ^ 0xC0]) + aem[1:]) for aem in foreign["aem"].tolist()]
    assert Flag.METADATA_DIFFERS not in decide(case_side(HONEST[1]), claimant_side(foreign)).flags


def test_replayed_packets_do_not_spoil_what_is_true() -> None:
    replayed = heard(CASE, CLAIMANT, SCANS, late=1200)
    found = decide(case_side(HONEST[1]), claimant_side(np.concatenate((HONEST[0], replayed[:5]))))
    assert (found.label, found.claimant_scans) == (Label.BOTH_SIDES, 15)
    # A flood of them does: what is missing proves nothing.
    flooded = decide(case_side(HONEST[1]), claimant_side(np.concatenate((HONEST[0], replayed))))
    assert flooded.label is Label.ONE_SIDE


def test_what_is_heard_by_a_clock_set_back_does_not_count() -> None:
    doubtful = HONEST[0].copy()
    doubtful["trusted_clock"] = False
    found = decide(case_side(HONEST[1]), claimant_side(doubtful))
    assert (found.label, found.claimant_scans) == (Label.ONE_SIDE, 0)


def test_a_record_that_comes_twice_counts_once() -> None:
    twice = np.concatenate((HONEST[0], HONEST[0]))
    found = decide(case_side(HONEST[1]), claimant_side(twice))
    assert found.claimant_scans == 15


def test_meetings_of_a_day_are_told_apart_and_dated_in_vietnam() -> None:
    """The first across 07:00 in Vietnam, where keys turn; the second after midnight there."""
    tomorrow = (
        TemporaryExposureKey(b"d" * 16, (DAY + 1) * 144),
        TemporaryExposureKey(b"q" * 16, (DAY + 1) * 144),
    )
    case_next, claimant_next = Sender(tomorrow[0]), Sender(tomorrow[1])
    turn = MIDNIGHT + 86_400
    before, after = range(turn - 1200, turn, 240), range(turn, turn + 1200, 240)
    evening = range(MIDNIGHT + 17 * 3600 - 300, MIDNIGHT + 17 * 3600 + 600, 200)
    ours = [heard(CASE, CLAIMANT, (*evening, *before)), heard(case_next, claimant_next, after)]
    theirs = [heard(CLAIMANT, CASE, (*evening, *before)), heard(claimant_next, case_next, after)]
    late = turn + 30 * 3600
    found = confirm(
        case_side(
            np.concatenate(theirs),
            keys=(CaseKey(CASE.tek, late), CaseKey(case_next.tek, late)),
            received_at=late - 600,
        ),
        claimant_side(
            np.concatenate(ours),
            keys=(
                ClaimantKey(CLAIMANT.tek, (POWER,)),
                ClaimantKey(claimant_next.tek, (POWER,)),
            ),
            received_at=late + 600,
        ),
        judge,
    )
    assert [(one.label, one.day) for one in found] == [
        (Label.BOTH_SIDES, "2021-01-20"),
        (Label.BOTH_SIDES, "2021-01-21"),
    ]
    assert found[0].parts == ("night",)
    assert found[1].parts == ("morning",)
    assert found[1].claimant_scans == 10


def test_a_night_under_one_roof_is_told_of_both_its_days() -> None:
    """From 20:00 to 06:00 in Vietnam: four hours of one day, six of the next."""
    night = range(MIDNIGHT + 13 * 3600, MIDNIGHT + 23 * 3600, 240)
    found = confirm(
        case_side(heard(CLAIMANT, CASE, night)), claimant_side(heard(CASE, CLAIMANT, night)), judge
    )
    assert [(one.day, one.parts, one.minutes) for one in found] == [
        ("2021-01-20", ("night", "evening"), 240),
        ("2021-01-21", ("night", "morning"), 360),
    ]
