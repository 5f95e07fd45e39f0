"""Chaff: requests that look exactly like a report, so that traffic tells nobody who reported."""

import os
import random
from typing import Final

from bluezone.clock import Clock
from bluezone.phone.ledger import LedgeredService
from bluezone.phone.report import PERMISSION_PATH, UPLOAD_PATH, pause, unused_slots
from bluezone.phone.sealing import Entropy
from bluezone.phone.service import ServiceError
from bluezone.protocol.blind_rsa import PREFIX_BYTES
from bluezone.protocol.deployment import CODE_DIGITS, UPLOAD_KEY_SLOTS
from bluezone.protocol.keys import KEY_BYTES, ReportType
from bluezone.protocol.trust import Role, Trust
from bluezone.protocol.upload import (
    KeyUpload,
    PermissionRequest,
    encode_permission_request,
    encode_upload,
)

# A phone reports once in its life, if ever: one decoy in five days drowns that.
MEAN_SECONDS: Final = 5 * 24 * 3600.0


class Chaff:
    """Decoy reports at the moments of a Poisson process."""

    def __init__(
        self,
        service: LedgeredService,
        clock: Clock,
        rng: random.Random,
        entropy: Entropy = os.urandom,
    ) -> None:
        self._service = service
        self._clock = clock
        self._rng = rng
        self._entropy = entropy

    def next_wait(self) -> float:
        """Seconds to the next decoy. Without memory, so a restart may simply draw again."""
        return self._rng.expovariate(1 / MEAN_SECONDS)

    async def send(self, trust: Trust) -> None:
        """Both legs, as `Reporter` sends them; the service's answers are thrown away."""
        keys = trust.rsa_keys(Role.PERMISSION, self._clock.now())
        if not keys:
            return
        # As long as the modulus, as real ones are.
        random_messages = {
            key_id: self._entropy(-(-key.key_size // 8)) for key_id, key in keys.items()
        }
        key_id, random_signature = next(iter(random_messages.items()))
        request = PermissionRequest(
            code=f"{int.from_bytes(self._entropy(8), 'big') % 10**CODE_DIGITS:0{CODE_DIGITS}d}",
            blinded_messages=random_messages,
            chaff=True,
        )
        upload = KeyUpload(
            keys=unused_slots(self._entropy(KEY_BYTES * UPLOAD_KEY_SLOTS)),
            report_type=ReportType.CONFIRMED_TEST,
            permission_key_id=key_id,
            permission_prefix=self._entropy(PREFIX_BYTES),
            permission_signature=self._entropy(len(random_signature)),
            chaff=True,
        )
        try:
            await self._service.send(
                PERMISSION_PATH, encode_permission_request(request), decoy=True
            )
            await self._clock.sleep(pause(self._rng))
            await self._service.send(UPLOAD_PATH, encode_upload(upload), decoy=True)
        except ServiceError:
            return  # a report that fails is not repeated at once either
