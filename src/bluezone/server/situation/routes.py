"""The pages of the situation: chains, map, curve, delays, coverage, with their tables and files."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.limits import Rule
from bluezone.server.pages import language_of, page, sentence
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.places.units import full_name
from bluezone.server.register.service import Register
from bluezone.server.selection import Selection, offered, selected
from bluezone.server.situation import chain_picture, pictures, service, svg
from bluezone.server.situation.chain_picture import symbol
from bluezone.server.situation.graph import Forest, Kind, View, view_of
from bluezone.server.situation.map_picture import Circle
from bluezone.server.situation.pictures import Picture, Table
from bluezone.server.situation.words import KIND_WORDS
from bluezone.server.spreadsheets import csv_line
from bluezone.web.catalogue import _, translate

SHOWN_AT_MOST: Final = 2000
NAMED_AT_MOST: Final = 500
LISTED_AT_MOST: Final = 100
ZOOMS: Final = (50, 75, 100, 150, 200)
# One picture may ask the database for a lot; a person clicks slower than this.
PAGES_BY_ACCOUNT: Final = Rule("situation pages", 600, 3600)
FILES_BY_ACCOUNT: Final = Rule("situation files", 120, 3600)
# One after the other: each takes some hundred megabytes while it is painted.
_PAINTER: Final = ThreadPoolExecutor(1, "painter")
_MEDIA: Final = {
    "csv": "text/csv; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Asked:
    """The fields of the form above each page, as typed."""

    unit: str
    since: str
    until: str

    def selection(self, staff: Staff, services: Services) -> Selection:
        """Raises Refused (404, 422)."""
        return selected(staff, services.now, unit=self.unit, since=self.since, until=self.until)

    def or_usual(
        self, request: Request, staff: Staff, services: Services
    ) -> tuple[Selection, dict[str, Any]]:
        """The selection, or the usual one with what is wrong; and what the form shows.

        Raises Refused (404, 429).
        """
        services.limits.spend(PAGES_BY_ACCOUNT, str(staff.account_id))
        problem = ""
        try:
            selection = self.selection(staff, services)
        except Refused as refused:
            if refused.status_code != 422:
                raise
            problem = sentence(request, refused)
            selection = selected(staff, services.now, unit=self.unit)
        return selection, {
            "selection": selection,
            "problem": problem,
            "since": self.since if problem else selection.first,
            "until": self.until if problem else selection.last,
            "units": offered(staff.scope, selection.unit),
        }


def _asked(unit: str = "", since: str = "", until: str = "") -> Asked:
    return Asked(unit, since, until)


Asking = Annotated[Asked, Depends(_asked)]
_Draw = Callable[[AsyncSession, Selection], Awaitable[list[Picture]]]


@router.get("/staff/situation")
@allows(StaffRole.HEALTH_WORKER)
async def curve_page(request: Request, services: Parts, staff: SignedIn, asked: Asking) -> Response:
    language = language_of(request)
    return await _charts(
        request, services, staff, asked, "curve",
        lambda session, selection: pictures.curve(session, selection, language),
    )  # fmt: skip


@router.get("/staff/situation/delays")
@allows(StaffRole.HEALTH_WORKER)
async def delays_page(
    request: Request, services: Parts, staff: SignedIn, asked: Asking
) -> Response:
    language = language_of(request)
    return await _charts(
        request, services, staff, asked, "delays",
        lambda session, selection: pictures.delays(session, selection, language),
    )  # fmt: skip


@router.get("/staff/situation/coverage")
@allows(StaffRole.HEALTH_WORKER)
async def coverage_page(
    request: Request, services: Parts, staff: SignedIn, asked: Asking
) -> Response:
    language = language_of(request)
    return await _charts(
        request, services, staff, asked, "coverage",
        lambda session, selection: pictures.coverage(session, selection, services.now, language),
    )  # fmt: skip


@router.get("/staff/situation/map")
@allows(StaffRole.HEALTH_WORKER)
async def map_page(request: Request, services: Parts, staff: SignedIn, asked: Asking) -> Response:
    return await _charts(
        request, services, staff, asked, "map",
        lambda session, selection: _map(request, staff, session, selection),
    )  # fmt: skip


async def _map(
    request: Request, staff: Staff, session: AsyncSession, selection: Selection
) -> list[Picture]:
    def below(circle: Circle) -> str:
        is_commune = len(circle.code) == 5
        page_of = "chains" if is_commune else "map"
        query = selection.query(unit=circle.code)
        return f"/staff/situation/{page_of}?{query}"

    language = language_of(request)
    return [await pictures.cluster_map(session, selection, staff.scope, language, below)]


async def _charts(
    request: Request, services: Services, staff: Staff, asked: Asked, kind: str, draw: _Draw
) -> Response:
    selection, form = asked.or_usual(request, staff, services)
    async with services.database.read() as session:
        found = await draw(session, selection)
    return page(
        request,
        f"situation/{kind}.html",
        400 if form["problem"] else 200,
        kind=kind,
        pictures=[(one, one.draw(False)) for one in found],
        query=selection.query(),
        **form,
    )


@router.get("/staff/situation/{picture}/file.{form}")
@allows(StaffRole.HEALTH_WORKER)
async def picture_file(
    request: Request,
    services: Parts,
    staff: SignedIn,
    asked: Asking,
    picture: str,
    form: str,
) -> Response:
    """A picture of a page as SVG or PNG, or its numbers as CSV."""
    services.limits.spend(FILES_BY_ACCOUNT, str(staff.account_id))
    selection = asked.selection(staff, services)
    language = language_of(request)
    draws: dict[str, _Draw] = {
        "curve-onset": lambda s, w: pictures.curve(s, w, language),
        "curve-report": lambda s, w: pictures.curve(s, w, language),
        "map": lambda s, w: _map(request, staff, s, w),
        **dict.fromkeys(
            ("coverage", "attack-rate", "known-by"),
            lambda s, w: pictures.coverage(s, w, services.now, language),
        ),
        **dict.fromkeys(pictures.DELAY_WORDS, lambda s, w: pictures.delays(s, w, language)),
    }
    if form not in _MEDIA or (picture not in draws and picture != "chains"):
        raise Refused(404, "not-found", _("There is nothing at this address."))
    async with services.database.transaction() as session:
        if picture == "chains":
            table, drawn = await _chains_for_file(session, selection, language)
        else:
            found = next(
                one for one in await draws[picture](session, selection) if one.key == picture
            )
            table, drawn = found.table, found.draw(True)
        await audit.record(
            session,
            services,
            staff,
            Action.EXPORT,
            purpose=Purpose.REPORT,
            detail=f"{picture}.{form} {_where(selection)}",
        )
    return await _file(table, drawn, form, f"{picture}-{selection.first}-{selection.last}.{form}")


async def _chains_for_file(
    session: AsyncSession, selection: Selection, language: str
) -> tuple[Table, str]:
    chains = await service.chains(session, selection)
    forest = chains.forest
    roots = [root for cluster in forest.clusters for root in cluster]
    view = view_of(forest, roots, (), SHOWN_AT_MOST)
    everybody = [one for root in roots for one in forest.subtree(root)]
    table = pictures.chain_table(forest, everybody, language, full_name)
    drawn = await asyncio.to_thread(chain_picture.draw, forest, view, language, names={}, fold=None)
    return table, drawn.whole(translate(_("Chains of transmission"), language))


async def _file(table: Table, drawn: str, form: str, name: str) -> Response:
    if form == "csv":
        lines = [csv_line(table.columns), *map(csv_line, table.rows)]
        content = b"\xef\xbb\xbf" + "".join(lines).encode()  # Excel reads UTF-8 by this mark
    elif form == "svg":
        content = drawn.encode()
    else:
        content = await asyncio.get_running_loop().run_in_executor(_PAINTER, svg.png, drawn)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return Response(content, headers=headers, media_type=_MEDIA[form])


# --- chains ----------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Wish:
    """How the chains are to be shown: `of`, a person whose cluster or branch alone; what is
    folded; how large (percent)."""

    of: int
    fold: tuple[int, ...]
    zoom: int

    def query(self, selection: Selection, **changes: object) -> str:
        values: dict[str, object] = {
            "of": self.of,
            "fold": ".".join(map(str, self.fold)),
            "zoom": self.zoom if self.zoom != 100 else "",
        }
        return selection.query(**(values | changes))


def _wish(
    of: Annotated[int, Query(ge=0, le=2**53)] = 0,
    fold: Annotated[str, Query(pattern=r"^[0-9.]{0,4000}$")] = "",
    zoom: int = 100,
) -> _Wish:
    folded = tuple(dict.fromkeys(int(one[:16]) for one in fold.split(".") if one))
    return _Wish(of, folded, zoom if zoom in ZOOMS else 100)


Wish = Annotated[_Wish, Depends(_wish)]


@router.get("/staff/situation/chains")
@allows(StaffRole.HEALTH_WORKER)
async def chains_page(
    request: Request, services: Parts, staff: SignedIn, asked: Asking, wish: Wish
) -> Response:
    selection, form = asked.or_usual(request, staff, services)
    async with services.database.read() as session:
        chains = await service.chains(session, selection)
    return await _chains(request, selection, form, wish, chains, {}, "")


@router.post("/staff/situation/chains")
@allows(StaffRole.HEALTH_WORKER)
async def chains_with_names(
    request: Request,
    services: Parts,
    staff: SignedIn,
    asked: Asking,
    wish: Wish,
    purpose: Annotated[str, Form()] = "",
) -> Response:
    """The same with names, which is written down with the purpose given."""
    selection, form = asked.or_usual(request, staff, services)
    chosen = {one.value: one for one in (Purpose.TRACING, Purpose.CASE, Purpose.QUALITY)}
    async with services.database.transaction() as session:
        chains = await service.chains(session, selection)
        if purpose not in chosen:
            problem = translate(_("Please say what you need the names for."), language_of(request))
            return await _chains(request, selection, form, wish, chains, {}, problem)
        shown = _view(chains.forest, wish).shown
        if len(shown) > NAMED_AT_MOST:
            problem = translate(
                _("Names are shown for at most {count} people. Choose a cluster or branch first."),
                language_of(request),
                count=NAMED_AT_MOST,
            )
            return await _chains(request, selection, form, wish, chains, {}, problem)
        book = Register.open(services.settings.secrets_folder)
        names = await service.names(session, staff.scope, book, shown)
        await audit.record(
            session,
            services,
            staff,
            Action.LIST,
            purpose=chosen[purpose],
            detail=f"names of {len(names)} people in chains, {_where(selection)}",
        )
    return await _chains(request, selection, form, wish, chains, names, "")


def _wanted(forest: Forest, wish: _Wish) -> list[int]:
    """The roots to show: all, those of the cluster of a person, or the person's branch."""
    if wish.of not in forest.nodes:
        return [root for cluster in forest.clusters for root in cluster]
    for cluster in forest.clusters:
        if cluster[0] == wish.of:
            return cluster
    return [wish.of]


