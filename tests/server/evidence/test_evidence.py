"""Commitments and claims at the service: taken in alike, sealed, checked once, gone in time."""

import asyncio
import io
import logging
import os
from collections.abc import Iterator

import httpx
import msgspec
import numpy as np
import pytest
import structlog
from sqlalchemy import func, select

from bluezone.clock import ManualClock
from bluezone.protocol.claim import Claim, ClaimedDay
from bluezone.protocol.commitment import (
    CommittedDay,
    NightlyCommitment,
    OpenedLeaf,
    key_content,
    sighting_contents,
)
from bluezone.protocol.confirmation import Flag, Label
from bluezone.protocol.handover import MAX_DETAILS_BYTES
from bluezone.protocol.keys import TemporaryExposureKey
from bluezone.protocol.sightings import SCAN_RECORD
from bluezone.server.context import Services
from bluezone.server.evidence import rules, service
from bluezone.server.evidence.routes import COMMITMENTS
from bluezone.server.evidence.tables import Commitment, EvidenceClaim, UsedEvidence
from bluezone.server.logging import configure_logging
from bluezone.web.catalogue import translate
from tests.server.conftest import NOON, RunJob
from tests.server.tracing.conftest import answer, ask, details, send

SECRET = bytes(range(16))
TODAY = NOON // 86_400
OWN = TemporaryExposureKey(b"own key of today", TODAY * 144)
BODY = msgspec.json.encode(NightlyCommitment(bytes(range(32))))


def claim(tree_secret: bytes = bytes(32)) -> tuple[Claim, CommittedDay]:
    """A phone's own key and one sighting of nobody, opened."""
    heard = np.zeros(2, SCAN_RECORD)
    heard["rpi"], heard["time"] = np.void(b"r" * 16), [NOON, NOON + 240]
    heard["trusted_clock"] = True
    contents = [key_content(OWN, [-8]), *sighting_contents(heard)]
    tree = CommittedDay.of(TODAY, tree_secret, contents)
    day = ClaimedDay(day=TODAY, leaves=tree.open(contents))
    return Claim(published=[b"p" * 16], days=[day]), tree


async def commitments(services: Services) -> list[tuple[bytes, int]]:
    async with services.database.read() as session:
        rows = await session.scalars(select(Commitment))
        return [(row.commitment, row.hour) for row in rows]


async def post(client: httpx.AsyncClient, body: bytes) -> httpx.Response:
    return await client.post("/v1/commitments", content=body)


# --- commitments -----------------------------------------------------------------------------
async def test_a_commitment_is_kept_once_with_the_hour_it_first_came(
    client: httpx.AsyncClient, services: Services, clock: ManualClock
) -> None:
    clock.advance(1234)
    first = await post(client, BODY)
    assert (first.status_code, first.json()) == (200, {"status": "accepted"})
    clock.advance(3 * 3600)
    several = await asyncio.gather(*(post(client, BODY) for _ in range(4)))
    assert {one.content for one in several} == {first.content}
    assert await commitments(services) == [(bytes(range(32)), NOON)]
    # Nothing but the bytes and the hour: no column could hold who sent them.
    assert set(Commitment.__table__.columns.keys()) == {"commitment", "hour"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b'{"commitment":""}', 400),
        (msgspec.json.encode({"commitment": bytes(31)}), 400),
        (msgspec.json.encode({"commitment": bytes(33)}), 400),
        (msgspec.json.encode({"commitment": 7}), 400),
        (msgspec.json.encode({"commitment": bytes(32), "phone": "mine"}), 400),
        (BODY + b" " * 256, 413),
    ],
)
async def test_what_is_no_commitment_is_refused_and_not_kept(
    client: httpx.AsyncClient, services: Services, body: bytes, status: int
) -> None:
    refused = await post(client, body)
    assert refused.status_code == status
    assert set(refused.json()["message"]) == {"vi", "en"}
    assert await commitments(services) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_flood_from_one_address_is_stopped(
    client: httpx.AsyncClient, services: Services
) -> None:
    for _ in range(COMMITMENTS.by_client.burst):
        services.limits.count(COMMITMENTS.by_client, "127.0.0.1")
    assert (await post(client, BODY)).status_code == 429
    COMMITMENTS.spend(services.limits, "203.0.113.9")  # others go on


async def test_commitments_are_gone_after_fifteen_days(
    client: httpx.AsyncClient, services: Services, clock: ManualClock, run_job: RunJob
) -> None:
    await post(client, BODY)
    clock.advance(rules.COMMITMENT_KEPT_SECONDS - 3600)
    await run_job("evidence-retention")
    assert len(await commitments(services)) == 1
    clock.advance(3600)
    await run_job("evidence-retention")
    assert await commitments(services) == []


# --- claims ------------------------------------------------------------------------------------
async def test_a_claim_is_kept_apart_sealed_and_deleted_with_its_check(
    client: httpx.AsyncClient, services: Services, clock: ManualClock, run_job: RunJob
) -> None:
    made, _tree = claim()
    plain = answer(await send(client, details(bytes(16))))
    first = answer(await send(client, details(SECRET, claim=made)))
    assert (first.state, first.message) == (plain.state, plain.message)
    assert answer(await send(client, details(SECRET, claim=made))) == first
    other = await send(client, details(SECRET))  # the same, without the proof
    assert (other.status_code, other.json()["error"]) == (409, "handover-differs")
    handover = details(SECRET).handover
    async with services.database.read() as session:
        row = await session.get(EvidenceClaim, handover)
        assert row is not None
        assert row.claim is not None
        assert OWN.key not in row.claim
        waiting = await service.verdict(session, services, handover)
    assert waiting is not None
    assert waiting.checked_at is None
    clock.advance(900)
    await run_job("evidence-check")
    async with services.database.read() as session:
        row = await session.get(EvidenceClaim, handover)
        done = await service.verdict(session, services, handover)
    assert row is not None
    assert row.claim is None
    assert done is not None
    assert (done.checked_at, done.cases) == (services.now, ()), "of a key that nobody published"
    assert answer(await send(client, details(SECRET, claim=made))) == first
    await run_job("evidence-check")
    async with services.database.read() as session:
        assert await service.verdict(session, services, handover) == done


