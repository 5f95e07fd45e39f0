"""Chaff: requests that look exactly like a report, so that traffic tells nobody who reported."""

import os
import random
from typing import Final

from bluezone.clock import Clock
from bluezone.phone.report import PERMISSION_PATH, UPLOAD_PATH, pause, unused_slots
from bluezone.phone.sealing import Entropy
from bluezone.phone.service import Service, ServiceError
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
        self, service: Service, clock: Clock, rng: random.Random, entropy: Entropy = os.urandom
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
        now = self._clock.now()
        key_ids = [
            (certificate.key_id, trust.rsa_key(Role.PERMISSION, certificate.key_id, now).key_size)
            for certificate in trust.certificates
            if certificate.role is Role.PERMISSION
            and certificate.not_before <= now <= certificate.not_after
        ]
        if not key_ids:
            return
        request = PermissionRequest(
            code=f"{int.from_bytes(self._entropy(8), 'big') % 10**CODE_DIGITS:0{CODE_DIGITS}d}",
            blinded_messages={key_id: self._entropy(bits // 8) for key_id, bits in key_ids},
            chaff=True,
        )
        key_id, bits = key_ids[0]
        upload = KeyUpload(
            keys=unused_slots(self._entropy(KEY_BYTES * UPLOAD_KEY_SLOTS)),
            report_type=ReportType.CONFIRMED_TEST,
            permission_key_id=key_id,
            permission_prefix=self._entropy(PREFIX_BYTES),
            permission_signature=self._entropy(bits // 8),
            chaff=True,
        )
        try:
            await self._service.send(PERMISSION_PATH, encode_permission_request(request))
            await self._clock.sleep(pause(self._rng))
            await self._service.send(UPLOAD_PATH, encode_upload(upload))
        except ServiceError:
            return  # a report that fails is not repeated at once either
