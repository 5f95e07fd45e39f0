"""Lists of people from files: checked as a whole, shown, then taken in one transaction or not.

What the rows are (cases, results, contacts) a duty says with a Shape; the rest is the same.
"""

import asyncio
import datetime as dt
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, TypeVar

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.contacts.deriving import take_turn
from bluezone.server.context import Services
from bluezone.server.errors import Refused
from bluezone.server.people.rules import Staff
from bluezone.server.people.scope import EVERYWHERE, Scope
from bluezone.server.places.naming import commune_named
from bluezone.server.places.units import Level, level_of
from bluezone.server.register import files, rules
from bluezone.server.register import service as register
from bluezone.server.register.cells import CellError, Cells
from bluezone.server.register.rules import Details, plain
from bluezone.server.register.service import Candidate, Register
from bluezone.server.register.tables import ImportFile
from bluezone.storage.lease import Lease
from bluezone.web.catalogue import _

KEPT_SECONDS: Final = 24 * 3600
_HEAD_WITHIN: Final = 20  # rows: titles of offices stand above the head
_COMPARED_AT_ONCE: Final = 250
_PLACE: Final = b"import-file"
_T = TypeVar("_T")


# --- what a list has --------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Column:
    """A field of a list: what people call it (without accents), and what we call it."""

    key: str
    label: str  # a catalogue message
    headers: str  # between semicolons
    required: bool = False


PERSON_COLUMNS: Final = (
    Column(
        "name",
        _("Full name"),
        "ho va ten; ho ten; ten; ten benh nhan; ho ten benh nhan; name; full name",
        required=True,
    ),
    Column(
        "phone",
        _("Telephone"),
        "dien thoai; so dien thoai; sdt; so dt; dt; phone; phone number; mobile; telephone",
    ),
    Column(
        "identity",
        _("Identity number"),
        "cccd; cmnd; so cccd; so cmnd; cccd cmnd; cmnd cccd; can cuoc cong dan; so dinh danh;"
        " identity; identity number; id number; id",
    ),
    Column(
        "birth",
        _("Birthday or year of birth"),
        "ngay sinh; nam sinh; ngay thang nam sinh; birth; birthday; date of birth; dob;"
        " year of birth",
    ),
    Column("sex", _("Sex"), "gioi tinh; gioi; sex; gender"),
    Column("address", _("Address"), "dia chi; so nha; noi o; cho o; address; street"),
    Column(
        "commune",
        _("Commune"),
        "xa; phuong; xa phuong; phuong xa; ma xa; xa phuong thi tran; ma phuong xa; ma don vi;"
        " commune; ward; commune code",
    ),
    Column("district", _("District"), "quan; huyen; quan huyen; district"),
    Column(
        "province",
        _("Province"),
        "tinh; thanh pho; tinh thanh pho; tinh thanh; province; city",
    ),
    Column("occupation", _("Occupation"), "nghe nghiep; nghe; occupation; job"),
    Column("workplace", _("Place of work"), "noi lam viec; co quan; workplace; place of work"),
    Column("note", _("Note"), "ghi chu; note; notes; remark; remarks"),
)


@dataclass(frozen=True, slots=True)
class Row(Generic[_T]):
    """A row that can be taken: whom it is about, and what it says beside that."""

    number: int
    details: Details
    unit: str
    content: _T
    first: int | None = None  # the row in which the same person came before


@dataclass(frozen=True, slots=True)
class Ready(Generic[_T]):
    """A row with whom it may be in the store. `same`: so alike that it is taken for that person."""

    row: Row[_T]
    alike: Sequence[Candidate]
    same: int | None


Apply = Callable[[AsyncSession, Services, Staff, Sequence[Ready[_T]]], Awaitable[Mapping[str, int]]]
Verify = Callable[
    [AsyncSession, Services, Staff, Sequence[Ready[_T]]], Awaitable[Mapping[int, CellError]]
]


