"""Chains that cannot be changed unseen, also by many writers; anchors that it has to fit."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import delete, func, select, text, update

from bluezone.clock import ManualClock
from bluezone.protocol.trust import read_certificates
from bluezone.server.app import open_services
from bluezone.server.audit import rules, service, verification
from bluezone.server.audit.rules import Action, Entry, Purpose
from bluezone.server.audit.tables import AuditCheck, AuditEntry, AuditHead, AuditStart
from bluezone.server.audit.verification import (
    Anchor,
    AnchorError,
    AuditBroken,
    Break,
    Fault,
    make_anchor,
    read_anchor,
    verify_all,
)
from bluezone.server.context import Services
from bluezone.server.keys import TRUST_OBJECT, load_pins
from bluezone.server.people.rules import Grant, Staff, StaffRole
from bluezone.storage.lease import LEASE_SECONDS, Lease
from tests.server.conftest import BA_DINH, LIEN_CHIEU, NOON, RunJob

LAN = Staff(1, "lan", (Grant(StaffRole.HEALTH_WORKER, BA_DINH),))
HOA = Staff(2, "hoa", (Grant(StaffRole.HEALTH_WORKER, LIEN_CHIEU),))


async def write(services: Services, staff: Staff = LAN, times: int = 6, first: int = 1) -> None:
    for number in range(first, first + times):
        async with services.database.transaction() as session:
            await service.record(
                session,
                services,
                staff,
                Action.ADD,
                subject=f"person:{number}",
                purpose=Purpose.CASE,
            )


async def breaks(services: Services, *anchors: Anchor) -> list[Break]:
    found = await verify_all(services.database, anchors)
    return [one.broken for one in found if one.broken]


async def run(services: Services, *statements: Any) -> None:
    async with services.database.transaction() as session:
        for statement in statements:
            await session.execute(statement)


def entry(sequence: int) -> Any:
    return (AuditEntry.chain == "01", AuditEntry.sequence == sequence)


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
async def test_what_takes_long_after_its_entry_holds_up_nobody(services: Services) -> None:
    """Two chains, and two transactions that record in them in opposite orders; on SQLite one
    writer waits for the other anyway."""
    async with services.database.transaction() as session:
        for staff in (LAN, HOA):
            await service.record(session, services, staff, Action.ADD, purpose=Purpose.CASE)
        async with services.database.transaction() as other:
            for staff in (HOA, LAN):
                await service.record(other, services, staff, Action.ADD, purpose=Purpose.CASE)
    assert await breaks(services) == []
    async with services.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(AuditEntry)) == 4


async def test_concurrent_writers_leave_one_unbroken_chain(services: Services) -> None:
    """Two processes' worth of connections, and a transaction in the middle that is given up."""
    other = await open_services(services.settings, services.clock)

    async def give_up() -> None:
        with suppress(RuntimeError):
            async with services.database.transaction() as session:
                await service.record(session, services, LAN, Action.ADD, purpose=Purpose.CASE)
                raise RuntimeError

    await asyncio.gather(
        *(write(parts, LAN, 5, first) for first in (1, 11, 21, 31) for parts in (services, other)),
        write(services, HOA, 5),
        give_up(),
    )
    await other.database.dispose()
    found = await verify_all(services.database)
    assert [(one.chain, one.entries, one.broken) for one in found] == [
        ("01", 40, None),
        ("48", 5, None),
    ]
    async with services.database.read() as session:
        subjects = await session.scalars(select(AuditEntry.subject).where(AuditEntry.chain == "01"))
        assert sorted(subjects) == sorted(
            2 * [f"person:{first + n}" for first in (1, 11, 21, 31) for n in range(5)]
        )


_FIELDS = ("at", "account_id", "account_name", "unit", "action", "subject", "purpose", "detail")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("field", _FIELDS)
async def test_a_change_of_any_field_is_found_where_it_is(services: Services, field: str) -> None:
    await write(services)
    value: Any = 7 if field in ("at", "account_id") else "x"
    await run(services, update(AuditEntry).where(*entry(3)).values({field: value}))
    assert await breaks(services) == [Break("01", 3, Fault.CHANGED)]


