"""What the words of the tables are called on pages and in pictures (catalogue messages)."""

from collections.abc import Mapping
from typing import Final

from bluezone.web.catalogue import _, translate

KIND_WORDS: Final = {
    "confirmed": _("confirmed case"),
    "possible": _("suspected or probable case"),
    "over": _("case that is over"),
    "dead": _("case who died"),
    "contact": _("contact of a case (F1)"),
    "farther": _("contact of a contact (F2 and on)"),
    "elsewhere": _("person of another unit"),
}
STATUS_WORDS: Final = {
    "suspected": _("suspected"),
    "probable": _("probable"),
    "confirmed": _("confirmed"),
    "discarded": _("discarded"),
    "closed": _("closed"),
}
SETTING_WORDS: Final = {
    "household": _("at home"),
    "work": _("at work"),
    "school": _("at school"),
    "health-care": _("in health care"),
    "transport": _("in transport"),
    "social": _("among friends and relatives"),
    "other": _("elsewhere"),
}


def said(words: Mapping[str, str], word: str, language: str) -> str:
    """A word of a table in the reader's language; one that is new here as it is."""
    return translate(words.get(word, word), language)
