"""Jobs run once in their slot, catch up after downtime, and never in two processes at once."""

import asyncio
import math
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from bluezone.clock import ManualClock
from bluezone.clock.driven import ClockFile, DrivenClock
from bluezone.server.context import Services
from bluezone.server.jobs import RETRY_SECONDS, Job, Scheduler
from bluezone.storage.lease import LEASE_SECONDS, Lease
from tests.server.conftest import NOON

HOUR = 3600


class Work:
    """A job that notes when it ran."""

    def __init__(self, name: str = "work", period: int = HOUR) -> None:
        self.job = Job(name, period, self._run)
        self.ran_at: list[int] = []
        self.fails = False

    async def _run(self, services: Services, _lease: Lease) -> None:
        if self.fails:
            raise RuntimeError("the text of an error may hold a secret")
        self.ran_at.append(services.now - NOON)


def _values(services: Services, metric: str, *labels: str) -> dict[tuple[str, ...], float]:
    """What `/metrics` says of one metric, by its labels."""
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for family in text_string_to_metric_families(services.metrics.text().decode())
        for sample in family.samples
        if sample.name == metric
    }


def _log_of(services: Services) -> bytes:
    return Path(f"{services.database.engine.url.database}-wal").read_bytes()


async def test_once_in_each_slot(services: Services, clock: ManualClock) -> None:
    work = Work()
    scheduler = Scheduler(services, [work.job])
    for _ in range(12):
        await scheduler.run_due()
        clock.advance(HOUR // 4)
    assert work.ran_at == [0, HOUR, 2 * HOUR]


async def test_it_sleeps_until_something_is_due(services: Services, clock: ManualClock) -> None:
    scheduler = Scheduler(services, [Work("often", 600).job, Work("seldom", HOUR).job])
    clock.advance(10)
    assert await scheduler.run_due() == NOON + 600


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_clock_that_is_set_back_delays_no_retry(services: Services) -> None:
    class SetBackOnce(ManualClock):
        slept = 0.0

        async def sleep(self, seconds: float) -> None:
            if not self.slept:
                self.set(NOON - 10 * HOUR)
            self.slept += seconds
            await super().sleep(seconds)

    clock, work = SetBackOnce(NOON), Work()
    object.__setattr__(services, "clock", clock)
    work.fails = True
    task = asyncio.create_task(Scheduler(services, [work.job]).run())
    while not clock.slept:  # noqa: ASYNC110 - the clock tells no other way
        await asyncio.sleep(0)
    work.fails = False
    while not work.ran_at:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert clock.slept == RETRY_SECONDS
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_a_round_deleted_is_in_no_log_of_the_database(services: Services) -> None:
    if not services.database.is_sqlite:
        pytest.skip("PostgreSQL's log has its own times (docs/threats.md)")
    await Scheduler(services, [Work().job]).run_due()
    assert _log_of(services) == b""


async def test_a_run_past_the_hour_is_not_that_hours_run(
    services: Services, clock: ManualClock
) -> None:
    began: list[int] = []

    async def slow(services: Services, lease: Lease) -> None:
        began.append(services.now - NOON)
        clock.advance(60)

    scheduler = Scheduler(services, [Job("slow", HOUR, slow)])
    clock.advance(HOUR - 30)
    for _ in range(3):
        await scheduler.run_due()
    assert began == [HOUR - 30, HOUR + 30]


async def test_after_downtime_it_runs_once_at_once(services: Services, clock: ManualClock) -> None:
    work = Work()
    await Scheduler(services, [work.job]).run_due()
    clock.advance(50 * HOUR + 120)
    again = Scheduler(services, [work.job])  # a new process
    await again.run_due()
    await again.run_due()
    assert work.ran_at == [0, 50 * HOUR + 120]


async def test_a_failure_is_tried_again_and_the_others_go_on(
    services: Services, clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    failing, other = Work("failing"), Work("other")
    failing.fails = True
    scheduler = Scheduler(services, [failing.job, other.job])
    assert await scheduler.run_due() == NOON + RETRY_SECONDS
    assert other.ran_at == [0]
    failing.fails = False
    clock.advance(RETRY_SECONDS)
    await scheduler.run_due()
    assert failing.ran_at == [RETRY_SECONDS]
    runs = _values(services, "bluezone_job_runs_total", "job", "outcome")
    assert runs["failing", "failed"] == runs["failing", "done"] == 1
    assert _values(services, "bluezone_job_lag_seconds", "job")["failing",] == RETRY_SECONDS


async def test_who_watches_sees_that_a_job_is_done_no_more(
    services: Services, clock: ManualClock
) -> None:
    work, other = Work(), Work("other")
    scheduler = Scheduler(services, [work.job, other.job])
    await scheduler.run_due()
    work.fails = True
    for _ in range(3):
        clock.advance(HOUR)
        await scheduler.run_due()
    last_runs = _values(services, "bluezone_job_last_run_timestamp_seconds", "job")
    assert last_runs == {("work",): NOON, ("other",): NOON + 3 * HOUR}


async def test_the_work_goes_on_after_any_trouble_with_the_database(
    services: Services, clock: ManualClock
) -> None:
    work = Work()
    scheduler = Scheduler(services, [work.job])
    async with services.database.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE job_runs RENAME TO mislaid"))
    assert await scheduler.run_due() == NOON + RETRY_SECONDS
    async with services.database.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE mislaid RENAME TO job_runs"))
    await scheduler.run_due()
    assert work.ran_at == [0]


async def test_two_processes_share_the_work(services: Services, clock: ManualClock) -> None:
    started, finish = asyncio.Event(), asyncio.Event()
    ran: list[str] = []

    async def slow(_services: Services, _lease: Lease) -> None:
        ran.append("slow")
        started.set()
        await finish.wait()

    first, second = (Scheduler(services, [Job("slow", HOUR, slow)]) for _ in range(2))
    running = asyncio.create_task(first.run_due())
    await started.wait()
    assert not await second.run_once("slow")
    finish.set()
    await running
    await second.run_due()
    assert ran == ["slow"]


async def test_what_waits_behind_a_job_that_takes_long_this_time_is_anybodys(
    services: Services, clock: ManualClock
) -> None:
    others, takes = Work("other"), [0]

    async def long(services: Services, _lease: Lease) -> None:
        clock.advance(takes[0])
        if takes[0]:
            assert await Scheduler(services, [others.job]).run_once("other")

    scheduler = Scheduler(services, [Job("long", HOUR, long), others.job])
    await scheduler.run_due()
    takes[0] = LEASE_SECONDS
    clock.advance(HOUR)
    assert await scheduler.run_due() == services.now + RETRY_SECONDS
    await scheduler.run_due()
    assert others.ran_at == [0, HOUR + LEASE_SECONDS]


async def test_a_job_that_fails_after_long_stops_no_other(
    services: Services, clock: ManualClock
) -> None:
    others = Work("other")

    async def hopeless(_services: Services, _lease: Lease) -> None:
        clock.advance(LEASE_SECONDS)
        raise RuntimeError

    scheduler = Scheduler(services, [Job("hopeless", HOUR, hopeless), others.job])
    for _ in range(3):
        assert await scheduler.run_due() == services.now + RETRY_SECONDS
        clock.advance(HOUR - LEASE_SECONDS)
    assert others.ran_at == [LEASE_SECONDS, HOUR, 2 * HOUR]


async def test_before_a_long_job_what_is_done_is_written_down(
    services: Services, clock: ManualClock
) -> None:
    quick = Work("quick")

    async def long(services: Services, _lease: Lease) -> None:
        clock.advance(LEASE_SECONDS)
        await Scheduler(services, [quick.job]).run_due()

    scheduler = Scheduler(services, [quick.job, Job("long", HOUR, long)])
    for _ in range(2):
        await scheduler.run_due()
        clock.advance(HOUR - LEASE_SECONDS)
    assert quick.ran_at == [0, HOUR]


async def test_who_stops_in_the_middle_keeps_what_is_done_and_holds_up_nobody(
    services: Services, clock: ManualClock
) -> None:
    done, reached = Work("done"), asyncio.Event()

    async def endless(_services: Services, _lease: Lease) -> None:
        reached.set()
        await asyncio.Event().wait()

    stopped = Scheduler(services, [done.job, Job("endless", HOUR, endless)])
    task = asyncio.create_task(stopped.run_due())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    successor = Work("endless")
    await Scheduler(services, [done.job, successor.job]).run_due()
    assert (done.ran_at, successor.ran_at) == ([0], [0])


async def test_a_job_that_lost_its_lease_is_not_recorded(
    services: Services, clock: ManualClock
) -> None:
    async def oversleeps(services: Services, lease: Lease) -> None:
        clock.advance(10 * HOUR)
        assert await Lease(services.database, clock, lease.name).acquire()

    scheduler = Scheduler(services, [Job("oversleeps", HOUR, oversleeps)])
    assert not await scheduler.run_once("oversleeps")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_driven_clock_waits_for_the_work(services: Services, tmp_path: Path) -> None:
    """A driver that always goes as far as it may finds each slot's work done in its slot."""
    file = ClockFile.create(tmp_path / "clock", NOON + 10)
    object.__setattr__(services, "clock", DrivenClock(file))
    ran: list[tuple[float, float]] = []

    async def work(_services: Services, _lease: Lease) -> None:
        began = file.now
        await asyncio.sleep(0.05)  # the driver would go on now
        ran.append((began, file.now))

    task = asyncio.create_task(Scheduler(services, [Job("work", 600, work)]).run())
    while math.isinf(file.horizon):  # noqa: ASYNC110 - shared memory has no event
        await asyncio.sleep(0.005)
    while len(ran) < 3 and not task.done():
        file.now = min(file.now + 60, file.horizon)
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(began == ended for began, ended in ran)
    assert [began // 600 - NOON // 600 for began, _ in ran] == [0, 1, 2]
    file.close()
