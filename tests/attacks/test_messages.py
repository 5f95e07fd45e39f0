"""JSON that parsers read differently, numbers without end, digits of other scripts."""

import json

import pytest

from bluezone.protocol.deployment import UPLOAD_BODY_BYTES
from bluezone.protocol.upload import encode_upload
from tests.server.diagnosis.installation import Service


def sized(body: bytes) -> bytes:
    """Filled up with white space, so that only its content can be the reason of a refusal."""
    return body + b" " * (UPLOAD_BODY_BYTES - len(body))


NASTY = [
    b'{"code":"1","code":"2","blinded_messages":{}}',
    b'{"code":NaN,"blinded_messages":{}}',
    b'{"code":1e999,"blinded_messages":{}}',
    b'{"code":' + b"9" * 3000 + b',"blinded_messages":{}}',
    b'{"code":"\\ud800","blinded_messages":{}}',
    b'{"code":"\\u0000","blinded_messages":{}}',
    b'{"code":"x","blinded_messages":{"\\u0000":"AAAA"}}',
    b'{"code":"x","blinded_messages":{"__proto__":"AAAA"},"chaff":"true"}',
    b'{"code":"x","blinded_messages":{},"chaff":1}',
    b'{"blinded_messages":' * 200,
    b"[" * 4000,
    b'{"code":"x","blinded_messages":{}} {"chaff":true}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
]


@pytest.mark.parametrize("body", NASTY, ids=range(len(NASTY)))
async def test_nasty_json_is_refused_and_not_echoed(service: Service, body: bytes) -> None:
    for path in ("/v1/permission", "/v1/keys", "/v1/staff/session"):
        answer = await service.client.post(path, content=sized(body))
        assert 400 <= answer.status_code < 500, (path, answer.text)
        assert set(answer.json()) == {"error", "message"}
        assert "999" not in answer.text


@pytest.mark.parametrize(
    "number", ["-1", "1e3", "1.0", "4294967296", "9223372036854775808", "1" * 60]
)
@pytest.mark.parametrize("field", ["rolling_start", "rolling_period", "days_since_onset"])
async def test_numbers_beyond_every_type_are_refused(
    service: Service, field: str, number: str
) -> None:
    report = service.prepare(service.keys(days=2))
    await service.ask(report, await service.code())
    upload = json.loads(encode_upload(service.upload(report)))
    upload["keys"][0][field] = "@"
    upload["padding"] = ""
    body = json.dumps(upload, separators=(",", ":")).replace('"@"', number).encode()
    answer = await service.client.post("/v1/keys", content=sized(body))
    assert answer.status_code in (400, 403, 422)
    assert await service.stored() == {}


@pytest.mark.parametrize(
    "digits", ["١٢٣٤٥٦٧٨٩٠١٢", "１２３４５６７８９０１２", "¹²³⁴⁵⁶⁷⁸⁹⁰¹²", "+12345678901"]
)
async def test_digits_of_other_scripts_are_no_code(service: Service, digits: str) -> None:
    report = service.prepare(service.keys())
    answer = await service.ask(report, digits)
    assert (answer.status_code, answer.json()["error"]) == (400, "code-malformed")
