"""Refusals: every error a client sees is a reason, a sentence in both languages, and a status."""

from typing import Any

from starlette.exceptions import HTTPException

from bluezone.protocol.upload import Refusal
from bluezone.web.catalogue import in_all_languages


class Refused(HTTPException):
    """The request is not done, and why. 4xx: the client must change something; 5xx: we must.

    `message` is a catalogue message; `values` fill its places and must not be secrets.
    """

    def __init__(
        self,
        status: int,
        error: str,
        message: str,
        *,
        headers: dict[str, str] | None = None,
        **values: Any,
    ) -> None:
        super().__init__(status, error, headers)
        self.error = error
        self.message = message
        self.values = values

    def refusal(self) -> Refusal:
        """What goes over the wire."""
        return Refusal(error=self.error, message=in_all_languages(self.message, **self.values))
