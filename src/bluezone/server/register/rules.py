"""Who somebody is, how two records are compared, and what a record is found again by.

The details are sealed, so nobody can search them. What can be searched are keyed hashes of a few
words of them (tokens): who has the database and not the key learns neither names nor numbers.
"""

import datetime as dt
import hmac
import itertools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Final

import msgspec
import msgspec.inspect

from bluezone.protocol.envelope import bytes_to_sign
from bluezone.protocol.phone_number import normal
from bluezone.protocol.unprintable import Unprintable
from bluezone.server.errors import Refused
from bluezone.web.catalogue import _

# From here on two records are shown as perhaps the same person; from SAME on an import takes them
# for one. The weights below are a judgement, not a fit: docs/authority.md says so.
ALIKE: Final = 0.5
SAME: Final = 0.9
_TOKEN_TAG: Final = b"BZ1-PERSON-TOKEN"
_TOKEN_BYTES: Final = 16
_IDENTITY: Final = re.compile(r"\d{9}|\d{12}")  # an identity card of before 2016, or of today
_BIRTH: Final = re.compile(r"\d{4}(-\d{2}-\d{2})?")

_Short = Annotated[str, msgspec.Meta(max_length=120)]
_Line = Annotated[str, msgspec.Meta(max_length=300)]


class Sex(StrEnum):
    """As in the identity card; empty: not asked."""

    UNKNOWN = ""
    FEMALE = "female"
    MALE = "male"
    OTHER = "other"


class Details(Unprintable, frozen=True, kw_only=True):
    """A person's own data; every field may be empty but the name."""

    name: _Short
    phone: Annotated[str, msgspec.Meta(max_length=20)] = ""  # E.164
    identity: Annotated[str, msgspec.Meta(max_length=12)] = ""  # number of the identity card
    birth: Annotated[str, msgspec.Meta(max_length=10)] = ""  # ISO day, or the year alone
    sex: Sex = Sex.UNKNOWN
    address: _Line = ""  # house and street; the commune is the record's unit
    occupation: _Short = ""
    workplace: _Line = ""
    language: Annotated[str, msgspec.Meta(max_length=5)] = "vi"
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""


_LONGEST: Final = {
    one.name: one.type.max_length
    for one in msgspec.inspect.type_info(Details).fields  # type: ignore[attr-defined]
    if isinstance(one.type, msgspec.inspect.StrType) and one.type.max_length is not None
}


class DetailsError(Refused):
    """A field is not usable; `field` says which."""

    def __init__(self, field: str, message: str, **values: Any) -> None:
        super().__init__(422, f"person-{field}", message, **values)
        self.field = field


def check_details(details: Details, today: dt.date) -> Details:
    """The details in their normal form. Raises DetailsError."""
    texts = (details.name, details.address, details.occupation, details.workplace)
    if not all(text.isprintable() for text in texts) or "\0" in details.note:
        raise DetailsError("name", _("The text has characters that cannot be shown."))
    name = " ".join(unicodedata.normalize("NFC", details.name).split())
    if not name_words(name):
        raise DetailsError("name", _("Please give a name with at least one letter."))
    phone = details.phone.strip()
    if phone:
        try:
            phone = normal(phone)
        except ValueError:
            raise DetailsError(
                "phone",
                _("This is not a mobile telephone number. Please check what you typed."),
            ) from None
    identity = re.sub(r"[\s.]", "", details.identity)
    if identity and not _IDENTITY.fullmatch(identity):
        raise DetailsError("identity", _("An identity number has 12 digits, an old one 9."))
    checked = msgspec.structs.replace(
        details,
        name=name,
        phone=phone,
        identity=identity,
        birth=_checked_birth(details.birth.strip(), today),
        address=details.address.strip(),
        occupation=details.occupation.strip(),
        workplace=details.workplace.strip(),
        note=details.note.strip(),
    )
    for field, limit in _LONGEST.items():
        # A record with a longer text would be sealed, and never open again.
        if len(getattr(checked, field)) > limit:
            raise DetailsError(field, _("The text is longer than {limit} characters."), limit=limit)
    return checked


def _checked_birth(birth: str, today: dt.date) -> str:
    if not birth:
        return ""
    problem = _("A birth is a year, or a day such as 1990-05-17, and not in the future.")
    if not _BIRTH.fullmatch(birth):
        raise DetailsError("birth", problem)
    try:
        born = dt.date.fromisoformat(birth if len(birth) > 4 else f"{birth}-01-01")
    except ValueError:
        raise DetailsError("birth", problem) from None
    if not today.year - 130 <= born.year or born > today:
        raise DetailsError("birth", problem)
    return birth


# --- finding ---------------------------------------------------------------------------
class Token(IntEnum):
    """What a record is found by."""

    FULL_NAME = 1
    WORD_PAIR = 2  # two neighbouring words of the name: single ones are shared by millions
    GIVEN_NAME = 3  # the last word
    PHONE = 4
    IDENTITY = 5
    NAME_AND_YEAR = 6  # the full name with the year of birth
    NAME_AND_COMMUNE = 7


