"""One-time codes: issuing, exchanging, guessing."""

import asyncio
import base64
import os
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, update

from bluezone.protocol import blind_rsa
from bluezone.protocol.deployment import CODE_TTL_SECONDS, UPLOAD_BODY_BYTES
from bluezone.protocol.trust import Pins, Role, key_id, read_certificates
from bluezone.protocol.upload import PermissionRequest, encode_permission_request, upload_digest
from bluezone.server import keys as role_keys
from bluezone.server.diagnosis.guessing import WRONG_CODES, WRONG_CODES_BY_ADDRESS
from bluezone.server.diagnosis.routes import ANSWER_BYTES
from bluezone.server.diagnosis.tables import Code
from tests.server.conftest import BA_DINH
from tests.server.diagnosis.installation import Service, running


async def stored_codes(service: Service) -> list[Code]:
    async with service.services.database.read() as session:
        return list(await session.scalars(select(Code)))


async def test_a_code_buys_one_permission(service: Service) -> None:
    report = service.prepare(service.keys())
    response = await service.ask(report, await service.code(symptom_onset="2021-01-18"))
    assert response.status_code == 200
    assert report.answer is not None
    assert report.answer.symptom_onset == "2021-01-18"
    assert report.answer.report_type == 1
    service.upload(report)  # raises unless the blind signature is good


async def test_the_report_type_of_the_code_chooses_the_key(service: Service) -> None:
    report = service.prepare(service.keys())
    await service.ask(report, await service.code(report_type="clinical-diagnosis"))
    assert report.answer is not None
    assert report.answer.report_type == 2
    assert "clinical" in report.answer.key_id


async def test_a_lost_answer_can_be_fetched_again_even_late(service: Service) -> None:
    code, report = await service.code(), service.prepare(service.keys())
    first = await service.ask(report, code)
    service.clock.advance(CODE_TTL_SECONDS + 1)
    again = await service.ask(report, code)
    assert again.status_code == 200
    assert again.json() == first.json()


async def test_a_used_code_is_refused_for_other_keys(service: Service) -> None:
    code = await service.code()
    await service.ask(service.prepare(service.keys()), code)
    response = await service.ask(service.prepare(service.keys()), code)
    assert (response.status_code, response.json()["error"]) == (403, "code-used")
    assert "đã được sử dụng" in response.json()["message"]["vi"]


async def test_of_two_phones_at_once_one_gets_the_permission(service: Service) -> None:
    """The message of the first is the message of the code, however close the second comes."""
    code = await service.code()
    reports = [service.prepare(service.keys(days=1)) for _ in range(5)]
    answers = await asyncio.gather(*(service.ask(report, code) for report in reports))
    assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403, 403]


async def test_a_lost_answer_is_found_again_after_the_keys_were_changed(service: Service) -> None:
    code, report = await service.code(), service.prepare(service.keys())
    first = await service.ask(report, code)
    now = int(service.clock.now())
    root, secrets = role_keys.new_root(), service.services.settings.secrets_folder
    old = [*service.trust.certificates]
    new = role_keys.make_role_keys(secrets, now, now)
    document = role_keys.certify([*old, *new], 2, root)
    trust = read_certificates(document, Pins({key_id(root.public_key()): root.public_key()}))
    service.services = replace(service.services, keys=role_keys.RoleKeys.open(secrets, trust))
    service.trust = trust
    async with service.from_address("203.0.113.5") as client:
        again = await service.ask(report, code, client)
        assert again.json() == first.json()
        fresh = service.prepare(service.keys())
        assert (await service.ask(fresh, await service.code(), client)).status_code == 200
        assert fresh.answer is not None
        assert fresh.answer.key_id in {one.key_id for one in new}, "the newest key signs"


async def test_reports_refusals_and_chaff_wait_alike(
    tmp_path: Path, role_home: Path, database_url: str, password_hash: str
) -> None:
    floor = 0.15
    async with running(
        tmp_path, role_home, database_url, password_hash, answer_seconds=floor
    ) as service:
        report = service.prepare(service.keys())
        chaff = PermissionRequest(code="0" * 12, blinded_messages=report.blinded, chaff=True)
        code = await service.code()
        clock = asyncio.get_running_loop().time
        for body in (encode_permission_request(chaff), report.request(code), b"nonsense"):
            started = clock()
            await service.client.post("/v1/permission", content=body)
            assert clock() - started >= floor


