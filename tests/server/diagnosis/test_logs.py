"""Nothing that the service writes about itself holds a code, a key or an address."""

import io
import re

import msgspec

from bluezone.server.diagnosis.publication import export_keys
from bluezone.server.diagnosis.retention import delete_expired
from bluezone.server.diagnosis.tables import PublishedKey
from tests.server.diagnosis.installation import Service


async def test_logs_and_counters_hold_no_code_and_no_key(
    service: Service, log: io.StringIO
) -> None:
    code, report = await service.code(), service.prepare(service.keys())
    await service.ask(report, "000000000001")
    await service.ask(report, code)
    upload = service.upload(report)
    await service.send(upload)
    await service.send(msgspec.structs.replace(upload, report_type=2))
    service.clock.advance(3600)
    await service.run(export_keys)
    await service.run(delete_expired)
    async with service.services.database.engine.begin() as connection:
        await connection.run_sync(PublishedKey.__table__.drop)  # type: ignore[attr-defined]
    assert (await service.send(upload)).status_code >= 500  # an error with the keys at hand

    text = log.getvalue()
    for line in ("/v1/keys", "keys exported", "expired data deleted", '"status": 50'):
        assert line in text, f"{line!r} was not logged, so nothing was tested"
    text += service.services.metrics.text().decode()
    assert code not in text
    assert f"{code[:4]}-{code[4:8]}" not in text
    assert not re.search(r"203\.0\.113\.5\b", text)
    for key in (one.tek.key for one in report.keys):
        base64 = msgspec.json.encode(key).decode().strip('"')
        for form in (key.hex(), repr(key)[2:-1], base64):
            assert form not in text
