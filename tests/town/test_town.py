"""A small town end to end: real phones on the air, the real service in its own process."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from bluezone.town.plan import BEGINS, Plan
from bluezone.town.quarters import QuarterFailed, Quarters
from bluezone.town.scene import Scene
from bluezone.town.service import ServiceProcess, start_service
from bluezone.town.time import Pace, VirtualTimeLoop
from bluezone.town.town import Town
from bluezone.town.verdict import Verdict

HOUR = 3600


@contextmanager
def serving(folder: Path) -> Iterator[ServiceProcess]:
    """The service of a town that keeps its files in `folder`."""
    service = start_service(folder, BEGINS)
    try:
        yield service
    finally:
        service.stop()


def live(plan: Plan, quarters: int, service: ServiceProcess) -> tuple[Verdict, dict]:
    """A town's verdict, and its last frame."""
    scene = Scene(Pace())
    with (
        Quarters(plan.people, quarters) as processes,
        asyncio.Runner(loop_factory=VirtualTimeLoop) as runner,
    ):
        town = Town(plan, runner.get_loop(), service, processes, scene)
        return runner.run(town.live()), msgspec.json.decode(scene.frame)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Verdict, dict]:
    """The verdict of a town of twenty people and two days, and its last frame."""
    with serving(tmp_path_factory.mktemp("town")) as service:
        return live(Plan(people=20, days=2, seed=4), 2, service)


def test_close_contacts_are_warned(lived):
    verdict, _ = lived
    told = verdict.as_json()
    assert told["close_contacts"] >= 3, "the town is too quiet to show anything"
    # Radio errs; it must not err mostly.
    assert told["warned_close"] >= 0.6 * told["close_contacts"]
    assert told["warned_close"] + told["missed"] == told["close_contacts"]


def test_nobody_is_warned_who_never_met_the_case(lived):
    verdict, _ = lived
    assert [one.name for one in verdict.false_alarms if not one.met] == []
    assert any(not one.met for one in verdict.contacts), "everybody met: this shows nothing"


def test_most_who_were_no_close_contacts_are_left_alone(lived):
    verdict, _ = lived
    others = [one for one in verdict.contacts if not one.close]
    assert len(verdict.false_alarms) <= len(others) / 2


def test_a_warning_takes_the_embargo_at_most_and_some_minutes(lived):
    verdict, _ = lived
    told = verdict.as_json()
    assert told["minutes_from_confirmation"]["count"] == told["warned_close"]
    # Two hours of embargo, the end of the interval, the export hour, the spread of checks.
    assert 0 < told["minutes_to_warning_median"] <= 120 + 10 + 60 + 16
    assert 0 < told["minutes_from_release"]["longest"] <= 16


def test_the_last_picture_agrees_with_the_verdict(lived):
    verdict, frame = lived
    assert frame["stage"] == "finished"
    warned = {one.number for one in verdict.contacts if one.warned_at is not None}
    assert set(frame["warned"]) == warned
    assert set(frame["contacts"]) == {one.number for one in verdict.contacts if one.close}
    assert [event["kind"] for event in frame["events"]][:2] == ["confirmed", "released"]
    assert frame["verdict"] == verdict.as_json()
    assert frame["now"] == BEGINS + 2 * 24 * HOUR


def test_the_number_of_processes_changes_nothing(tmp_path):
    def outcome(quarters: int) -> tuple:
        folder = tmp_path / str(quarters)
        folder.mkdir()
        with serving(folder) as service:
            verdict, frame = live(Plan(people=6, days=1, seed=2), quarters, service)
        counts = verdict.scans, verdict.packets, verdict.packets_heard, verdict.requests
        return verdict.contacts, counts, frame["events"]

    alone = outcome(1)
    assert alone == outcome(3)
    assert any(contact.warned_at for contact in alone[0]), "nobody was warned: this shows little"


def test_a_process_that_breaks_or_is_killed_is_named(tmp_path, monkeypatch):
    begin = Quarters.begin

    def begin_and_kill(self, plan, service):
        reports = begin(self, plan, service)
        self._processes[1].kill()
        return reports

    with serving(tmp_path) as service:
        in_its_way = tmp_path / "phone-1"
        in_its_way.write_text("not a folder")
        with pytest.raises(QuarterFailed, match="phone-1"):
            live(Plan(people=2, days=1), 2, service)
        in_its_way.unlink()
        monkeypatch.setattr(Quarters, "begin", begin_and_kill)
        with pytest.raises(QuarterFailed, match="status -9"):
            live(Plan(people=2, days=1), 2, service)
