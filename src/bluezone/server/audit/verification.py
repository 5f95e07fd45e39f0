"""Whether the chains are whole, and the signed anchors that a whole rewritten chain does not fit.

A chain proves that nothing within it was changed, and nothing about its end: who can write the
database can compute a whole new one. So the heads of all chains are signed every day and published;
whoever kept such an anchor sees that the chain no longer goes through it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.envelope import EnvelopeError, parse, read_payload, seal, verify
from bluezone.protocol.intervals import vietnam_day
from bluezone.protocol.trust import Role, Trust
from bluezone.server.audit import rules
from bluezone.server.audit.rules import Entry
from bluezone.server.audit.tables import AuditCheck, AuditEntry, AuditHead, AuditStart
from bluezone.server.context import Services
from bluezone.storage.database import Database, upsert
from bluezone.storage.lease import Lease
from bluezone.storage.objects import ObjectMissing, ObjectStore

ANCHOR_OBJECT: Final = "audit.json"
ANCHORS: Final = "audit/"  # one for each day
_TAG: Final = b"BZ1-AUDIT-ANCHOR"
_VERSION: Final = 1
_AT_ONCE: Final = 1000  # entries between two looks of the event loop at others


class AnchorError(ValueError):
    """A file is no anchor of this installation."""


class AuditBroken(Exception):  # noqa: N818
    """The chains are not whole: nothing is signed. `breaks` says where."""

    def __init__(self, breaks: "tuple[Break, ...]") -> None:
        super().__init__("; ".join(one.sentence for one in breaks))
        self.breaks = breaks


class Fault(StrEnum):
    """What is wrong at an entry."""

    MISSING = "missing"  # there is none of this number
    CHANGED = "changed"  # its digest is not that of its fields
    NOT_FOLLOWING = "not-following"  # it follows another entry than the one before it
    HEAD = "head"  # the chain's head is another entry, or none
    START = "start"  # the beginning was cut off, and no anchor says that this was due
    REWRITTEN = "rewritten"  # an anchor was signed over another entry of this number


_SENTENCES: Final = {
    Fault.MISSING: "entry {n} is missing",
    Fault.CHANGED: "entry {n} was changed, or stands in another place than it was written",
    Fault.NOT_FOLLOWING: "entry {n} does not follow the entry before it: one of them was exchanged",
    Fault.HEAD: "the head of the chain is not its last entry, {n}",
    Fault.START: "the entries up to {n} were cut off, and no signed anchor says so",
    Fault.REWRITTEN: "entry {n} is not the one that an anchor was signed over",
}


@dataclass(frozen=True, slots=True)
class Break:
    """The first place at which a chain does not hold."""

    chain: str
    sequence: int
    fault: Fault

    @property
    def sentence(self) -> str:
        return f"chain {self.chain}: {_SENTENCES[self.fault].format(n=self.sequence)}"


class Point(msgspec.Struct, frozen=True):
    """An entry by its number and digest."""

    sequence: int
    digest: bytes


class Anchor(msgspec.Struct, frozen=True):
    """The ends of all chains at one time, and where each begins."""

    version: int
    at: int
    heads: dict[str, Point]
    starts: dict[str, Point]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of one chain."""

    chain: str
    entries: int
    broken: Break | None


Progress = Callable[[str, int, int], None]  # chain, entries done, entries in all


async def verify_all(
    database: Database,
    anchors: Iterable[Anchor] = (),
    progress: Progress | None = None,
    lease: Lease | None = None,
) -> list[Checked]:
    """Go through every entry of every chain, and hold the chains against anchors.

    `lease`: kept meanwhile. Raises LeaseLost.
    """
    known = sorted(anchors, key=lambda one: one.at)
    async with database.read() as session:
        names = {
            *await session.scalars(select(AuditEntry.chain).distinct()),
            *await session.scalars(select(AuditHead.chain)),
            *await session.scalars(select(AuditStart.chain)),
            *(chain for one in known for chain, head in one.heads.items() if head.sequence),
        }
    return [await _verify(database, chain, known, progress, lease) for chain in sorted(names)]