# Beyond so many people something says no more who they are: the telephone of a factory stands in
# each of its thousand rows, and comparing all with all would take hours.
SHARED_AT_MOST: Final = 20
# By which doubles meet. Not by the name alone: thousands are called Nguyễn Văn Hùng.
COMPARED: Final = frozenset(
    {Token.NAME_AND_YEAR, Token.NAME_AND_COMMUNE, Token.PHONE, Token.IDENTITY}
)


class PairState(StrEnum):
    """What became of two records that look like one person's."""

    OPEN = "open"
    DIFFERENT = "different"  # somebody said so, and is not asked again
    MERGED = "merged"


def plain(text: str) -> str:
    """Without accents, in lower case, one space between words: "Thị  Đào" → "thi dao"."""
    letters = unicodedata.normalize("NFD", text.replace("Đ", "D").replace("đ", "d"))
    bare = "".join(one for one in letters if not unicodedata.combining(one)).casefold()
    return " ".join(re.findall(r"\w+", bare))


def name_words(name: str) -> list[str]:
    """The words that a name is compared by."""
    return [word for word in plain(name).split() if not word.isdigit()]


def tokens(details: Details, unit: str, key: bytes) -> list[tuple[Token, bytes]]:
    """All that a record of the unit of that path is found by."""
    return [(kind, token_mac(kind, text, key)) for kind, text in token_texts(details, unit)]


def token_mac(kind: Token, text: str, key: bytes) -> bytes:
    """A keyed hash of 16 bytes: equal texts are equal, nothing else is told."""
    message = bytes_to_sign(_TOKEN_TAG, bytes([kind]), text.encode())
    return hmac.digest(key, message, "sha256")[:_TOKEN_BYTES]


def token_texts(details: Details, unit: str) -> Iterator[tuple[Token, str]]:
    """What is hashed of a record, in the form in which it is compared."""
    words = name_words(details.name)
    name = " ".join(words)
    yield Token.FULL_NAME, name
    yield Token.NAME_AND_COMMUNE, f"{name}/{unit}"
    if details.birth:
        yield Token.NAME_AND_YEAR, f"{name}/{details.birth[:4]}"
    yield Token.GIVEN_NAME, words[-1]
    for pair in dict.fromkeys(itertools.pairwise(words)):
        yield Token.WORD_PAIR, " ".join(pair)
    if details.phone:
        yield Token.PHONE, details.phone
    if details.identity:
        yield Token.IDENTITY, details.identity


def sought(text: str) -> list[tuple[Token, str]]:
    """What a line typed into a search box asks for; all of it must fit. Empty: nothing sensible."""
    digits = re.sub(r"[\s.+()-]", "", text)
    if digits.isascii() and digits.isdigit():
        # No telephone number of ours has 9 or 12 digits; those of Hà Nội's cards begin with 001,
        # which would pass for a call to America.
        if _IDENTITY.fullmatch(digits) and "+" not in text:
            return [(Token.IDENTITY, digits)]
        try:
            return [(Token.PHONE, normal(text.strip()))]
        except ValueError:
            return []
    words = name_words(text)
    if len(words) == 1:
        return [(Token.GIVEN_NAME, words[0])]
    # The last pair first: family and middle names are the common ones.
    return [(Token.WORD_PAIR, " ".join(pair)) for pair in reversed(list(itertools.pairwise(words)))]


# --- comparing -------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two records are, 0 to 1, and why (catalogue messages)."""

    score: float
    reasons: tuple[str, ...]
    same_name: bool = False


def likeness(one: Details, other: Details, *, same_commune: bool) -> Likeness:
    """Compare two records. The identity number decides where both have it."""
    if one.identity and other.identity and len(one.identity) == len(other.identity):
        if one.identity == other.identity:
            return Likeness(1.0, (_("the same identity number"),))
        return Likeness(0.0, ())
    score, reasons = 0.0, []
    same_name = name_words(one.name) == name_words(other.name)
    if same_name:
        score += 0.45
        reasons.append(_("the same name"))
    if one.phone and one.phone == other.phone:
        score += 0.35  # families share a telephone
        reasons.append(_("the same telephone"))
    if one.birth and other.birth:
        if one.birth == other.birth and len(one.birth) > 4:
            score += 0.35
            reasons.append(_("the same birthday"))
        elif one.birth[:4] == other.birth[:4]:
            score += 0.15
            reasons.append(_("the same year of birth"))
        else:
            score -= 0.3
    if same_commune:
        score += 0.1
        reasons.append(_("the same commune"))
    if one.sex and other.sex and one.sex != other.sex:
        score -= 0.3
    return Likeness(round(max(0.0, min(1.0, score)), 2), tuple(reasons), same_name)
