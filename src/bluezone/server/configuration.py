"""The risk configuration that phones fetch: published by the operator, kept under a valid key."""

from dataclasses import replace

from bluezone.protocol.configuration import parse_configuration, seal_configuration
from bluezone.protocol.envelope import parse
from bluezone.protocol.risk_model import RiskConfiguration
from bluezone.protocol.trust import Role
from bluezone.server.context import Services
from bluezone.server.downloads import CONFIGURATION_OBJECT
from bluezone.server.jobs import Job
from bluezone.server.keys import RoleKeys
from bluezone.storage.lease import Lease
from bluezone.storage.objects import ObjectMissing, ObjectStore


async def publish_configuration(
    objects: ObjectStore, keys: RoleKeys, now: int, configuration: RiskConfiguration
) -> int:
    """Sign and publish under the version after the last one, which is returned.

    Raises KeyUnavailable, ConfigurationError.
    """
    version = 1
    try:
        published = parse(await objects.get(CONFIGURATION_OBJECT))
        version = parse_configuration(published.payload).version + 1
    except ObjectMissing:
        pass
    await _sign(objects, keys, now, replace(configuration, version=version))
    return version


async def _renew(services: Services, _lease: Lease) -> None:
    """Sign the same content again once a newer key has become valid."""
    published = parse(await services.objects.get(CONFIGURATION_OBJECT))
    if published.key_id != services.keys.signing(Role.CONFIGURATION, services.now).key_id:
        configuration = parse_configuration(published.payload)
        await _sign(services.objects, services.keys, services.now, configuration)


async def _sign(
    objects: ObjectStore, keys: RoleKeys, now: int, configuration: RiskConfiguration
) -> None:
    key = keys.signing(Role.CONFIGURATION, now)
    document = seal_configuration(configuration, key.key_id, key.private_key)
    await objects.put(CONFIGURATION_OBJECT, document)


jobs = [Job("renew-configuration-signature", 24 * 3600, _renew)]
