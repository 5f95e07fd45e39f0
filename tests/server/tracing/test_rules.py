"""Decisions about hand-overs: days as people count them, words of either language, messages."""

import numpy as np
import pytest

from bluezone.protocol.handover import HandoverState
from bluezone.protocol.sightings import SCAN_RECORD
from bluezone.server.errors import Refused
from bluezone.server.tracing.rules import (
    TEMPLATES,
    Kind,
    Template,
    certainty_word,
    decision_message,
    diary_days,
    part_word,
)
from bluezone.web.catalogue import translate

FIVE_PM_UTC = 1_611_162_000  # 2021-01-20T17:00:00Z, midnight in Vietnam


def test_days_are_vietnamese_days() -> None:
    records = np.zeros(3, SCAN_RECORD)
    records["time"] = (FIVE_PM_UTC - 1, FIVE_PM_UTC, FIVE_PM_UTC + 3600)
    assert [(one.day, one.records) for one in diary_days(records)] == [
        ("2021-01-20", 1),
        ("2021-01-21", 2),
    ]
    assert diary_days(records[:0]) == []


def test_the_words_of_the_phone_are_told_in_the_readers_language() -> None:
    assert translate(part_word("evening"), "vi") == "buổi tối"
    for certainty in ("CERTAIN", "certain", "3"):
        assert certainty_word(certainty).startswith("almost certainly")
    # What a phone made up is shown as it is.
    assert (part_word("tea time"), certainty_word("{x}"), certainty_word("")) == (
        "tea time",
        "{x}",
        "",
    )
    assert translate("", "vi") == ""


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda one: one.name)
def test_every_template_goes_with_its_own_decision_alone(template: Template) -> None:
    told = decision_message(template.kind, template.state, template.name, "")
    assert told["en"] == template.text
    assert told["vi"] != told["en"]
    others = [
        (kind, state)
        for kind in Kind
        for state in (HandoverState.CONFIRMED, HandoverState.CLEARED)
        if (kind, state) != (template.kind, template.state)
    ]
    for kind, state in others:
        with pytest.raises(Refused, match="template-unknown"):
            decision_message(kind, state, template.name, "")


def test_own_words_stand_below() -> None:
    told = decision_message(Kind.DETAILS, HandoverState.CLEARED, "no-contact", " Gọi\r\n115. ")
    assert told["vi"].endswith("\n\nGọi\n115.")