async def _verify(
    database: Database,
    chain: str,
    anchors: list[Anchor],
    progress: Progress | None,
    lease: Lease | None,
) -> Checked:
    async with database.read() as session:
        head = await session.get(AuditHead, chain)
        start = await session.get(AuditStart, chain)
    expected: dict[int, set[bytes]] = {}
    for one in anchors:
        for point in filter(None, (one.heads.get(chain), one.starts.get(chain))):
            expected.setdefault(point.sequence, set()).add(point.digest)
    end = head.sequence if head else 0
    last = Point(start.sequence, start.digest) if start else Point(0, rules.FIRST)
    begin = last.sequence
    broken = _start_fault(chain, last, anchors)
    while broken is None and last.sequence < end:
        async with database.read() as session:
            rows = await session.scalars(
                select(AuditEntry)
                .where(
                    AuditEntry.chain == chain,
                    AuditEntry.sequence > last.sequence,
                    AuditEntry.sequence <= end,
                )
                .order_by(AuditEntry.sequence)
                .limit(_AT_ONCE)
            )
            batch = rows.all()
        if not batch:
            broken = Break(chain, last.sequence + 1, Fault.MISSING)
        for row in batch:
            broken = _fault(row, last, expected)
            if broken is not None:
                break
            last = Point(row.sequence, row.digest)
        if progress is not None:
            progress(chain, last.sequence - begin, end - begin)
        if lease is not None:
            await lease.keep()
    if broken is None:
        broken = await _end_fault(database, chain, head, last, expected)
    return Checked(chain, last.sequence - begin, broken)


def _start_fault(chain: str, start: Point, anchors: list[Anchor]) -> Break | None:
    """Entries may be missing before `start` only if the newest anchor has announced it."""
    if not start.sequence:
        return None
    announced = anchors[-1].starts.get(chain) if anchors else None
    if announced is None or start.sequence > announced.sequence:
        return Break(chain, start.sequence, Fault.START)
    if start.sequence == announced.sequence and start.digest != announced.digest:
        return Break(chain, start.sequence, Fault.REWRITTEN)
    return None


def _fault(row: AuditEntry, last: Point, expected: Mapping[int, set[bytes]]) -> Break | None:
    sequence = last.sequence + 1
    if row.sequence != sequence:
        return Break(row.chain, sequence, Fault.MISSING)
    entry = Entry(
        row.at,
        row.account_id,
        row.account_name,
        row.unit,
        row.action,
        row.subject,
        row.purpose,
        row.detail,
    )
    if rules.digest(row.chain, row.sequence, entry, row.previous) != row.digest:
        return Break(row.chain, sequence, Fault.CHANGED)
    if row.previous != last.digest:
        return Break(row.chain, sequence, Fault.NOT_FOLLOWING)
    if expected.get(sequence, {row.digest}) != {row.digest}:
        return Break(row.chain, sequence, Fault.REWRITTEN)
    return None


async def _end_fault(
    database: Database,
    chain: str,
    head: AuditHead | None,
    last: Point,
    expected: Mapping[int, set[bytes]],
) -> Break | None:
    if head is not None and (head.sequence, head.digest) != (last.sequence, last.digest):
        return Break(chain, last.sequence, Fault.HEAD)
    async with database.read() as session:  # one snapshot: somebody may have appended since
        now = await session.get(AuditHead, chain)
        longest = await session.scalar(
            select(func.max(AuditEntry.sequence)).where(AuditEntry.chain == chain)
        )
    if (now.sequence if now else 0) < (longest or 0):
        return Break(chain, longest or 0, Fault.HEAD)
    beyond = min((number for number in expected if number > last.sequence), default=None)
    if beyond is not None:
        return Break(chain, last.sequence + 1, Fault.MISSING)
    return None


