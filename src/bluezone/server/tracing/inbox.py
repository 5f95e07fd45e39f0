"""Hand-overs, from the staff's side: pages for people, the same as JSON for programs.

Staff see the items of their units and of those below, and no others. Whatever shows what a person
handed over is written to the audit first.
"""

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from bluezone.protocol.handover import ID_BYTES, ContactDetails, HandedDiary, HandoverState
from bluezone.protocol.intervals import vietnam_time
from bluezone.protocol.unprintable import Unprintable
from bluezone.server.audit import service as audit
from bluezone.server.audit.rules import Action, Purpose
from bluezone.server.audit.tables import AuditEntry
from bluezone.server.authorisation import SignedIn, allows
from bluezone.server.bodies import json_answer, read_json
from bluezone.server.contacts import phones
from bluezone.server.contacts import service as contacts
from bluezone.server.contacts.deriving import take_turn
from bluezone.server.contacts.words import WORDS
from bluezone.server.context import Parts, Services
from bluezone.server.errors import Refused
from bluezone.server.limits import Rule
from bluezone.server.messaging import service as messaging
from bluezone.server.pages import page, sentence
from bluezone.server.people.rules import Staff, StaffRole
from bluezone.server.places.units import path_of
from bluezone.server.tracing import rules, service
from bluezone.server.tracing.rules import DiaryDay, Kind
from bluezone.server.tracing.service import Item
from bluezone.server.tracing.tables import Handover
from bluezone.web.catalogue import _
from bluezone.web.places import commune, province

_STATES: Final = tuple(HandoverState)
DECISIONS_BY_ACCOUNT: Final = Rule("decisions by account", 300, 3600)

router = APIRouter()


# --- as JSON ---------------------------------------------------------------------------
class InboxEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a list; nothing in it says whose it is."""

    handover: str  # hex: names it in the addresses below
    reference: str
    kind: str
    state: str
    revision: int  # what a decision has seen
    received_at: int
    updated_at: int


class InboxAnswer(msgspec.Struct, frozen=True):
    """At most 100 items."""

    items: list[InboxEntry]


class ShownDetails(Unprintable, frozen=True, kw_only=True):
    """What a person sent to be called back."""

    name: str
    phone_number: str
    number_verified_at: int | None  # None: nobody has proved that the number is theirs
    commune: str
    commune_name: str
    about: str
    days: list[dict[str, object]]
    note: str
    language: str


class ShownDiary(Unprintable, frozen=True, kw_only=True):
    """How much a diary holds."""

    about: str
    keys: int
    days: list[dict[str, object]]


class ShownDecision(Unprintable, frozen=True, kw_only=True):
    """One entry of the history."""

    state: str
    at: int
    account: str
    message: dict[str, str]


class ItemAnswer(Unprintable, frozen=True, kw_only=True):
    """One item, opened. Withdrawn, it has neither details nor diary."""

    item: InboxEntry
    details: ShownDetails | None
    diary: ShownDiary | None
    history: list[ShownDecision]


class DecisionRequest(Unprintable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a program decides for its user."""

    state: HandoverState
    seen: int
    template: str = ""
    words: str = ""
    # Confirmed, a report becomes a contact: of whom, and exposed to which case, where known.
    name: str = ""
    person: int | None = None
    case: int | None = None
    day: str = ""


@router.get("/v1/staff/inbox")
@allows(StaffRole.HEALTH_WORKER)
async def inbox(
    services: Parts, staff: SignedIn, state: str = "received", reference: str = ""
) -> Response:
    rows = await _inbox(services, staff, _state_named(state), reference)
    return json_answer(InboxAnswer([_entry(row) for row in rows]))


@router.get("/v1/staff/inbox/{handover}")
@allows(StaffRole.HEALTH_WORKER)
async def item(services: Parts, staff: SignedIn, handover: str) -> Response:
    opened, _looks = await _look(services, staff, handover)
    return json_answer(
        ItemAnswer(
            item=_entry(opened.handover),
            details=_details(services, opened.content),
            diary=_diary(opened.content),
            history=[
                ShownDecision(
                    state=one.state.value, at=one.at, account=one.account_name, message=one.message
                )
                for one in opened.history
            ],
        )
    )


@router.post("/v1/staff/inbox/{handover}")
@allows(StaffRole.HEALTH_WORKER)
async def decide(request: Request, services: Parts, staff: SignedIn, handover: str) -> Response:
    body = await read_json(request, DecisionRequest)
    await _decide(
        services,
        staff,
        handover,
        state=body.state.value,
        template=body.template,
        words=body.words,
        seen=body.seen,
        choice=phones.Choice(body.name, body.person, body.case, body.day),
    )
    return Response(status_code=204)


@router.get("/v1/staff/inbox/{handover}/diary")
@allows(StaffRole.HEALTH_WORKER)
async def diary(services: Parts, staff: SignedIn, handover: str) -> Response:
    return await _download(services, staff, handover)


