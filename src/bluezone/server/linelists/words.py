"""What the words of the tables are called in lists for people; programs get them as they are."""

from functools import cache
from typing import Final

from bluezone.server.situation.words import SETTING_WORDS, STATUS_WORDS
from bluezone.web.catalogue import _, translate

_WORDS: Final = {
    **STATUS_WORDS,
    **SETTING_WORDS,
    "recovered": _("recovered"),
    "died": _("died"),
    "moved": _("moved away"),
    "lost": _("lost from sight"),
    "positive": _("positive"),
    "negative": _("negative"),
    "inconclusive": _("inconclusive"),
    "pcr": "PCR",
    "antigen": _("antigen test"),
    "antibody": _("antibody test"),
    "interview": _("interview"),
    "place": _("place"),
    "phone": _("phone"),
    "touch": _("touched"),
    "two-metres": _("within two metres"),
    "same-room": _("in the same room"),
    "farther": _("farther away"),
    "unknown": _("unknown"),
    "both-sides": _("confirmed from both sides"),
    "one-side": _("one side"),
    "claim-only": _("claim only"),
    "intake": _("intake"),
    "import": _("import"),
    "laboratory": _("laboratory"),
    "female": _("female"),
    "male": _("male"),
    "call": _("call"),
    "test": _("test"),
    "visit": _("visit"),
    "quarantine-check": _("quarantine check"),
    "check-evidence": _("check of evidence"),
    "open": _("open"),
    "done": _("done"),
    "cancelled": _("cancelled"),
    "reached": _("reached"),
    "symptoms": _("has symptoms"),
    "no-answer": _("no answer"),
    "wrong-number": _("wrong number"),
    "refused": _("refused"),
    "sampled": _("sample taken"),
    "not-there": _("not there"),
    "met": _("met"),
}


def word(text: str, language: str) -> str:
    """A word of a table in a language; anything else as it is."""
    return _words(language).get(text, text)


@cache
def _words(language: str) -> dict[str, str]:
    return {key: translate(message, language) for key, message in _WORDS.items()}