Recognise = Callable[
    [AsyncSession, Services, Staff, Sequence[Ready[_T]]], Awaitable[Mapping[int, int]]
]


async def nobody_recognised(
    _session: AsyncSession, _services: Services, _staff: Staff, _ready: Sequence[Ready[Any]]
) -> Mapping[int, int]:
    """For rows that tell by nothing but the details whose they are."""
    return {}


async def nothing_to_verify(
    _session: AsyncSession, _services: Services, _staff: Staff, _ready: Sequence[Ready[Any]]
) -> Mapping[int, CellError]:
    """For rows that say everything themselves."""
    return {}


@dataclass(frozen=True, slots=True)
class Shape(Generic[_T]):
    """What the rows of a list are.

    `read` makes the content of a row (raises CellError), without the store; `verify` finds, by row
    number, what the store says against rows of a batch. `recognise` names, by row number, the
    person of rows whose details alone leave it open (among `alike`), so that a list handed in
    twice makes nobody twice. `apply` writes a batch, and returns how
    many rows became what: the keys are catalogue messages. `once`: a person has one row;
    `anywhere`: rows may be of communes beyond the scope of who imports.
    """

    kind: str
    columns: tuple[Column, ...]
    read: Callable[[Cells, Details], _T]
    apply: Apply[_T]
    verify: Verify[_T] = nothing_to_verify
    recognise: Recognise[_T] = nobody_recognised
    once: bool = True
    anywhere: bool = False


