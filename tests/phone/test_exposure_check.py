"""The exposure check takes only what is signed, new and whole, and says why it refuses the rest."""

import random
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bluezone.clock import LoopClock
from bluezone.phone.diary import pack_page
from bluezone.phone.documents import Problem
from bluezone.phone.phone import Phone
from bluezone.phone.service import ServiceError, ServiceFault
from bluezone.protocol.beacon import encode_metadata
from bluezone.protocol.configuration import DEFAULT_CONFIGURATION
from bluezone.protocol.intervals import interval_number
from bluezone.protocol.keys import (
    DiagnosisKey,
    ReportType,
    TemporaryExposureKey,
    associated_encrypted_metadata_key,
    crypt_metadata,
    rolling_proximity_identifiers,
)
from bluezone.radio.interface import Sighting
from tests.phone.conftest import EPOCH, World
from tests.phone.national_service import NationalService

_DAY = interval_number(EPOCH) // 144 * 144
_STRANGER = ec.generate_private_key(ec.SECP256R1())


def _key(seed: int, start: int = _DAY) -> DiagnosisKey:
    tek = TemporaryExposureKey(random.Random(seed).randbytes(16), start, 144)
    return DiagnosisKey(tek, ReportType.CONFIRMED_TEST, 0)


def _meet(phone: Phone, case: DiagnosisKey, start: float, minutes: int, *, loss: int = 50) -> None:
    """Write into the phone's diary that it was near a case."""
    aem_key = associated_encrypted_metadata_key(case.tek.key)
    for scan in range(minutes // 4):
        time = start + 240 * scan
        one = TemporaryExposureKey(case.tek.key, interval_number(time), 1)
        rpi = rolling_proximity_identifiers(one)
        payload = rpi + crypt_metadata(aem_key, rpi, encode_metadata(-8))
        sighting = Sighting(bytes(6), payload, time, (-8 - loss,) * 10)
        phone._diary.add(time, pack_page([sighting], 240, True))


def _paths(national: NationalService, start: str = "/v1/exports/") -> list[str]:
    return [r.url.path for r in national.requests if r.url.path.startswith(start)]


@pytest.fixture
def phone(world: World) -> Phone:
    return world.phone()


def _released(world: World) -> None:
    """A day later the key can be published."""
    world.run(world.clock.sleep(26 * 3600))


def test_only_new_files_are_fetched_and_a_day_may_span_files(world: World, phone: Phone) -> None:
    first, second = _key(1), _key(2)
    _meet(phone, first, EPOCH, 12)
    _meet(phone, second, EPOCH + 3600, 12)
    _released(world)
    world.national.publish([first], "a.zip")
    done = world.run(phone.check())
    assert (done.files, done.keys, done.warnings) == (1, 1, ())
    assert phone.status().low_risk_days == 1
    world.national.publish([second, _key(3)], "b.zip")
    done = world.run(phone.check())
    assert (done.files, done.keys) == (1, 2)
    assert [warning.encounters for warning in done.warnings] == [2]
    again = world.run(phone.check())
    assert (again.files, again.warnings) == (0, ())
    assert _paths(world.national) == ["/v1/exports/a.zip", "/v1/exports/b.zip"]
    assert phone.warnings()[0].minutes == 24


def test_documents_that_have_not_changed_are_not_sent_again(world: World, phone: Phone) -> None:
    world.run(phone.check())
    world.national.requests.clear()
    world.run(phone.check())
    assert _paths(world.national, "/v1/") == ["/v1/index.json"]
    assert "If-None-Match" in world.national.requests[0].headers


def test_a_file_signed_by_a_stranger_is_refused_for_good(world: World, phone: Phone) -> None:
    bad, good = _key(1), _key(2)
    _meet(phone, bad, EPOCH, 40)
    _meet(phone, good, EPOCH + 7200, 40)
    _released(world)
    world.national.publish([bad], "bad.zip", signer=_STRANGER)
    world.national.publish([good], "good.zip")
    done = world.run(phone.check())
    assert [name for name, _ in done.refused] == ["bad.zip"]
    assert done.files == 1
    assert [warning.encounters for warning in done.warnings] == [1]
    assert "signature" in phone.refused_files()["bad.zip"]
    world.run(phone.check())
    assert _paths(world.national).count("/v1/exports/bad.zip") == 1, "it never gets better"


@pytest.mark.parametrize("fault", ["cut", "changed", "grown", "missing"])
def test_a_file_spoiled_on_its_way_is_fetched_again(world: World, phone: Phone, fault: str) -> None:
    case, good = _key(1), _key(2)
    _meet(phone, case, EPOCH, 40)
    _released(world)
    data = world.national.publish([case], "spoiled.zip")
    world.national.publish([good], "good.zip")
    files = world.national.files
    files["spoiled.zip"] = {
        "cut": data[: len(data) // 2],
        "changed": data[:-1] + b"!",
        "grown": data + b"!",
        "missing": b"",
    }[fault]
    if fault == "missing":
        del files["spoiled.zip"]
    done = world.run(phone.check())
    assert done.error is None
    assert [name for name, _ in done.refused] == ["spoiled.zip"]
    assert done.files == 1, "the good file behind it is read"
    files["spoiled.zip"] = data
    done = world.run(phone.check())
    assert done.files == 1
    assert len(done.warnings) == 1
    assert phone.refused_files() == {}


def test_an_old_index_is_refused_and_the_results_stay(world: World, phone: Phone) -> None:
    case = _key(1)
    _meet(phone, case, EPOCH, 40)
    _released(world)
    old = world.national.index
    world.national.publish([case], "a.zip")
    world.run(phone.check())
    world.national.index = old
    done = world.run(phone.check())
    assert done.error.problem is Problem.INDEX_ROLLED_BACK
    assert done.error.text("en") != done.error.text("vi")
    assert len(phone.warnings()) == 1


def test_a_foreign_or_expired_index_is_refused(world: World, phone: Phone) -> None:
    world.national.publish_index(signer=_STRANGER)
    assert world.run(phone.check()).error.problem is Problem.INDEX_REFUSED
    world.national.publish_index()
    world.run(world.clock.sleep(4 * 86400))
    assert world.run(phone.check()).error.problem is Problem.INDEX_EXPIRED


def test_foreign_trust_and_rules_are_refused(world: World, phone: Phone) -> None:
    genuine = world.national.trust
    world.national.trust = genuine.replace(b'"payload":"ey', b'"payload":"fy')
    done = world.run(phone.check())
    assert done.error.problem is Problem.TRUST_REFUSED
    assert _paths(world.national, "/v1/index") == [], "nothing is taken from a stranger"
    world.national.trust = genuine
    world.national.configuration = b"{}"
    done = world.run(phone.check())
    assert done.error.problem is Problem.CONFIGURATION_REFUSED
    assert done.next_at > done.at + 600, "the check itself went on"


def test_the_next_check_comes_with_the_next_index_at_each_phones_own_moment(world: World) -> None:
    checks = [world.run(world.phone(float(x)).check()) for x in range(8)]
    waits = [check.next_at - check.at for check in checks]
    assert all(3600 <= wait <= 4200 for wait in waits)
    assert len({round(wait) for wait in waits}) > 4


def test_a_dead_service_is_asked_less_and_less_often(world: World, phone: Phone) -> None:
    world.national.down = True
    waits = []
    for _ in range(12):
        done = world.run(phone.check())
        assert isinstance(done.error, ServiceError)
        assert done.error.fault is ServiceFault.UNREACHABLE
        waits.append(done.next_at - done.at)
    assert waits[0] <= 120
    assert 3600 < waits[-1] <= 6 * 3600
    world.national.down = False
    assert world.run(phone.check()).error is None


def test_windows_found_before_a_kill_are_judged_after_it(world: World, phone: Phone) -> None:
    case = _key(1)
    _meet(phone, case, EPOCH, 40)
    _released(world)
    world.national.publish([case], "a.zip")
    checker = phone._checker
    checker._judge_all = lambda: 1 / 0  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        world.run(phone.check())
    again = world.phone(home=world.folder / "phone1")
    done = world.run(again.check())
    assert (done.files, len(done.warnings)) == (0, 1)


def test_a_weak_signal_does_not_warn(world: World, phone: Phone) -> None:
    case = _key(1)
    _meet(phone, case, EPOCH, 60, loss=75)
    _released(world)
    world.national.publish([case], "a.zip")
    assert world.run(phone.check()).warnings == ()
    assert phone.warnings() == []


def test_a_warning_is_given_before_it_is_kept(world: World, phone: Phone) -> None:
    """Killed in between, a phone tells its owner twice rather than never."""
    case = _key(1)
    _meet(phone, case, EPOCH, 40)
    _released(world)
    world.national.publish([case], "a.zip")
    phone._checker._on_warning = lambda _: 1 / 0
    with pytest.raises(ZeroDivisionError):
        world.run(phone.check())
    again = world.phone(home=world.folder / "phone1")
    assert len(world.run(again.check()).warnings) == 1


def test_a_warning_keeps_the_moment_it_was_first_noticed(world: World, phone: Phone) -> None:
    case = _key(1)
    _meet(phone, case, EPOCH, 40)
    _released(world)
    world.national.publish([case], "a.zip")
    (warning,) = world.run(phone.check()).warnings
    world.run(world.clock.sleep(3600))
    world.run(phone.check())
    assert phone.warnings() == [warning]


def test_days_since_exposure_are_vietnamese_days(world: World, phone: Phone) -> None:
    case = _key(1)
    _meet(phone, case, EPOCH, 40)
    world.national.configure(replace(DEFAULT_CONFIGURATION, days_since_exposure=1))
    world.run(world.clock.sleep(41 * 3600))  # Friday 01:00 in Vietnam, still Thursday in UTC
    world.national.publish([case], "a.zip")
    assert world.run(phone.check()).warnings == ()


def test_the_windows_of_a_vietnamese_day_are_forgotten_together(world: World, phone: Phone) -> None:
    before, after = _key(1, _DAY - 144), _key(2)
    seven = _DAY * 600  # in the morning in Vietnam
    _meet(phone, before, seven - 1800, 20)
    _meet(phone, after, seven, 20)
    _released(world)
    world.national.publish([before, after], "a.zip")
    assert world.run(phone.check()).warnings[0].minutes == 40
    world.run(world.clock.sleep(seven + 14 * 86400 + 3600 - world.clock.now()))
    world.national.publish_index()
    world.run(phone.check())
    assert [warning.minutes for warning in phone.warnings()] == [40]


def test_the_echo_of_the_phones_own_beacon_is_nobody(world: World, phone: Phone) -> None:
    """Somebody replayed it; then its owner reported, and the key came back in a file."""
    own = DiagnosisKey(phone._identity.current(EPOCH), ReportType.CONFIRMED_TEST, 0)
    _meet(phone, own, EPOCH, 40)
    _released(world)
    world.national.publish([own], "a.zip")
    done = world.run(phone.check())
    assert (done.files, done.warnings) == (1, ())


def test_a_file_read_by_two_processes_at_once_counts_once(world: World, phone: Phone) -> None:
    case = _key(1)
    _meet(phone, case, EPOCH, 12)
    _released(world)
    world.national.publish([case], "a.zip")
    world.run(phone.check())
    (window,) = phone._checker.exposures.windows()
    beside = world.phone(home=world.folder / "phone1")
    beside._checker.exposures.accept(world.national.indexed[0], window.day, [window], 1)
    assert phone._checker.exposures.windows() == [window]


def test_an_index_by_a_key_certified_an_hour_ago_is_taken(world: World, phone: Phone) -> None:
    world.run(phone.check())
    now = int(world.clock.now())
    world.national.trust = world.national.certify(now, sequence=2, export=_STRANGER)
    world.national.publish_index(signer=_STRANGER)
    assert world.run(phone.check()).error is None


def test_a_clock_far_behind_does_not_make_a_files_key_invalid(world: World) -> None:
    phone = world.phone(clock=LoopClock(world.loop, EPOCH - 400 * 86400))
    world.national.publish([_key(1)], "a.zip")
    done = world.run(phone.check())
    assert (done.files, done.refused) == (1, ())
