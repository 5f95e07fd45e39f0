"""What forms and programs send, as values. Raises Refused for what is none."""

import datetime as dt
from typing import Final

import msgspec
from starlette.datastructures import FormData

from bluezone.protocol.intervals import VIETNAM
from bluezone.server.errors import Refused
from bluezone.server.work import rules
from bluezone.server.work.rules import Answers, Symptom, TaskKind
from bluezone.server.work.service import Choice, Entry, Seen
from bluezone.web.catalogue import _

_LARGEST: Final = 2**53  # of a number in an address; a database's would fail


def task_id(text: str) -> int:
    """The number of a task, or of something else, in an address. Raises Refused (404)."""
    if not (text.isascii() and text.isdigit() and len(text) < 17 and int(text) < _LARGEST):
        raise Refused(404, "task-unknown", _("There is no such task in your units."))
    return int(text)


def seen(task: str, revision: str) -> Seen:
    """A task as a page showed it."""
    return Seen(task_id(task), int(revision) if _is_number(revision) else -1)


def several(values: list[str]) -> list[Seen]:
    """The tasks that were ticked in a list: `id.revision` each."""
    return [seen(*value.partition(".")[::2]) for value in values]


def kind_named(name: str) -> TaskKind:
    """Raises Refused (422)."""
    try:
        return TaskKind(name)
    except ValueError:
        raise Refused(422, "kind-unknown", _("There is no such kind of task.")) from None


def answers(form: FormData) -> Answers:
    """What was ticked and written; longer than a field takes is refused with its name."""
    wrong = Refused(
        422, "entry-text", _("A text is too long: a note has 2,000 characters, other fields 300.")
    )
    values = {
        "symptoms": [str(one) for one in form.getlist("symptoms")],
        "household": _text(form, "household"),
        "staying": _text(form, "staying"),
        "note": _text(form, "note"),
    }
    try:
        return msgspec.convert(values, Answers)
    except msgspec.ValidationError:
        raise wrong from None


def entry(form: FormData, kind: TaskKind) -> Entry:
    """One outcome, as a page sends it."""
    outcome = rules.check_outcome(kind, _text(form, "outcome"))
    if outcome is None:
        raise Refused(422, "outcome-missing", _("Please press the button that says how it went."))
    return Entry(
        outcome,
        form=_text(form, "form"),
        answers=answers(form),
        choice=choice(_text(form, "next"), _text(form, "when")),
        also=bool(_text(form, "also")),
    )


def choice(next_kind: str, when: str) -> Choice | None:
    """The next step that was chosen; None: as proposed."""
    if not next_kind:
        return None
    if next_kind == "none":
        return Choice(None)
    return Choice(kind_named(next_kind), local_time(when) if when else 0)


def local_time(text: str) -> int:
    """Unix time of what a browser's field for day and time gives, which is Vietnamese time."""
    try:
        return int(dt.datetime.fromisoformat(text).replace(tzinfo=VIETNAM).timestamp())
    except (ValueError, OverflowError):
        raise Refused(422, "due", _("This is not a day and a time.")) from None


SYMPTOMS: Final = tuple(Symptom)


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    # A browser sends line ends as CRLF; PostgreSQL has no text with NUL.
    return value.replace("\r\n", "\n").replace("\0", "").strip() if isinstance(value, str) else ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16
