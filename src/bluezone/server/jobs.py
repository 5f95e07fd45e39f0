"""Periodic work: one loop sleeping on the clock, each job under a lease, none forgotten.

Time is cut into slots of a job's period, counted from 1970. A job is due when no run that
began in the current slot has finished; after downtime it runs once, at once, and looks for itself
what it missed.
"""

import math
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from bluezone.server.context import Services
from bluezone.storage.database import Base, StorageUnavailable, upsert
from bluezone.storage.lease import Lease, LeaseLost

RETRY_SECONDS: Final = 60  # after a failure, or while another process holds the lease
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
        wake_at = math.inf
        ran = False
        try:
            last = await self._last_runs()
        except Exception as error:  # whatever it is, keys must be published once it is gone
            _log.error("jobs wait for the database", exc_info=error)
            return now + RETRY_SECONDS
        for job in self._jobs.values():
            last_run = last.get(job.name, 0)
            # A job that is never done cannot say so itself; a time that stands still does.
            self._services.metrics.job_last_run.labels(job.name).set(last_run)
            if _slot(job, last_run) < _slot(job, now):
                ran = True
                if not await self._run(job.name):
                    wake_at = min(wake_at, now + RETRY_SECONDS)
            wake_at = min(wake_at, (_slot(job, now) + 1) * job.period)
        if ran:
            await self._forget_deleted()
        return wake_at

    async def run_once(self, name: str) -> bool:
        """Run a job now, due or not. False if it failed or another process is at it.

        Raises KeyError for an unknown name.
        """
        done = await self._run(name)
        await self._forget_deleted()
        return done

    async def _run(self, name: str) -> bool:
        job, lease = self._jobs[name], self._leases[name]
        started = self._services.clock.now()
        try:
            if not await lease.acquire():
                return False
            try:
                await job.function(self._services, lease)
                await self._finish(job, lease, int(started))
            except BaseException:
                with suppress(StorageUnavailable):  # then it runs out
                    await lease.release()
                raise
        except LeaseLost:
            _log.error("job lost its lease", job=name)
            outcome = "failed"
        except Exception as error:
            _log.error("job failed", job=name, exc_info=error)
            outcome = "failed"
        else:
            outcome = "done"
            lag = self._services.clock.now() - _slot(job, started) * job.period
            self._services.metrics.job_lag.labels(name).set(lag)
            self._services.metrics.job_last_run.labels(name).set(started)
        self._services.metrics.job_runs.labels(name, outcome).inc()
        return outcome == "done"

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

    async def _finish(self, job: Job, lease: Lease, started: int) -> None:
        async with self._services.database.transaction() as session:
            done = {"started_at": started}
            statement = upsert(session, JobRun).values(name=job.name, **done)
            await session.execute(
                statement.on_conflict_do_update(index_elements=[JobRun.name], set_=done)
            )
            await lease.release_in(session)


def _slot(job: Job, time: float) -> int:
    return int(time // job.period)
