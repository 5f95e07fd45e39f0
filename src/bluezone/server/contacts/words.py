"""The words of contacts as messages of the catalogue, for pages."""

from typing import Final

from bluezone.protocol.confirmation import Flag
from bluezone.server.audit.rules import Purpose
from bluezone.server.contacts.rules import (
    Confirmation,
    KnownBy,
    Nearness,
    PlaceKind,
    Relation,
    Setting,
)
from bluezone.server.evidence.rules import FLAGS, WHAT_IT_MEANS, WHAT_MISSING_MEANS
from bluezone.server.tracing.rules import certainty_word, part_word
from bluezone.web.catalogue import _

KNOWN_BY: Final = {
    KnownBy.INTERVIEW: _("interview"),
    KnownBy.PLACE: _("place"),
    KnownBy.PHONE: _("phone"),
}
NEARNESS: Final = {
    Nearness.TOUCH: _("touch, a shared meal, care"),
    Nearness.TWO_METRES: _("within 2 metres"),
    Nearness.SAME_ROOM: _("same room or vehicle"),
    Nearness.FARTHER: _("farther away"),
    Nearness.UNKNOWN: _("how near is not known"),
}
SETTINGS: Final = {
    Setting.HOUSEHOLD: _("household"),
    Setting.WORK: _("at work"),
    Setting.SCHOOL: _("at school"),
    Setting.HEALTH_CARE: _("at a health facility"),
    Setting.TRANSPORT: _("in a vehicle"),
    Setting.SOCIAL: _("in company, shopping"),
    Setting.OTHER: _("elsewhere"),
}
RELATIONS: Final = {
    Relation.UNKNOWN: _("not asked"),
    Relation.SPOUSE: _("spouse"),
    Relation.PARENT: _("parent"),
    Relation.CHILD: _("child"),
    Relation.RELATIVE: _("relative"),
    Relation.HOUSEMATE: _("lives in the same house"),
    Relation.FRIEND: _("friend"),
    Relation.NEIGHBOUR: _("neighbour"),
    Relation.COLLEAGUE: _("colleague"),
    Relation.CLASSMATE: _("classmate"),
    Relation.CUSTOMER: _("customer"),
    Relation.HEALTH_STAFF: _("health worker"),
    Relation.PASSENGER: _("passenger"),
    Relation.STRANGER: _("stranger"),
}
PLACE_KINDS: Final = {
    PlaceKind.MARKET: _("market"),
    PlaceKind.SHOP: _("shop"),
    PlaceKind.RESTAURANT: _("restaurant, café"),
    PlaceKind.HEALTH_CARE: _("health facility"),
    PlaceKind.SCHOOL: _("school"),
    PlaceKind.WORKPLACE: _("workplace"),
    PlaceKind.TRANSPORT: _("bus, train, plane"),
    PlaceKind.WORSHIP: _("pagoda, church"),
    PlaceKind.ENTERTAINMENT: _("bar, karaoke, cinema"),
    PlaceKind.OTHER: _("another place"),
}
PURPOSES: Final = {
    Purpose.TRACING: _("finding and following contacts"),
    Purpose.CASE: _("looking after a case"),
    Purpose.TASK: _("a task of mine"),
    Purpose.HOTLINE: _("the person called"),
    Purpose.QUALITY: _("correcting the record"),
}


CONFIRMATIONS: Final = {
    Confirmation.BOTH_SIDES: _("confirmed from both sides"),
    Confirmation.ONE_SIDE: _("one side"),
    Confirmation.CLAIM_ONLY: _("claim only"),
}


class Words:
    """What templates ask: each answer is a message to translate there."""

    known_by = KNOWN_BY
    nearness = NEARNESS
    settings = SETTINGS
    relations = RELATIONS
    place_kinds = PLACE_KINDS
    purposes = PURPOSES
    confirmations = CONFIRMATIONS
    phone_words = (WHAT_IT_MEANS, WHAT_MISSING_MEANS)  # beside every phone's record
    part = staticmethod(part_word)

    @staticmethod
    def certainty(word: str) -> str:
        return certainty_word(word) if word else ""

    @staticmethod
    def confirmation(word: str | None) -> str:
        return CONFIRMATIONS[Confirmation(word)] if word else ""

    @staticmethod
    def flag(word: str) -> str:
        return FLAGS[Flag(word)] if word in set(Flag) else word


WORDS: Final = Words()