# --- what a check finds ------------------------------------------------------------------
class Problem(msgspec.Struct, frozen=True):
    """Why a row cannot be taken. `row` as a spreadsheet numbers it, `column` by its head."""

    row: int
    column: str
    message: str  # a catalogue message
    values: dict[str, str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a check of a whole file found."""

    rows: int  # with anything in them, without the head
    good: int
    known: int  # of the good: people who are in the register
    alike: int  # of the good: perhaps in it, and to be looked at
    elsewhere: int  # of the good: perhaps in it, in a unit that one does not see
    problems: list[Problem]
    head: list[str]
    columns: dict[str, int]  # field to the number of its column
    unused: list[str]  # heads of columns that mean nothing to us


@dataclass(slots=True)
class _Read(Generic[_T]):
    rows: list[Row[_T]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    count: int = 0


# --- reading ------------------------------------------------------------------------------
def columns_of(shape: Shape[Any], head: Sequence[str]) -> dict[str, int]:
    """Which column holds which field, as far as its head says so."""
    found: dict[str, int] = {}
    known = {word: one.key for one in shape.columns for word in one.headers.split("; ")}
    for number, text in enumerate(head):
        key = known.get(plain(text))
        if key is not None:
            found.setdefault(key, number)
    return found


def _head_and_rows(
    shape: Shape[Any], table: files.Table
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The head is the row, near the top, that names the most fields."""
    first: list[tuple[int, list[str]]] = []
    for one in table.rows:
        first.append(one)
        if len(first) == _HEAD_WITHIN:
            break
    if not first:
        raise files.FileError(_("The file is empty."))
    best = max(range(len(first)), key=lambda at: len(columns_of(shape, first[at][1])))
    head = first[best][1]

    def rest() -> Iterator[tuple[int, list[str]]]:
        yield from first[best + 1 :]
        yield from table.rows

    return head, rest()


def _read_file(
    shape: Shape[_T],
    content: bytes,
    chosen: Mapping[str, int] | None,
    *,
    staff: Staff,
    today: dt.date,
) -> tuple[list[str], dict[str, int], _Read[_T]]:
    table = files.read_table(content)
    head, rows = _head_and_rows(shape, table)
    columns = dict(chosen) if chosen is not None else columns_of(shape, head)
    missing = [one for one in shape.columns if one.required and one.key not in columns]
    if level_of(staff.unit) is not Level.COMMUNE and "commune" not in columns:
        missing += [one for one in shape.columns if one.key == "commune"]
    found: _Read[_T] = _Read()
    if missing:
        found.problems = [
            Problem(1, one.label, _("No column was found for this. Please choose it below."), {})
            for one in missing
        ]
        found.count = sum(1 for _row in rows)
        return head, columns, found
    seen: dict[tuple[int, str], list[Row[_T]]] = {}
    for number, texts in rows:
        found.count += 1
        named = {key: texts[at] for key, at in columns.items() if at < len(texts)}
        cells = Cells(number, named, today, table.epoch)
        try:
            row = _row(shape, cells, staff)
            found.rows.append(met_before(shape, row, seen))
        except CellError as error:
            found.problems.append(_problem(error, number, head, columns))
    return head, columns, found


def _problem(
    error: CellError, number: int, head: Sequence[str], columns: Mapping[str, int]
) -> Problem:
    at = columns.get(error.column)
    column = head[at] if at is not None and at < len(head) else ""
    values = {key: str(value) for key, value in error.values.items()}
    return Problem(number, column, error.message, values)


def _row(shape: Shape[_T], cells: Cells, staff: Staff) -> Row[_T]:
    details = cells.details()
    unit = _unit(cells, staff)
    if not shape.anywhere and not staff.scope.covers(unit):
        raise CellError(
            "commune",
            _("This commune is not in your units. Send the row to those who work there."),
        )
    return Row(cells.row, details, unit, shape.read(cells, details))


def _unit(cells: Cells, staff: Staff) -> str:
    parts = [cells.text(one) for one in ("commune", "district", "province")]
    if not parts[0]:
        if level_of(staff.unit) is Level.COMMUNE:
            return staff.unit
        raise CellError("commune", _("Please give the commune."))
    words = parts[0]
    if "," not in words and not words.isdigit():
        words = ", ".join(part for part in parts if part)
    return cells.sensible("commune", lambda _text: _commune(words))


def _commune(words: str) -> str:
    found = _COMMUNES.get(words)
    if found is None:
        found = commune_named(words).path
        if len(_COMMUNES) > 20_000:
            _COMMUNES.clear()
        _COMMUNES[words] = found
    return found


_COMMUNES: Final[dict[str, str]] = {}  # the same few hundred stand in every row


def met_before(
    shape: Shape[_T], row: Row[_T], seen: dict[tuple[int, str], list[Row[_T]]]
) -> Row[_T]:
    """The row with the one of the same person before it, found with and without accents.

    Raises CellError where a person has one row only, or the two rows say the same.
    """
    keys = [
        (int(kind), text)
        for kind, text in rules.token_texts(row.details, row.unit)
        if kind in rules.COMPARED
    ]
    for other in (other for key in keys for other in seen.get(key, ())):
        how = rules.likeness(row.details, other.details, same_commune=other.unit == row.unit)
        if how.score >= rules.SAME:
            if shape.once or other.content == row.content:
                raise CellError(
                    "name",
                    _("This is the same person as in row {row}, and is left out."),
                    row=other.number,
                )
            row = replace(row, first=other.first or other.number)
    for key in keys:
        same = seen.setdefault(key, [])
        if len(same) < rules.SHARED_AT_MOST:
            same.append(row)
    return row


# --- comparing with the store --------------------------------------------------------------
async def _compared(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    shape: Shape[_T],
    own: Register,
    rows: Sequence[Row[_T]],
) -> list[Ready[_T]]:
    scope = EVERYWHERE if shape.anywhere else staff.scope
    alike = await register.candidates(session, own, [(row.details, row.unit) for row in rows])
    ready = [ready_row(row, found, scope) for row, found in zip(rows, alike, strict=True)]
    by_row = await shape.recognise(session, services, staff, ready)
    return [replace(one, same=by_row.get(one.row.number, one.same)) for one in ready]


def ready_row(row: Row[_T], alike: Sequence[Candidate], scope: Scope = EVERYWHERE) -> Ready[_T]:
    """A row with the stored people it may be of; the likeliest is taken if it is alike enough."""
    same = next(
        (
            one.person_id
            for one in alike
            if one.likeness.score >= rules.SAME and scope.covers(one.unit)
        ),
        None,
    )
    return Ready(row, alike, same)


async def check(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    shape: Shape[_T],
    content: bytes,
    chosen: Mapping[str, int] | None = None,
) -> Report:
    """What an import of this file would do. Writes nothing. Raises FileError."""
    head, columns, found = await asyncio.to_thread(
        _read_file, shape, content, chosen, staff=staff, today=vietnam_day(services.now)
    )
    own = Register.open(services.settings.secrets_folder)
    good = known = alike = elsewhere = 0
    for start in range(0, len(found.rows), _COMPARED_AT_ONCE):
        batch = found.rows[start : start + _COMPARED_AT_ONCE]
        ready = await _compared(session, services, staff, shape, own, batch)
        against = await shape.verify(session, services, staff, ready)
        found.problems += [
            _problem(error, number, head, columns) for number, error in against.items()
        ]
        for one in ready:
            if one.row.number in against:
                continue
            good += 1
            if one.same is not None:
                known += 1
            elif any(staff.scope.covers(other.unit) for other in one.alike):
                alike += 1
            elif one.alike:
                elsewhere += 1
    used = set(columns.values())
    return Report(
        rows=found.count,
        good=good,
        known=known,
        alike=alike,
        elsewhere=elsewhere,
        problems=sorted(found.problems, key=lambda one: one.row),
        head=head,
        columns=columns,
        unused=[text for at, text in enumerate(head) if text and at not in used],
    )


async def take(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    shape: Shape[_T],
    content: bytes,
    chosen: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Take the good rows of a file, all in the caller's transaction.

    Returns how many rows became what, by catalogue messages. Raises FileError.
    """
    _head, _columns, found = await asyncio.to_thread(
        _read_file, shape, content, chosen, staff=staff, today=vietnam_day(services.now)
    )
    own = Register.open(services.settings.secrets_folder)
    counts: dict[str, int] = {}
    for start in range(0, len(found.rows), _COMPARED_AT_ONCE):
        batch = found.rows[start : start + _COMPARED_AT_ONCE]
        ready = await _compared(session, services, staff, shape, own, batch)
        against = await shape.verify(session, services, staff, ready)
        ready = [one for one in ready if one.row.number not in against]
        for message, number in (await shape.apply(session, services, staff, ready)).items():
            counts[message] = counts.get(message, 0) + number
    return counts


async def people_of(
    session: AsyncSession, services: Services, ready: Sequence[Ready[_T]]
) -> tuple[list[int], int]:
    """The person of each row, the one taken for the same or a new record; how many are new."""
    own = Register.open(services.settings.secrets_folder)
    here = {one.row.number for one in ready}
    # Who came in an earlier batch is in the store by now, and found there.
    fresh = [one for one in ready if one.same is None and one.row.first not in here]
    made = await register.add_many(
        session,
        own,
        [(one.row.details, one.row.unit) for one in fresh],
        now=services.now,
        alike=[one.alike for one in fresh],
    )
    ids = {one.row.number: person.id for one, person in zip(fresh, made, strict=True)}
    for one in ready:
        if one.same is not None:
            ids[one.row.number] = one.same
        elif one.row.first in here:
            ids[one.row.number] = ids[one.row.first]
    return [ids[one.row.number] for one in ready], len(made)


# --- between check and import ----------------------------------------------------------------
class _Kept(msgspec.Struct, frozen=True):
    content: bytes
    report: Report


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that was checked, and what became of it."""

    id: bytes
    content: bytes = field(repr=False)
    report: Report
    done_at: int | None
    outcome: dict[str, int]


async def keep(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    shape: Shape[Any],
    name: bytes,
    content: bytes,
    report: Report,
) -> None:
    """Keep a checked file for its import, sealed; a file of this name gives way."""
    sealer = Register.open(services.settings.secrets_folder).sealer
    kept = zlib.compress(msgspec.msgpack.encode(_Kept(content, report)), 1)
    await session.execute(
        delete(ImportFile).where(ImportFile.id == name, ImportFile.done_at.is_(None))
    )
    session.add(
        ImportFile(
            id=name,
            account_id=staff.account_id,
            kind=shape.kind,
            sealed=sealer.seal(kept, _PLACE, name),
            created_at=services.now,
            done_at=None,
            outcome="{}",
        )
    )


async def kept_file(
    session: AsyncSession, services: Services, staff: Staff, shape: Shape[Any], name: bytes
) -> KeptFile:
    """A file that this member of staff handed in. Raises Refused (404)."""
    row = await session.scalar(
        select(ImportFile).where(
            ImportFile.id == name,
            ImportFile.account_id == staff.account_id,
            ImportFile.kind == shape.kind,
        )
    )
    if row is None:
        raise Refused(
            404,
            "import-unknown",
            _("There is no such import of yours. A file that was checked is kept for a day."),
        )
    sealer = Register.open(services.settings.secrets_folder).sealer
    kept = msgspec.msgpack.decode(
        zlib.decompress(sealer.open(row.sealed, _PLACE, row.id)), type=_Kept
    )
    outcome = msgspec.json.decode(row.outcome, type=dict[str, int])
    return KeptFile(row.id, kept.content, kept.report, row.done_at, outcome)


async def take_kept(
    session: AsyncSession, services: Services, staff: Staff, shape: Shape[Any], name: bytes
) -> KeptFile:
    """Import a kept file, once: of two who press the button at the same time one imports.

    Its content is gone with that. Raises Refused (404), FileError.
    """
    await take_turn(session)  # of two lists with one new person, the second finds them
    claimed = await session.scalar(
        update(ImportFile)
        .where(
            ImportFile.id == name,
            ImportFile.account_id == staff.account_id,
            ImportFile.done_at.is_(None),
        )
        .values(done_at=services.now)
        .returning(ImportFile.id)
    )
    kept = await kept_file(session, services, staff, shape, name)
    if claimed is None:
        return kept
    counts = await take(session, services, staff, shape, kept.content, kept.report.columns)
    sealer = Register.open(services.settings.secrets_folder).sealer
    emptied = zlib.compress(msgspec.msgpack.encode(_Kept(b"", kept.report)), 1)
    await session.execute(
        update(ImportFile)
        .where(ImportFile.id == name)
        .values(
            outcome=msgspec.json.encode(counts).decode(),
            sealed=sealer.seal(emptied, _PLACE, name),
        )
    )
    return KeptFile(name, b"", kept.report, services.now, counts)


async def forget_old(services: Services, lease: Lease) -> None:
    """Retention: files that were handed in a day ago, imported or not."""
    async with services.database.transaction() as session:
        await lease.confirm(session)
        await session.execute(
            delete(ImportFile).where(ImportFile.created_at <= services.now - KEPT_SECONDS)
        )
    await services.database.forget_deleted()


def faulty_rows(content: bytes, report: Report, words: Callable[[Problem], str]) -> bytes:
    """The rows that cannot be taken, as a CSV with what is wrong behind them. Raises FileError."""
    by_row: dict[int, list[str]] = {}
    for one in report.problems:
        by_row.setdefault(one.row, []).append(words(one))
    lines: list[list[str]] = [["", *report.head]]
    for number, texts in files.read_table(content).rows:
        if number in by_row:
            lines.append([f"{number}: {'; '.join(by_row[number])}", *texts])
    return files.write_csv(lines)
