"""What the answers are made from: the phone, its time, and what it was started with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bluezone.clock import Clock
from bluezone.phone.app.interface import Text
from bluezone.phone.phone import Phone
from bluezone.phone.report import ReportError, ReportFault
from bluezone.phone.service import ServiceError
from bluezone.phone.store import StoreError, StoreFault
from bluezone.protocol.trust import Pins
from bluezone.radio.interface import Capabilities
from bluezone.web.catalogue import LANGUAGES, _, in_all_languages

if TYPE_CHECKING:
    from bluezone.phone.app.reporting import Reporting


class Refused(Exception):  # noqa: N818 - an answer, not a fault of ours
    """The question cannot be answered; `field` names the input at fault, if one is."""

    def __init__(self, status: int, error: str, message: Text, field: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.message = message
        self.field = field

    @classmethod
    def saying(cls, status: int, error: str, message: str, field: str = "") -> "Refused":
        """`message` is a sentence of the catalogue without places."""
        return cls(status, error, in_all_languages(message), field)

    @classmethod
    def of(cls, error: StoreError | ServiceError | ReportError) -> "Refused":
        """What went wrong below, in its own words."""
        message = {language: error.text(language) for language in LANGUAGES}
        if isinstance(error, StoreError):
            return cls(507 if error.fault is StoreFault.FULL else 500, error.fault.value, message)
        if isinstance(error, ReportError):
            field = "onset" if error.fault is ReportFault.ONSET_WRONG else "code"
            return cls(400, error.fault.name.lower().replace("_", "-"), message, field)
        name = error.reason or error.fault.name.lower().replace("_", "-")
        return cls(409 if error.final else 502, name, message)


def not_a_number() -> Refused:
    """The refusal of what cannot be a telephone number."""
    message = _("This is not a mobile telephone number. Check the digits; it begins with 0 or +84.")
    return Refused.saying(400, "number-malformed", message, "phone_number")


def no_such_commune() -> Refused:
    """The refusal of a code that no commune has."""
    message = _("There is no such commune. Choose one of the list.")
    return Refused.saying(400, "commune-unknown", message, "commune")


def need_active(phone: Phone) -> None:
    """Refuse what would ask the service on behalf of who has not begun, or has stopped."""
    if phone.active:
        return
    if phone.settings.stopped_at is not None:
        raise Refused.saying(
            409, "stopped", _("Bluezone is stopped on this phone, so nothing is sent or fetched.")
        )
    raise Refused.saying(
        409, "not-begun", _("Bluezone has not begun on this phone: first read and agree.")
    )


@dataclass(slots=True)
class App:
    """One running phone with its pages."""

    phone: Phone
    clock: Clock
    home: Path
    pins: Pins
    service: str
    capabilities: Callable[[], Capabilities]
    reporting: "Reporting"
    began_at: float
