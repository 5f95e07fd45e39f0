"""The export job: every key in one file, after its embargo, hidden among padding."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bluezone.protocol.deployment import EMBARGO_SECONDS
from bluezone.protocol.intervals import interval_number
from bluezone.server.diagnosis import publication
from bluezone.server.diagnosis.publication import export_keys
from bluezone.server.diagnosis.retention import delete_expired
from bluezone.server.downloads import EXPORTS
from bluezone.storage.lease import LeaseLost
from tests.server.diagnosis.fuse import Fuse, with_fuse
from tests.server.diagnosis.installation import NOON, Service


def raw(files: Sequence[Sequence[Any]]) -> list[bytes]:
    return [one.tek.key for keys in files for one in keys]


async def hours(service: Service, count: int) -> None:
    for _ in range(count):
        service.clock.advance(3600)
        await service.run(export_keys)


async def test_old_keys_at_the_next_hour_and_todays_after_the_embargo(service: Service) -> None:
    report = await service.report(service.keys())
    yesterday_and_before = {one.tek.key for one in report.keys[:-1]}
    today = report.keys[-1].tek
    await service.run(export_keys)
    assert await service.published() == []
    await hours(service, 1)
    published = set(raw(await service.published()))
    assert yesterday_and_before <= published
    assert today.key not in published
    while today.key not in published:
        await hours(service, 1)
        published = set(raw(await service.published()))
        assert service.clock.now() < today.end_time + EMBARGO_SECONDS + 2 * 3600
    assert service.clock.now() >= today.end_time + EMBARGO_SECONDS


async def test_every_key_is_published_once_and_padding_ends(service: Service) -> None:
    reports = [await service.report(service.keys(onset=18_645)) for _ in range(3)]
    await hours(service, 2)
    reports.append(await service.report(service.keys(days=5)))
    await hours(service, 30)
    files = await service.published()
    counted = Counter(raw(files))
    assert set(counted.values()) == {1}
    assert {one.tek.key for report in reports for one in report.keys} <= set(counted)
    assert set(counted) == set(await service.stored())
    # Only new phones bring padding; the later keys of padding do not bring more of it.
    assert (await service.index()).files[-1].released_at <= service.clock.now() - 3600 * 3


async def test_padding_hides_how_many_reported(service: Service) -> None:
    await service.report(service.keys())
    await hours(service, 1)
    [file] = await service.published()
    assert 200 <= len(file) <= 200 + 20 + 4 * 16
    assert all(one.tek.end_time + EMBARGO_SECONDS <= service.clock.now() for one in file)
    rows = (await service.stored()).values()
    assert {row.chain for row in rows} == {None}, "nobody can tell any more what came together"


async def test_an_hour_without_reports_refreshes_the_signed_time_alone(service: Service) -> None:
    await hours(service, 1)
    first = await service.index()
    await hours(service, 1)
    second = await service.index()
    assert second.files == first.files == ()
    assert second.sequence > first.sequence
    assert second.issued_at == service.clock.now()
    assert second.next_at == NOON + 3 * 3600
    assert second.expires_at > second.next_at + second.spread_seconds


async def test_run_again_within_the_hour_repeats_nothing(service: Service) -> None:
    await service.report(service.keys())
    await hours(service, 1)
    before = await service.index()
    await service.run(export_keys)
    assert (await service.index()).files == before.files


async def test_hours_of_downtime_are_caught_up_in_one_run(service: Service) -> None:
    await service.report(service.keys())
    await hours(service, 1)
    later = await service.report(service.keys(days=2))
    service.clock.advance(9 * 3600)
    await service.run(export_keys)
    batches = await service.batches()
    assert [(one.start, one.end) for one in batches] == [
        (NOON, NOON + 3600),
        (NOON + 3600, NOON + 10 * 3600),
    ]
    assert {one.tek.key for one in later.keys} <= set(raw(await service.published()))


async def test_files_of_the_year_are_gone_after_a_fortnight_from_list_and_disk(
    service: Service,
) -> None:
    await service.report(service.keys())
    await hours(service, 5)
    files = len(await service.services.objects.list(EXPORTS))
    assert files >= 2
    stored = len(await service.stored())
    service.clock.advance(16 * 86400)
    deleted = await service.run(delete_expired)
    assert deleted.keys == stored
    assert (deleted.codes, deleted.files, deleted.batches) == (1, files, files)
    await hours(service, 1)
    assert await service.stored() == {}
    assert await service.services.objects.list(EXPORTS) == []
    assert (await service.index()).files == ()
    assert await service.run(delete_expired) == type(deleted)(0, 0, 0, 0)


async def test_retention_keeps_what_is_young(service: Service) -> None:
    await service.report(service.keys())
    await hours(service, 5)
    before = await service.stored()
    deleted = await service.run(delete_expired)
    assert (deleted.codes, deleted.keys, deleted.files, deleted.batches) == (0, 0, 0, 0)
    service.clock.advance(86400)
    deleted = await service.run(delete_expired)
    oldest = (interval_number(service.clock.now()) // 144 - 15) * 144
    assert deleted.keys == sum(row.rolling_start < oldest for row in before.values())
    assert deleted.codes == 1, "a code is forgotten a day after it expired"


# --- death between any two steps -------------------------------------------------------
class Killed(Exception):  # noqa: N818
    """Stands for the end of the process: nothing after it runs."""


def die() -> None:
    raise Killed


async def test_killed_between_any_two_steps_no_key_is_lost_or_repeated(service: Service) -> None:
    expected: set[bytes] = set()
    steps, survived = 0, False
    while not survived:
        steps += 1
        report = await service.report(service.keys(days=3))
        # Soon after midnight (UTC), yesterday's key is under its embargo too.
        expected |= {one.tek.key for one in report.keys[:-2]}
        service.clock.advance(3600)
        mortal = with_fuse(service.services, Fuse(steps, die))
        try:
            await service.run(export_keys, mortal)
            survived = True
        except Killed:
            # Whatever a phone finds now is whole; then the next process comes.
            if await service.services.objects.exists("index.json"):
                await service.published()
            await service.run(export_keys)
        counted = Counter(raw(await service.published()))
        assert set(counted.values()) == {1}
        assert expected <= set(counted)
        assert len(await service.services.objects.list(EXPORTS)) == len(
            (await service.index()).files
        )
    assert steps > 8, "the fuse burnt at too few steps to be believed"


async def test_two_processes_at_once_publish_once(service: Service) -> None:
    """A process that slept through its lease wakes up in the middle of another's run."""
    report = await service.report(service.keys(days=2))
    service.clock.advance(3600)
    sleeper = service.lease("job:test")
    assert await sleeper.acquire()
    await publication._plan(service.services, sleeper)
    [batch] = await service.batches()
    service.clock.advance(200)
    await service.run(export_keys)
    with pytest.raises(LeaseLost):
        await publication._build(service.services, sleeper, batch)
    await service.run(export_keys)
    counted = Counter(raw(await service.published()))
    assert set(counted.values()) == {1}
    assert {one.tek.key for one in report.keys[:-1]} <= set(counted)


async def test_a_process_that_slept_removes_no_file_that_another_has_published(
    service: Service,
) -> None:
    await service.report(service.keys(days=2))
    service.clock.advance(3600)
    sleeper = service.lease("job:test")
    assert await sleeper.acquire()

    class Sleeping:
        """The sleeper's store: while it lists, another process does the whole job."""

        async def list(self, prefix: str) -> Sequence[str]:
            service.clock.advance(200)
            await service.run(export_keys)
            return await service.services.objects.list(prefix)

        delete = service.services.objects.delete

    services = replace(service.services, objects=Sleeping())  # type: ignore[arg-type]
    with pytest.raises(LeaseLost):
        await publication._remove_strays(services, sleeper)
    assert len(await service.published()) == 1
