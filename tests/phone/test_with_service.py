"""The phone against the real service: a meeting, a report, a key file, a warning."""

from pathlib import Path

import pytest

from bluezone.phone.service import ServiceError
from bluezone.protocol.configuration import DEFAULT_CONFIGURATION
from bluezone.server.configuration import publish_configuration
from bluezone.server.diagnosis.publication import export_keys
from tests.phone.street import Street, national, password_hash, roles  # noqa: F401 - fixtures
from tests.server.diagnosis import installation


async def test_a_code_a_report_and_a_warning(
    national: installation.Service,  # noqa: F811
    tmp_path: Path,
) -> None:
    street = Street(national, tmp_path)
    services = national.services
    await publish_configuration(
        services.objects, services.keys, services.now, DEFAULT_CONFIGURATION
    )
    await national.run(export_keys)
    case, near, far = street.phone("case", 0.0), street.phone("near", 1.0), street.phone("far", 500)
    await street.ride_together(60, case, near, far)
    code = await national.code(symptom_onset="2021-01-19")

    with pytest.raises(ServiceError) as wrong:
        await case.report("000000000000", consent=True)
    assert (await case.report(code, consent=True)).keys == 1
    with pytest.raises(ServiceError) as used:
        await near.report(code, consent=True)
    late = await national.code()
    street.clock.advance(3601)
    with pytest.raises(ServiceError) as expired:
        await near.report(late, consent=True)
    reasons = [error.value.reason for error in (wrong, used, expired)]
    assert reasons == ["code-unknown", "code-used", "code-expired"]
    for language in ("vi", "en"):
        assert len({error.value.text(language) for error in (wrong, used, expired)}) == 3

    street.clock.advance(3 * 3600)
    await national.run(export_keys)
    for phone in (case, near, far):
        done = await phone.check()
        assert done.error is None
        assert done.refused == ()
        assert done.keys > 100, "the file is padded"
    (warning,) = near.warnings()
    assert 50 <= warning.minutes <= 64
    assert case.warnings() == far.warnings() == []
    assert (await near.check()).files == 0
