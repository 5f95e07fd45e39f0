"""Leg 2: keys come in under a permission, once, whole, and unlinked."""

import asyncio
import os
import random
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from bluezone.protocol.deployment import EMBARGO_SECONDS, UPLOAD_KEY_SLOTS
from bluezone.protocol.upload import KeyUpload, UploadedKey, encode_upload
from bluezone.server.diagnosis.rules import release_time
from bluezone.server.diagnosis.tables import Code, PublishedKey
from tests.server.diagnosis.installation import Report, Service, slots


async def permitted(service: Service, **keys: Any) -> Report:
    report = service.prepare(service.keys(**keys))
    assert (await service.ask(report, await service.code())).status_code == 200
    return report


async def test_keys_are_stored_with_their_time_of_release(service: Service) -> None:
    report = await service.report(service.keys())
    stored = await service.stored()
    assert stored.keys() == {one.tek.key for one in report.keys}
    for one in report.keys:
        row = stored[one.tek.key]
        assert row.release_at == release_time(one.tek, service.clock.now(), 3600)
        assert row.release_at >= one.tek.end_time + EMBARGO_SECONDS
        assert row.release_at % 3600 == 0


async def test_the_same_upload_again_gets_the_same_answer_and_changes_nothing(
    service: Service,
) -> None:
    report = await permitted(service)
    upload = service.upload(report)
    first = await service.send(upload)
    before = {key: row.release_at for key, row in (await service.stored()).items()}
    service.clock.advance(3 * 3600)
    again = await service.send(upload)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert {key: row.release_at for key, row in (await service.stored()).items()} == before


async def test_a_permission_is_for_its_keys_alone(service: Service) -> None:
    report = await permitted(service)
    others = slots(service.keys())
    response = await service.send(service.upload(report, keys=others))
    assert (response.status_code, response.json()["error"]) == (403, "permission-mismatch")
    fewer = slots(report.keys[:-1])
    assert (await service.send(service.upload(report, keys=fewer))).status_code == 403
    assert await service.stored() == {}


@pytest.mark.parametrize(
    "change",
    [
        {"report_type": 2},
        {"permission_key_id": "permission-of-nobody"},
        {"permission_prefix": bytes(32)},
        {"permission_prefix": b""},
        {"permission_signature": bytes(256)},
        {"permission_signature": b""},
    ],
)
async def test_a_permission_cannot_be_bent(service: Service, change: dict[str, Any]) -> None:
    report = await permitted(service)
    response = await service.send(service.upload(report, **change))
    assert (response.status_code, response.json()["error"]) == (403, "permission-mismatch")
    assert await service.stored() == {}


