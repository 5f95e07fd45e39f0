"""The phone against the real service: a meeting, a report, a key file, a warning."""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import httpx
import pytest

from bluezone.clock import ManualClock
from bluezone.phone.phone import Phone
from bluezone.phone.service import Service, ServiceError
from bluezone.protocol.configuration import DEFAULT_CONFIGURATION
from bluezone.protocol.trust import Pins
from bluezone.radio.air import Air
from bluezone.radio.direct import DirectRadio
from bluezone.server import keys as role_keys
from bluezone.server.app import create_app
from bluezone.server.configuration import publish_configuration
from bluezone.server.diagnosis.publication import export_keys
from bluezone.server.people.passwords import hash_password
from tests.server.diagnosis import installation


@pytest.fixture
async def national(tmp_path: Path) -> AsyncIterator[installation.Service]:
    roles = tmp_path / "roles"
    for folder in ("secrets", "public"):
        (roles / folder).mkdir(mode=0o700, parents=True)
    root = role_keys.new_root()
    start = installation.NOON - 86400
    certificates = role_keys.make_role_keys(roles / "secrets", start, start)
    (roles / "public" / role_keys.TRUST_OBJECT).write_bytes(
        role_keys.certify(certificates, 1, root)
    )
    role_keys.save_public_key(roles / role_keys.ROOT_PUBLIC, root.public_key())
    database = f"sqlite+aiosqlite:///{tmp_path / 'service.sqlite'}"
    password_hash = await hash_password(installation.PASSWORD)
    async with installation.running(
        tmp_path / "service", roles, database, password_hash
    ) as service:
        yield service


class _Street:
    """Phones around the service, on its clock."""

    def __init__(self, national: installation.Service, folder: Path) -> None:
        self.clock: ManualClock = national.clock
        self.air = Air(self.clock, seed=2)
        self.app = create_app(national.services)
        self.national = national
        self.folder = folder

    def phone(self, name: str, x: float) -> Phone:
        return Phone(
            self.folder / name,
            DirectRadio(self.air, (x, 0.0), "bus"),
            Service("https://bluezone.example", transport=lambda: httpx.ASGITransport(self.app)),
            Pins.from_pem((self.national.home / role_keys.ROOT_PUBLIC).read_bytes()),
            self.clock,
            rng=Random(name),
            use_keyring=False,
        )

    async def ride_together(self, minutes: int, *phones: Phone) -> None:
        for _ in range(minutes // 4):
            for phone in phones:
                await phone._tracer.turn_beacon()
            for phone in phones:
                await phone._tracer.scan()
            self.clock.advance(240 - 4 * len(phones))


async def test_a_code_a_report_and_a_warning(
    national: installation.Service, tmp_path: Path
) -> None:
    street = _Street(national, tmp_path)
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