async def test_a_wrong_code(service: Service) -> None:
    response = await service.ask(service.prepare(service.keys()), "000000000000")
    assert (response.status_code, response.json()["error"]) == (403, "code-unknown")
    assert response.json()["message"]["en"].startswith("This code is not valid")


async def test_a_code_expires(service: Service) -> None:
    code = await service.code()
    service.clock.advance(CODE_TTL_SECONDS)
    response = await service.ask(service.prepare(service.keys()), code)
    assert (response.status_code, response.json()["error"]) == (403, "code-expired")


async def test_a_phone_with_old_keys_does_not_lose_its_code(service: Service) -> None:
    code, report = await service.code(), service.prepare(service.keys())
    outdated = PermissionRequest(code=code, blinded_messages={"permission-of-2019": bytes(256)})
    response = await service.client.post(
        "/v1/permission", content=encode_permission_request(outdated)
    )
    assert (response.status_code, response.json()["error"]) == (409, "permission-key-unknown")
    assert (await service.ask(report, code)).status_code == 200


@pytest.mark.parametrize("message", [b"", b"\xff" * 256, bytes(255)])
async def test_a_message_that_cannot_be_signed_does_not_use_the_code(
    service: Service, message: bytes
) -> None:
    code, report = await service.code(), service.prepare(service.keys())
    hostile = PermissionRequest(code=code, blinded_messages=dict.fromkeys(report.blinded, message))
    response = await service.client.post(
        "/v1/permission", content=encode_permission_request(hostile)
    )
    assert (response.status_code, response.json()["error"]) == (422, "blinded-message-malformed")
    assert (await service.ask(report, code)).status_code == 200


async def test_guessing_at_speed_is_stopped_and_others_go_on(service: Service) -> None:
    code, report = await service.code(), service.prepare(service.keys())
    errors = []
    async with service.from_address("198.51.100.7") as guesser:
        for _ in range(WRONG_CODES_BY_ADDRESS.burst + 5):
            response = await service.ask(report, f"{int.from_bytes(os.urandom(4)):012d}", guesser)
            errors.append(response.json()["error"])
        # Even the right code is refused now: the guesser must not learn that it is right.
        assert (await service.ask(report, code, guesser)).status_code == 429
        assert errors == ["code-unknown"] * 10 + ["too-many-requests"] * 5
        assert (await service.ask(report, code)).status_code == 200
        service.clock.advance(WRONG_CODES_BY_ADDRESS.seconds / WRONG_CODES_BY_ADDRESS.burst + 1)
        assert (await service.ask(report, "0" * 12, guesser)).json()["error"] == "code-unknown"


async def test_guessing_from_many_addresses_is_stopped_and_nobody_else_is(
    service: Service,
) -> None:
    for _ in range(WRONG_CODES.burst):
        service.services.limits.spend(WRONG_CODES)
    report, code = service.prepare(service.keys()), await service.code()
    async with (
        service.from_address("2001:db8:7:1::1") as guesser,
        service.from_address("2001:db8:7:2::1") as same_subscriber,
    ):
        assert (await service.ask(report, "0" * 12, guesser)).status_code == 403
        for client in (guesser, same_subscriber):
            refused = await service.ask(report, code, client)
            assert refused.status_code == 429
            assert refused.headers["retry-after"].isdigit()
    # Who has mistyped nothing reports as ever: filling the limit must not silence a country.
    assert (await service.ask(report, code)).status_code == 200


