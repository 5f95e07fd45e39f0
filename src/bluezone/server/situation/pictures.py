"""What each page shows: a picture, and the same numbers as a table, for the page and for files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.protocol.intervals import vietnam_day
from bluezone.server.people.scope import Scope
from bluezone.server.selection import Selection
from bluezone.server.situation import charts, map_picture, service
from bluezone.server.situation.charts import Series, Share
from bluezone.server.situation.graph import Forest, View
from bluezone.server.situation.map_picture import Circle
from bluezone.server.situation.statistics import binned, spread, weekly_mean
from bluezone.server.situation.words import KIND_WORDS, SETTING_WORDS, STATUS_WORDS, said
from bluezone.web.catalogue import _, translate

Cell = str | int | None
_DAY_CLASSES: Final = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 14.0)
_HOUR_CLASSES: Final = (0.0, 6.0, 12.0, 24.0, 48.0, 72.0, 120.0)
DELAY_WORDS: Final = {
    "onset-sample": _("From the first symptom to the sample"),
    "sample-result": _("From the sample to the result"),
    "result-code": _("From the result to the code"),
    "contact-call": _("From knowing of a contact to the first talk"),
}
UNIT_WORDS: Final = {"days": _("days"), "hours": _("hours")}


@dataclass(frozen=True, slots=True)
class Table:
    """Column heads in the reader's language, and rows as long."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Picture:
    """`key` names it in addresses; `draw(True)` stars small counts, for a file."""

    key: str
    title: str
    table: Table
    draw: Callable[[bool], str]
    notes: Sequence[str] = ()


async def curve(session: AsyncSession, selection: Selection, language: str) -> list[Picture]:
    """The epidemic curve by onset and by report."""
    by_onset = await service.curve(session, selection, by_onset=True)
    by_report = await service.curve(session, selection, by_onset=False)
    notes = (
        translate(
            _(
                "Of the cases reported in this time, the onset of {count} is not known; {silent}"
                " have no symptoms. They are in the curve by report only."
            ),
            language,
            count=by_onset.without_onset,
            silent=by_onset.without_symptoms,
        ),
    )
    return [
        _curve("curve-onset", _("Cases by day of onset"), by_onset, selection, language, notes),
        _curve("curve-report", _("Cases by day of report"), by_report, selection, language, ()),
    ]


def _curve(
    key: str,
    title: str,
    found: service.Curve,
    selection: Selection,
    language: str,
    notes: Sequence[str],
) -> Picture:
    title = translate(title, language)
    series = [Series(said(STATUS_WORDS, one.name, language), one.counts) for one in found.series]
    totals = [sum(one.counts[at] for one in series) for at in range(len(series[0].counts))]
    means = weekly_mean(totals)
    rows: list[list[Cell]] = []
    for at, total in enumerate(totals):
        mean = means[at]
        day = selection.since.fromordinal(selection.since.toordinal() + at)
        rows.append(
            [
                day.isoformat(),
                *(one.counts[at] for one in series),
                total,
                None if mean is None else f"{mean:.1f}",
            ]
        )
    columns = [
        translate(_("Day"), language),
        *(one.name for one in series),
        translate(_("Together"), language),
        translate(_("mean of 7 days"), language),
    ]
    return Picture(
        key,
        title,
        Table(columns, rows),
        lambda marks: charts.curve(title, selection.since, series, language, marks=marks),
        notes,
    )


async def delays(session: AsyncSession, selection: Selection, language: str) -> list[Picture]:
    """The distribution of each delay."""
    found = await service.delays(session, selection)
    return [_delay(one, language) for one in found]


def _delay(one: service.Delay, language: str) -> Picture:
    unit = said(UNIT_WORDS, one.unit, language)
    title = f"{said(DELAY_WORDS, one.name, language)} ({unit})"
    begins = _DAY_CLASSES if one.unit == "days" else _HOUR_CLASSES
    classes = [
        f"{begin:g}+" if at == len(begins) - 1 else _class(begin, begins[at + 1], one.unit)
        for at, begin in enumerate(begins)
    ]
    counts = binned(one.values, begins)
    lies = spread(one.values)
    rows: list[list[Cell]] = [
        [f"{name} {unit}", count] for name, count in zip(classes, counts, strict=True)
    ]
    if lies is not None:
        rows += [
            [translate(_("A quarter took at most"), language), f"{lies.first:.1f} {unit}"],
            [translate(_("Half took at most (median)"), language), f"{lies.median:.1f} {unit}"],
            [translate(_("Three quarters took at most"), language), f"{lies.third:.1f} {unit}"],
            [translate(_("Nine of ten took at most"), language), f"{lies.ninetieth:.1f} {unit}"],
        ]
    rows.append([translate(_("Known"), language), len(one.values)])
    rows.append([translate(_("Not known or not yet happened"), language), one.missing])
    notes = []
    if lies is not None:
        notes.append(
            translate(
                _("Half took at most {median} {unit}; the middle half from {first} to {third}."),
                language,
                median=f"{lies.median:.1f}",
                unit=unit,
                first=f"{lies.first:.1f}",
                third=f"{lies.third:.1f}",
            )
        )
    else:
        notes.append(translate(_("There is none whose both ends are known."), language))
    if one.backwards:
        notes.append(
            translate(
                _("{count} were left out: they end before they begin, so a day is wrong."),
                language,
                count=one.backwards,
            )
        )
    columns = [translate(_("Time"), language), translate(_("How many"), language)]
    return Picture(
        one.name,
        title,
        Table(columns, rows),
        lambda marks: charts.histogram(title, classes, counts, lies, begins, language, marks=marks),
        notes,
    )


