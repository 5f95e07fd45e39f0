"""Keys: one a day, random, cut short when reported, never two for one interval."""

import itertools
import random

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

from bluezone.phone.identity import Identity
from bluezone.phone.sealing import Sealer
from bluezone.phone.store import Store
from bluezone.protocol.beacon import decode_metadata
from bluezone.protocol.keys import associated_encrypted_metadata_key, crypt_metadata
from bluezone.protocol.keys import rolling_proximity_identifiers as identifiers
from tests.phone.conftest import EPOCH


def test_the_beacon_is_what_a_published_key_foretells(store: Store) -> None:
    identity = Identity(store)
    beacon = identity.beacon(EPOCH, -12)
    tek = identity.current(EPOCH)
    offset = int(EPOCH // 600) - tek.rolling_start
    assert identifiers(tek)[16 * offset : 16 * offset + 16] == beacon.rpi
    metadata = crypt_metadata(associated_encrypted_metadata_key(tek.key), beacon.rpi, beacon.aem)
    assert decode_metadata(metadata) == -12


def test_a_new_day_has_a_new_key_and_the_old_one_stays(store: Store) -> None:
    identity = Identity(store)
    days = [identity.current(EPOCH + 86400 * day) for day in range(20)]
    assert len({tek.key for tek in days}) == 20
    kept = identity.keys(EPOCH + 86400 * 19)
    assert kept == days[5:]
    assert identity.reportable(EPOCH + 86400 * 19) == days[5:]


def test_another_process_sees_the_same_key(store: Store) -> None:
    path = store.execute("PRAGMA database_list")[0][2]
    other = Store(path, Sealer(bytes(range(32))))
    assert Identity(other).current(EPOCH) == Identity(store).current(EPOCH)
    Identity(other).truncate(EPOCH)
    assert Identity(store).current(EPOCH).rolling_end == EPOCH // 600 + 1
    other.close()


def test_a_report_of_another_process_ends_the_key_at_the_next_beacon(store: Store) -> None:
    path = store.execute("PRAGMA database_list")[0][2]
    here, there = Identity(store), Identity(Store(path, Sealer(bytes(range(32)))))
    first = here.beacon(EPOCH, 0)
    assert here.beacon(EPOCH, 0) == there.beacon(EPOCH, 0) == first
    reported = there.current(EPOCH)
    there.truncate(EPOCH)
    assert here.beacon(EPOCH, 0) == first
    later = here.beacon(EPOCH + 600, 0)
    assert later == there.beacon(EPOCH + 600, 0)
    assert later.rpi not in identifiers(reported)
    there.forget_before(int(EPOCH // 86400) + 1)
    assert here.beacon(EPOCH + 600, 0) == there.beacon(EPOCH + 600, 0) != later


def test_every_beacon_of_a_day_is_what_its_key_foretells(store: Store) -> None:
    identity = Identity(store)
    day = EPOCH // 86400 * 86400
    beacons = [identity.beacon(day + 600 * number, 0).rpi for number in range(144)]
    assert b"".join(beacons) == identifiers(identity.current(day))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1) | st.integers(0, 500),
            st.sampled_from(["on", "cut", "undo", "refused", "report"]),
        )
    )
)
@example([(0, "report"), (0, "refused"), (1, "on")])
def test_whatever_happens_no_interval_has_two_keys(
    store: Store, steps: list[tuple[int, str]]
) -> None:
    store.execute("DELETE FROM tek")
    identity = Identity(store, random.Random(1).randbytes)
    on_air: dict[int, bytes] = {}
    public: dict[bytes, int] = {}
    interval = int(EPOCH // 600)
    for wait, what in steps:
        interval += wait
        now = interval * 600.0
        key = identity.current(now).key
        assert on_air.setdefault(interval, key) == key, "an interval never changes its key"
        assert public.get(key, interval) >= interval, "a published key is never on the air again"
        if what in ("cut", "refused", "report"):
            identity.truncate(now)
        if what in ("undo", "refused"):
            identity.restore(now)
        if what == "report":
            identity.mark_reported(identity.reportable(now))
            public.update({tek.key: tek.rolling_end - 1 for tek in identity.reportable(now)})
        keys = identity.keys(now)
        for before, after in itertools.pairwise(keys):
            assert before.rolling_end <= after.rolling_start
        chosen = identity.reportable(now)
        assert len(chosen) <= 30
        for tek in chosen:
            aligned = tek.rolling_start % 144 == 0
            assert aligned or any(tek.rolling_start == one.rolling_end for one in chosen)


def test_a_day_that_does_not_fit_is_left_out_whole(store: Store) -> None:
    identity = Identity(store)
    for day, cuts in ((0, 20), (1, 15)):
        for interval in range(cuts):
            identity.truncate(EPOCH + 86400 * day + 600 * interval)
    chosen = identity.reportable(EPOCH + 86400 + 600 * 14)
    assert len(chosen) == 15
    assert chosen[0].rolling_start % 144 == 0


@pytest.mark.parametrize("power", [-40, 0, 12])
def test_a_key_never_reaches_a_repr(store: Store, power: int) -> None:
    identity = Identity(store)
    identity.beacon(EPOCH, power)
    assert identity.current(EPOCH).key.hex() not in repr(identity.keys(EPOCH))