def _view(forest: Forest, wish: _Wish) -> View:
    return view_of(forest, _wanted(forest, wish), wish.fold, SHOWN_AT_MOST)


async def _chains(
    request: Request,
    selection: Selection,
    form: dict[str, Any],
    wish: _Wish,
    chains: service.Chains,
    names: dict[int, str],
    names_problem: str,
) -> Response:
    language = language_of(request)
    forest = chains.forest
    view = _view(forest, wish)

    def fold(person: int, is_folded: bool) -> str:
        if not is_folded:
            changed = _Wish(wish.of, (*wish.fold, person), wish.zoom)
        elif person in wish.fold:
            rest = tuple(one for one in wish.fold if one != person)
            changed = _Wish(wish.of, rest, wish.zoom)
        else:  # folded for want of room: alone it has some
            changed = _Wish(person, (), wish.zoom)
        return f"?{changed.query(selection)}"

    title = translate(_("Chains of transmission"), language)
    axis = body = ""
    if view.shown:
        drawn = await asyncio.to_thread(
            chain_picture.draw, forest, view, language, names=names, fold=fold
        )
        axis, body = chain_picture.page_parts(drawn, title, wish.zoom / 100)
    order = pictures.in_order(forest, view)
    bad = bool(form["problem"] or names_problem)
    return page(
        request,
        "situation/chains.html",
        400 if bad else 200,
        kind="chains",
        axis=axis,
        body=body,
        shown=len(view.shown),
        left_out=view.left_out,
        are_cut=chains.are_cut,
        everybody=len(forest.nodes),
        unknown_sources=sum(
            1 for one, node in forest.nodes.items()
            if node.is_case and node.unit is not None and one not in forest.parent
        ),
        clusters=[
            (cluster[0], forest.size(cluster), pictures.called(forest, cluster[0]))
            for cluster in forest.clusters[:12]
            if forest.size(cluster) > 1
        ],
        table=pictures.chain_table(forest, order[:LISTED_AT_MOST], language, full_name),
        people=[
            one if forest.nodes[one].unit is not None else None for one in order[:LISTED_AT_MOST]
        ],
        names=names,
        names_problem=names_problem,
        named_at_most=NAMED_AT_MOST,
        legend=[(symbol(kind), KIND_WORDS[kind.value]) for kind in Kind],
        wish=wish,
        zooms=[(zoom, wish.query(selection, zoom=zoom)) for zoom in ZOOMS],
        whole_query=wish.query(selection, of=0, fold=""),
        one_query=lambda person: wish.query(selection, of=person, fold=""),
        here=wish.query(selection),
        query=selection.query(),
        **form,
    )  # fmt: skip


def _where(selection: Selection) -> str:
    return f"{','.join(selection.scope.units)} {selection.first}..{selection.last}"
