"""Blind signatures turned against the service: forging, bending, borrowing a permission."""

import base64
import os

import msgspec
import pytest

from bluezone.protocol import blind_rsa
from bluezone.protocol.keys import ReportType
from bluezone.protocol.trust import Role
from bluezone.protocol.upload import (
    KeyUpload,
    PermissionRequest,
    encode_permission_request,
    upload_digest,
)
from tests.server.diagnosis.installation import Report, Service, slots


def modulus_of(service: Service, key_id: str) -> int:
    return service.trust.rsa_key(Role.PERMISSION, key_id, service.clock.now()).public_numbers().n


def forged(report: Report, key_id: str, signature: bytes) -> KeyUpload:
    return KeyUpload(
        keys=slots(report.keys),
        report_type=ReportType.CONFIRMED_TEST,
        permission_key_id=key_id,
        permission_prefix=report.prefix,
        permission_signature=signature,
    )


def confirmed(report: Report) -> str:
    return next(one for one in report.blinded if "confirmed-test" in one)


async def test_trivial_signatures_are_worth_nothing(service: Service) -> None:
    """0, 1 and N-1 are their own textbook signatures; the encoding must make them worthless."""
    report = service.prepare(service.keys())
    key_id = confirmed(report)
    modulus = modulus_of(service, key_id)
    for number in (0, 1, modulus - 1):
        answer = await service.send(forged(report, key_id, number.to_bytes(256, "big")))
        assert (answer.status_code, answer.json()["error"]) == (403, "permission-mismatch")
    assert await service.stored() == {}


async def test_the_product_of_two_permissions_is_none(service: Service) -> None:
    """Textbook signatures multiply: two that were bought must not make a third."""
    reports = [service.prepare(service.keys()) for _ in range(3)]
    key_id = confirmed(reports[0])
    modulus = modulus_of(service, key_id)
    product = 1
    for report in reports[:2]:
        assert (await service.ask(report, await service.code())).status_code == 200
        signature = service.upload(report).permission_signature
        product = product * int.from_bytes(signature, "big") % modulus
    for target in reports:
        answer = await service.send(forged(target, key_id, product.to_bytes(256, "big")))
        assert answer.status_code == 403
    assert await service.stored() == {}


async def test_one_code_signs_one_message_whatever_else_is_asked(service: Service) -> None:
    """A signing oracle: the raw answer for a chosen number is bought once for each code."""
    report = service.prepare(service.keys())
    code = await service.code()
    key_id = confirmed(report)
    other = next(one for one in report.blinded if one != key_id)
    answer = (await service.ask(report, code)).json()
    assert answer["key_id"] == key_id, "the code says which report type, not the phone"
    chosen = {**report.blinded, key_id: (2).to_bytes(256, "big")}
    for messages in (chosen, {other: report.blinded[other]}):
        body = encode_permission_request(PermissionRequest(code=code, blinded_messages=messages))
        refused = await service.client.post("/v1/permission", content=body)
        assert (refused.status_code, refused.json()["error"]) == (403, "code-used")


async def test_a_permission_of_one_report_type_is_none_of_the_other(service: Service) -> None:
    report = service.prepare(service.keys())
    await service.ask(report, await service.code(report_type="clinical-diagnosis"))
    upload = service.upload(report)
    assert upload.report_type == ReportType.CONFIRMED_CLINICAL_DIAGNOSIS
    for changes in (
        {"report_type": int(ReportType.CONFIRMED_TEST)},
        {"permission_key_id": confirmed(report)},
        {
            "report_type": int(ReportType.CONFIRMED_TEST),
            "permission_key_id": confirmed(report),
        },
    ):
        bent = msgspec.structs.replace(upload, **changes)
        assert (await service.send(bent)).status_code == 403
    assert await service.stored() == {}


@pytest.mark.parametrize("number", [0, 1])
async def test_a_blinded_message_of_zero_or_one_opens_nothing(
    service: Service, number: int
) -> None:
    report = service.prepare(service.keys())
    key_id = confirmed(report)
    report.blinded[key_id] = number.to_bytes(256, "big")
    answer = await service.ask(report, await service.code())
    if answer.status_code == 200:
        raw = base64.b64decode(answer.json()["blind_signature"])
        assert int.from_bytes(raw, "big") == number
        with pytest.raises(blind_rsa.BlindSignatureError):
            blind_rsa.verify(
                service.trust.rsa_key(Role.PERMISSION, key_id, service.clock.now()),
                report.prefix + upload_digest(report.keys),
                raw,
            )
        assert (await service.send(forged(report, key_id, raw))).status_code == 403
    assert await service.stored() == {}


async def test_published_keys_can_be_sent_again_by_nobody_with_effect(service: Service) -> None:
    """A copied key stays as it came, and the copier's code is used up for nothing."""
    victim = await service.report(service.keys(onset=None))
    before = await service.stored()
    thief = service.prepare(victim.keys)
    await service.ask(thief, await service.code(report_type="clinical-diagnosis"))
    assert (await service.send(service.upload(thief))).status_code == 200
    after = await service.stored()
    assert after.keys() == before.keys()
    assert {key: (row.report_type, row.chain, row.release_at) for key, row in after.items()} == {
        key: (row.report_type, row.chain, row.release_at) for key, row in before.items()
    }


async def test_an_identifier_heard_on_the_air_is_no_key(service: Service) -> None:
    """Whoever uploads somebody's identifiers as keys publishes 16 bytes that match nothing."""
    heard = os.urandom(16)
    report = service.prepare(service.keys(days=1, today=False))
    slot = msgspec.structs.replace(slots(report.keys)[0], key=heard)
    await service.ask(report, await service.code())
    bent = service.upload(report, keys=[slot, *slots([])[1:]])
    assert (await service.send(bent)).status_code == 403
