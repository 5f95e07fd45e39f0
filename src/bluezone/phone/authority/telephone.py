"""The owner's telephone number: confirmed by a code, then kept on this phone alone."""

from typing import Final

import msgspec

from bluezone.phone.ledger import LedgeredService
from bluezone.phone.service import ServiceError, ServiceFault
from bluezone.phone.store import Store
from bluezone.protocol.phone_number import (
    NumberConfirmation,
    NumberReceipt,
    NumberRequest,
    NumberRequested,
    normal,
)

_RECEIPT: Final = "telephone"
_ASKED: Final = "telephone-asked"


class Telephone:
    """Asks for a code, exchanges it for a receipt."""

    def __init__(self, store: Store, service: LedgeredService) -> None:
        self._store = store
        self._service = service

    def receipt(self) -> NumberReceipt | None:
        """The confirmed number with the service's proof. Raises StoreError."""
        return self._store.load(_RECEIPT, NumberReceipt)

    async def ask(self, typed: str, language: str) -> tuple[str, int]:
        """Have a code sent; the number as understood and when the code expires (Unix seconds).

        ValueError for what cannot be a mobile number; raises ServiceError, StoreError.
        """
        number = normal(typed)
        question = msgspec.json.encode(NumberRequest(phone_number=number, language=language))
        answer = await self._service.send("/v1/phone-numbers", question)
        try:
            expires_at = msgspec.json.decode(answer, type=NumberRequested).expires_at
        except msgspec.DecodeError as error:
            raise ServiceError(ServiceFault.NOT_UNDERSTOOD, "a code's answer") from error
        self._store.save(_ASKED, number)
        return number, expires_at

    async def confirm(self, code: str) -> NumberReceipt:
        """Exchange the code. LookupError if none was asked for; raises ServiceError, StoreError."""
        number = self._store.load(_ASKED, str)
        if number is None:
            raise LookupError("no code was asked for")
        digits = "".join(character for character in code if not character.isspace())
        question = msgspec.json.encode(NumberConfirmation(phone_number=number, code=digits))
        answer = await self._service.send("/v1/phone-numbers/confirm", question)
        try:
            receipt = msgspec.json.decode(answer, type=NumberReceipt)
        except msgspec.DecodeError as error:
            raise ServiceError(ServiceFault.NOT_UNDERSTOOD, "a receipt") from error
        with self._store.transaction():
            self._store.save(_RECEIPT, receipt)
            self._store.drop(_ASKED)
        return receipt

    def forget(self) -> None:
        """Delete the number. The service has none. Raises StoreError."""
        with self._store.transaction():
            self._store.drop(_RECEIPT)
            self._store.drop(_ASKED)