async def test_a_withdrawn_claim_is_gone_and_does_not_come_back(
    client: httpx.AsyncClient, services: Services, run_job: RunJob
) -> None:
    made, _tree = claim()
    await send(client, details(SECRET, claim=made))
    await ask(client, SECRET, "withdraw")
    await send(client, details(SECRET, claim=made))  # a copy that comes late
    await run_job("evidence-check")
    async with services.database.read() as session:
        assert (await session.scalars(select(EvidenceClaim))).all() == []
        assert (await session.scalars(select(UsedEvidence))).all() == [], "it was never used"


async def test_of_two_claims_at_once_one_has_the_day(
    client: httpx.AsyncClient, services: Services
) -> None:
    made, _tree = claim()
    ids = [bytes([n]) * 16 for n in range(2)]
    for one in ids:
        await send(client, details(one, claim=made))

    async def mark(secret: bytes) -> set[int]:
        async with services.database.transaction() as session:
            row = await session.get(EvidenceClaim, details(secret).handover)
            assert row is not None
            return await service._use(
                session, services.settings.secrets_folder, service.read_claim(made)
            )

    taken = await asyncio.gather(*map(mark, ids))
    assert sorted(map(sorted, taken)) == [[], [TODAY]]


async def test_marks_outlive_the_keys_and_then_go(
    client: httpx.AsyncClient, services: Services, clock: ManualClock, run_job: RunJob
) -> None:
    made, _tree = claim()
    await send(client, details(SECRET, claim=made))
    await run_job("evidence-check")

    async def marks() -> int:
        async with services.database.read() as session:
            return await session.scalar(select(func.count()).select_from(UsedEvidence)) or 0

    assert await marks() == 2  # the key and the commitment
    clock.advance(17 * 86_400)
    await run_job("evidence-retention")
    assert await marks() == 2
    clock.advance(2 * 86_400)
    await run_job("evidence-retention")
    assert await marks() == 0


def _malformed() -> list[Claim]:
    made, _tree = claim()
    (day,) = made.days
    first = day.leaves[0]
    short = msgspec.structs.replace(first, path=first.path[:-1])
    foreign, _ = claim(b"x" * 32)
    bad_days = (
        msgspec.structs.replace(day, leaves=[short]),
        msgspec.structs.replace(day, day=TODAY + 1),
        msgspec.structs.replace(day, leaves=[*day.leaves, *foreign.days[0].leaves]),
        msgspec.structs.replace(day, leaves=[OpenedLeaf(content=b"\x07")]),
    )
    return [msgspec.structs.replace(made, days=[one]) for one in bad_days]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_claim_that_does_not_hold_together_is_refused_whole(
    client: httpx.AsyncClient, services: Services
) -> None:
    for number, made in enumerate(_malformed()):
        refused = await send(client, details(bytes([number]) * 16, claim=made))
        assert (refused.status_code, refused.json()["error"]) == (422, "claim-malformed")
    for body in ({"published": [], "days": []}, {"published": ["AA=="], "days": []}, 7):
        raw = msgspec.to_builtins(details(SECRET)) | {"claim": body}
        refused = await client.post("/v1/handovers/details", json=raw)
        assert refused.status_code == 400
    huge = b'{"note":"' + b"x" * MAX_DETAILS_BYTES + b'"}'
    assert (await client.post("/v1/handovers/details", content=huge)).status_code == 413
    async with services.database.read() as session:
        assert (await session.scalars(select(EvidenceClaim))).all() == []


@pytest.fixture
def log(clock: ManualClock) -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers, root.level
    configure_logging(clock, stream)
    yield stream
    root.handlers, root.level = before
    structlog.reset_defaults()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_one_claim_that_does_not_open_keeps_no_other_waiting(
    client: httpx.AsyncClient,
    services: Services,
    clock: ManualClock,
    run_job: RunJob,
    log: io.StringIO,
) -> None:
    made, _tree = claim()
    await send(client, details(SECRET, claim=made))
    async with services.database.transaction() as session:
        row = await session.get(EvidenceClaim, details(SECRET).handover)
        assert row is not None
        row.claim = os.urandom(len(row.claim or b""))
    clock.advance(60)
    await send(client, details(bytes(16), claim=made))
    await run_job("evidence-check")
    async with services.database.read() as session:
        good = await service.verdict(session, services, details(bytes(16)).handover)
    assert good is not None
    assert good.checked_at is not None
    written = log.getvalue()
    assert "a claim does not open" in written
    for hidden in (OWN.key.hex(), details(SECRET).handover.hex(), "Lan", "127.0.0.1"):
        assert hidden not in written.replace("http://127.0.0.1", "")


def test_the_words_for_every_verdict_are_there_in_both_languages() -> None:
    assert set(rules.LABELS) == set(Label)
    assert set(rules.FLAGS) == set(Flag)
    said = [rules.WHAT_IT_MEANS, rules.WHAT_MISSING_MEANS, *rules.LABELS.values()]
    for message in (*said, *rules.FLAGS.values()):
        assert translate(message, "vi") != translate(message, "en")
    assert "never the sole ground for compulsion" in rules.WHAT_IT_MEANS
    assert rules.WHAT_MISSING_MEANS == "Missing confirmation proves nothing."