# --- as pages --------------------------------------------------------------------------
@router.get("/staff/inbox")
@allows(StaffRole.HEALTH_WORKER)
async def inbox_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    state: str = "received",
    reference: str = "",
    decided: str = "",
) -> Response:
    """The list. `decided` names the item of a decision just made: what is said of it is read from
    the item itself, so an address can neither make up words nor a decision."""
    chosen = _state_named(state)
    rows = await _inbox(services, staff, chosen, reference)
    return page(
        request,
        "tracing/inbox.html",
        decided=await _decided(services, staff, decided),
        items=[(row, row.id.hex(), vietnam_time(row.received_at)) for row in rows],
        chosen=chosen.value,
        states=[one.value for one in _STATES],
        reference=reference,
        shown=service.SHOWN,
    )


@router.get("/staff/inbox/{handover}")
@allows(StaffRole.HEALTH_WORKER)
async def item_page(request: Request, services: Parts, staff: SignedIn, handover: str) -> Response:
    return await _item_page(request, services, staff, handover)


@router.post("/staff/inbox/{handover}")
@allows(StaffRole.HEALTH_WORKER)
async def decide_on_page(
    request: Request,
    services: Parts,
    staff: SignedIn,
    handover: str,
    state: Annotated[str, Form()] = "",
    template: Annotated[str, Form()] = "",
    words: Annotated[str, Form()] = "",
    seen: Annotated[int, Form()] = -1,
    name: Annotated[str, Form()] = "",
    person: Annotated[str, Form()] = "",
    case: Annotated[str, Form()] = "",
    day: Annotated[str, Form()] = "",
) -> Response:
    choice = phones.Choice(name[:300], _number(person), _number(case), day)
    try:
        await _decide(
            services, staff, handover, state=state, template=template, words=words, seen=seen,
            choice=choice,
        )  # fmt: skip
    except Refused as refused:
        if refused.status_code == 404:
            raise
        return await _item_page(
            request,
            services,
            staff,
            handover,
            refused=refused,
            state=state,
            template=template,
            words=words,
            choice=choice,
        )
    return RedirectResponse(f"/staff/inbox?decided={_identity(handover).hex()}", 303)


@router.post("/staff/inbox/{handover}/case")
@allows(StaffRole.HEALTH_WORKER)
async def attach_to_case(
    services: Parts, staff: SignedIn, handover: str, case: Annotated[str, Form()] = ""
) -> Response:
    """Say whose diary it is."""
    identity = _identity(handover)
    sealer = service.inbox_sealer(services.settings.secrets_folder)
    async with services.database.transaction() as session:
        opened = await service.open_item(session, sealer, staff.scope, identity)
        if not isinstance(opened.content, HandedDiary):
            raise _nothing_here()
        await phones.attach_diary(
            session, services, staff, handover=identity, reference=opened.handover.reference,
            case_id=_number(case) or 0,
        )  # fmt: skip
    return RedirectResponse(f"/staff/inbox/{identity.hex()}", 303)


@router.get("/staff/inbox/{handover}/diary")
@allows(StaffRole.HEALTH_WORKER)
async def diary_from_page(services: Parts, staff: SignedIn, handover: str) -> Response:
    return await _download(services, staff, handover)


# --- what both do ----------------------------------------------------------------------
async def _inbox(
    services: Services, staff: Staff, state: HandoverState, reference: str
) -> list[Handover]:
    wanted = reference.strip().upper()
    if "\0" in wanted:  # PostgreSQL has no such text, and would fail
        return []
    async with services.database.read() as session:
        return list(await service.inbox(session, staff.scope, state=state, wanted=wanted))


async def _decided(services: Services, staff: Staff, handover: str) -> Handover | None:
    if not handover:
        return None
    try:
        identity = _identity(handover)
    except Refused:
        return None
    async with services.database.read() as session:
        return await service.decided(session, staff.scope, identity)


async def _look(
    services: Services, staff: Staff, handover: str, action: Action = Action.LOOK
) -> tuple[Item, list[AuditEntry]]:
    """Open an item, written to the audit. Also returns who looked before."""
    identity = _identity(handover)
    sealer = service.inbox_sealer(services.settings.secrets_folder)
    async with services.database.transaction() as session:
        opened = await service.open_item(session, sealer, staff.scope, identity)
        subject = f"handover:{identity.hex()}"
        looks = await audit.looks_at(session, subject)
        if opened.content is not None:
            await audit.record(
                session, services, staff, action, subject=subject, purpose=Purpose.TRACING
            )
    return opened, list(looks)