def _swap() -> list[Any]:
    def move(one: int, to: int) -> Any:
        return update(AuditEntry).where(*entry(one)).values(sequence=to)

    return [move(2, 99), move(4, 2), move(99, 4)]


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        ([delete(AuditEntry).where(*entry(3))], (3, Fault.MISSING)),
        ([delete(AuditEntry).where(*entry(1))], (1, Fault.MISSING)),
        ([delete(AuditEntry).where(*entry(6))], (6, Fault.MISSING)),
        (_swap(), (2, Fault.CHANGED)),
        # Deleted, and those behind it moved up.
        (
            [
                delete(AuditEntry).where(*entry(3)),
                *(update(AuditEntry).where(*entry(n)).values(sequence=n - 1) for n in (4, 5, 6)),
            ],
            (3, Fault.CHANGED),
        ),
        # Room is made for one more.
        (
            [update(AuditEntry).where(*entry(n)).values(sequence=n + 1) for n in (6, 5, 4)],
            (4, Fault.MISSING),
        ),
        ([update(AuditEntry).where(*entry(3)).values(previous=bytes(32))], (3, Fault.CHANGED)),
        ([update(AuditEntry).where(*entry(3)).values(digest=bytes(32))], (3, Fault.CHANGED)),
        ([update(AuditHead).values(digest=bytes(32))], (6, Fault.HEAD)),
        ([update(AuditHead).values(sequence=5)], (5, Fault.HEAD)),
        ([delete(AuditHead)], (6, Fault.HEAD)),
        # The beginning cut off, as retention would.
        (
            [
                delete(AuditEntry).where(AuditEntry.sequence <= 2),
                text(
                    "INSERT INTO audit_starts (chain, sequence, digest)"
                    " SELECT '01', 2, previous FROM audit_entries WHERE sequence = 3"
                ),
            ],
            (2, Fault.START),
        ),
    ],
)
async def test_what_was_deleted_inserted_or_put_elsewhere_is_found(
    services: Services, statements: list[Any], found: tuple[int, Fault]
) -> None:
    await write(services)
    await run(services, *statements)
    assert await breaks(services) == [Break("01", *found)]


async def _rewrite(services: Services, change: Callable[[list[Entry]], None]) -> None:
    """What somebody does who can write the database and has read this code."""
    async with services.database.transaction() as session:
        rows = (
            await session.scalars(
                select(AuditEntry).where(AuditEntry.chain == "01").order_by(AuditEntry.sequence)
            )
        ).all()
        kept = [Entry(**{name: getattr(row, name) for name in _FIELDS}) for row in rows]
        change(kept)
        await session.execute(delete(AuditEntry).where(AuditEntry.chain == "01"))
        digest = rules.FIRST
        for number, one in enumerate(kept, start=1):
            previous, digest = digest, rules.digest("01", number, one, digest)
            values = {name: getattr(one, name) for name in _FIELDS}
            session.add(
                AuditEntry(chain="01", sequence=number, previous=previous, digest=digest, **values)
            )
        await session.execute(
            update(AuditHead)
            .where(AuditHead.chain == "01")
            .values(sequence=len(kept), digest=digest)
        )


async def _anchor(services: Services) -> Anchor:
    trust = read_certificates(
        await services.objects.get(TRUST_OBJECT), load_pins(services.settings.home)
    )
    return read_anchor(await make_anchor(services), trust)


@pytest.mark.parametrize(
    ("sequence", "fault"),
    [(6, Fault.MISSING), (6, Fault.REWRITTEN)],  # one taken out; one changed
)
async def test_a_whole_new_chain_is_found_by_whoever_kept_an_anchor(
    services: Services, sequence: int, fault: Fault
) -> None:
    await write(services)
    kept = await _anchor(services)
    await write(services, first=7, times=1)
    assert await breaks(services, kept) == []
    async with services.database.transaction() as session:  # takes the seventh away again
        await session.execute(delete(AuditEntry).where(*entry(7)))

    def changed(entries: list[Entry]) -> None:
        if fault is Fault.MISSING:
            entries.pop(2)
        else:
            entries[2] = replace(entries[2], subject="person:9")

    await _rewrite(services, changed)
    assert await breaks(services) == []  # within itself it is whole
    assert await breaks(services, kept) == [Break("01", sequence, fault)]