# --- anchors ---------------------------------------------------------------------------
async def make_anchor(
    services: Services,
    anchors: Iterable[Anchor] = (),
    progress: Progress | None = None,
    lease: Lease | None = None,
) -> bytes:
    """Verify everything, and sign the ends. Raises AuditBroken, KeyUnavailable, LeaseLost.

    `anchors` are held against the chains, beside the newest one that the service published;
    `lease` is kept meanwhile.
    """
    known = [*anchors, *await published(services.objects)]
    checked = await verify_all(services.database, known, progress, lease)
    await _remember(services, checked)
    breaks = tuple(one.broken for one in checked if one.broken)
    if breaks:
        raise AuditBroken(breaks)
    anchor = await _ends(services)
    key = services.keys.signing(Role.AUDIT, services.now)
    return seal(_TAG, msgspec.json.encode(anchor), key.key_id, key.private_key)


async def daily(services: Services, lease: Lease) -> None:
    """Verify, sign and publish the ends of all chains, then delete what has had its time.

    In this order: the anchor announces what is deleted, so that a beginning cut off by anybody
    else is seen. Raises AuditBroken.
    """
    document = await make_anchor(services, lease=lease)
    day = vietnam_day(services.now).isoformat()
    await services.objects.put(f"{ANCHORS}{day}.json", document)
    await services.objects.put(ANCHOR_OBJECT, document)
    async with services.database.transaction() as session:
        await lease.confirm(session)
        for chain, start in _read(document).starts.items():
            await session.execute(
                delete(AuditEntry).where(
                    AuditEntry.chain == chain, AuditEntry.sequence <= start.sequence
                )
            )
            values = {"sequence": start.sequence, "digest": start.digest}
            await session.execute(
                upsert(session, AuditStart)
                .values(chain=chain, **values)
                .on_conflict_do_update(index_elements=[AuditStart.chain], set_=values)
            )


async def published(objects: ObjectStore) -> list[Anchor]:
    """The newest anchor that this installation published, if there is one.

    Its signature is not looked at: it lies beside the keys. Whoever does not trust this machine
    brings an anchor of their own.
    """
    try:
        return [_read(await objects.get(ANCHOR_OBJECT))]
    except ObjectMissing:
        return []


def read_anchor(document: bytes, trust: Trust) -> Anchor:
    """An anchor that was signed by this installation. Raises AnchorError."""
    try:
        envelope = parse(document)
        at = _read(document).at
        verify(_TAG, envelope, trust.ec_key(Role.AUDIT, envelope.key_id, at))
    except EnvelopeError as error:
        raise AnchorError(f"this is not an anchor that can be relied on: {error}") from error
    return _read(document)


def _read(document: bytes) -> Anchor:
    return read_payload(parse(document).payload, Anchor, _VERSION)


async def _ends(services: Services) -> Anchor:
    async with services.database.read() as session:
        heads = {
            row.chain: Point(row.sequence, row.digest)
            for row in await session.scalars(select(AuditHead))
        }
        starts = {
            row.chain: Point(row.sequence, row.digest)
            for row in await session.scalars(select(AuditStart))
        }
        for chain in heads:
            due = await _due(session, chain, services.now - rules.KEPT_SECONDS)
            if due is not None:
                starts[chain] = due
    return Anchor(_VERSION, services.now, heads, starts)


async def _due(session: AsyncSession, chain: str, before: int) -> Point | None:
    """The last entry of a chain that has had its time."""
    sequence = await session.scalar(
        select(func.max(AuditEntry.sequence)).where(
            AuditEntry.chain == chain, AuditEntry.at < before
        )
    )
    row = await session.get(AuditEntry, (chain, sequence)) if sequence else None
    return Point(row.sequence, row.digest) if row else None


async def _remember(services: Services, checked: list[Checked]) -> None:
    async with services.database.transaction() as session:
        for one in checked:
            values = {
                "at": services.now,
                "entries": one.entries,
                "fault": one.broken.fault.value if one.broken else "",
                "sequence": one.broken.sequence if one.broken else 0,
            }
            await session.execute(
                upsert(session, AuditCheck)
                .values(chain=one.chain, **values)
                .on_conflict_do_update(index_elements=[AuditCheck.chain], set_=values)
            )
