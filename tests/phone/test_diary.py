"""Pages go in sealed, come out whole, are folded by day, and are gone when their time is over."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from bluezone.phone.diary import MAX_RECORDS_PER_SCAN, Diary, pack_page
from bluezone.phone.store import Store
from bluezone.protocol.intervals import utc_day_number
from bluezone.protocol.sightings import SCAN_RECORD
from bluezone.radio.interface import Sighting
from tests.phone.conftest import EPOCH

_SIGHTINGS = st.builds(
    Sighting,
    address=st.binary(min_size=6, max_size=6),
    payload=st.binary(min_size=20, max_size=20),
    time=st.floats(0, 2**32 - 1),
    rssi=st.lists(st.integers(-127, 20), min_size=1, max_size=400).map(tuple),
)


@given(st.lists(_SIGHTINGS, max_size=20), st.integers(0, 300), st.booleans())
def test_a_page_is_the_sightings(sightings: list[Sighting], since: int, trusted: bool) -> None:
    records = np.frombuffer(pack_page(sightings, since, trusted), SCAN_RECORD)
    assert len(records) == len(sightings)
    for record, sighting in zip(records, sightings, strict=True):
        assert record["rpi"].tobytes() + record["aem"].tobytes() == sighting.payload
        assert record["time"] == int(sighting.time)
        assert record["since_last_scan"] == since
        mean = sum(sighting.rssi) / len(sighting.rssi)
        assert abs(record["rssi_mean"] / 100 - mean) <= 0.006
        assert record["rssi_max"] == max(sighting.rssi)
        assert record["packets"] == min(255, len(sighting.rssi))
        assert record["trusted_clock"] == trusted


def test_a_flood_of_identifiers_keeps_the_strongest() -> None:
    flood = [
        Sighting(bytes(6), n.to_bytes(20, "big"), EPOCH, (-100 + n % 60,)) for n in range(5000)
    ]
    records = np.frombuffer(pack_page(flood, 240, True), SCAN_RECORD)
    assert len(records) == MAX_RECORDS_PER_SCAN
    assert records["rssi_max"].min() >= -53


def _page(number: int) -> bytes:
    return pack_page([Sighting(bytes(6), number.to_bytes(20, "big"), EPOCH, (-60,))], 240, True)


def test_folding_changes_nothing_but_the_number_of_rows(store: Store) -> None:
    diary = Diary(store)
    for number in range(60):
        diary.add(EPOCH + 3600 * number, _page(number))
    today = utc_day_number(EPOCH + 59 * 3600)
    before = diary.records(0, today).tobytes()
    diary.fold(today)
    assert diary.records(0, today).tobytes() == before
    rows = dict(store.execute("SELECT day, count(*) FROM scan GROUP BY day"))
    assert all(count == 1 for day, count in rows.items() if day < today)
    assert rows[today] > 1
    diary.add(EPOCH, _page(1000))  # a clock set back: a late page of a folded day
    diary.fold(today)
    assert len(diary.records(0, today)) == 61


def test_only_the_days_asked_for_are_read(store: Store) -> None:
    diary = Diary(store)
    for day in range(10):
        diary.add(86400.0 * day, _page(day))
    assert len(diary.records(3, 5)) == 3
    assert diary.forget_before(4) == 4
    assert diary.days() == [4, 5, 6, 7, 8, 9]


def test_a_damaged_or_moved_page_is_passed_over_and_kept(store: Store) -> None:
    diary = Diary(store)
    for day in range(4):
        diary.add(86400.0 * day, _page(day))
    store.execute("UPDATE scan SET sealed = zeroblob(60) WHERE day = 1")
    store.execute("UPDATE scan SET sealed = (SELECT sealed FROM scan WHERE day = 3) WHERE day = 2")
    assert len(diary.records(0, 9)) == 2
    assert diary.damaged_pages == 2
    diary.fold(9)
    assert len(store.execute("SELECT * FROM scan")) == 4
    assert len(diary.records(0, 9)) == 2
    assert diary.damaged_pages == 2  # the same two
    diary.forget_before(2)
    assert diary.damaged_pages == 1


def test_who_deletes_all_deletes_damaged_pages_too(store: Store) -> None:
    diary = Diary(store)
    diary.add(0.0, _page(0))
    diary.add(86400.0, _page(1))
    store.execute("UPDATE scan SET sealed = zeroblob(60) WHERE day = 1")
    assert len(diary.records(0, 9)) == 1
    diary.forget_all()
    assert store.execute("SELECT count(*) FROM scan") == [(0,)]
    assert diary.damaged_pages == 0


def test_nothing_readable_is_on_the_disk(store: Store) -> None:
    payload = b"identifier-on-air-20"
    Diary(store).add(EPOCH, pack_page([Sighting(bytes(6), payload, EPOCH, (-60,))], 240, True))
    store.save("report", {"code": "306259403775"})
    path = store.execute("PRAGMA database_list")[0][2]
    store.close()
    with open(path, "rb") as file:
        content = file.read()
    assert payload not in content
    assert b"306259403775" not in content
    assert int(EPOCH).to_bytes(4, "big") not in content
