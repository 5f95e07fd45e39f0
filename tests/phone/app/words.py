"""The messages of the app's static pages: `data-t…` in HTML, `t("…")` in scripts."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import bluezone.phone.app

PAGES = Path(bluezone.phone.app.__file__).parent / "pages"
_CALL = re.compile(r"(?<![\w.$])t\(")
_STRING = re.compile(r'\s*("(?:[^"\\]|\\.)*")\s*(\+?)')


class ComputedSentenceError(Exception):
    """A message is computed: nobody could translate it."""


class _Marked(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.messages: set[str] = set()
        self._collecting: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._collecting is not None:
            raise ComputedSentenceError(f"<{tag}> inside a translated element")
        for name, value in attrs:
            if name == "data-t":
                self._collecting = []
            elif name.startswith("data-t-"):
                self.messages.add(value or "")

    def handle_data(self, data: str) -> None:
        if self._collecting is not None:
            self._collecting.append(data)

    def handle_endtag(self, tag: str) -> None:
        if self._collecting is not None:
            self.messages.add(" ".join("".join(self._collecting).split()))
            self._collecting = None


def in_html(text: str) -> set[str]:
    reader = _Marked()
    reader.feed(text)
    return reader.messages


def in_script(text: str) -> set[str]:
    """Every first argument of `t`, which must be one string or a sum of strings."""
    messages = set()
    for call in _CALL.finditer(text):
        at, parts = call.end(), []
        while (string := _STRING.match(text, at)) is not None:
            parts.append(json.loads(string[1]))
            at = string.end()
            if not string[2]:
                break
        if not parts or text[at : at + 1] not in ",)":
            line = text.count("\n", 0, call.start()) + 1
            raise ComputedSentenceError(f"line {line}: {text[call.start() : call.start() + 60]}")
        messages.add("".join(parts))
    return messages


def of_all_pages() -> dict[str, str]:
    """Each message, and a file that says it."""
    found = {}
    for file in sorted(PAGES.iterdir()):
        read = {".html": in_html, ".js": in_script}.get(file.suffix)
        if read is None or file.name in ("words.js", "worker.js"):
            continue
        try:
            found.update(dict.fromkeys(read(file.read_text("utf-8")), file.name))
        except ComputedSentenceError as fault:
            raise ComputedSentenceError(f"{file.name}: {fault}") from fault
    return found