async def test_chaff_looks_the_same_and_leaves_nothing(service: Service) -> None:
    report = service.prepare(service.keys())
    real = await service.ask(report, await service.code(symptom_onset="2021-01-18"))
    before = await stored_codes(service)
    chaff = PermissionRequest(
        code="123456789012",
        blinded_messages={name: os.urandom(256) for name in report.blinded},
        chaff=True,
    )
    body = encode_permission_request(chaff)
    for _ in range(WRONG_CODES_BY_ADDRESS.burst + 2):  # chaff is no guess, so it meets no limit
        answer = await service.client.post("/v1/permission", content=body)
        assert answer.status_code == 200
    assert len(answer.content) == len(real.content) == ANSWER_BYTES
    assert answer.headers == real.headers
    assert answer.json().keys() == real.json().keys()
    assert [row.mac for row in await stored_codes(service)] == [row.mac for row in before]


async def test_chaff_is_never_given_a_usable_signature(service: Service) -> None:
    """A flag in the body must not be a way around the code."""
    report = service.prepare(service.keys())
    body = encode_permission_request(
        PermissionRequest(code="0" * 12, blinded_messages=report.blinded, chaff=True)
    )
    answer = (await service.client.post("/v1/permission", content=body)).json()
    key = service.trust.rsa_key(Role.PERMISSION, answer["key_id"], service.clock.now())
    with pytest.raises(blind_rsa.BlindSignatureError):
        blind_rsa.finalize(
            key,
            report.prefix + upload_digest(report.keys),
            base64.b64decode(answer["blind_signature"]),
            report.inverses[answer["key_id"]],
        )


@pytest.mark.parametrize("body", [b"", b"x" * UPLOAD_BODY_BYTES, b"{}" + b" " * 4094, b"[" * 4096])
async def test_a_body_that_is_no_request(service: Service, body: bytes) -> None:
    for path in ("/v1/permission", "/v1/keys"):
        response = await service.client.post(path, content=body)
        assert response.status_code == 400
        assert set(response.json()["message"]) == {"vi", "en"}


async def test_the_table_holds_no_code(service: Service) -> None:
    code = await service.code()
    [row] = await stored_codes(service)
    kept = {column.name: getattr(row, column.name) for column in Code.__table__.columns}
    assert code not in repr(kept)
    assert len(row.mac) == 32


async def test_a_worker_and_a_unit_can_issue_only_so_many(service: Service) -> None:
    async with service.services.database.transaction() as session:
        for number in range(59):
            session.add(
                Code(
                    mac=number.to_bytes(32, "big"),
                    report_type=1,
                    issued_by=1,
                    unit=BA_DINH,
                    issued_at=int(service.clock.now()),
                    expires_at=int(service.clock.now()),
                )
            )
    assert (await service.issue()).status_code == 200
    refused = await service.issue()
    assert (refused.status_code, refused.json()["error"]) == (429, "too-many-codes")
    service.token = await service.sign_in("minh")  # the same unit
    assert (await service.issue()).status_code == 200
    async with service.services.database.transaction() as session:
        await session.execute(update(Code).values(issued_by=99))
        for number in range(100, 100 + 600 - 61):
            session.add(
                Code(
                    mac=number.to_bytes(32, "big"),
                    report_type=1,
                    issued_by=99,
                    unit=BA_DINH,
                    issued_at=int(service.clock.now()),
                    expires_at=int(service.clock.now()),
                )
            )
    assert (await service.issue()).status_code == 429
    service.token = await service.sign_in("hoa")  # another unit
    assert (await service.issue()).status_code == 200
    service.token = ""
    service.clock.advance(3601)
    assert (await service.issue()).status_code == 200


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"report_type": "rumour"}, "report-type-unknown"),
        ({"symptom_onset": "yesterday"}, "onset-malformed"),
        ({"symptom_onset": "2021-02-20"}, "onset-out-of-range"),
        ({"report_type": 7}, "wrong-form"),
    ],
)
async def test_a_wrong_wish_is_refused_in_both_languages(
    service: Service, body: dict[str, object], error: str
) -> None:
    response = await service.issue(**body)
    assert (response.status_code, response.json()["error"]) == (400, error)
    assert response.json()["message"]["vi"] != response.json()["message"]["en"]


async def test_only_a_health_worker_gets_a_code(service: Service) -> None:
    response = await service.client.post("/v1/staff/codes", json={"report_type": "confirmed-test"})
    assert response.status_code == 401
    service.token = "made-up"
    assert (await service.issue()).status_code == 401
