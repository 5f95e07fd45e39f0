"""A lease is held once, survives its owner by its term only, and guards a late commit."""

import asyncio

import pytest

from bluezone.clock import ManualClock
from bluezone.storage import database as storage
from bluezone.storage.database import Database
from bluezone.storage.lease import LEASE_SECONDS, Lease, LeaseLost


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_610_000_000)


async def test_one_of_many_gets_it(database: Database, clock: ManualClock) -> None:
    leases = [Lease(database, clock, "export") for _ in range(8)]
    taken = await asyncio.gather(*(lease.acquire() for lease in leases))
    assert sum(taken) == 1


async def test_names_are_independent(database: Database, clock: ManualClock) -> None:
    assert await Lease(database, clock, "export").acquire()
    assert await Lease(database, clock, "retention").acquire()


async def test_the_owner_may_take_it_again(database: Database, clock: ManualClock) -> None:
    lease = Lease(database, clock, "export")
    assert await lease.acquire()
    assert await lease.acquire()


async def test_a_dead_owner_keeps_it_for_its_term_only(
    database: Database, clock: ManualClock
) -> None:
    dead, other = Lease(database, clock, "export"), Lease(database, clock, "export")
    assert await dead.acquire()
    clock.advance(LEASE_SECONDS - 1)
    assert not await other.acquire()
    clock.advance(1)
    assert await other.acquire()


async def test_released_is_free_at_once(database: Database, clock: ManualClock) -> None:
    first, second = Lease(database, clock, "export"), Lease(database, clock, "export")
    await first.acquire()
    await second.release()  # not the owner: nothing happens
    assert not await second.acquire()
    await first.release()
    assert await second.acquire()


async def test_a_sleeper_cannot_commit_after_losing_it(
    database: Database, clock: ManualClock
) -> None:
    sleeper, other = Lease(database, clock, "export"), Lease(database, clock, "export")
    await sleeper.acquire()
    clock.advance(LEASE_SECONDS)
    await other.acquire()
    with pytest.raises(LeaseLost):
        async with database.transaction() as session:
            await sleeper.confirm(session)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever meets a lock that nobody gives back fails after this long.

    A pass of the garbage collector on a busy machine takes seconds too, and is no fault.
    """
    monkeypatch.setattr(storage, "_WAIT_SECONDS", 20)


@pytest.mark.usefixtures("patience")  # before the database is opened
async def test_cancelled_while_it_is_taken_it_locks_nobody_out(
    database: Database, clock: ManualClock
) -> None:
    cancelled = []  # whose frames keep alive what they were at
    for tenths in range(100):
        clock.advance(LEASE_SECONDS)  # so that it is written each time
        taking = asyncio.create_task(Lease(database, clock, "export").acquire())
        await asyncio.sleep(tenths * 1e-4)
        taking.cancel()
        try:
            await taking
        except asyncio.CancelledError as error:
            cancelled.append(error)
        assert await Lease(database, clock, f"other-{tenths}").acquire()
    assert cancelled


async def test_keeping_extends_it_without_other_work(
    database: Database, clock: ManualClock
) -> None:
    owner, other = Lease(database, clock, "export"), Lease(database, clock, "export")
    await owner.acquire()
    for _ in range(5):
        clock.advance(LEASE_SECONDS - 1)
        await owner.keep()
    assert not await other.acquire()
    clock.advance(LEASE_SECONDS)
    assert await other.acquire()
    with pytest.raises(LeaseLost):
        await owner.keep()


async def test_confirming_extends_it(database: Database, clock: ManualClock) -> None:
    owner, other = Lease(database, clock, "export"), Lease(database, clock, "export")
    await owner.acquire()
    clock.advance(LEASE_SECONDS - 1)
    async with database.transaction() as session:
        await owner.confirm(session)
    clock.advance(LEASE_SECONDS - 1)
    assert not await other.acquire()
