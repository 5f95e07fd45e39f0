"""Periodic work: one loop sleeping on the clock, each job under a lease, none forgotten.

Time is cut into slots of a job's period, counted from 1970. A job is due when no run that
began in the current slot has finished; after downtime it runs once, at once, and looks for itself
what it missed.
"""

import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.server.context import Services
from bluezone.storage.database import Base, upsert
from bluezone.storage.lease import LEASE_SECONDS, Lease, LeaseLost, acquire_all, release_all_in

RETRY_SECONDS: Final = 60  # after a failure, or while another process holds the lease
_QUICK_SECONDS: Final = 5  # a job that takes no longer keeps no other waiting
_LOOK_SECONDS: Final = 900  # look at the clock this often: the machine may sleep, or be set

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """`function(services, lease)`, once in each slot of `period` seconds.

    It must be repeatable: a process may die after any statement. A transaction that two
    processes must not both finish calls `await lease.confirm(session)`.
    """

    name: str
    period: int
    function: Callable[[Services, Lease], Awaitable[None]]


class JobRun(Base):
    """When the last finished run of a job began: shared by all processes, kept over restarts."""

    __tablename__ = "job_runs"

    name: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[int]


class Scheduler:
    """The one sleeper on the clock: a driven clock waits for what it does (clock/driven.py)."""

    def __init__(self, services: Services, jobs: Iterable[Job]) -> None:
        self._services = services
        self._jobs = {job.name: job for job in jobs}
        self._leases = {
            name: Lease(services.database, services.clock, f"job:{name}") for name in self._jobs
        }
        self._seconds: dict[str, float] = {}  # that the last run took, of those that did not fail

    async def run(self) -> None:
        """Run what is due, sleep until more is; until cancelled."""
        while True:
            await self._sleep_until(await self.run_due())

    async def _sleep_until(self, wake_at: float) -> None:
        clock = self._services.clock
        before = now = clock.now()
        while before <= now < wake_at:  # or the clock was set back
            await clock.sleep(min(wake_at - now, _LOOK_SECONDS))
            before, now = now, clock.now()

    async def run_due(self) -> float:
        """One round: run each job that is due. Returns the time of the next round."""
        now = self._services.clock.now()
        try:
            last = await self._last_runs()
        except Exception as error:  # whatever it is, keys must be published once it is gone
            _log.error("jobs wait for the database", exc_info=error)
            return now + RETRY_SECONDS
        wake_at = math.inf
        due: list[Job] = []
        for job in self._jobs.values():
            last_run = last.get(job.name, 0)
            # A job that is never done cannot say so itself; a time that stands still does.
            self._services.metrics.job_last_run.labels(job.name).set(last_run)
            if _slot(job, last_run) < _slot(job, now):
                due.append(job)
            wake_at = min(wake_at, (_slot(job, now) + 1) * job.period)
        for batch in self._batches(due):
            if not await self._do(batch):
                wake_at = min(wake_at, self._services.clock.now() + RETRY_SECONDS)
        if due:
            await self._forget_deleted()
        return wake_at

    def _batches(self, due: Iterable[Job]) -> Iterator[list[Job]]:
        """All together that took no time when they last ran, then each of the others alone.

        Leases of a batch are taken, and its runs written down, together: most jobs find nothing to
        do, and that costs less than a transaction. Behind a long or failing one nothing waits to
        be written down.
        """
        quick: list[Job] = []
        others: list[Job] = []
        for job in due:
            is_quick = self._seconds.get(job.name, math.inf) < _QUICK_SECONDS
            (quick if is_quick else others).append(job)
        if quick:
            yield quick
        for job in others:
            yield [job]

    async def run_once(self, name: str) -> bool:
        """Run a job now, due or not. False if it failed or another process is at it.

        Raises KeyError for an unknown name.
        """
        done = await self._do([self._jobs[name]])
        await self._forget_deleted()
        return done

    async def _do(self, jobs: Sequence[Job]) -> bool:
        """Run jobs one after the other, each under its lease; whether all are done.

        Once half of a lease's term is over, because one of them took long this time, the rest is
        left to the next round: another process may be at it.
        """
        clock = self._services.clock
        began = clock.now()
        try:
            taken = await acquire_all([self._leases[job.name] for job in jobs])
        except Exception as error:
            _log.error("jobs wait for the database", exc_info=error)
            return False
        finished: dict[str, int] = {}  # and when the run began
        recorded: set[str] = set()
        try:
            for job in jobs:
                started = clock.now()
                if started - began > LEASE_SECONDS / 2:
                    break
                if self._leases[job.name] in taken and await self._run(job):
                    finished[job.name] = int(started)
        finally:
            if taken:
                recorded = await self._record(finished, taken)
        return len(recorded) == len(jobs)

    async def _run(self, job: Job) -> bool:
        clock = self._services.clock
        started = clock.now()
        self._seconds.pop(job.name, None)
        try:
            await job.function(self._services, self._leases[job.name])
        except LeaseLost:
            _log.error("job lost its lease", job=job.name)
        except Exception as error:
            _log.error("job failed", job=job.name, exc_info=error)
        else:
            self._seconds[job.name] = clock.now() - started
            lag = clock.now() - _slot(job, started) * job.period
            self._services.metrics.job_lag.labels(job.name).set(lag)
            return True
        self._services.metrics.job_runs.labels(job.name, "failed").inc()
        return False

    async def _record(self, finished: Mapping[str, int], taken: Sequence[Lease]) -> set[str]:
        """Give leases back, and write down the runs whose lease was still held: their names."""
        metrics = self._services.metrics
        recorded: set[str] = set()
        try:
            async with self._services.database.transaction() as session:
                held = await release_all_in(session, taken)
                rows = [
                    {"name": name, "started_at": started}
                    for name, started in finished.items()
                    if self._leases[name] in held
                ]
                if rows:
                    statement = upsert(session, JobRun)
                    await session.execute(
                        statement.on_conflict_do_update(
                            index_elements=[JobRun.name],
                            set_={"started_at": statement.excluded.started_at},
                        ),
                        rows,
                    )
            recorded = {str(row["name"]) for row in rows}
        except Exception as error:  # then the leases run out
            _log.error("jobs wait for the database", exc_info=error)
        if lost := finished.keys() - recorded:
            _log.error("jobs lost their leases, or could not be written down", jobs=sorted(lost))
        for name, started in finished.items():
            if name in recorded:
                metrics.job_last_run.labels(name).set(started)
            metrics.job_runs.labels(name, "done" if name in recorded else "failed").inc()
        return recorded

    async def _last_runs(self) -> dict[str, int]:
        async with self._services.database.read() as session:
            rows = await session.execute(select(JobRun.name, JobRun.started_at))
            return {name: started_at for name, started_at in rows}

    async def _forget_deleted(self) -> None:
        """What the jobs of a round deleted leaves the database's log too."""
        try:
            await self._services.database.forget_deleted()
        except Exception as error:  # the next round does it
            _log.error("the database's log was not emptied", exc_info=error)


def _slot(job: Job, time: float) -> int:
    return int(time // job.period)
