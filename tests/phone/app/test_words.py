"""Every sentence of the app's pages has its Vietnamese, with the same named places."""

import re

import pytest

from bluezone.web.catalogue import translate
from tests.phone.app import words

_PLACE = re.compile(r"\{(\w+)\}")


def test_every_sentence_has_its_vietnamese() -> None:
    messages = words.of_all_pages()
    assert len(messages) > 80, "the extraction finds too little to be believed"
    missing = [(m, where) for m, where in messages.items() if translate(m, "vi") == m]
    assert not missing, missing


def test_translations_keep_the_named_places() -> None:
    for message in words.of_all_pages():
        places = sorted(set(_PLACE.findall(message)))
        assert places == sorted(set(_PLACE.findall(translate(message, "vi")))), message


def test_the_extraction_reads_what_the_pages_write() -> None:
    html = '<p data-t>Two\n  words</p><input data-t-placeholder="A name" data-x="no"><b>not</b>'
    assert words.in_html(html) == {"Two words", "A name"}
    script = 'at("no"); t("one {n}", { n }); x.t("no"); put(t("a " +\n "b"), act("no"))'
    assert words.in_script(script) == {"one {n}", "a b"}


@pytest.mark.parametrize("script", ["t(word)", 't("a" + word)', "t(`a`)"])
def test_a_computed_sentence_is_refused(script: str) -> None:
    with pytest.raises(words.ComputedSentenceError):
        words.in_script(script)


def test_markup_inside_a_translated_element_is_refused() -> None:
    with pytest.raises(words.ComputedSentenceError):
        words.in_html("<p data-t>never <b>bold</b></p>")
