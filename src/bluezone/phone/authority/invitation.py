"""This phone's own invitation, and the one it was installed through."""

import os
from typing import Final

import msgspec

from bluezone.clock import Clock
from bluezone.phone.ledger import LedgeredService
from bluezone.phone.sealing import Entropy
from bluezone.phone.service import ServiceError, ServiceFault
from bluezone.phone.store import Store
from bluezone.protocol.invitation import (
    SECRET_BYTES,
    InvitationCount,
    InvitationSecret,
    Invited,
    invitation_code,
)

_SECRET: Final = "invitation"  # noqa: S105 - the name of a row
_INVITED_BY: Final = "invited-by"
_COUNT: Final = "invitation-count"
_COUNT_SECONDS: Final = 24 * 3600.0


class _Counted(msgspec.Struct, frozen=True):
    installed: int
    at: float


class Invitations:
    """The code to give away, how many came by it, and thanks to whoever invited."""

    def __init__(
        self, store: Store, service: LedgeredService, clock: Clock, entropy: Entropy = os.urandom
    ) -> None:
        self._store = store
        self._service = service
        self._clock = clock
        self._entropy = entropy

    def code(self) -> str:
        """This phone's invitation code, made when it is first asked for. Raises StoreError."""
        return invitation_code(self._secret())

    def link(self) -> str:
        """The public page that explains, with the code."""
        return f"{self._service.address.rstrip('/')}/moi/{self.code()}"

    def known_count(self) -> int | None:
        """How many had installed through it when that was last asked. Raises StoreError."""
        counted = self._store.load(_COUNT, _Counted)
        return counted.installed if counted else None

    async def count(self) -> int:
        """How many installed through it, asked at most daily: the secret tells whose phone asks.

        Raises ServiceError, StoreError.
        """
        counted = self._store.load(_COUNT, _Counted)
        if counted is not None and 0 <= self._clock.now() - counted.at < _COUNT_SECONDS:
            return counted.installed
        question = msgspec.json.encode(InvitationSecret(secret=self._secret()))
        answer = await self._service.send("/v1/invitations/count", question)
        try:
            installed = msgspec.json.decode(answer, type=InvitationCount).installed
        except msgspec.DecodeError as error:
            raise ServiceError(ServiceFault.NOT_UNDERSTOOD, "a count") from error
        self._store.save(_COUNT, _Counted(installed, self._clock.now()))
        return installed

    def remember(self, code: str) -> None:
        """Installed through the invitation `code`; the service is told once. Raises StoreError."""
        self._store.save(_INVITED_BY, code)

    async def tell(self) -> None:
        """Tell what `remember` was told, if it has not been. Raises ServiceError, StoreError."""
        code = self._store.load(_INVITED_BY, str)
        if not code:
            return
        try:
            await self._service.send(
                "/v1/invitations", msgspec.json.encode(Invited(invitation=code))
            )
        except ServiceError as error:
            if not error.final:
                raise
        self._store.save(_INVITED_BY, "")  # told: never again, even after a new start

    def _secret(self) -> bytes:
        secret = self._store.load(_SECRET, bytes)
        if secret is None:
            secret = self._entropy(SECRET_BYTES)
            self._store.save(_SECRET, secret)
        return secret