def _class(begin: float, end: float, unit: str) -> str:
    if unit == "days":  # whole days
        return f"{begin:g}" if end - begin == 1 else f"{begin:g}–{end - 1:g}"
    return f"{begin:g}–{end:g}"


async def coverage(
    session: AsyncSession, selection: Selection, now: int, language: str
) -> list[Picture]:
    """How far contacts were followed, in which settings people fell ill, what only phones knew."""
    found = await service.coverage(session, selection, vietnam_day(now))
    rates = await service.attack_rates(session, selection)
    words = await service.known_by(session, selection)
    rows = [
        Share(translate(_("reached within 24 hours"), language), found.reached, found.contacts),
        Share(translate(_("tested"), language), found.tested, found.contacts),
        Share(translate(_("followed to the end"), language), found.followed, found.finished),
    ]
    known = Table(
        [
            translate(_("Known by"), language),
            translate(_("Contacts"), language),
        ],
        [
            [translate(_("phones only"), language), words.only_phones],
            [translate(_("phones and people"), language), words.phones_too],
            [translate(_("people only"), language), words.no_phones],
        ],
    )
    ill = [
        Share(said(SETTING_WORDS, one.setting, language), one.ill, one.exposed, one.low, one.high)
        for one in rates
    ]
    return [
        _shares("coverage", _("Coverage of contacts"), rows, language),
        _shares("attack-rate", _("Fell ill within 14 days, by setting"), ill, language),
        _known(known, translate(_("By whose word contacts (F1) became known"), language), language),
    ]


def _shares(key: str, title: str, rows: Sequence[Share], language: str) -> Picture:
    title = translate(title, language)
    columns = [title, *(translate(one, language) for one in (_("Found"), _("Of"), _("Share")))]
    with_interval = any(row.low is not None for row in rows)
    if with_interval:
        columns.append(translate(_("95 % interval"), language))
    cells: list[list[Cell]] = []
    for row in rows:
        share = f"{100 * row.found / row.of:.1f} %" if row.of else None
        line: list[Cell] = [row.name, row.found, row.of, share]
        if with_interval:
            line.append(f"{100 * (row.low or 0):.1f}–{100 * (row.high or 0):.1f} %")
        cells.append(line)
    return Picture(
        key,
        title,
        Table(columns, cells),
        lambda marks: charts.shares(title, rows, language, marks=marks),
    )


def _known(table: Table, title: str, language: str) -> Picture:
    together = sum(int(row[1] or 0) for row in table.rows)
    rows = [Share(str(row[0]), int(row[1] or 0), together) for row in table.rows]
    return Picture(
        "known-by", title, table, lambda marks: charts.shares(title, rows, language, marks=marks)
    )


async def cluster_map(
    session: AsyncSession,
    selection: Selection,
    own: Scope,
    language: str,
    link: Callable[[Circle], str],
) -> Picture:
    """The map of a selection; `link`: where a click on a circle leads."""
    found = await service.cases_by_place(session, selection, own)
    title = translate(_("Cases by unit"), language)
    columns = [translate(_("Unit"), language), translate(_("Cases"), language)]
    rows: list[list[Cell]] = [
        [f"{one.name} ({one.code})", one.cases]
        for one in sorted(found.circles, key=lambda one: (-one.cases, one.code))
    ]
    rows.append([translate(_("Together"), language), found.total])
    return Picture(
        "map",
        title,
        Table(columns, rows),
        lambda marks: map_picture.draw(
            title, found.circles, language, link=None if marks else link, marks=marks
        ),
    )


def chain_table(
    forest: Forest, people: Sequence[int], language: str, unit_name: Callable[[str], str]
) -> Table:
    """People of chains in order: who (by reference), where, when, from whom, how."""
    heads = (
        _("Person"), _("Kind"), _("Day"), _("Unit"), _("Generation"), _("Source"),
        _("Met the source"), _("Setting"), _("Place"), _("Known by"),
    )  # fmt: skip
    return Table(
        [translate(head, language) for head in heads],
        [_chain_row(forest, person, language, unit_name) for person in people],
    )


def _chain_row(
    forest: Forest, person: int, language: str, unit_name: Callable[[str], str]
) -> list[Cell]:
    node = forest.nodes[person]
    above = forest.above.get(person)
    row: list[Cell] = [
        called(forest, person),
        said(KIND_WORDS, node.kind.value, language),
        _iso(node.day),
        unit_name(node.unit) if node.unit else None,
        forest.generation[person],
    ]
    if above is None:
        return [*row, None, None, None, None, None]
    return [
        *row,
        called(forest, forest.parent[person]),
        _iso(above.day),
        said(SETTING_WORDS, above.setting, language),
        above.place if node.unit else None,
        above.known_by,
    ]


def called(forest: Forest, person: int) -> str:
    """How a list names a person without their name: a case's reference, else a number."""
    node = forest.nodes[person]
    if node.unit is None:
        return "?"
    return node.label or f"#{person}"


def _iso(day: int) -> str:
    return vietnam_day(day * 86_400).isoformat()


def in_order(forest: Forest, view: View) -> list[int]:
    """Everybody shown: each tree from its root down."""
    return [one for root in view.roots for one in forest.subtree(root) if one in view.shown]
