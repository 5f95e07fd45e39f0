"""What a cell of somebody's list means: days, telephones, sexes, as people write them."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from bluezone.protocol.phone_number import normal
from bluezone.server.errors import Refused
from bluezone.server.register.files import UNREADABLE
from bluezone.server.register.rules import Details, DetailsError, Sex, check_details, plain
from bluezone.web.catalogue import _

_T = TypeVar("_T")

_DAY_MONTH_YEAR: Final = re.compile(r"(\d{1,2})\s*[/.\-]\s*(\d{1,2})\s*[/.\-]\s*(\d{4})")
_ISO: Final = re.compile(r"(\d{4})[/.\-](\d{1,2})[/.\-](\d{1,2})")
_TIME: Final = re.compile(r"[ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$")
_SERIAL: Final = re.compile(r"\d{4,5}(\.\d+)?")
_LOST_ZERO: Final = re.compile(r"[35789]\d{8}")
_ROUNDED: Final = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)
_LAST_SERIAL: Final = 80_000  # of the year 2119

SEXES: Final = {
    "nam": Sex.MALE,
    "male": Sex.MALE,
    "m": Sex.MALE,
    "nu": Sex.FEMALE,
    "female": Sex.FEMALE,
    "f": Sex.FEMALE,
    "khac": Sex.OTHER,
    "other": Sex.OTHER,
}
YES_NO: Final = {
    "co": True,
    "yes": True,
    "y": True,
    "x": True,
    "1": True,
    "true": True,
    "khong": False,
    "no": False,
    "n": False,
    "0": False,
    "false": False,
}


class CellError(Refused):
    """A cell cannot be used; `column` is the field it was for."""

    def __init__(self, column: str, message: str, **values: Any) -> None:
        super().__init__(422, "cell", message, **values)
        self.column = column


class Cells:
    """One row, by field: what a list says, read when it is asked for.

    Every reader returns None (or "") for an empty cell, and raises CellError.
    """

    def __init__(
        self, row: int, texts: Mapping[str, str], today: dt.date, epoch: dt.datetime
    ) -> None:
        self.row = row
        self.today = today
        self._texts = texts
        self._epoch = epoch

    def text(self, column: str) -> str:
        text = self._texts.get(column, "")
        if UNREADABLE in text:
            raise CellError(
                column,
                _("The cell has characters that cannot be read. Save the file as CSV UTF-8."),
            )
        return text

    def day(self, column: str) -> dt.date | None:
        """A day: 17/1/2021, 2021-01-17, or the bare number that Excel keeps of it."""
        text = _TIME.sub("", self.text(column)).strip()
        if not text:
            return None
        try:
            if found := _DAY_MONTH_YEAR.fullmatch(text):
                return dt.date(int(found[3]), int(found[2]), int(found[1]))
            if found := _ISO.fullmatch(text):
                return dt.date(int(found[1]), int(found[2]), int(found[3]))
            if _SERIAL.fullmatch(text) and float(text) <= _LAST_SERIAL:
                return (self._epoch + dt.timedelta(days=int(float(text)))).date()
        except ValueError:
            pass
        raise CellError(
            column, _("{text} is not a day. Write day/month/year, as 17/1/2021."), text=text[:40]
        )

    def birth(self, column: str) -> str:
        """A birthday, or the year alone: ISO."""
        text = self.text(column)
        if len(text) == 4 and text.isascii() and text.isdigit():
            return text
        day = self.day(column)
        return day.isoformat() if day else ""

    def phone(self, column: str) -> str:
        """A number in E.164, with the 0 that spreadsheets take away put back."""
        text = self.text(column).lstrip("'")
        if not text:
            return ""
        if _ROUNDED.fullmatch(text):
            raise CellError(
                column,
                _("A spreadsheet has rounded this number ({text}). Format the column as text."),
                text=text[:40],
            )
        digits = re.sub(r"[\s.\-]", "", text)
        try:
            return normal(f"0{digits}" if _LOST_ZERO.fullmatch(digits) else text)
        except ValueError:
            raise CellError(
                column, _("{text} is not a mobile telephone number."), text=text[:40]
            ) from None

    def identity(self, column: str) -> str:
        """An identity number, with its zeros in front put back."""
        digits = re.sub(r"[\s.']", "", self.text(column))
        return digits.zfill(12) if digits.isdigit() and len(digits) in (10, 11) else digits

    def choice(self, column: str, words: Mapping[str, _T]) -> _T | None:
        """One of some words, without regard to accents."""
        text = self.text(column)
        if not text:
            return None
        found = words.get(plain(text))
        if found is None:
            raise CellError(
                column,
                _("{text} is not understood. Known are: {words}."),
                text=text[:40],
                words=", ".join(words),
            )
        return found

    def sensible(self, column: str, read: Callable[[str], _T]) -> _T:
        """What `read` makes of the text; what it refuses (Refused) becomes this cell's fault."""
        try:
            return read(self.text(column))
        except CellError:
            raise
        except Refused as refused:
            raise CellError(column, refused.message, **refused.values) from None

    def details(self) -> Details:
        """The person of the row, in the normal form. Raises CellError."""
        details = Details(
            name=self._short("name", 120),
            phone=self.phone("phone"),
            identity=self.identity("identity"),
            birth=self.birth("birth"),
            sex=self.choice("sex", SEXES) or Sex.UNKNOWN,
            address=self._short("address", 300),
            occupation=self._short("occupation", 120),
            workplace=self._short("workplace", 300),
            note=self._short("note", 500),
        )
        try:
            return check_details(details, self.today)
        except DetailsError as error:
            raise CellError(error.field, error.message, **error.values) from None

    def _short(self, column: str, limit: int) -> str:
        text = self.text(column)
        if len(text) > limit:
            raise CellError(column, _("The text is longer than {limit} characters."), limit=limit)
        return text