async def test_the_keys_of_another_phone_stay_as_they_are(service: Service) -> None:
    """Who copies published keys, with a code of their own, can neither change nor re-date them."""
    victim = await service.report(service.keys(onset=None))
    before = {key: release(row) for key, row in (await service.stored()).items()}
    service.clock.advance(4 * 3600)
    thief = service.prepare([*victim.keys[:5], *service.keys(days=0)])
    await service.ask(thief, await service.code(report_type="clinical-diagnosis"))
    copied = [
        msgspec.structs.replace(slot, days_since_onset=slot.rolling_start // 144 - 18_640)
        for slot in slots(thief.keys)[:6]
    ]
    own_and_copied = copied + slots([])[: UPLOAD_KEY_SLOTS - len(copied)]
    assert (await service.send(service.upload(thief, keys=own_and_copied))).status_code == 200
    after = await service.stored()
    assert {key: release(row) for key, row in after.items() if key in before} == before
    assert len(after) == len(before) + 1


def release(row: PublishedKey) -> tuple[int, int, int, int | None, int]:
    return (
        row.rolling_start,
        row.rolling_period,
        row.report_type,
        row.days_since_onset,
        row.release_at,
    )


async def test_bad_keys_are_refused_whole(service: Service) -> None:
    present = service.keys()
    for wrong, error in [
        (present[:3] + present[:1], "keys-repeated"),
        (service.keys(days=0, today=False), "keys-none"),
    ]:
        report = service.prepare(wrong)
        await service.ask(report, await service.code())
        response = await service.send(service.upload(report, keys=slots(wrong)))
        assert (response.status_code, response.json()["error"]) == (422, error)
    assert await service.stored() == {}


async def test_thirty_one_keys(service: Service) -> None:
    upload = service.upload(await permitted(service))
    extra = UploadedKey(key=os.urandom(16), rolling_start=0, rolling_period=0)
    upload = msgspec.structs.replace(upload, keys=[*upload.keys, extra], padding="")
    body = msgspec.json.encode(upload)
    body += b" " * (4096 - len(body))
    response = await service.client.post("/v1/keys", content=body)
    assert (response.status_code, response.json()["error"]) == (422, "keys-count")
    assert "31" not in response.json()["message"]["vi"]


@pytest.mark.parametrize("size", [0, 4095, 4097, 60_000])
async def test_a_body_of_another_size(service: Service, size: int) -> None:
    body = encode_upload(service.upload(await permitted(service)))
    response = await service.client.post("/v1/keys", content=(body + b" " * 60_000)[:size])
    assert (response.status_code, response.json()["error"]) == (400, "body-size")


async def test_no_damage_to_a_body_makes_the_service_stumble(service: Service) -> None:
    """Whatever is changed in a good body, the answer is a refusal or the keys are stored whole."""
    rng = random.Random(20210120)
    upload = service.upload(await permitted(service, days=2))
    good = encode_upload(upload)
    pieces = [b"-", b"9" * 40, b"null", b"1e400", b"{}", b"[]", b'"', b"\\u0000", b"\xff", b"true"]
    for _ in range(150):
        at, piece = rng.randrange(700), rng.choice(pieces)
        body = (good[:at] + piece + good[at + rng.randrange(3) :])[: len(good)]
        body = body[:-2].rstrip(b'0"}') + b'"}' if rng.random() < 0.5 else body
        response = await service.client.post("/v1/keys", content=body.ljust(len(good)))
        assert response.status_code in (200, 400, 403, 422), body[:800]
    assert len(await service.stored()) in (0, 3)


async def test_chaff_looks_the_same_and_leaves_nothing(service: Service) -> None:
    upload = service.upload(await permitted(service))
    chaff = msgspec.structs.replace(upload, chaff=True)
    assert len(encode_upload(chaff)) == len(encode_upload(upload))
    of_chaff = await service.send(chaff)
    assert await service.stored() == {}
    of_keys = await service.send(upload)
    assert (of_chaff.status_code, of_chaff.content) == (of_keys.status_code, of_keys.content)
    assert of_chaff.headers == of_keys.headers


async def test_uploads_at_once_are_all_kept(service: Service) -> None:
    uploads: list[KeyUpload] = []
    for _ in range(8):
        uploads.append(service.upload(await permitted(service, days=3)))
    answers = await asyncio.gather(*(service.send(one) for one in uploads * 2))
    assert {one.status_code for one in answers} == {200}
    assert len(await service.stored()) == 8 * 4


async def test_a_key_row_says_nothing_of_a_code(service: Service) -> None:
    code = await service.code()
    report = service.prepare(service.keys())
    await service.ask(report, code)
    await service.send(service.upload(report))
    async with service.services.database.read() as session:
        [issued] = await session.scalars(select(Code))
        assert await session.scalar(select(func.count()).select_from(PublishedKey)) == 15
    columns = {column.name for column in PublishedKey.__table__.columns}
    assert not columns & {column.name for column in Code.__table__.columns} - {
        "report_type",
    }
    on_the_one_side = {issued.mac, issued.blinded_digest, issued.issued_at, issued.expires_at}
    for row in (await service.stored()).values():
        values = {getattr(row, name) for name in columns}
        assert not values & on_the_one_side


@pytest.mark.usefixtures("log")
async def test_a_database_that_is_gone_is_said_and_nothing_is_half_kept(service: Service) -> None:
    upload = service.upload(await permitted(service))
    store = service.services.database
    async with store.engine.begin() as connection:
        await connection.run_sync(PublishedKey.__table__.drop)  # type: ignore[attr-defined]
    response = await service.send(upload)
    assert response.status_code >= 500
    async with store.engine.begin() as connection:
        await connection.run_sync(PublishedKey.__table__.create)  # type: ignore[attr-defined]
    assert (await service.send(upload)).status_code == 200
    assert len(await service.stored()) == 15
