"""The pages of doubles: which records are of one person, told apart, made one, made two again."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from bluezone.protocol.intervals import vietnam_time
from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.context import Parts
from bluezone.server.errors import Refused
from bluezone.server.jobs import Job
from bluezone.server.pages import page, sentence
from bluezone.server.people.rules import StaffRole
from bluezone.server.register import importing, merging
from bluezone.web.catalogue import _

_DONE = {
    "merged": _("Done: the two records are one. You can undo it below."),
    "apart": _("Done: they are two people, and nobody is asked again."),
    "undone": _("Done: they are two records again."),
}

router = APIRouter()
jobs = [Job("import-files-retention", 3600, importing.forget_old)]


@router.get("/staff/duplicates")
@allows(StaffRole.HEALTH_WORKER)
async def duplicates_page(
    request: Request, services: Parts, staff: SignedIn, after: str = "", done: str = ""
) -> Response:
    async with services.database.transaction() as session:
        shown = await merging.pairs_in(session, services, staff, after)
        merges = await merging.merges_in(session, staff.scope)
    return page(
        request,
        "register/duplicates.html",
        pairs=shown.pairs,
        after=shown.after,
        done=_DONE.get(done, ""),
        merges=[(one, vietnam_time(one.at)) for one in merges],
        problem="",
    )


@router.get("/staff/duplicates/{one_id:int}/{other_id:int}")
@allows(StaffRole.HEALTH_WORKER)
async def pair_page(
    request: Request, services: Parts, staff: SignedIn, one_id: int, other_id: int
) -> Response:
    """Two records side by side: what merging them means, before it is done."""
    async with services.database.transaction() as session:
        pair = await merging.pair_of(session, services, staff, one_id, other_id)
    return page(request, "register/pair.html", pair=pair, problem="")


@router.post("/staff/duplicates/{one_id:int}/{other_id:int}")
@allows(StaffRole.HEALTH_WORKER)
async def decide_pair(
    request: Request,
    services: Parts,
    staff: SignedIn,
    one_id: int,
    other_id: int,
    decision: Annotated[str, Form()] = "",
    keep: Annotated[int, Form()] = 0,
    one_seen: Annotated[int, Form()] = -1,
    other_seen: Annotated[int, Form()] = -1,
) -> Response:
    try:
        if decision not in ("merge", "apart"):
            raise Refused(400, "decision-unknown", _("Please choose what is to be done."))
        async with services.database.transaction() as session:
            if decision == "apart":
                await merging.tell_apart(session, services, staff, one_id, other_id)
                return RedirectResponse("/staff/duplicates?done=apart", 303)
            seen = {one_id: one_seen, other_id: other_seen}
            kept = other_id if keep == other_id else one_id
            merged = one_id if kept == other_id else other_id
            await merging.merge(
                session,
                services,
                staff,
                kept_id=kept,
                merged_id=merged,
                kept_seen=seen[kept],
                merged_seen=seen[merged],
            )
    except Refused as refused:
        if refused.status_code == 404:
            raise
        async with services.database.transaction() as session:
            pair = await merging.pair_of(session, services, staff, one_id, other_id)
        return page(
            request,
            "register/pair.html",
            refused.status_code,
            pair=pair,
            problem=sentence(request, refused),
        )
    return RedirectResponse("/staff/duplicates?done=merged", 303)


@router.post("/staff/duplicates/merges/{merge_id:int}/undo")
@allows(StaffRole.HEALTH_WORKER)
async def undo_merge(request: Request, services: Parts, staff: SignedIn, merge_id: int) -> Response:
    try:
        async with services.database.transaction() as session:
            await merging.undo(session, services, staff, merge_id)
    except Refused as refused:
        if refused.status_code == 404:
            raise
        async with services.database.transaction() as session:
            shown = await merging.pairs_in(session, services, staff)
            merges = await merging.merges_in(session, staff.scope)
        return page(
            request,
            "register/duplicates.html",
            refused.status_code,
            pairs=shown.pairs,
            after=shown.after,
            done="",
            merges=[(one, vietnam_time(one.at)) for one in merges],
            problem=sentence(request, refused),
        )
    return RedirectResponse("/staff/duplicates?done=undone", 303)