async def _decide(
    services: Services,
    staff: Staff,
    handover: str,
    *,
    state: str,
    template: str,
    words: str,
    seen: int,
    choice: phones.Choice,
) -> None:
    services.limits.spend(DECISIONS_BY_ACCOUNT, str(staff.account_id))
    sealer = service.inbox_sealer(services.settings.secrets_folder)
    identity = _identity(handover)
    async with services.database.transaction() as session:
        await service.decide(
            session,
            sealer,
            staff,
            identity,
            state=_state_named(state),
            template=template,
            words=words,
            seen=seen,
            now=services.now,
        )
        opened = await service.open_item(session, sealer, staff.scope, identity)
        if not isinstance(opened.content, ContactDetails):
            return
        await take_turn(session)
        if opened.handover.state == HandoverState.CONFIRMED.value:
            await phones.confirm_report(
                session, services, staff, opened.content, choice,
                unit=_home_of(staff, opened.content, opened.handover.unit),
                reference=opened.handover.reference,
            )  # fmt: skip
        else:
            await contacts.remove_exposures_of(
                session, services, identity, by=staff.name, reason=state
            )


def _home_of(staff: Staff, details: ContactDetails, unit: str) -> str:
    """The unit of the person's record: their commune's, else the one that got the report."""
    commune_path = path_of(details.commune)
    return commune_path if commune_path and staff.scope.covers(commune_path) else unit


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


async def _download(services: Services, staff: Staff, handover: str) -> Response:
    opened, _looks = await _look(services, staff, handover, Action.EXPORT)
    if not isinstance(opened.content, HandedDiary):
        raise _nothing_here()
    answer = json_answer(opened.content)
    name = f"diary-{opened.handover.reference}.json"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


async def _item_page(
    request: Request,
    services: Services,
    staff: Staff,
    handover: str,
    *,
    refused: Refused | None = None,
    state: str = "",
    template: str = "",
    words: str = "",
    choice: phones.Choice | None = None,
) -> Response:
    opened, looks = await _look(services, staff, handover)
    row = opened.handover
    content = opened.content
    choices = None
    if content is not None:
        async with services.database.transaction() as session:
            choices = await phones.choices_for(session, services, staff, content, row.unit)
    return page(
        request,
        "tracing/item.html",
        refused.status_code if refused else 200,
        problem=sentence(request, refused) if refused else "",
        problem_state=state,
        chosen_template=template,
        words=words[: rules.MAX_WORDS],
        handover=row.id.hex(),
        row=row,
        choices=choices,
        contact_words=WORDS,
        choice=choice or phones.Choice(),
        received=vietnam_time(row.received_at),
        details=_details(services, content),
        warned=_warned(content),
        diary=_diary(content),
        templates=[
            (decision.value, rules.templates_for(Kind(row.kind), decision))
            for decision in (HandoverState.CONFIRMED, HandoverState.CLEARED)
        ],
        max_words=rules.MAX_WORDS,
        history=[(one, vietnam_time(one.at)) for one in opened.history],
        looks=[(one, vietnam_time(one.at)) for one in looks],
        vietnam_time=vietnam_time,
    )


def _details(services: Services, content: service.Content | None) -> ShownDetails | None:
    if not isinstance(content, ContactDetails):
        return None
    verified = messaging.is_verified(
        services.settings.secrets_folder,
        content.phone_number,
        content.number_verified_at,
        content.number_receipt,
    )
    return ShownDetails(
        name=content.name,
        phone_number=content.phone_number,
        number_verified_at=content.number_verified_at if verified else None,
        commune=content.commune,
        commune_name=_commune_name(content.commune),
        about=content.about.value,
        days=[msgspec.to_builtins(one) for one in content.days],
        note=content.note,
        language=content.language,
    )


def _warned(content: service.Content | None) -> list[tuple[str, list[str], int, str]]:
    """The days of a warning, with messages for the words of the phone."""
    if not isinstance(content, ContactDetails):
        return []
    return [
        (
            one.day,
            [rules.part_word(part) for part in one.parts],
            one.minutes,
            rules.certainty_word(one.certainty),
        )
        for one in content.days
    ]


def _diary(content: service.Content | None) -> ShownDiary | None:
    if not isinstance(content, HandedDiary):
        return None
    days: list[DiaryDay] = rules.diary_days(rules.check_diary(content))
    return ShownDiary(
        about=content.about.value,
        keys=len(content.keys),
        days=[{"day": one.day, "records": one.records} for one in days],
    )


def _entry(row: Handover) -> InboxEntry:
    return InboxEntry(
        handover=row.id.hex(),
        reference=row.reference,
        kind=row.kind,
        state=row.state,
        revision=row.revision,
        received_at=row.received_at,
        updated_at=row.updated_at,
    )


def _commune_name(code: str) -> str:
    found = commune(code)
    if found is None:
        return ""
    whole = province(found.province)
    return f"{found.name}, {whole.name}" if whole else found.name


def _identity(handover: str) -> bytes:
    try:
        identity = bytes.fromhex(handover)
    except ValueError:
        raise _nothing_here() from None
    if len(identity) != ID_BYTES:
        raise _nothing_here()
    return identity


def _state_named(name: str) -> HandoverState:
    try:
        return HandoverState(name)
    except ValueError:
        raise Refused(400, "state-unknown", _("There is no such state of a hand-over.")) from None


def _nothing_here() -> Refused:
    return Refused(404, "not-found", _("There is nothing at this address."))
