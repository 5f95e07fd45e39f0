"""Making an installation and renewing its keys: the work that needs the root key."""

import asyncio
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from bluezone.clock import Clock
from bluezone.protocol.risk_model import DEFAULT_CONFIGURATION
from bluezone.protocol.trust import Pins, RoleCertificate, Trust, key_id, read_certificates
from bluezone.server import keys
from bluezone.server.config import Settings
from bluezone.server.configuration import publish_configuration
from bluezone.server.migrations import upgrade
from bluezone.storage.database import Database
from bluezone.storage.objects import FolderObjects


class InstallationError(Exception):
    """The operator asked for something that would do harm, or gave the wrong file."""


async def create(settings: Settings, clock: Clock) -> None:
    """Tables, root key, role keys, trust document and default configuration in a new home.

    Raises InstallationError where there is one already: its phones would be lost; and
    DatabaseUrlError, StorageUnavailable.
    """
    home, now = settings.home, int(clock.now())
    if (home / keys.ROOT_PUBLIC).exists():
        raise InstallationError(f"{home} is an installation already; nothing was changed")
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.secrets_folder.mkdir(exist_ok=True, mode=0o700)
    database = Database(settings.database_url)
    try:
        await upgrade(database)
    finally:
        await database.dispose()
    objects = FolderObjects(settings.objects_folder)
    root = keys.new_root()
    certificates = await asyncio.to_thread(keys.make_role_keys, settings.secrets_folder, now, now)
    document = keys.certify(certificates, 1, root)
    await objects.put(keys.TRUST_OBJECT, document)
    trust = read_certificates(document, Pins({key_id(root.public_key()): root.public_key()}))
    role_keys = keys.RoleKeys.open(settings.secrets_folder, trust)
    await publish_configuration(objects, role_keys, now, DEFAULT_CONFIGURATION)
    keys.save_private_key(home / keys.ROOT_PRIVATE, root)
    # Last: its presence says that the rest is whole, so a broken `init` can be repeated.
    keys.save_public_key(home / keys.ROOT_PUBLIC, root.public_key())


async def rotate_keys(
    settings: Settings, clock: Clock, root_file: Path, *, compromised: bool
) -> None:
    """The next role keys, certified by the root; expired ones go.

    Raises InstallationError for a root that phones do not pin.
    """
    now = int(clock.now())
    root, objects, trust = await _opened(settings, root_file)
    kept = [
        certificate
        for certificate in trust.certificates
        if not compromised and certificate.not_after > now
    ]
    not_before = now if compromised else now + keys.LEAD_SECONDS
    fresh = await asyncio.to_thread(keys.make_role_keys, settings.secrets_folder, now, not_before)
    await objects.put(keys.TRUST_OBJECT, keys.certify([*kept, *fresh], trust.sequence + 1, root))
    _remove_retired(settings.secrets_folder, trust.certificates, kept)


async def complete_keys(settings: Settings, clock: Clock, root_file: Path) -> list[str]:
    """Keys for the roles that have none, such as one that a newer version signs with.

    They count at once: no phone can miss a key that was never used. Returns their ids.
    Raises InstallationError for a root that phones do not pin.
    """
    now = int(clock.now())
    root, objects, trust = await _opened(settings, root_file)
    fresh = await asyncio.to_thread(
        keys.make_role_keys, settings.secrets_folder, now, now, trust.certificates
    )
    if fresh:
        document = keys.certify([*trust.certificates, *fresh], trust.sequence + 1, root)
        await objects.put(keys.TRUST_OBJECT, document)
    return [certificate.key_id for certificate in fresh]


async def _opened(
    settings: Settings, root_file: Path
) -> tuple[ec.EllipticCurvePrivateKey, FolderObjects, Trust]:
    root = keys.load_private_key(root_file)
    pins = keys.load_pins(settings.home)
    if not isinstance(root, ec.EllipticCurvePrivateKey) or (
        key_id(root.public_key()) not in pins.roots
    ):
        raise InstallationError(f"{root_file} is not the root key that phones of this home pin")
    objects = FolderObjects(settings.objects_folder)
    return root, objects, read_certificates(await objects.get(keys.TRUST_OBJECT), pins)


def _remove_retired(
    folder: Path, before: tuple[RoleCertificate, ...], kept: list[RoleCertificate]
) -> None:
    for certificate in set(before) - set(kept):
        (folder / f"{certificate.key_id}.pem").unlink(missing_ok=True)
