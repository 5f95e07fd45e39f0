"""Refusals: every error a client sees is a reason, a sentence in both languages, and a status."""

from typing import Any, Final

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bluezone.protocol.upload import Refusal
from bluezone.server.keys import KeyUnavailable
from bluezone.storage.database import StorageUnavailable, ValueImpossible
from bluezone.storage.objects import ObjectStoreFull
from bluezone.web.catalogue import _, in_all_languages


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


def refusal_response(refused: Refused) -> Response:
    """The JSON answer."""
    return Response(
        msgspec.json.encode(refused.refusal()),
        refused.status_code,
        {"Cache-Control": "no-store", **(refused.headers or {})},
        "application/json",
    )


# What the application answers itself; anything else is a mistake of ours.
EXPECTED_ERRORS: Final[tuple[type[Exception], ...]] = (
    HTTPException,
    RequestValidationError,
    StorageUnavailable,
    ValueImpossible,
    ObjectStoreFull,
    KeyUnavailable,
)


def as_refused(error: Exception) -> Refused:
    """What to tell a client about any error; nothing of the error's own text gets out."""
    match error:
        case Refused():
            return error
        case StorageUnavailable() | ObjectStoreFull() | KeyUnavailable():
            return Refused(
                503,
                "unavailable",
                _("The service cannot do this right now. Please try again in a few minutes."),
                headers={"Retry-After": "30"},
            )
        case HTTPException(status_code=404):
            return Refused(404, "not-found", _("There is nothing at this address."))
        case HTTPException(status_code=405):
            return Refused(
                405,
                "wrong-method",
                _("This address does not take that kind of request."),
                headers=dict(error.headers or {}),
            )
        case (
            RequestValidationError()
            | ValueImpossible()
            | HTTPException(status_code=400 | 413 | 422)
        ):
            return Refused(400, "bad-request", _("The request is incomplete or malformed."))
        case _:
            return Refused(
                500, "internal-error", _("The service has made a mistake. It has been recorded.")
            )
