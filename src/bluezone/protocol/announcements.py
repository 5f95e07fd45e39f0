"""Signed words of the authority: news, and the health stations to call (docs/protocol.md,
"Announcements").

`GET /v1/news.json` and `GET /v1/stations/PROVINCE.json`, each an envelope signed by an
`announcements` key. A phone shows what is signed and nothing else, so nobody can put words
or a telephone number into the authority's mouth.
"""

from typing import Annotated, Final, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from bluezone.protocol.deployment import TAG_NEWS, TAG_STATIONS
from bluezone.protocol.envelope import EnvelopeError, parse, read_payload, seal, verify
from bluezone.protocol.trust import Role, Trust

VERSION: Final = 1
_Time = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
_Sequence = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
_Form = TypeVar("_Form", "News", "Stations")


class Announcement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One piece of news. `title` and `body` by language, plain text, paragraphs by blank lines."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,64}\Z")]
    published_at: _Time
    title: dict[str, Annotated[str, msgspec.Meta(min_length=1, max_length=200)]]
    body: dict[str, Annotated[str, msgspec.Meta(max_length=4000)]]
    important: bool = False


class News(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All current news, newest first. `sequence` grows with every edition."""

    sequence: _Sequence
    issued_at: _Time
    items: Annotated[tuple[Announcement, ...], msgspec.Meta(max_length=200)]
    version: int = VERSION


class HealthStation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whom to call in one commune (its five-digit code of the General Statistics Office)."""

    commune: Annotated[str, msgspec.Meta(pattern=r"^\d{5}\Z")]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    phone: Annotated[str, msgspec.Meta(pattern=r"^[0-9+ ().-]{3,40}\Z")]
    address: Annotated[str, msgspec.Meta(max_length=300)] = ""


class Stations(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The health stations of one province (two-digit code)."""

    sequence: _Sequence
    issued_at: _Time
    province: Annotated[str, msgspec.Meta(pattern=r"^\d{2}\Z")]
    stations: Annotated[tuple[HealthStation, ...], msgspec.Meta(max_length=5000)]
    version: int = VERSION


_TAGS: Final[dict[type[msgspec.Struct], bytes]] = {News: TAG_NEWS, Stations: TAG_STATIONS}


def seal_announcement(
    content: News | Stations, key_id: str, key: ec.EllipticCurvePrivateKey
) -> bytes:
    """The signed document. Raises EnvelopeError if no phone would accept its content."""
    payload = msgspec.json.encode(content)
    read_payload(payload, type(content), VERSION)
    return seal(_TAGS[type(content)], payload, key_id, key)


def read_announcement(
    document: bytes, form: type[_Form], trust: Trust, now: float, *, last_sequence: int
) -> _Form:
    """Check a document; `last_sequence` is that of the last one accepted, the same is fine.

    Raises EnvelopeError: malformed, not signed by a certified key, or older than the last.
    """
    envelope = parse(document)
    key = trust.ec_key(Role.ANNOUNCEMENTS, envelope.key_id, now)
    content = read_payload(verify(_TAGS[form], envelope, key), form, VERSION)
    if content.sequence < last_sequence:
        raise EnvelopeError(
            f"sequence {content.sequence} after {last_sequence} was already accepted"
        )
    return content