async def test_a_chain_that_is_gone_altogether_is_missed(services: Services) -> None:
    await write(services)
    await write(services, HOA)
    kept = await _anchor(services)
    await run(
        services,
        delete(AuditEntry).where(AuditEntry.chain == "48"),
        delete(AuditHead).where(AuditHead.chain == "48"),
    )
    assert await breaks(services) == []
    assert await breaks(services, kept) == [Break("48", 1, Fault.MISSING)]


async def test_every_day_an_anchor_is_published_unless_something_is_wrong(
    services: Services, clock: ManualClock, run_job: RunJob
) -> None:
    await write(services)
    await run_job("audit")
    first = await services.objects.get("audit.json")
    assert await services.objects.list("audit/") == ["audit/2021-01-20.json"]
    await run(services, update(AuditEntry).where(*entry(4)).values(detail="x"))
    clock.advance(86_400)
    await run_job("audit")
    assert await services.objects.get("audit.json") == first
    async with services.database.read() as session:
        state = await session.get(AuditCheck, "01")
    assert state is not None
    assert (state.fault, state.sequence, state.at) == ("changed", 4, NOON + 86_400)
    with pytest.raises(AuditBroken, match="chain 01: entry 4 was changed"):
        await make_anchor(services)


async def test_the_lease_is_kept_however_long_the_verification_takes(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(services)
    mine, other = (Lease(services.database, clock, "audit") for _ in range(2))
    look, put = verification._fault, services.objects.put

    def slow(*given: Any) -> Break | None:
        clock.advance(LEASE_SECONDS // 3)
        return look(*given)

    async def published(name: str, content: bytes) -> None:
        assert not await other.acquire(), "somebody else has begun the same"
        await put(name, content)

    monkeypatch.setattr(verification, "_AT_ONCE", 2)
    monkeypatch.setattr(verification, "_fault", slow)
    monkeypatch.setattr(services.objects, "put", published)
    assert await mine.acquire()
    await verification.daily(services, mine)
    assert services.now > NOON + LEASE_SECONDS
    assert await services.objects.list("audit/") != []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_anchor_counts_only_with_our_signature(services: Services) -> None:
    await write(services)
    document = await make_anchor(services)
    trust = read_certificates(
        await services.objects.get(TRUST_OBJECT), load_pins(services.settings.home)
    )
    envelope = msgspec.json.decode(document)
    stranger = ec.generate_private_key(ec.SECP256R1())
    forged = verification.seal(
        verification._TAG,
        verification.parse(document).payload,
        envelope["key_id"],
        stranger,
    )
    other_key = services.keys.signing(verification.Role.ANNOUNCEMENTS, NOON)
    of_news = verification.seal(
        verification._TAG,
        verification.parse(document).payload,
        other_key.key_id,
        other_key.private_key,
    )
    for wrong in (forged, of_news, document[:-9], b"{}", b""):
        with pytest.raises(AnchorError, match="not an anchor"):
            read_anchor(wrong, trust)
    assert read_anchor(document, trust).heads["01"].sequence == 6


async def test_what_has_had_its_time_goes_and_the_rest_still_verifies(
    services: Services, clock: ManualClock, run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "KEPT_SECONDS", 100 * 86_400)
    await write(services)
    clock.advance(60 * 86_400)
    await write(services, first=7)
    clock.advance(50 * 86_400)
    await run_job("audit")
    async with services.database.read() as session:
        left = await session.scalar(select(func.min(AuditEntry.sequence)))
        start = await session.get(AuditStart, "01")
    assert left == 7
    assert start is not None
    assert start.sequence == 6
    published = await verification.published(services.objects)
    assert await breaks(services, *published) == []
    await write(services, first=13)
    await run_job("audit")  # and goes on
    # Somebody else who cuts off more, in the same way, is found.
    await run(
        services,
        text(
            "UPDATE audit_starts SET sequence = 8, digest ="
            " (SELECT digest FROM audit_entries WHERE sequence = 8)"
        ),
        delete(AuditEntry).where(AuditEntry.sequence <= 8),
    )
    published = await verification.published(services.objects)
    assert await breaks(services, *published) == [Break("01", 8, Fault.START)]
